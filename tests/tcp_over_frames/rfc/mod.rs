//! What the RFCs ask of a TCP, each with the section that asks for it.

mod ends;
mod loss;
mod options;
mod receiving;
mod windows;

use millrace::net::packet::Blocks;
use millrace::net::packet::flags::{ACK, PSH};

use super::peer::{Got, Peer};
use super::server::RECORD_BYTES;
use super::stage::{Stage, record};

/// A round trip on this wire.
const RTT: u64 = 100_000;

impl Stage {
    /// Records go there and come back at once, so that the round trip is known, and that the peer does
    /// not hold its acknowledgments back.
    fn warm_up(&mut self, peer: &mut Peer) {
        for n in 0..100 {
            let frame = peer.frame(ACK | PSH, &record(n));
            assert_eq!(self.ask(peer, &frame).len(), 1);
            self.now_ns += RTT;
            let ack = peer.frame(ACK, b"");
            assert!(self.ask(peer, &ack).is_empty());
        }
    }

    /// The server answers so many records, each in a segment of its own, none acknowledged.
    fn answers(&mut self, peer: &mut Peer, count: u8) -> Vec<Got> {
        let una = peer.ack;
        let mut got = vec![];
        for n in 0..count {
            let frame = peer.frame_at(peer.seq, una, ACK | PSH, &record(100 + n));
            peer.seq = peer.seq.wrapping_add(RECORD_BYTES as u32);
            got.extend(self.ask(peer, &frame));
        }
        assert_eq!(got.len(), usize::from(count));
        got
    }

    /// Time passes, in steps of `step_ns`, until the server sends something; how much, and what.
    fn wait(&mut self, peer: &mut Peer, step_ns: u64, most_ns: u64) -> (u64, Vec<Got>) {
        let begun_ns = self.now_ns;
        loop {
            self.now_ns += step_ns;
            self.turn();
            let got = self.got(peer);
            let waited_ns = self.now_ns - begun_ns;
            if !got.is_empty() || waited_ns >= most_ns {
                return (waited_ns, got);
            }
        }
    }

    /// The peer acknowledges up to `ack` and tells blocks.
    fn tell(&mut self, peer: &mut Peer, ack: u32, blocks: &[(u32, u32)]) -> Vec<Got> {
        peer.blocks = Blocks::default();
        blocks.iter().for_each(|(from, to)| peer.blocks.push(*from, *to));
        let frame = peer.frame_at(peer.seq, ack, ACK, b"");
        peer.blocks = Blocks::default();
        self.ask(peer, &frame)
    }
}

fn range(got: &Got) -> (u32, u32) {
    (got.segment.seq, got.segment.seq.wrapping_add(got.segment.len()))
}
