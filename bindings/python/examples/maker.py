"""The maker of `millrace trade maker` in Python: quotes around the microprice, leaning away from what it holds.

    python3 maker.py --symbol AAPL --user TRADE1 --password secret --ring millrace-feed

Reads the feed's ring on this host, speaks OUCH 5.0 over SoupBinTCP. Leaving cancels its orders, as
`cancel_on_disconnect` says.
"""
import argparse, collections, socket, struct, time
import numpy as np
from millrace_ring import OLDEST, Subscriber

TOLD = np.dtype([("number", "u8"), ("session", "u2"), ("length", "u2"), ("bytes", "u1", 44)])


class Book:
    """One symbol's displayed levels, from ITCH 5.0."""

    def __init__(self, symbol):
        self.name, self.locate, self.orders = symbol.ljust(8).encode(), None, {}
        self.sides = {b"B": collections.Counter(), b"S": collections.Counter()}

    def take(self, m):
        kind, locate = m[:1], struct.unpack_from(">H", m, 1)[0]
        if kind == b"R" and m[11:19] == self.name:
            self.locate = locate
        if locate != self.locate:
            return False
        if kind in b"AF":
            ref, side, shares = struct.unpack_from(">QcI", m, 11)
            self.add(ref, side, struct.unpack_from(">I", m, 32)[0], shares)
        elif kind in b"ECX":
            self.lower(*struct.unpack_from(">QI", m, 11))
        elif kind == b"D":
            self.lower(struct.unpack_from(">Q", m, 11)[0], None)
        elif kind == b"U":
            old, new, shares, price = struct.unpack_from(">QQII", m, 11)
            if side := self.lower(old, None):
                self.add(new, side, price, shares)
        return kind in b"AFECXDU"

    def add(self, ref, side, price, shares):
        self.orders[ref] = [side, price, shares]
        self.sides[side][price] += shares

    def lower(self, ref, shares):
        if not (order := self.orders.get(ref)):
            return None
        side, price, left = order
        shares = left if shares is None else min(shares, left)
        order[2] -= shares
        self.sides[side][price] -= shares
        if not self.sides[side][price]:
            del self.sides[side][price]
        if not order[2]:
            del self.orders[ref]
        return side

    def best(self):
        bids, asks = self.sides[b"B"], self.sides[b"S"]
        if not bids or not asks:
            return None
        bid, ask = max(bids), min(asks)
        return bid, bids[bid], ask, asks[ask]


class Maker:
    """Two quotes, replaced when the microprice has moved."""

    def __init__(self, a):
        self.a, self.book, self.held, self.next_ref, self.cash = a, Book(a.symbol), 0, 1, 0
        self.quotes = {b"B": None, b"S": None}      # [ref, price, open, settled]
        self.sock = socket.create_connection(a.to)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        login = a.user.ljust(6) + a.password.ljust(10) + " " * 10 + "0".rjust(20)
        self.send(b"L", login.encode())
        self.buffer, self.heard, self.sent, self.fills = b"", 0, time.time(), 0
        self.ready = False

    def send(self, kind, payload):
        self.sock.sendall(struct.pack(">Hc", len(payload) + 1, kind) + payload)
        self.sent = time.time()

    def quote(self):
        if not self.ready or not (best := self.book.best()):
            return
        bid, bid_shares, ask, ask_shares = best
        fair = (bid * ask_shares + ask * bid_shares) / (bid_shares + ask_shares) - self.held * self.a.skew
        wanted = {b"B": min(int((fair - self.a.half) // 100) * 100, ask - 100),
                  b"S": max(-int(-(fair + self.a.half) // 100) * 100, bid + 100)}
        for side, price in wanted.items():
            own = self.quotes[side]
            if own is None and abs(self.held + (100 if side == b"B" else -100)) <= self.a.most:
                self.send(b"U", struct.pack(">cIcI8sQ", b"O", self.next_ref, side, 100, self.book.name, price)
                          + b"0YPNN" + b" " * 14 + bytes([0, 3, 2, 12]) + b"P")
                self.quotes[side] = [self.next_ref, price, 100, False]
                self.next_ref += 1
            elif own and own[3] and abs(own[1] - price) >= 100:
                self.send(b"U", struct.pack(">cIIIQ", b"U", own[0], self.next_ref, 100, price)
                          + b"0YN" + b" " * 14 + bytes([0, 3, 2, 12]) + b"P")
                own[3], self.next_ref = False, self.next_ref + 1

    def answers(self):
        try:
            self.buffer += self.sock.recv(65536, socket.MSG_DONTWAIT) or exit("the gateway is gone")
        except BlockingIOError:
            pass
        while len(self.buffer) > 2 and len(self.buffer) >= 2 + (size := struct.unpack(">H", self.buffer[:2])[0]):
            packet, self.buffer = self.buffer[2:2 + size], self.buffer[2 + size:]
            if packet[:1] == b"J":
                exit("the login was refused")
            if packet[:1] == b"A":
                self.send(b"U", b"Q")               # which numbers are free
            if packet[:1] == b"S":
                self.answer(packet[1:])
        if time.time() - self.sent > 1:
            self.send(b"R", b"")

    def answer(self, m):
        kind, ref = m[:1], struct.unpack_from(">I", m, 9)[0] if len(m) > 12 else 0
        own = next((q for q in self.quotes.values() if q and q[0] == ref), None)
        side = next((s for s, q in self.quotes.items() if q and q is own), None)
        if kind == b"Q":
            self.next_ref, self.ready = ref, True
        elif kind == b"A" and own:
            own[3] = True
        elif kind == b"U" and own:
            new, _, open_ = struct.unpack_from(">IcI", m, 13)
            own[:] = [new, struct.unpack_from(">Q", m, 30)[0], open_, open_ > 0]
            self.quotes[side] = own if open_ else None
        elif kind in b"EC" and own:
            shares = struct.unpack_from(">I", m, 13)[0]
            own[2] -= shares
            if kind == b"E":
                sign, price = (1 if side == b"B" else -1), struct.unpack_from(">Q", m, 17)[0]
                self.held, self.cash, self.fills = self.held + sign * shares, self.cash - sign * shares * price, self.fills + 1
            if own[2] <= 0:
                self.quotes[side] = None
        elif kind == b"J":                          # a replacement that came too late, or an order that may not be
            self.quotes = {s: q and (q if not q[3] and q[0] != ref else None) for s, q in self.quotes.items()}
            for q in filter(None, self.quotes.values()):
                q[3] = True


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--symbol", required=True)
    p.add_argument("--user", required=True)
    p.add_argument("--password", required=True)
    p.add_argument("--to", default="127.0.0.1:7001", type=lambda t: (t.rsplit(":", 1)[0], int(t.rsplit(":", 1)[1])))
    p.add_argument("--ring", default="millrace-feed")
    p.add_argument("--ring-dir", default="/dev/shm")
    p.add_argument("--half", type=int, default=200, help="from the fair price to a quote, in 1/10000")
    p.add_argument("--skew", type=float, default=0.2, help="1/10000 that the price leans for a share held")
    p.add_argument("--most", type=int, default=500, help="shares held at the most")
    p.add_argument("--seconds", type=float, default=1e9)
    maker = Maker(p.parse_args())
    end = time.time() + maker.a.seconds
    with Subscriber(maker.a.ring, TOLD, dir=maker.a.ring_dir, start=OLDEST, record="millrace.itch.1") as feed:
        while time.time() < end:
            batch, missed = feed.hear()
            for told in batch:
                maker.book.take(told["bytes"][:told["length"]].tobytes())
            maker.answers()
            if len(batch):
                maker.quote()
            else:
                time.sleep(50e-6)
    best = maker.book.best()
    worth = maker.cash + maker.held * ((best[0] + best[2]) / 2 if best else 0)
    print(f"{maker.a.symbol} {maker.held} held, {maker.fills} trades, profit {worth / 10_000:.2f}")


if __name__ == "__main__":
    main()
