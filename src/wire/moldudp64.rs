//! MoldUDP64 1.00: numbered messages in datagrams, and how to ask for those that were lost.

use zerocopy::big_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Message count of the packet that ends a session.
pub const END_OF_SESSION: u16 = 0xFFFF;

/// Bytes in front of each message: its length.
pub const BLOCK_BYTES: usize = size_of::<U16>();

/// What a downstream packet begins with; a request is nothing else.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// Name of the session.
    pub session: [u8; 10],
    /// Downstream: number of the first message, or of the next one if there is none. In a request: of
    /// the first that is wanted.
    pub sequence: U64,
    /// Messages that follow; 0 in a heartbeat, [`END_OF_SESSION`] in the last packet. In a request: how
    /// many are wanted.
    pub count: U16,
}

/// Bytes of a header.
pub const HEADER_BYTES: usize = size_of::<Header>();

/// Why a datagram is not what it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPacket {
    /// Too short for a header, or for the messages that it counts.
    #[error("too short")]
    Truncated,
    /// Something follows the last message.
    #[error("longer than its messages")]
    TooLong,
    /// Its numbers go beyond what can be counted.
    #[error("numbers beyond what can be counted")]
    Beyond,
    /// A request for no message, or for one that cannot be: messages are numbered from 1.
    #[error("asks for nothing")]
    Nothing,
}

impl Header {
    /// Reads a request.
    pub fn request(bytes: &[u8]) -> Result<Header, BadPacket> {
        let (header, rest) = Header::read_from_prefix(bytes).map_err(|_| BadPacket::Truncated)?;
        if !rest.is_empty() {
            return Err(BadPacket::TooLong);
        }
        if header.sequence.get() == 0 || [0, END_OF_SESSION].contains(&header.count.get()) {
            return Err(BadPacket::Nothing);
        }
        Ok(header)
    }
}

/// A downstream packet where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// Its header.
    pub header: &'a Header,
    blocks: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet: every message that it counts is there, and nothing else.
    pub fn parse(bytes: &'a [u8]) -> Result<Packet<'a>, BadPacket> {
        let (header, blocks) = Header::ref_from_prefix(bytes).map_err(|_| BadPacket::Truncated)?;
        if header.sequence.get().checked_add(u64::from(u16::MAX)).is_none() {
            return Err(BadPacket::Beyond);
        }
        let packet = Packet { header, blocks };
        let mut messages = packet.messages();
        if !messages.by_ref().all(|message| message.is_some()) {
            return Err(BadPacket::Truncated);
        }
        if messages.blocks.is_empty() { Ok(packet) } else { Err(BadPacket::TooLong) }
    }

    /// Whether it ends the session.
    pub fn is_end(&self) -> bool {
        self.header.count.get() == END_OF_SESSION
    }

    /// Number of each message, and the message.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        (self.header.sequence.get()..).zip(self.messages().flatten())
    }

    fn messages(&self) -> Blocks<'a> {
        let left = if self.is_end() { 0 } else { self.header.count.get() };
        Blocks { blocks: self.blocks, left }
    }
}

/// The messages of a packet; `None` for one that is cut off.
struct Blocks<'a> {
    blocks: &'a [u8],
    left: u16,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        self.left = self.left.checked_sub(1)?;
        let block = U16::ref_from_prefix(self.blocks)
            .ok()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(length.get())));
        let Some((message, rest)) = block else {
            self.left = 0;
            return Some(None);
        };
        self.blocks = rest;
        Some(Some(message))
    }
}

/// A downstream packet in the making. Its memory is taken when it is made, and is as much in a clone.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    most: usize,
}

impl Clone for Writer {
    fn clone(&self) -> Writer {
        let mut bytes = Vec::with_capacity(self.bytes.capacity());
        bytes.extend_from_slice(&self.bytes);
        Writer { bytes, most: self.most }
    }
}

impl Writer {
    /// Packets of a session, of at most so many bytes.
    pub fn new(session: [u8; 10], most: usize) -> Writer {
        let mut bytes = Vec::with_capacity(most.max(HEADER_BYTES));
        let header = Header { session, sequence: 0.into(), count: 0.into() };
        bytes.extend_from_slice(header.as_bytes());
        Writer { bytes, most }
    }

    /// Begins a packet whose first message is `sequence`.
    #[inline]
    pub fn begin(&mut self, sequence: u64) {
        self.bytes.truncate(HEADER_BYTES);
        let header = self.header();
        (header.sequence, header.count) = (sequence.into(), 0.into());
    }

    /// Adds a message; false if it does not fit any more.
    #[inline]
    pub fn add(&mut self, message: &[u8]) -> bool {
        if self.bytes.len() + BLOCK_BYTES + message.len() > self.most {
            return false;
        }
        self.bytes.extend_from_slice(&(message.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(message);
        let header = self.header();
        header.count = (header.count.get() + 1).into();
        true
    }

    /// Makes it the packet that ends the session.
    pub fn end_session(&mut self) {
        self.header().count = END_OF_SESSION.into();
    }

    /// Messages in it.
    #[inline]
    pub fn count(&mut self) -> u16 {
        self.header().count.get()
    }

    /// The packet as it goes on the wire.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    fn header(&mut self) -> &mut Header {
        let (header, _) = Header::mut_from_prefix(&mut self.bytes).expect("made with one");
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_takes_what_fits_and_is_read_back() {
        let mut writer = Writer::new(*b"MR00000001", 60);
        writer.begin(7);
        assert!(writer.add(b"one") && writer.add(b"three"));
        assert!(!writer.add(&[0; 30]), "2 + 30 more are too many");
        assert_eq!(writer.count(), 2);
        let packet = Packet::parse(writer.bytes()).unwrap();
        assert_eq!(packet.header.session, *b"MR00000001");
        let read: Vec<_> = packet.numbered().collect();
        assert_eq!(read, [(7, &b"one"[..]), (8, b"three")]);
        writer.begin(9);
        assert_eq!(Packet::parse(writer.bytes()).unwrap().numbered().count(), 0);
        writer.end_session();
        assert!(Packet::parse(writer.bytes()).unwrap().is_end());
    }

    #[test]
    fn nothing_is_numbered_beyond_what_can_be_counted() {
        let mut writer = Writer::new(*b"MR00000001", 60);
        for last in [u64::MAX, u64::MAX - 1] {
            writer.begin(last);
            assert!(writer.add(b"a") && writer.add(b"b"));
            assert_eq!(Packet::parse(writer.bytes()), Err(BadPacket::Beyond));
        }
    }

    #[test]
    fn a_request_asks_for_something_or_is_none() {
        let request = |sequence: u64, count: u16| Header {
            session: *b"MR00000001",
            sequence: sequence.into(),
            count: count.into(),
        };
        let good = request(1, 10);
        assert_eq!(Header::request(good.as_bytes()), Ok(good));
        assert_eq!(Header::request(&good.as_bytes()[..19]), Err(BadPacket::Truncated));
        assert_eq!(Header::request(&[good.as_bytes(), b"x"].concat()), Err(BadPacket::TooLong));
        for nothing in [request(0, 1), request(1, 0), request(1, END_OF_SESSION)] {
            assert_eq!(Header::request(nothing.as_bytes()), Err(BadPacket::Nothing));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_whole_packet_or_none(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                let told: usize = packet.numbered().map(|(_, m)| BLOCK_BYTES + m.len()).sum();
                prop_assert_eq!(HEADER_BYTES + told, bytes.len());
            }
        }
    }
}
