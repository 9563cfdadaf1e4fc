//! How much may be on its way at once (RFC 5681, with the first window of RFC 6928).
//!
//! Reno, in bytes: what an order session sends in a round trip fits the first window nearly always,
//! so the window decides only after losses and while somebody is sent a day's messages again. There a
//! window that opens slowly and closes at once is the neighbourly one; CUBIC gains where much is sent
//! over long ways, which nobody does here. Bytes, not segments: twenty small answers fit where one
//! large segment does, so a window cut to one segment does not hold an order's answer up.

/// Bytes that may be on their way.
#[derive(Clone, Debug)]
pub(super) struct Congestion {
    window: u32,
    threshold: u32,
    mss: u32,
    /// Acknowledged since the window last grew in avoidance.
    counted: u32,
}

impl Congestion {
    pub fn new(mss: u32) -> Congestion {
        let window = first_window(mss);
        Congestion { window, threshold: u32::MAX, mss, counted: 0 }
    }

    /// Segments are shorter from here on.
    pub fn narrow(&mut self, mss: u32) {
        self.mss = mss;
    }

    #[inline]
    pub fn window(&self) -> u32 {
        self.window
    }

    /// Bytes were acknowledged while as much was on its way as might be (RFC 5681, 3.1).
    pub fn acknowledged(&mut self, bytes: u32) {
        if self.window < self.threshold {
            // RFC 3465: by what was acknowledged, two segments at most.
            self.window = self.window.saturating_add(bytes.min(2 * self.mss));
        } else {
            self.counted = self.counted.saturating_add(bytes);
            if self.counted >= self.window {
                self.counted -= self.window;
                self.window = self.window.saturating_add(self.mss);
            }
        }
    }

    /// Something was lost, with so much on its way (RFC 5681, 3.2; two segments at least).
    pub fn lost(&mut self, in_flight: u32) {
        self.threshold = (in_flight / 2).max(2 * self.mss);
        self.window = self.threshold;
        self.counted = 0;
    }

    /// The time-out ran out: all that was on its way counts as lost (RFC 5681, 3.1).
    pub fn timed_out(&mut self, in_flight: u32, again: bool) {
        // Half of what was there when it first ran out, not of what little was tried since.
        if !again {
            self.threshold = (in_flight / 2).max(2 * self.mss);
        }
        self.window = self.mss;
        self.counted = 0;
    }

    /// Nothing was sent for longer than a time-out (RFC 5681, 4.1).
    pub fn rested(&mut self) {
        self.window = self.window.min(first_window(self.mss));
    }
}

/// RFC 6928, 2.
fn first_window(mss: u32) -> u32 {
    (10 * mss).min((2 * mss).max(14_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6928_2_the_first_window_is_ten_segments() {
        assert_eq!(Congestion::new(1448).window(), 14_480);
        assert_eq!(Congestion::new(8960).window(), 17_920);
        assert_eq!(Congestion::new(536).window(), 5_360);
    }

    #[test]
    fn rfc_5681_3_1_it_doubles_in_a_round_trip_and_grows_by_a_segment_above_the_threshold() {
        let mut congestion = Congestion::new(1000);
        for _ in 0..10 {
            congestion.acknowledged(1000);
        }
        assert_eq!(congestion.window(), 20_000);
        congestion.lost(20_000);
        assert_eq!(congestion.window(), 10_000, "3.2: half of what was on its way");
        for _ in 0..10 {
            congestion.acknowledged(1000);
        }
        assert_eq!(congestion.window(), 11_000);
    }

    #[test]
    fn rfc_5681_3_1_a_timeout_leaves_one_segment_and_remembers_half_of_the_first() {
        let mut congestion = Congestion::new(1000);
        congestion.timed_out(10_000, false);
        congestion.timed_out(1_000, true);
        assert_eq!(congestion.window(), 1000);
        for _ in 0..4 {
            congestion.acknowledged(1000);
        }
        assert_eq!(congestion.window(), 5000);
        congestion.acknowledged(1000);
        assert_eq!(congestion.window(), 5000, "the threshold is reached");
    }

    #[test]
    fn rfc_5681_3_2_two_segments_may_fly_however_little_did() {
        let mut congestion = Congestion::new(1000);
        congestion.lost(100);
        assert_eq!(congestion.window(), 2000);
        congestion.timed_out(100, false);
        for _ in 0..2 {
            congestion.acknowledged(1000);
        }
        assert_eq!(congestion.window(), 2000, "and so is the threshold");
    }

    #[test]
    fn rfc_3465_2_2_one_acknowledgment_opens_it_by_two_segments_at_most() {
        let mut congestion = Congestion::new(1000);
        congestion.acknowledged(10_000);
        assert_eq!(congestion.window(), 12_000);
    }

    #[test]
    fn rfc_5681_4_1_after_a_rest_it_is_the_first_window_again() {
        let mut congestion = Congestion::new(1000);
        for _ in 0..50 {
            congestion.acknowledged(1000);
        }
        congestion.rested();
        assert_eq!(congestion.window(), 10_000);
        congestion.lost(4000);
        congestion.rested();
        assert_eq!(congestion.window(), 2000, "not more than it was");
    }
}
