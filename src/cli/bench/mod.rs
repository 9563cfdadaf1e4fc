//! `millrace bench`

mod echo;
mod fairness;
mod fix;
mod loss;
mod orders;
mod parsers;
mod picture;
mod place;
mod plan;
mod storm;
mod wire;
mod witness;

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
    Loss(loss::Arguments),
    Parsers(parsers::Arguments),
    Storm(storm::Arguments),
    Fairness(fairness::Arguments),
}

pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Wire(arguments) => wire::run(arguments),
        What::Loss(arguments) => loss::run(arguments),
        What::Parsers(arguments) => parsers::run(arguments),
        What::Storm(arguments) => storm::run(arguments),
        What::Fairness(arguments) => fairness::run(arguments),
    }
}
