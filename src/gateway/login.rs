//! Logging in: who, one session a user, and from which message on.

use crate::net::ConnId;
use crate::order::UserId;
use crate::runtime::Record;
use crate::wire::Protocol;
use crate::wire::soupbin::{Login, LoginAccepted, LoginReject, header, kind, trim};
use zerocopy::IntoBytes;

use super::auth::{AuthAnswer, AuthRequest};
use super::conn::{Conn, Session, Source};
use super::replay::ReplayRequest;
use super::state::{State, User};

impl State {
    /// Sends a login to the helper thread, or refuses it at once.
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
        let user = self.users.iter().position(|user| {
            let setup = &user.setup;
            setup.enabled
                && setup.protocol == protocol
                && setup.name.as_bytes().eq_ignore_ascii_case(name)
        });
        let user = user.map(|user| UserId(user as u16));
        self.check_password(AuthRequest::new(id, user, &login.request.password, false));
    }

    /// Has the helper thread check a password, unless there were too many wrong ones from there.
    pub(super) fn check_password(&mut self, request: AuthRequest) {
        let Some(peer) = self.conn_mut(request.conn).map(|conn| conn.peer) else { return };
        if !self.throttle.admits(peer, self.now_ns) {
            self.counters.logins_throttled.add(1);
            self.record(tell_throttled, [request.conn.index.into(), 0, 0, 0]);
            return self.reject_login(request.conn, LoginReject::NotAuthorized);
        }
        if !self.auth_requests.push(&request) {
            self.reject_login(request.conn, LoginReject::SessionNotAvailable);
        }
    }

    /// Takes the helper thread's answer.
    pub(super) fn finish_login(&mut self, answer: &AuthAnswer) {
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
        match &self.users[user.index()] {
            User { conn: Some(_), .. } | User { leaving: true, .. } => self.reject_second_login(id),
            User { out: None, .. } => self.fetch_stream(user, id),
            User { out: Some(_), .. } => self.admit(user, id),
        }
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
        self.users[user.index()].conn = Some(id);
        let accepted = LoginAccepted::new(self.session_name, first);
        let now_ns = self.now_ns;
        let conn = self.conn_mut(id).expect("found above");
        conn.user = Some(user);
        if let Session::Soup(session) = &mut conn.session {
            session.accept(now_ns);
        }
        conn.push_control(accepted.as_bytes());
        self.counters.logins_accepted.add(1);
        self.start_from(id, user, first);
        self.mark_dirty(user);
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
                if self.replay_requests.push(&request) {
                    self.counters.replays.add(1);
                    Source::Journal { next: until }
                } else {
                    return self.end_session(id);
                }
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

    /// Tells a client that its session is over, and closes it when that is sent.
    pub(super) fn end_session(&mut self, id: ConnId) {
        if let Some(conn) = self.conn_mut(id) {
            conn.push_control(&header(kind::END_OF_SESSION, 0));
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
