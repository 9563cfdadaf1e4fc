//! `millrace bench parsers`

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::Outcome;
use super::fix::{logon, order};
use crate::config::{BUILT_IN, Config};
use crate::runtime::signals;
use crate::segment::Segment;

/// What FIX parsers take off the agent that has the transport: CPU time of each agent for an order,
/// from many sessions at once, without parsers and with some.
///
/// CPU time, because it says what an agent could do with a core of its own, whether this machine has
/// one to spare or not.
#[derive(clap::Args)]
pub struct Arguments {
    /// Sessions that trade at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    sessions: u32,
    /// Orders of each session in a run.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=50_000))]
    orders: u32,
    /// Orders that a session sends in one piece.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=32))]
    burst: u32,
    /// Runs of each kind, in turn; medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
}

/// Orders of one session that wait for their answers, at most.
const WINDOW: u32 = 64;
/// What is measured, by `fix_parsers`.
const PARSERS: [u32; 3] = [0, 1, 2];
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let mut found: Vec<Vec<[f64; 2]>> = vec![vec![]; PARSERS.len()];
    for _ in 0..arguments.runs {
        for (parsers, found) in PARSERS.iter().zip(&mut found) {
            if signals::wait(Duration::ZERO) {
                return Err(super::INTERRUPTED.into());
            }
            found.push(measure(arguments, *parsers)?);
        }
    }
    println!(
        "{} sessions, {} orders each in bursts of {}, CPU time of an order, medians of {} runs in turn",
        arguments.sessions, arguments.orders, arguments.burst, arguments.runs
    );
    let median = |found: &[[f64; 2]], at: usize| {
        let mut values: Vec<f64> = found.iter().map(|times| times[at]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let alone = median(&found[0], 0);
    for (parsers, found) in PARSERS.iter().zip(&found) {
        let (front, each) = (median(found, 0), median(found, 1));
        print!("  fix_parsers = {parsers}   gateway agent {front:>5.0} ns");
        if *parsers > 0 {
            // The busiest agent is what limits the rate.
            let limit = front.max(each);
            print!("   busiest parser {each:>5.0} ns   rate {:.2} of none", alone / limit);
        }
        println!();
    }
    Ok(())
}

/// CPU nanoseconds of an order: of the agent with the transport, and of the busiest parser.
fn measure(arguments: &Arguments, parsers: u32) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let more = format!(
        "ack = \"sequenced\"\ntopology = \"pipeline\"\nidle = \"park\"\nfix_parsers = {parsers}\n\
         max_orders = 4194304"
    );
    let mut text = BUILT_IN
        .replace("127.0.0.1:7001", "127.0.0.1:0")
        .replace("topology = \"inline\"\n", "")
        .replace("ack = \"journaled\"", &more)
        .replace(
            "price_collar_bps = 0",
            "price_collar_bps = 0\nmax_messages_per_second = 1000000\nmax_position = 1000000000",
        );
    text += "\n[[port]]\nprotocol = \"fix44\"\nlisten = \"127.0.0.1:0\"\n";
    for n in 0..arguments.sessions {
        text += &format!(
            "[[user]]\nname = \"F{n}\"\npassword = \"secret\"\nfirm = \"FRM4\"\n\
             fix_comp_id = \"{}\"\n",
            comp_id(n)
        );
    }
    let dir = std::env::temp_dir().join(format!("millrace-bench-{}", std::process::id()));
    let mut config = Config::parse(&text, "bench")?;
    config.gateway.data_dir = dir.clone();
    let segment = Segment::start(&config)?;
    let times = trade(arguments, parsers, &segment);
    segment.stop();
    let _ = std::fs::remove_dir_all(&dir);
    times
}

fn comp_id(n: u32) -> String {
    format!("CLIENT{n:02}")
}

struct Session {
    stream: TcpStream,
    orders: Vec<Vec<u8>>,
    sent: u32,
    answered: u32,
    /// How much of a message's end was seen.
    seen: usize,
}

impl Session {
    /// Counts ends of messages.
    fn read(&mut self) -> std::io::Result<()> {
        const END: &[u8] = b"\x0110=";
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                for byte in &bytes[..count] {
                    self.seen = match (*byte == END[self.seen], *byte) {
                        (true, _) => self.seen + 1,
                        (false, 1) => 1,
                        _ => 0,
                    };
                    if self.seen == END.len() {
                        self.answered += 1;
                        self.seen = 0;
                    }
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

fn trade(
    arguments: &Arguments,
    parsers: u32,
    segment: &Segment,
) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let to = *segment.addresses().last().ok_or("no port")?;
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let mut sessions = vec![];
    for n in 0..arguments.sessions {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        let name = comp_id(n);
        (&stream).write_all(&logon(&name, now_ns))?;
        let orders = (2..arguments.orders + 2).map(|number| order(&name, number, now_ns)).collect();
        stream.set_nonblocking(true)?;
        let mut session = Session { stream, orders, sent: 0, answered: 0, seen: 0 };
        let started = Instant::now();
        while session.answered == 0 {
            session.read()?;
            if started.elapsed() > PATIENCE {
                return Err("no answer to a Logon".into());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        session.answered = 0;
        sessions.push(session);
    }
    let before = times(parsers)?;
    let started = Instant::now();
    while sessions.iter().any(|session| session.answered < arguments.orders) {
        for session in &mut sessions {
            let until = (session.sent + arguments.burst).min(arguments.orders);
            if session.sent < until && until - session.answered <= WINDOW {
                let burst = session.orders[session.sent as usize..until as usize].concat();
                session.stream.set_nonblocking(false)?;
                session.stream.write_all(&burst)?;
                session.stream.set_nonblocking(true)?;
                session.sent = until;
            }
            session.read()?;
        }
        if started.elapsed() > PATIENCE {
            return Err("orders are not answered".into());
        }
    }
    let after = times(parsers)?;
    let orders = f64::from(arguments.sessions * arguments.orders);
    let spent = |at: usize| (after[at] - before[at]) as f64 / orders;
    let busiest = (1..after.len()).map(spent).fold(0.0, f64::max);
    Ok([spent(0), busiest])
}

/// CPU time of the gateway's agent and of each parser.
fn times(parsers: u32) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let names: Vec<String> = match parsers {
        0 => vec!["mr-gateway".to_owned()],
        parsers => (0..=parsers).map(|n| format!("mr-gateway{n}")).collect(),
    };
    let mut times = vec![0; names.len()];
    for entry in std::fs::read_dir("/proc/self/task")? {
        let task = entry?.path();
        let Ok(name) = std::fs::read_to_string(task.join("comm")) else { continue };
        let Some(at) = names.iter().position(|known| known == name.trim()) else { continue };
        let stat = std::fs::read_to_string(task.join("schedstat"))?;
        times[at] = stat.split(' ').next().ok_or("no schedstat")?.parse()?;
    }
    if times.contains(&0) {
        return Err(format!("an agent of {names:?} has no CPU time").into());
    }
    Ok(times)
}
