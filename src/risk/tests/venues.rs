//! Orders that go out, beside venues that do whatever venues may do, and one that lies.
//!
//! What a client was told adds up to what is open, in the book or at a venue, after every step; when all is quiet,
//! what firms hold here is what traded here and what the venues say.

use std::collections::{HashMap, VecDeque};

use crate::book::drawn::Draw;
use crate::book::{Book, Outlet, RingReports};
use crate::order::{
    Command, CommandKind, Destination, Event, EventKind, Feedback, FirmId, OrderFlags, PROTOCOL_AT,
    Policy, Price, Reject, SelfTrade, SeqNum, Side, Slot, SymbolId, TimeInForce, UserId,
    UserRefNum, VENUE,
};
use crate::risk::{Capacity, Chased, FirmRouting, Limits, Risk, VenueTerms};

use super::exchange::{Exchange, signed};
use super::{T0, limits};

const CLIENTS: u16 = 4;
const VENUES: u16 = 2;
const SYMBOLS: u16 = 2;
const SLOTS: u32 = 64;
/// Two clients of each of two firms; the venues' own.
const VENUES_FIRM: FirmId = FirmId(2);

#[derive(Default)]
struct Sink {
    events: Vec<Event>,
    feedback: VecDeque<Feedback>,
}

impl Outlet for Sink {
    fn has_room(&mut self, _: usize) -> bool {
        true
    }
    fn event(&mut self, user: UserId, write: impl FnOnce(&mut Event)) {
        // A place of a ring holds what an earlier event left there.
        let mut event = *self.events.last().unwrap_or(&Event::EMPTY);
        write(&mut event);
        assert_eq!(event.user, user);
        self.events.push(event);
    }
    fn feedback(&mut self, feedback: &Feedback) {
        self.feedback.push_back(*feedback);
    }
}

/// An order as its owner was told of it.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    leaves: u32,
    cum: u32,
}

struct World {
    risk: Risk,
    book: Book,
    reports: RingReports<Sink>,
    exchanges: [Exchange; VENUES as usize],
    told: HashMap<(UserId, u32), Told>,
    /// Net shares of each firm as its users were told.
    held: HashMap<(FirmId, SymbolId), i64>,
    of_match: HashMap<u64, Vec<(UserId, u32)>>,
    what: HashMap<(UserId, u32), (FirmId, SymbolId, Side)>,
    next_ref: [u32; CLIENTS as usize],
    journal: Vec<Command>,
    honest: bool,
}

fn firm_of(client: u16) -> FirmId {
    FirmId(client / 2)
}

fn capacity() -> Capacity {
    Capacity { orders: SLOTS, users: 16, firms: 4, symbols: SYMBOLS }
}

impl World {
    fn new(policies: [Policy; 2], honest: bool) -> World {
        let mut world = World {
            risk: Risk::new(capacity()),
            book: Book::new(crate::book::Capacity { orders: SLOTS, symbols: SYMBOLS }),
            reports: RingReports::new(Sink::default()),
            exchanges: Default::default(),
            told: HashMap::new(),
            held: HashMap::new(),
            of_match: HashMap::new(),
            what: HashMap::new(),
            next_ref: [0; CLIENTS as usize],
            journal: vec![],
            honest,
        };
        for firm in 0..3 {
            let loose = Limits { self_trade: SelfTrade::CancelNewest, ..limits() };
            world.risk.set_limits(
                FirmId(firm),
                Limits { max_position: 1 << 40, max_unanswered: 12, ..loose },
            );
        }
        for user in 0..CLIENTS + VENUES {
            let firm = if user < CLIENTS { firm_of(user) } else { VENUES_FIRM };
            let mut command = Command::new(CommandKind::DefineUser, UserId(user), firm);
            if user >= CLIENTS {
                command.text[PROTOCOL_AT] = VENUE;
            }
            world.carry_out_own(command);
        }
        for symbol in 0..SYMBOLS {
            let mut command = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
            (command.symbol, command.price) = (SymbolId(symbol), Price(100));
            world.carry_out_own(command);
            world.risk.set_reference_price(SymbolId(symbol), Price(1_000_000));
        }
        let routing =
            |policy| FirmRouting { policy, venues: vec![(1, 0), (2, 0)], by_price: false };
        world.risk.set_routing(policies.map(routing).to_vec(), vec![VenueTerms::default(); 2]);
        world.set_venue(0, true);
        world.set_venue(1, true);
        world
    }

    fn carry_out_own(&mut self, mut command: Command) {
        self.risk.sequence_own(&mut command, T0);
        self.carry_out(&command);
    }

    fn set_venue(&mut self, venue: u16, up: bool) {
        self.tell_state(venue, up.into());
    }

    /// What a venue said and was not heard is lost with its numbers: all is asked for, or it tells how some orders
    /// stand.
    fn begin_again(&mut self, venue: u16, draw: &mut Draw) {
        let at = usize::from(venue);
        // On a connection of its own.
        self.tell_state(venue, 0);
        while !self.exchanges[at].inbox.is_empty() {
            self.exchanges[at].take_one(draw);
        }
        self.exchanges[at].forget_said();
        while !self.exchanges[at].outbox.is_empty() {
            self.venue_says(at);
        }
        if draw.below(2) == 0 {
            return self.tell_state(venue, 2);
        }
        self.exchanges[at].tell_some(draw);
        while !self.exchanges[at].outbox.is_empty() {
            self.venue_says(at);
        }
        self.tell_state(venue, 3);
    }

    fn tell_state(&mut self, venue: u16, state: u32) {
        let mut command =
            Command::new(CommandKind::VenueState, UserId(CLIENTS + venue), VENUES_FIRM);
        command.qty = state;
        self.sequence(command);
        while self.risk.is_chasing() {
            let Chased::Found(command) = self.risk.next_chase(T0) else { continue };
            self.carry_out(&command);
        }
    }

    fn sequence(&mut self, mut command: Command) {
        if self.risk.sequence(&mut command, T0) {
            self.carry_out(&command);
        }
    }

    fn carry_out(&mut self, command: &Command) {
        self.journal.push(*command);
        let before = self.reports.outlet.events.len();
        self.book.apply(command, &mut self.reports);
        let events = self.reports.outlet.events[before..].to_vec();
        for event in &events {
            assert_eq!(event.seq(), command.seq);
            self.hear(event);
        }
        self.reports.outlet.events.truncate(1);
    }

    fn hear(&mut self, event: &Event) {
        use EventKind as Kind;
        if event.user.0 >= CLIENTS {
            if matches!(
                event.kind,
                Kind::VenueOrder | Kind::VenueCancel | Kind::VenueReplace | Kind::VenueStatus
            ) {
                let venue = usize::from(event.user.0 - CLIENTS);
                assert_eq!(usize::from(event.venue), venue + 1);
                assert_eq!(event.command.number_in, 0);
                self.exchanges[venue].inbox.push_back(*event);
            }
            return;
        }
        let key = (event.user, event.user_ref.0);
        let order = self.told.entry(key).or_default();
        match event.kind {
            Kind::Accepted => {
                order.leaves = event.qty;
                let command = &event.command;
                self.what.insert(key, (command.firm, command.symbol, command.side));
            }
            Kind::Replaced => {
                order.leaves = event.qty;
                let old = (event.user, event.command.orig_user_ref.0);
                let Told { cum, .. } = *self.told.get(&old).expect("it was there");
                self.told.insert(old, Told { leaves: 0, cum });
                self.told.get_mut(&key).unwrap().cum = cum;
                let what = self.what[&old];
                self.what.insert(key, what);
            }
            Kind::Executed => {
                // Of an order that had ended it is told all the same.
                order.leaves = order.leaves.saturating_sub(event.qty);
                order.cum += event.qty;
                let (firm, symbol, side) = self.what[&key];
                *self.held.entry((firm, symbol)).or_default() += signed(side, event.qty);
                self.of_match.entry(event.reference).or_default().push((event.user, event.qty));
            }
            Kind::Modified => order.leaves = event.qty - order.cum,
            Kind::Busted => {
                let (firm, symbol, side) = self.what[&key];
                *self.held.get_mut(&(firm, symbol)).unwrap() -= signed(side, event.qty);
                let trades = &self.of_match[&event.reference];
                assert_eq!(trades, &[(event.user, event.qty)], "one trade, told to one");
            }
            Kind::Canceled | Kind::SelfTradePrevented => {
                assert!(event.qty <= order.leaves, "no more than is open: {event:?}");
                order.leaves -= event.qty;
            }
            _ => {}
        }
    }

    /// Some of what the book fed back gets to risk.
    fn feed_back(&mut self, most: usize) {
        for _ in 0..most {
            let Some(feedback) = self.reports.outlet.feedback.pop_front() else { return };
            self.risk.feed_back(&feedback);
        }
    }

    fn client_step(&mut self, draw: &mut Draw) {
        let client = draw.below(CLIENTS.into()) as u16;
        let user = UserId(client);
        let mut command = Command::new(CommandKind::Enter, user, firm_of(client));
        let mut mine: Vec<u32> = self
            .told
            .iter()
            .filter(|((owner, _), told)| *owner == user && told.leaves > 0)
            .map(|((_, number), _)| *number)
            .collect();
        mine.sort_unstable();
        let last = self.next_ref[usize::from(client)];
        // Also numbers that a replace under way may give.
        mine.extend(last.checked_sub(0).filter(|last| *last > 0));
        let what = draw.below(10);
        if what < 5 || mine.is_empty() {
            command.symbol = SymbolId(draw.below(SYMBOLS.into()) as u16);
            command.side = draw.of(&[Side::Buy, Side::Sell]);
            command.tif = draw.of(&[TimeInForce::Day, TimeInForce::Day, TimeInForce::Ioc]);
            if command.tif == TimeInForce::Day && draw.below(8) == 0 {
                command.max_floor = 10;
            }
            let destination =
                draw.of(&[Destination::Unsaid, Destination::Here, Destination::Venue(2)]);
            command.destination = destination.code();
            if draw.below(12) == 0 {
                command.flags = OrderFlags(OrderFlags::MARKET);
            }
        } else if what < 7 {
            command.kind = CommandKind::Replace;
            command.orig_user_ref = UserRefNum(draw.of(&mine));
        } else {
            command.kind = if what == 9 { CommandKind::Modify } else { CommandKind::Cancel };
            command.user_ref = UserRefNum(draw.of(&mine));
            if let Some((_, _, side)) = self.what.get(&(user, command.user_ref.0)) {
                command.side = *side;
            }
            let some = 1 + draw.below(200) as u32;
            command.qty = draw.of(&[0, 0, some]);
            return self.sequence(command);
        }
        self.next_ref[usize::from(client)] += 1;
        command.user_ref = UserRefNum(self.next_ref[usize::from(client)]);
        command.qty = 1 + draw.below(200) as u32;
        command.price = Price(1_000_000 + 100 * draw.below(5) as u32);
        if command.flags.has(OrderFlags::MARKET) {
            command.price = Price::MARKET;
        }
        self.sequence(command);
    }

    fn venue_says(&mut self, venue: usize) {
        let Some(said) = self.exchanges[venue].outbox.pop_front() else { return };
        let mut command = Command::EMPTY;
        said.write(UserId(CLIENTS + venue as u16), VENUES_FIRM, &mut command);
        self.sequence(command);
    }

    fn step(&mut self, draw: &mut Draw) {
        match draw.below(12) {
            0..4 => self.client_step(draw),
            4..7 => {
                let venue = draw.below(VENUES.into()) as usize;
                self.exchanges[venue].step(draw);
            }
            7..10 => self.venue_says(draw.below(VENUES.into()) as usize),
            10 => self.feed_back(draw.below(20) as usize),
            _ => match draw.below(30) {
                0 => {
                    let venue = draw.below(VENUES.into()) as u16;
                    let up = !self.risk.is_up(UserId(CLIENTS + venue));
                    // What was on its way out when it was lost may never get there.
                    if !up && draw.below(2) == 0 {
                        self.exchanges[usize::from(venue)].inbox.clear();
                    }
                    match up && draw.below(3) == 0 {
                        true => self.begin_again(venue, draw),
                        false => self.set_venue(venue, up),
                    }
                }
                _ if !self.honest => {
                    let venue = draw.below(VENUES.into()) as usize;
                    self.exchanges[venue].lie(draw);
                }
                _ => {}
            },
        }
        self.check();
    }

    /// What clients were told is what is open, each order in one place.
    fn check(&self) {
        let mut open = HashMap::new();
        for symbol in (0..SYMBOLS).map(SymbolId) {
            self.book.for_each_order(symbol, |_, order| {
                assert!(open.insert((order.user, order.user_ref.0), order.open()).is_none());
            });
        }
        self.book.for_each_outside(|_, _, order| {
            assert!(open.insert((order.user, order.user_ref.0), order.open()).is_none());
        });
        assert_eq!(open.len() as u32, self.book.open_orders());
        let told = self.told.iter().filter(|(_, told)| told.leaves > 0);
        let told: HashMap<_, _> = told.map(|(key, told)| (*key, told.leaves)).collect();
        assert_eq!(told, open);
    }

    /// Risk counts the orders that wait for venues.
    fn check_waiting(&mut self) {
        self.feed_back(usize::MAX);
        let mut waiting: HashMap<(UserId, u8), u32> = HashMap::new();
        self.book.for_each_outside(|slot, venue, order| {
            *waiting.entry((order.user, venue)).or_default() += u32::from(self.book.waits(slot));
        });
        for (user, venue) in (0..CLIENTS).flat_map(|user| [(user, 1), (user, 2)]) {
            let user = UserId(user);
            let here = waiting.get(&(user, venue)).copied().unwrap_or(0);
            assert_eq!(self.risk.waiting_for(user, venue), here, "{user:?} at venue {venue}");
        }
    }

    /// Lets everything come to its end.
    fn settle(&mut self, draw: &mut Draw) {
        for venue in 0..VENUES {
            self.set_venue(venue, false);
            self.set_venue(venue, true);
        }
        for _ in 0..100 {
            for venue in 0..usize::from(VENUES) {
                while !self.exchanges[venue].inbox.is_empty() {
                    self.exchanges[venue].take_one(draw);
                }
                while !self.exchanges[venue].outbox.is_empty() {
                    self.venue_says(venue);
                }
            }
        }
        self.feed_back(usize::MAX);
        self.check();
    }

    /// Risk counts what is open, and what is held.
    fn check_quiet(&self) {
        assert_eq!(self.risk.open_orders() as u32, self.book.open_orders());
        for firm in [FirmId(0), FirmId(1)] {
            let (mut open, mut market) = (0, false);
            let mut count = |_: Slot, order: &crate::book::Order| {
                market |= order.flags.has(OrderFlags::MARKET);
                open += u64::from(order.firm == firm) * order.price.notional(order.open());
            };
            for symbol in (0..SYMBOLS).map(SymbolId) {
                self.book.for_each_order(symbol, &mut count);
            }
            self.book.for_each_outside(|slot, _, order| count(slot, order));
            // Market orders count at the last price when they came in.
            if !market {
                assert_eq!(self.risk.open_notional(firm), open, "{firm:?}");
            }
            for symbol in (0..SYMBOLS).map(SymbolId) {
                let told = self.held.get(&(firm, symbol)).copied().unwrap_or(0);
                assert_eq!(self.risk.position(firm, symbol), told);
            }
        }
    }

    /// Here and there the same orders are open, and the same shares were traded.
    fn check_with_venues(&self) {
        let mut here: HashMap<u8, Vec<(u32, u32)>> = HashMap::new();
        self.book.for_each_outside(|slot, venue, order| {
            here.entry(venue).or_default().push((slot.0, order.open()));
        });
        for (at, exchange) in self.exchanges.iter().enumerate() {
            let mut there: Vec<_> = exchange
                .orders
                .values()
                .filter(|order| order.live)
                .map(|order| (order.slot.0, order.qty - order.cum))
                .collect();
            there.sort_unstable();
            let mut here = here.remove(&(at as u8 + 1)).unwrap_or_default();
            here.sort_unstable();
            assert_eq!(here, there, "open at venue {}", at + 1);
        }
        // All trades here have two sides: what is left over is what traded outside.
        for symbol in (0..SYMBOLS).map(SymbolId) {
            let mine: i64 =
                [0, 1].map(|firm| self.risk.position(FirmId(firm), symbol)).iter().sum();
            let of = |exchange: &Exchange| -> i64 {
                let held = exchange.held.iter().filter(|((_, of), _)| *of == symbol);
                held.map(|(_, qty)| qty).sum()
            };
            assert_eq!(mine, self.exchanges.iter().map(of).sum::<i64>());
        }
    }

    /// The commands alone make the same again.
    fn check_replay(&self) {
        let mut book = Book::new(crate::book::Capacity { orders: SLOTS, symbols: SYMBOLS });
        let mut risk = Risk::new(capacity());
        (0..3).for_each(|firm| risk.set_limits(FirmId(firm), Limits::NONE));
        let mut reports = RingReports::new(Sink::default());
        for command in &self.journal {
            risk.replay(command);
            book.apply(command, &mut reports);
            reports.outlet.events.clear();
            while let Some(feedback) = reports.outlet.feedback.pop_front() {
                risk.feed_back(&feedback);
            }
        }
        assert_eq!(book.digest(), self.book.digest());
        for firm in [FirmId(0), FirmId(1)] {
            assert_eq!(risk.open_notional(firm), self.risk.open_notional(firm), "{firm:?}");
            for symbol in (0..SYMBOLS).map(SymbolId) {
                let position = self.risk.position(firm, symbol);
                assert_eq!(risk.position(firm, symbol), position, "{firm:?} {symbol:?}");
            }
        }
        assert_eq!(risk.digest(), self.risk.digest());
    }
}

fn run(seed: u64, steps: usize, honest: bool) {
    let mut draw = Draw(seed * 2 + 1);
    let all = [Policy::InternalOnly, Policy::CrossThenRoute, Policy::RouteOnly, Policy::PostOut];
    let mut world = World::new([draw.of(&all), draw.of(&all)], honest);
    for step in 0..steps {
        world.step(&mut draw);
        if step % 50 == 0 {
            world.check_waiting();
        }
    }
    world.settle(&mut draw);
    world.check_waiting();
    world.check_quiet();
    if honest {
        world.check_with_venues();
    }
    world.check_replay();
}

/// Millions with `MILLRACE_LONG_TESTS` set.
fn rounds() -> u64 {
    if std::env::var_os("MILLRACE_LONG_TESTS").is_some() { 5_000 } else { 150 }
}

#[test]
fn beside_venues_that_keep_to_the_rules_everything_adds_up() {
    for seed in 0..rounds() {
        run(seed, 1_000, true);
    }
}

#[test]
fn a_venue_that_lies_makes_nothing_that_does_not_add_up() {
    for seed in 0..rounds() {
        run(seed, 1_000, false);
    }
}

#[test]
fn two_orders_of_a_firm_do_not_meet_at_a_venue() {
    let mut world = World::new([Policy::RouteOnly; 2], true);
    let mut enter = |user: u16, side, price, destination: Destination| {
        let mut command = Command::new(CommandKind::Enter, UserId(user), firm_of(user));
        world.next_ref[usize::from(user)] += 1;
        command.user_ref = UserRefNum(world.next_ref[usize::from(user)]);
        (command.side, command.qty, command.price) = (side, 50, Price(price));
        command.destination = destination.code();
        world.sequence(command);
        world.check();
        world.book.orders_outside()
    };
    let [first, second] = [1, 2].map(Destination::Venue);
    assert_eq!(enter(0, Side::Buy, 1_000_100, first), 1);
    assert_eq!(enter(1, Side::Sell, 1_000_200, first), 2, "they would not trade");
    assert_eq!(enter(1, Side::Sell, 1_000_100, first), 2, "they would");
    assert_eq!(enter(1, Side::Sell, 1_000_000, second), 3, "at another venue");
    assert_eq!(enter(2, Side::Sell, 1_000_000, first), 4, "another firm");
    assert_eq!(enter(0, Side::Buy, 1_000_300, first), 4);
    world.feed_back(usize::MAX);
    world.check_quiet();
}

#[test]
fn without_a_venue_that_is_up_orders_are_refused_or_stay() {
    let enter = |world: &mut World, destination: Destination| {
        let mut command = Command::new(CommandKind::Enter, UserId(0), FirmId(0));
        world.next_ref[0] += 1;
        command.user_ref = UserRefNum(world.next_ref[0]);
        (command.qty, command.price) = (100, Price(1_000_000));
        command.destination = destination.code();
        world.risk.sequence(&mut command, T0);
        assert_eq!(command.seq, SeqNum(world.risk.last_seq().0));
        world.carry_out(&command);
        command.verdict
    };
    let mut world = World::new([Policy::RouteOnly; 2], true);
    world.set_venue(0, false);
    assert_eq!(enter(&mut world, Destination::Unsaid), Reject::None, "the other one is there");
    assert_eq!(enter(&mut world, Destination::Venue(1)), Reject::DestinationClosed);
    assert_eq!(enter(&mut world, Destination::Venue(9)), Reject::RoutingNotAllowed);
    world.set_venue(1, false);
    assert_eq!(enter(&mut world, Destination::Unsaid), Reject::DestinationClosed);
    assert_eq!(enter(&mut world, Destination::Here), Reject::None);
    let mut world = World::new([Policy::PostOut; 2], true);
    world.set_venue(0, false);
    world.set_venue(1, false);
    assert_eq!(enter(&mut world, Destination::Unsaid), Reject::None);
    assert_eq!(world.book.orders_outside(), 0, "it rests here");
}

#[test]
fn who_has_a_venue_wait_is_refused_and_nobody_else() {
    let mut world = World::new([Policy::RouteOnly; 2], true);
    let enter = |world: &mut World, user: u16, destination: Destination| {
        let mut command = Command::new(CommandKind::Enter, UserId(user), firm_of(user));
        world.next_ref[usize::from(user)] += 1;
        command.user_ref = UserRefNum(world.next_ref[usize::from(user)]);
        (command.qty, command.price, command.destination) =
            (1, Price(1_000_000), destination.code());
        world.risk.sequence(&mut command, T0);
        world.carry_out(&command);
        command.verdict
    };
    for _ in 0..12 {
        assert_eq!(enter(&mut world, 0, Destination::Venue(1)), Reject::None);
    }
    // Nothing was fed back yet.
    assert_eq!(enter(&mut world, 0, Destination::Venue(1)), Reject::VenueBusy);
    assert_eq!(enter(&mut world, 1, Destination::Venue(1)), Reject::None, "another user");
    assert_eq!(enter(&mut world, 0, Destination::Venue(2)), Reject::None, "another venue");
    assert_eq!(enter(&mut world, 0, Destination::Unsaid), Reject::None, "the next of its list");
    world.check_waiting();
    world.settle(&mut Draw(1));
    world.check_waiting();
    assert_eq!(world.risk.waiting_for(UserId(0), 1), 0);
    assert_eq!(enter(&mut world, 0, Destination::Venue(1)), Reject::None);
}
