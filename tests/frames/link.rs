//! The interface goes down and up; the process is killed.

use std::process::Command;
use std::time::Duration;

use super::common::{answer, buy};
use super::venue::Venue;
use millrace::client::Answer;

#[test]
fn a_session_goes_on_when_the_link_was_down_and_up_fifty_times() {
    let Some(venue) = Venue::start() else { return };
    let mut alice = venue.client("ALICE", 0);
    for user_ref in 1..=50 {
        venue.hosts.set_link(false).unwrap();
        // Written into a link that is down: TCP has to bring it over later.
        alice.send(&buy(user_ref, 1, "90.00").encode()).unwrap();
        venue.hosts.set_link(true).unwrap();
        match answer(&mut alice) {
            Answer::Accepted { user_ref: told, .. } => assert_eq!(told, user_ref),
            other => panic!("order {user_ref} got {other:?}"),
        }
    }
    assert_eq!(venue.counter("gateway.connections_closed"), 0);
}

/// The kernel's side of the gateway's host: is a program attached?
fn has_program(venue: &Venue) -> bool {
    let shown = venue
        .hosts
        .server
        .run(|| Command::new("ip").args(["link", "show", "vsrv"]).output().unwrap().stdout);
    String::from_utf8_lossy(&shown.unwrap()).contains("xdp")
}

#[test]
fn the_program_is_on_the_interface_as_long_as_the_gateway_runs() {
    let Some(mut venue) = Venue::start() else { return };
    assert!(has_program(&venue));
    venue.stop();
    venue.wait_for("the program to leave", |venue| !has_program(venue));
}

/// Frames that are not the gateway's stay with the kernel: it answers on other ports.
#[test]
fn everything_else_stays_with_the_kernel() {
    let Some(venue) = Venue::start() else { return };
    let listener = venue.hosts.server.run(|| std::net::TcpListener::bind("10.9.0.1:0").unwrap());
    let listener = listener.unwrap();
    let to = listener.local_addr().unwrap();
    std::net::TcpStream::connect_timeout(&to, Duration::from_secs(5)).unwrap();
    listener.accept().unwrap();
    // Nobody else gets the gateway's port, and other addresses' ports are the kernel's.
    let taken = venue.hosts.server.run(|| std::net::TcpListener::bind(venue.address));
    assert_eq!(taken.unwrap().unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(venue.client("ALICE", 0));
}
