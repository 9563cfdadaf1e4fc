//! One writer, any number of readers, and the writer waits for none of them.
//!
//! Every record has a word of its own beside it, which says for which index it was written and whether it
//! is whole. A reader copies a record and looks at the word again: if it is the same, so was the record.
//! One that was overtaken learns how many records it missed, and goes on half a ring behind the newest.
//! The writer never looks at anything that a reader writes, because there is nothing.
//!
//! ```
//! use millrace::ring::broadcast;
//! let (mut tx, mut rx) = broadcast::on_heap::<u64>(4);
//! let mut late = rx.clone();
//! tx.push(&7);
//! assert_eq!(rx.pop(), Ok(Some(7)));
//! (8..20).for_each(|n| tx.push(&n));
//! assert_eq!(late.pop(), Err(broadcast::Lost::Missed { records: 11 }));
//! assert_eq!(late.pop(), Ok(Some(18)));
//! ```

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::memory::{Heap, INDEX_MAX, Keeper, Memory, stride_bytes};
use super::record::{Claimed, Record};
use super::sync::{AtomicU64, Ordering, fence};

/// Bytes of a word in a record's place.
const WORD_BYTES: usize = size_of::<u64>();

/// Words that a record takes.
const fn words<R>() -> usize {
    size_of::<R>().div_ceil(WORD_BYTES)
}

/// Bytes from one place to the next: the record's words, then what is said of it.
const fn stride<R>() -> usize {
    stride_bytes((words::<R>() + 1) * size_of::<AtomicU64>())
}

/// What stands beside a record while it is written, and then when it is whole. What an earlier record
/// left there is less, what a later one did is more. (Wrapping for the sake of an index that another process
/// made up; a true one never comes so far.)
const fn being_written(index: u64) -> u64 {
    index.wrapping_mul(2).wrapping_add(1)
}

const fn whole(index: u64) -> u64 {
    index.wrapping_mul(2).wrapping_add(2)
}

/// Where the ring's parts lie, and what keeps them there.
pub(super) struct Shared<R> {
    /// Records told of so far: stored by the writer behind each. In a line of its own.
    pub told: NonNull<AtomicU64>,
    /// `capacity` places of words, a stride apart.
    pub places: NonNull<u8>,
    /// A power of two, at least 2.
    pub capacity: u64,
    /// What the parts live as long as.
    pub memory: Keeper,
    pub records: PhantomData<R>,
}

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Shared { memory: self.memory.clone(), ..*self }
    }
}

impl<R: Record> Shared<R> {
    #[inline(always)]
    fn told(&self) -> &AtomicU64 {
        // SAFETY: the ring's word, alive as long as `memory`, and only used as an atomic.
        unsafe { self.told.as_ref() }
    }

    /// A record's words, and the one that tells of it.
    #[inline(always)]
    fn place(&self, index: u64) -> (&[AtomicU64], &AtomicU64) {
        let offset = (index & (self.capacity - 1)) as usize * stride::<R>();
        // SAFETY: `capacity` places were laid out, a stride apart.
        let place = unsafe { self.places.byte_add(offset) };
        let place = NonNull::slice_from_raw_parts(place.cast(), words::<R>() + 1);
        // SAFETY: so many words, aligned, that live as long as `memory` and are only used as atomics.
        let place: &[AtomicU64] = unsafe { place.as_ref() };
        let (word, record) = place.split_last().expect("a record's word stands behind it");
        (record, word)
    }

    /// The index behind the last whole record, starting from one that was told.
    fn newest(&self) -> u64 {
        let mut newest = self.told().load(Ordering::Acquire);
        while self.place(newest).1.load(Ordering::Acquire) == whole(newest) {
            newest += 1;
        }
        newest
    }
}

/// Bytes of memory that a broadcast ring of `capacity` records takes.
pub const fn bytes_for<R>(capacity: usize) -> usize {
    size_of::<CachePadded<AtomicU64>>() + capacity * stride::<R>()
}

/// A broadcast ring of `capacity` records (a power of two, at least 2) on the heap.
pub fn on_heap<R: Record>(capacity: usize) -> (Publisher<R>, Subscriber<R>) {
    in_memory(capacity, Heap::new(bytes_for::<R>(capacity)))
}

/// A broadcast ring of `capacity` records (a power of two, at least 2) in the given memory, which must
/// hold [`bytes_for`] it. More subscribers are clones of the one.
pub fn in_memory<R: Record>(capacity: usize, memory: impl Memory) -> (Publisher<R>, Subscriber<R>) {
    assert!(
        capacity.is_power_of_two() && capacity >= 2,
        "a broadcast ring's capacity is a power of two from 2 on, not {capacity}"
    );
    assert!(memory.len() >= bytes_for::<R>(capacity), "a ring of {capacity} needs more memory");
    let base = memory.base();
    assert!(base.as_ptr().addr().is_multiple_of(128), "a ring's memory is aligned to 128");
    let told = base.cast::<CachePadded<AtomicU64>>();
    // SAFETY: `base` is aligned and long enough, both asserted; nobody else uses it yet.
    unsafe { told.write(CachePadded::new(AtomicU64::new(0))) };
    // SAFETY: inside the memory, whose length was asserted.
    let places = unsafe { base.byte_add(size_of::<CachePadded<AtomicU64>>()) };
    for at in 0..capacity {
        // SAFETY: `capacity` places lie there inside the memory, a stride apart.
        let place = unsafe { places.byte_add(at * stride::<R>()) }.cast::<AtomicU64>();
        for word in 0..=words::<R>() {
            // SAFETY: so many words lie in a place.
            let word = unsafe { place.add(word) };
            // SAFETY: aligned, and nobody else uses the memory yet.
            unsafe { word.write(AtomicU64::new(0)) };
        }
    }
    let (capacity, memory) = (capacity as u64, Arc::new(memory));
    let shared = Shared { told: told.cast(), places, capacity, memory, records: PhantomData };
    let subscriber = Subscriber { shared: shared.clone(), next: 0 };
    (Publisher { shared, next: 0 }, subscriber)
}

/// The writing end. On cache lines of its own, wherever it is kept.
#[repr(align(128))]
pub struct Publisher<R> {
    shared: Shared<R>,
    /// Index of the next record.
    next: u64,
}

// SAFETY: a `Publisher` is the only writer; moving it moves that sole ownership.
unsafe impl<R: Record> Send for Publisher<R> {}

impl<R: Record> Publisher<R> {
    /// The writing end of a ring whose writer is gone: goes on behind its last whole record. `None` if what
    /// that one says that it wrote cannot be.
    pub(super) fn follow_on(shared: Shared<R>) -> Option<Publisher<R>> {
        let next = shared.newest();
        if next > INDEX_MAX {
            return None;
        }
        shared.told().store(next, Ordering::Release);
        Some(Publisher { shared, next })
    }

    /// Records the ring holds.
    pub fn capacity(&self) -> usize {
        self.shared.capacity as usize
    }

    /// Index of the next record: how many there were since the ring was made.
    pub fn index(&self) -> u64 {
        self.next
    }

    /// The record written last, if there is one.
    pub fn last(&self) -> Option<R> {
        let last = Subscriber { shared: self.shared.clone(), next: self.next.checked_sub(1)? };
        last.read().ok()?.and_then(|claimed| claimed.get().copied())
    }

    /// A reading end in this process, which begins with what is written from now on.
    pub fn subscriber(&self) -> Subscriber<R> {
        Subscriber { shared: self.shared.clone(), next: self.next }
    }

    /// Writes a record over the oldest.
    #[inline]
    pub fn push(&mut self, record: &R) {
        let (place, word) = self.shared.place(self.next);
        word.store(being_written(self.next), Ordering::Release);
        // Pairs with the fence in `read`: who sees a word of this record sees that it is being written.
        fence(Ordering::Release);
        let (whole_words, rest) = record.as_bytes().as_chunks::<WORD_BYTES>();
        for (to, from) in place.iter().zip(whole_words) {
            to.store(u64::from_ne_bytes(*from), Ordering::Relaxed);
        }
        if let ([.., to], false) = (place, rest.is_empty()) {
            let mut last = [0; WORD_BYTES];
            last[..rest.len()].copy_from_slice(rest);
            to.store(u64::from_ne_bytes(last), Ordering::Relaxed);
        }
        // Pairs with the acquire in `read`: who sees it sees the record.
        word.store(whole(self.next), Ordering::Release);
        self.next += 1;
        // For who comes, or was overtaken: never ahead of what stands beside the records.
        self.shared.told().store(self.next, Ordering::Release);
    }
}

/// Why a subscriber has not got a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Lost {
    /// The writer was a whole ring ahead; the next record read is that many further on.
    #[error("{records} records were overwritten before they were read")]
    Missed {
        /// How many.
        records: u64,
    },
    /// What lies there is no record of the kind; the next one read is behind it. Only where the writer is
    /// another program.
    #[error("what lies at {index} is no such record")]
    Damaged {
        /// Which one.
        index: u64,
    },
}

/// Where a subscriber begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// What is written from now on.
    Newest,
    /// The oldest record that is still there.
    Oldest,
    /// The record of an index: where another subscriber left off.
    Index(u64),
}

/// A reading end. On cache lines of its own, wherever it is kept.
#[derive(Clone)]
#[repr(align(128))]
pub struct Subscriber<R> {
    shared: Shared<R>,
    /// Index of the next record.
    next: u64,
}

// SAFETY: a `Subscriber` writes nothing that another looks at.
unsafe impl<R: Record> Send for Subscriber<R> {}

impl<R: Record> Subscriber<R> {
    /// A reading end of a ring that may be in use; `None` if it has not come so far.
    pub(super) fn tune_in(shared: Shared<R>, from: From) -> Option<Subscriber<R>> {
        let newest = shared.newest();
        let next = match from {
            From::Newest => newest,
            From::Oldest => newest.saturating_sub(shared.capacity),
            From::Index(index) => index,
        };
        (next <= newest && newest <= INDEX_MAX).then_some(Subscriber { shared, next })
    }

    /// Records the ring holds.
    pub fn capacity(&self) -> usize {
        self.shared.capacity as usize
    }

    /// Index of the next record: how many there were before it since the ring was made.
    pub fn index(&self) -> u64 {
        self.next
    }

    /// Goes to an index. One that is not written yet has no record so far, one that was written over is
    /// lost.
    pub fn go_to(&mut self, index: u64) {
        self.next = index.min(INDEX_MAX);
    }

    /// Reads one record, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<R>, Lost> {
        let mut record = None;
        self.pop_batch(1, |r| record = Some(*r))?;
        Ok(record)
    }

    /// Hands copies of up to `most` records to `read`, oldest first. Returns how many there were; what was
    /// lost is said before anything behind it is read.
    #[inline]
    pub fn pop_batch(&mut self, most: usize, mut read: impl FnMut(&R)) -> Result<usize, Lost> {
        for taken in 0..most {
            match self.read() {
                Ok(Some(claimed)) => match claimed.get() {
                    Some(record) => read(record),
                    // The next call says so.
                    None if taken > 0 => return Ok(taken),
                    None => {
                        self.next += 1;
                        return Err(Lost::Damaged { index: self.next - 1 });
                    }
                },
                Ok(None) => return Ok(taken),
                Err(Overtaken) if taken > 0 => return Ok(taken),
                Err(Overtaken) => return Err(self.catch_up()),
            }
            self.next += 1;
        }
        Ok(most)
    }

    /// A copy of the next record, as it was when it was whole.
    #[inline(always)]
    fn read(&self) -> Result<Option<Claimed<R>>, Overtaken> {
        let (place, word) = self.shared.place(self.next);
        // Acquire pairs with the writer's release behind the record.
        let before = word.load(Ordering::Acquire);
        if before != whole(self.next) {
            return if before < whole(self.next) { Ok(None) } else { Err(Overtaken) };
        }
        let mut copy = MaybeUninit::<R>::uninit();
        let bytes = copy.as_mut_ptr().cast::<u8>();
        for (at, from) in place.iter().enumerate() {
            let word = from.load(Ordering::Relaxed).to_ne_bytes();
            let count = (size_of::<R>() - at * WORD_BYTES).min(WORD_BYTES);
            // SAFETY: the record has that many bytes from there on.
            let to = unsafe { bytes.add(at * WORD_BYTES) };
            // SAFETY: as above; a word has at least as many, and they are different memory.
            unsafe { std::ptr::copy_nonoverlapping(word.as_ptr(), to, count) };
        }
        // Pairs with the writer's fence: who copied a word of a later record sees that one's mark.
        fence(Ordering::Acquire);
        let after = word.load(Ordering::Relaxed);
        if after == before { Ok(Some(Claimed::of(copy))) } else { Err(Overtaken) }
    }

    /// Goes where there is half a ring before being overtaken again.
    #[cold]
    fn catch_up(&mut self) -> Lost {
        // The mark that showed it is behind the writer's tale of what came before; acquire sees both.
        let told = self.shared.told().load(Ordering::Acquire);
        let next = told.saturating_sub(self.shared.capacity / 2).max(self.next.saturating_add(1));
        let records = next - self.next;
        self.next = next;
        Lost::Missed { records }
    }
}

/// The record was written over.
struct Overtaken;

#[cfg(all(test, not(loom)))]
mod tests;
