"""Arrays that are looked at after their end was closed, and what the package says of what it cannot do."""

import gc
import sys

import numpy as np

import millrace_ring as mr

directory = sys.argv[1]
tx = mr.Sender("views", "u8", directory, capacity=8)
rx = mr.Receiver("views", "u8", directory)
assert tx.write(np.arange(20)) == 8
batch = rx.read(3)
rx.give_back(3)
assert list(rx.read()) == [3, 4, 5, 6, 7] and tx.write([8, 9]) == 2
assert list(rx.read()) == [3, 4, 5, 6, 7], "what goes round the end comes with the next call"

# The lock goes with the end, the memory with who looks at it last.
kept = rx.read(2)
rx.close()
again = mr.Receiver("views", "u8", directory)
gc.collect()
assert list(kept) == [3, 4] and not kept.flags.writeable
again.give_back(5)
assert list(again.read()) == [8, 9]
for wrong, error in [
    (lambda: rx.read(), mr.RingError),
    (lambda: again.give_back(3), ValueError),
    (lambda: mr.Receiver("nowhere", "u8", directory), mr.Missing),
    (lambda: mr.Sender("a/b", "u8", directory), mr.RingError),
    (lambda: mr.Sender("other", np.dtype([("x", "u8")]), directory), mr.RingError),
]:
    try:
        wrong()
    except error:
        continue
    sys.exit(f"it did not say {error}")

staged = tx.stage(4)
staged[:] = 7
assert len(again.read()) == 2, "what is staged is not there yet"
tx.publish()
again.give_back(2)
assert list(again.read()) == [7] * len(staged)
