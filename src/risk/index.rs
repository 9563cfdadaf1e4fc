//! From a client's number to the order's slot.
//!
//! An open-addressed table of cache lines, each for 13 neighbouring numbers of one user:
//! clients count upwards, so successive orders share a line. The hash is keyed at random, so
//! that no choice of numbers makes probes long.

use std::hash::{BuildHasher, RandomState};

use crate::order::{Slot, UserId, UserRefNum};
use crate::runtime::{Table, prefetch};

/// Numbers in a line.
const WIDTH: u32 = 13;

/// Key of a line that holds nothing.
const EMPTY: u64 = u64::MAX;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line {
    key: u64,
    /// How many of the slots hold an order.
    used: u32,
    slots: [u32; WIDTH as usize],
}

const _: () = assert!(size_of::<Line>() == 64);

pub(super) struct Index {
    lines: Table<Line>,
    mask: usize,
    seed: u64,
}

impl Index {
    /// Room for `orders`, each of which may need a line of its own; at most half full.
    pub fn new(orders: u32) -> Index {
        let lines = (orders as usize * 2).next_power_of_two();
        let vacant = Line { key: EMPTY, used: 0, slots: [Slot::NONE.0; WIDTH as usize] };
        Index {
            lines: Table::new(lines, vacant),
            mask: lines - 1,
            seed: RandomState::new().hash_one(lines),
        }
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        let mixed = (key ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) as usize & self.mask
    }

    /// The line of a key, or the empty one where it would go.
    #[inline]
    fn find(&self, key: u64) -> usize {
        let mut at = self.home(key);
        while self.lines[at].key != key && self.lines[at].key != EMPTY {
            at = (at + 1) & self.mask;
        }
        at
    }

    /// Brings near the line of a number.
    #[inline]
    pub fn foresee(&self, user: UserId, user_ref: UserRefNum) {
        let (key, _) = split(user, user_ref);
        prefetch(&self.lines[self.home(key)]);
    }

    #[inline]
    pub fn get(&self, user: UserId, user_ref: UserRefNum) -> Option<Slot> {
        let (key, place) = split(user, user_ref);
        let slot = self.lines[self.find(key)].slots[place];
        (slot != Slot::NONE.0).then_some(Slot(slot))
    }

    #[inline]
    pub fn insert(&mut self, user: UserId, user_ref: UserRefNum, slot: Slot) {
        let (key, place) = split(user, user_ref);
        let at = self.find(key);
        let line = &mut self.lines[at];
        line.key = key;
        let old = std::mem::replace(&mut line.slots[place], slot.0);
        line.used += u32::from(old == Slot::NONE.0);
    }

    #[inline]
    pub fn remove(&mut self, user: UserId, user_ref: UserRefNum) {
        let (key, place) = split(user, user_ref);
        let at = self.find(key);
        let line = &mut self.lines[at];
        let old = std::mem::replace(&mut line.slots[place], Slot::NONE.0);
        line.used -= u32::from(old != Slot::NONE.0);
        if line.key == key && line.used == 0 {
            self.vacate(at);
        }
    }

    /// Empties a line and moves those behind it that would no longer be found.
    fn vacate(&mut self, mut hole: usize) {
        let mut next = (hole + 1) & self.mask;
        while self.lines[next].key != EMPTY {
            let home = self.home(self.lines[next].key);
            if (next.wrapping_sub(home) & self.mask) >= (next.wrapping_sub(hole) & self.mask) {
                self.lines[hole] = self.lines[next];
                hole = next;
            }
            next = (next + 1) & self.mask;
        }
        let empty = [Slot::NONE.0; WIDTH as usize];
        self.lines[hole] = Line { key: EMPTY, used: 0, slots: empty };
    }
}

#[inline]
fn split(user: UserId, user_ref: UserRefNum) -> (u64, usize) {
    let (line, place) = (user_ref.0 / WIDTH, user_ref.0 % WIDTH);
    (u64::from(user.0) << 32 | u64::from(line), place as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn the_index_is_a_map(
            steps in prop::collection::vec((any::<bool>(), 0u16..3, 0u32..200, 0u32..3), 1..600)
        ) {
            let (mut index, mut model) = (Index::new(64), HashMap::new());
            for (n, (insert, user, user_ref, spread)) in steps.into_iter().enumerate() {
                let user_ref = user_ref * [1, WIDTH, 1 << 24][spread as usize];
                let key = (UserId(user), UserRefNum(user_ref));
                if insert && model.len() < 64 {
                    index.insert(key.0, key.1, Slot(n as u32));
                    model.insert(key, Slot(n as u32));
                } else if !insert {
                    index.remove(key.0, key.1);
                    model.remove(&key);
                }
                prop_assert_eq!(index.get(key.0, key.1), model.get(&key).copied());
            }
            for (key, slot) in model {
                prop_assert_eq!(index.get(key.0, key.1), Some(slot));
            }
        }
    }
}
