//! The side that calls a venue in OUCH: its login, and what the venue says of orders.

use crate::audit::Direction;
use crate::net::{Close, ConnId};
use crate::order::{Alarm, Command, Saying, UserId};
use crate::session::soup::{Caller, Heard as Input};
use crate::wire::soupbin::login_packet;

use super::super::conn::{Session, Source};
use super::super::state::State;
use super::super::voice::Voice;
use super::calls::{self, VenueVoice};
use super::report::{self, Heard};

impl State {
    fn venue_voice(&mut self, user: UserId) -> Option<&mut VenueVoice> {
        match &mut self.users[user.index()].out.as_mut()?.voice {
            Voice::OuchVenue(voice) => Some(voice),
            _ => None,
        }
    }

    /// Says who calls on a connection that was just opened; `afresh` if the session is to be another.
    pub(in crate::gateway) fn log_in(&mut self, id: ConnId, user: UserId, afresh: bool) {
        let now_ns = self.now_ns;
        let Some(voice) = self.venue_voice(user) else { return };
        let (secret, session, next) = voice.login();
        let session = String::from_utf8_lossy(&session).trim_end().to_owned();
        let (session, next) = if afresh { (String::new(), 1) } else { (session, next) };
        let login = login_packet(&secret.username, &secret.password, &session, next);
        let Some(conn) = self.conn_mut(id) else { return };
        conn.session = Session::Calling(Caller::new(now_ns));
        conn.push_control(&login);
        self.to_flush.push(id);
    }

    /// Takes in bytes of a connection to a venue. Returns how many are done with.
    pub(in crate::gateway) fn received_from_venue(
        &mut self,
        id: ConnId,
        bytes: &[u8],
    ) -> Result<usize, Close> {
        let mut done = 0;
        loop {
            let now_ns = self.now_ns;
            let Some(conn) = self.conn_mut(id).filter(|conn| !conn.closing) else {
                return Ok(bytes.len());
            };
            let (Some(user), Session::Calling(caller)) = (conn.user, &mut conn.session) else {
                return Err(Close);
            };
            let (input, used) = match caller.next(&bytes[done..], now_ns) {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(done),
                Err(_) => {
                    self.counters.packets_malformed.add(1);
                    self.alarm(user, Alarm::Unreadable);
                    return Err(Close);
                }
            };
            done += used;
            match input {
                Input::Accepted(session, next) => self.joined(id, user, session, next),
                Input::Rejected(why) => {
                    self.turned_away(user, if why == b'S' { b"no such session" } else { b"login" });
                    self.line_afresh(user, why == b'S');
                    return Err(Close);
                }
                Input::Message { payload, next } => self.said_in_ouch(user, payload, next),
                Input::End => return Err(Close),
                Input::Nothing => {}
            }
        }
    }

    /// The venue let this side in. What never got there is found out before anything else is said.
    fn joined(&mut self, id: ConnId, user: UserId, session: [u8; 10], next: u64) {
        let firm = self.users[user.index()].setup.firm;
        self.line_afresh(user, false);
        if let Some(conn) = self.conn_mut(id) {
            conn.source = Source::Nothing;
        }
        self.commands.stage(&calls::joined(user, firm, session, next));
        self.commands.stage(&calls::query(user, firm));
    }

    fn said_in_ouch(&mut self, user: UserId, bytes: &[u8], next: u64) {
        self.counters.messages_in.add(1);
        self.count_said(user);
        let now_ns = self.now_ns;
        self.tap.put(Direction::In, Some(user), now_ns, bytes);
        let firm = self.users[user.index()].setup.firm;
        let Some(voice) = self.venue_voice(user) else { return };
        let last = voice.next_ref();
        let mut command = calls::heard(user, firm, next);
        match report::read(bytes, voice) {
            Heard::Said(said) => {
                said.write(user, firm, &mut command);
                command.number_in = next as u32;
            }
            Heard::Next(expected) => self.line_received(user, expected, last),
            Heard::Nothing => {}
            Heard::Unknown => self.alarm(user, Alarm::UnknownOrder),
            Heard::Unreadable => self.alarm(user, Alarm::Unreadable),
        }
        self.commands.stage(&command);
    }

    /// What a venue never got under a number: the command that says so.
    pub(in crate::gateway) fn never_got(&mut self, user: UserId, user_ref: u32) -> Option<Command> {
        let firm = self.users[user.index()].setup.firm;
        let said = self.venue_voice(user)?.said(user_ref, Saying::Unknown)?;
        let mut command = Command::EMPTY;
        said.write(user, firm, &mut command);
        Some(command)
    }

    /// The question was told: from there on the stream is sent.
    pub(in crate::gateway) fn asked_in_ouch(&mut self, user: UserId, from: u64) {
        let Some(id) = self.users[user.index()].conn else { return };
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.source == Source::Nothing && matches!(conn.session, Session::Calling(_)) {
            conn.source = Source::Window(from);
            self.line_begins(user);
            self.mark_dirty(user);
        }
    }
}
