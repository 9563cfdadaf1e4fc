//! The memory frames live in (UMEM), cut into frames of one size.
#![allow(unsafe_code, reason = "memory shared with the kernel")]

use std::ptr::NonNull;

/// Memory for frames, lent to a driver for as long as it lives.
///
/// # Safety
///
/// From `base` on, `len` bytes are mapped, readable, writable and initialised, start at a
/// multiple of 4096, belong to nobody else, and stay so until the value is dropped.
#[allow(clippy::len_without_is_empty, reason = "memory for no frames is of no use")]
pub unsafe trait FrameMemory: Send {
    /// First byte.
    fn base(&self) -> NonNull<u8>;
    /// Length in bytes.
    fn len(&self) -> usize;
}

pub(super) struct Umem {
    memory: Box<dyn FrameMemory>,
    frame_bytes: u32,
    /// Frames to send that nobody uses, by their offset.
    free: Vec<u64>,
}

impl Umem {
    pub fn new(memory: Box<dyn FrameMemory>, frame_bytes: u32) -> Umem {
        assert!(frame_bytes.is_power_of_two(), "frames are aligned to their size");
        Umem { memory, frame_bytes, free: Vec::new() }
    }

    pub fn memory(&self) -> &dyn FrameMemory {
        &*self.memory
    }

    /// Takes the frames behind the first `received` for sending, and gives the offsets of those.
    pub fn share_out(&mut self, received: u32) -> impl Iterator<Item = u64> + use<> {
        let frame = u64::from(self.frame_bytes);
        let frames = self.memory.len() as u64 / frame;
        self.free = (u64::from(received)..frames).map(|n| n * frame).collect();
        (0..u64::from(received)).map(move |n| n * frame)
    }

    /// Frames that can be taken.
    #[inline]
    pub fn available(&self) -> usize {
        self.free.len()
    }

    /// Takes a frame to send.
    #[inline]
    pub fn take(&mut self) -> Option<u64> {
        self.free.pop()
    }

    /// Gives back a frame that was sent.
    #[inline]
    pub fn give_back(&mut self, offset: u64) {
        self.free.push(self.frame_of(offset));
    }

    /// The offset of the frame that an address lies in.
    #[inline]
    pub fn frame_of(&self, address: u64) -> u64 {
        address & !(u64::from(self.frame_bytes) - 1)
    }

    /// Bytes of one frame. The range has to lie in the memory.
    #[inline]
    pub fn bytes(&mut self, offset: u64, len: usize) -> &mut [u8] {
        let end = offset.checked_add(len as u64);
        assert!(end.is_some_and(|end| end <= self.memory.len() as u64), "inside the UMEM");
        // SAFETY: the offset was just found inside the memory.
        let start = unsafe { self.memory.base().byte_add(offset as usize) };
        // SAFETY: the range lies in memory that is readable, writable and initialised as long as
        // `self` (the promise of `FrameMemory`). A frame is given out here only between the
        // kernel's handing it over (receive and completion rings) and its being handed back
        // (fill and transmit rings), and `&mut self` keeps it to one at a time.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) }
    }
}
