//! The audit file: every message in and out as it stood on the wire, written out of band.
//!
//! An agent leaves messages in a bounded ring ([`Tap`]); a helper thread ([`Writer`]) puts them into
//! files, a new one each day and whenever one is full, and compresses those that are closed. What
//! happens when the helper does not keep up is the configuration's choice ([`Overload`]).
//! [`read`] gives the messages back.
//!
//! A record is a line, the message, and a newline:
//! `2026-07-01T12:04:05.000001234Z CLIENT1 in fix44 182`, then 182 bytes.

mod file;
mod head;
mod read;
mod tap;
#[cfg(test)]
mod tests;
mod writer;

pub use read::{Entry, ReadError, files, read};
pub use tap::{Direction, Overload, SLOT_BYTES, Slot, Tap};
pub use writer::{Names, Writer};
