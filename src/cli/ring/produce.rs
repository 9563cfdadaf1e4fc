//! `millrace ring produce`

use std::time::Instant;

use super::{Numbered, Outcome, Waiting, Which, for_record, rate};
use crate::ring::region::{self, Terms};
use crate::runtime::Readers;

/// Write the numbers 1 to N into a ring, and then a zero. The ring is made if it is not there; one whose
/// writer was killed is gone on with, behind the last number that it holds.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// How many.
    #[arg(long, value_name = "N")]
    count: u64,
    /// Bytes of a record: 4, 8, 16, 32, 56, 64, 120 or 128. With the ring's word beside it, one of 56 bytes
    /// fills a cache line.
    #[arg(long, value_name = "B", default_value_t = 8)]
    record_bytes: u64,
    /// Records that the ring holds, a power of two. One larger than a core's own cache is the fastest for a
    /// stream.
    #[arg(long, value_name = "N", default_value_t = 16384)]
    capacity: usize,
    /// Records that become visible at once.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    batch: u64,
    /// For any number of readers, for which nobody waits.
    #[arg(long)]
    broadcast: bool,
    /// Who may read it, as for chmod; who may read a queue may take its end.
    #[arg(long, value_name = "OCTAL", default_value = "640", value_parser = octal)]
    mode: u32,
    /// The group that the mode is about.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("a mode is three octal digits, such as 640".to_owned()),
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    let group = match &arguments.group {
        None => None,
        Some(name) => match Readers::group(name)? {
            Some(readers) => readers.gid(),
            None => return Err(format!("there is no group {name}").into()),
        },
    };
    let terms = Terms { capacity: arguments.capacity, mode: arguments.mode, group };
    for_record!(arguments.record_bytes, produce(arguments, &terms))
}

fn produce<R: Numbered>(arguments: &Arguments, terms: &Terms) -> Outcome {
    if arguments.count >= R::MOST {
        let (most, bytes) = (R::MOST - 1, size_of::<R>());
        return Err(format!("records of {bytes} bytes count to {most} at most").into());
    }
    if arguments.broadcast { publish::<R>(arguments, terms) } else { send::<R>(arguments, terms) }
}

fn send<R: Numbered>(arguments: &Arguments, terms: &Terms) -> Outcome {
    let mut tx = region::send::<R>(&arguments.which.place()?, terms)?;
    let (mut next, last) = (next(tx.last())?, arguments.count);
    told_of_start(next, last)?;
    let (first, began, mut waiting) = (next, Instant::now(), Waiting::new());
    while next <= last {
        let most = arguments.batch.min(last - next + 1);
        let mut staged = 0;
        while staged < most && tx.stage(&R::numbered(next)) {
            (next, staged) = (next + 1, staged + 1);
        }
        tx.publish();
        waiting.after(staged as usize, |now_ns| tx.beat(now_ns));
    }
    while !tx.push(&R::numbered(0)) {
        waiting.after(0, |now_ns| tx.beat(now_ns));
    }
    said::<R>(first, last, began);
    Ok(())
}

fn publish<R: Numbered>(arguments: &Arguments, terms: &Terms) -> Outcome {
    let mut tx = region::publish::<R>(&arguments.which.place()?, terms)?;
    let (first, last) = (next(tx.last())?, arguments.count);
    told_of_start(first, last)?;
    let (began, mut waiting) = (Instant::now(), Waiting::new());
    for number in first..=last {
        tx.push(&R::numbered(number));
        if number % 1024 == 0 {
            waiting.after(1, |now_ns| tx.beat(now_ns));
        }
    }
    tx.push(&R::numbered(0));
    said::<R>(first, last, began);
    Ok(())
}

/// What comes behind the last number of a ring.
fn next<R: Numbered>(last: Option<R>) -> Result<u64, &'static str> {
    match last.map(|record| record.number()) {
        None => Ok(1),
        Some(Some(number)) => Ok(number + 1),
        Some(None) => {
            Err("the last record of the ring has not the same number in all of its words")
        }
    }
}

fn told_of_start(next: u64, last: u64) -> Outcome {
    if next > last + 1 {
        return Err(format!("the ring's last number is {}, more than {last}", next - 1).into());
    }
    if next > 1 {
        eprintln!("going on behind {}", next - 1);
    }
    Ok(())
}

fn said<R>(first: u64, last: u64, began: Instant) {
    let count = last + 1 - first;
    println!(
        "wrote {first} to {last} and a zero: {}",
        rate(count, size_of::<R>(), began.elapsed())
    );
}
