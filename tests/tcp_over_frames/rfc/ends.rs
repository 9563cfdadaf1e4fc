//! How connections end.

use millrace::net::packet::flags::{ACK, FIN};

use super::super::peer::Peer;
use super::super::stage::{MS, Stage, record};
use super::RTT;

#[test]
fn rfc_9293_3_10_7_4_what_comes_after_this_side_closed_is_acknowledged_and_dropped() {
    let mut stage = Stage::new(4);
    stage.server.echo.poison = Some(200);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let poison = peer.frame(ACK, &record(200));
    stage.ask(&mut peer, &poison);
    assert_eq!(stage.server.echo.closed, 1);
    let late = peer.frame(ACK, &record(1));
    let got = stage.ask(&mut peer, &late);
    assert_eq!((got.len(), got[0].segment.flags, got[0].segment.ack), (1, ACK, peer.seq));
    let fin = peer.frame(ACK | FIN, b"");
    assert_eq!(stage.ask(&mut peer, &fin)[0].segment.ack, peer.seq);
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
    stage.server.echo.poison = Some(200);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let poison = peer.frame(ACK, &record(200));
    let fin = stage.ask(&mut peer, &poison);
    assert!(fin.iter().any(|got| got.segment.has(FIN)));
    let (_, again) = stage.wait(&mut peer, RTT, 100 * MS);
    assert!(again[0].segment.has(FIN) && again[0].segment.seq == fin[0].segment.seq);
    let ack = peer.frame(ACK | FIN, b"");
    let got = stage.ask(&mut peer, &ack);
    assert_eq!(got.last().unwrap().segment.ack, peer.seq);
}

#[test]
fn rfc_9293_3_10_7_4_who_closed_last_waits_until_its_own_end_was_acknowledged() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000));
    stage.warm_up(&mut peer);
    let una = peer.ack;
    let end = peer.frame(ACK | FIN, &record(1));
    let got = stage.ask(&mut peer, &end);
    assert!(got.iter().any(|got| got.segment.has(FIN)));
    // Its answer arrived, and its FIN did not.
    let answered = peer.frame_at(peer.seq, una.wrapping_add(50), ACK, b"");
    stage.ask(&mut peer, &answered);
    assert_eq!(stage.server.transport.connections(), 1, "it is still there to send it again");
    let (_, again) = stage.wait(&mut peer, RTT, 500 * MS);
    assert!(again[0].segment.has(FIN));
    let last = peer.frame(ACK, b"");
    stage.ask(&mut peer, &last);
    assert_eq!(stage.server.transport.connections(), 0);
}

#[test]
fn rfc_9293_3_6_both_may_close_at_once() {
    let mut stage = Stage::new(4);
    stage.server.echo.poison = Some(200);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let poison = peer.frame(ACK, &record(200));
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
    stage.server.echo.poison = Some(200);
    let mut peer = stage.connect_as(Peer::modern(1000));
    let poison = peer.frame(ACK, &record(200));
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
