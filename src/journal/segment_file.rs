//! One segment file, to write.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zerocopy::IntoBytes;

use super::JournalError;
use super::format::{HEADER_BYTES, Header, RECORD_BYTES, RECORDS_MAX, SEGMENT_BYTES};
use super::staging::{BLOCK_BYTES, Staging};
use crate::runtime::Region;

/// Bytes of a new segment that are filled in one write.
const FILL_BYTES: usize = 256 << 10;

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

/// A segment being written. The disk takes what is written from where it lies, where the file system allows
/// (`O_DIRECT`): through the page cache every byte would be copied, into pages that are taken for it alone.
pub(super) struct SegmentFile {
    file: File,
    path: PathBuf,
    direct: bool,
    /// Records written.
    used: usize,
}

impl SegmentFile {
    /// Creates a segment: header, and zeros to its full size, all on disk, so that later writes
    /// change nothing but contents. With a pause between pieces, for who shares the disk.
    pub fn create(
        dir: &Path,
        header: &Header,
        pause: Duration,
    ) -> Result<SegmentFile, JournalError> {
        let path = path_of(dir, header.number.get());
        let temporary = path.with_extension("new");
        File::create(&temporary).map_err(JournalError::io("create", &temporary))?;
        let opened = SegmentFile::of(temporary.clone(), 0);
        let mut segment = opened.map_err(JournalError::io("create", &temporary))?;
        let mut chunk = Region::new(FILL_BYTES);
        let mut at = 0;
        while at < SEGMENT_BYTES {
            let len = (SEGMENT_BYTES - at).min(chunk.len() as u64) as usize;
            let filled = segment.write_blocks(&chunk.bytes()[..len], at);
            filled.map_err(JournalError::io("fill", &temporary))?;
            at += len as u64;
            std::thread::sleep(pause);
        }
        let head = &mut chunk.bytes_mut()[..HEADER_BYTES];
        head[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        segment.write_blocks(head, 0).map_err(JournalError::io("write", &temporary))?;
        segment.file.sync_all().map_err(JournalError::io("sync", &temporary))?;
        std::fs::rename(&temporary, &path).map_err(JournalError::io("rename", &temporary))?;
        let directory = File::open(dir).map_err(JournalError::io("open", dir))?;
        directory.sync_all().map_err(JournalError::io("sync", dir))?;
        segment.path = path;
        Ok(segment)
    }

    /// Opens an existing segment to go on behind its `used` records.
    pub fn open(dir: &Path, number: u32, used: usize) -> Result<SegmentFile, JournalError> {
        let path = path_of(dir, number);
        SegmentFile::of(path.clone(), used).map_err(JournalError::io("open", &path))
    }

    fn of(path: PathBuf, used: usize) -> std::io::Result<SegmentFile> {
        let direct = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(&path);
        let (file, direct) = match direct {
            Err(e) if e.kind() == ErrorKind::InvalidInput => (open_plain(&path)?, false),
            opened => (opened?, true),
        };
        Ok(SegmentFile { file, path, direct, used })
    }

    /// Places left.
    pub fn room(&self) -> usize {
        RECORDS_MAX - self.used
    }

    /// The records that share their block with the next one, as they are on disk.
    pub fn shared_block(&self) -> Result<Vec<u8>, JournalError> {
        let bytes = self.used * RECORD_BYTES % BLOCK_BYTES;
        let from = HEADER_BYTES + self.used * RECORD_BYTES - bytes;
        let mut block = vec![0; bytes];
        let read =
            File::open(&self.path).and_then(|file| file.read_exact_at(&mut block, from as u64));
        read.map_err(JournalError::io("read", &self.path))?;
        Ok(block)
    }

    /// Writes records behind those there, and waits until they are on disk.
    pub fn append(&mut self, staging: &mut Staging) -> Result<(), JournalError> {
        let records = staging.records();
        debug_assert!(records <= self.room(), "a write stays inside a segment");
        let offset = HEADER_BYTES + self.used * RECORD_BYTES - staging.kept();
        let written = self.write_blocks(staging.blocks(), offset as u64);
        written.map_err(JournalError::io("write", &self.path))?;
        self.file.sync_data().map_err(JournalError::io("sync", &self.path))?;
        self.used += records;
        staging.written();
        Ok(())
    }

    /// Writes whole blocks. Some file systems say only now that they want it otherwise.
    fn write_blocks(&mut self, bytes: &[u8], at: u64) -> std::io::Result<()> {
        match self.file.write_all_at(bytes, at) {
            Err(e) if self.direct && e.kind() == ErrorKind::InvalidInput => {
                (self.file, self.direct) = (open_plain(&self.path)?, false);
                self.file.write_all_at(bytes, at)
            }
            written => written,
        }
    }
}

/// Opens a file to write through the page cache.
fn open_plain(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

/// Overwrites the places of a segment from `used` on with zeros: what a torn write left there.
pub(super) fn clear_tail(dir: &Path, number: u32, used: usize) -> Result<(), JournalError> {
    let path = path_of(dir, number);
    let file = open_plain(&path).map_err(JournalError::io("open", &path))?;
    let offset = HEADER_BYTES + used * RECORD_BYTES;
    let zeros = vec![0; SEGMENT_BYTES as usize - offset];
    let written = file.write_all_at(&zeros, offset as u64);
    written.map_err(JournalError::io("clear the torn tail of", &path))?;
    file.sync_data().map_err(JournalError::io("sync", &path))
}

#[cfg(test)]
mod tests {
    use super::super::format::Record;
    use super::*;
    use crate::order::{Command, SeqNum};

    #[test]
    fn what_is_written_directly_and_through_the_page_cache_is_the_same() {
        let dir = std::env::temp_dir().join(format!("millrace-segment-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut files = vec![];
        for (number, direct) in [(1, true), (2, false)] {
            let mut segment =
                SegmentFile::create(&dir, &Header::new(1, *b"SESSION   ", 1), Duration::ZERO)
                    .unwrap();
            if !direct {
                (segment.file, segment.direct) = (open_plain(&segment.path).unwrap(), false);
            }
            let mut staging = Staging::new(100);
            let mut seq = 0;
            // Sizes around a block's 32 records; every third write by one who opened it anew.
            for (at, count) in [1, 31, 32, 33, 7, 64, 1, 1, 94, 100].into_iter().enumerate() {
                if at % 3 == 2 {
                    let used = segment.used;
                    segment = SegmentFile::open(&dir, 1, used).unwrap();
                    if !direct {
                        (segment.file, segment.direct) =
                            (open_plain(&segment.path).unwrap(), false);
                    }
                    staging = Staging::new(100);
                    staging.begin_with(&segment.shared_block().unwrap());
                }
                for place in 0..count {
                    seq += 1;
                    let command = Command { seq: SeqNum(seq), ..Command::EMPTY };
                    staging.push(&Record::sealing(&command, place));
                }
                segment.append(&mut staging).unwrap();
                assert_eq!(segment.used as u64, seq);
            }
            let path = dir.join(format!("copy-{number}"));
            std::fs::rename(path_of(&dir, 1), &path).unwrap();
            files.push(std::fs::read(path).unwrap());
        }
        assert_eq!(files[0].len() as u64, SEGMENT_BYTES);
        assert!(files[0] == files[1], "the files differ");
        let used = HEADER_BYTES + 364 * RECORD_BYTES;
        assert!(files[0][used - RECORD_BYTES..used].iter().any(|byte| *byte != 0));
        assert!(files[0][used..].iter().all(|byte| *byte == 0));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
