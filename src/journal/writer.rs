//! The journal's thread: from its ring to the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::JournalError;
use super::format::{Header, RECORDS_MAX, Record};
use super::reader::Tail;
use super::segment_file::{SegmentFile, path_of};
use super::staging::Staging;
use crate::order::{Command, SeqNum};
use crate::ring::Consumer;

/// Most records of one write: 1 MiB.
const BATCH_MAX: usize = 8192;

/// Between pieces of the next segment: a disk that fills all of it at once is not there for the journal meanwhile.
const FILL_PAUSE: Duration = Duration::from_micros(500);

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
    staging: Staging,
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
            None => {
                let header = Header::new(1, start.session, start.begun_ns);
                (1, SegmentFile::create(dir, &header, Duration::ZERO)?)
            }
        };
        let mut staging = Staging::new(BATCH_MAX);
        staging.begin_with(&segment.shared_block()?);
        Ok(JournalWriter {
            dir: dir.to_owned(),
            start,
            number,
            segment,
            next: None,
            commands,
            staging,
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
        let (staging, mut last) = (&mut self.staging, SeqNum(0));
        let count = self.commands.peek(BATCH_MAX.min(self.segment.room()), |command| {
            staging.push(&Record::sealing(command, staging.records() as u32));
            last = command.seq;
        });
        if count == 0 {
            return Ok(0);
        }
        self.segment.append(staging)?;
        // Only now: a ring that outlives this process holds whatever is not on disk ([`super::Kept`]).
        self.commands.pop_batch(count, |_| ());
        self.durable.reach(last);
        if self.next.is_none() && self.segment.room() < RECORDS_MAX / 2 {
            self.prepare_next();
        }
        Ok(count)
    }

    /// Whether so many wait that the next write should not.
    pub fn is_behind(&mut self) -> bool {
        self.commands.has_by_now(BATCH_MAX / 2)
    }

    /// Starts making the next segment, so that it is there when this one is full.
    fn prepare_next(&mut self) {
        let (dir, number) = (self.dir.clone(), self.number + 1);
        let header = Header::new(number, self.start.session, self.start.begun_ns);
        self.next = Some(std::thread::spawn(move || {
            if path_of(&dir, number).exists() {
                SegmentFile::open(&dir, number, 0)
            } else {
                SegmentFile::create(&dir, &header, FILL_PAUSE)
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
