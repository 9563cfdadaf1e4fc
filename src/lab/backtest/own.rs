//! What a strategy did when it traded live, from the log of `millrace trade`: left out of what is played again.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use crate::lab::LabError;
use crate::order::{Price, UnixNanos};

/// A line of the log.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Line {
    /// When it was heard of.
    pub time_ns: UnixNanos,
    /// Accepted, Replaced, Executed, Canceled, Rejected, CancelRejected.
    pub what: String,
    /// The order.
    pub id: u32,
    /// The venue's number of it.
    pub reference: u64,
    /// `buy` or `sell`.
    pub side: String,
    /// The order's price as text, or the trade's.
    pub price: String,
    /// Shares open.
    pub open: u32,
    /// Shares traded so far.
    pub filled: u32,
    /// Of a trade: shares.
    #[serde(default)]
    pub shares: u32,
    /// Of a trade: its number.
    #[serde(default)]
    pub match_number: u64,
    /// Of a trade: whether the order rested.
    #[serde(default)]
    pub added: bool,
}

impl Line {
    /// The price, exact.
    pub fn price(&self) -> Option<Price> {
        self.price.parse().ok()
    }
}

/// A live run's orders and the trades that it made by taking.
#[derive(Clone, Debug, Default)]
pub struct OwnOrders {
    references: HashSet<u64>,
    taken: HashSet<u64>,
    /// The log.
    pub lines: Vec<Line>,
}

impl OwnOrders {
    /// Reads a log.
    pub fn read(path: &Path) -> Result<OwnOrders, LabError> {
        let text = std::fs::read_to_string(path).map_err(LabError::io("read", path))?;
        let mut own = OwnOrders::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line: Line = serde_json::from_str(line).map_err(|error| LabError::Format {
                path: path.to_owned(),
                what: format!("line {number} is no line of a log of trading: {error}"),
            })?;
            if line.reference > 0 {
                own.references.insert(line.reference);
            }
            if line.what == "Executed" && !line.added {
                own.taken.insert(line.match_number);
            }
            own.lines.push(line);
        }
        Ok(own)
    }

    /// Whether it is one of its orders.
    #[inline]
    pub fn has_order(&self, reference: u64) -> bool {
        reference != 0 && !self.references.is_empty() && self.references.contains(&reference)
    }

    /// Whether it took in that trade.
    pub fn took(&self, match_number: u64) -> bool {
        self.taken.contains(&match_number)
    }
}
