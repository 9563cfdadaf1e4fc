//! `millrace demo --pipeline`

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Outcome;
use super::backtest::compare;
use super::record::Recording;
use super::trade::Log;
use crate::client::market::Market;
use crate::client::source::{Heard, Source};
use crate::config::Config;
use crate::lab::backtest::report::{self, Heading};
use crate::lab::backtest::{self, Delay, Latency, OwnOrders};
use crate::lab::{Partition, Setup, Store, read};
use crate::order::{NANOS_PER_SEC, Price};
use crate::ring::region::Place;
use crate::runtime::signals;
use crate::segment::Segment;
use crate::strategy::live::{Heed, Seat, run as run_live};
use crate::strategy::ouch::OuchLink;
use crate::strategy::{Counts, Desk, Fees, Limits, Maker, Noise, money};

const SYMBOL: &str = "AAPL";
const RING: &str = "pipeline";
const AROUND: Price = Price(1_900_000);
/// Actions a second of each of those who trade without a view.
const FLOW: u64 = 1_000;
/// What the back-test takes for the ways, about what loopback takes here.
const WAYS: [u64; 3] = [150_000, 100_000, 150_000];

fn maker_desk() -> Desk {
    let limits = Limits { orders_per_second: 1_000, max_loss: 100_000_000, ..Limits::default() };
    Desk::new(&[SYMBOL], limits, Fees::default())
}

pub fn run(dir: &Path, time: Duration) -> Outcome {
    let mut config = Config::parse(&configuration(dir), "the demo's configuration")?;
    config.gateway.data_dir = dir.join("gateway");
    std::fs::create_dir_all(dir)?;
    let segment = Segment::start(&config)?;
    let address = segment.addresses()[0];
    let place = Place::new(dir, RING)?;
    println!(
        "gateway on {address}, its feed in the ring {}; two who trade at random, a market maker, a recorder, for \
         {} s",
        place.ring().display(),
        time.as_secs()
    );
    let (log, data) = (dir.join("maker.jsonl"), dir.join("data"));
    let stop = AtomicBool::new(false);
    let end = Instant::now() + time;
    let (live, recorded) = std::thread::scope(|scope| -> Result<_, Box<dyn std::error::Error>> {
        let recorder = scope.spawn(|| record(&place, &data, &stop).map_err(in_words));
        let flows = [("TRADE1", 1), ("TRADE3", 2)].map(|(user, seed)| {
            let place = place.clone();
            scope.spawn(move || flow(&place, address, user, seed, end).map_err(in_words))
        });
        let maker = scope.spawn(|| make(&place, address, &log, end).map_err(in_words));
        let shown = show(&place, end);
        let live = maker.join().map_err(|_| "the maker panicked")??;
        for flow in flows {
            flow.join().map_err(|_| "the random flow panicked")??;
        }
        // The feed tells the last of it.
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Release);
        let recorded = recorder.join().map_err(|_| "the recorder panicked")??;
        shown?;
        Ok((live, recorded))
    })?;
    let stopped = segment.stop();
    if let Some(why) = stopped.failure {
        return Err(why.into());
    }
    println!(
        "live        profit {}, {} held, {} trades",
        live.profit, live.held, live.counts.fills
    );
    println!("recorded    {} rows in {} files, {} missed", recorded.0, recorded.1, recorded.2);
    again(dir, &data, &log)
}

/// An error that may go to another thread.
fn in_words(error: Box<dyn std::error::Error>) -> String {
    error.to_string()
}

/// The built-in configuration with a feed, on a port of its own.
fn configuration(dir: &Path) -> String {
    let built_in = crate::config::BUILT_IN.replace("127.0.0.1:7001", "127.0.0.1:0");
    format!("{built_in}\n[feed]\nring = \"{RING}\"\nring_dir = {:?}\n", dir.display().to_string())
}

fn record(
    place: &Place,
    data: &Path,
    stop: &AtomicBool,
) -> Result<(u64, u64, u64), Box<dyn std::error::Error>> {
    let mut source = Source::ring(place)?;
    let setup = Setup {
        store: Store::new(data),
        partition: Partition::Symbol,
        file_rows: 1 << 20,
        file_ns: 300 * NANOS_PER_SEC,
        rows_max: 4 << 20,
        signals: true,
        one_clock: true,
    };
    let mut recording = Recording::new(setup, true);
    loop {
        let over = stop.load(Ordering::Acquire);
        if recording.take(&mut source)? == 0 {
            if over {
                recording.finish()?;
                let done = recording.done;
                return Ok((done.written, done.files, done.missed));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        recording.look(&source)?;
    }
}

fn flow(
    place: &Place,
    address: std::net::SocketAddr,
    user: &str,
    seed: u64,
    end: Instant,
) -> Outcome {
    let limits = Limits {
        max_order_shares: u32::MAX,
        max_position: u32::MAX,
        max_open_orders: usize::MAX,
        max_loss: u64::MAX >> 2,
        orders_per_second: usize::MAX,
    };
    let desk = Desk::new(&[SYMBOL], limits, Fees::default());
    let mut seat = Seat::new(Noise::new(&[AROUND], FLOW, seed), desk);
    let (mut source, mut link) = (Source::ring(place)?, OuchLink::new(address, user, "secret"));
    run_live(&mut seat, &mut source, &mut link, |_| Instant::now() < end, |_| ())?;
    Ok(())
}

struct Live {
    profit: String,
    held: i64,
    counts: Counts,
}

fn make(
    place: &Place,
    address: std::net::SocketAddr,
    log: &PathBuf,
    end: Instant,
) -> Result<Live, Box<dyn std::error::Error>> {
    let mut seat = Seat::new(Maker::default(), maker_desk());
    let (mut source, mut link) = (Source::ring(place)?, OuchLink::new(address, "TRADE5", "secret"));
    let mut log = Log::open(log)?;
    let goes_on = |seat: &Seat<Maker>| Instant::now() < end && seat.desk.killed().is_none();
    run_live(&mut seat, &mut source, &mut link, goes_on, |heed: &Heed| log.write(heed))?;
    log.close()?;
    let desk = &seat.desk;
    let (held, counts) = (desk.position(0).shares, *desk.counts());
    Ok(Live { profit: money(desk.twice_profit()), held, counts })
}

/// A line of signals each second.
fn show(place: &Place, end: Instant) -> Result<(), Box<dyn std::error::Error>> {
    let (mut source, mut market) = (Source::ring(place)?, Market::new());
    let (mut told, mut before) = (Instant::now(), 0);
    while Instant::now() < end {
        let taken = source.poll(4_096, |heard| match heard {
            Heard::Message { bytes, .. } => _ = crate::client::feed::take_in(&mut market, bytes),
            Heard::Gap { .. } => market.forget_orders(),
            Heard::Session => market = Market::new(),
        })?;
        if taken == 0 && signals::wait(Duration::from_millis(1)) {
            return Err("interrupted".into());
        }
        let Some(depth) = market.depth(SYMBOL).filter(|_| told.elapsed() > Duration::from_secs(1))
        else {
            continue;
        };
        told = Instant::now();
        let signals = &depth.signals;
        if let (Some(micro), Some(mid)) = (signals.microprice(), signals.twice_mid()) {
            println!(
                "{SYMBOL}  mid {:.4}  microprice {:.4}  imbalance {:+.2} {:+.2} {:+.2}  flow {:+}  {} events",
                mid as f64 / 20_000.0,
                micro / 10_000.0,
                signals.imbalance(0).unwrap_or(0.0),
                signals.imbalance(1).unwrap_or(0.0),
                signals.imbalance(2).unwrap_or(0.0),
                signals.flow() - before,
                signals.events()
            );
        }
        before = signals.flow();
    }
    Ok(())
}

/// The maker in what was just recorded.
fn again(dir: &Path, data: &Path, log: &Path) -> Outcome {
    let symbols = [SYMBOL.to_owned()];
    let own = OwnOrders::read(log)?;
    let latency = Latency {
        feed: Delay::Fixed(WAYS[0]),
        order: Delay::Fixed(WAYS[1]),
        report: Delay::Fixed(WAYS[2]),
    };
    let mut seat = Seat::new(Maker::default(), maker_desk());
    let mut recording = read::Recording::open(data, &symbols)?;
    let setup = backtest::Setup {
        symbols: symbols.to_vec(),
        latency: latency.clone(),
        seed: 1,
        without: own.clone(),
    };
    let outcome = backtest::run(&mut recording, &mut seat, setup)?;
    let desk = &seat.desk;
    println!(
        "back-test   profit {}, {} held, {} trades, on the same market without its live orders",
        money(desk.twice_profit()),
        desk.position(0).shares,
        outcome.fills.len()
    );
    let live = compare(data, &symbols, &own)?;
    println!("live        {live}");
    let agrees = live.starts_with("agrees");
    let heading = Heading {
        strategy: format!("{:?}", Maker::default()),
        data: format!("{}, session {}", data.display(), recording.session),
        seed: 1,
        live: Some(live),
    };
    let out = dir.join("report");
    report::write(&out, &heading, &outcome, desk, &latency)?;
    println!("report      {}", out.join("report.html").display());
    if agrees { Ok(()) } else { Err("live and back-test do not agree".into()) }
}
