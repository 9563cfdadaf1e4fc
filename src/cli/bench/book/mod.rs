//! `millrace bench book`

mod machine;
mod mix;
mod peers;

use std::time::Instant;

use hdrhistogram::Histogram;
use serde_json::json;

use super::super::Outcome;
use super::place::on_core;
use super::plan::histogram;
use super::report::{
    Curve, Leave, PERCENTILE_HEAD, Section, Table, Watch, alone, cells, figure, median, percentiles,
};
use crate::order::Command;
use crate::runtime::{allowed_cores, signals};
use machine::BATCH;
use mix::{Mix, ONE_SYMBOL, WHOLE_MARKET, generate};

pub use machine::{Machine, RingOutlet, limits};
pub use mix::{Mix as Market, generate as commands};

/// Risk and book on exchange-core's published mix (one symbol, 1,000 accounts, about 1,000 live orders; 9 % GTC, 3 %
/// IOC, 6 % cancel, 82 % move), and on the same kinds of commands over 12,000 symbols and a million live orders;
/// then books alone: a BTreeMap, lobster, orderbook-rs and liquibook, if they build.
///
/// Commands run through sequencing, every check, matching, feedback, and events into a ring that is read. What
/// is timed is checked first: all runs must end in the same state, and all books must trade the same.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Runs of each, in turn; medians are printed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Commands of a run.
    #[arg(long, default_value_t = 3_000_000, value_parser = clap::value_parser!(u32).range(100_000..=20_000_000))]
    commands: u32,
    /// Only risk and book, without the other books.
    #[arg(long)]
    alone: bool,
    #[command(flatten)]
    into: Leave,
}

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let section = compare(arguments)?;
    alone(&arguments.into, section)
}

/// Runs all commands; seconds for those after the warm-up, and the final state.
pub fn time(mix: &Mix, commands: &[Command]) -> (f64, (u64, u64)) {
    let mut machine = Machine::new(mix);
    let (warm_up, timed) = commands.split_at(mix.live);
    machine.run(warm_up, 2);
    machine.drain();
    let started = Instant::now();
    for batch in timed.chunks(BATCH) {
        machine.run(batch, 3);
        machine.drain();
    }
    (started.elapsed().as_secs_f64(), machine.digest())
}

/// Latency of each command at an offered rate, from its scheduled time.
fn latencies(commands: &[Command], per_second: f64) -> Histogram<u64> {
    let mut machine = Machine::new(&ONE_SYMBOL);
    let mut times_ns = histogram();
    let started = Instant::now();
    for (n, command) in commands.iter().enumerate() {
        let due_ns = (n as f64 * 1e9 / per_second) as u64;
        while (started.elapsed().as_nanos() as u64) < due_ns {
            std::hint::spin_loop();
        }
        machine.run(std::slice::from_ref(command), 3);
        machine.drain();
        if n >= ONE_SYMBOL.live {
            times_ns.saturating_record(started.elapsed().as_nanos() as u64 - due_ns);
        }
    }
    times_ns
}

pub fn compare(arguments: &Arguments) -> Result<Section, Box<dyn std::error::Error>> {
    let title = "Risk and book, and other books";
    let mut section = Section::new("book", title, "millrace bench book");
    let core = *allowed_cores().last().ok_or("no core to run on")?;
    on_core(core, || measure(arguments, &mut section).map_err(|error| error.to_string()))?;
    Ok(section)
}

fn measure(arguments: &Arguments, section: &mut Section) -> Outcome {
    let mixes = [&ONE_SYMBOL, &WHOLE_MARKET];
    let count = arguments.commands as usize;
    let commands = mixes.map(|mix| generate(mix, count));
    let mut seconds: [Vec<f64>; 2] = Default::default();
    let mut states = [None; 2];
    let mut disturbed = vec![];
    // In turn, so that what else the machine does falls on both.
    for _ in 0..arguments.runs {
        for (at, mix) in mixes.iter().enumerate() {
            if signals::wait(std::time::Duration::ZERO) {
                return Err(super::INTERRUPTED.into());
            }
            let ((took, digest), meanwhile) = Watch::over(|| time(mix, &commands[at]));
            if states[at].is_some_and(|state| state != digest) {
                return Err("two runs end differently".into());
            }
            states[at] = Some(digest);
            match meanwhile.reason() {
                Some(reason) => disturbed.push(reason),
                None => seconds[at].push(took),
            }
        }
    }
    if let Some(last) = disturbed.last() {
        section.say(format!("{} disturbed runs left out: {last}", disturbed.len()));
    }
    let rates = seconds.each_ref().map(|all| count as f64 / median(all) / 1e6);
    let mut table = Table::new(&["risk and book", "M commands/s", "best", "mark"]);
    let names = ["exchange-core's mix", "12,000 symbols, 1,000,000 live orders"];
    for ((name, all), mark) in names.iter().zip(&seconds).zip(["10 (goal 25)", ""]) {
        let best = all.iter().copied().fold(f64::INFINITY, f64::min);
        let rate = |seconds: f64| figure(count as f64 / seconds / 1e6, 2);
        table.row(vec![(*name).to_owned(), rate(median(all)), rate(best), mark.to_owned()]);
    }
    section.table(table);
    section.say(format!(
        "exchange-core publishes 5 M/s; a command of the wide mix costs {} of one in one symbol (mark 2.0, goal 1.5)",
        figure(rates[0] / rates[1], 2)
    ));
    section.keep("M commands/s", json!({ "one_symbol": rates[0], "wide": rates[1] }));
    at_rates(section, &commands[0])?;
    if !arguments.alone {
        for (mix, commands) in mixes.iter().zip(&commands) {
            match peers::run(mix, commands, arguments.runs.min(3)) {
                Ok(found) => peers::tell(section, mix, &found)?,
                Err(why) => section.say(format!("without the other books: {why}")),
            }
        }
    }
    Ok(())
}

fn at_rates(section: &mut Section, commands: &[Command]) -> Outcome {
    let mut head = vec!["offered"];
    head.extend(PERCENTILE_HEAD);
    let mut table = Table::new(&head);
    let mut curves = vec![];
    for rate in [1e6, 5e6] {
        let (times, meanwhile) = Watch::over(|| latencies(commands, rate));
        let name = format!("{:.0} M commands/s", rate / 1e6);
        if let Some(reason) = meanwhile.reason() {
            section.say(format!("{name}: disturbed: {reason}"));
            continue;
        }
        let mut row = vec![name.clone()];
        row.extend(cells(&times));
        table.row(row);
        section.histogram(&name, &times);
        curves.push(Curve { name, times_ns: times });
    }
    section.table(table);
    if !curves.is_empty() {
        section.picture(percentiles("Risk and book, from the scheduled instant", &curves));
    }
    Ok(())
}
