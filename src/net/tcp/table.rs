//! Which connection a segment belongs to: open addressing over the 4-tuple, with a secret in the
//! hash so that nobody can choose ports that collide.

use std::hash::{BuildHasher, RandomState};

use super::super::packet::Tuple;

#[derive(Clone, Copy)]
struct Entry {
    tuple: Tuple,
    conn: u32,
}

/// Connections by 4-tuple.
pub(super) struct Table {
    entries: Vec<Option<Entry>>,
    secret: [u64; 2],
}

impl Table {
    /// Room for `conns_max` connections; at most half of it is ever used.
    pub fn new(conns_max: usize) -> Table {
        let state = RandomState::new();
        let secret = [state.hash_one(0u8) | 1, state.hash_one(1u8)];
        Table { entries: vec![None; (2 * conns_max).next_power_of_two()], secret }
    }

    #[inline]
    fn home(&self, tuple: &Tuple) -> usize {
        let address =
            |(ip, port): (std::net::Ipv4Addr, u16)| u64::from(ip.to_bits()) << 16 | u64::from(port);
        let mixed = u128::from(address(tuple.remote) ^ self.secret[1])
            * u128::from(address(tuple.local).wrapping_mul(2).wrapping_add(self.secret[0]));
        ((mixed >> 64) as u64 ^ mixed as u64) as usize & (self.entries.len() - 1)
    }

    /// Where a tuple is, or the empty place where it would be.
    #[inline]
    fn place(&self, tuple: &Tuple) -> usize {
        let mask = self.entries.len() - 1;
        let mut at = self.home(tuple);
        while self.entries[at].is_some_and(|entry| entry.tuple != *tuple) {
            at = (at + 1) & mask;
        }
        at
    }

    /// The connection of a tuple.
    #[inline]
    pub fn find(&self, tuple: &Tuple) -> Option<u32> {
        self.entries[self.place(tuple)].map(|entry| entry.conn)
    }

    /// Adds a connection that is not there yet.
    pub fn insert(&mut self, tuple: Tuple, conn: u32) {
        let at = self.place(&tuple);
        debug_assert!(self.entries[at].is_none(), "one connection a tuple");
        self.entries[at] = Some(Entry { tuple, conn });
    }

    /// Takes a connection out, and moves up what had been pushed on by it.
    pub fn remove(&mut self, tuple: &Tuple) {
        let mask = self.entries.len() - 1;
        let mut hole = self.place(tuple);
        if self.entries[hole].take().is_none() {
            return;
        }
        let mut at = (hole + 1) & mask;
        while let Some(entry) = self.entries[at] {
            let home = self.home(&entry.tuple);
            // Whether the hole lies between its home and where it is now.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = self.entries[at].take();
                hole = at;
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::net::Ipv4Addr;

    proptest! {
        #[test]
        fn the_table_is_a_map(steps in prop::collection::vec((0u16..40, any::<bool>()), 0..400)) {
            let mut table = Table::new(40);
            let mut model = HashMap::new();
            let tuple = |port| Tuple {
                remote: (Ipv4Addr::new(10, 0, 0, 1), port),
                local: (Ipv4Addr::new(10, 0, 0, 2), 7001),
            };
            for (n, (port, insert)) in steps.into_iter().enumerate() {
                let tuple = tuple(port);
                if insert && !model.contains_key(&tuple) {
                    table.insert(tuple, n as u32);
                    model.insert(tuple, n as u32);
                } else if !insert {
                    table.remove(&tuple);
                    model.remove(&tuple);
                }
            }
            for port in 0..40 {
                prop_assert_eq!(table.find(&tuple(port)), model.get(&tuple(port)).copied());
            }
        }
    }
}
