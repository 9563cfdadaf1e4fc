//! What DPDK's transport has of its own: it is all of the host there is, its device can ask to be
//! reset, and much can be wrong before it runs. On a virtual device over veth; needs root, and is
//! skipped, said, without.

#[path = "../common/mod.rs"]
mod common;
#[path = "../frames/venue.rs"]
mod venue;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::transport::over;
use common::{Scratch, answer, buy, config_text};
use millrace::client::Answer;
use millrace::client::playground::Carrier;
use millrace::net::dpdk::{ask_for_reset, resets};
use venue::{Venue, hosts};

fn start() -> Option<Venue> {
    Venue::on(&Carrier::Dpdk("net_af_packet"), &config_text("", ""), 1, "")
}

fn on_client(venue: &Venue, words: &[&str]) -> bool {
    let run = || Command::new(words[0]).args(&words[1..]).stdout(Stdio::null()).status().unwrap();
    venue.hosts.client.run(run).unwrap().success()
}

#[test]
fn it_answers_arp_and_ping_and_refuses_ports_that_nobody_listens_on() {
    let Some(venue) = start() else { return };
    assert!(on_client(&venue, &["ping", "-c", "2", "-i", "0.2", "-W", "5", "10.9.0.3"]));
    assert!(on_client(&venue, &["ping", "-c", "1", "-s", "1400", "-W", "5", "10.9.0.3"]));
    // An address that is nobody's stays nobody's.
    assert!(!on_client(&venue, &["ping", "-c", "1", "-W", "1", "10.9.0.4"]));
    let other = (venue.address.ip(), venue.address.port() + 1).into();
    let refused = std::net::TcpStream::connect_timeout(&other, Duration::from_secs(5));
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    // What the device counts itself, copied once a second.
    venue.wait_for("device statistics", |venue| venue.counter("device.rx_good_packets") >= 3);
}

/// The same by IPv6: neighbour discovery, ping, and a session.
#[test]
fn it_is_a_host_of_ipv6_too() {
    let carrier = Carrier::Dpdk("net_af_packet");
    let text = config_text("", "").replace("127.0.0.1:", "[fd09::3]:");
    let Some(venue) = Venue::on(&carrier, &text, 1, "") else { return };
    assert!(on_client(&venue, &["ping", "-6", "-c", "2", "-i", "0.2", "-W", "5", "fd09::3"]));
    assert!(!on_client(&venue, &["ping", "-6", "-c", "1", "-W", "1", "fd09::4"]));
    let mut alice = venue.client("ALICE", 0);
    alice.send(&buy(1, 1, "90.00").encode()).unwrap();
    assert!(matches!(answer(&mut alice), Answer::Accepted { .. }));
}

#[test]
fn sessions_go_on_when_the_device_is_reset() {
    let Some(venue) = start() else { return };
    let device = venue.config.dpdk.as_ref().unwrap().device.get_ref().clone();
    let mut alice = venue.client("ALICE", 0);
    for user_ref in 1..=5 {
        assert!(ask_for_reset(&device));
        alice.send(&buy(user_ref, 1, "90.00").encode()).unwrap();
        match answer(&mut alice) {
            Answer::Accepted { user_ref: told, .. } => assert_eq!(told, user_ref),
            other => panic!("order {user_ref} got {other:?}"),
        }
        venue.wait_for("the reset", |_| resets(&device) == u64::from(user_ref));
    }
    assert_eq!(venue.counter("gateway.connections_closed"), 0);
}

#[test]
fn a_wrong_set_up_is_refused_in_one_line_with_the_remedy() {
    let Some(hosts) = hosts(1) else { return };
    let cases: &[(&str, &str, &str)] = &[
        ("net_af_packetN,iface=vsrv", "0000:ff:1f.7", "there is no PCI device 0000:ff:1f.7"),
        ("net_af_packetN,iface=vsrv", "net_af_packet0,iface=eth7", "DPDK does not take"),
        ("net_af_packetN,iface=vsrv", "net_nonsense0", "DPDK does not take net_nonsense0"),
        ("\"--no-huge\"", "\"--no-huge\", \"--no-such-option\"", "DPDK does not start"),
        ("mbufs = 4095", "mbufs = 100", "at least 2048"),
        ("mbufs = 4095", "mbufs = 4095\nqueues = 7", "queues here, not 7"),
        ("mbufs = 4095", "mbufs = 4095\nchecksums = \"device\"", "net_af_packet cannot verify"),
        ("mbufs = 4095", "mbufs = 4000000", "fewer mbufs"),
        ("10.9.0.3:", "127.0.0.1:", "not on loopback"),
    ];
    // What is free is seen before DPDK is asked; a machine that has some would just run.
    let free = |size: &str| {
        let file = format!("/sys/kernel/mm/hugepages/hugepages-{size}kB/free_hugepages");
        std::fs::read_to_string(file).is_ok_and(|count| count.trim() != "0")
    };
    let none = [("\"--no-huge\", ", "", "scripts/hugepages set")];
    let none: &[_] = if free("2048") || free("1048576") { &[] } else { &none };
    for (from, to, says) in cases.iter().chain(none) {
        let scratch = Scratch::new();
        let text = over(&config_text("", ""), &Carrier::Dpdk("net_af_packet"), "");
        let device = text.split("device = \"").nth(1).unwrap().split('"').next().unwrap();
        let text = text.replace(device, "net_af_packetN,iface=vsrv").replace(from, to);
        let text = text.replace("packetN", "packet0");
        let file = scratch.0.join("millrace.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["run", "--config"]).arg(&file).arg("--data").arg(scratch.0.join("data"));
        let output = hosts.server.run(|| command.output().unwrap()).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{to}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{to}: {said}");
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
