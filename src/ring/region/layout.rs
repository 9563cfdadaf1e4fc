//! What the files of a shared ring hold, byte by byte. All numbers are of 8 bytes, in the machine's order.

use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::RegionError;
use super::file;
use crate::ring::mapped::Mapped;
use crate::ring::memory::stride_bytes;
use crate::ring::record::Record;

/// Raised by any change to what is told here.
pub(super) const VERSION: u64 = 1;
/// Bytes of `NAME.reader`, and what is in front of the records in `NAME.ring`, at least.
pub(super) const PAGE_BYTES: usize = 4096;
/// Offset of the first record's place in `NAME.ring`.
pub(super) const PLACES: usize = 2 * PAGE_BYTES;

// At the start of both files. The magic is written last: without it, the file is being made.
const MAGIC: usize = 0;
const RING_MAGIC: u64 = u64::from_ne_bytes(*b"MILLRING");
const READER_MAGIC: u64 = u64::from_ne_bytes(*b"MILLREAD");
const VERSION_AT: usize = 8;
/// A number that the two files of a ring have in common, and no other ring has.
const IDENTITY: usize = 16;

// In NAME.ring only.
const KIND: usize = 24;
const CAPACITY: usize = 32;
const RECORD_BYTES: usize = 40;
const STRIDE_BYTES: usize = 48;
pub(super) const MADE_NS: usize = 56;
const RECORD_NAME: usize = 64;
pub(in super::super) const NAME_BYTES: usize = 32;
/// The index behind the newest record that was told of, in the writer's page.
pub(super) const TOLD: usize = PAGE_BYTES;
const WRITER: usize = PAGE_BYTES + 128;

// In NAME.reader only.
/// The index behind the newest record that was read.
pub(super) const HEAD: usize = 128;
const READER: usize = 256;

// Of an end, from WRITER or READER on.
const PID: usize = 0;
const EPOCH: usize = 8;
const BEAT_NS: usize = 16;

/// What a shared ring is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One reader, for which the writer waits.
    Queue,
    /// Any number of readers, for which nobody waits.
    Broadcast,
}

impl Kind {
    const fn number(self) -> u64 {
        match self {
            Kind::Queue => 1,
            Kind::Broadcast => 2,
        }
    }

    fn of(number: u64) -> Option<Kind> {
        [Kind::Queue, Kind::Broadcast].into_iter().find(|kind| kind.number() == number)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Queue => "queue",
            Kind::Broadcast => "broadcast ring",
        })
    }
}

/// Who has an end, by its own account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// Process id, in its own namespace; 0 if nobody was ever there.
    pub pid: u64,
    /// How many there were, with this one.
    pub epoch: u64,
    /// When it last said that it lives, Unix nanoseconds.
    pub beat_ns: u64,
}

/// An end's own words in a mapping.
#[derive(Clone, Copy)]
pub(super) enum End {
    Writer,
    Reader,
}

impl End {
    const fn at(self) -> usize {
        match self {
            End::Writer => WRITER,
            End::Reader => READER,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            End::Writer => "writer",
            End::Reader => "reader",
        }
    }

    pub fn life(self, map: &Mapped) -> Life {
        let word = |at| map.word(self.at() + at).load(Acquire);
        Life { pid: word(PID), epoch: word(EPOCH), beat_ns: word(BEAT_NS) }
    }

    /// Somebody new is there.
    pub fn begin(self, map: &Mapped) {
        let epoch = map.word(self.at() + EPOCH);
        map.word(self.at() + PID).store(u64::from(std::process::id()), Release);
        epoch.store(epoch.load(Relaxed) + 1, Release);
        self.beat(map, file::now_ns());
    }

    pub fn beat(self, map: &Mapped, now_ns: u64) {
        map.word(self.at() + BEAT_NS).store(now_ns, Release);
    }
}

/// What a ring's header says that it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub kind: Kind,
    pub capacity: u64,
    pub record_bytes: u64,
    pub name: [u8; NAME_BYTES],
}

impl Shape {
    pub fn of<R: Record>(kind: Kind, capacity: usize) -> Shape {
        const {
            assert!(align_of::<R>() <= 8 && size_of::<R>() > 0, "records lie at multiples of 8");
            assert!(R::NAME.len() <= NAME_BYTES, "a record's name is too long");
        }
        let mut name = [0; NAME_BYTES];
        name[..R::NAME.len()].copy_from_slice(R::NAME.as_bytes());
        Shape { kind, capacity: capacity as u64, record_bytes: size_of::<R>() as u64, name }
    }

    /// Bytes from one record's place to the next: the record, rounded up to 8, and a word.
    pub fn stride_bytes(&self) -> u64 {
        stride_bytes((self.record_bytes.next_multiple_of(8) + 8) as usize) as u64
    }

    /// Bytes of the file, if they can be counted.
    pub fn file_bytes(&self) -> Option<u64> {
        self.capacity.checked_mul(self.stride_bytes())?.checked_add(PLACES as u64)
    }

    /// Written where nothing is yet.
    pub fn write(&self, map: &Mapped, identity: u64) {
        let put = |at, value| map.word(at).store(value, Relaxed);
        put(VERSION_AT, VERSION);
        put(IDENTITY, identity);
        put(KIND, self.kind.number());
        put(CAPACITY, self.capacity);
        put(RECORD_BYTES, self.record_bytes);
        put(STRIDE_BYTES, self.stride_bytes());
        put(MADE_NS, file::now_ns());
        for (at, word) in self.name.as_chunks::<8>().0.iter().enumerate() {
            put(RECORD_NAME + 8 * at, u64::from_ne_bytes(*word));
        }
    }

    /// Reads what a finished ring says, of a file of so many bytes.
    pub fn read(map: &Mapped, path: &Path, len: u64) -> Result<Shape, RegionError> {
        let refused = |what: String| Err(RegionError::refused(path, what));
        let word = |at| map.word(at).load(Relaxed);
        match map.word(MAGIC).load(Acquire) {
            RING_MAGIC => {}
            0 => return Err(RegionError::NotThere { path: path.to_owned() }),
            _ => return refused("not a ring".to_owned()),
        }
        let version = word(VERSION_AT);
        if version != VERSION {
            return refused(format!("layout version {version}, this program knows {VERSION}"));
        }
        let Some(kind) = Kind::of(word(KIND)) else {
            return refused(format!("a kind of ring that is not known: {}", word(KIND)));
        };
        let mut name = [0; NAME_BYTES];
        for (at, to) in name.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *to = word(RECORD_NAME + 8 * at).to_ne_bytes();
        }
        let (capacity, record_bytes) = (word(CAPACITY), word(RECORD_BYTES));
        if !capacity.is_power_of_two() || capacity < 2 || !(1..=1 << 20).contains(&record_bytes) {
            return refused(format!(
                "the header is damaged: {capacity} records of {record_bytes} bytes"
            ));
        }
        let shape = Shape { kind, capacity, record_bytes, name };
        if word(STRIDE_BYTES) != shape.stride_bytes() {
            return refused(format!(
                "the header is damaged: a record each {} bytes",
                word(STRIDE_BYTES)
            ));
        }
        match shape.file_bytes() {
            Some(bytes) if bytes <= len => Ok(shape),
            bytes => refused(format!(
                "was cut short: {len} bytes, {capacity} records of {record_bytes} bytes take {}",
                bytes.map_or("more than can be counted".to_owned(), |bytes| bytes.to_string())
            )),
        }
    }

    /// That it is what an end was made for.
    pub fn expect(&self, wanted: &Shape, path: &Path) -> Result<(), RegionError> {
        let refused = |what: String| Err(RegionError::refused(path, what));
        if self.kind != wanted.kind {
            return refused(format!("a {}, not a {}", self.kind, wanted.kind));
        }
        if (self.record_bytes, self.name) != (wanted.record_bytes, wanted.name) {
            return refused(format!("holds {}, not {}", self.records(), wanted.records()));
        }
        if self.capacity != wanted.capacity {
            let (is, should) = (self.capacity, wanted.capacity);
            return refused(format!("holds {is} records, not {should}"));
        }
        Ok(())
    }

    fn records(&self) -> String {
        format!("records {:?} of {} bytes", self.record_name(), self.record_bytes)
    }

    pub fn record_name(&self) -> String {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        String::from_utf8_lossy(&self.name[..end]).into_owned()
    }
}

/// Says that a ring is finished.
pub(super) fn finish(map: &Mapped) {
    map.word(MAGIC).store(RING_MAGIC, Release);
}

pub(super) fn is_finished(map: &Mapped) -> bool {
    map.word(MAGIC).load(Acquire) != 0
}

pub(super) fn identity(map: &Mapped) -> u64 {
    map.word(IDENTITY).load(Relaxed)
}

/// Makes a reader's page of what is all zero.
pub(super) fn write_reader(map: &Mapped, identity: u64) {
    map.word(VERSION_AT).store(VERSION, Relaxed);
    map.word(IDENTITY).store(identity, Relaxed);
    map.word(MAGIC).store(READER_MAGIC, Release);
}

/// That a reader's page is a ring's.
pub(super) fn check_reader(map: &Mapped, path: &Path, identity: u64) -> Result<(), RegionError> {
    let magic = map.word(MAGIC).load(Acquire);
    let version = map.word(VERSION_AT).load(Relaxed);
    if magic != READER_MAGIC {
        return Err(RegionError::refused(path, "not a reader's page"));
    }
    if version != VERSION {
        let what = format!("layout version {version}, this program knows {VERSION}");
        return Err(RegionError::refused(path, what));
    }
    if self::identity(map) != identity {
        return Err(RegionError::refused(path, "of another ring than the one beside it"));
    }
    Ok(())
}
