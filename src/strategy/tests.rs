//! A desk against a venue that says what is true, over a connection that is lost at any time; limits; the two
//! strategies.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::order::{NANOS_PER_SEC, Price};

const MOST: u32 = 500;

fn limits() -> Limits {
    Limits {
        max_order_shares: 200,
        max_position: MOST,
        max_open_orders: 8,
        max_loss: u64::MAX >> 2,
        orders_per_second: usize::MAX,
    }
}

fn desk() -> Desk {
    Desk::new(&["AAPL"], limits(), Fees::default())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct True {
    buys: bool,
    open: u32,
    filled: u32,
    price: Price,
}

/// What really is, and the numbered stream that tells of it.
#[derive(Default)]
struct Venue {
    orders: BTreeMap<OrderId, True>,
    last_id: OrderId,
    position: i64,
    stream: Vec<Report>,
}

impl Venue {
    fn carry_out(&mut self, request: &Request, chance: u8) {
        match *request {
            Request::Enter { id, buys, shares, price, manner, .. } => {
                assert!(id > self.last_id, "numbers go up");
                self.last_id = id;
                if chance.is_multiple_of(7) {
                    return self.stream.push(Report::Rejected { id, reason: 1 });
                }
                self.orders.insert(id, True { buys, open: shares, filled: 0, price });
                let reference = u64::from(id) * 10;
                let symbol = *b"AAPL    ";
                self.stream.push(Report::Accepted {
                    id,
                    symbol,
                    buys,
                    shares,
                    price,
                    reference,
                    live: true,
                });
                if manner == Manner::Ioc {
                    self.trade(id, u32::from(chance) % (shares + 1));
                    self.cancel(id);
                }
            }
            Request::Replace { old, id, shares, price, .. } => {
                assert!(id > self.last_id, "numbers go up");
                self.last_id = id;
                if chance.is_multiple_of(5) || !self.orders.contains_key(&old) {
                    return self.stream.push(Report::Rejected { id, reason: 21 });
                }
                let before = self.orders.remove(&old).unwrap();
                let open = shares.saturating_sub(before.filled);
                if open > 0 {
                    self.orders.insert(id, True { open, price, ..before });
                }
                let reference = u64::from(id) * 10;
                let live = open > 0;
                self.stream.push(Report::Replaced {
                    old,
                    id,
                    shares: open,
                    price,
                    reference,
                    live,
                });
            }
            Request::Cancel { id } => self.cancel(id),
        }
    }

    fn cancel(&mut self, id: OrderId) {
        if let Some(order) = self.orders.remove(&id) {
            self.stream.push(Report::Canceled { id, shares: order.open });
        }
    }

    fn trade(&mut self, id: OrderId, shares: u32) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let shares = shares.min(order.open);
        if shares == 0 {
            return;
        }
        (order.open, order.filled) = (order.open - shares, order.filled + shares);
        self.position += if order.buys { i64::from(shares) } else { -i64::from(shares) };
        let (price, match_number) = (order.price, self.stream.len() as u64);
        if order.open == 0 {
            self.orders.remove(&id);
        }
        self.stream.push(Report::Executed { id, shares, price, added: true, match_number });
    }

    fn assert_within_limits(&self) {
        let open = |buys| -> i64 {
            self.orders.values().filter(|o| o.buys == buys).map(|o| i64::from(o.open)).sum()
        };
        let most = i64::from(MOST);
        assert!(self.position + open(true) <= most, "{} and {}", self.position, open(true));
        assert!(open(false) - self.position <= most, "{} and {}", self.position, open(false));
    }
}

/// Both ends, and what is on its way between them.
struct World {
    desk: Desk,
    venue: Venue,
    up: VecDeque<Request>,
    /// Reports up to here were told.
    told: usize,
    /// Reports up to here are on their way.
    sent: usize,
    answered: bool,
}

impl World {
    fn new() -> World {
        let mut desk = desk();
        desk.connected(1);
        World {
            desk,
            venue: Venue::default(),
            up: VecDeque::new(),
            told: 0,
            sent: 0,
            answered: true,
        }
    }

    fn send(&mut self) {
        let up = &mut self.up;
        self.desk.send_requests(|_, request| up.push_back(*request));
    }

    fn arrive(&mut self, chance: u8) {
        if let Some(request) = self.up.pop_front() {
            self.venue.carry_out(&request, chance);
            self.venue.assert_within_limits();
        }
        self.sent = self.venue.stream.len();
    }

    fn hear(&mut self) {
        if self.told < self.sent {
            self.desk.report(&self.venue.stream[self.told]);
            self.told += 1;
        } else if !self.answered {
            // The query's answer comes behind everything else.
            self.answered = true;
            self.desk.connected(self.venue.last_id + 1);
        }
    }

    /// Requests and reports on their way are gone; some of the requests arrived first.
    fn lose(&mut self, arrive: usize, cancels: bool) {
        for _ in 0..arrive {
            self.arrive(1);
        }
        self.up.clear();
        if cancels {
            let ids: Vec<_> = self.venue.orders.keys().copied().collect();
            ids.into_iter().for_each(|id| self.venue.cancel(id));
        }
        self.desk.lost();
        // The replay begins behind what was heard.
        self.sent = self.venue.stream.len();
        self.answered = false;
    }

    fn settle(&mut self) {
        while !self.up.is_empty() || self.told < self.venue.stream.len() || !self.answered {
            self.arrive(1);
            self.hear();
        }
    }

    fn assert_agree(&self) {
        let known: BTreeMap<_, _> = self.desk.orders().iter().map(|o| (o.id, *o)).collect();
        assert_eq!(known.keys().collect::<Vec<_>>(), self.venue.orders.keys().collect::<Vec<_>>());
        for (id, order) in &self.venue.orders {
            let own = &known[id];
            let found = (own.buys, own.open, own.filled, own.price);
            assert_eq!(found, (order.buys, order.open, order.filled, order.price));
            assert!(own.is_settled() && own.successor.is_none(), "{own:?}");
            let state = if own.filled > 0 { State::PartlyFilled } else { State::Live };
            assert_eq!(own.state, state);
        }
        assert_eq!(self.desk.position(0).shares, self.venue.position);
    }
}

fn act(world: &mut World, what: u8, which: usize, shares: u32, chance: u8) {
    let ids: Vec<OrderId> = world.desk.orders().iter().map(|order| order.id).collect();
    let own = ids.get(which % ids.len().max(1)).copied();
    let price = Price(1_000_000 + u32::from(chance));
    match what {
        0..3 => {
            let manner = [Manner::Day, Manner::PostOnly, Manner::Ioc][usize::from(chance) % 3];
            let _ = world.desk.enter(0, chance.is_multiple_of(2), shares, price, manner);
        }
        3..5 => own.into_iter().for_each(|id| _ = world.desk.replace(id, shares, price)),
        5 => own.into_iter().for_each(|id| world.desk.cancel(id)),
        6..9 => world.arrive(chance),
        9..13 => world.hear(),
        13..15 => {
            let open: Vec<OrderId> = world.venue.orders.keys().copied().collect();
            if let Some(id) = open.get(which % open.len().max(1)) {
                world.venue.trade(*id, shares);
            }
        }
        _ if chance < 60 => world.lose(which % 4, chance < 20),
        _ => {}
    }
    world.send();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_desk_knows_what_is_true_once_everything_was_heard_and_never_exceeds_its_limits(
        steps in prop::collection::vec((0..16u8, 0..8usize, 1..250u32, any::<u8>()), 1..250),
    ) {
        let mut world = World::new();
        for (n, (what, which, shares, chance)) in steps.into_iter().enumerate() {
            act(&mut world, what, which, shares, chance);
            world.venue.assert_within_limits();
            if n % 50 == 49 {
                world.settle();
                world.assert_agree();
            }
        }
        world.settle();
        world.assert_agree();
        // A desk that begins anew and has the whole day told knows the same.
        let mut late = desk();
        world.venue.stream.iter().for_each(|report| _ = late.report(report));
        late.connected(world.venue.last_id + 1);
        world.desk = late;
        world.assert_agree();
        // The kill switch leaves nothing.
        world.desk.kill(Killed::Asked);
        world.send();
        world.settle();
        prop_assert!(world.desk.orders().is_empty() && world.venue.orders.is_empty());
        prop_assert_eq!(world.desk.enter(0, true, 1, Price(1), Manner::Day), Err(Refused::Killed));
    }
}

#[test]
fn every_message_does_what_the_picture_says() {
    let accepted = |id| Report::Accepted {
        id,
        symbol: *b"AAPL    ",
        buys: true,
        shares: 100,
        price: Price(10),
        reference: 7,
        live: true,
    };
    let replaced = |old, id| {
        let (shares, price, reference) = (50, Price(11), 8);
        Report::Replaced { old, id, shares, price, reference, live: true }
    };
    let executed = |id, shares| Report::Executed {
        id,
        shares,
        price: Price(10),
        added: true,
        match_number: 1,
    };
    let state = |orders: &Orders, id| orders.get(id).map(|order| order.state);
    let take = |orders: &mut Orders, report| orders.take(&report, |_| Some(0)).map(|o| o.state);
    let begun = || {
        let mut orders = Orders::default();
        orders.entered(1, 0, (true, 100, Price(10)), Manner::Day);
        orders
    };
    let live = || {
        let mut orders = begun();
        assert_eq!(take(&mut orders, accepted(1)), Some(State::Live));
        orders
    };
    assert_eq!(state(&begun(), 1), Some(State::Pending));
    assert_eq!(take(&mut begun(), Report::Rejected { id: 1, reason: 0 }), Some(State::Done));
    assert_eq!(take(&mut live(), executed(1, 40)), Some(State::PartlyFilled));
    assert_eq!(take(&mut live(), executed(1, 100)), Some(State::Done));
    assert_eq!(take(&mut live(), Report::Canceled { id: 1, shares: 100 }), Some(State::Done));
    assert_eq!(take(&mut live(), Report::Canceled { id: 1, shares: 30 }), Some(State::Live));
    // A replacement under way: what trades leaves it under way.
    let replacing = || {
        let mut orders = live();
        orders.replacing(1, 2, 50, Price(11));
        orders
    };
    assert_eq!(state(&replacing(), 1), Some(State::Replacing));
    assert_eq!(take(&mut replacing(), executed(1, 40)), Some(State::Replacing));
    assert_eq!(take(&mut replacing(), executed(1, 100)), Some(State::Done));
    assert_eq!(take(&mut replacing(), replaced(1, 2)), Some(State::Live));
    assert_eq!(take(&mut replacing(), Report::Rejected { id: 2, reason: 0 }), Some(State::Live));
    let mut both = replacing();
    assert_eq!(both.cancelling(1), (Some(1), Some(2)));
    assert_eq!(both.cancelling(1), (None, None), "one Cancel is enough");
    assert_eq!(take(&mut both, replaced(1, 2)), Some(State::Cancelling));
    assert_eq!(take(&mut both, Report::Canceled { id: 2, shares: 50 }), Some(State::Done));
    assert!(both.is_empty());
    let mut refused = live();
    refused.cancelling(1);
    assert_eq!(take(&mut refused, Report::CancelRejected { id: 1 }), Some(State::Live));
    // The connection is lost: what was not heard of never arrived, the rest is as it was.
    for (mut orders, expected) in
        [(begun(), None), (live(), Some(State::Live)), (replacing(), Some(State::Live))]
    {
        orders.lost();
        assert_eq!(state(&orders, 1), Some(State::Unknown));
        let mut gone = 0;
        orders.settled(|_| gone += 1);
        assert_eq!((state(&orders, 1), gone), (expected, u32::from(expected.is_none())));
    }
    let mut unknown = replacing();
    unknown.lost();
    assert_eq!(take(&mut unknown, executed(1, 40)), Some(State::Unknown));
    assert_eq!(take(&mut unknown, replaced(1, 2)), Some(State::Unknown));
    unknown.settled(|_| ());
    assert_eq!(state(&unknown, 2), Some(State::PartlyFilled));
}

#[test]
fn a_desk_keeps_its_own_limits() {
    let limits = Limits { orders_per_second: 5, max_open_orders: 3, ..limits() };
    let mut desk = Desk::new(&["AAPL"], limits, Fees::default());
    let price = Price(1_000_000);
    assert_eq!(desk.enter(0, true, 100, price, Manner::Day), Err(Refused::Away));
    desk.connected(17);
    for (shares, expected) in [(0, Refused::Shares), (201, Refused::Shares)] {
        assert_eq!(desk.enter(0, true, shares, price, Manner::Day), Err(expected));
    }
    assert_eq!(desk.enter(0, true, 200, price, Manner::Day), Ok(17));
    assert_eq!(desk.enter(0, true, 200, price, Manner::Day), Ok(18));
    assert_eq!(desk.enter(0, true, 101, price, Manner::Day), Err(Refused::Position));
    assert_eq!(desk.replace(17, 10, price), Err(Refused::Busy), "nothing was heard of it");
    assert_eq!(desk.enter(0, false, 200, price, Manner::Day), Ok(19));
    assert_eq!(desk.enter(0, false, 1, price, Manner::Day), Err(Refused::OpenOrders));
    for id in [17, 18, 19] {
        desk.report(&Report::Canceled { id, shares: 200 });
    }
    assert_eq!(desk.enter(0, true, 1, price, Manner::Day), Ok(20));
    assert_eq!(desk.enter(0, true, 1, price, Manner::Day), Ok(21));
    assert_eq!(desk.enter(0, true, 1, price, Manner::Day), Err(Refused::Rate));
    desk.set_now(NANOS_PER_SEC);
    assert_eq!(desk.enter(0, true, 1, price, Manner::Day), Ok(22));
    assert_eq!(desk.counts().refused, 7);
}

#[test]
fn a_loss_throws_the_kill_switch_and_profit_is_exact() {
    let limits = Limits { max_loss: 50_000, ..limits() };
    let mut desk = Desk::new(&["AAPL"], limits, Fees { added: -20, removed: 30 });
    desk.connected(1);
    let id = desk.enter(0, true, 100, Price(300_009_600), Manner::Day).unwrap();
    let (shares, reference) = (100, 9);
    let (symbol, price) = (*b"AAPL    ", Price(300_009_600));
    desk.report(&Report::Accepted { id, symbol, buys: true, shares, price, reference, live: true });
    desk.report(&Report::Executed { id, shares: 60, price, added: true, match_number: 1 });
    desk.mark(0, 2 * 300_009_600);
    // The rebate: 60 shares at 0.00002.
    assert_eq!((desk.twice_profit(), money(desk.twice_profit())), (24, "0.0012".to_owned() + "0"));
    desk.mark(0, 2 * 300_009_600 - 1_666);
    assert_eq!(desk.killed(), None);
    desk.mark(0, 2 * 300_009_600 - 1_668);
    assert_eq!(desk.killed(), Some(Killed::Loss(24 - 60 * 1_668)));
    assert_eq!(desk.killed().unwrap().to_string(), "a loss of 5.00280");
    let mut sent = vec![];
    desk.send_requests(|_, request| sent.push(*request));
    assert_eq!(sent[1..], [Request::Cancel { id }], "what is open goes");
    assert_eq!(desk.take_fills().next().unwrap().fee, -12);
}
