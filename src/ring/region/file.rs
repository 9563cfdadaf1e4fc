//! The files of a shared ring: opened, locked, and with all their pages from the start.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{RegionError, Terms};
use crate::ring::mapped::{Access, Mapped};

/// Opens a file that should be there.
pub(super) fn open(path: &Path, access: Access) -> Result<File, RegionError> {
    let mut options = OpenOptions::new();
    options.read(true).write(access == Access::Write).custom_flags(libc::O_NOFOLLOW);
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => RegionError::NotThere { path: path.to_owned() },
        _ => RegionError::system("open", path)(error),
    })
}

/// The user that this process is.
pub(in super::super) fn own_user() -> u32 {
    // SAFETY: no arguments; cannot fail.
    unsafe { libc::geteuid() }
}

/// Opens a file of this process's user for writing; one that is not there is made, empty.
pub(super) fn open_or_make(path: &Path) -> Result<File, RegionError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path).map_err(RegionError::system("open", path))?;
    let owner = file.metadata().map_err(RegionError::system("look at", path))?.uid();
    let me = own_user();
    if owner != me {
        let what = format!("belongs to user {owner}, a ring belongs to its writer's, {me}");
        return Err(RegionError::refused(path, what));
    }
    Ok(file)
}

/// A file's length, which is at least so many bytes; one that is empty is being made.
pub(super) fn check_len(file: &File, path: &Path, least: u64) -> Result<u64, RegionError> {
    match file.metadata().map_err(RegionError::system("look at", path))?.len() {
        0 => Err(RegionError::NotThere { path: path.to_owned() }),
        len if len < least => {
            Err(RegionError::refused(path, format!("was cut short: {len} bytes of {least}")))
        }
        len => Ok(len),
    }
}

/// Whether the file at a path is this one still.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let same =
        |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((file.metadata(), std::fs::metadata(path)), (Ok(a), Ok(b)) if same(&a, &b))
}

/// Whether there is nothing in a file.
pub(super) fn is_empty(file: &File, path: &Path) -> Result<bool, RegionError> {
    Ok(file.metadata().map_err(RegionError::system("look at", path))?.len() == 0)
}

/// Makes an empty file so long, all zero, with every page there now: a full file system says so here, and not
/// by a signal at some later store.
pub(in super::super) fn take_pages(
    file: &File,
    path: &Path,
    bytes: u64,
) -> Result<u64, RegionError> {
    let bytes = bytes.next_multiple_of(block_bytes(file));
    let Ok(len) = libc::off_t::try_from(bytes) else {
        return Err(RegionError::refused(path, format!("{bytes} bytes are more than a file has")));
    };
    // SAFETY: a system call on a descriptor that `file` keeps open.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) } {
        0 => Ok(bytes),
        error => {
            let error = io::Error::from_raw_os_error(error);
            Err(RegionError::system("take the memory of", path)(error))
        }
    }
}

/// What a file's length is a multiple of: a huge page where it is made of those.
fn block_bytes(file: &File) -> u64 {
    let mut found = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: a system call on an open descriptor, which fills the place.
    let failed = unsafe { libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) } != 0;
    // SAFETY: zeros are valid for it, and the call may have filled it.
    let found = unsafe { found.assume_init() };
    let page = super::layout::PAGE_BYTES as u64;
    let huge = !failed && i128::from(found.f_type) == i128::from(libc::HUGETLBFS_MAGIC);
    if huge { found.f_bsize as u64 } else { page }
}

/// Who may open the file: those of the terms, and with the rights of `mode`.
pub(super) fn open_doors(
    file: &File,
    path: &Path,
    terms: &Terms,
    mode: u32,
) -> Result<(), RegionError> {
    if let Some(group) = terms.group {
        fchown(file, None, Some(group)).map_err(RegionError::system("give to its group", path))?;
    }
    let mode = Permissions::from_mode(mode);
    file.set_permissions(mode).map_err(RegionError::system("set the mode of", path))
}

/// A file that nobody else has locked, as long as this lives: dropped, or gone with its process.
pub(super) struct Locked {
    pub file: File,
}

impl Drop for Locked {
    /// A mapping keeps the open file, and so its lock, longer than its descriptor does.
    fn drop(&mut self) {
        let mut lock = whole_file();
        lock.l_type = libc::F_UNLCK as libc::c_short;
        // SAFETY: a system call on an open descriptor; the lock's range is only read.
        unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_SETLK, &lock) };
    }
}

impl Locked {
    /// Locks a file that is open for writing; gives it back if somebody else has.
    pub fn take(file: File) -> Result<Locked, File> {
        let lock = whole_file();
        // SAFETY: a system call on an open descriptor; the lock's range is only read.
        let taken = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } == 0;
        if taken { Ok(Locked { file }) } else { Err(file) }
    }

    /// Whether somebody has locked a file; asking takes nothing.
    pub fn is_held(file: &File) -> bool {
        let mut lock = whole_file();
        // SAFETY: a system call on an open descriptor, which says in `lock` who is in the way.
        let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut lock) } == 0;
        asked && lock.l_type != libc::F_UNLCK as libc::c_short
    }
}

/// A lock for writing, of an open file and not of a process: a copy of it that another thread closes lets
/// nothing go.
fn whole_file() -> libc::flock {
    // SAFETY: numbers, for which zeros are valid.
    let mut lock = unsafe { std::mem::zeroed::<libc::flock>() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// Maps a file as a whole: part of a huge page cannot be given back.
pub(super) fn map(
    file: &File,
    path: &Path,
    len: u64,
    access: Access,
) -> Result<Mapped, RegionError> {
    let system = RegionError::system("map", path);
    let Ok(len) = usize::try_from(len) else {
        return Err(system(io::ErrorKind::OutOfMemory.into()));
    };
    Mapped::new(file, len, access, true).map_err(system)
}

/// Unix nanoseconds.
pub(super) fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
