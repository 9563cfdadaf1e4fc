//! The price levels of one symbol, found by price and from best to worst.
//!
//! Prices are counted in ticks, and a tick number is read as digits of six bits. Levels are leaves
//! of a radix tree over these digits, compressed: a node stands only where prices part, at the
//! highest digit in which they do, so it has two children at least. That bounds the nodes of all
//! trees together by the number of levels, whatever the prices: an order that got a slot always
//! finds room to rest. Each node has a 64-bit map of its children, so the next price that exists
//! is a few bit scans away, however empty the range between.

use crate::order::{Price, Slot};
use crate::runtime::{Sparse, Table, prefetch};

/// No tick: the side is empty.
const NO_TICK: u32 = u32::MAX;

/// Bits of a digit.
const DIGIT_BITS: u32 = 6;

/// Nodes whose memory is there from the start; the rest comes when it is first used.
const NODES_TOUCHED: usize = 8192;

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

/// A place in the tree: nothing, a node with the digit it branches at, or a level. The digit is in
/// the reference, so that a step down reads one word.
#[derive(Clone, Copy, PartialEq, Eq, zerocopy::FromBytes)]
#[repr(transparent)]
struct Child(u32);

impl Child {
    const NONE: Child = Child(0);
    const LEVEL: u32 = 7;

    #[inline]
    fn level(index: u32) -> Child {
        Child((index + 1) << 3 | Child::LEVEL)
    }

    #[inline]
    fn node(index: u32, digit: u32) -> Child {
        Child((index + 1) << 3 | digit)
    }

    #[inline]
    fn is_node(self) -> bool {
        self != Child::NONE && self.0 & 7 != Child::LEVEL
    }

    #[inline]
    fn index(self) -> usize {
        (self.0 >> 3) as usize - 1
    }

    /// Which digit of the tick a node branches at, counted from the lowest.
    #[inline]
    fn digit(self) -> u32 {
        self.0 & 7
    }

    /// Where in a node a tick belongs.
    #[inline]
    fn place(self, tick: u32) -> usize {
        (tick >> (self.digit() * DIGIT_BITS) & 63) as usize
    }
}

#[derive(Clone, Copy, zerocopy::FromBytes)]
#[repr(C, align(64))]
struct Node {
    child: [Child; 64],
}

/// Levels and tree nodes, shared by all symbols: a level for each order, and as many nodes.
pub(super) struct Pools {
    levels: Table<Level>,
    free_levels: Vec<u32>,
    nodes: Sparse<Node>,
    /// For each node, which children exist.
    maps: Sparse<u64>,
    free_nodes: Vec<u32>,
    /// Nodes from here on were never used.
    fresh: u32,
}

impl Pools {
    pub fn new(orders: u32) -> Pools {
        let level = Level { shown: Queue::EMPTY, hidden: Queue::EMPTY, tick: 0, shares: 0 };
        let touched = NODES_TOUCHED.min(orders as usize);
        Pools {
            levels: Table::new(orders as usize, level),
            free_levels: (0..orders).rev().collect(),
            nodes: Sparse::growing(orders as usize, touched),
            maps: Sparse::growing(orders as usize, touched),
            free_nodes: Vec::with_capacity(orders as usize),
            fresh: 0,
        }
    }

    #[inline]
    pub fn level(&self, index: u32) -> &Level {
        &self.levels[index as usize]
    }

    /// Brings a level near, if it is one.
    #[inline]
    pub fn foresee_level(&self, index: u32) {
        if let Some(level) = self.levels.get(index as usize) {
            prefetch(level);
        }
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

    /// A node without children. There is always one: a node has two children at least, so there
    /// are fewer nodes than levels.
    fn new_node(&mut self, digit: u32) -> Child {
        let index = self.free_nodes.pop().unwrap_or_else(|| {
            self.fresh += 1;
            self.fresh - 1
        });
        debug_assert_eq!(self.maps[index as usize], 0, "a free node has no children");
        Child::node(index, digit)
    }

    #[inline]
    fn child(&self, node: Child, tick: u32) -> Child {
        self.nodes[node.index()].child[node.place(tick)]
    }

    #[inline]
    fn set_child(&mut self, node: Child, tick: u32, child: Child) {
        let place = node.place(tick);
        self.nodes[node.index()].child[place] = child;
        self.maps[node.index()] |= 1 << place;
    }

    #[inline]
    fn clear_child(&mut self, node: Child, tick: u32) {
        let place = node.place(tick);
        self.nodes[node.index()].child[place] = Child::NONE;
        self.maps[node.index()] &= !(1 << place);
    }

    /// Takes a node's only child out and frees the node; `None` if it has more than one.
    #[inline]
    fn dissolve(&mut self, node: Child) -> Option<Child> {
        let map = &mut self.maps[node.index()];
        if !map.is_power_of_two() {
            return None;
        }
        let place = map.trailing_zeros() as usize;
        *map = 0;
        let last = &mut self.nodes[node.index()].child[place];
        let only = std::mem::replace(last, Child::NONE);
        self.free_nodes.push(node.index() as u32);
        Some(only)
    }

    /// The nearest existing child strictly below a tick's place (`down`) or above.
    #[inline]
    fn beside(&self, node: Child, tick: u32, down: bool) -> Option<Child> {
        let (map, at) = (self.maps[node.index()], node.place(tick));
        let masked = if down { map & ((1 << at) - 1) } else { map & (!1 << at) };
        (masked != 0).then(|| self.nodes[node.index()].child[outermost(masked, down)])
    }

    /// The outermost level below a place: the highest (`down`) or the lowest.
    #[inline]
    fn outermost_level(&self, mut at: Child, down: bool) -> u32 {
        while at.is_node() {
            at = self.nodes[at.index()].child[outermost(self.maps[at.index()], down)];
        }
        at.index() as u32
    }
}

/// The highest set bit (`down`: where a walk downwards starts) or the lowest.
#[inline]
fn outermost(map: u64, down: bool) -> usize {
    (if down { 63 - map.leading_zeros() } else { map.trailing_zeros() }) as usize
}

/// The best level of a side.
#[derive(Clone, Copy)]
struct Best {
    tick: u32,
    level: u32,
}

impl Best {
    const NONE: Best = Best { tick: NO_TICK, level: u32::MAX };
}

/// The levels of one symbol. Bids and asks share the tree: every level up to the best bid holds
/// bids, every level from the best ask holds asks.
pub(super) struct Ladder {
    tick: Price,
    root: Child,
    best: [Best; 2],
}

impl Ladder {
    pub fn new(tick: Price) -> Ladder {
        assert!(tick.0 > 0, "a tick is above 0");
        Ladder { tick, root: Child::NONE, best: [Best::NONE; 2] }
    }

    #[inline]
    pub fn tick(&self) -> Price {
        self.tick
    }

    pub fn is_empty(&self) -> bool {
        self.root == Child::NONE
    }

    /// Best price of the buyers (`buys`) or the sellers.
    #[inline]
    pub fn best(&self, buys: bool) -> Option<Price> {
        let tick = self.best[usize::from(!buys)].tick;
        (tick != NO_TICK).then(|| Price(tick * self.tick.0))
    }

    /// The best level of a side.
    #[inline]
    pub fn best_level(&self, buys: bool) -> Option<u32> {
        let Best { tick, level } = self.best[usize::from(!buys)];
        (tick != NO_TICK).then_some(level)
    }

    /// The level of a tick. Only the digits at which prices part are looked at on the way, so the
    /// level found may be another's.
    #[inline]
    fn find(&self, pools: &Pools, tick: u32) -> Option<u32> {
        let mut at = self.root;
        while at.is_node() {
            at = pools.child(at, tick);
        }
        let found = at != Child::NONE && pools.levels[at.index()].tick == tick;
        found.then(|| at.index() as u32)
    }

    /// Brings near the place `depth` steps down towards a price, by what is near already. The last order
    /// of its level, if that is what stands there.
    #[inline]
    pub fn foresee(&self, pools: &Pools, price: Price, depth: usize) -> Option<u32> {
        let tick = price.0 / self.tick.0;
        let mut at = self.root;
        for _ in 1..depth {
            if !at.is_node() {
                break;
            }
            at = pools.child(at, tick);
        }
        if at.is_node() {
            prefetch(&pools.nodes[at.index()].child[at.place(tick)]);
            prefetch(&pools.maps[at.index()]);
            return None;
        }
        if at == Child::NONE {
            return None;
        }
        let level = &pools.levels[at.index()];
        prefetch(level);
        (depth > 2).then_some(level.shown.tail)
    }

    pub fn level_at(&self, pools: &Pools, price: Price) -> Option<u32> {
        if !price.0.is_multiple_of(self.tick.0) {
            return None;
        }
        self.find(pools, price.0 / self.tick.0)
    }

    /// The level for a price, made if it does not exist, and the side's best price kept.
    #[inline]
    pub fn obtain(&mut self, pools: &mut Pools, price: Price, buys: bool) -> u32 {
        let tick = price.0 / self.tick.0;
        // As far down as the tick leads: to a level, or to a node that has no child for it.
        let (mut above, mut at) = (Child::NONE, self.root);
        while at.is_node() {
            let next = pools.child(at, tick);
            if next == Child::NONE {
                break;
            }
            (above, at) = (at, next);
        }
        if !at.is_node() && at != Child::NONE && pools.levels[at.index()].tick == tick {
            return at.index() as u32;
        }
        self.insert(pools, tick, buys, above, at)
    }

    /// Adds a level, of a tick that leads to `at`, below `above`.
    fn insert(&mut self, pools: &mut Pools, tick: u32, buys: bool, above: Child, at: Child) -> u32 {
        let level = pools.new_level(tick);
        if at == Child::NONE {
            self.root = Child::level(level);
        } else {
            self.attach(pools, tick, Child::level(level), above, at);
        }
        let best = &mut self.best[usize::from(!buys)];
        let better = (buys & (tick > best.tick)) | (!buys & (tick < best.tick));
        if best.tick == NO_TICK || better {
            *best = Best { tick, level };
        }
        level
    }

    /// Puts a new level where its tick parts from those that are there.
    #[inline]
    fn attach(
        &mut self,
        pools: &mut Pools,
        tick: u32,
        level: Child,
        mut above: Child,
        mut at: Child,
    ) {
        // Any level below has every digit that is not looked at in common with the others.
        let near = pools.levels[pools.outermost_level(at, true) as usize].tick;
        let digit = (31 - (near ^ tick).leading_zeros()) / DIGIT_BITS;
        if at.is_node() && at.digit() == digit {
            return pools.set_child(at, tick, level);
        }
        if above != Child::NONE && above.digit() <= digit {
            // It parts further up, at a digit that was not looked at on the way.
            (above, at) = (Child::NONE, self.root);
            while at.is_node() && at.digit() > digit {
                (above, at) = (at, pools.child(at, tick));
            }
        }
        let node = pools.new_node(digit);
        pools.set_child(node, near, at);
        pools.set_child(node, tick, level);
        self.put_below(pools, above, tick, node);
    }

    /// Sets what stands below a node on a tick's way; the root below none.
    #[inline]
    fn put_below(&mut self, pools: &mut Pools, above: Child, tick: u32, child: Child) {
        match above {
            Child::NONE => self.root = child,
            above => pools.set_child(above, tick, child),
        }
    }

    /// Removes a level that has no orders left.
    pub fn remove(&mut self, pools: &mut Pools, level: u32, buys: bool) {
        let tick = pools.level(level).tick;
        if self.best[usize::from(!buys)].tick == tick {
            let next = self.next_level(pools, tick, buys);
            self.best[usize::from(!buys)] =
                next.map_or(Best::NONE, |level| Best { tick: pools.level(level).tick, level });
        }
        pools.free_levels.push(level);
        let (mut above, mut node, mut at) = (Child::NONE, Child::NONE, self.root);
        while at.is_node() {
            (above, node, at) = (node, at, pools.child(at, tick));
        }
        if node == Child::NONE {
            self.root = Child::NONE;
            return;
        }
        pools.clear_child(node, tick);
        if let Some(only) = pools.dissolve(node) {
            self.put_below(pools, above, tick, only);
        }
    }

    /// The next level behind that of `tick`, which exists: downwards among the bids (`buys`),
    /// upwards among the asks.
    #[inline]
    pub fn next_level(&self, pools: &Pools, tick: u32, buys: bool) -> Option<u32> {
        let (mut at, mut next) = (self.root, None);
        while at.is_node() {
            next = pools.beside(at, tick, buys).or(next);
            at = pools.child(at, tick);
        }
        next.map(|next| pools.outermost_level(next, buys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_next_level_is_the_next_price_however_far() {
        let mut pools = Pools::new(64);
        let mut ladder = Ladder::new(Price(1));
        let prices =
            [1, 63, 64, 4095, 4096, 262_144, 16_777_216, 1_000_000_000, Price::MAX_LIMIT.0];
        for price in prices {
            ladder.obtain(&mut pools, Price(price), false);
        }
        let mut seen = vec![];
        let mut level = ladder.best_level(false);
        while let Some(at) = level {
            seen.push(pools.level(at).tick);
            level = ladder.next_level(&pools, pools.level(at).tick, false);
        }
        assert_eq!(seen, prices);
        assert_eq!(ladder.best(false), Some(Price(1)));
    }

    #[test]
    fn removed_levels_give_back_every_node() {
        let mut pools = Pools::new(1000);
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
        assert_eq!(pools.free_levels.len(), 1000);
        assert_eq!(pools.free_nodes.len(), pools.fresh as usize);
        assert!(pools.maps.iter().all(|map| *map == 0));
    }
}
