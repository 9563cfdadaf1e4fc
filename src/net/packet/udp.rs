//! UDP datagrams to a multicast group over IPv4, as whole frames: whom they are for needs nobody to be asked.

use std::net::SocketAddrV4;

use super::{ETHERNET_BYTES, ETHERTYPE_IPV4, IPV4_BYTES, carried_sum, ip_header_sum};

/// Bytes of a UDP header (RFC 768).
const UDP_BYTES: usize = 8;
/// The protocol number of UDP.
const PROTOCOL_UDP: u8 = 17;
/// Where a datagram's payload begins in its frame.
pub const PAYLOAD_AT: usize = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES;

/// The headers of all datagrams of one line.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    head: [u8; PAYLOAD_AT],
}

impl Group {
    /// From an interface's addresses to a group and port; `hops` is how many networks get it.
    pub fn new(mac: [u8; 6], from: SocketAddrV4, to: SocketAddrV4, hops: u8) -> Group {
        let mut head = [0; PAYLOAD_AT];
        let [_, b, c, d] = to.ip().octets();
        // RFC 1112, 6.4: the lower 23 bits of the group.
        head[..6].copy_from_slice(&[0x01, 0x00, 0x5e, b & 0x7f, c, d]);
        head[6..12].copy_from_slice(&mac);
        head[12..14].copy_from_slice(&ETHERTYPE_IPV4.to_be_bytes());
        let ip = &mut head[ETHERNET_BYTES..];
        ip[0] = 0x45;
        // Never to be fragmented (RFC 6864).
        ip[4..10].copy_from_slice(&[0, 0, 0x40, 0, hops, PROTOCOL_UDP]);
        ip[12..16].copy_from_slice(&from.ip().octets());
        ip[16..20].copy_from_slice(&to.ip().octets());
        ip[20..22].copy_from_slice(&from.port().to_be_bytes());
        ip[22..24].copy_from_slice(&to.port().to_be_bytes());
        Group { head }
    }

    /// Writes the frame that carries a payload; its length. There has to be room for it.
    #[inline]
    pub fn write(&self, payload: &[u8], frame: &mut [u8]) -> usize {
        let length = PAYLOAD_AT + payload.len();
        let frame = &mut frame[..length];
        let (head, body) = frame.split_at_mut(PAYLOAD_AT);
        head.copy_from_slice(&self.head);
        body.copy_from_slice(payload);
        let packet = &mut frame[ETHERNET_BYTES..];
        let ip_length = packet.len() as u16;
        packet[2..4].copy_from_slice(&ip_length.to_be_bytes());
        let udp_length = ip_length - IPV4_BYTES as u16;
        packet[24..26].copy_from_slice(&udp_length.to_be_bytes());
        let header = !ip_header_sum(&packet[..IPV4_BYTES]);
        packet[10..12].copy_from_slice(&header.to_be_bytes());
        let (ip, udp) = packet.split_at_mut(IPV4_BYTES);
        let sum = match !carried_sum(&ip[12..20], PROTOCOL_UDP, udp) {
            // Nothing would stand for no checksum at all.
            0 => 0xffff,
            sum => sum,
        };
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_lengths_and_checksums_that_fit() {
        let (from, to) = ("10.9.0.1:26400", "239.192.7.1:26400");
        let mac = [2, 0, 0, 0, 0, 1];
        let group = Group::new(mac, from.parse().unwrap(), to.parse().unwrap(), 1);
        let mut frame = [0xAA; 128];
        for payload in [&b""[..], b"x", b"twenty bytes of words"] {
            let length = group.write(payload, &mut frame);
            let ip = &frame[ETHERNET_BYTES..length];
            assert_eq!(frame[..6], [0x01, 0x00, 0x5e, 0x40, 0x07, 0x01]);
            assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
            assert_eq!(ip_header_sum(&ip[..IPV4_BYTES]), 0xffff);
            assert_eq!(carried_sum(&ip[12..20], PROTOCOL_UDP, &ip[IPV4_BYTES..]), 0xffff);
            assert_eq!(&frame[PAYLOAD_AT..length], payload);
        }
    }
}
