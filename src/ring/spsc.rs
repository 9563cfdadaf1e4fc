//! The ring itself.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use super::bell::Bell;
use super::memory::{Heap, Memory};
use super::sync::{Arc, AtomicU64, Ordering, UnsafeCell};

/// The two indices, each on cache lines of its own. Both count records since the ring was made
/// and never wrap: at a billion records a second a u64 lasts 584 years.
#[repr(C)]
struct Header {
    /// Records published. Stored by the producer (release), loaded by the consumer (acquire).
    tail: CachePadded<AtomicU64>,
    /// Records consumed. Stored by the consumer (release), loaded by the producer (acquire).
    head: CachePadded<AtomicU64>,
}

/// A record's place. It always holds a whole record: the filling, or whatever was last written.
type Cell<T> = UnsafeCell<T>;

/// What both ends hold: the memory, kept alive, and where things lie in it.
struct Shared<T> {
    header: NonNull<Header>,
    cells: NonNull<Cell<T>>,
    capacity: u64,
    _memory: Arc<dyn Memory>,
    _records: PhantomData<T>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared { _memory: self._memory.clone(), ..*self }
    }
}

impl<T: Copy> Shared<T> {
    #[inline(always)]
    fn header(&self) -> &Header {
        // SAFETY: `header` points at a `Header` that `in_memory` wrote, in memory that
        // `_memory` keeps alive and unshared with anything but this ring's two ends.
        unsafe { self.header.as_ref() }
    }

    #[inline(always)]
    fn cell(&self, index: u64) -> &Cell<T> {
        let offset = (index & (self.capacity - 1)) as usize;
        // SAFETY: `offset < capacity`, and `in_memory` laid out `capacity` cells.
        let cell = unsafe { self.cells.add(offset) };
        // SAFETY: the cell was initialised by `in_memory` and lives as long as `_memory`.
        unsafe { cell.as_ref() }
    }
}

/// Bytes of memory that a ring of `capacity` records of type `T` takes.
pub const fn bytes_for<T>(capacity: usize) -> usize {
    size_of::<Header>() + capacity * size_of::<Cell<T>>()
}

/// A ring of `capacity` records (a power of two) on the heap.
pub fn on_heap<T: Copy + Send + 'static>(
    capacity: usize,
    filling: T,
) -> (Producer<T>, Consumer<T>) {
    in_memory(capacity, filling, Heap::new(bytes_for::<T>(capacity)))
}

/// A ring of `capacity` records (a power of two) in the given memory, which must hold
/// [`bytes_for`] it. Every place is filled with `filling` here, so that no page is touched for
/// the first time by the first order, and records can be written in place.
pub fn in_memory<T: Copy + Send + 'static>(
    capacity: usize,
    filling: T,
    memory: impl Memory,
) -> (Producer<T>, Consumer<T>) {
    assert!(capacity.is_power_of_two(), "a ring's capacity is a power of two, not {capacity}");
    assert!(memory.len() >= bytes_for::<T>(capacity), "a ring of {capacity} needs more memory");
    assert!(align_of::<Cell<T>>() <= 128, "a ring's records are aligned to 128 at most");
    let base = memory.base();
    assert!(base.as_ptr().addr().is_multiple_of(128), "a ring's memory is aligned to 128");

    let header = base.cast::<Header>();
    let indices = Header {
        tail: CachePadded::new(AtomicU64::new(0)),
        head: CachePadded::new(AtomicU64::new(0)),
    };
    // SAFETY: `base` is aligned and long enough, both asserted; nobody else uses it yet.
    unsafe { header.write(indices) };
    // SAFETY: the header lies inside the memory, whose length was asserted.
    let cells = unsafe { base.byte_add(size_of::<Header>()) }.cast::<Cell<T>>();
    for offset in 0..capacity {
        // SAFETY: `offset < capacity` cells lie behind the header inside the memory.
        let cell = unsafe { cells.add(offset) };
        // SAFETY: as above, and nobody else uses the memory yet.
        unsafe { cell.write(UnsafeCell::new(filling)) };
    }
    let shared = Shared {
        header,
        cells,
        capacity: capacity as u64,
        _memory: share(memory),
        _records: PhantomData,
    };
    let producer =
        Producer { shared: shared.clone(), tail: 0, published: 0, head_seen: 0, bell: None };
    (producer, Consumer { shared, head: 0, tail_seen: 0 })
}

#[cfg(not(loom))]
fn share(memory: impl Memory) -> Arc<dyn Memory> {
    Arc::new(memory)
}

#[cfg(loom)]
fn share(memory: impl Memory) -> Arc<dyn Memory> {
    Arc::from_std(std::sync::Arc::new(memory))
}

/// The writing end of a ring. On cache lines of its own, wherever it is kept, so that the two
/// ends never share one.
#[repr(align(128))]
pub struct Producer<T: Copy> {
    shared: Shared<T>,
    /// Next index to write; ahead of `published` while records are staged.
    tail: u64,
    /// What the consumer has been told.
    published: u64,
    /// The consumer's index when last looked at.
    head_seen: u64,
    /// Wakes the consumer, where it may sleep.
    bell: Option<std::sync::Arc<Bell>>,
}

// SAFETY: a `Producer` is the only writer of `tail` and of the cells between `head` and `tail`;
// moving it to another thread moves that sole ownership. `T: Send` lets the records cross.
unsafe impl<T: Copy + Send> Send for Producer<T> {}

impl<T: Copy> Producer<T> {
    /// Records the ring can hold.
    pub fn capacity(&self) -> usize {
        self.shared.capacity as usize
    }

    /// Has a bell rung whenever something is published.
    pub fn set_bell(&mut self, bell: &std::sync::Arc<Bell>) {
        self.bell = Some(bell.clone());
    }

    /// How many records can be staged now; looks at the consumer's index.
    #[inline]
    pub fn free(&mut self) -> usize {
        // Acquire pairs with the consumer's release in `advance`: it has finished reading the
        // cells that we are about to write.
        self.head_seen = self.shared.header().head.load(Ordering::Acquire);
        (self.shared.capacity - (self.tail - self.head_seen)) as usize
    }

    /// Whether `count` records can be staged now; looks at the consumer's index only if the
    /// last look does not already say yes.
    #[inline]
    pub fn has_room(&mut self, count: usize) -> bool {
        let room = self.shared.capacity - (self.tail - self.head_seen);
        room >= count as u64 || self.free() >= count
    }

    /// Writes a record without telling the consumer yet. False if the ring is full.
    #[inline]
    pub fn stage(&mut self, record: &T) -> bool {
        self.stage_with(|place| *place = *record)
    }

    /// Writes a record where it will lie, without telling the consumer yet. False, and `write`
    /// not called, if the ring is full.
    ///
    /// `write` is given some earlier record, or the filling, and must set every field that
    /// matters. This is the fast way: a record built elsewhere and copied makes the copy's wide
    /// loads wait for the narrow stores before them.
    #[inline]
    pub fn stage_with(&mut self, write: impl FnOnce(&mut T)) -> bool {
        if !self.has_room(1) {
            return false;
        }
        self.shared.cell(self.tail).with_mut(|cell| {
            // SAFETY: `has_room` saw that the consumer is done with this cell, and we are the
            // only producer, so the cell is ours until `publish`; it holds a record.
            write(unsafe { &mut *cell })
        });
        self.tail += 1;
        true
    }

    /// Tells the consumer of everything staged.
    #[inline]
    pub fn publish(&mut self) {
        if self.published != self.tail {
            self.published = self.tail;
            // Release pairs with the consumer's acquire in `available`: it sees the records.
            self.shared.header().tail.store(self.tail, Ordering::Release);
            if let Some(bell) = &self.bell {
                bell.ring();
            }
        }
    }

    /// Writes one record and tells the consumer. False if the ring is full.
    #[inline]
    pub fn push(&mut self, record: &T) -> bool {
        let staged = self.stage(record);
        self.publish();
        staged
    }

    /// Writes as many of the records as fit, tells the consumer once, and says how many.
    #[inline]
    pub fn push_slice(&mut self, records: &[T]) -> usize {
        let staged = records.iter().take_while(|record| self.stage(record)).count();
        self.publish();
        staged
    }

    /// Whether the consumer has taken everything that was published.
    pub fn is_drained(&mut self) -> bool {
        self.free() == self.capacity()
    }
}

/// The reading end of a ring. On cache lines of its own, wherever it is kept.
#[repr(align(128))]
pub struct Consumer<T: Copy> {
    shared: Shared<T>,
    /// Next index to read.
    head: u64,
    /// The producer's index when last looked at.
    tail_seen: u64,
}

// SAFETY: a `Consumer` is the only writer of `head` and the only reader of the cells between
// `head` and `tail`; moving it moves that sole ownership. `T: Send` lets the records cross.
unsafe impl<T: Copy + Send> Send for Consumer<T> {}

impl<T: Copy> Consumer<T> {
    /// Records the ring can hold.
    pub fn capacity(&self) -> usize {
        self.shared.capacity as usize
    }

    /// How many records can be read now, at least; looks at the producer's index only if the
    /// last look says none.
    #[inline]
    pub fn available(&mut self) -> usize {
        if self.head == self.tail_seen {
            // Acquire pairs with the producer's release in `publish`: the records are written.
            self.tail_seen = self.shared.header().tail.load(Ordering::Acquire);
        }
        (self.tail_seen - self.head) as usize
    }

    /// Reads one record, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let mut record = None;
        self.pop_batch(1, |r| record = Some(*r));
        record
    }

    /// Hands up to `most` records to `read`, where they lie, oldest first; gives their cells
    /// back to the producer once at the end. Returns how many there were.
    #[inline]
    pub fn pop_batch(&mut self, most: usize, mut read: impl FnMut(&T)) -> usize {
        self.pop_while(most, |record| {
            read(record);
            true
        })
    }

    /// Shows up to `most` records that stay in the ring, oldest first. Returns how many there were.
    #[inline]
    pub fn peek(&mut self, most: usize, mut see: impl FnMut(&T)) -> usize {
        let count = self.available().min(most);
        for at in 0..count {
            self.shared.cell(self.head + at as u64).with(|cell| {
                // SAFETY: as in `pop_while`.
                see(unsafe { &*cell });
            });
        }
        count
    }

    /// As [`Consumer::pop_batch`], but stops before the first record for which `take` returns
    /// false; that record stays in the ring.
    #[inline]
    pub fn pop_while(&mut self, most: usize, mut take: impl FnMut(&T) -> bool) -> usize {
        let count = self.available().min(most);
        let mut taken = 0;
        while taken < count {
            let wanted = self.shared.cell(self.head + taken as u64).with(|cell| {
                // SAFETY: the index is below `tail_seen`, so the producer published this cell
                // and will not write it again before `head` moves past it.
                take(unsafe { &*cell })
            });
            if !wanted {
                break;
            }
            taken += 1;
        }
        if taken > 0 {
            self.head += taken as u64;
            // Release pairs with the producer's acquire in `free`: we are done reading.
            self.shared.header().head.store(self.head, Ordering::Release);
        }
        taken
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_and_an_empty_one_gives_nothing() {
        let (mut tx, mut rx) = on_heap(4, 0u32);
        assert_eq!(tx.push_slice(&[1, 2, 3, 4, 5]), 4);
        assert!(!tx.push(&6));
        let mut seen = vec![];
        assert_eq!(rx.pop_batch(3, |r| seen.push(*r)), 3);
        assert_eq!(tx.free(), 3);
        assert!(tx.push(&7));
        while rx.pop_batch(usize::MAX, |r| seen.push(*r)) > 0 {}
        assert_eq!(seen, [1, 2, 3, 4, 7]);
        assert_eq!(rx.pop(), None);
        assert!(tx.is_drained());
    }

    #[test]
    fn staged_records_are_invisible_until_published() {
        let (mut tx, mut rx) = on_heap(4, 0u32);
        assert!(tx.stage(&1) && tx.stage(&2));
        assert_eq!(rx.available(), 0);
        tx.publish();
        assert_eq!(rx.available(), 2);
    }

    #[test]
    fn what_was_only_seen_stays_in_the_ring() {
        let (mut tx, mut rx) = on_heap(4, 0u32);
        tx.push_slice(&[1, 2, 3]);
        let mut seen = vec![];
        assert_eq!(rx.peek(2, |r| seen.push(*r)), 2);
        assert_eq!(rx.pop_batch(8, |r| seen.push(*r)), 3);
        assert_eq!(seen, [1, 2, 1, 2, 3]);
    }

    #[test]
    fn a_refused_record_stays_in_the_ring() {
        let (mut tx, mut rx) = on_heap(4, 0u32);
        tx.push_slice(&[1, 2, 3]);
        assert_eq!(rx.pop_while(8, |r| *r < 2), 1);
        assert_eq!(rx.pop(), Some(2));
    }

    #[test]
    fn records_cross_threads_in_order_and_whole() {
        let (mut tx, mut rx) = on_heap(64, [0u64; 8]);
        let writer = std::thread::spawn(move || {
            for n in 0..100_000u64 {
                while !tx.push(&[n; 8]) {
                    std::thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < 100_000 {
            let taken = rx.pop_batch(16, |r| {
                assert_eq!(*r, [next; 8]);
                next += 1;
            });
            if taken == 0 {
                std::thread::yield_now();
            }
        }
        writer.join().unwrap();
    }

    #[test]
    #[should_panic(expected = "power of two")]
    fn a_capacity_that_is_no_power_of_two_is_refused() {
        let _ = on_heap(3, 0u8);
    }
}
