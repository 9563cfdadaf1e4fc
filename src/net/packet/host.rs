//! What a host answers beside its connections, where no kernel does it: who has an address (ARP,
//! RFC 826), and whether it is there (ICMP echo, RFC 792).

use std::net::Ipv4Addr;

use super::checksum::{ip_header_sum, sum};
use super::parse::{be16, network};
use super::{ETHERNET_BYTES, IPV4_BYTES};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ARP_BYTES: usize = 28;
/// Ethernet, IPv4, addresses of 6 and 4 bytes, a request.
const ARP_REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
const PROTOCOL_ICMP: u8 = 1;
const ECHO_REQUEST: [u8; 2] = [8, 0];
const TIME_TO_LIVE: u8 = 64;

/// Turns a request to one of `ours` into its answer, where it lies. Returns the answer's length.
pub fn answer(frame: &mut [u8], mac: [u8; 6], ours: impl Fn(Ipv4Addr) -> bool) -> Option<usize> {
    let length = match network(frame).ok()? {
        (at, ETHERTYPE_ARP) => answer_arp(frame, at, mac, ours)?,
        (at, ETHERTYPE_IPV4) => answer_echo(frame, at, mac, ours)?,
        _ => return None,
    };
    frame.copy_within(6..12, 0);
    frame[6..12].copy_from_slice(&mac);
    Some(length)
}

fn address(bytes: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])
}

fn answer_arp(
    frame: &mut [u8],
    at: usize,
    mac: [u8; 6],
    ours: impl Fn(Ipv4Addr) -> bool,
) -> Option<usize> {
    let arp = frame.get_mut(at..at + ARP_BYTES)?;
    if arp[..8] != ARP_REQUEST || !ours(address(&arp[24..])) {
        return None;
    }
    // Sender and target, hardware and protocol address each, change places.
    arp[7] = 2;
    let asked: [u8; 4] = arp[24..28].try_into().expect("four bytes");
    arp.copy_within(8..18, 18);
    arp[8..14].copy_from_slice(&mac);
    arp[14..18].copy_from_slice(&asked);
    Some(at + ARP_BYTES)
}

fn answer_echo(
    frame: &mut [u8],
    at: usize,
    mac: [u8; 6],
    ours: impl Fn(Ipv4Addr) -> bool,
) -> Option<usize> {
    debug_assert!(at >= ETHERNET_BYTES);
    let to_us = frame[..6] == mac;
    let ip = frame.get(at..).filter(|ip| ip.len() >= IPV4_BYTES)?;
    let (header, total) = (usize::from(ip[0] & 0x0f) * 4, usize::from(be16(ip, 2)));
    let whole = ip[0] >> 4 == 4 && header >= IPV4_BYTES && total <= ip.len() && total >= header + 8;
    let fragment = be16(ip, 6) & 0x3fff != 0;
    if !to_us || !whole || fragment || ip[9] != PROTOCOL_ICMP || !ours(address(&ip[16..])) {
        return None;
    }
    let ip = &mut frame[at..at + total];
    let (head, icmp) = ip.split_at_mut(header);
    if icmp[..2] != ECHO_REQUEST || ip_header_sum(head) != 0xffff || sum(icmp) != 0xffff {
        return None;
    }
    let (from, to) = head[12..20].split_at_mut(4);
    from.swap_with_slice(to);
    head[8] = TIME_TO_LIVE;
    head[10..12].fill(0);
    let right = !ip_header_sum(head);
    head[10..12].copy_from_slice(&right.to_be_bytes());
    icmp[0] = 0;
    icmp[2..4].fill(0);
    let right = !sum(icmp);
    icmp[2..4].copy_from_slice(&right.to_be_bytes());
    Some(at + total)
}
