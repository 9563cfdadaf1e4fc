//! Strategies: what one sees, what it trades at, and the two that come with it.
//!
//! A [`Strategy`] is told of each change of a book and of its own orders, and answers by what it does at its
//! [`Desk`]. It reads no clock and sends nothing, so the same code trades live ([`live`]) and in a back-test.
//! `docs/STRATEGIES.md` writes one from nothing.
#![forbid(unsafe_code)]

mod desk;
mod fix;
mod limits;
mod link;
pub mod live;
mod maker;
mod noise;
mod order;
pub mod ouch;
mod position;
mod taker;
#[cfg(test)]
mod tests;

pub use desk::{Counts, Desk, Fill, Request};
pub use fix::{FixEnd, FixLink};
pub use limits::{Killed, Limits, Refused};
pub use link::{Link, LinkEvent};
pub use maker::Maker;
pub use noise::Noise;
pub use order::{Manner, Order, OrderId, Orders, Report, State};
pub use ouch::OuchLink;
pub use position::{Fees, Position, money};
pub use taker::Taker;

use crate::client::market::Depth;

/// What decides.
pub trait Strategy {
    /// A book changed.
    fn on_book(&mut self, symbol: usize, depth: &Depth, desk: &mut Desk);

    /// An own order changed; `order` is as it is now.
    fn on_order(&mut self, _report: &Report, _order: &Order, _desk: &mut Desk) {}

    /// Time went on: after each turn, whether or not anything happened.
    fn on_time(&mut self, _desk: &mut Desk) {}
}

impl<S: Strategy + ?Sized> Strategy for Box<S> {
    fn on_book(&mut self, symbol: usize, depth: &Depth, desk: &mut Desk) {
        (**self).on_book(symbol, depth, desk);
    }

    fn on_order(&mut self, report: &Report, order: &Order, desk: &mut Desk) {
        (**self).on_order(report, order, desk);
    }

    fn on_time(&mut self, desk: &mut Desk) {
        (**self).on_time(desk);
    }
}
