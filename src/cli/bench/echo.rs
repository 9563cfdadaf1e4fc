//! Floors: servers that send back what comes, and do nothing else.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use super::place::{Place, connect, on_core, pin, read};
use super::plan::{Figures, Measured, Plan, histogram};
use crate::client::playground::{ADDRESS, INTERFACE};
use crate::net::af_xdp::{self, AfXdp, AfXdpSetup, ModeWanted};
use crate::net::frames::{BURST, FrameDriver};
use crate::net::packet::write::Head;
use crate::net::packet::{
    Link, OPTIONS_BYTES_MAX, Options, complete_tcp, flags, host, mapped, parse,
};
use crate::segment::frame_memory;

/// Bytes of an Enter Order in its packet.
const ECHO_BYTES: usize = 52;
const PORT: u16 = 7009;

/// A server on a thread of its own, until dropped.
struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(core: usize, serve: impl FnOnce(&AtomicBool) + Send + 'static) -> Server {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            pin(core);
            serve(&told);
        });
        Server { stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().expect("taken here only").join();
    }
}

/// Sends a message and waits for its echo, one after the other, on a thread pinned to the
/// client's core.
fn round_trips(
    plan: &Plan,
    mut exchange: impl FnMut(&[u8; ECHO_BYTES], &mut [u8; ECHO_BYTES]) -> std::io::Result<()> + Send,
) -> Measured {
    let times_ns = on_core(plan.cores[1], || {
        let mut times_ns = histogram();
        let mut answer = [0; ECHO_BYTES];
        for n in 0..plan.warm_up() + plan.round_trips {
            let message = [n as u8; ECHO_BYTES];
            let started = Instant::now();
            exchange(&message, &mut answer)?;
            let elapsed = started.elapsed().as_nanos() as u64;
            if answer != message {
                return Err(std::io::Error::other("an echo that is none"));
            }
            if n >= plan.warm_up() {
                times_ns.saturating_record(elapsed);
            }
        }
        Ok(times_ns)
    })?;
    Ok(Figures { times_ns, driver_calls: None })
}

/// Kernel sockets at both ends, an order's packet there and back.
pub(super) fn kernel(plan: &Plan, place: &Place<'_>) -> Measured {
    let (_server, stream) = kernel_server(plan, place, |_, count| count)?;
    round_trips(plan, |message, answer| {
        (&stream).write_all(message)?;
        read(&stream, answer)
    })
}

/// Kernel sockets at both ends, requests and answers of these many bytes.
pub(super) fn sized(plan: &Plan, place: &Place<'_>, request: usize, answer: usize) -> Measured {
    let (_server, stream) = kernel_server(plan, place, move |seen, count| {
        *seen += count;
        let whole = *seen / request;
        *seen %= request;
        whole * answer
    })?;
    let times_ns = on_core(plan.cores[1], || -> std::io::Result<_> {
        let mut times_ns = histogram();
        let (message, mut answered) = (vec![7; request], vec![0; answer]);
        for n in 0..plan.warm_up() + plan.round_trips {
            let started = Instant::now();
            (&stream).write_all(&message)?;
            read(&stream, &mut answered)?;
            let elapsed = started.elapsed().as_nanos() as u64;
            if n >= plan.warm_up() {
                times_ns.saturating_record(elapsed);
            }
        }
        Ok(times_ns)
    })?;
    Ok(Figures { times_ns, driver_calls: None })
}

/// A spinning server that answers every read with as many bytes as `answer` says, given what it
/// remembers and how many came; and a client of it.
fn kernel_server(
    plan: &Plan,
    place: &Place<'_>,
    answer: impl Fn(&mut usize, usize) -> usize + Send + 'static,
) -> Result<(Server, TcpStream), Box<dyn std::error::Error>> {
    let ip = match place {
        Place::Loopback => "127.0.0.1",
        Place::Veth(_) => ADDRESS,
    };
    let listener = place.on_server(|| TcpListener::bind((ip, 0)))??;
    let to = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let server = Server::start(plan.cores[0], move |stop| {
        let mut buffer = [0; 4096];
        let mut seen = 0;
        let mut stream: Option<TcpStream> = None;
        while !stop.load(Ordering::Relaxed) {
            let Some(stream) = &mut stream else {
                stream = listener.accept().ok().map(|(stream, _)| stream);
                if let Some(stream) = &stream {
                    let _ = stream.set_nodelay(true);
                    let _ = stream.set_nonblocking(true);
                }
                continue;
            };
            match stream.read(&mut buffer) {
                Ok(count) => match answer(&mut seen, count) {
                    0 => {}
                    bytes => drop(stream.write_all(&buffer[..bytes])),
                },
                Err(_) => std::hint::spin_loop(),
            }
        }
    });
    let stream = place.on_client(|| connect(to))??;
    Ok((server, stream))
}

/// A driver that a floor is laid on, and the address it answers at.
pub(super) trait Floor {
    type Driver: FrameDriver + Send + 'static;
    const ADDRESS: &'static str;
    /// `protocol` is the IP protocol that is echoed.
    fn open(protocol: u8) -> Result<Self::Driver, Box<dyn std::error::Error>>;
}

pub(super) struct OnAfXdp;

impl Floor for OnAfXdp {
    type Driver = AfXdp;
    const ADDRESS: &'static str = ADDRESS;

    fn open(protocol: u8) -> Result<AfXdp, Box<dyn std::error::Error>> {
        let address: IpAddr = ADDRESS.parse()?;
        let setup = AfXdpSetup {
            interface: INTERFACE.to_owned(),
            queues: vec![0],
            mode: ModeWanted::Auto,
            busy_poll: false,
            frame_bytes: 2048,
            ring_frames: 2048,
            protocol,
            listen: vec![SocketAddr::new(address, PORT)],
        };
        let opened = af_xdp::open(&setup, frame_memory)?;
        Ok(opened.drivers.into_iter().next().ok_or("one queue was asked for")?)
    }
}

/// DPDK's driver for AF_XDP sockets.
#[cfg(feature = "dpdk")]
pub(super) struct OnDpdk;

#[cfg(feature = "dpdk")]
impl Floor for OnDpdk {
    type Driver = crate::net::dpdk::Dpdk;
    const ADDRESS: &'static str = crate::client::playground::OWN_ADDRESS;

    fn open(_protocol: u8) -> Result<Self::Driver, Box<dyn std::error::Error>> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(9_000);
        let device =
            format!("net_af_xdp{},iface={INTERFACE}", NEXT.fetch_add(1, Ordering::Relaxed));
        let setup = crate::net::dpdk::DpdkSetup {
            eal: ["--no-huge", "-m", "512"].map(str::to_owned).to_vec(),
            device,
            queues: 1,
            descriptors: 512,
            mbufs: 4095,
            frame_bytes: 2048,
            mtu: 0,
            checksums: crate::net::dpdk::Checksums::Auto,
            at_home: Arc::new(|| Ok(())),
        };
        let opened = crate::net::dpdk::open(&setup)?;
        Ok(opened.drivers.into_iter().next().ok_or("one queue was asked for")?)
    }
}

/// A server that makes the answer of each frame where it lies, and sends it.
fn answer_frames<F: Floor>(
    mut driver: F::Driver,
    core: usize,
    mut answer: impl FnMut(&mut Vec<u8>) + Send + 'static,
) -> Server {
    let mac = driver.capabilities().answers_as;
    let ours = |address| F::ADDRESS.parse().map(mapped) == Ok(address);
    Server::start(core, move |stop| {
        let mut frames: Vec<Vec<u8>> = (0..BURST).map(|_| Vec::with_capacity(2048)).collect();
        while !stop.load(Ordering::Relaxed) {
            let mut count = 0;
            driver.receive(0, |frame| {
                frames[count].clear();
                frames[count].extend_from_slice(frame);
                count += 1;
            });
            for frame in &mut frames[..count] {
                match mac.and_then(|mac| host::answer(frame, mac, ours)) {
                    Some(length) => frame.truncate(length),
                    None => answer(frame),
                }
                if !frame.is_empty() && driver.room() > 0 {
                    driver.transmit(frame.len(), |place| place.copy_from_slice(frame));
                }
            }
            if count > 0 {
                driver.flush(0);
            }
        }
    })
}

/// Datagrams turned round on the driver itself.
pub(super) fn udp<F: Floor>(plan: &Plan, place: &Place<'_>) -> Measured {
    let driver = place.on_server(|| F::open(17))??;
    let _server = answer_frames::<F>(driver, plan.cores[0], turn_round);
    let socket = place.on_client(|| UdpSocket::bind(("0.0.0.0", 0)))??;
    socket.connect((F::ADDRESS, PORT))?;
    socket.set_nonblocking(true)?;
    round_trips(plan, |message, answer| {
        socket.send(message)?;
        loop {
            match socket.recv(answer) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(e) => return Err(e),
            }
        }
    })
}

/// Swaps both ends of an Ethernet, IPv4 and UDP header; their checksums stay right.
fn turn_round(frame: &mut Vec<u8>) {
    const UDP: u8 = 17;
    if frame.len() < 42 || frame[23] != UDP {
        return frame.clear();
    }
    for (at, bytes) in [(0, 6), (26, 4), (34, 2)] {
        let (first, second) = frame[at..at + 2 * bytes].split_at_mut(bytes);
        first.swap_with_slice(second);
    }
}

/// Segments turned round on the driver itself: as much of TCP as one client needs that loses
/// nothing.
pub(super) fn tcp<F: Floor>(plan: &Plan, place: &Place<'_>) -> Measured {
    let driver = place.on_server(|| F::open(6))??;
    let _server = answer_frames::<F>(driver, plan.cores[0], answer_segment);
    let address: IpAddr = F::ADDRESS.parse()?;
    let stream = place.on_client(|| connect((address, PORT).into()))??;
    round_trips(plan, |message, answer| {
        (&stream).write_all(message)?;
        read(&stream, answer)
    })
}

/// The answer to a segment: SYN-ACK to a SYN, the same payload to one with payload, nothing to
/// a bare acknowledgment.
fn answer_segment(frame: &mut Vec<u8>) {
    let Ok(segment) = parse(frame).map_err(|_| frame.clear()) else { return };
    let ack = segment.seq.wrapping_add(segment.len());
    let (seq, kind) = match segment.flags & (flags::SYN | flags::FIN) {
        flags::SYN => (1, flags::SYN | flags::ACK),
        kind => (segment.ack, kind | flags::ACK),
    };
    if segment.is_empty() {
        return frame.clear();
    }
    let options = if kind & flags::SYN != 0 { Options::of_mss(1460) } else { Options::NONE };
    let mut bytes = [0; OPTIONS_BYTES_MAX];
    let count = options.write(&mut bytes);
    let options = &bytes[..count];
    let (link, tuple) = (&Link::answering(&frame[..segment.ip]), &segment.tuple);
    let head = Head { link, tuple, seq, ack, flags: kind, window: u16::MAX, options };
    let length = segment.end - segment.payload;
    let start = head.frame_bytes(0);
    frame.resize(frame.len().max(start + length), 0);
    frame.copy_within(segment.payload..segment.end, start);
    frame.truncate(start + length);
    // The payload is there already.
    head.write(frame, false, |_| {});
    complete_tcp(&mut frame[link.bytes().len()..]);
}
