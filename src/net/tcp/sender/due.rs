//! What is due when nothing comes in: probes and time-outs (RFC 6298, 8985).

use super::Sender;

/// The peer is gone that has acknowledged nothing for so long, with bytes on their way or waiting
/// (RFC 9293, 3.8.3, R2: 100 seconds or more). Who is logged in and silent is gone long before.
const GIVE_UP_US: u64 = 600_000_000;

impl Sender {
    /// When something is due without anything coming in.
    #[inline]
    pub fn deadline_us(&self) -> Option<u64> {
        if self.sent.is_empty() {
            return self.blocked.then(|| self.since_us + u64::from(self.rtt.rto_us()));
        }
        let wait_us = u64::from(self.wait_us());
        let mut at = self.since_us + wait_us;
        if self.may_probe() {
            // Sending more does not put off for ever what the first that was sent waits for.
            at = at.min(self.stalled_us + u64::from(self.rtt.rto_us().max(self.wait_us())));
        }
        Some(self.reorder_until_us.map_or(at, |reorder| reorder.min(at)))
    }

    /// A probe finds out what became of the last, before the time-out does (RFC 8985, 7).
    #[inline]
    fn may_probe(&self) -> bool {
        self.selective
            && self.probe.is_none()
            && self.recovers.is_none()
            && self.rtt.backoff() == 0
            && self.rtt.least_us().is_some()
    }

    #[inline]
    fn wait_us(&self) -> u32 {
        match self.rtt.least_us() {
            // RFC 8985, 7.2: twice the round trip, and what the peer may hold back for. Of the round
            // trip the smallest: in the smoothed one is what was held back.
            Some(least_us) if self.may_probe() => 2 * least_us + self.hold_us,
            // What comes twice is acknowledged at once (RFC 5681, 4.2).
            _ if self.selective && (self.probe.is_some() || self.rtt.backoff() > 0) => {
                self.rtt.rto_us()
            }
            _ => self.rtt.rto_us().saturating_add(self.hold_us),
        }
    }

    /// The deadline came. False if the peer is given up.
    pub fn on_time(&mut self, now_us: u64) -> bool {
        if self.reorder_until_us.is_some_and(|until| until <= now_us) {
            self.reorder_until_us = None;
            self.find_lost(now_us);
        }
        if self.deadline_us().is_none_or(|at| at > now_us) {
            return true;
        }
        if self.sent.is_empty() {
            // RFC 9293, 3.8.6.1. The peer that answers keeps the connection, however long.
            self.window_probe_due = true;
            self.again.closed_windows += 1;
            self.rtt.back_off();
            self.since_us = now_us;
            return true;
        }
        if now_us - self.stalled_us > GIVE_UP_US {
            return false;
        }
        if self.may_probe() {
            // Whether or not it can be sent, the time-out is next.
            (self.probe, self.probe_due) = (Some(self.nxt), true);
            self.since_us = now_us;
            return true;
        }
        // RFC 6298, 5.4 to 5.6.
        self.again.timeouts += 1;
        let again = self.rtt.backoff() > 0;
        self.congestion.timed_out(self.nxt.wrapping_sub(self.una), again);
        self.sent.lose_all();
        (self.recovers, self.timed_out) = (Some(self.nxt), true);
        self.first_again = true;
        self.probe = None;
        self.reorder_until_us = None;
        self.rtt.back_off();
        self.since_us = now_us;
        true
    }

    /// A window that is closed is to be asked for: with a number the peer has, so that it answers.
    pub fn take_window_probe(&mut self) -> Option<u32> {
        std::mem::take(&mut self.window_probe_due).then(|| self.una.wrapping_sub(1))
    }
}
