//! Bytes on disk.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned};

use crate::order::Command;

/// Bytes of a record.
pub const RECORD_BYTES: usize = size_of::<Record>();

/// Bytes of a segment's header, and so the offset of its first record.
pub const HEADER_BYTES: usize = 4096;

/// Records of a segment.
pub const RECORDS_MAX: usize = 131_072;

/// Bytes of a segment file: 16 MiB of records behind the header.
pub const SEGMENT_BYTES: u64 = (HEADER_BYTES + RECORDS_MAX * RECORD_BYTES) as u64;

const MAGIC: [u8; 16] = *b"MILLRACE JOURNAL";

/// Version of the format; raised by any change to it, to [`Command`]'s layout, or to what a command means.
const VERSION: u32 = 3;

/// The oldest version that is still read: what it says means the same. (3 brought numbers by their place, which its
/// first command asks for.)
const VERSION_MIN: u32 = 2;

/// The start of a segment file; the rest of its 4096 bytes is zero.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    magic: [u8; 16],
    version: U32,
    /// Number of the segment, from 1.
    pub number: U32,
    /// Name of the session that the journal records, as SoupBinTCP logins see it.
    pub session: [u8; 10],
    spare: [u8; 2],
    /// When the journal was begun, Unix nanoseconds.
    pub begun_ns: U64,
    crc: U32,
}

impl Header {
    /// The header of a new segment.
    pub fn new(number: u32, session: [u8; 10], begun_ns: u64) -> Header {
        let mut header = Header {
            magic: MAGIC,
            version: VERSION.into(),
            number: number.into(),
            session,
            spare: [0; 2],
            begun_ns: begun_ns.into(),
            crc: 0.into(),
        };
        header.crc = header.checksum().into();
        header
    }

    /// Reads a header, or says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Header, &'static str> {
        let (header, _) = Header::read_from_prefix(bytes).map_err(|_| "too short for a header")?;
        if header.magic != MAGIC {
            return Err("not a millrace journal segment");
        }
        if !(VERSION_MIN..=VERSION).contains(&header.version.get()) {
            return Err("written by another version of the journal format");
        }
        if header.crc.get() != header.checksum() {
            return Err("the header is damaged");
        }
        Ok(header)
    }

    fn checksum(&self) -> u32 {
        let bytes = self.as_bytes();
        crc32c::crc32c(&bytes[..bytes.len() - 4])
    }
}

/// A command on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Record {
    /// As it stands in memory.
    pub command: Command,
    /// How many records before this one belong to its group commit.
    pub batch_index: u32,
    /// crc32c of all bytes before this field.
    pub crc: u32,
}

const _: () = assert!(RECORD_BYTES == 128);

impl Record {
    /// Prepares a command for the disk: its place in its write, and its checksum.
    #[inline]
    pub fn sealing(command: &Command, batch_index: u32) -> Record {
        let mut record = Record { command: *command, batch_index, crc: 0 };
        record.crc = crc32c::crc32c(&record.as_bytes()[..RECORD_BYTES - 4]);
        record
    }

    /// Number of the record that this one's write began with.
    pub fn batch_start(&self) -> u64 {
        self.command.seq.0.saturating_sub(u64::from(self.batch_index))
    }
}

/// What a place for a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "lives on the stack of a loop")]
pub enum Place {
    /// A whole record.
    Record(Record),
    /// Nothing was written here.
    Empty,
    /// Something, but not a whole record.
    Damaged,
}

/// Whether the checksum of one place, of [`RECORD_BYTES`], is right.
#[inline]
pub fn is_whole(bytes: &[u8]) -> bool {
    let (body, crc) = bytes.split_at(RECORD_BYTES - 4);
    crc32c::crc32c(body).to_le_bytes() == crc
}

/// Reads one place, of [`RECORD_BYTES`].
pub fn read_place(bytes: &[u8]) -> Place {
    if bytes.iter().all(|b| *b == 0) {
        return Place::Empty;
    }
    if is_whole(bytes) { read_whole(bytes) } else { Place::Damaged }
}

/// Reads one place whose checksum is known to be right.
#[inline]
pub fn read_whole(bytes: &[u8]) -> Place {
    match Record::try_read_from_bytes(bytes) {
        Ok(record) => Place::Record(record),
        Err(_) => Place::Damaged,
    }
}
