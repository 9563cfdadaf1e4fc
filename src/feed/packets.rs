//! Messages into packets, and packets onto the lines.

use std::io;

use crate::net::frames::Whole;
use crate::net::kernel::Datagrams;
use crate::net::packet::udp::Group;
use crate::order::{NANOS_PER_SEC, UnixNanos};
use crate::ring::Producer;
use crate::wire::moldudp64::{BLOCK_BYTES, HEADER_BYTES, Writer};

/// Packets that are filled before they leave together.
const PACKETS: usize = 32;
/// A line is never silent for longer.
const HEARTBEAT_NS: u64 = NANOS_PER_SEC;
/// How often the end of a session is told.
const ENDS: usize = 3;
/// Bytes that UDP and IP put in front, of whichever family.
pub const UDP_BYTES: usize = 48;
/// The smallest MTU: one message, whichever, fits into a packet.
pub const MTU_MIN: usize =
    UDP_BYTES + HEADER_BYTES + BLOCK_BYTES + crate::wire::itch::MESSAGE_BYTES_MAX;

/// Where packets leave.
pub enum Way {
    /// By a socket of the kernel's.
    Kernel(Datagrams),
    /// As frames to multicast groups, by whoever has the driver.
    Frames {
        /// To the gateway whose driver it is.
        ring: Producer<Whole>,
        /// The headers of each line.
        lines: Vec<Group>,
    },
}

impl Way {
    /// Sends packets along every line. Returns how many datagrams were not taken, and why.
    fn send<'a>(&mut self, packets: impl Iterator<Item = &'a [u8]>) -> (u64, Option<io::Error>) {
        match self {
            Way::Kernel(datagrams) => datagrams.send(packets),
            Way::Frames { ring, lines } => {
                let mut lost = 0;
                for packet in packets {
                    for line in lines.iter() {
                        let staged = ring.stage_with(|whole| {
                            whole.length = line.write(packet, &mut whole.bytes) as u16;
                        });
                        lost += u64::from(!staged);
                    }
                }
                ring.publish();
                (lost, None)
            }
        }
    }
}

/// Fills packets with messages and sends them.
pub struct Packets {
    way: Way,
    packets: Vec<Writer>,
    /// The one being filled, and whether it was begun.
    at: usize,
    begun: bool,
    sent_ns: UnixNanos,
    counts: Counts,
}

/// What was counted since the start.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Packets, each counted once for all lines.
    pub packets: u64,
    /// Datagrams that the kernel did not take.
    pub lost: u64,
}

impl Packets {
    /// Packets of a session, for links that carry `mtu` bytes. Fails if one of the lines leads nowhere.
    pub fn open(way: Way, mtu: usize, session: [u8; 10], next: u64) -> io::Result<Packets> {
        let packets = vec![Writer::new(session, mtu - UDP_BYTES); PACKETS];
        let counts = Counts::default();
        let (at, begun, sent_ns) = (0, false, 0);
        let mut packets = Packets { way, packets, at, begun, sent_ns, counts };
        packets.packets[0].begin(next);
        match packets.send(1) {
            Some(error) => Err(error),
            None => Ok(packets),
        }
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Adds a message; full packets leave when there are several.
    #[inline]
    pub fn add(&mut self, number: u64, message: &[u8]) {
        if !self.begun {
            self.packets[self.at].begin(number);
            self.begun = true;
        }
        if self.packets[self.at].add(message) {
            return;
        }
        self.at += 1;
        if self.at == PACKETS {
            self.send(PACKETS);
            self.at = 0;
        }
        self.packets[self.at].begin(number);
        let added = self.packets[self.at].add(message);
        debug_assert!(added, "the MTU was checked: every packet takes a message");
    }

    /// Sends what there is. Returns whether that was anything.
    #[inline]
    pub fn flush(&mut self, now_ns: UnixNanos) -> bool {
        if !self.begun {
            return false;
        }
        self.send(self.at + 1);
        (self.at, self.begun, self.sent_ns) = (0, false, now_ns);
        true
    }

    /// Says that there is nothing new, if there was nothing for a second; `next` is the number of the
    /// next message.
    #[inline]
    pub fn beat(&mut self, next: u64, now_ns: UnixNanos) {
        if !self.begun && self.due_ns(now_ns) == 0 {
            self.packets[0].begin(next);
            self.send(1);
            self.sent_ns = now_ns;
        }
    }

    /// Nanoseconds until the next heartbeat.
    pub fn due_ns(&self, now_ns: UnixNanos) -> u64 {
        (self.sent_ns + HEARTBEAT_NS).saturating_sub(now_ns)
    }

    /// Says that the session is over.
    pub fn end(&mut self, next: u64) {
        for _ in 0..ENDS {
            self.packets[0].begin(next);
            self.packets[0].end_session();
            self.send(1);
        }
    }

    fn send(&mut self, count: usize) -> Option<io::Error> {
        let packets = self.packets[..count].iter().map(Writer::bytes);
        let (lost, error) = self.way.send(packets);
        self.counts.packets += count as u64;
        self.counts.lost += lost;
        error
    }
}
