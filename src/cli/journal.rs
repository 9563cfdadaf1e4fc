//! `millrace journal`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Outcome;
use crate::config::Config;
use crate::journal::read_all;
use crate::order::{Command, CommandKind, Reject};
use crate::segment::recover;
use crate::wire::Protocol;
use crate::wire::fix::SOH;

/// Look into a journal. The gateway that writes it should be stopped.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Check every record, and say where the journal ends.
    Verify(Dir),
    /// Print every record, a line each.
    Dump(Dir),
    /// Replay every record through risk and book; print how many, how fast, and the state hash.
    Replay(Dir),
    /// Write the market data that it stands for, as a recorder would have, or as other back-testers read it.
    #[cfg(feature = "lab")]
    Export(super::export::Arguments),
}

#[derive(clap::Args)]
struct Dir {
    /// The data directory of a gateway, or the journal directory in it.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The configuration it ran with, if it raised `max_orders`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Verify(dir) => verify(&journal_in(&dir.dir)),
        What::Dump(dir) => dump(&journal_in(&dir.dir)),
        What::Replay(dir) => replay(dir),
        #[cfg(feature = "lab")]
        What::Export(arguments) => super::export::run(arguments),
    }
}

pub(super) fn journal_in(dir: &Path) -> PathBuf {
    let inner = dir.join("journal");
    if inner.is_dir() { inner } else { dir.to_owned() }
}

fn verify(dir: &Path) -> Outcome {
    let reader = read_all(dir, |_| ())?;
    if reader.header().is_none() {
        return Err(format!("{} holds no journal", dir.display()).into());
    }
    let tail = reader.tail();
    println!("{} records, all whole; the last is in segment {}", tail.last_seq, tail.segment);
    if tail.torn {
        println!(
            "behind it stands part of a write that never reached the disk; the next start drops it"
        );
    }
    Ok(())
}

fn dump(dir: &Path) -> Outcome {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut failed = None;
    read_all(dir, |command| {
        if failed.is_none() {
            failed = print(&mut out, command).err();
        }
    })?;
    out.flush()?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn print(out: &mut impl Write, c: &Command) -> std::io::Result<()> {
    write!(out, "{} {} {:?} user={}", c.seq, c.time_ns, c.kind, c.user)?;
    match c.kind {
        CommandKind::Enter | CommandKind::Replace => {
            write!(
                out,
                " ref={} symbol={} {:?} {} at {} {:?} slot={}",
                c.user_ref, c.symbol, c.side, c.qty, c.price, c.tif, c.slot.0 as i32
            )?;
            if c.kind == CommandKind::Replace {
                write!(out, " replaces={}", c.orig_user_ref)?;
            }
        }
        CommandKind::Cancel | CommandKind::Modify => {
            write!(out, " ref={} to={} {:?}", c.user_ref, c.qty, c.reason)?;
        }
        CommandKind::DefineUser => {
            let protocol = Protocol::of_code(c.text[12]).map_or("?", Protocol::name);
            let (name, firm) = (text_of(&c.text[..6]), text_of(&c.text[8..12]));
            write!(out, " name={name} firm={firm} speaks={protocol}")?;
        }
        CommandKind::DefineSymbol => {
            let name = text_of(&c.text[..8]);
            write!(out, " name={name} symbol={} tick={}", c.symbol, c.price)?;
        }
        _ => write!(out, " ref={}", c.user_ref)?,
    }
    use CommandKind::{DefineNumbers, DefineSymbol, DefineUser};
    // A key is for nobody to see.
    let definition = matches!(c.kind, DefineUser | DefineSymbol | DefineNumbers);
    let text = text_of(&c.text);
    if !definition && !text.is_empty() {
        write!(out, " text=\"{text}\"")?;
    }
    if c.number_in > 0 {
        write!(out, " next_in={}", c.number_in)?;
    }
    if c.verdict != Reject::None {
        write!(out, " rejected: {:?}", c.verdict)?;
    }
    writeln!(out)
}

/// Printable; a bar stands for FIX's field ends.
fn text_of(bytes: &[u8]) -> String {
    let used = bytes.iter().rposition(|b| *b != 0 && *b != b' ').map_or(0, |at| at + 1);
    let bytes: Vec<u8> = bytes[..used].iter().map(|b| if *b == SOH { b'|' } else { *b }).collect();
    bytes.escape_ascii().to_string()
}

fn replay(arguments: &Dir) -> Outcome {
    let config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None => Config::built_in(),
    };
    let dir = journal_in(&arguments.dir);
    let started = Instant::now();
    let recovered = recover(&dir, &config)?;
    let elapsed = started.elapsed();
    let commands = recovered.risk.last_seq().0;
    let rate = commands as f64 / elapsed.as_secs_f64();
    println!("commands    {commands}");
    println!("open orders {}", recovered.book.open_orders());
    println!("time        {:.3} s", elapsed.as_secs_f64());
    println!("rate        {rate:.0} commands/s");
    println!("state hash  {}", recovered.state_hash());
    Ok(())
}
