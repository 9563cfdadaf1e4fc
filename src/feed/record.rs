//! A message as it stands in the ring: what this host's readers see, and what requests are answered from.

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

use crate::ring::Record;
use crate::wire::itch::MESSAGE_BYTES_MAX;

/// One message of the feed, and its number. 56 bytes, which are a cache line with the ring's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Told {
    /// Its number in its session, from 1 without gaps, as MoldUDP64 counts.
    pub number: u64,
    /// Which session, in short: where it changes, numbers begin anew.
    pub session: u16,
    /// Bytes of the message.
    pub length: u16,
    bytes: [u8; MESSAGE_BYTES_MAX],
}

impl Record for Told {
    const NAME: &'static str = "millrace.itch.1";
    const EMPTY: Told = Told { number: 0, session: 0, length: 0, bytes: [0; MESSAGE_BYTES_MAX] };
}

const _: () = assert!(size_of::<Told>() == 56);

impl Told {
    /// A message and its number.
    #[inline]
    pub fn new(number: u64, session: u16, message: &[u8]) -> Told {
        let mut told = Told { number, session, length: message.len() as u16, ..Told::EMPTY };
        told.bytes[..message.len()].copy_from_slice(message);
        told
    }

    /// The message.
    #[inline]
    pub fn message(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length).min(MESSAGE_BYTES_MAX)]
    }
}

/// A session's name in short, and the journal's whose feed it is: another journal's messages are others, also under
/// a name that was given to both.
pub fn session_tag(name: &[u8; 10], journal: &[u8; 10]) -> u16 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(name), journal);
    (crc >> 16) as u16 ^ crc as u16
}
