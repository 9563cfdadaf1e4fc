//! What the RFCs ask of a TCP, each with the section that asks for it.

use millrace::net::frames::pipe::pair;
use millrace::net::packet::flags::{ACK, FIN, PSH, SYN};
use millrace::net::packet::{Blocks, Stamps};

use super::peer::{Got, Peer, send};
use super::server::{RECORD_BYTES, Server};
use super::stage::{MS, Stage, payload, record};

/// A round trip on this wire.
const RTT: u64 = 100_000;

impl Stage {
    /// Records go there and come back at once, so that the round trip is known.
    fn warm_up(&mut self, peer: &mut Peer) {
        for n in 0..20 {
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
fn rfc_9293_3_7_1_no_segment_is_longer_than_the_peer_takes() {
    let mut stage = Stage::new(4);
    for (port, mss, most) in [(1000, 100, 64), (1001, 536, 536), (1002, 1460, 1460)] {
        let mut peer = stage.connect_as(Peer { mss, ..Peer::new(port) });
        for n in 0..4 {
            let bytes: Vec<u8> = (0..12).flat_map(|_| record(n)).collect();
            let frame = peer.frame(ACK, &bytes);
            let got = stage.ask(&mut peer, &frame);
            assert!(got.iter().all(|got| got.payload().len() <= most), "{mss}");
            assert_eq!(payload(&got), bytes);
            let ack = peer.frame(ACK, b"");
            stage.ask(&mut peer, &ack);
        }
    }
}

#[test]
fn rfc_9293_3_4_numbers_begin_again_at_zero_in_the_middle_of_everything() {
    let mut stage = Stage::new(4);
    let mut peer = Peer::modern(1000);
    peer.seq = u32::MAX - 120;
    let mut peer = stage.connect_as(peer);
    let frames: Vec<_> = (0..6).map(|n| peer.frame(ACK, &record(n))).collect();
    let mut back = vec![];
    for at in [0, 2, 4, 3, 1, 5] {
        back.extend(payload(&stage.ask(&mut peer, &frames[at])));
    }
    let expected: Vec<u8> = (0..6).flat_map(record).collect();
    assert_eq!(back, expected);
}

#[test]
fn rfc_9293_3_8_6_2_1_no_crumbs_are_sent_into_a_small_window() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer { window: 1000, ..Peer::new(1000) });
    let bytes: Vec<u8> = (0..30).flat_map(record).collect();
    let frame = peer.frame(ACK, &bytes);
    let sent = payload(&stage.ask(&mut peer, &frame)).len();
    assert_eq!(sent, 1000, "what the window holds");
    // Little by little it opens.
    peer.window = 40;
    let ack = peer.frame(ACK, b"");
    assert!(stage.ask(&mut peer, &ack).is_empty(), "not for 40 bytes");
    peer.window = 1000;
    let ack = peer.frame(ACK, b"");
    assert_eq!(payload(&stage.ask(&mut peer, &ack)).len(), 500);
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
fn rfc_7323_2_2_and_2018_2_what_is_offered_is_taken_and_nothing_else() {
    let mut stage = Stage::new(4);
    for (port, selective, scale, clock) in [
        (1, false, None, None),
        (2, true, None, None),
        (3, false, None, Some(9)),
        (4, true, Some(3), Some(9)),
        // Without a timestamp nothing can remember the scale.
        (5, true, Some(3), None),
    ] {
        let mut peer = Peer { selective, scale, clock, ..Peer::new(port) };
        let syn = peer.frame(SYN, b"");
        let got = stage.ask(&mut peer, &syn);
        assert_eq!((got[0].segment.flags, got[0].segment.window), (SYN | ACK, 4096));
        let taken = got[0].options();
        let scaled = (scale.is_some() && clock.is_some()).then_some(0);
        assert_eq!((taken.sack_permitted, taken.scale), (selective, scaled), "{port}");
        assert_eq!(taken.stamps.map(|stamps| stamps.echo), clock);
    }
}

#[test]
fn rfc_7323_3_2_timestamps_are_echoed_and_go_on() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let mut last = peer.echo;
    for n in 0..50 {
        stage.now_ns += 7 * MS;
        peer.clock = Some(1000 + n);
        let frame = peer.frame(ACK, &record(n as u8));
        let got = stage.ask(&mut peer, &frame);
        let Some(Stamps { value, echo }) = got[0].options().stamps else { panic!("no timestamps") };
        assert_eq!(echo, 1000 + n);
        // The first is the SYN-ACK's, which may be a little early.
        let steps = if n == 0 { 7..=7 + 32 } else { 7..=7 };
        assert!(steps.contains(&value.wrapping_sub(last)), "a clock of milliseconds");
        last = value;
    }
}

#[test]
fn rfc_7323_5_4_the_clock_of_one_connection_tells_nothing_of_anothers() {
    let mut stage = Stage::new(16);
    let mut clocks: Vec<u32> =
        (1..=16).map(|port| stage.connect_as(Peer::modern(port)).echo).collect();
    clocks.sort_unstable();
    assert!(clocks.windows(2).all(|pair| pair[1] - pair[0] > 10), "{clocks:?}");
    assert!(clocks[15] - clocks[0] > 1 << 29, "all over the range");
}

#[test]
fn rfc_7323_5_3_what_is_older_than_what_came_is_not_taken() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer { clock: Some(5_000), ..Peer::modern(1000) });
    let frame = peer.frame(ACK, &record(1));
    stage.ask(&mut peer, &frame);
    let old = Peer { clock: Some(4_999), ..Peer::modern(1000) };
    let stale = old.frame_at(peer.seq, peer.ack, ACK, &record(2));
    let got = stage.ask(&mut peer, &stale);
    assert_eq!((payload(&got).len(), got[0].segment.ack), (0, peer.seq), "acknowledged, not taken");
    // 25 days later no clock can be compared any more (5.5).
    stage.now_ns += 25 * 24 * 3600 * 1000 * MS;
    let frame = old.frame_at(peer.seq, peer.ack, ACK, &record(3));
    assert!(payload(&stage.ask(&mut peer, &frame)).ends_with(&record(3)));
}

#[test]
fn rfc_7323_2_3_windows_are_scaled_as_agreed() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer { window: 10, ..Peer::modern(1000) });
    // 10 is 1,280 bytes.
    let bytes: Vec<u8> = (0..29).flat_map(record).collect();
    let frame = peer.frame(ACK, &bytes);
    let sent = payload(&stage.ask(&mut peer, &frame)).len();
    assert_eq!(sent, 1280);
}

#[test]
fn rfc_7323_2_2_a_large_window_is_offered_scaled_to_who_knows_how() {
    let (near, pipe) = pair(1 << 16, 1500);
    let server = Server::with_window(near, 4, 256 << 10);
    let mut stage = Stage { server, pipe, now_ns: 1_000_000 * MS };
    for (mut peer, scale, window) in
        [(Peer::modern(1), Some(3), 32_768), (Peer::new(2), None, u16::MAX)]
    {
        let syn = peer.frame(SYN, b"");
        let got = stage.ask(&mut peer, &syn);
        assert_eq!((got[0].options().scale, got[0].segment.window), (scale, u16::MAX));
        let frame = peer.frame(ACK, &record(1));
        assert_eq!(stage.ask(&mut peer, &frame)[0].segment.window, window);
    }
}

#[test]
fn rfc_7323_2_2_without_an_offer_nothing_is_scaled() {
    let mut stage = Stage::new(4);
    let peer = Peer { scale: None, ..Peer::modern(1000) };
    let mut peer = stage.connect_as(Peer { window: 100, ..peer });
    let bytes: Vec<u8> = (0..20).flat_map(record).collect();
    let frame = peer.frame(ACK, &bytes);
    assert_eq!(payload(&stage.ask(&mut peer, &frame)).len(), 100);
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
fn rfc_9293_3_10_7_4_what_comes_after_this_side_closed_is_acknowledged_and_dropped() {
    let mut stage = Stage::new(4);
    stage.server.echo.poison = Some(66);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let poison = peer.frame(ACK, &record(66));
    stage.ask(&mut peer, &poison);
    assert_eq!(stage.server.echo.closed, 1);
    let late = peer.frame(ACK, &record(1));
    let got = stage.ask(&mut peer, &late);
    assert_eq!((got.len(), got[0].segment.flags, got[0].segment.ack), (1, ACK, peer.seq));
    let fin = peer.frame(ACK | FIN, b"");
    assert_eq!(stage.ask(&mut peer, &fin)[0].segment.ack, peer.seq);
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
fn rfc_8985_7_4_a_peer_that_acknowledges_late_is_sent_one_probe() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let mut probes = vec![];
    for _ in 0..12 {
        let sent = stage.answers(&mut peer, 1);
        // It holds its acknowledgment back for 40 ms, but tells at once what came twice.
        let (_, again) = stage.wait(&mut peer, MS, 40 * MS);
        probes.push(again.len());
        stage.now_ns += RTT;
        let (ack, blocks): (u32, Vec<_>) = (peer.ack, again.iter().map(range).collect());
        assert!(blocks.iter().all(|block| *block == range(&sent[0])));
        assert!(stage.tell(&mut peer, ack, &blocks).is_empty());
        stage.now_ns += 50 * MS;
    }
    assert_eq!(probes[0], 1, "it is not known at first");
    assert_eq!(probes[1..], [0; 11]);
}

#[test]
fn rfc_7323_4_1_before_anything_else_the_handshake_tells_the_round_trip() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let sent = stage.answers(&mut peer, 1);
    let (waited_ns, again) = stage.wait(&mut peer, RTT, 2_000 * MS);
    assert_eq!(range(&again[0]), range(&sent[0]));
    assert!(waited_ns <= 100 * MS, "not the second of RFC 6298, 2.1: {waited_ns} ns");
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

#[test]
fn rfc_6928_2_ten_segments_leave_before_the_first_acknowledgment() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let mut sent = 0;
    // More than the server's buffer holds, and than the peer acknowledges.
    for n in 0..5 {
        let bytes: Vec<u8> = (0..80).flat_map(|_| record(n)).collect();
        for part in bytes.chunks(1000) {
            let frame = peer.frame_at(peer.seq, peer.ack, ACK, part);
            peer.seq = peer.seq.wrapping_add(part.len() as u32);
            let before = peer.ack;
            sent += payload(&stage.ask(&mut peer, &frame)).len();
            peer.ack = before;
        }
    }
    assert!((8_000..=14_600).contains(&sent), "{sent}");
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

#[test]
fn rfc_9293_3_10_7_4_a_fin_before_its_turn_waits_for_what_is_missing() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let first = peer.frame(ACK, &record(1));
    let last = peer.frame(ACK | FIN, &record(2));
    stage.ask(&mut peer, &last);
    assert_eq!(stage.server.echo.closed, 0);
    let got = stage.ask(&mut peer, &first);
    assert_eq!(stage.server.echo.closed, 1);
    assert!(got.iter().any(|got| got.segment.has(FIN)));
    assert_eq!(got.last().unwrap().segment.ack, peer.seq);
}

#[test]
fn rfc_9293_3_10_7_4_nothing_comes_behind_a_fin() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let lost = peer.frame(ACK, &record(1));
    let fin = peer.frame(ACK | FIN, b"");
    stage.ask(&mut peer, &fin);
    let behind = peer.frame_at(peer.seq, peer.ack, ACK, &record(6));
    stage.ask(&mut peer, &behind);
    let got = stage.ask(&mut peer, &lost);
    assert_eq!(got.last().unwrap().segment.ack, peer.seq, "the FIN is the last number");
}

#[test]
fn rfc_9293_3_6_a_lost_fin_is_sent_again() {
    let mut stage = Stage::new(4);
    stage.server.echo.poison = Some(66);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let poison = peer.frame(ACK, &record(66));
    let fin = stage.ask(&mut peer, &poison);
    assert!(fin.iter().any(|got| got.segment.has(FIN)));
    let (_, again) = stage.wait(&mut peer, RTT, 100 * MS);
    assert!(again[0].segment.has(FIN) && again[0].segment.seq == fin[0].segment.seq);
    let ack = peer.frame(ACK | FIN, b"");
    let got = stage.ask(&mut peer, &ack);
    assert_eq!(got.last().unwrap().segment.ack, peer.seq);
}

#[test]
fn rfc_9293_3_6_both_may_close_at_once() {
    let mut stage = Stage::new(4);
    stage.server.echo.poison = Some(66);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let poison = peer.frame(ACK, &record(66));
    let una = peer.ack;
    stage.ask(&mut peer, &poison);
    // Its FIN leaves before it has seen the server's.
    let end = peer.ack;
    let fin = peer.frame_at(peer.seq, una, ACK | FIN, b"");
    peer.seq = peer.seq.wrapping_add(1);
    let got = stage.ask(&mut peer, &fin);
    assert_eq!(got.last().unwrap().segment.ack, peer.seq);
    let ack = peer.frame_at(peer.seq, end, ACK, b"");
    assert!(stage.ask(&mut peer, &ack).is_empty());
    assert_eq!(stage.server.transport.connections(), 1, "remembered");
    assert!(stage.pass(&mut peer, 9_000).is_empty(), "and nothing is sent any more");
    stage.pass(&mut peer, 2_000);
    assert_eq!(stage.server.transport.connections(), 0);
}

#[test]
fn rfc_9293_3_10_7_4_a_fin_that_comes_again_is_acknowledged_and_waited_on() {
    let mut stage = Stage::new(4);
    stage.server.echo.poison = Some(66);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let poison = peer.frame(ACK, &record(66));
    stage.ask(&mut peer, &poison);
    let fin = peer.frame(ACK | FIN, b"");
    stage.ask(&mut peer, &fin);
    for _ in 0..4 {
        stage.pass(&mut peer, 6_000);
        assert_eq!(stage.ask(&mut peer, &fin)[0].segment.ack, peer.seq);
    }
    stage.pass(&mut peer, 11_000);
    assert_eq!(stage.server.transport.connections(), 0);
}

#[test]
fn rfc_9293_3_8_6_2_2_a_window_that_was_closed_opens_without_being_asked() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.server.echo.full = true;
    let mut window = 4096;
    for n in 0..4 {
        let bytes: Vec<u8> = (0..20).flat_map(|_| record(n)).collect();
        let frame = peer.frame(ACK, &bytes);
        let mut got = stage.ask(&mut peer, &frame);
        got.extend(stage.pass(&mut peer, 2));
        window -= 1000;
        assert_eq!(got.last().unwrap().segment.window, window);
    }
    let most = peer.frame_at(peer.seq, peer.ack, ACK, &[9; 97]);
    let mut got = stage.ask(&mut peer, &most);
    got.extend(stage.pass(&mut peer, 2));
    let last = &got.last().unwrap().segment;
    let full = (peer.seq.wrapping_add(96), 0);
    assert_eq!((last.ack, last.window), full, "not a byte more than the window has");
    assert!(stage.server.echo.open.values().all(Vec::is_empty));
    stage.server.echo.full = false;
    stage.turn();
    let got = stage.got(&mut peer);
    // All but what a record was cut off in.
    assert_eq!((payload(&got).len(), got.last().unwrap().segment.window), (4050, 4050));
}

#[test]
fn rfc_9293_3_8_3_a_peer_that_acknowledges_nothing_is_given_up_in_the_end() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    stage.answers(&mut peer, 1);
    stage.pass(&mut peer, 500_000);
    assert_eq!(stage.server.echo.closed, 0, "some minutes are not enough");
    stage.pass(&mut peer, 300_000);
    assert_eq!((stage.server.echo.closed, stage.open()), (1, 0));
}
