//! The write-ahead log of sequenced commands.
//!
//! A journal is a directory of segment files, `000001.journal` and on, each preallocated: a
//! header of 4096 bytes ([`format::Header`]), then 131,072 places for records of 128 bytes. A
//! record is a [`Command`](crate::order::Command) as it stands in memory, and behind it a crc32c of
//! itself. Places not yet written are zero.
//!
//! The writer takes what is in its ring, writes it in one piece, and waits until it is on disk
//! (`fdatasync`) before it writes more. Each record says how many records before it belong to
//! the same write, so a reader can tell a torn tail (part of the last write is missing, which
//! was never acknowledged) from a hole (something is missing that a later write proves was on
//! disk): the first is dropped, the second refused.

mod ahead;
mod chaser;
pub mod format;
mod kept;
mod lock;
mod reader;
mod segment_file;
mod staging;
mod writer;

pub use chaser::Chaser;
pub use kept::Kept;
pub use lock::DirectoryLock;
pub use reader::{Reader, Tail, header, read_all, repair};
pub use writer::{Durable, JournalWriter, Start};

use std::path::{Path, PathBuf};

use crate::order::SeqNum;

/// What can be wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A segment's header is not one.
    #[error("{}: {what}; move the file away if it is not part of this journal", path.display())]
    Header {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A record is missing although later ones were written.
    #[error(
        "{}: hole at byte {offset}: record {expected} is missing or damaged, but record {found}, \
         written after it was on disk, is there; restore the file from a copy, or move it and \
         all later segments away to lose everything from record {expected} on",
        path.display()
    )]
    Hole {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The record that should be there.
        expected: SeqNum,
        /// A later record that is.
        found: SeqNum,
    },
    /// What a crash left does not go on where the journal ends.
    #[error(
        "{}: goes on with record {found}, and the journal ends before record {expected}; restore the journal that \
         belongs to it, or remove the file to lose what is in it",
        path.display()
    )]
    Gap {
        /// The file of what was left.
        path: PathBuf,
        /// The record behind the journal's last.
        expected: SeqNum,
        /// The first that was left.
        found: SeqNum,
    },
    /// The directory is another process's.
    #[error("{} is in use by another millrace; stop it, or choose another data_dir", path.display())]
    InUse {
        /// Which directory.
        path: PathBuf,
    },
}

impl JournalError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
        move |source| JournalError::Io { what, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests;
