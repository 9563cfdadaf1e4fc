//! Whatever comes over the wire gets the protocol's answer or a closed connection and a counter;
//! the others do not notice.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::*;
use millrace::client::{Answer, Received};
use millrace::wire::soupbin::{kind, login_packet, packet};

/// Sends bytes on a connection of their own and returns what came until it was closed.
fn outcome(venue: &Venue, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(venue.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = vec![];
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
        Err(e) => panic!("not closed: {e}"),
    }
    answer
}

#[test]
fn garbage_instead_of_soupbintcp_closes_the_connection_and_nobody_else_notices() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    let garbage: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0; 64],
        &[0xFF; 64],
        b"\0\0",
        b"\xFF\xFFL",
        &packet(kind::UNSEQUENCED, b"O"),
        &packet(b'?', b""),
    ];
    for (n, bytes) in garbage.iter().enumerate() {
        assert_eq!(outcome(&venue, bytes), b"", "{bytes:?}");
        venue.wait_for("gateway.packets_malformed", n as u64 + 1);
        enter(&mut alice, &buy(n as u32 + 1, 1, "90.00"));
    }
}

#[test]
fn a_malformed_login_is_not_answered_and_a_number_that_is_none_is_rejected() {
    let venue = Venue::start();
    assert_eq!(outcome(&venue, &packet(kind::LOGIN_REQUEST, b"short")), b"");
    let mut login = login_packet("ALICE", "secret", "", 0);
    login[48] = b'x';
    assert_eq!(outcome(&venue, &login), b"\0\x02JA");
    let login = login_packet("ALICE", "secret", "OTHERDAY", 0);
    assert_eq!(outcome(&venue, &login), b"\0\x02JS");
}

#[test]
fn a_login_never_sent_is_waited_for_only_so_long() {
    let venue = Venue::start();
    assert_eq!(outcome(&venue, b""), b"");
    venue.wait_for("gateway.dropped_without_login", 1);
}

#[test]
fn orders_are_understood_a_byte_at_a_time_and_a_thousand_at_a_time() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    for byte in packet(kind::UNSEQUENCED, &buy(1, 1, "90.00").encode()) {
        alice.send_raw(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(answer(&mut alice), Answer::Accepted { user_ref: 1, .. }));
    let orders = (2..=1001).map(|n| packet(kind::UNSEQUENCED, &buy(n, 1, "90.00").encode()));
    alice.send_raw(&orders.collect::<Vec<_>>().concat()).unwrap();
    for n in 2..=1001 {
        match answer(&mut alice) {
            Answer::Accepted { user_ref, .. } => assert_eq!(user_ref, n),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_message_that_is_none_ends_the_session_with_words() {
    let venue = Venue::start();
    for (n, (bytes, words)) in
        [(&b"?nonsense"[..], "unknown message type"), (b"Oshort", "too short"), (b"", "unknown")]
            .into_iter()
            .enumerate()
    {
        let mut bob = venue.client("BOB");
        bob.send(bytes).unwrap();
        match bob.receive(PATIENCE).unwrap() {
            Some(Received::Debug(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(bob.receive(PATIENCE).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        venue.wait_for("gateway.messages_malformed", n as u64 + 1);
    }
}

#[test]
fn a_broken_appendage_rejects_the_order_and_the_session_goes_on() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    for (n, tail) in [&b"\0"[..], b"\0\x09", b"\0\x01\0", b"\0\x02\x05\x01"].iter().enumerate() {
        let mut message = buy(n as u32 + 1, 1, "90.00").encode();
        message.truncate(45);
        message.extend_from_slice(tail);
        alice.send(&message).unwrap();
        let rejected = Answer::Rejected { user_ref: n as u32 + 1, reason: 15 };
        assert_eq!(answer(&mut alice), rejected);
    }
    // Without any appendage at all, it is as if it were empty.
    let mut message = buy(9, 1, "90.00").encode();
    message.truncate(45);
    alice.send(&message).unwrap();
    assert!(matches!(answer(&mut alice), Answer::Accepted { user_ref: 9, .. }));
}

#[test]
fn repeated_numbers_are_ignored_and_the_highest_is_the_last() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    enter(&mut alice, &buy(7, 1, "90.00"));
    alice.send(&buy(7, 2, "91.00").encode()).unwrap();
    alice.send(&buy(6, 2, "91.00").encode()).unwrap();
    alice.send(&buy(0, 2, "91.00").encode()).unwrap();
    silence(&mut alice);
    assert_eq!(venue.counter("risk.ignored"), 3);
    enter(&mut alice, &buy(u32::MAX, 1, "90.00"));
    alice.send(b"Q").unwrap();
    assert_eq!(answer(&mut alice), Answer::AccountQueryResponse { next_user_ref: u32::MAX });
}

#[test]
fn a_client_that_never_reads_is_closed_and_its_orders_are_cancelled() {
    let text = config_text("", "").replace("262144", "65536");
    let venue = Venue::start_in(Scratch::new(), &text);
    let mut alice = venue.client("ALICE");
    let mut deaf = venue.client("BOB");
    enter(&mut deaf, &buy(1, 1, "95.00"));
    let mut user_ref = 1;
    while venue.counter("gateway.dropped_slow") == 0 {
        let batch: Vec<u8> = (0..200)
            .flat_map(|n| {
                packet(kind::UNSEQUENCED, &buy(user_ref + n + 1, 1, "90.00").ioc().encode())
            })
            .collect();
        user_ref += 200;
        if deaf.send_raw(&batch).is_err() {
            break;
        }
        assert!(user_ref < 2_000_000, "never closed");
    }
    venue.wait_for("gateway.dropped_slow", 1);
    // Its resting order is gone; nobody else noticed anything.
    alice.send(&sell(1, 1, "95.00").ioc().encode()).unwrap();
    assert!(matches!(answer(&mut alice), Answer::Accepted { .. }));
    canceled(&mut alice, 1, 1, 'I');
}

#[test]
fn a_thousand_idle_connections_give_way_to_one_who_logs_in_and_disturb_nobody() {
    let venue = Venue::with("max_connections = 1001", "");
    let mut alice = venue.client("ALICE");
    let idle: Vec<TcpStream> =
        (0..1000).map(|_| TcpStream::connect(venue.address).unwrap()).collect();
    venue.wait_for("gateway.connections_opened", 1001);
    // Every place is taken. Those who said nothing for longest make room.
    let mut bob = venue.client("BOB");
    venue.wait_for("gateway.dropped_for_others", 1);
    for user_ref in 1..=100 {
        enter(&mut alice, &buy(user_ref, 1, "90.00"));
        enter(&mut bob, &sell(user_ref, 1, "110.00"));
    }
    drop(idle);
    venue.wait_for("gateway.connections_closed", 1000);
    assert_eq!(venue.counter("gateway.packets_malformed"), 0);
    assert_eq!(venue.counter("gateway.dropped_silent"), 0);
}

#[test]
fn when_everybody_there_is_logged_in_one_more_is_refused() {
    let venue = Venue::with("max_connections = 2", "");
    let mut alice = venue.client("ALICE");
    let mut bob = venue.client("BOB");
    // The kernel has connected it before the gateway can refuse; over frames it never connects.
    match TcpStream::connect(venue.address) {
        Ok(mut refused) => {
            refused.set_read_timeout(Some(PATIENCE)).unwrap();
            assert!(!matches!(refused.read(&mut [0]), Ok(1)));
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
    }
    venue.wait_for("net.refused", 1);
    enter(&mut alice, &buy(1, 1, "90.00"));
    enter(&mut bob, &sell(1, 1, "110.00"));
}
