//! One connection: a smoltcp interface of its own with one socket in its set, so that a segment
//! costs the same however many connections there are.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr};

use super::super::frames::FrameDriver;
use super::super::packet::write::{BARE_BYTES_MAX, Bare, bare};
use super::super::packet::{Link, Segment, Tuple, flags};
use super::device::{Answer, Egress, Ingress, Numbers, sequence_number};

/// How long an acknowledgment waits for data to go with.
const ACK_DELAY: Duration = Duration::from_millis(5);
/// How long a connection may take to open, and one that this side closed to end, before it is
/// reset.
const LINGER_US: u64 = 10_000_000;
/// Packets sent for one connection in one turn.
const PACKETS_MAX: usize = 64;

/// What a connection is to the handler above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nobody's.
    Free,
    /// Open, and the handler has yet to be told.
    New,
    /// The handler's.
    Open,
    /// No longer the handler's: TCP is still bringing it to an end.
    Closing,
}

/// Bytes a connection can hold each way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffers {
    pub receive: usize,
    pub transmit: usize,
}

pub(super) struct Conn {
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    pub tuple: Tuple,
    pub link: Link,
    /// Place of the port among those listened to.
    pub port: usize,
    pub phase: Phase,
    pub generation: u32,
    /// On the list of connections with something to tell the handler.
    pub touched: bool,
    /// On the list of connections with something to send.
    pub pending: bool,
    /// Took less than it was given: the handler waits to hear that there is room.
    pub blocked: bool,
    /// In TIME-WAIT, and on the list of those.
    pub waits: bool,
    /// When a connection that does not open or end is reset.
    linger_until_us: Option<u64>,
    pub numbers: Numbers,
    /// The peer's initial sequence number, and the bytes taken since.
    irs: u32,
    taken: u32,
    mtu: usize,
}

fn instant(now_us: u64) -> Instant {
    Instant::from_micros(now_us as i64)
}

/// An interface that has one address.
fn interface(address: Ipv4Addr, mtu: usize, now: Instant) -> Interface {
    let mut answer = Answer::new();
    let mut numbers = Numbers::default();
    let mut device = Ingress { packet: None, answer: &mut answer, numbers: &mut numbers, mtu };
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, now);
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(address.into(), 32)).expect("the first of at least one");
    });
    interface
}

impl Conn {
    /// A free connection with buffers of its own.
    pub fn new(buffers: Buffers, mtu: usize) -> Conn {
        let buffer = |bytes| SocketBuffer::new(vec![0; bytes]);
        let mut socket = Socket::new(buffer(buffers.receive), buffer(buffers.transmit));
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(ACK_DELAY));
        socket.set_congestion_control(CongestionControl::Reno);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        Conn {
            interface: interface(Ipv4Addr::UNSPECIFIED, mtu, Instant::ZERO),
            sockets,
            socket,
            tuple: Tuple { remote: (Ipv4Addr::UNSPECIFIED, 0), local: (Ipv4Addr::UNSPECIFIED, 0) },
            link: Link::EMPTY,
            port: 0,
            phase: Phase::Free,
            generation: 0,
            touched: false,
            pending: false,
            blocked: false,
            waits: false,
            linger_until_us: None,
            numbers: Numbers::default(),
            irs: 0,
            taken: 0,
            mtu,
        }
    }

    pub fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    pub fn state(&mut self) -> State {
        self.socket().state()
    }

    /// Begins a connection whose peer has acknowledged the SYN-ACK that was sent for it:
    /// smoltcp is shown the SYN, and what it answers tells where its sequence numbers begin.
    pub fn open(&mut self, segment: &Segment, link: Link, port: usize, mss: u16, now_us: u64) {
        let (irs, isn) = (segment.seq.wrapping_sub(1), segment.ack.wrapping_sub(1));
        self.tuple = segment.tuple;
        self.link = link;
        self.port = port;
        (self.phase, self.irs, self.taken) = (Phase::New, irs, 0);
        self.numbers = Numbers::default();
        (self.blocked, self.waits) = (false, false);
        self.linger_until_us = Some(now_us + LINGER_US);
        let local = segment.tuple.local;
        self.interface = interface(local.0, self.mtu, instant(now_us));
        let socket = self.sockets.get_mut::<Socket<'static>>(self.socket);
        // Leaves no trace of the connection before: smoltcp resets on a listen from Closed.
        socket.abort();
        socket.set_congestion_control(CongestionControl::Reno);
        socket.listen(SocketAddrV4::new(local.0, local.1)).expect("a closed socket and a port");

        let mut frame = [0; BARE_BYTES_MAX];
        let swapped = Tuple { remote: segment.tuple.local, local: segment.tuple.remote };
        let syn = Bare {
            tuple: swapped,
            seq: irs,
            ack: 0,
            flags: flags::SYN,
            window: u16::MAX,
            mss: Some(mss),
        };
        let length = bare(&Link::EMPTY, &syn, &mut frame);
        let packet = &frame[Link::EMPTY.bytes().len()..length];
        let mut none = Answer::new();
        self.process(packet, &mut none, now_us);
        // The SYN-ACK goes nowhere, the peer has it already: its number is what is wanted.
        let (mut syn_ack, mtu, numbers) = (Answer::new(), self.mtu, &mut self.numbers);
        let mut device = Ingress { packet: None, answer: &mut syn_ack, numbers, mtu };
        self.interface.poll_egress(instant(now_us), &mut device, &mut self.sockets);
        let begun_at = syn_ack.take().map_or(0, sequence_number);
        self.numbers = Numbers { delta: isn.wrapping_sub(begun_at), next: isn.wrapping_add(1) };
    }

    /// The handler's from now on.
    pub fn begin(&mut self) {
        self.phase = Phase::Open;
        self.linger_until_us = None;
    }

    /// Bytes that the handler took where they lay.
    #[inline]
    pub fn count_taken(&mut self, count: usize) {
        self.taken = self.taken.wrapping_add(count as u32);
    }

    /// The sequence number expected from the peer next.
    pub fn expected(&mut self) -> u32 {
        use State::{CloseWait, Closing, LastAck, TimeWait};
        let fin = matches!(self.state(), CloseWait | Closing | LastAck | TimeWait);
        let queued = self.socket().recv_queue() as u32;
        self.irs.wrapping_add(1 + queued + u32::from(fin)).wrapping_add(self.taken)
    }

    /// Takes a segment in. What must be answered at once is left in `answer`.
    #[inline]
    pub fn receive(
        &mut self,
        segment: &Segment,
        frame: &mut [u8],
        answer: &mut Answer,
        now_us: u64,
    ) {
        let ack = segment.ack.wrapping_sub(self.numbers.delta);
        frame[segment.tcp + 8..segment.tcp + 12].copy_from_slice(&ack.to_be_bytes());
        self.process(&frame[segment.ip..segment.end], answer, now_us);
    }

    fn process(&mut self, packet: &[u8], answer: &mut Answer, now_us: u64) {
        let (numbers, mtu) = (&mut self.numbers, self.mtu);
        let mut device = Ingress { packet: Some(packet), answer, numbers, mtu };
        self.interface.poll_ingress_single(instant(now_us), &mut device, &mut self.sockets);
    }

    /// Sends what is to be sent now, as far as the driver has room.
    #[inline]
    pub fn send(&mut self, driver: &mut impl FrameDriver, now_us: u64) {
        let fills_checksums = driver.capabilities().fills_checksums;
        for _ in 0..PACKETS_MAX {
            let mut device = Egress {
                driver,
                link: &self.link,
                numbers: &mut self.numbers,
                mtu: self.mtu,
                fills_checksums,
            };
            let now = instant(now_us);
            let result = self.interface.poll_egress(now, &mut device, &mut self.sockets);
            // What is not acknowledged fits one packet, so there is no second to send.
            let queue = self.sockets.get::<Socket<'_>>(self.socket).send_queue();
            if result == PollResult::None || queue < 500 {
                break;
            }
        }
    }

    /// When the connection wants to send something next.
    #[inline]
    pub fn deadline_us(&mut self, now_us: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now_us), &self.sockets);
        let at = at.map(|at| at.total_micros().max(0) as u64);
        match (at, self.linger_until_us) {
            (Some(at), Some(linger)) => Some(at.min(linger)),
            (at, linger) => at.or(linger),
        }
    }

    /// Drops `count` received bytes that were taken where they lay.
    pub fn take(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            // What wraps round the buffer's end goes in two pieces.
            let taken = self.socket().recv(|bytes| (bytes.len().min(left), bytes.len().min(left)));
            match taken {
                Ok(taken) if taken > 0 => left -= taken,
                _ => break,
            }
        }
        self.count_taken(count - left);
    }

    /// Drops whatever was received.
    pub fn discard(&mut self) {
        let queue = self.socket().recv_queue();
        self.take(queue);
    }

    /// Closes: what was given to send still goes, then a FIN.
    pub fn close(&mut self, now_us: u64) {
        self.phase = Phase::Closing;
        self.linger_until_us = Some(now_us + LINGER_US);
        self.socket().close();
    }

    /// Resets.
    pub fn abort(&mut self) {
        self.phase = Phase::Closing;
        self.linger_until_us = None;
        self.discard();
        self.socket().abort();
    }

    /// Resets a connection that took too long.
    pub fn end_linger(&mut self, now_us: u64) -> bool {
        let over = self.linger_until_us.is_some_and(|until| until <= now_us);
        if over {
            self.linger_until_us = None;
            self.socket().abort();
        }
        over
    }
}
