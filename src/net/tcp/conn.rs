//! One connection: the states of RFC 9293, 3.3.2, for one that a peer opened, and what a segment
//! does to it (3.10.7.4).

use std::net::Ipv6Addr;

use super::super::Look;
use super::super::packet::icmp::TooBig;
use super::super::packet::{
    Blocks, Link, Options, STAMPS_BYTES, Segment, Stamps, TCP_BYTES, Tuple, flags,
};
use super::receiver::{Brought, Receiver};
use super::sender::{Said, Sender, Worth};
use super::sequence::{ahead, before};

/// The least that a segment is filled with, whatever a peer asks for: smaller ones would be all
/// header (RFC 9293, 3.7.1, expects 536 to pass everywhere; Linux takes 48 and more).
pub(super) const MSS_MIN: u16 = 64;
/// The least that a way is taken to carry, whatever a router says (as Linux has it; RFC 8200, 5), and what
/// it carries where a router does not say.
const MTU_MIN_IPV4: u32 = 552;
const MTU_MIN_IPV6: u32 = 1280;
const MTU_UNSAID: u32 = 576;
/// How long an acknowledgment waits for an answer to go with: longer than the journal takes to write
/// what is answered, shorter than any peer's time-out.
const ACK_DELAY_US: u64 = 1_000;
/// How long a connection that this side closed may take to end before it is reset, and how long one
/// that ended is remembered.
const LINGER_US: u64 = 10_000_000;
/// Answers to what may be anybody's in one second (RFC 5961, 7), and the second.
const CHALLENGES_MAX: u32 = 10;
const CHALLENGES_US: u64 = 1_000_000;
/// The longest handshake whose time says something of the way.
const HANDSHAKE_MAX_MS: u32 = 1_000;
/// How long a timestamp is good for comparing (RFC 7323, 5.5).
const STAMP_AGE_US: u64 = 24 * 24 * 3600 * 1_000_000;

/// What a connection is to the handler above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nobody's.
    Free,
    /// The handler's.
    Open,
    /// No longer the handler's: TCP is still bringing it to an end.
    Closing,
}

/// The states of a connection that a peer opened and that is past its handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Established,
    /// The peer has said all it had to say; this side closes at once.
    CloseWait,
    LastAck,
    FinWait1,
    FinWait2,
    Closing,
    TimeWait,
    Closed,
}

/// What was agreed on when the connection was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    /// The longest segment the peer takes, without options.
    pub mss: u16,
    /// SACK may be used.
    pub selective: bool,
    /// How far the peer's windows are shifted, and this side's; nothing without the option.
    pub scales: Option<(u8, u8)>,
    /// What this side's clock is ahead of the time in milliseconds, if timestamps are used, and the
    /// first that were heard.
    pub clock: Option<(u32, Stamps)>,
}

/// Sizes and times that all connections share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Bytes kept at most of what was received.
    pub receive: usize,
    /// Bytes kept at most of what is to be sent.
    pub transmit: usize,
    /// Bytes of the longest IP packet.
    pub mtu: usize,
    /// The least retransmission time-out.
    pub rto_min_us: u32,
}

/// Timestamps as both sides have agreed on them (RFC 7323, 4).
#[derive(Clone, Copy, Debug)]
struct Clock {
    ahead_ms: u32,
    /// TS.Recent, and when it was heard.
    recent: u32,
    recent_us: u64,
}

/// What the stack is to do after a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// Nothing for the handler.
    Nothing,
    /// The payload is what is expected next, and lies in the frame; nothing was kept of it.
    InPlace,
    /// There is something new to hand over from what is kept, or the end.
    Kept,
    /// The peer has to be told where this side stands (RFC 5961).
    Challenge,
}

pub(super) struct Conn {
    pub tuple: Tuple,
    pub link: Link,
    /// Place of the port among those listened to.
    pub port: usize,
    pub phase: Phase,
    pub generation: u32,
    pub state: State,
    /// On the list of connections with something to tell the handler.
    pub touched: bool,
    /// On the list of connections with something to send.
    pub pending: bool,
    /// Took less than it was given: the handler waits to hear that there is room.
    pub blocked: bool,
    /// On the list of those in TIME-WAIT.
    pub waits: bool,
    pub receiver: Receiver,
    pub sender: Sender,
    /// Bytes of payload in a segment to the peer, and how far windows are shifted.
    mss: u32,
    scales: (u8, u8),
    selective: bool,
    clock: Option<Clock>,
    /// The highest number this side has acknowledged (RFC 7323, Last.ACK.sent).
    told_next: u32,
    /// An acknowledgment is due, at once or then.
    ack_now: bool,
    ack_at_us: Option<u64>,
    reset_due: bool,
    /// When a connection that does not end is reset, and one that ended is forgotten.
    linger_until_us: Option<u64>,
    challenges: u32,
    challenges_since_us: u64,
}

impl Conn {
    /// A free connection with buffers of its own.
    pub fn new(sizes: &Sizes) -> Conn {
        let nobody = (Ipv6Addr::UNSPECIFIED, 0);
        Conn {
            tuple: Tuple { remote: nobody, local: nobody },
            link: Link::EMPTY,
            port: 0,
            phase: Phase::Free,
            generation: 0,
            state: State::Closed,
            touched: false,
            pending: false,
            blocked: false,
            waits: false,
            receiver: Receiver::new(sizes.receive),
            sender: Sender::new(sizes.transmit, sizes.rto_min_us),
            mss: 0,
            scales: (0, 0),
            selective: false,
            clock: None,
            told_next: 0,
            ack_now: false,
            ack_at_us: None,
            reset_due: false,
            linger_until_us: None,
            challenges: 0,
            challenges_since_us: 0,
        }
    }

    /// Begins a connection whose peer has acknowledged the SYN-ACK that was sent for it.
    pub fn open(&mut self, segment: &Segment, agreed: &Agreed, sizes: &Sizes, now_us: u64) {
        let (next, una) = (segment.seq, segment.ack);
        self.phase = Phase::Open;
        self.state = State::Established;
        (self.blocked, self.waits) = (false, false);
        let stamps = if agreed.clock.is_some() { STAMPS_BYTES } else { 0 };
        // RFC 6691: what options take of a segment is not the peer's to reckon with.
        let fits = (sizes.mtu - self.tuple.ip_bytes() - TCP_BYTES)
            .min(agreed.mss.into())
            .saturating_sub(stamps);
        self.mss = (fits as u32).max(MSS_MIN.into());
        self.scales = agreed.scales.unwrap_or((0, 0));
        self.selective = agreed.selective;
        self.clock = agreed.clock.map(|(ahead_ms, heard)| Clock {
            ahead_ms,
            recent: heard.value,
            recent_us: now_us,
        });
        self.receiver.begin(next);
        self.told_next = next;
        self.sender.begin(una, self.mss, agreed.selective, sizes.rto_min_us);
        self.sender.set_window(self.said(segment));
        // Its SYN-ACK's timestamp came back: that is a little early, so the time is a little long.
        if let Some((ahead_ms, heard)) = agreed.clock {
            let now = milliseconds(now_us).wrapping_add(ahead_ms);
            let took_ms = now.wrapping_sub(heard.echo).wrapping_add(1);
            if took_ms <= HANDSHAKE_MAX_MS {
                self.sender.guess_rtt(took_ms * 1000, now_us);
            }
        }
        (self.ack_now, self.ack_at_us, self.reset_due) = (false, None, false);
        self.linger_until_us = None;
        (self.challenges, self.challenges_since_us) = (0, 0);
    }

    #[inline]
    fn said(&self, segment: &Segment) -> Said {
        Said {
            seq: segment.seq,
            ack: segment.ack,
            window: u32::from(segment.window) << self.scales.0,
            bare: segment.is_empty(),
        }
    }

    /// The timestamps of a segment to be sent now.
    #[inline]
    pub fn stamps(&self, now_us: u64) -> Option<Stamps> {
        self.clock.map(|clock| Stamps {
            value: milliseconds(now_us).wrapping_add(clock.ahead_ms),
            echo: clock.recent,
        })
    }

    /// The window as a header has it.
    #[inline]
    pub fn window(&mut self) -> u16 {
        let window = self.receiver.tell_window(self.mss) >> self.scales.1;
        u16::try_from(window).unwrap_or(u16::MAX)
    }

    /// Whether both numbers of a segment are near where this connection stands, also of one that comes
    /// again: who does not see it does not guess them.
    pub fn is_of_the_peer(&self, segment: &Segment) -> bool {
        let behind = ahead(self.receiver.next(), segment.seq).unsigned_abs() as usize;
        behind <= self.receiver.capacity()
            && segment.has(flags::ACK)
            && self.sender.may_acknowledge(segment.ack)
    }

    /// Takes a segment in that is neither SYN nor RST.
    #[inline]
    pub fn arrive(&mut self, segment: &Segment, frame: &[u8], now_us: u64) -> Arrival {
        let options = segment.options(frame);
        let length = (segment.end - segment.payload) as u32;
        let fin = segment.has(flags::FIN);
        if !self.stamp_is_fresh(&options, now_us)
            || !self.receiver.accepts(segment.seq, length + u32::from(fin))
        {
            return self.unacceptable(segment, length, fin, now_us);
        }
        if !segment.has(flags::ACK) {
            return Arrival::Nothing;
        }
        match self.sender.acknowledged(self.said(segment), &options.blocks, now_us) {
            Worth::Good => {}
            Worth::Wrong => return Arrival::Challenge,
        }
        self.keep_stamp(segment, &options, now_us);
        if self.state != State::Established {
            self.end_by_ack(now_us);
        }
        if length == 0 && !fin {
            return Arrival::Nothing;
        }
        self.take_payload(segment, frame, fin, now_us)
    }

    #[inline]
    fn take_payload(&mut self, segment: &Segment, frame: &[u8], fin: bool, now_us: u64) -> Arrival {
        let payload = &frame[segment.payload..segment.end];
        if self.phase == Phase::Open && !fin && self.receiver.is_next(segment.seq, payload.len()) {
            self.ack_soon(payload.len() as u32, now_us);
            return Arrival::InPlace;
        }
        let next = self.receiver.next();
        if self.phase != Phase::Open {
            // Nobody reads it any more; the peer may go on to its end all the same.
            self.receiver.skip(segment.seq, payload.len() as u32);
            self.ack_now |= !payload.is_empty();
        } else if !payload.is_empty() {
            let had_holes = self.receiver.has_blocks();
            match self.receiver.insert(segment.seq, payload) {
                Brought::Next if !had_holes => self.ack_soon(payload.len() as u32, now_us),
                // RFC 5681, 4.2: out of order, or closing a hole.
                Brought::Next | Brought::NotNext => self.ack_now = true,
            }
        }
        if fin {
            self.receiver.set_fin(segment.seq.wrapping_add(payload.len() as u32));
            self.ack_now = true;
        }
        if self.receiver.is_over() {
            self.end_by_fin(now_us);
        }
        if self.receiver.next() == next { Arrival::Nothing } else { Arrival::Kept }
    }

    /// RFC 9293, 3.10.7.4, first: the peer hears where this side stands, unless it may be that it
    /// answers that in the same way.
    #[cold]
    fn unacceptable(&mut self, segment: &Segment, length: u32, fin: bool, now_us: u64) -> Arrival {
        if length == 0 && !fin {
            return Arrival::Challenge;
        }
        if before(segment.seq, self.receiver.next()) {
            self.receiver.note_twice(segment.seq, length);
        }
        // Its FIN again: it has not heard that it arrived.
        if fin && self.state == State::TimeWait {
            self.wait(now_us);
        }
        self.ack_now = true;
        Arrival::Nothing
    }

    /// Whether a segment is no older than what came before it (RFC 7323, 5.3, R1 and R2).
    #[inline]
    fn stamp_is_fresh(&self, options: &Options, now_us: u64) -> bool {
        let (Some(clock), Some(stamps)) = (&self.clock, options.stamps) else { return true };
        !before(stamps.value, clock.recent) || now_us.wrapping_sub(clock.recent_us) > STAMP_AGE_US
    }

    /// RFC 7323, 4.3.
    #[inline]
    fn keep_stamp(&mut self, segment: &Segment, options: &Options, now_us: u64) {
        if let (Some(clock), Some(stamps)) = (&mut self.clock, options.stamps)
            && ahead(segment.seq, self.told_next) <= 0
        {
            (clock.recent, clock.recent_us) = (stamps.value, now_us);
        }
    }

    /// Data came in its turn: it is acknowledged with what is sent next, or soon.
    #[inline]
    fn ack_soon(&mut self, length: u32, now_us: u64) {
        let untold = self.receiver.next().wrapping_sub(self.told_next).wrapping_add(length);
        // RFC 9293, 3.8.6.3: every second full segment at least.
        if untold >= 2 * self.mss {
            self.ack_now = true;
        } else if self.ack_at_us.is_none() {
            self.ack_at_us = Some(now_us + ACK_DELAY_US);
        }
    }

    /// What the peer acknowledged may be this side's FIN (RFC 9293, 3.10.7.4, fifth).
    fn end_by_ack(&mut self, now_us: u64) {
        if !self.sender.is_over() {
            return;
        }
        match self.state {
            State::FinWait1 => self.state = State::FinWait2,
            State::Closing => self.wait(now_us),
            State::LastAck => self.state = State::Closed,
            _ => {}
        }
    }

    /// All the peer had to say has come (RFC 9293, 3.10.7.4, eighth).
    fn end_by_fin(&mut self, now_us: u64) {
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.wait(now_us),
            _ => {}
        }
    }

    fn wait(&mut self, now_us: u64) {
        self.state = State::TimeWait;
        self.linger_until_us = Some(now_us + LINGER_US);
    }

    /// Whether what may be anybody's is answered (RFC 5961, 7).
    pub fn may_challenge(&mut self, now_us: u64) -> bool {
        if now_us - self.challenges_since_us > CHALLENGES_US {
            (self.challenges, self.challenges_since_us) = (0, now_us);
        }
        self.challenges += 1;
        self.challenges <= CHALLENGES_MAX
    }

    /// A router could not pass on a segment of this connection (RFC 1191; RFC 8201, 4). Who has not seen
    /// one of those on their way cannot say so (RFC 5927, 7.1); nobody can make segments tiny. False if it
    /// is of no use.
    pub fn narrow(&mut self, told: &TooBig) -> bool {
        let mtu = match (self.tuple.is_ipv4(), told.mtu) {
            (true, 0) => MTU_UNSAID,
            (true, mtu) => mtu.max(MTU_MIN_IPV4),
            (false, mtu) => mtu.max(MTU_MIN_IPV6),
        };
        let stamps = if self.clock.is_some() { STAMPS_BYTES } else { 0 };
        let mss = mtu - (self.tuple.ip_bytes() + TCP_BYTES + stamps) as u32;
        let is_news = mss < self.mss && self.sender.is_on_its_way(told.seq);
        if is_news {
            self.mss = mss;
            self.sender.narrow(mss);
        }
        is_news
    }

    /// The handler took kept bytes; the peer is told if that makes room it waits for.
    pub fn taken(&mut self) {
        self.ack_now |= self.receiver.owes_window(self.mss);
    }

    /// Closes: what was given to send still goes, then a FIN.
    pub fn close(&mut self, now_us: u64) {
        self.phase = Phase::Closing;
        self.linger_until_us = Some(now_us + LINGER_US);
        let next = self.receiver.next();
        self.receiver.skip(next, 0);
        match self.state {
            State::Established => self.state = State::FinWait1,
            State::CloseWait => self.state = State::LastAck,
            _ => return,
        }
        self.sender.close();
    }

    /// Resets.
    pub fn abort(&mut self) {
        self.phase = Phase::Closing;
        self.linger_until_us = None;
        self.reset_due = true;
    }

    /// The peer reset the connection.
    pub fn broken(&mut self) {
        self.state = State::Closed;
    }

    /// Whether the peer is done: nothing more will come.
    pub fn is_over(&self) -> bool {
        self.state != State::Established || self.reset_due
    }

    /// What can be said of it.
    pub fn look(&self) -> Look {
        let state = match self.state {
            State::Established => 1,
            State::FinWait1 => 4,
            State::FinWait2 => 5,
            State::TimeWait => 6,
            State::Closed => 7,
            State::CloseWait => 8,
            State::LastAck => 9,
            State::Closing => 11,
        };
        let nothing = Look {
            peer: self.tuple.peer(),
            state,
            rtt_us: 0,
            rto_us: 0,
            window_out: 0,
            congestion: 0,
            window_in: self.receiver.window(),
            in_flight: 0,
            unsent: 0,
            bytes_out: 0,
            bytes_in: self.receiver.bytes(),
            again: 0,
            timeouts: 0,
        };
        self.sender.look(nothing)
    }

    /// Whether nothing that is sent arrives any more.
    #[inline]
    pub fn is_dead(&self) -> bool {
        self.state == State::Closed || self.reset_due
    }

    /// When the connection wants to be looked at next.
    #[inline]
    pub fn deadline_us(&self) -> Option<u64> {
        if self.state == State::Closed {
            return None;
        }
        let sooner = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let at = sooner(self.sender.deadline_us(), self.ack_at_us);
        sooner(at, self.linger_until_us)
    }

    /// The deadline came. True if the connection came to its end, or was given up.
    pub fn on_time(&mut self, now_us: u64) -> bool {
        if self.linger_until_us.is_some_and(|until| until <= now_us) {
            self.linger_until_us = None;
            if self.state == State::TimeWait {
                self.state = State::Closed;
            } else {
                self.reset_due = true;
            }
            return true;
        }
        if self.ack_at_us.is_some_and(|at| at <= now_us) {
            self.ack_now = true;
        }
        if !self.sender.on_time(now_us) {
            self.reset_due = true;
            return true;
        }
        false
    }

    /// Takes the order to reset, if there is one.
    pub fn take_reset(&mut self) -> bool {
        let due = std::mem::take(&mut self.reset_due) && self.state != State::Closed;
        if due {
            self.state = State::Closed;
        }
        due
    }

    /// Whether an acknowledgment is to be sent although nothing else is.
    #[inline]
    pub fn owes_ack(&self) -> bool {
        self.ack_now
    }

    /// A segment left that acknowledges all there is; `bare` ones also tell of what came early.
    #[inline]
    pub fn acknowledged(&mut self, bare: bool) {
        self.told_next = self.receiver.next();
        self.ack_at_us = None;
        if bare || !self.receiver.has_blocks() {
            self.ack_now = false;
        }
    }

    /// An acknowledgment is to be sent in any case.
    pub fn owe_ack(&mut self) {
        self.ack_now = true;
    }

    /// What a bare acknowledgment tells of what came early or twice.
    #[inline]
    pub fn take_blocks(&mut self) -> Blocks {
        if !self.receiver.has_blocks() {
            return Blocks::default();
        }
        let blocks = self.receiver.take_blocks();
        if self.selective { blocks } else { Blocks::default() }
    }
}

/// The clock of timestamps: a millisecond a tick (RFC 7323, 5.4).
pub(super) fn milliseconds(now_us: u64) -> u32 {
    (now_us / 1000) as u32
}

#[cfg(test)]
mod tests {
    use super::super::sent::Sent;
    use super::*;

    #[test]
    fn a_connection_takes_less_than_two_kibibytes_beside_its_buffers() {
        let bytes = size_of::<Conn>() + Sent::HEAP_BYTES;
        assert!(bytes < 2048, "{bytes} bytes");
    }
}
