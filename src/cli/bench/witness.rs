//! One who trades before, and while, something else happens: what it notices of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::super::Outcome;
use super::plan::histogram;
use crate::client::load::{OpenLoop, Tally};
use crate::client::{Client, NewOrder};
use crate::order::Price;

/// Orders a second.
const WITNESS_RATE: u32 = 2_000;
/// How long it is looked at alone.
const ALONE: Duration = Duration::from_secs(3);

/// Order to Accepted, alone and beside what happened.
pub(super) struct Seen {
    alone: Histogram<u64>,
    beside: Histogram<u64>,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |times: &Histogram<u64>, q| times.value_at_quantile(q) as f64 / 1e3;
        let Seen { alone, beside } = self;
        let ratio = at(beside, 0.99) / at(alone, 0.99);
        write!(f, "p50 {:.0} us, p99 {:.0} us; ", at(alone, 0.5), at(alone, 0.99))?;
        write!(f, "meanwhile p50 {:.0} us, p99 {:.0} us: ", at(beside, 0.5), at(beside, 0.99))?;
        write!(f, "{ratio:.2}, {} and {} samples", alone.len(), beside.len())
    }
}

/// Has TRADE1 trade alone, and then while `what` happens.
pub(super) fn beside(
    to: SocketAddr,
    what: impl FnOnce() -> Outcome,
) -> Result<Seen, Box<dyn std::error::Error>> {
    let (stop, begun) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let witness = scope.spawn(|| trade(to, &stop, &begun));
        std::thread::sleep(ALONE);
        begun.store(true, Ordering::Relaxed);
        let result = what();
        stop.store(true, Ordering::Relaxed);
        let [alone, beside] = witness.join().unwrap_or_else(|p| std::panic::resume_unwind(p))?;
        result.map(|()| Seen { alone, beside })
    })
}

/// One who trades before, and while, the others come: order to Accepted, from the scheduled time.
fn trade(
    to: SocketAddr,
    stop: &AtomicBool,
    storming: &AtomicBool,
) -> Result<[Histogram<u64>; 2], String> {
    let login = Client::login(to, "TRADE1", "secret", 0).map_err(|error| error.to_string())?;
    let mut load = OpenLoop::new(vec![login]).map_err(|error| error.to_string())?;
    let mut found = [histogram(), histogram()];
    // What is looked for is what the gateway does to it, not what the scheduler does.
    crate::runtime::promptness::ask_for_short_waits();
    load.start();
    let mut user_ref = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut tally = Tally::default();
        let beside = usize::from(storming.load(Ordering::Relaxed));
        let mut hundred = || -> std::io::Result<()> {
            for _ in 0..100 {
                user_ref += 1;
                let due = Duration::from_secs(1) * user_ref / WITNESS_RATE;
                load.receive_until(due, &mut tally)?;
                let order = NewOrder::new(user_ref, b'B', 1, "AAPL", Price(1_000_000)).ioc();
                load.send(0, &order.encode(), Some(user_ref), due, &mut tally)?;
            }
            Ok(())
        };
        hundred().map_err(|error| error.to_string())?;
        if tally.rejected > 0 {
            return Err("an order of the one who was there was refused".to_owned());
        }
        found[beside].add(&tally.latency_ns).map_err(|error| error.to_string())?;
    }
    Ok(found)
}
