//! One side of a displayed book: its levels in order, the best last, where nearly everything happens.

use crate::order::Price;

/// What is displayed at one price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Level {
    /// Displayed shares.
    pub shares: u64,
    /// Displayed orders.
    pub orders: u32,
}

/// A level with its place: prices of asks are turned round, so that a higher key is a better price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    shares: u64,
    orders: u32,
    key: u32,
}

/// What became of a level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It was there before and is there now.
    Changed,
    /// It was not there before.
    Put,
    /// It is there no longer.
    Taken,
}

/// A change of one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Levels better than it.
    pub rank: usize,
    /// Shares that came, or went.
    pub shares: i64,
    /// What became of it.
    pub what: What,
}

/// Levels looked at one after the other from the best on, before the rest is halved.
const NEAR: usize = 8;

/// The displayed levels of one side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ladder {
    buys: bool,
    /// By key, the best price last.
    levels: Vec<Entry>,
}

impl Ladder {
    /// An empty side, of who buys or who sells.
    pub fn new(buys: bool) -> Ladder {
        Ladder { buys, levels: Vec::new() }
    }

    #[inline]
    fn key(&self, price: Price) -> u32 {
        if self.buys { price.0 } else { !price.0 }
    }

    #[inline]
    fn entry(&self, entry: &Entry) -> (Price, Level) {
        let price = Price(if self.buys { entry.key } else { !entry.key });
        (price, Level { shares: entry.shares, orders: entry.orders })
    }

    /// Number of levels.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Whether nothing is displayed.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The best level.
    #[inline]
    pub fn best(&self) -> Option<(Price, Level)> {
        self.levels.last().map(|entry| self.entry(entry))
    }

    /// All levels, best price first.
    pub fn iter(&self) -> impl Iterator<Item = (Price, Level)> + '_ {
        self.levels.iter().rev().map(|entry| self.entry(entry))
    }

    /// The level at a price.
    pub fn at(&self, price: Price) -> Option<Level> {
        let place = self.place(self.key(price)).ok()?;
        Some(self.entry(&self.levels[place]).1)
    }

    /// Shares of the level that so many are better than; none if there are fewer.
    #[inline]
    pub fn shares_at_rank(&self, rank: usize) -> i64 {
        match self.levels.len().checked_sub(rank + 1) {
            Some(place) => self.levels[place].shares as i64,
            None => 0,
        }
    }

    /// Where a key is, or would be.
    #[inline]
    fn place(&self, key: u32) -> Result<usize, usize> {
        let far = self.levels.len().saturating_sub(NEAR);
        for (place, entry) in self.levels.iter().enumerate().skip(far).rev() {
            if entry.key <= key {
                return if entry.key == key { Ok(place) } else { Err(place + 1) };
            }
        }
        self.levels[..far].binary_search_by_key(&key, |entry| entry.key)
    }

    /// An order comes.
    #[inline]
    pub fn add(&mut self, price: Price, shares: u32) -> Moved {
        let (key, more) = (self.key(price), u64::from(shares));
        let (place, what) = match self.place(key) {
            Ok(place) => {
                let level = &mut self.levels[place];
                level.shares += more;
                level.orders += 1;
                (place, What::Changed)
            }
            Err(place) => {
                self.levels.insert(place, Entry { shares: more, orders: 1, key });
                (place, What::Put)
            }
        };
        Moved { rank: self.levels.len() - 1 - place, shares: more.cast_signed(), what }
    }

    /// Shares of an order go, and the order with them if it is `done`. `None` if the level does not have them.
    #[inline]
    pub fn lower(&mut self, price: Price, shares: u32, done: bool) -> Option<Moved> {
        let place = self.place(self.key(price)).ok()?;
        let level = &mut self.levels[place];
        level.shares = level.shares.checked_sub(shares.into())?;
        level.orders = level.orders.checked_sub(done.into())?;
        let rank = self.levels.len() - 1 - place;
        let what = if self.levels[place].orders == 0 {
            self.levels.remove(place);
            What::Taken
        } else {
            What::Changed
        };
        Some(Moved { rank, shares: -i64::from(shares), what })
    }
}
