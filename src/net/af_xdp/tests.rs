//! What the steering program says of frames, as the kernel runs it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;

use super::bpf::{Program, SocketMap};
use super::socket::{Kind, Socket};
use super::steering::program;
use crate::net::packet::write::{Bare, bare};
use crate::net::packet::{Link, Options, Tuple, flags};

const PASS: u32 = 2;
const REDIRECT: u32 = 4;

/// A loaded program that steers 10.9.0.1:7001 and 10.9.0.7:7002; `None`, said, where this
/// process may not load one.
struct Steering {
    program: Program,
    _map: SocketMap,
    _socket: Socket,
}

fn steering() -> Option<Steering> {
    let listen = [
        SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 1), 7001),
        SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 7), 7002),
    ];
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

/// A TCP segment from 10.9.0.2 to an address and port.
fn frame(to: [u8; 4], port: u16) -> Vec<u8> {
    let tuple =
        Tuple { local: (Ipv4Addr::new(10, 9, 0, 2), 40_000), remote: (Ipv4Addr::from(to), port) };
    let segment =
        Bare { tuple, seq: 1, ack: 1, flags: flags::ACK, window: 500, options: Options::NONE };
    let mut bytes = vec![0; 128];
    let length = bare(&Link::EMPTY, &segment, &mut bytes);
    bytes.truncate(length);
    bytes[12..14].copy_from_slice(&[8, 0]);
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

fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[test]
fn the_gateways_segments_are_redirected_and_all_else_is_passed() {
    let Some(steering) = steering() else { return };
    let ours = || frame([10, 9, 0, 1], 7001);
    let vlan = [0x81, 0x00];
    let service = [0x88, 0xa8];
    let cases: Vec<(&str, Vec<u8>, u32)> = vec![
        ("our first port", ours(), REDIRECT),
        ("our second address and port", frame([10, 9, 0, 7], 7002), REDIRECT),
        ("our port on another address", frame([10, 9, 0, 7], 7001), PASS),
        ("another port: SSH", frame([10, 9, 0, 1], 22), PASS),
        ("another address", frame([10, 9, 0, 3], 7001), PASS),
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
        ("IPv6", with(ours(), 12, &[0x86, 0xdd]), PASS),
        ("cut off in the IP header", ours()[..30].to_vec(), PASS),
        ("cut off before the ports", ours()[..36].to_vec(), PASS),
        ("cut off behind the ports", ours()[..38].to_vec(), REDIRECT),
        ("options that reach beyond the frame", with(ours(), 14, &[0x4f]), PASS),
    ];
    for (what, frame, expected) in cases {
        assert_eq!(steering.program.verdict(&frame).unwrap(), expected, "{what}");
    }
}
