//! Rings that processes share: two files in a directory of memory, such as `/dev/shm` or a hugetlbfs.
//!
//! `NAME.ring` has the records and what the writer says; readers map it for reading only. A queue has
//! `NAME.reader` beside it, a page in which its one reader says how far it is. `docs/RINGS.md` tells both
//! byte by byte; `bindings/` has the same ends in C and Python.
//!
//! Each file is locked by who writes to it, for as long as the process lives: a second writer, or a second
//! reader of a queue, is refused. Who may open them is a matter of the files' mode and group. An end that
//! died is followed by another, which goes on where it was: what was published is there, what was not never
//! was, and a reader sees a record again that it did not give back.
//!
//! ```
//! use millrace::ring::region::{self, Place, Terms};
//! # let dir = std::env::temp_dir().join(format!("millrace-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).unwrap();
//! let place = Place::new(&dir, "ticks")?;
//! let mut tx = region::send::<u64>(&place, &Terms::default())?;
//! let mut rx = region::receive::<u64>(&place, region::Start::Onward)?;
//! tx.push(&7);
//! assert_eq!(rx.pop()?, Some(7));
//! # std::fs::remove_dir_all(&dir).unwrap();
//! # Ok::<(), region::RegionError>(())
//! ```

mod attached;
mod file;
mod hold;
mod layout;
mod look;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use attached::{Attached, Receiver, Start, publish, receive, send, subscribe};
pub(super) use file::{own_user, take_pages};
pub(super) use layout::NAME_BYTES;
pub use layout::{Kind, Life};
pub use look::{Reading, Sight, look};

/// Longest name of a ring.
const NAME_MAX: usize = 64;

/// Where a shared ring is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    dir: PathBuf,
    name: String,
}

impl Place {
    /// The directory that rings are in unless another is given.
    pub const DIR: &str = "/dev/shm";

    /// A ring in a directory: 1 to 64 letters, digits, dashes, underscores and dots, no dot first.
    pub fn new(dir: impl AsRef<Path>, name: &str) -> Result<Place, RegionError> {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let fits = (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.');
        if !fits || !name.chars().all(fine) {
            return Err(RegionError::Name { name: name.to_owned() });
        }
        Ok(Place { dir: dir.as_ref().to_owned(), name: name.to_owned() })
    }

    /// The file of the records.
    pub fn ring(&self) -> PathBuf {
        self.dir.join(format!("{}.ring", self.name))
    }

    /// The file in which a queue's reader says how far it is.
    pub fn reader(&self) -> PathBuf {
        self.dir.join(format!("{}.reader", self.name))
    }
}

/// How a ring is made, if it is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Records it holds, a power of two from 2 on.
    pub capacity: usize,
    /// The mode of `NAME.ring`; who may read it may also write `NAME.reader`. Others than the owner are
    /// never let write the records.
    pub mode: u32,
    /// The group of both files, if not the process's own.
    pub group: Option<u32>,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { capacity: 4096, mode: 0o640, group: None }
    }
}

/// Why an end of a ring cannot be had, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// Not a name.
    #[error(
        "a ring's name is 1 to {NAME_MAX} letters, digits, dashes, underscores and dots, no dot first, \
         not {name:?}"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// No such ring yet, or it is being made.
    #[error("there is no ring {}: its writer makes it", path.display())]
    NotThere {
        /// Its file.
        path: PathBuf,
    },
    /// Somebody else has this end.
    #[error("{} has a {end} already, process {pid}", path.display())]
    Taken {
        /// Its file.
        path: PathBuf,
        /// "writer" or "reader".
        end: &'static str,
        /// Who it says it is.
        pid: u64,
    },
    /// Not a ring, another version, another kind, other records, another owner.
    #[error("{}: {what}", path.display())]
    Refused {
        /// Its file.
        path: PathBuf,
        /// What it is, and what it should be.
        what: String,
    },
    /// The system said no.
    #[error("cannot {what} {}: {error}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// The writer wrote what is no record of the kind; a queue's reader cannot pass it.
    #[error("record {index} is not what the ring is said to hold")]
    Damaged {
        /// Which one.
        index: u64,
    },
}

impl RegionError {
    fn refused(path: &Path, what: impl Into<String>) -> RegionError {
        RegionError::Refused { path: path.to_owned(), what: what.into() }
    }

    fn system<'a>(
        what: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(std::io::Error) -> RegionError + use<'a> {
        move |error| RegionError::System { what, path: path.to_owned(), error }
    }
}
