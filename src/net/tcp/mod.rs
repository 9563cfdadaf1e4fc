//! TCP over frames: a [`Transport`] on top of any [`FrameDriver`].
//!
//! Written for few long connections, small messages both ways and rare loss; peers open, this side
//! only accepts. Nothing here does I/O or reads a clock: frames and the time come in.
//!
//! In front stands admission, which remembers nothing of a peer until it has proved that it
//! receives what is sent to it (`admission.rs`, `cookie.rs`). Behind it a segment finds its connection
//! by its 4-tuple (`table.rs`); `conn.rs` knows the states, `receiver.rs` what comes in, `sender.rs`
//! what goes out, with what is on its way in `sent.rs`, how long that takes in `rtt.rs` and how much of
//! it there may be in `congestion.rs`; `output.rs` writes segments, `deliver.rs` hands bytes over. A
//! connection is woken by its deadline (`timers.rs`), so that a frame costs the same with ten
//! connections and with ten thousand. All memory is taken at the start.

mod admission;
mod congestion;
mod conn;
mod cookie;
mod deliver;
mod output;
mod receiver;
mod rtt;
mod sender;
mod sent;
mod sequence;
mod stack;
mod table;
mod timers;

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::frames::{FrameDriver, STATISTICS};
use super::{COUNTERS, Close, ConnId, Counts, Handler, Look, Transport};
use conn::{Phase, Sizes};
use deliver::Sink;
use stack::Stack;

/// The least that a connection can receive ahead.
const RECEIVE_BYTES_MIN: usize = 2048;
/// And the most.
const RECEIVE_BYTES_MAX: usize = 1 << 20;

/// Places that connections which nobody logged in on give way to keep free.
const PLACES_KEPT: usize = 16;

/// What a TCP transport is sized by.
#[derive(Clone, Debug)]
pub struct TcpSetup {
    /// Where it listens, in order.
    pub listen: Vec<SocketAddr>,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes received and not yet taken, for each connection: the window it offers.
    pub receive_bytes: usize,
    /// Bytes given to send and not yet acknowledged, for each connection.
    pub transmit_bytes: usize,
    /// The least retransmission time-out in microseconds.
    pub rto_min_us: u32,
}

/// TCP over the frames of a driver.
pub struct TcpTransport<D> {
    driver: D,
    stack: Stack,
    driver_counts: [u64; STATISTICS.len()],
}

impl<D: FrameDriver> TcpTransport<D> {
    /// Listens. Every buffer is allocated here.
    pub fn new(driver: D, setup: &TcpSetup) -> TcpTransport<D> {
        let capabilities = driver.capabilities();
        let sizes = Sizes {
            receive: setup.receive_bytes.clamp(RECEIVE_BYTES_MIN, RECEIVE_BYTES_MAX),
            transmit: setup.transmit_bytes.max(1024),
            mtu: capabilities.mtu,
            rto_min_us: setup.rto_min_us,
        };
        let stack = Stack::new(&setup.listen, setup.connections_max, sizes, capabilities);
        TcpTransport { driver, stack, driver_counts: [0; STATISTICS.len()] }
    }

    /// The driver.
    pub fn driver(&mut self) -> &mut D {
        &mut self.driver
    }

    /// Connections that are not free, those that are ending included.
    pub fn connections(&self) -> usize {
        self.stack.connections()
    }

    /// The earliest time at which something is due without a frame coming in.
    pub fn next_due_ns(&self) -> Option<u64> {
        self.stack.next_due_ns()
    }
}

impl<D: FrameDriver> Transport for TcpTransport<D> {
    fn poll(&mut self, handler: &mut impl Handler, budget: usize, now_ns: u64) -> usize {
        let TcpTransport { driver, stack, .. } = self;
        stack.set_time(now_ns);
        // Some places are kept for who comes next, at the cost of who came and said nothing.
        while stack.free.len() < PLACES_KEPT.min(stack.conns.len() / 8)
            && let Some(id) = handler.make_room()
        {
            handler.closed(id);
            stack.evict(id);
        }
        let mut sink = Sink::new(handler, budget);
        let frames = driver.receive(now_ns, |frame| stack.receive(frame, &mut sink));
        stack.wake_due();
        frames + stack.deliver(&mut sink)
    }

    fn send(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        self.stack.send(id, bytes)
    }

    fn flush(&mut self, now_ns: u64) {
        self.stack.flush(&mut self.driver);
        self.driver.flush(now_ns);
    }

    fn frame(&mut self, frame: &[u8]) -> bool {
        let room = self.driver.room() > 0;
        if room {
            self.driver.transmit(frame.len(), |place| place.copy_from_slice(frame));
        }
        room
    }

    fn close(&mut self, id: ConnId) {
        self.stack.close(id);
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        self.driver.wakes_by()
    }

    fn idle_us(&mut self) -> u32 {
        self.stack.idle_us().min(self.driver.idle_us())
    }

    fn connections_max(&self) -> usize {
        self.stack.conns.len()
    }

    fn closing(&mut self) -> usize {
        self.stack.conns.iter().filter(|conn| conn.phase == Phase::Closing).count()
    }

    fn look(&mut self, id: ConnId) -> Option<Look> {
        self.stack.open_conn(id).map(|conn| conn.look())
    }

    fn counts(&mut self) -> Counts {
        let mut counts = [0; COUNTERS.len()];
        let own = self.stack.counts.in_order();
        counts[..own.len()].copy_from_slice(&own);
        self.driver_counts = self.driver.statistics();
        counts[own.len()..].copy_from_slice(&self.driver_counts);
        counts
    }
}
