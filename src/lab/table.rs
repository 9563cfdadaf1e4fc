//! Rows as Arrow tables: the columns of a recording, and what goes wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::Int8Builder;
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int8Array, Int64Array,
    RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use parquet::errors::ParquetError;

use super::row::{Kind, Row, SignalRow};

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The file system.
    #[error("cannot {what} {}: {error}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not a Parquet file, or one that was cut off.
    #[error("{}: {error}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ParquetError,
    },
    /// Arrow's own.
    #[error("{0}")]
    Arrow(#[from] ArrowError),
    /// A Parquet file that is no recording of millrace's.
    #[error("{} is no recording: {what}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Which column, and what it should be.
        what: String,
    },
    /// A file of another kind that is not as its format wants it.
    #[error("{}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What, and where.
        what: String,
    },
    /// The journal.
    #[error("{0}")]
    Journal(#[from] crate::journal::JournalError),
}

impl LabError {
    /// Says what was tried with a file.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LabError {
        let path = path.to_owned();
        move |error| LabError::Io { what, path, error }
    }

    /// Says which file the error is about.
    pub fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> LabError {
        let path = path.to_owned();
        move |error| LabError::Parquet { path, error }
    }
}

/// Digits of a price, and those behind the point.
pub const PRICE_DIGITS: (u8, i8) = (10, 4);

fn word() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

fn price() -> DataType {
    DataType::Decimal128(PRICE_DIGITS.0, PRICE_DIGITS.1)
}

/// Columns of recorded events. With `symbol` the symbol is one of them; else the folder says it.
pub fn events_schema(symbol: bool) -> Schema {
    let mut fields = vec![
        Field::new("number", DataType::UInt64, false),
        Field::new("time", time(), false),
        Field::new("received", time(), true),
        Field::new("local", time(), true),
        Field::new("clock_offset_ns", DataType::Int64, true),
        Field::new("kind", word(), false),
        Field::new("side", word(), true),
        Field::new("order", DataType::UInt64, false),
        Field::new("replaces", DataType::UInt64, false),
        Field::new("price", price(), true),
        Field::new("shares", DataType::UInt32, false),
        Field::new("match", DataType::UInt64, false),
    ];
    if symbol {
        fields.push(Field::new("symbol", DataType::Utf8, false));
    }
    Schema::new(fields)
}

/// Columns of recorded signals.
pub fn signals_schema(symbol: bool) -> Schema {
    let mut fields = vec![
        Field::new("number", DataType::UInt64, false),
        Field::new("time", time(), false),
        Field::new("bid", price(), true),
        Field::new("bid_shares", DataType::UInt64, false),
        Field::new("ask", price(), true),
        Field::new("ask_shares", DataType::UInt64, false),
        Field::new("mid", DataType::Decimal128(11, 5), true),
        Field::new("spread", price(), true),
        Field::new("microprice", DataType::Float64, true),
        Field::new("imbalance_1", DataType::Float64, true),
        Field::new("imbalance_5", DataType::Float64, true),
        Field::new("imbalance_10", DataType::Float64, true),
        Field::new("flow", DataType::Int64, false),
    ];
    if symbol {
        fields.push(Field::new("symbol", DataType::Utf8, false));
    }
    Schema::new(fields)
}

/// Columns of what is known to be missing.
pub fn gaps_schema() -> Schema {
    Schema::new(vec![
        Field::new("session", DataType::Utf8, false),
        Field::new("first", DataType::UInt64, false),
        Field::new("count", DataType::UInt64, false),
        Field::new("noticed", time(), false),
    ])
}

fn utc(times: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(times.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

fn numbers(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.collect::<UInt64Array>())
}

fn decimals(
    values: impl Iterator<Item = Option<i128>>,
    (precision, scale): (u8, i8),
) -> Result<ArrayRef, ArrowError> {
    let values = values.collect::<Decimal128Array>();
    Ok(Arc::new(values.with_precision_and_scale(precision, scale)?))
}

fn words(
    keys: impl Iterator<Item = Option<i8>>,
    values: Vec<&'static str>,
) -> Result<ArrayRef, ArrowError> {
    let mut builder = Int8Builder::new();
    keys.for_each(|key| builder.append_option(key));
    let keys: Int8Array = builder.finish();
    let values = Arc::new(StringArray::from(values));
    Ok(Arc::new(DictionaryArray::<Int8Type>::try_new(keys, values)?))
}

fn some(value: u64) -> Option<u64> {
    (value > 0).then_some(value)
}

/// A table of events; `names` are theirs, where the symbol is a column.
pub fn events(rows: &[Row], names: Option<Vec<&str>>) -> Result<RecordBatch, ArrowError> {
    let of = |value: fn(&Row) -> Option<u64>| numbers(rows.iter().map(value));
    let live = |row: &Row| row.local_ns > 0;
    let mut columns: Vec<ArrayRef> = vec![
        of(|row| Some(row.number)),
        utc(rows.iter().map(|row| Some(row.time_ns as i64))),
        utc(rows.iter().map(|row| some(row.received_ns).map(|ns| ns as i64))),
        utc(rows.iter().map(|row| some(row.local_ns).map(|ns| ns as i64))),
        Arc::new(rows.iter().map(|row| live(row).then_some(row.offset_ns)).collect::<Int64Array>()),
        words(rows.iter().map(|row| Some(row.kind as i8)), Kind::ALL.map(Kind::name).to_vec())?,
        words(rows.iter().map(|row| row.buys.map(i8::from)), vec!["sell", "buy"])?,
        of(|row| Some(row.order)),
        of(|row| Some(row.replaces)),
        decimals(
            rows.iter().map(|row| (row.price.0 > 0).then_some(i128::from(row.price.0))),
            PRICE_DIGITS,
        )?,
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.shares))),
        of(|row| Some(row.match_number)),
    ];
    let schema = events_schema(names.is_some());
    if let Some(names) = names {
        columns.push(Arc::new(StringArray::from(names)));
    }
    RecordBatch::try_new(Arc::new(schema), columns)
}

/// A table of signals.
pub fn signals(rows: &[SignalRow], names: Option<Vec<&str>>) -> Result<RecordBatch, ArrowError> {
    let price =
        |shares: u64, price: crate::order::Price| (shares > 0).then_some(i128::from(price.0));
    let quotes = || rows.iter().map(|row| row.signals.quote());
    let float = |value: fn(&SignalRow) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Float64Array>())
    };
    let mut columns: Vec<ArrayRef> = vec![
        numbers(rows.iter().map(|row| Some(row.number))),
        utc(rows.iter().map(|row| Some(row.time_ns as i64))),
        decimals(quotes().map(|q| price(q.bid_shares, q.bid)), PRICE_DIGITS)?,
        numbers(quotes().map(|q| Some(q.bid_shares))),
        decimals(quotes().map(|q| price(q.ask_shares, q.ask)), PRICE_DIGITS)?,
        numbers(quotes().map(|q| Some(q.ask_shares))),
        // Half of a ten-thousandth has five decimals.
        decimals(rows.iter().map(|r| r.signals.twice_mid().map(|m| i128::from(m) * 5)), (11, 5))?,
        decimals(rows.iter().map(|r| r.signals.spread().map(i128::from)), PRICE_DIGITS)?,
        float(|row| row.signals.microprice().map(|price| price / 10_000.0)),
        float(|row| row.signals.imbalance(0)),
        float(|row| row.signals.imbalance(1)),
        float(|row| row.signals.imbalance(2)),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.signals.flow()))),
    ];
    let schema = signals_schema(names.is_some());
    if let Some(names) = names {
        columns.push(Arc::new(StringArray::from(names)));
    }
    RecordBatch::try_new(Arc::new(schema), columns)
}

/// A table of gaps: session, first, how many, when that was noticed.
pub fn gaps(rows: &[(String, u64, u64, u64)]) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0))),
        numbers(rows.iter().map(|row| Some(row.1))),
        numbers(rows.iter().map(|row| Some(row.2))),
        utc(rows.iter().map(|row| Some(row.3 as i64))),
    ];
    RecordBatch::try_new(Arc::new(gaps_schema()), columns)
}

/// Rows of a table of events, without their symbols.
pub fn rows(batch: &RecordBatch, path: &Path) -> Result<Vec<Row>, LabError> {
    let column = |name: &str| batch.column_by_name(name).map(|column| column.as_any());
    let no = |name: &str| LabError::Schema {
        path: path.to_owned(),
        what: format!("its column {name} is not what one of events has"),
    };
    macro_rules! of {
        ($name:literal, $kind:ty) => {
            column($name).and_then(|c| c.downcast_ref::<$kind>()).ok_or_else(|| no($name))?
        };
    }
    let number = of!("number", UInt64Array);
    let time = of!("time", TimestampNanosecondArray);
    let received = of!("received", TimestampNanosecondArray);
    let local = of!("local", TimestampNanosecondArray);
    let offset = of!("clock_offset_ns", Int64Array);
    let kind = of!("kind", DictionaryArray<Int8Type>);
    let side = of!("side", DictionaryArray<Int8Type>);
    let order = of!("order", UInt64Array);
    let replaces = of!("replaces", UInt64Array);
    let price = of!("price", Decimal128Array);
    let shares = of!("shares", UInt32Array);
    let matched = of!("match", UInt64Array);
    // A dictionary's words may stand in any order.
    let text = |array: &DictionaryArray<Int8Type>, name: &str| -> Result<Vec<String>, LabError> {
        let values =
            array.values().as_any().downcast_ref::<StringArray>().ok_or_else(|| no(name))?;
        Ok(values.iter().map(|value| value.unwrap_or_default().to_owned()).collect())
    };
    let kinds: Vec<Option<Kind>> = text(kind, "kind")?
        .iter()
        .map(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name))
        .collect();
    let sides: Vec<bool> = text(side, "side")?.iter().map(|name| name == "buy").collect();
    let moment = |array: &TimestampNanosecondArray, at: usize| {
        if array.is_null(at) { 0 } else { array.value(at).max(0) as u64 }
    };
    (0..batch.num_rows())
        .map(|at| {
            let key = kind.keys().value(at);
            let kind = usize::try_from(key).ok().and_then(|key| kinds.get(key).copied().flatten());
            Ok(Row {
                number: number.value(at),
                time_ns: moment(time, at),
                received_ns: moment(received, at),
                local_ns: moment(local, at),
                offset_ns: if offset.is_null(at) { 0 } else { offset.value(at) },
                order: order.value(at),
                replaces: replaces.value(at),
                match_number: matched.value(at),
                price: crate::order::Price(if price.is_null(at) {
                    0
                } else {
                    price.value(at) as u32
                }),
                shares: shares.value(at),
                locate: 0,
                kind: kind.ok_or_else(|| no("kind"))?,
                buys: (!side.keys().is_null(at))
                    .then(|| sides.get(side.keys().value(at) as usize).copied())
                    .flatten(),
            })
        })
        .collect()
}
