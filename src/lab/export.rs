//! A journal told again as the feed told it, into a recording or for other back-testers.

use std::path::Path;

use super::recorder::Recorder;
use super::table::LabError;
use crate::book::{Book, Capacity};
use crate::feed::{Nobody, Teller};
use crate::journal::Reader;
use crate::order::UnixNanos;

/// Hands out every message of the feed that a journal stands for: its number, its time, and its bytes.
pub fn retell<E: From<LabError>>(
    dir: &Path,
    capacity: Capacity,
    mut see: impl FnMut(u64, UnixNanos, &[u8]) -> Result<(), E>,
) -> Result<u64, E> {
    let failed = |error| E::from(LabError::Journal(error));
    let mut reader = Reader::open(dir).map_err(failed)?;
    let (mut book, mut teller, mut number) = (Book::new(capacity), Teller::new(), 0);
    while let Some(command) = reader.next().map_err(failed)? {
        let mut result = Ok(());
        teller.apply(&mut book, &command, &mut Nobody, &mut |message: &[u8]| {
            number += 1;
            if result.is_ok() {
                result = see(number, command.time_ns, message);
            }
        });
        result?;
    }
    Ok(number)
}

/// Puts everything that a journal stands for into a recording.
pub fn record(dir: &Path, capacity: Capacity, recorder: &mut Recorder) -> Result<u64, LabError> {
    retell(dir, capacity, |number, time_ns, bytes| recorder.past(number, time_ns, bytes))
}
