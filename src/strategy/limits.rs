//! What a strategy may do at the most, by its own rules, before the venue's risk is ever asked.

use std::collections::VecDeque;
use std::fmt;

use crate::order::{NANOS_PER_SEC, UnixNanos};

/// Limits of one strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Shares of one order.
    pub max_order_shares: u32,
    /// Shares held or owed in a symbol, with everything that is open or under way.
    pub max_position: u32,
    /// Orders that are not done.
    pub max_open_orders: usize,
    /// Loss in 1/10000 of the currency unit at which everything is cancelled and nothing more is done.
    pub max_loss: u64,
    /// Enters and Replaces in any second.
    pub orders_per_second: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_order_shares: 1_000,
            max_position: 1_000,
            max_open_orders: 20,
            max_loss: 10_000_000,
            orders_per_second: 100,
        }
    }
}

/// Why a desk does not send an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refused {
    /// The kill switch was thrown.
    #[error("the kill switch was thrown")]
    Killed,
    /// There is no connection, or what was missed has not come yet.
    #[error("not connected")]
    Away,
    /// No shares, or too many for one order.
    #[error("shares of one order")]
    Shares,
    /// The position could become too large.
    #[error("position")]
    Position,
    /// Too many open orders.
    #[error("open orders")]
    OpenOrders,
    /// Too many orders in a second.
    #[error("order rate")]
    Rate,
    /// No such order, or a request for it is under way.
    #[error("no such order, or a request for it is under way")]
    Busy,
}

/// Counts orders of the last second.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate(VecDeque<UnixNanos>);

impl Rate {
    pub fn take(&mut self, now_ns: UnixNanos, most: usize) -> bool {
        while self.0.front().is_some_and(|at| at + NANOS_PER_SEC <= now_ns) {
            self.0.pop_front();
        }
        let fits = self.0.len() < most;
        if fits {
            self.0.push_back(now_ns);
        }
        fits
    }
}

/// Why the kill switch was thrown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Killed {
    /// Somebody wanted it.
    Asked,
    /// The loss reached its limit; in 1/20000 of the currency unit.
    Loss(i128),
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Killed::Asked => write!(f, "somebody asked for it"),
            Killed::Loss(twice) => write!(f, "a loss of {}", super::position::money(-twice)),
        }
    }
}
