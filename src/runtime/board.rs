//! A board in a mapped file, for what is worth looking at only while somebody looks: places of
//! [`WORDS`] words, each written by its owner, read by anyone.
//!
//! The file is a page (`MILLRACE-BOARD`, the number of places as a little-endian u64 at offset 16, that
//! of writers at 24, at 32 when somebody looked last, from 64 on when each writer began the last round
//! that it finished), then 256 bytes for each place: a version, odd while it is being written, and its
//! words. Times are Unix nanoseconds.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;

use crate::ring::{Access, Mapped};

/// Words of a place.
pub const WORDS: usize = 31;
/// Writers of a board, at most.
pub const WRITERS_MAX: usize = (HEADER_BYTES - ROUNDS) / 8;

const MAGIC: &[u8; 16] = b"MILLRACE-BOARD\0\0";
const HEADER_BYTES: usize = 4096;
const PLACE_BYTES: usize = 8 * (WORDS + 1);
const PLACES: usize = 16;
const WRITERS: usize = 24;
const LOOKED: usize = 32;
const ROUNDS: usize = 64;
/// How long somebody looks who looked once.
const LOOKS_FOR_NS: u64 = 2_000_000_000;
/// Readings of a place that is written meanwhile.
const READINGS_MAX: usize = 1000;

/// A board, for those who write.
#[derive(Clone)]
pub struct Board {
    map: Arc<Mapped>,
    places: usize,
}

impl Board {
    /// A board in a new file, for so many writers.
    pub fn create(path: &Path, places: usize, writers: usize) -> io::Result<Board> {
        assert!(writers <= WRITERS_MAX, "at most {WRITERS_MAX} writers");
        let mut header = vec![0; HEADER_BYTES];
        header[..MAGIC.len()].copy_from_slice(MAGIC);
        header[PLACES..PLACES + 8].copy_from_slice(&(places as u64).to_le_bytes());
        header[WRITERS..WRITERS + 8].copy_from_slice(&(writers as u64).to_le_bytes());
        std::fs::write(path, &header)?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let len = HEADER_BYTES + places * PLACE_BYTES;
        file.set_len(len as u64)?;
        Ok(Board { map: Arc::new(Mapped::new(&file, len, Access::Write, false)?), places })
    }

    /// Whether somebody looks.
    pub fn is_watched(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.map.word(LOOKED).load(Relaxed)) < LOOKS_FOR_NS
    }

    /// Writes a place. For its owner only.
    pub fn write(&self, place: usize, words: &[u64; WORDS]) {
        debug_assert!(place < self.places);
        let at = HEADER_BYTES + place * PLACE_BYTES;
        let version = self.map.word(at);
        let next = version.load(Relaxed) | 1;
        version.store(next, Relaxed);
        fence(Release);
        for (n, word) in words.iter().enumerate() {
            self.map.word(at + 8 + 8 * n).store(*word, Relaxed);
        }
        version.store(next.wrapping_add(1), Release);
    }

    /// A writer has written all its places since then.
    pub fn finish_round(&self, writer: usize, began_ns: u64) {
        self.map.word(ROUNDS + 8 * writer).store(began_ns, Release);
    }
}

/// A board, for one who looks.
pub struct Watch {
    map: Mapped,
    places: usize,
    writers: usize,
}

impl Watch {
    /// The board in a file that some process has mapped. Needs the right to write to it: nothing is
    /// written there unless somebody asks.
    pub fn open(path: &Path) -> io::Result<Watch> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let len = file.metadata()?.len() as usize;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not a board");
        if len < HEADER_BYTES {
            return Err(wrong());
        }
        let map = Mapped::new(&file, len, Access::Write, false)?;
        let magic = [0, 8].map(|at| map.word(at).load(Relaxed).to_ne_bytes()).concat();
        let [places, writers] = [PLACES, WRITERS].map(|at| map.word(at).load(Relaxed) as usize);
        let whole =
            places.checked_mul(PLACE_BYTES).is_some_and(|bytes| bytes == len - HEADER_BYTES);
        if magic != MAGIC || !whole || writers > WRITERS_MAX {
            return Err(wrong());
        }
        Ok(Watch { map, places, writers })
    }

    /// Asks the writers to write.
    pub fn ask(&self, now_ns: u64) {
        self.map.word(LOOKED).store(now_ns, Relaxed);
    }

    /// Whether every writer has written all its places since then.
    pub fn is_answered(&self, since_ns: u64) -> bool {
        (0..self.writers).all(|n| self.map.word(ROUNDS + 8 * n).load(Acquire) >= since_ns)
    }

    /// Places there are.
    pub fn places(&self) -> usize {
        self.places
    }

    /// What a place says; nothing if it never said anything, or is written all the time.
    pub fn read(&self, place: usize) -> Option<[u64; WORDS]> {
        let at = HEADER_BYTES + place * PLACE_BYTES;
        let version = self.map.word(at);
        for _ in 0..READINGS_MAX {
            let before = version.load(Acquire);
            if before == 0 {
                return None;
            }
            let words = std::array::from_fn(|n| self.map.word(at + 8 + 8 * n).load(Relaxed));
            fence(Acquire);
            if before & 1 == 0 && version.load(Relaxed) == before {
                return Some(words);
            }
            std::hint::spin_loop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct File(std::path::PathBuf);

    impl File {
        fn new(name: &str) -> File {
            File(std::env::temp_dir().join(format!("millrace-board-{name}-{}", std::process::id())))
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn who_looks_sees_what_was_written_and_is_noticed() {
        let file = File::new("look");
        let board = Board::create(&file.0, 3, 2).unwrap();
        let watch = Watch::open(&file.0).unwrap();
        assert!(!board.is_watched(10 * LOOKS_FOR_NS));
        watch.ask(10 * LOOKS_FOR_NS);
        assert!(board.is_watched(10 * LOOKS_FOR_NS + 1) && !board.is_watched(11 * LOOKS_FOR_NS));
        board.write(1, &[7; WORDS]);
        assert_eq!((watch.read(0), watch.read(1)), (None, Some([7; WORDS])));
        board.finish_round(0, 5);
        assert!(!watch.is_answered(5), "the other has not");
        board.finish_round(1, 6);
        assert!(watch.is_answered(5) && !watch.is_answered(6));
    }

    #[test]
    fn no_place_is_seen_half_written() {
        let file = File::new("torn");
        let board = Board::create(&file.0, 1, 1).unwrap();
        let watch = Watch::open(&file.0).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (1..200_000).for_each(|n| board.write(0, &[n; WORDS])));
            while !writer.is_finished() {
                if let Some(words) = watch.read(0) {
                    assert!(words.iter().all(|word| *word == words[0]));
                }
            }
        });
        assert_eq!(watch.read(0), Some([199_999; WORDS]));
    }

    #[test]
    fn another_file_is_no_board() {
        let file = File::new("other");
        for bytes in [&b"too short"[..], &[0; 8192]] {
            std::fs::write(&file.0, bytes).unwrap();
            assert_eq!(Watch::open(&file.0).err().unwrap().kind(), io::ErrorKind::InvalidData);
        }
    }
}
