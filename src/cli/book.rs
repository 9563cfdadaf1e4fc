//! `millrace book`

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Outcome;
use crate::client::feed::{Reader, take_in};
use crate::client::market::{Depth, Level, Market};
use crate::client::{Client, Received};
use crate::config::Config;
use crate::feed::Told;
use crate::order::Price;
use crate::ring::broadcast::{From, Lost, Subscriber};
use crate::ring::region::{Attached, Place, subscribe};
use crate::wire::itch::EndOfSnapshot;

/// How often the page is drawn anew at most.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How long nothing has to come until what there is, is all there is.
const SETTLED: Duration = Duration::from_millis(1_500);
/// How long a snapshot may take.
const SNAPSHOT_MAX: Duration = Duration::from_secs(60);

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
    /// Take ring, lines and request server from the [feed] of a configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read a ring on this host.
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    ring: Option<String>,
    /// The folder that the ring is in.
    #[arg(long, value_name = "DIR", default_value = Place::DIR)]
    ring_dir: PathBuf,
    /// Listen to a line; more than once for more of them.
    #[arg(long, value_name = "ADDRESS")]
    from: Vec<SocketAddr>,
    /// The address by whose interface multicast comes in.
    #[arg(long, value_name = "ADDRESS")]
    interface: Option<IpAddr>,
    /// Ask there for what was missed.
    #[arg(long, value_name = "ADDRESS")]
    request: Option<SocketAddr>,
    /// Begin with a snapshot from there.
    #[arg(long, value_name = "ADDRESS", requires_all = ["user", "password"])]
    glimpse: Option<SocketAddr>,
    /// User name, for a snapshot.
    #[arg(long)]
    user: Option<String>,
    /// Password, for a snapshot.
    #[arg(long)]
    password: Option<String>,
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

/// Where messages come from.
enum Source {
    Ring { ring: Box<Attached<Subscriber<Told>>>, next: Option<u64>, session: u16 },
    Lines(Box<Reader>),
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut source = open(arguments)?;
    let mut market = Market::new();
    if let Some(glimpse) = arguments.glimpse {
        let next = snapshot(arguments, glimpse, &mut market)?;
        match &mut source {
            Source::Ring { next: from, .. } => *from = Some(next),
            Source::Lines(reader) => reader.begin_at(next),
        }
    }
    let mut page = Page::new(arguments);
    let mut changed = Instant::now();
    loop {
        let taken = source.poll(&mut market)?;
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

fn open(arguments: &Arguments) -> Result<Source, Box<dyn std::error::Error>> {
    let (mut ring, mut dir) = (arguments.ring.clone(), arguments.ring_dir.clone());
    let (mut lines, mut request) = (arguments.from.clone(), arguments.request);
    let mut interface = arguments.interface;
    if let Some(path) = &arguments.config {
        let config = Config::load(path)?;
        let feed = config.feed.ok_or_else(|| format!("{} has no [feed]", path.display()))?;
        request = request.or(feed.request.map(|request| *request.get_ref()));
        interface = interface.or(feed.interface.map(|interface| *interface.get_ref()));
        if lines.is_empty() && ring.is_none() {
            ring = feed.ring.map(|ring| ring.get_ref().clone());
            dir = feed.ring_dir;
            lines = feed.lines.get_ref().clone();
        }
    }
    if ring.is_none() && lines.is_empty() {
        ring = Some("millrace-feed".to_owned());
    }
    if let Some(name) = ring {
        let ring = subscribe::<Told>(&Place::new(&dir, &name)?, From::Oldest)?;
        return Ok(Source::Ring { ring: Box::new(ring), next: None, session: 0 });
    }
    let first = if request.is_some() || arguments.glimpse.is_some() { 1 } else { 0 };
    let reader = Reader::open(&lines, interface, request, first);
    let reader = reader.map_err(|error| format!("cannot listen to {lines:?}: {error}"))?;
    Ok(Source::Lines(Box::new(reader)))
}

/// Logs in for a snapshot. Returns the number of the message from which the feed goes on.
fn snapshot(
    arguments: &Arguments,
    to: SocketAddr,
    market: &mut Market,
) -> Result<u64, Box<dyn std::error::Error>> {
    let user = arguments.user.as_deref().unwrap_or_default();
    let password = arguments.password.as_deref().unwrap_or_default();
    let mut client = Client::login(to, user, password, 0)?;
    let until = Instant::now() + SNAPSHOT_MAX;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        match client.receive(left)? {
            Some(Received::Message(_, message))
                if message.first() == Some(&EndOfSnapshot::KIND) =>
            {
                let number = std::str::from_utf8(&message[1..])?.trim().parse()?;
                return Ok(number);
            }
            Some(Received::Message(_, message)) => take_in(market, &message)?,
            Some(Received::Debug(_)) => {}
            Some(Received::EndOfSession) | None => break,
        }
    }
    Err(format!("no whole snapshot came from {to}").into())
}

impl Source {
    /// Takes in what is there. Returns how much that was.
    fn poll(&mut self, market: &mut Market) -> Result<usize, Box<dyn std::error::Error>> {
        match self {
            Source::Lines(reader) => {
                let (partial, before) = (reader.is_partial(), reader.arbiter.next());
                let mut failed = None;
                let packets = reader.poll(|_, message| {
                    // Who came late and had nobody to ask knows only the orders that came since.
                    if let Err(astray) = take_in(market, message)
                        && !partial
                    {
                        failed = Some(astray);
                    }
                })?;
                // A heartbeat is no news.
                let news = (reader.arbiter.next() != before) as usize * packets;
                failed.map_or(Ok(news), |astray| Err(astray.into()))
            }
            Source::Ring { ring, next, session } => {
                let mut failed: Option<Box<dyn std::error::Error>> = None;
                let taken = ring.pop_batch(4096, |told| {
                    if told.session != *session && *session != 0 {
                        // Another journal: everything begins anew.
                        (*market, *next) = (Market::new(), None);
                    }
                    *session = told.session;
                    match *next {
                        Some(wanted) if told.number < wanted => return,
                        Some(wanted) if told.number > wanted => {
                            failed = Some(missed(wanted, told.number))
                        }
                        None if told.number > 1 => failed = Some(missed(1, told.number)),
                        _ => {}
                    }
                    *next = Some(told.number + 1);
                    if failed.is_none() {
                        failed = take_in(market, told.message()).err().map(Into::into);
                    }
                });
                match (failed, taken) {
                    (Some(error), _) => Err(error),
                    (None, Err(Lost::Missed { records })) => {
                        Err(format!("{records} messages were overwritten before they were read")
                            .into())
                    }
                    (None, Err(lost)) => Err(lost.into()),
                    (None, Ok(taken)) => Ok(taken),
                }
            }
        }
    }

    /// Whether it began in the middle.
    fn is_partial(&self) -> bool {
        matches!(self, Source::Lines(reader) if reader.is_partial())
    }

    /// Whether nothing is known to be missing.
    fn is_whole(&self) -> bool {
        match self {
            Source::Ring { .. } => true,
            Source::Lines(reader) => {
                reader.arbiter.session().is_some() && reader.arbiter.missing().next().is_none()
            }
        }
    }
}

fn missed(wanted: u64, found: u64) -> Box<dyn std::error::Error> {
    format!(
        "message {wanted} is no longer in the ring, which goes on with {found}: begin with a snapshot \
         (--glimpse ADDRESS --user NAME --password WORD), or have the gateway keep more ([feed] keep)"
    )
    .into()
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

/// A time of day.
fn clock(since_midnight_ns: u64) -> String {
    let (s, us) = (since_midnight_ns / 1_000_000_000, since_midnight_ns / 1_000 % 1_000_000);
    format!("{:02}:{:02}:{:02}.{us:06}", s / 3600, s / 60 % 60, s % 60)
}
