//! Frames as TCP over IPv4 over Ethernet sees them: pure views over bytes.
//!
//! [`parse`] finds the headers of one frame and checks all that a later stage relies on;
//! [`mod@write`] lays out the few segments that no connection's state machine writes, and [`host`]
//! answers what a kernel would have answered.
#![forbid(unsafe_code)]

mod checksum;
pub mod host;
mod options;
mod parse;
pub mod write;

pub use checksum::{complete_tcp, ip_header_sum, sum, tcp_sum};
pub use options::{Blocks, OPTIONS_BYTES_MAX, Options, SCALE_MAX, STAMPS_BYTES, Stamps};
pub use parse::{Dropped, Link, Segment, link_bytes, parse};

use std::net::Ipv4Addr;

/// Bytes of an Ethernet header without VLAN tags.
pub const ETHERNET_BYTES: usize = 14;
/// Bytes of an Ethernet header with as many VLAN tags as are understood: two.
pub const LINK_BYTES_MAX: usize = ETHERNET_BYTES + 8;
/// Bytes of an IPv4 header without options.
pub const IPV4_BYTES: usize = 20;
/// Bytes of a TCP header without options.
pub const TCP_BYTES: usize = 20;

/// The two ends of a connection, the peer's first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Tuple {
    /// The peer.
    pub remote: (Ipv4Addr, u16),
    /// This side.
    pub local: (Ipv4Addr, u16),
}

/// The control bits of a TCP header (RFC 9293, 3.1).
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 0x10;
}
