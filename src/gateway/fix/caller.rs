//! The side that calls: its Logon, and what the venue says of orders.

use crate::net::ConnId;
use crate::order::{Alarm, Command, CommandKind, Said, UserId};
use crate::session::fix::Call;
use crate::wire::Protocol;
use crate::wire::fix::Version;
use crate::wire::fix::scan::{Message, Scan};
use crate::wire::fix::{msg_type, tag};

use super::super::conn::Session;
use super::super::state::State;
use super::report::{self, Heard};
use super::say::Say;
use super::session::Link;

/// How long a venue's answer to a Logon may take.
const PATIENCE_NS: u64 = 10 * crate::order::NANOS_PER_SEC;

impl State {
    /// Says who calls on a connection that was just opened.
    pub(in crate::gateway) fn log_on(
        &mut self,
        id: ConnId,
        user: UserId,
        heartbeat_s: u64,
        reset: bool,
    ) {
        let now_ns = self.now_ns;
        let Some(out) = self.users[user.index()].out.as_mut() else { return };
        let Some(voice) = out.voice.fix() else { return };
        let (ends, next_in) = (voice.ends().clone(), out.progress.next_in);
        let Some(conn) = self.conn_mut(id) else { return };
        let Protocol::Fix(version) = conn.protocol else { return };
        let call = Call { heartbeat_s, reset, patience_ns: PATIENCE_NS };
        let link = Link::call(version, ends, call, next_in, now_ns);
        conn.session = Session::Fix(Box::new(link));
        let next_in = if reset { 1 } else { next_in };
        self.say(user, Say::LogOn { heartbeat_s: heartbeat_s as u32, reset }, next_in);
        self.commands.publish();
    }

    /// Asks a venue how all orders stand.
    pub(in crate::gateway) fn ask_for_all(&mut self, user: UserId) {
        let next_in = self.users[user.index()].out.as_ref().map_or(0, |out| out.progress.next_in);
        self.say(user, Say::MassStatusRequest, next_in);
        self.commands.publish();
    }

    /// A venue said something of an order. True if a command tells of its number.
    pub(super) fn venue_said(&mut self, user: UserId, message: &Message<'_>, next_in: u64) -> bool {
        self.count_said(user);
        let version = self.version_of(user);
        if message.get(tag::MASS_STATUS_REQ_ID).is_some() {
            let none = message.get(tag::TOT_NUM_REPORTS) == Some(b"0");
            let last = message.get(tag::LAST_RPT_REQUESTED) == Some(b"Y");
            self.line_told(user, none || last);
        }
        match report::read(message, version) {
            Heard::Said(all) => self.pass_on(user, all, next_in),
            Heard::Refused(number) => self.refused_by_number(user, number, next_in),
            Heard::Nothing => false,
            Heard::Unreadable => {
                self.alarm(user, Alarm::Unreadable);
                false
            }
        }
    }

    /// A venue refused a message as such. True if a command tells of its number.
    pub(super) fn venue_refused(
        &mut self,
        user: UserId,
        message: &Message<'_>,
        next_in: u64,
    ) -> bool {
        self.users[user.index()].setup.venue && self.venue_said(user, message, next_in)
    }

    fn version_of(&mut self, user: UserId) -> Version {
        match self.users[user.index()].setup.protocol {
            Protocol::Fix(version) => version,
            _ => Version::Fix44,
        }
    }

    /// Sequences what a venue said.
    fn pass_on(
        &mut self,
        user: UserId,
        all: [Option<Said>; report::SAID_MAX],
        next_in: u64,
    ) -> bool {
        let firm = self.users[user.index()].setup.firm;
        let symbols = self.names.symbols.len();
        let mut told = false;
        for said in all.into_iter().flatten() {
            if said.symbol.index() >= symbols {
                self.alarm(user, Alarm::UnknownOrder);
                continue;
            }
            let mut command = Command::EMPTY;
            said.write(user, firm, &mut command);
            debug_assert_eq!(command.kind, CommandKind::VenueSaid);
            command.number_in = next_in as u32;
            told |= self.commands.stage(&command);
        }
        if told && let Some(out) = self.users[user.index()].out.as_mut() {
            out.progress.next_in = next_in;
        }
        told
    }

    /// A message of this side's was refused, which goes by that MsgSeqNum: what it was stands in the stream.
    fn refused_by_number(&mut self, user: UserId, number: u64, next_in: u64) -> bool {
        let Some(out) = self.users[user.index()].out.as_mut() else { return false };
        let Some(place) = out.voice.fix().map(|voice| voice.place(number)) else { return false };
        if out.stream.find(place).is_none() || place >= out.stream.next_number() {
            self.alarm(user, Alarm::Unreadable);
            return false;
        }
        let mut packet = vec![];
        out.stream.copy(place, &mut packet);
        // The scanner that found the refusal is in use.
        let mut scanner = crate::wire::fix::scan::Scanner::new();
        let Scan::Message(_) = scanner.scan(&packet) else { return false };
        let sent = scanner.message(&packet);
        let name = sent.get(tag::CL_ORD_ID).unwrap_or(b"");
        if sent.msg_type() == msg_type::ORDER_MASS_STATUS_REQUEST {
            // It has to be asked for each.
            self.line_told(user, true);
        }
        match report::refused(sent.msg_type(), name) {
            Some(said) => self.pass_on(user, [Some(said), None], next_in),
            None => false,
        }
    }
}
