//! Orders that go on to an outside exchange, which is another millrace or a peer that does as it is told.

#[path = "../common/mod.rs"]
mod common;
#[path = "../fix/peer.rs"]
mod peer;

mod kills;
mod mischief;
mod outside;
mod terms;
mod whole;

use std::net::SocketAddr;

use common::{Scratch, Venue};
use peer::Peer;

/// What both sides have in common: small tables and a quiet idle strategy, and two symbols.
const HEAD: &str = r#"[gateway]
idle = "park"
max_orders = 4096
ring_capacity = 2048
stream_window_bytes = 262144
"#;
const SYMBOLS: &str = r#"[[symbol]]
name = "AAPL"
reference_price = "100.00"
[[symbol]]
name = "MSFT"
reference_price = "100.00"
"#;

/// An outside exchange: FIX for the gateway, OUCH for somebody who trades there.
pub fn exchange(scratch: Scratch, fix: SocketAddr, protocol: &str) -> Venue {
    Venue::start_in(scratch, &exchange_text(fix, protocol))
}

/// Its configuration.
pub fn exchange_text(fix: SocketAddr, protocol: &str) -> String {
    format!(
        r#"
{HEAD}fix_comp_id = "XOUT"
[[port]]
protocol = "ouch5"
listen = "127.0.0.1:0"
[[port]]
protocol = "{protocol}"
listen = "{fix}"
[[user]]
name = "GATE"
{gate}
password = "secret"
firm = "GATE"
cancel_on_disconnect = false
[[user]]
name = "MAKER"
password = "secret"
firm = "MMM"
{SYMBOLS}"#,
        gate = if protocol.starts_with("fix") {
            "fix_comp_id = \"MILLRACE\""
        } else {
            "protocol = \"ouch5\""
        },
    )
}

/// The gateway, with one venue at an address and a policy for everybody.
pub fn gateway(
    scratch: Scratch,
    venue: SocketAddr,
    protocol: &str,
    policy: &str,
    more: &str,
) -> Venue {
    Venue::start_in(scratch, &gateway_text(venue, protocol, policy, more))
}

/// Its configuration.
pub fn gateway_text(venue: SocketAddr, protocol: &str, policy: &str, more: &str) -> String {
    let ids = match protocol {
        "ouch5" => "username = \"GATE\"\npassword = \"secret\"",
        _ => {
            "sender_comp_id = \"MILLRACE\"\ntarget_comp_id = \"XOUT\"\nusername = \"GATE\"\npassword = \"secret\""
        }
    };
    format!(
        r#"
{HEAD}[[port]]
protocol = "ouch5"
listen = "127.0.0.1:0"
[[port]]
protocol = "fix44"
listen = "127.0.0.1:0"
[[port]]
protocol = "fix42"
listen = "127.0.0.1:0"
[[port]]
protocol = "ouch42"
listen = "127.0.0.1:0"
[[user]]
name = "ALICE"
password = "secret"
firm = "AAA"
cancel_on_disconnect = false
[[user]]
name = "BOB"
password = "secret"
firm = "BBB"
[[user]]
name = "FIX1"
fix_comp_id = "CLIENT1"
password = "secret"
firm = "AAA"
cancel_on_disconnect = false
[[user]]
name = "FIX2"
fix_comp_id = "CLIENT2"
protocol = "fix42"
password = "secret"
firm = "CCC"
[[user]]
name = "OLD"
protocol = "ouch42"
password = "secret"
firm = "AAA"
{SYMBOLS}[[venue]]
name = "XOUT"
protocol = "{protocol}"
connect = "{venue}"
{ids}
reconnect_ms = [20, 200]
{more}
[routing.default]
policy = "{policy}"
venues = ["XOUT"]
[risk.default]
max_messages_per_second = 1000000
self_trade = "allow"
"#
    )
}

/// A FIX client of the gateway's.
pub fn client(venue: &Venue) -> Peer {
    let mut peer = Peer::connect(venue.addresses()[1], "FIX.4.4", "CLIENT1");
    peer.log_on("");
    peer
}

/// Waits until orders can go to the venue.
pub fn wait_up(venue: &Venue) {
    wait_for_venue(venue, "XOUT");
}

/// The same of one of several.
pub fn wait_for_venue(gateway: &Venue, name: &str) {
    let deadline = std::time::Instant::now() + common::PATIENCE;
    let state = || gateway.counter(&format!("venue.{name}.state"));
    while state() != 3 {
        assert!(std::time::Instant::now() < deadline, "state {}", state());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // Risk is told right behind it.
    std::thread::sleep(std::time::Duration::from_millis(20));
}

/// So many orders are open, as risk will know as soon as it was told.
pub fn is_open(venue: &Venue, orders: u64) {
    let deadline = std::time::Instant::now() + common::PATIENCE;
    while venue.counter("risk.open_orders") != orders {
        let open = venue.counter("risk.open_orders");
        assert!(std::time::Instant::now() < deadline, "{open} orders are open, not {orders}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// A port of loopback that nobody listens on.
pub fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
