//! Every verdict against a model that is simple enough to be right: it looks at the book, adds up
//! and compares. Limits are so tight that random orders are at their edges all the time.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Sink, T0};
use crate::book::{Book, RingReports};
use crate::order::{
    Capacity as As, Command, CommandKind, FeedbackKind, FirmId, OrderFlags, Price, Reject,
    SelfTrade, Side, SymbolId, TimeInForce, UserId, UserRefNum,
};
use crate::risk::{Capacity, Limits, Risk};

/// Two users of one firm, one of another.
const FIRM_OF: [u16; 3] = [0, 0, 1];
const WINDOW_NS: u64 = 1_000;
const TICK: u32 = 100;
const REFERENCE: u32 = 100_000;

fn limits() -> [Limits; 2] {
    let strict = Limits {
        max_order_qty: 9,
        max_order_notional: 900_000,
        price_collar_bps: 500,
        max_messages_per_second: 1_000_000,
        max_position: 15,
        max_open_notional: 2_000_000,
        max_open_orders: 4,
        max_unanswered: u32::MAX,
        duplicate_window_ns: WINDOW_NS,
        self_trade: SelfTrade::CancelNewest,
        market_orders: true,
        short_sales: false,
        restricted: vec![false, true],
    };
    let other = Limits {
        max_order_notional: 1_000_000,
        price_collar_bps: 0,
        max_position: 12,
        max_open_orders: 6,
        max_unanswered: u32::MAX,
        duplicate_window_ns: 0,
        self_trade: SelfTrade::CancelOldest,
        market_orders: false,
        short_sales: true,
        restricted: vec![],
        ..strict.clone()
    };
    [strict, other]
}

/// What is known of an open order beside what the book shows.
#[derive(Clone, Copy, Debug)]
struct Known {
    user: u16,
    buys: bool,
    executed: u32,
    group: u16,
    capacity: As,
}

#[derive(Clone, Copy)]
struct Open {
    slot: u32,
    user: UserId,
    user_ref: u32,
    symbol: SymbolId,
    side: Side,
    price: Price,
    qty: u32,
}

type Key = (u16, u16, Side, u32, Price);

struct Model {
    limits: [Limits; 2],
    last_ref: [u32; 3],
    disabled: [bool; 2],
    last_trade: [u32; 2],
    position: [[i64; 2]; 2],
    known: HashMap<u32, Known>,
    recent: Vec<(u64, Key)>,
    open: Vec<Open>,
}

fn firm_of(command: &Command) -> usize {
    FIRM_OF[command.user.index()].into()
}

impl Model {
    fn look(&mut self, book: &Book) {
        self.open.clear();
        for symbol in [SymbolId(0), SymbolId(1)] {
            book.for_each_order(symbol, |slot, order| {
                self.open.push(Open {
                    slot: slot.0,
                    user: order.user,
                    user_ref: order.user_ref.0,
                    symbol,
                    side: order.side,
                    price: order.price,
                    qty: order.open(),
                });
            });
        }
    }

    fn find(&self, user: UserId, user_ref: UserRefNum) -> Option<Open> {
        self.open.iter().find(|o| o.user == user && o.user_ref == user_ref.0).copied()
    }

    fn of_firm(&self, firm: usize) -> impl Iterator<Item = &Open> {
        self.open.iter().filter(move |o| usize::from(FIRM_OF[o.user.index()]) == firm)
    }

    fn notional(&self, firm: usize) -> u64 {
        self.of_firm(firm).map(|o| u64::from(o.price.0) * u64::from(o.qty)).sum()
    }

    /// What is to be said to a command; nothing if it is to be ignored.
    fn judge(&self, command: &Command, now_ns: u64) -> Option<Reject> {
        let used = command.user_ref.0 <= self.last_ref[command.user.index()];
        let result = match command.kind {
            CommandKind::Enter | CommandKind::Replace if used => return None,
            CommandKind::Enter => self.judge_enter(command, now_ns),
            CommandKind::Replace => self.judge_replace(command),
            CommandKind::Cancel | CommandKind::Modify => {
                match self.find(command.user, command.user_ref) {
                    Some(_) => Ok(()),
                    None if command.number_in > 0 => Err(Reject::TooLate),
                    None => return None,
                }
            }
            _ => Ok(()),
        };
        Some(result.err().unwrap_or(Reject::None))
    }

    fn judge_enter(&self, command: &Command, now_ns: u64) -> Result<(), Reject> {
        let firm = firm_of(command);
        let limits = &self.limits[firm];
        let price = self.judge_terms(command, command.symbol, command.side)?;
        if self.of_firm(firm).count() as u32 >= limits.max_open_orders {
            return Err(Reject::TooManyOpenOrders);
        }
        let worth = u64::from(price) * u64::from(command.qty);
        self.judge_exposure(firm, command.symbol, command.side, command.qty, worth)?;
        let last = self.recent.iter().rev().find(|(_, key)| *key == key_of(command));
        if last.is_some_and(|(at, _)| now_ns - at < limits.duplicate_window_ns) {
            return Err(Reject::DuplicateMessageRate);
        }
        Ok(())
    }

    fn judge_replace(&self, command: &Command) -> Result<(), Reject> {
        let old = self.find(command.user, command.orig_user_ref);
        let old = old.ok_or(Reject::ReplaceNotAllowed)?;
        let price = self.judge_terms(command, old.symbol, old.side)?;
        let open = command.qty.saturating_sub(self.known[&old.slot].executed);
        let worth = u64::from(price) * u64::from(open);
        let more_worth = worth.saturating_sub(u64::from(old.price.0) * u64::from(old.qty));
        let more = open.saturating_sub(old.qty);
        self.judge_exposure(firm_of(command), old.symbol, old.side, more, more_worth)
    }

    fn collar(&self, firm: usize, symbol: SymbolId) -> (u32, u32) {
        let reference = self.last_trade[symbol.index()];
        match self.limits[firm].price_collar_bps {
            0 => (0, Price::MAX_LIMIT.0),
            bps => {
                let width = reference / 100 * bps / 100 + reference % 100 * bps / 10_000;
                (reference - width, reference + width)
            }
        }
    }

    fn judge_terms(&self, c: &Command, symbol: SymbolId, side: Side) -> Result<u32, Reject> {
        let firm = firm_of(c);
        let limits = &self.limits[firm];
        if self.disabled[firm] {
            return Err(Reject::FirmNotAuthorized);
        }
        if limits.restricted.get(symbol.index()) == Some(&true) {
            return Err(Reject::RestrictedStock);
        }
        match side {
            Side::SellShort if !limits.short_sales => return Err(Reject::ShortSellNotAllowed),
            Side::SellShortExempt if !limits.short_sales => {
                return Err(Reject::ShortSellExemptNotAllowed);
            }
            _ => {}
        }
        if c.qty > limits.max_order_qty {
            return Err(Reject::MaxQuantityExceeded);
        }
        let (low, high) = self.collar(firm, symbol);
        let price = if c.flags.has(OrderFlags::MARKET) {
            if !limits.market_orders {
                return Err(Reject::MarketOrderNotAllowed);
            }
            self.last_trade[symbol.index()]
        } else {
            if c.price.0 == 0 || !c.price.0.is_multiple_of(TICK) {
                return Err(Reject::InvalidPrice);
            }
            if !(low..=high).contains(&c.price.0) {
                return Err(Reject::FatFinger);
            }
            c.price.0
        };
        if u64::from(price) * u64::from(c.qty) > limits.max_order_notional {
            return Err(Reject::SingleOrderNotional);
        }
        Ok(price)
    }

    fn judge_exposure(
        &self,
        firm: usize,
        symbol: SymbolId,
        side: Side,
        more: u32,
        more_worth: u64,
    ) -> Result<(), Reject> {
        let buys = side.is_buy();
        let of_side = self.of_firm(firm).filter(|o| o.symbol == symbol && o.side.is_buy() == buys);
        let open: i64 = of_side.map(|o| i64::from(o.qty)).sum();
        let held = self.position[firm][symbol.index()];
        let worst = if buys { open + held } else { open - held };
        let limits = &self.limits[firm];
        let too_many = more > 0 && worst + i64::from(more) > limits.max_position;
        let too_much =
            more_worth > 0 && self.notional(firm) + more_worth > limits.max_open_notional;
        if too_many || too_much { Err(Reject::AggregateExposure) } else { Ok(()) }
    }

    /// What risk has to fill in beside the verdict.
    fn check_terms(&self, command: &Command) {
        if !matches!(command.kind, CommandKind::Enter | CommandKind::Replace) {
            return;
        }
        let firm = firm_of(command);
        assert_eq!(command.self_trade, self.limits[firm].self_trade);
        let (low, high) = self.collar(firm, command.symbol);
        let limit = match (command.flags.has(OrderFlags::MARKET), command.side.is_buy()) {
            (false, _) => command.price.0,
            (true, true) => high,
            (true, false) => low,
        };
        assert_eq!(command.limit, Price(limit), "{command:?}");
    }
}

fn key_of(c: &Command) -> Key {
    (c.user.0, c.symbol.0, c.side, c.qty, c.price)
}

/// Risk and book, and the model beside them.
struct Floor {
    risk: Risk,
    book: Book,
    reports: RingReports<Sink>,
    model: Model,
    now_ns: u64,
    /// Everything that was sequenced.
    journal: Vec<Command>,
}

fn fresh() -> (Risk, Book) {
    let mut risk = Risk::new(Capacity { orders: 64, users: 3, firms: 2, symbols: 2 });
    for (firm, limits) in limits().into_iter().enumerate() {
        risk.set_limits(FirmId(firm as u16), limits);
    }
    (risk, Book::new(crate::book::Capacity { orders: 64, symbols: 2 }))
}

impl Floor {
    fn new() -> Floor {
        let (risk, book) = fresh();
        let model = Model {
            limits: limits(),
            last_ref: [0; 3],
            disabled: [false; 2],
            last_trade: [REFERENCE; 2],
            position: [[0; 2]; 2],
            known: HashMap::new(),
            recent: vec![],
            open: vec![],
        };
        let reports = RingReports::new(Sink::default());
        let mut floor = Floor { risk, book, reports, model, now_ns: T0, journal: vec![] };
        for (user, firm) in (0..).zip(FIRM_OF) {
            floor.own(Command::new(CommandKind::DefineUser, UserId(user), FirmId(firm)));
        }
        for symbol in [SymbolId(0), SymbolId(1)] {
            let command = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
            floor.own(Command { price: Price(TICK), symbol, ..command });
            floor.risk.set_reference_price(symbol, Price(REFERENCE));
        }
        floor
    }

    fn own(&mut self, mut command: Command) {
        self.risk.sequence_own(&mut command, self.now_ns);
        self.apply(&command);
    }

    fn apply(&mut self, command: &Command) {
        self.journal.push(*command);
        self.book.apply(command, &mut self.reports);
        for feedback in std::mem::take(&mut self.reports.outlet.feedback) {
            let known = self.model.known.get_mut(&feedback.slot.0).expect("an open order");
            assert_eq!(known.user, feedback.user.0);
            if feedback.kind == FeedbackKind::Filled {
                known.executed += feedback.qty;
                let firm = usize::from(FIRM_OF[usize::from(known.user)]);
                let symbol = command.symbol.index();
                let sign = if known.buys { 1 } else { -1 };
                self.model.position[firm][symbol] += sign * i64::from(feedback.qty);
                self.model.last_trade[symbol] = feedback.price.0;
            }
            self.risk.feed_back(&feedback);
        }
        while let Some(cancel) = self.risk.next_cancel(self.now_ns) {
            self.apply(&cancel);
        }
    }

    fn send(&mut self, command: Command) {
        self.model.look(&self.book);
        let expected = self.model.judge(&command, self.now_ns);
        let (ignored, rejected) = (self.risk.ignored(), self.risk.rejected());
        let mut told = command;
        let sequenced = self.risk.sequence(&mut told, self.now_ns);
        let verdict = sequenced.then_some(told.verdict);
        assert_eq!(verdict, expected, "{command:?}");
        assert_eq!(self.risk.ignored() - ignored, u64::from(!sequenced));
        let refused = sequenced && told.verdict != Reject::None;
        assert_eq!(self.risk.rejected() - rejected, u64::from(refused));
        if !sequenced {
            return;
        }
        let user = command.user.index();
        if command.kind == CommandKind::AccountQuery {
            assert_eq!(told.answer, self.model.last_ref[user] + 1);
        } else if !matches!(command.kind, CommandKind::Cancel | CommandKind::Modify) {
            self.model.last_ref[user] = self.model.last_ref[user].max(command.user_ref.0);
        }
        if told.verdict == Reject::None {
            self.model.check_terms(&told);
            self.take_in(&command, &told);
        }
        self.apply(&told);
        self.model.look(&self.book);
        for firm in 0..2 {
            let id = FirmId(firm as u16);
            assert_eq!(self.risk.open_notional(id), self.model.notional(firm));
            assert_eq!(self.risk.open_orders_of(id) as usize, self.model.of_firm(firm).count());
            for symbol in 0..2 {
                let position = self.risk.position(id, SymbolId(symbol as u16));
                assert_eq!(position, self.model.position[firm][symbol]);
            }
        }
        for user in 0..3 {
            let has = self.model.open.iter().any(|o| o.user.0 == user);
            assert_eq!(self.risk.has_orders(UserId(user)), has);
        }
    }

    /// What an accepted command changes beside the book.
    fn take_in(&mut self, asked: &Command, told: &Command) {
        let firm = firm_of(told);
        match told.kind {
            CommandKind::Enter => {
                self.model.recent.push((self.now_ns, key_of(told)));
                let known = Known {
                    user: told.user.0,
                    buys: told.side.is_buy(),
                    executed: 0,
                    group: told.group,
                    capacity: told.capacity,
                };
                self.model.known.insert(told.slot.0, known);
            }
            CommandKind::Replace => {
                let old = self.model.find(told.user, told.orig_user_ref).unwrap();
                let known = self.model.known.get_mut(&old.slot).unwrap();
                let group = if asked.group == 0 { known.group } else { asked.group };
                assert_eq!((told.slot.0, told.symbol, told.side), (old.slot, old.symbol, old.side));
                assert_eq!((told.group, told.capacity), (group, known.capacity));
                known.group = group;
            }
            CommandKind::DisableFirm => self.model.disabled[firm] = true,
            CommandKind::EnableFirm => self.model.disabled[firm] = false,
            _ => {}
        }
    }

    /// What a recovery does with the same commands ends where this is.
    fn replay(&self) {
        let (mut risk, mut book) = fresh();
        let mut reports = RingReports::new(Sink::default());
        for command in &self.journal {
            risk.replay(command);
            book.apply(command, &mut reports);
            std::mem::take(&mut reports.outlet.feedback).iter().for_each(|f| risk.feed_back(f));
        }
        assert_eq!(risk.digest(), self.risk.digest());
        let last = self.journal.last().unwrap();
        assert_eq!((risk.last_seq(), risk.last_time_ns()), (last.seq, last.time_ns));
        assert_eq!(self.risk.last_seq().0, self.journal.len() as u64);
        assert_eq!(risk.open_orders(), self.risk.open_orders());
    }
}

fn command_of(step: &(u8, u16, u16, u8, u32, u32, u32, u8), next_ref: u32) -> Command {
    let &(what, user, symbol, side, qty, price, pick, style) = step;
    let target = next_ref.saturating_sub(pick).max(1);
    let about = |kind| Command::new(kind, UserId(user), FirmId(FIRM_OF[usize::from(user)]));
    let order = |kind| Command {
        user_ref: UserRefNum(next_ref),
        symbol: SymbolId(symbol),
        side: [
            Side::Buy,
            Side::Buy,
            Side::Sell,
            Side::Sell,
            Side::SellShort,
            Side::SellShortExempt,
        ][usize::from(side)],
        qty,
        price: Price(price * 50),
        group: (pick % 3) as u16,
        capacity: if pick % 2 == 0 { As::Principal } else { As::Agency },
        tif: if style == 0 { TimeInForce::Ioc } else { TimeInForce::Day },
        ..about(kind)
    };
    let market = |order: Command| Command {
        flags: OrderFlags(OrderFlags::MARKET),
        price: Price::MARKET,
        tif: TimeInForce::Ioc,
        ..order
    };
    match what {
        0..=8 => order(CommandKind::Enter),
        9 => market(order(CommandKind::Enter)),
        10 => Command { user_ref: UserRefNum(target), ..order(CommandKind::Enter) },
        11..=14 => Command { orig_user_ref: UserRefNum(target), ..order(CommandKind::Replace) },
        15..=17 => Command {
            user_ref: UserRefNum(target),
            qty: qty / 2,
            number_in: u32::from(style),
            ..about(CommandKind::Cancel)
        },
        18 => Command { user_ref: UserRefNum(target), qty, ..about(CommandKind::Modify) },
        19 if style == 0 => order(CommandKind::MassCancel),
        19 => about(CommandKind::AccountQuery),
        20 if style == 0 => order(CommandKind::DisableFirm),
        _ => order(CommandKind::EnableFirm),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_verdict_is_the_model_s(
        steps in prop::collection::vec(
            (0u8..22, 0u16..3, 0u16..2, 0u8..6, 1u32..11, 1_888u32..2_112, 0u32..12, 0u8..4),
            1..120),
        waits in prop::collection::vec(0u64..700, 120),
    ) {
        let mut floor = Floor::new();
        for (n, step) in steps.iter().enumerate() {
            floor.now_ns += waits[n];
            floor.send(command_of(step, n as u32 + 1));
        }
        floor.replay();
    }
}

/// The digest tells apart what would behave differently.
#[test]
fn the_digest_holds_what_decides() {
    let with = |change: fn(&mut Floor)| {
        let mut floor = Floor::new();
        change(&mut floor);
        floor.risk.digest()
    };
    let enter = |user: u16, user_ref: u32, qty: u32| Command {
        user_ref: UserRefNum(user_ref),
        side: Side::Buy,
        qty,
        price: Price(REFERENCE),
        ..Command::new(CommandKind::Enter, UserId(user), FirmId(FIRM_OF[usize::from(user)]))
    };
    // Each of them sequences one command.
    let digests = [
        with(|_| ()),
        with(|f| f.send(Command::new(CommandKind::AccountQuery, UserId(0), FirmId(0)))),
        with(|f| f.send(Command::new(CommandKind::DisableFirm, UserId(0), FirmId(0)))),
        with(|f| f.send(Command::new(CommandKind::DisableFirm, UserId(2), FirmId(1)))),
        with(|f| f.own(Command::new(CommandKind::DefineUser, UserId(0), FirmId(1)))),
        {
            let mut floor = Floor::new();
            floor.send(enter(0, 1, 3));
            floor.risk.digest()
        },
        {
            let mut floor = Floor::new();
            floor.send(enter(0, 2, 3));
            floor.risk.digest()
        },
        {
            let mut floor = Floor::new();
            floor.send(enter(1, 1, 3));
            floor.risk.digest()
        },
        {
            let mut floor = Floor::new();
            floor.send(enter(0, 1, 4));
            floor.risk.digest()
        },
    ];
    for (n, digest) in digests.iter().enumerate() {
        assert!(!digests[..n].contains(digest), "{n}");
    }
}
