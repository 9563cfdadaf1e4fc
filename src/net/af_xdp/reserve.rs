//! Ports kept from everybody else: a kernel socket that is bound and never listens.
#![allow(unsafe_code, reason = "system calls")]

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A port that no other program of this host can listen on or connect from.
pub(super) struct Reserved {
    _socket: TcpListener,
    pub address: SocketAddr,
}

impl Reserved {
    /// Reserves a port; 0 takes any that is free.
    pub fn new(address: SocketAddr) -> io::Result<Reserved> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(family, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        match address {
            SocketAddr::V4(address) => {
                let name = libc::sockaddr_in {
                    sin_family: libc::AF_INET as u16,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                bind(&socket, &name)?;
            }
            SocketAddr::V6(address) => {
                let name = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as u16,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                bind(&socket, &name)?;
            }
        }
        // It only lends its name: it was never asked to listen.
        let socket = TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok(Reserved { _socket: socket, address })
    }
}

/// `name` is a `sockaddr` of the socket's family.
fn bind<T>(socket: &OwnedFd, name: &T) -> io::Result<()> {
    let (place, length) = (std::ptr::from_ref(name), size_of::<T>() as libc::socklen_t);
    // SAFETY: the descriptor is open and `name` is an address of `length` bytes.
    match unsafe { libc::bind(socket.as_raw_fd(), place.cast(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
