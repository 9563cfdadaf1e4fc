//! Orders without a view: what fills a market for those who want to try something in it.

use super::Strategy;
use super::desk::Desk;
use super::order::{Manner, OrderId};
use crate::client::load::Random;
use crate::client::market::Depth;
use crate::order::{NANOS_PER_SEC, Price, UnixNanos};

/// Enters, replaces, cancels and takes at random around a price that wanders.
pub struct Noise {
    /// Actions a second.
    pub rate: u64,
    /// Orders that it keeps open in a symbol.
    pub open: usize,
    /// Prices that orders may stand at, in 1/10000 of the currency unit.
    pub tick: u32,
    /// Steps from the price it wanders around at which its orders stand at the most.
    pub depth: u32,
    random: Random,
    /// The price it wanders around, in each symbol.
    centers: Vec<u32>,
    next_ns: UnixNanos,
}

impl Noise {
    /// Around these prices, one for each of the desk's symbols.
    pub fn new(centers: &[Price], rate: u64, seed: u64) -> Noise {
        Noise {
            rate,
            open: 100,
            tick: 100,
            depth: 20,
            random: Random::new(seed.max(1)),
            centers: centers.iter().map(|price| price.0).collect(),
            next_ns: 0,
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end.max(1))
    }

    fn act(&mut self, desk: &mut Desk) {
        let symbol = self.below(self.centers.len() as u64) as usize;
        if self.below(16) == 0 {
            let up = self.below(2) == 0;
            let center = &mut self.centers[symbol];
            let moved = if up { *center + self.tick } else { center.saturating_sub(self.tick) };
            *center = moved.max(self.tick * (self.depth + 2));
        }
        let own: Vec<OrderId> = desk
            .orders()
            .iter()
            .filter(|order| order.symbol == symbol && order.is_settled())
            .map(|order| order.id)
            .collect();
        let buys = self.below(2) == 0;
        let shares = 1 + self.below(400) as u32;
        // Near the middle more often than far from it.
        let steps =
            1 + self.below(u64::from(self.depth)).min(self.below(u64::from(self.depth))) as u32;
        let away = steps * self.tick;
        let center = self.centers[symbol];
        let price = Price(if buys { center - away } else { center + away });
        let some = own.get(self.below(own.len() as u64) as usize).copied();
        match (self.below(20), some) {
            // Takes what is displayed across a few prices.
            (0 | 1, _) => {
                let cross = 2 * self.tick;
                let price = Price(if buys { center + cross } else { center - cross });
                let _ = desk.enter(symbol, buys, shares, price, Manner::Ioc);
            }
            (2 | 3, Some(id)) => {
                let buys = desk.orders().get(id).is_some_and(|order| order.buys);
                let price = Price(if buys { center - away } else { center + away });
                let _ = desk.replace(id, shares, price);
            }
            (4..10, Some(id)) => desk.cancel(id),
            (_, Some(id)) if own.len() >= self.open => desk.cancel(id),
            _ => _ = desk.enter(symbol, buys, shares, price, Manner::Day),
        }
    }
}

impl Strategy for Noise {
    fn on_book(&mut self, _: usize, _: &Depth, _: &mut Desk) {}

    fn on_time(&mut self, desk: &mut Desk) {
        let (now_ns, step) = (desk.now_ns(), NANOS_PER_SEC / self.rate.max(1));
        if self.next_ns == 0 || now_ns > self.next_ns + NANOS_PER_SEC {
            self.next_ns = now_ns;
        }
        while desk.is_connected() && self.next_ns <= now_ns {
            self.act(desk);
            self.next_ns += step;
        }
    }
}
