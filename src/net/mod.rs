//! Transports: byte streams in, byte streams out.
//!
//! A [`Transport`] moves bytes between connections and the [`Handler`] above it. Received bytes
//! are handed over where they lie, in order; what the handler leaves comes again with more
//! behind it. Kernel sockets ([`kernel::KernelTransport`]) are one transport; TCP over raw frames
//! ([`tcp::TcpTransport`]) is the other, over any driver that moves frames
//! ([`frames::FrameDriver`]).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

pub mod af_xdp;
#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod frames;
pub mod kernel;
mod look;
pub mod packet;
pub mod tcp;

pub use look::{Look, STATES};

/// A connection. The generation tells it from an earlier one with the same index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ConnId {
    /// Index below [`Transport::connections_max`].
    pub index: u32,
    /// How often the index was used before.
    pub generation: u32,
}

impl ConnId {
    /// No connection.
    pub const NONE: ConnId = ConnId { index: u32::MAX, generation: 0 };
}

/// The handler cannot go on with a connection: it is closed after the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Close;

/// What a transport tells.
pub trait Handler {
    /// A peer connected from an address to a port (its place among those listened to).
    fn opened(&mut self, conn: ConnId, port: usize, peer: IpAddr);

    /// Bytes came in; `bytes` begins with what was left the last time. Returns how many are
    /// done with.
    fn received(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close>;

    /// How many bytes of a connection are wanted now. Those that are not stay with the transport, and
    /// by and by with the peer; where none are, it is asked again in later polls.
    fn appetite(&mut self, _conn: ConnId) -> usize {
        usize::MAX
    }

    /// All places are taken and somebody new is there: a connection that may be closed instead, which
    /// the handler is told like any that is lost.
    fn make_room(&mut self) -> Option<ConnId> {
        None
    }

    /// A connection that took less than it was given can take more now.
    fn writable(&mut self, conn: ConnId);

    /// The connection is gone. Also told after a [`Close`], but not after [`Transport::close`].
    fn closed(&mut self, conn: ConnId);
}

/// Bytes a handler may leave unconsumed on a connection; more closes it.
pub const UNCONSUMED_MAX: usize = 4096;

/// Pieces that [`Transport::send_pieces`] takes.
pub const PIECES: usize = 4;

/// Moves bytes. Nothing here blocks: who has nothing to do waits by [`Transport::wakes_by`].
pub trait Transport {
    /// Takes in what there is, up to about `budget` bytes, and tells the handler. `now_ns` is
    /// Unix time. Returns how much was done.
    fn poll(&mut self, handler: &mut impl Handler, budget: usize, now_ns: u64) -> usize;

    /// Sends what it can of `bytes`, in order. Returns how many were taken; fewer than given
    /// means to wait for [`Handler::writable`]. Fails if the connection is gone, which the
    /// handler is told in the next poll.
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close>;

    /// The same with bytes that lie in several places, in one piece where that is less work.
    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]; PIECES]) -> Result<usize, Close> {
        let mut all = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let sent = match self.send(conn, piece) {
                // Of a connection that is gone by now the handler is told anyway.
                Err(Close) if all > 0 => 0,
                sent => sent?,
            };
            all += sent;
            if sent < piece.len() {
                break;
            }
        }
        Ok(all)
    }

    /// Lets go of what was sent and may still wait for company: the end of a turn.
    fn flush(&mut self, _now_ns: u64) {}

    /// Takes a whole frame to be sent as it is, where frames are what it sends: false if there is no room
    /// for now. Elsewhere it goes nowhere.
    fn frame(&mut self, _frame: &[u8]) -> bool {
        true
    }

    /// Closes a connection; what was sent before still arrives if it can.
    fn close(&mut self, conn: ConnId);

    /// Asks for a connection to an address, where that can be done. Once it is there it is [`Handler::writable`], and
    /// [`Handler::closed`] if it does not come to be.
    fn connect(&mut self, _to: SocketAddr) -> Option<ConnId> {
        None
    }

    /// What is readable once something came in; nothing if only a look tells.
    fn wakes_by(&self) -> Option<BorrowedFd<'_>>;

    /// For how many microseconds it may be left alone if nothing comes in.
    fn idle_us(&mut self) -> u32;

    /// Connections there can be at once.
    fn connections_max(&self) -> usize;

    /// Connections closed by this side whose end is still under way, which further polls bring
    /// on.
    fn closing(&mut self) -> usize {
        0
    }

    /// What can be said of a connection, if anything can. May ask the kernel.
    fn look(&mut self, _conn: ConnId) -> Option<Look> {
        None
    }

    /// What was counted since the start.
    fn counts(&mut self) -> Counts;
}

/// Values of [`COUNTERS`].
pub type Counts = [u64; COUNTERS.len()];

/// What TCP over frames counts; kernel sockets count the first only.
pub(crate) const STACK_COUNTERS: [&str; 19] = [
    "refused",
    "frames_foreign",
    "frames_malformed",
    "frames_fragments",
    "frames_bad_checksum",
    "syns",
    "admitted",
    "segments_unknown",
    "resets_in",
    "resets_ignored",
    "resets_out",
    "replies_lost",
    "segments_again",
    "probes",
    "segments_needless",
    "timeouts",
    "windows_closed",
    "challenges",
    "segments_too_long",
];

/// What transports count: the stack's, then the driver's.
pub const COUNTERS: [&str; STACK_COUNTERS.len() + frames::STATISTICS.len()] = {
    let mut all = [""; STACK_COUNTERS.len() + frames::STATISTICS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < STACK_COUNTERS.len() {
            STACK_COUNTERS[at]
        } else {
            frames::STATISTICS[at - STACK_COUNTERS.len()]
        };
        at += 1;
    }
    all
};
