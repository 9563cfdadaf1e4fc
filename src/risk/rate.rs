//! How often a user may send.

use crate::order::{NANOS_PER_SEC, UnixNanos};

/// A token bucket that holds one second's worth.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    /// Tokens times a second in nanoseconds, so that refilling never rounds.
    level: u64,
    filled_at_ns: UnixNanos,
}

impl TokenBucket {
    pub fn new() -> TokenBucket {
        TokenBucket { level: u64::MAX, filled_at_ns: 0 }
    }

    /// Takes one token; false if there is none.
    #[inline]
    pub fn take(&mut self, now_ns: UnixNanos, per_second: u32) -> bool {
        let one = NANOS_PER_SEC;
        let passed = now_ns.saturating_sub(self.filled_at_ns);
        // Below 2^62: a u32 times a billion.
        let full = u64::from(per_second) * one;
        let more = passed.saturating_mul(u64::from(per_second));
        self.level = self.level.saturating_add(more).min(full);
        self.filled_at_ns = self.filled_at_ns.max(now_ns);
        let has = self.level >= one;
        if has {
            self.level -= one;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_a_second_passes_and_then_the_rate() {
        let mut bucket = TokenBucket::new();
        assert_eq!((0..20).filter(|_| bucket.take(NANOS_PER_SEC, 10)).count(), 10);
        assert_eq!((0..20).filter(|_| bucket.take(NANOS_PER_SEC * 3 / 2, 10)).count(), 5);
        assert!(!bucket.take(NANOS_PER_SEC, 10), "a clock that steps back gives nothing");
    }
}
