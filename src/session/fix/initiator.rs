//! The side that calls: it sends the Logon, and what comes first has to be its answer.

use super::{Action, Actions, Ends, Farewell, Phase, Session, Terms, is_timely};
use crate::order::{NANOS_PER_SEC, UnixNanos};
use crate::wire::fix::dictionary::{self, Reason, Refused};
use crate::wire::fix::scan::Message;
use crate::wire::fix::{msg_type, tag};

/// What this side's Logon said, until it is answered.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// HeartBtInt in seconds; the answer may have another.
    pub heartbeat_s: u64,
    /// Both sides begin at 1 again.
    pub reset: bool,
    /// How long the answer may take.
    pub patience_ns: u64,
}

impl Session {
    /// A connection that was just opened, on which this side's Logon leaves now. `next_in` is the number that is
    /// expected of the peer, if the call does not begin anew.
    pub fn initiate(call: Call, next_in: u64, now_ns: UnixNanos) -> Session {
        Session {
            phase: Phase::Calling,
            next_in: if call.reset { 1 } else { next_in },
            heartbeat_ns: call.heartbeat_s * NANOS_PER_SEC,
            call: Some(call),
            ..Session::new(now_ns)
        }
    }

    /// The first message of the side that was called: a Logon, or a Logout that says why there is none.
    pub(super) fn answered<'a>(
        &mut self,
        message: &Message<'a>,
        ends: &Ends<'_>,
        now_ns: UnixNanos,
        actions: &mut Actions<'a>,
    ) {
        let Some(call) = self.call else { return self.end_silently(actions) };
        let text = |tag| message.get(tag).unwrap_or(b"");
        if message.begin_string() != ends.version.begin_string() {
            return self.end(Farewell::BeginString, actions);
        }
        let comp_ids = [(tag::SENDER_COMP_ID, ends.peer), (tag::TARGET_COMP_ID, ends.own)];
        if let Some((tag, _)) = comp_ids.into_iter().find(|(tag, id)| text(*tag) != *id) {
            actions.push(Action::Reject(Refused { tag, reason: Reason::CompId }));
            return self.end(Farewell::CompId, actions);
        }
        match message.msg_type() {
            msg_type::LOGON => {}
            msg_type::LOGOUT => {
                actions.push(Action::Turned(text(tag::TEXT)));
                return self.end_silently(actions);
            }
            _ => return self.end_silently(actions),
        }
        if let Err(refused) = dictionary::check(ends.version, message) {
            actions.push(Action::Reject(refused));
            return self.end(Farewell::BadLogon("the Logon cannot be read"), actions);
        }
        if !is_timely(message, now_ns) {
            let refused = Refused { tag: tag::SENDING_TIME, reason: Reason::SendingTime };
            actions.push(Action::Reject(refused));
            return self.end(Farewell::SendingTime, actions);
        }
        let Terms { number, reset, heartbeat_s } = match Terms::of(message) {
            Ok(terms) => terms,
            Err(bad) => return self.end(Farewell::BadLogon(bad), actions),
        };
        if reset && !call.reset {
            let bad = "ResetSeqNumFlag (141) answers a Logon that had none";
            return self.end(Farewell::BadLogon(bad), actions);
        }
        self.phase = Phase::Active;
        (self.heartbeat_ns, self.heard_ns) = (heartbeat_s * NANOS_PER_SEC, now_ns);
        actions.push(Action::LoggedOn);
        self.place_logon(number, actions);
    }
}
