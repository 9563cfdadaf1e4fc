//! Recording what a market does, playing it again, and testing strategies on it.
//!
//! A [`Row`] is one event of the book as it is kept. [`Rows`] makes rows of the feed's messages; [`Recorder`] leaves
//! them in Parquet files, [`export`] makes the same ones from a journal, and [`read`] has them again. `replay` plays
//! recordings, journals, captures and the exchange's own files; `backtest` has a strategy trade in one.
#![forbid(unsafe_code)]

pub mod backtest;
pub mod export;
pub mod hftbacktest;
pub mod read;
mod recorder;
pub mod replay;
mod row;
pub mod store;
mod table;

pub use recorder::{Recorder, Setup, Stats};
pub use row::{ClockWatch, Kind, Row, Rows, SignalRow};
pub use store::{Partition, Store};
pub use table::{LabError, events_schema};
