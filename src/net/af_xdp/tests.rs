//! What the steering program says of frames, as the kernel runs it.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use super::bpf::{Program, SocketMap};
use super::socket::{Kind, Socket};
use super::steering::program;
use crate::net::packet::write::{Bare, bare};
use crate::net::packet::{Link, Options, Tuple, end_of, flags};

const PASS: u32 = 2;
const REDIRECT: u32 = 4;

/// A loaded program that steers 10.9.0.1:7001, 10.9.0.7:7002 and [fd09::1]:7003; `None`, said, where this
/// process may not load one.
struct Steering {
    program: Program,
    _map: SocketMap,
    _socket: Socket,
}

fn steering() -> Option<Steering> {
    let listen = ["10.9.0.1:7001", "10.9.0.7:7002", "[fd09::1]:7003"].map(address);
    let (map, socket) = match (SocketMap::new(1), Socket::open()) {
        (Ok(map), Ok(socket)) => (map, socket),
        (Err(e), _) | (_, Err(e)) => {
            println!("skip: the steering program is not run here: {e}");
            return None;
        }
    };
    // A map takes sockets that have a ring to receive on.
    let _ring = socket.ring(Kind::Receive, 64).unwrap();
    map.insert(0, &socket).unwrap();
    let program = Program::load(&program(&listen, 6, map.as_raw_fd())).unwrap();
    Some(Steering { program, _map: map, _socket: socket })
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A TCP segment from 10.9.0.2 or fd09::2 to an address and port.
fn frame(to: &str) -> Vec<u8> {
    let to = address(to);
    let from = if to.is_ipv4() { "10.9.0.2:40000" } else { "[fd09::2]:40000" };
    let tuple = Tuple { local: end_of(address(from)), remote: end_of(to) };
    let segment =
        Bare { tuple, seq: 1, ack: 1, flags: flags::ACK, window: 500, options: Options::NONE };
    let mut bytes = vec![0; 128];
    let length = bare(&Link::EMPTY, &segment, &mut bytes);
    bytes.truncate(length);
    bytes[12..14].copy_from_slice(if to.is_ipv4() { &[8, 0] } else { &[0x86, 0xdd] });
    bytes
}

fn tagged(mut frame: Vec<u8>, ethertypes: &[[u8; 2]]) -> Vec<u8> {
    for ethertype in ethertypes {
        frame.splice(12..12, [ethertype[0], ethertype[1], 0, 5]);
    }
    frame
}

/// With `words` of IPv4 options.
fn with_options(mut frame: Vec<u8>, words: u8) -> Vec<u8> {
    frame[14] = 0x45 + words;
    let total = u16::from_be_bytes([frame[16], frame[17]]) + 4 * u16::from(words);
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame.splice(34..34, vec![1; 4 * usize::from(words)]);
    frame
}

/// What a router says of a segment that went the other way than `frame`.
fn told(frame: &[u8], kind: [u8; 2]) -> Vec<u8> {
    let ipv6 = frame[12..14] == [0x86, 0xdd];
    let (ip, at, protocol) = if ipv6 { (40, 6, 58) } else { (20, 9, 1) };
    let addresses = if ipv6 { 8..40 } else { 12..20 };
    let mut sent = frame[14..].to_vec();
    let half = addresses.len() / 2;
    sent[addresses].rotate_left(half);
    sent[ip..ip + 4].rotate_left(2);
    let mut told = frame[..14 + ip].to_vec();
    told[14 + at] = protocol;
    told.extend([kind[0], kind[1], 0, 0, 0, 0, 5, 0xdc]);
    told.extend(&sent[..ip + 8]);
    told
}

fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[test]
fn the_gateways_segments_are_redirected_and_all_else_is_passed() {
    let Some(steering) = steering() else { return };
    let ours = || frame("10.9.0.1:7001");
    let ours_6 = || frame("[fd09::1]:7003");
    let vlan = [0x81, 0x00];
    let service = [0x88, 0xa8];
    let cases: Vec<(&str, Vec<u8>, u32)> = vec![
        ("our first port", ours(), REDIRECT),
        ("our second address and port", frame("10.9.0.7:7002"), REDIRECT),
        ("our port on another address", frame("10.9.0.7:7001"), PASS),
        ("another port: SSH", frame("10.9.0.1:22"), PASS),
        ("another address", frame("10.9.0.3:7001"), PASS),
        ("a VLAN tag", tagged(ours(), &[vlan]), REDIRECT),
        ("a service tag", tagged(ours(), &[service]), REDIRECT),
        ("two tags", tagged(ours(), &[vlan, service]), REDIRECT),
        ("three tags", tagged(ours(), &[vlan, vlan, service]), PASS),
        ("IP options", with_options(ours(), 1), REDIRECT),
        ("the most IP options", with_options(ours(), 10), REDIRECT),
        ("options behind a tag", tagged(with_options(ours(), 3), &[vlan]), REDIRECT),
        ("a header of 16 bytes", with(ours(), 14, &[0x44]), PASS),
        ("a first fragment", with(ours(), 20, &[0x20, 0]), REDIRECT),
        ("a later fragment", with(ours(), 20, &[0, 9]), PASS),
        ("a later fragment with more to come", with(ours(), 20, &[0x20, 9]), PASS),
        ("do not fragment", with(ours(), 20, &[0x40, 0]), REDIRECT),
        ("UDP", with(ours(), 23, &[17]), PASS),
        ("ICMP", with(ours(), 23, &[1]), PASS),
        ("ARP", with(ours(), 12, &[8, 6]), PASS),
        ("IPv6", ours_6(), REDIRECT),
        ("IPv6 behind a tag", tagged(ours_6(), &[vlan]), REDIRECT),
        ("another port of IPv6", frame("[fd09::1]:7001"), PASS),
        ("another address of IPv6", frame("[fd09::3]:7003"), PASS),
        ("an address of IPv6 that differs in its first word", frame("[fd0a::1]:7003"), PASS),
        ("UDP over IPv6", with(ours_6(), 20, &[17]), PASS),
        ("neighbour discovery", with(with(ours_6(), 20, &[58]), 54, &[135, 0]), PASS),
        ("an extension header", with(ours_6(), 20, &[0]), PASS),
        ("IPv6 that is IPv4", with(ours(), 12, &[0x86, 0xdd]), PASS),
        ("IPv6 cut off before the ports", ours_6()[..57].to_vec(), PASS),
        ("a router of ours", told(&ours(), [3, 4]), REDIRECT),
        ("a router of ours behind a tag", tagged(told(&ours(), [3, 4]), &[vlan]), REDIRECT),
        ("a router of another port", told(&frame("10.9.0.1:22"), [3, 4]), PASS),
        ("a router of a host that is not there", told(&ours(), [3, 1]), PASS),
        ("a ping", told(&ours(), [8, 0]), PASS),
        ("a router of what is cut off", told(&ours(), [3, 4])[..63].to_vec(), PASS),
        ("a router of IPv6", told(&ours_6(), [2, 0]), REDIRECT),
        ("a router of another port of IPv6", told(&frame("[fd09::1]:22"), [2, 0]), PASS),
        ("a router of another address of IPv6", told(&frame("[fd09::3]:7003"), [2, 0]), PASS),
        ("a ping of IPv6", told(&ours_6(), [128, 0]), PASS),
        ("a router of what is cut off", told(&ours_6(), [2, 0])[..103].to_vec(), PASS),
        ("cut off in the IP header", ours()[..30].to_vec(), PASS),
        ("cut off before the ports", ours()[..36].to_vec(), PASS),
        ("cut off behind the ports", ours()[..38].to_vec(), REDIRECT),
        ("options that reach beyond the frame", with(ours(), 14, &[0x4f]), PASS),
    ];
    for (what, frame, expected) in cases {
        assert_eq!(steering.program.verdict(&frame).unwrap(), expected, "{what}");
    }
}
