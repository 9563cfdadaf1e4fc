//! What a venue displays, as somebody who follows its market data tells.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::order::{Price, Side, SymbolId};

/// Best prices of one venue, by symbol. One thread writes them, any may read; a side's price is whole by itself.
#[derive(Debug)]
pub struct Displayed {
    best: Box<[Best]>,
}

/// 0: nothing is displayed.
#[derive(Debug, Default)]
struct Best {
    bid: AtomicU32,
    ask: AtomicU32,
}

impl Displayed {
    /// Nothing, of so many symbols.
    pub fn new(symbols: usize) -> Displayed {
        Displayed { best: (0..symbols).map(|_| Best::default()).collect() }
    }

    /// Tells what a symbol's best prices are now.
    #[inline]
    pub fn show(&self, symbol: SymbolId, bid: Option<Price>, ask: Option<Price>) {
        let Some(best) = self.best.get(symbol.index()) else { return };
        best.bid.store(bid.map_or(0, |price| price.0), Ordering::Relaxed);
        best.ask.store(ask.map_or(0, |price| price.0), Ordering::Relaxed);
    }

    /// Nothing is known any more.
    pub fn clear(&self) {
        (0..self.best.len()).for_each(|at| self.show(SymbolId(at as u16), None, None));
    }

    /// The best price that an order of a side would meet.
    #[inline]
    pub fn facing(&self, symbol: SymbolId, side: Side) -> Option<Price> {
        let best = self.best.get(symbol.index())?;
        let price = if side.is_buy() { &best.ask } else { &best.bid };
        Some(Price(price.load(Ordering::Relaxed))).filter(|price| price.0 > 0)
    }
}
