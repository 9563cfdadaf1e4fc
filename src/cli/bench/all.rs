//! `millrace bench all`

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::Parser;

use super::super::Outcome;
use super::INTERRUPTED;
use super::report::{Report, Section};
use super::{batching, book, decode, load, models, recovery, scale, wire};
use crate::runtime::signals;

/// Every bench in a short form, within ten minutes on two cores, and one page that shows them.
///
/// What cannot run here is said, and the rest runs. Each bench by itself, with more runs, says more.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where the page, the pictures, the histograms and the JSON go.
    #[arg(long, value_name = "DIR", default_value = "millrace-bench")]
    out: PathBuf,
    /// Only those in whose names this is.
    #[arg(long, default_value = "")]
    only: String,
}

/// A bench with its own arguments, as they would stand on the command line.
#[derive(Parser)]
struct With<T: clap::Args> {
    #[command(flatten)]
    arguments: T,
}

fn with<T: clap::Args>(words: &str) -> Result<T, clap::Error> {
    let words = std::iter::once("bench").chain(words.split_ascii_whitespace());
    Ok(With::<T>::try_parse_from(words)?.arguments)
}

type Made = Result<Section, Box<dyn std::error::Error>>;
type Make = fn() -> Made;

/// In order: name, and how it is made.
const BENCHES: [(&str, Make); 14] = [
    ("wire", || wire::compare(&with("--runs 3 --round-trips 10000")?)),
    ("wire-fix", || wire::compare(&with("--runs 3 --round-trips 10000 --transport fix")?)),
    ("wire-af_xdp", || wire::compare(&with("--runs 3 --round-trips 10000 --transport af_xdp")?)),
    ("wire-durable", || wire::compare(&with("--runs 2 --round-trips 10000 --durable")?)),
    ("load", || load::compare(&with("--runs 1 --ms 200 --shares 0.1,0.25,0.5,0.75,0.9,1.1")?)),
    ("models", || models::compare(&with("--runs 2 --ms 100 --sessions 1,50,500")?)),
    ("models-veth", || {
        models::compare(&with(
            "--veth --runs 1 --ms 150 --cores 1 --sessions 5,50 --durable false",
        )?)
    }),
    ("book", || book::compare(&with("--runs 2 --commands 1000000")?)),
    ("decode", || decode::compare(&with("")?)),
    ("recovery", || recovery::compare(&with("")?)),
    ("scale", || scale::compare(&with("--runs 2")?)),
    ("ring", || transcript("ring", "Rings between cores and processes", "ring bench --runs 2")),
    ("batching", || batching::compare(&with("--runs 1 --ms 300")?)),
    ("storm", || {
        transcript("storm", "Users who all come at once", "bench storm --users 200 --blips 1")
    }),
];

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let mut report = Report::new();
    print!("{}", report.machine);
    let (began, mut failed) = (Instant::now(), vec![]);
    for (name, make) in BENCHES.iter().filter(|(name, _)| name.contains(&arguments.only)) {
        let started = Instant::now();
        println!();
        match make() {
            Ok(section) => report.sections.push(section.named(name)),
            Err(error) if error.to_string() == INTERRUPTED => return Err(error),
            Err(error) => {
                println!("{name} is left out: {error}");
                failed.push(format!("{name}: {error}"));
            }
        }
        println!("({name}: {:.0} s)", started.elapsed().as_secs_f64());
    }
    println!("\nall of it took {:.0} s", began.elapsed().as_secs_f64());
    report.left_out = failed;
    report.write(&arguments.out)?;
    Ok(())
}

/// A bench that says what it finds by itself.
fn transcript(name: &str, title: &str, words: &str) -> Made {
    let mut section = Section::new(name, title, &format!("millrace {words}"));
    let output = Command::new(std::env::current_exe()?).args(words.split(' ')).output()?;
    section.transcript(&String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
    }
    Ok(section)
}
