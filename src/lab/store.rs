//! Where recordings are: `DIR/events/date=2026-11-22/symbol=AAPL/SESSION-FIRST-LAST-WHOLE.parquet`, and the same
//! under `signals`; `DIR/gaps/date=...` for what is missing.
//!
//! A file has one row group and appears under its name when it is whole. Its name says which messages it begins and
//! ends with, and up to which one nothing of any symbol is still in memory: from there a recorder goes on.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::table::LabError;
use crate::order::{NANOS_PER_SEC, UnixNanos};

/// How a recording is cut into files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Partition {
    /// By date and symbol.
    Symbol,
    /// By date; the symbol is a column. For thousands of symbols that trade little.
    Date,
}

/// Which messages a file holds.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct Span {
    /// The feed's session.
    pub session: String,
    /// First message.
    pub first: u64,
    /// Last message.
    pub last: u64,
    /// Up to here everything of every symbol is in files.
    pub whole: u64,
}

impl Span {
    fn file_name(&self) -> String {
        let Span { session, first, last, whole } = self;
        format!("{session}-{first:012}-{last:012}-{whole:012}.parquet")
    }

    /// Of a file's name.
    pub fn of(name: &str) -> Option<Span> {
        let mut parts = name.strip_suffix(".parquet")?.rsplitn(4, '-');
        let mut number = || parts.next()?.parse().ok();
        let (whole, last, first) = (number()?, number()?, number()?);
        Some(Span { session: parts.next()?.to_owned(), first, last, whole })
    }
}

/// A date in UTC, as 2026-11-22.
pub fn date(unix_ns: UnixNanos) -> String {
    // Days from 0000-03-01, in eras of 400 years.
    let days = (unix_ns / (86_400 * NANOS_PER_SEC)) as i64 + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) =
        (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}

/// A symbol as part of a path, as Hive has it.
pub fn escaped(symbol: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let put =
        |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    symbol.bytes().map(put).collect()
}

/// The symbol that a part of a path stands for.
pub fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (vec![], text.as_bytes());
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => (bytes, rest) = ([bytes, vec![byte]].concat(), &tail[2..]),
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A folder of recordings.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The one at a place.
    pub fn new(dir: &Path) -> Store {
        Store { dir: dir.to_owned() }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Folder of a table's part.
    fn part(&self, table: &str, time_ns: UnixNanos, symbol: Option<&str>) -> PathBuf {
        let dir = self.dir.join(table).join(format!("date={}", date(time_ns)));
        match symbol {
            Some(symbol) => dir.join(format!("symbol={}", escaped(symbol))),
            None => dir,
        }
    }

    /// Writes a file, which is there when it is whole. Returns its bytes.
    pub fn write(
        &self,
        table: &'static str,
        (time_ns, symbol): (UnixNanos, Option<&str>),
        span: &Span,
        batch: &RecordBatch,
        words: &[(&str, String)],
    ) -> Result<u64, LabError> {
        let dir = self.part(table, time_ns, symbol);
        std::fs::create_dir_all(&dir).map_err(LabError::io("make", &dir))?;
        let path = dir.join(span.file_name());
        let open = dir.join(format!(".{}.open", span.file_name()));
        let written = write_file(&open, table, batch, words).and_then(|bytes| {
            std::fs::rename(&open, &path).map_err(LabError::io("name", &path))?;
            Ok(bytes)
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&open);
        }
        written
    }

    /// All whole files of a table with their symbols, by their paths.
    pub fn files(&self, table: &str) -> Result<Vec<Found>, LabError> {
        let mut found = vec![];
        gather(&self.dir.join(table), None, &mut found)?;
        found.retain(|file| !is_open(&file.path));
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Up to which message of a session nothing is missing, and the last one of each symbol. Files that a recorder
    /// that was killed had open are removed.
    pub fn reached(&self, session: &str) -> Result<(u64, HashMap<String, u64>), LabError> {
        for table in ["events", "signals", "gaps"] {
            let mut found = vec![];
            gather(&self.dir.join(table), None, &mut found)?;
            for file in found.iter().filter(|file| is_open(&file.path)) {
                let _ = std::fs::remove_file(&file.path);
            }
        }
        let (mut whole, mut last) = (0, HashMap::new());
        for file in self.files("events")?.into_iter().filter(|file| file.span.session == session) {
            whole = whole.max(file.span.whole);
            let place = last.entry(file.symbol.unwrap_or_default()).or_insert(0);
            *place = (*place).max(file.span.last);
        }
        Ok((whole, last))
    }
}

/// A file of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its symbol, if it is cut by symbols.
    pub symbol: Option<String>,
    /// Which messages it holds.
    pub span: Span,
}

/// A file that a recorder is writing, or was when it died.
fn is_open(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "open")
}

/// A file's name as it is when it is whole.
fn plain(name: &str) -> &str {
    let open = || name.strip_prefix('.')?.strip_suffix(".open");
    open().unwrap_or(name)
}

fn gather(dir: &Path, symbol: Option<&str>, found: &mut Vec<Found>) -> Result<(), LabError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LabError::io("read", dir)(error)),
    };
    for entry in entries {
        let path = entry.map_err(LabError::io("read", dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let own = name.strip_prefix("symbol=").map(unescaped);
            gather(&path, own.as_deref().or(symbol), found)?;
        } else if let Some(span) = Span::of(plain(&name)) {
            found.push(Found { path, symbol: symbol.map(str::to_owned), span });
        }
    }
    Ok(())
}

/// What compresses well by differences.
const ASCENDING: [&str; 7] = ["number", "time", "received", "local", "order", "replaces", "match"];

fn properties(words: &[(&str, String)]) -> WriterProperties {
    let pair = |(key, value): &(&str, String)| KeyValue::new((*key).to_owned(), value.clone());
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("millrace {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("a level")))
        .set_max_row_group_row_count(Some(usize::MAX))
        .set_key_value_metadata(Some(words.iter().map(pair).collect()));
    for name in ASCENDING {
        let column = ColumnPath::from(name);
        builder = builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    builder.build()
}

fn write_file(
    path: &Path,
    table: &str,
    batch: &RecordBatch,
    words: &[(&str, String)],
) -> Result<u64, LabError> {
    let file = File::create(path).map_err(LabError::io("make", path))?;
    let words = [words, &[("millrace.table", format!("{table}.1"))]].concat();
    let failed = LabError::parquet(path);
    let mut writer = ArrowWriter::try_new(&file, batch.schema(), Some(properties(&words)))
        .map_err(LabError::parquet(path))?;
    writer.write(batch).map_err(LabError::parquet(path))?;
    writer.close().map_err(failed)?;
    file.sync_data().map_err(LabError::io("write", path))?;
    Ok(file.metadata().map_err(LabError::io("look at", path))?.len())
}
