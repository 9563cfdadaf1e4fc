//! What is agreed on when a connection opens.

use millrace::net::frames::pipe::pair;
use millrace::net::packet::Stamps;
use millrace::net::packet::flags::{ACK, SYN};

use super::super::peer::Peer;
use super::super::server::Server;
use super::super::stage::{MS, Stage, payload, record};

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
