//! The market of a back-test: the real book, in which the recorded orders stand beside the strategy's own.
//!
//! What was recorded happens again: orders come, change and go as they did. Who traded against a displayed order is
//! made again as an order that takes as many shares at that price; so the strategy's own orders trade by their
//! place in the queue and by nothing else. What they take from others stays taken: a recorded order never has more
//! shares than it had, and what the strategy got of an incoming order, the order behind it did not get. That is the
//! whole of the strategy's influence: nobody who was recorded acts differently because of it.

use std::collections::HashMap;

use super::own::OwnOrders;
use crate::book::{Book, Capacity, Order, Reports};
use crate::client::market::ByNumber;
use crate::feed::Teller;
use crate::lab::row::{Kind, Row};
use crate::order::{
    CancelReason, Command, CommandKind, FirmId, OrderFlags, Price, Reject, SelfTrade, SeqNum, Side,
    Slot, SymbolId, TimeInForce, UnixNanos, UserId, UserRefNum,
};
use crate::strategy::{Manner, OrderId, Report, Request};

/// Whose the recorded orders are, and whose the strategy's.
const OTHERS: UserId = UserId(0);
const STRATEGY: UserId = UserId(1);

/// Open orders of the market.
const ORDERS_MAX: u32 = 1 << 21;

/// Symbols of the market.
const SYMBOLS_MAX: u16 = 16_384;

/// A recorded order that is open.
#[derive(Clone, Copy, Debug)]
struct Held {
    slot: Slot,
    user_ref: UserRefNum,
    /// Shares that it had left in the recording.
    left: u32,
    price: Price,
    buys: bool,
    /// When it got its place in the queue.
    since: u64,
}

/// An open order of the strategy's.
#[derive(Clone, Copy, Debug)]
struct Own {
    id: OrderId,
    slot: Slot,
    symbol: SymbolId,
    price: Price,
    buys: bool,
    since: u64,
}

/// What became of recorded orders that could not happen again as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Differences {
    /// Shares that the strategy traded with those who were recorded.
    pub traded: u64,
    /// Events about orders that are not known: the recording began after them.
    pub unknown: u64,
    /// Shares of incoming orders that met another recorded order than they did.
    pub strayed: u64,
}

/// The book and who is in it.
pub struct Venue {
    book: Book,
    teller: Teller,
    names: Vec<[u8; 8]>,
    orders: HashMap<u64, Held, ByNumber>,
    own: Vec<Own>,
    free: Vec<Slot>,
    unused: u32,
    seq: u64,
    next_ref: u32,
    /// Of the strategy's live run, whose orders are left out.
    without: OwnOrders,
    /// What that run took from others stays taken.
    pub keeps_taken: bool,
    /// What was different from the recording.
    pub differences: Differences,
}

/// What the book does, as the strategy's gateway and the feed tell of it.
struct Watch<'a> {
    reports: &'a mut Vec<Report>,
    /// Shares that recorded orders other than the expected one traded.
    strayed: u64,
    traded: u64,
    expected: Slot,
    freed: &'a mut Vec<Slot>,
    names: &'a [[u8; 8]],
}

impl Watch<'_> {
    fn done(&mut self, slot: Slot) {
        self.freed.push(slot);
    }
}

impl Reports for Watch<'_> {
    fn has_room(&mut self) -> bool {
        true
    }

    fn accepted(&mut self, command: &Command, reference: u64) {
        if command.user == STRATEGY {
            self.reports.push(Report::Accepted {
                id: command.user_ref.0,
                symbol: self.names[command.symbol.index()],
                buys: command.side.is_buy(),
                shares: command.qty,
                price: command.price,
                reference,
                live: true,
            });
        }
    }

    fn replaced(&mut self, command: &Command, open: u32, reference: u64, live: bool) {
        if command.user == STRATEGY {
            let (old, id) = (command.orig_user_ref.0, command.user_ref.0);
            let price = command.price;
            self.reports.push(Report::Replaced { old, id, shares: open, price, reference, live });
        }
        if !live {
            self.done(command.slot);
        }
    }

    fn rejected(&mut self, command: &Command, reason: Reject) {
        if command.user == STRATEGY {
            let (id, reason) = (command.user_ref.0, reason as u16);
            self.reports.push(Report::Rejected { id, reason });
        }
    }

    fn canceled(
        &mut self,
        _: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        _: CancelReason,
        done: bool,
    ) {
        if order.user == STRATEGY {
            self.reports.push(Report::Canceled { id: order.user_ref.0, shares: qty });
        }
        if done {
            self.done(slot);
        }
    }

    fn self_trade_prevented(
        &mut self,
        _: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        _: u32,
        _: Price,
        _: SelfTrade,
        done: bool,
    ) {
        if order.user == STRATEGY {
            self.reports.push(Report::Canceled { id: order.user_ref.0, shares: qty });
        }
        if done {
            self.done(slot);
        }
    }

    fn executed(
        &mut self,
        _: &Command,
        maker_slot: Slot,
        maker: &Order,
        taker_slot: Slot,
        taker: &Order,
        qty: u32,
        price: Price,
        match_number: u64,
    ) {
        for (order, added) in [(maker, true), (taker, false)] {
            if order.user == STRATEGY {
                let id = order.user_ref.0;
                self.reports.push(Report::Executed { id, shares: qty, price, added, match_number });
                self.traded += u64::from(qty);
            }
        }
        if maker.user == OTHERS && taker.user == OTHERS && maker_slot != self.expected {
            self.strayed += u64::from(qty);
        }
        for (slot, order) in [(maker_slot, maker), (taker_slot, taker)] {
            if order.open() == 0 {
                self.done(slot);
            }
        }
    }

    fn restated(&mut self, _: &Command, _: &Order, _: u64) {}
    fn modified(&mut self, _: &Command, _: Slot, _: &Order) {}
    fn ignored(&mut self, _: &Command) {}
    fn modify_refused(&mut self, _: &Command) {}
    fn answered(&mut self, _: &Command) {}
}

impl Venue {
    /// An empty market.
    pub fn new(without: OwnOrders) -> Venue {
        Venue {
            book: Book::new(Capacity { orders: ORDERS_MAX, symbols: SYMBOLS_MAX }),
            teller: Teller::new(),
            names: vec![],
            orders: HashMap::default(),
            own: vec![],
            free: vec![],
            unused: 0,
            seq: 0,
            next_ref: 1,
            without,
            keeps_taken: false,
            differences: Differences::default(),
        }
    }

    /// Adds the next symbol. `see` is told of it as the feed tells.
    pub fn define(&mut self, name: [u8; 8], time_ns: UnixNanos, see: &mut impl FnMut(&[u8])) {
        let mut command = Command::new(CommandKind::DefineSymbol, OTHERS, FirmId(0));
        (command.symbol, command.price) = (SymbolId(self.names.len() as u16), Price(1));
        command.text[..8].copy_from_slice(&name);
        self.names.push(name);
        self.apply(command, time_ns, Slot::NONE, &mut vec![], see);
    }

    /// Carries out a command. Its reports go to `reports`, what the feed tells to `see`.
    fn apply(
        &mut self,
        mut command: Command,
        time_ns: UnixNanos,
        expected: Slot,
        reports: &mut Vec<Report>,
        see: &mut impl FnMut(&[u8]),
    ) {
        self.seq += 1;
        (command.seq, command.time_ns) = (SeqNum(self.seq), time_ns);
        let mut freed = std::mem::take(&mut self.free);
        let mut watch = Watch {
            reports,
            strayed: 0,
            traded: 0,
            expected,
            freed: &mut freed,
            names: &self.names,
        };
        self.teller.apply(&mut self.book, &command, &mut watch, see);
        self.differences.strayed += watch.strayed;
        self.differences.traded += watch.traded;
        self.free = freed;
    }

    fn slot(&mut self) -> Option<Slot> {
        let fresh = (self.unused < ORDERS_MAX).then_some(Slot(self.unused));
        self.free.pop().or_else(|| {
            self.unused += u32::from(fresh.is_some());
            fresh
        })
    }

    fn user_ref(&mut self) -> UserRefNum {
        self.next_ref = self.next_ref.wrapping_add(1);
        UserRefNum(self.next_ref)
    }

    fn order(user: UserId, symbol: SymbolId, buys: bool, shares: u32, price: Price) -> Command {
        let mut command = Command::new(CommandKind::Enter, user, FirmId(user.0));
        command.symbol = symbol;
        command.side = if buys { Side::Buy } else { Side::Sell };
        (command.qty, command.price, command.limit) = (shares, price, price);
        command
    }

    /// Shares that an order still has in the book.
    fn open(&self, slot: Slot, user_ref: UserRefNum, user: UserId) -> u32 {
        let order = self.book.order(slot).filter(|o| o.user == user && o.user_ref == user_ref);
        order.map_or(0, Order::open)
    }

    /// Shares of the strategy's orders that trade before an order at `price` that has its place since `since`.
    fn ahead(&self, symbol: SymbolId, buys: bool, price: Price, since: u64) -> u32 {
        let better = |own: &Own| {
            let best = if buys { own.price > price } else { own.price < price };
            best || own.price == price && own.since < since
        };
        let on_side = |own: &&Own| own.symbol == symbol && own.buys == buys && better(own);
        self.own
            .iter()
            .filter(on_side)
            .map(|own| self.open(own.slot, UserRefNum(own.id), STRATEGY))
            .sum()
    }

    /// Lets what was recorded happen again.
    pub fn happen(&mut self, row: &Row, reports: &mut Vec<Report>, see: &mut impl FnMut(&[u8])) {
        let (time_ns, symbol) = (row.time_ns, SymbolId(row.locate));
        if self.without.has_order(row.order) || self.without.has_order(row.replaces) {
            // Whoever traded with the strategy's live order comes again, and meets whoever is there now.
            if let (Kind::Execute | Kind::ExecuteAt, Some(buys)) = (row.kind, row.buys) {
                self.take(symbol, buys, row.shares, row.price, Slot::NONE, time_ns, reports, see);
            }
            return;
        }
        // The strategy itself took it, live.
        let taken = row.match_number > 0 && self.without.took(row.match_number);
        match row.kind {
            _ if taken && !self.keeps_taken => {}
            Kind::Execute | Kind::ExecuteAt if taken => {
                if let Some(held) = self.orders.get_mut(&row.order) {
                    held.left = held.left.saturating_sub(row.shares);
                    let held = *held;
                    self.lower(row, held, reports, see);
                }
            }
            Kind::Add => {
                let Some(buys) = row.buys else { return };
                let Some(slot) = self.slot() else { return };
                let mut command = Venue::order(OTHERS, symbol, buys, row.shares, row.price);
                (command.slot, command.user_ref) = (slot, self.user_ref());
                let held = Held {
                    slot,
                    user_ref: command.user_ref,
                    left: row.shares,
                    price: row.price,
                    buys,
                    since: self.seq,
                };
                self.orders.insert(row.order, held);
                self.apply(command, time_ns, Slot::NONE, reports, see);
            }
            Kind::Replace => {
                let Some(held) = self.orders.remove(&row.replaces) else {
                    self.differences.unknown += 1;
                    return;
                };
                let user_ref = self.user_ref();
                let standing = self.book.order(held.slot);
                let standing =
                    standing.filter(|o| o.user == OTHERS && o.user_ref == held.user_ref).copied();
                let mut command = Venue::order(OTHERS, symbol, held.buys, row.shares, row.price);
                command.user_ref = user_ref;
                match standing {
                    Some(order) => {
                        command.kind = CommandKind::Replace;
                        command.orig_user_ref = held.user_ref;
                        (command.slot, command.qty) = (held.slot, order.executed() + row.shares);
                    }
                    // The strategy took all of it; what stands in its place is new.
                    None => match self.slot() {
                        Some(slot) => command.slot = slot,
                        None => return,
                    },
                }
                let (left, price, since) = (row.shares, row.price, self.seq);
                let held = Held { slot: command.slot, user_ref, left, price, since, ..held };
                self.orders.insert(row.order, held);
                self.apply(command, time_ns, Slot::NONE, reports, see);
            }
            Kind::Execute | Kind::ExecuteAt => {
                let Some(held) = self.orders.get_mut(&row.order) else {
                    self.differences.unknown += 1;
                    return;
                };
                held.left = held.left.saturating_sub(row.shares);
                let held = *held;
                let there = self.open(held.slot, held.user_ref, OTHERS);
                let ahead = self.ahead(symbol, held.buys, held.price, held.since);
                let shares = row.shares.min(ahead + there);
                if shares > 0 {
                    self.take(
                        symbol, held.buys, shares, held.price, held.slot, time_ns, reports, see,
                    );
                }
                self.lower(row, held, reports, see);
            }
            Kind::Cancel | Kind::Delete => {
                let Some(held) = self.orders.get_mut(&row.order) else {
                    self.differences.unknown += 1;
                    return;
                };
                held.left = match row.kind {
                    Kind::Delete => 0,
                    _ => held.left.saturating_sub(row.shares),
                };
                let held = *held;
                self.lower(row, held, reports, see);
            }
            // Somebody traded with an order that nobody saw. The strategy's at that price or a better one stand
            // before it, on whichever side it was.
            Kind::Trade => {
                for buys in [true, false] {
                    let ahead = self.ahead(symbol, buys, row.price, u64::MAX);
                    let shares = row.shares.min(ahead);
                    if shares > 0 {
                        self.take(
                            symbol,
                            buys,
                            shares,
                            row.price,
                            Slot::NONE,
                            time_ns,
                            reports,
                            see,
                        );
                        break;
                    }
                }
            }
        }
    }

    /// Leaves a recorded order no more shares than it had left.
    fn lower(
        &mut self,
        row: &Row,
        held: Held,
        reports: &mut Vec<Report>,
        see: &mut impl FnMut(&[u8]),
    ) {
        let open = self.open(held.slot, held.user_ref, OTHERS);
        if open > held.left {
            let executed = self.book.order(held.slot).map_or(0, Order::executed);
            let mut command = Command::new(CommandKind::Cancel, OTHERS, FirmId(0));
            (command.symbol, command.slot) = (SymbolId(row.locate), held.slot);
            (command.user_ref, command.qty) = (held.user_ref, executed + held.left);
            self.apply(command, row.time_ns, Slot::NONE, reports, see);
        }
        if held.left == 0 {
            self.orders.remove(&row.order);
        }
    }

    /// Somebody takes shares from the side that `buys` says, down to a price.
    #[allow(clippy::too_many_arguments, reason = "an order's fields, and who is told")]
    fn take(
        &mut self,
        symbol: SymbolId,
        buys: bool,
        shares: u32,
        price: Price,
        expected: Slot,
        time_ns: UnixNanos,
        reports: &mut Vec<Report>,
        see: &mut impl FnMut(&[u8]),
    ) {
        let Some(slot) = self.slot() else { return };
        let mut command = Venue::order(OTHERS, symbol, !buys, shares, price);
        command.tif = TimeInForce::Ioc;
        (command.slot, command.user_ref) = (slot, self.user_ref());
        self.apply(command, time_ns, expected, reports, see);
    }

    /// Carries out a request of the strategy's.
    pub fn request(
        &mut self,
        request: &Request,
        time_ns: UnixNanos,
        reports: &mut Vec<Report>,
        see: &mut impl FnMut(&[u8]),
    ) {
        let standing = |venue: &Venue, id| venue.own.iter().position(|own| own.id == id);
        let since = self.seq;
        let command = match *request {
            Request::Enter { id, symbol, buys, shares, price, manner } => {
                let Some(slot) = self.slot() else {
                    return reports.push(Report::Rejected { id, reason: 10 });
                };
                let symbol = SymbolId(symbol as u16);
                let mut command = Venue::order(STRATEGY, symbol, buys, shares, price);
                (command.slot, command.user_ref) = (slot, UserRefNum(id));
                match manner {
                    Manner::Day => {}
                    Manner::PostOnly => command.flags.0 |= OrderFlags::POST_ONLY,
                    Manner::Ioc => command.tif = TimeInForce::Ioc,
                }
                self.own.push(Own { id, slot, symbol, price, buys, since });
                command
            }
            Request::Replace { old, id, shares, price, manner } => {
                let Some(at) = standing(self, old) else {
                    return reports.push(Report::Rejected { id, reason: 21 });
                };
                let own = Own { id, price, since, ..self.own[at] };
                self.own[at] = own;
                let mut command = Venue::order(STRATEGY, own.symbol, own.buys, shares, price);
                command.kind = CommandKind::Replace;
                (command.slot, command.user_ref) = (own.slot, UserRefNum(id));
                command.orig_user_ref = UserRefNum(old);
                if manner == Manner::PostOnly {
                    command.flags.0 |= OrderFlags::POST_ONLY;
                }
                command
            }
            Request::Cancel { id } => {
                let Some(at) = standing(self, id) else { return };
                let own = self.own[at];
                let mut command = Command::new(CommandKind::Cancel, STRATEGY, FirmId(1));
                (command.symbol, command.slot) = (own.symbol, own.slot);
                command.user_ref = UserRefNum(id);
                command
            }
        };
        self.apply(command, time_ns, Slot::NONE, reports, see);
        self.forget_done();
    }

    /// Forgets orders of the strategy's that are done. To be called after anything that may have traded.
    pub fn forget_done(&mut self) {
        let book = &self.book;
        self.own.retain(|own| {
            let is_own = |o: &&Order| o.user == STRATEGY && o.user_ref.0 == own.id;
            book.order(own.slot).filter(is_own).is_some()
        });
    }

    /// Open orders of the strategy's.
    pub fn own_orders(&self) -> usize {
        self.own.len()
    }
}
