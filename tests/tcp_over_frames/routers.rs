//! What routers say of segments that are too long for some link on their way.

use millrace::net::packet::flags::ACK;

use super::peer::{Got, Peer};
use super::server::RECORD_BYTES;
use super::stage::{Stage, payload};

/// What fills two segments.
const RECORDS: usize = 56;

impl Stage {
    /// The server answers with more than a segment, none of it acknowledged.
    fn long_answers(&mut self, peer: &mut Peer) -> (Vec<Got>, Vec<u8>) {
        let bytes: Vec<u8> = (0..RECORDS * RECORD_BYTES).map(|at| (at / 7) as u8).collect();
        let una = peer.ack;
        let mut got = vec![];
        for half in bytes.chunks(bytes.len() / 2) {
            let frame = peer.frame_at(peer.seq, una, ACK, half);
            peer.seq = peer.seq.wrapping_add(half.len() as u32);
            got.extend(self.ask(peer, &frame));
        }
        (got, bytes)
    }

    /// What the server sends, acknowledged as it comes in whatever order, until it has nothing more.
    fn drain(&mut self, peer: &mut Peer, mut got: Vec<Got>) -> Vec<Got> {
        let mut all: Vec<Got> = vec![];
        while !got.is_empty() {
            all.extend(got);
            all.sort_by_key(|got| got.segment.seq);
            for got in &all {
                if got.segment.seq == peer.ack {
                    peer.ack = peer.ack.wrapping_add(got.segment.len());
                }
            }
            let ack = peer.frame(ACK, b"");
            got = self.ask(peer, &ack);
        }
        all
    }
}

/// A router that passes no packet longer than `mtu` on, until the peer has all.
fn narrowed(peer: Peer, mtu: u16) {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(peer);
    let una = peer.ack;
    let (sent, bytes) = stage.long_answers(&mut peer);
    let too_long = |got: &Got| got.frame.len() - 14 > mtu.into();
    let (lost, arrived): (Vec<_>, Vec<_>) = sent.into_iter().partition(too_long);
    assert!(!lost.is_empty() && arrived.is_empty(), "all of them are too long");
    peer.ack = una;
    let told = peer.router(&lost[0].frame, mtu);
    let got = stage.ask(&mut peer, &told);
    assert_eq!(got[0].segment.seq, una, "at once, and not after a time-out");
    let got = stage.drain(&mut peer, got);
    assert!(!got.iter().any(too_long), "nothing is too long any more");
    assert_eq!(got[0].frame.len() - 14, usize::from(mtu), "and as long as may be");
    assert_eq!(payload(&got), bytes);
    assert_eq!(stage.server.count("segments_too_long"), 1);
    assert_eq!(stage.server.count("timeouts"), 0);
}

#[test]
fn rfc_1191_6_3_what_was_too_long_leaves_again_in_shorter_segments() {
    narrowed(Peer::modern(1000), 600);
}

#[test]
fn rfc_8201_4_over_ipv6_as_well() {
    narrowed(Peer::modern(1000).over_ipv6(), 1280);
}

#[test]
fn rfc_1191_6_3_a_peer_without_options_gets_all_of_it_too() {
    narrowed(Peer::new(1000), 577);
}

/// What becomes of longer segments when a router says something; whether anything was believed.
fn believed(peer: Peer, say: impl FnOnce(&Peer, &[u8]) -> Vec<u8>) -> Option<usize> {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(peer);
    let una = peer.ack;
    let (sent, _) = stage.long_answers(&mut peer);
    let told = say(&peer, &sent[0].frame);
    peer.ack = una;
    let got = stage.ask(&mut peer, &told);
    let count = stage.server.count("segments_too_long");
    assert_eq!(count, got.len().min(1) as u64);
    let sent_again = got.first().map(|got| got.frame.len() - 14);
    assert_eq!(stage.server.count("frames_foreign"), 1 - count);
    sent_again
}

#[test]
fn rfc_5927_7_1_who_has_not_seen_a_segment_is_not_believed() {
    let four = || Peer::modern(1000);
    let bent = |at: usize| {
        move |peer: &Peer, frame: &[u8]| {
            let mut frame = frame.to_vec();
            frame[at] ^= 0x40;
            peer.router(&frame, 600)
        }
    };
    assert_eq!(believed(four(), |peer, frame| peer.router(frame, 600)), Some(600));
    assert_eq!(believed(four(), bent(38)), None, "a sequence number that is not on its way");
    assert_eq!(believed(four(), bent(35)), None, "another port of this side");
    assert_eq!(believed(four(), bent(37)), None, "another port of the peer's");
    assert_eq!(believed(four(), bent(33)), None, "another peer");
    assert_eq!(believed(four(), bent(23)), None, "not TCP");
    let wrong = |peer: &Peer, frame: &[u8]| {
        let mut told = peer.router(frame, 600);
        told[40] ^= 1;
        told
    };
    assert_eq!(believed(four(), wrong), None, "a wrong checksum");
    let six = || Peer::modern(1000).over_ipv6();
    assert_eq!(believed(six(), bent(60)), None, "a sequence number of IPv6");
}

#[test]
fn rfc_8201_4_nobody_can_make_segments_tiny_or_longer() {
    let say = |mtu| move |peer: &Peer, frame: &[u8]| peer.router(frame, mtu);
    assert_eq!(believed(Peer::modern(1000), say(68)), Some(552));
    assert_eq!(believed(Peer::modern(1000), say(0)), Some(576), "RFC 1191, 5: it does not say");
    assert_eq!(believed(Peer::modern(1000), say(9000)), None);
    assert_eq!(believed(Peer::modern(1000).over_ipv6(), say(600)), Some(1280));
}
