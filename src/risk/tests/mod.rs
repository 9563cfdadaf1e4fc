//! Each limit, at its edge and one beyond it, and exposure against a sum over the book.

mod exchange;
mod model;
mod venues;

use proptest::prelude::*;

use super::{Capacity, Limits, Risk};
use crate::book::{Book, Outlet, RingReports};
use crate::order::{
    Command, CommandKind, Event, EventKind, Feedback, FirmId, NANOS_PER_SEC, OrderFlags, Price,
    Reject, SelfTrade, Side, SymbolId, TimeInForce, UserId, UserRefNum,
};

pub(super) const T0: u64 = 1_000 * NANOS_PER_SEC;
const SYMBOL: SymbolId = SymbolId(0);

fn limits() -> Limits {
    Limits {
        max_order_qty: 1_000,
        max_order_notional: 100_000_000,
        price_collar_bps: 2_000,
        max_messages_per_second: 1_000_000,
        max_position: 5_000,
        max_open_notional: 1_000_000_000,
        max_open_orders: 1_000,
        max_unanswered: u32::MAX,
        duplicate_window_ns: 0,
        self_trade: SelfTrade::CancelNewest,
        market_orders: true,
        short_sales: true,
        restricted: vec![false],
    }
}

/// Collects feedback and the last event of each kind.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) feedback: Vec<Feedback>,
    events: Vec<EventKind>,
}

impl Outlet for Sink {
    fn has_room(&mut self, _: usize) -> bool {
        true
    }
    fn event(&mut self, _user: UserId, write: impl FnOnce(&mut Event)) {
        let mut event = Event::EMPTY;
        write(&mut event);
        self.events.push(event.kind);
    }
    fn feedback(&mut self, feedback: &Feedback) {
        self.feedback.push(*feedback);
    }
}

/// Risk and book joined directly, with two users of two firms.
struct Pair {
    risk: Risk,
    book: Book,
    reports: RingReports<Sink>,
    now_ns: u64,
}

impl Pair {
    fn new(limits: Limits) -> Pair {
        let mut risk = Risk::new(Capacity { orders: 64, users: 2, firms: 2, symbols: 1 });
        risk.set_limits(FirmId(0), limits.clone());
        risk.set_limits(FirmId(1), limits);
        let book = Book::new(crate::book::Capacity { orders: 64, symbols: 1 });
        let reports = RingReports::new(Sink::default());
        let mut pair = Pair { risk, book, reports, now_ns: T0 };
        for user in 0..2 {
            pair.define(Command::new(CommandKind::DefineUser, UserId(user), FirmId(user)));
        }
        let symbol = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
        pair.define(Command { price: Price(100), ..symbol });
        pair.risk.set_reference_price(SYMBOL, Price(100_000));
        pair
    }

    fn define(&mut self, mut command: Command) {
        self.risk.sequence_own(&mut command, self.now_ns);
        self.book.apply(&command, &mut self.reports);
    }

    /// Sequences and matches a command and all cancels that follow from it. What risk decided,
    /// `None` if it ignored the command.
    fn send(&mut self, mut command: Command) -> Option<Reject> {
        let sequenced = self.risk.sequence(&mut command, self.now_ns);
        if sequenced {
            self.book.apply(&command, &mut self.reports);
        }
        self.settle();
        sequenced.then_some(command.verdict)
    }

    fn settle(&mut self) {
        loop {
            for feedback in std::mem::take(&mut self.reports.outlet.feedback) {
                self.risk.feed_back(&feedback);
            }
            match self.risk.next_cancel(self.now_ns) {
                Some(cancel) => self.book.apply(&cancel, &mut self.reports),
                None => break,
            }
        }
    }
}

fn enter(user: u16, user_ref: u32, side: Side, qty: u32, price: u32) -> Command {
    Command {
        user_ref: UserRefNum(user_ref),
        side,
        qty,
        price: Price(price),
        symbol: SYMBOL,
        ..Command::new(CommandKind::Enter, UserId(user), FirmId(user))
    }
}

fn about(kind: CommandKind, user: u16, user_ref: u32) -> Command {
    Command { user_ref: UserRefNum(user_ref), ..Command::new(kind, UserId(user), FirmId(user)) }
}

/// What a fresh pair says to one order under changed limits.
fn verdict(change: impl FnOnce(&mut Limits), order: Command) -> Reject {
    let mut limits = limits();
    change(&mut limits);
    Pair::new(limits).send(order).expect("a new number is never ignored")
}

#[test]
fn quantity_and_notional_are_limited_per_order() {
    let buy = |qty, price| enter(0, 1, Side::Buy, qty, price);
    assert_eq!(verdict(|_| (), buy(1_000, 100_000)), Reject::None);
    assert_eq!(verdict(|_| (), buy(1_001, 90_000)), Reject::MaxQuantityExceeded);
    assert_eq!(verdict(|_| (), buy(1_000, 100_100)), Reject::SingleOrderNotional);
}

#[test]
fn prices_must_be_on_tick_and_inside_the_collar() {
    let buy = |price| enter(0, 1, Side::Buy, 1, price);
    assert_eq!(verdict(|_| (), buy(0)), Reject::InvalidPrice);
    assert_eq!(verdict(|_| (), buy(99_999)), Reject::InvalidPrice);
    assert_eq!(verdict(|_| (), buy(80_000)), Reject::None);
    assert_eq!(verdict(|_| (), buy(79_900)), Reject::FatFinger);
    assert_eq!(verdict(|_| (), buy(120_000)), Reject::None);
    assert_eq!(verdict(|_| (), buy(120_100)), Reject::FatFinger);
    assert_eq!(verdict(|l| l.price_collar_bps = 0, buy(500_000)), Reject::None);
}

#[test]
fn short_sales_market_orders_and_restricted_symbols_can_be_forbidden() {
    let short = enter(0, 1, Side::SellShort, 1, 100_000);
    let exempt = enter(0, 1, Side::SellShortExempt, 1, 100_000);
    assert_eq!(verdict(|_| (), short), Reject::None);
    assert_eq!(verdict(|l| l.short_sales = false, short), Reject::ShortSellNotAllowed);
    assert_eq!(verdict(|l| l.short_sales = false, exempt), Reject::ShortSellExemptNotAllowed);
    let market = Command {
        flags: OrderFlags(OrderFlags::MARKET),
        price: Price::MARKET,
        ..enter(0, 1, Side::Buy, 1, 0)
    };
    assert_eq!(verdict(|_| (), market), Reject::None);
    assert_eq!(verdict(|l| l.market_orders = false, market), Reject::MarketOrderNotAllowed);
    let buy = enter(0, 1, Side::Buy, 1, 100_000);
    assert_eq!(verdict(|l| l.restricted = vec![true], buy), Reject::RestrictedStock);
}

#[test]
fn a_position_counts_open_orders_at_their_worst() {
    let mut pair = Pair::new(limits());
    for user_ref in 1..=5 {
        assert_eq!(pair.send(enter(0, user_ref, Side::Buy, 1_000, 90_000)), Some(Reject::None));
    }
    let over = pair.send(enter(0, 6, Side::Buy, 1, 90_000));
    assert_eq!(over, Some(Reject::AggregateExposure));
    // The other side has its own worst case, and a cancel makes room again.
    assert_eq!(pair.send(enter(0, 7, Side::Sell, 1_000, 100_000)), Some(Reject::None));
    assert_eq!(pair.send(about(CommandKind::Cancel, 0, 1)), Some(Reject::None));
    assert_eq!(pair.send(enter(0, 8, Side::Buy, 1_000, 90_000)), Some(Reject::None));
    // What trades stays in the position.
    assert_eq!(pair.send(enter(1, 1, Side::Sell, 1_000, 90_000)), Some(Reject::None));
    assert_eq!(pair.risk.position(FirmId(0), SYMBOL), 1_000);
    assert_eq!(pair.risk.position(FirmId(1), SYMBOL), -1_000);
    let over = pair.send(enter(0, 9, Side::Buy, 1, 90_000));
    assert_eq!(over, Some(Reject::AggregateExposure));
}

#[test]
fn open_notional_is_limited_over_all_orders() {
    let mut pair = Pair::new(Limits { max_open_notional: 150_000_000, ..limits() });
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 1_000, 100_000)), Some(Reject::None));
    let over = pair.send(enter(0, 2, Side::Sell, 501, 100_100));
    assert_eq!(over, Some(Reject::AggregateExposure));
    assert_eq!(pair.send(enter(0, 3, Side::Sell, 499, 100_100)), Some(Reject::None));
}

/// A Replace that was sequenced before risk heard that its order is filled: what a replay, which hears of it
/// at once, makes of it.
#[test]
fn a_replay_ends_with_the_same_exposure_when_a_replace_came_too_late() {
    let (mut live, mut again) = (Pair::new(limits()), Pair::new(limits()));
    let mut journal = vec![];
    let mut sequence = |pair: &mut Pair, mut command: Command| {
        assert!(pair.risk.sequence(&mut command, pair.now_ns));
        pair.book.apply(&command, &mut pair.reports);
        journal.push(command);
        command.verdict
    };
    sequence(&mut live, enter(0, 1, Side::Buy, 100, 100_000));
    sequence(&mut live, enter(1, 1, Side::Sell, 100, 100_000));
    for (old, new) in [(1, 2), (2, 3)] {
        let replace = Command {
            orig_user_ref: UserRefNum(old),
            kind: CommandKind::Replace,
            ..enter(0, new, Side::Buy, 300, 100_000)
        };
        assert_eq!(sequence(&mut live, replace), Reject::None, "nothing was fed back yet");
    }
    live.settle();
    assert_eq!(sequence(&mut live, enter(1, 2, Side::Sell, 50, 100_000)), Reject::None);
    live.settle();
    for command in &journal {
        again.risk.replay(command);
        again.book.apply(command, &mut again.reports);
        again.settle();
    }
    assert_eq!(again.risk.digest(), live.risk.digest());
    assert_eq!(again.risk.open_orders(), 1);
    // Neither knows the number of an order that never was.
    for pair in [&mut live, &mut again] {
        assert_eq!(pair.send(about(CommandKind::Cancel, 0, 3)), None);
    }
}

#[test]
fn a_replace_near_the_limit_counts_only_what_it_adds() {
    let mut pair = Pair::new(Limits { max_position: 1_000, ..limits() });
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 1_000, 90_000)), Some(Reject::None));
    let replace = Command {
        orig_user_ref: UserRefNum(1),
        qty: 1_000,
        price: Price(95_000),
        ..about(CommandKind::Replace, 0, 2)
    };
    assert_eq!(pair.send(replace), Some(Reject::None));
    assert_eq!(pair.risk.open_notional(FirmId(0)), 95_000_000);
    let stale = Command { user_ref: UserRefNum(3), ..replace };
    assert_eq!(pair.send(stale), Some(Reject::ReplaceNotAllowed));
}

#[test]
fn repeated_numbers_are_ignored_and_cancels_of_nothing_too() {
    let mut pair = Pair::new(limits());
    assert_eq!(pair.send(enter(0, 5, Side::Buy, 1, 90_000)), Some(Reject::None));
    assert_eq!(pair.send(enter(0, 5, Side::Buy, 1, 90_000)), None);
    assert_eq!(pair.send(enter(0, 4, Side::Buy, 1, 90_000)), None);
    assert_eq!(pair.send(about(CommandKind::Cancel, 0, 99)), None);
    assert_eq!(pair.risk.ignored(), 3);
    assert_eq!(pair.send(enter(0, u32::MAX, Side::Buy, 1, 90_000)), Some(Reject::None));
    assert_eq!(pair.send(enter(0, 6, Side::Buy, 1, 90_000)), None, "numbers do not wrap");
}

#[test]
fn a_disabled_firm_enters_nothing_until_enabled() {
    let mut pair = Pair::new(limits());
    assert_eq!(pair.send(about(CommandKind::DisableFirm, 0, 1)), Some(Reject::None));
    let refused = pair.send(enter(0, 2, Side::Buy, 1, 90_000));
    assert_eq!(refused, Some(Reject::FirmNotAuthorized));
    assert_eq!(pair.send(enter(1, 1, Side::Buy, 1, 90_000)), Some(Reject::None));
    assert_eq!(pair.send(about(CommandKind::EnableFirm, 0, 3)), Some(Reject::None));
    assert_eq!(pair.send(enter(0, 4, Side::Buy, 1, 90_000)), Some(Reject::None));
}

#[test]
fn a_user_beyond_its_rate_is_refused_but_may_still_cancel() {
    let mut pair = Pair::new(Limits { max_messages_per_second: 2, ..limits() });
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 1, 90_000)), Some(Reject::None));
    assert_eq!(pair.send(enter(0, 2, Side::Buy, 1, 90_000)), Some(Reject::None));
    let over = pair.send(enter(0, 3, Side::Buy, 1, 90_000));
    assert_eq!(over, Some(Reject::PortMessageRate));
    assert_eq!(pair.send(about(CommandKind::Cancel, 0, 1)), Some(Reject::None));
    assert_eq!(pair.send(enter(1, 1, Side::Buy, 1, 90_000)), Some(Reject::None));
    pair.now_ns += NANOS_PER_SEC;
    assert_eq!(pair.send(enter(0, 4, Side::Buy, 1, 90_000)), Some(Reject::None));
}

#[test]
fn a_repeated_order_is_refused_inside_the_window_only() {
    let mut pair = Pair::new(Limits { duplicate_window_ns: 1_000, ..limits() });
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 1, 90_000)), Some(Reject::None));
    let again = pair.send(enter(0, 2, Side::Buy, 1, 90_000));
    assert_eq!(again, Some(Reject::DuplicateMessageRate));
    assert_eq!(pair.send(enter(0, 3, Side::Buy, 2, 90_000)), Some(Reject::None));
    assert_eq!(pair.send(enter(1, 1, Side::Buy, 1, 90_000)), Some(Reject::None));
    pair.now_ns += 1_000;
    assert_eq!(pair.send(enter(0, 4, Side::Buy, 1, 90_000)), Some(Reject::None));
}

#[test]
fn a_gtt_order_expires_in_its_second() {
    let mut pair = Pair::new(limits());
    let order =
        Command { tif: TimeInForce::Gtt, expire_s: 2, ..enter(0, 1, Side::Buy, 10, 90_000) };
    assert_eq!(pair.send(order), Some(Reject::None));
    pair.now_ns += 2 * NANOS_PER_SEC - 1;
    pair.settle();
    assert_eq!(pair.book.open_orders(), 1);
    pair.now_ns += 1;
    pair.settle();
    assert_eq!(pair.book.open_orders(), 0);
    assert_eq!(pair.reports.outlet.events.last(), Some(&EventKind::Canceled));
}

#[test]
fn a_mass_cancel_takes_what_fits_and_spares_later_orders() {
    let mut pair = Pair::new(limits());
    for user_ref in 1..=3 {
        pair.send(enter(0, user_ref, Side::Buy, 10, 90_000));
        pair.send(enter(1, user_ref, Side::Buy, 10, 90_000));
    }
    pair.send(enter(0, 4, Side::Sell, 10, 110_000));
    let buys = Command {
        flags: OrderFlags(OrderFlags::ONE_SIDE),
        side: Side::Buy,
        ..about(CommandKind::MassCancel, 0, 5)
    };
    pair.send(buys);
    assert_eq!(pair.book.open_orders(), 4);
    pair.send(about(CommandKind::Disconnect, 0, 0));
    assert_eq!(pair.book.open_orders(), 3);
    assert_eq!(pair.risk.open_notional(FirmId(0)), 0);
    pair.send(enter(0, 6, Side::Buy, 10, 90_000));
    assert_eq!(pair.book.open_orders(), 4);
}

#[test]
fn when_slots_run_out_an_order_is_refused() {
    let mut pair = Pair::new(Limits { max_position: 1 << 40, ..limits() });
    for user_ref in 1..=64 {
        assert_eq!(pair.send(enter(0, user_ref, Side::Buy, 1, 90_000)), Some(Reject::None));
    }
    let refused = pair.send(enter(0, 65, Side::Buy, 1, 90_000));
    assert_eq!(refused, Some(Reject::ProcessingError));
}

/// Open shares and notional of a firm, added up over the book.
fn sum_over_book(pair: &Pair, firm: FirmId) -> (i64, i64, u64) {
    let mut sum = (0, 0, 0);
    pair.book.for_each_order(SYMBOL, |_, order| {
        if order.firm == firm {
            let open = if order.side.is_buy() { &mut sum.0 } else { &mut sum.1 };
            *open += i64::from(order.open());
            sum.2 += order.price.notional(order.open());
        }
    });
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn exposure_is_what_the_book_holds_and_positions_are_what_traded(
        steps in prop::collection::vec(
            (0u8..8, 0u16..2, any::<bool>(), 1u32..500, 850u32..1150, 0u32..40, 0u8..4), 1..200)
    ) {
        let mut pair = Pair::new(Limits { max_position: 1 << 40, ..limits() });
        for (next_ref, step) in (1..).zip(steps) {
            let (what, user, buys, qty, tick, pick, style) = step;
            let side = if buys { Side::Buy } else { Side::Sell };
            let order = |kind| Command {
                side,
                qty,
                price: Price(tick * 100),
                max_floor: if style == 1 { 10 } else { 0 },
                tif: if style == 2 { TimeInForce::Ioc } else { TimeInForce::Day },
                flags: OrderFlags(if style == 3 { OrderFlags::POST_ONLY } else { 0 }),
                symbol: SYMBOL,
                ..about(kind, user, next_ref)
            };
            let target = u32::max(next_ref - pick.min(next_ref - 1), 1);
            let command = match what {
                0..=3 => order(CommandKind::Enter),
                4 => Command {
                    orig_user_ref: UserRefNum(target), ..order(CommandKind::Replace)
                },
                5 => Command { qty, side, ..about(CommandKind::Modify, user, target) },
                6 => Command { qty: qty / 2, ..about(CommandKind::Cancel, user, target) },
                _ if pick == 0 => about(CommandKind::MassCancel, user, next_ref),
                _ => about(CommandKind::Cancel, user, target),
            };
            pair.send(command);
            for firm in [FirmId(0), FirmId(1)] {
                let (open_buy, open_sell, notional) = sum_over_book(&pair, firm);
                let holding = pair.risk.exposure.of(firm, SYMBOL);
                prop_assert_eq!(holding.open, [open_buy, open_sell]);
                prop_assert_eq!(pair.risk.open_notional(firm), notional);
            }
            let positions = [FirmId(0), FirmId(1)].map(|f| pair.risk.position(f, SYMBOL));
            prop_assert_eq!(positions[0], -positions[1]);
            prop_assert_eq!(pair.risk.open_orders(), pair.book.open_orders() as usize);
        }
    }
}

#[test]
fn a_firm_may_have_so_many_open_orders_and_room_comes_back() {
    let mut pair = Pair::new(Limits { max_open_orders: 3, ..limits() });
    for n in 1..=3 {
        assert_eq!(pair.send(enter(0, n, Side::Buy, 1, 90_000)), Some(Reject::None));
    }
    assert_eq!(pair.send(enter(0, 4, Side::Buy, 1, 90_000)), Some(Reject::TooManyOpenOrders));
    // Another firm has its own; what trades at once needs a place too, and gives it back.
    assert_eq!(pair.send(enter(1, 1, Side::Sell, 1, 90_000)), Some(Reject::None));
    assert_eq!(pair.risk.open_orders_of(FirmId(0)), 2);
    assert_eq!(pair.risk.open_orders_of(FirmId(1)), 0);
    assert_eq!(pair.send(enter(0, 5, Side::Buy, 1, 90_000)), Some(Reject::None));
    // A Replace takes the place of what it replaces.
    let replace = Command {
        orig_user_ref: UserRefNum(5),
        user_ref: UserRefNum(6),
        qty: 2,
        price: Price(91_000),
        ..Command::new(CommandKind::Replace, UserId(0), FirmId(0))
    };
    assert_eq!(pair.send(replace), Some(Reject::None));
    assert_eq!(pair.send(about(CommandKind::MassCancel, 0, 7)), Some(Reject::None));
    assert_eq!(pair.risk.open_orders_of(FirmId(0)), 0);
}

#[test]
fn a_replacement_counts_at_its_own_price_against_the_open_notional() {
    let mut pair = Pair::new(Limits { max_open_notional: 100_000_000, ..limits() });
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 500, 100_000)), Some(Reject::None));
    let replace = |orig, user_ref, qty, price| Command {
        orig_user_ref: UserRefNum(orig),
        user_ref: UserRefNum(user_ref),
        qty,
        price: Price(price),
        ..Command::new(CommandKind::Replace, UserId(0), FirmId(0))
    };
    assert_eq!(pair.send(replace(1, 2, 1_000, 100_000)), Some(Reject::None));
    assert_eq!(pair.send(replace(2, 3, 1_000, 100_100)), Some(Reject::SingleOrderNotional));
    assert_eq!(pair.send(enter(0, 4, Side::Buy, 1, 90_000)), Some(Reject::AggregateExposure));
    assert_eq!(pair.send(replace(2, 5, 999, 90_000)), Some(Reject::None));
    assert_eq!(pair.risk.open_notional(FirmId(0)), 999 * 90_000);
    assert_eq!(pair.send(enter(0, 6, Side::Buy, 100, 90_000)), Some(Reject::None));
    // Together with the other order it would be too much, though not alone.
    assert_eq!(pair.send(replace(5, 7, 999, 100_000)), Some(Reject::AggregateExposure));
}

#[test]
fn on_a_disk_that_is_nearly_full_only_cancels_go_on() {
    let mut pair = Pair::new(limits());
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 10, 90_000)), Some(Reject::None));
    pair.risk.set_disk_nearly_full(true);
    assert_eq!(pair.send(enter(0, 2, Side::Buy, 10, 90_000)), Some(Reject::DiskNearlyFull));
    let replace = Command {
        orig_user_ref: UserRefNum(1),
        user_ref: UserRefNum(3),
        qty: 10,
        price: Price(91_000),
        ..Command::new(CommandKind::Replace, UserId(0), FirmId(0))
    };
    assert_eq!(pair.send(replace), Some(Reject::DiskNearlyFull));
    assert_eq!(pair.send(about(CommandKind::Cancel, 0, 1)), Some(Reject::None));
    assert_eq!(pair.book.open_orders(), 0);
    pair.risk.set_disk_nearly_full(false);
    assert_eq!(pair.send(enter(0, 4, Side::Buy, 10, 90_000)), Some(Reject::None));
}

#[test]
fn one_who_repeats_nothing_does_not_push_out_what_is_remembered_of_others() {
    let mut pair = Pair::new(Limits { duplicate_window_ns: 1_000, ..limits() });
    let honest = |user_ref| enter(1, user_ref, Side::Sell, 7, 110_000);
    assert_eq!(pair.send(honest(1)), Some(Reject::None));
    let mut refused = 0;
    for n in 0..70_000 {
        // Each is another order, and is gone at once.
        let flood = Command {
            tif: TimeInForce::Ioc,
            ..enter(0, n + 1, Side::Buy, 1 + n % 1_000, 90_000 + n / 1_000 * 100)
        };
        refused += u32::from(pair.send(flood) == Some(Reject::DuplicateMessageRate));
    }
    assert!(refused > 0);
    assert_eq!(pair.send(honest(2)), Some(Reject::DuplicateMessageRate), "it is remembered still");
    pair.now_ns += 1_000;
    assert_eq!(pair.send(honest(3)), Some(Reject::None));
}

fn replace(orig: u32, user_ref: u32, qty: u32, price: u32) -> Command {
    Command {
        orig_user_ref: UserRefNum(orig),
        qty,
        price: Price(price),
        ..about(CommandKind::Replace, 0, user_ref)
    }
}

#[test]
fn who_is_beyond_a_limit_that_was_lowered_may_still_reduce() {
    let mut pair = Pair::new(limits());
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 500, 100_000)), Some(Reject::None));
    let lowered = Limits { max_position: 100, max_open_notional: 10_000_000, ..limits() };
    pair.risk.set_limits(FirmId(0), lowered);
    assert_eq!(pair.send(replace(1, 2, 400, 100_000)), Some(Reject::None));
    assert_eq!(pair.send(replace(2, 3, 400, 99_000)), Some(Reject::None));
    assert_eq!(pair.send(replace(3, 4, 401, 99_000)), Some(Reject::AggregateExposure));
    assert_eq!(pair.send(replace(3, 5, 400, 99_100)), Some(Reject::AggregateExposure));
    assert_eq!(pair.risk.open_notional(FirmId(0)), 400 * 99_000);
}

#[test]
fn an_order_whose_cancel_is_on_its_way_is_not_replaced() {
    let mut pair = Pair::new(limits());
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 10, 90_000)), Some(Reject::None));
    // A user's own cancel may leave something of the order; the end of a session does not.
    let mut half = Command { qty: 5, ..about(CommandKind::Cancel, 0, 1) };
    assert!(pair.risk.sequence(&mut half, pair.now_ns));
    let mut good = replace(1, 2, 10, 91_000);
    assert!(pair.risk.sequence(&mut good, pair.now_ns));
    assert_eq!(good.verdict, Reject::None);
    pair.book.apply(&half, &mut pair.reports);
    pair.book.apply(&good, &mut pair.reports);
    pair.settle();
    let mut end = about(CommandKind::Disconnect, 0, 0);
    assert!(pair.risk.sequence(&mut end, pair.now_ns));
    let cancel = pair.risk.next_cancel(pair.now_ns).expect("the order");
    let mut late = replace(2, 3, 10, 92_000);
    assert!(pair.risk.sequence(&mut late, pair.now_ns));
    assert_eq!(late.verdict, Reject::ReplaceNotAllowed);
    pair.book.apply(&cancel, &mut pair.reports);
    pair.settle();
    assert_eq!(pair.book.open_orders(), 0);
}

#[test]
fn a_mass_cancel_takes_one_group_and_nothing_that_came_after_it() {
    let mut pair = Pair::new(limits());
    for (n, group) in [(1, 7), (2, 8), (3, 7)] {
        let order = Command { group, ..enter(0, n, Side::Buy, 10, 90_000) };
        assert_eq!(pair.send(order), Some(Reject::None));
    }
    let mut of_group = Command {
        flags: OrderFlags(OrderFlags::ONE_GROUP),
        group: 7,
        ..about(CommandKind::MassCancel, 0, 4)
    };
    assert!(pair.risk.sequence(&mut of_group, pair.now_ns));
    // Sequenced behind it, before its cancels are.
    let mut later = Command { group: 7, ..enter(0, 5, Side::Buy, 10, 90_000) };
    assert!(pair.risk.sequence(&mut later, pair.now_ns));
    pair.book.apply(&later, &mut pair.reports);
    pair.settle();
    let mut left = vec![];
    pair.book.for_each_order(SYMBOL, |_, order| left.push(order.user_ref.0));
    assert_eq!(left, [2, 5]);
    // A replacement keeps the group, and its place in time is its own.
    assert_eq!(pair.send(replace(5, 6, 10, 90_100)), Some(Reject::None));
    pair.send(Command { user_ref: UserRefNum(7), ..of_group });
    assert_eq!(pair.book.open_orders(), 1);
}

#[test]
fn a_replacement_has_its_own_time() {
    let gtt = |order: Command, expire_s| Command { tif: TimeInForce::Gtt, expire_s, ..order };
    let mut pair = Pair::new(limits());
    for user_ref in [1, 2] {
        let order = enter(0, user_ref, Side::Buy, 10, 90_000);
        assert_eq!(pair.send(gtt(order, 7)), Some(Reject::None));
    }
    assert!(pair.risk.has_timers());
    // One for the day, one for longer.
    assert_eq!(pair.send(replace(1, 3, 10, 90_000)), Some(Reject::None));
    assert_eq!(pair.send(gtt(replace(2, 4, 10, 90_000), 20)), Some(Reject::None));
    for (second, open) in [(6, 2), (7, 2), (19, 2), (20, 1), (100, 1)] {
        pair.now_ns = T0 + second * NANOS_PER_SEC;
        pair.settle();
        assert_eq!(pair.book.open_orders(), open, "after {second} s");
    }
    assert!(!pair.risk.has_timers());
}

#[test]
fn a_modify_that_cannot_be_read_changes_nothing() {
    let mut pair = Pair::new(Limits { max_position: 1 << 40, ..limits() });
    assert_eq!(pair.send(enter(0, 1, Side::SellShort, 10, 110_000)), Some(Reject::None));
    let to_long = |flags| Command {
        side: Side::Sell,
        qty: 10,
        flags: OrderFlags(flags),
        ..about(CommandKind::Modify, 0, 1)
    };
    // What the order is from then on is seen in what replaces it.
    let side_of_replacement = |pair: &mut Pair, user_ref| {
        let mut replace =
            Command { orig_user_ref: UserRefNum(1), ..replace(1, user_ref, 10, 110_000) };
        replace.price = Price(1); // off the tick, so that the order stays
        assert!(pair.risk.sequence(&mut replace, pair.now_ns));
        assert_eq!(replace.verdict, Reject::InvalidPrice);
        replace.side
    };
    assert_eq!(pair.send(to_long(OrderFlags::UNREADABLE)), Some(Reject::None));
    assert_eq!(side_of_replacement(&mut pair, 2), Side::SellShort);
    assert_eq!(pair.send(to_long(0)), Some(Reject::None));
    assert_eq!(side_of_replacement(&mut pair, 3), Side::Sell);
}

#[test]
fn what_traded_counts_in_the_size_of_a_replacement() {
    let mut pair = Pair::new(Limits { max_position: 10, ..limits() });
    assert_eq!(pair.send(enter(0, 1, Side::Buy, 10, 90_000)), Some(Reject::None));
    assert_eq!(pair.send(enter(1, 1, Side::Sell, 4, 90_000)), Some(Reject::None));
    assert_eq!(pair.risk.position(FirmId(0), SYMBOL), 4);
    assert_eq!(pair.send(replace(1, 2, 10, 91_000)), Some(Reject::None));
    assert_eq!(pair.send(replace(2, 3, 11, 91_000)), Some(Reject::AggregateExposure));
}
