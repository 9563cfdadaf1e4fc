//! The desk a strategy trades at: its orders, its position, its limits, and what is to be sent.
//!
//! It sends nothing itself: a link takes its [`Request`]s to a gateway, a back-test to a book. So a strategy is the
//! same code in both.

use super::limits::{Killed, Limits, Rate, Refused};
use super::order::{Manner, Order, OrderId, Orders, Report, State};
use super::position::{Fees, Position};
use crate::order::{Price, UnixNanos};

/// What is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// A new order.
    Enter {
        /// Its number.
        id: OrderId,
        /// Which of the desk's symbols.
        symbol: usize,
        /// Whether it buys.
        buys: bool,
        /// Shares.
        shares: u32,
        /// Limit.
        price: Price,
        /// How.
        manner: Manner,
    },
    /// Another in its place.
    Replace {
        /// The order to replace.
        old: OrderId,
        /// Number of the new one.
        id: OrderId,
        /// Its whole size, with what traded of the old one.
        shares: u32,
        /// Its limit.
        price: Price,
        /// As the old one was entered.
        manner: Manner,
    },
    /// An order is to go.
    Cancel {
        /// Its number.
        id: OrderId,
    },
}

/// A trade of the desk's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// When it was heard of.
    pub time_ns: UnixNanos,
    /// Which of the desk's symbols.
    pub symbol: usize,
    /// The order.
    pub id: OrderId,
    /// The venue's number of the order.
    pub reference: u64,
    /// Whether it bought.
    pub buys: bool,
    /// Shares.
    pub shares: u32,
    /// Price.
    pub price: Price,
    /// Whether the order rested before.
    pub added: bool,
    /// The same on both sides of the trade.
    pub match_number: u64,
    /// Fee in 1/10000 of the currency unit.
    pub fee: i128,
}

/// What a desk keeps count of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Enters sent.
    pub entered: u64,
    /// Replaces sent.
    pub replaced: u64,
    /// Cancels sent.
    pub cancelled: u64,
    /// Enters and Replaces that the venue refused.
    pub rejected: u64,
    /// Requests that the limits refused.
    pub refused: u64,
    /// Trades.
    pub fills: u64,
}

/// A symbol as a desk has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Symbol {
    name: [u8; 8],
    position: Position,
    /// Twice what a share is worth; 0 until it is known.
    twice_mark: u64,
}

/// One strategy's desk.
pub struct Desk {
    now_ns: UnixNanos,
    symbols: Vec<Symbol>,
    orders: Orders,
    limits: Limits,
    fees: Fees,
    rate: Rate,
    connected: bool,
    killed: Option<Killed>,
    next_id: OrderId,
    requests: Vec<Request>,
    fills: Vec<Fill>,
    counts: Counts,
}

impl Desk {
    /// A desk for symbols, by their names; it is connected once [`Desk::connected`] says so.
    pub fn new(symbols: &[&str], limits: Limits, fees: Fees) -> Desk {
        let symbol = |name: &&str| Symbol {
            name: crate::wire::soupbin::pad(name.as_bytes()),
            position: Position::default(),
            twice_mark: 0,
        };
        Desk {
            now_ns: 0,
            symbols: symbols.iter().map(symbol).collect(),
            orders: Orders::default(),
            limits,
            fees,
            rate: Rate::default(),
            connected: false,
            killed: None,
            next_id: 1,
            requests: Vec::with_capacity(64),
            fills: Vec::with_capacity(1_024),
            counts: Counts::default(),
        }
    }

    /// The time: of the last event that was seen or of the clock, whichever drives the strategy.
    pub fn now_ns(&self) -> UnixNanos {
        self.now_ns
    }

    /// The time goes on.
    #[inline]
    pub fn set_now(&mut self, now_ns: UnixNanos) {
        self.now_ns = now_ns;
    }

    /// Number of symbols.
    pub fn symbols(&self) -> usize {
        self.symbols.len()
    }

    /// A symbol's name, padded with spaces.
    pub fn name(&self, symbol: usize) -> &[u8; 8] {
        &self.symbols[symbol].name
    }

    /// Orders that are not done.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Shares and money in a symbol.
    pub fn position(&self, symbol: usize) -> &Position {
        &self.symbols[symbol].position
    }

    /// What a symbol's position would be if everything open traded: at the most, at the least.
    pub fn position_range(&self, symbol: usize) -> (i64, i64) {
        let now = self.symbols[symbol].position.shares;
        let of = self.orders.iter().filter(|order| order.symbol == symbol);
        of.fold((now, now), |(most, least), order| {
            let open = i64::from(order.open_at_most());
            if order.buys { (most + open, least) } else { (most, least - open) }
        })
    }

    /// Profit in all symbols at their marks, in 1/20000 of the currency unit.
    pub fn twice_profit(&self) -> i128 {
        self.symbols.iter().map(|s| s.position.twice_profit(s.twice_mark)).sum()
    }

    /// Counts so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Why nothing more is done, if that is so.
    pub fn killed(&self) -> Option<Killed> {
        self.killed
    }

    /// Whether requests reach the venue.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Enters an order.
    pub fn enter(
        &mut self,
        symbol: usize,
        buys: bool,
        shares: u32,
        price: Price,
        manner: Manner,
    ) -> Result<OrderId, Refused> {
        self.checked(|desk| {
            desk.check(symbol, buys, shares, 0)?;
            if desk.orders.len() >= desk.limits.max_open_orders {
                return Err(Refused::OpenOrders);
            }
            desk.count_one()
        })?;
        let id = self.take_id();
        self.orders.entered(id, symbol, (buys, shares, price), manner);
        self.requests.push(Request::Enter { id, symbol, buys, shares, price, manner });
        self.counts.entered += 1;
        Ok(id)
    }

    /// Replaces an order by one of `open` shares at another price; it loses its place in the queue.
    pub fn replace(&mut self, old: OrderId, open: u32, price: Price) -> Result<OrderId, Refused> {
        let order = self.orders.get(old).filter(|order| order.is_settled()).copied();
        let order = self.checked(|desk| {
            let order = order.ok_or(Refused::Busy)?;
            desk.check(order.symbol, order.buys, open, order.open)?;
            desk.count_one()?;
            Ok(order)
        })?;
        let id = self.take_id();
        self.orders.replacing(old, id, open, price);
        let shares = order.filled + open;
        self.requests.push(Request::Replace { old, id, shares, price, manner: order.manner });
        self.counts.replaced += 1;
        Ok(id)
    }

    /// Cancels an order. No limit is in its way.
    pub fn cancel(&mut self, id: OrderId) {
        if !self.connected {
            return;
        }
        let (first, second) = self.orders.cancelling(id);
        for id in [first, second].into_iter().flatten() {
            self.requests.push(Request::Cancel { id });
            self.counts.cancelled += 1;
        }
    }

    /// Cancels every order.
    pub fn cancel_all(&mut self) {
        let ids: Vec<OrderId> = self.orders.iter().map(|order| order.id).collect();
        ids.into_iter().for_each(|id| self.cancel(id));
    }

    /// Throws the kill switch: every order is cancelled, none is entered any more.
    pub fn kill(&mut self, why: Killed) {
        self.killed.get_or_insert(why);
        self.cancel_all();
    }

    fn checked<T>(
        &mut self,
        check: impl FnOnce(&mut Desk) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let result = match (self.killed, self.connected) {
            (Some(_), _) => Err(Refused::Killed),
            (None, false) => Err(Refused::Away),
            (None, true) => check(self),
        };
        self.counts.refused += u64::from(result.is_err());
        result
    }

    /// Whether so many shares more may trade; `instead` of some that are open.
    fn check(&self, symbol: usize, buys: bool, shares: u32, instead: u32) -> Result<(), Refused> {
        if shares == 0 || shares > self.limits.max_order_shares {
            return Err(Refused::Shares);
        }
        let more = i64::from(shares) - i64::from(instead.min(shares));
        let (most, least) = self.position_range(symbol);
        let farthest = if buys { most + more } else { more - least };
        if farthest > i64::from(self.limits.max_position) { Err(Refused::Position) } else { Ok(()) }
    }

    fn count_one(&mut self) -> Result<(), Refused> {
        let fits = self.rate.take(self.now_ns, self.limits.orders_per_second);
        if fits { Ok(()) } else { Err(Refused::Rate) }
    }

    fn take_id(&mut self) -> OrderId {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Takes in what the venue tells of an order. Returns the order as it is now, if it is the desk's.
    pub fn report(&mut self, report: &Report) -> Option<Order> {
        let Desk { orders, symbols, .. } = self;
        let find = |name: &[u8; 8]| symbols.iter().position(|symbol| symbol.name == *name);
        let order = orders.take(report, find)?;
        match *report {
            Report::Executed { shares, price, added, match_number, .. } => {
                let fee = self.fees.of(shares, added);
                self.symbols[order.symbol].position.trade(order.buys, shares, price, fee);
                self.counts.fills += 1;
                self.fills.push(Fill {
                    time_ns: self.now_ns,
                    symbol: order.symbol,
                    id: order.id,
                    reference: order.reference,
                    buys: order.buys,
                    shares,
                    price,
                    added,
                    match_number,
                    fee,
                });
                self.look_at_loss();
            }
            Report::Rejected { .. } => self.counts.rejected += 1,
            // What an earlier run entered takes its number.
            Report::Accepted { id, .. } | Report::Replaced { id, .. } => {
                self.next_id = self.next_id.max(id + 1);
            }
            _ => {}
        }
        if self.killed.is_some() && order.state != State::Done {
            self.cancel(order.id);
        }
        Some(order)
    }

    /// A share is worth half of this.
    #[inline]
    pub fn mark(&mut self, symbol: usize, twice_mark: u64) {
        let before = std::mem::replace(&mut self.symbols[symbol].twice_mark, twice_mark);
        if before != twice_mark && self.symbols[symbol].position.shares != 0 {
            self.look_at_loss();
        }
    }

    fn look_at_loss(&mut self) {
        // Without a mark a position is worth nothing that is known.
        let marked = |s: &Symbol| s.twice_mark > 0 || s.position.shares == 0;
        let profit = self.twice_profit();
        if self.killed.is_none()
            && self.symbols.iter().all(marked)
            && profit < -2 * i128::from(self.limits.max_loss)
        {
            self.kill(Killed::Loss(profit));
        }
    }

    /// The connection is lost: what is to be sent never will be.
    pub fn lost(&mut self) {
        self.connected = false;
        self.requests.clear();
        self.orders.lost();
    }

    /// Everything that was missed has been told, and `next_id` is free: what is unknown by now never arrived.
    pub fn connected(&mut self, next_id: OrderId) {
        self.orders.settled(|_| ());
        self.next_id = self.next_id.max(next_id);
        self.connected = true;
        if self.killed.is_some() {
            self.cancel_all();
        }
    }

    /// Hands out what is to be sent, oldest first.
    #[inline]
    pub fn send_requests(&mut self, mut send: impl FnMut(&Desk, &Request)) {
        let mut requests = std::mem::take(&mut self.requests);
        requests.iter().for_each(|request| send(self, request));
        requests.clear();
        self.requests = requests;
    }

    /// Whether there is anything to be sent.
    #[inline]
    pub fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Trades since the last call.
    pub fn take_fills(&mut self) -> std::vec::Drain<'_, Fill> {
        self.fills.drain(..)
    }
}
