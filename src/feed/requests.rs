//! Messages that were lost on the way, told again: MoldUDP64's request server.
//!
//! What is recent is answered from the ring at once, on a thread of its own, so that nobody who asks is in
//! the feed's way. What is older is made again from the journal by a second thread, for one request of each
//! address at a time, in the order of their numbers.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use super::history::History;
use super::record::Told;
use crate::order::{NANOS_PER_SEC, UnixNanos};
use crate::ring::broadcast::Subscriber;
use crate::ring::{Consumer, Producer};
use crate::runtime::{Counter, Counters};
use crate::wire::moldudp64::{Header, Writer};

/// Requests looked at in one turn.
const BATCH_MAX: usize = 64;
/// Requests for what is older that may wait.
const WAITING_MAX: usize = 1024;
/// Buckets that addresses fall into, twice each by different hashes. A power of two.
const BUCKETS: usize = 1 << 16;

/// How much each address asked for of late. An address that asks too much is refused, and so may be the
/// few that share both of its buckets; which those are nobody can tell from outside.
struct Throttle {
    /// When each bucket is whole again.
    whole_ns: Vec<UnixNanos>,
    keys: [std::hash::RandomState; 2],
    every_ns: u64,
    burst_ns: u64,
}

impl Throttle {
    fn new(per_second: u32) -> Throttle {
        let every_ns = NANOS_PER_SEC / u64::from(per_second.max(1));
        // A tenth of a second's worth at once, and ten at least.
        let burst_ns = (NANOS_PER_SEC / 10).max(10 * every_ns);
        let keys = [(); 2].map(|()| std::hash::RandomState::new());
        Throttle { whole_ns: vec![0; BUCKETS], keys, every_ns, burst_ns }
    }

    fn admits(&mut self, address: IpAddr, now_ns: UnixNanos) -> bool {
        use std::hash::BuildHasher;
        let at = [0, 1].map(|n: usize| self.keys[n].hash_one(address) as usize % BUCKETS);
        let least = at.map(|at| self.whole_ns[at]).into_iter().min().unwrap_or(0);
        if least.saturating_sub(now_ns) + self.every_ns > self.burst_ns {
            return false;
        }
        for at in at {
            self.whole_ns[at] = self.whole_ns[at].max(now_ns) + self.every_ns;
        }
        true
    }
}

/// A request for what the ring no longer holds.
#[derive(Clone, Copy, Debug)]
pub struct PastRequest {
    from: SocketAddr,
    number: u64,
    count: u16,
}

impl PastRequest {
    /// What rings are filled with.
    pub const EMPTY: PastRequest = PastRequest {
        from: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
        number: 0,
        count: 0,
    };
    /// Those on their way from one thread to the other.
    pub const RING: usize = 256;
}

struct RequestCounters {
    answered: Counter,
    throttled: Counter,
    malformed: Counter,
    foreign: Counter,
    early: Counter,
    past: Counter,
    dropped: Counter,
}

/// Answers from the ring.
pub struct Requests {
    socket: UdpSocket,
    session: [u8; 10],
    tag: u16,
    ring: Subscriber<Told>,
    /// Where the message numbered `anchor.0` stands in the ring.
    anchor: (u64, u64),
    newest: Counter,
    throttle: Throttle,
    past: Producer<PastRequest>,
    answer: Writer,
    counters: RequestCounters,
}

/// What a request server is made of.
pub struct RequestsSetup {
    /// Where requests come in.
    pub socket: UdpSocket,
    /// The feed's session.
    pub session: [u8; 10],
    /// The same in short.
    pub tag: u16,
    /// Its messages, from the next on.
    pub ring: Subscriber<Told>,
    /// Number of the next message.
    pub next: u64,
    /// Bytes of an answer, at most.
    pub packet_bytes: usize,
    /// Requests of one address in a second.
    pub per_second: u32,
    /// To who reads the journal.
    pub past: Producer<PastRequest>,
    /// Counters of [`super::COUNTERS`].
    pub counters: Counters,
}

impl Requests {
    /// A server that answers from now on.
    pub fn new(setup: RequestsSetup) -> std::io::Result<Requests> {
        setup.socket.set_nonblocking(true)?;
        let counter = |name: &str| setup.counters.get(&format!("feed.{name}"));
        Ok(Requests {
            socket: setup.socket,
            session: setup.session,
            tag: setup.tag,
            anchor: (setup.next, setup.ring.index()),
            ring: setup.ring,
            newest: counter("messages"),
            throttle: Throttle::new(setup.per_second),
            past: setup.past,
            answer: Writer::new(setup.session, setup.packet_bytes),
            counters: RequestCounters {
                answered: counter("requests"),
                throttled: counter("requests_throttled"),
                malformed: counter("requests_malformed"),
                foreign: counter("requests_foreign"),
                early: counter("requests_early"),
                past: counter("requests_past"),
                dropped: counter("requests_dropped"),
            },
        })
    }

    /// What is readable once somebody asks.
    pub fn wakes_by(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Answers who asked. Returns how many did.
    pub fn poll(&mut self, now_ns: UnixNanos) -> usize {
        for asked in 0..BATCH_MAX {
            let mut bytes = [0; 64];
            match self.socket.recv_from(&mut bytes) {
                Ok((length, from)) => self.asked(&bytes[..length], from, now_ns),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.past.publish();
                    return asked;
                }
                // An answer to somebody who is gone came back.
                Err(_) => {}
            }
        }
        self.past.publish();
        BATCH_MAX
    }

    fn asked(&mut self, bytes: &[u8], from: SocketAddr, now_ns: UnixNanos) {
        if !self.throttle.admits(from.ip(), now_ns) {
            return self.counters.throttled.add(1);
        }
        let Ok(request) = Header::request(bytes) else { return self.counters.malformed.add(1) };
        if request.session != self.session {
            return self.counters.foreign.add(1);
        }
        let (number, count) = (request.sequence.get(), request.count.get());
        let newest = self.newest.get();
        if number > newest {
            return self.counters.early.add(1);
        }
        let last = newest.min(number.saturating_add(u64::from(count) - 1));
        if self.fill(number, last) {
            self.counters.answered.add(1);
            // One who does not take it asks again.
            let _ = self.socket.send_to(self.answer.bytes(), from);
        } else if self.past.stage(&PastRequest { from, number, count }) {
            self.counters.past.add(1);
        } else {
            self.counters.dropped.add(1);
        }
    }

    /// Fills the answer with messages from `number` to `last`, as many as fit. False if the first is not in
    /// the ring.
    fn fill(&mut self, number: u64, last: u64) -> bool {
        let (known, index) = self.anchor;
        let Some(index) = (index + number).checked_sub(known) else { return false };
        self.ring.go_to(index);
        self.answer.begin(number);
        for number in number..=last {
            match self.ring.pop() {
                Ok(Some(told)) if (told.number, told.session) == (number, self.tag) => {
                    if !self.answer.add(told.message()) {
                        break;
                    }
                }
                _ => break,
            }
        }
        self.answer.count() > 0
    }
}

/// Answers from the journal.
pub struct Past {
    socket: UdpSocket,
    requests: Consumer<PastRequest>,
    history: History,
    /// One of each address.
    waiting: Vec<PastRequest>,
    answer: Writer,
    /// The journal could not be read; that was said.
    failed: bool,
}

impl Past {
    /// Answers by the same socket as the server whose ring it reads.
    pub fn new(
        server: &Requests,
        requests: Consumer<PastRequest>,
        history: History,
    ) -> std::io::Result<Past> {
        Ok(Past {
            socket: server.socket.try_clone()?,
            requests,
            history,
            waiting: Vec::with_capacity(WAITING_MAX),
            answer: server.answer.clone(),
            failed: false,
        })
    }

    /// Answers one request, the next after the last in the order of numbers.
    pub fn poll(&mut self) -> usize {
        let waiting = &mut self.waiting;
        self.requests.pop_batch(usize::MAX, |request| {
            let ip = request.from.ip();
            match waiting.iter().position(|other| other.from.ip() == ip) {
                Some(at) => waiting[at] = *request,
                None if waiting.len() < WAITING_MAX => waiting.push(*request),
                None => {}
            }
        });
        let begins = self.history.begins();
        let onward =
            |(_, request): &(usize, &PastRequest)| (request.number < begins, request.number);
        let Some((at, _)) = self.waiting.iter().enumerate().min_by_key(onward) else { return 0 };
        let PastRequest { from, number, count } = self.waiting.swap_remove(at);
        self.answer.begin(number);
        let answer = &mut self.answer;
        let done = self.history.messages(number, |told| {
            told.number < number + u64::from(count) && answer.add(told.message())
        });
        match done {
            Ok(()) if self.answer.count() > 0 => {
                let _ = self.socket.send_to(self.answer.bytes(), from);
            }
            Ok(()) => {}
            Err(_) if self.failed => {}
            Err(error) => {
                self.failed = true;
                tracing::error!(%error, "requests are not answered from the journal: it cannot be read");
            }
        }
        1
    }
}
