//! Where a thread that has nothing to do sleeps until somebody rings.
#![allow(unsafe_code, reason = "system calls")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::ring::Bell;

/// One thread's place to sleep. Rings that the thread reads ring its bell.
pub struct Bed {
    bell: Arc<Bell>,
    kind: Kind,
}

enum Kind {
    /// The word counts wake-ups; what it was when the thread lay down.
    Futex { word: Arc<AtomicU32>, seen: u32 },
    /// Something to wait for beside sockets.
    Descriptor(Arc<File>),
}

impl Bed {
    /// For a thread that waits for nothing but rings.
    pub fn new() -> Bed {
        register();
        let word = Arc::new(AtomicU32::new(0));
        let of_bell = word.clone();
        let bell = Bell::new(move || {
            of_bell.fetch_add(1, Ordering::Release);
            futex(&of_bell, libc::FUTEX_WAKE, i32::MAX as u32, None);
        });
        Bed { bell: Arc::new(bell), kind: Kind::Futex { word, seen: 0 } }
    }

    /// For a thread that waits for sockets too.
    pub fn beside_sockets() -> std::io::Result<Bed> {
        register();
        // SAFETY: no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let event = Arc::new(unsafe { File::from_raw_fd(fd) });
        let of_bell = event.clone();
        let bell = Bell::new(move || {
            // It cannot count any higher: then it is readable already.
            let _ = (&*of_bell).write(&1u64.to_ne_bytes());
        });
        Ok(Bed { bell: Arc::new(bell), kind: Kind::Descriptor(event) })
    }

    /// What wakes the thread.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Before the last look at what there is to do. False if the kernel cannot keep the promise that
    /// whatever comes after that look wakes.
    pub fn lie_down(&mut self) -> bool {
        if let Kind::Futex { word, seen } = &mut self.kind {
            *seen = word.load(Ordering::Acquire);
        }
        self.bell.lie_down(barrier)
    }

    /// Sleeps until the bell rings, one of `sockets` is readable, or `timeout_us` are over.
    pub fn sleep<'a>(&'a self, sockets: impl IntoIterator<Item = BorrowedFd<'a>>, timeout_us: u32) {
        match &self.kind {
            Kind::Futex { word, seen } => {
                futex(word, libc::FUTEX_WAIT, *seen, Some(timeout_us));
            }
            Kind::Descriptor(event) => {
                let event = event.as_fd();
                wait_for(sockets.into_iter().chain([event]), timeout_us);
            }
        }
    }

    /// Awake again.
    pub fn get_up(&mut self) {
        self.bell.get_up();
        if let Kind::Descriptor(event) = &self.kind {
            let _ = (&**event).read(&mut [0; 8]);
        }
    }
}

impl Default for Bed {
    fn default() -> Bed {
        Bed::new()
    }
}

/// Sockets that one thread waits for.
pub const SOCKETS_MAX: usize = 64;

/// Waits until one of `sockets` is readable, `timeout_us` at most.
pub fn wait_for<'a>(sockets: impl IntoIterator<Item = BorrowedFd<'a>>, timeout_us: u32) {
    let none = libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 };
    let mut polled = [none; SOCKETS_MAX + 1];
    let mut count = 0;
    for (place, socket) in polled.iter_mut().zip(sockets) {
        place.fd = socket.as_raw_fd();
        count += 1;
    }
    let timeout = timespec(timeout_us);
    // SAFETY: `count` valid `pollfd`s, a valid timeout, no signal mask.
    unsafe { libc::ppoll(polled.as_mut_ptr(), count, &timeout, std::ptr::null()) };
}

fn timespec(us: u32) -> libc::timespec {
    libc::timespec { tv_sec: i64::from(us) / 1_000_000, tv_nsec: i64::from(us) % 1_000_000 * 1_000 }
}

fn futex(word: &AtomicU32, operation: i32, value: u32, timeout_us: Option<u32>) {
    let timeout = timeout_us.map(timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let operation = operation | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: a word that lives as long as the call, and a timeout that is valid or none.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, timeout) };
}

/// Has the process take part in barriers; those that ask for one are refused before.
fn register() {
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) };
}

/// A barrier in every thread of this process that runs now; the others had one when they stopped.
fn barrier() -> bool {
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) == 0 }
}

// linux/membarrier.h
const PRIVATE_EXPEDITED: i32 = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    const LONG_US: u32 = 30_000_000;

    /// Ten thousand times a thread sleeps until it is told of the next number.
    fn told_of_each(mut bed: Bed) {
        let (mut tx, mut rx) = crate::ring::on_heap(4, 0u32);
        tx.set_bell(bed.bell());
        let (mut back, mut done) = crate::ring::on_heap(4, 0u32);
        let sleeper = std::thread::spawn(move || {
            let started = Instant::now();
            for expected in 1..=10_000 {
                let got = loop {
                    if let Some(got) = rx.pop() {
                        break got;
                    }
                    if bed.lie_down() && rx.available() == 0 {
                        bed.sleep([], LONG_US);
                    }
                    bed.get_up();
                };
                assert_eq!(got, expected);
                assert!(back.push(&got));
            }
            started.elapsed()
        });
        for n in 1..=10_000 {
            assert!(tx.push(&n));
            while done.pop().is_none() {
                std::thread::yield_now();
            }
        }
        let took = sleeper.join().unwrap();
        assert!(took < Duration::from_micros(LONG_US.into()), "a wake-up was missed: {took:?}");
    }

    #[test]
    fn a_thread_that_waits_for_rings_misses_nothing() {
        told_of_each(Bed::new());
    }

    #[test]
    fn a_thread_that_waits_for_sockets_too_misses_nothing() {
        told_of_each(Bed::beside_sockets().unwrap());
    }

    #[test]
    fn a_socket_wakes() {
        let bed = Bed::beside_sockets().unwrap();
        let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        near.write_all(b"x").unwrap();
        let started = Instant::now();
        bed.sleep([far.as_fd()], LONG_US);
        assert!(started.elapsed() < Duration::from_micros(LONG_US.into()));
    }
}
