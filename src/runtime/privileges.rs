//! Giving privileges up once everything that needs them is set up.
#![allow(unsafe_code, reason = "system calls")]

use std::ffi::CString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::Path;

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegesError {
    /// The process cannot change its user.
    #[error("[gateway] user = \"{0}\": only a process that starts as root can become another user")]
    NotRoot(String),
    /// There is no such user.
    #[error("[gateway] user = \"{0}\": there is no such user; `useradd --system {0}` makes one")]
    Unknown(String),
    /// It is root.
    #[error("[gateway] user = \"{0}\" has all privileges; name one that has none")]
    Root(String),
    /// Capabilities are missing.
    #[error(
        "{what} needs {missing}: run as root with [gateway] user = \"...\", or give the process what is missing (AmbientCapabilities= in its systemd unit)"
    )]
    Missing {
        /// What needs them.
        what: &'static str,
        /// Their names.
        missing: String,
    },
    /// The system refused.
    #[error("cannot become user \"{user}\": {source}")]
    System {
        /// The user.
        user: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Whether the process has all privileges.
pub fn is_root() -> bool {
    // SAFETY: no arguments; cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Becomes another user for good: no groups but its own, no capability, and no way back through
/// a set-user-id program.
pub fn drop_privileges(user: &str) -> Result<(), PrivilegesError> {
    if !is_root() {
        return Err(PrivilegesError::NotRoot(user.to_owned()));
    }
    let refused = |source| PrivilegesError::System { user: user.to_owned(), source };
    let unknown = || PrivilegesError::Unknown(user.to_owned());
    let (uid, gid) = ids(user).map_err(refused)?.ok_or_else(unknown)?;
    if uid == 0 {
        return Err(PrivilegesError::Root(user.to_owned()));
    }
    // SAFETY: no groups are read.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }).map_err(refused)?;
    // SAFETY: no pointers.
    check(unsafe { libc::setgid(gid) }).map_err(refused)?;
    // SAFETY: no pointers. Capabilities go with the user id.
    check(unsafe { libc::setuid(uid) }).map_err(refused)?;
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map_err(refused)
}

/// Makes a folder that a user who has no privileges will write to, or gives it an empty one that is
/// root's: a service manager makes it for the user that it starts the process as.
pub fn give_folder(path: &Path, user: &str) -> Result<(), PrivilegesError> {
    let refused = |source| PrivilegesError::System { user: user.to_owned(), source };
    let unknown = || PrivilegesError::Unknown(user.to_owned());
    let (uid, gid) = ids(user).map_err(refused)?.ok_or_else(unknown)?;
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(refused)?;
    let is_empty = std::fs::read_dir(path).map_err(refused)?.next().is_none();
    if is_empty && std::fs::metadata(path).map_err(refused)?.uid() == 0 {
        chown(path, Some(uid), Some(gid)).map_err(refused)?;
    }
    Ok(())
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// User and group number of a name.
fn ids(user: &str) -> io::Result<Option<(libc::uid_t, libc::gid_t)>> {
    let Ok(name) = CString::new(user) else { return Ok(None) };
    let mut buffer: Vec<libc::c_char> = vec![0; 16 << 10];
    let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
    let mut found = std::ptr::null_mut();
    let (place, text) = (entry.as_mut_ptr(), buffer.as_mut_ptr());
    // SAFETY: a terminated name; places for the entry, its strings and the answer.
    let error = unsafe { libc::getpwnam_r(name.as_ptr(), place, text, buffer.len(), &mut found) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: null, or the address of `entry`, which was filled in.
    Ok(unsafe { found.as_ref() }.map(|entry| (entry.pw_uid, entry.pw_gid)))
}

/// What the header of capget(2) and capset(2) says: version 3, this thread.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

impl CapabilityHeader {
    const THIS_THREAD: CapabilityHeader = CapabilityHeader { version: 0x2008_0522, pid: 0 };
}

/// A capability by its name (capabilities(7)) and number in linux/capability.h.
#[derive(Clone, Copy, Debug)]
pub struct Capability(pub &'static str, pub u32);

impl Capability {
    /// Sets interfaces up.
    pub const NET_ADMIN: Capability = Capability("CAP_NET_ADMIN", 12);
    /// Opens raw sockets.
    pub const NET_RAW: Capability = Capability("CAP_NET_RAW", 13);
    /// Locks memory without a limit.
    pub const IPC_LOCK: Capability = Capability("CAP_IPC_LOCK", 14);
    /// Everything else; it includes [`Capability::BPF`].
    pub const SYS_ADMIN: Capability = Capability("CAP_SYS_ADMIN", 21);
    /// Loads programs into the kernel.
    pub const BPF: Capability = Capability("CAP_BPF", 39);

    /// Whether this thread has it.
    pub fn is_held(self) -> bool {
        // Effective, permitted and inheritable, the low halves first.
        let mut sets = [0u32; 6];
        let header = CapabilityHeader::THIS_THREAD;
        // SAFETY: header and data have the layout of version 3 (capget(2)).
        unsafe { libc::syscall(libc::SYS_capget, &header, &mut sets) };
        let effective = u64::from(sets[3]) << 32 | u64::from(sets[0]);
        effective >> self.1 & 1 == 1
    }
}

/// Refuses unless this thread has all of `needed`, and names those it has not.
pub fn need_capabilities(what: &'static str, needed: &[Capability]) -> Result<(), PrivilegesError> {
    let is_held = |capability: &Capability| {
        capability.is_held() || capability.1 == Capability::BPF.1 && Capability::SYS_ADMIN.is_held()
    };
    let missing = needed.iter().filter(|capability| !is_held(capability));
    let missing = missing.map(|capability| capability.0).collect::<Vec<_>>().join(", ");
    if missing.is_empty() { Ok(()) } else { Err(PrivilegesError::Missing { what, missing }) }
}

/// Gives up every capability of this thread and those it starts, where the process is not root:
/// what it was given for its set-up alone.
pub fn drop_capabilities() {
    if is_root() {
        return;
    }
    let header = CapabilityHeader::THIS_THREAD;
    let none = [0u32; 6];
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    // SAFETY: header and data have the layout of version 3 (capset(2)).
    unsafe { libc::syscall(libc::SYS_capset, &header, &none) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_numbers() {
        assert_eq!(ids("root").unwrap(), Some((0, 0)));
        assert_eq!(ids("nobody-of-that-name").unwrap(), None);
    }

    #[test]
    fn nobody_becomes_root_or_an_unknown_user() {
        // SAFETY: no arguments; cannot fail.
        if unsafe { libc::geteuid() } == 0 {
            assert!(matches!(drop_privileges("root"), Err(PrivilegesError::Root(_))));
            assert!(matches!(drop_privileges("no-such-user"), Err(PrivilegesError::Unknown(_))));
        } else {
            assert!(matches!(drop_privileges("root"), Err(PrivilegesError::NotRoot(_))));
        }
    }
}
