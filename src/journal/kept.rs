//! What was sequenced and is not on disk, where a crash of the process leaves it.
//!
//! Where answers do not wait for the disk, the ring to the journal lies in a file of a memory file system. The writer
//! gives a record's place back once it is on disk, so at any time the file holds all that is not. Whoever recovers
//! after a kill takes it from there, and acknowledges nothing before it is in the journal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::JournalError;
use crate::order::{Command, SeqNum};
use crate::ring::{Consumer, Producer, in_file, left_in};

/// A journal's ring, in a file of its own.
pub struct Kept {
    path: PathBuf,
    file: Option<File>,
}

impl Kept {
    /// Of the journal of this name that began at this time.
    pub fn of(dir: &Path, session: [u8; 10], begun_ns: u64) -> Kept {
        let name = String::from_utf8_lossy(&session).trim_end().to_owned();
        Kept { path: dir.join(format!("millrace-{name}-{begun_ns:016x}.journal")), file: None }
    }

    /// Whether a process that is gone left it: nothing it sequenced is lost then.
    pub fn is_there(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|file| file.len() > 0)
    }

    /// The commands behind the journal's last that a process left which is gone.
    pub fn left(&self, last: SeqNum) -> Result<Vec<Command>, JournalError> {
        let file = match open(&self.path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            opened => opened.map_err(JournalError::io("open", &self.path))?,
        };
        let mut left: Vec<Command> =
            left_in(&file).map_err(JournalError::io("take what a crash left in", &self.path))?;
        left.retain(|command| command.seq > last);
        let expected = (last.0 + 1..).map(SeqNum);
        match left.iter().zip(expected).find(|(command, expected)| command.seq != *expected) {
            None => Ok(left),
            Some((command, expected)) => {
                Err(JournalError::Gap { path: self.path.clone(), expected, found: command.seq })
            }
        }
    }

    /// The ring anew, with what was left in it to be written first. What was there stays until all of it is here.
    pub fn ring(
        &mut self,
        capacity: usize,
        left: &[Command],
    ) -> io::Result<(Producer<Command>, Consumer<Command>)> {
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let new = self.path.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let made = || -> io::Result<_> {
            let file = open(&new, true)?;
            let (mut commands, reader) = in_file(&file, &new, capacity)?;
            if commands.push_slice(left) < left.len() {
                return Err(io::Error::other("more was left than the ring holds"));
            }
            std::fs::rename(&new, &self.path)?;
            Ok((file, commands, reader))
        };
        let (file, commands, reader) = made().inspect_err(|_| _ = std::fs::remove_file(&new))?;
        self.file = Some(file);
        Ok((commands, reader))
    }

    /// Everything is in the journal: the memory is given back. A confined process may not remove the file's name.
    pub fn clear(self) {
        if let Some(file) = self.file.or_else(|| open(&self.path, false).ok()) {
            let _ = file.set_len(0);
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Opens a file that nobody else may look into.
fn open(path: &Path, new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(new).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(seqs: std::ops::RangeInclusive<u64>) -> Vec<Command> {
        seqs.map(|seq| Command { seq: SeqNum(seq), ..Command::EMPTY }).collect()
    }

    #[test]
    fn what_is_not_in_the_journal_is_left_and_a_gap_is_refused() {
        let dir = std::env::temp_dir().join(format!("millrace-kept-dir-{}", std::process::id()));
        let of = || Kept::of(&dir, *b"MR00000001", 77);
        assert!(of().left(SeqNum(0)).unwrap().is_empty());
        let (mut tx, mut rx) = of().ring(64, &commands(3..=5)).unwrap();
        assert_eq!(tx.push_slice(&commands(6..=20)), 15);
        assert_eq!(rx.pop_batch(4, |_| ()), 4);
        assert!(of().left(SeqNum(6)).unwrap() == commands(7..=20));
        assert!(of().left(SeqNum(18)).unwrap() == commands(19..=20));
        assert!(of().left(SeqNum(20)).unwrap().is_empty());
        let gap = of().left(SeqNum(2)).unwrap_err().to_string();
        assert!(
            gap.contains("goes on with record 7, and the journal ends before record 3"),
            "{gap}"
        );
        // Another journal's is another file.
        assert!(Kept::of(&dir, *b"MR00000001", 78).left(SeqNum(0)).unwrap().is_empty());
        // What replaces it begins with what was left, and one that cannot be made leaves all as it was.
        assert!(of().ring(8, &commands(7..=20)).is_err());
        assert!(of().left(SeqNum(6)).unwrap() == commands(7..=20));
        let mut next = of();
        drop(next.ring(32, &commands(7..=20)).unwrap());
        assert!(of().left(SeqNum(6)).unwrap() == commands(7..=20));
        assert!(of().is_there());
        next.clear();
        assert!(!of().is_there());
        assert!(of().left(SeqNum(6)).unwrap().is_empty());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(&dir).unwrap();
    }
}
