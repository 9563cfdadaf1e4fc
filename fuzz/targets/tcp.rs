//! The whole TCP path, as a sequence of segments of three peers, sent in any order, bent in any
//! way, with time passing between them.
//!
//! Every peer's stream has one byte that is right at each place, whatever segment brings it, so
//! what the server echoes can be checked whatever happened before. And whatever happened, the
//! server takes a newcomer afterwards.

#[path = "../../tests/tcp_over_frames/peer.rs"]
mod peer;
#[path = "../../tests/tcp_over_frames/server.rs"]
mod server;

use millrace::net::Transport;
use millrace::net::frames::pipe::{Pipe, pair};
use millrace::net::packet::{Blocks, flags, parse};

use self::peer::{Peer, send};
use self::server::{RECORD_BYTES, Server};
use super::Input;

const MS: u64 = 1_000_000;
const PEERS: usize = 3;
/// More than any input sends on one stream.
const STREAM_BYTES: u32 = 1 << 20;

fn right_byte(place: u32) -> u8 {
    (place.wrapping_mul(31) >> 2) as u8
}

struct Wire {
    server: Server<Pipe>,
    pipe: Pipe,
    now_ns: u64,
    peers: [Peer; PEERS],
    /// Where each peer's stream begins, and the server's to it.
    begins: [(u32, u32); PEERS],
    /// What the server sent each last.
    last: [Option<Vec<u8>>; PEERS],
}

impl Wire {
    fn new() -> Wire {
        let (near, pipe) = pair(1 << 12, 1500);
        // One that offers nothing, one that offers all, one that takes crumbs.
        let mut peers = [Peer::new(1001), Peer::modern(1002).over_ipv6(), Peer::modern(1003)];
        (peers[2].mss, peers[2].clock) = (10, None);
        let begins = [0, 1, 2].map(|n: usize| (peers[n].seq.wrapping_add(1), 0));
        let mut server = Server::new(near, PEERS);
        server.echo.poison = Some(0xee);
        Wire { server, pipe, now_ns: 1 << 40, peers, begins, last: [const { None }; PEERS] }
    }

    fn turn(&mut self) {
        self.server.turn(self.now_ns);
        while let Some(frame) = self.pipe.take() {
            self.check(frame);
        }
    }

    /// What the server sends is well formed, and echoes what belongs there.
    fn check(&mut self, frame: Vec<u8>) {
        let segment = parse(&frame).expect("the server sends whole segments");
        assert!(segment.checksums_are_right(&frame), "with right checksums");
        // A bent frame may have come from somewhere else.
        let to = |peer: &Peer| frame[..6] == peer.mac && segment.tuple.local == peer.end();
        let Some(n) = self.peers.iter().position(to) else { return };
        let syn = segment.has(flags::SYN);
        if syn {
            self.begins[n].1 = segment.seq.wrapping_add(1);
        }
        let place = segment.seq.wrapping_sub(self.begins[n].1);
        self.last[n] = Some(frame.clone());
        let got = self.peers[n].take(frame);
        if !syn && place < STREAM_BYTES {
            for (at, byte) in got.payload().iter().enumerate() {
                assert_eq!(*byte, right_byte(place + at as u32), "byte {at} at {place}");
            }
        }
    }

    /// A segment of a peer's with the right bytes for its place.
    fn segment(&self, n: usize, seq: u32, ack: u32, flags: u8, length: usize) -> Vec<u8> {
        let place = seq.wrapping_sub(self.begins[n].0);
        let bytes = (0..length as u32).map(|at| right_byte(place.wrapping_add(at)));
        self.peers[n].frame_at(seq, ack, flags, &bytes.collect::<Vec<_>>())
    }

    fn connect(&mut self, n: usize) {
        let begin = self.begins[n].0;
        let syn = self.peers[n].frame_at(begin.wrapping_sub(1), 0, flags::SYN, b"");
        send(&mut self.pipe, &syn);
        self.turn();
        self.peers[n].seq = begin;
        let ack = self.peers[n].frame(flags::ACK, b"");
        send(&mut self.pipe, &ack);
        self.turn();
    }

    fn data(&mut self, n: usize, length: usize) {
        let (seq, ack) = (self.peers[n].seq, self.peers[n].ack);
        let frame = self.segment(n, seq, ack, flags::ACK | flags::PSH, length);
        self.peers[n].seq = seq.wrapping_add(length as u32);
        send(&mut self.pipe, &frame);
        self.turn();
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let op = input.byte();
        let n = usize::from(op >> 4) % PEERS;
        let (seq, ack) = (self.peers[n].seq, self.peers[n].ack);
        match op & 0x0f {
            0 | 1 => self.connect(n),
            2..=4 => self.data(n, input.byte().into()),
            5 => self.data(n, RECORD_BYTES),
            // Anything near where the stream is.
            6 | 7 => {
                let seq = seq.wrapping_add_signed((input.half() as i16).into());
                let ack = ack.wrapping_add_signed((input.byte() as i8).into());
                let (bits, length) = (input.byte(), input.byte().into());
                // Another initial number would be another stream.
                let syn = bits & flags::SYN != 0;
                let seq = if syn { self.begins[n].0.wrapping_sub(1) } else { seq };
                self.peers[n].window = input.half();
                let frame = self.segment(n, seq, ack, bits & 0x3f, length);
                send(&mut self.pipe, &frame);
                self.turn();
            }
            // As it should be, but for one byte; checksums not mended.
            8 => {
                let mut frame = self.segment(n, seq, ack, flags::ACK, 20);
                let at = usize::from(input.byte()) % frame.len();
                frame[at] ^= input.byte();
                send(&mut self.pipe, &frame);
                self.turn();
            }
            9 => {
                let length = input.byte().into();
                let frame = input.bytes(length).to_vec();
                send(&mut self.pipe, &frame);
                self.turn();
            }
            10 => {
                let end = self.segment(n, seq, ack, flags::ACK | flags::FIN, 0);
                send(&mut self.pipe, &end);
                self.turn();
            }
            11 => {
                let end = self.segment(n, seq, ack, flags::RST, 0);
                send(&mut self.pipe, &end);
                self.turn();
            }
            12 if input.byte() & 1 == 0 => self.close_all(),
            // What it says it has, and its clock, whatever that is.
            12 => {
                self.peers[n].blocks = Blocks::default();
                for _ in 0..input.byte() % 5 {
                    let from = ack.wrapping_add_signed((input.half() as i16).into());
                    let to = from.wrapping_add_signed((input.half() as i16).into());
                    self.peers[n].blocks.push(from, to);
                }
                if let Some(clock) = &mut self.peers[n].clock {
                    *clock = clock.wrapping_add_signed((input.half() as i16).into());
                }
                let frame = self.segment(n, seq, ack, flags::ACK, 0);
                send(&mut self.pipe, &frame);
                self.turn();
            }
            // Two segments in one turn.
            13 => {
                let frames = [60, 0]
                    .map(|skip| self.segment(n, seq.wrapping_add(skip), ack, flags::ACK, 60));
                frames.iter().for_each(|frame| send(&mut self.pipe, frame));
                self.peers[n].seq = seq.wrapping_add(120);
                self.turn();
            }
            // A router says of something near what the server sent last that it was too long.
            14 if input.byte() & 1 == 0 => {
                let about = self.last[n].clone();
                if let Some(mut about) = about {
                    let at = 14 + if self.peers[n].ip.is_ipv4() { 24 } else { 44 };
                    about[at + 3] = about[at + 3].wrapping_add_signed(input.byte() as i8);
                    let told = self.peers[n].router(&about, input.half());
                    send(&mut self.pipe, &told);
                    self.turn();
                }
            }
            _ => self.pass(1 << (input.byte() % 16)),
        }
    }

    fn close_all(&mut self) {
        let open: Vec<_> = self.server.echo.open.drain().map(|(conn, _)| conn).collect();
        for conn in open {
            self.server.echo.closed += 1;
            self.server.transport.close(conn);
        }
        self.turn();
    }

    /// Time passes, in eight steps.
    fn pass(&mut self, ms: u64) {
        for _ in 0..8 {
            self.now_ns += ms * MS / 8;
            self.turn();
        }
    }
}

pub fn run(data: &[u8]) {
    let mut wire = Wire::new();
    let mut input = Input(data);
    while !input.is_empty() {
        wire.step(&mut input);
    }
    // Whatever happened, everything ends, and a newcomer is served.
    wire.close_all();
    wire.pass(200_000);
    wire.pass(200_000);
    assert_eq!(wire.server.echo.opened, wire.server.echo.closed, "every end is told");
    wire.peers[0] = Peer::new(2001);
    wire.begins[0] = (wire.peers[0].seq.wrapping_add(1), 0);
    wire.connect(0);
    wire.data(0, RECORD_BYTES);
    let answered = wire.peers[0].ack.wrapping_sub(wire.begins[0].1);
    assert_eq!(answered, RECORD_BYTES as u32, "a newcomer is answered");
}
