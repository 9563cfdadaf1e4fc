//! Market data: what the book does becomes visible, and can be rebuilt.
//!
//! The feed listens to the book over a ring for which the book never waits ([`Follower`]), carries out the
//! same commands in a book of its own, and tells the market what is displayed ([`Teller`]): every message
//! has a number and stands in a ring ([`Tape`]), for this host to read and for those to be answered from who
//! lost something on the way ([`Requests`]). On the lines messages travel in MoldUDP64 packets
//! ([`Packets`]). `docs/MARKET-DATA.md` tells it to those who connect.
#![forbid(unsafe_code)]

mod agent;
mod follower;
mod history;
mod packets;
mod record;
mod requests;
mod tape;
mod teller;
#[cfg(test)]
mod tests;

pub use agent::{AHEAD_OF_DISK, COUNTERS, Events, FeedAgent, FeedSetup};
pub use follower::Follower;
pub use history::History;
pub use packets::{Counts, MTU_MIN, Packets, UDP_BYTES, Way};
pub use record::{Told, session_tag};
pub use requests::{Past, PastRequest, Requests, RequestsSetup};
pub use tape::{Ring, Tape};
pub use teller::{Nobody, Teller};
