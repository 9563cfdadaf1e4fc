//! What TCP over frames costs the gateway's core for one order, with no wire: the server's turn
//! (a frame in, the bytes handed over, the answer written into a frame) with 10 connections and
//! with 1,000, of which all but one are idle; and what of it is the copy through the socket's
//! buffers.
//! `cargo bench --bench tcp`

#[path = "../tests/tcp_over_frames/peer.rs"]
mod peer;

use std::time::Instant;

use millrace::net::frames::pipe::{Pipe, pair};
use millrace::net::packet::flags::{ACK, PSH, SYN};
use millrace::net::packet::parse;
use millrace::net::tcp::{TcpSetup, TcpTransport};
use millrace::net::{Close, ConnId, Handler, Transport};
use peer::{Peer, SERVER, send};

const ORDERS: u32 = 20_000;
const RUNS: usize = 15;
const ORDER_BYTES: usize = 52;
const ANSWER: [u8; 67] = [7; 67];

/// Answers every order.
#[derive(Default)]
struct Answers {
    to: Vec<ConnId>,
    taken: u64,
}

impl Handler for Answers {
    fn opened(&mut self, _: ConnId, _: usize, _: std::net::IpAddr) {}

    fn received(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        for order in bytes.chunks_exact(ORDER_BYTES) {
            self.taken += u64::from(order[0]);
            self.to.push(conn);
        }
        Ok(bytes.len() / ORDER_BYTES * ORDER_BYTES)
    }

    fn writable(&mut self, _: ConnId) {}

    fn closed(&mut self, _: ConnId) {}
}

struct Server {
    transport: TcpTransport<Pipe>,
    answers: Answers,
    pipe: Pipe,
    now_ns: u64,
}

impl Server {
    fn new(connections: u16) -> (Server, Peer) {
        let (near, pipe) = pair(1 << 14, 1500);
        let setup = TcpSetup {
            listen: vec![std::net::SocketAddrV4::new(SERVER.0, SERVER.1)],
            connections_max: usize::from(connections),
            receive_bytes: 16 << 10,
            transmit_bytes: 32 << 10,
            rto_min_us: 1000,
        };
        let mut server = Server {
            transport: TcpTransport::new(near, &setup),
            answers: Answers::default(),
            pipe,
            now_ns: 1_000_000_000,
        };
        let peers: Vec<Peer> = (0..connections).map(|n| server.connect(1000 + n)).collect();
        (server, peers.into_iter().next().expect("at least one"))
    }

    fn connect(&mut self, port: u16) -> Peer {
        let mut peer = Peer::new(port);
        let syn = peer.frame(SYN, b"");
        send(&mut self.pipe, &syn);
        self.turn();
        peer.take(self.pipe.take().expect("a SYN-ACK"));
        let ack = peer.frame(ACK, b"");
        send(&mut self.pipe, &ack);
        self.turn();
        peer
    }

    fn turn(&mut self) {
        self.now_ns += 10_000;
        self.transport.poll(&mut self.answers, 1 << 16, self.now_ns);
        while let Some(conn) = self.answers.to.pop() {
            assert_eq!(self.transport.send(conn, &ANSWER), Ok(ANSWER.len()));
        }
        self.transport.flush(self.now_ns);
    }

    /// Mean nanoseconds of the server's turn for an order.
    fn measure(&mut self, peer: &mut Peer) -> f64 {
        let mut total_ns = 0;
        for n in 0..ORDERS {
            let order = peer.frame(ACK | PSH, &[n as u8; ORDER_BYTES]);
            send(&mut self.pipe, &order);
            let started = Instant::now();
            self.turn();
            total_ns += started.elapsed().as_nanos() as u64;
            let got = peer.take(self.pipe.take().expect("an answer"));
            assert_eq!(got.payload(), ANSWER);
        }
        total_ns as f64 / f64::from(ORDERS)
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Finding and checking a segment, and handing its bytes over where they lie in the frame: what
/// would be left if no socket's buffer stood between.
fn in_place() -> f64 {
    let mut peer = Peer::new(1);
    let frame = peer.frame(ACK | PSH, &[1; ORDER_BYTES]);
    let mut taken = 0;
    let started = Instant::now();
    for _ in 0..ORDERS {
        let frame = std::hint::black_box(&frame);
        let segment = parse(frame).expect("a whole segment");
        assert!(segment.checksums_are_right(frame));
        taken += frame[segment.payload..segment.end].iter().map(|b| u64::from(*b)).sum::<u64>();
    }
    std::hint::black_box(taken);
    started.elapsed().as_nanos() as f64 / f64::from(ORDERS)
}

/// Through a ring of bytes and out again, as the socket's buffer has it.
fn buffered() -> f64 {
    let mut buffer = vec![0u8; 16 << 10];
    let mut at = 0;
    let order = [1u8; ORDER_BYTES];
    let mut taken = 0;
    let started = Instant::now();
    for _ in 0..ORDERS {
        let order = std::hint::black_box(&order);
        let end = at + ORDER_BYTES;
        if end > buffer.len() {
            at = 0;
            continue;
        }
        buffer[at..end].copy_from_slice(order);
        taken += u64::from(std::hint::black_box(&buffer[at..end])[0]);
        at = end;
    }
    std::hint::black_box(taken);
    started.elapsed().as_nanos() as f64 / f64::from(ORDERS)
}

fn main() {
    let mut results = [vec![], vec![], vec![], vec![]];
    let (mut few, mut few_peer) = Server::new(10);
    let (mut many, mut many_peer) = Server::new(1000);
    for _ in 0..RUNS {
        results[0].push(few.measure(&mut few_peer));
        results[1].push(many.measure(&mut many_peer));
        results[2].push(in_place());
        results[3].push(buffered());
    }
    let [few, many, in_place, buffered] = results.map(|mut values| median(&mut values));
    println!("server time for an order, medians of {RUNS} runs in turn, {ORDERS} orders each");
    println!("  10 connections, 9 idle        {few:>6.0} ns");
    println!("  1000 connections, 999 idle    {many:>6.0} ns   {:.2} (mark 1.10)", many / few);
    println!("  of it: found, checked, handed over where it lies   {in_place:>5.0} ns");
    println!("  the copy through the socket's buffer               {buffered:>5.0} ns");
}
