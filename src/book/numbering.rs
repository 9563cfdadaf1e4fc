//! Which number comes next.
//!
//! A number follows from where it is given: an order's from its command's place in the sequence, a slice's and a
//! trade's from its symbol's own count. So several books that have the symbols among them give the same numbers
//! as one with all. Journals from before that counted over all symbols, and their replays still do.

use super::digest::Digest;
use super::numbers::{KEY_BYTES, Numbers};
use crate::order::{Command, SymbolId};

/// Where the counts of slices begin: behind those of all commands.
const SLICES: u64 = 1 << 47;
/// Slices of one symbol.
const SLICES_BITS: u32 = 31;
/// Trades of one symbol.
const MATCHES_BITS: u32 = 40;

/// What was given out in one symbol.
#[derive(Clone, Copy, Default)]
struct Counts {
    slices: u64,
    matches: u64,
}

/// Numbers for orders, slices of icebergs, and trades.
#[derive(Clone)]
pub(super) struct Numbering {
    numbers: Numbers,
    by_place: bool,
    symbols: Vec<Counts>,
    /// Where numbers do not go by their place: orders and slices, and trades, over all symbols.
    references: u64,
    matches: u64,
}

impl Numbering {
    /// Counted over all symbols, until a key says otherwise.
    pub fn new(symbols_max: u16) -> Numbering {
        let symbols = Vec::with_capacity(symbols_max.into());
        Numbering { numbers: Numbers::plain(), by_place: false, symbols, references: 0, matches: 0 }
    }

    /// Numbers from here on go under a key.
    pub fn set_key(&mut self, key: &[u8; KEY_BYTES], by_place: bool) {
        (self.numbers, self.by_place) = (Numbers::with_key(key), by_place);
    }

    /// Whether numbers follow from where they are given.
    pub fn is_by_place(&self) -> bool {
        self.by_place
    }

    /// There is another symbol.
    pub fn add_symbol(&mut self) {
        self.symbols.push(Counts::default());
    }

    /// Of the order that a command enters.
    #[inline]
    pub fn of_order(&mut self, command: &Command) -> u64 {
        if self.by_place {
            return self.numbers.of(command.seq.0);
        }
        self.references += 1;
        self.numbers.of(self.references)
    }

    /// Of an iceberg's next slice.
    pub fn of_slice(&mut self, symbol: SymbolId) -> u64 {
        if self.by_place {
            let count = &mut self.symbols[symbol.index()].slices;
            *count += 1;
            return self.numbers.alone(SLICES | u64::from(symbol.0) << SLICES_BITS | *count);
        }
        self.references += 1;
        self.numbers.of(self.references)
    }

    /// Of a trade.
    #[inline]
    pub fn of_match(&mut self, symbol: SymbolId) -> u64 {
        if self.by_place {
            let count = &mut self.symbols[symbol.index()].matches;
            *count += 1;
            return u64::from(symbol.0) << MATCHES_BITS | *count;
        }
        self.matches += 1;
        self.matches
    }

    /// Takes over what another has counted in a symbol.
    pub fn take_over(&mut self, symbol: SymbolId, from: &Numbering) {
        self.symbols[symbol.index()] = from.symbols[symbol.index()];
    }

    /// Adds what holds for all symbols.
    pub fn add_to(&self, digest: &mut Digest) {
        digest.add(self.references);
        self.numbers.add_to(digest);
        digest.add(self.matches);
    }

    /// Adds what was counted in one.
    pub fn add_symbol_to(&self, symbol: SymbolId, digest: &mut Digest) {
        let Counts { slices, matches } = self.symbols[symbol.index()];
        digest.add(slices);
        digest.add(matches);
    }
}
