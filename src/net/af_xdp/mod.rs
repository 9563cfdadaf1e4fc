//! Frames by AF_XDP: the kernel's driver puts them into memory of ours, before its network stack
//! sees them (Documentation/networking/af_xdp.rst).
//!
//! An XDP program (`steering.rs`) sends the gateway's segments to a socket for each queue; all
//! else stays with the kernel. Frames are seen where the driver left them and written where it
//! takes them from: with zero copy that is the device's own memory access, otherwise the kernel
//! copies once.

mod bpf;
mod error;
mod interface;
mod open;
mod reserve;
mod ring;
mod socket;
pub mod spoil;
mod steering;
#[cfg(test)]
mod tests;
mod umem;

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::frames::{BURST, Capabilities, FrameDriver, STATISTICS};
use ring::{Reader, Writer};
use socket::Socket;
use umem::Umem;

pub use error::AfXdpError;
pub use open::{AfXdpSetup, Mode, ModeWanted, Opened, open};
pub use umem::FrameMemory;

/// Frames the kernel takes from the transmit ring in one call, at most, where it copies
/// (`TX_BATCH_SIZE` in net/xdp/xsk.c).
const KICK_FRAMES: u32 = 32;
/// How long frames that could not be sent wait.
const RETRY_NS: u64 = 1_000_000;
/// Such calls in one flush.
const KICKS_MAX: u32 = 8;

/// One queue of an interface.
pub struct AfXdp {
    receive: Reader<libc::xdp_desc>,
    fill: Writer<u64>,
    transmit: Writer<libc::xdp_desc>,
    completion: Reader<u64>,
    /// Before the memory it was lent, so that it is closed first.
    socket: Socket,
    umem: Umem,
    busy_poll: bool,
    mtu: usize,
    /// When frames that could not be sent are tried again.
    retry_ns: Option<u64>,
    counts: Counts,
    /// Steering ends with the last queue.
    _steering: Arc<open::Steering>,
}

#[derive(Default)]
struct Counts {
    frames_in: u64,
    frames_out: u64,
    transmit_calls: u64,
    receive_calls: u64,
}

impl AfXdp {
    /// Takes back frames that were sent.
    #[inline]
    fn reclaim(&mut self) {
        let mut any = false;
        while let Some(address) = self.completion.read() {
            self.umem.give_back(address);
            any = true;
        }
        if any {
            self.completion.release();
        }
    }
}

impl FrameDriver for AfXdp {
    #[inline]
    fn receive(&mut self, _now_ns: u64, mut each: impl FnMut(&mut [u8])) -> usize {
        let mut count = 0;
        while count < BURST {
            let Some(descriptor) = self.receive.read() else { break };
            each(self.umem.bytes(descriptor.addr, descriptor.len as usize));
            let kept = self.fill.write(self.umem.frame_of(descriptor.addr));
            debug_assert!(kept, "the fill ring has room for every frame twice");
            count += 1;
        }
        if count > 0 {
            self.receive.release();
            self.fill.publish();
            self.counts.frames_in += count as u64;
        } else if self.busy_poll || self.fill.needs_wakeup() {
            self.counts.receive_calls += 1;
            self.socket.kick_receive();
        }
        count
    }

    #[inline]
    fn room(&mut self) -> usize {
        if self.umem.available() < BURST {
            self.reclaim();
        }
        self.umem.available().min(self.transmit.room() as usize)
    }

    #[inline]
    fn transmit<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let address = self.umem.take().expect("there was room");
        let result = fill(self.umem.bytes(address, length));
        let descriptor = libc::xdp_desc { addr: address, len: length as u32, options: 0 };
        let written = self.transmit.write(descriptor);
        assert!(written, "there was room");
        self.counts.frames_out += 1;
        result
    }

    #[inline]
    fn flush(&mut self, now_ns: u64) {
        let retry = self.retry_ns.is_some_and(|at| at <= now_ns);
        if !(self.transmit.publish() || retry) || !self.transmit.needs_wakeup() {
            return;
        }
        for _ in 0..KICKS_MAX {
            self.counts.transmit_calls += 1;
            let sent = self.socket.kick_transmit();
            if sent.is_ok() && self.transmit.unread() < KICK_FRAMES {
                break;
            }
            if self.transmit.unread() == 0 || sent.is_err_and(|e| !is_temporary(&e)) {
                break;
            }
        }
        // A device that is down would otherwise cost a call a turn.
        self.retry_ns = (self.transmit.unread() > 0).then_some(now_ns + RETRY_NS);
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn idle_us(&self) -> u32 {
        // Frames that the device did not take yet are sent again.
        if self.retry_ns.is_some() { (RETRY_NS / 1_000) as u32 } else { u32::MAX }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            mtu: self.mtu,
            verifies_checksums: false,
            fills_checksums: false,
            answers_as: None,
        }
    }

    fn statistics(&mut self) -> [u64; STATISTICS.len()] {
        let kernel = self.socket.statistics();
        [
            self.counts.frames_in,
            self.counts.frames_out,
            kernel.rx_ring_full,
            kernel.rx_fill_ring_empty,
            kernel.rx_dropped,
            kernel.tx_invalid,
            self.counts.transmit_calls,
            self.counts.receive_calls,
        ]
    }
}

/// Whether a call that sends may be tried again at once: EAGAIN says that more is left.
fn is_temporary(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock
}
