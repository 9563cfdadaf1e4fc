//! Other order books beside millrace's, on the commands of `millrace bench book`: a plain one of two
//! `BTreeMap`s, `lobster`, `orderbook-rs`, and liquibook if `LIQUIBOOK` named a checkout when this was built.
//! Books alone: no risk, no events but the count of trades.
//!
//! `book-peers FLOW WARM_UP RUNS` prints a line of JSON for each: seconds of each run, commands carried out, trades
//! and shares. All must trade the same.

mod flow;
mod peers;

use std::time::{Duration, Instant};

use flow::Flow;
use peers::{Btree, Lobster, Market, Millrace, OrderbookRs};

/// What no book may take longer for in one run; what it did until then is its rate.
const PATIENCE: Duration = Duration::from_secs(8);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path, warm_up, runs] = &arguments[..] else {
        eprintln!("usage: book-peers FLOW WARM_UP RUNS");
        std::process::exit(2);
    };
    let flow = Flow::read(path).unwrap_or_else(|error| {
        eprintln!("{path}: {error}");
        std::process::exit(1);
    });
    let (warm_up, runs) = (warm_up.parse().unwrap_or(0), runs.parse().unwrap_or(1));
    let mut found: Vec<Found> = vec![];
    // In turn, so that what else the machine does falls on all.
    for _ in 0..runs {
        let mut at = 0;
        let mut take = |name: &'static str, ran: Ran| {
            if found.len() == at {
                found.push(Found { name, seconds: vec![], last: ran });
            } else {
                found[at].last = ran;
            }
            found[at].seconds.push(ran.seconds / ran.commands as f64);
            at += 1;
        };
        take("millrace's book", run(&flow, warm_up, Millrace::new(&flow)));
        take("BTreeMap", run(&flow, warm_up, Btree::new(&flow)));
        take("lobster", run(&flow, warm_up, Lobster::new(&flow)));
        take("orderbook-rs", run(&flow, warm_up, OrderbookRs::new(&flow)));
        #[cfg(liquibook)]
        take("liquibook", run(&flow, warm_up, peers::Liquibook::new(&flow)));
    }
    for Found { name, seconds, last } in found {
        let Ran { commands, trades, shares, .. } = last;
        println!(
            "{{\"name\": \"{name}\", \"ns\": {:?}, \"commands\": {commands}, \"trades\": {trades}, \"shares\": {shares}}}",
            seconds.iter().map(|seconds| seconds * 1e9).collect::<Vec<f64>>()
        );
    }
}

struct Found {
    name: &'static str,
    /// Of one command, by run.
    seconds: Vec<f64>,
    last: Ran,
}

#[derive(Clone, Copy)]
struct Ran {
    seconds: f64,
    commands: usize,
    trades: u64,
    shares: u64,
}

fn run(flow: &Flow, warm_up: usize, mut market: impl Market) -> Ran {
    let (before, timed) = flow.commands.split_at(warm_up.min(flow.commands.len()));
    let began = Instant::now();
    for command in before {
        market.take(command);
        // One that is so slow is not measured to the end.
        if began.elapsed() > PATIENCE {
            break;
        }
    }
    let began = Instant::now();
    let mut commands = 0;
    for batch in timed.chunks(1 << 12) {
        batch.iter().for_each(|command| market.take(command));
        commands += batch.len();
        if began.elapsed() > PATIENCE {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let (trades, shares) = market.totals();
    Ran { seconds, commands, trades, shares }
}
