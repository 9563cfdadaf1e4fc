//! What the kernel says of a network interface.
#![allow(unsafe_code, reason = "system calls")]

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;

/// An interface of this network namespace.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub index: u32,
    /// Bytes of the longest IP packet.
    pub mtu: usize,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Receive queues.
    pub queues: u32,
    /// But for those of the link alone (RFC 4291, 2.5.6), which name nobody without the interface.
    pub addresses: Vec<IpAddr>,
}

/// `struct ifreq` with a number or a pointer, whichever the request is about (netdevice(7)).
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    value: [usize; 3],
}

/// `struct ethtool_channels` (linux/ethtool.h).
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    max_receive: u32,
    max_transmit: u32,
    max_other: u32,
    max_combined: u32,
    receive: u32,
    transmit: u32,
    other: u32,
    combined: u32,
}

const ETHTOOL_GCHANNELS: u32 = 0x3c;
const SIOCGIFMTU: libc::c_ulong = 0x8921;
const SIOCGIFHWADDR: libc::c_ulong = 0x8927;
const SIOCETHTOOL: libc::c_ulong = 0x8946;

impl Interface {
    /// The interface of a name, if there is one.
    pub fn find(name: &str) -> io::Result<Option<Interface>> {
        let Ok(c_name) = CString::new(name) else { return Ok(None) };
        // SAFETY: a terminated string.
        let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
        if index == 0 || name.len() >= libc::IFNAMSIZ {
            return Ok(None);
        }
        let mut request = Request { name: [0; libc::IFNAMSIZ], value: [0; 3] };
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        ask(&socket, SIOCGIFMTU, &mut request)?;
        let mtu = request.value[0] & 0xffff_ffff;
        ask(&socket, SIOCGIFHWADDR, &mut request)?;
        // A `sockaddr`: two bytes of family, then the address.
        let [_, _, mac @ ..] = request.value[0].to_ne_bytes();
        let mut channels = Channels { command: ETHTOOL_GCHANNELS, ..Channels::default() };
        request.value[0] = std::ptr::from_mut(&mut channels) as usize;
        // A driver that knows no channels has one.
        let asked = ask(&socket, SIOCETHTOOL, &mut request);
        let queues = if asked.is_ok() { channels.combined + channels.receive } else { 1 };
        let addresses = all()?.into_iter().filter(|(of, _)| of == name).filter_map(|(_, a)| a);
        let addresses = addresses.filter(|address| !is_of_the_link(address));
        let (queues, addresses) = (queues.max(1), addresses.collect());
        Ok(Some(Interface { index, mtu, mac, queues, addresses }))
    }

    /// The names of all interfaces.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> =
            all().unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        names
    }
}

fn ask(socket: &UdpSocket, what: libc::c_ulong, request: &mut Request) -> io::Result<()> {
    // SAFETY: the descriptor is open, and `request` has the layout that the request reads and
    // writes; an address in it is of a structure that outlives the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), what as _, std::ptr::from_mut(request)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Every interface, once for each of its addresses, with the address if it is of IP.
fn all() -> io::Result<Vec<(String, Option<IpAddr>)>> {
    let mut first = std::ptr::null_mut();
    // SAFETY: `first` is a valid place for the list's address.
    if unsafe { libc::getifaddrs(&mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = vec![];
    let mut at: *const libc::ifaddrs = first;
    // SAFETY: the list is valid until it is freed below; its last element points to nothing.
    while let Some(entry) = unsafe { at.as_ref() } {
        // SAFETY: a terminated string of the list.
        let name = unsafe { std::ffi::CStr::from_ptr(entry.ifa_name) };
        found.push((name.to_string_lossy().into_owned(), address(entry)));
        at = entry.ifa_next;
    }
    // SAFETY: the list came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

fn is_of_the_link(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn address(entry: &libc::ifaddrs) -> Option<IpAddr> {
    // SAFETY: an address of the list is valid or null.
    let family = unsafe { entry.ifa_addr.as_ref() }?.sa_family;
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: an address of this family has this layout.
            let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().as_ref() }?;
            Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in6>().as_ref() }?;
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}
