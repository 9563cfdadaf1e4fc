//! A market's displayed book, put together from its ITCH messages.

use std::collections::{BTreeMap, HashMap};

use crate::order::Price;
use crate::wire::itch::Message;
use crate::wire::soupbin::trim;

/// A displayed order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resting {
    /// Number of its symbol in the feed.
    pub locate: u16,
    /// Whether it buys.
    pub buys: bool,
    /// Its price.
    pub price: Price,
    /// Displayed shares.
    pub shares: u32,
}

/// What is displayed at one price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Level {
    /// Displayed shares.
    pub shares: u64,
    /// Displayed orders.
    pub orders: u32,
}

/// A trade as the market is told of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Print {
    /// Price of the trade.
    pub price: Price,
    /// Shares.
    pub shares: u32,
    /// Nanoseconds since midnight.
    pub since_midnight_ns: u64,
}

/// One symbol's displayed book.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Depth {
    /// Its name.
    pub name: String,
    /// Whether it trades.
    pub trading: bool,
    /// Who buys, by price.
    pub bids: BTreeMap<Price, Level>,
    /// Who sells, by price.
    pub asks: BTreeMap<Price, Level>,
    /// The latest trade.
    pub last: Option<Print>,
    /// Shares traded.
    pub volume: u64,
}

impl Depth {
    /// What is displayed on a side, best price first.
    pub fn side(&self, buys: bool) -> Box<dyn Iterator<Item = (Price, Level)> + '_> {
        let copied = |(price, level): (&Price, &Level)| (*price, *level);
        if buys {
            Box::new(self.bids.iter().rev().map(copied))
        } else {
            Box::new(self.asks.iter().map(copied))
        }
    }
}

/// A message that cannot follow those before it: something was missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Astray {
    /// An order that is not there, or more shares than it has.
    #[error("order {0} is not displayed, or has fewer shares")]
    Order(u64),
    /// A number that an order has already.
    #[error("order {0} is there already")]
    Twice(u64),
    /// A symbol that was not told.
    #[error("symbol {0} was not told")]
    Symbol(u16),
}

/// Every symbol's displayed book.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Market {
    orders: HashMap<u64, Resting>,
    symbols: BTreeMap<u16, Depth>,
}

impl Market {
    /// A market of which nothing was told.
    pub fn new() -> Market {
        Market::default()
    }

    /// The book of a symbol by its name.
    pub fn depth(&self, name: &str) -> Option<&Depth> {
        self.symbols.values().find(|depth| depth.name == name)
    }

    /// The book of a symbol by its number.
    pub fn located(&self, locate: u16) -> Option<&Depth> {
        self.symbols.get(&locate)
    }

    /// Names of all symbols.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.symbols.values().map(|depth| depth.name.as_str())
    }

    /// A displayed order by its number.
    pub fn order(&self, reference: u64) -> Option<&Resting> {
        self.orders.get(&reference)
    }

    /// Displayed orders.
    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// Takes in the next message.
    pub fn apply(&mut self, message: &Message<'_>) -> Result<(), Astray> {
        let at_ns = message.head().since_midnight_ns();
        let locate = message.head().locate.get();
        match message {
            Message::SystemEvent(_) | Message::BrokenTrade(_) => Ok(()),
            Message::StockDirectory(m) => {
                let name = String::from_utf8_lossy(trim(&m.stock)).into_owned();
                self.symbols.entry(locate).or_default().name = name;
                Ok(())
            }
            Message::TradingAction(m) => {
                self.symbol(locate)?.trading = m.state == b'T';
                Ok(())
            }
            Message::AddOrder(m) => {
                let (buys, price, shares) = (m.side == b'B', Price(m.price.get()), m.shares.get());
                self.add(m.reference.get(), Resting { locate, buys, price, shares })
            }
            Message::AddOrderMpid(m) => {
                let (buys, price, shares) = (m.side == b'B', Price(m.price.get()), m.shares.get());
                self.add(m.reference.get(), Resting { locate, buys, price, shares })
            }
            Message::Executed(m) => {
                let order = self.lower(m.reference.get(), Some(m.shares.get()))?;
                self.print(locate, order.price, m.shares.get(), at_ns)
            }
            Message::ExecutedWithPrice(m) => {
                self.lower(m.reference.get(), Some(m.shares.get()))?;
                let shares = if m.printable == b'Y' { m.shares.get() } else { 0 };
                self.print(locate, Price(m.price.get()), shares, at_ns)
            }
            Message::Cancel(m) => self.lower(m.reference.get(), Some(m.shares.get())).map(drop),
            Message::Delete(m) => self.lower(m.reference.get(), None).map(drop),
            Message::Replace(m) => {
                let order = self.lower(m.original.get(), None)?;
                let (price, shares) = (Price(m.price.get()), m.shares.get());
                self.add(m.reference.get(), Resting { price, shares, ..order })
            }
            Message::Trade(m) => self.print(locate, Price(m.price.get()), m.shares.get(), at_ns),
        }
    }

    fn symbol(&mut self, locate: u16) -> Result<&mut Depth, Astray> {
        self.symbols.get_mut(&locate).ok_or(Astray::Symbol(locate))
    }

    fn print(&mut self, locate: u16, price: Price, shares: u32, at_ns: u64) -> Result<(), Astray> {
        let depth = self.symbol(locate)?;
        depth.last = Some(Print { price, shares, since_midnight_ns: at_ns });
        depth.volume += u64::from(shares);
        Ok(())
    }

    fn add(&mut self, reference: u64, order: Resting) -> Result<(), Astray> {
        if self.orders.contains_key(&reference) {
            return Err(Astray::Twice(reference));
        }
        let depth = self.symbol(order.locate)?;
        let side = if order.buys { &mut depth.bids } else { &mut depth.asks };
        let level = side.entry(order.price).or_default();
        level.shares += u64::from(order.shares);
        level.orders += 1;
        self.orders.insert(reference, order);
        Ok(())
    }

    /// Takes so many shares from an order, or all. Returns the order as it was.
    fn lower(&mut self, reference: u64, shares: Option<u32>) -> Result<Resting, Astray> {
        let order = self.orders.get_mut(&reference).ok_or(Astray::Order(reference))?;
        let before = *order;
        let shares = shares.unwrap_or(before.shares);
        order.shares = before.shares.checked_sub(shares).ok_or(Astray::Order(reference))?;
        let gone = order.shares == 0;
        if gone {
            self.orders.remove(&reference);
        }
        let depth = self.symbol(before.locate)?;
        let side = if before.buys { &mut depth.bids } else { &mut depth.asks };
        if let Some(level) = side.get_mut(&before.price) {
            level.shares -= u64::from(shares);
            level.orders -= u32::from(gone);
            if level.orders == 0 {
                side.remove(&before.price);
            }
        }
        Ok(before)
    }
}
