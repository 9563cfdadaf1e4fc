"""Ends of millrace's shared rings: batches as NumPy arrays, without a copy.

A queue has one writer and one reader, for which the writer waits::

    with Sender("ticks", dtype="u8") as tx:
        tx.send(np.arange(1, 1000))

    with Receiver("ticks", dtype="u8") as rx:
        for batch in rx.batches():      # where the records lie, read-only
            print(batch.sum())          # given back to the writer behind the loop's body

A broadcast ring has one writer and any number of readers, for which nobody waits::

    with Subscriber("events", dtype=EVENT) as rx:
        batch, missed = rx.hear()

A ring holds records of one NumPy type. Where the type has a name for the ring (``EVENT`` and ``COMMAND``, or a
plain integer), it is checked at both ends.
"""

import ctypes
import importlib.machinery
import pathlib
import time

import numpy as np

__all__ = [
    "COMMAND", "EVENT", "Missing", "Publisher", "Receiver", "RingError", "Sender", "Subscriber",
    "NEWEST", "OLDEST", "ONWARD",
]

ONWARD = 2**64 - 1  #: a queue: behind what the reader before gave back
NEWEST = 2**64 - 2  #: with what is written from now on
OLDEST = 2**64 - 3  #: a broadcast ring: the oldest record there is

_QUEUE, _BROADCAST = 1, 2

#: What a gateway passes on: an order and what became of it. Times are Unix nanoseconds, prices 1/10000.
COMMAND = np.dtype([
    ("seq", "u8"), ("time_ns", "u8"), ("user_ref", "u4"), ("orig_user_ref", "u4"), ("qty", "u4"),
    ("price", "u4"), ("limit", "u4"), ("min_qty", "u4"), ("max_floor", "u4"), ("expire_s", "u4"),
    ("slot", "u4"), ("user", "u2"), ("firm", "u2"), ("symbol", "u2"), ("group", "u2"), ("verdict", "u2"),
    ("tags", "u2"), ("kind", "u1"), ("side", "u1"), ("tif", "u1"), ("display", "u1"), ("capacity", "u1"),
    ("flags", "u1"), ("self_trade", "u1"), ("reason", "u1"), ("text", "u1", 38), ("carried", "u1"),
    ("destination", "u1"), ("number_in", "u4"), ("answer", "u4"),
])
EVENT = np.dtype([
    ("command", COMMAND), ("kind", "u1"), ("whole", "u1"), ("live", "u1"), ("side", "u1"), ("reason", "u1"),
    ("policy", "u1"), ("liquidity", "u1"), ("venue", "u1"), ("spare", "u1", 2), ("user", "u2"), ("user_ref", "u4"),
    ("qty", "u4"), ("price", "u4"), ("reference", "u8"),
])
assert (COMMAND.itemsize, EVENT.itemsize) == (120, 152)

_NAMES = {COMMAND: "millrace.command.1", EVENT: "millrace.event.1"}


class RingError(Exception):
    """An end cannot be had; the text says why."""


class Missing(RingError):
    """There is no such ring: its writer makes it."""


def _load():
    here = pathlib.Path(__file__).parent
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = here / f"_ends{suffix}"
        if path.exists():
            return ctypes.CDLL(str(path))
    raise ImportError(f"millrace_ring was not built: there is no _ends library in {here}")


_lib = _load()
_u64, _address, _text = ctypes.c_uint64, ctypes.c_void_p, ctypes.c_char_p
for _name, _result, _arguments in [
    ("writer", _address, [_text, _text, ctypes.c_int, _text, _u64, _u64, ctypes.c_uint, ctypes.c_long, _text]),
    ("reader", _address,
     [_text, _text, ctypes.c_int, _text, _u64, _u64, _text, ctypes.POINTER(ctypes.c_int)]),
    ("leave_writer", None, [_address]),
    ("leave_reader", None, [_address]),
    ("free_writer", None, [_address]),
    ("free_reader", None, [_address]),
    ("writer_places", _address, [_address]),
    ("written", _u64, [_address]),
    ("free_places", _u64, [_address]),
    ("writer_beat", None, [_address]),
    ("stage", _u64, [_address, _u64]),
    ("publish", None, [_address]),
    ("broadcast", None, [_address, _address, _u64]),
    ("reader_places", _address, [_address]),
    ("capacity", _u64, [_address]),
    ("read_index", _u64, [_address]),
    ("available", _u64, [_address, _u64]),
    ("give_back", None, [_address, _u64]),
    ("reader_beat", None, [_address]),
    ("writer_lives", ctypes.c_int, [_address]),
    ("hear", _u64, [_address, _address, _u64, ctypes.POINTER(_u64)]),
]:
    _function = getattr(_lib, f"mr_{_name}")
    _function.restype, _function.argtypes = _result, _arguments


def _name_of(dtype):
    """What a ring of such records says that it holds; an array is named after what it is made of."""
    dtype = dtype.base
    if dtype in _NAMES:
        return _NAMES[dtype]
    if dtype.kind in "iu" and dtype.isnative:
        return f"{dtype.kind}{8 * dtype.itemsize}"
    return None


def _stride(record_bytes):
    place = (record_bytes + 7) // 8 * 8 + 8
    return (place + 63) // 64 * 64 if place > 64 else 1 << (place - 1).bit_length()


def _type_of(dtype):
    """A type for the records, one element each: NumPy has no array whose elements are arrays."""
    dtype = np.dtype(dtype)
    return dtype if dtype.subdtype is None else np.dtype([("items", *dtype.subdtype)])


class _Memory:
    """The mapping of an end: there until nobody looks at it any more."""

    def __init__(self, end, free):
        self.end, self._free = end, free

    def __del__(self):
        self._free(self.end)


class _End:
    """What all ends have in common."""

    def __init__(self, memory, leave):
        self._memory, self._leave, self._end = memory, leave, memory.end

    def close(self):
        """Lets the end go, for others to take. Arrays that were handed out stay readable; what was staged
        must not be written to any more."""
        if self._end is not None:
            self._leave(self._end)
            self._end = self._memory = self._records = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _open(self):
        if self._end is None:
            raise RingError("the end was closed")
        return self._end

    def _view(self, address, capacity, dtype, writable):
        """All places of a ring as one array of records, a stride apart."""
        stride = _stride(dtype.itemsize)
        buffer = (ctypes.c_uint8 * (capacity * stride)).from_address(address)
        buffer.memory = self._memory  # arrays keep the buffer, and the buffer this
        slots = np.dtype({"names": ["r"], "formats": [dtype], "offsets": [0], "itemsize": stride})
        records = np.ndarray((capacity,), slots, buffer)["r"]
        records.flags.writeable = writable
        return records


class _WritingEnd(_End):
    def __init__(self, kind, name, dtype, dir, capacity, mode, group, record):
        self.dtype, error = _type_of(dtype), ctypes.create_string_buffer(384)
        record = record or _name_of(np.dtype(dtype))
        if record is None:
            raise RingError(f"records of type {dtype} need a name: record=\"...\"")
        end = _lib.mr_writer(
            str(dir).encode(), name.encode(), kind, record.encode(), self.dtype.itemsize, capacity, mode,
            -1 if group is None else group, error,
        )
        if not end:
            raise RingError(error.value.decode())
        super().__init__(_Memory(end, _lib.mr_free_writer), _lib.mr_leave_writer)
        self.capacity = capacity

    @property
    def index(self):
        """How many records there were since the ring was made."""
        return _lib.mr_written(self._open())

    def beat(self):
        """Says that the writer lives: about once a second."""
        _lib.mr_writer_beat(self._open())

    def _array(self, records):
        """The records one behind the other, each an element."""
        if getattr(records, "dtype", None) != self.dtype:
            plain = self.dtype["items"].base if self.dtype.names == ("items",) else self.dtype
            records = np.ascontiguousarray(records, plain).reshape(-1)
        return np.ascontiguousarray(records).view(self.dtype)


class Sender(_WritingEnd):
    """The writing end of a queue, which is made if it is not there."""

    def __init__(self, name, dtype, dir="/dev/shm", capacity=4096, mode=0o640, group=None, record=None):
        super().__init__(_QUEUE, name, dtype, dir, capacity, mode, group, record)
        self._records = self._view(_lib.mr_writer_places(self._end), capacity, self.dtype, True)

    @property
    def free(self):
        """How many records there is room for."""
        return _lib.mr_free_places(self._open())

    def stage(self, most):
        """Up to so many places that lie behind each other, to be written to; see publish."""
        first = _lib.mr_written(self._open()) % self.capacity
        return self._records[first:first + _lib.mr_stage(self._end, most)]

    def publish(self):
        """Has the reader see everything that was staged, at once."""
        _lib.mr_publish(self._open())

    def write(self, records):
        """Writes as many of the records as there is room for, and returns how many."""
        records, done = self._array(records), 0
        while done < len(records):
            places = self.stage(len(records) - done)
            if len(places) == 0:
                break
            places[:] = records[done:done + len(places)]
            done += len(places)
        self.publish()
        return done

    def send(self, records, nap=50e-6):
        """Writes all of the records, waiting for room."""
        records = self._array(records)
        while len(records):
            done = self.write(records)
            records = records[done:]
            if not done:
                time.sleep(nap)


class Publisher(_WritingEnd):
    """The writing end of a broadcast ring, which is made if it is not there."""

    def __init__(self, name, dtype, dir="/dev/shm", capacity=4096, mode=0o640, group=None, record=None):
        super().__init__(_BROADCAST, name, dtype, dir, capacity, mode, group, record)

    def write(self, records):
        """Writes the records over the oldest."""
        records = self._array(records)
        _lib.mr_broadcast(self._open(), records.ctypes.data, len(records))


class _ReadingEnd(_End):
    def __init__(self, kind, name, dtype, dir, start, record):
        self.dtype, error = _type_of(dtype), ctypes.create_string_buffer(384)
        record, missing = record or _name_of(np.dtype(dtype)), ctypes.c_int()
        end = _lib.mr_reader(
            str(dir).encode(), name.encode(), kind, record and record.encode(), self.dtype.itemsize, start,
            error, ctypes.byref(missing),
        )
        if not end:
            raise (Missing if missing.value else RingError)(error.value.decode())
        super().__init__(_Memory(end, _lib.mr_free_reader), _lib.mr_leave_reader)
        self.capacity = _lib.mr_capacity(end)

    @property
    def index(self):
        """How many records there were before the next since the ring was made."""
        return _lib.mr_read_index(self._open())

    @property
    def writer_lives(self):
        """Whether the writer's process is there."""
        return bool(_lib.mr_writer_lives(self._open()))

    def _plain(self, records):
        return records["items"] if self.dtype.names == ("items",) else records


class Receiver(_ReadingEnd):
    """The reading end of a queue. ``start`` is ONWARD or NEWEST."""

    def __init__(self, name, dtype, dir="/dev/shm", start=ONWARD, record=None):
        super().__init__(_QUEUE, name, dtype, dir, start, record)
        places = _lib.mr_reader_places(self._end)
        self._records = self._view(places, self.capacity, self.dtype, False)

    def read(self, most=2**63):
        """Up to so many records where they lie, oldest first: read-only, and theirs to be overwritten once they
        were given back. What goes round the ring's end comes with the next call."""
        first = _lib.mr_read_index(self._open()) % self.capacity
        count = _lib.mr_available(self._end, min(most, self.capacity - first))
        return self._plain(self._records[first:first + count])

    def give_back(self, count):
        """Gives so many places back to the writer, the oldest; no more than were read."""
        if count > _lib.mr_available(self._open(), count):
            raise ValueError(f"{count} records are more than were read")
        _lib.mr_give_back(self._end, count)

    def batches(self, most=2**63, nap=50e-6):
        """One batch after the other, for ever; each is given back when the next is asked for."""
        while True:
            batch = self.read(most)
            if len(batch):
                yield batch
                self.give_back(len(batch))
            else:
                time.sleep(nap)

    def beat(self):
        """Says that the reader lives: about once a second."""
        _lib.mr_reader_beat(self._open())


class Subscriber(_ReadingEnd):
    """A reading end of a broadcast ring. ``start`` is NEWEST, OLDEST, or the index of a record."""

    def __init__(self, name, dtype, dir="/dev/shm", start=NEWEST, record=None):
        super().__init__(_BROADCAST, name, dtype, dir, start, record)

    def hear(self, most=4096):
        """Copies of up to so many records, oldest first, and how many were lost before them: if any were, there
        are no records yet; the next call goes on behind those."""
        records, missed = np.empty(most, self.dtype), _u64()
        count = _lib.mr_hear(self._open(), records.ctypes.data, most, ctypes.byref(missed))
        return self._plain(records[:count]), missed.value
