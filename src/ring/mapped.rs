//! Files mapped into memory that other processes look into.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// What a mapping is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// To be read; the file is open for reading.
    Read,
    /// To be written too; the file is open for both.
    Write,
}

/// A shared mapping of a file, seen as 64-bit words.
pub(crate) struct Mapped {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to `Mapped` and is not bound to a thread.
unsafe impl Send for Mapped {}
// SAFETY: the mapping is accessed only through atomics, or through `base` by who answers for it.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps the first `len` bytes of a file that is at least so long; `at_once` has them in memory from the
    /// start.
    pub fn new(file: &File, len: usize, access: Access, at_once: bool) -> io::Result<Mapped> {
        let protection = match access {
            Access::Read => libc::PROT_READ,
            Access::Write => libc::PROT_READ | libc::PROT_WRITE,
        };
        let kind = libc::MAP_SHARED | if at_once { libc::MAP_POPULATE } else { 0 };
        let (anywhere, fd) = (std::ptr::null_mut(), file.as_raw_fd());
        // SAFETY: a new shared mapping of an open file.
        let base = unsafe { libc::mmap(anywhere, len, protection, kind, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("a mapping is not at 0");
        Ok(Mapped { base, len })
    }

    /// First byte, aligned to a page.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes of the mapping.
    pub fn bytes(&self) -> usize {
        self.len
    }

    /// The word at an offset, a multiple of 8, in bytes. One that may only be read is not to be stored to.
    #[inline]
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "a word of the mapping");
        // SAFETY: within the mapping, as was just made sure.
        let word = unsafe { self.base.byte_add(offset) };
        // SAFETY: aligned, and alive as long as `self`.
        unsafe { word.cast::<AtomicU64>().as_ref() }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are of one mapping, unmapped once.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
