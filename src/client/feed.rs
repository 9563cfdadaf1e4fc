//! A reader of the feed: packets of both lines into messages in their order, and requests for those
//! that neither brought.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use zerocopy::IntoBytes;

use super::market::{Astray, Market};
use crate::net::kernel::{listen_to, receive_stamped, stamp_arrivals};
use crate::order::UnixNanos;
use crate::wire::itch::Message;
use crate::wire::moldudp64::{Header, Packet};

/// Messages kept that came before their turn.
const HELD_MAX: usize = 1 << 17;
/// Messages asked for at once: more than one packet holds, so that it comes full.
const ASKED_AT_ONCE: u64 = 100;
/// Requests for different messages under way at once.
const REQUESTS_MAX: usize = 8;
/// After which a request is made again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// After which what nobody brings is given up.
const GIVE_UP: Duration = Duration::from_secs(10);
const WAIT_FOR_OTHER_LINE: Duration = Duration::from_millis(500);

/// Silence after which a session is over, if packets of another come: two heartbeats.
const SESSION_OVER: Duration = Duration::from_secs(2);

/// Puts messages into their order, whichever line they came by, and knows which are missing.
#[derive(Clone, Debug, Default)]
pub struct Arbiter {
    session: Option<[u8; 10]>,
    next: u64,
    /// Told by packets to be there.
    behind: u64,
    /// What came before its turn, and when.
    held: BTreeMap<u64, (UnixNanos, Vec<u8>)>,
    ended: bool,
    /// Packets of its session so far, and a session that others were of since the last of those.
    own: u64,
    other: Option<[u8; 10]>,
}

impl Arbiter {
    /// One that wants messages from `first` on.
    pub fn from(first: u64) -> Arbiter {
        Arbiter { next: first, behind: first, ..Arbiter::default() }
    }

    /// The session, once a packet told it.
    pub fn session(&self) -> Option<[u8; 10]> {
        self.session
    }

    /// Number of the next message that is handed out.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether the session ended and every message was handed out.
    pub fn is_over(&self) -> bool {
        self.ended && self.next >= self.behind
    }

    /// Packets of its session so far, heartbeats among them.
    pub fn packets(&self) -> u64 {
        self.own
    }

    /// Takes a packet in, of whichever line or server, and hands out what is in its turn.
    pub fn packet(&mut self, bytes: &[u8], mut out: impl FnMut(u64, &[u8])) {
        self.packet_at(0, bytes, |number, _, message| out(number, message));
    }

    /// The same of a packet that came at a time; with each message comes the time of its own packet.
    pub fn packet_at(
        &mut self,
        at_ns: UnixNanos,
        bytes: &[u8],
        mut out: impl FnMut(u64, UnixNanos, &[u8]),
    ) {
        let Ok(packet) = Packet::parse(bytes) else { return };
        if *self.session.get_or_insert(packet.header.session) != packet.header.session {
            self.other = Some(packet.header.session);
            return;
        }
        (self.own, self.other) = (self.own + 1, None);
        self.ended |= packet.is_end();
        let mut behind = packet.header.sequence.get();
        if self.next == 0 {
            (self.next, self.behind) = (behind, behind);
        }
        for (number, message) in packet.numbered() {
            behind = number + 1;
            if number == self.next {
                out(number, at_ns, message);
                self.next += 1;
            } else if number > self.next && self.held.len() < HELD_MAX {
                self.held.entry(number).or_insert_with(|| (at_ns, message.to_vec()));
            }
        }
        self.behind = self.behind.max(behind);
        self.release(&mut out);
    }

    /// Hands out what was held and is in its turn now.
    fn release(&mut self, out: &mut impl FnMut(u64, UnixNanos, &[u8])) {
        while let Some(held) = self.held.first_entry().filter(|held| *held.key() <= self.next) {
            let (number, (at_ns, message)) = held.remove_entry();
            if number == self.next {
                out(number, at_ns, &message);
                self.next += 1;
            }
        }
    }

    /// Does without what is missing ahead of what came.
    pub fn give_up(&mut self) {
        self.next = self.held.keys().next().copied().unwrap_or(self.behind).max(self.next);
    }

    /// Stretches of messages that are missing: the first, and how many.
    pub fn missing(&self) -> impl Iterator<Item = (u64, u64)> {
        let ends = self.held.keys().copied().chain([self.behind]);
        let mut from = self.next;
        ends.filter_map(move |at| {
            let gap = (from, at.saturating_sub(from));
            from = at + 1;
            (gap.1 > 0).then_some(gap)
        })
    }

    /// The request for messages from `first` on.
    pub fn request(&self, first: u64, count: u64) -> Option<Header> {
        let count = count.min(ASKED_AT_ONCE) as u16;
        self.session.map(|session| Header { session, sequence: first.into(), count: count.into() })
    }
}

/// A reader with its sockets.
pub struct Reader {
    lines: Vec<UdpSocket>,
    server: Option<UdpSocket>,
    /// Messages in order.
    pub arbiter: Arbiter,
    asked: BTreeMap<u64, Instant>,
    bytes: Vec<u8>,
    partial: bool,
    /// The next message when it was looked at last, and since when that is the same.
    stuck: (u64, Instant),
    /// Packets of its session when that was looked at last, and since when they are the same.
    silent: (u64, Instant),
}

impl Reader {
    /// Listens to lines, on the interface that has the address `by`, and asks `server` for what is missing;
    /// wants messages from `first` on; 0 stands for whatever comes first.
    pub fn open(
        lines: &[SocketAddr],
        by: Option<IpAddr>,
        server: Option<SocketAddr>,
        first: u64,
    ) -> io::Result<Reader> {
        let lines = lines.iter().map(|line| {
            let socket = listen_to(*line, by)?;
            socket.set_nonblocking(true)?;
            stamp_arrivals(&socket)?;
            Ok(socket)
        });
        let ask = |server: SocketAddr| {
            let any: SocketAddr = if server.is_ipv4() {
                ([0; 4], 0).into()
            } else {
                (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
            };
            let socket = UdpSocket::bind(any)?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            stamp_arrivals(&socket)?;
            Ok::<_, io::Error>(socket)
        };
        Ok(Reader {
            lines: lines.collect::<io::Result<_>>()?,
            server: server.map(ask).transpose()?,
            arbiter: Arbiter::from(first),
            asked: BTreeMap::new(),
            bytes: vec![0; 65_536],
            partial: first == 0,
            stuck: (0, Instant::now()),
            silent: (0, Instant::now()),
        })
    }

    /// Wants messages from `first` on, and none before.
    pub fn begin_at(&mut self, first: u64) {
        let session = self.arbiter.session;
        self.arbiter = Arbiter { session, ..Arbiter::from(first) };
    }

    /// Whether it began somewhere in the middle, with nobody to ask for what came before.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// What is readable once a packet came.
    pub fn wakes_by(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.lines.iter().chain(&self.server).map(AsFd::as_fd)
    }

    /// Takes in what is there and asks for what is missing. Returns how many packets there were.
    pub fn poll(&mut self, mut out: impl FnMut(u64, &[u8])) -> io::Result<usize> {
        self.poll_stamped(|number, _, message| out(number, message))
    }

    /// The same, with the time at which the kernel had each message's packet.
    pub fn poll_stamped(
        &mut self,
        mut out: impl FnMut(u64, UnixNanos, &[u8]),
    ) -> io::Result<usize> {
        let Reader { lines, server, arbiter, bytes, .. } = self;
        arbiter.release(&mut out);
        let mut packets = 0;
        for socket in lines.iter().chain(server.iter()) {
            // A line at a time, but none so long that the others run full.
            for _ in 0..256 {
                match receive_stamped(socket, bytes) {
                    Ok((length, at_ns)) => {
                        packets += 1;
                        arbiter.packet_at(at_ns, &bytes[..length], &mut out);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Nobody answers requests there, for now.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => break,
                    Err(error) => return Err(error),
                }
            }
        }
        self.ask();
        Ok(packets)
    }

    /// Whether another session has begun and its own is over: only that one's packets come. Then it follows that,
    /// from its beginning or, with nobody to ask, from where it is.
    pub fn follows_another_session(&mut self) -> bool {
        if self.silent.0 != self.arbiter.own || self.arbiter.other.is_none() {
            self.silent = (self.arbiter.own, Instant::now());
        }
        let over = self.silent.1.elapsed() > SESSION_OVER;
        if over {
            let session = self.arbiter.other;
            let first = if self.server.is_some() { 1 } else { 0 };
            self.arbiter = Arbiter { session, ..Arbiter::from(first) };
            self.asked.clear();
        }
        over
    }

    /// Does without messages that are missing for longer than a request is repeated, or than the other line may
    /// take where there is nobody to ask.
    pub fn give_up_what_never_comes(&mut self) {
        let next = self.arbiter.next();
        if self.stuck.0 != next || self.arbiter.missing().next().is_none() {
            self.stuck = (next, Instant::now());
        }
        let patience = if self.server.is_some() { GIVE_UP } else { WAIT_FOR_OTHER_LINE };
        if self.stuck.1.elapsed() > patience {
            self.arbiter.give_up();
        }
    }

    fn ask(&mut self) {
        let Some(server) = &self.server else { return };
        let next = self.arbiter.next();
        self.asked = self.asked.split_off(&next);
        for (first, count) in self.arbiter.missing().take(REQUESTS_MAX) {
            let recent = |asked: &Instant| asked.elapsed() < ASK_AGAIN;
            if self.asked.get(&first).is_some_and(recent) {
                continue;
            }
            if let Some(request) = self.arbiter.request(first, count) {
                let _ = server.send(request.as_bytes());
                self.asked.insert(first, Instant::now());
            }
        }
    }
}

/// Has a market take in the messages that a reader brings. An error is a feed that contradicts itself.
pub fn take_in(market: &mut Market, message: &[u8]) -> Result<(), Astray> {
    match Message::parse(message) {
        Ok(message) => market.apply(&message),
        // What a later version may tell beside.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::moldudp64::Writer;

    fn packet(first: u64, count: u64) -> Vec<u8> {
        let mut writer = Writer::new(*b"SESSION001", 1_400);
        writer.begin(first);
        (first..first + count).for_each(|n| assert!(writer.add(&n.to_be_bytes())));
        writer.bytes().to_vec()
    }

    #[test]
    fn messages_come_in_order_whatever_the_lines_do() {
        let (mut arbiter, mut got) = (Arbiter::from(1), vec![]);
        for bytes in [packet(1, 2), packet(5, 2), packet(5, 2), packet(9, 1), packet(1, 2)] {
            arbiter.packet(&bytes, |number, message| {
                assert_eq!(message, number.to_be_bytes());
                got.push(number);
            });
        }
        assert_eq!(got, [1, 2]);
        assert_eq!(arbiter.missing().collect::<Vec<_>>(), [(3, 2), (7, 2)]);
        arbiter.packet(&packet(12, 0), |_, _| ());
        assert_eq!(arbiter.missing().collect::<Vec<_>>(), [(3, 2), (7, 2), (10, 2)]);
        for bytes in [packet(7, 2), packet(3, 3), packet(10, 2)] {
            arbiter.packet(&bytes, |number, _| got.push(number));
        }
        assert_eq!(got, (1..=11).collect::<Vec<_>>());
        assert_eq!(arbiter.missing().next(), None);
        assert!(!arbiter.is_over());
    }
}
