//! Symbols and firms by name, and their names by number.

use std::collections::HashMap;

use crate::order::{FirmId, SymbolId, UserId};

/// Numbers of symbols by their eight bytes on the wire: an open-addressed table.
pub struct Directory {
    entries: Vec<(u64, SymbolId)>,
}

/// Key of an empty entry; no symbol is eight zero bytes.
const EMPTY: u64 = 0;

impl Directory {
    /// A directory of symbols in order of their numbers.
    pub fn new(symbols: &[[u8; 8]]) -> Directory {
        let size = (symbols.len() * 4).next_power_of_two().max(16);
        let mut directory = Directory { entries: vec![(EMPTY, SymbolId(0)); size] };
        for (number, name) in symbols.iter().enumerate() {
            let key = u64::from_ne_bytes(*name);
            let at = directory.place(key);
            directory.entries[at] = (key, SymbolId(number as u16));
        }
        directory
    }

    #[inline]
    fn place(&self, key: u64) -> usize {
        let mask = self.entries.len() - 1;
        let mut at = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize & mask;
        while self.entries[at].0 != key && self.entries[at].0 != EMPTY {
            at = (at + 1) & mask;
        }
        at
    }

    /// The symbol of a name, if it is traded here.
    #[inline]
    pub fn find(&self, name: &[u8; 8]) -> Option<SymbolId> {
        let key = u64::from_ne_bytes(*name);
        let (found, symbol) = self.entries[self.place(key)];
        (found == key && key != EMPTY).then_some(symbol)
    }
}

/// What numbers stand for on the wire.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By symbol.
    pub symbols: Vec<[u8; 8]>,
    /// By firm.
    pub firms: Vec<[u8; 4]>,
    /// Firm by user.
    pub users: Vec<FirmId>,
    /// Login names by user.
    pub user_names: Vec<[u8; 6]>,
    /// Names of venues, by their numbers from 1.
    pub venues: Vec<[u8; 4]>,
    /// What a venue calls a symbol that it calls otherwise; nothing if it no longer does.
    pub aliases: HashMap<(UserId, SymbolId), Vec<u8>>,
    /// Names of venues' that were taken in.
    pub aliases_taken: usize,
}

impl Names {
    /// What a venue calls a symbol.
    pub fn at_venue(&self, venue: UserId, symbol: SymbolId) -> &[u8] {
        let alias = match self.aliases.is_empty() {
            true => None,
            false => self.aliases.get(&(venue, symbol)).filter(|alias| !alias.is_empty()),
        };
        alias.map_or_else(|| self.symbols[symbol.index()].trim_ascii_end(), Vec::as_slice)
    }

    /// The name of a venue; nothing for 0, which is here.
    pub fn venue(&self, number: u8) -> &[u8] {
        let name = usize::from(number).checked_sub(1).and_then(|at| self.venues.get(at));
        name.map_or(b"", |name| name.trim_ascii_end())
    }

    /// The name of a user's firm.
    pub fn firm_of(&self, user: UserId) -> [u8; 4] {
        self.firms[self.users[user.index()].index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_symbols_are_found() {
        let directory = Directory::new(&[*b"AAPL    ", *b"MSFT    "]);
        assert_eq!(directory.find(b"MSFT    "), Some(SymbolId(1)));
        assert_eq!(directory.find(b"GOOG    "), None);
        assert_eq!(directory.find(&[0; 8]), None);
    }
}
