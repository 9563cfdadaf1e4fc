//! `millrace ring consume`

use std::time::{Duration, Instant};

use super::{Numbered, Outcome, Waiting, Which, for_record, rate};
use crate::ring::broadcast::{From, Lost};
use crate::ring::region::{self, Kind, RegionError, Sight, Start};

/// Records that are taken at once.
const BATCH: usize = 256;
/// How often a ring that is not there is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How often it is asked whether the writer is there, while nothing comes.
const ASK: Duration = Duration::from_secs(1);

/// Read the numbers that `produce` writes, one by one, up to the zero. Ends with 0 only if none was missing,
/// doubled or wrong. A ring that is not there is waited for. Of a queue it goes on where the reader before it
/// left off; of a broadcast ring it begins with the oldest record.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Begin with what is written from now on.
    #[arg(long)]
    newest: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let sight = wait_for(arguments)?;
    for_record!(sight.record_bytes, consume(arguments, sight.kind))
}

/// Looks for the ring until it is there.
fn wait_for(arguments: &Arguments) -> Result<Sight, RegionError> {
    let place = arguments.which.place()?;
    let mut said = false;
    loop {
        match region::look(&place) {
            Err(RegionError::NotThere { path }) => {
                if !said {
                    eprintln!("waiting for {}", path.display());
                    said = true;
                }
                std::thread::sleep(LOOK_AGAIN);
            }
            done => return done,
        }
    }
}

fn consume<R: Numbered>(arguments: &Arguments, kind: Kind) -> Outcome {
    let place = arguments.which.place()?;
    match kind {
        Kind::Queue => {
            let start = if arguments.newest { Start::Newest } else { Start::Onward };
            let mut rx = region::receive::<R>(&place, start)?;
            let mut numbers = Numbers::new(rx.index() == 0);
            let mut patience = Patience::new();
            while !numbers.ended {
                let taken = rx.pop_batch(BATCH, |record| numbers.see(record))?;
                patience.after(taken, || rx.writer_lives(), |now_ns| rx.beat(now_ns));
                numbers.check()?;
            }
            numbers.say::<R>();
        }
        Kind::Broadcast => {
            let from = if arguments.newest { From::Newest } else { From::Oldest };
            let mut rx = region::subscribe::<R>(&place, from)?;
            let mut numbers = Numbers::new(rx.index() == 0);
            let mut patience = Patience::new();
            while !numbers.ended {
                let taken = match rx.pop_batch(BATCH, |record| numbers.see(record)) {
                    Ok(taken) => taken,
                    Err(Lost::Missed { records }) => {
                        numbers.miss(records);
                        0
                    }
                    Err(lost) => return Err(lost.into()),
                };
                patience.after(taken, || rx.writer_lives(), |_| ());
                numbers.check()?;
            }
            numbers.say::<R>();
            if numbers.missed > 0 {
                return Err(format!("{} records were overwritten unread", numbers.missed).into());
            }
        }
    }
    Ok(())
}

/// What was read so far.
struct Numbers {
    /// The first one, when it came.
    first: Option<(u64, Instant)>,
    /// What should come next, if that is known.
    next: Option<u64>,
    seen: u64,
    missed: u64,
    ended: bool,
    wrong: Option<String>,
}

impl Numbers {
    /// From the beginning of a ring, or from somewhere in it.
    fn new(beginning: bool) -> Numbers {
        let next = beginning.then_some(1);
        Numbers { first: None, next, seen: 0, missed: 0, ended: false, wrong: None }
    }

    #[inline]
    fn see(&mut self, record: &impl Numbered) {
        if self.ended || self.wrong.is_some() {
            return;
        }
        match record.number() {
            Some(0) => self.ended = true,
            Some(number) if self.next.is_none_or(|next| next == number) => {
                if self.first.is_none() {
                    self.first = Some((number, Instant::now()));
                }
                self.next = Some(number + 1);
                self.seen += 1;
            }
            Some(number) => {
                let next = self.next.unwrap_or_default();
                self.wrong = Some(format!("{number} came where {next} should have"));
            }
            None => {
                self.wrong = Some("a record has not the same number in all of its words".into())
            }
        }
    }

    /// So many were written over before they were read.
    fn miss(&mut self, records: u64) {
        self.missed += records;
        self.next = self.next.map(|next| next + records);
    }

    fn check(&mut self) -> Outcome {
        self.wrong.take().map_or(Ok(()), |wrong| Err(wrong.into()))
    }

    fn say<R>(&self) {
        let Some((first, began)) = self.first else {
            return println!("read no number, and a zero");
        };
        let (last, took) = (first + self.seen + self.missed - 1, began.elapsed());
        let rate = rate(self.seen, size_of::<R>(), took);
        println!("read {} numbers, {first} to {last}, and a zero: {rate}", self.seen);
    }
}

/// Waits for what comes, and says it when nobody is there to write it.
struct Patience {
    waiting: Waiting,
    asked: Instant,
    alone: bool,
}

impl Patience {
    fn new() -> Patience {
        Patience { waiting: Waiting::new(), asked: Instant::now(), alone: false }
    }

    #[inline]
    fn after(&mut self, taken: usize, writer_lives: impl FnOnce() -> bool, beat: impl FnOnce(u64)) {
        self.waiting.after(taken, beat);
        if taken > 0 || self.asked.elapsed() < ASK {
            return;
        }
        self.asked = Instant::now();
        let alone = !writer_lives();
        if alone && !self.alone {
            eprintln!("the writer is gone; waiting for another");
        }
        self.alone = alone;
    }
}
