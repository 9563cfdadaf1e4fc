//! epoll, as little of it as is used.
#![allow(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Events taken in one call.
const EVENTS_MAX: usize = 64;

/// What is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
}

pub(crate) struct Epoll {
    fd: OwnedFd,
    events: [libc::epoll_event; EVENTS_MAX],
}

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll { fd, events: [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX] })
    }

    /// Watches a socket, edge-triggered, until it is closed.
    pub fn add(&self, socket: &impl AsRawFd, token: u64) -> io::Result<()> {
        let wanted = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP;
        // A listener's edge would be lost if its queue is not emptied in one turn.
        let edge = if token >> 63 == 0 { libc::EPOLLET } else { 0 };
        let mut event = libc::epoll_event { events: (wanted | edge) as u32, u64: token };
        let (epoll, socket): (RawFd, RawFd) = (self.fd.as_raw_fd(), socket.as_raw_fd());
        // SAFETY: both descriptors are open and `event` is valid for the call.
        match unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket, &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits up to `timeout_us`, rounded down to milliseconds. Returns how many are ready.
    pub fn wait(&mut self, timeout_us: u32) -> usize {
        let (fd, timeout_ms) = (self.fd.as_raw_fd(), (timeout_us / 1000) as i32);
        let events = self.events.as_mut_ptr();
        // SAFETY: `events` has room for `EVENTS_MAX`.
        let count = unsafe { libc::epoll_wait(fd, events, EVENTS_MAX as i32, timeout_ms) };
        usize::try_from(count).unwrap_or(0)
    }

    /// What the last wait found.
    pub fn ready(&self, at: usize) -> Ready {
        let libc::epoll_event { events, u64: token } = self.events[at];
        let any = |flags: i32| events & flags as u32 != 0;
        let over = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;
        Ready { token, readable: any(libc::EPOLLIN | over), writable: any(libc::EPOLLOUT) }
    }

    /// Readable as long as something is ready.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
