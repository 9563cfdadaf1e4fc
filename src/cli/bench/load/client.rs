//! `millrace bench client`: the load itself, a process of its own.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::super::super::Outcome;
use super::super::plan::histogram;
use super::super::report::{Disturbance, Watch};
use super::flow::Flow;
use crate::net::kernel::epoll::Epoll;
use crate::wire::soupbin::{self, Packet, kind};

/// Sessions that trade: closed loop, as fast as a server answers; then open loop at shares of that rate. Other
/// benches start it; each phase is a line of JSON on standard output.
#[derive(clap::Args)]
pub struct Arguments {
    /// The server.
    #[arg(long)]
    to: SocketAddr,
    /// Its process: CPU time of it and of its children is counted.
    #[arg(long)]
    server: u32,
    /// Sessions, users U00000, U00001, ...
    #[arg(long)]
    sessions: u32,
    /// Orders that a session may have unanswered while the highest rate is looked for.
    #[arg(long)]
    window: u32,
    /// Sessions that trade; the others are only there.
    #[arg(long)]
    active: Option<u32>,
    /// Shares of the highest rate that are offered afterwards.
    #[arg(long, value_delimiter = ',')]
    shares: Vec<f64>,
    /// Milliseconds that count of each phase.
    #[arg(long)]
    ms: u64,
    /// Milliseconds before them.
    #[arg(long, default_value_t = 100)]
    warm_up_ms: u64,
    /// This process has a core to itself: it spins on it.
    #[arg(long)]
    spin: bool,
}

/// What a phase found.
#[derive(Clone, Serialize, Deserialize)]
pub struct Found {
    /// Orders a second that were offered; none closed loop.
    pub offered: Option<f64>,
    /// Orders answered a second.
    pub rate: f64,
    /// Orders refused.
    pub rejected: u64,
    /// Orders that were due and were not answered within seconds of the end.
    pub unanswered: u64,
    /// CPU time of the load itself, of all the time there was.
    pub busy: f64,
    /// CPU time of the server for an order, nanoseconds.
    pub server_ns: f64,
    /// Memory of the server, bytes.
    pub server_bytes: u64,
    /// What else ran meanwhile.
    pub disturbance: Disturbance,
    /// Order to Accepted from the scheduled instant, nanoseconds: value and count.
    pub times_ns: Vec<(u64, u64)>,
}

impl Found {
    pub fn times(&self) -> Histogram<u64> {
        let mut times = histogram();
        self.times_ns.iter().for_each(|(value, count)| times.saturating_record_n(*value, *count));
        times
    }
}

/// How long answers may take that are still to come at the end.
const PATIENCE: Duration = Duration::from_secs(3);
/// Where there is no core to spin on.
const NAP: Duration = Duration::from_micros(20);
const READ_BYTES: usize = 128 << 10;
const LOGIN_ACCEPTED_BYTES: usize = 33;
/// Kind of the message in a Sequenced Data packet.
const ACCEPTED: u8 = b'A';
const REJECTED: u8 = b'J';

struct Session {
    stream: TcpStream,
    flow: Flow,
    received: Vec<u8>,
    unsent: Vec<u8>,
    /// When each order that is not answered should have left.
    due: VecDeque<Duration>,
}

impl Session {
    fn connect(to: SocketAddr, number: u32) -> Result<Session, Box<dyn std::error::Error>> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let user = format!("U{number:05}");
        stream.write_all(&soupbin::login_packet(&user, "secret", "", 0))?;
        let mut answer = [0; LOGIN_ACCEPTED_BYTES];
        stream.read_exact(&mut answer)?;
        if answer[2] != kind::LOGIN_ACCEPTED {
            return Err(format!("{user} may not log in").into());
        }
        stream.set_nonblocking(true)?;
        let (received, unsent, due) = (vec![], vec![], VecDeque::new());
        Ok(Session { stream, flow: Flow::new(number), received, unsent, due })
    }

    /// Adds an order that is due.
    fn order(&mut self, due: Duration) {
        self.flow.put(&mut self.unsent);
        self.due.push_back(due);
    }

    /// Writes what the socket takes.
    fn write(&mut self) -> std::io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.unsent) {
            Ok(count) => drop(self.unsent.drain(..count)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// What is counted.
struct Tally {
    /// Orders from then on count.
    from: Duration,
    until: Duration,
    open_loop: bool,
    orders: u64,
    rejected: u64,
    times_ns: Histogram<u64>,
}

impl Tally {
    fn answered(&mut self, due: Duration, now: Duration) {
        // Open loop, an order counts by when it was due; closed loop, by when it was answered.
        let at = if self.open_loop { due } else { now };
        if (self.from..self.until).contains(&at) {
            self.orders += 1;
            self.times_ns.saturating_record(now.saturating_sub(due).as_nanos() as u64);
        }
    }
}

/// CPU time of the load and of the server, nanoseconds.
struct Spent {
    own_ns: u64,
    server_ns: u64,
    watch: Watch,
    at: Instant,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut sessions = vec![];
    let epoll = Epoll::new()?;
    for number in 0..arguments.sessions {
        let session = Session::connect(arguments.to, number)?;
        epoll.add(&session.stream, number.into())?;
        sessions.push(session);
    }
    crate::runtime::idle::sharpen_sleeps();
    let (began, bytes) = (Instant::now(), vec![0; READ_BYTES]);
    let active = arguments.active.unwrap_or(arguments.sessions).min(arguments.sessions) as usize;
    let tally = Tally {
        from: Duration::ZERO,
        until: Duration::ZERO,
        open_loop: false,
        orders: 0,
        rejected: 0,
        times_ns: histogram(),
    };
    let mut load = Load { arguments, sessions, active, epoll, tally, began, bytes };
    let highest = load.phase(None)?;
    println!("{}", serde_json::to_string(&highest)?);
    for share in &arguments.shares {
        let found = load.phase(Some(highest.rate * share))?;
        println!("{}", serde_json::to_string(&found)?);
    }
    Ok(())
}

struct Load<'a> {
    arguments: &'a Arguments,
    sessions: Vec<Session>,
    /// The first so many trade.
    active: usize,
    epoll: Epoll,
    tally: Tally,
    began: Instant,
    bytes: Vec<u8>,
}

impl Load<'_> {
    /// Closed loop, or open loop at a rate; and then until everything is answered.
    fn phase(&mut self, offered: Option<f64>) -> std::io::Result<Found> {
        self.began = Instant::now();
        let from = Duration::from_millis(self.arguments.warm_up_ms);
        let until = from + Duration::from_millis(self.arguments.ms);
        let (open_loop, times_ns) = (offered.is_some(), histogram());
        self.tally = Tally { from, until, open_loop, orders: 0, rejected: 0, times_ns };
        let (before, after) = match offered {
            Some(rate) => self.open_loop(rate)?,
            None => self.closed_loop()?,
        };
        let orders = self.tally.orders;
        let ended = Instant::now();
        while ended.elapsed() < PATIENCE && self.sessions.iter().any(|s| !s.due.is_empty()) {
            self.receive_ready(1_000)?;
        }
        let unanswered = self.sessions.iter().map(|session| session.due.len() as u64).sum();
        // Open loop, what was due in time counts whenever it was answered.
        let counted = if open_loop { self.tally.orders } else { orders };
        let seconds = self.arguments.ms as f64 / 1e3;
        let (own_ns, server_ns) =
            (after.own_ns - before.own_ns, after.server_ns - before.server_ns);
        Ok(Found {
            offered,
            rate: counted as f64 / seconds,
            rejected: self.tally.rejected,
            unanswered,
            busy: own_ns as f64 / 1e9 / seconds,
            server_ns: server_ns as f64 / orders.max(1) as f64,
            server_bytes: bytes_of_family(self.arguments.server),
            disturbance: before.watch.until(
                &after.watch,
                (after.at - before.at).as_secs_f64(),
                (own_ns + server_ns) as f64 / 1e9,
            ),
            times_ns: self
                .tally
                .times_ns
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        })
    }

    fn spent(&self) -> std::io::Result<Spent> {
        let server_ns = cpu_ns_of_family(self.arguments.server);
        let own_ns = cpu_ns(Path::new("/proc/thread-self"))?;
        Ok(Spent { own_ns, server_ns, watch: Watch::now(), at: Instant::now() })
    }

    /// Keeps every session's window full.
    fn closed_loop(&mut self) -> std::io::Result<(Spent, Spent)> {
        let window = self.arguments.window as usize;
        for session in &mut self.sessions[..self.active] {
            (0..window).for_each(|_| session.order(Duration::ZERO));
            session.write()?;
        }
        let mut before = self.spent()?;
        let mut started = false;
        while self.began.elapsed() < self.tally.until {
            if !started && self.began.elapsed() >= self.tally.from {
                (before, started) = (self.spent()?, true);
            }
            let count = self.epoll.wait(if self.arguments.spin { 0 } else { 5_000 });
            for at in 0..count {
                let index = self.epoll.ready(at).token as usize;
                self.receive(index)?;
                let now = self.began.elapsed();
                let session = &mut self.sessions[index];
                // Half a window at once, as a client that has much to say sends it.
                if index < self.active && session.due.len() <= window / 2 {
                    (session.due.len()..window).for_each(|_| session.order(now));
                }
                session.write()?;
            }
        }
        Ok((before, self.spent()?))
    }

    /// Sends at a rate, in turn by every session.
    fn open_loop(&mut self, rate: f64) -> std::io::Result<(Spent, Spent)> {
        let due_at = |n: u64| Duration::from_secs_f64(n as f64 / rate);
        let (mut next, count) = (0u64, self.active as u64);
        let (mut before, mut started) = (self.spent()?, false);
        let mut touched = vec![];
        loop {
            let now = self.began.elapsed();
            if now >= self.tally.from && !started {
                (before, started) = (self.spent()?, true);
            }
            if now >= self.tally.until {
                return Ok((before, self.spent()?));
            }
            while due_at(next) <= now && touched.len() < TOGETHER_MAX {
                let index = (next % count) as usize;
                if self.sessions[index].unsent.is_empty() {
                    touched.push(index);
                }
                self.sessions[index].order(due_at(next));
                next += 1;
            }
            for index in touched.drain(..) {
                self.sessions[index].write()?;
            }
            let received = self.receive_ready(0)?;
            let left = due_at(next).saturating_sub(self.began.elapsed());
            if received == 0 && !self.arguments.spin && !left.is_zero() {
                std::thread::sleep(left.min(NAP));
            }
        }
    }

    fn receive_ready(&mut self, timeout_us: u32) -> std::io::Result<usize> {
        let count = self.epoll.wait(timeout_us);
        for at in 0..count {
            let index = self.epoll.ready(at).token as usize;
            self.receive(index)?;
            self.sessions[index].write()?;
        }
        Ok(count)
    }

    /// Takes what came to a session.
    fn receive(&mut self, index: usize) -> std::io::Result<()> {
        let Load { sessions, tally, bytes, began, .. } = self;
        let Session { stream, received, due, .. } = &mut sessions[index];
        loop {
            let count = match stream.read(bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            let now = began.elapsed();
            let begun = !received.is_empty();
            if begun {
                received.extend_from_slice(&bytes[..count]);
            }
            let whole = if begun { &received[..] } else { &bytes[..count] };
            let mut rest = whole;
            while let Ok(Some((packet, length))) = Packet::parse(rest, u16::MAX) {
                let told = packet.payload.first().filter(|_| packet.kind == kind::SEQUENCED);
                if let Some(&answer @ (ACCEPTED | REJECTED)) = told {
                    tally.rejected += u64::from(answer == REJECTED);
                    tally.answered(due.pop_front().unwrap_or_default(), now);
                }
                rest = &rest[length..];
            }
            *received = rest.to_vec();
            if count < bytes.len() {
                return Ok(());
            }
        }
    }
}

/// Sessions that send before it is looked what came.
const TOGETHER_MAX: usize = 64;

/// CPU time of a task.
fn cpu_ns(task: &Path) -> std::io::Result<u64> {
    let text = std::fs::read_to_string(task.join("schedstat"))?;
    text.split(' ').next().and_then(|word| word.parse().ok()).ok_or(ErrorKind::InvalidData.into())
}

/// Memory of a process and of all that came from it and live; what they share counts for each.
fn bytes_of_family(process: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_ascii_whitespace().filter_map(|id| id.parse().ok());
    pages * 4096 + children.map(bytes_of_family).sum::<u64>()
}

/// CPU time of a process and of all that came from it and live.
fn cpu_ns_of_family(process: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.into_iter().flatten().flatten().map(|task| task.path());
    tasks
        .map(|task| {
            let children = std::fs::read_to_string(task.join("children")).unwrap_or_default();
            let children = children.split_ascii_whitespace().filter_map(|id| id.parse().ok());
            cpu_ns(&task).unwrap_or(0) + children.map(cpu_ns_of_family).sum::<u64>()
        })
        .sum()
}
