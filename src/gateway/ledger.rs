//! What a client calls its orders, where the protocol lets it choose names: each gets the next
//! number, under which risk and book know it, and is found again by either.

use std::hash::{BuildHasher, RandomState};

/// Entries of a piece of the ledger: it grows by as many at once. Memory is asked for a piece at a
/// time and touched an entry at a time, so that a user who never has so many costs address space.
const PIECE: usize = 65_536;

/// What a ledger keeps of an order.
pub trait Entry: Clone {
    /// Nothing.
    fn empty() -> Self;
    /// The client's name for it.
    fn name(&self) -> &[u8];
}

/// Entries by number, from 1 without gaps, and by name.
pub struct Ledger<E> {
    pieces: Vec<Vec<E>>,
    last: u32,
    /// Part of the name's hash, and the number; 0 is empty.
    table: Vec<(u32, u32)>,
    named: usize,
    hasher: RandomState,
}

impl<E: Entry> Ledger<E> {
    /// With room for as many as one piece has.
    pub fn new() -> Ledger<E> {
        Ledger {
            pieces: vec![Vec::with_capacity(PIECE)],
            last: 0,
            table: vec![(0, 0); 2 * PIECE],
            named: 0,
            hasher: RandomState::new(),
        }
    }

    /// The last number that was given.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// The entry of a number.
    #[inline]
    pub fn get(&self, number: u32) -> Option<&E> {
        let at = number.checked_sub(1).filter(|_| number <= self.last)? as usize;
        Some(&self.pieces[at / PIECE][at % PIECE])
    }

    /// The entry of a number, to be changed in all but its name.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut E> {
        let at = number.checked_sub(1).filter(|_| number <= self.last)? as usize;
        Some(&mut self.pieces[at / PIECE][at % PIECE])
    }

    /// Sets the entry of a number, and finds it by its name from here on if it is to be `found`.
    #[inline]
    pub fn put(&mut self, number: u32, entry: E, found: bool) {
        debug_assert!(number > 0);
        let at = number as usize - 1;
        while self.last < number {
            self.push(E::empty());
        }
        self.pieces[at / PIECE][at % PIECE] = entry;
        if found {
            self.index(number);
        }
    }

    fn push(&mut self, entry: E) {
        if self.last as usize == self.pieces.len() * PIECE {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        self.pieces.last_mut().expect("there is always one").push(entry);
        self.last += 1;
    }

    /// The number of a name.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        let (at, tag) = self.place(name);
        let number = self.table[self.probe(at, tag, name)].1;
        (number != 0).then_some(number)
    }

    /// The entries that were put, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &E)> {
        let all = self.pieces.iter().flat_map(|piece| piece.iter());
        (1..=self.last).zip(all)
    }

    fn place(&self, name: &[u8]) -> (usize, u32) {
        let hash = self.hasher.hash_one(name);
        ((hash as usize) & (self.table.len() - 1), (hash >> 32) as u32)
    }

    /// Where a name stands in the table, or could.
    #[inline]
    fn probe(&self, mut at: usize, tag: u32, name: &[u8]) -> usize {
        loop {
            let (known, number) = self.table[at];
            if number == 0 {
                return at;
            }
            if known == tag && self.get(number).is_some_and(|entry| entry.name() == name) {
                return at;
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    fn index(&mut self, number: u32) {
        if 2 * (self.named + 1) > self.table.len() {
            self.grow();
        }
        let name = self.get(number).expect("just put").name();
        let (at, tag) = self.place(name);
        let at = self.probe(at, tag, name);
        self.named += usize::from(self.table[at].1 == 0);
        self.table[at] = (tag, number);
    }

    #[cold]
    fn grow(&mut self) {
        let size = 2 * self.table.len();
        let old = std::mem::replace(&mut self.table, vec![(0, 0); size]);
        for (tag, number) in old.into_iter().filter(|(_, number)| *number != 0) {
            let name = self.get(number).expect("indexed").name();
            let (at, _) = self.place(name);
            let at = self.probe(at, tag, name);
            self.table[at] = (tag, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Clone)]
    struct Name(Vec<u8>);

    impl Entry for Name {
        fn empty() -> Name {
            Name(vec![])
        }
        fn name(&self) -> &[u8] {
            &self.0
        }
    }

    proptest! {
        #[test]
        fn a_ledger_is_a_map_both_ways(names in prop::collection::vec(0u16..4000, 1..5000)) {
            let (mut ledger, mut model) = (Ledger::new(), HashMap::new());
            for (number, name) in (1..).zip(names) {
                let name = name.to_string().into_bytes();
                ledger.put(number, Name(name.clone()), true);
                model.insert(name, number);
            }
            for (name, number) in &model {
                prop_assert_eq!(ledger.find(name), Some(*number));
                prop_assert_eq!(ledger.get(*number).unwrap().name(), &name[..]);
            }
            prop_assert_eq!(ledger.find(b"none"), None);
            prop_assert_eq!(ledger.iter().count(), ledger.last() as usize);
        }
    }
}
