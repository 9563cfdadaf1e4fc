//! The XDP program that steers the gateway's segments to its sockets, and what routers say of one that
//! was too long, and leaves everything else to the kernel: other ports, other addresses, ARP,
//! neighbour discovery, ICMP, extension headers, later fragments.
//!
//! It is written here instruction by instruction, so that neither a compiler for it nor a
//! library is needed where millrace is built or run.

use std::net::SocketAddr;

use super::bpf::Instruction;
use crate::net::packet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_TCP};

/// The verdicts of linux/bpf.h that matter here.
const XDP_PASS: i32 = 2;

// struct xdp_md.
const CTX_DATA: i16 = 0;
const CTX_DATA_END: i16 = 4;
const CTX_QUEUE: i16 = 16;

const HELPER_REDIRECT_MAP: i32 = 51;

/// Registers, by what they hold.
const VERDICT: u8 = 0;
const ARG1: u8 = 1;
const ARG2: u8 = 2;
const ARG3: u8 = 3;
/// The Ethernet header less what VLAN tags push everything on by: IP begins 14 bytes on.
const FRAME: u8 = 2;
const END: u8 = 3;
const LIMIT: u8 = 4;
const VALUE: u8 = 5;
const CONTEXT: u8 = 6;
const ADDRESS: u8 = 7;

/// Widths of a load.
const BYTE: u8 = 0x10;
const HALF: u8 = 0x08;
const WORD: u8 = 0x00;

/// Instructions, with jumps to labels that are put in at the end.
#[derive(Default)]
struct Assembler {
    program: Vec<Instruction>,
    jumps: Vec<(usize, &'static str)>,
    labels: Vec<(&'static str, usize)>,
}

impl Assembler {
    fn emit(&mut self, opcode: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        let registers = from << 4 | to;
        self.program.push(Instruction { opcode, registers, offset, immediate });
    }

    /// `to = from`
    fn copy(&mut self, to: u8, from: u8) {
        self.emit(0xbf, to, from, 0, 0);
    }

    /// `to = value`
    fn set(&mut self, to: u8, value: i32) {
        self.emit(0xb7, to, 0, 0, value);
    }

    /// `to += value`
    fn add(&mut self, to: u8, value: i32) {
        self.emit(0x07, to, 0, 0, value);
    }

    /// `to &= value`
    fn and(&mut self, to: u8, value: i32) {
        self.emit(0x57, to, 0, 0, value);
    }

    /// `to = *(from + offset)`, so many bytes wide, in the byte order of this machine.
    fn load(&mut self, width: u8, to: u8, from: u8, offset: i16) {
        self.emit(0x61 | width, to, from, offset, 0);
    }

    fn jump(&mut self, label: &'static str) {
        self.jumps.push((self.program.len(), label));
        self.emit(0x05, 0, 0, 0, 0);
    }

    /// Jumps if the low 32 bits of a register are `value`.
    fn jump_if_equal(&mut self, register: u8, value: u32, label: &'static str) {
        self.jumps.push((self.program.len(), label));
        self.emit(0x16, register, 0, 0, value as i32);
    }

    /// Jumps if they are not.
    fn jump_unless_equal(&mut self, register: u8, value: u32, label: &'static str) {
        self.jumps.push((self.program.len(), label));
        self.emit(0x56, register, 0, 0, value as i32);
    }

    /// Jumps if a register is below `value`.
    fn jump_if_below(&mut self, register: u8, value: i32, label: &'static str) {
        self.jumps.push((self.program.len(), label));
        self.emit(0xa5, register, 0, 0, value);
    }

    /// Jumps unless `bytes` from the frame's start on are there.
    fn jump_unless_there(&mut self, bytes: i32, label: &'static str) {
        self.copy(LIMIT, FRAME);
        self.add(LIMIT, bytes);
        self.jumps.push((self.program.len(), label));
        self.emit(0x2d, LIMIT, END, 0, 0);
    }

    fn label(&mut self, label: &'static str) {
        self.labels.push((label, self.program.len()));
    }

    /// Puts in where the jumps go.
    fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let found = self.labels.iter().filter(|(name, _)| *name == label);
            // A label may be there several times: the next one is meant.
            let target = found.map(|(_, target)| *target).find(|target| *target > at);
            let target = target.unwrap_or_else(|| panic!("no label {label} behind {at}"));
            self.program[at].offset = (target - at - 1) as i16;
        }
        self.program
    }
}

/// A 16-bit number of the wire as a load of this machine sees it.
fn wire16(value: u16) -> u32 {
    u16::from_ne_bytes(value.to_be_bytes()).into()
}

/// The program: `protocol` (6 is TCP) to one of `listen` is redirected to the socket that
/// `sockets` (a descriptor of a map) has for the frame's queue, everything else is passed on.
pub(super) fn program(listen: &[SocketAddr], protocol: u8, sockets: i32) -> Vec<Instruction> {
    let mut a = Assembler::default();
    a.copy(CONTEXT, ARG1);
    a.load(WORD, FRAME, CONTEXT, CTX_DATA);
    a.load(WORD, END, CONTEXT, CTX_DATA_END);

    // Ethernet, and up to two VLAN tags (IEEE 802.1Q, 802.1ad), each of which moves on by four.
    a.jump_unless_there(14, "pass");
    a.load(HALF, VALUE, FRAME, 12);
    for _ in 0..2 {
        a.jump_if_equal(VALUE, wire16(0x8100), "tag");
        a.jump_unless_equal(VALUE, wire16(0x88a8), "untagged");
        a.label("tag");
        a.add(FRAME, 4);
        a.jump_unless_there(14, "pass");
        a.load(HALF, VALUE, FRAME, 12);
        a.label("untagged");
    }
    a.jump_if_equal(VALUE, wire16(ETHERTYPE_IPV6), "ipv6");
    a.jump_unless_equal(VALUE, wire16(ETHERTYPE_IPV4), "pass");
    ipv4(&mut a, listen, protocol);
    a.label("ipv6");
    ipv6(&mut a, listen, protocol);

    // Where the queue has no socket, the kernel gets the frame.
    a.label("steer");
    a.load(WORD, ARG2, CONTEXT, CTX_QUEUE);
    const LOAD_MAP: u8 = 1;
    a.emit(0x18, ARG1, LOAD_MAP, 0, sockets);
    a.emit(0, 0, 0, 0, 0);
    a.set(ARG3, XDP_PASS);
    a.emit(0x85, 0, 0, 0, HELPER_REDIRECT_MAP);
    a.emit(0x95, 0, 0, 0, 0);

    a.label("pass");
    a.set(VERDICT, XDP_PASS);
    a.emit(0x95, 0, 0, 0, 0);
    a.finish()
}

const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_ICMPV6: u8 = 58;
/// Type and code of what a router says of a packet that is too long (RFC 1191; RFC 4443, 3.2).
const NEEDS_FRAGMENTS: u16 = 0x0304;
const TOO_BIG: u16 = 0x0200;

/// Passes, or steers, what is of IPv4.
fn ipv4(a: &mut Assembler, listen: &[SocketAddr], protocol: u8) {
    // What carries the protocol, and not the later part of a fragmented packet, which has no ports.
    a.jump_unless_there(14 + 20, "pass");
    a.load(BYTE, VALUE, FRAME, 14 + 9);
    a.jump_if_equal(VALUE, PROTOCOL_ICMP.into(), "icmp");
    a.jump_unless_equal(VALUE, protocol.into(), "pass");
    a.load(HALF, VALUE, FRAME, 14 + 6);
    a.and(VALUE, wire16(0x1fff) as i32);
    a.jump_unless_equal(VALUE, 0, "pass");
    a.load(WORD, ADDRESS, FRAME, 14 + 16);

    // The header's length is in words of four bytes, and options come before the ports. Moving on
    // word by word needs only constants: the kernel lets nobody without CAP_PERFMON add a value
    // from the packet to a pointer.
    a.load(BYTE, VALUE, FRAME, 14);
    a.and(VALUE, 0x0f);
    a.jump_if_below(VALUE, 5, "pass");
    for words in 6..=15 {
        a.jump_if_below(VALUE, words, "ports");
        a.add(FRAME, 4);
    }
    a.label("ports");
    a.jump_unless_there(14 + 20 + 4, "pass");
    a.load(HALF, VALUE, FRAME, 14 + 20 + 2);
    steer_ipv4(a, listen);

    // Behind the router's header and eight bytes lies the beginning of what this side had sent.
    a.label("icmp");
    let sent = 14 + 20 + 8;
    a.jump_unless_there(i32::from(sent) + 20 + 2, "pass");
    a.load(BYTE, VALUE, FRAME, 14);
    a.jump_unless_equal(VALUE, 0x45, "pass");
    a.load(HALF, VALUE, FRAME, 14 + 20);
    a.jump_unless_equal(VALUE, wire16(NEEDS_FRAGMENTS), "pass");
    a.load(BYTE, VALUE, FRAME, sent);
    a.jump_unless_equal(VALUE, 0x45, "pass");
    a.load(BYTE, VALUE, FRAME, sent + 9);
    a.jump_unless_equal(VALUE, PROTOCOL_TCP.into(), "pass");
    a.load(WORD, ADDRESS, FRAME, sent + 12);
    a.load(HALF, VALUE, FRAME, sent + 20);
    steer_ipv4(a, listen);
}

/// Steers what has its port in `VALUE` and its address in `ADDRESS`, and passes the rest.
fn steer_ipv4(a: &mut Assembler, listen: &[SocketAddr]) {
    for address in listen {
        let SocketAddr::V4(address) = address else { continue };
        a.jump_unless_equal(VALUE, wire16(address.port()), "next");
        a.jump_if_equal(ADDRESS, u32::from_ne_bytes(address.ip().octets()), "steer");
        a.label("next");
    }
    a.jump("pass");
}

/// Passes, or steers, what is of IPv6. Segments of a connection have no extension headers.
fn ipv6(a: &mut Assembler, listen: &[SocketAddr], protocol: u8) {
    a.jump_unless_there(14 + 40 + 4, "pass");
    a.load(BYTE, VALUE, FRAME, 14 + 6);
    a.jump_if_equal(VALUE, PROTOCOL_ICMPV6.into(), "icmp");
    a.jump_unless_equal(VALUE, protocol.into(), "pass");
    a.load(HALF, VALUE, FRAME, 14 + 40 + 2);
    steer_ipv6(a, listen, 14 + 24);

    a.label("icmp");
    let sent = 14 + 40 + 8;
    a.jump_unless_there(i32::from(sent) + 40 + 2, "pass");
    a.load(HALF, VALUE, FRAME, 14 + 40);
    a.jump_unless_equal(VALUE, wire16(TOO_BIG), "pass");
    a.load(BYTE, VALUE, FRAME, sent + 6);
    a.jump_unless_equal(VALUE, PROTOCOL_TCP.into(), "pass");
    a.load(HALF, VALUE, FRAME, sent + 40);
    steer_ipv6(a, listen, sent + 8);
}

/// Steers what has its port in `VALUE` and its address at an offset, and passes the rest.
fn steer_ipv6(a: &mut Assembler, listen: &[SocketAddr], at: i16) {
    for address in listen {
        let SocketAddr::V6(address) = address else { continue };
        a.jump_unless_equal(VALUE, wire16(address.port()), "next");
        for (word, offset) in address.ip().octets().as_chunks::<4>().0.iter().zip((at..).step_by(4))
        {
            a.load(WORD, ADDRESS, FRAME, offset);
            a.jump_unless_equal(ADDRESS, u32::from_ne_bytes(*word), "next");
        }
        a.jump("steer");
        a.label("next");
    }
    a.jump("pass");
}
