//! The same packets to several addresses, many in one system call.
#![allow(unsafe_code, reason = "system calls")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};

/// Datagrams handed to the kernel in one call.
const BATCH_MAX: usize = 64;

/// Bytes that the kernel may keep of what leaves, and of what comes in.
const SEND_BYTES: i32 = 4 << 20;
const RECEIVE_BYTES: i32 = 16 << 20;

/// Sends datagrams along lines: every packet to each of them.
pub struct Datagrams {
    socket: UdpSocket,
    to: Vec<(libc::sockaddr_storage, libc::socklen_t)>,
    /// What the system call is told, filled anew each time.
    pieces: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in `pieces` and `messages` are written before each call, and used in it alone.
unsafe impl Send for Datagrams {}

impl Datagrams {
    /// A socket for lines of one family. Multicast leaves by the interface that has the address `by`, and
    /// passes `hops` routers less one.
    pub fn open(lines: &[SocketAddr], by: Option<IpAddr>, hops: u32) -> io::Result<Datagrams> {
        let any: IpAddr = match lines.first() {
            Some(SocketAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        let unicast = lines.iter().all(|line| !line.ip().is_multicast());
        let socket = UdpSocket::bind((by.filter(|_| unicast).unwrap_or(any), 0))?;
        socket.set_nonblocking(true)?;
        // As much as the system allows.
        let _ = set(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &SEND_BYTES);
        match any {
            IpAddr::V4(_) => {
                socket.set_multicast_ttl_v4(hops)?;
                if let Some(IpAddr::V4(by)) = by.filter(|_| !unicast) {
                    let by = libc::in_addr { s_addr: u32::from(by).to_be() };
                    set(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &by)?;
                }
            }
            IpAddr::V6(_) => {
                set(&socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, &(hops as i32))?;
            }
        }
        let count = BATCH_MAX.max(lines.len());
        Ok(Datagrams {
            socket,
            to: lines.iter().map(storage).collect(),
            pieces: Vec::with_capacity(count),
            messages: Vec::with_capacity(count),
        })
    }

    /// Sends every packet to every line, in order. Returns how many datagrams the kernel did not take, and
    /// what it said of the last of those.
    pub fn send<'a>(
        &mut self,
        packets: impl Iterator<Item = &'a [u8]>,
    ) -> (u64, Option<io::Error>) {
        let mut lost = (0, None);
        let mut packets = packets.peekable();
        while packets.peek().is_some() {
            self.pieces.clear();
            self.messages.clear();
            let fits = (BATCH_MAX / self.to.len().max(1)).max(1);
            for packet in packets.by_ref().take(fits) {
                let base = packet.as_ptr().cast_mut().cast();
                self.pieces.push(libc::iovec { iov_base: base, iov_len: packet.len() });
            }
            for piece in &mut self.pieces {
                for (address, length) in &mut self.to {
                    // SAFETY: zeros are a header without anything in it.
                    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                    message.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
                    message.msg_hdr.msg_namelen = *length;
                    message.msg_hdr.msg_iov = piece;
                    message.msg_hdr.msg_iovlen = 1;
                    self.messages.push(message);
                }
            }
            self.hand_over(&mut lost);
        }
        lost
    }

    fn hand_over(&mut self, lost: &mut (u64, Option<io::Error>)) {
        let mut left = &mut self.messages[..];
        while !left.is_empty() {
            let fd = self.socket.as_raw_fd();
            // SAFETY: as many headers as told, whose names and pieces live in `self` and in packets that
            // are borrowed for the call.
            let sent = unsafe { libc::sendmmsg(fd, left.as_mut_ptr(), left.len() as u32, 0) };
            if sent < 0 {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                // The first is the one that failed: whoever missed it asks for it again.
                lost.0 += 1;
                lost.1 = Some(error);
            }
            left = &mut left[usize::try_from(sent).unwrap_or(1)..];
        }
    }
}

/// Has the kernel write down when each datagram came.
pub fn stamp_arrivals(socket: &UdpSocket) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1i32)
}

/// Bytes that hold a time of arrival as the kernel hands it over.
const CONTROL_BYTES: usize = 64;

/// Receives a datagram. Returns its length and when it came, in Unix nanoseconds; 0 if the kernel did not say.
pub fn receive_stamped(socket: &UdpSocket, bytes: &mut [u8]) -> io::Result<(usize, u64)> {
    let mut piece = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = [0u64; CONTROL_BYTES / 8];
    // SAFETY: zeros are a header without anything in it.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &mut piece;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: one piece, and room for control messages, both borrowed for the call.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, 0) };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has filled in the header.
    let first = unsafe { libc::CMSG_FIRSTHDR(&header) };
    // SAFETY: null, or the first control message in `control`.
    let message = unsafe { first.as_ref() };
    let is_time = |m: &&libc::cmsghdr| {
        m.cmsg_level == libc::SOL_SOCKET && m.cmsg_type == libc::SCM_TIMESTAMPNS
    };
    let at_ns = message.filter(is_time).map_or(0, |_| {
        // SAFETY: a control message that is there.
        let data = unsafe { libc::CMSG_DATA(first) };
        // SAFETY: of this type it holds a timespec, wherever it is aligned.
        let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    });
    Ok((length as usize, at_ns))
}

/// A socket that hears what comes along a line: a multicast group, heard on the interface that has the
/// address `by`, or a port of this host. Others on this host may listen to the same.
pub fn listen_to(line: SocketAddr, by: Option<IpAddr>) -> io::Result<UdpSocket> {
    let family = if line.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    let socket = unsafe { UdpSocket::from_raw_fd(fd) };
    // As much as the system allows: a burst is to find room.
    let _ = set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &RECEIVE_BYTES);
    if line.ip().is_multicast() {
        set(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32)?;
    }
    let (address, length) = storage(&line);
    // SAFETY: an address of the length that is told.
    if unsafe { libc::bind(fd, std::ptr::from_ref(&address).cast(), length) } != 0 {
        return Err(io::Error::last_os_error());
    }
    match (line.ip(), by) {
        (IpAddr::V4(group), by) if group.is_multicast() => {
            let by = match by {
                Some(IpAddr::V4(by)) => by,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            socket.join_multicast_v4(&group, &by)?;
        }
        (IpAddr::V6(group), _) if group.is_multicast() => socket.join_multicast_v6(&group, 0)?,
        _ => {}
    }
    Ok(socket)
}

fn set<T>(socket: &UdpSocket, level: i32, option: i32, value: &T) -> io::Result<()> {
    let value: *const T = value;
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the descriptor is open and `value` points at `length` bytes.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.cast(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// An address as system calls take it.
fn storage(address: &SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: zeros are an address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let place: *mut libc::sockaddr_storage = &mut storage;
    let length = match address {
        SocketAddr::V4(address) => {
            let of = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: a storage has room for any address, and is aligned for it.
            unsafe { place.cast::<libc::sockaddr_in>().write(of) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(address) => {
            let of = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { place.cast::<libc::sockaddr_in6>().write(of) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_reaches_every_line_in_order() {
        let ends = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let lines: Vec<_> = ends.iter().map(|end| end.local_addr().unwrap()).collect();
        let mut datagrams = Datagrams::open(&lines, None, 1).unwrap();
        let packets: Vec<[u8; 3]> = (0..100).map(|n| [n; 3]).collect();
        let (lost, error) = datagrams.send(packets.iter().map(|packet| &packet[..]));
        assert!(lost == 0 && error.is_none(), "{lost}: {error:?}");
        for end in ends {
            end.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
            for packet in &packets {
                let mut bytes = [0; 16];
                let length = end.recv(&mut bytes).unwrap();
                assert_eq!(&bytes[..length], packet);
            }
        }
    }

    #[test]
    fn what_cannot_leave_is_counted() {
        // Reserved for ever (RFC 1112, section 4).
        let nowhere = ["255.255.255.255:9".parse().unwrap()];
        let mut datagrams = Datagrams::open(&nowhere, None, 1).unwrap();
        let (lost, error) = datagrams.send([&b"a"[..], b"b"].into_iter());
        assert_eq!(lost, 2);
        assert_eq!(error.unwrap().kind(), io::ErrorKind::PermissionDenied);
    }
}
