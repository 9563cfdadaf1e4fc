//! The Internet checksum (RFC 1071), eight bytes at a time.

use super::{IPV4_BYTES, IPV6_BYTES, PROTOCOL_TCP, Segment};

/// The one's complement sum of bytes taken as big-endian 16-bit words, folded to 16 bits; an odd
/// last byte counts as the high one. Not yet inverted.
#[inline]
pub fn sum(bytes: &[u8]) -> u16 {
    // The sum of words is the same in either byte order, up to swapping the result.
    let mut total: u64 = 0;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = u64::from_ne_bytes(word.try_into().expect("chunks of eight"));
        let (sum, carry) = total.overflowing_add(word);
        total = sum + u64::from(carry);
    }
    let rest = words.remainder();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let (sum, carry) = total.overflowing_add(u64::from_ne_bytes(last));
    total = sum + u64::from(carry);
    u16::from_be(fold(total))
}

/// Folds the carries back in.
#[inline]
fn fold(total: u64) -> u16 {
    let total = (total >> 32) + (total & 0xffff_ffff);
    let total = (total >> 32) + (total & 0xffff_ffff);
    let total = (total >> 16) + (total & 0xffff);
    let total = (total >> 16) + (total & 0xffff);
    let total = (total >> 16) + (total & 0xffff);
    total as u16
}

/// The sum over a whole IPv4 header: 0xffff if its checksum is right.
#[inline]
pub fn ip_header_sum(header: &[u8]) -> u16 {
    sum(header)
}

/// The sum over what an IP packet carries and its pseudo header (RFC 9293, 3.1; RFC 8200, 8.1): 0xffff
/// if the checksum is right. `addresses` are both of the IP header.
#[inline]
pub fn carried_sum(addresses: &[u8], protocol: u8, bytes: &[u8]) -> u16 {
    let pseudo = u64::from(sum(addresses)) + u64::from(protocol) + bytes.len() as u64;
    fold(pseudo + u64::from(sum(bytes)))
}

/// Writes the checksums of an IP packet, without options or extension headers, that carries a TCP
/// segment.
#[inline]
pub fn complete_tcp(packet: &mut [u8]) {
    let (ip, addresses) = if packet[0] >> 4 == 4 {
        packet[10..12].fill(0);
        let header = !sum(&packet[..IPV4_BYTES]);
        packet[10..12].copy_from_slice(&header.to_be_bytes());
        (IPV4_BYTES, 12..20)
    } else {
        (IPV6_BYTES, 8..40)
    };
    let (ip, tcp) = packet.split_at_mut(ip);
    tcp[16..18].fill(0);
    let segment = !carried_sum(&ip[addresses], PROTOCOL_TCP, tcp);
    tcp[16..18].copy_from_slice(&segment.to_be_bytes());
}

impl Segment {
    /// Whether all checksums of the frame are right; IPv6 has none of its header.
    #[inline]
    pub fn checksums_are_right(&self, frame: &[u8]) -> bool {
        let (ip, tcp) = (&frame[self.ip..self.tcp], &frame[self.tcp..self.end]);
        if self.tuple.is_ipv4() {
            ip_header_sum(ip) == 0xffff && carried_sum(&ip[12..20], PROTOCOL_TCP, tcp) == 0xffff
        } else {
            carried_sum(&ip[8..40], PROTOCOL_TCP, tcp) == 0xffff
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071, section 1, word by word.
    fn slow(bytes: &[u8]) -> u16 {
        let mut total = 0u32;
        for pair in bytes.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            total = (total >> 16) + (total & 0xffff);
        }
        total as u16
    }

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    proptest! {
        #[test]
        fn the_fast_sum_is_the_slow_one(bytes in prop::collection::vec(any::<u8>(), 0..1600)) {
            prop_assert_eq!(sum(&bytes), slow(&bytes));
        }
    }
}
