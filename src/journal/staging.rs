//! Records on their way to the disk.

use zerocopy::IntoBytes;

use super::format::{RECORD_BYTES, Record};
use crate::runtime::Region;

/// What disks and file systems write in, and pages are: no partial one is ever written, so that none has to be
/// read first, and the disk may fetch them from this memory by itself.
pub(super) const BLOCK_BYTES: usize = 4096;

/// Records in whole blocks: in front of the new ones those that share their first block and are on the disk
/// already, written again as they are there.
pub(super) struct Staging {
    region: Region,
    /// Bytes that are on the disk already.
    kept: usize,
    /// Bytes there are.
    len: usize,
}

impl Staging {
    /// With room for so many new records.
    pub fn new(records_max: usize) -> Staging {
        let bytes = (records_max * RECORD_BYTES).next_multiple_of(BLOCK_BYTES);
        Staging { region: Region::new(BLOCK_BYTES + bytes), kept: 0, len: 0 }
    }

    /// Begins with what a block on the disk has already.
    pub fn begin_with(&mut self, bytes: &[u8]) {
        self.region.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        (self.kept, self.len) = (bytes.len(), bytes.len());
    }

    /// Adds a record.
    #[inline]
    pub fn push(&mut self, record: &Record) {
        self.region.bytes_mut()[self.len..self.len + RECORD_BYTES]
            .copy_from_slice(record.as_bytes());
        self.len += RECORD_BYTES;
    }

    /// New records.
    pub fn records(&self) -> usize {
        (self.len - self.kept) / RECORD_BYTES
    }

    /// Bytes of the first block that are on the disk already.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Whole blocks; behind the last record zeros, as the disk has them there.
    pub fn blocks(&mut self) -> &[u8] {
        let end = self.len.next_multiple_of(BLOCK_BYTES);
        let (at, bytes) = (self.len, self.region.bytes_mut());
        bytes[at..end].fill(0);
        &bytes[..end]
    }

    /// They are on the disk: what the last block has is kept for the next write.
    pub fn written(&mut self) {
        let whole = self.len - self.len % BLOCK_BYTES;
        self.region.bytes_mut().copy_within(whole..self.len, 0);
        (self.kept, self.len) = (self.len - whole, self.len - whole);
    }
}
