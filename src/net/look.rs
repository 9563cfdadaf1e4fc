//! What a transport can say of a connection, as `ss -ti` does of the kernel's.

use std::net::SocketAddr;

/// The states of RFC 9293, 3.3.2, as linux/tcp_states.h numbers them.
pub const STATES: [&str; 12] = [
    "unknown",
    "established",
    "syn-sent",
    "syn-received",
    "fin-wait-1",
    "fin-wait-2",
    "time-wait",
    "closed",
    "close-wait",
    "last-ack",
    "listen",
    "closing",
];

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The other end.
    pub peer: SocketAddr,
    /// Place in [`STATES`].
    pub state: u8,
    /// Smoothed round-trip time in microseconds; 0 if nothing was measured yet.
    pub rtt_us: u32,
    /// The retransmission time-out, in microseconds.
    pub rto_us: u32,
    /// Bytes that the peer takes.
    pub window_out: u32,
    /// Bytes that may be on their way, by congestion control.
    pub congestion: u32,
    /// Bytes that this side takes.
    pub window_in: u32,
    /// Bytes on their way to the peer.
    pub in_flight: u32,
    /// Bytes that wait to leave.
    pub unsent: u32,
    /// Bytes that the peer has acknowledged.
    pub bytes_out: u64,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// Segments sent again.
    pub again: u32,
    /// Time-outs in a row that have run out, or windows found closed.
    pub timeouts: u32,
}
