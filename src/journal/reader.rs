//! Reading a journal back, from its first record to its last whole one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::JournalError;
use super::ahead::Ahead;
use super::format::{
    HEADER_BYTES, Header, Place, RECORD_BYTES, RECORDS_MAX, read_place, read_whole,
};
use super::segment_file::{clear_tail, list};
use crate::order::{Command, SeqNum};

/// Where a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last whole record; 0 if there is none.
    pub last_seq: SeqNum,
    /// The segment it is in, or the first if there is none.
    pub segment: u32,
    /// Records in that segment.
    pub used: usize,
    /// Whether part of a write stands behind it.
    pub torn: bool,
}

/// Hands out a journal's records in order.
pub struct Reader {
    segments: std::vec::IntoIter<(u32, PathBuf)>,
    /// Who reads them, if that is another thread.
    ahead: Option<Ahead>,
    /// The segment being read.
    bytes: Vec<u8>,
    /// How many of its records are known to be whole.
    whole: usize,
    path: PathBuf,
    place: usize,
    tail: Tail,
    header: Option<Header>,
    /// Do not read past this record.
    until: SeqNum,
}

impl Reader {
    /// Opens the journal in `dir`; it may be empty.
    pub fn open(dir: &Path) -> Result<Reader, JournalError> {
        let tail = Tail { last_seq: SeqNum(0), segment: 1, used: 0, torn: false };
        Ok(Reader {
            segments: list(dir)?.into_iter(),
            ahead: None,
            bytes: Vec::new(),
            whole: 0,
            path: dir.to_owned(),
            place: RECORDS_MAX,
            tail,
            header: None,
            until: SeqNum(u64::MAX),
        })
    }

    /// Has another thread read and check segments ahead, for who goes through all of them.
    pub fn ahead(mut self) -> Result<Reader, JournalError> {
        let paths = self.segments.as_slice().iter().map(|(_, path)| path.clone()).collect();
        let started = Ahead::start(paths).map_err(JournalError::io("read", &self.path))?;
        self.ahead = Some(started);
        Ok(self)
    }

    /// Ends before any record behind `last`; what stands there may be just being written.
    pub fn until(mut self, last: SeqNum) -> Reader {
        self.until = last;
        self
    }

    /// The first segment's header, once a record was asked for.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Where the journal ends; final once there is no next record.
    pub fn tail(&self) -> Tail {
        self.tail
    }

    /// The next record, `None` at the end, an error for a hole.
    #[allow(clippy::should_implement_trait, reason = "an iterator would hide the tail")]
    pub fn next(&mut self) -> Result<Option<Command>, JournalError> {
        if self.tail.last_seq >= self.until {
            return Ok(None);
        }
        if self.place == RECORDS_MAX && !self.next_segment()? {
            return Ok(None);
        }
        let expected = SeqNum(self.tail.last_seq.0 + 1);
        match self.read(self.place) {
            Place::Record(record) if record.command.seq == expected => {
                self.place += 1;
                self.tail.used = self.place;
                self.tail.last_seq = expected;
                Ok(Some(record.command))
            }
            place => {
                self.tail.torn = place != Place::Empty;
                self.check_end(expected)?;
                self.until = self.tail.last_seq;
                Ok(None)
            }
        }
    }

    fn read(&self, place: usize) -> Place {
        let offset = HEADER_BYTES + place * RECORD_BYTES;
        let read = if place < self.whole { read_whole } else { read_place };
        self.bytes.get(offset..offset + RECORD_BYTES).map_or(Place::Empty, read)
    }

    fn next_segment(&mut self) -> Result<bool, JournalError> {
        let Some((number, path)) = self.segments.next() else { return Ok(false) };
        let read = match &self.ahead {
            Some(ahead) => ahead.next(std::mem::take(&mut self.bytes)),
            None => std::fs::read(&path).map(|bytes| (bytes, 0)),
        };
        (self.bytes, self.whole) = read.map_err(JournalError::io("read", &path))?;
        self.path = path;
        let bad = |what| JournalError::Header { path: self.path.clone(), what };
        let header = Header::parse(&self.bytes).map_err(bad)?;
        let wanted = if self.header.is_none() { 1 } else { self.tail.segment + 1 };
        if header.number.get() != number || number != wanted {
            return Err(bad("not the next segment of this journal"));
        }
        if self.header.is_some_and(|first| first.session != header.session) {
            return Err(bad("a segment of another journal"));
        }
        self.header = self.header.or(Some(header));
        self.place = 0;
        (self.tail.segment, self.tail.used) = (number, 0);
        Ok(true)
    }

    /// At a place without the expected record: nothing behind it may belong to a later write.
    fn check_end(&mut self, expected: SeqNum) -> Result<(), JournalError> {
        let offset = (HEADER_BYTES + self.place * RECORD_BYTES) as u64;
        let path = self.path.clone();
        let hole = |found| JournalError::Hole { path: path.clone(), offset, expected, found };
        let mut first = self.place;
        let (tail, mut torn) = (self.tail, self.tail.torn);
        loop {
            for place in first..RECORDS_MAX {
                match self.read(place) {
                    Place::Record(later) if later.batch_start() > expected.0 => {
                        return Err(hole(later.command.seq));
                    }
                    // A record of the past where the next one should be: not a torn write.
                    Place::Record(stray) if stray.command.seq < expected => {
                        return Err(hole(stray.command.seq));
                    }
                    Place::Empty => {}
                    _ => torn = true,
                }
            }
            if !self.next_segment()? {
                break;
            }
            first = 0;
        }
        self.tail = Tail { torn, ..tail };
        self.place = RECORDS_MAX;
        Ok(())
    }
}

/// The first segment's header, if the journal in `dir` has begun.
pub fn header(dir: &Path) -> Result<Option<Header>, JournalError> {
    let Some((_, path)) = list(dir)?.into_iter().next() else { return Ok(None) };
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    let file = File::open(&path).map_err(JournalError::io("open", &path))?;
    let read = file.take(HEADER_BYTES as u64).read_to_end(&mut bytes);
    read.map_err(JournalError::io("read", &path))?;
    let bad = |what| JournalError::Header { path: path.clone(), what };
    Header::parse(&bytes).map(Some).map_err(bad)
}

/// Hands every record to `see`, in order.
pub fn read_all(dir: &Path, mut see: impl FnMut(&Command)) -> Result<Reader, JournalError> {
    let mut reader = Reader::open(dir)?;
    while let Some(command) = reader.next()? {
        see(&command);
    }
    Ok(reader)
}

/// Clears what a torn write left, and any segment prepared behind the last used one stays.
pub fn repair(dir: &Path, tail: Tail) -> Result<(), JournalError> {
    clear_tail(dir, tail.segment, tail.used)
}
