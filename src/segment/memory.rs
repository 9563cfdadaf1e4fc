//! Rings in regions: hugepages where there are any.
#![allow(unsafe_code, reason = "promises about a region's memory")]

use std::ptr::NonNull;
use std::sync::Arc;

use crate::book::{Heard, Listener, listen};
use crate::net::af_xdp::FrameMemory;
use crate::order::Command;
use crate::ring::{Bell, Consumer, Memory, Producer, bytes_for, in_memory};
use crate::runtime::{Backing, Region};

struct RingRegion(Region);

// SAFETY: a region is its own mapping, aligned to 4096 and alive as long as it; nothing but the
// ring is given its address.
unsafe impl Memory for RingRegion {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Memory for frames in a region of its own.
struct FrameRegion(Region);

// SAFETY: a region is its own mapping, zeroed, aligned to 4096 and alive as long as it; nothing
// but the driver is given its address.
unsafe impl FrameMemory for FrameRegion {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Memory for the frames of a driver: hugepages where there are any.
pub fn frame_memory(bytes: usize) -> Box<dyn FrameMemory> {
    Box::new(FrameRegion(Region::new(bytes)))
}

/// A ring in a region of its own, and what the region is made of.
pub(super) fn ring<T: Copy + Send + 'static>(
    capacity: usize,
    filling: T,
) -> (Producer<T>, Consumer<T>, Backing) {
    let region = Region::new(bytes_for::<T>(capacity));
    let backing = region.backing();
    let (producer, consumer) = in_memory(capacity, filling, RingRegion(region));
    (producer, consumer, backing)
}

/// A listener's rings, one from each of so many books.
pub(super) fn listening(
    books: usize,
    capacity: usize,
    bell: &Arc<Bell>,
) -> (Vec<Listener>, Vec<Heard>) {
    let of_book = |_| {
        let (mut commands, heard, _) = ring(capacity, Command::EMPTY);
        commands.set_bell(bell);
        listen(commands, heard)
    };
    (0..books).map(of_book).unzip()
}

/// Memory for a ring, in a region of its own.
pub(super) fn region(bytes: usize) -> impl Memory {
    RingRegion(Region::new(bytes))
}
