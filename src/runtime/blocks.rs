//! A common pool of memory blocks, made at start-up, from hugepages where there are any.
#![allow(unsafe_code, reason = "hands out parts of a region")]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::Region;

/// Bytes of a block, and what it is aligned to.
pub const BLOCK_BYTES: usize = 4096;

/// A block. Whoever has it, has it alone.
pub struct Block {
    base: NonNull<[u8; BLOCK_BYTES]>,
    /// Keeps the memory.
    _region: Arc<Region>,
}

// SAFETY: a block is memory of its own in a region that it keeps alive.
unsafe impl Send for Block {}
// SAFETY: shared access gives out shared slices only.
unsafe impl Sync for Block {}

impl Block {
    /// The blocks of a region.
    fn all_of(region: Arc<Region>) -> impl Iterator<Item = Block> {
        (0..region.len() / BLOCK_BYTES).map(move |at| {
            // SAFETY: below the region's length.
            let base = unsafe { region.base().byte_add(at * BLOCK_BYTES) };
            Block { base: base.cast(), _region: region.clone() }
        })
    }

    /// A block of its own, for whoever cannot do without where no pool has one.
    pub fn alone() -> Block {
        let mut all = Block::all_of(Arc::new(Region::new(BLOCK_BYTES)));
        all.next().expect("a region of one block")
    }
}

impl Deref for Block {
    type Target = [u8; BLOCK_BYTES];

    #[inline]
    fn deref(&self) -> &[u8; BLOCK_BYTES] {
        // SAFETY: initialised memory that no other block covers, alive as long as `_region`.
        unsafe { self.base.as_ref() }
    }
}

impl DerefMut for Block {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8; BLOCK_BYTES] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { self.base.as_mut() }
    }
}

/// Blocks that several owners draw from, each bounded by what it has already: the last ones are
/// kept for those who have next to nothing.
pub struct BlockPool {
    free: ArrayQueue<Block>,
    reserve: usize,
    low: usize,
    share: usize,
}

/// Blocks that every owner gets in any case.
pub const BLOCKS_SURE: usize = 4;

impl BlockPool {
    /// About `bytes` for up to `owners`, and [`BLOCKS_SURE`] more for each.
    pub fn new(bytes: usize, owners: usize) -> BlockPool {
        let shared = (bytes / BLOCK_BYTES).max(1);
        let reserve = BLOCKS_SURE * owners;
        let region = Arc::new(Region::new((shared + reserve) * BLOCK_BYTES));
        let free = ArrayQueue::new(shared + reserve);
        for block in Block::all_of(region) {
            free.push(block).ok().expect("room for all");
        }
        let share = (shared / owners.max(1)).max(BLOCKS_SURE);
        BlockPool { free, reserve, low: reserve + shared / 8, share }
    }

    /// Whether an owner that `has` so many blocks may take another: one that has few always may.
    #[inline]
    pub fn may_take(&self, has: usize) -> bool {
        let free = self.free.len();
        match has {
            _ if has < BLOCKS_SURE => free > 0,
            _ if has < self.share => free > self.reserve,
            _ => free > self.low,
        }
    }

    /// Whether an owner that `has` so many blocks should give some back: more than its share, while
    /// few are left.
    #[inline]
    pub fn wants_back(&self, has: usize) -> bool {
        has > self.share && self.is_low()
    }

    /// Whether few blocks are left.
    #[inline]
    pub fn is_low(&self) -> bool {
        self.free.len() < self.low
    }

    /// Takes a block; what is in it is what its last owner left.
    #[inline]
    pub fn take(&self) -> Option<Block> {
        self.free.pop()
    }

    /// Gives a block back.
    #[inline]
    pub fn give(&self, block: Block) {
        // A block that never was the pool's finds no room in a full one, and is dropped.
        let _ = self.free.push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_come_back() {
        let pool = BlockPool::new(8 * BLOCK_BYTES, 2);
        let mut all: Vec<Block> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(all.len(), 8 + 2 * BLOCKS_SURE);
        for (n, block) in (0..).zip(&mut all) {
            block.fill(n);
        }
        assert!((0..).zip(&all).all(|(n, block)| block.iter().all(|byte| *byte == n)));
        all.into_iter().for_each(|block| pool.give(block));
        assert!(pool.take().is_some());
    }

    #[test]
    fn whoever_has_little_finds_something_where_others_find_nothing() {
        let pool = BlockPool::new(64 * BLOCK_BYTES, 4);
        let mut greedy = vec![];
        while pool.may_take(greedy.len()) {
            greedy.extend(pool.take());
        }
        assert!(greedy.len() > 16, "what nobody else wants may be taken");
        assert!(pool.wants_back(greedy.len()) || !pool.is_low());
        for _ in 0..3 {
            let mut modest = vec![];
            while modest.len() < 8 && pool.may_take(modest.len()) {
                modest.extend(pool.take());
            }
            assert!(modest.len() >= BLOCKS_SURE, "{}", modest.len());
            assert!(!pool.wants_back(modest.len()));
        }
    }
}
