//! What a host answers beside its connections, where no kernel does it: who has an address (ARP,
//! RFC 826; neighbour discovery, RFC 4861), and whether it is there (ICMP echo, RFC 792 and 4443).

use std::net::Ipv6Addr;

use super::checksum::{carried_sum, ip_header_sum, sum};
use super::icmp::{PROTOCOL_ICMP, PROTOCOL_ICMPV6};
use super::parse::{Packet, ipv4, ipv6, network, packet};
use super::{IPV6_BYTES, TIME_TO_LIVE};

const ETHERTYPE_ARP: u16 = 0x0806;
const ARP_BYTES: usize = 28;
/// Ethernet, IPv4, addresses of 6 and 4 bytes, a request.
const ARP_REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
/// Types and codes of ICMP.
const ECHO_REQUEST: [u8; 2] = [8, 0];
const ECHO_REPLY: u8 = 0;
/// And of ICMPv6.
const ECHO_REQUEST_6: [u8; 2] = [128, 0];
const ECHO_REPLY_6: u8 = 129;
const SOLICITATION: [u8; 2] = [135, 0];
const ADVERTISEMENT: u8 = 136;
/// A solicitation or advertisement without options, and the option with a link's address.
const NEIGHBOUR_BYTES: usize = 24;
const LINK_OPTION_BYTES: usize = 8;
/// Hops of what was not forwarded by any router (RFC 4861, 7.1).
const NEVER_FORWARDED: u8 = 255;
/// Who hears what is for all (RFC 4291, 2.7.1), and the link's address of that (RFC 2464, 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// Turns a request to one of `ours` into its answer, where it lies. Returns the answer's length.
pub fn answer(frame: &mut [u8], mac: [u8; 6], ours: impl Fn(Ipv6Addr) -> bool) -> Option<usize> {
    let length = match network(frame).ok()? {
        (at, ETHERTYPE_ARP) => answer_arp(frame, at, mac, ours)?,
        _ => {
            let packet = packet(frame).ok()?;
            match packet.protocol {
                PROTOCOL_ICMP if packet.to.to_ipv4_mapped().is_some() => {
                    answer_echo(frame, &packet, mac, ours)?
                }
                PROTOCOL_ICMPV6 if packet.to.to_ipv4_mapped().is_none() => {
                    answer_icmpv6(frame, &packet, mac, ours)?
                }
                _ => return None,
            }
        }
    };
    frame[6..12].copy_from_slice(&mac);
    Some(length)
}

/// The frame goes back to where it came from.
fn turn_back(frame: &mut [u8]) {
    frame.copy_within(6..12, 0);
}

fn answer_arp(
    frame: &mut [u8],
    at: usize,
    mac: [u8; 6],
    ours: impl Fn(Ipv6Addr) -> bool,
) -> Option<usize> {
    let arp = frame.get_mut(at..at + ARP_BYTES)?;
    if arp[..8] != ARP_REQUEST || !ours(ipv4(arp, 24)) {
        return None;
    }
    // Sender and target, hardware and protocol address each, change places.
    arp[7] = 2;
    let asked: [u8; 4] = arp[24..28].try_into().expect("four bytes");
    arp.copy_within(8..18, 18);
    arp[8..14].copy_from_slice(&mac);
    arp[14..18].copy_from_slice(&asked);
    turn_back(frame);
    Some(at + ARP_BYTES)
}

fn answer_echo(
    frame: &mut [u8],
    packet: &Packet,
    mac: [u8; 6],
    ours: impl Fn(Ipv6Addr) -> bool,
) -> Option<usize> {
    if frame[..6] != mac || packet.carried.len() < 8 || !ours(packet.to) {
        return None;
    }
    let (head, icmp) =
        frame[packet.ip..packet.carried.end].split_at_mut(packet.carried.start - packet.ip);
    if icmp[..2] != ECHO_REQUEST || ip_header_sum(head) != 0xffff || sum(icmp) != 0xffff {
        return None;
    }
    let (from, to) = head[12..20].split_at_mut(4);
    from.swap_with_slice(to);
    head[8] = TIME_TO_LIVE;
    head[10..12].fill(0);
    let right = !ip_header_sum(head);
    head[10..12].copy_from_slice(&right.to_be_bytes());
    icmp[0] = ECHO_REPLY;
    icmp[2..4].fill(0);
    let right = !sum(icmp);
    icmp[2..4].copy_from_slice(&right.to_be_bytes());
    turn_back(frame);
    Some(packet.carried.end)
}

fn answer_icmpv6(
    frame: &mut [u8],
    packet: &Packet,
    mac: [u8; 6],
    ours: impl Fn(Ipv6Addr) -> bool,
) -> Option<usize> {
    let (ip, carried) = (packet.ip, packet.carried.clone());
    let whole =
        carried_sum(&frame[ip + 8..carried.start], PROTOCOL_ICMPV6, &frame[carried.clone()]);
    if carried.len() < 8 || whole != 0xffff {
        return None;
    }
    let kind = [frame[carried.start], frame[carried.start + 1]];
    let end = match kind {
        ECHO_REQUEST_6 if frame[..6] == mac && ours(packet.to) => {
            frame[carried.start] = ECHO_REPLY_6;
            let (from, to) = frame[ip + 8..carried.start].split_at_mut(16);
            from.swap_with_slice(to);
            frame[ip + 7] = TIME_TO_LIVE;
            turn_back(frame);
            carried.end
        }
        SOLICITATION if carried.len() >= NEIGHBOUR_BYTES => {
            let target = ipv6(frame, carried.start + 8);
            if frame[ip + 7] != NEVER_FORWARDED || !ours(target) {
                return None;
            }
            advertise(frame, packet, mac, target)
        }
        _ => return None,
    };
    frame[carried.start + 2..carried.start + 4].fill(0);
    let right =
        !carried_sum(&frame[ip + 8..carried.start], PROTOCOL_ICMPV6, &frame[carried.start..end]);
    frame[carried.start + 2..carried.start + 4].copy_from_slice(&right.to_be_bytes());
    Some(end)
}

/// Turns a solicitation into the advertisement that answers it (RFC 4861, 7.2.4), but for the checksum.
/// Returns its end.
fn advertise(frame: &mut [u8], packet: &Packet, mac: [u8; 6], target: Ipv6Addr) -> usize {
    let (ip, at) = (packet.ip, packet.carried.start);
    // Who asks for itself whether somebody has the address has none yet: all hear the answer.
    let nobody = packet.from.is_unspecified();
    let to = if nobody { ALL_NODES } else { packet.from };
    if nobody {
        frame[..6].copy_from_slice(&ALL_NODES_MAC);
    } else {
        turn_back(frame);
    }
    let end = at + NEIGHBOUR_BYTES;
    // It knows the link's address that answers, where the option does not fit.
    let option = frame.get_mut(end..end + LINK_OPTION_BYTES);
    let end = if let Some(option) = option {
        option.copy_from_slice(&[2, 1, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]]);
        end + LINK_OPTION_BYTES
    } else {
        end
    };
    frame[ip + 4..ip + 6].copy_from_slice(&((end - ip - IPV6_BYTES) as u16).to_be_bytes());
    frame[ip + 7] = NEVER_FORWARDED;
    frame[ip + 8..ip + 24].copy_from_slice(&target.octets());
    frame[ip + 24..ip + 40].copy_from_slice(&to.octets());
    // Solicited, unless nobody did; to override what was known before.
    let flags = if nobody { 0x20 } else { 0x60 };
    frame[at..at + 8].copy_from_slice(&[ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
    end
}

#[cfg(test)]
mod tests {
    use super::super::mapped;
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn ours(address: Ipv6Addr) -> bool {
        ["fd09::1", "10.9.0.1"].iter().any(|one| mapped(one.parse().unwrap()) == address)
    }

    fn ip6(text: &str) -> [u8; 16] {
        text.parse::<Ipv6Addr>().unwrap().octets()
    }

    /// An ICMPv6 message between two addresses, from a host that the frame names.
    fn icmpv6(mac: [u8; 6], from: &str, to: &str, hops: u8, message: &[u8]) -> Vec<u8> {
        let mut frame = [&mac[..], &ASKER, &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
        frame.extend((message.len() as u16).to_be_bytes());
        frame.extend([PROTOCOL_ICMPV6, hops]);
        frame.extend([ip6(from), ip6(to)].concat());
        frame.extend(message);
        let right = !carried_sum(&frame[22..54], PROTOCOL_ICMPV6, &frame[54..]);
        frame[56..58].copy_from_slice(&right.to_be_bytes());
        frame
    }

    fn solicitation(from: &str, target: &str, option: bool) -> Vec<u8> {
        let mut message = [&[135, 0, 0, 0, 0, 0, 0, 0], &ip6(target)[..]].concat();
        if option {
            message.extend([1, 1, 2, 0, 0, 0, 0, 2]);
        }
        icmpv6([0x33, 0x33, 0xff, 0, 0, 1], from, "ff02::1:ff00:1", 255, &message)
    }

    fn answered(mut frame: Vec<u8>) -> Option<Vec<u8>> {
        let length = answer(&mut frame, MAC, ours)?;
        frame.truncate(length);
        if frame[12..14] == [0x86, 0xdd] {
            let whole = carried_sum(&frame[22..54], PROTOCOL_ICMPV6, &frame[54..]);
            assert_eq!(whole, 0xffff, "with a right checksum");
        }
        Some(frame)
    }

    #[test]
    fn rfc_4861_7_2_4_who_asks_for_an_address_of_ours_is_told_where_it_is() {
        let got = answered(solicitation("fd09::2", "fd09::1", true)).unwrap();
        assert_eq!((&got[..6], &got[6..12]), (&ASKER[..], &MAC[..]));
        assert_eq!((got[21], &got[22..54]), (255, &[ip6("fd09::1"), ip6("fd09::2")].concat()[..]));
        assert_eq!(got[54..56], [136, 0]);
        assert_eq!(got[58..62], [0x60, 0, 0, 0], "solicited, to override");
        assert_eq!(got[62..], [&ip6("fd09::1")[..], &[2, 1], &MAC].concat());
        let short = answered(solicitation("fd09::2", "fd09::1", false)).unwrap();
        assert_eq!(short[18..20], [0, 24], "where the option does not fit it is left out");
    }

    #[test]
    fn rfc_4862_5_4_4_who_wants_an_address_of_ours_hears_that_it_is_taken() {
        let got = answered(solicitation("::", "fd09::1", false)).unwrap();
        assert_eq!((&got[..6], &got[38..54]), (&ALL_NODES_MAC[..], &ip6("ff02::1")[..]));
        assert_eq!(got[58], 0x20, "not solicited");
    }

    #[test]
    fn rfc_4861_7_1_1_what_came_over_a_router_or_is_not_ours_or_not_whole_is_not_answered() {
        assert_eq!(answered(solicitation("fd09::2", "fd09::3", true)), None);
        let mut forwarded = solicitation("fd09::2", "fd09::1", true);
        forwarded[21] = 254;
        assert_eq!(answered(forwarded), None);
        let mut bent = solicitation("fd09::2", "fd09::1", true);
        bent[57] ^= 1;
        assert_eq!(answered(bent), None);
        let cut = icmpv6(MAC, "fd09::2", "fd09::1", 255, &[135, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(answered(cut), None);
    }

    #[test]
    fn rfc_4443_4_2_an_echo_comes_back_as_it_went() {
        let request = [128, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7];
        let got = answered(icmpv6(MAC, "fd09::2", "fd09::1", 3, &request)).unwrap();
        assert_eq!((&got[..6], got[21]), (&ASKER[..], TIME_TO_LIVE));
        assert_eq!(got[22..54], [ip6("fd09::1"), ip6("fd09::2")].concat());
        assert_eq!((got[54], &got[58..]), (129, &request[4..]));
        let other = icmpv6(ASKER, "fd09::2", "fd09::1", 3, &request);
        assert_eq!(answered(other), None, "a frame for somebody else");
    }

    /// Who has an address, asked by 10.9.0.2.
    fn arp(target: [u8; 4]) -> Vec<u8> {
        let mut frame = [&[0xff; 6][..], &ASKER, &[8, 6], &ARP_REQUEST].concat();
        frame.extend([&ASKER[..], &[10, 9, 0, 2], &[0; 6], &target].concat());
        frame
    }

    #[test]
    fn rfc_826_who_asks_for_an_address_of_ours_is_told_where_it_is() {
        let mut frame = arp([10, 9, 0, 1]);
        frame.extend([0; 18]);
        let got = answered(frame).unwrap();
        assert_eq!((got.len(), &got[..6], &got[6..12]), (42, &ASKER[..], &MAC[..]));
        assert_eq!(got[14..22], [0, 1, 8, 0, 6, 4, 0, 2]);
        assert_eq!(got[22..32], [&MAC[..], &[10, 9, 0, 1]].concat());
        assert_eq!(got[32..42], [&ASKER[..], &[10, 9, 0, 2]].concat());
        assert_eq!(answered(arp([10, 9, 0, 3])), None, "not ours");
        let mut reply = arp([10, 9, 0, 1]);
        reply[21] = 2;
        assert_eq!(answered(reply), None, "not a question");
        assert_eq!(answered(arp([10, 9, 0, 1])[..41].to_vec()), None, "not whole");
    }

    /// An ICMP message from 10.9.0.2 to 10.9.0.1.
    fn icmp(mac: [u8; 6], message: &[u8]) -> Vec<u8> {
        let mut frame = [&mac[..], &ASKER, &[8, 0, 0x45, 0]].concat();
        frame.extend((20 + message.len() as u16).to_be_bytes());
        frame.extend([0, 7, 0x40, 0, 9, PROTOCOL_ICMP, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1]);
        let right = !ip_header_sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&right.to_be_bytes());
        frame.extend(message);
        if message.len() >= 4 {
            let right = !sum(&frame[34..]);
            frame[36..38].copy_from_slice(&right.to_be_bytes());
        }
        frame
    }

    #[test]
    fn rfc_792_an_echo_comes_back_as_it_went() {
        let request = [8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7];
        let whole = || icmp(MAC, &request);
        let got = answered(whole()).unwrap();
        assert_eq!((&got[..6], &got[6..12], got[22]), (&ASKER[..], &MAC[..], TIME_TO_LIVE));
        assert_eq!(got[26..34], [10, 9, 0, 1, 10, 9, 0, 2]);
        assert_eq!((got[34], &got[38..]), (ECHO_REPLY, &request[4..]));
        assert_eq!((ip_header_sum(&got[14..34]), sum(&got[34..])), (0xffff, 0xffff));
        assert!(answered(icmp(MAC, &request[..8])).is_some(), "as short as may be");
        assert_eq!(answered(icmp(MAC, &request[..7])), None, "too short");
        assert_eq!(answered(icmp(ASKER, &request)), None, "a frame for somebody else");
        assert_eq!(answered(icmp(MAC, &[0; 11])), None, "no request");
        for (at, what) in [(18, "the header"), (40, "the message")] {
            let mut bent = whole();
            bent[at] ^= 1;
            assert_eq!(answered(bent), None, "{what} is not what was summed");
        }
        let mut other = whole();
        other[33] = 3;
        other[25] = other[25].wrapping_sub(2);
        assert_eq!(ip_header_sum(&other[14..34]), 0xffff);
        assert_eq!(answered(other), None, "not ours");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_answered_or_not(
            mut frame in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
            kind in 0usize..4,
        ) {
            let kinds = [[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0]];
            if frame.len() > 60 {
                frame[12..14].copy_from_slice(&kinds[kind]);
                frame[14] = if kind == 0 { 0x45 } else { 0x60 };
                frame[20] = PROTOCOL_ICMPV6;
                frame[23] = PROTOCOL_ICMP;
            }
            let length = frame.len();
            let _ = super::super::icmp::too_big(&frame);
            if let Some(answered) = answer(&mut frame, MAC, |_| true) {
                proptest::prop_assert!(answered <= length);
            }
        }
    }
}
