//! `millrace book`

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::Outcome;
use super::source::{FeedArguments, SnapshotArguments, clock, missed};
use crate::client::feed::take_in;
use crate::client::market::{Depth, Level, Market};
use crate::client::source::{Heard, Source};
use crate::order::Price;

/// How often the page is drawn anew at most.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How long nothing has to come until what there is, is all there is.
const SETTLED: Duration = Duration::from_millis(1_500);

/// Show the displayed book of a symbol, live: a page on a terminal, a line for each change of the best
/// prices into a pipe.
///
/// It is put together from the feed: the ring of a gateway on this host, or packets of its lines. What was
/// told before it came is asked for where there is somebody to ask, or taken from a snapshot.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  millrace book AAPL                            from the ring millrace-feed on this host
  millrace book AAPL --config millrace.toml     from what [feed] says
  millrace book AAPL --from 239.192.7.1:26400 --request 127.0.0.1:26410
  millrace book AAPL --json | jq .bids[0]")]
pub struct Arguments {
    /// Symbol.
    symbol: String,
    #[command(flatten)]
    feed: FeedArguments,
    #[command(flatten)]
    snapshot: SnapshotArguments,
    /// Prices shown on either side.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    levels: usize,
    /// Lines, also on a terminal.
    #[arg(long)]
    lines: bool,
    /// One JSON object a change.
    #[arg(long)]
    json: bool,
    /// Show the book as it is once, and leave.
    #[arg(long)]
    once: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut source = arguments.feed.open(arguments.snapshot.glimpse.is_some())?;
    let mut market = Market::new();
    if let Some(next) = arguments.snapshot.take(&mut market)? {
        source.begin_at(next);
    }
    let mut page = Page::new(arguments);
    let mut changed = Instant::now();
    loop {
        let taken = poll(&mut source, &mut market)?;
        if taken > 0 {
            changed = Instant::now();
        } else {
            std::thread::sleep(Duration::from_micros(200));
        }
        let settled = changed.elapsed() > SETTLED && source.is_whole();
        let depth = market.depth(&arguments.symbol);
        if arguments.once && settled {
            let Some(depth) = depth else {
                return Err(unknown(arguments, &source, &market).into());
            };
            return Ok(page.once(depth)?);
        }
        match depth {
            Some(depth) if !arguments.once => page.show(depth)?,
            None if settled && !source.is_partial() && market.names().next().is_none() => {}
            None if settled => return Err(unknown(arguments, &source, &market).into()),
            _ => {}
        }
    }
}

fn unknown(arguments: &Arguments, source: &Source, market: &Market) -> String {
    if source.is_partial() {
        return "what was told before is not known: ask for it (--request ADDRESS), or begin with a snapshot \
                (--glimpse ADDRESS --user NAME --password WORD)"
            .to_owned();
    }
    let mut names: Vec<&str> = market.names().take(11).collect();
    if names.len() > 10 {
        names[10] = "...";
    }
    let names = if names.is_empty() { "nothing so far".to_owned() } else { names.join(", ") };
    format!("the feed tells of no symbol {}; it has {names}", arguments.symbol)
}

/// Takes in what is there. Returns how much that was.
fn poll(source: &mut Source, market: &mut Market) -> Result<usize, Box<dyn std::error::Error>> {
    let partial = source.is_partial();
    let mut failed: Option<Box<dyn std::error::Error>> = None;
    let taken = source.poll(4096, |heard| match heard {
        _ if failed.is_some() => {}
        // Another journal: everything begins anew.
        Heard::Session => *market = Market::new(),
        Heard::Gap { first, count } => failed = Some(missed(first, first + count)),
        // Who came late and had nobody to ask knows only the orders that came since.
        Heard::Message { bytes, .. } => match take_in(market, bytes) {
            Err(astray) if !partial => failed = Some(astray.into()),
            _ => {}
        },
    })?;
    failed.map_or(Ok(taken), Err)
}

/// What a person or a program sees.
struct Page<'a> {
    arguments: &'a Arguments,
    drawn: Instant,
    last: Option<Depth>,
    terminal: bool,
}

impl Page<'_> {
    fn new(arguments: &Arguments) -> Page<'_> {
        let terminal = std::io::stdout().is_terminal() && !arguments.lines && !arguments.json;
        let drawn = Instant::now() - DRAW_EVERY;
        Page { arguments, drawn, last: None, terminal }
    }

    fn once(&mut self, depth: &Depth) -> std::io::Result<()> {
        let text = match (self.arguments.json, self.arguments.lines) {
            (true, _) => self.json(depth),
            (false, true) => line(depth),
            (false, false) => self.table(depth),
        };
        std::io::stdout().write_all(text.as_bytes())
    }

    fn show(&mut self, depth: &Depth) -> std::io::Result<()> {
        if self.terminal && self.drawn.elapsed() < DRAW_EVERY || self.last.as_ref() == Some(depth) {
            return Ok(());
        }
        self.drawn = Instant::now();
        let text = match (self.terminal, self.arguments.json) {
            // From the upper left corner on, and nothing behind it.
            (true, _) => format!("\x1b[H{}\x1b[J", self.table(depth).replace('\n', "\x1b[K\n")),
            (false, true) => self.json(depth),
            (false, false) => line(depth),
        };
        let same = |last: &Depth| line(last) == text;
        if self.terminal || self.arguments.json || !self.last.as_ref().is_some_and(same) {
            let mut out = std::io::stdout();
            if self.terminal && self.last.is_none() {
                out.write_all(b"\x1b[2J")?;
            }
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        self.last = Some(depth.clone());
        Ok(())
    }

    fn side(&self, depth: &Depth, buys: bool) -> Vec<(Price, Level)> {
        depth.side(buys).take(self.arguments.levels).collect()
    }

    fn json(&self, depth: &Depth) -> String {
        let side = |buys| -> Vec<_> {
            let told = |(price, level): (Price, Level)| {
                serde_json::json!({
                    "price": price.to_string(), "shares": level.shares, "orders": level.orders
                })
            };
            self.side(depth, buys).into_iter().map(told).collect()
        };
        let last = depth.last.map(|last| {
            let time = clock(last.since_midnight_ns);
            serde_json::json!({
                "price": last.price.to_string(), "shares": last.shares, "time": time
            })
        });
        let told = serde_json::json!({
            "symbol": depth.name,
            "trading": depth.trading,
            "bids": side(true),
            "asks": side(false),
            "last": last,
            "volume": depth.volume,
        });
        format!("{told}\n")
    }

    fn table(&self, depth: &Depth) -> String {
        let (bids, asks) = (self.side(depth, true), self.side(depth, false));
        let most =
            bids.iter().chain(&asks).map(|(_, level)| level.shares).max().unwrap_or(1).max(1);
        let bar = |shares: u64| "#".repeat((shares * 12).div_ceil(most) as usize);
        let state = if depth.trading { "trading" } else { "halted" };
        let mut text = format!("{}  {state}", depth.name);
        match depth.last {
            Some(last) => {
                let at = clock(last.since_midnight_ns);
                let _ = writeln!(
                    text,
                    "  last {} x {} at {at} UTC  volume {}",
                    last.price, last.shares, depth.volume
                );
            }
            None => text.push_str("  no trade yet\n"),
        }
        let _ = writeln!(
            text,
            "{:>12} {:>6} {:>10} {:>12} | {:<12} {:<10} {:<6}",
            "", "orders", "shares", "bid", "ask", "shares", "orders"
        );
        for at in 0..bids.len().max(asks.len()) {
            match bids.get(at) {
                Some((price, Level { shares, orders })) => {
                    let price = price.to_string();
                    let _ =
                        write!(text, "{:>12} {orders:>6} {shares:>10} {price:>12} |", bar(*shares));
                }
                None => text.push_str(&format!("{:>43} |", "")),
            }
            if let Some((price, Level { shares, orders })) = asks.get(at) {
                let price = price.to_string();
                let _ = write!(text, " {price:<12} {shares:<10} {orders:<6} {}", bar(*shares));
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        if bids.is_empty() && asks.is_empty() {
            text.push_str("nothing is displayed\n");
        }
        text
    }
}

/// The best prices, and the last trade.
fn line(depth: &Depth) -> String {
    let best = |buys| depth.side(buys).next();
    let mut text = depth.name.clone();
    match best(true) {
        Some((price, level)) => _ = write!(text, " {} x {price}", level.shares),
        None => text.push_str(" -"),
    }
    text.push_str(" /");
    match best(false) {
        Some((price, level)) => _ = write!(text, " {price} x {}", level.shares),
        None => text.push_str(" -"),
    }
    if let Some(last) = depth.last {
        let _ = write!(text, "  last {} volume {}", last.price, depth.volume);
    }
    text.push('\n');
    text
}
