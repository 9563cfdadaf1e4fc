//! Playing recordings again: journals, Parquet, the exchange's own files and captures of sessions.
//!
//! All but captures are [`Row`]s, whatever they come from ([`MarketSource`]), and are played into a book of this
//! process ([`play`]) or as orders to a gateway ([`orders`]). A capture is bytes of connections ([`capture`]), which are
//! sent again as they are, and what is answered is compared with what was.

pub mod capture;
pub mod itch;
pub mod orders;
pub mod play;
mod sessions;

pub use sessions::{Played, describe, play_sessions};

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::export::retell;
use super::read::Recording;
use super::row::{Row, Rows};
use super::table::LabError;
use crate::book::Capacity;
use crate::order::UnixNanos;

/// What a market is played from.
pub enum MarketSource {
    /// A gateway's journal, whose book had a capacity.
    Journal(PathBuf, Capacity),
    /// A recording's folder.
    Parquet(PathBuf),
    /// A file of ITCH 5.0 messages.
    Itch(PathBuf),
}

/// What was skipped on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Messages of types that this does not know, by type.
    pub types: std::collections::BTreeMap<u8, u64>,
    /// Messages that did not follow from those before them.
    pub astray: u64,
}

impl MarketSource {
    /// Hands out every row with the name of its symbol, in order; of some symbols only, unless none is named.
    pub fn each<E: From<LabError>>(
        &self,
        symbols: &[String],
        mut see: impl FnMut(&str, &Row) -> Result<(), E>,
    ) -> Result<Skipped, E> {
        let wanted = |name: &str| symbols.is_empty() || symbols.iter().any(|symbol| symbol == name);
        let mut skipped = Skipped::default();
        match self {
            MarketSource::Parquet(dir) => {
                let mut recording = Recording::open(dir, symbols)?;
                while let Some(row) = recording.next(symbols)? {
                    see(&recording.symbols[usize::from(row.locate)], &row)?;
                }
            }
            MarketSource::Journal(dir, capacity) => {
                let mut rows = Rows::new();
                retell(dir, *capacity, |number, time_ns, bytes| {
                    told(&mut rows, number, time_ns, bytes, &wanted, &mut see)
                })?;
                skipped.astray = rows.astray();
            }
            MarketSource::Itch(path) => {
                let (mut rows, mut number) = (Rows::new(), 0);
                let types = &mut skipped.types;
                itch::each(path, |bytes| {
                    number += 1;
                    if crate::wire::itch::Message::parse(bytes).is_err() {
                        *types.entry(bytes.first().copied().unwrap_or(0)).or_default() += 1;
                        return Ok(());
                    }
                    // A file does not say which day it is of.
                    told(&mut rows, number, NOON_NS, bytes, &wanted, &mut see)
                })?;
                skipped.astray = rows.astray();
            }
        }
        Ok(skipped)
    }
}

const NOON_NS: u64 = 43_200_000_000_000;

fn told<E>(
    rows: &mut Rows,
    number: u64,
    near_ns: UnixNanos,
    bytes: &[u8],
    wanted: &impl Fn(&str) -> bool,
    see: &mut impl FnMut(&str, &Row) -> Result<(), E>,
) -> Result<(), E> {
    let Some(row) = rows.message(number, near_ns, bytes) else { return Ok(()) };
    match rows.market().located(row.locate) {
        Some(depth) if wanted(&depth.name) => see(&depth.name, &row),
        _ => Ok(()),
    }
}

/// What a path holds.
pub enum Found {
    /// A market's events.
    Market(MarketSource),
    /// A capture of connections.
    Capture(PathBuf),
}

/// Looks what a path holds.
pub fn look(path: &Path, capacity: Capacity) -> Result<Found, LabError> {
    let unknown = |what: &str| LabError::Format { path: path.to_owned(), what: what.to_owned() };
    if path.is_dir() {
        let inner = path.join("journal");
        let journal = if inner.is_dir() { inner } else { path.to_owned() };
        if path.join("events").is_dir() {
            return Ok(Found::Market(MarketSource::Parquet(path.to_owned())));
        }
        if crate::journal::header(&journal).is_ok_and(|header| header.is_some()) {
            return Ok(Found::Market(MarketSource::Journal(journal, capacity)));
        }
        return Err(unknown("it holds neither a journal nor a recording"));
    }
    let mut first = [0; 4];
    let mut file = std::fs::File::open(path).map_err(LabError::io("open", path))?;
    let _ = std::io::Read::read(&mut file, &mut first).map_err(LabError::io("read", path))?;
    match first {
        [0xD4, 0xC3, 0xB2, 0xA1]
        | [0xA1, 0xB2, 0xC3, 0xD4]
        | [0x4D, 0x3C, 0xB2, 0xA1]
        | [0xA1, 0xB2, 0x3C, 0x4D]
        | [0x0A, 0x0D, 0x0D, 0x0A] => Ok(Found::Capture(path.to_owned())),
        [b'P', b'A', b'R', b'1'] => {
            Err(unknown("name the folder of the recording, the one that has `events` in it"))
        }
        _ => Ok(Found::Market(MarketSource::Itch(path.to_owned()))),
    }
}

/// A clock for what is played: as fast as it was, so many times as fast, or without waiting.
pub struct Pace {
    /// Times as fast; none is without waiting.
    speed: Option<f64>,
    began: Option<(Instant, UnixNanos)>,
}

impl Pace {
    /// A clock that has not begun.
    pub fn new(speed: Option<f64>) -> Pace {
        Pace { speed, began: None }
    }

    /// How long there is to wait until something that was at `time_ns`, after the first that was asked for.
    pub fn wait(&mut self, time_ns: UnixNanos) -> Duration {
        let Some(speed) = self.speed else { return Duration::ZERO };
        let (began, first_ns) = *self.began.get_or_insert((Instant::now(), time_ns));
        let after = Duration::from_nanos(time_ns.saturating_sub(first_ns)).div_f64(speed);
        after.saturating_sub(began.elapsed())
    }
}
