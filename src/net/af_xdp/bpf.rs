//! bpf(2), as little of it as steering needs: a map of sockets, a program, a link, a test run.
#![allow(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

// The commands and types of linux/bpf.h.
const MAP_CREATE: i64 = 0;
const MAP_UPDATE_ELEM: i64 = 2;
const PROG_LOAD: i64 = 5;
#[cfg(test)]
const PROG_TEST_RUN: i64 = 10;
const LINK_CREATE: i64 = 28;
const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_XSKMAP: u32 = 17;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;

/// `XDP_FLAGS_SKB_MODE`: the program sees frames after the driver made socket buffers of them.
pub(super) const GENERIC: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`: the driver itself runs the program.
pub(super) const NATIVE: u32 = 1 << 2;

/// One instruction (Documentation/bpf/standardization/instruction-set.rst).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub opcode: u8,
    /// Destination register in the low half, source register in the high.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

fn bpf<T>(command: i64, attributes: &mut T) -> io::Result<RawFd> {
    let attributes = std::ptr::from_mut(attributes);
    // SAFETY: `attributes` is valid for reading and writing its own size, which the kernel is
    // told; the addresses in it are of buffers that its maker keeps alive.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as RawFd) }
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: a new descriptor of bpf(2)'s that nobody else owns; it is close-on-exec.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A map of so many entries, with keys and values of 32 bits.
fn map(map_type: u32, max_entries: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
    }
    let mut attributes = Attributes { map_type, key_size: 4, value_size: 4, max_entries };
    bpf(MAP_CREATE, &mut attributes).map(owned)
}

/// One word that programs share and remember (`BPF_MAP_TYPE_ARRAY`).
pub(super) struct Word(OwnedFd);

impl Word {
    pub fn new() -> io::Result<Word> {
        map(MAP_TYPE_ARRAY, 1).map(Word)
    }
}

impl AsRawFd for Word {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A map from queue to AF_XDP socket (`BPF_MAP_TYPE_XSKMAP`).
pub(super) struct SocketMap(OwnedFd);

impl SocketMap {
    pub fn new(queues: u32) -> io::Result<SocketMap> {
        map(MAP_TYPE_XSKMAP, queues).map(SocketMap)
    }

    /// Has frames of a queue go to a socket.
    pub fn insert(&self, queue: u32, socket: &impl AsRawFd) -> io::Result<()> {
        #[repr(C)]
        struct Attributes {
            map: u64,
            key: u64,
            value: u64,
            flags: u64,
        }
        let value = socket.as_raw_fd();
        let mut attributes = Attributes {
            map: self.0.as_raw_fd() as u64,
            key: std::ptr::from_ref(&queue) as u64,
            value: std::ptr::from_ref(&value) as u64,
            flags: 0,
        };
        bpf(MAP_UPDATE_ELEM, &mut attributes).map(|_| ())
    }
}

impl AsRawFd for SocketMap {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A loaded program.
pub(super) struct Program(OwnedFd);

impl Program {
    /// Loads an XDP program. Needs CAP_BPF and CAP_NET_ADMIN. A refusal carries what the
    /// verifier said last.
    pub fn load(instructions: &[Instruction]) -> io::Result<Program> {
        #[repr(C)]
        struct Attributes {
            program_type: u32,
            instruction_count: u32,
            instructions: u64,
            license: u64,
            log_level: u32,
            log_size: u32,
            log: u64,
            kernel_version: u32,
            flags: u32,
            name: [u8; 16],
            interface: u32,
            expected_attach_type: u32,
        }
        let mut log = vec![0u8; 64 << 10];
        let mut attributes = Attributes {
            program_type: PROG_TYPE_XDP,
            instruction_count: instructions.len() as u32,
            instructions: instructions.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            log_level: 1,
            log_size: log.len() as u32,
            log: log.as_mut_ptr() as u64,
            kernel_version: 0,
            flags: 0,
            name: *b"millrace_steer\0\0",
            interface: 0,
            expected_attach_type: ATTACH_TYPE_XDP,
        };
        bpf(PROG_LOAD, &mut attributes).map(|fd| Program(owned(fd))).map_err(|error| {
            let text = String::from_utf8_lossy(&log);
            let said = text.trim_end_matches('\0').trim().lines().rev().nth(1).unwrap_or("");
            match said {
                "" => error,
                said => io::Error::new(error.kind(), format!("{error}: {said}")),
            }
        })
    }

    /// What the program says of a frame on queue 0 (`BPF_PROG_TEST_RUN`).
    #[cfg(test)]
    pub fn verdict(&self, frame: &[u8]) -> io::Result<u32> {
        #[repr(C)]
        struct Attributes {
            program: u32,
            verdict: u32,
            size_in: u32,
            size_out: u32,
            frame_in: u64,
            frame_out: u64,
            repeat: u32,
            duration: u32,
        }
        let mut attributes = Attributes {
            program: self.0.as_raw_fd() as u32,
            verdict: 0,
            size_in: frame.len() as u32,
            size_out: 0,
            frame_in: frame.as_ptr() as u64,
            frame_out: 0,
            repeat: 1,
            duration: 0,
        };
        bpf(PROG_TEST_RUN, &mut attributes).map(|_| attributes.verdict)
    }

    /// Attaches to an interface until the link is dropped, also by a kill.
    pub fn attach(&self, interface: u32, mode: u32) -> io::Result<Link> {
        #[repr(C)]
        struct Attributes {
            program: u32,
            interface: u32,
            attach_type: u32,
            flags: u32,
        }
        let mut attributes = Attributes {
            program: self.0.as_raw_fd() as u32,
            interface,
            attach_type: ATTACH_TYPE_XDP,
            flags: mode,
        };
        bpf(LINK_CREATE, &mut attributes).map(|fd| Link { _fd: owned(fd) })
    }
}

/// A program on its interface. It leaves with its descriptor, however the process ends.
pub(super) struct Link {
    _fd: OwnedFd,
}
