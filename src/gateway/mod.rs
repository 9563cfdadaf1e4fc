//! The agent that joins connections, sessions and formats to the rings.
//!
//! A turn takes bytes in ([`Gateway::poll_in`]): each message becomes a [`Command`](crate::order::Command) in the ring
//! to risk, written where it will be read. And it sends bytes out ([`Gateway::poll_out`]): each
//! [`Event`](crate::order::Event) becomes a message in its user's stream, held until its command is as durable as
//! the configuration asks, then sent from where it lies.

mod agent;
mod allowance;
mod auth;
mod conn;
mod fix;
mod home;
mod ledger;
mod login;
mod logins;
mod mischief;
mod ouch42;
mod ouch5;
mod pace;
mod passwords;
mod relay;
mod replay;
mod sightings;
mod snapshots;
mod state;
mod symbols;
mod terms;
mod throttle;
mod venues;
mod voice;
mod watchers;

pub use agent::{Gateway, GatewayRings, GatewaySetup, UserSetup};
pub use auth::{
    AuthAnswer, AuthRequest, Authenticator, Credential, PASSWORD_BYTES_MAX, hash_password,
};
pub use fix::COMP_ID_MAX;
pub use home::Peers;
pub use logins::AuthLine;
pub use mischief::MischiefSetup;
pub use ouch5::translate as translate_ouch5;
pub use passwords::Passwords;
pub use relay::{Back, Ends as RelayEnds, Front, PARCELS, Parcel};
pub use replay::{Chunk, RegenerateStream, ReplayRequest, Replayer};
pub use sightings::{Sighting, Sightings};
pub use snapshots::{MakeSnapshot, Snapshot, SnapshotMaker, Snapshots};
pub use symbols::{Directory, Names};
pub use terms::Sender;
pub use venues::{VenueSetup, venue_counters};
pub use voice::{Outbound, Page, Secret, Voice};
pub use watchers::Watchers;

/// Counters a gateway owns, behind a prefix of its own.
pub const COUNTERS: &[&str] = &[
    "connections_opened",
    "connections_closed",
    "logins_accepted",
    "logins_rejected",
    "logins_throttled",
    "messages_in",
    "messages_out",
    "messages_malformed",
    "messages_garbled",
    "packets_malformed",
    "dropped_silent",
    "dropped_without_login",
    "dropped_for_others",
    "taken_over",
    "paused_turns",
    "dropped_slow",
    "replays",
    "resends",
    "backpressure_turns",
    "records_lost",
    "audit_dropped",
];
