//! Files mapped into memory that other processes look into.
#![allow(unsafe_code, reason = "maps a file")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// A shared mapping of a file, seen as 64-bit words.
pub(super) struct Mapped {
    base: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the mapping belongs to `Mapped` and is not bound to a thread.
unsafe impl Send for Mapped {}
// SAFETY: the mapping is accessed only through atomics.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps the first `len` bytes of a file that is open for reading and writing, and at least so long;
    /// `at_once` has them in memory from the start.
    pub fn new(file: &File, len: usize, at_once: bool) -> io::Result<Mapped> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_SHARED | if at_once { libc::MAP_POPULATE } else { 0 };
        let (anywhere, fd) = (std::ptr::null_mut(), file.as_raw_fd());
        // SAFETY: a new shared mapping of an open file.
        let base = unsafe { libc::mmap(anywhere, len, access, kind, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("a mapping is not at 0");
        Ok(Mapped { base, len })
    }

    /// The word at an offset, a multiple of 8, in bytes.
    #[inline]
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "a word of the mapping");
        // SAFETY: within the mapping, as was just made sure.
        let word = unsafe { self.base.byte_add(offset) };
        // SAFETY: aligned, and alive as long as `self`.
        unsafe { word.as_ref() }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are of one mapping, unmapped once.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
