//! What firms hold, and what their open orders could make of it.

use crate::book::Digest;
use crate::order::{FirmId, Price, SymbolId};
use crate::runtime::Sparse;

/// Firms whose holdings of a symbol are neighbours: who trades what everybody trades finds it near, and with few
/// firms there is little between one symbol and the next.
const NEIGHBOURS: usize = 32;

/// A firm's shares of one symbol; half a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, zerocopy::FromZeros)]
#[repr(align(32))]
pub(super) struct Holding {
    /// Net shares bought, since the journal began.
    pub position: i64,
    /// Open shares of buy orders, and of sell orders.
    pub open: [i64; 2],
}

impl Holding {
    /// Net shares towards a side if every open order of that side filled. Computed without a
    /// branch: which side comes next is anybody's guess.
    #[inline]
    pub fn worst(&self, buys: bool) -> i64 {
        let sign = i64::from(buys) * 2 - 1;
        self.open[usize::from(!buys)] + sign * self.position
    }
}

/// Everybody's holdings and open notional.
pub(super) struct Exposure {
    /// By firm and symbol; takes memory only where there is any.
    holdings: Sparse<Holding>,
    open_notional: Vec<u64>,
    symbols: usize,
}

impl Exposure {
    pub fn new(firms: u16, symbols: u16) -> Exposure {
        let (firms, symbols) = (usize::from(firms), usize::from(symbols));
        let blocks = firms.div_ceil(NEIGHBOURS);
        let holdings = Sparse::new(blocks * symbols * NEIGHBOURS);
        Exposure { holdings, open_notional: vec![0; firms], symbols }
    }

    #[inline]
    fn place(&self, firm: FirmId, symbol: SymbolId) -> usize {
        let (block, at) = (firm.index() / NEIGHBOURS, firm.index() % NEIGHBOURS);
        (block * self.symbols + symbol.index()) * NEIGHBOURS + at
    }

    #[inline]
    pub fn of(&self, firm: FirmId, symbol: SymbolId) -> &Holding {
        &self.holdings[self.place(firm, symbol)]
    }

    #[inline]
    fn of_mut(&mut self, firm: FirmId, symbol: SymbolId) -> &mut Holding {
        let place = self.place(firm, symbol);
        &mut self.holdings[place]
    }

    /// What all open orders of a firm are worth, in 1/10000.
    #[inline]
    pub fn open_notional(&self, firm: FirmId) -> u64 {
        self.open_notional[firm.index()]
    }

    /// Shares came to be open at a price.
    #[inline]
    pub fn open(&mut self, firm: FirmId, symbol: SymbolId, buys: bool, qty: u32, price: Price) {
        self.of_mut(firm, symbol).open[usize::from(!buys)] += i64::from(qty);
        self.open_notional[firm.index()] += price.notional(qty);
    }

    /// Shares are no longer open.
    #[inline]
    pub fn close(&mut self, firm: FirmId, symbol: SymbolId, buys: bool, qty: u32, price: Price) {
        self.of_mut(firm, symbol).open[usize::from(!buys)] -= i64::from(qty);
        self.open_notional[firm.index()] -= price.notional(qty);
    }

    /// Shares traded.
    #[inline]
    pub fn fill(&mut self, firm: FirmId, symbol: SymbolId, buys: bool, qty: u32) {
        let sign = i64::from(buys) * 2 - 1;
        self.of_mut(firm, symbol).position += sign * i64::from(qty);
    }

    pub fn add_to(&self, digest: &mut Digest, firms: usize, symbols: usize) {
        for firm in 0..firms {
            digest.add(self.open_notional[firm]);
            let firm = FirmId(firm as u16);
            let all = (0..symbols as u16).map(|symbol| (symbol, self.of(firm, SymbolId(symbol))));
            for (symbol, holding) in all.filter(|(_, held)| **held != Holding::default()) {
                digest.add(u64::from(symbol));
                digest.add(holding.position as u64);
                holding.open.iter().for_each(|open| digest.add(*open as u64));
            }
        }
    }
}
