//! FIX 4.2 and 4.4: messages to commands, events to messages, and the session between.
//!
//! A session's numbers are part of the state that the journal holds. Every message that goes out,
//! be it a Heartbeat, comes of a sequenced command and stands in the user's stream; every message
//! that comes in gives a command that says which MsgSeqNum is expected next. So a restart goes on
//! with both numbers where they were, and a resend gives back what was sent.

mod abroad;
mod admin;
mod caller;
mod calls;
mod copy;
mod inbound;
mod order;
mod outbound;
mod reasons;
mod report;
mod resend;
mod route;
mod say;
mod session;
mod text;

pub(super) use outbound::Voice;
pub(super) use session::{Link, Progress, masked};
pub(super) use text::Words;

use crate::wire::fix::Version;

/// CompIDs and version of one user's session. They stand in every message, so the journal knows
/// them too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ends {
    /// BeginString.
    pub version: Version,
    /// The gateway's CompID.
    pub own: Vec<u8>,
    /// The user's CompID.
    pub peer: Vec<u8>,
}

/// Bytes of the longest ClOrdID.
pub const CL_ORD_ID_MAX: usize = 36;
/// Bytes of the longest Account.
pub const ACCOUNT_MAX: usize = 24;
/// Bytes of the longest TestReqID, and of other texts that come back.
pub const ECHO_MAX: usize = 64;
/// Bytes of the longest CompID.
pub const COMP_ID_MAX: usize = 32;
