//! A strategy in a recorded market, on virtual time: the real book, the feed's own messages, and a desk like the live
//! one's. Two runs with one seed are the same to the byte.

mod latency;
mod own;
pub mod report;
mod venue;

pub use latency::{Delay, Latency};
pub use own::OwnOrders;
pub use venue::{Differences, Venue};

use std::collections::VecDeque;

use super::read::Recording;
use super::row::{Kind, Row};
use super::table::LabError;
use crate::client::load::Random;
use crate::feed::Told;
use crate::order::{Price, UnixNanos};
use crate::strategy::live::Seat;
use crate::strategy::{Fill, Manner, Report, Request, Strategy};

/// After a fill: when the price is looked at again, in nanoseconds.
pub const HORIZONS_NS: [u64; 4] = [10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];

/// Points of the curve at the most.
const POINTS_MAX: usize = 4_096;

/// A moment of a back-test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// When.
    pub time_ns: UnixNanos,
    /// Profit in 1/20000 of the currency unit.
    pub twice_profit: i128,
    /// Shares held, in the first symbol.
    pub held: i64,
    /// Twice the first symbol's mid; 0 if there was none.
    pub twice_mid: u64,
}

/// A fill, and what the price did after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marked {
    /// The fill.
    pub fill: Fill,
    /// What a share was worth more at each of [`HORIZONS_NS`] than it was traded for, to who traded it; in 1/20000
    /// of the currency unit. `None` where the recording ended before.
    pub after: [Option<i64>; HORIZONS_NS.len()],
}

/// What came of a back-test.
pub struct Outcome {
    /// Recorded events.
    pub events: u64,
    /// The first and the last one's time.
    pub span: (UnixNanos, UnixNanos),
    /// Trades, in order.
    pub fills: Vec<Marked>,
    /// The course of profit and position.
    pub curve: Vec<Point>,
    /// What could not happen as it was recorded.
    pub differences: Differences,
}

/// What a back-test is made of.
pub struct Setup {
    /// Symbols of the desk, by their names.
    pub symbols: Vec<String>,
    /// How long things take.
    pub latency: Latency,
    /// Begins the random numbers.
    pub seed: u64,
    /// A live run whose orders are left out.
    pub without: OwnOrders,
}

/// Something on its way; each comes after the one before it.
struct Way<T> {
    under_way: VecDeque<(UnixNanos, T)>,
    delay: Delay,
    last_ns: UnixNanos,
}

impl<T> Way<T> {
    fn new(delay: Delay) -> Way<T> {
        Way { under_way: VecDeque::with_capacity(1_024), delay, last_ns: 0 }
    }

    #[inline]
    fn send(&mut self, now_ns: UnixNanos, what: T, random: &mut Random) {
        self.last_ns = self.last_ns.max(now_ns + self.delay.draw(random));
        self.under_way.push_back((self.last_ns, what));
    }

    #[inline]
    fn next_ns(&self) -> UnixNanos {
        self.under_way.front().map_or(UnixNanos::MAX, |(at, _)| *at)
    }
}

/// The whole of a running back-test.
struct World<'a, S> {
    seat: &'a mut Seat<S>,
    venue: Venue,
    feed: Way<Told>,
    requests: Way<Request>,
    reports: Way<Report>,
    random: Random,
    told: Vec<Report>,
    fills: Vec<Marked>,
    /// The next fill that each horizon is looked at of.
    looked: [usize; HORIZONS_NS.len()],
    curve: Vec<Point>,
    point_ns: u64,
    next_point_ns: UnixNanos,
}

impl<S: Strategy> World<'_, S> {
    fn happen(&mut self, row: &Row) {
        let World { venue, feed, random, told, .. } = self;
        venue.happen(row, told, &mut |bytes| {
            feed.send(row.time_ns, Told::new(0, 0, bytes), random);
        });
        self.tell(row.time_ns);
    }

    /// What the book did to own orders is on its way.
    #[inline]
    fn tell(&mut self, now_ns: UnixNanos) {
        if !self.told.is_empty() {
            self.venue.forget_done();
            for report in self.told.drain(..) {
                self.reports.send(now_ns, report, &mut self.random);
            }
        }
    }

    /// Everything that arrives before a time, in order.
    #[inline]
    fn until(&mut self, end_ns: UnixNanos) {
        loop {
            let (feed, requests, reports) =
                (self.feed.next_ns(), self.requests.next_ns(), self.reports.next_ns());
            let next = feed.min(requests).min(reports);
            if next > end_ns || next == UnixNanos::MAX {
                return;
            }
            if requests == next {
                self.arrives();
            } else if reports == next {
                self.reported();
            } else {
                self.heard();
            }
        }
    }

    fn arrives(&mut self) {
        let Some((now_ns, request)) = self.requests.under_way.pop_front() else { return };
        let World { venue, feed, random, told, .. } = self;
        venue.request(&request, now_ns, told, &mut |bytes| {
            feed.send(now_ns, Told::new(0, 0, bytes), random);
        });
        self.tell(now_ns);
    }

    fn reported(&mut self) {
        let Some((now_ns, report)) = self.reports.under_way.pop_front() else { return };
        self.seat.desk.set_now(now_ns);
        self.seat.report(&report);
        for fill in self.seat.desk.take_fills() {
            self.fills.push(Marked { fill, after: [None; HORIZONS_NS.len()] });
        }
        self.decided(now_ns);
    }

    #[inline]
    fn heard(&mut self) {
        let Some((now_ns, told)) = self.feed.under_way.pop_front() else { return };
        if self.looked[0] < self.fills.len()
            || self.looked[HORIZONS_NS.len() - 1] < self.fills.len()
        {
            self.look_back(now_ns);
        }
        self.seat.desk.set_now(now_ns);
        self.seat.message(told.message());
        self.decided(now_ns);
        if now_ns >= self.next_point_ns {
            self.point(now_ns);
        }
    }

    #[inline]
    fn decided(&mut self, now_ns: UnixNanos) {
        let Seat { strategy, desk, .. } = &mut *self.seat;
        strategy.on_time(desk);
        if desk.has_requests() {
            let World { seat, requests, random, .. } = self;
            seat.desk.send_requests(|_, request| requests.send(now_ns, *request, random));
        }
    }

    /// What the price is by now, for fills that were long enough ago.
    fn look_back(&mut self, now_ns: UnixNanos) {
        for (at, horizon) in HORIZONS_NS.into_iter().enumerate() {
            while let Some(marked) = self.fills.get_mut(self.looked[at]) {
                if marked.fill.time_ns + horizon > now_ns {
                    break;
                }
                self.looked[at] += 1;
                let depth = self.seat.market.located(marked.fill.symbol as u16 + 1);
                let Some(twice_mid) = depth.and_then(|d| d.signals.twice_mid()) else { continue };
                let gain = twice_mid as i64 - 2 * i64::from(marked.fill.price.0);
                marked.after[at] = Some(if marked.fill.buys { gain } else { -gain });
            }
        }
    }

    fn point(&mut self, now_ns: UnixNanos) {
        let twice_mid = self.seat.market.located(1).and_then(|d| d.signals.twice_mid());
        self.curve.push(Point {
            time_ns: now_ns,
            twice_profit: self.seat.desk.twice_profit(),
            held: self.seat.desk.position(0).shares,
            twice_mid: twice_mid.unwrap_or(0),
        });
        if self.curve.len() == POINTS_MAX {
            // Half as many, half as often.
            let mut at = 0;
            self.curve.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.point_ns *= 2;
        }
        self.next_point_ns = now_ns + self.point_ns;
    }
}

fn padded(names: &[String]) -> Vec<[u8; 8]> {
    names.iter().map(|name| crate::wire::soupbin::pad(name.as_bytes())).collect()
}

/// Which of the desk's symbols each row's is; rows of others are left out.
fn located(row: &mut Row, recording: &Recording, symbols: &[String], known: &mut Vec<u16>) -> bool {
    let at = usize::from(row.locate);
    while known.len() <= at {
        let name = recording.symbols.get(known.len());
        let found = name.and_then(|name| symbols.iter().position(|symbol| symbol == name));
        known.push(found.map_or(u16::MAX, |found| found as u16));
    }
    row.locate = known[at];
    row.locate != u16::MAX
}

/// Has a strategy trade in a recording.
pub fn run<S: Strategy>(
    recording: &mut Recording,
    seat: &mut Seat<S>,
    setup: Setup,
) -> Result<Outcome, LabError> {
    let names = padded(&setup.symbols);
    let mut known = vec![];
    let mut first = None;
    let mut last_ns = 0;
    let mut events = 0;
    let Latency { feed, order, report } = setup.latency;
    let mut feed = Way::new(feed);
    let mut random = Random::new(setup.seed.max(1));
    let mut world: Option<World<'_, S>> = None;
    let mut seat = Some(seat);
    let mut without = Some(setup.without);
    let (order, report) = (Way::new(order), Way::new(report));
    let mut ways = Some((order, report));
    while let Some(mut row) = recording.next(&setup.symbols)? {
        if !located(&mut row, recording, &setup.symbols, &mut known) {
            continue;
        }
        if let (Some(seat), Some(without), Some((requests, reports))) =
            (seat.take(), without.take(), ways.take())
        {
            first = Some(row.time_ns);
            let mut venue = Venue::new(without);
            for name in &names {
                venue.define(*name, row.time_ns, &mut |bytes| {
                    feed.send(row.time_ns, Told::new(0, 0, bytes), &mut random);
                });
            }
            seat.desk.connected(1);
            world = Some(World {
                seat,
                venue,
                feed: std::mem::replace(&mut feed, Way::new(Delay::Fixed(0))),
                requests,
                reports,
                random: std::mem::replace(&mut random, Random::new(1)),
                told: Vec::with_capacity(64),
                fills: vec![],
                looked: [0; HORIZONS_NS.len()],
                curve: vec![],
                point_ns: 1_000_000,
                next_point_ns: 0,
            });
        }
        let Some(world) = &mut world else { continue };
        world.until(row.time_ns);
        world.happen(&row);
        last_ns = row.time_ns;
        events += 1;
    }
    let Some(mut world) = world else {
        return Err(LabError::Schema {
            path: setup.symbols.join(", ").into(),
            what: "the recording has no event of it".into(),
        });
    };
    world.until(last_ns);
    world.point(last_ns);
    Ok(Outcome {
        events,
        span: (first.unwrap_or(0), last_ns),
        fills: world.fills,
        curve: world.curve,
        differences: world.venue.differences,
    })
}

/// How the fills of a live run's resting orders compare with those that the same orders get at the same places of the
/// recording.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Fills of both that are the same, in order: order, shares, price.
    pub same: usize,
    /// The first fill that is not: live and back-test.
    pub first_difference: Option<(Option<Filled>, Option<Filled>)>,
}

/// A fill in short: the venue's number of the order, shares, price.
pub type Filled = (u64, u32, Price);

/// Plays a recording with the live run's own orders at the places where they were, as the strategy's. Its resting
/// orders must trade as they did live: everybody else does what was recorded, and the queue is the same.
pub fn audit(
    recording: &mut Recording,
    symbols: &[String],
    own: &OwnOrders,
) -> Result<Audit, LabError> {
    let names = padded(symbols);
    let live: Vec<Filled> = own
        .lines
        .iter()
        .filter(|line| line.what == "Executed" && line.added)
        .filter_map(|line| Some((line.reference, line.shares, line.price()?)))
        .collect();
    let mut again: Vec<Filled> = vec![];
    let mut known = vec![];
    let mut venue: Option<Venue> = None;
    // The venue's numbers by the strategy's, and what each order traded.
    let mut orders: Vec<(u64, u32)> = vec![(0, 0)];
    let find = |orders: &[(u64, u32)], reference: u64| {
        orders.iter().rposition(|(known, _)| *known == reference && reference != 0)
    };
    let mut reports = vec![];
    while let Some(mut row) = recording.next(symbols)? {
        if !located(&mut row, recording, symbols, &mut known) {
            continue;
        }
        let venue = venue.get_or_insert_with(|| {
            let mut venue = Venue::new(own.clone());
            venue.keeps_taken = true;
            names.iter().for_each(|name| venue.define(*name, row.time_ns, &mut |_| ()));
            venue
        });
        let request = match row.kind {
            Kind::Add if own.has_order(row.order) => {
                orders.push((row.order, 0));
                row.buys.map(|buys| Request::Enter {
                    id: orders.len() as u32 - 1,
                    symbol: usize::from(row.locate),
                    buys,
                    shares: row.shares,
                    price: row.price,
                    manner: Manner::Day,
                })
            }
            Kind::Replace if own.has_order(row.order) => find(&orders, row.replaces).map(|old| {
                let filled = orders[old].1;
                orders.push((row.order, filled));
                let id = orders.len() as u32 - 1;
                let (old, shares) = (old as u32, filled + row.shares);
                Request::Replace { old, id, shares, price: row.price, manner: Manner::Day }
            }),
            Kind::Delete if own.has_order(row.order) => {
                find(&orders, row.order).map(|id| Request::Cancel { id: id as u32 })
            }
            _ => None,
        };
        match request {
            Some(request) => {
                venue.request(&request, row.time_ns, &mut reports, &mut |_| ());
            }
            None => venue.happen(&row, &mut reports, &mut |_| ()),
        }
        venue.forget_done();
        for report in reports.drain(..) {
            if let Report::Executed { id, shares, price, .. } = report {
                let order = &mut orders[id as usize];
                order.1 += shares;
                again.push((order.0, shares, price));
            }
        }
    }
    let same = live.iter().zip(&again).take_while(|(a, b)| a == b).count();
    let first_difference = (same < live.len().max(again.len()))
        .then(|| (live.get(same).copied(), again.get(same).copied()));
    Ok(Audit { same, first_difference })
}
