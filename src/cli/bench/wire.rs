//! `millrace bench wire`

use std::path::PathBuf;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;

use super::super::Outcome;
use super::orders::WaitsFor;
use super::place::Place;
use super::plan::{Measured, Plan, histogram};
use super::report::{
    Curve, Leave, PERCENTILE_HEAD, Section, Table, Watch, alone, cells, figure, median, percentiles,
};
use super::{durable, echo, fix, orders};
use crate::client::playground::{Carrier, Playground};
use crate::runtime::{allowed_cores, signals};

/// Order to Accepted, one client, one order at a time, inline topology, `ack = "sequenced"`: next
/// to a raw echo of 52 bytes in the same run. Both sides spin.
///
/// FIX is measured on loopback too, next to an echo that answers as many bytes as come with as many
/// as an ExecutionReport has.
///
/// Kernel sockets are measured on loopback. Drivers are measured between two network namespaces
/// joined by a veth pair, which needs root: kernel sockets there too, in turn.
#[derive(clap::Args)]
pub struct Arguments {
    /// What to measure.
    #[arg(long, value_enum, default_value = "kernel")]
    transport: Which,
    /// Runs of each kind, in turn; medians are printed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Round trips in each run, after a tenth as many to warm up.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..=200_000))]
    round_trips: u32,
    /// Connections that are open and idle beside the one that trades.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    idle: u32,
    /// Kernel sockets on loopback with a feed too: two multicast lines and a ring.
    #[arg(long)]
    feed: bool,
    /// What `ack = "journaled"` adds instead, in units of one write that reaches the disk: a twentieth of the round
    /// trips; and many sessions, for which the disk is waited for together.
    #[arg(long, conflicts_with_all = ["transport", "feed"])]
    durable: bool,
    /// Orders that go on to a venue instead: client to venue and back, next to a proxy that hands bytes on.
    #[arg(long, conflicts_with_all = ["transport", "feed", "durable"])]
    route: bool,
    /// Draw the percentiles of what was measured, kernel sockets and frames, into this SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    into: Leave,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Which {
    /// Kernel sockets on loopback.
    Kernel,
    /// FIX 4.4, kernel sockets on loopback.
    Fix,
    /// AF_XDP on veth, and kernel sockets there.
    AfXdp,
    /// DPDK with its driver for AF_XDP sockets on veth, and kernel sockets there.
    #[cfg(feature = "dpdk")]
    Dpdk,
    /// All of them.
    All,
}

/// A kind of run.
struct Row<'a> {
    name: String,
    /// The row it is compared with, and the mark.
    floor: Option<(usize, f64)>,
    measure: Box<dyn Fn(&Plan) -> Measured + 'a>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    calls: Vec<f64>,
    /// There was no run that nothing disturbed.
    disturbed: bool,
    /// Of all runs.
    times_ns: Histogram<u64>,
}

impl<'a> Row<'a> {
    fn new(
        name: &str,
        floor: Option<(usize, f64)>,
        measure: impl Fn(&Plan) -> Measured + 'a,
    ) -> Row<'a> {
        let (p50_us, p99_us, calls) = (vec![], vec![], vec![]);
        let (name, measure, times_ns) = (name.to_owned(), Box::new(measure), histogram());
        Row { name, floor, measure, p50_us, p99_us, calls, disturbed: false, times_ns }
    }

    fn forget(&mut self) {
        self.p50_us.clear();
        self.p99_us.clear();
        self.calls.clear();
        self.times_ns.reset();
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    // An interrupted run still removes what it made.
    signals::hold_back();
    let section = compare(arguments)?;
    alone(&arguments.into, section)
}

pub fn compare(arguments: &Arguments) -> Result<Section, Box<dyn std::error::Error>> {
    let title = "One order at a time, next to a bare echo";
    let mut section = Section::new("wire", title, "millrace bench wire");
    match allowed_cores()[..] {
        [first, second, ..] => measure(arguments, [first, second], &mut section)?,
        _ => return Err("two cores are needed, one for each side".into()),
    }
    Ok(section)
}

fn measure(arguments: &Arguments, cores: [usize; 2], section: &mut Section) -> Outcome {
    let plan =
        Plan { round_trips: arguments.round_trips, idle: arguments.idle, together: 1, cores };
    let mut curves = vec![];
    if arguments.durable {
        return durable_tables(arguments, &plan, section);
    }
    if arguments.route {
        return route_tables(arguments, &plan, section);
    }
    let wanted = |which| arguments.transport == which || arguments.transport == Which::All;
    if wanted(Which::Kernel) {
        let place = Place::Loopback;
        table("loopback", kernel_rows(&place), arguments, &plan, &mut curves, section)?;
    }
    if arguments.feed {
        feed_table(arguments, &plan, &mut curves, section)?;
    }
    if wanted(Which::Fix) {
        let place = Place::Loopback;
        table("FIX 4.4, loopback", fix_rows(&place), arguments, &plan, &mut curves, section)?;
    }
    if wanted(Which::AfXdp) {
        let carrier = Carrier::AfXdp(vec![0]);
        on_veth::<echo::OnAfXdp>("af_xdp", &carrier, arguments, &plan, &mut curves, section)?;
    }
    #[cfg(feature = "dpdk")]
    if wanted(Which::Dpdk) {
        let carrier = Carrier::Dpdk("net_af_xdp");
        on_veth::<echo::OnDpdk>("dpdk", &carrier, arguments, &plan, &mut curves, section)?;
    }
    let picture = percentiles("One order at a time, both sides spinning", &curves);
    if let Some(file) = &arguments.svg {
        std::fs::write(file, &picture)?;
        println!("{} shows the percentiles", file.display());
    }
    section.picture(picture);
    curves.iter().for_each(|curve| section.histogram(&curve.name, &curve.times_ns));
    Ok(())
}

fn kernel_rows<'a>(place: &'a Place<'a>) -> Vec<Row<'a>> {
    vec![
        Row::new("TCP echo, kernel", None, |plan| echo::kernel(plan, place)),
        Row::new("order to Accepted, kernel", Some((0, 1.25)), |plan| {
            orders::measure(plan, place, &Carrier::Kernel)
        }),
    ]
}

/// What a feed costs those who trade, and how long it takes until all have heard.
fn feed_table(
    arguments: &Arguments,
    plan: &Plan,
    curves: &mut Vec<Curve>,
    section: &mut Section,
) -> Outcome {
    let place = Place::Loopback;
    let mut rows = kernel_rows(&place);
    rows.push(Row::new("order to Accepted, feed on", Some((0, 1.25)), |plan| {
        orders::measure_with_feed(plan, WaitsFor::Answer)
    }));
    // Two cores that spin leave none for the feed: here the client sleeps while it waits.
    rows.push(Row::new("order to Accepted, asleep", None, |plan| {
        orders::measure_with_feed(plan, WaitsFor::AnswerAsleep)
    }));
    rows.push(Row::new("order to ITCH, asleep", None, |plan| {
        orders::measure_with_feed(plan, WaitsFor::ItchAsleep)
    }));
    let medians = table("loopback, with a feed", rows, arguments, plan, curves, section)?;
    section.say(format!(
        "Accepted with the feed: {} of without (mark 1.03); ITCH: {} of Accepted (mark 1.50)",
        figure(medians[2] / medians[1], 3),
        figure(medians[4] / medians[3], 2)
    ));
    Ok(())
}

/// One order at a time, and many.
fn durable_tables(arguments: &Arguments, plan: &Plan, section: &mut Section) -> Outcome {
    let plan = Plan { round_trips: (plan.round_trips / 20).max(10), ..*plan };
    let rows = vec![
        Row::new("4 KiB written and synced", None, durable::sync),
        Row::new("order to Accepted, on disk", Some((0, 1.15)), durable::order),
        Row::new("the write, cores spinning", None, durable::sync_awake),
        Row::new("the order, both sides spinning", Some((2, 1.15)), durable::order_awake),
    ];
    let mut curves = vec![];
    table("the disk", rows, arguments, &plan, &mut curves, section)?;
    curves.iter().for_each(|curve| section.histogram(&curve.name, &curve.times_ns));
    durable::group_commit(&plan, arguments.runs, section)
}

/// Orders that go on to a venue: in each speech, there and back.
fn route_tables(arguments: &Arguments, plan: &Plan, section: &mut Section) -> Outcome {
    use super::route::{Speech, Way, measure, proxy};
    let mut curves = vec![];
    let there = |speech, policy: &'static str, more: &'static str| {
        move |plan: &Plan| measure(plan, speech, Way::There, policy, more)
    };
    for (name, speech, mark) in
        [("routed, FIX 4.4", Speech::Fix, 1.6), ("routed, OUCH", Speech::Ouch, 1.4)]
    {
        let rows = vec![
            Row::new("proxy, there", None, move |plan| proxy(plan, speech, Way::There)),
            Row::new("order in to order out", Some((0, mark)), there(speech, "route-only", "")),
            Row::new(
                "with batch_us = 1000",
                Some((1, 1.05)),
                there(speech, "route-only", "batch_us = 1000"),
            ),
            Row::new("crossing first", Some((1, 1.05)), there(speech, "post-out", "")),
            Row::new("proxy, back", None, move |plan| proxy(plan, speech, Way::Back)),
            Row::new("fill in to fill out", Some((4, mark)), move |plan| {
                measure(plan, speech, Way::Back, "route-only", "")
            }),
        ];
        table(name, rows, arguments, plan, &mut curves, section)?;
    }
    curves.iter().for_each(|curve| section.histogram(&curve.name, &curve.times_ns));
    Ok(())
}

fn fix_rows<'a>(place: &'a Place<'a>) -> Vec<Row<'a>> {
    vec![
        Row::new("TCP echo, same sizes", None, |plan| {
            echo::sized(plan, place, fix::ORDER_BYTES, fix::REPORT_BYTES)
        }),
        Row::new("order to ExecutionReport", Some((0, 1.4)), |plan| {
            fix::measure(plan, place, &Carrier::Kernel)
        }),
    ]
}

/// Kernel sockets and a driver over the same wire, in turn.
fn on_veth<F: echo::Floor>(
    name: &str,
    carrier: &Carrier,
    arguments: &Arguments,
    plan: &Plan,
    curves: &mut Vec<Curve>,
    section: &mut Section,
) -> Outcome {
    let playground = Playground::new(1)?;
    let place = Place::Veth(&playground);
    let mut rows = kernel_rows(&place);
    let row = |what: &str, floor, measure: fn(&Plan, &Place<'_>, &Carrier) -> Measured| {
        Row::new(&format!("{what}, {name}"), floor, move |plan| {
            // A wire of its own: DPDK's driver for AF_XDP takes an interface only once.
            let playground = Playground::new(1)?;
            measure(plan, &Place::Veth(&playground), carrier)
        })
    };
    rows.push(row("UDP echo", None, |plan, place, _| echo::udp::<F>(plan, place)));
    rows.push(row("TCP echo", None, |plan, place, _| echo::tcp::<F>(plan, place)));
    rows.push(row("order to Accepted", Some((3, 1.5)), orders::measure));
    let medians = table("veth", rows, arguments, plan, curves, section)?;
    section.say(format!(
        "{name}: {} of kernel sockets (mark 1.00, goal 0.80), {} of the UDP echo",
        figure(medians[4] / medians[1], 2),
        figure(medians[4] / medians[2], 2)
    ));
    Ok(())
}

/// Runs that may be disturbed for each that is not.
const ATTEMPTS: u32 = 3;

/// Measures the rows in turn and prints them. Returns their medians of p50; of one that was always disturbed, none.
fn table(
    wire: &str,
    mut rows: Vec<Row<'_>>,
    arguments: &Arguments,
    plan: &Plan,
    curves: &mut Vec<Curve>,
    section: &mut Section,
) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let mut disturbed = vec![];
    for _ in 0..arguments.runs {
        for row in &mut rows {
            for attempt in 1..=ATTEMPTS {
                if signals::wait(Duration::ZERO) {
                    return Err(super::INTERRUPTED.into());
                }
                let (figures, meanwhile) = Watch::over(|| (row.measure)(plan));
                let figures = figures?;
                std::thread::sleep(Duration::from_millis(20));
                if let Some(reason) = meanwhile.reason() {
                    disturbed.push(reason);
                    // A row without any run has no ratio; one at least is kept of those that stay so.
                    if attempt < ATTEMPTS || !row.p50_us.is_empty() {
                        continue;
                    }
                    row.disturbed = true;
                } else if std::mem::take(&mut row.disturbed) {
                    // The one that was kept for want of another goes.
                    row.forget();
                }
                row.p50_us.push(figures.times_ns.value_at_quantile(0.5) as f64 / 1000.0);
                row.p99_us.push(figures.times_ns.value_at_quantile(0.99) as f64 / 1000.0);
                row.calls.extend(figures.driver_calls);
                row.times_ns.add(&figures.times_ns)?;
                break;
            }
        }
    }
    section.say(format!(
        "{wire}: {} round trips a run, medians of {} runs in turn, {} idle connections",
        plan.round_trips, arguments.runs, arguments.idle
    ));
    if let Some(last) = disturbed.last() {
        section.say(format!("{} disturbed runs left out: {last}", disturbed.len()));
    }
    let medians: Vec<(f64, f64)> =
        rows.iter().map(|row| (median(&row.p50_us), median(&row.p99_us))).collect();
    let mut head = vec![wire];
    head.extend(PERCENTILE_HEAD);
    head.extend(["median p50", "p99", "of the floor", "p99", "mark", "calls"]);
    let mut table = Table::new(&head);
    for (row, (p50, p99)) in rows.iter().zip(&medians) {
        let mut line = vec![row.name.clone()];
        line.extend(cells(&row.times_ns));
        line.extend([format!("{p50:.2}"), format!("{p99:.2}")]);
        line.extend(match row.floor {
            Some((floor, _)) if row.disturbed || rows[floor].disturbed => {
                ["disturbed".to_owned(), String::new(), String::new()]
            }
            Some((floor, mark)) => {
                let (floor_p50, floor_p99) = medians[floor];
                let (p50, p99) = (p50 / floor_p50, p99 / floor_p99);
                let holds = if p50 <= mark { "holds" } else { "does not hold" };
                [format!("{p50:.2}"), format!("{p99:.2}"), format!("{mark:.2} ({holds})")]
            }
            None => Default::default(),
        });
        line.push(match row.calls.is_empty() {
            true => String::new(),
            false => format!("{:.2}", median(&row.calls)),
        });
        table.row(line);
    }
    section.table(table);
    let kept = rows
        .iter()
        .map(|row| (row.name.clone(), json!({ "p50_us": row.p50_us, "p99_us": row.p99_us })));
    section.keep(wire, kept.collect::<serde_json::Map<_, _>>().into());
    let told =
        rows.iter().zip(medians).map(|(row, (p50, _))| if row.disturbed { f64::NAN } else { p50 });
    let told = told.collect();
    curves.extend(rows.into_iter().map(|row| {
        let name = if wire == "veth" { format!("{}, veth", row.name) } else { row.name };
        Curve { name, times_ns: row.times_ns }
    }));
    Ok(told)
}
