//! `millrace bench models`

use hdrhistogram::Histogram;
use serde_json::json;

use super::super::Outcome;
use super::load::contender::{self, Contender, Setting, Work, measure};
use super::place::Place;
use super::report::{Axis, Chart, Disturbance, Leave, Section, Series, Table, alone, mean};
use crate::client::playground::Playground;
use crate::runtime::{allowed_cores, signals};

/// Which way of building a server is better: millrace beside a process or a thread for each connection,
/// prefork, an event loop with and without helpers, and actors; on one protocol and one book.
///
/// The highest rate first (closed loop, every session with some orders unanswered), then order to Accepted at
/// half of it (open loop, from the scheduled instant). Servers and load are processes of their own. With one
/// core for the server the load has another to itself; with more it shares the last one.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Sessions.
    #[arg(long, value_delimiter = ',', default_value = "1,5,50,500")]
    sessions: Vec<u32>,
    /// Cores of the server.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    cores: Vec<usize>,
    /// Whether an answer waits for the disk.
    #[arg(long, value_delimiter = ',', default_value = "false,true", action = clap::ArgAction::Set)]
    durable: Vec<bool>,
    /// Runs of each, in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Milliseconds of each of a run's two parts, after a tenth of a second to warm up.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    ms: u64,
    /// Only those in whose names this is.
    #[arg(long, default_value = "")]
    only: String,
    /// The others without risk checks, and without keeping what sessions were told.
    #[arg(long)]
    lean: bool,
    /// Over a veth pair between two namespaces, with millrace on AF_XDP too; needs root.
    #[arg(long)]
    veth: bool,
    #[command(flatten)]
    into: Leave,
}

/// What one server did in one setting.
#[derive(Default)]
struct Cell {
    rates: Vec<f64>,
    half_p50_us: Vec<f64>,
    half_p99_us: Vec<f64>,
    server_ns: Vec<f64>,
    /// At half of the rate, of all runs.
    half_ns: Option<Histogram<u64>>,
    meanwhile: Vec<Disturbance>,
    /// Runs that were left out, and the last one's reason.
    disturbed: u32,
    reason: String,
    failed: Option<String>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let section = compare(arguments)?;
    alone(&arguments.into, section)
}

/// Attempts at a run that nothing disturbs.
const ATTEMPTS: u32 = 2;

/// All servers in all settings.
pub fn compare(arguments: &Arguments) -> Result<Section, Box<dyn std::error::Error>> {
    let playground = if arguments.veth { Some(Playground::new(1)?) } else { None };
    let place = playground.as_ref().map_or(Place::Loopback, Place::Veth);
    let wire = if arguments.veth { "veth" } else { "loopback" };
    let mut section = Section::new(
        if arguments.veth { "models-veth" } else { "models" },
        &format!("Which way of building a server is better ({wire})"),
        if arguments.veth { "millrace bench models --veth" } else { "millrace bench models" },
    );
    let mut all = contender::ALL.to_vec();
    if arguments.veth {
        all.push(contender::AF_XDP);
    }
    all.retain(|contender| contender.name.contains(&arguments.only));
    let models = match contender::models() {
        Ok(models) => models,
        Err(why) => {
            section.say(format!("without the reference servers: {why}"));
            all.retain(Contender::is_millrace);
            std::path::PathBuf::new()
        }
    };
    let have = allowed_cores();
    let Some((&load_core, _)) = have.split_last().filter(|(_, others)| !others.is_empty()) else {
        return Err("two cores are needed, one of them for the load".into());
    };
    section.say(format!(
        "{} runs in turn of {} ms each; mean and standard error. An order is an Enter and the Cancel of an \
         older one. millrace with idle = \"auto\" and without its audit file; the others block.",
        arguments.runs, arguments.ms
    ));
    for &durable in &arguments.durable {
        let mut by_cores: Vec<(usize, Vec<Vec<Cell>>)> = vec![];
        for &cores in &arguments.cores {
            if cores > have.len() {
                section.say(format!("{cores} cores: there are {}", have.len()));
                continue;
            }
            let cells: Vec<Vec<Cell>> = arguments
                .sessions
                .iter()
                .map(|&sessions| {
                    let (cores, models, place) = (&have[..cores], &models, &place);
                    let lean = arguments.lean;
                    let setting =
                        Setting { sessions, cores, load_core, durable, lean, place, models };
                    of_setting(&all, &setting, arguments)
                })
                .collect::<Result<_, _>>()?;
            tell(&mut section, arguments, &all, &cells, cores, durable);
            by_cores.push((cores, cells));
        }
        figures(&mut section, arguments, &all, &by_cores, durable);
    }
    Ok(section)
}

fn of_setting(
    all: &[Contender],
    setting: &Setting<'_>,
    arguments: &Arguments,
) -> Result<Vec<Cell>, Box<dyn std::error::Error>> {
    let mut cells: Vec<Cell> = all.iter().map(|_| Cell::default()).collect();
    let work = Work { ms: arguments.ms, warm_up_ms: 100, shares: &[0.5], active: None };
    for run in 0..arguments.runs as usize {
        // In turn, and not always the same first.
        for at in (0..all.len()).map(|at| (at + run) % all.len()) {
            for _ in 0..ATTEMPTS {
                if signals::wait(std::time::Duration::ZERO) {
                    return Err(super::INTERRUPTED.into());
                }
                let cell = &mut cells[at];
                if cell.failed.is_some() {
                    break;
                }
                let found = match measure(all[at], setting, &work) {
                    Ok(found) => found,
                    Err(error) => {
                        cell.failed = Some(error.to_string());
                        break;
                    }
                };
                let (highest, half) = (&found[0], &found[1]);
                let worst = highest.disturbance.worst(half.disturbance);
                if let Some(reason) = worst.reason() {
                    (cell.disturbed, cell.reason) = (cell.disturbed + 1, reason);
                    continue;
                }
                let times = half.times();
                let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
                cell.rates.push(highest.rate);
                cell.server_ns.push(highest.server_ns);
                cell.half_p50_us.push(at(0.5));
                cell.half_p99_us.push(at(0.99));
                cell.meanwhile.push(worst);
                match &mut cell.half_ns {
                    Some(all) => all.add(&times)?,
                    none => *none = Some(times),
                }
                break;
            }
        }
    }
    Ok(cells)
}

/// A rate in thousands.
fn thousands(values: &[f64]) -> String {
    let (mean, error) = mean(values);
    if values.is_empty() {
        "-".to_owned()
    } else {
        format!("{:.0} ± {:.0}", mean / 1e3, error / 1e3)
    }
}

fn micro(values: &[f64]) -> String {
    let (mean, error) = mean(values);
    match values.is_empty() {
        true => "-".to_owned(),
        false if mean < 100.0 => format!("{mean:.1} ± {error:.1}"),
        false => format!("{mean:.0} ± {error:.0}"),
    }
}

fn tell(
    section: &mut Section,
    arguments: &Arguments,
    all: &[Contender],
    cells: &[Vec<Cell>],
    cores: usize,
    durable: bool,
) {
    let waits = if durable { "answered when on the disk" } else { "not waiting for the disk" };
    section.say(format!("{cores} core{}, {waits}", if cores == 1 { "" } else { "s" }));
    let mut head = vec!["thousand orders a second; p99 us at half of it; CPU ns".to_owned()];
    for sessions in &arguments.sessions {
        let plural = if *sessions == 1 { "session" } else { "sessions" };
        head.extend([format!("{sessions} {plural}"), "p99".to_owned(), "CPU".to_owned()]);
    }
    let mut table = Table { head, rows: vec![] };
    for (at, contender) in all.iter().enumerate() {
        let mut row = vec![contender.name.to_owned()];
        for cells in cells {
            let cell = &cells[at];
            row.extend([
                thousands(&cell.rates),
                micro(&cell.half_p99_us),
                if cell.rates.is_empty() {
                    "-".to_owned()
                } else {
                    format!("{:.0}", mean(&cell.server_ns).0)
                },
            ]);
        }
        table.row(row);
    }
    section.table(table);
    for (cells, sessions) in cells.iter().zip(&arguments.sessions) {
        for (cell, contender) in cells.iter().zip(all) {
            if let Some(why) = &cell.failed {
                section.say(format!("{sessions} sessions, {}: {why}", contender.name));
            }
            if cell.disturbed > 0 {
                section.say(format!(
                    "{sessions} sessions, {}: {} disturbed runs left out: {}",
                    contender.name, cell.disturbed, cell.reason
                ));
            }
        }
        let waits = if durable { "durable" } else { "sequenced" };
        let setting = format!("{waits} {cores} cores {sessions} sessions");
        for (contender, cell) in all.iter().zip(cells) {
            if let Some(times) = &cell.half_ns {
                section.histogram(&format!("{setting} {}", contender.name), times);
            }
        }
        if let Some(verdict) = verdict(all, cells) {
            section.say(format!("{sessions} sessions: {verdict}"));
        }
        section.keep(
            &setting,
            all.iter()
                .zip(cells)
                .map(|(contender, cell)| {
                    let value = json!({
                        "rate": cell.rates, "half_p50_us": cell.half_p50_us, "half_p99_us": cell.half_p99_us,
                        "server_ns": cell.server_ns, "disturbed": cell.disturbed,
                        "meanwhile": cell.meanwhile,
                    });
                    (contender.name.to_owned(), value)
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
        );
    }
}

/// millrace's best topology beside the best of the others, by rate.
fn verdict(all: &[Contender], cells: &[Cell]) -> Option<String> {
    let best = |own: bool| {
        let those = all
            .iter()
            .zip(cells)
            .filter(|(contender, cell)| contender.is_millrace() == own && !cell.rates.is_empty());
        those.max_by(|a, b| mean(&a.1.rates).0.total_cmp(&mean(&b.1.rates).0))
    };
    let ((own, ours), (other, theirs)) = (best(true)?, best(false)?);
    let rate = mean(&ours.rates).0 / mean(&theirs.rates).0;
    let p99 = mean(&ours.half_p99_us).0 / mean(&theirs.half_p99_us).0;
    let holds = if rate > 1.0 && p99 < 1.0 { "holds" } else { "does not hold" };
    Some(format!(
        "{} has {rate:.2} of the rate and {p99:.2} of the p99 of the best other, {} (mark: above 1, below 1; \
         {holds})",
        own.name, other.name
    ))
}

fn figures(
    section: &mut Section,
    arguments: &Arguments,
    all: &[Contender],
    by_cores: &[(usize, Vec<Vec<Cell>>)],
    durable: bool,
) {
    let waits = if durable { "durable" } else { "not durable" };
    let line = |points: Vec<(f64, &Vec<f64>)>| -> Vec<(f64, f64, f64)> {
        let points = points.into_iter().filter(|(_, values)| !values.is_empty());
        points.map(|(x, values)| (x, mean(values).0, mean(values).1)).collect()
    };
    for (cores, cells) in by_cores {
        let plural = if *cores == 1 { "core" } else { "cores" };
        let mut rate = Chart::new(
            &format!("Highest rate, {cores} {plural}, {waits}"),
            Axis::log("sessions"),
            Axis::linear("orders a second"),
        );
        let mut p99 = Chart::new(
            &format!("p99 at half of it, {cores} {plural}, {waits}"),
            Axis::log("sessions"),
            Axis::log("microseconds"),
        );
        for (at, contender) in all.iter().enumerate() {
            let over = |values: fn(&Cell) -> &Vec<f64>| {
                let sessions = arguments.sessions.iter().map(|sessions| f64::from(*sessions));
                line(sessions.zip(cells).map(|(x, cells)| (x, values(&cells[at]))).collect())
            };
            let name = contender.name.to_owned();
            rate.series.push(Series { name: name.clone(), points: over(|cell| &cell.rates) });
            p99.series.push(Series { name, points: over(|cell| &cell.half_p99_us) });
        }
        section.picture(rate.svg());
        section.picture(p99.svg());
    }
    // As the seeds' report has it: against cores, at a number of sessions in the middle.
    let middle = arguments.sessions.len() / 2;
    let Some(sessions) = arguments.sessions.get(middle).filter(|_| by_cores.len() > 1) else {
        return;
    };
    let mut charts = [
        Chart::new(
            &format!("Throughput against cores, {sessions} sessions, {waits}"),
            Axis::linear("cores"),
            Axis::linear("orders a second"),
        ),
        Chart::new(
            &format!("p50 at half of it against cores, {sessions} sessions, {waits}"),
            Axis::linear("cores"),
            Axis::log("microseconds"),
        ),
    ];
    for (at, contender) in all.iter().enumerate() {
        let over = |values: fn(&Cell) -> &Vec<f64>| {
            let cores = by_cores.iter();
            line(cores.map(|(n, cells)| (*n as f64, values(&cells[middle][at]))).collect())
        };
        let name = contender.name.to_owned();
        charts[0].series.push(Series { name: name.clone(), points: over(|cell| &cell.rates) });
        charts[1].series.push(Series { name, points: over(|cell| &cell.half_p50_us) });
    }
    charts.iter().for_each(|chart| section.picture(chart.svg()));
}
