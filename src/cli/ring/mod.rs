//! `millrace ring`: rings that processes share, from the command line.

pub mod bench;
mod consume;
mod produce;
mod show;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Outcome;
use crate::ring::Record;
use crate::ring::region::Place;
use crate::runtime::idle::Pause;
use crate::runtime::{Idle, IdleStrategy};

/// Rings in shared memory: write one, read one, look at one.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  millrace ring produce numbers --count 1000000   in one terminal, and in another, before or after:
  millrace ring consume numbers
  millrace ring show numbers")]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Produce(produce::Arguments),
    Consume(consume::Arguments),
    Show(show::Arguments),
    Bench(bench::Arguments),
}

pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Produce(arguments) => produce::run(arguments),
        What::Consume(arguments) => consume::run(arguments),
        What::Show(arguments) => show::run(arguments),
        What::Bench(arguments) => bench::run(arguments),
    }
}

/// Which ring.
#[derive(clap::Args)]
struct Which {
    /// The ring's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The directory it is in: of memory (a tmpfs, a hugetlbfs), or its pages are written to a disk.
    #[arg(long, value_name = "DIR", default_value = Place::DIR)]
    dir: PathBuf,
}

impl Which {
    fn place(&self) -> Result<Place, crate::ring::region::RegionError> {
        Place::new(&self.dir, &self.name)
    }
}

/// A record that carries a number in each of its words.
trait Numbered: Record {
    /// The highest number that fits.
    const MOST: u64;
    fn numbered(number: u64) -> Self;
    /// `None` if its words do not agree.
    fn number(&self) -> Option<u64>;
}

impl Numbered for u32 {
    const MOST: u64 = u32::MAX as u64;

    fn numbered(number: u64) -> u32 {
        number as u32
    }

    fn number(&self) -> Option<u64> {
        Some(u64::from(*self))
    }
}

impl<const WORDS: usize> Numbered for [u64; WORDS] {
    const MOST: u64 = u64::MAX;

    fn numbered(number: u64) -> Self {
        [number; WORDS]
    }

    fn number(&self) -> Option<u64> {
        self.iter().all(|word| *word == self[0]).then_some(self[0])
    }
}

/// Bytes of the records that are known here.
const SIZES: [u64; 8] = [4, 8, 16, 32, 56, 64, 120, 128];

/// Calls a function for the record of so many bytes.
macro_rules! for_record {
    ($bytes:expr, $run:ident ( $($argument:expr),* )) => {
        match $bytes {
            4 => $run::<u32>($($argument),*),
            8 => $run::<[u64; 1]>($($argument),*),
            16 => $run::<[u64; 2]>($($argument),*),
            32 => $run::<[u64; 4]>($($argument),*),
            56 => $run::<[u64; 7]>($($argument),*),
            64 => $run::<[u64; 8]>($($argument),*),
            120 => $run::<[u64; 15]>($($argument),*),
            128 => $run::<[u64; 16]>($($argument),*),
            bytes => Err(format!("records have {:?} bytes here, not {bytes}", $crate::cli::ring::SIZES).into()),
        }
    };
}
use for_record;

/// What an end does while there is nothing to do: it gives way, more and more, and says about once a second
/// that it lives.
struct Waiting {
    idle: Idle,
    beaten: Instant,
}

/// How often an end says that it lives.
const BEAT: Duration = Duration::from_secs(1);

impl Waiting {
    fn new() -> Waiting {
        Waiting { idle: Idle::new(IdleStrategy::Park), beaten: Instant::now() }
    }

    /// Once a turn, which did so much; `beat` is called with the time when it is due.
    #[inline]
    fn after(&mut self, work: usize, beat: impl FnOnce(u64)) {
        match self.idle.after(work) {
            Pause::None if work > 0 => {}
            Pause::None => std::hint::spin_loop(),
            Pause::Yield => std::thread::yield_now(),
            Pause::GiveWay => std::thread::sleep(Duration::from_micros(1)),
            Pause::Nap(us) | Pause::Sleep(us) => {
                std::thread::sleep(Duration::from_micros(u64::from(us)));
            }
        }
        if self.beaten.elapsed() >= BEAT {
            self.beaten = Instant::now();
            beat(now_ns());
        }
    }
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// How fast so many records went, in a sentence.
fn rate(records: u64, bytes: usize, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(1e-9);
    let per_second = records as f64 / seconds;
    format!(
        "{seconds:.3} s, {:.2} M records/s, {:.0} MB/s",
        per_second / 1e6,
        per_second * bytes as f64 / 1e6
    )
}
