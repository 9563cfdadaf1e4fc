//! The book against a model that is simple enough to be obviously right: one list of orders,
//! searched from end to end for every step.

use proptest::prelude::*;

use super::{Book, Capacity, Order, Reports};
use crate::order::{
    CancelReason, Command, CommandKind, Display, FirmId, OrderFlags, Price, Reject, SelfTrade,
    SeqNum, Side, Slot, SymbolId, TimeInForce, UserId, UserRefNum,
};

/// What was reported, in the fewest words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Accepted(u32),
    Replaced(u32, u32, bool),
    Rejected(u32, Reject),
    Canceled(u32, u32, CancelReason, bool),
    Prevented(u32, u32, bool),
    Executed { maker: u32, taker: u32, qty: u32, price: u32 },
    Restated(u32, u32),
    Modified(u32, u32),
    Ignored,
    ModifyRefused,
    Answered,
}

#[derive(Default)]
struct Recorder {
    said: Vec<Said>,
    /// Room for this many more steps; refilled by the test when the book pauses.
    steps: usize,
}

impl Reports for Recorder {
    fn has_room(&mut self) -> bool {
        let room = self.steps > 0;
        self.steps = self.steps.saturating_sub(1);
        room
    }
    fn accepted(&mut self, command: &Command, _: u64) {
        self.said.push(Said::Accepted(command.user_ref.0));
    }
    fn replaced(&mut self, command: &Command, open: u32, _: u64, live: bool) {
        self.said.push(Said::Replaced(command.user_ref.0, open, live));
    }
    fn rejected(&mut self, command: &Command, reason: Reject) {
        self.said.push(Said::Rejected(command.user_ref.0, reason));
    }
    fn canceled(&mut self, _: &Command, _: Slot, o: &Order, qty: u32, r: CancelReason, done: bool) {
        self.said.push(Said::Canceled(o.user_ref.0, qty, r, done));
    }
    fn self_trade_prevented(
        &mut self,
        _: &Command,
        _: Slot,
        order: &Order,
        qty: u32,
        _: u32,
        _: Price,
        _: SelfTrade,
        done: bool,
    ) {
        self.said.push(Said::Prevented(order.user_ref.0, qty, done));
    }
    fn executed(
        &mut self,
        _: &Command,
        _: Slot,
        maker: &Order,
        _: Slot,
        taker: &Order,
        qty: u32,
        price: Price,
        _: u64,
    ) {
        let (maker, taker) = (maker.user_ref.0, taker.user_ref.0);
        self.said.push(Said::Executed { maker, taker, qty, price: price.0 });
    }
    fn restated(&mut self, _: &Command, order: &Order, _: u64) {
        self.said.push(Said::Restated(order.user_ref.0, order.shown()));
    }
    fn modified(&mut self, _: &Command, _: Slot, order: &Order) {
        self.said.push(Said::Modified(order.user_ref.0, order.open()));
    }
    fn ignored(&mut self, _: &Command) {
        self.said.push(Said::Ignored);
    }
    fn modify_refused(&mut self, _: &Command) {
        self.said.push(Said::ModifyRefused);
    }
    fn answered(&mut self, _: &Command) {
        self.said.push(Said::Answered);
    }
}

/// An order of the model. Its place in the list is its time priority.
#[derive(Clone, Debug)]
struct Simple {
    user_ref: u32,
    slot: u32,
    firm: u16,
    side: Side,
    price: u32,
    shown: u32,
    reserve: u32,
    floor: u32,
    executed: u32,
    hidden: bool,
}

#[derive(Default)]
struct Model {
    resting: Vec<Simple>,
    said: Vec<Said>,
}

impl Model {
    /// Where the order to trade with next is: best price, then displayed, then oldest.
    fn best(&self, buys: bool, limit: u32) -> Option<usize> {
        (0..self.resting.len())
            .filter(|&i| self.resting[i].side.is_buy() != buys)
            .filter(|&i| {
                if buys { self.resting[i].price <= limit } else { self.resting[i].price >= limit }
            })
            .min_by_key(|&i| {
                let o = &self.resting[i];
                let price = i64::from(o.price);
                (if buys { price } else { -price }, o.hidden, i)
            })
    }

    fn apply(&mut self, c: &Command) {
        let named = |user_ref: u32| {
            self.resting.iter().position(|o| o.slot == c.slot.0 && o.user_ref == user_ref)
        };
        match c.kind {
            CommandKind::Enter => {
                self.said.push(Said::Accepted(c.user_ref.0));
                self.take(c, c.qty, 0);
            }
            CommandKind::Replace => match named(c.orig_user_ref.0) {
                None => {
                    self.said.push(Said::Rejected(c.user_ref.0, Reject::ReplaceNotAllowed));
                }
                Some(at) => {
                    let old = self.resting.remove(at);
                    let open = c.qty.saturating_sub(old.executed);
                    self.said.push(Said::Replaced(c.user_ref.0, open, open > 0));
                    if open > 0 {
                        self.take(c, open, old.executed);
                    }
                }
            },
            CommandKind::Cancel => match named(c.user_ref.0) {
                None => self.said.push(Said::Ignored),
                Some(at) => {
                    let open = self.resting[at].shown + self.resting[at].reserve;
                    let left = c.qty.saturating_sub(self.resting[at].executed);
                    if left >= open {
                        self.said.push(Said::Ignored);
                    } else {
                        self.lower(at, left);
                        let gone = Said::Canceled(
                            c.user_ref.0,
                            open - left,
                            CancelReason::User,
                            left == 0,
                        );
                        self.said.push(gone);
                    }
                }
            },
            CommandKind::Modify => match named(c.user_ref.0) {
                None => self.said.push(Said::Ignored),
                Some(at) => {
                    let o = &self.resting[at];
                    if o.side != c.side && (o.side.is_buy() || c.side.is_buy()) {
                        return self.said.push(Said::ModifyRefused);
                    }
                    let open = o.shown + o.reserve;
                    let left = c.qty.saturating_sub(o.executed).min(open);
                    self.resting[at].side = c.side;
                    self.lower(at, left);
                    self.said.push(if left == 0 {
                        Said::Canceled(c.user_ref.0, open, CancelReason::User, true)
                    } else {
                        Said::Modified(c.user_ref.0, left)
                    });
                }
            },
            _ => self.said.push(Said::Answered),
        }
    }

    fn lower(&mut self, at: usize, left: u32) {
        if left == 0 {
            self.resting.remove(at);
            return;
        }
        let o = &mut self.resting[at];
        let taken = o.shown + o.reserve - left;
        o.shown -= taken.saturating_sub(o.reserve);
        o.reserve = o.reserve.saturating_sub(taken);
    }

    fn cancel_taker(&mut self, c: &Command, open: u32, reason: CancelReason) {
        self.said.push(Said::Canceled(c.user_ref.0, open, reason, true));
    }

    /// What would trade at once, found by trying it on a copy.
    fn would_trade(&self, c: &Command, open: u32) -> u32 {
        let mut copy = Model { resting: self.resting.clone(), said: vec![] };
        let mut left = open;
        while left > 0 {
            let Some(at) = copy.best(c.side.is_buy(), c.limit.0) else { break };
            let own = copy.resting[at].firm == c.firm.0;
            match c.self_trade {
                SelfTrade::CancelOldest if own => {
                    copy.resting.remove(at);
                }
                SelfTrade::Allow => left -= copy.fill(at, left),
                _ if own => break,
                _ => left -= copy.fill(at, left),
            }
        }
        open - left
    }

    /// Takes up to `most` from the maker's slice; refreshes or removes it if that was all.
    fn fill(&mut self, at: usize, most: u32) -> u32 {
        let qty = self.resting[at].shown.min(most);
        self.resting[at].shown -= qty;
        self.resting[at].executed += qty;
        self.refresh(at);
        qty
    }

    fn refresh(&mut self, at: usize) {
        if self.resting[at].shown == 0 {
            let mut o = self.resting.remove(at);
            if o.reserve > 0 {
                o.shown = o.floor.min(o.reserve);
                o.reserve -= o.shown;
                self.said.push(Said::Restated(o.user_ref, o.shown));
                self.resting.push(o);
            }
        }
    }

    fn take(&mut self, c: &Command, open: u32, mut executed: u32) {
        let buys = c.side.is_buy();
        let mut left = open;
        if c.flags.has(OrderFlags::POST_ONLY) && self.best(buys, c.limit.0).is_some() {
            return self.cancel_taker(c, left, CancelReason::PostOnly);
        }
        if c.min_qty > 0 && self.would_trade(c, left) < c.min_qty.min(left) {
            return self.cancel_taker(c, left, CancelReason::Immediate);
        }
        while left > 0 {
            let Some(at) = self.best(buys, c.limit.0) else { break };
            let maker = self.resting[at].clone();
            if maker.firm == c.firm.0 && c.self_trade != SelfTrade::Allow {
                let both = maker.shown.min(left);
                let whole = maker.shown + maker.reserve;
                let (from_maker, from_taker) = match c.self_trade {
                    SelfTrade::CancelOldest => (whole, 0),
                    SelfTrade::CancelBoth => (whole, left),
                    SelfTrade::Decrement => (both, both),
                    _ => (0, left),
                };
                if from_maker > 0 {
                    let done = from_maker == whole;
                    self.said.push(Said::Prevented(maker.user_ref, from_maker, done));
                    if done {
                        self.resting.remove(at);
                    } else {
                        self.resting[at].shown -= from_maker;
                        self.refresh(at);
                    }
                }
                if from_taker > 0 {
                    self.said.push(Said::Prevented(c.user_ref.0, from_taker, from_taker == left));
                    left -= from_taker;
                }
                continue;
            }
            let qty = maker.shown.min(left);
            self.said.push(Said::Executed {
                maker: maker.user_ref,
                taker: c.user_ref.0,
                qty,
                price: maker.price,
            });
            self.fill(at, left);
            left -= qty;
            executed += qty;
        }
        if left == 0 {
            return;
        }
        if c.flags.has(OrderFlags::MARKET) {
            let any = self.resting.iter().any(|o| o.side.is_buy() != buys);
            let reason = if any { CancelReason::MarketCollar } else { CancelReason::Immediate };
            return self.cancel_taker(c, left, reason);
        }
        if c.tif == TimeInForce::Ioc {
            return self.cancel_taker(c, left, CancelReason::Immediate);
        }
        let shown = if c.max_floor > 0 { left.min(c.max_floor) } else { left };
        self.resting.push(Simple {
            user_ref: c.user_ref.0,
            slot: c.slot.0,
            firm: c.firm.0,
            side: c.side,
            price: c.price.0,
            shown,
            reserve: left - shown,
            floor: c.max_floor,
            executed,
            hidden: c.display == Display::Hidden,
        });
    }

    /// The resting orders as the book walks them.
    fn walk(&self) -> Vec<(u32, u32, u32, u32)> {
        let mut order: Vec<usize> = (0..self.resting.len()).collect();
        order.sort_by_key(|&i| {
            let o = &self.resting[i];
            let price = i64::from(o.price);
            (!o.side.is_buy(), if o.side.is_buy() { -price } else { price }, o.hidden, i)
        });
        order
            .iter()
            .map(|&i| &self.resting[i])
            .map(|o| (o.user_ref, o.price, o.shown, o.reserve))
            .collect()
    }
}

const SYMBOL: SymbolId = SymbolId(0);

fn book() -> Book {
    let mut book = Book::new(Capacity { orders: 512, symbols: 1 });
    book.define_symbol(SYMBOL, Price(100));
    book
}

fn command(kind: CommandKind, seq: u64, user_ref: u32, firm: u16) -> Command {
    Command {
        seq: SeqNum(seq),
        user_ref: UserRefNum(user_ref),
        symbol: SYMBOL,
        ..Command::new(kind, UserId(0), FirmId(firm))
    }
}

/// What proptest draws for one command; `pick` chooses among the orders entered so far.
#[derive(Clone, Debug)]
struct Draw {
    what: u8,
    buys: bool,
    ticks: u32,
    qty: u32,
    firm: u16,
    style: u8,
    floor: u32,
    pick: usize,
    policy: u8,
}

fn draw() -> impl Strategy<Value = Draw> {
    let kind = (0u8..10, any::<bool>(), 1u32..24, 1u32..300, 0u16..4);
    (kind, (0u8..12, 1u32..80, any::<usize>(), 0u8..5)).prop_map(
        |((what, buys, ticks, qty, firm), (style, floor, pick, policy))| Draw {
            what,
            buys,
            ticks,
            qty,
            firm,
            style,
            floor,
            pick,
            policy,
        },
    )
}

/// Fills in price, style and policy of an Enter or Replace.
fn styled(mut c: Command, d: &Draw) -> Command {
    c.qty = d.qty;
    c.price = Price(d.ticks * d.ticks * 100);
    c.self_trade = [
        SelfTrade::Allow,
        SelfTrade::CancelNewest,
        SelfTrade::CancelOldest,
        SelfTrade::CancelBoth,
        SelfTrade::Decrement,
    ][usize::from(d.policy)];
    match d.style {
        0 => c.tif = TimeInForce::Ioc,
        1 => (c.tif, c.min_qty) = (TimeInForce::Ioc, d.qty),
        2 => (c.tif, c.min_qty) = (TimeInForce::Ioc, d.qty.min(d.floor)),
        3 => c.flags = OrderFlags(OrderFlags::POST_ONLY),
        4 => c.flags = OrderFlags(OrderFlags::MARKET),
        5 | 6 => c.display = Display::Hidden,
        7 | 8 => c.max_floor = d.floor,
        _ => {}
    }
    c.limit = c.price;
    c
}

/// The command a draw stands for, given the orders entered so far (slot and latest number).
fn realize(d: &Draw, seq: u64, orders: &mut Vec<(u32, u16, Side)>) -> Command {
    let side = match (d.buys, d.style % 3) {
        (true, _) => Side::Buy,
        (false, 0) => Side::Sell,
        (false, 1) => Side::SellShort,
        (false, _) => Side::SellShortExempt,
    };
    let new_ref = seq as u32;
    if d.what < 6 || orders.is_empty() {
        let slot = orders.len() as u32;
        orders.push((new_ref, d.firm, side));
        let c = command(CommandKind::Enter, seq, new_ref, d.firm);
        return styled(Command { side, slot: Slot(slot), ..c }, d);
    }
    let slot = d.pick % orders.len();
    let (user_ref, firm, old_side) = orders[slot];
    let slot_id = Slot(slot as u32);
    match d.what {
        6 | 7 => Command {
            slot: slot_id,
            qty: if d.style < 6 { 0 } else { d.qty },
            ..command(CommandKind::Cancel, seq, user_ref, firm)
        },
        8 => {
            if !old_side.is_buy() && !side.is_buy() {
                orders[slot].2 = side;
            }
            let c = command(CommandKind::Modify, seq, user_ref, firm);
            Command { slot: slot_id, qty: d.qty, side, ..c }
        }
        _ => {
            orders[slot].0 = new_ref;
            let c = command(CommandKind::Replace, seq, new_ref, firm);
            let c = Command { orig_user_ref: UserRefNum(user_ref), slot: slot_id, ..c };
            styled(Command { side: old_side, ..c }, d)
        }
    }
}

fn walk(book: &Book) -> Vec<(u32, u32, u32, u32)> {
    let mut seen = vec![];
    book.for_each_order(SYMBOL, |_, o| seen.push((o.user_ref.0, o.price.0, o.shown, o.reserve)));
    seen
}

fn agrees_with_the_model(draws: &[Draw], steps: usize) {
    let (mut book, mut model, mut orders) = (book(), Model::default(), vec![]);
    let mut recorder = Recorder::default();
    for (n, d) in draws.iter().enumerate() {
        let c = realize(d, n as u64 + 1, &mut orders);
        recorder.steps = steps;
        book.apply(&c, &mut recorder);
        while book.is_paused() {
            recorder.steps = steps;
            book.resume(&mut recorder);
        }
        model.apply(&c);
        assert_eq!(recorder.said, model.said, "after command {n}: {c:?}");
        assert_eq!(walk(&book), model.walk(), "after command {n}: {c:?}");
        assert_eq!(book.open_orders() as usize, model.resting.len());
        recorder.said.clear();
        model.said.clear();
    }
    let by_side = |buys: bool| model.resting.iter().filter(move |o| o.side.is_buy() == buys);
    assert_eq!(book.best_bid(SYMBOL).map(|p| p.0), by_side(true).map(|o| o.price).max());
    assert_eq!(book.best_ask(SYMBOL).map(|p| p.0), by_side(false).map(|o| o.price).min());
    for o in &model.resting {
        let at = model.resting.iter().filter(|p| p.price == o.price);
        let shares: u64 = at.map(|p| u64::from(p.shown + p.reserve)).sum();
        assert_eq!(book.shares_at(SYMBOL, Price(o.price)), shares);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("MILLRACE_BOOK_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000)
    ))]

    #[test]
    fn every_report_and_every_queue_is_as_in_the_model(
        draws in prop::collection::vec(draw(), 1..400)
    ) {
        agrees_with_the_model(&draws, usize::MAX);
    }

    #[test]
    fn a_book_that_pauses_at_every_step_reports_the_same(
        draws in prop::collection::vec(draw(), 1..200)
    ) {
        agrees_with_the_model(&draws, 1);
    }
}

fn limit(seq: u64, side: Side, qty: u32, price: u32) -> Command {
    Command {
        side,
        qty,
        price: Price(price),
        limit: Price(price),
        slot: Slot(seq as u32),
        ..command(CommandKind::Enter, seq, seq as u32, seq as u16)
    }
}

#[test]
fn the_trade_price_is_the_resting_orders() {
    let (mut book, mut r) = (book(), Recorder { steps: usize::MAX, ..Recorder::default() });
    book.apply(&limit(1, Side::Sell, 10, 1000), &mut r);
    book.apply(&limit(2, Side::Buy, 15, 1200), &mut r);
    assert_eq!(r.said[2], Said::Executed { maker: 1, taker: 2, qty: 10, price: 1000 });
    assert_eq!(book.best_bid(SYMBOL), Some(Price(1200)));
    assert_eq!(book.shares_at(SYMBOL, Price(1200)), 5);
}

#[test]
fn every_slot_finds_room_to_rest_however_far_apart_the_prices_are() {
    const ORDERS: u32 = 4096;
    let mut book = Book::new(Capacity { orders: ORDERS, symbols: 1 });
    book.define_symbol(SYMBOL, Price(1));
    let mut r = Recorder { steps: usize::MAX, ..Recorder::default() };
    // Bits turned round: each price parts from the others as high up as it can.
    for slot in 0..ORDERS {
        let price = (slot.reverse_bits() >> 2) % Price::MAX_LIMIT.0 + 1;
        book.apply(&limit(slot.into(), Side::Buy, 1, price), &mut r);
    }
    assert_eq!(book.open_orders(), ORDERS);
    assert!(!r.said.iter().any(|said| matches!(said, Said::Canceled(..))));
}

#[test]
fn equal_states_have_equal_digests_and_others_do_not() {
    let mut r = Recorder { steps: usize::MAX, ..Recorder::default() };
    let (mut a, mut b) = (book(), book());
    for book in [&mut a, &mut b] {
        book.apply(&limit(1, Side::Buy, 10, 1000), &mut r);
    }
    assert_eq!(a.digest(), b.digest());
    b.apply(&limit(2, Side::Buy, 10, 1000), &mut r);
    assert_ne!(a.digest(), b.digest());
}
