//! Messages back out of the files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::file;

/// One message of an audit file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When the gateway saw it, UTC with nanoseconds, as `2026-07-01T12:04:05.000001234Z`.
    pub time: String,
    /// Whose it is; `-` before a login.
    pub session: String,
    /// `in` or `out`.
    pub direction: String,
    /// What the session speaks.
    pub protocol: String,
    /// The message.
    pub message: Vec<u8>,
}

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system's reason.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not an audit file, or damaged.
    #[error("{path} is damaged behind {entries} messages")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How many were good.
        entries: u64,
    },
}

/// The audit files of a directory, oldest first.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, ReadError> {
    file::list(dir).map_err(|source| ReadError::Io { path: dir.to_owned(), source })
}

/// Reads one file, compressed or not, and calls `each` with its messages. The last may be there in
/// part, because the file is being written or its writer ended: it is left out.
pub fn read(path: &Path, mut each: impl FnMut(&Entry)) -> Result<(), ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let compressed = path.extension().is_some_and(|extension| extension == "zst");
    let mut from: Box<dyn BufRead> = match compressed {
        true => Box::new(BufReader::new(zstd::Decoder::new(file).map_err(failed)?)),
        false => Box::new(BufReader::new(file)),
    };
    let mut line = String::new();
    let mut entries = 0;
    loop {
        line.clear();
        if from.read_line(&mut line).map_err(failed)? == 0 || !line.ends_with('\n') {
            return Ok(());
        }
        let damaged = || ReadError::Damaged { path: path.to_owned(), entries };
        let mut words = line.trim_end().split(' ').map(str::to_owned);
        let mut word = || words.next().ok_or_else(damaged);
        let (time, session, direction, protocol, length) =
            (word()?, word()?, word()?, word()?, word()?);
        let length: usize = length.parse().map_err(|_| damaged())?;
        if length > 1 << 16 {
            return Err(damaged());
        }
        let mut message = vec![0; length + 1];
        match from.read_exact(&mut message) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other.map_err(failed)?,
        }
        if message.pop() != Some(b'\n') {
            return Err(damaged());
        }
        each(&Entry { time, session, direction, protocol, message });
        entries += 1;
    }
}
