//! Sessions over IPv6: steered like those over IPv4, beside everything that stays with the kernel.

use std::process::{Command, Stdio};

use super::common::transport::carrier;
use super::common::{answer, buy, config_text};
use super::venue::Venue;
use millrace::client::Answer;
use millrace::client::playground::Carrier;

/// The gateway's address where the kernel is beside it, and where it is all of the host there is.
fn address() -> &'static str {
    if matches!(carrier(), Carrier::Dpdk(_)) { "[fd09::3]:" } else { "[fd09::1]:" }
}

fn start(more: &str) -> Option<Venue> {
    Venue::with(&config_text("", "").replace("127.0.0.1:", address()), 1, more)
}

fn trade(venue: &Venue, orders: u32) {
    let mut alice = venue.client("ALICE", 0);
    for user_ref in 1..=orders {
        alice.send(&buy(user_ref, 1, "90.00").encode()).unwrap();
        match answer(&mut alice) {
            Answer::Accepted { user_ref: told, .. } => assert_eq!(told, user_ref),
            other => panic!("order {user_ref} got {other:?}"),
        }
    }
}

#[test]
fn orders_are_accepted() {
    let Some(venue) = start("") else { return };
    assert!(venue.address.is_ipv6());
    trade(&venue, 1_000);
    // By frames, not by the kernel.
    venue.wait_for("frames", |venue| venue.counter("net.frames_in") >= 1_000);
    assert_eq!(venue.counter("net.frames_bad_checksum"), 0);
}

#[test]
fn on_a_wire_that_loses_frames_as_well() {
    let Some(venue) = start("[faults]\nloss_ppm = 20000\nreorder_ppm = 50000\n") else { return };
    trade(&venue, 1_000);
    venue.wait_for("segments again", |venue| venue.counter("net.segments_again") > 0);
}

#[test]
fn a_ping_is_answered_by_whoever_has_the_address() {
    let Some(venue) = start("") else { return };
    let to = venue.address.ip().to_string();
    let ping = || {
        let words = ["-6", "-c", "2", "-i", "0.2", "-W", "5", &to];
        Command::new("ping").args(words).stdout(Stdio::null()).status().unwrap()
    };
    assert!(venue.hosts.client.run(ping).unwrap().success());
}
