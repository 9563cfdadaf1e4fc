//! What a user was told, in order: the outbound side of a session.
//!
//! A stream belongs to a user, not to a connection. Messages are kept as the packets that go on
//! the wire, in a window of memory that is also what is sent from; a client that reconnects is
//! replayed from it. What left the window can be made again by replaying the journal.

use crate::order::SeqNum;
use crate::runtime::Region;

/// The longest packet a stream takes.
pub const PACKET_BYTES_MAX: usize = 1024;

/// Where a message begins, and which command it tells of.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    seq: SeqNum,
}

/// A user's outbound messages. Offsets count bytes since the stream began.
pub struct Stream {
    window: Region,
    entries: Vec<Entry>,
    /// Number of the next message; the first is 1.
    next_number: u64,
    /// Offset behind the last message.
    end: u64,
    /// The first message that may not be sent yet.
    held_number: u64,
    /// Its offset.
    held: u64,
    /// crc32c of every byte so far.
    checksum: u32,
}

impl Stream {
    /// An empty stream that keeps the last `bytes` (a power of two), and at most a message for
    /// every 64 of them.
    pub fn new(bytes: usize) -> Stream {
        assert!(bytes.is_power_of_two(), "a stream's window is a power of two, not {bytes}");
        Stream {
            window: Region::new(bytes),
            entries: vec![Entry { offset: 0, seq: SeqNum(0) }; (bytes / 64).max(1)],
            next_number: 1,
            end: 0,
            held_number: 1,
            held: 0,
            checksum: 0,
        }
    }

    /// Number of the next message.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Number of the first message that may not be sent yet; the next one if all may.
    pub fn held_number(&self) -> u64 {
        self.held_number
    }

    /// Offset behind the last message, held or not.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether some message may not be sent yet.
    pub fn is_holding(&self) -> bool {
        self.held_number < self.next_number
    }

    /// Offset up to which messages may be sent.
    #[inline]
    pub fn released(&self) -> u64 {
        self.held
    }

    /// crc32c of every byte of the stream so far.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Adds a message as it goes on the wire. It is held until released.
    #[inline]
    pub fn push(&mut self, seq: SeqNum, packet: &[u8]) {
        debug_assert!(packet.len() <= PACKET_BYTES_MAX);
        let at = (self.next_number % self.entries.len() as u64) as usize;
        self.entries[at] = Entry { offset: self.end, seq };
        self.next_number += 1;
        self.write(packet);
        self.checksum = crc32c::crc32c_append(self.checksum, packet);
    }

    fn write(&mut self, bytes: &[u8]) {
        let mask = self.window.len() - 1;
        let at = self.end as usize & mask;
        let window = self.window.bytes_mut();
        let first = bytes.len().min(window.len() - at);
        window[at..at + first].copy_from_slice(&bytes[..first]);
        window[..bytes.len() - first].copy_from_slice(&bytes[first..]);
        self.end += bytes.len() as u64;
    }

    /// Releases every message of commands up to `seq`. True if any still is held.
    #[inline]
    pub fn release(&mut self, seq: SeqNum) -> bool {
        while self.held_number < self.next_number {
            let entry = self.entries[(self.held_number % self.entries.len() as u64) as usize];
            if entry.seq > seq {
                self.held = entry.offset;
                return true;
            }
            self.held_number += 1;
        }
        self.held = self.end;
        false
    }

    /// Releases everything.
    #[inline]
    pub fn release_all(&mut self) {
        self.held_number = self.next_number;
        self.held = self.end;
    }

    /// Number of the oldest message that is whole in the window.
    pub fn oldest_number(&self) -> u64 {
        let kept = (self.entries.len() as u64).min(self.next_number - 1);
        let (mut low, mut high) = (self.next_number - kept, self.next_number);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.holds(self.offset(middle)) { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// Whether another message can be held without pushing out one that is held already.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.next_number - self.held_number < self.entries.len() as u64
            && (self.end - self.held) as usize + PACKET_BYTES_MAX <= self.window.len()
    }

    fn offset(&self, number: u64) -> u64 {
        if number == self.next_number {
            return self.end;
        }
        self.entries[(number % self.entries.len() as u64) as usize].offset
    }

    /// Copies a message that the window holds over `packet`.
    pub fn copy(&self, number: u64, packet: &mut Vec<u8>) {
        let (from, until) = (self.offset(number), self.offset(number + 1));
        packet.clear();
        let mut at = from;
        while at < until {
            let piece = self.piece(at, until);
            packet.extend_from_slice(piece);
            at += piece.len() as u64;
        }
    }

    /// Whether the window still holds what stands at an offset.
    #[inline]
    pub fn holds(&self, offset: u64) -> bool {
        offset + self.window.len() as u64 >= self.end
    }

    /// Offset of a message that the window holds.
    pub fn find(&self, number: u64) -> Option<u64> {
        let known = number <= self.next_number
            && self.next_number - number <= self.entries.len() as u64
            && number > 0;
        known.then(|| self.offset(number)).filter(|offset| self.holds(*offset))
    }

    /// Released bytes from an offset that the window holds, as far as they lie in one piece.
    #[inline]
    pub fn bytes_from(&self, offset: u64) -> &[u8] {
        self.piece(offset, self.held)
    }

    #[inline]
    fn piece(&self, from: u64, until: u64) -> &[u8] {
        debug_assert!(self.holds(from) && from <= until);
        let at = from as usize & (self.window.len() - 1);
        let length = ((until - from) as usize).min(self.window.len() - at);
        &self.window.bytes()[at..at + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_held_until_their_command_is_released() {
        let mut stream = Stream::new(4096);
        stream.push(SeqNum(1), b"one");
        stream.push(SeqNum(1), b"also one");
        stream.push(SeqNum(2), b"two");
        assert_eq!(stream.bytes_from(0), b"");
        assert!(stream.release(SeqNum(1)));
        assert_eq!(stream.bytes_from(0), b"onealso one");
        assert_eq!(stream.held_number(), 3);
        assert!(!stream.release(SeqNum(2)));
        assert_eq!(stream.bytes_from(stream.find(3).unwrap()), b"two");
        assert_eq!(stream.find(4), Some(stream.released()));
        assert_eq!(stream.find(5), None);
    }

    proptest! {
        #[test]
        fn the_window_gives_back_exactly_the_latest_bytes(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..90), 1..200)
        ) {
            let mut stream = Stream::new(1024);
            let mut all = vec![];
            let mut offsets = vec![0];
            for (n, message) in messages.iter().enumerate() {
                stream.push(SeqNum(n as u64 + 1), message);
                all.extend(message);
                offsets.push(all.len());
            }
            stream.release_all();
            for number in 1..=messages.len() as u64 + 1 {
                let offset = offsets[number as usize - 1];
                match stream.find(number) {
                    Some(at) => {
                        prop_assert_eq!(at, offset as u64);
                        prop_assert!(number >= stream.oldest_number());
                        let mut read: Vec<u8> = vec![];
                        while at + (read.len() as u64) < stream.released() {
                            read.extend(stream.bytes_from(at + read.len() as u64));
                        }
                        prop_assert_eq!(&read[..], &all[offset..]);
                    }
                    None => prop_assert!(number < stream.oldest_number()),
                }
            }
            prop_assert_eq!(stream.checksum(), crc32c::crc32c(&all));
        }
    }
}
