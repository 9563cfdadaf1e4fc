//! OUCH 5.0: messages to commands, events to messages.

mod inbound;
pub(super) mod letters;
mod outbound;

pub use inbound::translate;
pub(super) use outbound::encode;
