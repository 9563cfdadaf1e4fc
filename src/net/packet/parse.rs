//! Finding the TCP segment in a frame.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{
    ETHERNET_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV4_BYTES, IPV6_BYTES, LINK_BYTES_MAX,
    PROTOCOL_TCP, TCP_BYTES, Tuple, flags,
};

const ETHERTYPES_VLAN: [u16; 2] = [0x8100, 0x88a8];
/// The extension header of IPv6 fragments (RFC 8200, 4.5).
const IPV6_FRAGMENT: u8 = 44;

/// Why a frame was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// Not IP, or not TCP, or TCP behind extension headers of IPv6.
    Foreign,
    /// Shorter than its headers say, or headers that contradict each other.
    Malformed,
    /// A fragment (RFC 791, 3.2; RFC 8200, 4.5): segments of a connection never need to be fragmented.
    Fragment,
    /// A checksum is wrong.
    Checksum,
}

/// A link header as answers need it: addresses swapped, VLAN tags kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    bytes: [u8; LINK_BYTES_MAX],
    len: u8,
}

impl Link {
    /// No header yet.
    pub const EMPTY: Link = Link { bytes: [0; LINK_BYTES_MAX], len: ETHERNET_BYTES as u8 };

    /// The header that answers a frame.
    #[inline]
    pub fn answering(header: &[u8]) -> Link {
        let mut link = Link { len: header.len() as u8, ..Link::EMPTY };
        link.bytes[..header.len()].copy_from_slice(header);
        link.bytes[..6].copy_from_slice(&header[6..12]);
        link.bytes[6..12].copy_from_slice(&header[..6]);
        link
    }

    /// The header.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Where the parts of a TCP segment lie in its frame, and what its header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Offset of the IP header, which is also the length of the link header.
    pub ip: usize,
    /// Offset of the TCP header.
    pub tcp: usize,
    /// Offset of the payload.
    pub payload: usize,
    /// Offset behind the payload. A frame may be longer: Ethernet pads short ones.
    pub end: usize,
    /// Both ends.
    pub tuple: Tuple,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number; counts only with the ACK flag.
    pub ack: u32,
    /// Control bits, see [`flags`].
    pub flags: u8,
    /// Window, as it stands in the header: not scaled.
    pub window: u16,
}

impl Segment {
    /// Whether every bit of `flag` is set.
    #[inline]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag == flag
    }

    /// Sequence numbers the segment takes: its payload, and one each for SYN and FIN.
    #[inline]
    pub fn len(&self) -> u32 {
        let controls = u32::from(self.has(flags::SYN)) + u32::from(self.has(flags::FIN));
        (self.end - self.payload) as u32 + controls
    }

    /// Whether the segment takes no sequence number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[inline]
pub(super) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Where the network layer's packet begins, behind up to two VLAN tags, and its EtherType.
#[inline]
pub(super) fn network(frame: &[u8]) -> Result<(usize, u16), Dropped> {
    if frame.len() < ETHERNET_BYTES {
        return Err(Dropped::Malformed);
    }
    let mut at = ETHERNET_BYTES;
    while ETHERTYPES_VLAN.contains(&be16(frame, at - 2)) {
        at += 4;
        if at > LINK_BYTES_MAX {
            return Err(Dropped::Foreign);
        }
        if frame.len() < at {
            return Err(Dropped::Malformed);
        }
    }
    Ok((at, be16(frame, at - 2)))
}

/// An IP packet in a frame.
pub(super) struct Packet {
    /// Offset of its header.
    pub ip: usize,
    /// Of what it carries, and of what follows that: a frame may be longer.
    pub carried: Range<usize>,
    /// What that is: a protocol number.
    pub protocol: u8,
    /// Where it came from.
    pub from: Ipv6Addr,
    /// And went to.
    pub to: Ipv6Addr,
}

#[inline]
pub(super) fn ipv4(bytes: &[u8], at: usize) -> Ipv6Addr {
    Ipv4Addr::from(be32(bytes, at)).to_ipv6_mapped()
}

#[inline]
pub(super) fn ipv6(bytes: &[u8], at: usize) -> Ipv6Addr {
    Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[at..at + 16]).expect("sixteen bytes"))
}

/// Finds the IP packet of a frame: with up to two VLAN tags, of IPv4 with or without options, of IPv6
/// without extension headers.
#[inline]
pub(super) fn packet(frame: &[u8]) -> Result<Packet, Dropped> {
    match network(frame)? {
        (ip, ETHERTYPE_IPV4) => packet_of_ipv4(frame, ip),
        (ip, ETHERTYPE_IPV6) => packet_of_ipv6(frame, ip),
        _ => Err(Dropped::Foreign),
    }
}

#[inline]
fn packet_of_ipv4(frame: &[u8], ip: usize) -> Result<Packet, Dropped> {
    if frame.len() < ip + IPV4_BYTES {
        return Err(Dropped::Malformed);
    }
    let (version, header) = (frame[ip] >> 4, usize::from(frame[ip] & 0x0f) * 4);
    let total = usize::from(be16(frame, ip + 2));
    if version != 4 || header < IPV4_BYTES || total < header || ip + total > frame.len() {
        return Err(Dropped::Malformed);
    }
    // More Fragments, or an offset.
    if be16(frame, ip + 6) & 0x3fff != 0 {
        return Err(Dropped::Fragment);
    }
    let (carried, protocol) = (ip + header..ip + total, frame[ip + 9]);
    Ok(Packet { ip, carried, protocol, from: ipv4(frame, ip + 12), to: ipv4(frame, ip + 16) })
}

#[inline]
fn packet_of_ipv6(frame: &[u8], ip: usize) -> Result<Packet, Dropped> {
    let carried = ip + IPV6_BYTES;
    if frame.len() < carried {
        return Err(Dropped::Malformed);
    }
    let end = carried + usize::from(be16(frame, ip + 4));
    let (from, to) = (ipv6(frame, ip + 8), ipv6(frame, ip + 24));
    // What is mapped is of the other family, and never on a wire (RFC 4291, 2.5.5.2).
    let mapped = from.to_ipv4_mapped().is_some() || to.to_ipv4_mapped().is_some();
    if frame[ip] >> 4 != 6 || end > frame.len() || mapped {
        return Err(Dropped::Malformed);
    }
    match frame[ip + 6] {
        IPV6_FRAGMENT => Err(Dropped::Fragment),
        protocol => Ok(Packet { ip, carried: carried..end, protocol, from, to }),
    }
}

/// The IP and TCP headers of a segment that was written here, as devices want to know them: where the
/// first begins, how long it is, and whether it is of IPv4.
#[inline]
pub fn ip_of_tcp(frame: &[u8]) -> Option<(usize, usize, bool)> {
    match network(frame).ok()? {
        (at, ETHERTYPE_IPV4) if frame.get(at + 9) == Some(&PROTOCOL_TCP) => {
            Some((at, usize::from(frame[at] & 0x0f) * 4, true))
        }
        (at, ETHERTYPE_IPV6) if frame.get(at + 6) == Some(&PROTOCOL_TCP) => {
            Some((at, IPV6_BYTES, false))
        }
        _ => None,
    }
}

/// Finds the TCP segment of a frame: Ethernet with up to two VLAN tags, IPv4 with or without
/// options or IPv6 without extension headers, TCP with or without options. Checksums are not looked at.
#[inline]
pub fn parse(frame: &[u8]) -> Result<Segment, Dropped> {
    let Packet { ip, carried, protocol, from, to } = packet(frame)?;
    if protocol != PROTOCOL_TCP {
        return Err(Dropped::Foreign);
    }
    let (tcp, end) = (carried.start, carried.end);
    if end < tcp + TCP_BYTES {
        return Err(Dropped::Malformed);
    }
    let payload = tcp + usize::from(frame[tcp + 12] >> 4) * 4;
    if payload < tcp + TCP_BYTES || payload > end {
        return Err(Dropped::Malformed);
    }
    Ok(Segment {
        ip,
        tcp,
        payload,
        end,
        tuple: Tuple { remote: (from, be16(frame, tcp)), local: (to, be16(frame, tcp + 2)) },
        seq: be32(frame, tcp + 4),
        ack: be32(frame, tcp + 8),
        flags: frame[tcp + 13],
        window: be16(frame, tcp + 14),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::super::write::{Bare, bare};
    use super::*;
    use proptest::prelude::*;

    fn syn() -> Vec<u8> {
        let tuple = Tuple {
            remote: (Ipv4Addr::new(10, 9, 0, 2).to_ipv6_mapped(), 40_000),
            local: (Ipv4Addr::new(10, 9, 0, 1).to_ipv6_mapped(), 7001),
        };
        let segment = Bare {
            tuple,
            seq: 7,
            ack: 9,
            flags: flags::SYN,
            window: 500,
            options: Options::of_mss(1460),
        };
        let mut frame = vec![0; 128];
        let length = bare(&Link::EMPTY, &segment, &mut frame);
        frame.truncate(length);
        frame[12..14].copy_from_slice(&[8, 0]);
        frame
    }

    #[test]
    fn a_written_segment_is_read_back() {
        let frame = syn();
        let segment = parse(&frame).unwrap();
        assert_eq!((segment.seq, segment.ack, segment.flags), (7, 9, flags::SYN));
        // Written from this side: the ends are swapped.
        assert_eq!(segment.tuple.remote.1, 7001);
        assert_eq!(segment.options(&frame).mss, Some(1460));
        assert!(segment.checksums_are_right(&frame));
        assert_eq!(segment.len(), 1);
    }

    #[test]
    fn vlan_tags_and_ip_options_shift_the_segment_and_change_nothing_else() {
        let mut frame = syn();
        // A no-operation option of four bytes.
        frame[14] = 0x46;
        let total = be16(&frame, 16) + 4;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
        frame.splice(34..34, [1, 1, 1, 0]);
        frame.splice(12..12, [0x88, 0xa8, 0, 5, 0x81, 0x00, 0, 6]);
        let segment = parse(&frame).unwrap();
        assert_eq!((segment.ip, segment.tcp), (22, 46));
        assert_eq!(segment.options(&frame).mss, Some(1460));
        let link = Link::answering(&frame[..segment.ip]);
        assert_eq!(link.bytes()[12..], frame[12..22]);
        frame.splice(12..12, [0x81, 0x00, 0, 7]);
        assert_eq!(parse(&frame), Err(Dropped::Foreign), "three tags are one too many");
    }

    #[test]
    fn fragments_are_told_from_the_rest() {
        let mut frame = syn();
        frame[20] = 0x20;
        assert_eq!(parse(&frame), Err(Dropped::Fragment), "more fragments");
        frame[20..22].copy_from_slice(&[0, 1]);
        assert_eq!(parse(&frame), Err(Dropped::Fragment), "an offset");
        frame[20..22].copy_from_slice(&[0x40, 0]);
        assert!(parse(&frame).is_ok(), "do not fragment");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_dropped(
            mut frame in prop::collection::vec(any::<u8>(), 0..200),
            ip in any::<bool>(),
        ) {
            if ip && frame.len() > 24 {
                frame[12..15].copy_from_slice(&[8, 0, 0x45]);
                frame[20..22].fill(0);
                frame[23] = 6;
            }
            if let Ok(segment) = parse(&frame) {
                let _ = segment.options(&frame);
                let _ = segment.checksums_are_right(&frame);
                prop_assert!(segment.end <= frame.len() && segment.payload <= segment.end);
            }
        }

        #[test]
        fn a_single_flipped_bit_of_the_packet_is_noticed(bit in 0usize..44 * 8) {
            let mut frame = syn();
            frame[14 + bit / 8] ^= 1 << (bit % 8);
            let noticed = match parse(&frame) {
                Ok(segment) => !segment.checksums_are_right(&frame),
                Err(_) => true,
            };
            prop_assert!(noticed);
        }
    }
}
