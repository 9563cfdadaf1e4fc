//! Socket options.
#![allow(unsafe_code, reason = "system calls")]

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

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

/// Begins to connect to an address, without waiting for it.
pub(super) fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: numbers alone.
    let fd = unsafe { libc::socket(family, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let (address, length) = Address::new(to);
    // SAFETY: an open descriptor, and as many bytes of an address as are said.
    let done = unsafe { libc::connect(fd, address.as_ptr(), length) };
    match io::Error::last_os_error() {
        _ if done == 0 => Ok(stream),
        error if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(stream),
        error => Err(error),
    }
}

/// An address as the kernel takes it.
enum Address {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
}

impl Address {
    fn new(of: SocketAddr) -> (Address, libc::socklen_t) {
        match of {
            SocketAddr::V4(of) => {
                let address = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: of.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(of.ip().octets()) },
                    sin_zero: [0; 8],
                };
                (Address::V4(address), size_of::<libc::sockaddr_in>() as libc::socklen_t)
            }
            SocketAddr::V6(of) => {
                let address = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: of.port().to_be(),
                    sin6_flowinfo: of.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: of.ip().octets() },
                    sin6_scope_id: of.scope_id(),
                };
                (Address::V6(address), size_of::<libc::sockaddr_in6>() as libc::socklen_t)
            }
        }
    }

    fn as_ptr(&self) -> *const libc::sockaddr {
        match self {
            Address::V4(address) => std::ptr::from_ref(address).cast(),
            Address::V6(address) => std::ptr::from_ref(address).cast(),
        }
    }
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
