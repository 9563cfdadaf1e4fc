//! A file of symbols: comma-separated, with a heading that names the keys of a `[[symbol]]`.

use std::collections::HashSet;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use toml::Spanned;

use super::types::Symbol;
use super::{ConfigError, check};
use crate::order::{Price, SYMBOLS_MAX};

/// Every column there can be; those with a `!` have to be there.
const COLUMNS: &str = "name!, reference_price!, tick, book";

/// Where each key stands in a line.
struct Columns {
    name: usize,
    reference_price: usize,
    tick: Option<usize>,
    book: Option<usize>,
}

impl Columns {
    fn of(heading: &StringRecord) -> Result<Columns, String> {
        let known = ["name", "reference_price", "tick", "book"];
        if let Some(other) = heading.iter().find(|column| !known.contains(column)) {
            return Err(format!(
                "the first line names the columns, and \"{other}\" is none; there are {COLUMNS} (! \
                 has to be there)"
            ));
        }
        let find = |key: &str| heading.iter().position(|column| column == key);
        let need = |key: &str| {
            find(key).ok_or_else(|| format!("the column \"{key}\" is missing; there are {COLUMNS}"))
        };
        let (name, reference_price) = (need("name")?, need("reference_price")?);
        Ok(Columns { name, reference_price, tick: find("tick"), book: find("book") })
    }

    fn symbol(&self, line: &StringRecord) -> Result<Symbol, String> {
        let price = |key: &str, at: usize| {
            let text = &line[at];
            let price: Price = text.parse().map_err(|e| format!("{key} \"{text}\": {e}"))?;
            if price.0 == 0 {
                return Err(format!("{key} \"{text}\": a price is above 0"));
            }
            Ok(price)
        };
        let tick = self.tick.filter(|at| !line[*at].is_empty());
        let book = self.book.map(|at| &line[at]).filter(|text| !text.is_empty());
        let number = |text: &str| {
            text.parse().map_err(|_| format!("book \"{text}\": a book is a number from 0 on"))
        };
        Ok(Symbol {
            name: Spanned::new(0..0, line[self.name].to_owned()),
            tick: tick.map_or(Ok(Symbol::TICK), |at| price("tick", at))?,
            reference_price: price("reference_price", self.reference_price)?,
            book: book.map(number).transpose()?,
        })
    }
}

/// Reads the symbols of a file, which are not among those `before`.
pub(super) fn read(path: &Path, before: &[Symbol]) -> Result<Vec<Symbol>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let name = path.display().to_string();
    let wrong = |line: usize, what: String| ConfigError::Wrong { name: name.clone(), line, what };

    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes());
    let heading = reader.headers().map_err(|error| wrong(1, error.to_string()))?;
    let columns = Columns::of(heading).map_err(|what| wrong(1, what))?;
    let mut seen: HashSet<String> =
        before.iter().map(|symbol| symbol.name.get_ref().to_ascii_uppercase()).collect();
    let mut symbols = vec![];
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, |position| position.line());
            let what = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("{len} values for {expected_len} columns")
                }
                _ => error.to_string(),
            };
            wrong(line as usize, what)
        })?;
        let line = record.position().map_or(0, |position| position.line()) as usize;
        let symbol = columns.symbol(&record).map_err(|what| wrong(line, what))?;
        check::symbol(&symbol, &mut seen).map_err(|what| wrong(line, what))?;
        if before.len() + symbols.len() == usize::from(SYMBOLS_MAX) {
            return Err(wrong(line, format!("there are more than {SYMBOLS_MAX} symbols")));
        }
        symbols.push(symbol);
    }
    Ok(symbols)
}
