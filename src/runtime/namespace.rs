//! Network namespaces of threads.
#![allow(unsafe_code, reason = "system calls")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// The network namespace a thread is in.
pub struct Namespace(File);

impl Namespace {
    /// This thread's.
    pub fn current() -> io::Result<Namespace> {
        File::open("/proc/thread-self/ns/net").map(Namespace)
    }

    /// One that `ip netns` knows.
    pub fn named(name: &str) -> io::Result<Namespace> {
        File::open(format!("/run/netns/{name}")).map(Namespace)
    }

    /// Moves this thread into it, and so the sockets, threads and processes it starts from now
    /// on. Needs CAP_SYS_ADMIN.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: an open descriptor; only this thread moves.
        match unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWNET) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Does something in it, and comes back.
    pub fn run<R>(&self, what: impl FnOnce() -> R) -> io::Result<R> {
        let before = Namespace::current()?;
        self.enter()?;
        let result = what();
        before.enter()?;
        Ok(result)
    }
}
