//! Ports kept from everybody else: a kernel socket that is bound and never listens.
#![allow(unsafe_code, reason = "system calls")]

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A port that no other program of this host can listen on or connect from.
pub(super) struct Reserved {
    _socket: OwnedFd,
    pub address: SocketAddrV4,
}

impl Reserved {
    /// Reserves a port; 0 takes any that is free.
    pub fn new(address: SocketAddrV4) -> io::Result<Reserved> {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut name = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
            sin_zero: [0; 8],
        };
        let place = std::ptr::from_mut(&mut name).cast::<libc::sockaddr>();
        let mut length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        // SAFETY: the descriptor is open and `name` is an address of `length` bytes.
        if unsafe { libc::bind(socket.as_raw_fd(), place, length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above, and the kernel writes no more than `length` bytes.
        if unsafe { libc::getsockname(socket.as_raw_fd(), place, &mut length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
        let address = SocketAddrV4::new(ip, u16::from_be(name.sin_port));
        Ok(Reserved { _socket: socket, address })
    }
}
