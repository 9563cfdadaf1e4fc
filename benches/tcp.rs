//! What TCP over frames costs the gateway's core for one order, with no wire: the server's turn
//! (a frame in, the bytes handed over, the answer written into a frame) with 10 connections and
//! with 10,000, of which all but one are idle; and how much of it is TCP: what is left when an echo on
//! the same driver, which finds and checks the segment and writes the answer's, is taken away.
//! `cargo bench --bench tcp`

#[path = "../tests/tcp_over_frames/peer.rs"]
mod peer;

use std::time::Instant;

use millrace::net::frames::FrameDriver;
use millrace::net::frames::pipe::{Pipe, pair};
use millrace::net::packet::flags::{ACK, PSH, SYN};
use millrace::net::packet::write::Head;
use millrace::net::packet::{Link, parse};
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
            listen: vec![SERVER],
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
        let mut peer = Peer::modern(port);
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

/// An echo on the same driver: it finds and checks the segment, and writes one back.
struct Echo {
    near: Pipe,
    pipe: Pipe,
    taken: u64,
}

impl Echo {
    fn turn(&mut self) {
        let Echo { near, taken, .. } = self;
        let mut back = None;
        near.receive(0, |frame| {
            let segment = parse(frame).expect("a whole segment");
            assert!(segment.checksums_are_right(frame));
            *taken += u64::from(frame[segment.payload]);
            back = Some((Link::answering(&frame[..segment.ip]), segment));
        });
        let Some((link, segment)) = back else { return };
        let (tuple, seq, ack) = (&segment.tuple, segment.ack, segment.seq);
        let (link, flags, window, options) = (&link, ACK | PSH, 500, &[][..]);
        let head = Head { link, tuple, seq, ack, flags, window, options };
        near.transmit(head.frame_bytes(ANSWER.len()), |frame| {
            head.write(frame, true, |payload| payload.copy_from_slice(&ANSWER));
        });
        near.flush(0);
    }

    fn measure(&mut self, peer: &mut Peer) -> f64 {
        let mut total_ns = 0;
        for n in 0..ORDERS {
            let order = peer.frame_at(1, 1, ACK | PSH, &[n as u8; ORDER_BYTES]);
            send(&mut self.pipe, &order);
            let started = Instant::now();
            self.turn();
            total_ns += started.elapsed().as_nanos() as u64;
            self.pipe.take().expect("an answer");
        }
        total_ns as f64 / f64::from(ORDERS)
    }
}

fn main() {
    let mut results = [vec![], vec![], vec![]];
    let (mut few, mut few_peer) = Server::new(10);
    let (mut many, mut many_peer) = Server::new(10_000);
    let (near, pipe) = pair(1 << 14, 1500);
    let (mut echo, mut echo_peer) = (Echo { near, pipe, taken: 0 }, Peer::modern(1));
    for _ in 0..RUNS {
        results[0].push(few.measure(&mut few_peer));
        results[1].push(many.measure(&mut many_peer));
        results[2].push(echo.measure(&mut echo_peer));
    }
    std::hint::black_box((few.answers.taken, many.answers.taken, echo.taken));
    let [few, many, echo] = results.map(|mut values| median(&mut values));
    println!("server time for an order, medians of {RUNS} runs in turn, {ORDERS} orders each");
    println!("  echo on the same driver           {echo:>6.0} ns");
    println!("  10 connections, 9 idle            {few:>6.0} ns");
    println!("  10,000 connections, 9,999 idle    {many:>6.0} ns   {:.2} (mark 1.10)", many / few);
    println!("  TCP's share of it                 {:>6.0} ns   (mark 100)", few - echo);
}
