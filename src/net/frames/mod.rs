//! The seam to whatever moves raw Ethernet frames: AF_XDP fills it, DPDK fills it, and so does
//! anything that wraps another driver.
//!
//! Received frames are seen where the driver put them; frames to send are written where the
//! driver takes them from. Nothing is copied that the driver itself does not copy.

use std::os::fd::BorrowedFd;

pub mod faults;
pub mod pipe;

/// Frames handed over by one call of [`FrameDriver::receive`], at most.
pub const BURST: usize = 64;

/// What a driver can do and how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Bytes of the longest IP packet.
    pub mtu: usize,
    /// Received frames come with their checksums verified.
    pub verifies_checksums: bool,
    /// IPv4 and TCP checksums of sent frames are filled in on the way out.
    pub fills_checksums: bool,
    /// The interface's hardware address, if no kernel beside it answers for its IP addresses:
    /// ARP, ICMP echo, and segments to ports that nobody listens on.
    pub answers_as: Option<[u8; 6]>,
}

/// Moves Ethernet frames. Times are Unix nanoseconds, read once a turn by the caller.
pub trait FrameDriver {
    /// Hands over each frame that came in, [`BURST`] at most, oldest first. A frame goes back
    /// to the driver when `each` returns. Returns how many there were.
    fn receive(&mut self, now_ns: u64, each: impl FnMut(&mut [u8])) -> usize;

    /// Frames that can be sent now.
    fn room(&mut self) -> usize;

    /// Takes a frame of `length` bytes to send, written by `fill` with whatever was in it
    /// before. Only after [`FrameDriver::room`] said that there is one.
    fn transmit<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R;

    /// Sends what was taken.
    fn flush(&mut self, now_ns: u64);

    /// What is readable once a frame came in; nothing if only a look tells.
    fn wakes_by(&self) -> Option<BorrowedFd<'_>>;

    /// For how many microseconds it may be left alone if no frame comes in.
    fn idle_us(&self) -> u32 {
        u32::MAX
    }

    /// What the driver can do.
    fn capabilities(&self) -> Capabilities;

    /// Counts of the driver's own, in the order of [`STATISTICS`].
    fn statistics(&mut self) -> [u64; STATISTICS.len()];
}

/// Bytes of the longest [`Whole`] frame.
pub const WHOLE_BYTES: usize = 2_046;

/// A frame that somebody else wrote, on its way to the driver.
#[derive(Clone, Copy)]
pub struct Whole {
    /// Bytes used.
    pub length: u16,
    /// The frame.
    pub bytes: [u8; WHOLE_BYTES],
}

impl Whole {
    /// What rings are filled with.
    pub const EMPTY: Whole = Whole { length: 0, bytes: [0; WHOLE_BYTES] };

    /// The frame.
    pub fn frame(&self) -> &[u8] {
        &self.bytes[..self.length.into()]
    }
}

/// What drivers count, beside what the stack above them counts.
pub const STATISTICS: [&str; 8] = [
    "frames_in",
    "frames_out",
    "receive_ring_full",
    "fill_ring_empty",
    "receive_dropped",
    "transmit_invalid",
    "transmit_calls",
    "receive_calls",
];
