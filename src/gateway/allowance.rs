//! How many messages may be sent to somebody who counts them.

use crate::order::{NANOS_PER_SEC, UnixNanos};

/// Parts of a second that are counted apart.
const PARTS: usize = 10;
const PART_NS: u64 = NANOS_PER_SEC / PARTS as u64;

/// So many messages in any second, wherever it begins.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    per_second: u32,
    /// What was sent in the part that runs, and in those of the second before it.
    sent: [u32; PARTS + 1],
    /// The part that runs, counted from the epoch.
    part: u64,
    all: u32,
}

impl Allowance {
    pub fn new(per_second: u32) -> Allowance {
        Allowance { per_second, sent: [0; PARTS + 1], part: 0, all: 0 }
    }

    /// How many may be sent now.
    #[inline]
    pub fn left(&mut self, now_ns: UnixNanos) -> u32 {
        self.turn(now_ns);
        self.per_second.saturating_sub(self.all)
    }

    /// So many were sent.
    #[inline]
    pub fn spend(&mut self, count: u32, now_ns: UnixNanos) {
        self.turn(now_ns);
        self.sent[(self.part % self.sent.len() as u64) as usize] += count;
        self.all += count;
    }

    /// When there may be more than now.
    pub fn next_ns(&self) -> UnixNanos {
        (self.part + 1) * PART_NS
    }

    #[inline]
    fn turn(&mut self, now_ns: UnixNanos) {
        let part = now_ns / PART_NS;
        if part > self.part {
            self.forget(part);
        }
    }

    fn forget(&mut self, part: u64) {
        let passed = (part - self.part).min(self.sent.len() as u64);
        for at in 1..=passed {
            let place = ((self.part + at) % self.sent.len() as u64) as usize;
            self.all -= std::mem::take(&mut self.sent[place]);
        }
        if passed == self.sent.len() as u64 {
            self.sent = [0; PARTS + 1];
        }
        self.part = part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_second_has_more(
            most in 1u32..50, steps in prop::collection::vec((0u64..400, 0u32..20), 1..200)
        ) {
            let (mut allowance, mut now_ns, mut sent) = (Allowance::new(most), 1_000 * NANOS_PER_SEC, vec![]);
            for (ms, wanted) in steps {
                now_ns += ms * 1_000_000;
                let count = wanted.min(allowance.left(now_ns));
                allowance.spend(count, now_ns);
                sent.extend((0..count).map(|_| now_ns));
            }
            for window in sent.windows(most as usize + 1) {
                prop_assert!(window[most as usize] - window[0] >= NANOS_PER_SEC);
            }
        }
    }

    #[test]
    fn after_a_second_there_is_all_of_it_again() {
        let mut allowance = Allowance::new(5);
        allowance.spend(5, NANOS_PER_SEC);
        assert_eq!(allowance.left(NANOS_PER_SEC), 0);
        assert_eq!(allowance.next_ns(), NANOS_PER_SEC + PART_NS);
        assert_eq!(allowance.left(2 * NANOS_PER_SEC + PART_NS), 5);
        assert_eq!(allowance.left(100 * NANOS_PER_SEC), 5);
    }
}
