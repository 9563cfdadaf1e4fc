//! How much of a disk is left.
#![allow(unsafe_code, reason = "a system call")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the disk is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// Bytes that a process without privileges may still write to the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    free_bytes_of(&CString::new(path.as_os_str().as_bytes())?)
}

fn free_bytes_of(path: &CStr) -> io::Result<u64> {
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a terminated path, and a place for the answer.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeros are a value, and the call filled it in.
    let found = unsafe { found.assume_init() };
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether a disk is nearly full: set by whoever watches it, read by anyone.
#[derive(Clone, Debug, Default)]
pub struct NearlyFull(Arc<AtomicBool>);

impl NearlyFull {
    /// What was seen last.
    #[inline]
    pub fn get(&self) -> bool {
        // Nothing else is told by it.
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, full: bool) {
        self.0.store(full, Ordering::Relaxed);
    }
}

/// Looks at a disk now and then.
pub struct DiskWatch {
    path: CString,
    min_free_bytes: u64,
    full: NearlyFull,
    looked: Instant,
}

impl DiskWatch {
    /// Watches the disk of `path`, which is nearly full with less than `min_free_bytes` left.
    pub fn new(path: &Path, min_free_bytes: u64) -> DiskWatch {
        let full = NearlyFull::default();
        // A path with a zero in it is no directory's.
        let path = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        let mut watch = DiskWatch { path, min_free_bytes, full, looked: Instant::now() };
        watch.look();
        watch
    }

    /// What others ask.
    pub fn nearly_full(&self) -> NearlyFull {
        self.full.clone()
    }

    /// Looks if it is time. Bytes that are left, if it looked.
    pub fn poll(&mut self) -> Option<u64> {
        if self.looked.elapsed() < EVERY {
            return None;
        }
        self.looked = Instant::now();
        self.look()
    }

    fn look(&mut self) -> Option<u64> {
        let free = free_bytes_of(&self.path).ok()?;
        let full = free < self.min_free_bytes;
        if full != self.full.get() {
            let (dir, min) = (self.path.to_string_lossy(), self.min_free_bytes);
            if full {
                tracing::warn!(%dir, free, min, "the disk is nearly full: no new orders are taken");
            } else {
                tracing::info!(%dir, free, min, "the disk has room again: new orders are taken");
            }
            self.full.set(full);
        }
        Some(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_less_than_is_wanted_is_nearly_full() {
        let dir = std::env::temp_dir();
        assert!(free_bytes(&dir).unwrap() > 0);
        assert!(free_bytes(Path::new("/no/such/place")).is_err());
        assert!(DiskWatch::new(&dir, u64::MAX).nearly_full().get());
        assert!(!DiskWatch::new(&dir, 1).nearly_full().get());
    }
}
