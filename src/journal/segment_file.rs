//! One segment file, to write.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use zerocopy::IntoBytes;

use super::JournalError;
use super::format::{HEADER_BYTES, Header, RECORD_BYTES, RECORDS_MAX, Record, SEGMENT_BYTES};

/// The path of a segment.
pub(super) fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}.journal"))
}

/// The numbers and paths of a journal's segments, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<(u32, PathBuf)>, JournalError> {
    let entries = std::fs::read_dir(dir).map_err(JournalError::io("read", dir))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(JournalError::io("read", dir))?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".journal")?.parse::<u32>().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort();
    Ok(found)
}

/// A segment being written.
pub(super) struct SegmentFile {
    file: File,
    path: PathBuf,
    /// Records written.
    used: usize,
}

impl SegmentFile {
    /// Creates a segment: header, and zeros to its full size, all on disk, so that later writes
    /// change nothing but contents.
    pub fn create(dir: &Path, header: &Header) -> Result<SegmentFile, JournalError> {
        let path = path_of(dir, header.number.get());
        let temporary = path.with_extension("new");
        let open = OpenOptions::new().create(true).truncate(true).write(true).open(&temporary);
        let file = open.map_err(JournalError::io("create", &temporary))?;
        let mut chunk = vec![0; 1 << 20];
        let mut at = 0;
        while at < SEGMENT_BYTES {
            let len = (SEGMENT_BYTES - at).min(chunk.len() as u64) as usize;
            file.write_all_at(&chunk[..len], at).map_err(JournalError::io("fill", &temporary))?;
            at += len as u64;
        }
        chunk.truncate(HEADER_BYTES);
        chunk[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        file.write_all_at(&chunk, 0).map_err(JournalError::io("write", &temporary))?;
        file.sync_all().map_err(JournalError::io("sync", &temporary))?;
        std::fs::rename(&temporary, &path).map_err(JournalError::io("rename", &temporary))?;
        let directory = File::open(dir).map_err(JournalError::io("open", dir))?;
        directory.sync_all().map_err(JournalError::io("sync", dir))?;
        Ok(SegmentFile { file, path, used: 0 })
    }

    /// Opens an existing segment to go on behind its `used` records.
    pub fn open(dir: &Path, number: u32, used: usize) -> Result<SegmentFile, JournalError> {
        let path = path_of(dir, number);
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.map_err(JournalError::io("open", &path))?;
        Ok(SegmentFile { file, path, used })
    }

    /// Places left.
    pub fn room(&self) -> usize {
        RECORDS_MAX - self.used
    }

    /// Writes records behind those there, and waits until they are on disk.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        debug_assert!(records.len() <= self.room(), "a write stays inside a segment");
        let offset = (HEADER_BYTES + self.used * RECORD_BYTES) as u64;
        let written = self.file.write_all_at(records.as_bytes(), offset);
        written.map_err(JournalError::io("write", &self.path))?;
        self.file.sync_data().map_err(JournalError::io("sync", &self.path))?;
        self.used += records.len();
        Ok(())
    }

    /// Overwrites the places from `used` on with zeros: what a torn write left there.
    pub fn clear_tail(&mut self) -> Result<(), JournalError> {
        let offset = HEADER_BYTES + self.used * RECORD_BYTES;
        let zeros = vec![0; SEGMENT_BYTES as usize - offset];
        let written = self.file.write_all_at(&zeros, offset as u64);
        written.map_err(JournalError::io("clear the torn tail of", &self.path))?;
        self.file.sync_data().map_err(JournalError::io("sync", &self.path))
    }
}
