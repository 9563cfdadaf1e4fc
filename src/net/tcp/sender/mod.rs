//! What goes out: bytes that wait, bytes on their way, and when to send some of them again
//! (RFC 9293, 3.8). What the peer says of them is in `heard.rs`, what leaves next in `next.rs`, what is
//! due when it says nothing in `due.rs`.

mod due;
mod heard;
mod next;
#[cfg(test)]
mod tests;

use super::super::Look;
use super::congestion::Congestion;
use super::rtt::Rtt;
use super::sent::Sent;
use super::sequence::before;

/// What a peer may hold back an acknowledgment for, as far as is known at first: Linux does for 40 ms.
const HOLD_MAX_US: u32 = 64_000;
/// And one that was found not to.
const HOLD_MIN_US: u32 = 1_000;
/// Acknowledgments in a row that were not held back, after which it may hold back for a quarter of that.
const PROMPT_MAX: u32 = 32;

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
    /// Acknowledgments in a row that came at once.
    prompt: u32,
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
            hold_us: HOLD_MAX_US,
            prompt: 0,
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
        self.hold_us = HOLD_MAX_US;
        self.prompt = 0;
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

    /// Segments longer than this do not arrive (RFC 1191, 6.3): those on their way leave again, in
    /// shorter ones. Nothing is said of how much the way carries.
    pub fn narrow(&mut self, mss: u32) {
        self.mss = mss;
        self.congestion.narrow(mss);
        self.sent.lose_longer(mss);
        self.recovers.get_or_insert(self.nxt);
        self.first_again = true;
    }

    /// Whether a number is of something on its way.
    pub fn is_on_its_way(&self, seq: u32) -> bool {
        !before(seq, self.una) && before(seq, self.nxt)
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
}
