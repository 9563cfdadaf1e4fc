//! Hand-made segments: what a kernel never sends, and every way a connection can end.

use millrace::net::packet::complete_tcp;
use millrace::net::packet::flags::{ACK, FIN, PSH, RST, SYN};

use super::peer::{Peer, SERVER_MAC, send};
use super::server::RECORD_BYTES;
use super::stage::{MS, Stage, payload, record};

#[test]
fn a_record_is_answered_in_the_same_turn_with_one_segment() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    for n in 0..100 {
        let frame = peer.frame(ACK | PSH, &record(n));
        let got = stage.ask(&mut peer, &frame);
        assert_eq!(got.len(), 1, "data and acknowledgment in one");
        assert_eq!(got[0].payload(), record(n));
        assert_eq!(got[0].segment.ack, peer.seq);
    }
}

#[test]
fn a_syn_is_answered_and_forgotten() {
    let mut stage = Stage::new(4);
    for port in 1..=1000 {
        let mut peer = Peer::new(port);
        let syn = peer.frame(SYN, b"");
        assert_eq!(stage.ask(&mut peer, &syn)[0].segment.flags, SYN | ACK);
    }
    assert_eq!(stage.server.transport.connections(), 0);
    assert_eq!(stage.server.count("syns"), 1000);
}

#[test]
fn sequence_numbers_of_one_connection_tell_nothing_of_the_next() {
    let mut stage = Stage::new(64);
    let mut numbers: Vec<u32> = (1..=64)
        .map(|port| {
            let mut peer = Peer::new(port);
            let syn = peer.frame(SYN, b"");
            stage.ask(&mut peer, &syn)[0].segment.seq
        })
        .collect();
    let steps: std::collections::HashSet<u32> =
        numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.len() > 60, "no two steps alike");
    numbers.sort_unstable();
    assert!(numbers[63] - numbers[0] > 1 << 30, "all over the range");
}

#[test]
fn an_acknowledgment_of_nothing_is_reset() {
    let mut stage = Stage::new(4);
    let mut peer = Peer::new(1000);
    peer.ack = 12345;
    let frame = peer.frame(ACK, &record(1));
    let got = stage.ask(&mut peer, &frame);
    assert_eq!((got[0].segment.flags, got[0].segment.seq), (RST, 12345));
    let reset = peer.frame_at(1, 2, RST, b"");
    assert!(stage.ask(&mut peer, &reset).is_empty(), "a reset is never answered");
    let odd = peer.frame_at(1, 0, FIN, b"");
    let got = stage.ask(&mut peer, &odd);
    assert_eq!((got[0].segment.flags, got[0].segment.ack), (RST | ACK, 2));
    assert_eq!(stage.server.transport.connections(), 0);
    let counts =
        ["segments_unknown", "resets_out", "admitted"].map(|name| stage.server.count(name));
    assert_eq!(counts, [2, 2, 0]);
}

#[test]
fn what_nobody_listens_for_is_left_to_the_kernel() {
    let mut stage = Stage::new(4);
    let mut peer = Peer::new(1000);
    let syn = peer.frame(SYN, b"");
    // Another port, and another address.
    for (at, other) in [(37, 0), (33, 9)] {
        let mut frame = syn.clone();
        frame[at] = other;
        complete_tcp(&mut frame[14..]);
        assert!(stage.ask(&mut peer, &frame).is_empty());
    }
    assert_eq!((stage.server.count("frames_foreign"), stage.server.count("syns")), (2, 0));
    // A SYN that is something else as well is none.
    let odd = peer.frame_at(7, 0, SYN | FIN | ACK, b"");
    assert_eq!(stage.ask(&mut peer, &odd)[0].segment.flags, RST);
    let odd = peer.frame_at(7, 0, SYN | RST, b"");
    assert!(stage.ask(&mut peer, &odd).is_empty());
}

#[test]
fn the_last_place_goes_to_who_proves_first_to_be_there() {
    let mut stage = Stage::new(1);
    let (mut first, mut second) = (Peer::new(1), Peer::new(2));
    for peer in [&mut first, &mut second] {
        let syn = peer.frame(SYN, b"");
        assert_eq!(stage.ask(peer, &syn)[0].segment.flags, SYN | ACK);
    }
    let ack = second.frame(ACK, b"");
    assert!(stage.ask(&mut second, &ack).is_empty());
    let ack = first.frame(ACK, b"");
    let got = stage.ask(&mut first, &ack);
    assert_eq!((got[0].segment.flags, got[0].segment.seq), (RST, first.ack));
    let counts = ["admitted", "refused", "resets_out"].map(|name| stage.server.count(name));
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn data_with_the_last_acknowledgment_of_the_handshake_is_taken() {
    let mut stage = Stage::new(4);
    let mut peer = Peer::new(1000);
    let syn = peer.frame(SYN, b"");
    stage.ask(&mut peer, &syn);
    let frame = peer.frame(ACK | PSH, &record(3));
    assert_eq!(payload(&stage.ask(&mut peer, &frame)), record(3));
}

#[test]
fn a_segment_that_overtakes_the_handshake_is_waited_for_and_nothing_is_lost() {
    let mut stage = Stage::new(4);
    let mut peer = Peer::new(1000);
    let syn = peer.frame(SYN, b"");
    stage.ask(&mut peer, &syn);
    let (first, second) = (peer.frame(ACK, &record(1)), peer.frame(ACK, &record(2)));
    assert!(stage.ask(&mut peer, &second).is_empty(), "neither taken nor reset");
    assert_eq!(payload(&stage.ask(&mut peer, &first)), record(1));
    assert_eq!(payload(&stage.ask(&mut peer, &second)), record(2));
}

#[test]
fn segments_out_of_order_and_twice_come_out_in_order_and_once() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let frames: Vec<Vec<u8>> = (1..=4).map(|n| peer.frame(ACK, &record(n))).collect();
    let mut got = vec![];
    for at in [2, 1, 1, 3, 0, 2, 0] {
        got.extend(stage.ask(&mut peer, &frames[at]));
    }
    let expected: Vec<u8> = (1..=4).flat_map(record).collect();
    assert_eq!(payload(&got), expected);
}

#[test]
fn records_that_straddle_segments_come_out_whole() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let stream: Vec<u8> = (0..40 * RECORD_BYTES).map(|n| (n / 7) as u8).collect();
    let mut back = vec![];
    for piece in stream.chunks(33) {
        let frame = peer.frame(ACK, piece);
        back.extend(payload(&stage.ask(&mut peer, &frame)));
    }
    assert_eq!(back, stream);
}

#[test]
fn what_is_not_acknowledged_is_sent_again() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let frame = peer.frame(ACK, &record(9));
    let first = stage.ask(&mut peer, &frame);
    // The peer behaves as if the answer had been lost.
    let again = stage.pass(&mut peer, 5_000);
    assert!(!again.is_empty(), "sent again");
    assert_eq!(again[0].payload(), first[0].payload());
    assert_eq!(again[0].segment.seq, first[0].segment.seq);
    let ack = peer.frame(ACK, b"");
    stage.ask(&mut peer, &ack);
    assert!(stage.pass(&mut peer, 5_000).is_empty(), "no longer");
}

#[test]
fn a_closed_window_is_probed_and_opens_again() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    peer.window = 0;
    let frame = peer.frame(ACK, &record(5));
    let got = stage.ask(&mut peer, &frame);
    assert!(payload(&got).len() <= 1, "at most a probe goes into a closed window");
    let probes = stage.pass(&mut peer, 10_000);
    assert!(probes.iter().any(|probe| probe.payload().len() <= 1), "probed");
    peer.window = 60_000;
    let seq = peer.seq;
    let ack = peer.frame_at(seq, peer.ack, ACK, b"");
    let mut back = payload(&stage.ask(&mut peer, &ack));
    back.extend(payload(&stage.pass(&mut peer, 5_000)));
    assert!(back.ends_with(&record(5)[1..]), "{back:?}");
}

#[test]
fn what_lies_beyond_the_window_is_not_taken_and_not_lost() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    // A peer that sends more than the window allows, all in one turn.
    let chunk: Vec<u8> = (0..1000).map(|n| n as u8).collect();
    for _ in 0..8 {
        let frame = peer.frame(ACK, &chunk);
        send(&mut stage.pipe, &frame);
    }
    stage.turn();
    let got = stage.got(&mut peer);
    let acked = got.last().unwrap().segment.ack;
    let taken = 8000 - peer.seq.wrapping_sub(acked);
    assert!((3000..=5000).contains(&taken), "what begins within the window: {taken}");
    let rest = peer.frame_at(acked, peer.ack, ACK, &chunk);
    let got = stage.ask(&mut peer, &rest);
    assert_eq!(got.last().unwrap().segment.ack, acked.wrapping_add(1000), "and then what follows");
}

#[test]
fn a_fin_ends_the_connection_in_both_directions() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let fin = peer.frame(ACK | FIN, b"");
    let got = stage.ask(&mut peer, &fin);
    assert!(got.iter().any(|got| got.segment.has(FIN)), "{got:?}");
    assert_eq!((stage.open(), stage.server.echo.closed), (0, 1));
    let ack = peer.frame(ACK, b"");
    stage.ask(&mut peer, &ack);
    assert_eq!(stage.server.transport.connections(), 0);
}

#[test]
fn data_before_a_fin_is_taken_and_half_a_record_is_not_waited_for() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let mut bytes = record(1);
    bytes.extend([2; 10]);
    let fin = peer.frame(ACK | FIN, &bytes);
    stage.ask(&mut peer, &fin);
    assert_eq!((stage.open(), stage.server.echo.closed), (0, 1));
}

#[test]
fn the_servers_own_close_ends_in_time_wait_and_the_port_can_be_used_again() {
    let mut stage = Stage::new(1);
    stage.server.echo.poison = Some(66);
    let mut peer = stage.connect(1000);
    for round in 0..20 {
        if round > 0 {
            peer = stage.connect(1000);
        }
        let poison = peer.frame(ACK, &record(66));
        let got = stage.ask(&mut peer, &poison);
        assert!(got.iter().any(|got| got.segment.has(FIN)), "closed by the server");
        assert_eq!(stage.open(), 0);
        let fin = peer.frame(ACK | FIN, b"");
        stage.ask(&mut peer, &fin);
        // Still there, and in nobody's way.
        assert_eq!(stage.server.transport.connections(), 1);
    }
    stage.pass(&mut peer, 11_000);
    assert_eq!(stage.server.transport.connections(), 0);
}

#[test]
fn a_peer_that_never_finishes_is_reset() {
    let mut stage = Stage::new(1);
    stage.server.echo.poison = Some(66);
    let mut peer = stage.connect(1000);
    let poison = peer.frame(ACK, &record(66));
    stage.ask(&mut peer, &poison);
    let ack = peer.frame(ACK, b"");
    stage.ask(&mut peer, &ack);
    let got = stage.pass(&mut peer, 11_000);
    assert!(got.iter().any(|got| got.segment.has(RST)), "reset in the end");
    assert_eq!(stage.server.transport.connections(), 0);
}

#[test]
fn only_a_reset_at_the_expected_number_ends_a_connection() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    for off in [1, 100, 4000, u32::MAX, 1 << 31] {
        let reset = peer.frame_at(peer.seq.wrapping_add(off), 0, RST, b"");
        let got = stage.ask(&mut peer, &reset);
        assert!(got.iter().all(|got| got.segment.flags == ACK && got.segment.ack == peer.seq));
        assert_eq!(stage.open(), 1, "{off}");
    }
    assert_eq!(stage.server.count("resets_ignored"), 5);
    let reset = peer.frame_at(peer.seq, 0, RST, b"");
    stage.ask(&mut peer, &reset);
    assert_eq!((stage.open(), stage.server.count("resets_in")), (0, 1));
    assert_eq!(stage.server.transport.connections(), 0);
}

#[test]
fn a_syn_in_a_connection_is_challenged_and_a_restarted_peer_gets_in_again() {
    let mut stage = Stage::new(1);
    let mut old = stage.connect(1000);
    let mut peer = Peer::new(1000);
    peer.seq = old.seq.wrapping_add(1_000_000);
    let syn = peer.frame(SYN, b"");
    send(&mut stage.pipe, &syn);
    stage.turn();
    let got = stage.got(&mut old);
    assert_eq!((got[0].segment.flags, got[0].segment.ack), (ACK, old.seq), "challenged");
    // A host that knows nothing of the connection answers that with a reset.
    let reset = peer.frame_at(got[0].segment.ack, 0, RST, b"");
    stage.ask(&mut peer, &reset);
    assert_eq!(stage.open(), 0);
    stage.connect(1000);
    assert_eq!(stage.open(), 1);
}

#[test]
fn one_connection_too_many_is_refused_and_comes_in_when_another_ends() {
    let mut stage = Stage::new(2);
    let (mut first, _second) = (stage.connect(1), stage.connect(2));
    let mut third = Peer::new(3);
    let syn = third.frame(SYN, b"");
    assert!(stage.ask(&mut third, &syn)[0].segment.has(RST));
    assert_eq!(stage.server.count("refused"), 1);
    let reset = first.frame_at(first.seq, 0, RST, b"");
    stage.ask(&mut first, &reset);
    stage.connect(3);
}

#[test]
fn who_is_expendable_gives_way_before_the_last_places_are_gone() {
    let mut stage = Stage::new(16);
    let mut peers: Vec<Peer> = (1..=15).map(|port| stage.connect(port)).collect();
    let first = *stage.server.echo.open.keys().min_by_key(|conn| conn.index).unwrap();
    stage.server.echo.expendable.push(first);
    stage.turn();
    assert_eq!((stage.open(), stage.server.echo.closed), (14, 1));
    let frames: Vec<_> = std::iter::from_fn(|| stage.pipe.take()).collect();
    assert_eq!(frames.len(), 1, "one is reset");
    let port = u16::from_be_bytes([frames[0][36], frames[0][37]]);
    let peer = peers.iter_mut().find(|peer| peer.port == port).unwrap();
    let got = peer.take(frames[0].clone());
    assert_eq!((got.segment.flags, got.segment.seq), (RST | ACK, peer.ack));
    assert_eq!(stage.server.transport.connections(), 14);
}

#[test]
fn spoilt_frames_are_counted_and_dropped() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let good = peer.frame_at(peer.seq, peer.ack, ACK, &record(1));
    let with = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    let cases = [
        ("frames_bad_checksum", with(60, 99)),
        ("frames_bad_checksum", with(24, 99)),
        ("frames_malformed", good[..40].to_vec()),
        ("frames_malformed", with(14, 0x44)),
        ("frames_malformed", with(46, 0x10)),
        ("frames_fragments", with(20, 0x20)),
        ("frames_foreign", with(12, 0x86)),
        ("frames_foreign", with(23, 17)),
    ];
    for (counter, frame) in cases {
        let before = stage.server.count(counter);
        assert!(stage.ask(&mut peer, &frame).is_empty());
        assert_eq!(stage.server.count(counter), before + 1, "{counter}");
    }
    assert_eq!(payload(&stage.ask(&mut peer, &good)), record(1), "the good one is taken");
}

#[test]
fn vlan_tags_go_back_and_a_new_neighbour_is_learned_from_its_frames() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let mut frame = peer.frame(ACK, &record(1));
    frame.splice(12..12, [0x81, 0, 0, 42]);
    let got = stage.ask(&mut peer, &frame);
    assert_eq!(got[0].frame[12..16], [0x81, 0, 0, 42]);
    assert_eq!(got[0].frame[6..12], SERVER_MAC);
    // The router moved to another address.
    peer.mac = [2, 9, 9, 9, 9, 9];
    let frame = peer.frame(ACK, &record(2));
    assert_eq!(payload(&stage.ask(&mut peer, &frame)), record(2));
}

#[test]
fn answers_do_not_go_to_who_only_guesses_at_a_connection() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let right = peer.mac;
    let at = |mac: [u8; 6], peer: &Peer| Peer { mac, ..Peer::new(peer.port) };
    let thief = at([2, 6, 6, 6, 6, 6], &peer);
    let (seq, ack) = (peer.seq, peer.ack);
    for (seq, ack) in [
        (seq.wrapping_add(100_000), ack),
        (seq.wrapping_sub(100_000), ack),
        (seq, ack.wrapping_add(1)),
        (seq, ack.wrapping_sub(100_000)),
    ] {
        let guess = thief.frame_at(seq, ack, ACK, &record(9));
        send(&mut stage.pipe, &guess);
        stage.turn();
        // Whatever is answered goes to who was there before.
        assert!(stage.got(&mut peer).iter().all(|got| got.frame[..6] == right));
    }
    let frame = peer.frame(ACK, &record(1));
    assert_eq!(payload(&stage.ask(&mut peer, &frame)), record(1));
    // What comes again, by another router, tells of the change: its acknowledgment was lost.
    peer.mac = [2, 9, 9, 9, 9, 9];
    let again = peer.frame_at(seq, ack, ACK, &record(1));
    assert_eq!(stage.ask(&mut peer, &again)[0].segment.ack, peer.seq);
}

#[test]
fn ip_and_tcp_options_are_skipped() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let frame = peer.frame(ACK, &record(1));
    // Four bytes of IP options: no operation. The checksums cover them.
    let mut with_ip = frame.clone();
    with_ip.splice(34..34, [1, 1, 1, 0]);
    with_ip[14] = 0x46;
    let total = (with_ip.len() - 14) as u16;
    with_ip[16..18].copy_from_slice(&total.to_be_bytes());
    with_ip[24..26].fill(0);
    let sum = !millrace::net::packet::sum(&with_ip[14..38]);
    with_ip[24..26].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(payload(&stage.ask(&mut peer, &with_ip)), record(1));
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect(1000);
    let frame = peer.frame(ACK, &record(9));
    stage.ask(&mut peer, &frame);
    stage.now_ns -= 500_000 * MS;
    let again = stage.pass(&mut peer, 5_000);
    assert!(!again.is_empty(), "sent again although the clock went back");
}
