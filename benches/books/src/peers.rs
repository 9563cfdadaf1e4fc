//! The books.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace::book::{Book, Capacity, Order, Reports};
use millrace::order::{
    CancelReason, Command as Told, CommandKind, FirmId, Price, Reject, SelfTrade, Side, Slot,
    SymbolId, TimeInForce, UserId, UserRefNum,
};

use crate::flow::{Command, Flow, Kind};

/// A market of some symbols.
pub trait Market {
    fn take(&mut self, command: &Command);
    /// Trades, and shares traded.
    fn totals(&self) -> (u64, u64);
}

/// What was traded.
#[derive(Default)]
struct Totals {
    trades: u64,
    shares: u64,
}

/// millrace's book by itself, its slots given out here.
pub struct Millrace {
    book: Book,
    slots: Vec<u32>,
    desk: Desk,
}

struct Desk {
    free: Vec<u32>,
    totals: Totals,
}

impl Millrace {
    pub fn new(flow: &Flow) -> Millrace {
        let orders = 1 << 21;
        let mut book = Book::new(Capacity { orders, symbols: flow.symbols });
        (0..flow.symbols).for_each(|symbol| book.define_symbol(SymbolId(symbol), Price(100)));
        let desk = Desk { free: (0..orders).rev().collect(), totals: Totals::default() };
        Millrace { book, slots: vec![0; flow.ids as usize], desk }
    }
}

impl Market for Millrace {
    #[inline]
    fn take(&mut self, command: &Command) {
        let kind = match command.kind {
            Kind::Enter | Kind::Take => CommandKind::Enter,
            Kind::Cancel => CommandKind::Cancel,
            Kind::Move => CommandKind::Replace,
        };
        let mut told = Told::new(kind, UserId(0), FirmId(0));
        told.user_ref = UserRefNum(command.id);
        told.orig_user_ref = UserRefNum(command.old);
        told.symbol = SymbolId(command.symbol);
        told.side = if command.buys { Side::Buy } else { Side::Sell };
        told.price = Price(command.price);
        told.limit = told.price;
        told.qty = command.qty;
        told.tif = if command.kind == Kind::Take { TimeInForce::Ioc } else { TimeInForce::Day };
        let slot = match command.kind {
            Kind::Enter | Kind::Take => self.desk.free.pop().expect("fewer live orders"),
            Kind::Cancel => self.slots[command.id as usize],
            Kind::Move => {
                let slot = self.slots[command.old as usize];
                // OUCH counts what was executed into the new size; the flow says what is to be open.
                let executed = self.book.order(Slot(slot)).map_or(0, |order| order.executed());
                told.qty += executed;
                slot
            }
        };
        self.slots[command.id as usize] = slot;
        told.slot = Slot(slot);
        self.book.apply(&told, &mut self.desk);
    }

    fn totals(&self) -> (u64, u64) {
        (self.desk.totals.trades, self.desk.totals.shares)
    }
}

impl Reports for Desk {
    fn has_room(&mut self) -> bool {
        true
    }
    fn accepted(&mut self, _: &Told, _: u64) {}
    fn replaced(&mut self, _: &Told, _: u32, _: u64, _: bool) {}
    fn rejected(&mut self, _: &Told, _: Reject) {}
    fn canceled(&mut self, _: &Told, slot: Slot, _: &Order, _: u32, _: CancelReason, done: bool) {
        if done {
            self.free.push(slot.0);
        }
    }
    fn self_trade_prevented(
        &mut self,
        _: &Told,
        _: Slot,
        _: &Order,
        _: u32,
        _: u32,
        _: Price,
        _: SelfTrade,
        _: bool,
    ) {
    }
    #[inline]
    fn executed(
        &mut self,
        _: &Told,
        maker_slot: Slot,
        maker: &Order,
        taker_slot: Slot,
        taker: &Order,
        qty: u32,
        _: Price,
        _: u64,
    ) {
        self.totals.trades += 1;
        self.totals.shares += u64::from(qty);
        for (slot, order) in [(maker_slot, maker), (taker_slot, taker)] {
            if order.open() == 0 {
                self.free.push(slot.0);
            }
        }
    }
    fn restated(&mut self, _: &Told, _: &Order, _: u64) {}
    fn modified(&mut self, _: &Told, _: Slot, _: &Order) {}
    fn ignored(&mut self, _: &Told) {}
    fn modify_refused(&mut self, _: &Told) {}
    fn answered(&mut self, _: &Told) {}
}

/// A book for each symbol: what most would write first. Cancels leave a hole in the queue.
#[derive(Default)]
struct BtreeBook {
    bids: BTreeMap<u32, VecDeque<u32>>,
    asks: BTreeMap<u32, VecDeque<u32>>,
}

struct Resting {
    buys: bool,
    price: u32,
    open: u32,
}

/// Two `BTreeMap`s of queues, and a `HashMap` of orders.
pub struct Btree {
    books: Vec<BtreeBook>,
    orders: HashMap<u32, Resting>,
    totals: Totals,
}

impl Btree {
    pub fn new(flow: &Flow) -> Btree {
        let books = (0..flow.symbols).map(|_| BtreeBook::default()).collect();
        Btree { books, orders: HashMap::new(), totals: Totals::default() }
    }

    fn enter(&mut self, command: &Command) {
        let Btree { books, orders, totals } = self;
        let BtreeBook { bids, asks } = &mut books[usize::from(command.symbol)];
        let mut left = command.qty;
        let other = if command.buys { &mut *asks } else { &mut *bids };
        while left > 0 {
            let best = if command.buys { other.first_entry() } else { other.last_entry() };
            let Some(mut level) = best else { break };
            let reaches = match command.buys {
                true => *level.key() <= command.price,
                false => *level.key() >= command.price,
            };
            if !reaches {
                break;
            }
            let Some(&maker) = level.get().front() else {
                level.remove();
                continue;
            };
            // It may have been canceled.
            let Some(order) = orders.get_mut(&maker) else {
                level.get_mut().pop_front();
                continue;
            };
            let traded = left.min(order.open);
            (left, order.open) = (left - traded, order.open - traded);
            totals.trades += 1;
            totals.shares += u64::from(traded);
            if order.open == 0 {
                orders.remove(&maker);
                level.get_mut().pop_front();
            }
        }
        if left > 0 && command.kind != Kind::Take {
            let own = if command.buys { bids } else { asks };
            own.entry(command.price).or_default().push_back(command.id);
            let (buys, price) = (command.buys, command.price);
            orders.insert(command.id, Resting { buys, price, open: left });
        }
    }

    /// True if it was there.
    fn cancel(&mut self, symbol: u16, id: u32) -> bool {
        let Some(Resting { buys, price, .. }) = self.orders.remove(&id) else { return false };
        let BtreeBook { bids, asks } = &mut self.books[usize::from(symbol)];
        let own = if buys { bids } else { asks };
        if let Some(level) = own.get_mut(&price) {
            // Where it stands at an end it goes; elsewhere it stays as a hole until it is reached.
            if level.front() == Some(&id) {
                level.pop_front();
            } else if level.back() == Some(&id) {
                level.pop_back();
            }
            if level.is_empty() {
                own.remove(&price);
            }
        }
        true
    }
}

impl Market for Btree {
    #[inline]
    fn take(&mut self, command: &Command) {
        match command.kind {
            Kind::Enter | Kind::Take => self.enter(command),
            Kind::Cancel => _ = self.cancel(command.symbol, command.id),
            Kind::Move => {
                if self.cancel(command.symbol, command.old) {
                    self.enter(command);
                }
            }
        }
    }

    fn totals(&self) -> (u64, u64) {
        (self.totals.trades, self.totals.shares)
    }
}

/// `lobster`, a book for each symbol.
pub struct Lobster {
    books: Vec<lobster::OrderBook>,
    /// Orders that are open: a cancel does not say whether there was one.
    open: Vec<bool>,
    totals: Totals,
}

impl Lobster {
    pub fn new(flow: &Flow) -> Lobster {
        let capacity = if flow.symbols > 1 { 64 } else { 10_000 };
        let book = || lobster::OrderBook::new(capacity, 10, false);
        Lobster {
            books: (0..flow.symbols).map(|_| book()).collect(),
            open: vec![false; flow.ids as usize],
            totals: Totals::default(),
        }
    }

    fn enter(&mut self, command: &Command) {
        let side = if command.buys { lobster::Side::Bid } else { lobster::Side::Ask };
        let (id, qty, price) = (command.id.into(), command.qty.into(), command.price.into());
        let book = &mut self.books[usize::from(command.symbol)];
        let event = book.execute(lobster::OrderType::Limit { id, side, qty, price });
        let (fills, rests) = match event {
            lobster::OrderEvent::Filled { fills, .. } => (fills, false),
            lobster::OrderEvent::PartiallyFilled { fills, .. } => (fills, true),
            _ => (vec![], true),
        };
        if rests && command.kind == Kind::Take {
            book.execute(lobster::OrderType::Cancel { id });
        }
        self.open[command.id as usize] = rests && command.kind != Kind::Take;
        for fill in fills.iter().filter(|fill| fill.total_fill) {
            self.open[fill.order_2 as usize] = false;
        }
        self.totals.trades += fills.len() as u64;
        self.totals.shares += fills.iter().map(|fill| fill.qty).sum::<u64>();
    }
}

impl Market for Lobster {
    #[inline]
    fn take(&mut self, command: &Command) {
        let book = &mut self.books[usize::from(command.symbol)];
        match command.kind {
            Kind::Enter | Kind::Take => self.enter(command),
            Kind::Cancel => {
                book.execute(lobster::OrderType::Cancel { id: command.id.into() });
            }
            Kind::Move if self.open[command.old as usize] => {
                self.open[command.old as usize] = false;
                book.execute(lobster::OrderType::Cancel { id: command.old.into() });
                self.enter(command);
            }
            Kind::Move => {}
        }
    }

    fn totals(&self) -> (u64, u64) {
        (self.totals.trades, self.totals.shares)
    }
}

/// `orderbook-rs`, a book for each symbol.
pub struct OrderbookRs {
    books: Vec<orderbook_rs::DefaultOrderBook>,
    traded: Arc<[AtomicU64; 2]>,
}

impl OrderbookRs {
    pub fn new(flow: &Flow) -> OrderbookRs {
        let traded: Arc<[AtomicU64; 2]> = Arc::default();
        let book = |symbol: u16| {
            let traded = Arc::clone(&traded);
            orderbook_rs::DefaultOrderBook::with_trade_listener(
                &format!("S{symbol}"),
                Arc::new(move |result| {
                    let trades = result.match_result.trades();
                    traded[0].fetch_add(trades.len() as u64, Ordering::Relaxed);
                    let shares: u64 = trades.as_vec().iter().map(|t| t.quantity().as_u64()).sum();
                    traded[1].fetch_add(shares, Ordering::Relaxed);
                }),
            )
        };
        OrderbookRs { books: (0..flow.symbols).map(book).collect(), traded }
    }

    fn enter(&mut self, command: &Command) {
        let side = if command.buys { orderbook_rs::Side::Buy } else { orderbook_rs::Side::Sell };
        let tif = match command.kind {
            Kind::Take => orderbook_rs::TimeInForce::Ioc,
            _ => orderbook_rs::TimeInForce::Gtc,
        };
        let id = orderbook_rs::Id::from_u64(command.id.into());
        let book = &self.books[usize::from(command.symbol)];
        let _ = book.add_limit_order(id, command.price.into(), command.qty.into(), side, tif, None);
    }

    fn cancel(&mut self, symbol: u16, id: u32) -> bool {
        let id = orderbook_rs::Id::from_u64(id.into());
        matches!(self.books[usize::from(symbol)].cancel_order(id), Ok(Some(_)))
    }
}

impl Market for OrderbookRs {
    fn take(&mut self, command: &Command) {
        match command.kind {
            Kind::Enter | Kind::Take => self.enter(command),
            Kind::Cancel => _ = self.cancel(command.symbol, command.id),
            Kind::Move => {
                if self.cancel(command.symbol, command.old) {
                    self.enter(command);
                }
            }
        }
    }

    fn totals(&self) -> (u64, u64) {
        let at = |at: usize| self.traded[at].load(Ordering::Relaxed);
        (at(0), at(1))
    }
}

#[cfg(liquibook)]
pub use liquibook::Liquibook;

#[cfg(liquibook)]
mod liquibook {
    #![allow(unsafe_code, reason = "calls into liquibook")]

    use std::ffi::c_void;

    use super::{Command, Flow, Kind, Market};

    unsafe extern "C" {
        fn liquibook_new(symbols: u16, orders: u32) -> *mut c_void;
        fn liquibook_free(market: *mut c_void);
        fn liquibook_enter(
            market: *mut c_void,
            symbol: u16,
            id: u32,
            buys: bool,
            price: u32,
            qty: u32,
            ioc: bool,
        );
        fn liquibook_cancel(market: *mut c_void, symbol: u16, id: u32) -> bool;
        fn liquibook_totals(market: *const c_void, trades: *mut u64, shares: *mut u64);
    }

    /// liquibook through C++, a book for each symbol.
    pub struct Liquibook(*mut c_void);

    impl Liquibook {
        pub fn new(flow: &Flow) -> Liquibook {
            // SAFETY: no pointers; every id of the flow is below `ids`.
            Liquibook(unsafe { liquibook_new(flow.symbols, flow.ids) })
        }

        fn enter(&mut self, c: &Command) {
            let takes = c.kind == Kind::Take;
            // SAFETY: made by `new`, with this symbol and id.
            unsafe { liquibook_enter(self.0, c.symbol, c.id, c.buys, c.price, c.qty, takes) }
        }

        fn cancel(&mut self, symbol: u16, id: u32) -> bool {
            // SAFETY: made by `new`, with this symbol and id.
            unsafe { liquibook_cancel(self.0, symbol, id) }
        }
    }

    impl Market for Liquibook {
        fn take(&mut self, command: &Command) {
            match command.kind {
                Kind::Enter | Kind::Take => self.enter(command),
                Kind::Cancel => _ = self.cancel(command.symbol, command.id),
                Kind::Move => {
                    if self.cancel(command.symbol, command.old) {
                        self.enter(command);
                    }
                }
            }
        }

        fn totals(&self) -> (u64, u64) {
            let (mut trades, mut shares) = (0, 0);
            // SAFETY: made by `new`; both places are this function's own.
            unsafe { liquibook_totals(self.0, &mut trades, &mut shares) };
            (trades, shares)
        }
    }

    impl Drop for Liquibook {
        fn drop(&mut self) {
            // SAFETY: made by `new`, freed once.
            unsafe { liquibook_free(self.0) };
        }
    }
}
