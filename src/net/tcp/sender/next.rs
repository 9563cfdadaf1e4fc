//! What leaves next: first what was lost, then what waits (RFC 9293, 3.8; RFC 6675, 5).

use super::super::sequence::ahead;
use super::{Outgoing, Sender};

impl Sender {
    /// Bytes, or the end, that were not sent yet.
    #[inline]
    pub(super) fn unsent(&self) -> (u32, bool) {
        let behind = self.end.wrapping_add(u32::from(self.closes));
        match behind.wrapping_sub(self.nxt) {
            0 => (0, false),
            left => (left - u32::from(self.closes), self.closes),
        }
    }

    /// The next piece to be sent now, if any.
    #[inline]
    pub fn next_piece(&mut self, now_us: u64) -> Option<Outgoing> {
        match self.next_again(now_us) {
            None => self.next_new(now_us),
            again => again,
        }
    }

    /// The next piece that was never sent, if it may be.
    #[inline]
    fn next_new(&mut self, now_us: u64) -> Option<Outgoing> {
        let (bytes, fin) = self.unsent();
        if bytes == 0 && !fin || self.sent.is_full() {
            return None;
        }
        if self.sent.is_empty() && now_us - self.since_us > self.rtt.rto_us().into() {
            self.congestion.rested();
        }
        let length = self.most_of(bytes);
        // RFC 9293, 3.8.6.2.1: no small piece of what waits, unless the peer never offers more, or has
        // let it wait for long.
        let crumb = length < bytes && length < self.mss && length < self.window_max / 2;
        if (crumb && !(length > 0 && self.window_probe_due)) || (bytes > 0 && length == 0) {
            if self.sent.is_empty() && !self.blocked {
                (self.blocked, self.since_us) = (true, now_us);
            }
            return None;
        }
        if self.sent.is_empty() {
            self.stalled_us = now_us;
        }
        (self.since_us, self.blocked, self.window_probe_due) = (now_us, false, false);
        let (seq, fin) = (self.nxt, fin && length == bytes);
        self.nxt = seq.wrapping_add(length + u32::from(fin));
        self.sent.push(seq, self.nxt, fin, now_us);
        Some(Outgoing { seq, length, fin, push: length == bytes })
    }

    /// How many of so many bytes may leave in one segment: by its size, the peer's window, and the
    /// congestion window, which a probe passes over.
    #[inline]
    fn most_of(&mut self, bytes: u32) -> u32 {
        let in_window = ahead(self.una.wrapping_add(self.window), self.nxt).max(0) as u32;
        let mut may_fly = self.congestion.window().saturating_sub(self.sent.in_flight());
        if std::mem::take(&mut self.probe_due) {
            may_fly = may_fly.max(self.mss);
            self.probe = Some(self.nxt.wrapping_add(bytes.min(self.mss)));
        }
        bytes.min(self.mss).min(in_window).min(may_fly)
    }

    /// The next piece to be sent again now, if any.
    #[inline]
    fn next_again(&mut self, now_us: u64) -> Option<Outgoing> {
        if self.recovers.is_none() && !self.probe_due {
            return None;
        }
        self.next_again_cold(now_us)
    }

    #[cold]
    fn next_again_cold(&mut self, now_us: u64) -> Option<Outgoing> {
        let piece = if self.probe_due {
            let (bytes, _) = self.unsent();
            let in_window = ahead(self.una.wrapping_add(self.window), self.nxt);
            let fits = in_window >= bytes.min(self.mss) as i32;
            if bytes > 0 && fits && !self.sent.is_full() {
                // RFC 8985, 7.3: something new, if there is any.
                return None;
            }
            self.probe_due = false;
            self.again.probes += 1;
            self.sent.take_last(self.mss, now_us)?
        } else {
            let room = self.congestion.window().saturating_sub(self.sent.in_flight());
            let room = if self.first_again { u32::MAX } else { room };
            let piece = self.sent.take_lost(room, self.mss, now_us)?;
            self.first_again = false;
            piece
        };
        self.since_us = now_us;
        self.again.segments += 1;
        self.segments_again = self.segments_again.saturating_add(1);
        Some(Outgoing { seq: piece.from, length: piece.bytes(), fin: piece.fin, push: true })
    }
}
