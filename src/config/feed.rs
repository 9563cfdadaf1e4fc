//! `[feed]`: where market data goes.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

/// `[feed]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Feed {
    /// Where packets go, the same to each: multicast groups or hosts, with a port.
    pub lines: Spanned<Vec<SocketAddr>>,
    /// The address by whose interface multicast leaves; the system's choice unless given.
    pub interface: Option<Spanned<IpAddr>>,
    /// Networks that multicast gets through: 1 stays in its own.
    pub hops: Spanned<u32>,
    /// Bytes of the longest IP packet on the way.
    pub mtu: Spanned<usize>,
    /// Where lost messages are asked for.
    pub request: Option<Spanned<SocketAddr>>,
    /// Requests that one address may make in a second.
    pub requests_per_second: Spanned<u32>,
    /// Messages kept in memory for requests and, if there is one, in the shared ring.
    pub keep: Spanned<usize>,
    /// A broadcast ring for this host: NAME for messages, NAME-events for the book's own events.
    pub ring: Option<Spanned<String>>,
    /// The folder that it is in.
    pub ring_dir: PathBuf,
    /// Name of the MoldUDP64 session; made from the journal's if empty.
    pub session: Spanned<String>,
}

impl Default for Feed {
    fn default() -> Self {
        Feed {
            lines: Spanned::new(0..0, Vec::new()),
            interface: None,
            hops: Spanned::new(0..0, 1),
            mtu: Spanned::new(0..0, 1500),
            request: None,
            requests_per_second: Spanned::new(0..0, 1_000),
            keep: Spanned::new(0..0, 262_144),
            ring: None,
            ring_dir: crate::ring::region::Place::DIR.into(),
            session: Spanned::new(0..0, String::new()),
        }
    }
}
