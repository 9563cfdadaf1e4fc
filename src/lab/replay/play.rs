//! A market played into a book of this process, and what came of it beside what was recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{MarketSource, Pace, Skipped};
use crate::client::market::Market;
use crate::lab::LabError;
use crate::lab::backtest::{OwnOrders, Venue};
use crate::lab::row::{Kind, Row};
use crate::wire::itch::Message;

/// What a symbol did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Trades with displayed orders.
    pub trades: u64,
    /// Their shares.
    pub shares: u64,
    /// Their shares times their prices, in 1/10000 of the currency unit.
    pub notional: u128,
    /// Shares displayed at the end.
    pub displayed: u64,
    /// Orders displayed at the end.
    pub orders: u64,
}

/// What was recorded, and what came of playing it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Comparison {
    /// Events.
    pub events: u64,
    /// By symbol: recorded and played.
    pub symbols: BTreeMap<String, (Tally, Tally)>,
    /// What was skipped.
    pub skipped: Skipped,
}

impl Comparison {
    /// Symbols that did not do what was recorded.
    pub fn differences(&self) -> impl Iterator<Item = (&String, &(Tally, Tally))> {
        self.symbols.iter().filter(|(_, (recorded, played))| recorded != played)
    }
}

/// Sums up recorded rows, and what they leave displayed.
#[derive(Default)]
pub struct Recorded {
    tallies: BTreeMap<String, Tally>,
    orders: std::collections::HashMap<u64, u32>,
}

impl Recorded {
    /// What each symbol did.
    pub fn into_tallies(self) -> BTreeMap<String, Tally> {
        self.tallies
    }

    /// Takes in a row.
    pub fn row(&mut self, symbol: &str, row: &Row) {
        if !self.tallies.contains_key(symbol) {
            self.tallies.insert(symbol.to_owned(), Tally::default());
        }
        let tally = self.tallies.get_mut(symbol).expect("it was put there");
        let mut gone = |tally: &mut Tally, order: u64, shares: Option<u32>| {
            let Some(left) = self.orders.get_mut(&order) else { return false };
            let shares = shares.unwrap_or(*left).min(*left);
            *left -= shares;
            tally.displayed -= u64::from(shares);
            if *left == 0 {
                self.orders.remove(&order);
                tally.orders -= 1;
            }
            true
        };
        match row.kind {
            Kind::Execute | Kind::ExecuteAt => {
                if gone(tally, row.order, Some(row.shares)) {
                    tally.trades += 1;
                    tally.shares += u64::from(row.shares);
                    tally.notional += u128::from(row.price.notional(row.shares));
                }
            }
            Kind::Cancel => _ = gone(tally, row.order, Some(row.shares)),
            Kind::Delete => _ = gone(tally, row.order, None),
            Kind::Add | Kind::Replace => {
                if row.kind == Kind::Replace && !gone(tally, row.replaces, None) {
                    return;
                }
                self.orders.insert(row.order, row.shares);
                tally.displayed += u64::from(row.shares);
                tally.orders += 1;
            }
            Kind::Trade => {}
        }
    }
}

/// What the feed of the book tells that is played into.
#[derive(Default)]
struct Played {
    market: Market,
    trades: Vec<Tally>,
}

impl Played {
    fn take(&mut self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        if let Message::Executed(m) = &message
            && let Some(order) = self.market.order(m.reference.get())
        {
            let tally = &mut self.trades[usize::from(order.locate) - 1];
            tally.trades += 1;
            tally.shares += u64::from(m.shares.get());
            tally.notional += u128::from(order.price.notional(m.shares.get()));
        }
        let _ = self.market.apply(&message);
    }
}

/// How often it is asked whether to go on, while there is to wait.
const LOOK: Duration = Duration::from_millis(50);

/// Why a market was not played to its end.
enum Ended {
    Stopped,
    Failed(LabError),
}

impl From<LabError> for Ended {
    fn from(error: LabError) -> Ended {
        Ended::Failed(error)
    }
}

/// Plays a market into a book, at a pace, and compares what was played until it is not to go on.
pub fn play(
    source: &MarketSource,
    symbols: &[String],
    mut pace: Pace,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Comparison, LabError> {
    let mut venue = Venue::new(OwnOrders::default());
    let mut numbers: std::collections::HashMap<String, u16> = Default::default();
    let mut recorded = Recorded::default();
    let mut outcome = Played::default();
    let mut comparison = Comparison::default();
    let mut reports = vec![];
    let played = source.each::<Ended>(symbols, |name, row| {
        let mut wait = pace.wait(row.time_ns);
        let looks = !wait.is_zero() || comparison.events.is_multiple_of(1 << 12);
        if looks && !goes_on() {
            return Err(Ended::Stopped);
        }
        while !wait.is_zero() {
            std::thread::sleep(wait.min(LOOK));
            if wait > LOOK && !goes_on() {
                return Err(Ended::Stopped);
            }
            wait = pace.wait(row.time_ns);
        }
        recorded.row(name, row);
        let number = match numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = numbers.len() as u16;
                numbers.insert(name.to_owned(), number);
                let name = crate::wire::soupbin::pad(name.as_bytes());
                venue.define(name, row.time_ns, &mut |bytes| outcome.take(bytes));
                outcome.trades.push(Tally::default());
                number
            }
        };
        let row = Row { locate: number, ..*row };
        venue.happen(&row, &mut reports, &mut |bytes| outcome.take(bytes));
        comparison.events += 1;
        Ok(())
    });
    match played {
        Ok(skipped) => comparison.skipped = skipped,
        Err(Ended::Stopped) => {}
        Err(Ended::Failed(error)) => return Err(error),
    }
    for (name, recorded) in recorded.tallies {
        let number = usize::from(numbers[&name]);
        let mut played = outcome.trades[number];
        if let Some(depth) = outcome.market.located(number as u16 + 1) {
            for (_, level) in depth.side(true).chain(depth.side(false)) {
                played.displayed += level.shares;
                played.orders += u64::from(level.orders);
            }
        }
        comparison.symbols.insert(name, (recorded, played));
    }
    Ok(comparison)
}
