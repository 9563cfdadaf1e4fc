//! Takes a feed down: rows in memory by symbol, and a thread that writes them to files.
//!
//! Memory is bounded: beyond `rows_max` the symbol with the most rows is handed to the writer early, and while the
//! writer has as much as it may, nothing is taken from the feed. A ring that moves on meanwhile has a gap, which is
//! recorded too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::row::{ClockWatch, Row, Rows, SignalRow};
use super::store::{Partition, Span, Store};
use super::table::{self, LabError};
use crate::order::{NANOS_PER_SEC, UnixNanos};

/// Files handed to the writer that it has not begun.
const JOBS_MAX: usize = 4;

/// How a recorder cuts files, and what it keeps in memory.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where files go.
    pub store: Store,
    /// How they are cut.
    pub partition: Partition,
    /// Rows of a file.
    pub file_rows: usize,
    /// Nanoseconds after which a file is closed.
    pub file_ns: u64,
    /// Rows in memory, beside what the writer has.
    pub rows_max: usize,
    /// Whether signals are written beside the events.
    pub signals: bool,
    /// Whether the exchange has this host's clock: then nothing comes before the exchange had it.
    pub one_clock: bool,
}

/// What a recorder has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Rows taken in.
    pub rows: u64,
    /// Rows in files.
    pub written: u64,
    /// Files.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Messages that were missed.
    pub missed: u64,
    /// Messages that did not follow from those before them.
    pub astray: u64,
    /// Records that came before the exchange had them, and by how many nanoseconds at the most.
    pub early: (u64, u64),
    /// Local less exchange time of the last row.
    pub lag_ns: i64,
    /// Least of that within the last minute.
    pub offset_ns: i64,
}

/// Rows of one file to be.
#[derive(Default)]
struct Buffer {
    rows: Vec<Row>,
    signals: Vec<SignalRow>,
    began_ns: UnixNanos,
}

enum Job {
    File {
        buffer: Buffer,
        symbol: Option<String>,
        names: Arc<Vec<String>>,
        span: Span,
        clock: (u64, u64),
    },
    Gaps(Vec<(String, u64, u64, u64)>),
}

/// What the writer's thread tells.
#[derive(Default)]
struct Done {
    rows: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicBool,
}

/// Records one session of a feed.
pub struct Recorder {
    setup: Setup,
    rows: Rows,
    session: String,
    /// By number in the feed; the first one alone where the symbol is a column.
    buffers: Vec<Buffer>,
    held: usize,
    names: Arc<Vec<String>>,
    clock: ClockWatch,
    last: u64,
    /// Of an earlier run: up to where everything is in files, and each symbol's rows.
    whole: u64,
    already: HashMap<String, u64>,
    gaps: Vec<(String, u64, u64, u64)>,
    jobs: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<Result<(), LabError>>>,
    done: Arc<Done>,
    stats: Stats,
    looked_ns: UnixNanos,
}

impl Recorder {
    /// A recorder that goes on behind what files have of a session: [`Recorder::reached`].
    pub fn new(setup: Setup, session: &str) -> Result<Recorder, LabError> {
        let (jobs, todo) = sync_channel(JOBS_MAX);
        let done = Arc::new(Done::default());
        let (whole, already) = setup.store.reached(session)?;
        let (store, told, partition) = (setup.store.clone(), done.clone(), setup.partition);
        let writer = std::thread::Builder::new()
            .name("mr-recorder".to_owned())
            .spawn(move || {
                let written = write_all(&store, partition, &todo, &told);
                told.failed.store(written.is_err(), Ordering::Release);
                written
            })
            .map_err(LabError::io("start a thread for", setup.store.dir()))?;
        Ok(Recorder {
            rows: Rows::new(),
            session: session.to_owned(),
            buffers: vec![],
            held: 0,
            names: Arc::new(vec![]),
            clock: ClockWatch::default(),
            last: whole,
            whole,
            already,
            gaps: vec![],
            jobs: Some(jobs),
            writer: Some(writer),
            done,
            stats: Stats::default(),
            looked_ns: 0,
            setup,
        })
    }

    /// Messages up to here are in files, of every symbol.
    pub fn reached(&self) -> u64 {
        self.last
    }

    /// Takes in a message that came at `received_ns` and is taken in at `local_ns`.
    #[inline]
    pub fn message(
        &mut self,
        number: u64,
        received_ns: UnixNanos,
        local_ns: UnixNanos,
        bytes: &[u8],
    ) -> Result<(), LabError> {
        let received_ns = if received_ns == 0 { local_ns } else { received_ns };
        let Some(mut row) = self.rows.message(number, local_ns, bytes) else {
            self.last = self.last.max(number);
            return Ok(());
        };
        (row.received_ns, row.local_ns) = (received_ns, local_ns);
        row.offset_ns = self.clock.at(row.time_ns, received_ns);
        self.stats.lag_ns = local_ns.wrapping_sub(row.time_ns) as i64;
        self.stats.offset_ns = row.offset_ns;
        self.row(row)
    }

    /// Takes in a row of a message that came before now, without anybody's having looked at a clock.
    pub fn past(&mut self, number: u64, time_ns: UnixNanos, bytes: &[u8]) -> Result<(), LabError> {
        match self.rows.message(number, time_ns, bytes) {
            Some(row) => self.row(row),
            None => {
                self.last = self.last.max(number);
                Ok(())
            }
        }
    }

    #[inline]
    fn row(&mut self, row: Row) -> Result<(), LabError> {
        let locate = usize::from(row.locate);
        if locate >= self.names.len() {
            self.learn_names(locate);
        }
        // What an earlier run has in a file already.
        if row.number <= self.whole || self.is_known(&row) {
            self.last = self.last.max(row.number);
            return Ok(());
        }
        self.last = self.last.max(row.number);
        let place = if self.setup.partition == Partition::Symbol { locate } else { 0 };
        if place >= self.buffers.len() {
            self.buffers.resize_with(place + 1, Buffer::default);
        }
        let buffer = &mut self.buffers[place];
        let now_ns = if row.local_ns > 0 { row.local_ns } else { row.time_ns };
        // A file is of one day.
        let another_day = |first: &Row| first.time_ns / DAY_NS != row.time_ns / DAY_NS;
        if buffer.rows.first().is_some_and(another_day) {
            self.hand_over(place)?;
        }
        let buffer = &mut self.buffers[place];
        if buffer.rows.is_empty() {
            buffer.began_ns = now_ns;
        }
        buffer.rows.push(row);
        if self.setup.signals
            && let Some(depth) = self.rows.market().located(row.locate)
        {
            buffer.signals.push(SignalRow {
                number: row.number,
                time_ns: row.time_ns,
                locate: row.locate,
                signals: depth.signals,
            });
        }
        self.held += 1;
        self.stats.rows += 1;
        if buffer.rows.len() >= self.setup.file_rows {
            self.hand_over(place)?;
        } else if self.held >= self.setup.rows_max {
            let most = (0..self.buffers.len()).max_by_key(|at| self.buffers[*at].rows.len());
            self.hand_over(most.unwrap_or(0))?;
        }
        if now_ns >= self.looked_ns + NANOS_PER_SEC {
            self.look(now_ns)?;
        }
        Ok(())
    }

    fn is_known(&self, row: &Row) -> bool {
        let name = match self.setup.partition {
            Partition::Symbol => self.names[usize::from(row.locate)].as_str(),
            Partition::Date => "",
        };
        self.already.get(name).is_some_and(|last| row.number <= *last)
    }

    #[cold]
    fn learn_names(&mut self, locate: usize) {
        let market = self.rows.market();
        let name = |at: usize| match market.located(at as u16) {
            Some(depth) => depth.name.clone(),
            None => format!("locate{at}"),
        };
        let until = (0..=u16::MAX).rev().find(|at| market.located(*at).is_some());
        let count = until.map_or(0, usize::from).max(locate) + 1;
        self.names = Arc::new((0..count).map(name).collect());
    }

    /// Messages did not come and will not.
    pub fn gap(&mut self, first: u64, count: u64, now_ns: UnixNanos) {
        self.rows.missed();
        // An earlier run may have some of it in files.
        let (first, end) = (first.max(self.last + 1), first + count);
        if first < end {
            self.stats.missed += end - first;
            self.gaps.push((self.session.clone(), first, end - first, now_ns));
            self.last = end - 1;
        }
    }

    /// Closes what has been open for long enough. Called by itself as rows come; by others while none do.
    pub fn look(&mut self, now_ns: UnixNanos) -> Result<(), LabError> {
        self.looked_ns = now_ns;
        for place in 0..self.buffers.len() {
            let buffer = &self.buffers[place];
            let old = buffer.began_ns + self.setup.file_ns <= now_ns;
            if !buffer.rows.is_empty() && old {
                self.hand_over(place)?;
            }
        }
        if !self.gaps.is_empty() {
            let gaps = std::mem::take(&mut self.gaps);
            self.send(Job::Gaps(gaps))?;
        }
        Ok(())
    }

    /// Gives the rows of a file to the writer; waits while that has enough.
    fn hand_over(&mut self, place: usize) -> Result<(), LabError> {
        let buffer = std::mem::take(&mut self.buffers[place]);
        let (Some(first), Some(last)) = (buffer.rows.first(), buffer.rows.last()) else {
            return Ok(());
        };
        self.held -= buffer.rows.len();
        let held = self.buffers.iter().filter_map(|b| b.rows.first()).map(|row| row.number).min();
        let whole = held.map_or(self.last, |number| number - 1);
        let session = self.session.clone();
        let span = Span { session, first: first.number, last: last.number, whole };
        let by_symbol = self.setup.partition == Partition::Symbol;
        let symbol = by_symbol.then(|| self.names[place].clone());
        let (names, clock) = (self.names.clone(), self.clock.early());
        self.buffers[place].rows.reserve(buffer.rows.len().min(self.setup.file_rows));
        self.send(Job::File { buffer, symbol, names, span, clock })
    }

    fn send(&mut self, job: Job) -> Result<(), LabError> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { self.join() }
    }

    /// Waits for the writer, which ends when it failed or nothing more will come.
    fn join(&mut self) -> Result<(), LabError> {
        self.jobs = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => panic!("the recorder's writer panicked"),
            None => Ok(()),
        }
    }

    /// Whether the writer has failed: [`Recorder::finish`] says why.
    pub fn has_failed(&self) -> bool {
        self.done.failed.load(Ordering::Acquire)
    }

    /// Closes every file.
    pub fn finish(&mut self) -> Result<Stats, LabError> {
        for place in 0..self.buffers.len() {
            self.hand_over(place)?;
        }
        self.look(UnixNanos::MAX / 2)?;
        self.join()?;
        Ok(self.stats())
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Stats {
            written: load(&self.done.rows),
            files: load(&self.done.files),
            bytes: load(&self.done.bytes),
            astray: self.rows.astray(),
            early: self.clock.early(),
            ..self.stats
        }
    }

    /// The market as the rows so far leave it.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Whether the exchange has this host's clock.
    pub fn has_one_clock(&self) -> bool {
        self.setup.one_clock
    }
}

const DAY_NS: u64 = 86_400 * NANOS_PER_SEC;

fn write_all(
    store: &Store,
    partition: Partition,
    todo: &Receiver<Job>,
    done: &Done,
) -> Result<(), LabError> {
    while let Ok(job) = todo.recv() {
        match job {
            Job::Gaps(gaps) => {
                let (session, first, ..) = &gaps[0];
                let last = gaps.last().map_or(*first, |(_, first, count, _)| first + count - 1);
                let span = Span { session: session.clone(), first: *first, last, whole: 0 };
                let batch = table::gaps(&gaps)?;
                store.write("gaps", (gaps[0].3, None), &span, &batch, &[])?;
            }
            Job::File { buffer, symbol, names, span, clock } => {
                let time_ns = buffer.rows[0].time_ns;
                let at = (time_ns, symbol.as_deref());
                let mut words = vec![
                    ("millrace.session", span.session.clone()),
                    ("millrace.early_records", clock.0.to_string()),
                    ("millrace.earliest_ns", clock.1.to_string()),
                ];
                if let Some(symbol) = &symbol {
                    words.push(("millrace.symbol", symbol.clone()));
                }
                let named = |locate: u16| names[usize::from(locate)].as_str();
                let column = |locates: &mut dyn Iterator<Item = u16>| {
                    (partition == Partition::Date).then(|| locates.map(named).collect())
                };
                if !buffer.signals.is_empty() {
                    let names = column(&mut buffer.signals.iter().map(|row| row.locate));
                    let batch = table::signals(&buffer.signals, names)?;
                    store.write("signals", at, &span, &batch, &words)?;
                }
                let names = column(&mut buffer.rows.iter().map(|row| row.locate));
                let batch = table::events(&buffer.rows, names)?;
                let bytes = store.write("events", at, &span, &batch, &words)?;
                done.rows.fetch_add(buffer.rows.len() as u64, Ordering::Relaxed);
                done.files.fetch_add(1, Ordering::Relaxed);
                done.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}
