//! A market's displayed book, put together from its ITCH messages.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::order::Price;
use crate::signals::Signals;
use crate::wire::itch::Message;
use crate::wire::soupbin::trim;

pub use crate::signals::{Ladder, Level};

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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Depth {
    /// Its name.
    pub name: String,
    /// Whether it trades.
    pub trading: bool,
    /// Who buys.
    pub bids: Ladder,
    /// Who sells.
    pub asks: Ladder,
    /// What the book says of the next price.
    pub signals: Signals,
    /// The latest trade.
    pub last: Option<Print>,
    /// Shares traded.
    pub volume: u64,
}

impl Depth {
    /// An empty book.
    pub fn new(name: String) -> Depth {
        Depth {
            name,
            trading: false,
            bids: Ladder::new(true),
            asks: Ladder::new(false),
            signals: Signals::default(),
            last: None,
            volume: 0,
        }
    }

    /// What is displayed on a side, best price first.
    pub fn side(&self, buys: bool) -> impl Iterator<Item = (Price, Level)> + '_ {
        if buys { self.bids.iter() } else { self.asks.iter() }
    }

    #[inline]
    fn add(&mut self, order: &Resting) {
        let ladder = if order.buys { &mut self.bids } else { &mut self.asks };
        let moved = ladder.add(order.price, order.shares);
        self.signals.moved(order.buys, ladder, moved);
    }

    #[inline]
    fn lower(&mut self, order: &Resting, shares: u32, done: bool) {
        let ladder = if order.buys { &mut self.bids } else { &mut self.asks };
        if let Some(moved) = ladder.lower(order.price, shares, done) {
            self.signals.moved(order.buys, ladder, moved);
        }
    }

    #[inline]
    fn settle(&mut self) {
        self.signals.settle(&self.bids, &self.asks);
    }

    fn print(&mut self, price: Price, shares: u32, at_ns: u64) {
        self.last = Some(Print { price, shares, since_midnight_ns: at_ns });
        self.volume += u64::from(shares);
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

/// Hashes order numbers by one multiplication, under a key of this process's own.
#[derive(Clone, Debug)]
pub struct ByNumber(u64);

impl Default for ByNumber {
    fn default() -> ByNumber {
        ByNumber(RandomState::new().hash_one(0) | 1)
    }
}

impl BuildHasher for ByNumber {
    type Hasher = NumberHash;

    #[inline]
    fn build_hasher(&self) -> NumberHash {
        NumberHash(self.0)
    }
}

/// The hash of one number.
#[derive(Debug)]
pub struct NumberHash(u64);

impl Hasher for NumberHash {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(number ^ self.0.rotate_left(32)) * u128::from(self.0);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

/// Every symbol's displayed book.
#[derive(Clone, Debug, Default)]
pub struct Market {
    orders: HashMap<u64, Resting, ByNumber>,
    /// By their numbers in the feed.
    symbols: Vec<Option<Depth>>,
}

impl Market {
    /// A market of which nothing was told.
    pub fn new() -> Market {
        Market::default()
    }

    /// The book of a symbol by its name.
    pub fn depth(&self, name: &str) -> Option<&Depth> {
        self.depths().find(|depth| depth.name == name)
    }

    /// The book of a symbol by its number.
    #[inline]
    pub fn located(&self, locate: u16) -> Option<&Depth> {
        self.symbols.get(usize::from(locate))?.as_ref()
    }

    /// Every symbol's book.
    pub fn depths(&self) -> impl Iterator<Item = &Depth> {
        self.symbols.iter().flatten()
    }

    /// Names of all symbols.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.depths().map(|depth| depth.name.as_str())
    }

    /// A displayed order by its number.
    #[inline]
    pub fn order(&self, reference: u64) -> Option<&Resting> {
        self.orders.get(&reference)
    }

    /// Displayed orders.
    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// What was missed is not known any more: all orders are forgotten, symbols and their trades are not.
    pub fn forget_orders(&mut self) {
        self.orders.clear();
        for depth in self.symbols.iter_mut().flatten() {
            (depth.bids, depth.asks) = (Ladder::new(true), Ladder::new(false));
            let flow = depth.signals;
            depth.signals = Signals::of(&depth.bids, &depth.asks).going_on_from(&flow);
        }
    }

    /// Takes in the next message.
    #[inline]
    pub fn apply(&mut self, message: &Message<'_>) -> Result<(), Astray> {
        let at_ns = message.head().since_midnight_ns();
        let locate = message.head().locate.get();
        match message {
            Message::SystemEvent(_) | Message::BrokenTrade(_) => {}
            Message::StockDirectory(m) => {
                let name = String::from_utf8_lossy(trim(&m.stock)).into_owned();
                self.define(locate, name);
            }
            Message::TradingAction(m) => self.symbol(locate)?.trading = m.state == b'T',
            Message::AddOrder(m) => {
                let (buys, price, shares) = (m.side == b'B', Price(m.price.get()), m.shares.get());
                self.add(m.reference.get(), Resting { locate, buys, price, shares })?.settle();
            }
            Message::AddOrderMpid(m) => {
                let (buys, price, shares) = (m.side == b'B', Price(m.price.get()), m.shares.get());
                self.add(m.reference.get(), Resting { locate, buys, price, shares })?.settle();
            }
            Message::Executed(m) => {
                let (order, depth) = self.lower(m.reference.get(), Some(m.shares.get()))?;
                depth.settle();
                depth.print(order.price, m.shares.get(), at_ns);
            }
            Message::ExecutedWithPrice(m) => {
                let (_, depth) = self.lower(m.reference.get(), Some(m.shares.get()))?;
                depth.settle();
                let shares = if m.printable == b'Y' { m.shares.get() } else { 0 };
                depth.print(Price(m.price.get()), shares, at_ns);
            }
            Message::Cancel(m) => self.lower(m.reference.get(), Some(m.shares.get()))?.1.settle(),
            Message::Delete(m) => self.lower(m.reference.get(), None)?.1.settle(),
            Message::Replace(m) => {
                if self.orders.contains_key(&m.reference.get()) {
                    return Err(Astray::Twice(m.reference.get()));
                }
                let (order, _) = self.lower(m.original.get(), None)?;
                let (price, shares) = (Price(m.price.get()), m.shares.get());
                self.add(m.reference.get(), Resting { price, shares, ..order })?.settle();
            }
            Message::Trade(m) => {
                self.symbol(locate)?.print(Price(m.price.get()), m.shares.get(), at_ns);
            }
        }
        Ok(())
    }

    fn define(&mut self, locate: u16, name: String) {
        let place = usize::from(locate);
        if self.symbols.len() <= place {
            self.symbols.resize(place + 1, None);
        }
        match &mut self.symbols[place] {
            Some(depth) => depth.name = name,
            none => *none = Some(Depth::new(name)),
        }
    }

    #[inline]
    fn symbol(&mut self, locate: u16) -> Result<&mut Depth, Astray> {
        located(&mut self.symbols, locate)
    }

    #[inline]
    fn add(&mut self, reference: u64, order: Resting) -> Result<&mut Depth, Astray> {
        let depth = located(&mut self.symbols, order.locate)?;
        match self.orders.entry(reference) {
            std::collections::hash_map::Entry::Occupied(_) => Err(Astray::Twice(reference)),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(order);
                depth.add(&order);
                Ok(depth)
            }
        }
    }

    /// Takes so many shares from an order, or all. Returns the order as it was.
    #[inline]
    fn lower(
        &mut self,
        reference: u64,
        shares: Option<u32>,
    ) -> Result<(Resting, &mut Depth), Astray> {
        let order = self.orders.get_mut(&reference).ok_or(Astray::Order(reference))?;
        let before = *order;
        let shares = shares.unwrap_or(before.shares);
        let left = before.shares.checked_sub(shares).ok_or(Astray::Order(reference))?;
        let depth = located(&mut self.symbols, before.locate)?;
        order.shares = left;
        if left == 0 {
            self.orders.remove(&reference);
        }
        depth.lower(&before, shares, left == 0);
        Ok((before, depth))
    }
}

#[inline]
fn located(symbols: &mut [Option<Depth>], locate: u16) -> Result<&mut Depth, Astray> {
    let place = symbols.get_mut(usize::from(locate)).and_then(Option::as_mut);
    place.ok_or(Astray::Symbol(locate))
}
