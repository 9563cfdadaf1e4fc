//! The price levels of one symbol, found by price and from best to worst.
//!
//! Prices are counted in ticks. A tick number is cut into three parts: the high bits index a
//! directory, the next six a node, the last six a leaf node, whose child is the level. Each node
//! has a 64-bit map of its children, so the next price that exists is found by masking and
//! counting zeros, three times at most, however empty the range between.

use crate::order::{Price, Slot};

/// No level, node or order.
pub(super) const NIL: u32 = u32::MAX;

/// No tick: the side is empty.
const NO_TICK: u32 = u32::MAX;

/// One queue of orders in time priority, linked through the orders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub head: u32,
    pub tail: u32,
}

impl Queue {
    const EMPTY: Queue = Queue { head: Slot::NONE.0, tail: Slot::NONE.0 };

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head == Slot::NONE.0
    }
}

/// A price level: displayed orders first, hidden ones behind. 32 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(super) struct Level {
    pub shown: Queue,
    pub hidden: Queue,
    pub tick: u32,
    /// Open shares of all its orders, reserves included.
    pub shares: u64,
}

const _: () = assert!(size_of::<Level>() == 32);

#[derive(Clone)]
#[repr(C, align(64))]
struct Node {
    child: [u32; 64],
}

/// Levels and tree nodes, shared by all symbols.
pub(super) struct Pools {
    levels: Vec<Level>,
    free_levels: Vec<u32>,
    nodes: Vec<Node>,
    /// For each node, which children exist.
    maps: Vec<u64>,
    free_nodes: Vec<u32>,
}

impl Pools {
    pub fn new(levels: u32, nodes: u32) -> Pools {
        let level = Level { shown: Queue::EMPTY, hidden: Queue::EMPTY, tick: 0, shares: 0 };
        Pools {
            levels: vec![level; levels as usize],
            free_levels: (0..levels).rev().collect(),
            nodes: vec![Node { child: [NIL; 64] }; nodes as usize],
            maps: vec![0; nodes as usize],
            free_nodes: (0..nodes).rev().collect(),
        }
    }

    /// Whether an order at any price can rest: a new price takes two nodes at most. Levels
    /// cannot run out, there are as many as orders.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.free_nodes.len() >= 2
    }

    #[inline]
    pub fn level(&self, index: u32) -> &Level {
        &self.levels[index as usize]
    }

    #[inline]
    pub fn level_mut(&mut self, index: u32) -> &mut Level {
        &mut self.levels[index as usize]
    }

    fn new_level(&mut self, tick: u32) -> u32 {
        let index = self.free_levels.pop().expect("as many levels as orders");
        self.levels[index as usize] =
            Level { shown: Queue::EMPTY, hidden: Queue::EMPTY, tick, shares: 0 };
        index
    }

    #[inline]
    fn child(&self, node: u32, at: u32) -> u32 {
        self.nodes[node as usize].child[(at & 63) as usize]
    }

    fn set_child(&mut self, node: u32, at: u32, child: u32) {
        self.nodes[node as usize].child[(at & 63) as usize] = child;
        self.maps[node as usize] |= 1 << (at & 63);
    }

    /// Removes a child; true if the node has none left and was freed.
    fn clear_child(&mut self, node: u32, at: u32) -> bool {
        self.nodes[node as usize].child[(at & 63) as usize] = NIL;
        self.maps[node as usize] &= !(1 << (at & 63));
        let empty = self.maps[node as usize] == 0;
        if empty {
            self.free_nodes.push(node);
        }
        empty
    }

    /// The nearest existing child strictly below `at` (`down`) or above.
    #[inline]
    fn next_child(&self, node: u32, at: u32, down: bool) -> Option<u32> {
        let map = if node == NIL { 0 } else { self.maps[node as usize] };
        beside(map, at & 63, down)
    }

    /// The outermost child: the highest (`down`) or the lowest.
    #[inline]
    fn first_child(&self, node: u32, down: bool) -> u32 {
        outermost(self.maps[node as usize], down)
    }
}

/// The nearest set bit strictly below `at` (`down`) or above it.
#[inline]
fn beside(map: u64, at: u32, down: bool) -> Option<u32> {
    let masked = if down { map & ((1 << at) - 1) } else { map & (!1 << at) };
    (masked != 0).then(|| outermost(masked, down))
}

/// The highest set bit (`down`: where a walk downwards starts) or the lowest.
#[inline]
fn outermost(map: u64, down: bool) -> u32 {
    if down { 63 - map.leading_zeros() } else { map.trailing_zeros() }
}

/// The levels of one symbol. Bids and asks share the tree: every level up to the best bid holds
/// bids, every level from the best ask holds asks.
pub(super) struct Ladder {
    tick: Price,
    /// Node of each 4096 ticks.
    directory: Vec<u32>,
    /// Which entries of the directory exist, and which words of that map are not zero.
    directory_map: Vec<u64>,
    directory_summary: Vec<u64>,
    /// Best bid and best ask, in ticks.
    best: [u32; 2],
}

impl Ladder {
    pub fn new(tick: Price) -> Ladder {
        assert!(tick.0 > 0, "a tick is above 0");
        let entries = ((Price::MAX_LIMIT.0 / tick.0) >> 12) as usize + 1;
        let words = entries.div_ceil(64);
        Ladder {
            tick,
            directory: vec![NIL; entries],
            directory_map: vec![0; words],
            directory_summary: vec![0; words.div_ceil(64)],
            best: [NO_TICK; 2],
        }
    }

    #[inline]
    pub fn tick(&self) -> Price {
        self.tick
    }

    pub fn is_empty(&self) -> bool {
        self.best == [NO_TICK; 2]
    }

    /// Best price of the buyers (`buys`) or the sellers.
    #[inline]
    pub fn best(&self, buys: bool) -> Option<Price> {
        let tick = self.best[usize::from(!buys)];
        (tick != NO_TICK).then(|| Price(tick * self.tick.0))
    }

    /// The best level of a side.
    #[inline]
    pub fn best_level(&self, pools: &Pools, buys: bool) -> Option<u32> {
        let tick = self.best[usize::from(!buys)];
        (tick != NO_TICK).then(|| self.find(pools, tick))
    }

    /// The level of an existing tick, or NIL.
    #[inline]
    fn find(&self, pools: &Pools, tick: u32) -> u32 {
        let Some(&node) = self.directory.get((tick >> 12) as usize) else { return NIL };
        if node == NIL {
            return NIL;
        }
        let leaf = pools.child(node, tick >> 6);
        if leaf == NIL { NIL } else { pools.child(leaf, tick) }
    }

    pub fn level_at(&self, pools: &Pools, price: Price) -> Option<u32> {
        if !price.0.is_multiple_of(self.tick.0) {
            return None;
        }
        let level = self.find(pools, price.0 / self.tick.0);
        (level != NIL).then_some(level)
    }

    /// The level for a price, made if it does not exist, and the side's best price kept.
    #[inline]
    pub fn obtain(&mut self, pools: &mut Pools, price: Price, buys: bool) -> u32 {
        let tick = price.0 / self.tick.0;
        let level = self.find(pools, tick);
        if level != NIL {
            return level;
        }
        self.insert(pools, tick, buys)
    }

    fn insert(&mut self, pools: &mut Pools, tick: u32, buys: bool) -> u32 {
        let entry = (tick >> 12) as usize;
        if self.directory[entry] == NIL {
            self.directory[entry] = pools.free_nodes.pop().expect("checked by has_room");
            self.directory_map[entry >> 6] |= 1 << (entry & 63);
            self.directory_summary[entry >> 12] |= 1 << (entry >> 6 & 63);
        }
        let node = self.directory[entry];
        let mut leaf = pools.child(node, tick >> 6);
        if leaf == NIL {
            leaf = pools.free_nodes.pop().expect("checked by has_room");
            pools.set_child(node, tick >> 6, leaf);
        }
        let level = pools.new_level(tick);
        pools.set_child(leaf, tick, level);

        let best = &mut self.best[usize::from(!buys)];
        let better = (buys & (tick > *best)) | (!buys & (tick < *best));
        if *best == NO_TICK || better {
            *best = tick;
        }
        level
    }

    /// Removes a level that has no orders left.
    pub fn remove(&mut self, pools: &mut Pools, level: u32, buys: bool) {
        let tick = pools.level(level).tick;
        pools.free_levels.push(level);
        let entry = (tick >> 12) as usize;
        let node = self.directory[entry];
        let leaf = pools.child(node, tick >> 6);
        if pools.clear_child(leaf, tick) && pools.clear_child(node, tick >> 6) {
            self.directory[entry] = NIL;
            self.directory_map[entry >> 6] &= !(1 << (entry & 63));
            if self.directory_map[entry >> 6] == 0 {
                self.directory_summary[entry >> 12] &= !(1 << (entry >> 6 & 63));
            }
        }
        if self.best[usize::from(!buys)] == tick {
            let next = self.next_level(pools, tick, buys);
            self.best[usize::from(!buys)] = next.map_or(NO_TICK, |level| pools.level(level).tick);
        }
    }

    /// The next level behind `tick`: downwards among the bids (`buys`), upwards among the asks.
    #[inline]
    pub fn next_level(&self, pools: &Pools, tick: u32, buys: bool) -> Option<u32> {
        let node = self.directory[(tick >> 12) as usize];
        let leaf = if node == NIL { NIL } else { pools.child(node, tick >> 6) };
        if let Some(at) = pools.next_child(leaf, tick, buys) {
            return Some(pools.child(leaf, at));
        }
        if let Some(at) = pools.next_child(node, tick >> 6, buys) {
            let leaf = pools.child(node, at);
            return Some(pools.child(leaf, pools.first_child(leaf, buys)));
        }
        let entry = self.next_entry((tick >> 12) as usize, buys)?;
        let node = self.directory[entry];
        let leaf = pools.child(node, pools.first_child(node, buys));
        Some(pools.child(leaf, pools.first_child(leaf, buys)))
    }

    /// The next existing directory entry beside `entry`.
    fn next_entry(&self, entry: usize, down: bool) -> Option<usize> {
        let word = entry >> 6;
        if let Some(bit) = beside(self.directory_map[word], (entry & 63) as u32, down) {
            return Some(word << 6 | bit as usize);
        }
        let mut summary = word >> 6;
        let mut bit = beside(self.directory_summary[summary], (word & 63) as u32, down);
        while bit.is_none() {
            summary = if down { summary.checked_sub(1)? } else { summary + 1 };
            let map = *self.directory_summary.get(summary)?;
            bit = (map != 0).then(|| outermost(map, down));
        }
        let word = summary << 6 | bit.expect("found above") as usize;
        Some(word << 6 | outermost(self.directory_map[word], down) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_next_level_is_the_next_price_however_far() {
        let mut pools = Pools::new(64, 128);
        let mut ladder = Ladder::new(Price(1));
        let prices =
            [1, 63, 64, 4095, 4096, 262_144, 16_777_216, 1_000_000_000, Price::MAX_LIMIT.0];
        for price in prices {
            ladder.obtain(&mut pools, Price(price), false);
        }
        let mut seen = vec![];
        let mut level = ladder.best_level(&pools, false);
        while let Some(at) = level {
            seen.push(pools.level(at).tick);
            level = ladder.next_level(&pools, pools.level(at).tick, false);
        }
        assert_eq!(seen, prices);
        assert_eq!(ladder.best(false), Some(Price(1)));
    }

    #[test]
    fn removed_levels_give_back_every_node() {
        let mut pools = Pools::new(1000, 2000);
        let mut ladder = Ladder::new(Price(100));
        let mut state = 12345u64;
        let mut live = BTreeSet::new();
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let price = ((state >> 33) % 19_999) as u32 * 100_000 + 100;
            if live.len() < 900 && live.insert(price) {
                ladder.obtain(&mut pools, Price(price), true);
            } else if let Some(&near) = live.range(price..).next() {
                live.remove(&near);
                let level = ladder.level_at(&pools, Price(near)).unwrap();
                ladder.remove(&mut pools, level, true);
            }
            assert_eq!(ladder.best(true), live.last().map(|&p| Price(p)));
        }
        for price in live {
            let level = ladder.level_at(&pools, Price(price)).unwrap();
            ladder.remove(&mut pools, level, true);
        }
        assert!(ladder.is_empty());
        assert_eq!((pools.free_levels.len(), pools.free_nodes.len()), (1000, 2000));
    }
}
