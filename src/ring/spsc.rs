//! The ring itself.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use super::bell::Bell;
use super::memory::{Heap, LINE_BYTES, Memory, fetch_lines};
use super::sync::{Arc, AtomicU64, Ordering, UnsafeCell};

/// Records above this are not fetched at once: too many lines for one glance.
const WIDE_BYTES: usize = 4 * LINE_BYTES;

/// What the consumer says, on a line of its own. Indices count records since the ring was made and
/// never wrap: at a billion records a second a u64 lasts 584 years.
#[repr(C)]
struct Header {
    /// Records consumed. Stored by the consumer (release), loaded by the producer (acquire).
    head: CachePadded<AtomicU64>,
}

/// A record's place.
#[repr(C)]
struct Slot<T> {
    /// It always holds a whole record: the filling, or whatever was last written.
    record: UnsafeCell<T>,
    /// What was published with this record: the index behind the last of its batch, if it is the
    /// first. Stored by the producer (release), loaded by the consumer (acquire).
    tail: AtomicU64,
}

/// What both ends hold: the memory, kept alive, and where things lie in it.
struct Shared<T> {
    header: NonNull<Header>,
    slots: NonNull<Slot<T>>,
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
    fn slot(&self, index: u64) -> &Slot<T> {
        let offset = (index & (self.capacity - 1)) as usize * stride::<T>();
        // SAFETY: `in_memory` laid out `capacity` slots, a stride apart.
        let slot = unsafe { self.slots.byte_add(offset) };
        // SAFETY: the slot was initialised by `in_memory` and lives as long as `_memory`.
        unsafe { slot.as_ref() }
    }
}

/// Bytes from one slot to the next: no slot shares a cache line with part of another.
const fn stride<T>() -> usize {
    let bytes = size_of::<Slot<T>>();
    if bytes <= LINE_BYTES { bytes.next_power_of_two() } else { bytes.next_multiple_of(LINE_BYTES) }
}

/// Bytes of memory that a ring of `capacity` records of type `T` takes.
pub const fn bytes_for<T>(capacity: usize) -> usize {
    size_of::<Header>() + capacity * stride::<T>()
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
    assert!(stride::<T>().is_multiple_of(align_of::<Slot<T>>()), "a ring's records fit its lines");
    let base = memory.base();
    assert!(base.as_ptr().addr().is_multiple_of(128), "a ring's memory is aligned to 128");

    let header = base.cast::<Header>();
    // SAFETY: `base` is aligned and long enough, both asserted; nobody else uses it yet.
    unsafe { header.write(Header { head: CachePadded::new(AtomicU64::new(0)) }) };
    // SAFETY: the header lies inside the memory, whose length was asserted.
    let slots = unsafe { base.byte_add(size_of::<Header>()) }.cast::<Slot<T>>();
    for at in 0..capacity {
        // SAFETY: `capacity` slots lie behind the header inside the memory, a stride apart.
        let slot = unsafe { slots.byte_add(at * stride::<T>()) };
        let empty = Slot { record: UnsafeCell::new(filling), tail: AtomicU64::new(0) };
        // SAFETY: as above, aligned as was asserted, and nobody else uses the memory yet.
        unsafe { slot.write(empty) };
    }
    let shared = Shared {
        header,
        slots,
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

// SAFETY: a `Producer` is the only writer of the slots between `head` and its `tail`;
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
        // slots that we are about to write.
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
        self.shared.slot(self.tail).record.with_mut(|record| {
            // SAFETY: `has_room` saw that the consumer is done with this slot, and we are the
            // only producer, so the record is ours until `publish`; the place holds one.
            write(unsafe { &mut *record })
        });
        self.tail += 1;
        true
    }

    /// Tells the consumer of everything staged.
    #[inline]
    pub fn publish(&mut self) {
        if self.published != self.tail {
            let first = self.shared.slot(self.published);
            self.published = self.tail;
            // Release pairs with the consumer's acquire in `available`: it sees the records.
            first.tail.store(self.tail, Ordering::Release);
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

// SAFETY: a `Consumer` is the only writer of `head` and the only reader of the slots between
// `head` and `tail_seen`; moving it moves that sole ownership. `T: Send` lets the records cross.
unsafe impl<T: Copy + Send> Send for Consumer<T> {}

impl<T: Copy> Consumer<T> {
    /// Records the ring can hold.
    pub fn capacity(&self) -> usize {
        self.shared.capacity as usize
    }

    /// How many records can be read now, at least: all of those seen before, or else the next batch.
    #[inline]
    pub fn available(&mut self) -> usize {
        self.available_of(1)
    }

    /// Whether so many can be read now, as far as is known without looking again.
    #[inline]
    pub fn has(&mut self, count: usize) -> bool {
        self.available_of(count) >= count
    }

    /// How many there are; batches that follow are looked for as long as there are fewer than `most`
    /// records.
    #[inline]
    fn available_of(&mut self, most: usize) -> usize {
        if self.head == self.tail_seen {
            self.follow(most as u64);
        }
        (self.tail_seen - self.head) as usize
    }

    /// Goes on from batch to batch, up to one that is not there yet.
    #[inline]
    fn follow(&mut self, most: u64) {
        while self.tail_seen - self.head < most {
            let slot = self.shared.slot(self.tail_seen);
            if size_of::<Slot<T>>() <= WIDE_BYTES {
                // All of a record's lines come at once, not one after the other.
                fetch_lines(&slot.record, &slot.tail);
            }
            // Here begins a batch, or will. Acquire pairs with the producer's release in `publish`:
            // the records are written. What an earlier batch left here ends at this index at the
            // latest, since it began a whole ring before and was no longer than that.
            let tail = slot.tail.load(Ordering::Acquire);
            if tail <= self.tail_seen {
                break;
            }
            self.tail_seen = tail;
        }
    }

    /// Reads one record, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let mut record = None;
        self.pop_batch(1, |r| record = Some(*r));
        record
    }

    /// Hands up to `most` records to `read`, where they lie, oldest first; gives their slots
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
        let count = self.available_of(most).min(most);
        for at in 0..count {
            self.shared.slot(self.head + at as u64).record.with(|record| {
                // SAFETY: as in `pop_while`.
                see(unsafe { &*record });
            });
        }
        count
    }

    /// As [`Consumer::pop_batch`], but stops before the first record for which `take` returns
    /// false; that record stays in the ring.
    #[inline]
    pub fn pop_while(&mut self, most: usize, mut take: impl FnMut(&T) -> bool) -> usize {
        let count = self.available_of(most).min(most);
        let mut taken = 0;
        while taken < count {
            let wanted = self.shared.slot(self.head + taken as u64).record.with(|record| {
                // SAFETY: the index is below `tail_seen`, so the producer published this record
                // and will not write it again before `head` moves past it.
                take(unsafe { &*record })
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
    use std::collections::VecDeque;

    use proptest::prelude::*;

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
    fn batches_that_follow_each_other_are_read_together() {
        let (mut tx, mut rx) = on_heap(8, 0u32);
        (0..5).for_each(|n| assert!(tx.push(&n)));
        assert_eq!(rx.available(), 1, "at least");
        assert_eq!(rx.pop(), Some(0));
        assert!(rx.has(4) && !rx.has(5));
        assert_eq!(rx.pop_batch(8, |_| ()), 4);
    }

    /// What a ring is asked to do.
    #[derive(Clone, Debug)]
    enum Step {
        Stage(usize),
        Publish,
        Pop(usize),
        Peek(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1usize..6).prop_map(Step::Stage),
            Just(Step::Publish),
            (1usize..6).prop_map(Step::Pop),
            (1usize..6).prop_map(Step::Peek),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        /// Batches of any length, read in any portions, many times round: a queue.
        #[test]
        fn the_ring_is_a_queue(steps in steps(), log in 0u32..4) {
            let capacity = 1 << log;
            let (mut tx, mut rx) = on_heap(capacity, 0u64);
            let (mut next, mut staged, mut published) = (0u64, 0, VecDeque::new());
            for step in steps {
                match step {
                    Step::Stage(count) => {
                        for _ in 0..count {
                            let fits = published.len() + staged < capacity;
                            prop_assert_eq!(tx.stage(&next), fits);
                            if fits {
                                staged += 1;
                                next += 1;
                            }
                        }
                    }
                    Step::Publish => {
                        tx.publish();
                        published.extend(next - staged as u64..next);
                        staged = 0;
                    }
                    Step::Pop(most) => {
                        let mut got = vec![];
                        let count = rx.pop_batch(most, |record| got.push(*record));
                        prop_assert_eq!(count > 0, !published.is_empty());
                        prop_assert!(count <= most);
                        prop_assert_eq!(got, published.drain(..count).collect::<Vec<_>>());
                    }
                    Step::Peek(most) => {
                        let mut seen = vec![];
                        rx.peek(most, |record| seen.push(*record));
                        prop_assert!(published.iter().zip(&seen).all(|(a, b)| a == b));
                        prop_assert!(seen.len() <= published.len());
                    }
                }
                prop_assert_eq!(tx.is_drained(), published.len() + staged == 0);
            }
        }
    }

    #[test]
    #[should_panic(expected = "power of two")]
    fn a_capacity_that_is_no_power_of_two_is_refused() {
        let _ = on_heap(3, 0u8);
    }
}
