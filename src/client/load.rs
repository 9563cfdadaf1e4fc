//! Open-loop load: messages leave on a schedule whether or not answers came, and latency is
//! counted from when a message should have left (no coordinated omission).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Answer, Client, Received};
use crate::wire::soupbin::{kind, packet};

/// How long to look away when nothing came; counts towards the latency that is found.
const NAP: Duration = Duration::from_micros(10);

/// Bytes that a session may have waiting for its socket: beyond, the load is late.
const UNSENT_MAX: usize = 64 << 10;

/// Sessions that share a schedule.
pub struct OpenLoop {
    sessions: Vec<Session>,
    started: Instant,
}

struct Session {
    client: Client,
    /// What the socket did not take yet.
    unsent: VecDeque<u8>,
    /// When each order that is not accepted yet should have left.
    waiting: HashMap<u32, Duration>,
}

/// What came of a load.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Order to Accepted, nanoseconds.
    pub latency_ns: Histogram<u64>,
    /// Orders sent.
    pub orders: u64,
    /// Messages sent.
    pub messages: u64,
    /// Orders accepted.
    pub accepted: u64,
    /// Orders refused.
    pub rejected: u64,
    /// Executions; each trade has two.
    pub executions: u64,
    /// Cancels.
    pub canceled: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let latency_ns = Histogram::new_with_bounds(1, 60_000_000_000, 3);
        Tally {
            latency_ns: latency_ns.expect("three digits up to a minute"),
            orders: 0,
            messages: 0,
            accepted: 0,
            rejected: 0,
            executions: 0,
            canceled: 0,
        }
    }
}

impl Session {
    /// Writes what the socket takes.
    fn write(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let sent = self.client.try_send_raw(self.unsent.as_slices().0)?;
            if sent == 0 {
                break;
            }
            self.unsent.drain(..sent);
        }
        Ok(())
    }
}

impl OpenLoop {
    /// Takes over logged-in clients.
    pub fn new(clients: Vec<Client>) -> io::Result<OpenLoop> {
        let mut sessions = Vec::with_capacity(clients.len());
        for client in clients {
            client.set_nonblocking()?;
            sessions.push(Session { client, unsent: VecDeque::new(), waiting: HashMap::new() });
        }
        Ok(OpenLoop { sessions, started: Instant::now() })
    }

    /// Starts the schedule's clock.
    pub fn start(&mut self) {
        crate::runtime::idle::sharpen_sleeps();
        self.started = Instant::now();
    }

    /// Time on the schedule's clock.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes what came until the schedule reaches `due`.
    pub fn receive_until(&mut self, due: Duration, tally: &mut Tally) -> io::Result<()> {
        loop {
            let received = self.receive(tally)?;
            if self.elapsed() >= due {
                return Ok(());
            }
            if received == 0 {
                // Leaves the core to whoever else needs it, the gateway's journal first.
                std::thread::sleep(NAP);
            }
        }
    }

    /// Sends a session's message that was due at `due`; `user_ref` if it is an order. Where the gateway
    /// does not read as fast as that, it is waited for.
    pub fn send(
        &mut self,
        session: usize,
        message: &[u8],
        user_ref: Option<u32>,
        due: Duration,
        tally: &mut Tally,
    ) -> io::Result<()> {
        while self.sessions[session].unsent.len() > UNSENT_MAX {
            if self.receive(tally)? == 0 {
                std::thread::sleep(NAP);
            }
        }
        let session = &mut self.sessions[session];
        if let Some(user_ref) = user_ref {
            session.waiting.insert(user_ref, due);
            tally.orders += 1;
        }
        tally.messages += 1;
        session.unsent.extend(packet(kind::UNSEQUENCED, message));
        session.write()
    }

    /// Takes what came. Returns how many messages that were.
    pub fn receive(&mut self, tally: &mut Tally) -> io::Result<usize> {
        let mut count = 0;
        for session in &mut self.sessions {
            session.write()?;
            let (waiting, started) = (&mut session.waiting, self.started);
            count += session.client.drain(|received| {
                let Received::Message(_, message) = received else { return };
                match Answer::parse(&message) {
                    Answer::Accepted { user_ref, .. } => {
                        tally.accepted += 1;
                        if let Some(due) = waiting.remove(&user_ref) {
                            let latency = started.elapsed().saturating_sub(due);
                            tally.latency_ns.saturating_record(latency.as_nanos() as u64);
                        }
                    }
                    Answer::Rejected { user_ref, .. } => {
                        tally.rejected += 1;
                        waiting.remove(&user_ref);
                    }
                    Answer::Executed { .. } => tally.executions += 1,
                    Answer::Canceled { .. } => tally.canceled += 1,
                    _ => {}
                }
            })?;
        }
        Ok(count)
    }

    /// Waits until every order was answered; false if that took longer than `timeout`.
    pub fn settle(&mut self, timeout: Duration, tally: &mut Tally) -> io::Result<bool> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if self.receive(tally)? == 0 {
                if self.sessions.iter().all(|session| session.waiting.is_empty()) {
                    return Ok(true);
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        Ok(false)
    }

    /// Says goodbye on every session.
    pub fn logout(mut self) -> io::Result<()> {
        self.sessions.iter_mut().try_for_each(|session| session.client.logout())
    }
}

/// A small random number generator (xorshift64*): a load is the same in every run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed above 0.
    pub fn new(seed: u64) -> Random {
        assert!(seed > 0, "xorshift stays at 0");
        Random(seed)
    }

    /// A number below `bound`, which is 2^31 at most.
    pub fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound <= 1 << 31, "it draws 31 bits");
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
