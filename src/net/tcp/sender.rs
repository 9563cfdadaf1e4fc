//! What goes out: bytes that wait, bytes on their way, and when to send some of them again
//! (RFC 9293, 3.8 and 3.10.7.4, fifth; RFC 6298, 6675, 8985).

use super::super::Look;
use super::super::packet::Blocks;
use super::congestion::Congestion;
use super::rtt::Rtt;
use super::sent::{Sent, Told};
use super::sequence::{ahead, before, later};

/// What a peer may hold back an acknowledgment for, as far as is known at first.
const HOLD_MIN_US: u32 = 1_000;
/// And of one that was found to: Linux does for 40 ms.
const HOLD_MAX_US: u32 = 64_000;
/// The peer is gone that has acknowledged nothing for so long, with bytes on their way or waiting
/// (RFC 9293, 3.8.3, R2: 100 seconds or more). Who is logged in and silent is gone long before.
const GIVE_UP_US: u64 = 600_000_000;

/// A piece of the stream to be written into a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outgoing {
    pub seq: u32,
    /// Bytes of payload.
    pub length: u32,
    /// The last of the stream.
    pub fin: bool,
    /// Nothing waits behind it.
    pub push: bool,
}

/// What an acknowledgment is worth (RFC 9293, 3.10.7.4, fifth; RFC 5961, 5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Worth {
    /// Taken in.
    Good,
    /// Of something that was never sent, or so old that it may be anybody's.
    Wrong,
}

/// What the peer says of what it has and wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub seq: u32,
    pub ack: u32,
    /// In bytes.
    pub window: u32,
    /// The segment has nothing else in it.
    pub bare: bool,
}

/// What was done again, for the counters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Again {
    /// Segments sent again.
    pub segments: u32,
    /// Of these, to find out whether the last was lost.
    pub probes: u32,
    /// Segments sent again that the peer had.
    pub needless: u32,
    /// Time-outs.
    pub timeouts: u32,
    /// Windows of the peer's that were found closed, and asked for.
    pub closed_windows: u32,
}

/// The sending half of a connection.
pub(super) struct Sender {
    /// Bytes from `una` to `end`, each at its number modulo the buffer's length.
    buffer: Box<[u8]>,
    una: u32,
    nxt: u32,
    end: u32,
    /// The stream ends behind `end`.
    closes: bool,
    mss: u32,
    selective: bool,
    /// SND.WND, of the segment SND.WL1 with SND.WL2.
    window: u32,
    window_seq: u32,
    window_ack: u32,
    window_max: u32,
    sent: Sent,
    rtt: Rtt,
    congestion: Congestion,
    /// While it recovers: what was sent when the loss was found.
    recovers: Option<u32>,
    /// It recovers from a time-out: the window opens again with what arrives.
    timed_out: bool,
    /// A segment may leave whatever the congestion window says: the first of a recovery.
    first_again: bool,
    duplicates: u32,
    /// The waits below count from here.
    since_us: u64,
    /// Since when nothing that was sent was acknowledged.
    stalled_us: u64,
    /// When more may count as lost.
    reorder_until_us: Option<u64>,
    /// The end of what a probe is to find out about, until it is known; and whether it has yet to leave.
    probe: Option<u32>,
    probe_due: bool,
    /// Nothing is on its way, and what waits does so for the peer's window; the peer is to be asked.
    blocked: bool,
    window_probe_due: bool,
    /// How long the peer is allowed to hold an acknowledgment back, learnt from probes that proved
    /// needless.
    hold_us: u32,
    again: Again,
    /// Bytes that the peer has acknowledged, and segments sent again, since the beginning.
    bytes: u64,
    segments_again: u32,
}

impl Sender {
    pub fn new(transmit_bytes: usize, rto_min_us: u32) -> Sender {
        Sender {
            buffer: vec![0; transmit_bytes.next_power_of_two()].into_boxed_slice(),
            una: 0,
            nxt: 0,
            end: 0,
            closes: false,
            mss: 536,
            selective: false,
            window: 0,
            window_seq: 0,
            window_ack: 0,
            window_max: 0,
            sent: Sent::new(),
            rtt: Rtt::new(rto_min_us),
            congestion: Congestion::new(536),
            recovers: None,
            timed_out: false,
            first_again: false,
            duplicates: 0,
            since_us: 0,
            stalled_us: 0,
            reorder_until_us: None,
            probe: None,
            probe_due: false,
            blocked: false,
            window_probe_due: false,
            hold_us: HOLD_MIN_US,
            again: Again::default(),
            bytes: 0,
            segments_again: 0,
        }
    }

    /// Begins a stream whose first byte has the number `first`, to a peer that takes segments of
    /// `mss` bytes and speaks of what it has `selective`ly.
    pub fn begin(&mut self, first: u32, mss: u32, selective: bool, rto_min_us: u32) {
        (self.una, self.nxt, self.end, self.closes) = (first, first, first, false);
        (self.mss, self.selective) = (mss, selective);
        (self.window, self.window_seq, self.window_ack, self.window_max) = (0, 0, 0, 0);
        self.sent.begin(first);
        self.rtt = Rtt::new(rto_min_us);
        self.congestion = Congestion::new(mss);
        (self.recovers, self.first_again, self.duplicates) = (None, false, 0);
        self.timed_out = false;
        (self.reorder_until_us, self.probe, self.probe_due) = (None, None, false);
        (self.blocked, self.window_probe_due) = (false, false);
        // Who never says what came twice gives nothing to learn from.
        self.hold_us = if selective { HOLD_MIN_US } else { HOLD_MAX_US };
        self.again = Again::default();
        (self.bytes, self.segments_again) = (0, 0);
    }

    /// The handshake took no longer than this.
    pub fn guess_rtt(&mut self, rtt_us: u32, now_us: u64) {
        self.rtt.sample(rtt_us, now_us);
    }

    /// The window of the segment that opened the connection.
    pub fn set_window(&mut self, said: Said) {
        (self.window, self.window_seq, self.window_ack) = (said.window, said.seq, said.ack);
        self.window_max = said.window;
    }

    /// SND.NXT.
    #[inline]
    pub fn next(&self) -> u32 {
        self.nxt
    }

    /// Everything was acknowledged, the end of the stream too.
    pub fn is_over(&self) -> bool {
        self.closes && self.una == self.end.wrapping_add(1)
    }

    /// Bytes that fit behind those that wait.
    #[inline]
    pub fn room(&self) -> usize {
        if self.closes { 0 } else { self.buffer.len() - self.end.wrapping_sub(self.una) as usize }
    }

    /// Keeps what fits of these bytes until the peer has them; returns how many.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        let at = self.end as usize & (self.buffer.len() - 1);
        let whole = count.min(self.buffer.len() - at);
        self.buffer[at..at + whole].copy_from_slice(&bytes[..whole]);
        self.buffer[..count - whole].copy_from_slice(&bytes[whole..count]);
        self.end = self.end.wrapping_add(count as u32);
        count
    }

    /// Copies the bytes that begin with a number.
    #[inline]
    pub fn read(&self, seq: u32, out: &mut [u8]) {
        let at = seq as usize & (self.buffer.len() - 1);
        let whole = out.len().min(self.buffer.len() - at);
        let (head, tail) = out.split_at_mut(whole);
        head.copy_from_slice(&self.buffer[at..at + whole]);
        tail.copy_from_slice(&self.buffer[..tail.len()]);
    }

    /// The stream ends here.
    pub fn close(&mut self) {
        self.closes = true;
    }

    /// What was done again since the last call.
    #[inline]
    pub fn take_again(&mut self) -> Option<Again> {
        (self.again != Again::default()).then(|| std::mem::take(&mut self.again))
    }

    /// What can be said of it, beside what is known already.
    pub fn look(&self, known: Look) -> Look {
        Look {
            rtt_us: self.rtt.smoothed_us().unwrap_or(0),
            rto_us: self.rtt.rto_us(),
            window_out: self.window,
            congestion: self.congestion.window(),
            in_flight: self.sent.in_flight(),
            unsent: self.unsent().0,
            bytes_out: self.bytes,
            again: self.segments_again,
            timeouts: self.rtt.backoff().into(),
            ..known
        }
    }

    // What comes in.

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
            // A probe that was not needed: this peer holds back, who knows for how long.
            self.hold_us = HOLD_MAX_US;
        }
        twice
    }

    fn find_lost(&mut self, now_us: u64) {
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

    // What goes out.

    /// Bytes, or the end, that were not sent yet.
    #[inline]
    fn unsent(&self) -> (u32, bool) {
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
        self.sent.push(seq, self.nxt, now_us);
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
            self.sent.take_last(now_us)?
        } else {
            let room = self.congestion.window().saturating_sub(self.sent.in_flight());
            let room = if self.first_again { u32::MAX } else { room };
            let piece = self.sent.take_lost(room, now_us)?;
            self.first_again = false;
            piece
        };
        self.since_us = now_us;
        self.again.segments += 1;
        self.segments_again = self.segments_again.saturating_add(1);
        let fin = before(self.end, piece.to);
        let length = piece.len() - u32::from(fin);
        Some(Outgoing { seq: piece.from, length, fin, push: true })
    }

    // Time.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEGIN: u32 = u32::MAX - 2_000;
    const MSS: u32 = 100;

    /// What happens next.
    #[derive(Clone, Debug)]
    enum Step {
        Write(usize),
        Send(u8),
        /// The peer gets the nth of what is on the wire, and answers.
        Arrive(u8, bool),
        /// The nth is lost.
        Lose(u8),
        Wait(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1usize..600).prop_map(Step::Write),
            any::<u8>().prop_map(Step::Send),
            (any::<u8>(), any::<bool>()).prop_map(|(n, tell)| Step::Arrive(n, tell)),
            any::<u8>().prop_map(Step::Lose),
            (1u32..40_000).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..120)
    }

    /// A peer that knows only which bytes it has.
    struct Peer {
        has: Vec<bool>,
        wire: Vec<(u32, u32)>,
        selective: bool,
    }

    impl Peer {
        fn place(number: u32) -> usize {
            number.wrapping_sub(BEGIN) as usize
        }

        fn next(&self) -> u32 {
            BEGIN.wrapping_add(self.has.iter().take_while(|has| **has).count() as u32)
        }

        fn take(&mut self, (from, to): (u32, u32)) {
            let (from, to) = (Self::place(from), Self::place(to));
            self.has.resize(self.has.len().max(to), false);
            self.has[from..to].fill(true);
        }

        fn blocks(&self) -> Blocks {
            let mut blocks = Blocks::default();
            let next = Self::place(self.next());
            let mut from = None;
            for at in next..=self.has.len() {
                match (from, self.has.get(at) == Some(&true)) {
                    (None, true) => from = Some(at),
                    (Some(begun), false) => {
                        let number = |at: usize| BEGIN.wrapping_add(at as u32);
                        blocks.push(number(begun), number(at));
                        from = None;
                    }
                    _ => {}
                }
            }
            if self.selective { blocks } else { Blocks::default() }
        }

        fn answer(&self, sender: &mut Sender, now_us: u64) {
            let said = Said { seq: 1, ack: self.next(), window: 3_000, bare: true };
            assert_eq!(sender.acknowledged(said, &self.blocks(), now_us), Worth::Good);
        }
    }

    fn send(sender: &mut Sender, peer: &mut Peer, now_us: u64, most: usize) -> usize {
        let mut count = 0;
        while count < most
            && let Some(piece) = sender.next_piece(now_us)
        {
            let mut bytes = vec![0; piece.length as usize];
            sender.read(piece.seq, &mut bytes);
            for (n, byte) in bytes.iter().enumerate() {
                let number = piece.seq.wrapping_add(n as u32);
                assert_eq!(*byte, byte_at(Peer::place(number)), "the byte of this number");
            }
            assert!(piece.length <= MSS);
            let behind = piece.length + u32::from(piece.fin);
            peer.wire.push((piece.seq, piece.seq.wrapping_add(behind)));
            count += 1;
        }
        count
    }

    fn byte_at(place: usize) -> u8 {
        (place.wrapping_mul(31) >> 2) as u8
    }

    fn write(sender: &mut Sender, count: usize) {
        let from = Peer::place(sender.end);
        let bytes: Vec<u8> = (from..from + count).map(byte_at).collect();
        sender.write(&bytes);
    }

    proptest! {
        /// Whatever the wire does, each number carries its byte, no more is on its way than the
        /// peer takes, and once the wire is good everything arrives, the end too.
        #[test]
        fn everything_that_was_written_arrives(steps in steps(), selective in any::<bool>()) {
            let mut sender = Sender::new(2048, 1_000);
            sender.begin(BEGIN, MSS, selective, 1_000);
            sender.set_window(Said { seq: 0, ack: BEGIN, window: 3_000, bare: true });
            let mut peer = Peer { has: vec![], wire: vec![], selective };
            let mut now_us = 1_000_000;
            for step in steps {
                match step {
                    Step::Write(count) => write(&mut sender, count),
                    Step::Send(most) => {
                        send(&mut sender, &mut peer, now_us, most.into());
                    }
                    Step::Arrive(n, tell) if !peer.wire.is_empty() => {
                        let piece = peer.wire.remove(usize::from(n) % peer.wire.len());
                        peer.take(piece);
                        if tell {
                            peer.answer(&mut sender, now_us);
                        }
                    }
                    Step::Lose(n) if !peer.wire.is_empty() => {
                        peer.wire.remove(usize::from(n) % peer.wire.len());
                    }
                    Step::Wait(us) => {
                        now_us += u64::from(us);
                        prop_assert!(sender.on_time(now_us));
                    }
                    _ => {}
                }
                prop_assert!(ahead(sender.una, peer.next()) <= 0, "nothing is taken for granted");
                prop_assert!(sender.nxt.wrapping_sub(sender.una) <= 3_000);
                let waits = !sender.sent.is_empty();
                prop_assert!(!waits || sender.deadline_us().is_some(), "it is waited for");
            }
            sender.close();
            for _ in 0..5_000 {
                send(&mut sender, &mut peer, now_us, 64);
                for piece in std::mem::take(&mut peer.wire) {
                    peer.take(piece);
                    now_us += 50;
                    peer.answer(&mut sender, now_us);
                }
                if sender.is_over() {
                    break;
                }
                now_us = sender.deadline_us().unwrap_or(now_us).max(now_us + 50);
                prop_assert!(sender.on_time(now_us));
            }
            prop_assert!(sender.is_over(), "una {} end {}", sender.una, sender.end);
        }
    }
}
