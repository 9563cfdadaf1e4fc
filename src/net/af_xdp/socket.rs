//! An AF_XDP socket's system calls, each wrapped once.
#![allow(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use super::ring::Layout;

/// `SO_PREFER_BUSY_POLL` and `SO_BUSY_POLL_BUDGET` (asm-generic/socket.h), which libc lacks.
const SO_PREFER_BUSY_POLL: i32 = 69;
const SO_BUSY_POLL_BUDGET: i32 = 70;

/// A shared mapping, unmapped when its last owner goes.
#[derive(Clone)]
pub(super) struct Mapping(Arc<Mapped>);

struct Mapped {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the value and is not bound to a thread.
unsafe impl Send for Mapped {}
// SAFETY: it gives out an address only; who uses that answers for how.
unsafe impl Sync for Mapped {}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are of one mapping, unmapped once.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

impl Mapping {
    fn new(len: usize, kind: i32, fd: i32, offset: libc::off_t) -> io::Result<Mapping> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = kind | libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping anywhere touches no other memory.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("a mapping is not at 0");
        Ok(Mapping(Arc::new(Mapped { base, len })))
    }

    /// Memory of no socket, zeroed.
    #[cfg(test)]
    pub fn anonymous(len: usize) -> io::Result<Mapping> {
        Mapping::new(len, libc::MAP_ANONYMOUS, -1, 0)
    }

    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.0.base
    }

    pub fn len(&self) -> usize {
        self.0.len
    }
}

/// The four rings of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Fill,
    Completion,
    Receive,
    Transmit,
}

impl Kind {
    fn option(self) -> i32 {
        match self {
            Kind::Fill => libc::XDP_UMEM_FILL_RING,
            Kind::Completion => libc::XDP_UMEM_COMPLETION_RING,
            Kind::Receive => libc::XDP_RX_RING,
            Kind::Transmit => libc::XDP_TX_RING,
        }
    }

    fn page_offset(self) -> libc::off_t {
        match self {
            Kind::Fill => libc::XDP_UMEM_PGOFF_FILL_RING as libc::off_t,
            Kind::Completion => libc::XDP_UMEM_PGOFF_COMPLETION_RING as libc::off_t,
            Kind::Receive => libc::XDP_PGOFF_RX_RING,
            Kind::Transmit => libc::XDP_PGOFF_TX_RING,
        }
    }

    fn entry_bytes(self) -> usize {
        match self {
            Kind::Fill | Kind::Completion => size_of::<u64>(),
            Kind::Receive | Kind::Transmit => size_of::<libc::xdp_desc>(),
        }
    }
}

/// What the kernel counts for a socket (`XDP_STATISTICS`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    pub rx_dropped: u64,
    pub rx_ring_full: u64,
    pub rx_fill_ring_empty: u64,
    pub tx_invalid: u64,
}

/// An AF_XDP socket.
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// A socket that is bound to nothing. Needs CAP_NET_RAW.
    pub fn open() -> io::Result<Socket> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_XDP, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        Ok(Socket(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn set<T>(&self, level: i32, option: i32, value: &T) -> io::Result<()> {
        let (fd, length) = (self.0.as_raw_fd(), size_of::<T>() as libc::socklen_t);
        // SAFETY: the descriptor is open and `value` points at `length` bytes.
        match unsafe {
            libc::setsockopt(fd, level, option, std::ptr::from_ref(value).cast(), length)
        } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn get<T>(&self, option: i32, value: &mut T) -> io::Result<()> {
        let (fd, mut length) = (self.0.as_raw_fd(), size_of::<T>() as libc::socklen_t);
        let place = std::ptr::from_mut(value).cast();
        // SAFETY: the descriptor is open and `value` has room for `length` bytes, of which the
        // kernel writes no more.
        match unsafe { libc::getsockopt(fd, libc::SOL_XDP, option, place, &mut length) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Lends the kernel memory for frames (`XDP_UMEM_REG`). It has to stay as long as the
    /// socket.
    pub fn register(&self, base: NonNull<u8>, len: usize, frame_bytes: u32) -> io::Result<()> {
        let umem = libc::xdp_umem_reg {
            addr: base.as_ptr() as u64,
            len: len as u64,
            chunk_size: frame_bytes,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        self.set(libc::SOL_XDP, libc::XDP_UMEM_REG, &umem)
    }

    /// Makes a ring of `entries` and maps it.
    pub fn ring(&self, kind: Kind, entries: u32) -> io::Result<(Mapping, Layout)> {
        self.set(libc::SOL_XDP, kind.option(), &entries)?;
        let none = || libc::xdp_ring_offset { producer: 0, consumer: 0, desc: 0, flags: 0 };
        let mut offsets = libc::xdp_mmap_offsets { rx: none(), tx: none(), fr: none(), cr: none() };
        self.get(libc::XDP_MMAP_OFFSETS, &mut offsets)?;
        let offset = match kind {
            Kind::Fill => offsets.fr,
            Kind::Completion => offsets.cr,
            Kind::Receive => offsets.rx,
            Kind::Transmit => offsets.tx,
        };
        let layout = Layout {
            producer: offset.producer as usize,
            consumer: offset.consumer as usize,
            flags: offset.flags as usize,
            entries: offset.desc as usize,
        };
        let len = layout.entries + entries as usize * kind.entry_bytes();
        let mapping = Mapping::new(len, 0, self.0.as_raw_fd(), kind.page_offset())?;
        Ok((mapping, layout))
    }

    /// Binds to a queue of an interface. `flags` are those of `sockaddr_xdp`.
    pub fn bind(&self, interface: u32, queue: u32, flags: u16) -> io::Result<()> {
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: interface,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the descriptor is open and `address` is valid for the call.
        match unsafe { libc::bind(self.0.as_raw_fd(), std::ptr::from_ref(&address).cast(), length) }
        {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Has the socket's own calls poll the device, instead of interrupts
    /// (Documentation/networking/napi.rst, "Busy polling").
    pub fn busy_poll(&self, us: u32, budget: u32) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, SO_PREFER_BUSY_POLL, &1i32)?;
        self.set(libc::SOL_SOCKET, libc::SO_BUSY_POLL, &us)?;
        self.set(libc::SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget)
    }

    /// Has the kernel send what is in the transmit ring.
    #[inline]
    pub fn kick_transmit(&self) -> io::Result<()> {
        let (fd, none) = (self.0.as_raw_fd(), std::ptr::null());
        // SAFETY: the descriptor is open; no bytes and no address are passed.
        let sent = unsafe { libc::sendto(fd, none, 0, libc::MSG_DONTWAIT, std::ptr::null(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Has the kernel look at the fill ring, and at the device if busy polling.
    #[inline]
    pub fn kick_receive(&self) {
        let (fd, none) = (self.0.as_raw_fd(), std::ptr::null_mut());
        // SAFETY: the descriptor is open; no room for bytes or an address is passed.
        unsafe {
            libc::recvfrom(fd, none, 0, libc::MSG_DONTWAIT, std::ptr::null_mut(), none.cast());
        }
    }

    /// Readable once a frame came in.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// What the kernel counted.
    pub fn statistics(&self) -> Statistics {
        let mut counted = libc::xdp_statistics {
            rx_dropped: 0,
            rx_invalid_descs: 0,
            tx_invalid_descs: 0,
            rx_ring_full: 0,
            rx_fill_ring_empty_descs: 0,
            tx_ring_empty_descs: 0,
        };
        if self.get(libc::XDP_STATISTICS, &mut counted).is_err() {
            return Statistics::default();
        }
        Statistics {
            rx_dropped: counted.rx_dropped,
            rx_ring_full: counted.rx_ring_full,
            rx_fill_ring_empty: counted.rx_fill_ring_empty_descs,
            tx_invalid: counted.tx_invalid_descs,
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}
