//! Logging in: who, one session a user, and from which message on.

use crate::net::ConnId;
use crate::order::UserId;
use crate::runtime::Record;
use crate::wire::Protocol;
use crate::wire::soupbin::{Login, LoginAccepted, LoginReject, header, kind, trim};
use zerocopy::IntoBytes;

use super::auth::{AuthAnswer, AuthRequest};
use super::conn::{Conn, Session, Source, is_there};
use super::replay::ReplayRequest;
use super::state::{State, User};

/// Logins carried out in one turn: whoever was there before waits for no more than these.
const LOGINS_MAX: usize = 4;
/// Commands that one login may become, at most.
const LOGIN_COMMANDS_MAX: usize = 16;

impl State {
    /// Has a login's password checked, or refuses it at once.
    pub(super) fn begin_login(&mut self, id: ConnId, login: &Login<'_>) {
        let session = trim(&login.request.session);
        let current = trim(&self.session_name);
        let Some(sequence) = login.sequence() else {
            return self.reject_login(id, LoginReject::NotAuthorized);
        };
        if !session.is_empty() && !session.eq_ignore_ascii_case(current) {
            return self.reject_login(id, LoginReject::SessionNotAvailable);
        }
        let name = trim(&login.request.user);
        let Some(conn) = self.conn_mut(id) else { return };
        conn.requested = sequence;
        let protocol = conn.protocol;
        let user = self.logins.by_name(name);
        let speaks = |user: &UserId| {
            self.users[user.index()].setup.protocol == protocol && self.is_place_of(*user)
        };
        let user = user.filter(|user| protocol == Protocol::Glimpse || speaks(user));
        self.check_password(AuthRequest::new(id, user, &login.request.password, false));
    }

    /// Whether this is a gateway where a user may be: those who watch others have one of their own.
    pub(super) fn is_place_of(&self, user: UserId) -> bool {
        self.users[user.index()].setup.watches.is_empty() == self.watchers.is_none()
    }

    /// Has a password checked, unless there were too many wrong ones from there.
    pub(super) fn check_password(&mut self, request: AuthRequest) {
        if !self.is_throttled(&request) {
            let conns = &self.conns;
            self.logins.put(&request, |id| is_there(conns, id));
        }
    }

    /// Whether too many wrong passwords came from a login's address; it is refused unseen then.
    fn is_throttled(&mut self, request: &AuthRequest) -> bool {
        let Some(peer) = self.conn_mut(request.conn).map(|conn| conn.peer) else { return true };
        if self.throttle.admits(peer, self.now_ns) {
            return false;
        }
        self.counters.logins_throttled.add(1);
        self.record(tell_throttled, [request.conn.index.into(), 0, 0, 0]);
        self.reject_login(request.conn, LoginReject::NotAuthorized);
        true
    }

    /// Brings logins on: carries out what is decided while risk's ring has room for what a login
    /// may say, and hands helpers what waits.
    pub(super) fn attend_logins(&mut self) -> usize {
        let mut work = self.logins.take_answers();
        for _ in 0..LOGINS_MAX {
            if self.commands.free() < LOGIN_COMMANDS_MAX {
                break;
            }
            let Some(answer) = self.logins.next_decided() else { break };
            self.finish_login(&answer);
            work += 1;
        }
        while self.logins.helper_is_free() {
            let Some(request) = self.logins.next_waiting() else { break };
            // Others from there may have been wrong since it came.
            if !self.is_throttled(&request) {
                self.logins.hand_over(&request);
            }
            work += 1;
        }
        work
    }

    /// Carries out what was found of a login.
    fn finish_login(&mut self, answer: &AuthAnswer) {
        let Some(conn) = self.conn_mut(answer.conn).filter(|conn| conn.is_logging_in()) else {
            return;
        };
        let (id, peer) = (conn.id, conn.peer);
        let Some(user) = answer.user else {
            let now_ns = self.now_ns;
            self.throttle.failed(peer, now_ns);
            self.record(tell_wrong_password, [id.index.into(), 0, 0, 0]);
            return self.reject_login(id, LoginReject::NotAuthorized);
        };
        if self.conn_mut(id).is_some_and(|conn| conn.protocol == Protocol::Glimpse) {
            return self.admit_for_snapshot(user, id);
        }
        match &self.users[user.index()] {
            User { conn: Some(old), .. } => self.replace_session(*old, answer),
            User { leaving: true, .. } => self.reject_second_login(id),
            User { out: None, .. } => self.fetch_stream(user, id),
            User { out: Some(_), .. } => self.admit(user, id),
        }
    }

    /// A second login of a user. Where the first one's peer has missed its heartbeats it is taken for
    /// dead, as after a network that was away, and ends; else the second one is refused.
    fn replace_session(&mut self, old: ConnId, answer: &AuthAnswer) {
        let now_ns = self.now_ns;
        let is_dead = |conn: &mut Conn| conn.is_overdue(now_ns);
        if !self.conn_mut(old).is_some_and(is_dead) {
            return self.reject_second_login(answer.conn);
        }
        if !self.to_close.contains(&old) {
            self.counters.taken_over.add(1);
            self.to_close.push(old);
        }
        self.logins.decide(*answer);
    }

    /// Lets a user in whose stream is here.
    pub(super) fn admit(&mut self, user: UserId, id: ConnId) {
        if self.is_fix(id) {
            return self.admit_fix(user, id);
        }
        let logging_in = |conn: &&mut Conn| conn.is_logging_in();
        let Some(requested) = self.conn_mut(id).filter(logging_in).map(|conn| conn.requested)
        else {
            return;
        };
        // Nobody can have seen what was never sent.
        let stream = self.users[user.index()].stream();
        if requested > stream.next_number() {
            return self.reject_login(id, LoginReject::SessionNotAvailable);
        }
        let first = if requested == 0 { stream.held_number() } else { requested };
        self.seat(user, id);
        let accepted = LoginAccepted::new(self.session_name, first);
        let now_ns = self.now_ns;
        let conn = self.conn_mut(id).expect("found above");
        if let Session::Soup(session) = &mut conn.session {
            session.accept(now_ns);
        }
        conn.push_control(accepted.as_bytes());
        self.counters.logins_accepted.add(1);
        self.start_from(id, user, first);
        self.mark_dirty(user);
    }

    /// Has a snapshot made for who logged in for one. Each user has one under way at most.
    fn admit_for_snapshot(&mut self, user: UserId, id: ConnId) {
        let has_one = |conn: &Conn| conn.snapshot_of == Some(user);
        if self.snapshots.is_none() || self.conns.iter().flatten().any(|conn| has_one(conn)) {
            return self.reject_second_login(id);
        }
        let (now_ns, accepted) = (self.now_ns, LoginAccepted::new(self.session_name, 1));
        let Some(conn) = self.conn_mut(id) else { return };
        if let Session::Soup(session) = &mut conn.session {
            session.accept(now_ns);
        }
        conn.snapshot_of = Some(user);
        conn.push_control(accepted.as_bytes());
        self.counters.logins_accepted.add(1);
        self.to_flush.push(id);
        if let Some(snapshots) = &self.snapshots {
            snapshots.ask(id);
        }
    }

    /// Makes a connection a user's, who is read at its own pace from here on.
    pub(super) fn seat(&mut self, user: UserId, id: ConnId) {
        let of = &mut self.users[user.index()];
        of.conn = Some(id);
        let pace = of.pace;
        if let Some(conn) = self.conn_mut(id) {
            (conn.user, conn.pace) = (Some(user), pace);
        }
    }

    /// Sets a connection to send from message `number` on: out of the window, or by way of the
    /// journal.
    pub(super) fn start_from(&mut self, id: ConnId, user: UserId, number: u64) {
        let stream = self.users[user.index()].stream();
        let source = match stream.find(number) {
            Some(offset) => Source::Window(offset),
            None => {
                // Halfway into the window, so that it is still there when the replay is done.
                let oldest = stream.oldest_number();
                let until = oldest + (stream.held_number().saturating_sub(oldest)) / 2;
                let request = ReplayRequest { conn: id, user, from: number, until };
                self.ask_for_replay(request);
                Source::Journal { next: until }
            }
        };
        if let Some(conn) = self.conn_mut(id) {
            conn.source = source;
        }
    }

    /// One live login for each user.
    pub(super) fn reject_second_login(&mut self, id: ConnId) {
        self.reject_login(id, LoginReject::SessionNotAvailable);
    }

    pub(super) fn reject_login(&mut self, id: ConnId, reason: LoginReject) {
        self.counters.logins_rejected.add(1);
        let [a, b, c] = header(kind::LOGIN_REJECTED, 1);
        if let Some(conn) = self.conn_mut(id) {
            // FIX has no answer for those it does not know (FIX 4.4 volume 2, "Logon").
            if !matches!(conn.protocol, Protocol::Fix(_)) {
                conn.push_control(&[a, b, c, reason as u8]);
            }
            conn.closing = true;
        }
        self.to_flush.push(id);
    }
}

fn tell_throttled(record: &Record) {
    let connection = record.numbers[0];
    tracing::warn!(connection, "refused a login unseen: too many wrong passwords from its address");
}

fn tell_wrong_password(record: &Record) {
    tracing::warn!(connection = record.numbers[0], "refused a login: wrong name or password");
}
