//! Which connection a segment belongs to: open addressing over the 4-tuple, with a secret in the
//! hash so that nobody can choose ports that collide.
//!
//! An entry is eight bytes, a hash and a connection: the tuple stands in the connection, whose line is
//! wanted anyway.

use std::hash::{BuildHasher, RandomState};

use super::super::packet::{End, Tuple};

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    conn: u32,
}

const EMPTY: Entry = Entry { hash: 0, conn: u32::MAX };

impl Entry {
    fn is_empty(self) -> bool {
        self.conn == EMPTY.conn
    }
}

/// Connections by 4-tuple.
pub(super) struct Table {
    entries: Vec<Entry>,
    secret: [u64; 4],
}

impl Table {
    /// Room for `conns_max` connections; at most half of it is ever used.
    pub fn new(conns_max: usize) -> Table {
        let state = RandomState::new();
        let secret = [0u8, 1, 2, 3].map(|n| state.hash_one(n));
        Table { entries: vec![EMPTY; (2 * conns_max).next_power_of_two()], secret }
    }

    #[inline]
    fn hash(&self, tuple: &Tuple) -> u32 {
        let [one, two, three, four] = self.secret;
        let halves = |end: &End| {
            let bits = end.0.to_bits();
            ((bits >> 64) as u64, bits as u64)
        };
        let ((remote, remote_low), (local, local_low)) =
            (halves(&tuple.remote), halves(&tuple.local));
        let ports = u64::from(tuple.remote.1) << 16 | u64::from(tuple.local.1);
        let remote = folded(remote ^ one, remote_low ^ two);
        let local = folded(local ^ three, local_low ^ four);
        let mixed = folded(remote ^ ports, local ^ two);
        (mixed >> 32) as u32 ^ mixed as u32
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    /// The connection of a tuple: `is` tells whether one is.
    #[inline]
    pub fn find(&self, tuple: &Tuple, is: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hash(tuple);
        let mut at = hash as usize & self.mask();
        loop {
            let entry = self.entries[at];
            if entry.is_empty() {
                return None;
            }
            if entry.hash == hash && is(entry.conn) {
                return Some(entry.conn);
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Adds a connection whose tuple is not there yet.
    pub fn insert(&mut self, tuple: &Tuple, conn: u32) {
        let hash = self.hash(tuple);
        let mut at = hash as usize & self.mask();
        while !self.entries[at].is_empty() {
            at = (at + 1) & self.mask();
        }
        self.entries[at] = Entry { hash, conn };
    }

    /// Takes a connection out, and moves up what had been pushed on by it.
    pub fn remove(&mut self, tuple: &Tuple, conn: u32) {
        let mask = self.mask();
        let mut hole = self.hash(tuple) as usize & mask;
        while self.entries[hole].conn != conn {
            if self.entries[hole].is_empty() {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.entries[hole] = EMPTY;
        let mut at = (hole + 1) & mask;
        while !self.entries[at].is_empty() {
            let home = self.entries[at].hash as usize & mask;
            // Whether the hole lies between its home and where it is now.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.entries.swap(at, hole);
                hole = at;
            }
            at = (at + 1) & mask;
        }
    }
}

/// Both halves of a product, together.
#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
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
                remote: (Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped(), port),
                local: (Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped(), 7001),
            };
            let mut tuples = vec![];
            for (n, (port, insert)) in steps.into_iter().enumerate() {
                let tuple = tuple(port);
                tuples.push(tuple);
                if insert && !model.contains_key(&tuple) {
                    table.insert(&tuple, n as u32);
                    model.insert(tuple, n as u32);
                } else if !insert
                    && let Some(conn) = model.remove(&tuple)
                {
                    table.remove(&tuple, conn);
                }
            }
            for port in 0..40 {
                let tuple = tuple(port);
                let found = table.find(&tuple, |conn| tuples[conn as usize] == tuple);
                prop_assert_eq!(found, model.get(&tuple).copied());
            }
        }
    }
}
