//! What waiting for the disk adds, in units of one write that reaches it.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;

use super::super::Outcome;
use super::load::client::Found;
use super::load::contender::{self, Contender, Kind, Scratch, Setting, Work};
use super::orders;
use super::place::{Place, pin, run_segment};
use super::plan::{Figures, Measured, Plan, histogram};
use super::report::{PERCENTILE_HEAD, Section, Table, Watch, cells, figure, holds, median};
use crate::client::playground::Carrier;
use crate::runtime::{Region, allowed_cores};

/// What a journal writes for one order: the block that its record is in.
const WRITE_BYTES: usize = 4096;
/// Records that share a block.
const RECORDS_IN_BLOCK: u32 = 32;
/// Blocks of the floor's file, filled before anything is timed.
const BLOCKS: u32 = 1024;

/// One write and one `fdatasync`, one after the other, as a journal that gets one order at a time writes: a block
/// again and again until it is full, of a file that is there already.
pub(super) fn sync(plan: &Plan) -> Measured {
    write_and_sync(plan)
}

/// The same while both cores spin: what wakes a core that is asleep takes as long as the disk on some machines.
pub(super) fn sync_awake(plan: &Plan) -> Measured {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for core in plan.cores {
            let over = &over;
            scope.spawn(move || {
                pin(core);
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let figures = write_and_sync(plan);
        over.store(true, Ordering::Relaxed);
        figures
    })
}

fn write_and_sync(plan: &Plan) -> Measured {
    let name = format!("millrace-bench-sync-{}", std::process::id());
    let scratch = Scratch::new(std::env::temp_dir().join(name))?;
    let path = scratch.path().join("blocks");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    // Not every file system takes writes past the page cache; the journal does without there, too.
    let file = options.clone().custom_flags(libc::O_DIRECT).open(&path);
    let file = file.or_else(|_| options.open(&path))?;
    let mut region = Region::new(WRITE_BYTES);
    for block in 0..BLOCKS {
        file.write_all_at(region.bytes(), u64::from(block) * WRITE_BYTES as u64)?;
    }
    file.sync_all()?;
    let mut times_ns = histogram();
    for n in 0..plan.warm_up() + plan.round_trips {
        let (block, record) = (n / RECORDS_IN_BLOCK % BLOCKS, n % RECORDS_IN_BLOCK);
        let bytes = WRITE_BYTES / RECORDS_IN_BLOCK as usize;
        region.bytes_mut()[record as usize * bytes..][..bytes].fill(n as u8);
        let started = Instant::now();
        file.write_all_at(region.bytes(), u64::from(block) * WRITE_BYTES as u64)?;
        file.sync_data()?;
        if n >= plan.warm_up() {
            times_ns.saturating_record(started.elapsed().as_nanos() as u64);
        }
    }
    Ok(Figures { times_ns, driver_calls: None })
}

/// Order to Accepted where Accepted means that it is on disk. Nobody spins, as nobody would for so long.
pub(super) fn order(plan: &Plan) -> Measured {
    let text = orders::durable_text();
    run_segment(&text, &Place::Loopback, &Carrier::Kernel, |segment| {
        orders::measure_asleep(plan, segment)
    })
}

/// The same where the agent and the client spin.
pub(super) fn order_awake(plan: &Plan) -> Measured {
    let text = orders::bench_text(plan).replace("ack = \"sequenced\"", "ack = \"journaled\"");
    run_segment(&text, &Place::Loopback, &Carrier::Kernel, |segment| {
        orders::measure_awake(plan, segment)
    })
}

/// Shares of the highest rate at which the disk is waited for together.
const SHARES: [f64; 3] = [0.1, 0.25, 0.5];
const SESSIONS: u32 = 50;
const LOAD_MS: u64 = 500;
/// A p99 at half of the highest rate is so many writes long at most.
const GROUP_MARK: f64 = 2.5;

/// What an order waits under load, where many are on disk by one write.
pub(super) fn group_commit(plan: &Plan, runs: u32, section: &mut Section) -> Outcome {
    let [first, .., load_core] = allowed_cores()[..] else {
        return Err("two cores are needed, one of them for the load".into());
    };
    let inline = Contender { name: "millrace inline", kind: Kind::Millrace("inline", false) };
    let (cores, place, models) = (&[first][..], &Place::Loopback, std::path::Path::new(""));
    let setting =
        Setting { sessions: SESSIONS, cores, load_core, durable: true, lean: false, place, models };
    let work = Work { ms: LOAD_MS, warm_up_ms: 100, shares: &SHARES, active: None };
    let (mut floors, mut found): (Vec<f64>, Vec<Vec<Found>>) = (vec![], vec![]);
    let mut disturbed = 0;
    for _ in 0..runs {
        let (floor, meanwhile) = Watch::over(|| sync(plan));
        let phases = contender::measure(inline, &setting, &work)?;
        if meanwhile.reason().is_some() {
            disturbed += 1;
            continue;
        }
        floors.push(floor?.times_ns.value_at_quantile(0.5) as f64);
        found.push(phases);
    }
    section.say(format!(
        "{SESSIONS} sessions, durable, open loop: medians of {} runs; {disturbed} disturbed left out",
        found.len()
    ));
    if found.is_empty() {
        return Ok(());
    }
    let mut head = vec!["offered/s"];
    head.extend(PERCENTILE_HEAD);
    head.extend(["p50 in writes", "p99 in writes"]);
    let mut table = Table::new(&head);
    let (mut kept, mut half) = (vec![], f64::NAN);
    for phase in 1..=SHARES.len() {
        let mut times = histogram();
        let in_writes = |quantile| {
            let each = found.iter().zip(&floors).map(|(phases, floor)| {
                phases[phase].times().value_at_quantile(quantile) as f64 / floor
            });
            median(&each.collect::<Vec<_>>())
        };
        for phases in &found {
            times.add(phases[phase].times())?;
        }
        let offered: Vec<f64> = found.iter().filter_map(|phases| phases[phase].offered).collect();
        let (p50, p99) = (in_writes(0.5), in_writes(0.99));
        let mut row = vec![format!("{:.0}", median(&offered))];
        row.extend(cells(&times));
        row.extend([figure(p50, 2), figure(p99, 2)]);
        table.row(row);
        kept.push(json!({ "offered": offered, "p50_writes": p50, "p99_writes": p99 }));
        half = p99;
    }
    section.table(table);
    section.say(format!(
        "p99 at half of the highest rate: {} writes (mark {GROUP_MARK}; {})",
        figure(half, 2),
        holds(half <= GROUP_MARK, half)
    ));
    section.keep("group commit", kept.into());
    Ok(())
}
