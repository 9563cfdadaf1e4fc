//! What comes in: bytes in order, and those that came before their turn (RFC 9293, 3.10.7.4; RFC
//! 2018).
//!
//! A payload that comes in its turn never gets here: it is handed over in the driver's frame, and
//! only what a message was cut off in is kept. What is kept lies in one piece, so it can be handed
//! over as it lies; behind it, at their places, lie the islands that arrived too early.

use std::ops::Range;

use super::super::packet::Blocks;
use super::sequence::{ahead, before, earlier, later};

/// Islands of one connection; what would be one more is dropped and comes again.
const ISLANDS_MAX: usize = 16;

/// Bytes that came before their turn.
#[derive(Clone, Copy, Default, Debug)]
struct Island {
    from: u32,
    to: u32,
    /// The later the higher.
    touched: u32,
}

/// Islands in the order of their numbers, none touching another.
#[derive(Clone, Default, Debug)]
struct Islands {
    list: [Island; ISLANDS_MAX],
    len: usize,
    touches: u32,
}

impl Islands {
    fn list(&self) -> &[Island] {
        &self.list[..self.len]
    }

    fn remove(&mut self, at: usize) {
        self.list.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }

    /// Adds one, grown together with all it touches. False if there is no room.
    fn add(&mut self, from: u32, to: u32) -> bool {
        let (mut from, mut to) = (from, to);
        let touches = |island: &Island| ahead(island.from, to) <= 0 && ahead(from, island.to) <= 0;
        if self.len == ISLANDS_MAX && !self.list().iter().any(touches) {
            return false;
        }
        let mut at = 0;
        while at < self.len {
            let island = self.list[at];
            if before(island.to, from) {
                at += 1;
            } else if before(to, island.from) {
                break;
            } else {
                from = earlier(from, island.from);
                to = later(to, island.to);
                self.remove(at);
            }
        }
        self.list.copy_within(at..self.len, at + 1);
        self.touches += 1;
        self.list[at] = Island { from, to, touched: self.touches };
        self.len += 1;
        true
    }

    /// The blocks that tell of them, the latest first (RFC 2018, 4).
    fn blocks(&self, blocks: &mut Blocks) {
        let mut below = u32::MAX;
        while let Some(latest) =
            self.list().iter().filter(|island| island.touched < below).max_by_key(|i| i.touched)
        {
            blocks.push(latest.from, latest.to);
            below = latest.touched;
        }
    }
}

/// What a payload brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Brought {
    /// Bytes in their turn.
    Next,
    /// Bytes before their turn, or again.
    NotNext,
}

/// The receiving half of a connection.
pub(super) struct Receiver {
    /// RCV.NXT.
    next: u32,
    buffer: Box<[u8]>,
    /// Bytes in order that were not taken yet.
    kept: Range<usize>,
    islands: Islands,
    /// The right edge of the window that the peer was told.
    edge: u32,
    /// The number of the peer's FIN, once it was seen.
    fin: Option<u32>,
    /// What came twice, to be told with the next acknowledgment (RFC 2883).
    twice: Option<(u32, u32)>,
    /// Bytes that came in their turn.
    bytes: u64,
}

impl Receiver {
    pub fn new(window: usize) -> Receiver {
        Receiver {
            next: 0,
            buffer: vec![0; window].into_boxed_slice(),
            kept: 0..0,
            islands: Islands::default(),
            edge: 0,
            fin: None,
            twice: None,
            bytes: 0,
        }
    }

    /// Begins a stream.
    pub fn begin(&mut self, next: u32) {
        self.next = next;
        self.kept = 0..0;
        self.islands.len = 0;
        self.edge = next.wrapping_add(self.buffer.len() as u32);
        (self.fin, self.twice, self.bytes) = (None, None, 0);
    }

    /// The sequence number expected next.
    #[inline]
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Bytes kept at most.
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes that came in their turn so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The window as the peer knows it.
    pub fn window(&self) -> u32 {
        ahead(self.edge, self.next).max(0) as u32
    }

    /// Bytes in order that were not taken yet.
    #[inline]
    pub fn kept(&self) -> &[u8] {
        &self.buffer[self.kept.clone()]
    }

    /// The peer said all it had to say, and all of it came.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.fin.is_some_and(|fin| self.next == fin.wrapping_add(1))
    }

    /// Whether there is a hole before something that came already, or something to tell.
    #[inline]
    pub fn has_blocks(&self) -> bool {
        self.islands.len > 0 || self.twice.is_some()
    }

    /// The blocks to tell; what came twice is told once.
    pub fn take_blocks(&mut self) -> Blocks {
        let mut blocks = Blocks::default();
        if let Some((from, to)) = self.twice.take() {
            blocks.push(from, to);
        }
        self.islands.blocks(&mut blocks);
        blocks
    }

    /// What the window may be now, with its edge told.
    #[inline]
    pub fn tell_window(&mut self, mss: u32) -> u32 {
        let edge = self.next.wrapping_add((self.buffer.len() - self.kept.len()) as u32);
        // RFC 9293, 3.8.6.2.2: no small steps, unless all is open.
        let least = mss.min(self.buffer.len() as u32 / 2);
        if self.kept.is_empty() || ahead(edge, self.edge) >= least as i32 {
            self.edge = later(self.edge, edge);
        }
        self.window()
    }

    /// Whether the peer should hear that there is room again: it was told that there was hardly any.
    pub fn owes_window(&self, mss: u32) -> bool {
        let told = self.window();
        let now = (self.buffer.len() - self.kept.len()) as u32;
        let least = mss.min(self.buffer.len() as u32 / 2);
        told < 2 * least && now - told.min(now) >= least
    }

    /// Whether a segment is acceptable (RFC 9293, 3.10.7.4, first); an acknowledgment also where a peer
    /// stands that has filled the window.
    #[inline]
    pub fn accepts(&self, seq: u32, length: u32) -> bool {
        let window = ahead(self.edge, self.next);
        let from = ahead(seq, self.next);
        if length == 0 {
            return (0..=window.max(0)).contains(&from);
        }
        window > 0 && from < window && from + length as i32 > 0
    }

    /// Whether a payload can be handed over where it lies.
    #[inline]
    pub fn is_next(&self, seq: u32, length: usize) -> bool {
        seq == self.next
            && self.kept.is_empty()
            && self.islands.len == 0
            && self.fin.is_none()
            && length <= self.buffer.len()
    }

    /// Goes on behind a payload of which all but `left` was taken where it lay.
    #[inline]
    pub fn pass(&mut self, length: usize, left: &[u8]) {
        self.next = self.next.wrapping_add(length as u32);
        self.bytes += length as u64;
        if !left.is_empty() {
            self.kept = 0..left.len();
            self.buffer[..left.len()].copy_from_slice(left);
        }
        self.end_if_over();
    }

    /// Goes on behind bytes that nobody wants.
    pub fn skip(&mut self, seq: u32, length: u32) {
        let end = seq.wrapping_add(length);
        if ahead(seq, self.next) <= 0 && before(self.next, end) {
            self.next = end;
        }
        self.kept = 0..0;
        self.islands.len = 0;
        self.edge = later(self.edge, self.next.wrapping_add(self.buffer.len() as u32));
        self.end_if_over();
    }

    /// The peer's FIN has this number.
    pub fn set_fin(&mut self, number: u32) {
        if self.fin.is_none() && !before(number, self.next) {
            self.fin = Some(number);
        }
        self.end_if_over();
    }

    fn end_if_over(&mut self) {
        if self.fin == Some(self.next) {
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Notes that a segment, or part of one, came before.
    pub fn note_twice(&mut self, seq: u32, length: u32) {
        if length > 0 {
            self.twice = Some((seq, seq.wrapping_add(length)));
        }
    }

    /// Keeps what is new of a payload within the window. Where bytes of the same number came before,
    /// the first ones stay.
    pub fn insert(&mut self, seq: u32, payload: &[u8]) -> Brought {
        let room = (self.buffer.len() - self.kept.len()) as u32;
        let limit = self.next.wrapping_add(room);
        let from = later(seq, self.next);
        let to = earlier(seq.wrapping_add(payload.len() as u32), limit);
        let to = self.fin.map_or(to, |fin| earlier(to, fin));
        let within = self
            .islands
            .list()
            .iter()
            .find(|island| ahead(island.from, from) <= 0 && ahead(to, island.to) <= 0);
        if ahead(to, from) <= 0 || within.is_some() {
            self.note_twice(seq, payload.len() as u32);
            return Brought::NotNext;
        }
        if before(seq, self.next) {
            self.note_twice(seq, ahead(self.next, seq) as u32);
        }
        let in_turn = from == self.next;
        if !in_turn && self.islands.len == ISLANDS_MAX {
            let mut tried = self.islands.clone();
            if !tried.add(from, to) {
                return Brought::NotNext;
            }
        }
        self.make_room();
        let mut at = from;
        for n in 0..self.islands.len {
            let island = self.islands.list[n];
            if before(at, island.from) {
                self.copy(at, earlier(island.from, to), seq, payload);
            }
            at = later(at, earlier(island.to, to));
        }
        self.copy(at, to, seq, payload);
        if !in_turn {
            self.islands.add(from, to);
            return Brought::NotNext;
        }
        let mut end = to;
        while self.islands.len > 0 && ahead(self.islands.list[0].from, end) <= 0 {
            end = later(end, self.islands.list[0].to);
            self.islands.remove(0);
        }
        self.kept.end += ahead(end, self.next) as usize;
        self.bytes += ahead(end, self.next) as u64;
        self.next = end;
        self.end_if_over();
        Brought::Next
    }

    /// Moves what there is to the buffer's beginning, so that a whole window fits behind it.
    fn make_room(&mut self) {
        if self.kept.start == 0 {
            return;
        }
        let last = self.islands.list().last();
        let beyond = last.map_or(0, |island| ahead(island.to, self.next).max(0) as usize);
        self.buffer.copy_within(self.kept.start..self.kept.end + beyond, 0);
        self.kept = 0..self.kept.len();
    }

    /// Copies the bytes with these numbers from a payload that begins with `seq`.
    fn copy(&mut self, from: u32, to: u32, seq: u32, payload: &[u8]) {
        let length = ahead(to, from);
        if length <= 0 {
            return;
        }
        let place = self.kept.end + ahead(from, self.next) as usize;
        let source = ahead(from, seq) as usize;
        let length = length as usize;
        self.buffer[place..place + length].copy_from_slice(&payload[source..source + length]);
    }

    /// Drops `count` kept bytes: they were taken.
    #[inline]
    pub fn take(&mut self, count: usize) {
        self.kept.start += count;
        if self.kept.is_empty() && self.islands.len == 0 {
            self.kept = 0..0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEGIN: u32 = u32::MAX - 300;

    fn byte(place: usize) -> u8 {
        (place.wrapping_mul(31) >> 2) as u8
    }

    proptest! {
        /// Pieces of a stream in any order, again and overlapping, taken in any portions, across
        /// the number zero: what comes out is the stream.
        #[test]
        fn the_stream_comes_out_whatever_order_it_came_in(
            pieces in prop::collection::vec((0usize..900, 1usize..200, 0usize..300), 1..80)
        ) {
            let mut receiver = Receiver::new(512);
            receiver.begin(BEGIN);
            let mut out = vec![];
            for (from, length, take) in pieces {
                let seq = BEGIN.wrapping_add(from as u32);
                let bytes: Vec<u8> = (from..from + length).map(byte).collect();
                let next = receiver.next();
                if receiver.accepts(seq, length as u32) {
                    let brought = receiver.insert(seq, &bytes);
                    prop_assert_eq!(brought == Brought::Next, receiver.next() != next);
                }
                let count = take.min(receiver.kept().len());
                out.extend_from_slice(&receiver.kept()[..count]);
                receiver.take(count);
                let told = receiver.tell_window(100) as usize;
                prop_assert!(told + receiver.kept().len() <= 512);
                receiver.take_blocks();
            }
            out.extend_from_slice(receiver.kept());
            prop_assert_eq!(receiver.next(), BEGIN.wrapping_add(out.len() as u32));
            let expected: Vec<u8> = (0..out.len()).map(byte).collect();
            prop_assert_eq!(out, expected);
        }

        /// Every island is told, and nothing else.
        #[test]
        fn islands_are_what_came_early(
            pieces in prop::collection::vec((1usize..400, 1usize..40), 1..30)
        ) {
            let mut receiver = Receiver::new(512);
            receiver.begin(BEGIN);
            let mut came = [false; 512];
            for (from, length) in pieces {
                let bytes: Vec<u8> = (from..from + length).map(byte).collect();
                let islands = receiver.islands.len;
                receiver.insert(BEGIN.wrapping_add(from as u32), &bytes);
                if islands < ISLANDS_MAX {
                    came[from..from + length].fill(true);
                }
                if islands == ISLANDS_MAX {
                    return Ok(());
                }
            }
            let mut told = [false; 512];
            for island in receiver.islands.list() {
                let place = |number: u32| number.wrapping_sub(BEGIN) as usize;
                told[place(island.from)..place(island.to)].fill(true);
            }
            prop_assert_eq!(came, told);
        }
    }

    #[test]
    fn rfc_2018_4_the_latest_island_is_told_first() {
        let mut receiver = Receiver::new(512);
        receiver.begin(0);
        for from in [300, 100, 200] {
            receiver.insert(from, &[0; 10]);
        }
        assert_eq!(receiver.take_blocks().list(), [(200, 210), (100, 110), (300, 310)]);
        receiver.insert(110, &[0; 10]);
        assert_eq!(receiver.take_blocks().list()[0], (100, 120), "grown");
    }

    #[test]
    fn one_island_too_many_is_dropped_and_one_that_grows_another_is_kept() {
        let mut receiver = Receiver::new(512);
        receiver.begin(0);
        let island = |n: usize| 10 + 20 * n as u32;
        for n in 0..=ISLANDS_MAX {
            receiver.insert(island(n), &[n as u8; 10]);
        }
        assert_eq!(receiver.islands.len, ISLANDS_MAX);
        receiver.insert(island(4) + 10, &[44; 5]);
        receiver.insert(island(7) - 5, &[77; 5]);
        let list = receiver.islands.list();
        assert_eq!((list[4].from, list[4].to), (island(4), island(4) + 15));
        assert_eq!((list[7].from, list[7].to), (island(7) - 5, island(7) + 10));
        // Two that grow together leave a place.
        receiver.insert(island(10) + 10, &[10; 10]);
        receiver.insert(island(ISLANDS_MAX), &[16; 10]);
        assert_eq!(receiver.islands.len, ISLANDS_MAX);
        assert_eq!(receiver.bytes(), 0, "none came in its turn");
        receiver.insert(0, &[0; 10]);
        assert_eq!(receiver.bytes(), 20);
    }

    #[test]
    fn rfc_2883_4_what_came_twice_is_told_once_before_the_islands() {
        let mut receiver = Receiver::new(512);
        receiver.begin(0);
        receiver.pass(50, b"");
        receiver.insert(100, &[0; 10]);
        receiver.insert(20, &[0; 10]);
        assert_eq!(receiver.take_blocks().list(), [(20, 30), (100, 110)]);
        assert_eq!(receiver.take_blocks().list(), [(100, 110)]);
    }

    #[test]
    fn the_first_bytes_of_a_number_win() {
        let mut receiver = Receiver::new(512);
        receiver.begin(0);
        receiver.insert(4, b"eeff");
        receiver.insert(0, b"aabbXXXXgg");
        assert_eq!(receiver.kept(), b"aabbeeffgg");
    }

    #[test]
    fn rfc_9293_3_8_6_2_2_a_window_opens_in_large_steps() {
        let mut receiver = Receiver::new(4096);
        receiver.begin(0);
        receiver.insert(0, &[0; 4096]);
        assert_eq!(receiver.tell_window(1460), 0);
        receiver.take(1000);
        assert_eq!(receiver.tell_window(1460), 0);
        assert!(!receiver.owes_window(1460));
        receiver.take(1000);
        assert!(receiver.owes_window(1460));
        assert_eq!(receiver.tell_window(1460), 2000);
        assert!(receiver.accepts(4096, 2000) && !receiver.accepts(4096 + 2000, 1));
    }
}
