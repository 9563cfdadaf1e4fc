//! `millrace trade`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Outcome;
use super::source::FeedArguments;
use crate::order::{Price, UnixNanos};
use crate::runtime::signals;
use crate::strategy::live::{Heed, Seat, run as run_live};
use crate::strategy::ouch::OuchLink;
use crate::strategy::{
    Desk, Fees, FixEnd, FixLink, Limits, Maker, Noise, Report, Strategy, Taker, money,
};

/// Let a strategy trade at a running gateway: the feed in, orders out over OUCH 5.0 or FIX 4.4.
///
/// Over OUCH it knows its orders and its position of earlier runs, because it has its day told again at the start;
/// over FIX it begins at nothing. Ctrl-C, or
/// its loss limit, cancels everything it has open.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  millrace trade maker --symbol AAPL --user TRADE1 --password secret --config millrace.toml
  millrace trade taker --symbol AAPL --user TRADE2 --password secret --threshold 5000
  millrace trade noise --symbol AAPL --user TRADE3 --password secret --rate 1000 --around 190.00")]
pub struct Arguments {
    /// What decides.
    #[arg(value_enum)]
    strategy: Which,
    /// Symbol; more than once for more of them.
    #[arg(long, required = true)]
    symbol: Vec<String>,
    /// The gateway's port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7001")]
    to: SocketAddr,
    /// User name, over OUCH.
    #[arg(long, required_unless_present = "fix", default_value = "")]
    user: String,
    /// Password.
    #[arg(long)]
    password: String,
    /// Trade over FIX 4.4, as this SenderCompID, at the gateway's `fix44` port.
    #[arg(long, value_name = "COMPID")]
    fix: Option<String>,
    /// The gateway's own CompID.
    #[arg(long, value_name = "COMPID", default_value = "MILLRACE")]
    fix_gateway: String,
    /// Leave after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Write its own orders' fates to this file, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    feed: FeedArguments,
    #[command(flatten)]
    strategies: StrategyArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Strategies that come with millrace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Which {
    /// Quotes on both sides of the microprice, leaning away from what it holds.
    Maker,
    /// Takes when the order flow leans one way.
    Taker,
    /// Orders at random, to fill a market.
    Noise,
}

/// What strategies can be told.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Strategies")]
pub struct StrategyArguments {
    /// Shares of an order.
    #[arg(long, default_value_t = 100)]
    shares: u32,
    /// maker: from the fair price to a quote.
    #[arg(long, value_name = "PRICE", default_value = "0.02")]
    half_spread: Price,
    /// maker: how far the fair price leans for 100 shares held.
    #[arg(long, value_name = "PRICE", default_value = "0.002")]
    skew: Price,
    /// maker, taker: shares held at the most.
    #[arg(long, value_name = "SHARES", default_value_t = 500)]
    hold: u32,
    /// taker: shares of flow at which it trades.
    #[arg(long, value_name = "SHARES", default_value_t = 2_000)]
    threshold: i64,
    /// taker: milliseconds over which flow is summed.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    window: u64,
    /// noise: actions a second.
    #[arg(long, default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// noise: the price to begin at.
    #[arg(long, value_name = "PRICE", default_value = "190.00")]
    around: Price,
    /// noise: begins its random numbers.
    #[arg(long, default_value_t = 1)]
    noise_seed: u64,
}

impl StrategyArguments {
    /// The strategy, for so many symbols.
    pub fn build(&self, which: Which, symbols: usize) -> Box<dyn Strategy> {
        match which {
            Which::Maker => {
                let mut maker = Maker::default();
                (maker.shares, maker.most) = (self.shares, self.hold);
                (maker.half_spread, maker.skew) = (self.half_spread.0, self.skew.0);
                Box::new(maker)
            }
            Which::Taker => {
                let mut taker = Taker::default();
                (taker.shares, taker.most) = (self.shares, self.hold);
                (taker.threshold, taker.window_ns) = (self.threshold, self.window * 1_000_000);
                Box::new(taker)
            }
            Which::Noise => {
                Box::new(Noise::new(&vec![self.around; symbols], self.rate, self.noise_seed))
            }
        }
    }
}

/// What a desk is held to.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Its own limits")]
pub struct LimitArguments {
    /// Shares held or owed in a symbol, with everything open.
    #[arg(long, value_name = "SHARES", default_value_t = 1_000)]
    max_position: u32,
    /// Loss at which everything is cancelled.
    #[arg(long, value_name = "MONEY", default_value = "1000.00")]
    max_loss: Price,
    /// Enters and Replaces in any second.
    #[arg(long, value_name = "ORDERS", default_value_t = 100)]
    max_rate: usize,
    /// Orders open at the same time.
    #[arg(long, value_name = "ORDERS", default_value_t = 20)]
    max_open: usize,
    /// Fee for a share that rested, in millionths; below zero it is a rebate.
    #[arg(long, value_name = "MILLIONTHS", default_value_t = 0, allow_negative_numbers = true)]
    fee_added: i64,
    /// Fee for a share that took.
    #[arg(long, value_name = "MILLIONTHS", default_value_t = 0, allow_negative_numbers = true)]
    fee_removed: i64,
}

impl LimitArguments {
    /// The desk of a strategy.
    pub fn desk(&self, which: Which, symbols: &[String]) -> Desk {
        let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let fees = Fees { added: self.fee_added, removed: self.fee_removed };
        let limits = Limits {
            max_order_shares: self.max_position.max(1),
            max_position: self.max_position,
            max_open_orders: self.max_open,
            max_loss: self.max_loss.0.into(),
            orders_per_second: self.max_rate,
        };
        // Noise is there to fill a market, not to be held to anything.
        let limits = match which {
            Which::Noise => Limits {
                max_position: u32::MAX,
                max_open_orders: usize::MAX,
                max_loss: u64::MAX >> 2,
                orders_per_second: usize::MAX,
                ..limits
            },
            _ => limits,
        };
        Desk::new(&names, limits, fees)
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    super::start_log();
    signals::hold_back();
    let mut source = arguments.feed.open(false)?;
    let strategy = arguments.strategies.build(arguments.strategy, arguments.symbol.len());
    let mut seat =
        Seat::new(strategy, arguments.limits.desk(arguments.strategy, &arguments.symbol));
    let mut log = arguments.log.as_ref().map(Log::open).transpose()?;
    let began = Instant::now();
    let mut told = Instant::now();
    let goes_on = |seat: &Seat<Box<dyn Strategy>>| {
        if told.elapsed() > Duration::from_secs(1) {
            told = Instant::now();
            say(seat);
            if signals::wait(Duration::ZERO) {
                return false;
            }
        }
        let over = |seconds: f64| began.elapsed().as_secs_f64() > seconds;
        !arguments.seconds.is_some_and(over) && seat.desk.killed().is_none()
    };
    let heed = |heed: &Heed| {
        if let Some(log) = &mut log {
            log.write(heed);
        }
    };
    let (to, password) = (arguments.to, arguments.password.clone());
    match &arguments.fix {
        Some(own) => {
            let (own, gateway) = (own.clone(), arguments.fix_gateway.clone());
            let mut link = FixLink::new(FixEnd { to, own, gateway, password });
            run_live(&mut seat, &mut source, &mut link, goes_on, heed)?;
        }
        None => {
            let mut link = OuchLink::new(to, &arguments.user, &password);
            run_live(&mut seat, &mut source, &mut link, goes_on, heed)?;
        }
    }
    if let Some(why) = seat.desk.killed() {
        println!("stopped: {why}");
    }
    say(&seat);
    log.map_or(Ok(()), Log::close)
}

fn say(seat: &Seat<Box<dyn Strategy>>) {
    let desk = &seat.desk;
    let positions = (0..desk.symbols()).map(|symbol| {
        let name = String::from_utf8_lossy(desk.name(symbol)).trim_end().to_owned();
        format!("{name} {}", desk.position(symbol).shares)
    });
    let counts = desk.counts();
    println!(
        "{}; profit {}; {} open; {} entered, {} replaced, {} cancelled, {} traded, {} rejected, {} held back{}",
        positions.collect::<Vec<_>>().join(", "),
        money(desk.twice_profit()),
        desk.orders().len(),
        counts.entered,
        counts.replaced,
        counts.cancelled,
        counts.fills,
        counts.rejected,
        counts.refused,
        if desk.is_connected() { "" } else { "; not connected" },
    );
}

/// Own orders' fates, a line each.
pub struct Log(std::io::BufWriter<std::fs::File>, Option<std::io::Error>);

impl Log {
    /// A new file.
    pub fn open(path: &PathBuf) -> Result<Log, String> {
        let file = std::fs::File::create(path);
        let file = file.map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Log(std::io::BufWriter::new(file), None))
    }

    /// A line.
    pub fn write(&mut self, heed: &Heed) {
        if self.1.is_none() {
            self.1 = line(&mut self.0, heed).err();
        }
    }

    /// All of it on its way to the disk.
    pub fn close(mut self) -> Outcome {
        std::io::Write::flush(&mut self.0)?;
        self.1.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn line(out: &mut impl std::io::Write, heed: &Heed) -> std::io::Result<()> {
    let time_ns: UnixNanos = heed.time_ns;
    let order = &heed.order;
    let state = format!("{:?}", order.state);
    let report = format!("{:?}", heed.report);
    let what = report.split([' ', '{']).next().unwrap_or_default();
    let mut told = serde_json::json!({
        "time_ns": time_ns,
        "what": what,
        "id": order.id,
        "reference": order.reference,
        "side": if order.buys { "buy" } else { "sell" },
        "price": order.price.to_string(),
        "open": order.open,
        "filled": order.filled,
        "state": state,
    });
    if let Report::Executed { shares, price, added, match_number, .. } = heed.report {
        told["shares"] = shares.into();
        told["price"] = price.to_string().into();
        told["added"] = added.into();
        told["match_number"] = match_number.into();
    }
    writeln!(out, "{told}")
}
