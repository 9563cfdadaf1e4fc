//! Other books on the same commands: `benches/books`, a program of its own.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command as Process;

use serde::Deserialize;
use serde_json::json;

use super::super::super::Outcome;
use super::super::report::{Section, Table, median};
use super::mix::Mix;
use crate::order::{Command, CommandKind, TimeInForce};

const MANIFEST: &str = "benches/books/Cargo.toml";

/// What one book did.
#[derive(Deserialize)]
pub struct Found {
    name: String,
    /// Nanoseconds of a command, by run.
    ns: Vec<f64>,
    commands: u64,
    trades: u64,
    shares: u64,
}

/// Writes the commands as the other program reads them (`benches/books/src/flow.rs`).
fn write(commands: &[Command], path: &Path) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(commands.len() * 24);
    // An order's own number, and what a move or a cancel has to know of it.
    let mut ids: HashMap<(u16, u32), (u32, bool, u16)> = HashMap::new();
    for (id, command) in (1u32..).zip(commands) {
        let own = (command.user.0, command.user_ref.0);
        let (kind, old, buys, symbol) = match command.kind {
            CommandKind::Enter => {
                let kind = if command.tif == TimeInForce::Ioc { b'I' } else { b'E' };
                (kind, 0, command.side.is_buy(), command.symbol.0)
            }
            CommandKind::Replace => {
                let known = ids.remove(&(command.user.0, command.orig_user_ref.0));
                let Some((old, buys, symbol)) = known else { continue };
                (b'M', old, buys, symbol)
            }
            _ => {
                let Some((old, buys, symbol)) = ids.remove(&own) else { continue };
                (b'C', old, buys, symbol)
            }
        };
        let id = if kind == b'C' { old } else { id };
        if kind != b'C' {
            ids.insert(own, (id, buys, symbol));
        }
        bytes.extend([kind, u8::from(buys)]);
        bytes.extend(symbol.to_le_bytes());
        for word in [id, old, command.qty, command.price.0, 0] {
            bytes.extend(word.to_le_bytes());
        }
    }
    std::fs::write(path, bytes)
}

/// Builds the program if it has to be, and has it run the commands.
pub fn run(mix: &Mix, commands: &[Command], runs: u32) -> Result<Vec<Found>, String> {
    if !Path::new(MANIFEST).is_file() {
        return Err("benches/books is not here: run it in millrace's source tree".to_owned());
    }
    let said = |error: std::io::Error| error.to_string();
    let build = ["build", "--release", "--quiet", "--manifest-path", MANIFEST];
    let built =
        Process::new("cargo").args(build).status().map_err(|error| format!("cargo: {error}"))?;
    if !built.success() {
        return Err("benches/books does not build".to_owned());
    }
    let path = std::env::temp_dir().join(format!("millrace-flow-{}", std::process::id()));
    write(commands, &path).map_err(said)?;
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or("benches/books/target".to_owned());
    let output = Process::new(Path::new(&target).join("release/book-peers"))
        .arg(&path)
        .args([mix.live.to_string(), runs.to_string()])
        .output();
    let _ = std::fs::remove_file(&path);
    let output = output.map_err(said)?;
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let found: Result<Vec<Found>, _> = lines.map(serde_json::from_slice).collect();
    found.map_err(|error| format!("benches/books: {error}"))
}

/// Says what they did; books that came to the end must have traded the same.
pub fn tell(section: &mut Section, mix: &Mix, found: &[Found]) -> Outcome {
    let Some(own) = found.first() else { return Err("benches/books said nothing".into()) };
    let name = format!("books alone, {} symbols, {} live orders", mix.symbols, mix.live);
    let mut table = Table::new(&[&name, "M commands/s", "ns", "of millrace's time", "trades"]);
    for book in found {
        let ns = median(&book.ns);
        let whole = book.commands == own.commands;
        if whole && (book.trades, book.shares) != (own.trades, own.shares) {
            return Err(format!("{} trades otherwise than millrace's book", book.name).into());
        }
        table.row(vec![
            book.name.clone(),
            format!("{:.2}", 1e3 / ns),
            format!("{ns:.0}"),
            format!("{:.2}", ns / median(&own.ns)),
            if whole { book.trades.to_string() } else { "stopped: too slow".to_owned() },
        ]);
    }
    section.table(table);
    if !found.iter().any(|book| book.name == "liquibook") {
        section.say(
            "liquibook is left out: build with LIQUIBOOK=DIR, a checkout of enewhuis/liquibook",
        );
    }
    let ns = found.iter().map(|book| (book.name.clone(), json!(book.ns)));
    section.keep(&name, ns.collect::<serde_json::Map<_, _>>().into());
    Ok(())
}
