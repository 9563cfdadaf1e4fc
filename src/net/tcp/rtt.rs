//! How long the way there and back takes, and how long to wait for what does not come (RFC 6298).

/// The longest time-out (RFC 6298, 2.5, allows a minute or more).
const RTO_MAX_US: u32 = 60_000_000;
/// Before anything was measured (RFC 6298, 2.1).
const RTO_FIRST_US: u32 = 1_000_000;
/// How long a smallest round trip counts.
const LEAST_FOR_US: u64 = 10_000_000;
/// The longest round trip that is believed: a peer that takes longer is waited for all the same.
const SAMPLE_MAX_US: u32 = 30_000_000;

/// Round-trip time of one connection, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Rtt {
    /// Smoothed, times 8; 0 before the first sample.
    smoothed: u32,
    /// Mean deviation, times 4.
    deviation: u32,
    /// The smallest of this time and the time before.
    least: [u32; 2],
    least_since_us: u64,
    /// How often the time-out was doubled.
    backoff: u8,
    rto_min_us: u32,
}

impl Rtt {
    pub fn new(rto_min_us: u32) -> Rtt {
        Rtt {
            smoothed: 0,
            deviation: 0,
            least: [u32::MAX; 2],
            least_since_us: 0,
            backoff: 0,
            rto_min_us,
        }
    }

    /// Takes in how long an acknowledgment took that can only be of what was sent first (Karn).
    #[inline]
    pub fn sample(&mut self, rtt_us: u32, now_us: u64) {
        // A turn's time is read once, so what comes back within it took none.
        let rtt = rtt_us.clamp(1, SAMPLE_MAX_US);
        if self.smoothed == 0 {
            self.smoothed = rtt * 8;
            self.deviation = rtt * 2;
        } else {
            let off = rtt.abs_diff(self.smoothed / 8);
            self.deviation = self.deviation - self.deviation / 4 + off;
            self.smoothed = self.smoothed - self.smoothed / 8 + rtt;
        }
        if now_us - self.least_since_us > LEAST_FOR_US {
            self.least = [rtt, self.least[0]];
            self.least_since_us = now_us;
        } else if rtt < self.least[0] {
            self.least[0] = rtt;
        }
        self.backoff = 0;
    }

    /// Smoothed; nothing before the first sample.
    #[inline]
    pub fn smoothed_us(&self) -> Option<u32> {
        (self.smoothed > 0).then_some(self.smoothed / 8)
    }

    /// The smallest of the last ten to twenty seconds in which anything was measured.
    #[inline]
    pub fn least_us(&self) -> Option<u32> {
        let least = self.least[0].min(self.least[1]);
        (least < u32::MAX).then_some(least)
    }

    /// The retransmission time-out (RFC 6298, 2.3), doubled as often as it ran out.
    #[inline]
    pub fn rto_us(&self) -> u32 {
        let base = match self.smoothed {
            0 => RTO_FIRST_US,
            smoothed => (smoothed / 8 + self.deviation.max(1)).max(self.rto_min_us),
        };
        base.checked_shl(self.backoff.into()).unwrap_or(RTO_MAX_US).min(RTO_MAX_US)
    }

    /// The time-out ran out (RFC 6298, 5.5).
    pub fn back_off(&mut self) {
        if self.rto_us() < RTO_MAX_US {
            self.backoff += 1;
        }
    }

    /// How often it did since the last sample.
    pub fn backoff(&self) -> u8 {
        self.backoff
    }

    /// What was sent arrived after all.
    pub fn forget_backoff(&mut self) {
        self.backoff = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6298_2_the_timeout_follows_what_is_measured() {
        let mut rtt = Rtt::new(1000);
        assert_eq!(rtt.rto_us(), RTO_FIRST_US, "2.1: before the first sample");
        rtt.sample(8000, 1);
        assert_eq!(rtt.rto_us(), 8000 + 4 * 4000, "2.2: the deviation begins as half of it");
        for now in 0..1000 {
            rtt.sample(8000, now);
        }
        assert!((8000..8100).contains(&rtt.rto_us()), "2.3: {}", rtt.rto_us());
        for now in 0..1000 {
            rtt.sample(100, now);
        }
        assert_eq!(rtt.rto_us(), 1000, "2.4: not below the least");
    }

    #[test]
    fn rfc_6298_5_5_it_doubles_up_to_a_minute_and_a_sample_ends_that() {
        let mut rtt = Rtt::new(1000);
        rtt.sample(100, 0);
        for doubled in 1..=40 {
            rtt.back_off();
            assert_eq!(u64::from(rtt.rto_us()), (1000u64 << doubled).min(60_000_000));
        }
        rtt.sample(100, 1);
        assert_eq!(rtt.rto_us(), 1000);
    }

    #[test]
    fn rfc_6298_2_3_the_smoothed_time_goes_an_eighth_of_the_way() {
        let mut rtt = Rtt::new(1000);
        assert_eq!(rtt.smoothed_us(), None);
        rtt.sample(8000, 1);
        assert_eq!(rtt.smoothed_us(), Some(8000));
        rtt.sample(16_000, 2);
        assert_eq!(rtt.smoothed_us(), Some(9000));
    }

    #[test]
    fn a_window_that_opened_is_no_reason_to_wait_longer() {
        let mut rtt = Rtt::new(1000);
        rtt.sample(100, 1);
        rtt.back_off();
        assert_eq!((rtt.backoff(), rtt.rto_us()), (1, 2000));
        rtt.forget_backoff();
        assert_eq!((rtt.backoff(), rtt.rto_us()), (0, 1000));
    }

    #[test]
    fn the_smallest_is_forgotten_after_a_while() {
        let mut rtt = Rtt::new(1000);
        rtt.sample(50, 1);
        rtt.sample(90, 2);
        assert_eq!(rtt.least_us(), Some(50));
        rtt.sample(90, LEAST_FOR_US * 2);
        assert_eq!(rtt.least_us(), Some(50), "of the time before");
        rtt.sample(90, LEAST_FOR_US * 4);
        assert_eq!(rtt.least_us(), Some(90));
    }
}
