//! OUCH 5.0: order entry. Client messages are in [`inbound`], server messages in [`outbound`],
//! the optional elements at the end of both in [`appendage`].
//!
//! Integers are big-endian, text is ASCII padded right with spaces, prices are in 1/10000 of
//! the currency unit, timestamps are nanoseconds since midnight (UTC here).

pub mod appendage;
pub mod describe;
pub mod inbound;
pub mod outbound;

/// The highest number of bytes a client message may have that this gateway reads.
pub const INBOUND_BYTES_MAX: usize = 512;
