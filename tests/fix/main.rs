//! FIX sessions end to end: orders, sessions, resends, restarts, and what nobody should send.
//! Runs on another transport with `MILLRACE_TEST_TRANSPORT`.

mod abuse;
mod audit;
#[path = "../common/mod.rs"]
mod common;
mod copies;
mod orders;
mod ouch42;
mod parsers;
mod peer;
mod resend;
mod restart;
mod sessions;

use std::net::SocketAddr;

use common::{Scratch, Venue, config_text};
use peer::Peer;

/// The tests' ports and users: OUCH 5.0, FIX 4.4, FIX 4.2 and OUCH 4.2, in this order.
pub(crate) fn text(gateway: &str, risk: &str) -> String {
    let more = r#"
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
name = "FIX1"
password = "secret"
firm = "BBB"
fix_comp_id = "CLIENT1"
cancel_on_disconnect = false
[[user]]
name = "FIX2"
password = "secret"
firm = "CCC"
fix_comp_id = "CLIENT2"
[[user]]
name = "OLD1"
protocol = "fix42"
password = "secret"
firm = "DDD"
fix_comp_id = "OLDCLIENT"
cancel_on_disconnect = false
[[user]]
name = "TOKEN1"
protocol = "ouch42"
password = "secret"
firm = "EEE"
[[symbol]]
"#;
    // The whole of it with parsers, if asked for.
    let parsers = std::env::var("MILLRACE_FIX_PARSERS")
        .map_or(String::new(), |count| format!("topology = \"pipeline\"\nfix_parsers = {count}\n"));
    config_text(&format!("{parsers}{gateway}"), risk).replacen("[[symbol]]\n", more, 1)
}

/// A gateway that speaks everything.
pub(crate) struct Floor {
    pub(crate) venue: Venue,
    addresses: Vec<SocketAddr>,
}

impl Floor {
    pub(crate) fn open() -> Floor {
        Floor::open_in(Scratch::new(), "")
    }

    /// With a small window of each user's messages.
    pub(crate) fn with_window(bytes: usize) -> Floor {
        let window = format!("stream_window_bytes = {bytes}");
        let text = text("", "").replace("stream_window_bytes = 262144", &window);
        Floor::of(Venue::start_in(Scratch::new(), &text))
    }

    fn of(venue: Venue) -> Floor {
        let addresses = venue.addresses();
        Floor { venue, addresses }
    }

    pub(crate) fn open_in(scratch: Scratch, gateway: &str) -> Floor {
        Floor::of(Venue::start_in(scratch, &text(gateway, "")))
    }

    pub(crate) fn address(&self, port: usize) -> SocketAddr {
        self.addresses[port]
    }

    /// A fresh FIX 4.4 session of CLIENT1 or CLIENT2, logged on.
    pub(crate) fn fix(&self, comp_id: &str) -> Peer {
        let mut peer = self.peer(comp_id);
        peer.log_on("");
        peer
    }

    /// The same, not logged on.
    pub(crate) fn peer(&self, comp_id: &str) -> Peer {
        let (version, port) = if comp_id == "OLDCLIENT" { ("FIX.4.2", 2) } else { ("FIX.4.4", 1) };
        Peer::connect(self.addresses[port], version, comp_id)
    }

    /// Stops it and starts it again.
    pub(crate) fn restart(self) -> Floor {
        let (_, scratch) = self.venue.stop();
        Floor::open_in(scratch, "")
    }
}
