//! One process, one data directory.
#![allow(unsafe_code, reason = "flock")]

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

use super::JournalError;

/// Holds a data directory for this process; let go when dropped or when the process ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates the directory if need be, and takes it.
    pub fn take(dir: &Path) -> Result<DirectoryLock, JournalError> {
        std::fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
        let path = dir.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(JournalError::io("open", &path))?;
        // SAFETY: `flock` on a descriptor that `file` keeps open.
        let taken = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        if taken == 0 {
            Ok(DirectoryLock { _file: file })
        } else {
            Err(JournalError::InUse { path: dir.to_owned() })
        }
    }
}
