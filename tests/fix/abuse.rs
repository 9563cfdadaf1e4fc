//! What nobody should send.

use std::time::{Duration, Instant};

use super::Floor;
use super::peer::{frame, time};

/// Sends it all or until the gateway has had enough, and that in bounded time.
fn pour(peer: &mut super::peer::Peer, bytes: &[u8]) {
    let mut at = 0;
    let started = Instant::now();
    while at < bytes.len() && started.elapsed() < Duration::from_secs(10) {
        match peer.try_send_raw(&bytes[at..]) {
            Ok(0) | Err(_) => return,
            Ok(count) => at += count,
        }
    }
}

#[test]
fn a_megabyte_without_an_end_harms_nobody() {
    let floor = Floor::open();
    let mut good = floor.fix("CLIENT2");
    let starts = ["8=FIX.4.4\x019=999999\x01", "8=FIX.4.4\x019=", "8=FIX.4.4\x019=4000\x0135=", ""];
    for (at, start) in (1..).zip(starts) {
        let mut peer = floor.peer("CLIENT1");
        peer.log_on("141=Y|");
        let mut bytes = start.as_bytes().to_vec();
        bytes.resize(1 << 20, b'x');
        pour(&mut peer, &bytes);
        good.sync();
        drop(peer);
        floor.venue.wait_for("gateway.connections_closed", at);
    }
    good.enter("A1", '1', 10, "99");
}

#[test]
fn ten_thousand_fields_and_nested_nonsense_harm_nobody() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    let now = time(0);
    let head = |number: u64| format!("35=D|34={number}|49=CLIENT1|56=MILLRACE|52={now}|");
    // As many fields as fit a message that is read at all.
    let many = "1=x|".repeat(900);
    peer.send_raw(&frame("FIX.4.4", &format!("{}{many}", head(2))));
    peer.expect_silence();
    let nested = "453=999|448=A|802=999|523=B|803=1|523=C|453=2|448=D|".repeat(10);
    let order = format!("11=A1|55=AAPL|54=1|60={now}|38=1|40=2|44=1|");
    peer.send_raw(&frame("FIX.4.4", &format!("{}{order}{nested}", head(2))));
    peer.expect("35=3|45=2");
    peer.next_out = 3;
    peer.sync();
    // Ten thousand, of which nothing is read.
    let many = "1=x|".repeat(10_000);
    pour(&mut peer, &frame("FIX.4.4", &format!("{}{many}", head(4))));
    floor.fix("CLIENT2").enter("A1", '1', 10, "99");
}

#[test]
fn a_flood_of_bad_passwords_is_held_to_a_rate() {
    let floor = Floor::open();
    let mut good = floor.fix("CLIENT2");
    for n in 0..200 {
        let mut peer = floor.peer("CLIENT1");
        peer.send("A", &format!("98=0|108=30|554=guess{n}|"));
        peer.expect_end();
    }
    let throttled = floor.venue.counter("gateway.logins_throttled");
    let rejected = floor.venue.counter("gateway.logins_rejected");
    assert_eq!(rejected, 200);
    assert!(throttled > 100, "{throttled} of {rejected} were refused unseen");
    good.enter("A1", '1', 10, "99");
}

#[test]
fn a_client_that_never_reads_is_dropped_and_can_come_back() {
    let floor = Floor::with_window(65_536);
    let mut good = floor.fix("CLIENT2");
    let mut peer = floor.fix("CLIENT1");
    let now = time(0);
    let started = Instant::now();
    while floor.venue.counter("gateway.dropped_slow") == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "it is never dropped");
        let mut batch = vec![];
        for _ in 0..100 {
            let number = peer.next_out;
            peer.next_out += 1;
            let body =
                format!("35=1|34={number}|49=CLIENT1|56=MILLRACE|52={now}|112=are you there|");
            batch.extend(frame("FIX.4.4", &body));
        }
        pour(&mut peer, &batch);
    }
    good.sync();
    let mut peer = floor.peer("CLIENT1");
    peer.log_on("141=Y|");
    peer.enter("A1", '1', 10, "99");
}
