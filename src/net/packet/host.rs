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
