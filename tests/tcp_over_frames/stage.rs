//! A server and a wire to it, on a clock that moves when told, for peers whose every segment is made by
//! hand.

use millrace::net::frames::pipe::{Pipe, pair};
use millrace::net::packet::flags::{ACK, SYN};

use super::peer::{Got, Peer, send};
use super::server::{RECORD_BYTES, Server};

pub const MS: u64 = 1_000_000;

/// A server and a wire to it, on a clock that moves when told.
pub struct Stage {
    pub server: Server<Pipe>,
    pub pipe: Pipe,
    pub now_ns: u64,
}

impl Stage {
    pub fn new(connections_max: usize) -> Stage {
        let (near, pipe) = pair(1 << 16, 1500);
        Stage { server: Server::new(near, connections_max), pipe, now_ns: 1_000_000 * MS }
    }

    pub fn turn(&mut self) {
        self.server.turn(self.now_ns);
    }

    /// Sends a frame, lets the server have a turn, and gives what it sent.
    pub fn ask(&mut self, peer: &mut Peer, frame: &[u8]) -> Vec<Got> {
        send(&mut self.pipe, frame);
        self.turn();
        self.got(peer)
    }

    pub fn got(&mut self, peer: &mut Peer) -> Vec<Got> {
        std::iter::from_fn(|| self.pipe.take()).map(|frame| peer.take(frame)).collect()
    }

    /// Time passes, in steps of a millisecond.
    pub fn pass(&mut self, peer: &mut Peer, ms: u64) -> Vec<Got> {
        let mut got = vec![];
        for _ in 0..ms {
            self.now_ns += MS;
            self.turn();
            got.extend(self.got(peer));
        }
        got
    }

    pub fn connect(&mut self, port: u16) -> Peer {
        self.connect_as(Peer::new(port))
    }

    pub fn connect_as(&mut self, mut peer: Peer) -> Peer {
        let syn = peer.frame(SYN, b"");
        let got = self.ask(&mut peer, &syn);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].segment.flags, SYN | ACK);
        let mss = if peer.ip.is_ipv4() { 1460 } else { 1440 };
        assert_eq!(got[0].options().mss, Some(mss));
        let ack = peer.frame(ACK, b"");
        assert!(self.ask(&mut peer, &ack).is_empty());
        peer
    }

    pub fn open(&self) -> usize {
        self.server.echo.open.len()
    }
}

pub fn record(byte: u8) -> Vec<u8> {
    vec![byte; RECORD_BYTES]
}

pub fn payload(got: &[Got]) -> Vec<u8> {
    got.iter().flat_map(|got| got.payload().to_vec()).collect()
}
