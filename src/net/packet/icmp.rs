//! What a router says of a segment that it could not pass on for its length (RFC 1191; RFC 8201).

use super::checksum::{carried_sum, ip_header_sum, sum};
use super::parse::{be16, be32, ipv4, ipv6, packet};
use super::{IPV4_BYTES, IPV6_BYTES, PROTOCOL_TCP, Tuple};

/// Protocol numbers.
pub(super) const PROTOCOL_ICMP: u8 = 1;
pub(super) const PROTOCOL_ICMPV6: u8 = 58;
/// Destination unreachable, fragmentation needed.
const NEEDS_FRAGMENTS: [u8; 2] = [3, 4];
/// Packet too big.
const TOO_BIG: [u8; 2] = [2, 0];
/// Of an ICMP message before what it is about.
const ICMP_BYTES: usize = 8;
/// What it has at least of the segment: ports and sequence number.
const SEGMENT_BYTES: usize = 8;

/// A segment of a connection was too long for some link on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig {
    /// The connection, as this side sees it.
    pub tuple: Tuple,
    /// The segment's sequence number. Who did not see the segment does not know it.
    pub seq: u32,
    /// Bytes of the longest packet that passes; 0 if the router does not say.
    pub mtu: u32,
}

/// Reads what a router says, if the frame has that, whole.
pub fn too_big(frame: &[u8]) -> Option<TooBig> {
    let packet = packet(frame).ok()?;
    let (ip, icmp) = (&frame[packet.ip..packet.carried.start], &frame[packet.carried.clone()]);
    let (head, about) = icmp.split_at_checked(ICMP_BYTES)?;
    let kind = [head[0], head[1]];
    let is_ipv4 = packet.to.to_ipv4_mapped().is_some();
    let (mtu, local, remote, tcp) = if is_ipv4 {
        let sound = ip_header_sum(ip) == 0xffff && sum(icmp) == 0xffff;
        if packet.protocol != PROTOCOL_ICMP || kind != NEEDS_FRAGMENTS || !sound {
            return None;
        }
        let header = about.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
        let (inner, tcp) = about.split_at_checked(header.max(IPV4_BYTES))?;
        // The first of a packet's fragments, of TCP.
        if inner[0] >> 4 != 4 || inner[9] != PROTOCOL_TCP || be16(inner, 6) & 0x1fff != 0 {
            return None;
        }
        (be16(head, 6).into(), ipv4(inner, 12), ipv4(inner, 16), tcp)
    } else {
        let whole = carried_sum(&ip[8..40], PROTOCOL_ICMPV6, icmp);
        if packet.protocol != PROTOCOL_ICMPV6 || kind != TOO_BIG || whole != 0xffff {
            return None;
        }
        let (inner, tcp) = about.split_at_checked(IPV6_BYTES)?;
        if inner[0] >> 4 != 6 || inner[6] != PROTOCOL_TCP {
            return None;
        }
        (be32(head, 4), ipv6(inner, 8), ipv6(inner, 24), tcp)
    };
    // It is told to who sent the segment.
    if packet.to != local || tcp.len() < SEGMENT_BYTES {
        return None;
    }
    let tuple = Tuple { remote: (remote, be16(tcp, 2)), local: (local, be16(tcp, 0)) };
    Some(TooBig { tuple, seq: be32(tcp, 4), mtu })
}
