//! Orders a user sent a moment ago.

use std::collections::{HashMap, VecDeque};

use crate::order::{Command, Price, Side, SymbolId, UnixNanos, UserId};

/// Orders remembered at most; beyond it the oldest is forgotten early.
const REMEMBERED_MAX: usize = 1 << 16;

type Key = (UserId, SymbolId, Side, u32, Price);

/// Remembers recent orders, if any firm's limits ask for it.
pub(super) struct Duplicates {
    last: HashMap<Key, UnixNanos>,
    /// In order of time.
    recent: VecDeque<(UnixNanos, Key)>,
    /// How many of them are each user's.
    of: Vec<u32>,
    enabled: bool,
}

impl Duplicates {
    pub fn new() -> Duplicates {
        Duplicates { last: HashMap::new(), recent: VecDeque::new(), of: Vec::new(), enabled: false }
    }

    /// Allocates everything it will need. The map keeps twice the room it uses, so that it
    /// never grows.
    pub fn enable(&mut self, users: usize) {
        if !self.enabled {
            self.last.reserve(2 * REMEMBERED_MAX);
            self.recent.reserve(REMEMBERED_MAX + 1);
            self.of = vec![0; users];
            self.enabled = true;
        }
    }

    /// Whether the same order came within `window_ns`.
    pub fn seen(&self, order: &Command, now_ns: UnixNanos, window_ns: u64) -> bool {
        window_ns > 0
            && self.last.get(&key(order)).is_some_and(|&at| now_ns.saturating_sub(at) < window_ns)
    }

    /// Whether another order of a user would push out what is remembered of others: everything is
    /// full, and more than its share is its own.
    pub fn is_full_for(
        &self,
        user: UserId,
        now_ns: UnixNanos,
        window_ns: u64,
        users: usize,
    ) -> bool {
        if self.recent.len() < REMEMBERED_MAX || window_ns == 0 {
            return false;
        }
        let expired =
            self.recent.front().is_some_and(|(at, _)| now_ns.saturating_sub(*at) >= window_ns);
        !expired && self.of[user.index()] as usize >= REMEMBERED_MAX / users.max(1)
    }

    /// Remembers an accepted order for `window_ns`.
    pub fn remember(&mut self, order: &Command, now_ns: UnixNanos, window_ns: u64) {
        if window_ns == 0 || !self.enabled {
            return;
        }
        while let Some(&(at, old)) = self.recent.front() {
            let expired = now_ns.saturating_sub(at) >= window_ns;
            if !expired && self.recent.len() < REMEMBERED_MAX {
                break;
            }
            self.recent.pop_front();
            self.of[old.0.index()] -= 1;
            if self.last.get(&old) == Some(&at) {
                self.last.remove(&old);
            }
        }
        self.last.insert(key(order), now_ns);
        self.recent.push_back((now_ns, key(order)));
        self.of[order.user.index()] += 1;
    }
}

fn key(order: &Command) -> Key {
    (order.user, order.symbol, order.side, order.qty, order.price)
}
