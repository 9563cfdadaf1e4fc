"""Both ends of every kind of ring in Python, as bindings/c/ends.c has them in C.

Usage: ends.py write|read queue|broadcast numbers|events DIR NAME [COUNT]
"""

import sys
import time

import numpy as np

import millrace_ring as mr

NUMBERS = np.dtype(("u8", 7))


def sample(n, events):
    """What the n-th records are, for an array of numbers."""
    if not events:
        return np.repeat(n.astype("u8")[:, None], 7, axis=1)
    made = np.zeros(len(n), mr.EVENT)
    order = made["command"]
    order["seq"], order["time_ns"], made["reference"] = n, n * 1000, n + 24
    for plus, field in enumerate(
        ["user_ref", "orig_user_ref", "qty", "price", "limit", "min_qty", "max_floor", "expire_s", "slot", "user",
         "firm", "symbol", "group", "tags", "flags", "carried", "number_in", "answer"], 1):
        order[field] = (n + plus) & (2 ** (8 * order[field].itemsize) - 1)
    order["kind"], order["side"], order["tif"], order["display"] = 1, n % 4, n // 4 % 4, n % 3
    order["capacity"], order["self_trade"] = n // 3 % 4, n % 5
    order["text"] = (n[:, None] + np.arange(38, dtype="u8")) & 0xFF
    made["kind"], made["whole"], made["live"], made["side"] = n % 17, n % 2, n // 2 % 2, n // 2 % 4
    made["policy"] = n // 5 % 5
    for plus, field in enumerate(["liquidity", "user", "user_ref", "qty", "price"], 19):
        made[field] = (n + plus) & (2 ** (8 * made[field].itemsize) - 1)
    return made


def same(records, n, events):
    return np.ascontiguousarray(records).tobytes() == sample(n, events).tobytes()


def main():
    what, kind, records, directory, name = sys.argv[1:6]
    events = records == "events"
    dtype = mr.EVENT if events else NUMBERS
    if what == "write":
        count = int(sys.argv[6])
        end = mr.Sender if kind == "queue" else mr.Publisher
        with end(name, dtype, directory) as tx:
            n = np.append(np.arange(tx.index + 1, count + 1, dtype="u8"), np.uint64(0))
            (tx.send if kind == "queue" else tx.write)(sample(n, events))
        return
    end, start = (mr.Receiver, mr.ONWARD) if kind == "queue" else (mr.Subscriber, mr.OLDEST)
    while True:
        try:
            rx = end(name, dtype, directory, start)
            break
        except mr.Missing:
            time.sleep(0.001)
    seen = missed = 0
    zero = sample(np.zeros(1, "u8"), events)
    with rx:
        while True:
            first = rx.index + 1
            if kind == "queue":
                batch, lost = rx.read(1000), 0
                assert not batch.flags.writeable and not batch.flags.owndata, "a view, to be read only"
            else:
                batch, lost = rx.hear(1000)
            missed += lost
            ended = len(batch) > 0 and batch[-1:].tobytes() == zero.tobytes()
            batch = batch[:-1] if ended else batch
            n = np.arange(first, first + len(batch), dtype="u8")
            assert same(batch, n, events), f"the records from {first} on are not what they should be"
            seen += len(batch)
            if kind == "queue":
                rx.give_back(len(batch) + ended)
            if ended:
                break
            if len(batch) == 0 and not lost:
                time.sleep(50e-6)
    print(f"{seen} seen, {missed} missed")


try:
    main()
except mr.RingError as error:
    sys.exit(f"ends: {error}")
