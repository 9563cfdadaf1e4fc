//! `millrace bench batching`

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::json;
use zerocopy::IntoBytes;

use super::super::Outcome;
use super::load::contender::{Scratch, models};
use super::place::{Place, connect, on_core, read, run_segment};
use super::plan::{Figures, histogram};
use super::report::{Leave, Section, Table, Watch, alone, figure, holds, median};
use super::route::{Speech, Terms, called, text};
use crate::client::NewOrder;
use crate::client::playground::Carrier;
use crate::order::Price;
use crate::runtime::{allowed_cores, signals};
use crate::wire::ouch::outbound::Executed;
use crate::wire::soupbin::{header, kind, login_packet, packet};

/// What batches of orders to an exchange cost and gain: one order at a time, a few, and many, of one client; millrace
/// with and without batch_us, on a line whose rate holds nothing back and on one whose rate does, next to a classic
/// gateway.
///
/// The classic gateway is a pool of threads, each of which takes an order all the way and waits at its end until
/// there is a batch for the exchange, or a millisecond is over (benches/models). It checks no risk. Every gateway
/// has one core, load and exchange have another, and nobody but them spins. Closed loop: so many orders are on their
/// way at any time, and one is there when the exchange has read it.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Runs of each, in turn; medians are told.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Milliseconds of each run, after half as many to warm up.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    ms: u64,
    #[command(flatten)]
    into: Leave,
}

/// Orders on their way at any time.
const WINDOWS: [usize; 3] = [1, 4, 64];
/// Messages that the slower line takes in a second.
const SLOW: u32 = 20_000;
/// Milliseconds of a run there, at least.
const SLOW_MS: u64 = 2_000;
/// Threads of the classic gateway; and orders of its batches, where there are batches.
const POOL: usize = 8;
/// How long what is on its way may take at the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a gateway is built.
#[derive(Clone, Copy)]
enum Way {
    /// Messages that the line takes in a second, and `batch_us`.
    Millrace(u32, u32),
    /// Orders of a batch.
    Classic(usize),
}

const WAYS: [(&str, Way); 6] = [
    ("millrace", Way::Millrace(10_000_000, 0)),
    ("millrace, batch_us = 1000", Way::Millrace(10_000_000, 1_000)),
    ("classic, each alone", Way::Classic(1)),
    ("classic, batches of 8 or 1 ms", Way::Classic(POOL)),
    ("millrace, 20,000/s", Way::Millrace(SLOW, 0)),
    ("millrace, 20,000/s, batch_us = 1000", Way::Millrace(SLOW, 1_000)),
];

/// What one run found.
struct Found {
    rate: f64,
    times_ns: Histogram<u64>,
    /// Orders for each time that the exchange found something to read.
    together: f64,
}

/// What all runs found; of those that were disturbed, no numbers.
#[derive(Default)]
struct Cell {
    rates: Vec<f64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    together: Vec<f64>,
}

impl Cell {
    fn add(&mut self, found: &Found, calm: bool) {
        let kept = |value: f64| if calm { value } else { f64::NAN };
        let at = |quantile| kept(found.times_ns.value_at_quantile(quantile) as f64 / 1e3);
        self.rates.push(kept(found.rate));
        self.p50_us.push(at(0.5));
        self.p99_us.push(at(0.99));
        self.together.push(kept(found.together));
    }
}

/// The median of those that are numbers.
fn middle(values: impl IntoIterator<Item = f64>) -> f64 {
    median(&values.into_iter().filter(|value| !value.is_nan()).collect::<Vec<_>>())
}

/// The median of what one is of another, run by run: they took turns.
fn ratio(of: &[f64], to: &[f64]) -> f64 {
    middle(of.iter().zip(to).map(|(of, to)| of / to))
}

type Failed = Box<dyn std::error::Error>;

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let section = compare(arguments)?;
    alone(&arguments.into, section)
}

/// All gateways with all windows.
pub fn compare(arguments: &Arguments) -> Result<Section, Failed> {
    let title = "Batches of orders to an exchange";
    let mut section = Section::new("batching", title, "millrace bench batching");
    let [first, second, ..] = allowed_cores()[..] else {
        return Err("two cores are needed, one for the gateway".into());
    };
    let models = models();
    if let Err(why) = &models {
        section.say(format!("without the classic gateway: {why}"));
    }
    let is_there = |(_, way): &&(&str, Way)| matches!(way, Way::Millrace(..)) || models.is_ok();
    let ways: Vec<_> = WAYS.iter().filter(is_there).collect();
    let mut cells: Vec<[Cell; WINDOWS.len()]> = ways.iter().map(|_| Default::default()).collect();
    let ms = arguments.ms;
    for _ in 0..arguments.runs {
        for (at, window) in WINDOWS.into_iter().enumerate() {
            for ((_, way), cells) in ways.iter().zip(&mut cells) {
                if signals::wait(Duration::ZERO) {
                    return Err(super::INTERRUPTED.into());
                }
                let plan = Plan { window, ms, cores: [first, second] };
                let (found, disturbance) = Watch::over(|| match (way, &models) {
                    (Way::Millrace(rate, us), _) => {
                        // A rate holds back from second to second.
                        let ms = if *rate == SLOW { ms.max(SLOW_MS) } else { ms };
                        of_millrace(*rate, *us, Plan { ms, ..plan })
                    }
                    (Way::Classic(batch), Ok(models)) => of_classic(models, *batch, plan),
                    (Way::Classic(_), Err(why)) => Err(why.clone()),
                });
                let found = found?;
                let reason = disturbance.reason();
                if let Some(reason) = &reason {
                    section.say(format!("a run left out: {reason}"));
                }
                cells[at].add(&found, reason.is_none());
            }
        }
    }
    tell(&mut section, &ways, &cells);
    Ok(section)
}

fn tell(section: &mut Section, ways: &[&(&str, Way)], cells: &[[Cell; WINDOWS.len()]]) {
    let mut table = Table::new(&["", "on the way", "orders/s", "p50 us", "p99 us", "a read"]);
    for ((name, _), cells) in ways.iter().zip(cells) {
        for (window, cell) in WINDOWS.iter().zip(cells) {
            table.row(vec![
                (*name).to_owned(),
                window.to_string(),
                figure(middle(cell.rates.iter().copied()), 0),
                figure(middle(cell.p50_us.iter().copied()), 1),
                figure(middle(cell.p99_us.iter().copied()), 1),
                figure(middle(cell.together.iter().copied()), 1),
            ]);
            section.keep(
                &format!("{name}, {window}"),
                json!({
                    "orders_per_second": cell.rates, "p50_us": cell.p50_us,
                    "p99_us": cell.p99_us, "orders_a_read": cell.together,
                }),
            );
        }
    }
    section.table(table);
    let many = WINDOWS.len() - 1;
    let lone = |of: usize, to: usize| ratio(&cells[of][0].p50_us, &cells[to][0].p50_us);
    let highest = |of: usize, to: usize| ratio(&cells[of][many].rates, &cells[to][many].rates);
    section.say(format!(
        "with batch_us = 1000, of without: a lone order {} (mark 1.05: {}), the highest rate {}",
        figure(lone(1, 0), 2),
        holds(lone(1, 0) <= 1.05, lone(1, 0)),
        figure(highest(1, 0), 2)
    ));
    if ways.len() == WAYS.len() {
        section.say(format!(
            "millrace of the classic gateway: the highest rate {} of it with batches, {} of it without; a lone order \
             {} and {}",
            figure(highest(0, 3), 2),
            figure(highest(0, 2), 2),
            figure(lone(0, 3), 3),
            figure(lone(0, 2), 2)
        ));
    }
}

/// What every gateway is measured with.
#[derive(Clone, Copy)]
struct Plan {
    window: usize,
    ms: u64,
    /// The gateway's, and the load's.
    cores: [usize; 2],
}

fn of_millrace(rate: u32, batch_us: u32, plan: Plan) -> Result<Found, String> {
    let measure = || -> Result<Found, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let more = format!("batch_us = {batch_us}");
        let base = super::orders::durable_text()
            .replace("ack = \"journaled\"", "ack = \"sequenced\"")
            .replace("[gateway]\n", "[gateway]\naudit = \"off\"\n");
        let terms = Terms { policy: "route-only", rate, more: &more };
        let text = text(&base, Speech::Ouch, listener.local_addr()?, &terms);
        let mut found = Err("nothing was measured".to_owned());
        let venue = std::thread::spawn(move || super::route::answer_call(&listener, Speech::Ouch));
        run_segment(&text, &Place::Loopback, &Carrier::Kernel, |segment| {
            let venue = called(venue, segment)?;
            let client = connect(segment.addresses()[0])?;
            log_in(&client)?;
            found = on_core(plan.cores[1], || load(&client, &venue, plan));
            Ok(Figures { times_ns: histogram(), driver_calls: None })
        })?;
        Ok(found?)
    };
    // Its threads are where this one is.
    on_core(plan.cores[0], || measure().map_err(|error| error.to_string()))
}

fn of_classic(models: &std::path::Path, batch: usize, plan: Plan) -> Result<Found, String> {
    let measure = || -> Result<Found, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let dir = std::env::temp_dir().join(format!("millrace-batching-{}", std::process::id()));
        let dir = Scratch::new(dir)?;
        let mut command = Command::new(models);
        command.args(["classic-gateway", "--venue", &listener.local_addr()?.to_string()]);
        command.arg("--log").arg(dir.path().join("log"));
        command.args(["--workers", &POOL.to_string(), "--batch", &batch.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = on_core(plan.cores[0], || command.spawn())?;
        let mut talk = || -> Result<Found, Failed> {
            let mut line = String::new();
            BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
            let at = line.trim().rsplit(' ').next().and_then(|at| at.parse::<SocketAddr>().ok());
            let venue = listener.accept()?.0;
            venue.set_nodelay(true)?;
            venue.set_nonblocking(true)?;
            let client = connect(at.ok_or("it did not start")?)?;
            log_in(&client)?;
            Ok(on_core(plan.cores[1], || load(&client, &venue, plan))?)
        };
        let found = talk();
        let _ = child.kill();
        let _ = child.wait();
        found
    };
    measure().map_err(|error| error.to_string())
}

fn log_in(mut client: &TcpStream) -> std::io::Result<()> {
    client.write_all(&login_packet("TRADE1", "secret", "", 0))?;
    read(client, &mut [0; 33])
}

/// The client at one end and the exchange at the other: orders, and a fill for each.
fn load(client: &TcpStream, venue: &TcpStream, plan: Plan) -> Result<Found, String> {
    let Plan { window, ms, .. } = plan;
    let load = || -> Result<Found, Failed> {
        let (warm_up, whole) = (Duration::from_millis(ms / 2), Duration::from_millis(ms * 3 / 2));
        let mut ends = Ends::default();
        let mut times_ns = histogram();
        let (mut there, mut reads, mut counted) = (0, 0, 0);
        let began = Instant::now();
        loop {
            let now = began.elapsed();
            if now < whole {
                ends.enter(client, window - (ends.left.len() - there), began)?;
            } else if there == ends.left.len() {
                break;
            }
            if now > whole + PATIENCE {
                return Err(format!("{} orders never came", ends.left.len() - there).into());
            }
            let came = ends.take_orders(venue)?;
            let now = began.elapsed();
            for number in &came {
                let left =
                    ends.left.get(*number as usize - 1).ok_or("an order that nobody sent")?;
                if now > warm_up && now < whole {
                    counted += 1;
                    times_ns.saturating_record((now - *left).as_nanos() as u64);
                }
            }
            reads += u64::from(!came.is_empty() && now > warm_up && now < whole);
            there += came.len();
            ends.drop_answers(client)?;
        }
        let rate = counted as f64 / (whole - warm_up).as_secs_f64();
        Ok(Found { rate, times_ns, together: counted as f64 / reads.max(1) as f64 })
    };
    load().map_err(|error| error.to_string())
}

/// What both ends have under way.
#[derive(Default)]
struct Ends {
    /// When each order left, in the order of their numbers.
    left: Vec<Duration>,
    /// Bytes of the exchange's that are no whole packet yet.
    partial: Vec<u8>,
    fills: Vec<u8>,
}

impl Ends {
    /// So many orders more, together.
    fn enter(&mut self, client: &TcpStream, count: usize, began: Instant) -> std::io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let mut bytes = vec![];
        for at in 0..count {
            let number = (self.left.len() + at + 1) as u32;
            // All of one side: an order that would meet its own firm there is not sent.
            let order = NewOrder::new(number, b'B', 100, "AAPL", Price(1_000_000));
            bytes.extend(packet(kind::UNSEQUENCED, &order.encode()));
        }
        let now = began.elapsed();
        self.left.extend(std::iter::repeat_n(now, count));
        write(client, &bytes)
    }

    /// The numbers of orders that came to the exchange, which fills each.
    fn take_orders(&mut self, mut venue: &TcpStream) -> std::io::Result<Vec<u32>> {
        let mut chunk = [0; 8192];
        match venue.read(&mut chunk) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.partial.extend_from_slice(&chunk[..count]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(vec![]),
            Err(e) => return Err(e),
        }
        let (mut numbers, mut from) = (vec![], 0);
        while let Some(head) = self.partial.get(from..from + 3) {
            let until = from + 2 + usize::from(u16::from_be_bytes([head[0], head[1]]));
            let Some(body) = self.partial.get(from + 3..until) else { break };
            if let (kind::UNSEQUENCED, [b'O', a, b, c, d, ..]) = (head[2], body) {
                numbers.push(u32::from_be_bytes([*a, *b, *c, *d]));
            }
            from = until;
        }
        self.partial.drain(..from);
        self.fills.clear();
        for number in &numbers {
            let fill = Executed {
                kind: b'E',
                timestamp: 0.into(),
                user_ref: (*number).into(),
                quantity: 100.into(),
                price: 1_000_000.into(),
                liquidity: b'A',
                match_number: u64::from(*number).into(),
            };
            self.fills.extend_from_slice(&header(kind::SEQUENCED, 36));
            self.fills.extend_from_slice(fill.as_bytes());
            self.fills.extend_from_slice(&[0, 0]);
        }
        write(venue, &self.fills)?;
        Ok(numbers)
    }

    /// What the client is told is read, and that is all.
    fn drop_answers(&self, mut client: &TcpStream) -> std::io::Result<()> {
        match client.read(&mut [0; 16_384]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() != ErrorKind::WouldBlock => Err(e),
            _ => Ok(()),
        }
    }
}

/// Writes all, spinning.
fn write(mut stream: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
