//! `millrace bench`

mod echo;
mod fix;
mod orders;
mod parsers;
mod place;
mod plan;
mod storm;
mod wire;

use super::Outcome;

/// Measure this machine: what an order takes, next to what a bare echo takes.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Wire(wire::Arguments),
    Parsers(parsers::Arguments),
    Storm(storm::Arguments),
}

pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Wire(arguments) => wire::run(arguments),
        What::Parsers(arguments) => parsers::run(arguments),
        What::Storm(arguments) => storm::run(arguments),
    }
}
