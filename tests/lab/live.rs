//! Strategies at a running gateway.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use millrace::client::market::Depth;
use millrace::client::source::Source;
use millrace::order::Price;
use millrace::ring::region::Place;
use millrace::strategy::live::{Seat, run};
use millrace::strategy::ouch::OuchLink;
use millrace::strategy::{
    Desk, Fees, FixEnd, FixLink, Killed, Limits, Link, Maker, Manner, Noise, Strategy,
};

use super::common::{PATIENCE, Scratch, Venue, config_text};

/// A gateway with a feed in a ring, whose users' orders go when they do; ports for OUCH and FIX.
fn text(ring_dir: &Path) -> String {
    let text = config_text("ack = \"sequenced\"", "");
    let dir = ring_dir.display().to_string();
    format!("{text}{FIX}\n[feed]\nring = \"lab\"\nring_dir = {dir:?}\n")
}

const FIX: &str = r#"
[[port]]
protocol = "fix44"
listen = "127.0.0.1:0"
[[user]]
name = "FIXED"
password = "secret"
firm = "CCC"
fix_comp_id = "MAKER"
"#;

fn venue(ring_dir: &Path, scratch: Scratch) -> Venue {
    Venue::start_in(scratch, &text(ring_dir))
}

fn fix_link(to: SocketAddr) -> FixLink {
    let (own, gateway) = ("MAKER".to_owned(), "MILLRACE".to_owned());
    FixLink::new(FixEnd { to, own, gateway, password: "secret".to_owned() })
}

fn source(ring_dir: &Path) -> Source {
    Source::ring(&Place::new(ring_dir, "lab").unwrap()).unwrap()
}

fn link(venue: &Venue, user: &str) -> OuchLink {
    OuchLink::new(venue.address, user, "secret")
}

fn noise(seed: u64) -> Seat<Noise> {
    let limits = Limits {
        max_position: u32::MAX,
        max_open_orders: usize::MAX,
        max_loss: u64::MAX >> 2,
        orders_per_second: usize::MAX,
        ..Limits::default()
    };
    let strategy = Noise::new(&[Price(1_000_000)], 2_000, seed);
    Seat::new(strategy, Desk::new(&["AAPL"], limits, Fees::default()))
}

fn maker() -> Seat<Maker> {
    let limits = Limits { orders_per_second: 5_000, ..Limits::default() };
    Seat::new(Maker::default(), Desk::new(&["AAPL"], limits, Fees::default()))
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lets a maker trade until it has so many fills.
fn make(venue: &Venue, dir: &Path, link: &mut impl Link) -> Seat<Maker> {
    let (mut maker, mut noise) = (maker(), noise(3));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopped = &stop;
        let flow = scope.spawn(move || {
            let goes_on = |_: &Seat<Noise>| !stopped.load(std::sync::atomic::Ordering::Acquire);
            run(&mut noise, &mut source(dir), &mut self::link(venue, "BOB"), goes_on, |_| ())
                .unwrap();
        });
        let deadline = Instant::now() + 6 * PATIENCE;
        let mut most = 0;
        let goes_on = |seat: &Seat<Maker>| {
            most = most.max(seat.desk.position(0).shares.abs());
            seat.desk.counts().fills < 20 && Instant::now() < deadline
        };
        run(&mut maker, &mut source(dir), link, goes_on, |_| ()).unwrap();
        assert!(most <= 1_000, "{most}");
        stop.store(true, std::sync::atomic::Ordering::Release);
        flow.join().unwrap();
    });
    assert_eq!(maker.desk.killed(), Some(Killed::Asked));
    assert!(maker.desk.counts().fills >= 20, "{:?}", maker.desk.counts());
    assert!(maker.desk.orders().is_empty(), "{:?}", maker.desk.orders());
    assert_eq!(maker.desk.counts().rejected, 0);
    until("orders are left", || venue.counter("risk.open_orders") == 0);
    maker
}

#[test]
fn a_maker_trades_within_its_limits_and_leaves_nothing_behind() {
    let ring_dir = Scratch::new();
    let venue = venue(&ring_dir.0, Scratch::new());
    let maker = make(&venue, &ring_dir.0, &mut link(&venue, "ALICE"));
    // One who begins anew has the position of before from the venue's own words.
    let mut again = self::maker();
    let goes_on = |seat: &Seat<Maker>| !seat.desk.is_connected();
    run(&mut again, &mut source(&ring_dir.0), &mut link(&venue, "ALICE"), goes_on, |_| ()).unwrap();
    assert_eq!(again.desk.position(0), maker.desk.position(0));
}

#[test]
fn a_maker_trades_over_fix() {
    let ring_dir = Scratch::new();
    let venue = venue(&ring_dir.0, Scratch::new());
    let maker = make(&venue, &ring_dir.0, &mut fix_link(venue.addresses()[1]));
    assert!(maker.desk.counts().replaced > 0, "{:?}", maker.desk.counts());
}

/// Has a strategy that keeps one order meet a gateway that goes and comes back at the same addresses.
fn goes_and_comes_back(mut link: impl Link, venue: Venue, ring_dir: &Path) {
    let addresses = venue.addresses();
    let mut venue = Some(venue);
    let mut seat = Seat::new(Resting, Desk::new(&["AAPL"], Limits::default(), Fees::default()));
    let mut source = source(ring_dir);
    let (mut phase, mut was_away) = (0, false);
    let deadline = Instant::now() + 6 * PATIENCE;
    let goes_on = |seat: &Seat<Resting>| {
        assert!(Instant::now() < deadline, "phase {phase}");
        was_away |= !seat.desk.is_connected();
        match phase {
            0 if seat.desk.orders().iter().any(|order| order.is_settled()) => {
                let (_, scratch) = venue.take().unwrap().stop();
                let text = addresses.iter().fold(text(ring_dir), |text, address| {
                    text.replacen("127.0.0.1:0", &address.to_string(), 1)
                });
                venue = Some(Venue::start_in(scratch, &text));
                (phase, was_away) = (1, false);
            }
            // It was away, it is back, and what it had was cancelled when it went; so it enters again.
            1 if was_away && seat.desk.is_connected() => {
                let settled = seat.desk.orders().iter().any(|order| order.is_settled());
                return !(settled && seat.desk.counts().entered >= 2);
            }
            _ => {}
        }
        true
    };
    run(&mut seat, &mut source, &mut link, goes_on, |_| ()).unwrap();
    assert!(seat.desk.orders().is_empty());
    let venue = venue.unwrap();
    until("orders are left", || venue.counter("risk.open_orders") == 0);
}

#[test]
fn a_gateway_that_goes_and_comes_back_is_met_with_the_same_orders_and_position() {
    let ring_dir = Scratch::new();
    let venue = venue(&ring_dir.0, Scratch::new());
    goes_and_comes_back(link(&venue, "ALICE"), venue, &ring_dir.0);
}

#[test]
fn so_is_one_that_speaks_fix() {
    let ring_dir = Scratch::new();
    let venue = venue(&ring_dir.0, Scratch::new());
    goes_and_comes_back(fix_link(venue.addresses()[1]), venue, &ring_dir.0);
}

/// Keeps one order.
struct Resting;

impl Strategy for Resting {
    fn on_book(&mut self, _: usize, _: &Depth, _: &mut Desk) {}

    fn on_time(&mut self, desk: &mut Desk) {
        if desk.orders().is_empty() && desk.is_connected() {
            let _ = desk.enter(0, true, 100, Price(990_000), Manner::Day);
        }
    }
}

/// Enters an order, and fails once it stands in the book.
struct Panics;

impl Strategy for Panics {
    fn on_book(&mut self, _: usize, depth: &Depth, _: &mut Desk) {
        assert!(depth.bids.is_empty(), "this strategy is wrong");
    }

    fn on_time(&mut self, desk: &mut Desk) {
        if desk.orders().is_empty() && desk.is_connected() {
            let _ = desk.enter(0, true, 100, Price(990_000), Manner::Day);
        }
    }
}

#[test]
fn a_strategy_that_panics_leaves_no_order_behind() {
    let ring_dir = Scratch::new();
    let venue = venue(&ring_dir.0, Scratch::new());
    let mut seat = Seat::new(Panics, Desk::new(&["AAPL"], Limits::default(), Fees::default()));
    let deadline = Instant::now() + 2 * PATIENCE;
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let mut link = link(&venue, "ALICE");
        let goes_on = |_: &Seat<Panics>| Instant::now() < deadline;
        run(&mut seat, &mut source(&ring_dir.0), &mut link, goes_on, |_| ())
    }));
    assert!(failed.is_err(), "it did not panic");
    until("its order is left", || venue.counter("risk.open_orders") == 0);
    assert!(venue.counter("risk.sequenced") > 0);
}
