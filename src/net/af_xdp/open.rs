//! Opening queues: what the interface can do, the best mode, one socket a queue, steering.
#![allow(unsafe_code, reason = "asks for a resource limit")]

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::packet::LINK_BYTES_MAX;
use super::bpf::{self, Link, Program, SocketMap};
use super::error::AfXdpError;
use super::interface::Interface;
use super::reserve::Reserved;
use super::ring::{Reader, Writer};
use super::socket::{Kind, Socket};
use super::steering;
use super::umem::{FrameMemory, Umem};
use super::{AfXdp, Counts};

/// Bytes the kernel keeps in front of a received packet (`XDP_PACKET_HEADROOM`).
const HEADROOM: usize = 256;
/// How long what is in use is tried again.
const LET_GO: Duration = Duration::from_secs(1);
/// Microseconds a busy poll may take, and frames it may bring.
const BUSY_POLL_US: u32 = 20;
const BUSY_POLL_FRAMES: u32 = 64;

/// How frames travel between device and memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The device reads and writes the frames itself.
    ZeroCopy,
    /// The driver runs the program; the kernel copies each frame once.
    Copy,
    /// The kernel makes a socket buffer of each frame first; any interface can do it.
    Generic,
}

/// `mode`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModeWanted {
    /// The best there is.
    Auto,
    /// This one or none.
    Only(Mode),
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::ZeroCopy => "zero_copy",
            Mode::Copy => "copy",
            Mode::Generic => "generic",
        })
    }
}

impl fmt::Display for ModeWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModeWanted::Auto => f.write_str("auto"),
            ModeWanted::Only(mode) => mode.fmt(f),
        }
    }
}

/// What is opened.
#[derive(Clone, Debug)]
pub struct AfXdpSetup {
    /// Name of the interface.
    pub interface: String,
    /// Its queues, each a driver of its own.
    pub queues: Vec<u32>,
    /// How frames travel.
    pub mode: ModeWanted,
    /// Whether calls of ours poll the device, instead of its interrupts.
    pub busy_poll: bool,
    /// Bytes of a frame: 2048 or 4096.
    pub frame_bytes: u32,
    /// Frames on the way in, and as many on the way out; a power of two.
    pub ring_frames: u32,
    /// IP protocol that is steered here: 6, TCP, or 17, UDP.
    pub protocol: u8,
    /// Addresses and ports that are steered here.
    pub listen: Vec<SocketAddr>,
}

impl AfXdpSetup {
    /// Bytes of memory that each queue needs.
    pub fn memory_bytes(&self) -> usize {
        2 * self.ring_frames as usize * self.frame_bytes as usize
    }
}

/// What keeps the gateway's segments coming: the program on its interface, and the ports that
/// are nobody else's.
pub(super) struct Steering {
    _link: Link,
    _reserved: Arc<Vec<Reserved>>,
}

/// Queues that are open.
pub struct Opened {
    /// One for each queue asked for.
    pub drivers: Vec<AfXdp>,
    /// Hardware address of the interface.
    pub mac: [u8; 6],
    /// How frames travel.
    pub mode: Mode,
    /// What is steered here, with the ports that were chosen where 0 was asked for.
    pub listen: Vec<SocketAddr>,
}

fn find(name: &str) -> Result<Interface, AfXdpError> {
    let found = Interface::find(name).map_err(system(format!("ask about {name}")))?;
    let missing = || AfXdpError::NoInterface { name: name.to_owned(), known: Interface::names() };
    found.ok_or_else(missing)
}

fn system(what: String) -> impl FnOnce(io::Error) -> AfXdpError {
    move |source| AfXdpError::System { what, source }
}

/// Opens the queues and begins steering. `memory` is asked for [`AfXdpSetup::memory_bytes`] for
/// each. Everything here is undone when the last driver is dropped.
pub fn open(
    setup: &AfXdpSetup,
    mut memory: impl FnMut(usize) -> Box<dyn FrameMemory>,
) -> Result<Opened, AfXdpError> {
    let interface = find(&setup.interface)?;
    check(setup, &interface)?;
    let reserve =
        |at: &SocketAddr| Reserved::new(*at).map_err(system(format!("reserve port {at}")));
    let reserved: Vec<Reserved> = setup.listen.iter().map(reserve).collect::<Result<_, _>>()?;
    let listen: Vec<SocketAddr> = reserved.iter().map(|port| port.address).collect();
    let reserved = Arc::new(reserved);
    let sockets = SocketMap::new(interface.queues).map_err(privilege(
        "CAP_BPF",
        "make a map of sockets",
        "make a map of sockets".to_owned(),
    ))?;
    let instructions = steering::program(&listen, setup.protocol, sockets.as_raw_fd());
    let program = Program::load(&instructions).map_err(privilege(
        "CAP_BPF and CAP_NET_ADMIN",
        "load the steering program",
        "load the steering program".to_owned(),
    ))?;
    let wanted: &[Mode] = match &setup.mode {
        ModeWanted::Auto => &[Mode::ZeroCopy, Mode::Copy, Mode::Generic],
        ModeWanted::Only(mode) => std::slice::from_ref(mode),
    };
    let mut refused = None;
    for mode in wanted {
        let attempt = attach(setup, &interface, &program, *mode).and_then(|link| {
            let steering = Arc::new(Steering { _link: link, _reserved: reserved.clone() });
            bind_all(setup, &interface, &sockets, *mode, &mut memory, &steering)
        });
        match attempt {
            Ok(drivers) => {
                let mac = interface.mac;
                return Ok(Opened { drivers, mac, mode: *mode, listen });
            }
            // Another mode may be had where this one is not.
            Err(Attempt::NotThisMode(error)) => refused = Some(error),
            Err(Attempt::Failed(error)) => return Err(error),
        }
    }
    let interface = setup.interface.clone();
    let source = refused.expect("at least one mode was tried");
    Err(AfXdpError::Mode { interface, mode: setup.mode, source })
}

/// Tries again while something is in use: the kernel takes a moment to let go of what a process
/// that just ended had.
fn while_busy<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy && started.elapsed() < LET_GO => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// How an attempt at a mode ended.
enum Attempt {
    NotThisMode(io::Error),
    Failed(AfXdpError),
}

impl From<AfXdpError> for Attempt {
    fn from(error: AfXdpError) -> Attempt {
        Attempt::Failed(error)
    }
}

fn check(setup: &AfXdpSetup, interface: &Interface) -> Result<(), AfXdpError> {
    let name = setup.interface.clone();
    if let Some(queue) = setup.queues.iter().find(|queue| **queue >= interface.queues) {
        let queues = interface.queues;
        return Err(AfXdpError::NoQueue { interface: name, queue: *queue, queues });
    }
    let strange = setup.listen.iter().find(|at| !interface.addresses.contains(&at.ip()));
    if let Some(at) = strange {
        let has = interface.addresses.clone();
        return Err(AfXdpError::Address { address: at.ip(), interface: name, has });
    }
    let most = setup.frame_bytes as usize - HEADROOM - LINK_BYTES_MAX;
    if interface.mtu > most {
        let remedy = if setup.frame_bytes < 4096 && interface.mtu <= most + 2048 {
            "set it to 4096"
        } else {
            "lower the MTU (ip link set ... mtu 3498)"
        };
        let (mtu, frame_bytes) = (interface.mtu, setup.frame_bytes);
        return Err(AfXdpError::Mtu { interface: name, mtu, frame_bytes, most, remedy });
    }
    Ok(())
}

fn bind_all(
    setup: &AfXdpSetup,
    interface: &Interface,
    sockets: &SocketMap,
    mode: Mode,
    memory: &mut impl FnMut(usize) -> Box<dyn FrameMemory>,
    steering: &Arc<Steering>,
) -> Result<Vec<AfXdp>, Attempt> {
    let mut drivers = Vec::with_capacity(setup.queues.len());
    for queue in &setup.queues {
        let memory = memory(setup.memory_bytes());
        let driver = bind(setup, interface, *queue, mode, memory, steering.clone())?;
        let insert = system(format!("steer queue {queue} to its socket"));
        sockets.insert(*queue, &driver.socket).map_err(insert)?;
        drivers.push(driver);
    }
    Ok(drivers)
}

fn attach(
    setup: &AfXdpSetup,
    interface: &Interface,
    program: &Program,
    mode: Mode,
) -> Result<Link, Attempt> {
    let flags = if mode == Mode::Generic { bpf::GENERIC } else { bpf::NATIVE };
    let attached = while_busy(|| program.attach(interface.index, flags));
    attached.map_err(|error| match error.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => {
            AfXdpError::InterfaceBusy { interface: setup.interface.clone() }.into()
        }
        Some(libc::EPERM) => {
            let what = "attach the steering program";
            AfXdpError::Privilege { capability: "CAP_NET_ADMIN", what }.into()
        }
        _ => Attempt::NotThisMode(error),
    })
}

/// A socket with its rings, bound to a queue.
fn bind(
    setup: &AfXdpSetup,
    interface: &Interface,
    queue: u32,
    mode: Mode,
    memory: Box<dyn FrameMemory>,
    steering: Arc<Steering>,
) -> Result<AfXdp, Attempt> {
    let socket = Socket::open().map_err(privilege(
        "CAP_NET_RAW",
        "open its sockets",
        "open an AF_XDP socket".to_owned(),
    ))?;
    let bytes = memory.len();
    let mut umem = Umem::new(memory, setup.frame_bytes);
    socket.register(umem.memory().base(), bytes, setup.frame_bytes).map_err(|source| {
        if source.raw_os_error() == Some(libc::ENOBUFS) {
            return AfXdpError::Memlock { bytes, limit: memlock_limit() };
        }
        system(format!("lend the kernel {bytes} bytes for frames"))(source)
    })?;
    let ring = |kind, entries| {
        let made = socket.ring(kind, entries);
        made.map_err(system(format!("make a ring of {entries} frames")))
    };
    let frames = setup.ring_frames;
    // The kernel hands a frame over before it says that it took it from the fill ring
    // (xsk_flush in net/xdp/xsk.c): with room for all of them twice, one can always go back.
    let (mapping, layout) = ring(Kind::Fill, 2 * frames)?;
    let mut fill = Writer::new(mapping, layout, 2 * frames);
    let (mapping, layout) = ring(Kind::Completion, frames)?;
    let completion = Reader::new(mapping, layout, frames);
    let (mapping, layout) = ring(Kind::Receive, frames)?;
    let receive = Reader::new(mapping, layout, frames);
    let (mapping, layout) = ring(Kind::Transmit, frames)?;
    let transmit = Writer::new(mapping, layout, frames);
    for frame in umem.share_out(frames) {
        fill.write(frame);
    }
    fill.publish();
    let copies = if mode == Mode::ZeroCopy { libc::XDP_ZEROCOPY } else { libc::XDP_COPY };
    let flags = copies | libc::XDP_USE_NEED_WAKEUP;
    let bound = while_busy(|| socket.bind(interface.index, queue, flags));
    bound.map_err(|error| match error.raw_os_error() {
        Some(libc::EBUSY) => {
            let interface = setup.interface.clone();
            AfXdpError::QueueBusy { interface, queue }.into()
        }
        _ => Attempt::NotThisMode(error),
    })?;
    if setup.busy_poll {
        let polled = socket.busy_poll(BUSY_POLL_US, BUSY_POLL_FRAMES);
        polled.map_err(privilege(
            "CAP_NET_ADMIN",
            "busy-poll the device",
            "busy-poll the device".to_owned(),
        ))?;
    }
    Ok(AfXdp {
        receive,
        fill,
        transmit,
        completion,
        socket,
        umem,
        busy_poll: setup.busy_poll,
        mtu: interface.mtu,
        retry_ns: None,
        counts: Counts::default(),
        _steering: steering,
    })
}

/// EPERM told as the privilege that is missing.
fn privilege(
    capability: &'static str,
    what: &'static str,
    tried: String,
) -> impl FnOnce(io::Error) -> AfXdpError {
    move |error| match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => AfXdpError::Privilege { capability, what },
        _ => system(tried)(error),
    }
}

/// Bytes this process may lock.
fn memlock_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) };
    limit.rlim_cur
}
