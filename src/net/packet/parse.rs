//! Finding the TCP segment in a frame.

use std::net::Ipv4Addr;

use super::{ETHERNET_BYTES, IPV4_BYTES, LINK_BYTES_MAX, TCP_BYTES, Tuple, flags};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPES_VLAN: [u16; 2] = [0x8100, 0x88a8];
const PROTOCOL_TCP: u8 = 6;

/// Why a frame was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// Not IPv4, or not TCP.
    Foreign,
    /// Shorter than its headers say, or headers that contradict each other.
    Malformed,
    /// A fragment (RFC 791, 3.2): segments of a connection never need to be fragmented.
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
    /// Offset of the IPv4 header, which is also the length of the link header.
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

/// Where the IPv4 packet of a frame begins, if it has one.
#[inline]
pub fn link_bytes(frame: &[u8]) -> Option<usize> {
    let (at, ethertype) = network(frame).ok()?;
    (ethertype == ETHERTYPE_IPV4 && frame.len() >= at + IPV4_BYTES).then_some(at)
}

/// Finds the TCP segment of a frame: Ethernet with up to two VLAN tags, IPv4 with or without
/// options, TCP with or without options. Checksums are not looked at.
#[inline]
pub fn parse(frame: &[u8]) -> Result<Segment, Dropped> {
    let (ip, ethertype) = network(frame)?;
    if ethertype != ETHERTYPE_IPV4 {
        return Err(Dropped::Foreign);
    }
    if frame.len() < ip + IPV4_BYTES {
        return Err(Dropped::Malformed);
    }
    let (version, header) = (frame[ip] >> 4, usize::from(frame[ip] & 0x0f) * 4);
    let total = usize::from(be16(frame, ip + 2));
    let (tcp, end) = (ip + header, ip + total);
    if version != 4 || header < IPV4_BYTES || total < header || end > frame.len() {
        return Err(Dropped::Malformed);
    }
    if frame[ip + 9] != PROTOCOL_TCP {
        return Err(Dropped::Foreign);
    }
    // More Fragments, or an offset.
    if be16(frame, ip + 6) & 0x3fff != 0 {
        return Err(Dropped::Fragment);
    }
    if end < tcp + TCP_BYTES {
        return Err(Dropped::Malformed);
    }
    let payload = tcp + usize::from(frame[tcp + 12] >> 4) * 4;
    if payload < tcp + TCP_BYTES || payload > end {
        return Err(Dropped::Malformed);
    }
    let address = |at: usize| Ipv4Addr::from(be32(frame, at));
    Ok(Segment {
        ip,
        tcp,
        payload,
        end,
        tuple: Tuple {
            remote: (address(ip + 12), be16(frame, tcp)),
            local: (address(ip + 16), be16(frame, tcp + 2)),
        },
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
            remote: (Ipv4Addr::new(10, 9, 0, 2), 40_000),
            local: (Ipv4Addr::new(10, 9, 0, 1), 7001),
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
