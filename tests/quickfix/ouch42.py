"""A session of OUCH 4.2 made with struct from the specification's tables."""

import socket
import struct
import sys


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.packet(b"L", b"TOKEN1" + b"secret".ljust(10) + b" " * 10 + b"1".rjust(20))
        kind, _ = self.receive()
        assert kind == b"A", kind

    def packet(self, kind, payload):
        self.socket.sendall(struct.pack(">Hc", len(payload) + 1, kind) + payload)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            assert more, "the end"
            data += more
        return data

    def receive(self):
        (length,) = struct.unpack(">H", self.exactly(2))
        data = self.exactly(length)
        return data[:1], data[1:]

    def message(self):
        while True:
            kind, payload = self.receive()
            if kind == b"S":
                return payload

    def send(self, form, *fields):
        self.packet(b"U", struct.pack(">" + form, *fields))


def token(name):
    return name.encode().ljust(14)


def enter(client, name, side, shares, price, tif=99998, minimum=0):
    client.send(
        "c14scI8sII4scccIcc",
        b"O", token(name), side, shares, b"MSFT    ", price, tif, b"    ", b"Y", b"P", b"N",
        minimum, b"N", b" ",
    )


def main(port):
    client = Client(port)
    assert client.message()[:1] == b"S"
    enter(client, "T1", b"S", 100, 1010000)
    answer = client.message()
    assert len(answer) == 66 and answer[:1] == b"A" and answer[9:23] == token("T1"), answer
    client.send("c14s14sIIIccI", b"U", token("T1"), token("T2"), 80, 1009900, 99999, b"Y", b"N", 0)
    answer = client.message()
    assert len(answer) == 80 and answer[:1] == b"U" and answer[9:23] == token("T2"), answer
    assert answer[65:79] == token("T1"), answer
    enter(client, "T3", b"B", 30, 1009900, tif=0)
    answer = client.message()
    assert answer[:1] == b"A", answer
    # Its own firm's order: kept from trading.
    answer = client.message()
    assert len(answer) == 37 and answer[:1] == b"D" and answer[9:23] == token("T3"), answer
    client.send("c14sI", b"X", token("T2"), 0)
    answer = client.message()
    assert len(answer) == 28 and answer[:1] == b"C" and answer[27:] == b"U", answer
    enter(client, "T4", b"B", 30, 0)
    answer = client.message()
    assert len(answer) == 24 and answer[:1] == b"J" and answer[23:] == b"X", answer
    enter(client, "T5", b"B", 50, 1001000, tif=0)
    kinds = b""
    while not kinds.endswith(b"C"):
        answer = client.message()
        kinds += answer[:1]
    assert kinds[:1] == b"A", kinds
    client.packet(b"O", b"")
    print(f"the last order's answers: {kinds.decode()}")


main(int(sys.argv[1]))
