//! `millrace bench load`

pub mod client;
pub mod contender;
pub mod flow;

use std::time::Duration;

use serde_json::json;

use super::super::Outcome;
use super::place::Place;
use super::report::{
    Axis, Chart, Leave, PERCENTILE_HEAD, Section, Series, Table, alone, cells, figure, holds,
    median,
};
use crate::client::playground::Playground;
use crate::runtime::{allowed_cores, signals};
use client::Found;
use contender::{Contender, Setting, Work, measure};

/// Order to Accepted from the scheduled instant, at shares of the highest rate: millrace beside an event loop
/// and a thread for each connection on the same protocol and book.
///
/// The highest rate is looked for first (closed loop); the loads are open loop. A server has one core, and the
/// load, a process of its own, another.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Sessions.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
    sessions: Vec<u32>,
    /// Shares of the highest rate.
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.25,0.5,0.75,0.9,1,1.1")]
    shares: Vec<f64>,
    /// Whether an answer waits for the disk.
    #[arg(long, value_delimiter = ',', default_value = "false,true", action = clap::ArgAction::Set)]
    durable: Vec<bool>,
    /// Runs of each, in turn; what nothing disturbed is added up.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Milliseconds of each load, after a tenth of a second to warm up.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    ms: u64,
    /// Over a veth pair between two namespaces, with millrace on AF_XDP too; needs root.
    #[arg(long)]
    veth: bool,
    #[command(flatten)]
    into: Leave,
}

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let section = compare(arguments)?;
    alone(&arguments.into, section)
}

/// Those who stand beside millrace here: all others are in `bench models`.
const PEERS: [&str; 3] = ["thread per connection, one lock", "event loop", "millrace inline"];

/// All loads of all servers.
pub fn compare(arguments: &Arguments) -> Result<Section, Box<dyn std::error::Error>> {
    let playground = if arguments.veth { Some(Playground::new(1)?) } else { None };
    let place = playground.as_ref().map_or(Place::Loopback, Place::Veth);
    let (name, wire, flag) = match arguments.veth {
        true => ("load-veth", "veth", " --veth"),
        false => ("load", "loopback", ""),
    };
    let title = format!("Order to Accepted under load ({wire})");
    let mut section = Section::new(name, &title, &format!("millrace bench load{flag}"));
    let mut all: Vec<Contender> = contender::ALL.to_vec();
    all.retain(|contender| PEERS.contains(&contender.name));
    if arguments.veth {
        all.push(contender::AF_XDP);
    }
    let models = contender::models().unwrap_or_else(|why| {
        section.say(format!("without the reference servers: {why}"));
        all.retain(Contender::is_millrace);
        std::path::PathBuf::new()
    });
    let [first, .., load_core] = allowed_cores()[..] else {
        return Err("two cores are needed, one of them for the load".into());
    };
    section.say("millrace with idle = \"auto\" and without its audit file; the others block");
    let work = Work { ms: arguments.ms, warm_up_ms: 100, shares: &arguments.shares, active: None };
    for &durable in &arguments.durable {
        for &sessions in &arguments.sessions {
            let (cores, lean) = (&[first][..], false);
            let (place, models) = (&place, &models);
            let setting = Setting { sessions, cores, load_core, durable, lean, place, models };
            let mut found: Vec<Vec<Vec<Found>>> = all.iter().map(|_| vec![]).collect();
            for _ in 0..arguments.runs {
                for (contender, found) in all.iter().zip(&mut found) {
                    if signals::wait(Duration::ZERO) {
                        return Err(super::INTERRUPTED.into());
                    }
                    match measure(*contender, &setting, &work) {
                        Ok(phases) => found.push(phases),
                        Err(error) => section.say(error.to_string()),
                    }
                }
            }
            tell(&mut section, &all, found, sessions, durable);
        }
    }
    Ok(section)
}

fn tell(
    section: &mut Section,
    all: &[Contender],
    found: Vec<Vec<Vec<Found>>>,
    sessions: u32,
    durable: bool,
) {
    let waits = if durable { "durable" } else { "not durable" };
    let plural = if sessions == 1 { "session" } else { "sessions" };
    section.say(format!("{sessions} {plural}, {waits}: a row for each offered load"));
    let mut head = vec!["", "offered/s"];
    head.extend(PERCENTILE_HEAD);
    head.extend(["answered", "CPU ns"]);
    let mut table = Table::new(&head);
    let mut chart = Chart::new(
        &format!("p50 and p99 against offered load, {sessions} {plural}, {waits}"),
        Axis::linear("orders a second"),
        Axis::log("microseconds"),
    );
    for (contender, runs) in all.iter().zip(&found) {
        let highest: Vec<f64> =
            runs.iter().filter_map(|phases| phases.first()).map(|phase| phase.rate).collect();
        if highest.is_empty() {
            continue;
        }
        let mut curves = [vec![], vec![]];
        let mut kept = vec![];
        for phase in 1..runs[0].len() {
            let calm: Vec<&Found> = runs
                .iter()
                .map(|phases| &phases[phase])
                .filter(|found| found.disturbance.reason().is_none())
                .collect();
            let offered: Vec<f64> = calm.iter().filter_map(|found| found.offered).collect();
            let Some(one) = calm.first() else {
                let reason = runs[0][phase].disturbance.reason().unwrap_or_default();
                section.say(format!("{}, a load left out: {reason}", contender.name));
                continue;
            };
            let mut times = one.times();
            calm[1..].iter().for_each(|found| times.add(found.times()).unwrap_or_default());
            let offered = median(&offered);
            let rate = median(&calm.iter().map(|found| found.rate).collect::<Vec<_>>());
            let server = median(&calm.iter().map(|found| found.server_ns).collect::<Vec<_>>());
            let mut row = vec![contender.name.to_owned(), format!("{offered:.0}")];
            row.extend(cells(&times));
            row.extend([format!("{:.3}", rate / offered), format!("{server:.0}")]);
            table.row(row);
            for (curve, quantile) in curves.iter_mut().zip([0.5, 0.99]) {
                curve.push((offered, times.value_at_quantile(quantile) as f64 / 1e3, 0.0));
            }
            let share = (offered / median(&highest) * 100.0).round();
            section.histogram(&format!("{waits} {sessions} {} {share}", contender.name), &times);
            kept.push(json!({
                "offered": offered, "answered": rate,
                "p50_us": times.value_at_quantile(0.5) as f64 / 1e3,
                "p99_us": times.value_at_quantile(0.99) as f64 / 1e3,
                "p999_us": times.value_at_quantile(0.999) as f64 / 1e3,
                "server_ns": server,
                "meanwhile": calm.iter().map(|found| found.disturbance).collect::<Vec<_>>(),
            }));
        }
        for (points, what) in curves.into_iter().zip(["p50", "p99"]) {
            chart.series.push(Series { name: format!("{}, {what}", contender.name), points });
        }
        let key = format!("{waits} {sessions} {plural} {}", contender.name);
        section.keep(&key, json!({ "highest": highest, "loads": kept }));
    }
    section.table(table);
    section.picture(chart.svg());
    ahead(section, all, &found);
}

/// An offered load is held if all but a fiftieth of it is answered in time.
const HELD: f64 = 0.98;

/// The highest offered load that each held in all its runs, and millrace's beside the best of the others.
fn ahead(section: &mut Section, all: &[Contender], found: &[Vec<Vec<Found>>]) {
    let held = |at: usize| {
        let phases = found[at].iter().flat_map(|phases| &phases[1..]);
        let held = phases.filter(|found| {
            let calm = found.disturbance.reason().is_none();
            calm && found.offered.is_some_and(|offered| found.rate >= HELD * offered)
        });
        held.filter_map(|found| found.offered).fold(0.0, f64::max)
    };
    let best = |own: bool| {
        let those =
            (0..all.len()).filter(|at| all[*at].is_millrace() == own && !found[*at].is_empty());
        those.map(|at| (held(at), all[at].name)).max_by(|a, b| a.0.total_cmp(&b.0))
    };
    if let (Some((ours, own)), Some((theirs, other))) = (best(true), best(false)) {
        // Nothing held undisturbed is no rate.
        let ratio = if ours > 0.0 && theirs > 0.0 { ours / theirs } else { f64::NAN };
        section.say(format!(
            "highest load held: {own} {ours:.0}/s, {other} {theirs:.0}/s: {} (mark: above 1; {})",
            figure(ratio, 2),
            holds(ratio > 1.0, ratio)
        ));
    }
}
