//! The ring between two cores: a record there and back, and a stream of records, against a bare
//! cache line, a mailbox and `rtrb` in the same run. `cargo bench --bench ring`
//!
//! The mailbox is the floor: one word each way, each in a line of its own, nothing else. A line that
//! both sides write is no floor for a ring: it moves with its ownership, and a polled one does not.
//! A word that goes from line to line, as every ring's does, takes longer than one that stays, whatever
//! is written beside it: "line after line" is that alone.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use millrace::ring;

const ROUND_TRIPS: u64 = 300_000;
const STREAM: u64 = 32 * 500_000;
const RUNS: usize = 7;
/// With the word that the ring keeps beside it, 64 bytes.
type Record = [u64; 7];

/// What every loop below does while it waits: nothing. A pause instruction takes as long as half
/// a round trip on some processors, and would be measured instead.
#[inline(always)]
fn busy() {}

/// Pins this thread. The cores are looked up once: a pinned thread, and those it starts, see
/// only their own.
fn pin(index: usize) {
    static CORES: std::sync::OnceLock<Vec<core_affinity::CoreId>> = std::sync::OnceLock::new();
    let cores = CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    core_affinity::set_for_current(cores[index % cores.len()]);
}

/// Runs `other` on the second core and `this` on the first; nanoseconds per item of `this`.
fn time(items: u64, other: impl FnOnce() + Send + 'static, this: impl FnOnce()) -> f64 {
    let ready = Arc::new(AtomicU64::new(0));
    let told = ready.clone();
    let thread = std::thread::spawn(move || {
        pin(1);
        told.store(1, Ordering::Release);
        other();
    });
    pin(0);
    while ready.load(Ordering::Acquire) == 0 {
        busy();
    }
    let started = Instant::now();
    this();
    let elapsed = started.elapsed();
    thread.join().unwrap();
    elapsed.as_nanos() as f64 / items as f64
}

fn line_round_trip() -> f64 {
    let line = Arc::new(crossbeam_utils::CachePadded::new(AtomicU64::new(0)));
    let other = line.clone();
    time(
        ROUND_TRIPS,
        move || {
            for n in 0..ROUND_TRIPS {
                while other.load(Ordering::Acquire) != 2 * n + 1 {
                    busy();
                }
                other.store(2 * n + 2, Ordering::Release);
            }
        },
        || {
            for n in 0..ROUND_TRIPS {
                line.store(2 * n + 1, Ordering::Release);
                while line.load(Ordering::Acquire) != 2 * n + 2 {
                    busy();
                }
            }
        },
    )
}

fn mailbox_round_trip() -> f64 {
    let boxes = Arc::new([const { crossbeam_utils::CachePadded::new(AtomicU64::new(0)) }; 2]);
    let other = boxes.clone();
    time(
        ROUND_TRIPS,
        move || {
            for n in 1..=ROUND_TRIPS {
                while other[0].load(Ordering::Acquire) != n {
                    busy();
                }
                other[1].store(n, Ordering::Release);
            }
        },
        || {
            for n in 1..=ROUND_TRIPS {
                boxes[0].store(n, Ordering::Release);
                while boxes[1].load(Ordering::Acquire) != n {
                    busy();
                }
            }
        },
    )
}

/// As the mailbox, but each message in the next of as many lines as the ring has records.
fn lines_round_trip() -> f64 {
    const LINES: u64 = 1024;
    #[repr(align(64))]
    struct Line(AtomicU64);
    let lines = || (0..LINES).map(|_| Line(AtomicU64::new(0))).collect::<Vec<_>>();
    let ways = Arc::new([lines(), lines()]);
    let other = ways.clone();
    let wait = |way: &[Line], n: u64| {
        while way[(n % LINES) as usize].0.load(Ordering::Acquire) != n {
            busy();
        }
    };
    time(
        ROUND_TRIPS,
        move || {
            for n in 1..=ROUND_TRIPS {
                wait(&other[0], n);
                other[1][(n % LINES) as usize].0.store(n, Ordering::Release);
            }
        },
        || {
            for n in 1..=ROUND_TRIPS {
                ways[0][(n % LINES) as usize].0.store(n, Ordering::Release);
                wait(&ways[1], n);
            }
        },
    )
}

fn ring_round_trip<const WORDS: usize>() -> f64 {
    let (mut there_tx, mut there_rx) = ring::on_heap(1024, [0u64; WORDS]);
    let (mut back_tx, mut back_rx) = ring::on_heap(1024, [0u64; WORDS]);
    time(
        ROUND_TRIPS,
        move || {
            for _ in 0..ROUND_TRIPS {
                while there_rx.pop_batch(1, |r| _ = back_tx.push(r)) == 0 {
                    busy();
                }
            }
        },
        || {
            for n in 0..ROUND_TRIPS {
                there_tx.push(&[n; WORDS]);
                while back_rx.pop_batch(1, |r| assert_eq!(r[WORDS - 1], n)) == 0 {
                    busy();
                }
            }
        },
    )
}

fn rtrb_round_trip() -> f64 {
    let (mut there_tx, mut there_rx) = rtrb::RingBuffer::<Record>::new(1024);
    let (mut back_tx, mut back_rx) = rtrb::RingBuffer::<Record>::new(1024);
    let take = |rx: &mut rtrb::Consumer<Record>| loop {
        if let Ok(record) = rx.pop() {
            return record;
        }
        busy();
    };
    time(
        ROUND_TRIPS,
        move || (0..ROUND_TRIPS).for_each(|_| _ = back_tx.push(take(&mut there_rx))),
        || {
            for n in 0..ROUND_TRIPS {
                let _ = there_tx.push([n; 7]);
                assert_eq!(take(&mut back_rx)[6], n);
            }
        },
    )
}

fn ring_stream() -> f64 {
    let (mut tx, mut rx) = ring::on_heap(4096, [0u64; 7]);
    time(
        STREAM,
        move || {
            let mut seen = 0;
            while seen < STREAM {
                let taken = rx.pop_batch(256, |r| {
                    assert_eq!(*black_box(r), [seen; 7]);
                    seen += 1;
                });
                if taken == 0 {
                    busy();
                }
            }
        },
        move || {
            for n in 0..STREAM {
                while !tx.stage_with(|record| *record = [n; 7]) {
                    tx.publish();
                    busy();
                }
                if n % 32 == 31 {
                    tx.publish();
                }
            }
            tx.publish();
        },
    )
}

/// rtrb the way it is fastest: chunks on both ends, records read in place.
fn rtrb_stream() -> f64 {
    let (mut tx, mut rx) = rtrb::RingBuffer::<Record>::new(4096);
    time(
        STREAM,
        move || {
            let mut seen = 0;
            while seen < STREAM {
                let there = rx.slots().min(256);
                let Ok(chunk) = rx.read_chunk(there) else { continue };
                let (first, second) = chunk.as_slices();
                for record in first.iter().chain(second) {
                    assert_eq!(*black_box(record), [seen; 7]);
                    seen += 1;
                }
                chunk.commit_all();
            }
        },
        move || {
            let mut sent = 0;
            while sent < STREAM {
                if let Ok(chunk) = tx.write_chunk_uninit(32) {
                    sent += chunk.fill_from_iter((sent..).map(|n| [n; 7])) as u64;
                }
            }
        },
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if core_affinity::get_core_ids().is_none_or(|cores| cores.len() < 2) {
        return println!("ring: needs two cores");
    }
    type Measure = (&'static str, fn() -> f64);
    let measures: [Measure; 9] = [
        ("cache line there and back", line_round_trip),
        ("mailbox there and back", mailbox_round_trip),
        ("line after line", lines_round_trip),
        ("millrace there and back", ring_round_trip::<{ size_of::<Record>() / 8 }>),
        ("  128 bytes", ring_round_trip::<15>),
        ("  192 bytes", ring_round_trip::<23>),
        ("rtrb there and back", rtrb_round_trip),
        ("millrace stream", ring_stream),
        ("rtrb stream", rtrb_stream),
    ];
    let mut results = vec![vec![]; measures.len()];
    for _ in 0..RUNS {
        for (result, (_, measure)) in results.iter_mut().zip(measures) {
            result.push(measure());
        }
    }
    println!("64-byte records, medians of {RUNS} runs in turn");
    let medians: Vec<f64> = results.into_iter().map(median).collect();
    for ((name, _), ns) in measures.iter().zip(&medians) {
        println!("  {name:<28}{ns:>8.1} ns{:>10.1} M/s", 1000.0 / ns);
    }
    let [line, mailbox, lines, ring, command, event, _, stream, rtrb_stream] = medians[..] else {
        unreachable!()
    };
    println!("  there and back / mailbox     {:>8.2}  (mark 1.10, goal 1.03)", ring / mailbox);
    println!("    / line after line          {:>8.2}", ring / lines);
    println!("    of 128 bytes, as commands  {:>8.2}  (mark 1.30)", command / mailbox);
    println!("    of 192 bytes, as events    {:>8.2}", event / mailbox);
    println!("  mailbox / cache line         {:>8.2}", mailbox / line);
    println!(
        "  stream / rtrb's              {:>8.2}  (mark 1.00, goal 1.20)",
        rtrb_stream / stream
    );
}
