//! A flood of SYNs from everywhere, beside sessions that trade. A process of its own: it looks at
//! how much memory it has.
#![allow(unsafe_code, reason = "a raw socket to send made-up frames with")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../frames/venue.rs"]
mod venue;

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrace::net::packet::write::{Bare, bare};
use millrace::net::packet::{Link, Options, Tuple, flags};

use common::{Scratch, answer, buy, config_text};
use millrace::client::Answer;
use venue::Venue;

const RATE: u64 = 100_000;

/// A socket that sends frames as they are.
struct Raw(OwnedFd, libc::sockaddr_ll);

impl Raw {
    fn open(interface: &str) -> Raw {
        let name = std::ffi::CString::new(interface).unwrap();
        // SAFETY: a terminated string.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
        assert!(index > 0 && fd >= 0, "{}", std::io::Error::last_os_error());
        let to = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: 0,
            sll_ifindex: index as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: [0; 8],
        };
        // SAFETY: a new descriptor that nobody else owns.
        Raw(unsafe { OwnedFd::from_raw_fd(fd) }, to)
    }

    fn send(&self, frame: &[u8]) {
        let (to, length) = (std::ptr::from_ref(&self.1), size_of_val(&self.1) as u32);
        let (fd, bytes) = (self.0.as_raw_fd(), frame.as_ptr());
        // SAFETY: the descriptor is open; frame and address are valid for the call.
        unsafe { libc::sendto(fd, bytes.cast(), frame.len(), 0, to.cast(), length) };
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends SYNs from made-up addresses until told to stop.
fn flood(port: u16, stop: &AtomicBool, sent: &AtomicU64) {
    let raw = Raw::open("vcli");
    let mut header = [0xff; 14];
    header[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    header[12..].copy_from_slice(&[8, 0]);
    // Answering turns the addresses round: this goes to all of the wire.
    let mut link = header;
    link[..6].copy_from_slice(&header[6..12]);
    link[6..12].copy_from_slice(&header[..6]);
    let link = Link::answering(&link);
    let started = Instant::now();
    let mut n = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let due = started.elapsed().as_micros() as u64 * RATE / 1_000_000;
        if n >= due {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        n += 1;
        let number = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        let from = Ipv4Addr::from(0x0b00_0000 | number & 0x00ff_ffff);
        let local = (from.to_ipv6_mapped(), number as u16 | 1);
        let remote = (Ipv4Addr::new(10, 9, 0, 1).to_ipv6_mapped(), port);
        let tuple = Tuple { remote, local };
        let options = Options::of_mss(1460);
        let syn = Bare { tuple, seq: number, ack: 0, flags: flags::SYN, window: 512, options };
        let mut frame = [0; 128];
        let length = bare(&link, &syn, &mut frame);
        raw.send(&frame[..length]);
        sent.store(n, Ordering::Relaxed);
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn users() -> String {
    let mut text = config_text("idle = \"yield\"", "max_messages_per_second = 1000000")
        .replace("idle = \"park\"\n", "");
    let at = text.find("[[symbol]]").unwrap();
    let user = |n| format!("[[user]]\nname = \"U{n}\"\npassword = \"secret\"\nfirm = \"AAA\"\n");
    text.insert_str(at, &(0..10).map(user).collect::<String>());
    text
}

/// Ten seconds with `MILLRACE_FLOOD_SECONDS=10`; three unless asked.
#[test]
fn a_flood_of_syns_costs_no_session_and_no_memory() {
    let seconds = std::env::var("MILLRACE_FLOOD_SECONDS").ok().and_then(|n| n.parse().ok());
    let seconds = Duration::from_secs(seconds.unwrap_or(3));
    let Some(venue) = Venue::with(&users(), 1, "") else { return };
    let mut clients: Vec<_> = (0..10).map(|n| venue.client(&format!("U{n}"), 0)).collect();
    let mut user_ref = 0;
    let mut round = |clients: &mut [millrace::client::Client]| {
        user_ref += 1;
        for client in clients.iter_mut() {
            client.send(&buy(user_ref, 1, "90.00").ioc().encode()).unwrap();
        }
        for client in clients.iter_mut() {
            assert!(matches!(answer(client), Answer::Accepted { .. }), "accepted");
            assert!(matches!(answer(client), Answer::Canceled { .. }), "an IOC that finds nothing");
        }
    };
    (0..200).for_each(|_| round(&mut clients));
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let before_kib = resident_kib();
    let mut rounds = 0u32;
    std::thread::scope(|scope| {
        // Also when the rounds fail.
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| flood(venue.address.port(), &stop, &sent));
        let started = Instant::now();
        while started.elapsed() < seconds {
            round(&mut clients);
            rounds += 1;
        }
    });
    let grown_kib = resident_kib().saturating_sub(before_kib);
    let sent = sent.load(Ordering::Relaxed);
    println!("{sent} SYNs, {rounds} rounds of ten orders meanwhile, {grown_kib} KiB more resident");
    assert!(sent > RATE, "{sent} SYNs are no flood");
    assert!(rounds > 20, "{rounds} rounds beside it");
    venue.wait_for("SYNs to be counted", |venue| venue.counter("net.syns") > sent / 2);
    assert_eq!(venue.counter("gateway.connections_opened"), 10);
    assert_eq!(venue.counter("gateway.connections_closed"), 0);
    assert!(grown_kib < 4096, "{grown_kib} KiB more resident");
    // And a newcomer gets in.
    drop(venue.client("ALICE", 0));
    let _: &Scratch = &venue.scratch;
}
