//! What a user was told, in order: the outbound side of a session.
//!
//! A stream belongs to a user, not to a connection. Messages are kept as the packets that go on
//! the wire, in a window of memory that is also what is sent from; a client that reconnects is
//! replayed from it. What left the window can be made again by replaying the journal.

use std::collections::VecDeque;
use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::order::SeqNum;
use crate::runtime::blocks::BLOCK_BYTES;
use crate::runtime::{Block, BlockPool};

/// The longest packet a stream takes.
pub const PACKET_BYTES_MAX: usize = 1024;

/// Where a message begins, and which command it tells of.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Entry {
    offset: u64,
    seq: u64,
}

/// Entries in a block.
const ENTRIES: u64 = (BLOCK_BYTES / size_of::<Entry>()) as u64;
const BYTES: u64 = BLOCK_BYTES as u64;

/// Blocks in the order of what they hold, the oldest first.
struct Blocks {
    all: VecDeque<Block>,
    /// How many came and went before the first.
    first: u64,
    max: usize,
}

impl Blocks {
    fn new(max: usize) -> Blocks {
        Blocks { all: VecDeque::with_capacity(max), first: 0, max }
    }

    fn set_max(&mut self, max: usize) {
        self.all.reserve(max.saturating_sub(self.all.len()));
        self.max = max;
    }

    /// Number of the block that comes next.
    #[inline]
    fn end(&self) -> u64 {
        self.first + self.all.len() as u64
    }

    #[inline]
    fn get(&self, number: u64) -> &Block {
        &self.all[(number - self.first) as usize]
    }

    #[inline]
    fn last_mut(&mut self) -> &mut Block {
        self.all.back_mut().expect("there is one to write to")
    }

    fn drop_first(&mut self) -> Option<Block> {
        self.first += u64::from(!self.all.is_empty());
        self.all.pop_front()
    }
}

/// What streams are made with: how much each keeps, and where the memory comes from.
#[derive(Clone)]
pub struct StreamMemory {
    /// Bytes of messages that a stream keeps at most, a power of two.
    pub window_bytes: usize,
    /// Where its blocks come from and go to.
    pub pool: Arc<BlockPool>,
}

impl StreamMemory {
    /// For tests: one stream's own.
    pub fn of_one(window_bytes: usize) -> StreamMemory {
        StreamMemory { window_bytes, pool: Arc::new(BlockPool::new(2 * window_bytes, 1)) }
    }
}

/// A user's outbound messages. Offsets count bytes since the stream began.
///
/// What it keeps lies in blocks that come from a common pool as messages come; a user who was told
/// nothing has none. A stream keeps as much as its window while there is plenty, and at least its
/// share when there is not.
pub struct Stream {
    pool: Arc<BlockPool>,
    /// The messages.
    data: Blocks,
    /// Where each begins.
    entries: Blocks,
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
    /// An empty stream that keeps the last `window_bytes`, and at most a message for every 64 of
    /// them.
    pub fn new(memory: &StreamMemory) -> Stream {
        let bytes = memory.window_bytes;
        assert!(bytes.is_power_of_two(), "a stream's window is a power of two, not {bytes}");
        // Two blocks at least: a message may begin in one and end in the next.
        let data = (bytes / BLOCK_BYTES).max(2);
        Stream {
            pool: memory.pool.clone(),
            data: Blocks::new(data),
            entries: Blocks::new((data * BLOCK_BYTES / 64).div_ceil(ENTRIES as usize).max(2)),
            next_number: 1,
            end: 0,
            held_number: 1,
            held: 0,
            checksum: 0,
        }
    }

    /// Keeps what comes from here on in other memory, and as much as that says.
    pub fn keep_in(&mut self, memory: &StreamMemory) {
        let sized = Stream::new(memory);
        self.data.set_max(sized.data.max);
        self.entries.set_max(sized.entries.max);
        self.pool = sized.pool;
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
        if self.next_number / ENTRIES == self.entries.end() || self.entries.all.is_empty() {
            self.add_block(|stream| &mut stream.entries);
        }
        let entry = Entry { offset: self.end, seq: seq.0 };
        let at = (self.next_number % ENTRIES) as usize * size_of::<Entry>();
        self.entries.last_mut()[at..at + size_of::<Entry>()].copy_from_slice(entry.as_bytes());
        self.next_number += 1;
        self.write(packet);
        self.checksum = crc32c::crc32c_append(self.checksum, packet);
    }

    #[inline]
    fn write(&mut self, mut bytes: &[u8]) {
        loop {
            let at = (self.end % BYTES) as usize;
            if self.end / BYTES == self.data.end() {
                self.add_block(|stream| &mut stream.data);
            }
            let fits = bytes.len().min(BLOCK_BYTES - at);
            self.data.last_mut()[at..at + fits].copy_from_slice(&bytes[..fits]);
            self.end += fits as u64;
            bytes = &bytes[fits..];
            if bytes.is_empty() {
                return;
            }
        }
    }

    /// Blocks it has.
    #[inline]
    fn blocks(&self) -> usize {
        self.data.all.len() + self.entries.all.len()
    }

    /// Whether what the first block of messages, or of entries, tells may be forgotten.
    fn first_is_released(&self, data: bool) -> bool {
        if data {
            self.data.all.len() > 1 && (self.data.first + 1) * BYTES <= self.held
        } else {
            !self.entries.all.is_empty() && (self.entries.first + 1) * ENTRIES <= self.held_number
        }
    }

    /// A block more: another one while it may have more, else the oldest of its own.
    fn add_block(&mut self, of: fn(&mut Stream) -> &mut Blocks) {
        let has = self.blocks();
        let (pool, blocks) = (self.pool.clone(), of(self));
        let fresh = if blocks.all.len() < blocks.max && pool.may_take(has) {
            pool.take()
        } else {
            blocks.drop_first()
        };
        // Only one who could not be told to wait gets that far.
        blocks.all.push_back(fresh.unwrap_or_else(Block::alone));
    }

    /// Gives back what is beyond its share while others may want it. What was not sent yet goes
    /// too: its reader is a slow one. What is held stays.
    pub fn give_back(&mut self) {
        while self.pool.wants_back(self.blocks()) {
            let data = self.first_is_released(true);
            if !data && !self.first_is_released(false) {
                return;
            }
            let blocks = if data { &mut self.data } else { &mut self.entries };
            if let Some(block) = blocks.drop_first() {
                self.pool.give(block);
            }
        }
    }

    /// Releases every message of commands up to `seq`. True if any still is held.
    #[inline]
    pub fn release(&mut self, seq: SeqNum) -> bool {
        while self.held_number < self.next_number {
            let entry = self.entry(self.held_number);
            if entry.seq > seq.0 {
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
        let (mut low, mut high) = (self.oldest_entry(), self.next_number);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.holds(self.offset(middle)) { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// The oldest number whose place is known.
    fn oldest_entry(&self) -> u64 {
        (self.entries.first * ENTRIES).max(1)
    }

    #[inline]
    fn entry(&self, number: u64) -> Entry {
        let block = self.entries.get(number / ENTRIES);
        let at = (number % ENTRIES) as usize * size_of::<Entry>();
        let bytes = &block[at..at + size_of::<Entry>()];
        Entry::read_from_bytes(bytes).expect("as many bytes as it has")
    }

    /// Whether another message can be held without pushing out one that is held already.
    #[inline]
    pub fn has_room(&self) -> bool {
        let data = self.data.end() * BYTES - self.end >= PACKET_BYTES_MAX as u64;
        let entries = self.next_number < self.entries.end() * ENTRIES;
        (data || self.may_grow(true)) && (entries || self.may_grow(false))
    }

    #[cold]
    fn may_grow(&self, data: bool) -> bool {
        let blocks = if data { &self.data } else { &self.entries };
        let more = blocks.all.len() < blocks.max && self.pool.may_take(self.blocks());
        more || self.first_is_released(data)
    }

    fn offset(&self, number: u64) -> u64 {
        if number == self.next_number { self.end } else { self.entry(number).offset }
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
        offset >= self.data.first * BYTES
    }

    /// Offset of a message that the window holds.
    pub fn find(&self, number: u64) -> Option<u64> {
        let known = number <= self.next_number && number >= self.oldest_entry();
        known.then(|| self.offset(number)).filter(|offset| self.holds(*offset))
    }

    /// Released bytes from an offset that the window holds, as far as they lie in one block.
    #[inline]
    pub fn bytes_from(&self, offset: u64) -> &[u8] {
        self.piece(offset, self.held)
    }

    #[inline]
    fn piece(&self, from: u64, until: u64) -> &[u8] {
        debug_assert!(self.holds(from) && from <= until);
        let at = (from % BYTES) as usize;
        let length = ((until - from) as usize).min(BLOCK_BYTES - at);
        match length {
            0 => &[],
            length => &self.data.get(from / BYTES)[at..at + length],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_held_until_their_command_is_released() {
        let mut stream = Stream::new(&StreamMemory::of_one(4096));
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

    #[test]
    fn one_that_kept_much_gives_back_what_others_need_and_none_loses_what_it_holds() {
        let pool = Arc::new(BlockPool::new(64 * BLOCK_BYTES, 8));
        let memory = StreamMemory { window_bytes: 1 << 20, pool: pool.clone() };
        let mut greedy = Stream::new(&memory);
        for n in 0..1000 {
            greedy.push(SeqNum(n), &[7; 900]);
            greedy.release_all();
        }
        let kept = greedy.blocks();
        assert!(kept > 40, "it keeps {kept} blocks while nobody else wants them");
        let mut others: Vec<Stream> = (0..7).map(|_| Stream::new(&memory)).collect();
        for n in 0..20 {
            for (who, other) in (0..).zip(&mut others) {
                greedy.give_back();
                assert!(other.has_room());
                other.push(SeqNum(n), &[who; 900]);
            }
        }
        assert!(greedy.blocks() < kept);
        for (who, other) in (0..).zip(&mut others) {
            other.give_back();
            assert_eq!(other.oldest_number(), 1, "nothing held is given back");
            other.release_all();
            assert!(other.bytes_from(0).iter().all(|byte| *byte == who));
        }
        assert_eq!(greedy.bytes_from(greedy.find(1000).unwrap())[0], 7);
    }

    #[test]
    fn a_full_window_of_held_messages_has_no_room_until_some_are_released() {
        let mut stream = Stream::new(&StreamMemory::of_one(1 << 14));
        let mut count = 0;
        while stream.has_room() {
            count += 1;
            stream.push(SeqNum(count), &[count as u8; 1000]);
        }
        assert!(count >= 12, "{count}");
        assert!(stream.release(SeqNum(8)));
        assert!(stream.has_room());
        stream.push(SeqNum(count + 1), &[0; 1000]);
        let at = stream.find(9).unwrap();
        stream.release_all();
        assert_eq!(stream.bytes_from(at)[0], 9);
    }

    proptest! {
        #[test]
        fn the_window_gives_back_exactly_the_latest_bytes(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..900), 1..200)
        ) {
            let mut stream = Stream::new(&StreamMemory::of_one(1 << 13));
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
