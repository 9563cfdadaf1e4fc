//! `millrace demo`

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Outcome;
use crate::client::load::{OpenLoop, Random, Tally};
use crate::client::playground::{self, Carrier, Playground};
use crate::client::{Client, LoginError, NewOrder, account_query, cancel};
use crate::config::{Ack, Config};
use crate::gateway::hash_password;
use crate::order::{NANOS_PER_SEC, Price};
use crate::runtime::signals;
use crate::segment::{Segment, StateHash, journal_dir, recover};

/// Run the whole thing: the real gateway on loopback and five client sessions over TCP for five
/// seconds, a recovery from the journal, and the same flow again without waiting for the disk.
#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds of load.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Messages a second that are offered, over all sessions.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: u64,
    /// What carries the bytes; all but kernel make two network namespaces joined by a wire, run
    /// there and remove them, and need root.
    #[arg(long, value_enum, default_value = "kernel")]
    transport: Transport,
    /// Keep the data directory, and print where it is.
    #[arg(long)]
    keep: bool,
    /// Show routing instead: an exchange behind the gateway, three firms with a policy each, and what came of it on
    /// one page, both sides recovered from their journals and compared.
    #[arg(long)]
    route: bool,
    /// Show the trading pipeline instead: gateway, feed, recorder, signals, a market maker and a random flow for ten
    /// seconds; then the maker back-tested on what was recorded. Leaves a report.
    #[cfg(feature = "lab")]
    #[arg(long)]
    pipeline: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Transport {
    /// Kernel sockets on loopback.
    Kernel,
    /// AF_XDP.
    AfXdp,
    /// DPDK, with its driver for AF_PACKET sockets.
    #[cfg(feature = "dpdk")]
    Dpdk,
}

impl Transport {
    fn carrier(self) -> Carrier {
        match self {
            Transport::Kernel => Carrier::Kernel,
            Transport::AfXdp => Carrier::AfXdp(vec![0]),
            #[cfg(feature = "dpdk")]
            Transport::Dpdk => Carrier::Dpdk("net_af_packet"),
        }
    }
}

const SESSIONS: u64 = 5;
const SYMBOL: &str = "PERF";
/// How long the pipeline trades.
#[cfg(feature = "lab")]
const PIPELINE: Duration = Duration::from_secs(10);
/// Messages a second that routing is shown with, at most.
const ROUTED_RATE: u64 = 2_000;
/// How long the last answers may take.
const SETTLE: Duration = Duration::from_secs(30);

/// A directory of its own, removed at the end.
struct Scratch {
    dir: PathBuf,
    keep: bool,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    super::start_log();
    // An interrupted demo still removes what it made.
    signals::hold_back();
    let dir = std::env::temp_dir().join(format!("millrace-demo-{}", std::process::id()));
    #[cfg(feature = "lab")]
    if arguments.pipeline {
        return super::pipeline::run(&dir, PIPELINE);
    }
    let scratch = Scratch { dir, keep: arguments.keep };
    if arguments.route {
        return super::route::run(&scratch.dir, arguments.seconds, arguments.rate.min(ROUTED_RATE));
    }
    let carrier = arguments.transport.carrier();
    let playground = match carrier {
        Carrier::Kernel => None,
        _ => Some(Playground::new(1)?),
    };
    let mut run = Run { arguments, playground: playground.as_ref(), carrier: &carrier };
    run.durable(&scratch.dir)?;
    run.sequenced(&scratch.dir.join("sequenced"))?;
    if arguments.keep {
        println!("data directory: {}", scratch.dir.display());
    }
    Ok(())
}

/// What both rounds have in common.
struct Run<'a> {
    arguments: &'a Arguments,
    playground: Option<&'a Playground>,
    carrier: &'a Carrier,
}

impl Run<'_> {
    /// As money wants it: acknowledged when it is on disk. Then a recovery from there.
    fn durable(&mut self, dir: &Path) -> Outcome {
        let config = configure(dir, self.carrier)?;
        let segment = self.start(&config)?;
        let (arguments, address) = (self.arguments, segment.addresses()[0]);
        println!(
            "gateway on {address} ({}): OUCH 5.0 over SoupBinTCP, acknowledged when journaled; \
             {SESSIONS} sessions, {} messages/s for {} s",
            segment.transport(),
            arguments.rate,
            arguments.seconds
        );
        let (tally, took) = trade(arguments, self.log_in(address)?)?;
        report(arguments, &tally, took);
        let shown = ["journal.write_p50_ns", "journal.write_p99_ns"];
        let [p50, p99] = shown.map(|name| segment.counters().get(name).get() as f64 / 1000.0);
        println!("of which one write to the disk takes p50 {p50:.1} us, p99 {p99:.1} us");
        let stopped = segment.stop();
        if let Some(why) = stopped.failure {
            return Err(why.into());
        }
        compare(&config, stopped.commands, stopped.state_hash)
    }

    /// The same flow without waiting for the disk: what the gateway itself takes.
    fn sequenced(&mut self, dir: &Path) -> Outcome {
        let mut config = configure(dir, self.carrier)?;
        config.gateway.ack = Ack::Sequenced;
        let segment = self.start(&config)?;
        println!("\nthe same flow with ack = \"sequenced\", which does not wait for the disk:");
        let (tally, took) = trade(self.arguments, self.log_in(segment.addresses()[0])?)?;
        report(self.arguments, &tally, took);
        segment.stop().failure.map_or(Ok(()), |why| Err(why.into()))
    }

    fn start(&self, config: &Config) -> Result<Segment, Box<dyn std::error::Error>> {
        Ok(match self.playground {
            None => Segment::start(config)?,
            Some(hosts) => hosts.server.run(|| Segment::start(config))??,
        })
    }

    fn log_in(&self, address: SocketAddr) -> Result<Vec<Client>, Box<dyn std::error::Error>> {
        Ok(match self.playground {
            None => log_in(address)?,
            Some(hosts) => hosts.client.run(|| log_in(address))??,
        })
    }
}

fn log_in(address: SocketAddr) -> Result<Vec<Client>, LoginError> {
    let login = |n| Client::login(address, &format!("TRADE{n}"), "secret", 0);
    (1..=SESSIONS).map(login).collect()
}

/// The built-in configuration on any free port of loopback, or of the other host's end.
fn configure(dir: &Path, carrier: &Carrier) -> Result<Config, Box<dyn std::error::Error>> {
    let mut text = crate::config::BUILT_IN.replace("127.0.0.1:7001", "127.0.0.1:0");
    // The rate is what is asked for, not what the built-in limits allow.
    text.push_str("max_messages_per_second = 100000000\n");
    if *carrier != Carrier::Kernel {
        text = playground::adapt(&text, carrier, &hash_password("secret", false)?);
    }
    let mut config = Config::parse(&text, "built-in configuration")?;
    config.gateway.data_dir = dir.to_owned();
    Ok(config)
}

/// Sends the load on its schedule: buys of 1 to 100 at 10.00 to 100.00, sells of 1 to 10,
/// cancels, account queries. What came of it, and how long sending it took.
fn trade(
    arguments: &Arguments,
    clients: Vec<Client>,
) -> Result<(Tally, Duration), Box<dyn std::error::Error>> {
    let mut tally = Tally::default();
    let mut random = Random::new(568);
    let mut last_ref = [0u32; SESSIONS as usize];
    let mut load = OpenLoop::new(clients)?;
    let mut progress = Progress::new(arguments.seconds);
    let messages = arguments.rate * arguments.seconds;
    // What cannot be held is not offered for ever.
    let late = Duration::from_secs(arguments.seconds + 1);
    load.start();
    for n in 0..messages {
        let due = Duration::from_nanos(n * NANOS_PER_SEC / arguments.rate);
        load.receive_until(due, &mut tally)?;
        if load.elapsed() > late {
            break;
        }
        let session = (n % SESSIONS) as usize;
        let (message, user_ref) = draw(&mut random, &mut last_ref[session]);
        load.send(session, &message, user_ref, due, &mut tally)?;
        if progress.show(load.elapsed(), &tally) && signals::wait(Duration::ZERO) {
            progress.end();
            return Err("interrupted".into());
        }
    }
    let took = load.elapsed();
    let answered = load.settle(SETTLE, &mut tally)?;
    progress.end();
    load.logout()?;
    if !answered {
        return Err("some orders were not answered".into());
    }
    Ok((tally, took))
}

/// One message of the workload, and its number if it is an order.
fn draw(random: &mut Random, last_ref: &mut u32) -> (Vec<u8>, Option<u32>) {
    let price = Price(((10 * 100 + random.below(90 * 100 + 1)) * 100) as u32);
    let (side, most) = match random.below(100) {
        0..45 => (b'B', 100),
        45..85 => (b'S', 10),
        85..97 if *last_ref > 0 => {
            let back = random.below(50.min(u64::from(*last_ref))) as u32;
            return (cancel(*last_ref - back, 0), None);
        }
        _ => return (account_query(), None),
    };
    *last_ref += 1;
    let quantity = 1 + random.below(most) as u32;
    let order = NewOrder::new(*last_ref, side, quantity, SYMBOL, price);
    (order.encode(), Some(*last_ref))
}

/// A line that grows on a terminal; a line a second elsewhere.
struct Progress {
    seconds: u64,
    shown: Duration,
    every: Duration,
    terminal: bool,
}

impl Progress {
    fn new(seconds: u64) -> Progress {
        let terminal = std::io::stdout().is_terminal();
        let every = Duration::from_millis(if terminal { 100 } else { 1000 });
        Progress { seconds, shown: Duration::ZERO, every, terminal }
    }

    /// True if there was something new to show.
    fn show(&mut self, elapsed: Duration, tally: &Tally) -> bool {
        if elapsed < self.shown + self.every {
            return false;
        }
        self.shown = elapsed;
        let (start, end) = if self.terminal { ("\r", "") } else { ("", "\n") };
        print!(
            "{start}  {:4.1} / {} s   {} orders   {} trades{end}",
            elapsed.as_secs_f64(),
            self.seconds,
            tally.orders,
            tally.executions / 2
        );
        let _ = std::io::stdout().flush();
        true
    }

    fn end(&self) {
        if self.terminal {
            println!();
        }
    }
}

fn report(arguments: &Arguments, tally: &Tally, took: Duration) {
    let rate = tally.messages as f64 / took.as_secs_f64().max(arguments.seconds as f64);
    println!("offered {}/s, held {rate:.0}/s", arguments.rate);
    println!(
        "orders {}   accepted {}   rejected {}   trades {}   cancels {}",
        tally.orders,
        tally.accepted,
        tally.rejected,
        tally.executions / 2,
        tally.canceled
    );
    println!("order to Accepted, {} samples, from the scheduled time:", tally.latency_ns.len());
    let row = |name: &str, ns: u64| println!("  {name:<6} {:>10.1} us", ns as f64 / 1000.0);
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        row(name, tally.latency_ns.value_at_quantile(quantile));
    }
    row("max", tally.latency_ns.max());
}

/// Recovers from the journal and compares.
fn compare(config: &Config, commands: u64, live: StateHash) -> Outcome {
    let started = Instant::now();
    let recovered = recover(&journal_dir(config), config)?;
    let elapsed = started.elapsed();
    let hash = recovered.state_hash();
    println!("stopped after {commands} commands, state hash {live}");
    println!(
        "recovered {} commands from the journal in {:.0} ms, state hash {hash}",
        recovered.risk.last_seq(),
        elapsed.as_secs_f64() * 1000.0
    );
    if hash != live || recovered.risk.last_seq().0 != commands {
        return Err("the recovered state is not the live one".into());
    }
    println!("the recovered state hash equals the live one");
    Ok(())
}
