//! Socket options.
#![allow(unsafe_code, reason = "system calls")]

use std::io;
use std::net::TcpStream;
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

fn set(stream: &TcpStream, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    let value: *const i32 = &value;
    // SAFETY: the descriptor is open and `value` points at `length` bytes.
    match unsafe { libc::setsockopt(stream.as_raw_fd(), level, option, value.cast(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
