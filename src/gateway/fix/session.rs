//! A FIX connection's session: what bytes and time do to it.

use std::sync::Arc;

use crate::audit::Direction;
use crate::net::{Close, ConnId};
use crate::order::{Command, CommandKind, UnixNanos, UserId, carry};
use crate::runtime::Record;
use crate::session::fix::{self as session, Action, Farewell, Logon, Phase};
use crate::wire::Protocol;
use crate::wire::fix::Version;
use crate::wire::fix::dictionary::Refused;
use crate::wire::fix::scan::{Message, Scan, Scanner};
use crate::wire::fix::value::number;
use crate::wire::fix::{SOH, msg_type, tag};

use super::super::auth::AuthRequest;
use super::super::conn::Source;
use super::super::state::State;
use super::super::terms::Sender;
use super::Ends;
use super::inbound::{Asked, translate};
use super::outbound::Said;
use super::resend::Resend;
use super::route::Route;
use super::say::Say;

/// How long a peer may take nothing of what it asked to be sent again.
const STALL_NS: u64 = 30 * crate::order::NANOS_PER_SEC;

/// Commands that one message may become, at most, with room to spare.
const COMMANDS_MAX: usize = 16;

/// A Logon that waits for its password to be checked.
#[derive(Clone, Copy, Debug)]
pub struct PendingLogon {
    number: u64,
    reset: bool,
    heartbeat_s: u64,
}

/// A FIX connection.
pub struct Link {
    session: session::Session,
    version: Version,
    ends: Option<Arc<Ends>>,
    pending: Option<PendingLogon>,
    sent_ns: UnixNanos,
    /// Over, once its Logout is sent.
    ending: bool,
    /// The connection is closed once the stream was sent up to here.
    pub close_at: Option<u64>,
    /// What is to be sent again.
    pub resend: Option<Box<Resend>>,
}

impl Link {
    pub fn new(version: Version, now_ns: UnixNanos) -> Link {
        Link {
            session: session::Session::new(now_ns),
            version,
            ends: None,
            pending: None,
            sent_ns: now_ns,
            ending: false,
            close_at: None,
            resend: None,
        }
    }

    /// On a connection that this side opened, on which its Logon leaves now.
    pub fn call(
        version: Version,
        ends: Arc<Ends>,
        call: session::Call,
        next_in: u64,
        now_ns: UnixNanos,
    ) -> Link {
        let session = session::Session::initiate(call, next_in, now_ns);
        Link { session, ends: Some(ends), ..Link::new(version, now_ns) }
    }

    /// Whether the session runs and nothing is missing of what the peer said.
    pub fn is_whole(&mut self) -> bool {
        self.session.phase() == Phase::Active && self.session.is_whole()
    }

    pub fn is_logging_on(&self) -> bool {
        self.session.phase() == Phase::LoggingOn
    }

    #[inline]
    pub fn sent(&mut self, now_ns: UnixNanos) {
        self.sent_ns = now_ns;
        self.session.sent(now_ns);
    }

    pub fn is_overdue(&self, now_ns: UnixNanos) -> bool {
        self.session.is_overdue(now_ns)
    }

    pub fn is_stalled(&self, now_ns: UnixNanos) -> bool {
        now_ns.saturating_sub(self.sent_ns) >= STALL_NS
    }
}

/// What the gateway knows of a user's FIX session beside its voice. It goes where the stream goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// MsgSeqNum expected next, once the commands under way have their places.
    pub next_in: u64,
    /// Logons and Logouts under way, which an earlier connection may have asked for.
    pub logons: u32,
    pub logouts: u32,
    /// A Logon is under way with which this side's numbers begin at 1.
    pub begins_again: bool,
}

impl State {
    /// Takes in bytes of a FIX connection. Returns how many are done with.
    pub(in crate::gateway) fn received_fix(
        &mut self,
        id: ConnId,
        bytes: &[u8],
    ) -> Result<usize, Close> {
        let mut scanner = self.scanner.take().unwrap_or_default();
        let result = self.scan_fix(id, bytes, &mut scanner);
        self.scanner = Some(scanner);
        result
    }

    fn scan_fix(
        &mut self,
        id: ConnId,
        bytes: &[u8],
        scanner: &mut Scanner,
    ) -> Result<usize, Close> {
        let (mut done, mut messages) = (0, 0);
        while done < bytes.len() {
            messages += 1;
            match scanner.scan(&bytes[done..]) {
                Scan::Incomplete => break,
                Scan::Garbled(why, length) => {
                    self.counters.messages_garbled.add(1);
                    self.audit_in(id, &bytes[done..done + length], true);
                    self.record(tell_garbled, [id.index.into(), why as u64, length as u64, 0]);
                    // From a stranger, not even the first message: nothing more is listened to.
                    if self.conn_mut(id).is_some_and(|conn| conn.user.is_none()) {
                        self.counters.logins_rejected.add(1);
                        return Err(Close);
                    }
                    done += length;
                }
                Scan::Message(length) => {
                    self.counters.messages_in.add(1);
                    let message = scanner.message(&bytes[done..done + length]);
                    self.audit_in(id, message.bytes(), message.msg_type() == msg_type::LOGON);
                    self.fix_message(id, &message)?;
                    done += length;
                }
            }
        }
        self.spend(id, messages);
        Ok(done)
    }

    /// Leaves a message for the audit file, without the password that it `may_hold`.
    #[inline]
    fn audit_in(&mut self, id: ConnId, bytes: &[u8], may_hold: bool) {
        if !self.tap.is_on() {
            return;
        }
        let user = self.conn_mut(id).and_then(|conn| conn.user);
        if !may_hold && user.is_some() {
            return self.tap.put(Direction::In, user, self.now_ns, bytes);
        }
        let mut masked = bytes.to_vec();
        mask_password(&mut masked);
        self.tap.put(Direction::In, user, self.now_ns, &masked);
    }

    fn fix_message(&mut self, id: ConnId, message: &Message<'_>) -> Result<(), Close> {
        let now_ns = self.now_ns;
        let State { conns, fix_comp_id, .. } = self;
        let conn = conns[id.index as usize].as_deref_mut().filter(|conn| conn.id == id);
        let Some((user, link)) = conn.and_then(|conn| Some((conn.user, conn.fix()?))) else {
            return Ok(());
        };
        let ends = session::Ends {
            version: link.version,
            own: link.ends.as_ref().map_or(fix_comp_id, |ends| &ends.own),
            peer: link.ends.as_ref().map_or(&[], |ends| &ends.peer),
        };
        let before = link.session.next_in();
        let actions = link.session.received(message, &ends, now_ns);
        let next_in = link.session.next_in();
        let Some(user) = user else {
            return self.before_logon(id, actions.iter());
        };
        let mut told = false;
        for action in actions.iter() {
            match action {
                Action::Application => told |= self.application(user, message, next_in),
                Action::Turned(why) => self.turned_away(user, why),
                Action::Rejected => told |= self.venue_refused(user, message, next_in),
                Action::BeginAgain { heartbeat_s } => {
                    self.line_begun_again(user);
                    if let Some(resend) =
                        self.conn_mut(id).and_then(|conn| conn.fix()?.resend.as_mut())
                    {
                        resend.cut();
                    }
                    self.say(user, Say::LogOn { heartbeat_s, reset: true }, next_in);
                    told = true;
                }
                Action::Resend { from, to } => self.begin_resend(id, user, from, to),
                Action::Close => {
                    if !told && next_in != before {
                        self.say(user, Say::Heard, next_in);
                    }
                    return self.end_link(id);
                }
                action => told |= self.answer(user, message, action, next_in),
            }
        }
        if !told && next_in != before {
            self.say(user, Say::Heard, next_in);
        }
        Ok(())
    }

    /// What a connection did that is nobody's yet. It gets no answer beside the end: numbers belong
    /// to users (FIX 4.4 volume 2, "Logon", on failed authentication).
    fn before_logon<'a>(
        &mut self,
        id: ConnId,
        actions: impl Iterator<Item = Action<'a>>,
    ) -> Result<(), Close> {
        let mut why = 0;
        for action in actions {
            match action {
                Action::LogOn(logon) => self.begin_logon(id, &logon),
                Action::LogOut(farewell) => why = code_of(farewell),
                Action::Close => {
                    self.counters.logins_rejected.add(1);
                    self.record(tell_refused, [id.index.into(), why, 0, 0]);
                    return Err(Close);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Has a Logon's password checked.
    fn begin_logon(&mut self, id: ConnId, logon: &Logon<'_>) {
        let Some(conn) = self.conn_mut(id) else { return };
        let protocol = conn.protocol;
        if let Some(link) = conn.fix() {
            let Logon { number, reset, heartbeat_s, .. } = *logon;
            link.pending = Some(PendingLogon { number, reset, heartbeat_s });
        }
        let is_named = |user: &UserId| {
            let own = self.users[user.index()].setup.name.as_bytes();
            let named = logon.username.is_empty() || own.eq_ignore_ascii_case(logon.username);
            named && self.is_place_of(*user)
        };
        let user = self.logins.by_comp_id(protocol, logon.sender).filter(is_named);
        self.check_password(AuthRequest::new(id, user, logon.password, true));
    }

    /// Lets a user in whose stream is here.
    pub(in crate::gateway) fn admit_fix(&mut self, user: UserId, id: ConnId) {
        let now_ns = self.now_ns;
        let Some(out) = self.users[user.index()].out.as_mut() else { return };
        let Some(voice) = out.voice.fix() else { return };
        let (ends, expected) = (voice.ends().clone(), out.progress.next_in);
        let Some(link) = self.conn_mut(id).filter(|conn| conn.is_logging_in()) else { return };
        let Some(link) = link.fix() else { return };
        let Some(PendingLogon { number, reset, heartbeat_s }) = link.pending.take() else { return };
        link.ends = Some(ends);
        let nothing: &[u8] = b"";
        let logon = Logon {
            sender: nothing,
            target: nothing,
            username: nothing,
            password: nothing,
            number,
            reset,
            heartbeat_s,
        };
        let actions = link.session.accept(&logon, expected, now_ns);
        link.sent(now_ns);
        let next_in = link.session.next_in();
        self.seat(user, id);
        let ends_here = actions.iter().any(|action| matches!(action, Action::LogOut(_)));
        if ends_here {
            self.counters.logins_rejected.add(1);
        } else {
            self.counters.logins_accepted.add(1);
            let heartbeat_s = heartbeat_s as u32;
            self.say(user, Say::LogOn { heartbeat_s, reset }, next_in);
        }
        for action in actions.iter() {
            match action {
                Action::LogOut(farewell) => self.log_out(user, farewell, next_in),
                Action::RequestResend(from) => {
                    self.say(user, Say::ResendRequest(from as u32), next_in);
                }
                Action::Close => {
                    let _ = self.end_link(id);
                }
                _ => {}
            }
        }
    }

    /// An application message in its place. True if a command tells of its number.
    #[inline]
    fn application(&mut self, user: UserId, message: &Message<'_>, next_in: u64) -> bool {
        if self.users[user.index()].setup.venue {
            return self.venue_said(user, message, next_in);
        }
        let now_ns = self.now_ns;
        if self.mischief.as_mut().is_some_and(|mischief| mischief.cuts()) {
            self.to_close.extend(self.users[user.index()].conn);
        }
        let State { users, directory, names, commands, words, order_names_max, mischief, .. } =
            self;
        let of = &mut users[user.index()];
        let sender = Sender {
            user,
            firm: of.setup.firm,
            firm_name: names.firms[of.setup.firm.index()],
            symbols: directory,
            venues: &names.venues,
        };
        if !of.setup.watches.is_empty() {
            let number = message.get(tag::MSG_SEQ_NUM).and_then(number).unwrap_or(0) as u32;
            // BusinessRejectReason: not authorized.
            let say = Say::BusinessReject { number, reason: 6, msg_type: message.msg_type() };
            self.say_back(user, message, say, next_in);
            return true;
        }
        let Some(out) = of.out.as_mut() else { return false };
        let Some(voice) = out.voice.fix() else { return false };
        if !may_name_another(message, voice.orders.last(), *order_names_max) {
            let number = message.get(tag::MSG_SEQ_NUM).and_then(number).unwrap_or(0) as u32;
            let say = Say::BusinessReject { number, reason: 4, msg_type: message.msg_type() };
            self.say_back(user, message, say, next_in);
            return true;
        }
        let mut command = Command::new(CommandKind::Session, user, of.setup.firm);
        match translate(message, &sender, voice, now_ns, &mut command, words) {
            Asked::Nothing => false,
            Asked::Refused(refused) => self.answer(user, message, Action::Reject(refused), next_in),
            Asked::Command => {
                out.progress.next_in = next_in;
                command.number_in = next_in as u32;
                if let Some(mischief) = mischief {
                    mischief.meddle(&mut command);
                }
                carry(words.get(), &mut command, |part| {
                    commands.stage(part);
                });
                commands.stage(&command)
            }
        }
    }

    /// Answers a message by the session itself. True if a command tells of its number.
    fn answer(
        &mut self,
        user: UserId,
        message: &Message<'_>,
        action: Action<'_>,
        next_in: u64,
    ) -> bool {
        let ref_number = message.get(tag::MSG_SEQ_NUM).and_then(number).unwrap_or(0) as u32;
        let kind = message.msg_type();
        let msg_type = &kind[..kind.len().min(8)];
        match action {
            Action::Heartbeat(id) if id.len() > super::ECHO_MAX || id.contains(&0) => {
                let reason = crate::wire::fix::dictionary::Reason::Incorrect;
                let refused = Refused { tag: tag::TEST_REQ_ID, reason };
                return self.answer(user, message, Action::Reject(refused), next_in);
            }
            Action::Heartbeat(id) => self.say_back(user, message, Say::Heartbeat(id), next_in),
            Action::TestRequest => self.say(user, Say::TestRequest, next_in),
            Action::RequestResend(from) => {
                self.say(user, Say::ResendRequest(from as u32), next_in);
            }
            Action::Unsupported => {
                let say = Say::BusinessReject { number: ref_number, reason: 3, msg_type };
                self.say_back(user, message, say, next_in);
            }
            Action::Reject(Refused { tag, reason }) => {
                self.counters.messages_malformed.add(1);
                let reason = reason as u32;
                let say = Say::Reject { number: ref_number, tag, reason, msg_type };
                self.say_back(user, message, say, next_in);
            }
            Action::LogOut(farewell) => self.log_out(user, farewell, next_in),
            _ => return false,
        }
        true
    }

    fn log_out(&mut self, user: UserId, farewell: Farewell, next_in: u64) {
        let text = match farewell {
            Farewell::Answer => String::new(),
            Farewell::TooLow { expected, got } => {
                format!("MsgSeqNum too low, expecting {expected} but received {got}")
            }
            Farewell::BadLogon(why) => why.to_owned(),
            other => REFUSALS[code_of(other) as usize].to_owned(),
        };
        self.say(user, Say::LogOut(text.as_bytes()), next_in);
    }

    /// Answers a message, the way it came.
    fn say_back(&mut self, user: UserId, message: &Message<'_>, say: Say<'_>, next_in: u64) {
        let route = Route::of(message).unwrap_or(Route::NONE);
        self.say_to(user, say, &route, next_in);
    }

    /// Sequences something the session says.
    pub(in crate::gateway) fn say(&mut self, user: UserId, say: Say<'_>, next_in: u64) {
        self.say_to(user, say, &Route::NONE, next_in);
    }

    fn say_to(&mut self, user: UserId, say: Say<'_>, route: &Route, next_in: u64) {
        let firm = self.users[user.index()].setup.firm;
        let State { users, commands, words, .. } = self;
        let Some(out) = users[user.index()].out.as_mut() else { return };
        let mut command = Command::new(CommandKind::Session, user, firm);
        command.number_in = next_in as u32;
        say.write(&mut command, words);
        words.add_route(route);
        carry(words.get(), &mut command, |part| {
            commands.stage(part);
        });
        if !commands.stage(&command) {
            return;
        }
        out.progress.next_in = next_in;
        match say {
            Say::LogOn { reset, .. } => {
                out.progress.logons += 1;
                out.progress.begins_again |= reset;
            }
            Say::LogOut(_) => out.progress.logouts += 1,
            _ => {}
        }
    }

    /// A session is over: its connection is closed once its Logout is sent, or at once if it said
    /// none.
    fn end_link(&mut self, id: ConnId) -> Result<(), Close> {
        let Some(conn) = self.conn_mut(id) else { return Ok(()) };
        let user = conn.user;
        if let Some(link) = conn.fix() {
            link.ending = true;
        }
        let out = user.and_then(|user| self.users[user.index()].out.as_ref());
        match out.is_some_and(|out| out.progress.logouts > 0) {
            true => Ok(()),
            false => Err(Close),
        }
    }

    /// A Logon or Logout went into a user's stream, between these offsets.
    pub(in crate::gateway) fn said(&mut self, user: UserId, said: Said, from: u64, until: u64) {
        let of = &mut self.users[user.index()];
        let Some(out) = of.out.as_mut() else { return };
        let awaited = match said {
            Said::LogOn => &mut out.progress.logons,
            Said::LogOut => &mut out.progress.logouts,
        };
        // One that was there when the gateway began is awaited by nobody.
        let Some(left) = awaited.checked_sub(1) else { return };
        *awaited = left;
        out.progress.begins_again &= left > 0 || said == Said::LogOut;
        let Some(id) = of.conn.filter(|_| left == 0) else { return };
        let Some(conn) = self.conn_mut(id) else { return };
        let begins = conn.source == Source::Nothing;
        let Some(link) = conn.fix() else { return };
        let ends = said == Said::LogOut && link.ending;
        if ends {
            link.close_at = Some(until);
        }
        if begins && (ends || said == Said::LogOn) {
            conn.source = Source::Window(from);
            self.line_begins(user);
        }
        self.mark_dirty(user);
    }

    /// What time demands of a FIX connection. False if it is to be closed.
    pub(in crate::gateway) fn fix_due(&mut self, id: ConnId) -> bool {
        let now_ns = self.now_ns;
        if self.commands.free() < COMMANDS_MAX {
            return true;
        }
        let Some(conn) = self.conn_mut(id) else { return true };
        let user = conn.user;
        let Some(link) = conn.fix() else { return true };
        let due = link.session.due(now_ns);
        let (next_in, ending) = (link.session.next_in(), link.ending);
        if ending {
            return !link.is_stalled(now_ns);
        }
        match (due, user) {
            (Some(Action::Close), None) => {
                self.counters.dropped_without_login.add(1);
                return false;
            }
            (Some(Action::Close), Some(_)) => {
                self.counters.dropped_silent.add(1);
                return false;
            }
            (Some(action), Some(user)) => {
                // It is sent when it has its place; nothing more is due before.
                link.session.sent(now_ns);
                let say = match action {
                    Action::TestRequest => Say::TestRequest,
                    _ => Say::Heartbeat(b""),
                };
                self.say(user, say, next_in);
                self.commands.publish();
            }
            _ => {}
        }
        true
    }

    /// The gateway stops: a session that runs gets a Logout.
    pub(in crate::gateway) fn say_goodbye(&mut self, user: UserId) {
        let now_ns = self.now_ns;
        let Some(id) = self.users[user.index()].conn else { return };
        let Some(link) = self.conn_mut(id).and_then(|conn| conn.fix()) else { return };
        if link.session.phase() != Phase::Active {
            return;
        }
        link.session.log_out(now_ns);
        link.ending = true;
        let next_in = link.session.next_in();
        self.say(user, Say::LogOut(b"the gateway stops"), next_in);
        self.commands.publish();
    }

    /// Whether a connection's protocol is FIX.
    pub(in crate::gateway) fn is_fix(&mut self, id: ConnId) -> bool {
        self.conn_mut(id).is_some_and(|conn| matches!(conn.protocol, Protocol::Fix(_)))
    }
}

/// Whether a message brings a ClOrdID that is to be remembered.
fn names_an_order(kind: &[u8]) -> bool {
    kind == msg_type::NEW_ORDER_SINGLE || takes_away(kind)
}

/// Whether it can take away orders, or replace them.
fn takes_away(kind: &[u8]) -> bool {
    [
        msg_type::ORDER_CANCEL_REQUEST,
        msg_type::ORDER_CANCEL_REPLACE_REQUEST,
        msg_type::ORDER_MASS_CANCEL_REQUEST,
    ]
    .contains(&kind)
}

/// Whether one more ClOrdID may be remembered beside `known` ones. Some are kept for cancels.
#[inline]
fn may_name_another(message: &Message<'_>, known: u32, max: u32) -> bool {
    let kind = message.msg_type();
    known < max
        || !names_an_order(kind)
        || takes_away(kind) && known < max.saturating_add(max / 8).saturating_add(64)
}

/// A message with stars over its password.
pub fn masked(message: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    mask_password(&mut bytes);
    bytes
}

/// Writes stars over the values of Password (554).
fn mask_password(bytes: &mut [u8]) {
    const TAG: &[u8] = b"554=";
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(TAG.len()).position(|window| window == TAG) {
        let start = at + found + TAG.len();
        let length = bytes[start..].iter().position(|byte| *byte == SOH);
        at = length.map_or(bytes.len(), |length| start + length);
        bytes[start..at].fill(b'*');
    }
}

/// Why a connection ended that nobody was logged on to, for the log.
const REFUSALS: [&str; 8] = [
    "no Logon, or not for this gateway",
    "BeginString is another version's",
    "CompID is another's",
    "SendingTime is more than 120 s from the gateway's clock",
    "MsgSeqNum is missing or no number",
    "a Logon that cannot be taken",
    "MsgSeqNum too low",
    "said goodbye",
];

fn code_of(farewell: Farewell) -> u64 {
    match farewell {
        Farewell::BeginString => 1,
        Farewell::CompId => 2,
        Farewell::SendingTime => 3,
        Farewell::NoNumber => 4,
        Farewell::BadLogon(_) => 5,
        Farewell::TooLow { .. } => 6,
        Farewell::Answer => 7,
    }
}

fn tell_refused(record: &Record) {
    let reason = REFUSALS[record.numbers[1] as usize];
    tracing::warn!(connection = record.numbers[0], reason, "closed a FIX connection");
}

fn tell_garbled(record: &Record) {
    let reasons = ["BeginString", "BodyLength", "CheckSum", "too many fields", "MsgType"];
    let [connection, reason, bytes, _] = record.numbers;
    let reason = reasons[reason as usize];
    tracing::warn!(connection, reason, bytes, "passed over garbled FIX");
}
