//! `millrace stats`

use std::path::PathBuf;

use super::Outcome;

/// Print the counters of a running gateway, from outside it.
#[derive(clap::Args)]
pub struct Arguments {
    /// The gateway's data directory.
    #[arg(value_name = "DIR", default_value = "millrace-data")]
    dir: PathBuf,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.dir.join("counters");
    let counters = crate::runtime::counters::read_file(&path)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    for (name, value) in counters {
        println!("{name:<36}{value:>16}");
    }
    Ok(())
}
