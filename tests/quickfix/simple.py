"""Hand-made FIX with simplefix: what is right is answered, what is wrong is told or passed over."""

import socket
import sys
import time

import simplefix


class Peer:
    def __init__(self, port, sender):
        self.sender = sender
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.parser = simplefix.FixParser()
        self.number = 0

    def message(self, kind, *fields, number=None):
        self.number += 1
        message = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4", header=True)
        message.append_pair(35, kind, header=True)
        message.append_pair(34, number or self.number, header=True)
        message.append_pair(49, self.sender, header=True)
        message.append_pair(56, "MILLRACE", header=True)
        message.append_utc_timestamp(52, precision=3, header=True)
        for tag, value in fields:
            message.append_pair(tag, value)
        return message

    def send(self, kind, *fields):
        self.socket.sendall(self.message(kind, *fields).encode())

    def receive(self):
        while True:
            message = self.parser.get_message()
            if message is not None:
                return message
            data = self.socket.recv(4096)
            if not data:
                return None
            self.parser.append_buffer(data)

    def expect(self, **fields):
        message = self.receive()
        assert message is not None, f"the end instead of {fields}"
        for name, value in fields.items():
            got = message.get(name[1:])
            assert got == value.encode(), f"{name} is {got}, not {value}: {message}"
        return message


def order(name, **more):
    fields = {55: "AAPL", 54: "1", 38: "10", 40: "2", 44: "99.5"}
    fields.update({int(tag[1:]): value for tag, value in more.items()})
    now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
    return [(11, name), (60, now)] + [pair for pair in fields.items() if pair[1] is not None]


def main(port):
    peer = Peer(port, "CLIENT1")
    peer.send("A", (98, 0), (108, 30), (141, "Y"), (554, "secret"))
    peer.expect(t35="A", t141="Y", t34="000000001")

    peer.send("D", *order("S1"))
    peer.expect(t35="8", t150="0", t11="S1", t44="99.5")
    peer.send("D", *order("S2", t38="ten"))
    peer.expect(t35="3", t371="38", t373="6")
    peer.send("D", *order("S3", t55=None))
    peer.expect(t35="3", t371="55", t373="1")
    peer.send("D", *order("S1"))
    peer.expect(t35="8", t39="8", t103="6")
    peer.send("G", *order("S4", t41="S1", t38="20"))
    peer.expect(t35="8", t150="5", t11="S4", t41="S1", t151="20")
    peer.send("F", *order("S5", t41="S4", t40=None, t44=None))
    peer.expect(t35="8", t150="4", t39="4", t11="S5", t41="S4")

    # Cut in the middle, at every byte.
    whole = peer.message("1", (112, "cut")).encode()
    for at in range(len(whole)):
        peer.socket.sendall(whole[at : at + 1])
    peer.expect(t35="0", t112="cut")
    # A wrong sum is passed over without a number.
    broken = bytearray(peer.message("1", (112, "broken")).encode())
    broken[-2] ^= 1
    peer.socket.sendall(bytes(broken))
    peer.number -= 1
    peer.send("1", (112, "whole"))
    peer.expect(t35="0", t112="whole")
    # Many in one piece.
    burst = b"".join(peer.message("D", *order(f"B{n}")).encode() for n in range(200))
    peer.socket.sendall(burst)
    for n in range(200):
        peer.expect(t35="8", t11=f"B{n}", t39="0")
    peer.send("q", (11, "M1"), (530, 7), (60, time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())))
    report = peer.receive()
    affected = int(report.get(533))
    assert affected >= 200, report
    for _ in range(affected):
        peer.expect(t35="8", t39="4")

    peer.send("5")
    peer.expect(t35="5")
    assert peer.receive() is None

    # Nobody, and somebody with the wrong password.
    for sender, password in [("NOBODY", "secret"), ("CLIENT1", "guess")]:
        stranger = Peer(port, sender)
        stranger.send("A", (98, 0), (108, 30), (554, password))
        assert stranger.receive() is None
    print(f"{peer.number} messages")


main(int(sys.argv[1]))
