//! What was written is read back; what a crash tore off is dropped; what is missing in the
//! middle is refused.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::format::{HEADER_BYTES, Header, RECORD_BYTES, RECORDS_MAX};
use super::segment_file::path_of;
use super::*;
use crate::order::{Command, CommandKind, FirmId, UserId, UserRefNum};
use crate::ring;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("millrace-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn command(seq: u64) -> Command {
    Command {
        seq: SeqNum(seq),
        user_ref: UserRefNum(seq as u32),
        ..Command::new(CommandKind::Enter, UserId(3), FirmId(1))
    }
}

/// Writes records up to `last`, `batch` to a write, going on where the journal ends.
fn write(dir: &Path, last: u64, batch: usize) {
    let (mut tx, rx) = ring::on_heap(8192, Command::EMPTY);
    let reader = read_all(dir, |_| ()).unwrap();
    let tail = reader.header().map(|_| reader.tail());
    let first = tail.map_or(0, |tail| tail.last_seq.0) + 1;
    let start = Start { session: *b"MRTEST    ", begun_ns: 1, tail };
    let durable = Durable::new(SeqNum(0));
    let mut writer = JournalWriter::open(dir, start, rx, durable.clone()).unwrap();
    let records: Vec<_> = (first..=last).map(command).collect();
    for records in records.chunks(batch) {
        assert_eq!(tx.push_slice(records), records.len());
        let mut written = 0;
        while written < records.len() {
            written += writer.write().unwrap();
        }
        assert_eq!(durable.seq(), records.last().unwrap().seq);
    }
}

/// Reads it to its end, here and with a thread that reads ahead: both find the same.
fn last_seq(dir: &Path) -> Result<Tail, JournalError> {
    let to_its_end = |mut reader: Reader| {
        let mut next = 1;
        while let Some(read) = reader.next()? {
            assert_eq!(read, command(next));
            next += 1;
        }
        Ok(reader.tail())
    };
    let alone: Result<Tail, JournalError> = to_its_end(Reader::open(dir)?);
    let ahead: Result<Tail, JournalError> = to_its_end(Reader::open(dir)?.ahead()?);
    assert_eq!(format!("{alone:?}"), format!("{ahead:?}"));
    alone
}

#[test]
fn what_an_older_version_wrote_is_read_and_gone_on_with() {
    let dir = Dir::new("older");
    write(&dir.0, 500, 100);
    let file = std::fs::OpenOptions::new().write(true).open(path_of(&dir.0, 1)).unwrap();
    let set = |version: u32| {
        let mut bytes = std::fs::read(path_of(&dir.0, 1)).unwrap();
        bytes[16..20].copy_from_slice(&version.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..size_of::<Header>() - 4]);
        file.write_all_at(&bytes[..size_of::<Header>() - 4], 0).unwrap();
        file.write_all_at(&crc.to_le_bytes(), size_of::<Header>() as u64 - 4).unwrap();
    };
    set(2);
    write(&dir.0, 700, 100);
    assert_eq!(last_seq(&dir.0).unwrap().last_seq, SeqNum(700));
    for version in [1, 4] {
        set(version);
        let error = last_seq(&dir.0).unwrap_err().to_string();
        assert!(error.contains("another version of the journal format"), "{error}");
    }
}

/// Overwrites bytes of a record's place in the first segment.
fn damage(dir: &Path, place: usize, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(path_of(dir, 1)).unwrap();
    file.write_all_at(bytes, (HEADER_BYTES + place * RECORD_BYTES + 20) as u64).unwrap();
}

#[test]
fn records_are_read_back_over_restarts_and_segments() {
    let dir = Dir::new("restarts");
    write(&dir.0, 10, 3);
    write(&dir.0, 25, 100);
    assert_eq!(last_seq(&dir.0).unwrap().last_seq, SeqNum(25));
    write(&dir.0, RECORDS_MAX as u64 + 5, 8192);
    let tail = last_seq(&dir.0).unwrap();
    assert_eq!((tail.last_seq.0, tail.segment, tail.used), (RECORDS_MAX as u64 + 5, 2, 5));
}

#[test]
fn a_torn_tail_is_dropped_and_writing_goes_on_there() {
    let dir = Dir::new("torn");
    write(&dir.0, 10, 5);
    write(&dir.0, 16, 6);
    // The disk kept records 13 to 16 of the last write, but not 12.
    damage(&dir.0, 11, b"torn");
    let tail = last_seq(&dir.0).unwrap();
    assert_eq!((tail.last_seq, tail.torn), (SeqNum(11), true));
    repair(&dir.0, tail).unwrap();
    assert!(!last_seq(&dir.0).unwrap().torn);
    write(&dir.0, 14, 1);
    assert_eq!(last_seq(&dir.0).unwrap().last_seq, SeqNum(14));
}

#[test]
fn a_hole_is_refused_with_its_place() {
    let dir = Dir::new("hole");
    write(&dir.0, 10, 5);
    damage(&dir.0, 3, b"hole");
    let error = last_seq(&dir.0).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("000001.journal: hole at byte 4480: record 4 is missing"), "{text}");
    assert!(matches!(error, JournalError::Hole { found: SeqNum(6), .. }), "{error:?}");
}

#[test]
fn an_emptied_place_in_the_middle_is_a_hole_too() {
    let dir = Dir::new("zeroed");
    write(&dir.0, 10, 1);
    let file = std::fs::OpenOptions::new().write(true).open(path_of(&dir.0, 1)).unwrap();
    file.write_all_at(&[0; RECORD_BYTES], (HEADER_BYTES + 4 * RECORD_BYTES) as u64).unwrap();
    assert!(matches!(last_seq(&dir.0), Err(JournalError::Hole { expected: SeqNum(5), .. })));
}

#[test]
fn a_missing_segment_and_a_foreign_one_are_refused() {
    let dir = Dir::new("missing");
    write(&dir.0, RECORDS_MAX as u64 + 5, 8192);
    let first = path_of(&dir.0, 1);
    let aside = dir.0.join("aside");
    std::fs::rename(&first, &aside).unwrap();
    assert!(matches!(last_seq(&dir.0), Err(JournalError::Header { .. })));
    std::fs::write(&first, b"something else").unwrap();
    let text = last_seq(&dir.0).unwrap_err().to_string();
    assert!(text.contains("too short for a header"), "{text}");
}

#[test]
fn a_directory_has_one_owner() {
    let dir = Dir::new("lock");
    let held = DirectoryLock::take(&dir.0).unwrap();
    let refused = DirectoryLock::take(&dir.0).unwrap_err();
    assert!(refused.to_string().contains("in use by another millrace"));
    drop(held);
    DirectoryLock::take(&dir.0).unwrap();
}

#[test]
fn a_chaser_begins_anywhere_and_reads_no_further_than_the_disk() {
    let dir = Dir::new("chaser");
    let last = RECORDS_MAX as u64 + 3_000;
    write(&dir.0, last, 4_096);
    for from in [0, 1, 1_500, RECORDS_MAX as u64 - 1, RECORDS_MAX as u64, last - 1] {
        let mut chaser = Chaser::behind(&dir.0, SeqNum(from));
        let mut expected = from;
        for durable in [from + 1, (from + 2_500).min(last), last] {
            while let Some(found) = chaser.next(SeqNum(durable)).unwrap() {
                expected += 1;
                assert_eq!(found, command(expected));
            }
            assert_eq!(expected, durable);
        }
        chaser.go_behind(SeqNum(from));
        assert_eq!(chaser.next(SeqNum(last)).unwrap(), Some(command(from + 1)));
    }
    let beyond = Chaser::behind(&dir.0, SeqNum(last)).next(SeqNum(last + 1));
    assert!(matches!(beyond, Err(JournalError::Hole { expected: SeqNum(n), .. }) if n == last + 1));
}
