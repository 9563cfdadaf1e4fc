"""The PyPI package nasdaq-protocols as a client: login, an order, its answer, replay, logout.

Usage: python nasdaq_session.py HOST PORT
"""

import asyncio
import struct
import sys

from nasdaq_protocols import soup


def order(user_ref, side, quantity, price):
    return struct.pack(
        ">cIcI8sQ5s14sH", b"O", user_ref, side, quantity, b"MSFT    ", price, b"0YPNN",
        b"from python   ", 0)


async def session(host, port, user, sequence, count):
    """Logs in and returns the session and a future of `count` messages."""
    messages, done = [], asyncio.get_running_loop().create_future()

    async def on_message(message):
        if isinstance(message, soup.SequencedData):
            messages.append(message.data)
            if len(messages) == count and not done.done():
                done.set_result(messages)

    connected = await soup.connect_async(
        (host, port), user, "secret", "", sequence=sequence, on_msg_coro=on_message)
    return connected, done


async def main(host, port):
    buyer, bought = await session(host, port, "TRADE5", 0, 2)
    buyer.send_unseq_data(order(1, b"B", 10, 4200000))
    seller, sold = await session(host, port, "TRADE2", 0, 2)
    await asyncio.sleep(0.1)
    seller.send_unseq_data(order(1, b"S", 10, 4190000))
    bought = await asyncio.wait_for(bought, 10)
    sold = await asyncio.wait_for(sold, 10)
    assert [m[:1] for m in bought] == [b"A", b"E"], bought
    assert [m[:1] for m in sold] == [b"A", b"E"], sold
    quantity, price = struct.unpack(">IQ", sold[1][13:25])
    assert (quantity, price) == (10, 4200000), (quantity, price)
    buyer.logout()
    seller.logout()
    await asyncio.sleep(0.3)
    again, messages = await session(host, port, "TRADE5", 1, 3)
    messages = await asyncio.wait_for(messages, 10)
    assert messages[0][:1] == b"S" and messages[1:] == bought, messages
    again.logout()
    try:
        await soup.connect_async((host, port), "TRADE5", "wrong", "")
    except ConnectionRefusedError as refused:
        assert "NOT_AUTHORIZED" in str(refused) or "A" in str(refused), refused
    else:
        raise AssertionError("a wrong password was accepted")
    print("nasdaq-protocols (PyPI): login, trade, replay, logout and a rejected login agree")


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
