//! An XDP program that loses frames, to see what becomes of them: it spoils whatever comes in at an
//! interface, for kernel sockets and for any driver alike.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::bpf::{Instruction, Link, NATIVE, Program, Word};
use super::interface::Interface;

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;
const HELPER_PRANDOM: i32 = 7;

/// Frames are lost as long as this lives.
pub struct Spoilt {
    _link: Link,
}

/// Loses frames that come in at an interface of this network namespace: so many of a million begin a
/// burst of `burst`, which are all lost. Needs CAP_NET_ADMIN and CAP_BPF.
pub fn spoil(interface: &str, loss_ppm: u32, burst: u32) -> io::Result<Spoilt> {
    let found = Interface::find(interface)?;
    let interface = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let left = Word::new()?;
    let program = program(loss_ppm, burst, left.as_raw_fd());
    let _link = Program::load(&program)?.attach(interface.index, NATIVE)?;
    Ok(Spoilt { _link })
}

/// `left` is how many of a burst are still to be lost.
fn program(loss_ppm: u32, burst: u32, left: RawFd) -> [Instruction; 13] {
    const MAP_VALUE: u8 = 2;
    let threshold = (u64::from(loss_ppm) * u64::from(u32::MAX) / 1_000_000) as u32;
    let instruction = |opcode, to: u8, from: u8, offset, immediate| Instruction {
        opcode,
        registers: from << 4 | to,
        offset,
        immediate,
    };
    [
        // r6 = &left; r7 = *r6
        instruction(0x18, 6, MAP_VALUE, 0, left),
        instruction(0, 0, 0, 0, 0),
        instruction(0x61, 7, 6, 0, 0),
        // Of a burst, if there is any left.
        instruction(0x55, 7, 0, 3, 0),
        instruction(0x85, 0, 0, 0, HELPER_PRANDOM),
        // To the last two unless below; 32 bits, unsigned.
        instruction(0x36, 0, 0, 5, threshold as i32),
        instruction(0xb7, 7, 0, 0, burst as i32),
        // *r6 = r7 - 1
        instruction(0x07, 7, 0, 0, -1),
        instruction(0x63, 6, 7, 0, 0),
        instruction(0xb7, 0, 0, 0, XDP_DROP),
        instruction(0x95, 0, 0, 0, 0),
        instruction(0xb7, 0, 0, 0, XDP_PASS),
        instruction(0x95, 0, 0, 0, 0),
    ]
}
