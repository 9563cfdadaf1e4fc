//! `millrace signals`

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::Outcome;
use super::source::{FeedArguments, SnapshotArguments, clock};
use crate::client::feed::take_in;
use crate::client::market::{Depth, Market};
use crate::client::source::Heard;
use crate::signals::{DEPTHS, FlowWindow, Signals};
use crate::wire::itch::Message;

/// How often the page is drawn anew at most.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// Moments of a small chart, and how far they are apart.
const CHART: usize = 60;
const STEP: Duration = Duration::from_millis(250);

/// Show what a symbol's book says of its next price, live: imbalance by depth, order flow, microprice.
///
/// A page on a terminal; a JSON object for each event into a pipe.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  millrace signals --symbol AAPL                        from the ring millrace-feed on this host
  millrace signals --symbol AAPL --json | jq .microprice")]
pub struct Arguments {
    /// Symbol.
    #[arg(long)]
    symbol: String,
    #[command(flatten)]
    feed: FeedArguments,
    #[command(flatten)]
    snapshot: SnapshotArguments,
    /// Milliseconds over which order flow is summed.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    window: u64,
    /// One JSON object an event.
    #[arg(long)]
    json: bool,
    /// Leave after so many events.
    #[arg(long, value_name = "COUNT")]
    events: Option<u64>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut source = arguments.feed.open(arguments.snapshot.glimpse.is_some())?;
    let mut market = Market::new();
    if let Some(next) = arguments.snapshot.take(&mut market)? {
        source.begin_at(next);
    }
    let lines = arguments.json || !std::io::stdout().is_terminal();
    let mut page = Page::new(arguments);
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let (mut shown, mut drawn) = (0, Instant::now() - DRAW_EVERY);
    let mut locate = None;
    loop {
        let mut failed = Ok(());
        let taken = source.poll(4_096, |heard| match heard {
            Heard::Session => {
                (market, locate) = (Market::new(), None);
                page = Page::new(arguments);
            }
            Heard::Gap { .. } => market.forget_orders(),
            Heard::Message { bytes, .. } => {
                // Orders of before it came are not known; the book fills up.
                let _ = take_in(&mut market, bytes);
                let Ok(message) = Message::parse(bytes) else { return };
                let at = message.head().locate.get();
                if locate.is_none() {
                    let is_it = |depth: &&Depth| depth.name == arguments.symbol;
                    locate = market.located(at).filter(is_it).map(|_| at);
                }
                let Some(depth) = market.located(at).filter(|_| locate == Some(at)) else { return };
                if depth.signals.events() == page.events {
                    return;
                }
                let at_ns = message.head().since_midnight_ns();
                page.take(at_ns, depth);
                shown += 1;
                if lines && failed.is_ok() {
                    failed = out.write_all(page.json(at_ns, depth).as_bytes());
                }
            }
        })?;
        failed?;
        if arguments.events.is_some_and(|most| shown >= most) {
            out.flush()?;
            return Ok(());
        }
        if taken == 0 {
            out.flush()?;
            std::thread::sleep(Duration::from_micros(200));
        }
        if !lines && drawn.elapsed() >= DRAW_EVERY {
            drawn = Instant::now();
            let text = match locate.and_then(|at| market.located(at)) {
                Some(depth) => page.draw(depth),
                None => format!("waiting for {}\n", arguments.symbol),
            };
            write!(out, "\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))?;
            out.flush()?;
        }
    }
}

/// What is shown of the past.
struct Page {
    window: FlowWindow,
    flow: i64,
    events: u64,
    at_ns: u64,
    stepped: Instant,
    mids: VecDeque<f64>,
    flows: VecDeque<f64>,
    imbalances: VecDeque<f64>,
}

impl Page {
    fn new(arguments: &Arguments) -> Page {
        Page {
            window: FlowWindow::new(arguments.window * 1_000_000),
            flow: 0,
            events: 0,
            at_ns: 0,
            stepped: Instant::now() - STEP,
            mids: VecDeque::new(),
            flows: VecDeque::new(),
            imbalances: VecDeque::new(),
        }
    }

    fn take(&mut self, at_ns: u64, depth: &Depth) {
        self.flow = self.window.at(at_ns, &depth.signals);
        (self.events, self.at_ns) = (depth.signals.events(), at_ns);
    }

    fn json(&self, at_ns: u64, depth: &Depth) -> String {
        let signals: &Signals = &depth.signals;
        let quote = signals.quote();
        let some =
            |shares: u64, price: crate::order::Price| (shares > 0).then(|| price.to_string());
        let told = serde_json::json!({
            "symbol": depth.name,
            "time": clock(at_ns),
            "bid": some(quote.bid_shares, quote.bid),
            "bid_shares": quote.bid_shares,
            "ask": some(quote.ask_shares, quote.ask),
            "ask_shares": quote.ask_shares,
            "mid": signals.twice_mid().map(|mid| mid as f64 / 20_000.0),
            "microprice": signals.microprice().map(|price| price / 10_000.0),
            "spread": signals.spread().map(|spread| crate::order::Price(spread).to_string()),
            "imbalance": [signals.imbalance(0), signals.imbalance(1), signals.imbalance(2)],
            "flow": signals.flow(),
            "flow_in_window": self.flow,
        });
        format!("{told}\n")
    }

    fn draw(&mut self, depth: &Depth) -> String {
        let signals = &depth.signals;
        if self.stepped.elapsed() >= STEP {
            self.stepped = Instant::now();
            let mid = signals.twice_mid().map_or(f64::NAN, |mid| mid as f64 / 20_000.0);
            let imbalance = signals.imbalance(1).unwrap_or(0.0);
            for (chart, value) in [
                (&mut self.mids, mid),
                (&mut self.flows, self.flow as f64),
                (&mut self.imbalances, imbalance),
            ] {
                chart.push_back(value);
                if chart.len() > CHART {
                    chart.pop_front();
                }
            }
        }
        let quote = signals.quote();
        let mut text =
            format!("{}  {} UTC  {} events\n\n", depth.name, clock(self.at_ns), self.events);
        match (signals.twice_mid(), signals.microprice(), signals.spread()) {
            (Some(mid), Some(micro), Some(spread)) => {
                let _ = writeln!(
                    text,
                    "  {} x {}   {} x {}   spread {}\n  mid {:.5}   microprice {:.5}\n",
                    quote.bid_shares,
                    quote.bid,
                    quote.ask,
                    quote.ask_shares,
                    crate::order::Price(spread),
                    mid as f64 / 20_000.0,
                    micro / 10_000.0
                );
            }
            _ => text.push_str("  nobody on one side\n\n\n"),
        }
        for (at, depth) in DEPTHS.into_iter().enumerate() {
            let value = signals.imbalance(at).unwrap_or(0.0);
            let _ = writeln!(text, "  imbalance {depth:>2}  {value:+.3}  {}", needle(value));
        }
        let _ = writeln!(text, "  flow          {:+} shares\n", self.flow);
        for (name, chart) in
            [("mid", &self.mids), ("flow", &self.flows), ("imbalance 5", &self.imbalances)]
        {
            let _ = writeln!(text, "  {name:<12} {}", small_chart(chart));
        }
        text
    }
}

/// Where between -1 and 1 a value is.
fn needle(value: f64) -> String {
    let at = ((value + 1.0) / 2.0 * 40.0).round().clamp(0.0, 40.0) as usize;
    let mark = |n: usize| {
        if n == at {
            '#'
        } else if n == 20 {
            '|'
        } else {
            '-'
        }
    };
    (0..=40).map(mark).collect()
}

/// A line of values as blocks.
fn small_chart(values: &VecDeque<f64>) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let there = || values.iter().copied().filter(|value| value.is_finite());
    let (least, most) = (there().fold(f64::MAX, f64::min), there().fold(f64::MIN, f64::max));
    let height = |value: f64| {
        let part = if most > least { (value - least) / (most - least) } else { 0.0 };
        BLOCKS[(part * 7.0).round().clamp(0.0, 7.0) as usize]
    };
    values.iter().map(|value| if value.is_finite() { height(*value) } else { ' ' }).collect()
}
