//! An XDP program that loses frames, to see what becomes of them: it spoils whatever comes in at an
//! interface, for kernel sockets and for any driver alike.

use std::io;

use super::bpf::{Instruction, Link, NATIVE, Program};
use super::interface::Interface;

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;
const HELPER_PRANDOM: i32 = 7;

/// Frames are lost as long as this lives.
pub struct Spoilt {
    _link: Link,
}

/// Loses so many of a million frames that come in at an interface of this network namespace. Needs
/// CAP_NET_ADMIN and CAP_BPF.
pub fn spoil(interface: &str, loss_ppm: u32) -> io::Result<Spoilt> {
    let found = Interface::find(interface)?;
    let interface = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let _link = Program::load(&program(loss_ppm))?.attach(interface.index, NATIVE)?;
    Ok(Spoilt { _link })
}

fn program(loss_ppm: u32) -> [Instruction; 6] {
    let threshold = (u64::from(loss_ppm) * u64::from(u32::MAX) / 1_000_000) as u32;
    let instruction =
        |opcode, offset, immediate| Instruction { opcode, registers: 0, offset, immediate };
    [
        instruction(0x85, 0, HELPER_PRANDOM),
        // To the last two unless below; 32 bits, unsigned.
        instruction(0x36, 2, threshold as i32),
        instruction(0xb7, 0, XDP_DROP),
        instruction(0x95, 0, 0),
        instruction(0xb7, 0, XDP_PASS),
        instruction(0x95, 0, 0),
    ]
}
