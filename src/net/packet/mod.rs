//! Frames as TCP over IP over Ethernet sees them: pure views over bytes.
//!
//! [`parse`] finds the headers of one frame and checks all that a later stage relies on;
//! [`mod@write`] lays out segments, [`host`] answers what a kernel would have answered, and [`icmp`]
//! reads what a router says of a connection.
#![forbid(unsafe_code)]

mod checksum;
pub mod host;
pub mod icmp;
mod options;
mod parse;
pub mod udp;
pub mod write;

pub use checksum::{carried_sum, complete_tcp, ip_header_sum, sum};
pub use options::{Blocks, OPTIONS_BYTES_MAX, Options, SCALE_MAX, STAMPS_BYTES, Stamps};
pub use parse::{Dropped, Link, Segment, ip_of_tcp, parse};

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Bytes of an Ethernet header without VLAN tags.
pub const ETHERNET_BYTES: usize = 14;
/// Bytes of an Ethernet header with as many VLAN tags as are understood: two.
pub const LINK_BYTES_MAX: usize = ETHERNET_BYTES + 8;
/// Bytes of an IPv4 header without options.
pub const IPV4_BYTES: usize = 20;
/// Bytes of an IPv6 header without extension headers.
pub const IPV6_BYTES: usize = 40;
/// Bytes of a TCP header without options.
pub const TCP_BYTES: usize = 20;

/// The protocol number of TCP, and the types of what carries it.
pub const PROTOCOL_TCP: u8 = 6;
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Hops that what is sent may take.
pub(crate) const TIME_TO_LIVE: u8 = 64;

/// An address and a port. One of IPv4 is mapped into IPv6 (RFC 4291, 2.5.5.2): both families are one
/// from here on.
pub type End = (Ipv6Addr, u16);

/// The end that a socket address names.
pub fn end_of(address: SocketAddr) -> End {
    (mapped(address.ip()), address.port())
}

/// An address of either family, as an [`End`] has it.
pub fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// The two ends of a connection, the peer's first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Tuple {
    /// The peer.
    pub remote: End,
    /// This side.
    pub local: End,
}

impl Tuple {
    /// Whether its packets are of IPv4.
    #[inline]
    pub fn is_ipv4(&self) -> bool {
        self.local.0.to_ipv4_mapped().is_some()
    }

    /// Bytes of their header.
    #[inline]
    pub fn ip_bytes(&self) -> usize {
        if self.is_ipv4() { IPV4_BYTES } else { IPV6_BYTES }
    }

    /// The peer's socket address, of the family it is of.
    pub fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.remote.0.to_canonical(), self.remote.1)
    }
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
