//! What a displayed book says of the next price: its imbalance by depth, the flow of orders at its best
//! prices, mid, microprice and spread.
//!
//! All of it is kept as the book changes, in integers; what is a fraction is divided when it is asked for, and
//! only then. One change of a [`Ladder`] is one [`Signals::moved`], one event of the book (a Replace changes two
//! levels) one [`Signals::settle`]. On an empty side a signal has no value where it would need one.
#![forbid(unsafe_code)]

mod ladder;
#[cfg(test)]
mod tests;

pub use ladder::{Ladder, Level, Moved, What};

use std::collections::VecDeque;

use crate::order::{Price, UnixNanos};

/// Levels of a side over which shares are summed: the best one, five, ten.
pub const DEPTHS: [usize; 3] = [1, 5, 10];

/// The best level of either side. An empty side has no shares, and a price beyond all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote {
    /// Highest price somebody displays to buy at; 0 if nobody does.
    pub bid: Price,
    /// Shares displayed there.
    pub bid_shares: u64,
    /// Lowest price somebody displays to sell at; the greatest there is if nobody does.
    pub ask: Price,
    /// Shares displayed there.
    pub ask_shares: u64,
}

impl Quote {
    /// Of an empty book.
    pub const EMPTY: Quote =
        Quote { bid: Price(0), bid_shares: 0, ask: Price(u32::MAX), ask_shares: 0 };

    /// Of two sides.
    #[inline]
    pub fn of(bids: &Ladder, asks: &Ladder) -> Quote {
        let (bid, bid_shares) = bids.best().map_or((Price(0), 0), |(p, l)| (p, l.shares));
        let (ask, ask_shares) = asks.best().map_or((Price(u32::MAX), 0), |(p, l)| (p, l.shares));
        Quote { bid, bid_shares, ask, ask_shares }
    }

    /// Whether both sides have somebody.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.bid_shares > 0 && self.ask_shares > 0
    }

    /// What this quote adds to the order flow after the one before it, in shares: e_n of Cont, Kukanov and
    /// Stoikov, "The price impact of order book events" (2014), section 2.1.
    #[inline]
    pub fn flow_since(&self, before: &Quote) -> i64 {
        let when = |yes: bool, shares: u64| if yes { shares as i64 } else { 0 };
        when(self.bid >= before.bid, self.bid_shares)
            - when(self.bid <= before.bid, before.bid_shares)
            - when(self.ask <= before.ask, self.ask_shares)
            + when(self.ask >= before.ask, before.ask_shares)
    }
}

/// The signals of one symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signals {
    quote: Quote,
    /// Shares of the best levels, by [`DEPTHS`].
    bids: [u64; DEPTHS.len()],
    asks: [u64; DEPTHS.len()],
    flow: i64,
    events: u64,
}

impl Default for Signals {
    fn default() -> Signals {
        let none = [0; DEPTHS.len()];
        Signals { quote: Quote::EMPTY, bids: none, asks: none, flow: 0, events: 0 }
    }
}

impl Signals {
    /// Of a book as it stands, without a history.
    pub fn of(bids: &Ladder, asks: &Ladder) -> Signals {
        let sum = |side: &Ladder, depth| side.iter().take(depth).map(|(_, l)| l.shares).sum();
        Signals {
            quote: Quote::of(bids, asks),
            bids: DEPTHS.map(|depth| sum(bids, depth)),
            asks: DEPTHS.map(|depth| sum(asks, depth)),
            flow: 0,
            events: 0,
        }
    }

    /// Counts events and flow on from where others were: of a book that was put together anew, whose first quote
    /// is no flow.
    pub fn going_on_from(self, before: &Signals) -> Signals {
        Signals { flow: before.flow, events: before.events, ..self }
    }

    /// Takes in that a level of a side, as it is now, has moved.
    #[inline]
    pub fn moved(&mut self, buys: bool, side: &Ladder, moved: Moved) {
        let sums = if buys { &mut self.bids } else { &mut self.asks };
        for (sum, depth) in sums.iter_mut().zip(DEPTHS) {
            if moved.rank >= depth {
                continue;
            }
            // What came or went at the end of the levels that are summed, because one was put in or taken out.
            let edge = match moved.what {
                What::Changed => 0,
                What::Put => -side.shares_at_rank(depth),
                What::Taken => side.shares_at_rank(depth - 1),
            };
            *sum = sum.wrapping_add_signed(moved.shares + edge);
        }
    }

    /// An event of the book is over, of which everything was taken in.
    #[inline]
    pub fn settle(&mut self, bids: &Ladder, asks: &Ladder) {
        let quote = Quote::of(bids, asks);
        self.flow += quote.flow_since(&self.quote);
        self.quote = quote;
        self.events += 1;
    }

    /// The best prices.
    #[inline]
    pub fn quote(&self) -> &Quote {
        &self.quote
    }

    /// Events of the book so far.
    #[inline]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Order flow imbalance since the beginning, in shares: over an interval it is the difference. Each event
    /// adds [`Quote::flow_since`].
    #[inline]
    pub fn flow(&self) -> i64 {
        self.flow
    }

    /// Shares displayed on the best `DEPTHS[depth]` levels: to buy, to sell.
    #[inline]
    pub fn shares(&self, depth: usize) -> (u64, u64) {
        (self.bids[depth], self.asks[depth])
    }

    /// Order book imbalance over `DEPTHS[depth]` levels: (bids - asks) / (bids + asks), from -1 to 1.
    #[inline]
    pub fn imbalance(&self, depth: usize) -> Option<f64> {
        let (bids, asks) = self.shares(depth);
        let all = bids + asks;
        (all > 0).then(|| (bids as i64 - asks as i64) as f64 / all as f64)
    }

    /// Best prices' sum, which is twice their mean: exact in 1/20000 of the currency unit.
    #[inline]
    pub fn twice_mid(&self) -> Option<u64> {
        let Quote { bid, ask, .. } = self.quote;
        self.quote.is_whole().then(|| u64::from(bid.0) + u64::from(ask.0))
    }

    /// Best ask less best bid, in 1/10000.
    #[inline]
    pub fn spread(&self) -> Option<u32> {
        self.quote.is_whole().then(|| self.quote.ask.0.saturating_sub(self.quote.bid.0))
    }

    /// The best prices, each weighed by the shares of the other: numerator and denominator, in 1/10000.
    #[inline]
    pub fn microprice_ratio(&self) -> Option<(u128, u64)> {
        let Quote { bid, bid_shares, ask, ask_shares } = self.quote;
        let weighed = |price: Price, shares: u64| u128::from(price.0) * u128::from(shares);
        let whole = weighed(bid, ask_shares) + weighed(ask, bid_shares);
        self.quote.is_whole().then_some((whole, bid_shares + ask_shares))
    }

    /// The microprice in 1/10000 of the currency unit.
    #[inline]
    pub fn microprice(&self) -> Option<f64> {
        self.microprice_ratio().map(|(whole, part)| whole as f64 / part as f64)
    }
}

/// Order flow over the time just passed.
#[derive(Clone, Debug)]
pub struct FlowWindow {
    span_ns: u64,
    events: VecDeque<(UnixNanos, i64)>,
    /// Total flow at the last event taken in.
    total: i64,
    sum: i64,
}

/// Events that a window keeps: of more the oldest leave early.
const WINDOW_EVENTS_MAX: usize = 1 << 16;

impl FlowWindow {
    /// Of so many nanoseconds.
    pub fn new(span_ns: u64) -> FlowWindow {
        let events = VecDeque::with_capacity(WINDOW_EVENTS_MAX);
        FlowWindow { span_ns, events, total: 0, sum: 0 }
    }

    /// Takes in the signals as they are at a time. Returns the flow within the window, in shares.
    #[inline]
    pub fn at(&mut self, now_ns: UnixNanos, signals: &Signals) -> i64 {
        let flow = signals.flow() - self.total;
        if flow != 0 {
            self.total = signals.flow();
            if self.events.len() == WINDOW_EVENTS_MAX {
                self.leave();
            }
            self.events.push_back((now_ns, flow));
            self.sum += flow;
        }
        while self.events.front().is_some_and(|(at, _)| at + self.span_ns <= now_ns) {
            self.leave();
        }
        self.sum
    }

    fn leave(&mut self) {
        if let Some((_, flow)) = self.events.pop_front() {
            self.sum -= flow;
        }
    }
}
