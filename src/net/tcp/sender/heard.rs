//! What the peer says it has (RFC 9293, 3.10.7.4, fifth; RFC 6675, 5681, 2883).

use super::super::super::packet::Blocks;
use super::super::sent::Told;
use super::super::sequence::{ahead, before, later};
use super::{HOLD_MAX_US, HOLD_MIN_US, PROMPT_MAX, Said, Sender, Worth};

impl Sender {
    /// Whether the peer may say that it has all before this number: it was sent, and not so long ago
    /// that it may be anybody who says it (RFC 5961, 5.2).
    #[inline]
    pub fn may_acknowledge(&self, ack: u32) -> bool {
        let window = self.window_max.max(self.mss) as i32;
        !before(self.nxt, ack) && ahead(self.una, ack) <= window
    }

    /// Takes in what the peer said.
    #[inline]
    pub fn acknowledged(&mut self, said: Said, blocks: &Blocks, now_us: u64) -> Worth {
        if !self.may_acknowledge(said.ack) {
            return Worth::Wrong;
        }
        let old = ahead(self.una, said.ack);
        let newer = old <= 0
            && (before(self.window_seq, said.seq)
                || self.window_seq == said.seq && ahead(said.ack, self.window_ack) >= 0);
        let same_window = self.window == said.window;
        if newer {
            (self.window, self.window_seq, self.window_ack) = (said.window, said.seq, said.ack);
            self.window_max = self.window_max.max(said.window);
        }
        if old == 0 && self.sent.is_empty() && blocks.is_empty() {
            if self.blocked && self.window > 0 {
                self.rtt.forget_backoff();
            }
            return Worth::Good;
        }
        if old < 0 && blocks.is_empty() && self.recovers.is_none() && self.probe.is_none() {
            self.advanced(said.ack, now_us);
            return Worth::Good;
        }
        let duplicate = old == 0 && said.bare && same_window;
        self.disturbed(said.ack, blocks, duplicate, now_us);
        Worth::Good
    }

    /// Something more arrived, in its turn.
    #[inline]
    fn advanced(&mut self, ack: u32, now_us: u64) -> Told {
        let in_flight = self.sent.in_flight();
        let told = self.sent.acknowledged(ack, self.rtt.least_us(), now_us);
        self.bytes += u64::from(ack.wrapping_sub(self.una));
        self.una = ack;
        self.duplicates = 0;
        (self.since_us, self.stalled_us) = (now_us, now_us);
        if let Some(rtt_us) = told.rtt_us {
            self.rtt.sample(rtt_us, now_us);
            if self.hold_us > HOLD_MIN_US {
                self.note_prompt(rtt_us);
            }
        }
        // RFC 7661: a window that is not used says nothing by being acknowledged.
        let grows =
            self.recovers.is_none() && in_flight.saturating_mul(2) > self.congestion.window();
        if grows || self.timed_out {
            self.congestion.acknowledged(told.arrived);
        }
        told
    }

    /// Something was lost, or came out of its turn, or is being found out.
    #[cold]
    fn disturbed(&mut self, ack: u32, blocks: &Blocks, duplicate: bool, now_us: u64) {
        let twice = self.note_twice(ack, blocks);
        let mut arrived = 0;
        if before(self.una, ack) {
            arrived += self.advanced(ack, now_us).arrived;
            if self.probe.is_some_and(|probe| ahead(ack, probe) >= 0) {
                self.probe = None;
                self.hold_us = if twice { self.hold_us } else { self.hold_us / 4 };
                self.hold_us = self.hold_us.max(HOLD_MIN_US);
            }
            if self.recovers.is_some_and(|recovers| ahead(ack, recovers) >= 0) {
                (self.recovers, self.timed_out) = (None, false);
                self.first_again = false;
            } else if self.recovers.is_some() && !self.selective && !self.sent.has_lost() {
                // RFC 6582, 3.2: what follows what was sent again is lost too.
                self.sent.lose_first();
                self.first_again = true;
            }
        }
        if self.selective {
            for (from, to) in blocks.list() {
                // Only what is on its way can be told of (RFC 2018, 5).
                if before(ack, *to) && before(*from, *to) && ahead(self.nxt, *to) >= 0 {
                    let least_us = self.rtt.least_us();
                    let told = self.sent.selected(later(*from, ack), *to, least_us, now_us);
                    arrived += told.arrived;
                    if let Some(rtt_us) = told.rtt_us {
                        self.rtt.sample(rtt_us, now_us);
                    }
                }
            }
            if arrived > 0 {
                self.find_lost(now_us);
            }
        } else if duplicate {
            self.duplicates += 1;
            if self.duplicates == self.sent.duplicates_max() && self.recovers.is_none() {
                self.sent.lose_first();
                self.recover();
            }
        }
    }

    /// Whether the first block tells of something that arrived twice (RFC 2883, 4): what was sent
    /// again was there all the time.
    fn note_twice(&mut self, ack: u32, blocks: &Blocks) -> bool {
        let list = blocks.list();
        let Some((from, to)) = list.first() else { return false };
        let within = |other: &(u32, u32)| ahead(*from, other.0) >= 0 && ahead(other.1, *to) >= 0;
        let twice = ahead(ack, *to) >= 0 || list.get(1).is_some_and(within);
        if twice && self.selective {
            self.again.needless += 1;
            self.sent.be_patient();
            // A probe that was not needed. If only now the peer says that it had all of it, it holds back;
            // if it had said so meanwhile, it was slow this once.
            let times = if before(self.una, ack) { 8 } else { 2 };
            self.hold_us = HOLD_MAX_US.min(times * self.hold_us);
        }
        twice
    }

    /// A peer that acknowledges many in a row at once does not hold back.
    #[cold]
    fn note_prompt(&mut self, rtt_us: u32) {
        let prompt = rtt_us < self.rtt.least_us().unwrap_or(0) + HOLD_MIN_US;
        self.prompt = if prompt { self.prompt + 1 } else { 0 };
        if self.prompt == PROMPT_MAX {
            self.hold_us = HOLD_MIN_US.max(self.hold_us / 4);
            self.prompt = 0;
        }
    }

    pub(super) fn find_lost(&mut self, now_us: u64) {
        let least_us = self.rtt.least_us().unwrap_or(0);
        let smoothed_us = self.rtt.smoothed_us().unwrap_or(0);
        let window_us = self.sent.reordering_us(least_us, smoothed_us, self.recovers.is_some());
        let (found, wait_us) = self.sent.find_lost(window_us, now_us);
        self.reorder_until_us = wait_us.map(|wait| now_us + u64::from(wait.max(1)));
        if found {
            self.recover();
        }
    }

    /// RFC 6675, 5, and 5681, 3.2: once for all that is on its way now.
    fn recover(&mut self) {
        self.first_again = true;
        if self.recovers.is_none() {
            let in_flight = self.nxt.wrapping_sub(self.una);
            self.recovers = Some(self.nxt);
            self.congestion.lost(in_flight);
        }
    }
}
