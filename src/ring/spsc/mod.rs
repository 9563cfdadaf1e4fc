//! The ring itself.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::bell::Bell;
use super::memory::{Heap, INDEX_MAX, Keeper, LINE_BYTES, Memory, fetch_lines, stride_bytes};
use super::record::{Claimed, Record};
use super::sync::{AtomicU64, Ordering, UnsafeCell};

/// Records above this are not fetched at once: too many lines for one glance.
const WIDE_BYTES: usize = 4 * LINE_BYTES;

/// What either end says, on a line of its own: indices of records.
#[repr(C)]
struct Header {
    /// Records consumed. Stored by the consumer (release), loaded by the producer (acquire).
    head: CachePadded<AtomicU64>,
    /// Records published. Stored by the producer (release) behind what stands beside the records;
    /// loaded by nobody but who takes an end over, or looks on.
    told: CachePadded<AtomicU64>,
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

/// What both ends hold: where the ring's parts lie, and what keeps them there.
pub(super) struct Shared<T> {
    /// [`Header::head`], wherever it is.
    pub head: NonNull<AtomicU64>,
    /// [`Header::told`], wherever it is.
    pub told: NonNull<AtomicU64>,
    /// `capacity` slots, a [`stride`] apart, each with a record in it.
    pub slots: NonNull<u8>,
    /// A power of two.
    pub capacity: u64,
    /// What the parts live as long as.
    pub memory: Keeper,
    pub records: PhantomData<T>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared { memory: self.memory.clone(), ..*self }
    }
}

impl<T: Copy> Shared<T> {
    #[inline(always)]
    fn head(&self) -> &AtomicU64 {
        // SAFETY: the ring's word, alive as long as `memory`, and only used as an atomic.
        unsafe { self.head.as_ref() }
    }

    #[inline(always)]
    fn told(&self) -> &AtomicU64 {
        // SAFETY: the ring's word, alive as long as `memory`, and only used as an atomic.
        unsafe { self.told.as_ref() }
    }

    #[inline(always)]
    fn slot(&self, index: u64) -> &Slot<T> {
        let offset = (index & (self.capacity - 1)) as usize * stride::<T>();
        // SAFETY: `capacity` slots were laid out, a stride apart.
        let slot = unsafe { self.slots.byte_add(offset) };
        // SAFETY: a slot, aligned for one, that lives as long as `memory`.
        unsafe { slot.cast::<Slot<T>>().as_ref() }
    }

    /// The index behind the last record that was published, starting from one at which a batch ends.
    fn newest(&self, mut tail: u64) -> u64 {
        while let Some(end) = self.batch_end(tail) {
            tail = end;
        }
        tail
    }

    /// Where the batch ends that begins at an index, if it was published.
    #[inline(always)]
    fn batch_end(&self, first: u64) -> Option<u64> {
        // Acquire pairs with the producer's release in `publish`: the records are written. What an
        // earlier batch left here ends at this index at the latest, since it began a whole ring
        // before and was no longer than that. Nothing that is true ends further away than a ring.
        let end = self.slot(first).tail.load(Ordering::Acquire);
        (end.wrapping_sub(first).wrapping_sub(1) < self.capacity).then_some(end)
    }
}

/// Bytes from one slot to the next.
pub(super) const fn stride<T>() -> usize {
    stride_bytes(size_of::<Slot<T>>())
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

    let zero = || CachePadded::new(AtomicU64::new(0));
    // SAFETY: `base` is aligned and long enough, both asserted; nobody else uses it yet.
    unsafe { base.cast::<Header>().write(Header { head: zero(), told: zero() }) };
    // SAFETY: the header lies inside the memory, whose length was asserted.
    let slots = unsafe { base.byte_add(size_of::<Header>()) };
    for at in 0..capacity {
        // SAFETY: `capacity` slots lie behind the header inside the memory, a stride apart.
        let slot = unsafe { slots.byte_add(at * stride::<T>()) };
        let empty = Slot { record: UnsafeCell::new(filling), tail: AtomicU64::new(0) };
        // SAFETY: as above, aligned as was asserted, and nobody else uses the memory yet.
        unsafe { slot.cast::<Slot<T>>().write(empty) };
    }
    // SAFETY: made just now.
    let shared = unsafe { shared_in(capacity, memory) };
    (Producer::new(shared.clone(), 0, 0), Consumer::new(shared, 0, 0))
}

/// The reading end of a ring that a process now gone made by [`in_memory`] in what is this memory now. `None` if what it
/// says it read cannot be.
pub(super) fn attach<R: Record>(
    capacity: usize,
    memory: impl Memory,
) -> Option<Consumer<Claimed<R>>> {
    assert!(memory.len() >= bytes_for::<R>(capacity), "a ring of {capacity} needs more memory");
    // SAFETY: the memory is long enough, and every pattern of bytes is an index and a claim.
    Consumer::follow_on(unsafe { shared_in(capacity, memory) }, false)
}

/// What both ends of a ring hold.
///
/// # Safety
///
/// A header and so many slots lie at the memory's beginning.
unsafe fn shared_in<T: Copy + Send + 'static>(capacity: usize, memory: impl Memory) -> Shared<T> {
    let base = memory.base();
    // SAFETY: the caller's promise; alive as long as the memory.
    let Header { head, told } = unsafe { base.cast::<Header>().as_ref() };
    let (head, told) = (NonNull::from(&**head), NonNull::from(&**told));
    // SAFETY: the header lies inside the memory.
    let slots = unsafe { base.byte_add(size_of::<Header>()) };
    let (capacity, memory) = (capacity as u64, Arc::new(memory));
    Shared { head, told, slots, capacity, memory, records: PhantomData }
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
    bell: Option<Arc<Bell>>,
}

// SAFETY: a `Producer` is the only writer of the slots between `head` and its `tail`;
// moving it to another thread moves that sole ownership. `T: Send` lets the records cross.
unsafe impl<T: Copy + Send> Send for Producer<T> {}

impl<T: Copy> Producer<T> {
    fn new(shared: Shared<T>, tail: u64, head: u64) -> Producer<T> {
        Producer { shared, tail, published: tail, head_seen: head, bell: None }
    }

    /// The writing end of a ring whose producer is gone: goes on behind what that one published. What it
    /// had only staged was never there. `None` if what it says that it published cannot be.
    pub(super) fn follow_on(shared: Shared<T>) -> Option<Producer<T>> {
        let told = shared.told().load(Ordering::Acquire);
        let tail = shared.newest(told);
        if tail > INDEX_MAX {
            return None;
        }
        shared.told().store(tail, Ordering::Release);
        // Full, until the consumer says something that can be.
        let head = tail.saturating_sub(shared.capacity);
        let mut producer = Producer::new(shared, tail, head);
        producer.free();
        Some(producer)
    }

    /// Another producer in this one's place, as if its process had died: for the model checks.
    #[cfg(loom)]
    pub fn replaced(self) -> Producer<T> {
        Producer::follow_on(self.shared).expect("what both ends say is true")
    }

    /// Index of the next record to be staged: how many there were since the ring was made.
    #[inline]
    pub fn index(&self) -> u64 {
        self.tail
    }

    /// The record published last, which stays where it is until it is written over; `None` if there is
    /// none, or something was staged since.
    pub fn last(&self) -> Option<T> {
        let there = self.tail == self.published && self.tail > 0;
        there.then(|| {
            self.shared.slot(self.tail - 1).record.with(|record| {
                // SAFETY: a place holds a record, and we are the only one who writes it.
                unsafe { *record }
            })
        })
    }

    /// Records the ring can hold.
    pub fn capacity(&self) -> usize {
        self.shared.capacity as usize
    }

    /// Has a bell rung whenever something is published.
    pub fn set_bell(&mut self, bell: &Arc<Bell>) {
        self.bell = Some(bell.clone());
    }

    /// How many records can be staged now; looks at the consumer's index.
    #[inline]
    pub fn free(&mut self) -> usize {
        // Acquire pairs with the consumer's release in `advance`: it has finished reading the
        // slots that we are about to write.
        let head = self.shared.head().load(Ordering::Acquire);
        // Another process may say anything: that it has read what was never told, or gone back.
        if (self.head_seen..=self.published).contains(&head) {
            self.head_seen = head;
        }
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
            // Release pairs with the consumer's acquire in `batch_end`: it sees the records.
            first.tail.store(self.tail, Ordering::Release);
            // Never ahead of what stands beside the records.
            self.shared.told().store(self.tail, Ordering::Release);
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
    fn new(shared: Shared<T>, head: u64, tail_seen: u64) -> Consumer<T> {
        Consumer { shared, head, tail_seen }
    }

    /// The reading end of a ring whose consumer is gone: goes on behind what that one gave back, or at
    /// the newest record. `None` if what it says it read cannot be.
    pub(super) fn follow_on(shared: Shared<T>, newest: bool) -> Option<Consumer<T>> {
        loop {
            // What the producer told ends a batch; it lags behind what it published by a moment.
            let told = shared.told().load(Ordering::Acquire);
            let tail = shared.newest(told);
            let head = if newest { tail } else { shared.head().load(Ordering::Acquire) };
            let there = head <= tail && tail - head <= shared.capacity && tail <= INDEX_MAX;
            if there {
                shared.head().store(head, Ordering::Release);
                return Some(Consumer::new(shared, head, tail));
            }
            if shared.told().load(Ordering::Acquire) == told {
                return None;
            }
        }
    }

    /// Another consumer in this one's place, as if its process had died: for the model checks.
    #[cfg(loom)]
    pub fn replaced(self) -> Consumer<T> {
        Consumer::follow_on(self.shared, false).expect("what both ends say is true")
    }

    /// Index of the next record to be read: how many there were before it since the ring was made.
    #[inline]
    pub fn index(&self) -> u64 {
        self.head
    }

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

    /// The same, looking again where fewer are known.
    pub fn has_by_now(&mut self, count: usize) -> bool {
        self.follow(count as u64);
        (self.tail_seen - self.head) as usize >= count
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
            // Here begins a batch, or will.
            let Some(tail) = self.shared.batch_end(self.tail_seen) else { break };
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
            self.shared.head().store(self.head, Ordering::Release);
        }
        taken
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
