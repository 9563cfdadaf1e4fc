//! A strategy at a running gateway: the feed in, orders out.

use std::time::{Duration, Instant};

use super::link::{Link, LinkEvent};
use super::{Desk, Killed, Order, Report, Strategy};
use crate::client::LoginError;
use crate::client::market::Market;
use crate::client::source::{Heard, Source, SourceError};
use crate::order::UnixNanos;
use crate::runtime::Clock;
use crate::wire::itch::Message;

/// Messages of the feed taken in before own orders are looked at.
const BATCH_MAX: usize = 64;
/// How long cancels may take at the end.
const LEAVE: Duration = Duration::from_secs(5);
/// How long it looks away when nothing came.
const NAP: Duration = Duration::from_micros(20);

/// A strategy, its desk, and the market as they see it.
pub struct Seat<S> {
    /// What decides.
    pub strategy: S,
    /// Where it trades.
    pub desk: Desk,
    /// Every book.
    pub market: Market,
    /// The desk's symbols by their numbers in the feed, one more; 0: none of them.
    symbols: Vec<u16>,
}

impl<S: Strategy> Seat<S> {
    /// At a market of which nothing was told.
    pub fn new(strategy: S, desk: Desk) -> Seat<S> {
        Seat { strategy, desk, market: Market::new(), symbols: vec![] }
    }

    /// The desk's symbol that a number in the feed stands for.
    #[inline]
    pub fn symbol(&self, locate: u16) -> Option<usize> {
        let found = *self.symbols.get(usize::from(locate))?;
        found.checked_sub(1).map(usize::from)
    }

    /// Says what a number in the feed stands for.
    pub fn define(&mut self, locate: u16, name: &[u8; 8]) {
        let place = usize::from(locate);
        if let Some(symbol) = (0..self.desk.symbols()).find(|s| self.desk.name(*s) == name) {
            self.symbols.resize(self.symbols.len().max(place + 1), 0);
            self.symbols[place] = symbol as u16 + 1;
        }
    }

    /// Takes in a message of the feed, and lets the strategy act on it.
    #[inline]
    pub fn message(&mut self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        if let Message::StockDirectory(directory) = &message {
            self.define(directory.head.locate.get(), &directory.stock);
        }
        // An order that it never heard of was there before it came.
        if self.market.apply(&message).is_ok() {
            self.changed(message.head().locate.get());
        }
    }

    /// A book has changed.
    #[inline]
    pub fn changed(&mut self, locate: u16) {
        let Some(symbol) = self.symbol(locate) else { return };
        let Some(depth) = self.market.located(locate) else { return };
        if let Some(twice_mid) = depth.signals.twice_mid() {
            self.desk.mark(symbol, twice_mid);
        }
        self.strategy.on_book(symbol, depth, &mut self.desk);
    }

    /// The venue tells of an own order. Returns it as it is now.
    pub fn report(&mut self, report: &Report) -> Option<Order> {
        let order = self.desk.report(report)?;
        self.strategy.on_order(report, &order, &mut self.desk);
        Some(order)
    }

    /// What was displayed is not known any more.
    pub fn astray(&mut self) {
        self.market.forget_orders();
        self.desk.cancel_all();
    }
}

/// Why a strategy stopped trading.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The gateway.
    #[error("login to the gateway: {0}")]
    Login(#[from] LoginError),
    /// The feed.
    #[error("{0}")]
    Source(#[from] SourceError),
}

/// What happened to an own order, and when it was heard of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heed {
    /// When.
    pub time_ns: UnixNanos,
    /// What the venue told.
    pub report: Report,
    /// The order as it is now.
    pub order: Order,
}

/// Lets a strategy trade until `goes_on` says that it is over, which is asked between turns; then cancels its
/// orders and leaves. `heed` is told of each own order's fate.
pub fn run<S: Strategy>(
    seat: &mut Seat<S>,
    source: &mut Source,
    link: &mut impl Link,
    mut goes_on: impl FnMut(&Seat<S>) -> bool,
    mut heed: impl FnMut(&Heed),
) -> Result<(), LiveError> {
    let mut clock = Clock::new();
    let mut leaving: Option<Instant> = None;
    let mut adjusted = Instant::now();
    loop {
        seat.desk.set_now(clock.now_ns());
        let heard = source.poll(BATCH_MAX, |heard| match heard {
            Heard::Message { bytes, .. } => {
                seat.message(bytes);
                link.send(&mut seat.desk);
            }
            Heard::Session => {
                seat.market = Market::new();
                seat.desk.cancel_all();
            }
            Heard::Gap { first, count } => {
                tracing::warn!(first, count, "messages of the feed are lost; orders are cancelled");
                seat.astray();
            }
        })?;
        let told = link.poll(&mut |event| match event {
            LinkEvent::Report(report) => {
                if let Some(order) = seat.report(&report) {
                    heed(&Heed { time_ns: seat.desk.now_ns(), report, order });
                }
            }
            LinkEvent::Connected { next_id } => seat.desk.connected(next_id),
            LinkEvent::Lost => seat.desk.lost(),
        })?;
        if leaving.is_none() {
            let Seat { strategy, desk, .. } = &mut *seat;
            strategy.on_time(desk);
        }
        if leaving.is_none() && !goes_on(seat) {
            seat.desk.kill(Killed::Asked);
            leaving = Some(Instant::now());
        }
        link.send(&mut seat.desk);
        let gone = seat.desk.orders().is_empty();
        if leaving.is_some_and(|since| gone || since.elapsed() > LEAVE) {
            link.log_out();
            return Ok(());
        }
        if heard + told == 0 {
            if adjusted.elapsed() > Duration::from_secs(1) {
                clock.adjust();
                adjusted = Instant::now();
            }
            std::thread::sleep(NAP);
        }
    }
}
