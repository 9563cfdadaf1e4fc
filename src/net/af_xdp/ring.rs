//! One of the four rings an AF_XDP socket shares with the kernel
//! (Documentation/networking/af_xdp.rst, "Rings"): indices that only grow, and a power of two of
//! entries. The side that writes entries owns the producer index, the other the consumer index.
#![allow(unsafe_code, reason = "memory shared with the kernel")]

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::socket::Mapping;

/// Where the parts of a ring lie in its mapping, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub producer: usize,
    pub consumer: usize,
    pub flags: usize,
    pub entries: usize,
}

/// What both kinds of ring have.
struct Shared<T> {
    mapping: Mapping,
    layout: Layout,
    mask: u32,
    of: PhantomData<T>,
}

impl<T: Copy> Shared<T> {
    fn new(mapping: Mapping, layout: Layout, entries: u32) -> Shared<T> {
        assert!(entries.is_power_of_two(), "the kernel takes powers of two only");
        let end = layout.entries + entries as usize * size_of::<T>();
        assert!(end <= mapping.len(), "the ring lies in its mapping");
        let words = [layout.producer, layout.consumer, layout.flags];
        assert!(words.iter().all(|at| at + 4 <= mapping.len() && at % 4 == 0));
        assert!(layout.entries.is_multiple_of(align_of::<T>()));
        Shared { mapping, layout, mask: entries - 1, of: PhantomData }
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        // SAFETY: `new` checked that the offset is inside the mapping.
        let place = unsafe { self.mapping.base().byte_add(at) };
        // SAFETY: aligned to 4 (checked by `new`), mapped as long as `self`, and accessed by
        // both sides as an atomic.
        unsafe { place.cast::<AtomicU32>().as_ref() }
    }

    #[inline]
    fn producer(&self) -> &AtomicU32 {
        self.word(self.layout.producer)
    }

    #[inline]
    fn consumer(&self) -> &AtomicU32 {
        self.word(self.layout.consumer)
    }

    #[inline]
    fn entry(&self, index: u32) -> NonNull<T> {
        let at = self.layout.entries + (index & self.mask) as usize * size_of::<T>();
        // SAFETY: the masked index is below the number of entries, which `new` found inside the
        // mapping.
        unsafe { self.mapping.base().byte_add(at).cast() }
    }
}

/// A ring this side writes: fill or transmit.
pub(super) struct Writer<T> {
    ring: Shared<T>,
    /// The next entry to write; published up to `published`.
    next: u32,
    published: u32,
    /// The consumer index as last read.
    consumed: u32,
}

impl<T: Copy> Writer<T> {
    pub fn new(mapping: Mapping, layout: Layout, entries: u32) -> Writer<T> {
        Writer { ring: Shared::new(mapping, layout, entries), next: 0, published: 0, consumed: 0 }
    }

    /// Entries that can be written now.
    #[inline]
    pub fn room(&mut self) -> u32 {
        let entries = self.ring.mask + 1;
        if entries == self.next.wrapping_sub(self.consumed) {
            // Acquire: pairs with the kernel's release once it has read an entry, so that it is
            // not written before.
            self.consumed = self.ring.consumer().load(Ordering::Acquire);
        }
        entries - self.next.wrapping_sub(self.consumed)
    }

    /// Writes an entry, if there is room. The kernel does not see it before
    /// [`Writer::publish`].
    #[inline]
    pub fn write(&mut self, entry: T) -> bool {
        if self.room() == 0 {
            return false;
        }
        // SAFETY: the entry is inside the mapping, and between consumer and producer index,
        // where only this side writes and the kernel does not read.
        unsafe { self.ring.entry(self.next).as_ptr().write(entry) };
        self.next = self.next.wrapping_add(1);
        true
    }

    /// Shows the kernel what was written. Returns whether that was anything.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if self.published == self.next {
            return false;
        }
        self.published = self.next;
        // Release: the entries come before the index that shows them.
        self.ring.producer().store(self.next, Ordering::Release);
        true
    }

    /// Entries the kernel has not taken yet.
    #[inline]
    pub fn unread(&mut self) -> u32 {
        self.consumed = self.ring.consumer().load(Ordering::Acquire);
        self.published.wrapping_sub(self.consumed)
    }

    /// Whether the kernel wants a system call to go on (`XDP_RING_NEED_WAKEUP`).
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        let flags = self.ring.word(self.ring.layout.flags).load(Ordering::Relaxed);
        flags & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

/// A ring this side reads: receive or completion.
pub(super) struct Reader<T> {
    ring: Shared<T>,
    next: u32,
    /// The producer index as last read.
    produced: u32,
}

impl<T: Copy> Reader<T> {
    pub fn new(mapping: Mapping, layout: Layout, entries: u32) -> Reader<T> {
        Reader { ring: Shared::new(mapping, layout, entries), next: 0, produced: 0 }
    }

    /// The next entry. Its place is the kernel's again after [`Reader::release`].
    #[inline]
    pub fn read(&mut self) -> Option<T> {
        if self.next == self.produced {
            // Acquire: pairs with the kernel's release behind the entries it wrote.
            self.produced = self.ring.producer().load(Ordering::Acquire);
            if self.next == self.produced {
                return None;
            }
        }
        // SAFETY: the entry is inside the mapping, and between consumer and producer index,
        // where the kernel has written it and does not write again.
        let entry = unsafe { self.ring.entry(self.next).as_ptr().read() };
        self.next = self.next.wrapping_add(1);
        Some(entry)
    }

    /// Gives the places of what was read back to the kernel.
    #[inline]
    pub fn release(&mut self) {
        // Release: the entries were read before their places are free.
        self.ring.consumer().store(self.next, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { producer: 0, consumer: 64, flags: 128, entries: 192 };

    /// Both ends on one piece of memory, as the kernel and a driver have it.
    fn ends(entries: u32) -> (Writer<u64>, Reader<u64>) {
        let mapping = Mapping::anonymous(192 + entries as usize * 8).unwrap();
        let same = mapping.clone();
        (Writer::new(mapping, LAYOUT, entries), Reader::new(same, LAYOUT, entries))
    }

    #[test]
    fn entries_come_out_in_order_once_published_also_round_the_end() {
        let (mut writer, mut reader) = ends(4);
        for round in 0..10u64 {
            for n in 0..4 {
                assert!(writer.write(round * 4 + n));
            }
            assert!(!writer.write(99), "full");
            assert_eq!(reader.read(), None, "not published");
            assert!(writer.publish());
            assert!(!writer.publish(), "nothing new");
            assert_eq!(writer.unread(), 4);
            for n in 0..4 {
                assert_eq!(reader.read(), Some(round * 4 + n));
            }
            assert_eq!(writer.room(), 0, "not released");
            reader.release();
            assert_eq!((writer.room(), writer.unread()), (4, 0));
        }
    }
}
