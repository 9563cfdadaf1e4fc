//! The command line. Each subcommand is a file.
#![forbid(unsafe_code)]

mod audit;
#[cfg(feature = "lab")]
mod backtest;
mod bench;
mod book;
mod check;
mod connections;
mod demo;
mod doctor;
#[cfg(feature = "lab")]
mod export;
mod hash_password;
mod journal;
mod order;
#[cfg(feature = "lab")]
mod pipeline;
#[cfg(feature = "lab")]
mod record;
#[cfg(feature = "lab")]
mod replay;
mod ring;
mod route;
mod run;
mod signals;
mod source;
mod stats;
mod trade;
mod venue;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A low-latency order gateway: SoupBinTCP/OUCH in, pre-trade risk, price-time matching, a
/// durable journal.
#[derive(Parser)]
#[command(name = "millrace", version, max_term_width = 100)]
#[command(after_help = "\
Examples:
  millrace demo                                 five seconds of trading on loopback, then a recovery
  millrace demo --route                         clients in front, crossing inside, an exchange behind
  millrace run                                  the built-in configuration on 127.0.0.1:7001
  millrace order --user TRADE1 --password secret buy 100 AAPL 190.00
  millrace run --config millrace.toml           your own configuration
  millrace book AAPL                            its displayed book, live, from the feed's ring
  millrace trade maker --symbol AAPL --user TRADE1 --password secret
  millrace doctor --config millrace.toml        what of this machine is not set for it
  millrace bench wire --transport all           what an order takes on this machine, and a raw echo
  millrace journal replay millrace-data         what the journal holds, and how fast it replays")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Run(run::Arguments),
    Bench(bench::Arguments),
    Check(check::Arguments),
    Doctor(doctor::Arguments),
    Journal(journal::Arguments),
    Audit(audit::Arguments),
    Order(order::Arguments),
    Book(book::Arguments),
    #[cfg(feature = "lab")]
    Record(record::Arguments),
    #[cfg(feature = "lab")]
    Replay(replay::Arguments),
    #[cfg(feature = "lab")]
    Backtest(backtest::Arguments),
    Signals(signals::Arguments),
    Trade(trade::Arguments),
    Venue(venue::Arguments),
    Stats(stats::Arguments),
    Connections(connections::Arguments),
    Ring(ring::Arguments),
    HashPassword(hash_password::Arguments),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let command = Arguments::parse().command;
    if !matches!(command, Command::Run(_) | Command::Demo(_) | Command::Venue(_)) {
        crate::runtime::signals::end_on_closed_pipe();
    }
    let done = match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Journal(arguments) => journal::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Order(arguments) => order::run(&arguments),
        Command::Book(arguments) => book::run(&arguments),
        #[cfg(feature = "lab")]
        Command::Record(arguments) => record::run(&arguments),
        #[cfg(feature = "lab")]
        Command::Replay(arguments) => replay::run(&arguments),
        #[cfg(feature = "lab")]
        Command::Backtest(arguments) => backtest::run(&arguments),
        Command::Signals(arguments) => signals::run(&arguments),
        Command::Trade(arguments) => trade::run(&arguments),
        Command::Venue(arguments) => venue::run(&arguments),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Connections(arguments) => connections::run(&arguments),
        Command::Ring(arguments) => ring::run(&arguments),
        Command::HashPassword(arguments) => hash_password::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("millrace: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a subcommand ends with.
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Sends what the helper thread tells to standard error.
fn start_log() {
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).try_init();
}
