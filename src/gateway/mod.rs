//! The agent that joins connections, sessions and formats to the rings.
//!
//! A turn takes bytes in ([`Gateway::poll_in`]): each message becomes a [`Command`](crate::order::Command) in the ring
//! to risk, written where it will be read. And it sends bytes out ([`Gateway::poll_out`]): each
//! [`Event`](crate::order::Event) becomes a message in its user's stream, held until its command is as durable as
//! the configuration asks, then sent from where it lies.

mod agent;
mod auth;
mod conn;
mod home;
mod inbound;
mod login;
mod outbound;
mod replay;
mod state;
mod symbols;

pub use agent::{Gateway, GatewayRings, GatewaySetup, UserSetup};
pub use auth::{AuthAnswer, AuthRequest, Authenticator, Credential, hash_password};
pub use home::Peers;
pub use outbound::encode;
pub use replay::{Chunk, RegenerateStream, ReplayRequest, Replayer};
pub use symbols::{Directory, Names};

/// Counters a gateway owns, behind a prefix of its own.
pub const COUNTERS: &[&str] = &[
    "connections_opened",
    "connections_closed",
    "logins_accepted",
    "logins_rejected",
    "messages_in",
    "messages_out",
    "messages_malformed",
    "packets_malformed",
    "dropped_silent",
    "dropped_without_login",
    "dropped_slow",
    "replays",
    "backpressure_turns",
    "records_lost",
];
