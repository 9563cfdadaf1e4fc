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
    enabled: bool,
}

impl Duplicates {
    pub fn new() -> Duplicates {
        Duplicates { last: HashMap::new(), recent: VecDeque::new(), enabled: false }
    }

    /// Allocates everything it will need. The map keeps twice the room it uses, so that it
    /// never grows.
    pub fn enable(&mut self) {
        if !self.enabled {
            self.last.reserve(2 * REMEMBERED_MAX);
            self.recent.reserve(REMEMBERED_MAX + 1);
            self.enabled = true;
        }
    }

    /// Whether the same order came within `window_ns`.
    pub fn seen(&self, order: &Command, now_ns: UnixNanos, window_ns: u64) -> bool {
        window_ns > 0
            && self.last.get(&key(order)).is_some_and(|&at| now_ns.saturating_sub(at) < window_ns)
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
            if self.last.get(&old) == Some(&at) {
                self.last.remove(&old);
            }
        }
        self.last.insert(key(order), now_ns);
        self.recent.push_back((now_ns, key(order)));
    }
}

fn key(order: &Command) -> Key {
    (order.user, order.symbol, order.side, order.qty, order.price)
}
