//! `millrace bench`

mod all;
mod bare;
mod batching;
mod book;
mod decode;
mod durable;
mod echo;
mod fairness;
mod fix;
mod load;
mod loss;
mod models;
mod orders;
mod parsers;
mod place;
mod plan;
mod recovery;
mod report;
mod route;
mod scale;
mod storm;
mod wire;
mod witness;

use super::Outcome;

/// What an interrupted bench ends with.
const INTERRUPTED: &str = "interrupted";

/// Measure this machine: what an order takes, next to what a bare echo takes.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Wire(wire::Arguments),
    Models(models::Arguments),
    Load(load::Arguments),
    Book(book::Arguments),
    Decode(decode::Arguments),
    Recovery(recovery::Arguments),
    Scale(scale::Arguments),
    All(all::Arguments),
    Loss(loss::Arguments),
    Parsers(parsers::Arguments),
    Storm(storm::Arguments),
    Ring(super::ring::bench::Arguments),
    Fairness(fairness::Arguments),
    Batching(batching::Arguments),
    #[command(hide = true)]
    Client(load::client::Arguments),
}

pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Wire(arguments) => wire::run(arguments),
        What::Models(arguments) => models::run(arguments),
        What::Load(arguments) => load::run(arguments),
        What::Book(arguments) => book::run(arguments),
        What::Decode(arguments) => decode::run(arguments),
        What::Recovery(arguments) => recovery::run(arguments),
        What::Scale(arguments) => scale::run(arguments),
        What::All(arguments) => all::run(arguments),
        What::Loss(arguments) => loss::run(arguments),
        What::Parsers(arguments) => parsers::run(arguments),
        What::Storm(arguments) => storm::run(arguments),
        What::Ring(arguments) => super::ring::bench::run(arguments),
        What::Fairness(arguments) => fairness::run(arguments),
        What::Batching(arguments) => batching::run(arguments),
        What::Client(arguments) => load::client::run(arguments),
    }
}
