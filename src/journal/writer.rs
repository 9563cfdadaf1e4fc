//! The journal's thread: from its ring to the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::JournalError;
use super::format::{Header, RECORDS_MAX, Record};
use super::reader::Tail;
use super::segment_file::{SegmentFile, path_of};
use crate::order::{Command, SeqNum};
use crate::ring::Consumer;

/// Most records of one write: 1 MiB.
const BATCH_MAX: usize = 8192;

/// How far the journal is on disk, shared with whoever waits for it.
#[derive(Clone, Debug)]
pub struct Durable(Arc<AtomicU64>);

impl Durable {
    /// Nothing is awaited up to `seq`.
    pub fn new(seq: SeqNum) -> Durable {
        Durable(Arc::new(AtomicU64::new(seq.0)))
    }

    /// The last record on disk.
    #[inline]
    pub fn seq(&self) -> SeqNum {
        // Acquire pairs with the release in `reach`: the write is over.
        SeqNum(self.0.load(Ordering::Acquire))
    }

    fn reach(&self, seq: SeqNum) {
        self.0.store(seq.0, Ordering::Release);
    }
}

/// Where a writer begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Name of the journal's session.
    pub session: [u8; 10],
    /// When the journal was begun, Unix nanoseconds.
    pub begun_ns: u64,
    /// Where it ends now; `None` begins a new one.
    pub tail: Option<Tail>,
}

/// Writes what comes out of its ring. Blocks on the disk, so it has a thread of its own.
pub struct JournalWriter {
    dir: PathBuf,
    start: Start,
    number: u32,
    segment: SegmentFile,
    /// The segment after this one, being made on a helper thread.
    next: Option<JoinHandle<Result<SegmentFile, JournalError>>>,
    commands: Consumer<Command>,
    batch: Vec<Record>,
    durable: Durable,
}

impl JournalWriter {
    /// Opens the journal in `dir` at its tail, or begins one.
    pub fn open(
        dir: &Path,
        start: Start,
        commands: Consumer<Command>,
        durable: Durable,
    ) -> Result<JournalWriter, JournalError> {
        let (number, segment) = match start.tail {
            Some(tail) => (tail.segment, SegmentFile::open(dir, tail.segment, tail.used)?),
            None => (1, SegmentFile::create(dir, &Header::new(1, start.session, start.begun_ns))?),
        };
        Ok(JournalWriter {
            dir: dir.to_owned(),
            start,
            number,
            segment,
            next: None,
            commands,
            batch: Vec::with_capacity(BATCH_MAX),
            durable,
        })
    }

    /// Takes what is in the ring and puts it on disk. Returns how many records that was.
    ///
    /// After an error nothing more may be written: what is on disk behind the last durable
    /// record is unknown.
    pub fn write(&mut self) -> Result<usize, JournalError> {
        if self.segment.room() == 0 {
            self.rotate()?;
        }
        self.batch.clear();
        let batch = &mut self.batch;
        self.commands.pop_batch(BATCH_MAX.min(self.segment.room()), |command| {
            batch.push(Record::sealing(command, batch.len() as u32));
        });
        let Some(last) = self.batch.last() else { return Ok(0) };
        self.segment.append(&self.batch)?;
        self.durable.reach(last.command.seq);
        if self.next.is_none() && self.segment.room() < RECORDS_MAX / 2 {
            self.prepare_next();
        }
        Ok(self.batch.len())
    }

    /// Starts making the next segment, so that it is there when this one is full.
    fn prepare_next(&mut self) {
        let (dir, number) = (self.dir.clone(), self.number + 1);
        let header = Header::new(number, self.start.session, self.start.begun_ns);
        self.next = Some(std::thread::spawn(move || {
            if path_of(&dir, number).exists() {
                SegmentFile::open(&dir, number, 0)
            } else {
                SegmentFile::create(&dir, &header)
            }
        }));
    }

    fn rotate(&mut self) -> Result<(), JournalError> {
        if self.next.is_none() {
            self.prepare_next();
        }
        let made = self.next.take().expect("prepared above").join();
        self.segment = made.expect("making a segment does not panic")?;
        self.number += 1;
        Ok(())
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        if let Some(next) = self.next.take() {
            let _ = next.join();
        }
    }
}
