//! `millrace bench recovery`

use std::time::Instant;

use serde_json::json;

use super::super::Outcome;
use super::load::contender::{Contender, Kind, Setting, Work, kept};
use super::place::Place;
use super::report::{Leave, Section, Table, Watch, alone, figure, holds, median};
use crate::config::Config;
use crate::runtime::{allowed_cores, signals};
use crate::segment::{journal_dir, recover};

/// A journal that a load wrote, replayed: commands a second, and whether every replay ends in the same state.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Milliseconds of load at the highest rate.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    ms: u64,
    /// Replays; medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    #[command(flatten)]
    into: Leave,
}

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let section = compare(arguments)?;
    alone(&arguments.into, section)
}

pub fn compare(arguments: &Arguments) -> Result<Section, Box<dyn std::error::Error>> {
    let mut section =
        Section::new("recovery", "A journal replayed to the same state", "millrace bench recovery");
    let [first, .., load_core] = allowed_cores()[..] else {
        return Err("two cores are needed, one of them for the load".into());
    };
    let gateway = Contender { name: "millrace", kind: Kind::Millrace("inline", false) };
    let setting = Setting {
        sessions: 10,
        cores: &[first],
        load_core,
        durable: false,
        lean: false,
        place: &Place::Loopback,
        models: std::path::Path::new(""),
    };
    let work = Work { ms: arguments.ms, warm_up_ms: 100, shares: &[], active: None };
    // The gateway is killed: what it leaves is what a crash leaves.
    let (_, dir) = kept(gateway, &setting, &work)?;
    let mut config = Config::load(&dir.path().join("millrace.toml"))?;
    config.gateway.data_dir = dir.path().join("data");
    let journal = journal_dir(&config);
    let (mut rates, mut state, mut commands) = (vec![], None, 0);
    for _ in 0..arguments.runs {
        let began = Instant::now();
        let (recovered, meanwhile) = Watch::over(|| recover(&journal, &config));
        let (recovered, took) = (recovered?, began.elapsed().as_secs_f64());
        commands = recovered.risk.last_seq().0;
        let hash = recovered.state_hash();
        if state.replace(hash).is_some_and(|before| before != hash) {
            return Err("two replays end differently".into());
        }
        match meanwhile.reason() {
            Some(reason) => section.say(format!("a disturbed replay left out: {reason}")),
            None => rates.push(commands as f64 / took),
        }
    }
    let mut table = Table::new(&["", "commands", "M commands/s", "mark"]);
    let rate = median(&rates) / 1e6;
    table.row(vec![
        "replay, killed gateway's journal".to_owned(),
        commands.to_string(),
        figure(rate, 2),
        format!("6 (goal 10; {})", holds(rate >= 6.0, rate)),
    ]);
    section.table(table);
    section.keep("commands_per_second", json!(rates));
    Ok(section)
}
