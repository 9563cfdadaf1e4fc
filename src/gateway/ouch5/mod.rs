//! OUCH 5.0: messages to commands, events to messages.

mod caller;
mod calls;
mod inbound;
pub(super) mod letters;
mod outbound;
mod report;

pub use calls::VenueVoice;
pub use inbound::translate;
pub(super) use outbound::encode;
