//! `millrace ring bench`

mod harness;
mod report;
mod ways;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;

use self::harness::{Figures, Plan, answer, ask, in_process, pin};
use self::report::{Results, Together};
use self::ways::{Array, Plain, Unwire, Wire};
use super::Outcome;
use crate::ring::region::{self, Place, RegionError, Start, Terms};
use crate::ring::{self, broadcast};
use crate::runtime::allowed_cores;

/// Measure rings on two cores: a record there and back, and a stream of records, in one process and across two,
/// next to a bare cache line, a mailbox, crossbeam's queue, a Unix socket and a pipe; and what readers of a
/// broadcast ring cost its writer.
#[derive(clap::Args)]
pub struct Arguments {
    /// What the names of its rings begin with; they are gone at its end.
    #[arg(value_name = "NAME", default_value = "millrace-bench")]
    name: String,
    /// How often everything is measured, in turn; the medians are printed.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Records that a ring holds, a power of two.
    #[arg(long, value_name = "N", default_value_t = 16384)]
    capacity: usize,
    /// The directory of the shared rings: memory.
    #[arg(long, value_name = "DIR", default_value = Place::DIR)]
    dir: PathBuf,
    /// The other process: which way, bytes of a record, round trips, records of the stream, its core.
    #[arg(long, hide = true, num_args = 5)]
    answer: Option<Vec<String>>,
}

/// Sizes that the note on shared memory proposes, and what fills a line with the ring's word.
const SIZES: [u64; 6] = [4, 8, 16, 32, 56, 64];
const BATCH: u64 = 1024;
/// The rings of a way that has none.
const NAMELESS: &str = "none";
/// How often the ring and its floor are measured again because the cores moved.
const TRIES: usize = 5;
/// Multiplications that a broadcasting writer does for each record: some 70 ns, less than a command takes a
/// book.
const WORK: u64 = 80;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Inside,
    Across,
    Crossbeam,
    Socket,
    Pipe,
}

impl Way {
    const ALL: [Way; 5] = [Way::Inside, Way::Across, Way::Crossbeam, Way::Socket, Way::Pipe];

    const fn name(self) -> &'static str {
        match self {
            Way::Inside => "ring, in one process",
            Way::Across => "ring, two processes",
            Way::Crossbeam => "crossbeam ArrayQueue",
            Way::Socket => "Unix socket, two processes",
            Way::Pipe => "pipe, two processes",
        }
    }

    const fn plan(self) -> Plan {
        match self {
            Way::Inside | Way::Across => Plan { trips: 200_000, stream: 8_000_000, batch: BATCH },
            Way::Crossbeam => Plan { trips: 200_000, stream: 4_000_000, batch: BATCH },
            Way::Socket | Way::Pipe => Plan { trips: 10_000, stream: 1_000_000, batch: BATCH },
        }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    if let Some(how) = &arguments.answer {
        return be_the_other(arguments, how);
    }
    let [first, second, ..] = allowed_cores()[..] else {
        println!("ring: needs two cores");
        return Ok(());
    };
    let bench = Bench { arguments, cores: [first, second] };
    let mut results = Results::default();
    for run in 1..=arguments.runs {
        eprintln!("run {run} of {}", arguments.runs);
        results.lines.push(bench.line());
        results.mailboxes.push(bench.mailbox());
        for (at, way) in Way::ALL.into_iter().enumerate() {
            for (size, bytes) in SIZES.into_iter().enumerate() {
                results.figures[at][size].push(bench.measure(way, bytes)?);
            }
        }
        results.together.extend(bench.together()?);
        results.heard.push(READERS.map(|readers| bench.broadcast(readers)));
    }
    results.print();
    Ok(())
}

struct Bench<'a> {
    arguments: &'a Arguments,
    cores: [usize; 2],
}

/// Calls a function for the record of so many bytes.
macro_rules! for_item {
    ($bytes:expr, $run:expr) => {
        match $bytes {
            4 => $run.call::<u32>(),
            8 => $run.call::<[u64; 1]>(),
            16 => $run.call::<[u64; 2]>(),
            32 => $run.call::<[u64; 4]>(),
            56 => $run.call::<[u64; 7]>(),
            _ => $run.call::<[u64; 8]>(),
        }
    };
}

struct Measure<'a>(&'a Bench<'a>, Way);

impl Measure<'_> {
    fn call<R: Plain>(&self) -> Result<Figures, Box<dyn std::error::Error>> {
        self.0.measure_one::<R>(self.1)
    }
}

impl Bench<'_> {
    fn measure(&self, way: Way, bytes: u64) -> Result<Figures, Box<dyn std::error::Error>> {
        for_item!(bytes, Measure(self, way))
    }

    fn measure_one<R: Plain>(&self, way: Way) -> Result<Figures, Box<dyn std::error::Error>> {
        let (plan, capacity) = (way.plan(), self.arguments.capacity);
        match way {
            Way::Inside => {
                let (out, there) = ring::on_heap(capacity, R::item(0));
                let (answers, back) = ring::on_heap(capacity, R::item(0));
                Ok(in_process(self.cores, plan, (out, back), (there, answers)))
            }
            Way::Crossbeam => {
                let [there, back] = [(); 2].map(|()| Arc::new(ArrayQueue::<R>::new(capacity)));
                let ends = (Array(there.clone()), Array(back.clone()));
                Ok(in_process(self.cores, plan, ends, (Array(there), Array(back))))
            }
            Way::Across => {
                let terms = Terms { capacity, ..Terms::default() };
                let name = format!("{}-{}", self.arguments.name, std::process::id());
                let names = Names::new(&self.arguments.dir, &name)?;
                let mut out = region::send::<R>(&names.there, &terms)?;
                // The other end of the way back makes it.
                let mut other = self.other::<R>(way, Stdio::null(), Stdio::null(), &name)?;
                let mut back = wait_for(&names.back)?;
                self.asked(&mut other, || ask(&mut *out, &mut back, plan))
            }
            Way::Socket => {
                let (ours, theirs) = UnixStream::pair()?;
                ours.set_nonblocking(true)?;
                theirs.set_nonblocking(true)?;
                let (to, from) = (OwnedFd::from(theirs.try_clone()?), OwnedFd::from(theirs));
                let mut other = self.other::<R>(way, from.into(), to.into(), NAMELESS)?;
                let (mut out, mut back) = (Wire::new(&ours), Unwire::new(&ours));
                self.asked(&mut other, || ask::<R>(&mut out, &mut back, plan))
            }
            Way::Pipe => {
                let mut other = self.other::<R>(way, Stdio::piped(), Stdio::piped(), NAMELESS)?;
                let stdin = other.stdin.take().ok_or("no pipe to the other process")?;
                let stdout = other.stdout.take().ok_or("no pipe from the other process")?;
                let (mut out, mut back) = (Wire::new(stdin), Unwire::new(spinning(&stdout)?));
                self.asked(&mut other, || ask::<R>(&mut out, &mut back, plan))
            }
        }
    }

    /// Starts the process that answers.
    fn other<R>(
        &self,
        way: Way,
        stdin: Stdio,
        stdout: Stdio,
        name: &str,
    ) -> std::io::Result<Child> {
        let plan = way.plan();
        let way = Way::ALL.iter().position(|other| *other == way).expect("one of all");
        let numbers = [size_of::<R>() as u64, plan.trips, plan.stream, self.cores[1] as u64];
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["ring", "bench", name, "--capacity", &self.arguments.capacity.to_string()]);
        command.arg("--dir").arg(&self.arguments.dir).arg("--answer").arg(way.to_string());
        command.args(numbers.map(|number| number.to_string()));
        command.stdin(stdin).stdout(stdout).spawn()
    }

    /// Asks on the first core, and sees to it that the other process ends.
    fn asked(
        &self,
        other: &mut Child,
        ask: impl FnOnce() -> Figures,
    ) -> Result<Figures, Box<dyn std::error::Error>> {
        pin(self.cores[0]);
        let figures = ask();
        let ended = other.wait()?;
        if !ended.success() {
            return Err(format!("the other process ended with {ended}").into());
        }
        Ok(figures)
    }

    /// The ring and its floor, one right after the other; `None` if the cores were not as far from each other
    /// behind as they were before, which a virtual machine's may be.
    fn together(&self) -> Result<Option<Together>, Box<dyn std::error::Error>> {
        for _ in 0..TRIES {
            let mailbox = self.mailbox();
            let (inside, across) = (self.measure(Way::Inside, 56)?, self.measure(Way::Across, 56)?);
            if (self.mailbox() / mailbox - 1.0).abs() < 0.1 {
                return Ok(Some(Together { mailbox, inside, across }));
            }
        }
        Ok(None)
    }

    /// A line that both sides write, there and back.
    fn line(&self) -> f64 {
        let line = CachePadded::new(AtomicU64::new(0));
        self.bounce(&line, &line, |n| 2 * n - 1, |n| 2 * n)
    }

    /// A word each way, in a line of its own.
    fn mailbox(&self) -> f64 {
        let [there, back] = [const { CachePadded::new(AtomicU64::new(0)) }; 2];
        self.bounce(&there, &back, |n| n, |n| n)
    }

    fn bounce(
        &self,
        there: &AtomicU64,
        back: &AtomicU64,
        asks: impl Fn(u64) -> u64 + Sync,
        answers: impl Fn(u64) -> u64 + Sync,
    ) -> f64 {
        let trips = Way::Inside.plan().trips;
        let (asks, answers) = (&asks, &answers);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                pin(self.cores[1]);
                for n in 1..=trips {
                    while there.load(Ordering::Acquire) != asks(n) {}
                    back.store(answers(n), Ordering::Release);
                }
            });
            pin(self.cores[0]);
            let began = Instant::now();
            for n in 1..=trips {
                there.store(asks(n), Ordering::Release);
                while back.load(Ordering::Acquire) != answers(n) {}
            }
            began.elapsed().as_nanos() as f64 / trips as f64
        })
    }

    /// Nanoseconds of a record of 56 bytes for who broadcasts to readers that share a core, and has other work
    /// to do for each.
    fn broadcast(&self, readers: Readers) -> f64 {
        const RECORDS: u64 = 1_000_000;
        let (mut tx, rx) = broadcast::on_heap::<[u64; 7]>(self.arguments.capacity);
        let [there, done] = [const { CachePadded::new(AtomicU64::new(0)) }; 2];
        std::thread::scope(|scope| {
            for _ in 0..readers.count {
                let (mut rx, there, done) = (rx.clone(), &there, &done);
                scope.spawn(move || {
                    pin(self.cores[1]);
                    there.fetch_add(1, Ordering::Relaxed);
                    while done.load(Ordering::Relaxed) == 0 {
                        // One that was overtaken goes on.
                        if rx.pop_batch(256, |record| assert_eq!(record[0], record[6])) == Ok(0) {
                            (0..readers.pauses).for_each(|_| std::hint::spin_loop());
                            if readers.count > 1 {
                                std::thread::yield_now();
                            }
                        }
                    }
                });
            }
            pin(self.cores[0]);
            while there.load(Ordering::Relaxed) < readers.count {
                std::thread::yield_now();
            }
            let mut state = 0u64;
            let began = Instant::now();
            for number in 0..RECORDS {
                for _ in 0..WORK {
                    state = std::hint::black_box(state.wrapping_mul(31).wrapping_add(number));
                }
                tx.push(&[number; 7]);
            }
            let took = began.elapsed();
            done.store(1, Ordering::Relaxed);
            took.as_nanos() as f64 / RECORDS as f64
        })
    }
}

/// Who listens to a broadcast.
#[derive(Clone, Copy)]
struct Readers {
    count: u64,
    /// Pause instructions between one look that found nothing and the next.
    pauses: u32,
    name: &'static str,
}

const READERS: [Readers; 4] = [
    Readers { count: 0, pauses: 0, name: "nobody" },
    Readers { count: 1, pauses: 0, name: "one, that spins" },
    Readers { count: 1, pauses: 32, name: "one, 32 pauses between looks" },
    Readers { count: 8, pauses: 32, name: "eight on one core" },
];

/// The two rings of one measurement, removed at its end.
struct Names {
    there: Place,
    back: Place,
}

impl Names {
    fn new(dir: &Path, name: &str) -> Result<Names, RegionError> {
        let place = |way: &str| Place::new(dir, &format!("{name}-{way}"));
        Ok(Names { there: place("there")?, back: place("back")? })
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for place in [&self.there, &self.back] {
            let _ = std::fs::remove_file(place.ring());
            let _ = std::fs::remove_file(place.reader());
        }
    }
}

fn wait_for<R: Plain>(place: &Place) -> Result<region::Receiver<R>, RegionError> {
    let began = Instant::now();
    loop {
        match region::receive(place, Start::Onward) {
            Err(RegionError::NotThere { .. }) if began.elapsed().as_secs() < 10 => {
                std::thread::yield_now()
            }
            done => return done,
        }
    }
}

/// The reading end of a pipe, opened once more so that it does not block.
fn spinning(pipe: &impl AsRawFd) -> std::io::Result<File> {
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// The process that answers.
fn be_the_other(arguments: &Arguments, how: &[String]) -> Outcome {
    struct Answer<'a>(&'a Arguments, Way, Plan);
    impl Answer<'_> {
        fn call<R: Plain>(&self) -> Outcome {
            let Answer(arguments, way, plan) = *self;
            match way {
                Way::Across => {
                    // The one who asked removes them.
                    let names =
                        std::mem::ManuallyDrop::new(Names::new(&arguments.dir, &arguments.name)?);
                    let mut there = wait_for::<R>(&names.there)?;
                    let terms = Terms { capacity: arguments.capacity, ..Terms::default() };
                    let mut out = region::send::<R>(&names.back, &terms)?;
                    answer(&mut there, &mut *out, plan);
                }
                _ => {
                    let from = std::io::stdin();
                    let from = match way {
                        Way::Pipe => spinning(&from)?,
                        _ => File::from(from.as_fd().try_clone_to_owned()?),
                    };
                    let to = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
                    answer::<R>(&mut Unwire::new(from), &mut Wire::new(to), plan);
                }
            }
            Ok(())
        }
    }
    let way = how[0].parse::<usize>().ok().and_then(|at| Way::ALL.get(at)).ok_or("no such way")?;
    let number = |at: usize| how[at].parse::<u64>();
    let plan = Plan { trips: number(2)?, stream: number(3)?, batch: BATCH };
    pin(number(4)? as usize);
    for_item!(number(1)?, Answer(arguments, *way, plan))
}
