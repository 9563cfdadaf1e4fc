//! A first strategy, back-tested on a recording: `docs/STRATEGIES.md` tells how to come by one.
//!
//!     cargo run --release --features lab --example first -- DATA SYMBOL

use std::path::Path;

use millrace::client::market::Depth;
use millrace::lab::backtest::report::{self, Heading};
use millrace::lab::backtest::{self, Delay, Latency, OwnOrders, Setup};
use millrace::lab::read::Recording;
use millrace::strategy::live::Seat;
use millrace::strategy::{Desk, Fees, Limits, Manner, Strategy, money};

/// Joins the best bid while many more shares wait there than on the other side, and goes when that is over; what it
/// has, it offers at the best ask.
struct Leaning;

impl Strategy for Leaning {
    fn on_book(&mut self, symbol: usize, depth: &Depth, desk: &mut Desk) {
        let quote = *depth.signals.quote();
        let Some(lean) = depth.signals.imbalance(1).filter(|_| quote.is_whole()) else { return };
        let held = desk.position(symbol).shares;
        let order = desk.orders().iter().find(|order| order.symbol == symbol).copied();
        match order {
            None if held > 0 => {
                let _ = desk.enter(symbol, false, held as u32, quote.ask, Manner::Day);
            }
            None if lean > 0.3 => {
                let _ = desk.enter(symbol, true, 100, quote.bid, Manner::PostOnly);
            }
            Some(order) if order.is_settled() && order.buys && lean < 0.0 => desk.cancel(order.id),
            Some(order) if order.is_settled() && !order.buys && order.price > quote.ask => {
                let _ = desk.replace(order.id, order.open, quote.ask);
            }
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, symbol] = &arguments[..] else { return Err("first DATA SYMBOL".into()) };
    let symbols = vec![symbol.clone()];
    let mut seat = Seat::new(Leaning, Desk::new(&[symbol], Limits::default(), Fees::default()));
    let latency = Latency {
        feed: Delay::Fixed(10_000),
        order: Delay::Fixed(20_000),
        report: Delay::Fixed(20_000),
    };
    let mut recording = Recording::open(Path::new(data), &symbols)?;
    let without = OwnOrders::default();
    let setup = Setup { symbols, latency: latency.clone(), seed: 1, without };
    let outcome = backtest::run(&mut recording, &mut seat, setup)?;
    println!("{} trades, profit {}", outcome.fills.len(), money(seat.desk.twice_profit()));
    let heading =
        Heading { strategy: "Leaning".to_owned(), data: data.clone(), seed: 1, live: None };
    report::write(Path::new("first-report"), &heading, &outcome, &seat.desk, &latency)?;
    println!("first-report/report.html");
    Ok(())
}
