//! What comes in: in its turn, too early, twice, and from nobody knows where.

use millrace::net::packet::flags::ACK;

use super::super::peer::{Got, Peer, send};
use super::super::server::RECORD_BYTES;
use super::super::stage::{MS, Stage, payload, record};

#[test]
fn rfc_9293_3_8_6_3_an_acknowledgment_waits_for_an_answer_but_not_for_long() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let frame = peer.frame(ACK, &[1; 10]);
    assert!(stage.ask(&mut peer, &frame).is_empty(), "not at once");
    let (waited_ns, got) = stage.wait(&mut peer, MS / 10, 20 * MS);
    assert!((MS..=MS + MS / 10).contains(&waited_ns), "{waited_ns} ns");
    assert_eq!((got[0].segment.flags, got[0].segment.ack), (ACK, peer.seq));
}

#[test]
fn rfc_9293_3_8_6_3_every_second_full_segment_is_acknowledged_at_once() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    // Halves of records only, so there is no answer to go with.
    let whole = vec![7; 1460];
    let mut acknowledged = 0;
    for _ in 0..10 {
        let frame = peer.frame(ACK, &whole);
        let got = stage.ask(&mut peer, &frame);
        acknowledged += usize::from(got.iter().any(|got| got.segment.ack == peer.seq));
        let ack = peer.frame(ACK, b"");
        stage.ask(&mut peer, &ack);
    }
    assert!(acknowledged >= 5, "{acknowledged} of 10");
}

#[test]
fn rfc_5961_5_2_an_acknowledgment_of_what_was_never_sent_is_challenged_and_changes_nothing() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let optimistic = peer.frame_at(peer.seq, peer.ack.wrapping_add(5000), ACK, &record(1));
    let got = stage.ask(&mut peer, &optimistic);
    assert_eq!((got.len(), got[0].segment.flags, got[0].segment.ack), (1, ACK, peer.seq));
    let blind = peer.frame_at(peer.seq, peer.ack.wrapping_sub(200_000), ACK, &record(1));
    assert_eq!(stage.ask(&mut peer, &blind)[0].segment.ack, peer.seq, "its data is not taken");
    let frame = peer.frame(ACK, &record(1));
    assert_eq!(payload(&stage.ask(&mut peer, &frame)), record(1));
}

#[test]
fn rfc_5961_7_challenges_are_ten_a_second() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    for _ in 0..3 {
        let mut answers = 0;
        for _ in 0..100 {
            let old = peer.frame_at(peer.seq.wrapping_sub(9), peer.ack, ACK, b"");
            answers += stage.ask(&mut peer, &old).len();
        }
        assert_eq!(answers, 10);
        stage.now_ns += 1_001 * MS;
    }
}

#[test]
fn rfc_2018_4_holes_are_told() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let first = peer.seq;
    let frames: Vec<_> = (0..6).map(|n| peer.frame(ACK, &record(n))).collect();
    let place = |n: u32| first.wrapping_add(n * RECORD_BYTES as u32);
    let blocks = |got: &[Got]| got.last().unwrap().options().blocks.list().to_vec();
    let got = stage.ask(&mut peer, &frames[2]);
    assert_eq!((got[0].segment.ack, blocks(&got)), (first, vec![(place(2), place(3))]));
    let got = stage.ask(&mut peer, &frames[4]);
    assert_eq!(blocks(&got), [(place(4), place(5)), (place(2), place(3))]);
    let got = stage.ask(&mut peer, &frames[3]);
    assert_eq!(blocks(&got), [(place(2), place(5))]);
    // Answers leave no room for blocks: they follow by themselves.
    for at in [0, 5] {
        send(&mut stage.pipe, &frames[at]);
    }
    stage.turn();
    let got = stage.got(&mut peer);
    assert_eq!((got.len(), payload(&got)), (2, record(0)));
    assert_eq!(blocks(&got), [(place(2), place(6))]);
}

#[test]
fn rfc_5681_4_2_what_is_out_of_order_or_closes_a_hole_is_acknowledged_at_once() {
    let mut stage = Stage::new(4);
    for mut peer in [Peer::new(1), Peer::modern(2)] {
        peer = stage.connect_as(peer);
        // Pieces of a record that is never whole, so that there is no answer to go with.
        let pieces: Vec<_> = (0..3).map(|_| peer.frame(ACK, &[1; 10])).collect();
        let acked = |got: &[Got]| got.iter().map(|got| got.segment.ack).collect::<Vec<_>>();
        let first = peer.seq.wrapping_sub(30);
        assert_eq!(acked(&stage.ask(&mut peer, &pieces[1])), [first]);
        assert_eq!(acked(&stage.ask(&mut peer, &pieces[0])), [first.wrapping_add(20)]);
        assert!(stage.ask(&mut peer, &pieces[2]).is_empty(), "that one is in order");
    }
}

#[test]
fn rfc_2883_4_what_came_twice_is_told() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let first = peer.seq;
    let frame = peer.frame(ACK, &record(1));
    stage.ask(&mut peer, &frame);
    let ack = peer.frame(ACK, b"");
    stage.ask(&mut peer, &ack);
    let got = stage.ask(&mut peer, &frame);
    let twice = (first, first.wrapping_add(RECORD_BYTES as u32));
    assert_eq!(got[0].options().blocks.list(), [twice]);
    assert!(payload(&got).is_empty(), "and answered once");
}

#[test]
fn rfc_9293_3_10_7_4_the_first_bytes_of_a_number_win() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let (seq, ack) = (peer.seq, peer.ack);
    let early = peer.frame_at(seq.wrapping_add(20), ack, ACK, &[b'e'; 20]);
    stage.ask(&mut peer, &early);
    let other = peer.frame_at(seq, ack, ACK, &[b'o'; RECORD_BYTES]);
    let got = stage.ask(&mut peer, &other);
    let expected = [[b'o'; 20].as_slice(), &[b'e'; 20], &[b'o'; 10]].concat();
    assert_eq!(payload(&got), expected);
}
