//! `millrace journal export`

use std::path::PathBuf;

use super::Outcome;
use super::journal::journal_in;
use super::record::FileArguments;
use crate::config::Config;
use crate::journal::header;
use crate::lab::replay::MarketSource;
use crate::lab::{Recorder, export, hftbacktest};
use crate::segment::book_capacity;

#[derive(clap::Args)]
pub struct Arguments {
    /// The data directory of a gateway, or the journal directory in it.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// A folder for the same Parquet files that a recorder makes.
    #[arg(long, value_name = "DIR", required_unless_present = "format")]
    parquet: Option<PathBuf>,
    /// Another format, into the file that `--out` names.
    #[arg(long, value_enum, requires_all = ["out", "symbol"])]
    format: Option<Format>,
    /// The file of another format.
    #[arg(long, value_name = "FILE", requires = "format")]
    out: Option<PathBuf>,
    /// The symbol for another format.
    #[arg(long)]
    symbol: Option<String>,
    /// hftbacktest: from the book to who looks, as recorded data would have it: 800ns, 5us, 1ms.
    #[arg(long, value_name = "TIME", default_value = "10us", value_parser = super::backtest::nanoseconds)]
    feed_latency: u64,
    /// Write the signals after each event beside them.
    #[arg(long)]
    signals: bool,
    #[command(flatten)]
    files: FileArguments,
    /// The configuration it ran with, if it raised `max_orders`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Formats of other back-testers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// A NumPy array (.npy) of one symbol's events, order by order.
    Hftbacktest,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None => Config::built_in(),
    };
    let dir = journal_in(&arguments.dir);
    if let (Some(Format::Hftbacktest), Some(out), Some(symbol)) =
        (arguments.format, &arguments.out, &arguments.symbol)
    {
        let source = MarketSource::Journal(dir.clone(), book_capacity(&config));
        let events = hftbacktest::write(&source, symbol, arguments.feed_latency, out)?;
        println!("{events} events of {symbol} in {}", out.display());
    }
    let Some(parquet) = &arguments.parquet else { return Ok(()) };
    let header = header(&dir)?.ok_or_else(|| format!("{} holds no journal", dir.display()))?;
    let session = String::from_utf8_lossy(&header.session).trim().to_owned();
    let setup = arguments.files.setup(parquet, arguments.signals, false);
    let mut recorder = Recorder::new(setup, &session)?;
    let messages = export::record(&dir, book_capacity(&config), &mut recorder)?;
    let stats = recorder.finish()?;
    println!(
        "{messages} messages of the feed: {} rows in {} files, {:.1} MB",
        stats.written,
        stats.files,
        stats.bytes as f64 / 1e6
    );
    Ok(())
}
