//! A ring in a file, which outlives the process of both its ends.
//!
//! What the consumer had not given back is read by whoever comes after ([`left_in`]). The file begins with a page that
//! says what it holds; then comes the ring as it lies in any memory. On a memory file system nobody ever waits for a disk
//! because of it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::mapped::{Access, Mapped};
use super::memory::Memory;
use super::record::Record;
use super::region::{NAME_BYTES, own_user, take_pages};
use super::spsc::{Consumer, Producer, attach, bytes_for, in_memory};

/// Bytes in front of the ring.
const PAGE_BYTES: usize = 4096;

// Words of that page. The magic is written last: without it there is no ring yet.
const MAGIC: usize = 0;
const MAGIC_WORD: u64 = u64::from_ne_bytes(*b"MILLKEPT");
const CAPACITY: usize = 8;
const RECORD_BYTES: usize = 16;
const RECORD_NAME: usize = 24;

/// A mapping behind its first page.
struct InFile(Mapped);

// SAFETY: the mapping is page-aligned, longer than its first page, and lives as long as this; nothing but the ring
// is given the address of what is behind that page.
unsafe impl Memory for InFile {
    fn base(&self) -> NonNull<u8> {
        // SAFETY: the mapping is longer than a page.
        unsafe { self.0.base().byte_add(PAGE_BYTES) }
    }

    fn len(&self) -> usize {
        self.0.bytes() - PAGE_BYTES
    }
}

fn name_words<R: Record>() -> [u64; NAME_BYTES / 8] {
    let mut name = [0; NAME_BYTES];
    name[..R::NAME.len()].copy_from_slice(R::NAME.as_bytes());
    std::array::from_fn(|at| u64::from_ne_bytes(name.as_chunks::<8>().0[at]))
}

/// A ring of `capacity` records (a power of two) in an empty file that is open for both.
pub fn in_file<R: Record>(
    file: &File,
    path: &std::path::Path,
    capacity: usize,
) -> io::Result<(Producer<R>, Consumer<R>)> {
    let bytes = PAGE_BYTES + bytes_for::<R>(capacity);
    let len = take_pages(file, path, bytes as u64).map_err(io::Error::other)?;
    // One mapping for the ring, and one for the page in front, which is said to be there last.
    let whole = InFile(Mapped::new(file, len as usize, Access::Write, true)?);
    let page = Mapped::new(file, PAGE_BYTES, Access::Write, true)?;
    let ends = in_memory(capacity, R::EMPTY, whole);
    page.word(CAPACITY).store(capacity as u64, Relaxed);
    page.word(RECORD_BYTES).store(size_of::<R>() as u64, Relaxed);
    for (at, word) in name_words::<R>().into_iter().enumerate() {
        page.word(RECORD_NAME + 8 * at).store(word, Relaxed);
    }
    page.word(MAGIC).store(MAGIC_WORD, Release);
    Ok(ends)
}

/// What the consumer of a ring whose process is gone had not given back, oldest first; nothing of a ring that was not
/// finished. The file is open for both.
pub fn left_in<R: Record>(file: &File) -> io::Result<Vec<R>> {
    let refused = |what: String| Err(io::Error::new(ErrorKind::InvalidData, what));
    let of = file.metadata()?;
    // The folder may be everybody's, and what stands in the file is believed.
    if of.uid() != own_user() {
        return refused(format!("belongs to user {}", of.uid()));
    }
    let len = of.len() as usize;
    if len < PAGE_BYTES {
        return Ok(vec![]);
    }
    let map = Mapped::new(file, len, Access::Write, true)?;
    match map.word(MAGIC).load(Acquire) {
        0 => return Ok(vec![]),
        MAGIC_WORD => {}
        _ => return refused("not a ring".to_owned()),
    }
    let word = |at| map.word(at).load(Relaxed);
    let capacity = word(CAPACITY) as usize;
    let named = name_words::<R>().into_iter().enumerate();
    let same = named.fold(word(RECORD_BYTES) == size_of::<R>() as u64, |same, (at, name)| {
        same && word(RECORD_NAME + 8 * at) == name
    });
    if !same {
        return refused(format!("not a ring of {}", R::NAME));
    }
    let fits = capacity.is_power_of_two() && capacity <= len / size_of::<R>();
    if !fits || PAGE_BYTES + bytes_for::<R>(capacity) > len {
        return refused(format!("{len} bytes, and said to hold {capacity} records"));
    }
    let Some(mut consumer) = attach::<R>(capacity, InFile(map)) else {
        return refused("says what cannot be of how far it was read".to_owned());
    };
    let (mut left, mut damaged) = (vec![], false);
    consumer.peek(capacity, |claimed| match claimed.get() {
        Some(record) if !damaged => left.push(*record),
        _ => damaged = true,
    });
    if damaged {
        return refused(format!("record {} is none", left.len()));
    }
    Ok(left)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::path::PathBuf;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let name = format!("millrace-kept-{name}-{}", std::process::id());
            Scratch(std::env::temp_dir().join(name))
        }

        fn open(&self) -> File {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).open(&self.0).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_was_published_and_not_given_back_is_left_however_often_it_went_round() {
        for read in [0, 3, 8, 13, 800] {
            let scratch = Scratch::new("round");
            let (mut tx, mut rx) = in_file::<u64>(&scratch.open(), &scratch.0, 8).unwrap();
            for n in 0..read {
                assert!(tx.push(&n));
                assert_eq!(rx.pop(), Some(n));
            }
            for n in read..read + 5 {
                assert!(tx.stage(&n));
                if n % 3 == 0 {
                    tx.publish();
                }
            }
            tx.publish();
            // What is looked at is not given back; what is staged was never there.
            assert_eq!(rx.peek(2, |_| ()), 2);
            assert!(tx.stage(&99));
            let left: Vec<u64> = left_in(&scratch.open()).unwrap();
            assert_eq!(left, (read..read + 5).collect::<Vec<_>>());
            assert_eq!(left_in::<u64>(&scratch.open()).unwrap(), left, "as often as one looks");
        }
    }

    #[test]
    fn what_is_no_such_ring_is_refused_and_an_unfinished_one_is_empty() {
        let scratch = Scratch::new("none");
        assert!(left_in::<u64>(&scratch.open()).unwrap().is_empty());
        scratch.open().set_len(1 << 16).unwrap();
        assert!(left_in::<u64>(&scratch.open()).unwrap().is_empty());
        std::fs::write(&scratch.0, vec![7; 1 << 16]).unwrap();
        assert!(left_in::<u64>(&scratch.open()).is_err());
        std::fs::remove_file(&scratch.0).unwrap();
        drop(in_file::<u64>(&scratch.open(), &scratch.0, 64).unwrap());
        assert!(left_in::<u32>(&scratch.open()).unwrap_err().to_string().contains("u32"));
        // Only root can give a file away.
        if std::os::unix::fs::chown(&scratch.0, Some(1), None).is_ok() {
            let refused = left_in::<u64>(&scratch.open()).unwrap_err().to_string();
            assert_eq!(refused, "belongs to user 1");
            std::os::unix::fs::chown(&scratch.0, Some(own_user()), None).unwrap();
        }
        scratch.open().set_len(5000).unwrap();
        assert!(left_in::<u64>(&scratch.open()).unwrap_err().to_string().contains("5000 bytes"));
    }
}
