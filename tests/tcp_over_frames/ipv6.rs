//! Connections over IPv6.

use millrace::net::packet::flags::{ACK, FIN, PSH, SYN};

use super::peer::Peer;
use super::stage::{MS, Stage, payload, record};

#[test]
fn rfc_8200_8_3_segments_are_shorter_by_what_the_header_is_longer() {
    let mut stage = Stage::new(4);
    let mut peer = Peer::modern(1000).over_ipv6();
    let syn = peer.frame(SYN, b"");
    let got = stage.ask(&mut peer, &syn);
    assert_eq!(got[0].segment.flags, SYN | ACK);
    assert_eq!(got[0].options().mss, Some(1440));
}

#[test]
fn a_session_goes_from_its_beginning_to_its_end() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000).over_ipv6());
    for n in 0..100 {
        let frame = peer.frame(ACK | PSH, &record(n));
        assert_eq!(payload(&stage.ask(&mut peer, &frame)), record(n));
    }
    let end = peer.frame(ACK | FIN, b"");
    let got = stage.ask(&mut peer, &end);
    assert_eq!(got.last().unwrap().segment.flags & FIN, FIN);
    let last = peer.frame(ACK, b"");
    stage.ask(&mut peer, &last);
    assert_eq!(stage.server.transport.connections(), 0);
}

#[test]
fn both_families_have_the_same_ports_and_are_not_mixed_up() {
    let mut stage = Stage::new(4);
    let mut four = stage.connect_as(Peer::modern(1000));
    let mut six = stage.connect_as(Peer::modern(1000).over_ipv6());
    assert_eq!(stage.open(), 2);
    for n in 0..10 {
        let frames = [four.frame(ACK, &record(n)), six.frame(ACK, &record(100 + n))];
        assert_eq!(payload(&stage.ask(&mut four, &frames[0])), record(n));
        assert_eq!(payload(&stage.ask(&mut six, &frames[1])), record(100 + n));
    }
}

#[test]
fn what_is_lost_comes_again() {
    let mut stage = Stage::new(4);
    let mut peer = stage.connect_as(Peer::modern(1000).over_ipv6());
    let frame = peer.frame(ACK, &record(1));
    let una = peer.ack;
    assert_eq!(payload(&stage.ask(&mut peer, &frame)), record(1));
    let again = stage.pass(&mut peer, 200);
    assert_eq!((again[0].segment.seq, again[0].payload()), (una, &record(1)[..]));
}

#[test]
fn no_address_of_the_other_family_is_taken_and_no_header_between() {
    let mut stage = Stage::new(4);
    let mut peer = Peer::modern(1000).over_ipv6();
    let syn = peer.frame(SYN, b"");
    // From ::ffff:10.9.0.2, which would be a peer of IPv4.
    let mut mapped = syn.clone();
    mapped[22..38].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 0, 2]);
    let mut behind = syn.clone();
    behind[20] = 0;
    let mut fragment = syn.clone();
    fragment[20] = 44;
    let mut short = syn.clone();
    short[19] += 1;
    let mut wrong = syn.clone();
    wrong[37] ^= 1;
    for frame in [mapped, behind, fragment, short, wrong] {
        assert!(stage.ask(&mut peer, &frame).is_empty());
    }
    let names = ["malformed", "foreign", "fragments", "bad_checksum"];
    let counts = names.map(|name| stage.server.count(&format!("frames_{name}")));
    assert_eq!(counts, [2, 1, 1, 1]);
    stage.now_ns += MS;
    assert_eq!(stage.ask(&mut peer, &syn).len(), 1);
}
