//! `millrace record`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Outcome;
use super::source::FeedArguments;
use crate::client::source::{Heard, Source};
use crate::lab::{Partition, Recorder, Setup, Stats, Store};
use crate::order::NANOS_PER_SEC;
use crate::runtime::{Clock, signals};

/// Messages taken in before anything else is looked at.
const BATCH_MAX: usize = 4_096;
/// Memory of a row, about: its event and, of those that wait for the writer, its columns.
const ROW_BYTES: usize = 128;
/// How long the feed may say nothing until its session is known.
const FIRST_WORD: Duration = Duration::from_secs(1);

/// Record every event of every book, and every trade, to Parquet files.
///
/// Started again, it goes on where its files end. A feed's gap is recorded as a gap. It ends at Ctrl-C, with every
/// file whole.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  millrace record --out data                            from the ring millrace-feed on this host
  millrace record --feed 239.192.7.1:26400 --request 127.0.0.1:26410 --out data
  duckdb -c \"select symbol, count(*) from 'data/events/**/*.parquet' group by symbol\"")]
pub struct Arguments {
    #[command(flatten)]
    feed: FeedArguments,
    /// The folder of the recording.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    files: FileArguments,
    /// Write the signals after each event beside them.
    #[arg(long)]
    signals: bool,
    /// The feed's host has this host's clock, as a ring's has: a record that comes before the exchange had it is an
    /// alarm.
    #[arg(long)]
    one_clock: bool,
    /// Leave when the ring's writer is gone, or the feed's session over.
    #[arg(long)]
    until_end: bool,
    /// Say nothing while it goes on.
    #[arg(long)]
    quiet: bool,
}

/// How files are cut.
#[derive(clap::Args, Clone, Debug)]
pub struct FileArguments {
    /// By date and symbol, or by date with the symbol as a column, for thousands that trade little.
    #[arg(long, value_enum, default_value = "symbol")]
    partition: PartitionArgument,
    /// Rows of a file.
    #[arg(long, value_name = "ROWS", default_value_t = 1 << 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    file_rows: u32,
    /// Seconds after which a file is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    file_seconds: u64,
    /// Megabytes of rows in memory.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    memory: u32,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PartitionArgument {
    Symbol,
    Date,
}

impl FileArguments {
    /// What a recorder is made of.
    pub fn setup(&self, out: &std::path::Path, signals: bool, one_clock: bool) -> Setup {
        Setup {
            store: Store::new(out),
            partition: match self.partition {
                PartitionArgument::Symbol => Partition::Symbol,
                PartitionArgument::Date => Partition::Date,
            },
            file_rows: self.file_rows as usize,
            file_ns: self.file_seconds * NANOS_PER_SEC,
            rows_max: ((self.memory as usize) << 20) / ROW_BYTES,
            signals,
            one_clock,
        }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    super::start_log();
    signals::hold_back();
    let mut source = arguments.feed.open(false)?;
    if source.is_of_this_host() {
        // Whatever the ring has not any more is a gap.
        source.begin_at(1);
    }
    let one_clock = source.is_of_this_host() || arguments.one_clock;
    let setup = arguments.files.setup(&arguments.out, arguments.signals, one_clock);
    let mut recording = Recording::new(setup, arguments.quiet);
    let result = until_stopped(arguments, &mut recording, &mut source);
    let finished = recording.finish();
    result.and(finished).map_err(|error| {
        format!("{error}; recording stops, and what was closed before is whole")
    })?;
    let done = recording.done;
    println!(
        "{} rows in {} files, {:.1} MB; {} messages missed",
        done.written,
        done.files,
        done.bytes as f64 / 1e6,
        done.missed
    );
    Ok(())
}

/// A feed being recorded, whatever sessions it has.
pub struct Recording {
    setup: Setup,
    quiet: bool,
    clock: Clock,
    recorder: Option<Recorder>,
    looked: Instant,
    told: Instant,
    told_rows: u64,
    alarmed: bool,
    waiting: bool,
    /// What was done so far, of sessions that are over.
    pub done: Stats,
}

/// Records until a signal or, if that is wanted, the feed's end.
fn until_stopped(arguments: &Arguments, recording: &mut Recording, source: &mut Source) -> Outcome {
    let began = Instant::now();
    loop {
        let taken = recording.take(source)?;
        if taken == 0 {
            if arguments.until_end && source.is_over() && began.elapsed() > FIRST_WORD {
                // What came between the look at the ring and the look at its writer.
                while recording.take(source)? > 0 {}
                return Ok(());
            }
            if signals::wait(Duration::from_micros(100)) {
                return Ok(());
            }
        } else if signals::wait(Duration::ZERO) {
            return Ok(());
        }
        recording.look(source)?;
    }
}

impl Recording {
    /// One that nothing was recorded of.
    pub fn new(setup: Setup, quiet: bool) -> Recording {
        Recording {
            setup,
            quiet,
            clock: Clock::new(),
            recorder: None,
            looked: Instant::now(),
            told: Instant::now(),
            told_rows: 0,
            alarmed: false,
            waiting: false,
            done: Stats::default(),
        }
    }

    /// Once a second: the clock, the statistics, and files that are old enough to be closed.
    pub fn look(&mut self, source: &Source) -> Outcome {
        if self.looked.elapsed() < Duration::from_secs(1) {
            return Ok(());
        }
        self.looked = Instant::now();
        self.clock.adjust();
        self.say(source);
        let now_ns = self.clock.now_ns();
        if let Some(recorder) = &mut self.recorder {
            // Whatever it failed at, the last file or the one before, is said now.
            if recorder.has_failed() {
                recorder.finish()?;
            }
            recorder.look(now_ns)?;
        }
        Ok(())
    }

    /// Takes in what is there. Returns how much that was.
    pub fn take(&mut self, source: &mut Source) -> Result<usize, Box<dyn std::error::Error>> {
        let Recording { setup, clock, recorder, done, .. } = self;
        let mut failed: Outcome = Ok(());
        let mut fresh: Vec<(u64, u64, Vec<u8>)> = vec![];
        let mut begins_anew = false;
        let taken = source.poll(BATCH_MAX, |heard| {
            if failed.is_err() {
                return;
            }
            match (heard, recorder.as_mut().filter(|_| !begins_anew)) {
                (Heard::Session, _) => begins_anew = true,
                (Heard::Gap { first, count }, Some(recorder)) => {
                    recorder.gap(first, count, clock.now_ns());
                }
                (Heard::Gap { first, count }, None) => fresh.push((first, count, vec![])),
                (Heard::Message { number, received_ns, bytes }, Some(recorder)) => {
                    let local_ns = clock.now_ns();
                    failed =
                        recorder.message(number, received_ns, local_ns, bytes).map_err(Into::into);
                }
                // The first batch of a session, whose name is known behind it.
                (Heard::Message { number, received_ns, bytes }, None) => {
                    fresh.push((number, received_ns, bytes.to_vec()));
                }
            }
        })?;
        failed?;
        // Its first message may come later.
        if begins_anew && let Some(mut over) = recorder.take() {
            add(done, &over.finish()?);
            tracing::info!("the feed begins another session");
        }
        if fresh.is_empty() {
            return Ok(taken);
        }
        let session = source.session().unwrap_or_default();
        let mut recorder = Recorder::new(setup.clone(), &session)?;
        if recorder.reached() > 0 {
            let after = recorder.reached();
            tracing::info!(session, after, "goes on behind what is in its files");
        }
        for (number, received_ns, bytes) in fresh {
            let local_ns = self.clock.now_ns();
            if bytes.is_empty() {
                recorder.gap(number, received_ns, local_ns);
            } else {
                recorder.message(number, received_ns, local_ns, &bytes)?;
            }
        }
        self.recorder = Some(recorder);
        Ok(taken)
    }

    /// A line a second.
    fn say(&mut self, source: &Source) {
        let Some(recorder) = &self.recorder else { return };
        let stats = recorder.stats();
        let (early, earliest_ns) = stats.early;
        if early > 0 && recorder.has_one_clock() && !self.alarmed {
            self.alarmed = true;
            tracing::error!(
                records = early,
                by_us = earliest_ns as f64 / 1e3,
                "records came before the exchange had them: this host's clock was set back, or it is not one host"
            );
        }
        if source.is_over() != self.waiting {
            self.waiting = !self.waiting;
            let what =
                if self.waiting { "nobody writes the feed; waiting" } else { "the feed goes on" };
            tracing::warn!("{what}");
        }
        if !self.quiet {
            let rate = (stats.rows - self.told_rows) as f64 / self.told.elapsed().as_secs_f64();
            tracing::info!(
                "{} rows, {rate:.0}/s; {} in {} files, {:.1} MB; lag {:.0} us; {} missed",
                stats.rows,
                stats.written,
                stats.files,
                stats.bytes as f64 / 1e6,
                stats.lag_ns as f64 / 1e3,
                stats.missed
            );
        }
        (self.told, self.told_rows) = (Instant::now(), stats.rows);
    }

    /// Closes every file.
    pub fn finish(&mut self) -> Outcome {
        if let Some(mut recorder) = self.recorder.take() {
            let stats = recorder.finish()?;
            add(&mut self.done, &stats);
        }
        Ok(())
    }
}

fn add(all: &mut Stats, more: &Stats) {
    all.written += more.written;
    all.files += more.files;
    all.bytes += more.bytes;
    all.missed += more.missed;
}
