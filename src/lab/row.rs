//! One event of the book, as it is recorded.

use std::collections::VecDeque;

use crate::client::market::{Astray, Market};
use crate::order::{NANOS_PER_SEC, Price, UnixNanos};
use crate::signals::Signals;
use crate::wire::itch::Message;

const DAY_NS: u64 = 86_400 * NANOS_PER_SEC;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// An order is displayed.
    Add = 0,
    /// Shares of a displayed order traded, at its price.
    Execute = 1,
    /// Shares of a displayed order traded, at another price.
    ExecuteAt = 2,
    /// Shares of a displayed order were cancelled.
    Cancel = 3,
    /// A displayed order is gone.
    Delete = 4,
    /// A displayed order is gone, another stands in its place.
    Replace = 5,
    /// Shares traded against an order that was not displayed.
    Trade = 6,
}

impl Kind {
    /// All of them, by their numbers.
    pub const ALL: [Kind; 7] = [
        Kind::Add,
        Kind::Execute,
        Kind::ExecuteAt,
        Kind::Cancel,
        Kind::Delete,
        Kind::Replace,
        Kind::Trade,
    ];

    /// As it stands in a recording.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Add => "add",
            Kind::Execute => "execute",
            Kind::ExecuteAt => "execute_at",
            Kind::Cancel => "cancel",
            Kind::Delete => "delete",
            Kind::Replace => "replace",
            Kind::Trade => "trade",
        }
    }
}

/// One event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its number in the feed's session.
    pub number: u64,
    /// When the exchange sequenced it, Unix nanoseconds.
    pub time_ns: UnixNanos,
    /// When it reached this host; 0 if nobody looked.
    pub received_ns: UnixNanos,
    /// When it was taken in; 0 if that was not live.
    pub local_ns: UnixNanos,
    /// Least of received less exchange time over the last minute: how far this host's clock is ahead at the most.
    /// Never applied to anything.
    pub offset_ns: i64,
    /// Number of the order (of the new one, where one is replaced); 0 where none was displayed.
    pub order: u64,
    /// Number of the order that was replaced; 0 if none was.
    pub replaces: u64,
    /// The same on both sides of a trade; 0 if none happened.
    pub match_number: u64,
    /// Of the order, or of the trade; 0 where that is not known.
    pub price: Price,
    /// Shares that came, went or traded; all that were left, where an order is gone.
    pub shares: u32,
    /// Number of the symbol in the feed.
    pub locate: u16,
    /// What happened.
    pub kind: Kind,
    /// Whether the order buys; `None` where that is not known.
    pub buys: Option<bool>,
}

/// The signals after an event that changed the book.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SignalRow {
    /// Number of the event.
    pub number: u64,
    /// Its time.
    pub time_ns: UnixNanos,
    /// The symbol.
    pub locate: u16,
    /// What they were.
    pub signals: Signals,
}

/// Makes rows of messages.
pub struct Rows {
    market: Market,
    astray: u64,
}

impl Default for Rows {
    fn default() -> Rows {
        Rows::new()
    }
}

/// The time that is so many nanoseconds after a midnight, the one nearest to another time.
pub fn unix_ns(since_midnight_ns: u64, near_ns: UnixNanos) -> UnixNanos {
    let midnight = near_ns / DAY_NS * DAY_NS;
    let same_day = midnight + since_midnight_ns;
    if same_day > near_ns + DAY_NS / 2 && midnight > 0 {
        same_day - DAY_NS
    } else if same_day + DAY_NS / 2 < near_ns {
        same_day + DAY_NS
    } else {
        same_day
    }
}

impl Rows {
    /// Of a market of which nothing was told.
    pub fn new() -> Rows {
        Rows { market: Market::new(), astray: 0 }
    }

    /// The market as it is after the messages so far.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// Messages that did not follow from those before them.
    pub fn astray(&self) -> u64 {
        self.astray
    }

    /// Messages were missed: orders are known only from here on.
    pub fn missed(&mut self) {
        self.market.forget_orders();
    }

    /// Takes in a message; `near_ns` is some time within hours of it. Returns its row, if it is an event of a book.
    #[inline]
    pub fn message(&mut self, number: u64, near_ns: UnixNanos, bytes: &[u8]) -> Option<Row> {
        let message = Message::parse(bytes).ok()?;
        let head = message.head();
        let mut row = Row {
            number,
            time_ns: unix_ns(head.since_midnight_ns(), near_ns),
            received_ns: 0,
            local_ns: 0,
            offset_ns: 0,
            order: 0,
            replaces: 0,
            match_number: 0,
            price: Price(0),
            shares: 0,
            locate: head.locate.get(),
            kind: Kind::Add,
            buys: None,
        };
        // What the order was before.
        let known = |row: &mut Row, reference: u64| {
            if let Some(order) = self.market.order(reference) {
                (row.price, row.buys) = (order.price, Some(order.buys));
                if row.shares == 0 {
                    row.shares = order.shares;
                }
            }
        };
        match &message {
            Message::AddOrder(m) => {
                (row.order, row.buys) = (m.reference.get(), Some(m.side == b'B'));
                (row.price, row.shares) = (Price(m.price.get()), m.shares.get());
            }
            Message::AddOrderMpid(m) => {
                (row.order, row.buys) = (m.reference.get(), Some(m.side == b'B'));
                (row.price, row.shares) = (Price(m.price.get()), m.shares.get());
            }
            Message::Executed(m) => {
                (row.kind, row.order, row.shares) =
                    (Kind::Execute, m.reference.get(), m.shares.get());
                row.match_number = m.match_number.get();
                known(&mut row, m.reference.get());
            }
            Message::ExecutedWithPrice(m) => {
                (row.kind, row.order, row.shares) =
                    (Kind::ExecuteAt, m.reference.get(), m.shares.get());
                row.match_number = m.match_number.get();
                known(&mut row, m.reference.get());
                row.price = Price(m.price.get());
            }
            Message::Cancel(m) => {
                (row.kind, row.order, row.shares) =
                    (Kind::Cancel, m.reference.get(), m.shares.get());
                known(&mut row, m.reference.get());
            }
            Message::Delete(m) => {
                (row.kind, row.order) = (Kind::Delete, m.reference.get());
                known(&mut row, m.reference.get());
            }
            Message::Replace(m) => {
                (row.kind, row.order, row.replaces) =
                    (Kind::Replace, m.reference.get(), m.original.get());
                row.shares = m.shares.get();
                known(&mut row, m.original.get());
                row.price = Price(m.price.get());
            }
            Message::Trade(m) => {
                (row.kind, row.order) = (Kind::Trade, m.reference.get());
                (row.price, row.shares) = (Price(m.price.get()), m.shares.get());
                row.match_number = m.match_number.get();
            }
            Message::SystemEvent(_)
            | Message::StockDirectory(_)
            | Message::TradingAction(_)
            | Message::BrokenTrade(_) => {
                let _: Result<(), Astray> = self.market.apply(&message);
                return None;
            }
        }
        self.astray += u64::from(self.market.apply(&message).is_err());
        Some(row)
    }
}

/// What received less exchange times say of the two clocks.
#[derive(Clone, Debug, Default)]
pub struct ClockWatch {
    /// Second, and the least difference in it.
    seconds: VecDeque<(u64, i64)>,
    least: Option<i64>,
    /// Records that were there before the exchange had them, and the most that any of them was.
    early: u64,
    earliest_ns: i64,
}

/// Seconds over which the least difference is looked for.
const CLOCK_SECONDS: u64 = 60;

impl ClockWatch {
    /// Takes in a record's two times. Returns the least difference of the last minute.
    #[inline]
    pub fn at(&mut self, exchange_ns: UnixNanos, received_ns: UnixNanos) -> i64 {
        let difference = received_ns.wrapping_sub(exchange_ns) as i64;
        if difference < 0 {
            self.early += 1;
            self.earliest_ns = self.earliest_ns.min(difference);
        }
        let second = received_ns / NANOS_PER_SEC;
        match self.seconds.back_mut() {
            Some((last, least)) if *last == second => *least = (*least).min(difference),
            _ => {
                self.seconds.push_back((second, difference));
                while self.seconds.front().is_some_and(|(s, _)| s + CLOCK_SECONDS <= second) {
                    self.seconds.pop_front();
                }
                self.least = self.seconds.iter().map(|(_, least)| *least).min();
            }
        }
        let least = self.least.map_or(difference, |least| least.min(difference));
        self.least = Some(least);
        least
    }

    /// Records that came before the exchange had them by these clocks, and by how many nanoseconds at the most. On
    /// one host there are none, unless its clock was set back.
    pub fn early(&self) -> (u64, u64) {
        (self.early, self.earliest_ns.unsigned_abs())
    }
}
