//! What is done with every way of passing records from one core to another: a record there and back, and a
//! stream of them. Also used, as it stands, by `benches/rings`, so it knows nothing of this crate.

use std::time::{Duration, Instant};

/// A record that carries a number.
pub trait Item: Copy + Send + 'static {
    fn item(number: u64) -> Self;
    /// As many of its bits as there is room for.
    fn number(&self) -> u64;
    /// Whether two numbers are the same in so many bits.
    fn same(&self, number: u64) -> bool {
        self.number() == Self::item(number).number()
    }
}

impl Item for u32 {
    fn item(number: u64) -> u32 {
        number as u32
    }

    fn number(&self) -> u64 {
        u64::from(*self)
    }
}

impl<const WORDS: usize> Item for [u64; WORDS] {
    fn item(number: u64) -> Self {
        [number; WORDS]
    }

    fn number(&self) -> u64 {
        // The last one written.
        self[WORDS - 1]
    }
}

/// Where records go into.
pub trait Out<R> {
    /// False if there is no room.
    fn put(&mut self, record: &R) -> bool;
    /// Has the other end see what was put.
    fn publish(&mut self) {}
}

/// Where they come out.
pub trait In<R> {
    /// Up to so many; how many there were.
    fn take(&mut self, most: usize, see: impl FnMut(&R)) -> usize;
}

/// How much is done.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Round trips of one record.
    pub trips: u64,
    /// Records of the stream.
    pub stream: u64,
    /// Records put before they are published.
    pub batch: u64,
}

/// Nanoseconds of a round trip, and of a record in a stream.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub trip_ns: f64,
    pub stream_ns: f64,
}

/// Records taken at once.
const TAKEN: usize = 256;

/// Spins until something is done, and ends the process if it never is.
#[inline(always)]
fn until(mut done: impl FnMut() -> bool) {
    let mut spins = 0u64;
    let mut began = None;
    while !done() {
        // A pause instruction would be measured instead: on some processors it takes half a round trip.
        spins += 1;
        if spins.is_multiple_of(1 << 24) {
            let began = *began.get_or_insert_with(Instant::now);
            if began.elapsed() > Duration::from_secs(30) {
                eprintln!("millrace: the other end does not answer");
                std::process::exit(1);
            }
        }
    }
}

/// The end that asks, and measures.
pub fn ask<R: Item>(out: &mut impl Out<R>, back: &mut impl In<R>, plan: Plan) -> Figures {
    let began = Instant::now();
    for number in 1..=plan.trips {
        until(|| out.put(&R::item(number)));
        out.publish();
        until(|| {
            back.take(1, |record| assert!(record.same(number), "what comes back is what was sent"))
                > 0
        });
    }
    let trip_ns = began.elapsed().as_nanos() as f64 / plan.trips as f64;
    let (began, mut unpublished) = (Instant::now(), 0);
    for number in 1..=plan.stream {
        until(|| {
            let put = out.put(&R::item(number));
            if !put {
                out.publish();
            }
            put
        });
        unpublished += 1;
        if unpublished == plan.batch {
            out.publish();
            unpublished = 0;
        }
    }
    out.publish();
    until(|| back.take(1, |record| assert!(record.same(plan.stream), "all of them came")) > 0);
    Figures { trip_ns, stream_ns: began.elapsed().as_nanos() as f64 / plan.stream as f64 }
}

/// The end that answers.
pub fn answer<R: Item>(there: &mut impl In<R>, out: &mut impl Out<R>, plan: Plan) {
    for _ in 0..plan.trips {
        let mut record = None;
        until(|| there.take(1, |r| record = Some(*r)) > 0);
        let record = record.expect("one was taken");
        until(|| out.put(&record));
        out.publish();
    }
    let mut seen = 0;
    while seen < plan.stream {
        until(|| {
            there.take(TAKEN, |record| {
                seen += 1;
                assert!(record.same(seen), "they come in order");
            }) > 0
        });
    }
    until(|| out.put(&R::item(seen)));
    out.publish();
}

/// Both ends in one process, each on a core of its own.
pub fn in_process<R: Item>(
    cores: [usize; 2],
    plan: Plan,
    ends: (impl Out<R>, impl In<R>),
    others: (impl In<R> + Send, impl Out<R> + Send),
) -> Figures {
    let ((mut out, mut back), (mut there, mut answers)) = (ends, others);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(cores[1]);
            answer(&mut there, &mut answers, plan);
        });
        pin(cores[0]);
        ask(&mut out, &mut back, plan)
    })
}

/// Pins this thread.
pub fn pin(core: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
