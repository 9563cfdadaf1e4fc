//! How long things take on their way in a back-test.

use std::path::Path;

use crate::client::load::Random;
use crate::lab::LabError;

/// A time that something takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Always the same, in nanoseconds.
    Fixed(u64),
    /// Drawn from what was measured, in nanoseconds.
    Drawn(Vec<u64>),
}

impl Delay {
    /// One draw.
    #[inline]
    pub fn draw(&self, random: &mut Random) -> u64 {
        match self {
            Delay::Fixed(ns) => *ns,
            Delay::Drawn(all) => all[random.below(all.len() as u64) as usize],
        }
    }

    /// Reads a histogram: lines of nanoseconds and, behind a comma, how often; a line that begins with a letter or
    /// `#` is a heading.
    pub fn read(path: &Path) -> Result<Delay, LabError> {
        let text = std::fs::read_to_string(path).map_err(LabError::io("read", path))?;
        let mut all = vec![];
        for (number, line) in (1..).zip(text.lines()) {
            if line.is_empty() || line.starts_with(|c: char| c == '#' || c.is_alphabetic()) {
                continue;
            }
            let (ns, count) = line.split_once(',').unwrap_or((line, "1"));
            let wrong = || LabError::Format {
                path: path.to_owned(),
                what: format!(
                    "line {number} is not nanoseconds and a count, as in 12500,37: {line}"
                ),
            };
            let ns: u64 = ns.trim().parse().map_err(|_| wrong())?;
            let count: usize = count.trim().parse().map_err(|_| wrong())?;
            // As many as make a good draw, whatever was counted.
            all.extend(std::iter::repeat_n(ns, count.min(100_000)));
        }
        let nothing =
            || LabError::Format { path: path.to_owned(), what: "it holds no times".into() };
        if all.is_empty() { Err(nothing()) } else { Ok(Delay::Drawn(all)) }
    }

    /// The middle, and the time that one of a hundred exceeds.
    pub fn percentiles(&self) -> (u64, u64) {
        match self {
            Delay::Fixed(ns) => (*ns, *ns),
            Delay::Drawn(all) => {
                let mut sorted = all.clone();
                sorted.sort_unstable();
                (sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100])
            }
        }
    }
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// From the book to the strategy, by the feed.
    pub feed: Delay,
    /// From the strategy to the book.
    pub order: Delay,
    /// From the book to the strategy, of its own orders.
    pub report: Delay,
}
