//! FIX's session layer (FIX 4.4 volume 2, "FIX session protocol"; the numbered test cases of its appendix are
//! this module's tests). The side that is called and the one that calls differ in their Logons alone (`initiator`).
//!
//! A state machine without I/O: messages that the scanner found whole and time go in, what is to
//! be done comes out. It knows which number comes next from the peer; the numbers of what is sent
//! belong to whoever keeps the outbound stream.

mod initiator;

pub use initiator::Call;

use std::cmp::Ordering;

use crate::order::{NANOS_PER_SEC, UnixNanos};
use crate::wire::fix::dictionary::{self, Reason, Refused, is_session_type};
use crate::wire::fix::scan::Message;
use crate::wire::fix::value::{boolean, number, timestamp};
use crate::wire::fix::{Version, msg_type, tag};

/// How far SendingTime may be from this clock ("Sending time accuracy").
pub const TIME_SLACK_NS: u64 = 120 * NANOS_PER_SEC;
/// How long a connection may stay without a Logon.
pub const LOGON_NS: u64 = 10 * NANOS_PER_SEC;
/// How long the answer to a Logout is waited for.
pub const LOGOUT_NS: u64 = 5 * NANOS_PER_SEC;
/// The longest HeartBtInt that is agreed to.
pub const HEARTBEAT_MAX_S: u64 = 3600;

/// The highest MsgSeqNum that is kept.
pub const NUMBER_MAX: u64 = 999_999_999;

/// How far a session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Connected; nothing but a Logon is accepted.
    Connected,
    /// A Logon is being checked.
    LoggingOn,
    /// This side's Logon was sent; nothing but its answer is accepted.
    Calling,
    /// Logged on.
    Active,
    /// A Logout was sent; its answer, or the end, is waited for.
    LoggingOut,
    /// Over: nothing is listened to any more.
    Ended,
}

/// What a Logon asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Logon<'a> {
    /// SenderCompID: who it is.
    pub sender: &'a [u8],
    /// TargetCompID: whom it means.
    pub target: &'a [u8],
    /// Username, or nothing.
    pub username: &'a [u8],
    /// Password, or nothing.
    pub password: &'a [u8],
    /// MsgSeqNum.
    pub number: u64,
    /// Both sides begin at 1 again.
    pub reset: bool,
    /// HeartBtInt in seconds.
    pub heartbeat_s: u64,
}

/// Why a Logout is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Farewell {
    /// It answers one.
    Answer,
    /// MsgSeqNum is below what was expected, and is no duplicate.
    TooLow {
        /// What was expected.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// BeginString is another version's.
    BeginString,
    /// A CompID is another's.
    CompId,
    /// SendingTime is too far from this clock.
    SendingTime,
    /// MsgSeqNum is missing or no number.
    NoNumber,
    /// The Logon asks for something that is not to be had.
    BadLogon(&'static str),
}

/// What is to be done, in the order it is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action<'a> {
    /// Check who that is, and call [`Session::accept`] or close.
    LogOn(Logon<'a>),
    /// This side's Logon was answered. Something may be missing: then a request for it follows.
    LoggedOn,
    /// This side's Logon was answered by a Logout, with that Text.
    Turned(&'a [u8]),
    /// Numbers begin at 1 again on both sides: answer with a Logon that has ResetSeqNumFlag.
    BeginAgain {
        /// HeartBtInt in seconds.
        heartbeat_s: u32,
    },
    /// An application message in its place. For the side that was called, it holds what its type must and may.
    Application,
    /// A Reject in its place: the peer refuses what this side sent.
    Rejected,
    /// A Heartbeat in its place that answers the TestRequest with that TestReqID.
    Answered(&'a [u8]),
    /// An application message of a type that is not understood: BusinessMessageReject, reason 3.
    Unsupported,
    /// Send a Reject.
    Reject(Refused),
    /// Send a Heartbeat, with that TestReqID if there is one.
    Heartbeat(&'a [u8]),
    /// Send a TestRequest.
    TestRequest,
    /// Send a ResendRequest from that number on, without end.
    RequestResend(u64),
    /// Send again what stands between these numbers; no end is everything.
    Resend {
        /// BeginSeqNo.
        from: u64,
        /// EndSeqNo.
        to: Option<u64>,
    },
    /// Send a Logout.
    LogOut(Farewell),
    /// Close the connection once everything is sent.
    Close,
}

/// A few actions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Actions<'a> {
    list: [Option<Action<'a>>; 4],
    count: usize,
}

impl<'a> Actions<'a> {
    fn push(&mut self, action: Action<'a>) {
        self.list[self.count] = Some(action);
        self.count += 1;
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = Action<'a>> + '_ {
        self.list[..self.count].iter().flatten().copied()
    }
}

/// What is expected of the other side.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// BeginString.
    pub version: Version,
    /// This side's CompID, which the peer's TargetCompID has to be.
    pub own: &'a [u8],
    /// The peer's CompID; nothing before its Logon was accepted.
    pub peer: &'a [u8],
}

/// One connection's session.
#[derive(Clone, Debug)]
pub struct Session {
    phase: Phase,
    /// MsgSeqNum expected next.
    next_in: u64,
    /// Messages before this number were asked for again.
    requested_until: u64,
    heartbeat_ns: u64,
    heard_ns: UnixNanos,
    sent_ns: UnixNanos,
    /// A TestRequest waits for its answer.
    tested: bool,
    /// What this side called with, if it called.
    call: Option<Call>,
}

impl Session {
    /// A connection that was just opened.
    pub fn new(now_ns: UnixNanos) -> Session {
        Session {
            phase: Phase::Connected,
            next_in: 1,
            requested_until: 0,
            heartbeat_ns: 30 * NANOS_PER_SEC,
            heard_ns: now_ns,
            sent_ns: now_ns,
            tested: false,
            call: None,
        }
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether nothing is missing that was asked for again.
    pub fn is_whole(&self) -> bool {
        self.requested_until <= self.next_in
    }

    /// The MsgSeqNum expected next.
    pub fn next_in(&self) -> u64 {
        self.next_in
    }

    /// The Logon was good: `next_in` is what the peer's number is expected to be. Answer it with a
    /// Logon, then do what comes out.
    pub fn accept(
        &mut self,
        logon: &Logon<'_>,
        next_in: u64,
        now_ns: UnixNanos,
    ) -> Actions<'static> {
        let mut actions = Actions::default();
        self.phase = Phase::Active;
        self.heartbeat_ns = logon.heartbeat_s * NANOS_PER_SEC;
        self.heard_ns = now_ns;
        self.next_in = if logon.reset { 1 } else { next_in };
        self.place_logon(logon.number, &mut actions);
        actions
    }

    /// A good Logon had that number.
    fn place_logon(&mut self, number: u64, actions: &mut Actions<'_>) {
        let expected = self.next_in;
        match number.cmp(&expected) {
            Ordering::Equal => self.took(number),
            Ordering::Greater => self.request_resend(number, actions),
            Ordering::Less => self.end(Farewell::TooLow { expected, got: number }, actions),
        }
    }

    /// Something was sent.
    pub fn sent(&mut self, now_ns: UnixNanos) {
        self.sent_ns = now_ns;
    }

    /// This side ends the session: a Logout goes out, and its answer is waited for.
    pub fn log_out(&mut self, now_ns: UnixNanos) {
        self.phase = Phase::LoggingOut;
        self.heard_ns = now_ns;
    }

    /// Whether the peer has missed a heartbeat and the time it may take to come.
    pub fn is_overdue(&self, now_ns: UnixNanos) -> bool {
        let patience_ns = self.heartbeat_ns + self.heartbeat_ns / 5;
        self.heartbeat_ns > 0 && now_ns.saturating_sub(self.heard_ns) >= patience_ns
    }

    /// What time demands.
    pub fn due(&mut self, now_ns: UnixNanos) -> Option<Action<'static>> {
        let silent_ns = now_ns.saturating_sub(self.heard_ns);
        match self.phase {
            // While it is logging on it waits for this side.
            Phase::Connected if silent_ns >= LOGON_NS => Some(Action::Close),
            Phase::Calling if self.call.is_none_or(|call| silent_ns >= call.patience_ns) => {
                Some(Action::Close)
            }
            Phase::LoggingOut if silent_ns >= LOGOUT_NS => Some(Action::Close),
            Phase::Active if self.heartbeat_ns > 0 => {
                // "Some reasonable transmission time": a fifth of the interval.
                let patience_ns = self.heartbeat_ns + self.heartbeat_ns / 5;
                if silent_ns >= 2 * patience_ns {
                    return Some(Action::Close);
                }
                if silent_ns >= patience_ns && !self.tested {
                    self.tested = true;
                    return Some(Action::TestRequest);
                }
                let quiet_ns = now_ns.saturating_sub(self.sent_ns);
                (quiet_ns >= self.heartbeat_ns).then_some(Action::Heartbeat(b""))
            }
            _ => None,
        }
    }

    /// One whole message from the peer.
    pub fn received<'a>(
        &mut self,
        message: &Message<'a>,
        ends: &Ends<'_>,
        now_ns: UnixNanos,
    ) -> Actions<'a> {
        let mut actions = Actions::default();
        match self.phase {
            Phase::Ended => {}
            Phase::LoggingOn => {
                // Nothing is said before the answer.
                self.end_silently(&mut actions);
            }
            Phase::Connected => self.first(message, ends, now_ns, &mut actions),
            Phase::Calling => self.answered(message, ends, now_ns, &mut actions),
            Phase::Active | Phase::LoggingOut => {
                self.heard_ns = now_ns;
                self.tested = false;
                self.next(message, ends, now_ns, &mut actions);
            }
        }
        actions
    }

    /// The first message, which has to be a Logon that is as it should be: what else is wrong with
    /// it is told, what is no Logon is not worth an answer.
    fn first<'a>(
        &mut self,
        message: &Message<'a>,
        ends: &Ends<'_>,
        now_ns: UnixNanos,
        actions: &mut Actions<'a>,
    ) {
        if message.msg_type() != msg_type::LOGON {
            return self.end_silently(actions);
        }
        let text = |tag| message.get(tag).unwrap_or(b"");
        if message.begin_string() != ends.version.begin_string() {
            return self.end(Farewell::BeginString, actions);
        }
        if text(tag::TARGET_COMP_ID) != ends.own {
            return self.end_silently(actions);
        }
        if let Err(refused) = dictionary::check(ends.version, message) {
            actions.push(Action::Reject(refused));
            return self.end(Farewell::BadLogon("the Logon cannot be read"), actions);
        }
        if !is_timely(message, now_ns) {
            actions.push(Action::Reject(Refused {
                tag: tag::SENDING_TIME,
                reason: Reason::SendingTime,
            }));
            return self.end(Farewell::SendingTime, actions);
        }
        let Terms { number, reset, heartbeat_s } = match Terms::of(message) {
            Ok(terms) => terms,
            Err(bad) => return self.end(Farewell::BadLogon(bad), actions),
        };
        self.phase = Phase::LoggingOn;
        actions.push(Action::LogOn(Logon {
            sender: text(tag::SENDER_COMP_ID),
            target: text(tag::TARGET_COMP_ID),
            username: text(tag::USERNAME),
            password: text(tag::PASSWORD),
            number,
            reset,
            heartbeat_s,
        }));
    }

    /// A message of a session that runs.
    fn next<'a>(
        &mut self,
        message: &Message<'a>,
        ends: &Ends<'_>,
        now_ns: UnixNanos,
        actions: &mut Actions<'a>,
    ) {
        if message.begin_string() != ends.version.begin_string() {
            return self.end(Farewell::BeginString, actions);
        }
        let Some(number) = message.get(tag::MSG_SEQ_NUM).and_then(number) else {
            return self.end(Farewell::NoNumber, actions);
        };
        // One that is missing or empty is the dictionary's to tell.
        let is_other = |(tag, id): &(u32, &[u8])| {
            message.get(*tag).is_some_and(|text| !text.is_empty() && text != *id)
        };
        let comp_ids = [(tag::SENDER_COMP_ID, ends.peer), (tag::TARGET_COMP_ID, ends.own)];
        if let Some((tag, _)) = comp_ids.into_iter().find(is_other) {
            actions.push(Action::Reject(Refused { tag, reason: Reason::CompId }));
            self.took(number);
            return self.end(Farewell::CompId, actions);
        }
        if !is_timely(message, now_ns) {
            let refused = Refused { tag: tag::SENDING_TIME, reason: Reason::SendingTime };
            actions.push(Action::Reject(refused));
            self.took(number);
            return self.end(Farewell::SendingTime, actions);
        }
        let kind = message.msg_type();
        let gap_fill = message.get(tag::GAP_FILL_FLAG).and_then(boolean).unwrap_or(false);
        if kind == msg_type::SEQUENCE_RESET && !gap_fill {
            return self.reset(message, ends.version, actions);
        }
        let duplicate = message.get(tag::POSS_DUP_FLAG).and_then(boolean).unwrap_or(false);
        let begins_again = kind == msg_type::LOGON && number == 1 && asks_for_reset(message);
        if begins_again
            && !duplicate
            && self.phase == Phase::Active
            && dictionary::check(ends.version, message).is_ok()
        {
            return self.begin_again(message, actions);
        }
        if number < self.next_in {
            return self.too_low(message, number, duplicate, actions);
        }
        if number > self.next_in {
            return self.too_high(message, number, ends.version, actions);
        }
        self.took(number);
        if duplicate && let Some(refused) = bad_origin(message) {
            return self.refuse_origin(refused, actions);
        }
        // What the side that was called says of orders is read by who asked for it.
        let checked = self.call.is_none() || is_session_type(kind);
        if checked && let Err(refused) = dictionary::check(ends.version, message) {
            let unsupported = refused.reason == Reason::MsgType && is_known_type(kind);
            return actions.push(match unsupported {
                true => Action::Unsupported,
                false => Action::Reject(refused),
            });
        }
        self.in_place(message, kind, actions);
    }

    /// A message's number was used, whatever became of it. One that is not in its place does not
    /// hide what is missing before it.
    fn took(&mut self, number: u64) {
        if number == self.next_in {
            self.next_in = self.next_in.saturating_add(1);
        }
    }

    /// A good message with the expected number.
    fn in_place<'a>(&mut self, message: &Message<'a>, kind: &[u8], actions: &mut Actions<'a>) {
        let of = |tag| message.get(tag).and_then(number);
        match kind {
            msg_type::HEARTBEAT => {
                if let Some(id) = message.get(tag::TEST_REQ_ID) {
                    actions.push(Action::Answered(id));
                }
            }
            msg_type::REJECT => actions.push(Action::Rejected),
            msg_type::TEST_REQUEST => {
                actions.push(Action::Heartbeat(message.get(tag::TEST_REQ_ID).unwrap_or(b"")));
            }
            msg_type::RESEND_REQUEST => self.resend(message, actions),
            msg_type::SEQUENCE_RESET => {
                let next = of(tag::NEW_SEQ_NO).unwrap_or(0);
                if (self.next_in..=NUMBER_MAX).contains(&next) {
                    self.next_in = next;
                } else {
                    let refused = Refused { tag: tag::NEW_SEQ_NO, reason: Reason::Incorrect };
                    actions.push(Action::Reject(refused));
                }
            }
            msg_type::LOGOUT => self.goodbye(actions),
            msg_type::LOGON => {
                // In a session that runs it can only mean to begin the numbers again, with 1.
                if !asks_for_reset(message) {
                    let refused = Refused { tag: tag::MSG_TYPE, reason: Reason::MsgType };
                    return actions.push(Action::Reject(refused));
                }
                let why = "with ResetSeqNumFlag (141) MsgSeqNum (34) has to be 1";
                self.end(Farewell::BadLogon(why), actions);
            }
            _ if self.phase == Phase::Active => actions.push(Action::Application),
            _ => {}
        }
    }

    fn resend<'a>(&mut self, message: &Message<'a>, actions: &mut Actions<'a>) {
        let of = |tag| message.get(tag).and_then(number);
        let (from, to) = (of(tag::BEGIN_SEQ_NO).unwrap_or(0), of(tag::END_SEQ_NO).unwrap_or(0));
        if from == 0 || (to != 0 && to < from) {
            let refused = Refused { tag: tag::BEGIN_SEQ_NO, reason: Reason::Incorrect };
            return actions.push(Action::Reject(refused));
        }
        // 0 is without end; 999999 was before FIX 4.2.
        let to = Some(to).filter(|to| *to != 0 && *to != 999_999);
        actions.push(Action::Resend { from, to });
    }

    fn goodbye(&mut self, actions: &mut Actions<'_>) {
        if self.phase == Phase::LoggingOut {
            self.end_silently(actions);
        } else {
            self.end(Farewell::Answer, actions);
        }
    }

    /// SequenceReset in its reset mode: MsgSeqNum does not count.
    fn reset<'a>(&mut self, message: &Message<'a>, version: Version, actions: &mut Actions<'a>) {
        if let Err(refused) = dictionary::check(version, message) {
            return actions.push(Action::Reject(refused));
        }
        let next = message.get(tag::NEW_SEQ_NO).and_then(number).unwrap_or(0);
        if !(self.next_in..=NUMBER_MAX).contains(&next) {
            let refused = Refused { tag: tag::NEW_SEQ_NO, reason: Reason::Incorrect };
            return actions.push(Action::Reject(refused));
        }
        self.next_in = next;
    }

    fn too_low<'a>(
        &mut self,
        message: &Message<'a>,
        number: u64,
        duplicate: bool,
        actions: &mut Actions<'a>,
    ) {
        if !duplicate {
            let (expected, got) = (self.next_in, number);
            return self.end(Farewell::TooLow { expected, got }, actions);
        }
        // It was handled when it came first.
        if let Some(refused) = bad_origin(message) {
            self.refuse_origin(refused, actions);
        }
    }

    /// A time that cannot be ends the session, a missing one does not (test cases 2.f and 2.g).
    fn refuse_origin(&mut self, refused: Refused, actions: &mut Actions<'_>) {
        actions.push(Action::Reject(refused));
        if refused.reason == Reason::SendingTime {
            self.end(Farewell::SendingTime, actions);
        }
    }

    /// Messages are missing. Some have to be answered all the same, so that two sides that both
    /// miss something do not wait for each other.
    fn too_high<'a>(
        &mut self,
        message: &Message<'a>,
        number: u64,
        version: Version,
        actions: &mut Actions<'a>,
    ) {
        match message.msg_type() {
            msg_type::LOGOUT => return self.goodbye(actions),
            msg_type::RESEND_REQUEST if dictionary::check(version, message).is_ok() => {
                self.resend(message, actions);
            }
            _ => {}
        }
        self.request_resend(number, actions);
    }

    /// Asks for what is missing before `number`, unless it was asked for.
    fn request_resend(&mut self, number: u64, actions: &mut Actions<'_>) {
        if self.requested_until <= self.next_in {
            actions.push(Action::RequestResend(self.next_in));
            self.requested_until = number;
        }
    }

    /// A Logon with ResetSeqNumFlag on a session that is up, as those that never end begin a day.
    fn begin_again<'a>(&mut self, message: &Message<'a>, actions: &mut Actions<'a>) {
        match Terms::of(message) {
            Ok(Terms { heartbeat_s, .. }) => {
                self.heartbeat_ns = heartbeat_s * NANOS_PER_SEC;
                (self.next_in, self.requested_until) = (2, 0);
                actions.push(Action::BeginAgain { heartbeat_s: heartbeat_s as u32 });
            }
            Err(bad) => self.end(Farewell::BadLogon(bad), actions),
        }
    }

    fn end(&mut self, why: Farewell, actions: &mut Actions<'_>) {
        actions.push(Action::LogOut(why));
        self.end_silently(actions);
    }

    fn end_silently(&mut self, actions: &mut Actions<'_>) {
        actions.push(Action::Close);
        self.phase = Phase::Ended;
    }
}

/// What a Logon says of the session.
struct Terms {
    number: u64,
    reset: bool,
    heartbeat_s: u64,
}

impl Terms {
    fn of(message: &Message<'_>) -> Result<Terms, &'static str> {
        let of = |tag| message.get(tag).and_then(number);
        let heartbeat_s = of(tag::HEART_BT_INT).unwrap_or(u64::MAX);
        let number = of(tag::MSG_SEQ_NUM).unwrap_or(0);
        let reset = asks_for_reset(message);
        match () {
            () if of(tag::ENCRYPT_METHOD) != Some(0) => Err("EncryptMethod (98) has to be 0"),
            () if heartbeat_s > HEARTBEAT_MAX_S => Err("HeartBtInt (108) has to be 0 to 3600"),
            () if number == 0 => Err("MsgSeqNum (34) begins with 1"),
            () if reset && number != 1 => {
                Err("with ResetSeqNumFlag (141) MsgSeqNum (34) has to be 1")
            }
            () => Ok(Terms { number, reset, heartbeat_s }),
        }
    }
}

fn asks_for_reset(message: &Message<'_>) -> bool {
    message.get(tag::RESET_SEQ_NUM_FLAG).and_then(boolean).unwrap_or(false)
}

/// Whether SendingTime is near this clock. One that cannot be read is the dictionary's to tell.
fn is_timely(message: &Message<'_>, now_ns: UnixNanos) -> bool {
    let time_ns = message.get(tag::SENDING_TIME).and_then(timestamp);
    time_ns.is_none_or(|time_ns| time_ns.abs_diff(now_ns) <= TIME_SLACK_NS)
}

/// What is wrong with OrigSendingTime of a message that may be a duplicate.
fn bad_origin(message: &Message<'_>) -> Option<Refused> {
    let time = |tag| message.get(tag).and_then(timestamp);
    let refused = |tag, reason| Some(Refused { tag, reason });
    match (time(tag::ORIG_SENDING_TIME), time(tag::SENDING_TIME)) {
        // A gap fill is made new each time, and need not have one.
        (None, _) if message.msg_type() == msg_type::SEQUENCE_RESET => None,
        (None, _) => refused(tag::ORIG_SENDING_TIME, Reason::Missing),
        (Some(first), Some(now)) if first > now => refused(tag::SENDING_TIME, Reason::SendingTime),
        _ => None,
    }
}

/// Application message types of FIX 4.4: they exist, whether they are understood here or not.
fn is_known_type(kind: &[u8]) -> bool {
    let known = match kind {
        [one] => one.is_ascii_alphanumeric(),
        [b'A', second] => second.is_ascii_uppercase(),
        [b'B', second] => (b'A'..=b'H').contains(second),
        _ => false,
    };
    known && !is_session_type(kind)
}

#[cfg(test)]
mod tests;
