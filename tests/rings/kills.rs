//! Processes that are killed at any moment, and others that go on for them.

use std::io::{Read, Write};

use millrace::ring::broadcast::{From, Lost};
use millrace::ring::region::{self, RegionError, Start};

use super::common::Scratch;
use super::*;

const ROUNDS: usize = 20;

/// Times that differ from round to round, and are the same in every run (Knuth's linear congruence).
fn moments() -> impl Iterator<Item = Duration> {
    let mut state = 7u64;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros((state >> 33) % 20_000)
    })
}

/// The reader sees every number once and in order, however often its writer dies: what was published is there,
/// what was not never was, and the next writer goes on behind it.
#[test]
fn a_writer_that_is_killed_leaves_nothing_half_and_loses_nothing() {
    let scratch = Scratch::new();
    let count = 2_000_000;
    let produce = [&format!("--count={count}"), "--record-bytes=56", "--capacity=256", "--batch=7"];
    let mut moments = moments();
    let mut writer = ring("produce", &scratch.0, &produce).spawn().unwrap();
    let mut rx = loop {
        match region::receive::<[u64; 7]>(&place(&scratch.0), Start::Onward) {
            Err(RegionError::NotThere { .. }) => std::thread::sleep(Duration::from_millis(1)),
            done => break done.unwrap(),
        }
    };
    let (mut next, mut killed, mut began) = (1, 0, Instant::now());
    let mut due = moments.next().unwrap();
    loop {
        let mut ended = false;
        rx.pop_batch(32, |record| {
            assert_eq!(*record, [record[0]; 7], "a record is whole");
            ended = record[0] == 0;
            if !ended {
                assert_eq!(record[0], next);
                next += 1;
            }
        })
        .unwrap();
        if ended {
            break;
        }
        if killed < ROUNDS {
            // Slow, so that the writer is killed wherever a full ring has it wait, too, and not done before.
            std::thread::sleep(Duration::from_micros(20));
        }
        if killed < ROUNDS && began.elapsed() > due {
            writer.kill().unwrap();
            writer.wait().unwrap();
            writer = ring("produce", &scratch.0, &produce).spawn().unwrap();
            (killed, began, due) = (killed + 1, Instant::now(), moments.next().unwrap());
        }
        assert!(began.elapsed() < PATIENCE, "stands at {next}");
    }
    assert_eq!((next, killed), (count + 1, ROUNDS));
    assert!(
        (2..=ROUNDS as u64 + 1).contains(&rx.writer().epoch),
        "some were killed before they had their end"
    );
    passed(writer);
}

/// The test binary as the reader of a ring: tells each number before it gives its place back.
#[test]
#[ignore = "the reader of the test below, in a process of its own"]
fn reader() {
    let Some(dir) = std::env::var_os("MILLRACE_RINGS_DIR") else { return };
    let mut rx = region::receive::<[u64; 7]>(&place(Path::new(&dir)), Start::Onward).unwrap();
    let mut out =
        std::fs::OpenOptions::new().append(true).open(Path::new(&dir).join("seen")).unwrap();
    loop {
        let taken = rx.pop_batch(16, |record| {
            assert_eq!(*record, [record[0]; 7], "a record is whole");
            out.write_all(&record[0].to_le_bytes()).unwrap();
        });
        if taken.unwrap() == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// The readers together see every number in order; the one that follows sees again what the one before had not
/// given back, a batch at most.
#[test]
fn a_reader_that_is_killed_is_followed_by_one_that_goes_on_where_it_was() {
    let scratch = Scratch::new();
    std::fs::write(scratch.0.join("seen"), "").unwrap();
    let mut tx = region::send::<[u64; 7]>(
        &place(&scratch.0),
        &region::Terms { capacity: 64, ..Default::default() },
    )
    .unwrap();
    let (mut next, mut moments) = (1u64, moments());
    let mut seen = vec![];
    for _ in 0..ROUNDS {
        let mut reader = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "kills::reader"])
            .env("MILLRACE_RINGS_DIR", &scratch.0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let came = Instant::now();
        // Killed at some moment after it began to read.
        let (from, due) = (next, moments.next().unwrap());
        let mut began = None;
        while began.is_none_or(|began: Instant| began.elapsed() < due) {
            assert!(came.elapsed() < PATIENCE, "the reader does not read");
            if tx.push(&[next; 7]) {
                next += 1;
            } else {
                std::thread::sleep(Duration::from_micros(20));
            }
            if began.is_none() && next > from + 128 {
                began = Some(Instant::now());
            }
        }
        reader.kill().unwrap();
        reader.wait().unwrap();
        assert!(!tx.reader_lives());
    }
    let mut rx = region::receive::<[u64; 7]>(&place(&scratch.0), Start::Onward).unwrap();
    let mut file = std::fs::File::open(scratch.0.join("seen")).unwrap();
    let mut bytes = vec![];
    file.read_to_end(&mut bytes).unwrap();
    seen.extend(bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)));
    while let Some(record) = rx.pop().unwrap() {
        seen.push(record[0]);
    }
    let mut highest = 0;
    for number in seen {
        assert!(number <= highest + 1, "{number} came behind {highest}");
        assert!(number + 16 > highest, "{number} came again behind {highest}");
        highest = highest.max(number);
    }
    assert_eq!(highest + 1, next, "everything that was published was read");
}

/// A subscriber sees whole records, and knows of each that it did not see, while writers die and others go on.
#[test]
fn a_broadcast_writer_that_is_killed_leaves_nothing_torn() {
    let scratch = Scratch::new();
    let produce = ["--count=1000000000000000", "--record-bytes=56", "--capacity=64", "--broadcast"];
    let (mut heard, mut missed, mut next) = (0u64, 0u64, 0u64);
    let mut rx = None;
    for due in moments().take(ROUNDS) {
        let mut writer = ring("produce", &scratch.0, &produce).spawn().unwrap();
        let (came, mut began) = (Instant::now(), None);
        while began.is_none_or(|began: Instant| began.elapsed() < due) {
            assert!(came.elapsed() < PATIENCE, "the writer does not write");
            let Some(rx) = &mut rx else {
                rx = region::subscribe::<[u64; 7]>(&place(&scratch.0), From::Index(0)).ok();
                continue;
            };
            match rx.pop() {
                Ok(Some(record)) => {
                    assert_eq!(record, [next + 1; 7], "whole, and the one that it should be");
                    (heard, next) = (heard + 1, next + 1);
                    began.get_or_insert_with(Instant::now);
                }
                Ok(None) => std::thread::yield_now(),
                Err(Lost::Missed { records }) => {
                    (missed, next) = (missed + records, next + records)
                }
                Err(lost) => panic!("{lost}"),
            }
            assert_eq!(rx.index(), next);
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
    assert_eq!(heard + missed, next);
    assert!(heard > 0);
}
