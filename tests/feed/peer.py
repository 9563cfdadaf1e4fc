"""Trades, hears of it along a lossy line, and has MeatPy put the book together again.

Orders go in as OUCH 5.0 in SoupBinTCP, market data comes as ITCH 5.0 in MoldUDP64; both are taken apart
with struct, from the specifications' tables."""

import datetime
import json
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

from meatpy.itch50 import ITCH50MarketProcessor, ITCH50MessageReader

SYMBOLS = {"AAPL": 1_900_000, "MSFT": 4_200_000}


class Trader:
    def __init__(self, port, user):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.packet(b"L", user.ljust(6) + b"secret".ljust(10) + b" " * 10 + b"0".rjust(20))
        answer = self.socket.recv(1 << 16)
        assert answer[2:3] == b"A", answer
        self.number = 0
        self.live = []

    def packet(self, kind, payload):
        self.socket.sendall(struct.pack(">Hc", len(payload) + 1, kind) + payload)

    def drain(self):
        self.socket.setblocking(False)
        try:
            while self.socket.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        self.socket.setblocking(True)

    def enter(self, draw):
        self.number += 1
        symbol = draw.choice(list(SYMBOLS))
        price = SYMBOLS[symbol] + draw.randrange(-10, 11) * 1_000
        display = draw.choice(b"YYYYANN")
        floor = b""
        if display == ord("Y") and draw.random() < 0.3:
            floor = struct.pack(">BBI", 5, 5, draw.randrange(1, 60))
        self.packet(b"U", struct.pack(
            ">cIBI8sQcBccc14sH", b"O", self.number, draw.choice(b"BS"), draw.randrange(1, 300),
            symbol.encode().ljust(8), price, b"0", display, b"P", b"N", b"N",
            b"".ljust(14), len(floor)) + floor)
        self.live.append((self.number, symbol))

    def cancel(self, draw):
        number, _ = draw.choice(self.live)
        self.packet(b"U", struct.pack(">cIIH", b"X", number, draw.choice([0, 20]), 0))

    def replace(self, draw):
        (old, symbol), self.number = draw.choice(self.live), self.number + 1
        price = SYMBOLS[symbol] + draw.randrange(-10, 11) * 1_000
        self.packet(b"U", struct.pack(
            ">cIIIQccc14sH", b"U", old, self.number, draw.randrange(1, 300), price, b"0", b"Y", b"N",
            b"".ljust(14), 0))
        self.live.append((self.number, symbol))


class Line:
    """A multicast line of which some packets are lost, and the server that has them again."""

    def __init__(self, group, port, request, draw):
        self.line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.line.bind((group, port))
        member = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
        self.line.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        self.line.setblocking(False)
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.connect(("127.0.0.1", request))
        self.server.setblocking(False)
        self.draw, self.messages, self.session, self.behind = draw, {}, b"", 1
        self.lost = 0

    def take(self, packet):
        self.session, first, count = struct.unpack(">10sQH", packet[:20])
        at = 20
        for number in range(first, first + (count if count != 0xFFFF else 0)):
            (length,) = struct.unpack(">H", packet[at:at + 2])
            self.messages[number] = packet[at + 2:at + 2 + length]
            assert len(self.messages[number]) == length
            at += 2 + length
        assert at == len(packet), "nothing but messages"
        self.behind = max(self.behind, first + (count if count != 0xFFFF else 0))

    def poll(self):
        for source, lossy in ((self.line, True), (self.server, False)):
            try:
                while True:
                    packet = source.recv(1 << 16)
                    if lossy and self.draw.random() < 0.1:
                        self.lost += 1
                    else:
                        self.take(packet)
            except BlockingIOError:
                pass

    def missing(self):
        return [n for n in range(1, self.behind) if n not in self.messages]

    def recover(self):
        for number in self.missing()[:20]:
            self.server.send(struct.pack(">10sQH", self.session, number, 50))


def levels(side):
    return [[level.price, sum(o.volume for o in level.queue)] for level in side or []]


def main(binary, config, port, group, line_port, request):
    draw = random.Random(14)
    line = Line(group, int(line_port), int(request), draw)
    traders = [Trader(int(port), user) for user in (b"TRADE1", b"TRADE3")]
    for n in range(3_000):
        trader = draw.choice(traders)
        act = draw.random()
        if act < 0.7 or not trader.live:
            trader.enter(draw)
        elif act < 0.85:
            trader.cancel(draw)
        else:
            trader.replace(draw)
        if n % 20 == 0:
            line.poll()
            for trader in traders:
                trader.drain()
    deadline = time.monotonic() + 60
    quiet, behind = time.monotonic(), 0
    while time.monotonic() - quiet < 3:
        assert time.monotonic() < deadline, f"{len(line.missing())} messages are still missing"
        line.poll()
        if line.missing() or line.behind != behind:
            quiet, behind = time.monotonic(), line.behind
            line.recover()
        time.sleep(0.01)
    assert line.lost > 0, "a line that lost nothing shows nothing"
    kinds = {message[:1] for message in line.messages.values()}
    assert kinds >= {b"S", b"R", b"H", b"A", b"F", b"E", b"P", b"X", b"D", b"U"}, kinds
    with tempfile.NamedTemporaryFile(suffix=".itch50") as file:
        for number in range(1, line.behind):
            message = line.messages[number]
            file.write(struct.pack(">H", len(message)) + message)
        file.flush()
        for symbol in SYMBOLS:
            processor = ITCH50MarketProcessor(symbol, datetime.datetime(2026, 1, 1))
            for message in ITCH50MessageReader().read_file(file.name):
                processor.process_message(message)
            told = json.loads(subprocess.run(
                [binary, "book", symbol, "--config", config, "--once", "--json", "--levels", "1000"],
                check=True, capture_output=True, timeout=60).stdout)
            for ours, theirs in (("bids", "bid_levels"), ("asks", "ask_levels")):
                here = [[round(float(level["price"]) * 10_000), level["shares"]] for level in told[ours]]
                there = levels(getattr(processor.current_lob, theirs))
                assert here == there and here, (symbol, ours, here, there)
    for trader in traders:
        trader.packet(b"O", b"")
    print(f"{line.behind - 1} messages, {line.lost} packets lost on the way, both books the same")


main(*sys.argv[1:])
