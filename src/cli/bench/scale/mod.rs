//! `millrace bench scale`

mod books;

use serde_json::json;

use super::super::Outcome;
use super::book::{Market, commands, time};
use super::load::contender::{Contender, Kind, Setting, Work, measure};
use super::place::{Place, on_core};
use super::report::{
    Axis, Chart, Leave, Section, Series, Table, Watch, alone, figure, holds, median,
};
use crate::runtime::{allowed_cores, signals};

/// How the cost of an order grows with sessions, symbols and live orders, and how much memory each takes; and what
/// several books and several segments bring.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Sessions that are logged in; ten of them trade.
    #[arg(long, value_delimiter = ',', default_value = "10,1000,4000")]
    sessions: Vec<u32>,
    /// Runs of each, in turn; medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Milliseconds of each load.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    ms: u64,
    #[command(flatten)]
    into: Leave,
}

/// What an order may cost when there is more of everything, of what it costs with little.
const MARK: f64 = 1.5;
/// Sessions that trade.
const ACTIVE: u32 = 10;
/// Commands of a run without sockets.
const COMMANDS: usize = 600_000;

/// The first has little of both; then much of one, then of both.
const MARKETS: [(&str, Market); 4] = [
    ("10 symbols, 1,000 live orders", Market { symbols: 10, live: 1_000, orders: 1 << 21 }),
    ("12,000 symbols, 1,000 live orders", Market { symbols: 12_000, live: 1_000, orders: 1 << 21 }),
    ("10 symbols, 1,000,000 live orders", Market { symbols: 10, live: 1_000_000, orders: 1 << 21 }),
    (
        "12,000 symbols, 1,000,000 live orders",
        Market { symbols: 12_000, live: 1_000_000, orders: 1 << 21 },
    ),
];

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let section = compare(arguments)?;
    alone(&arguments.into, section)
}

pub fn compare(arguments: &Arguments) -> Result<Section, Box<dyn std::error::Error>> {
    let mut section = Section::new("scale", "How an order's cost grows", "millrace bench scale");
    over_sessions(arguments, &mut section)?;
    let core = *allowed_cores().last().ok_or("no core to run on")?;
    on_core(core, || over_markets(arguments, &mut section));
    on_core(core, || books::over_books(arguments.runs, &mut section));
    books::over_segments(arguments.runs, &mut section);
    Ok(section)
}

fn verdict(ratio: f64) -> String {
    format!("{} ({})", figure(ratio, 2), holds(ratio <= MARK, ratio))
}

fn over_sessions(arguments: &Arguments, section: &mut Section) -> Outcome {
    let [first, .., load_core] = allowed_cores()[..] else {
        section.say("sessions: two cores are needed, one of them for the load");
        return Ok(());
    };
    let gateway = Contender { name: "millrace", kind: Kind::Millrace("inline", false) };
    let work = Work { ms: arguments.ms, warm_up_ms: 100, shares: &[], active: None };
    let mut found: Vec<(Vec<f64>, Vec<f64>)> =
        arguments.sessions.iter().map(|_| Default::default()).collect();
    for _ in 0..arguments.runs {
        for (&sessions, (ns, memory)) in arguments.sessions.iter().zip(&mut found) {
            let setting = Setting {
                sessions,
                cores: &[first],
                load_core,
                durable: false,
                lean: false,
                place: &Place::Loopback,
                models: std::path::Path::new(""),
            };
            match measure(gateway, &setting, &Work { active: Some(ACTIVE.min(sessions)), ..work }) {
                Ok(phases) => match phases[0].disturbance.reason() {
                    None => {
                        ns.push(1e9 / phases[0].rate);
                        memory.push(phases[0].server_bytes as f64 / 1048576.0);
                    }
                    Some(reason) => {
                        section.say(format!("{sessions} sessions, a run left out: {reason}"))
                    }
                },
                Err(error) => section.say(format!("{sessions} sessions: {error}")),
            }
        }
    }
    let mut table = Table::new(&[
        "sessions, 10 of them trading",
        "ns an order",
        "of the first (mark 1.5)",
        "MiB",
    ]);
    let base = found.first().map_or(f64::NAN, |(ns, _)| median(ns));
    let mut points = vec![];
    for (sessions, (ns, memory)) in arguments.sessions.iter().zip(&found) {
        let ns = median(ns);
        points.push((f64::from(*sessions), ns, 0.0));
        table.row(vec![
            sessions.to_string(),
            figure(ns, 0),
            verdict(ns / base),
            figure(median(memory), 0),
        ]);
    }
    section.table(table);
    let mut chart =
        Chart::new("An order's time against sessions", Axis::log("sessions"), Axis::linear("ns"));
    chart.series.push(Series { name: "millrace inline".to_owned(), points });
    section.picture(chart.svg());
    section.keep("sessions", json!({ "sessions": arguments.sessions, "ns_and_mib": found }));
    Ok(())
}

fn over_markets(arguments: &Arguments, section: &mut Section) {
    let flows: Vec<_> = MARKETS.iter().map(|(_, market)| commands(market, COMMANDS)).collect();
    let mut found: Vec<(Vec<f64>, f64)> = MARKETS.iter().map(|_| (vec![], 0.0)).collect();
    for _ in 0..arguments.runs {
        for (((name, market), flow), (ns, mib)) in MARKETS.iter().zip(&flows).zip(&mut found) {
            let before = resident_mib();
            let (((seconds, _), after), meanwhile) =
                Watch::over(|| (time(market, flow), peak_since(before)));
            *mib = after;
            match meanwhile.reason() {
                None => ns.push(seconds * 1e9 / COMMANDS as f64),
                Some(reason) => section.say(format!("{name}, a run left out: {reason}")),
            }
        }
    }
    let mut table = Table::new(&[
        "risk and book, no sockets",
        "ns a command",
        "of the first (mark 1.5)",
        "MiB",
    ]);
    let base = median(&found[0].0);
    for ((name, _), (ns, mib)) in MARKETS.iter().zip(&found) {
        let ns = median(ns);
        table.row(vec![(*name).to_owned(), figure(ns, 0), verdict(ns / base), format!("{mib:.0}")]);
    }
    section.table(table);
    section.say(
        "Room for 2,097,152 orders in each, taken at the start: what a slot costs is the last column by that",
    );
    let ns = MARKETS.iter().zip(&found).map(|((name, _), (ns, _))| ((*name).to_owned(), json!(ns)));
    section.keep("markets_ns", ns.collect::<serde_json::Map<_, _>>().into());
}

/// Memory of this process, MiB.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = status.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0);
    pages * 4096.0 / 1048576.0
}

/// What the machine took that is gone again by now.
fn peak_since(before_mib: f64) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib: f64 =
        peak.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0.0);
    // The high-water mark begins anew.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    kib / 1024.0 - before_mib
}
