//! What is lost comes again.

use millrace::net::packet::flags::ACK;

use super::super::peer::Peer;
use super::super::stage::{MS, Stage, payload, record};
use super::{RTT, range};

#[test]
fn rfc_8985_6_2_a_lost_segment_is_sent_again_as_soon_as_later_ones_arrived() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let una = peer.ack;
    let sent = stage.answers(&mut peer, 5);
    stage.now_ns += RTT;
    let (from, to) = (range(&sent[2]).0, range(&sent[4]).1);
    let mut again = stage.tell(&mut peer, una, &[(from, to)]);
    if again.is_empty() {
        // They left in one turn: a quarter of the round trip tells loss from overtaking.
        let (waited_ns, got) = stage.wait(&mut peer, RTT / 20, 10 * MS);
        assert!(waited_ns <= RTT / 2, "{waited_ns} ns");
        again = got;
    }
    let ranges: Vec<_> = again.iter().map(range).collect();
    assert_eq!(ranges, [range(&sent[0]), range(&sent[1])], "and nothing that arrived");
    assert_eq!(stage.server.count("segments_again"), 2);
}

#[test]
fn rfc_8985_7_a_lost_last_segment_is_sent_again_after_two_round_trips_and_a_millisecond() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let sent = stage.answers(&mut peer, 1);
    let (waited_ns, again) = stage.wait(&mut peer, RTT / 10, 100 * MS);
    assert_eq!(range(&again[0]), range(&sent[0]));
    assert!((2 * RTT..=3 * RTT + 2 * MS).contains(&waited_ns), "{waited_ns} ns");
    assert_eq!((stage.server.count("probes"), stage.server.count("timeouts")), (1, 0));
}

#[test]
fn rfc_8985_7_a_burst_lost_to_its_end_comes_back_by_its_last() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let una = peer.ack;
    let sent = stage.answers(&mut peer, 3);
    let (waited_ns, probe) = stage.wait(&mut peer, RTT / 10, 100 * MS);
    assert_eq!(range(&probe[0]), range(&sent[2]));
    stage.now_ns += RTT;
    let mut again = stage.tell(&mut peer, una, &[range(&sent[2])]);
    let mut more_ns = 0;
    if again.is_empty() {
        (more_ns, again) = stage.wait(&mut peer, RTT / 20, 10 * MS);
    }
    let ranges: Vec<_> = again.iter().map(range).collect();
    assert_eq!(ranges, [range(&sent[0]), range(&sent[1])]);
    assert!(waited_ns + RTT + more_ns <= 4 * RTT + 2 * MS);
}

#[test]
fn rfc_8985_7_4_a_peer_that_was_slow_once_is_not_waited_for_after_it_was_not() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let lost = |stage: &mut Stage, peer: &mut Peer| {
        stage.answers(peer, 1);
        let (waited_ns, again) = stage.wait(peer, RTT, 500 * MS);
        assert_eq!(again.len(), 1);
        (waited_ns, range(&again[0]))
    };
    let (_, late) = lost(&mut stage, &mut peer);
    let ack = peer.ack;
    stage.tell(&mut peer, ack, &[late]);
    stage.warm_up(&mut peer);
    let (waited_ns, _) = lost(&mut stage, &mut peer);
    assert!(waited_ns <= 3 * RTT + 2 * MS, "{waited_ns}");
}

#[test]
fn rfc_8985_7_4_a_peer_that_was_slow_on_its_way_is_waited_for_a_little_longer() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    stage.answers(&mut peer, 1);
    let (first_ns, again) = stage.wait(&mut peer, RTT, 500 * MS);
    // It had said so before the probe came, and tells what came twice in words of its own.
    let (ack, late) = (peer.ack, range(&again[0]));
    stage.tell(&mut peer, ack, &[]);
    stage.tell(&mut peer, ack, &[late]);
    stage.answers(&mut peer, 1);
    let (second_ns, _) = stage.wait(&mut peer, RTT, 500 * MS);
    assert!(first_ns < second_ns && second_ns <= 2 * first_ns, "{first_ns} {second_ns}");
}

#[test]
fn rfc_8985_7_4_a_peer_that_acknowledges_late_is_sent_no_probe() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    assert_eq!(probes(&mut stage, &mut peer), [0; 12]);
    stage.warm_up(&mut peer);
    let begun_to = probes(&mut stage, &mut peer);
    assert_eq!(begun_to[..3], [1, 1, 0], "one that begins to is found out");
    assert_eq!(begun_to[3..], [0; 9]);
}

/// How many probes a peer is sent for each of twelve answers that it acknowledges late.
fn probes(stage: &mut Stage, peer: &mut Peer) -> Vec<usize> {
    let mut probes = vec![];
    for _ in 0..12 {
        let sent = stage.answers(peer, 1);
        // It holds its acknowledgment back for 40 ms, but tells at once what came twice.
        let (_, again) = stage.wait(peer, MS, 40 * MS);
        probes.push(again.len());
        stage.now_ns += RTT;
        let (ack, blocks): (u32, Vec<_>) = (peer.ack, again.iter().map(range).collect());
        assert!(blocks.iter().all(|block| *block == range(&sent[0])));
        assert!(stage.tell(peer, ack, &blocks).is_empty());
        stage.now_ns += 50 * MS;
    }
    probes
}

#[test]
fn rfc_7323_4_1_before_anything_else_the_handshake_tells_the_round_trip() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let sent = stage.answers(&mut peer, 1);
    let (waited_ns, again) = stage.wait(&mut peer, RTT, 2_000 * MS);
    assert_eq!(range(&again[0]), range(&sent[0]));
    assert!(waited_ns <= 200 * MS, "not the second of RFC 6298, 2.1: {waited_ns} ns");
}

#[test]
fn rfc_6298_2_1_without_timestamps_nothing_tells_it() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    stage.answers(&mut peer, 1);
    let (waited_ns, again) = stage.wait(&mut peer, RTT, 2_000 * MS);
    assert!(!again.is_empty() && waited_ns >= 1_000 * MS, "{waited_ns} ns");
}

#[test]
fn rfc_6298_5_5_the_timeout_doubles() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let sent = stage.answers(&mut peer, 1);
    let mut waits = vec![];
    for _ in 0..8 {
        let (waited_ns, again) = stage.wait(&mut peer, RTT, 10_000 * MS);
        assert_eq!(range(&again[0]), range(&sent[0]));
        waits.push(waited_ns / RTT);
    }
    // The first is the probe.
    for pair in waits[2..].windows(2) {
        assert!((pair[0] * 3 / 2..=pair[0] * 5 / 2).contains(&pair[1]), "{waits:?}");
    }
}

#[test]
fn rfc_2018_8_what_a_peer_said_it_had_is_sent_again_after_a_timeout() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let una = peer.ack;
    let sent = stage.answers(&mut peer, 3);
    stage.tell(&mut peer, una, &[range(&sent[1])]);
    // It never acknowledges anything, as if it had dropped what it had.
    let mut again: Vec<_> = stage.pass(&mut peer, 50).iter().map(range).collect();
    again.sort_unstable();
    again.dedup();
    assert!(again.contains(&range(&sent[0])));
    peer.ack = range(&sent[0]).1;
    let ack = peer.ack;
    let got = stage.tell(&mut peer, ack, &[]);
    let all: Vec<_> = got.iter().chain(&stage.pass(&mut peer, 500)).map(range).collect();
    assert!(all.contains(&range(&sent[1])), "although it said that it had it");
}

#[test]
fn rfc_2018_5_blocks_of_what_was_never_sent_or_came_long_ago_say_nothing() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let una = peer.ack;
    let sent = stage.answers(&mut peer, 2);
    let (first, end) = (range(&sent[0]), range(&sent[1]).1);
    let shapes = [
        (end.wrapping_add(1), end.wrapping_add(1 << 20)),
        (una.wrapping_sub(1 << 31), end),
        (end, una),
        (una, una),
        (una.wrapping_sub(5000), una.wrapping_sub(4000)),
        (first.0.wrapping_add(1), first.1),
    ];
    for shape in shapes {
        stage.tell(&mut peer, una, &[shape, shape, shape, shape]);
    }
    let ack = peer.frame(ACK, b"");
    stage.ask(&mut peer, &ack);
    let frame = peer.frame(ACK, &record(1));
    assert_eq!(payload(&stage.ask(&mut peer, &frame)), record(1));
}

#[test]
fn rfc_5681_3_2_three_duplicates_are_a_loss_to_a_peer_without_sack() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    stage.warm_up(&mut peer);
    let una = peer.ack;
    let sent = stage.answers(&mut peer, 6);
    let mut again = vec![];
    for n in 0..3 {
        assert!(again.is_empty(), "not after {n}");
        again = stage.tell(&mut peer, una, &[]);
    }
    assert_eq!(again.iter().map(range).collect::<Vec<_>>(), [range(&sent[0])]);
    // RFC 6582, 3.2: an acknowledgment of part of it tells of the next hole.
    let (from, ack) = (range(&sent[0]).0, range(&sent[2]).1);
    assert_eq!(from, una);
    let again = stage.tell(&mut peer, ack, &[]);
    assert_eq!(again.iter().map(range).collect::<Vec<_>>(), [range(&sent[3])]);
}

#[test]
fn rfc_5827_3_2_fewer_duplicates_are_a_loss_where_fewer_can_come() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    stage.warm_up(&mut peer);
    let una = peer.ack;
    let sent = stage.answers(&mut peer, 2);
    let again = stage.tell(&mut peer, una, &[]);
    assert_eq!(again.iter().map(range).collect::<Vec<_>>(), [range(&sent[0])]);
}
