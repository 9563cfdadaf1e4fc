//! How fast a session is read.
//!
//! Risk answers whatever is above a user's rate with a reject. A session that goes on far above it
//! would still cost everybody a place in the sequence and on disk for each message, so it is read no
//! faster than [`Pace`] allows: what it sends beyond that stays in its own socket.

use crate::order::{NANOS_PER_SEC, UnixNanos};

/// A session may send this many times its rate before it is read more slowly.
const FACTOR: u32 = 2;
/// The least that any session is read at, in messages a second.
const LEAST: u32 = 1_000;
/// What a connection that is nobody's yet is read at: a login, and heartbeats while it waits.
const STRANGER: u32 = 100;
/// How much of its rate it may send at once.
const BURST_NS: u64 = NANOS_PER_SEC;

/// What a session has used up of what it may send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When all it sent is paid for.
    paid_ns: UnixNanos,
    each_ns: u64,
}

impl Pace {
    /// Of a user who may send `per_second` messages.
    pub fn of(per_second: u32) -> Pace {
        Pace::at(per_second.saturating_mul(FACTOR).max(LEAST))
    }

    /// Of a connection that is nobody's yet.
    pub fn of_stranger() -> Pace {
        Pace::at(STRANGER)
    }

    fn at(per_second: u32) -> Pace {
        // Rounded up: two billion messages a second are nobody's.
        Pace { paid_ns: 0, each_ns: NANOS_PER_SEC.div_ceil(per_second.into()) }
    }

    /// Messages came in.
    #[inline]
    pub fn spend(&mut self, messages: u64, now_ns: UnixNanos) {
        self.paid_ns = self.paid_ns.max(now_ns) + messages * self.each_ns;
    }

    /// Whether more may be read.
    #[inline]
    pub fn allows(&self, now_ns: UnixNanos) -> bool {
        self.paid_ns <= now_ns + BURST_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages read in a while, a hundred at a time, by someone who always has more to send.
    fn read(pace: &mut Pace, seconds: u64) -> u64 {
        let mut count = 0;
        for ms in 0..seconds * 1000 {
            let now_ns = 1_000 * NANOS_PER_SEC + ms * 1_000_000;
            while pace.allows(now_ns) {
                pace.spend(100, now_ns);
                count += 100;
            }
        }
        count
    }

    #[test]
    fn a_flood_is_read_at_twice_the_rate_and_a_burst_at_once() {
        let count = read(&mut Pace::of(10_000), 10);
        assert!((220_000 - 1_000..=220_000 + 1_000).contains(&count), "{count}");
    }

    #[test]
    fn a_session_within_its_rate_is_never_held_up() {
        let mut pace = Pace::of(10_000);
        for n in 0..100_000 {
            let now_ns = 1_000 * NANOS_PER_SEC + n * 100_000;
            assert!(pace.allows(now_ns));
            pace.spend(1, now_ns);
        }
    }

    #[test]
    fn a_rate_of_nothing_still_reads_what_takes_risk_away() {
        assert!(read(&mut Pace::of(0), 1) >= u64::from(LEAST));
    }
}
