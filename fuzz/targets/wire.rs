//! A gateway's wire without a network, and its counters.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

use millrace::gateway::{COUNTERS, venue_counters};
use millrace::net::{self, Close, ConnId, Counts, Handler, Transport};
use millrace::runtime::Counters;

/// A wire in memory, with one connection.
#[derive(Default)]
pub struct Wire {
    /// Somebody calls.
    pub opens: bool,
    /// Somebody was called, and answers.
    pub asked: bool,
    /// The connection is there.
    pub open: bool,
    /// It ends.
    pub fails: bool,
    /// What comes, and what was sent.
    pub coming: Vec<u8>,
    pub sent: Vec<u8>,
}

/// Its one connection.
const CONN: ConnId = ConnId { index: 0, generation: 0 };

impl Transport for Wire {
    fn poll(&mut self, handler: &mut impl Handler, _: usize, _: u64) -> usize {
        if std::mem::take(&mut self.opens) {
            self.open = true;
            handler.opened(CONN, 0, IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        if std::mem::take(&mut self.asked) {
            self.open = true;
            self.coming.clear();
            handler.writable(CONN);
        }
        if self.open && std::mem::take(&mut self.fails) {
            self.open = false;
            handler.closed(CONN);
        }
        if self.open && !self.coming.is_empty() {
            match handler.received(CONN, &self.coming) {
                Ok(done) => drop(self.coming.drain(..done)),
                Err(Close) => {
                    self.open = false;
                    handler.closed(CONN);
                }
            }
        }
        0
    }

    fn send(&mut self, _: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        self.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn connect(&mut self, _: SocketAddr) -> Option<ConnId> {
        (!self.open).then(|| {
            self.asked = true;
            CONN
        })
    }

    fn close(&mut self, _: ConnId) {
        self.open = false;
    }

    fn wakes_by(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn idle_us(&mut self) -> u32 {
        u32::MAX
    }

    fn connections_max(&self) -> usize {
        1
    }

    fn counts(&mut self) -> Counts {
        [0; net::COUNTERS.len()]
    }
}

/// The counters of a gateway with a venue.
pub fn counters() -> Counters {
    static OF_ALL: OnceLock<Counters> = OnceLock::new();
    let make = || {
        let own = COUNTERS.iter().map(|name| format!("gateway.{name}"));
        let of_net = net::COUNTERS.iter().map(|name| format!("net.{name}"));
        let names: Vec<String> = own.chain(of_net).chain(venue_counters("XOUT")).collect();
        let path = std::env::temp_dir().join(format!("millrace-fuzz-venue-{}", std::process::id()));
        let counters = Counters::create(&path, &names).unwrap();
        let _ = std::fs::remove_file(&path);
        counters
    };
    OF_ALL.get_or_init(make).clone()
}
