//! Who else on the machine may read what the process writes: nobody, or a group.
#![allow(unsafe_code, reason = "system calls")]

use std::ffi::CString;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// Who may read the files: their owner, and a group if one is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Readers {
    group: Option<u32>,
}

impl Readers {
    /// Nobody else.
    pub const NOBODY: Readers = Readers { group: None };

    /// A group, by its name; `None` if there is no such group.
    pub fn group(name: &str) -> io::Result<Option<Readers>> {
        let Ok(name) = CString::new(name) else { return Ok(None) };
        let mut buffer: Vec<libc::c_char> = vec![0; 64 << 10];
        let mut entry = std::mem::MaybeUninit::<libc::group>::uninit();
        let mut found = std::ptr::null_mut();
        let (place, text, room) = (entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len());
        // SAFETY: a terminated name; places for the entry, its strings and the answer.
        let error = unsafe { libc::getgrnam_r(name.as_ptr(), place, text, room, &mut found) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: null, or the address of `entry`, which was filled in.
        Ok(unsafe { found.as_ref() }.map(|entry| Readers { group: Some(entry.gr_gid) }))
    }

    /// The group's number.
    pub fn gid(self) -> Option<u32> {
        self.group
    }

    /// A folder's rights: with a group, what is made in it is the group's too.
    fn folder_mode(self) -> u32 {
        if self.group.is_some() { 0o2750 } else { 0o700 }
    }

    /// Has whatever the process makes from here on be readable by them alone.
    pub fn set_default(self) {
        let mask = if self.group.is_some() { 0o027 } else { 0o077 };
        // SAFETY: a number; cannot fail.
        unsafe { libc::umask(mask) };
    }

    /// Makes a folder if it is not there, with those above it. One that was there stays as it is:
    /// its rights are returned if they are wider.
    pub fn make_folder(self, path: &Path) -> io::Result<Option<u32>> {
        if let Ok(found) = std::fs::metadata(path) {
            let mode = found.mode() & 0o7777;
            return Ok((mode & 0o777 & !self.folder_mode() != 0).then_some(mode));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        if let Some(group) = self.group {
            chown(path, None, Some(group))?;
            std::fs::set_permissions(path, Permissions::from_mode(self.folder_mode()))?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_is_closed_and_an_open_one_is_told_of() {
        let dir = std::env::temp_dir().join(format!("millrace-doors-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        assert_eq!(Readers::NOBODY.make_folder(&dir.join("a/b")).unwrap(), None);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&dir.join("a/b")), 0o700);
        std::fs::set_permissions(dir.join("a/b"), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Readers::NOBODY.make_folder(&dir.join("a/b")).unwrap(), Some(0o755));
        // SAFETY: no arguments; cannot fail.
        if unsafe { libc::geteuid() } == 0 {
            let readers = Readers::group("daemon").unwrap().unwrap();
            assert_eq!(readers.make_folder(&dir.join("c")).unwrap(), None);
            assert_eq!(mode(&dir.join("c")), 0o2750);
            assert_eq!(readers.make_folder(&dir.join("c")).unwrap(), None);
        }
        assert_eq!(Readers::group("nobody-of-that-name").unwrap(), None);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
