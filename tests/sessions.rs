//! SoupBinTCP: logins, replay, heartbeats, ends.

mod common;

use std::time::Duration;

use common::*;
use millrace::client::{Answer, Client, LoginError, NewOrder, Received, account_query};
use millrace::order::Price;

#[test]
fn wrong_users_and_passwords_are_rejected_alike() {
    let venue = Venue::start();
    for (user, password) in [("ALICE", "wrong"), ("NOBODY", "secret"), ("", "")] {
        match Client::login(venue.address, user, password, 0) {
            Err(LoginError::Rejected('A')) => {}
            other => panic!("{:?}", other.err()),
        }
    }
    assert_eq!(venue.counter("gateway.logins_rejected"), 3);
    // Case and padding do not count.
    Client::login(venue.address, "alice", "SECRET", 0).unwrap();
}

#[test]
fn a_user_has_one_live_login() {
    let venue = Venue::start();
    let first = venue.client("ALICE");
    let second = Client::login(venue.address, "ALICE", "secret", 0);
    assert!(matches!(second.err(), Some(LoginError::Rejected('S'))));
    drop(first);
    venue.wait_for("gateway.connections_closed", 2);
    venue.client("ALICE");
}

#[test]
fn a_client_is_replayed_from_any_number() {
    let venue = Venue::start();
    let mut carol = venue.client("CAROL");
    for user_ref in 1..=20 {
        enter(&mut carol, &buy(user_ref, 10, "90.00"));
    }
    drop(carol);
    venue.wait_for("gateway.connections_closed", 1);
    // Message 1 is the System Event of the user's first day.
    for from in [1, 2, 10, 21, 22] {
        let closed = venue.counter("gateway.connections_closed");
        let mut carol = venue.client_from("CAROL", from);
        assert_eq!(carol.next_number, from);
        for number in from..=21 {
            match answer(&mut carol) {
                Answer::SystemEvent { event: 'S' } => assert_eq!(number, 1),
                Answer::Accepted { user_ref, .. } => assert_eq!(u64::from(user_ref), number - 1),
                other => panic!("{other:?}"),
            }
        }
        silence(&mut carol);
        drop(carol);
        venue.wait_for("gateway.connections_closed", closed + 1);
    }
    let beyond = Client::login(venue.address, "CAROL", "secret", 23);
    assert!(matches!(beyond.err(), Some(LoginError::Rejected('S'))));
}

#[test]
fn what_left_the_window_is_replayed_from_the_journal() {
    // A window of 64 KiB holds the last thousand messages.
    let text = config_text("", "").replace("262144", "65536");
    let venue = Venue::start_in(Scratch::new(), &text);
    let mut alice = venue.client("ALICE");
    let mut messages = vec![];
    for user_ref in 1..=3000 {
        alice.send(&buy(user_ref, 10, "90.00").ioc().encode()).unwrap();
        // A few at a time: a client further behind than its window would be dropped.
        if user_ref % 100 == 0 {
            (0..200).for_each(|_| messages.push(alice.message(PATIENCE).unwrap()));
        }
    }
    drop(alice);
    venue.wait_for("gateway.connections_closed", 1);
    let mut alice = venue.client_from("ALICE", 2);
    for message in &messages {
        assert_eq!(alice.message(PATIENCE).unwrap(), *message);
    }
    assert!(venue.counter("gateway.replays") >= 1);
    // And it trades on as if nothing had been.
    enter(&mut alice, &buy(3001, 10, "90.00"));
}

#[test]
fn a_lost_connection_cancels_what_it_was_told_to() {
    let venue = Venue::start();
    let (mut alice, mut carol) = (venue.client("ALICE"), venue.client("CAROL"));
    enter(&mut alice, &sell(1, 10, "100.00"));
    enter(&mut carol, &sell(1, 10, "101.00"));
    drop((alice, carol));
    venue.wait_for("gateway.connections_closed", 2);
    let mut bob = venue.client("BOB");
    enter(&mut bob, &buy(1, 20, "102.00").ioc());
    filled(&mut bob, 1, 10, "101.00", 'R');
    canceled(&mut bob, 1, 10, 'I');
    // The cancel stands in the stream for when the client comes back.
    let mut alice = venue.client_from("ALICE", 3);
    canceled(&mut alice, 1, 10, 'S');
}

#[test]
fn a_logout_ends_the_session() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    alice.logout().unwrap();
    let end = alice.receive(PATIENCE).unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
    venue.client("ALICE");
}

#[test]
fn an_idle_session_gets_heartbeats_and_stays() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    // The client's reads pass over heartbeats; the silence below is longer than two of them.
    assert_eq!(alice.receive(Duration::from_millis(2500)).unwrap(), None);
    enter(&mut alice, &buy(1, 10, "90.00"));
    let mut raw = std::net::TcpStream::connect(venue.address).unwrap();
    use std::io::{Read, Write};
    raw.write_all(&millrace::wire::soupbin::login_packet("BOB", "secret", "", 0)).unwrap();
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = [0; 33];
    raw.read_exact(&mut head).unwrap();
    assert_eq!(head[2], b'A');
    let mut beat = [0; 3];
    raw.read_exact(&mut beat).unwrap();
    assert_eq!(&beat, b"\0\x01H");
}

#[test]
fn a_silent_client_is_dropped_after_the_time_its_login_asked_for() {
    use std::io::{Read, Write};
    let venue = Venue::start();
    let mut raw = std::net::TcpStream::connect(venue.address).unwrap();
    let mut login = millrace::wire::soupbin::login_packet("ALICE", "secret", "", 0);
    login.extend(b"  300");
    login[1] += 5;
    raw.write_all(&login).unwrap();
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = vec![];
    raw.read_to_end(&mut rest).unwrap();
    assert_eq!(rest[2], b'A');
    venue.wait_for("gateway.dropped_silent", 1);
}

#[test]
fn a_stopping_gateway_tells_its_clients() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    let stop = std::thread::spawn(move || venue.stop());
    assert_eq!(alice.receive(PATIENCE).unwrap(), Some(Received::EndOfSession));
    stop.join().unwrap();
}

#[test]
fn the_pipeline_topology_trades_the_same() {
    let mut transcripts = vec![];
    for topology in ["inline", "pipeline"] {
        let venue = Venue::with(&format!("topology = \"{topology}\""), "");
        let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
        let mut said = vec![];
        for n in 1..=200u32 {
            let client = if n % 2 == 0 { &mut alice } else { &mut bob };
            let side = if n % 3 == 0 { b'B' } else { b'S' };
            let at = Price(1_000_000 + n * 37 % 11 * 100);
            client.send(&NewOrder::new(n, side, 1 + n % 7, "AAPL", at).encode()).unwrap();
            // One order at a time, so that both runs have one sequence.
            client.send(&account_query()).unwrap();
            loop {
                said.push(comparable(client.message(PATIENCE).unwrap()));
                if said.last().unwrap()[0] == b'Q' {
                    break;
                }
            }
        }
        transcripts.push(said);
    }
    assert!(transcripts[0].len() > 400);
    assert!(transcripts[0] == transcripts[1], "the transcripts differ");
}

#[test]
fn a_login_takes_the_place_of_a_session_that_missed_its_heartbeats() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    enter(&mut alice, &buy(1, 10, "99.00"));
    // Nothing is sent from here on, as if the network were away.
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut back = loop {
        match Client::login(venue.address, "ALICE", "secret", 0) {
            Ok(client) => break client,
            Err(LoginError::Rejected('S')) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(std::time::Instant::now() < deadline, "never let in");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert_eq!(venue.counter("gateway.taken_over"), 1);
    // The session that was lost took its orders with it, and the new one is told.
    canceled(&mut back, 1, 10, 'S');
    enter(&mut back, &buy(2, 10, "99.00"));
}

/// What `millrace connections --json` prints.
fn connections(venue: &Venue) -> Vec<serde_json::Value> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.args(["connections", "--json"]).arg(&venue.config.gateway.data_dir);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn who_is_there_is_seen_from_outside() {
    let venue = Venue::start();
    assert!(connections(&venue).is_empty());
    let (mut alice, bob) = (venue.client("ALICE"), venue.client("BOB"));
    for user_ref in 1..=10 {
        enter(&mut alice, &buy(user_ref, 10, "90.00"));
    }
    let seen = connections(&venue);
    let users: Vec<&str> = seen.iter().map(|seen| seen["user"].as_str().unwrap()).collect();
    assert_eq!(users, ["ALICE", "BOB"]);
    let tcp = &seen[0]["tcp"];
    assert_eq!((&seen[0]["protocol"], &tcp["state"]), (&"ouch5".into(), &"established".into()));
    // Ten orders of 50 bytes and a login of 49.
    assert_eq!(tcp["bytes_in"], 10 * 50 + 49);
    assert!(tcp["bytes_out"].as_u64() > seen[1]["tcp"]["bytes_out"].as_u64());
    assert!(tcp["rtt_us"].as_u64().unwrap() > 0 && tcp["window_out"].as_u64().unwrap() > 0);
    drop(bob);
    venue.wait_for("gateway.connections_closed", 1);
    let left: Vec<_> = connections(&venue).iter().map(|seen| seen["user"].clone()).collect();
    assert_eq!(left, ["ALICE"]);
}

#[test]
fn who_is_there_is_not_waited_for_where_no_gateway_runs() {
    let said = |dir: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
        let output = command.arg("connections").arg(dir).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let empty = Scratch::new();
    assert!(said(&empty.0).contains("cannot look into"));
    let (_, stopped) = Venue::start().stop();
    assert!(said(&stopped.0).contains("is it running?"));
}
