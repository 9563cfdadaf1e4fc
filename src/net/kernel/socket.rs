//! Socket options.
#![allow(unsafe_code, reason = "system calls")]

use std::io::{self, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// Microseconds the kernel may busy-poll the device queue on an empty read.
const BUSY_POLL_US: i32 = 50;

/// Makes an accepted socket non-blocking and quick. Busy polling and quick acknowledgements are
/// asked for and not insisted on: they need a privilege, or are on already.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let _ = set(stream, libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1);
    let _ = set(stream, libc::SOL_SOCKET, libc::SO_BUSY_POLL, BUSY_POLL_US);
    Ok(())
}

/// Has a listener keep up to `connections` that were not accepted yet; the system's `somaxconn` is
/// the most it keeps of any. On a socket that listens already this changes nothing else.
pub(super) fn deepen(listener: &TcpListener, connections: usize) -> io::Result<()> {
    let backlog = i32::try_from(connections).unwrap_or(i32::MAX);
    // SAFETY: an open descriptor and a number.
    match unsafe { libc::listen(listener.as_raw_fd(), backlog) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Writes pieces one behind the other. A peer that is gone is an error and never a signal, whatever the process that
/// this runs in does about signals.
#[inline]
pub(super) fn send_all_of(stream: &TcpStream, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: all zeros is a header without address, pieces and control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // An `IoSlice` is an `iovec` on Unix; the kernel only reads through it.
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len();
    // SAFETY: an open descriptor; the header and the pieces live until the call is over.
    match unsafe { libc::sendmsg(stream.as_raw_fd(), &message, libc::MSG_NOSIGNAL) } {
        count if count >= 0 => Ok(count as usize),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set(stream: &TcpStream, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    let value: *const i32 = &value;
    // SAFETY: the descriptor is open and `value` points at `length` bytes.
    match unsafe { libc::setsockopt(stream.as_raw_fd(), level, option, value.cast(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
