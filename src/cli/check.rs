//! `millrace check`

use std::path::PathBuf;

use super::Outcome;
use crate::config::Config;

/// Check a configuration file without running it.
#[derive(clap::Args)]
pub struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let config = Config::load(&arguments.config)?;
    let segments = match config.segments.len() {
        0 => String::new(),
        count => format!("{count} segments, "),
    };
    let venues = match config.venues.len() {
        0 => String::new(),
        count => format!(", {count} venues"),
    };
    println!(
        "{} is valid: {segments}{} ports, {} users, {} symbols{venues}",
        arguments.config.display(),
        config.together().ports.len(),
        config.users.len(),
        config.symbols.len()
    );
    Ok(())
}
