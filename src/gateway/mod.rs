//! The agent that joins connections, sessions and formats to the rings.
//!
//! A turn takes bytes in ([`Gateway::poll_in`]): each message becomes a [`Command`](crate::order::Command) in the ring
//! to risk, written where it will be read. And it sends bytes out ([`Gateway::poll_out`]): each
//! [`Event`](crate::order::Event) becomes a message in its user's stream, held until its command is as durable as
//! the configuration asks, then sent from where it lies.

mod agent;
mod auth;
mod conn;
mod inbound;
mod login;
mod outbound;
mod replay;
mod state;
mod symbols;

pub use agent::{Gateway, GatewayRings, GatewaySetup, UserSetup};
pub use auth::{AuthAnswer, AuthRequest, Authenticator, Credential, hash_password};
pub use outbound::encode;
pub use replay::{Chunk, RegenerateStream, ReplayRequest, Replayer};
pub use symbols::{Directory, Names};

/// Counters a gateway owns.
pub const COUNTERS: &[&str] = &[
    "gateway.connections_opened",
    "gateway.connections_closed",
    "gateway.connections_refused",
    "gateway.logins_accepted",
    "gateway.logins_rejected",
    "gateway.messages_in",
    "gateway.messages_out",
    "gateway.messages_malformed",
    "gateway.packets_malformed",
    "gateway.dropped_silent",
    "gateway.dropped_without_login",
    "gateway.dropped_slow",
    "gateway.replays",
    "gateway.backpressure_turns",
    "gateway.records_lost",
];
