//! How much may be on its way, in both directions.

use millrace::net::packet::flags::ACK;

use super::super::peer::Peer;
use super::super::stage::{Stage, payload, record};

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
