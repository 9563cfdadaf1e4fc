//! `millrace backtest`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Outcome;
use super::trade::{LimitArguments, StrategyArguments, Which};
use crate::lab::backtest::report::{self, Heading};
use crate::lab::backtest::{self, Audit, Delay, Latency, OwnOrders, Setup};
use crate::lab::read::Recording;
use crate::strategy::live::Seat;
use crate::strategy::money;

/// Have a strategy trade in what was recorded: against the real book, on virtual time.
///
/// Its orders stand in the book among those recorded and trade by their place in the queue. The same seed gives the
/// same fills to the byte.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  millrace backtest --strategy maker --symbol AAPL --data data
  millrace backtest --strategy taker --symbol AAPL --data data --order-latency 40us --out report
  millrace backtest --strategy maker --symbol AAPL --data data --without maker.jsonl
  millrace backtest --strategy maker --symbol AAPL --data data --order-latency-from times.csv --seed 7")]
pub struct Arguments {
    /// What decides.
    #[arg(long, value_enum)]
    strategy: Which,
    /// The folder of a recording.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Symbol; more than once for more of them.
    #[arg(long, required = true)]
    symbol: Vec<String>,
    /// A folder for the report: report.html, fills.parquet, curve.parquet.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave out the orders of a live run, by its log (`millrace trade --log`), and say whether they would trade here
    /// as they did.
    #[arg(long, value_name = "FILE")]
    without: Option<PathBuf>,
    /// Begins the random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    latency: LatencyArguments,
    #[command(flatten)]
    strategies: StrategyArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

/// How long things take on their way.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Latency")]
pub struct LatencyArguments {
    /// From the book to the strategy, by the feed: 800ns, 5us, 1ms.
    #[arg(long, value_name = "TIME", default_value = "10us", value_parser = nanoseconds)]
    feed_latency: u64,
    /// From the strategy to the book.
    #[arg(long, value_name = "TIME", default_value = "20us", value_parser = nanoseconds)]
    order_latency: u64,
    /// The same drawn from a histogram: lines of nanoseconds and how often.
    #[arg(long, value_name = "FILE", conflicts_with = "order_latency")]
    order_latency_from: Option<PathBuf>,
    /// From the book to the strategy, of its own orders.
    #[arg(long, value_name = "TIME", default_value = "20us", value_parser = nanoseconds)]
    report_latency: u64,
}

/// A time as text.
pub fn nanoseconds(text: &str) -> Result<u64, String> {
    let units = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];
    let found = units.iter().find_map(|(unit, ns)| Some((text.strip_suffix(unit)?, ns)));
    let number = found.and_then(|(digits, ns)| digits.parse::<u64>().ok()?.checked_mul(*ns));
    number.ok_or_else(|| "a time is a number and ns, us, ms or s, as in 20us".to_owned())
}

impl LatencyArguments {
    /// The model.
    pub fn build(&self) -> Result<Latency, Box<dyn std::error::Error>> {
        Ok(Latency {
            feed: Delay::Fixed(self.feed_latency),
            order: match &self.order_latency_from {
                Some(path) => Delay::read(path)?,
                None => Delay::Fixed(self.order_latency),
            },
            report: Delay::Fixed(self.report_latency),
        })
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    let own = arguments.without.as_deref().map(OwnOrders::read).transpose()?;
    let latency = arguments.latency.build()?;
    let strategy = arguments.strategies.build(arguments.strategy, arguments.symbol.len());
    let mut seat =
        Seat::new(strategy, arguments.limits.desk(arguments.strategy, &arguments.symbol));
    let mut recording = Recording::open(&arguments.data, &arguments.symbol)?;
    let setup = Setup {
        symbols: arguments.symbol.clone(),
        latency: latency.clone(),
        seed: arguments.seed,
        without: own.clone().unwrap_or_default(),
    };
    let began = Instant::now();
    let outcome = backtest::run(&mut recording, &mut seat, setup)?;
    let took = began.elapsed();
    say(&outcome, &seat, took);
    let live = own.map(|own| compare(&arguments.data, &arguments.symbol, &own)).transpose()?;
    if let Some(live) = &live {
        println!("live        {live}");
    }
    if let Some(out) = &arguments.out {
        let heading = Heading {
            strategy: format!("{:?} on {}", arguments.strategy, arguments.symbol.join(", ")),
            data: format!("{}, session {}", arguments.data.display(), recording.session),
            seed: arguments.seed,
            live,
        };
        report::write(out, &heading, &outcome, &seat.desk, &latency)?;
        println!("report      {}", out.join("report.html").display());
    }
    Ok(())
}

fn say<S: crate::strategy::Strategy>(outcome: &backtest::Outcome, seat: &Seat<S>, took: Duration) {
    let desk = &seat.desk;
    let (counts, seconds) = (desk.counts(), (outcome.span.1 - outcome.span.0) as f64 / 1e9);
    println!("events      {} of {seconds:.3} s", outcome.events);
    let rate = outcome.events as f64 / took.as_secs_f64();
    println!("time        {:.3} s, {rate:.0} events/s", took.as_secs_f64());
    println!("profit      {}", money(desk.twice_profit()));
    for symbol in 0..desk.symbols() {
        let name = String::from_utf8_lossy(desk.name(symbol)).trim_end().to_owned();
        let position = desk.position(symbol);
        let (held, bought, sold) = (position.shares, position.bought, position.sold);
        println!("{name:<12}{held} held, {bought} bought, {sold} sold");
    }
    println!(
        "orders      {} entered, {} replaced, {} cancelled, {} rejected, {} held back",
        counts.entered, counts.replaced, counts.cancelled, counts.rejected, counts.refused
    );
    println!("fills       {}", outcome.fills.len());
    for (name, added) in [("rested", true), ("took", false)] {
        let [ms10, ms100, s1, _] = report::markouts(&outcome.fills, added);
        if s1.1 + ms10.1 > 0 {
            let text = |(gain, _): (f64, u64)| format!("{:+.6}", gain / 10_000.0);
            println!(
                "{name:<12}a share gained {} after 10 ms, {} after 100 ms, {} after 1 s",
                text(ms10),
                text(ms100),
                text(s1)
            );
        }
    }
    if let Some(why) = desk.killed() {
        println!("stopped     {why}");
    }
}

/// Whether a live run's resting orders trade in the recording as they did.
pub fn compare(
    data: &Path,
    symbols: &[String],
    own: &OwnOrders,
) -> Result<String, Box<dyn std::error::Error>> {
    let mut recording = Recording::open(data, symbols)?;
    let audit = backtest::audit(&mut recording, symbols, own)?;
    Ok(words(&audit))
}

fn words(audit: &Audit) -> String {
    let fill = |fill: Option<backtest::Filled>| match fill {
        Some((order, shares, price)) => format!("{shares} at {price} of order {order}"),
        None => "nothing".to_owned(),
    };
    match audit.first_difference {
        None => format!(
            "agrees: the same orders at the same places get the same {} fills as they did live",
            audit.same
        ),
        Some((live, again)) => {
            format!("differs after {} fills: live {}, here {}", audit.same, fill(live), fill(again))
        }
    }
}
