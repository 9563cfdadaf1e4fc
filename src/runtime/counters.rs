//! Counters in a mapped file: written by their owners with plain stores, read by anyone.
//!
//! The file is a header of 64 bytes (`MILLRACE-COUNTERS` and the number of counters as a
//! little-endian u32 at offset 32), then 64 bytes for each: a name of 48, zero-padded, and a
//! little-endian u64 at offset 56.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ring::{Access, Mapped};

const MAGIC: &[u8] = b"MILLRACE-COUNTERS";
const ENTRY_BYTES: usize = 64;
const NAME_BYTES: usize = 48;

/// A table of named counters.
#[derive(Clone)]
pub struct Counters {
    map: Arc<Mapped>,
    names: Arc<[String]>,
}

/// One counter. Adding to it is a load and a store: it has one owner.
#[derive(Clone)]
pub struct Counter {
    map: Arc<Mapped>,
    offset: usize,
}

impl Counter {
    #[inline]
    fn place(&self) -> &AtomicU64 {
        self.map.word(self.offset)
    }

    /// Adds to the counter. For its owner only: two owners would lose counts.
    #[inline]
    pub fn add(&self, count: u64) {
        self.set(self.get() + count);
    }

    /// Sets the counter.
    #[inline]
    pub fn set(&self, value: u64) {
        self.place().store(value, Ordering::Relaxed);
    }

    /// Reads the counter.
    #[inline]
    pub fn get(&self) -> u64 {
        self.place().load(Ordering::Relaxed)
    }
}

impl Counters {
    /// A table in a new file at `path`, all zero.
    pub fn create(path: &Path, names: &[String]) -> io::Result<Counters> {
        let len = ENTRY_BYTES * (names.len() + 1);
        let mut image = vec![0; len];
        image[..MAGIC.len()].copy_from_slice(MAGIC);
        image[32..36].copy_from_slice(&(names.len() as u32).to_le_bytes());
        for (entry, name) in image.chunks_mut(ENTRY_BYTES).skip(1).zip(names) {
            assert!(name.len() <= NAME_BYTES, "a counter's name is at most {NAME_BYTES} bytes");
            entry[..name.len()].copy_from_slice(name.as_bytes());
        }
        std::fs::write(path, &image)?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let map = Arc::new(Mapped::new(&file, len, Access::Write, true)?);
        Ok(Counters { map, names: names.into() })
    }

    /// The counter of a name given to [`Counters::create`].
    pub fn get(&self, name: &str) -> Counter {
        let index = self.names.iter().position(|n| n == name);
        let offset = ENTRY_BYTES * (1 + index.expect("a counter that the table has")) + 56;
        Counter { map: self.map.clone(), offset }
    }

    /// Every counter's name and value.
    pub fn snapshot(&self) -> Vec<(&str, u64)> {
        self.names.iter().map(|name| (name.as_str(), self.get(name).get())).collect()
    }
}

/// Reads the counters of a file that some process has mapped.
pub fn read_file(path: &Path) -> io::Result<Vec<(String, u64)>> {
    let image = std::fs::read(path)?;
    if !image.starts_with(MAGIC) || !image.len().is_multiple_of(ENTRY_BYTES) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a counters file"));
    }
    let entries = image.chunks(ENTRY_BYTES).skip(1).map(|entry| {
        let name = entry[..NAME_BYTES].iter().take_while(|b| **b != 0).map(|b| *b as char);
        let value = u64::from_le_bytes(entry[56..64].try_into().expect("eight bytes"));
        (name.collect(), value)
    });
    Ok(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_the_file_sees_what_the_owner_counted() {
        let dir = std::env::temp_dir().join(format!("millrace-counters-{}", std::process::id()));
        let counters = Counters::create(&dir, &["orders", "rejects"].map(String::from)).unwrap();
        counters.get("rejects").add(3);
        let read = read_file(&dir).unwrap();
        std::fs::remove_file(&dir).unwrap();
        assert_eq!(read, [("orders".to_owned(), 0), ("rejects".to_owned(), 3)]);
        assert_eq!(counters.snapshot(), [("orders", 0), ("rejects", 3)]);
    }
}
