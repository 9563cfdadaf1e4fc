//! Reading a journal while it is written, from any record on.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::JournalError;
use super::format::{HEADER_BYTES, Header, Place, RECORD_BYTES, RECORDS_MAX, read_place};
use super::segment_file::path_of;
use crate::order::{Command, SeqNum};

/// Records read at once.
const BATCH_MAX: usize = 1024;

/// Hands out the records of a journal in order, as far as they are on disk. Every record has its place,
/// which its number tells, so it begins anywhere without reading what comes before.
pub struct Chaser {
    dir: PathBuf,
    segment: Option<(u32, File)>,
    last: SeqNum,
    /// Records read and not yet handed out.
    bytes: Vec<u8>,
    at: usize,
}

impl Chaser {
    /// Begins behind a record, 0 for the first.
    pub fn behind(dir: &Path, last: SeqNum) -> Chaser {
        let bytes = Vec::with_capacity(BATCH_MAX * RECORD_BYTES);
        Chaser { dir: dir.to_owned(), segment: None, last, bytes, at: 0 }
    }

    /// The record handed out last.
    pub fn last(&self) -> SeqNum {
        self.last
    }

    /// Goes to where it hands out the record behind `last` next.
    pub fn go_behind(&mut self, last: SeqNum) {
        if last.0 + 1 == self.last.0 && self.at >= RECORD_BYTES {
            (self.last, self.at) = (last, self.at - RECORD_BYTES);
        } else if last != self.last {
            (self.last, self.at) = (last, 0);
            self.bytes.clear();
        }
    }

    /// The next record, if it is one of those up to `durable`, which are on disk.
    #[inline]
    pub fn next(&mut self, durable: SeqNum) -> Result<Option<Command>, JournalError> {
        if self.last >= durable {
            return Ok(None);
        }
        if self.at == self.bytes.len() {
            self.read(durable)?;
        }
        let expected = SeqNum(self.last.0 + 1);
        match read_place(&self.bytes[self.at..self.at + RECORD_BYTES]) {
            Place::Record(record) if record.command.seq == expected => {
                self.at += RECORD_BYTES;
                self.last = expected;
                Ok(Some(record.command))
            }
            _ => Err(self.hole(expected, durable)),
        }
    }

    /// Reads what follows, one record at least.
    fn read(&mut self, durable: SeqNum) -> Result<(), JournalError> {
        let records = RECORDS_MAX as u64;
        let (number, place) = ((self.last.0 / records) as u32 + 1, self.last.0 % records);
        let path = path_of(&self.dir, number);
        let file = match self.segment.take() {
            Some((open, file)) if open == number => file,
            _ => open(&path, number)?,
        };
        let count = (durable.0 - self.last.0).min(records - place).min(BATCH_MAX as u64);
        self.bytes.resize(count as usize * RECORD_BYTES, 0);
        self.at = 0;
        let offset = (HEADER_BYTES + place as usize * RECORD_BYTES) as u64;
        let read = file.read_exact_at(&mut self.bytes, offset);
        if read.is_err() {
            self.bytes.clear();
        }
        self.segment = Some((number, file));
        read.map_err(JournalError::io("read", &path))
    }

    #[cold]
    fn hole(&self, expected: SeqNum, found: SeqNum) -> JournalError {
        let records = RECORDS_MAX as u64;
        let before = expected.0 - 1;
        let offset = HEADER_BYTES as u64 + before % records * RECORD_BYTES as u64;
        let path = path_of(&self.dir, (before / records) as u32 + 1);
        JournalError::Hole { path, offset, expected, found }
    }
}

fn open(path: &Path, number: u32) -> Result<File, JournalError> {
    let file = File::open(path).map_err(JournalError::io("open", path))?;
    let mut bytes = [0; size_of::<Header>()];
    file.read_exact_at(&mut bytes, 0).map_err(JournalError::io("read", path))?;
    let bad = |what| JournalError::Header { path: path.to_owned(), what };
    let header = Header::parse(&bytes).map_err(bad)?;
    if header.number.get() == number { Ok(file) } else { Err(bad("another segment's file")) }
}
