//! `millrace bench decode`

use std::hint::black_box;
use std::path::Path;
use std::process::Command as Process;
use std::time::Instant;

use serde_json::json;

use super::super::Outcome;
use super::bare::{Bare, Lap, Part, packets};
use super::place::on_core;
use super::report::{Leave, Section, Table, Watch, alone, figure, median};
use crate::runtime::{allowed_cores, signals};

/// What decoding, risk, matching and encoding of an OUCH order take, next to a copy of as many bytes; and, from
/// `benches/fix`, a FIX order and its report beside fefix.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Runs; medians are printed.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Without FIX.
    #[arg(long)]
    ouch_only: bool,
    /// Only take so many orders through, and say nothing: to count instructions of.
    #[arg(long, hide = true)]
    count: Option<u32>,
    #[command(flatten)]
    into: Leave,
}

/// Orders of a run, each with the cancel of another.
const ORDERS: u32 = 200_000;
const PARTS: [(Part, &str, &str); 4] = [
    (Part::Decode, "decode: bytes to a command in the ring", "15 (goal 5)"),
    (Part::Risk, "risk: a command through every check", ""),
    (Part::Match, "match: a command, its events in the ring", ""),
    (Part::Encode, "encode: an event to a packet in its stream", "15"),
];

pub fn run(arguments: &Arguments) -> Outcome {
    if let Some(orders) = arguments.count {
        let count = Bare::new().whole(&packets(orders), |_, _, _| {});
        println!("{count}");
        return Ok(());
    }
    signals::hold_back();
    let section = compare(arguments)?;
    alone(&arguments.into, section)
}

pub fn compare(arguments: &Arguments) -> Result<Section, Box<dyn std::error::Error>> {
    let mut section =
        Section::new("decode", "The parts of an order by themselves", "millrace bench decode");
    let core = *allowed_cores().last().ok_or("no core to run on")?;
    on_core(core, || parts(arguments, &mut section));
    if !arguments.ouch_only {
        fix(&mut section);
    }
    Ok(section)
}

fn parts(arguments: &Arguments, section: &mut Section) {
    Lap::time_all();
    let bytes = packets(ORDERS);
    let mut found: [Vec<f64>; 4] = Default::default();
    let (mut copies, mut disturbed) = (vec![], 0);
    for _ in 0..arguments.runs {
        let mut bare = Bare::new();
        let mut spent = [(0, 0); 4];
        let ((), meanwhile) = Watch::over(|| {
            bare.whole(&bytes, |part, count, lap| {
                let (ns, all) = &mut spent[part as usize];
                (*ns, *all) = (*ns + lap.ns(), *all + count);
            });
        });
        let packets: usize = spent[0].1;
        let mut copy = [0u8; 64];
        let began = Instant::now();
        for packet in bytes.chunks_exact(bytes.len() / packets) {
            copy[..packet.len()].copy_from_slice(packet);
            black_box(&copy);
        }
        let took = began.elapsed().as_nanos() as f64 / packets as f64;
        if meanwhile.reason().is_some() {
            disturbed += 1;
            continue;
        }
        copies.push(took);
        for (found, (ns, all)) in found.iter_mut().zip(spent) {
            found.push(ns as f64 / all.max(1) as f64);
        }
    }
    if disturbed > 0 {
        section.say(format!("{disturbed} disturbed runs left out"));
    }
    let copy = median(&copies);
    let mut table = Table::new(&["OUCH 5.0 over SoupBinTCP", "ns", "of the copy", "mark ns"]);
    table.row(vec![
        "a copy of the packet".to_owned(),
        figure(copy, 1),
        String::new(),
        String::new(),
    ]);
    for ((_, name, mark), found) in PARTS.iter().zip(&found) {
        let ns = median(found);
        let ratio = figure(ns / copy, 1);
        table.row(vec![(*name).to_owned(), figure(ns, 1), ratio, (*mark).to_owned()]);
    }
    section.table(table);
    let ns =
        PARTS.iter().zip(&found).map(|((part, ..), ns)| (format!("{part:?}"), json!(median(ns))));
    section.keep("ouch_ns", ns.collect::<serde_json::Map<_, _>>().into());
}

/// FIX has peers that are in no build of millrace.
fn fix(section: &mut Section) {
    let manifest = "benches/fix/Cargo.toml";
    if !Path::new(manifest).is_file() {
        return section
            .say("without FIX: benches/fix is not here; run it in millrace's source tree");
    }
    let run = ["run", "--release", "--quiet", "--manifest-path", manifest];
    match Process::new("cargo").args(run).output() {
        Ok(output) if output.status.success() => {
            section.transcript(&String::from_utf8_lossy(&output.stdout));
        }
        Ok(_) => section.say("without FIX: benches/fix does not build or run"),
        Err(error) => section.say(format!("without FIX: cargo: {error}")),
    }
}
