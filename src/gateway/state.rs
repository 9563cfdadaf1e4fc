//! What a gateway knows of its users and connections, and what bytes and time do to it. It is
//! apart from the transport, so that the transport can hand bytes to it.

use std::net::IpAddr;

use crate::audit::{Direction, Tap};
use crate::net::{Close, ConnId, Handler, Transport};
use crate::order::{CancelReason, Command, CommandKind, Event, UnixNanos, UserId};
use crate::ring::Producer;
use crate::runtime::{Counter, Counters, Record};
use crate::session::soup::{Input, Violation};
use crate::session::stream::Stream;
use crate::wire::Protocol;
use crate::wire::fix::scan::Scanner;
use crate::wire::ouch::inbound::{BadMessage, Inbound};
use crate::wire::ouch42;
use crate::wire::soupbin::{header, kind};

use super::agent::UserSetup;
use super::conn::{Conn, Session, Source, is_there};
use super::fix;
use super::home::Peers;
use super::logins::Logins;
use super::mischief::Mischief;
use super::ouch5::translate;
use super::pace::Pace;
use super::replay::{ReplayRequest, Replays};
use super::snapshots::{Sending, Snapshot, Snapshots};
use super::symbols::{Directory, Names};
use super::terms::Sender;
use super::throttle::Throttle;
use super::venues::Line;
use super::voice::{Outbound, Page, Voice};
use super::watchers::Watchers;

/// A user, its outbound messages, and its connection if it has one.
pub(super) struct User {
    pub setup: UserSetup,
    /// Here, or at another gateway.
    pub out: Option<Outbound>,
    pub conn: Option<ConnId>,
    pub dirty: bool,
    pub held: bool,
    /// The stream is about to go to another gateway.
    pub leaving: bool,
    /// How many books have told all they had to tell here.
    pub told_all: usize,
    /// What it used up of what it may send, kept while it is not connected.
    pub pace: Pace,
}

impl User {
    /// The stream of a user that is connected here.
    #[inline]
    pub fn stream(&self) -> &Stream {
        &self.out.as_ref().expect("a user is connected only where its stream is").stream
    }
}

macro_rules! counters {
    ($($field:ident = $name:literal),* $(,)?) => {
        pub(super) struct GatewayCounters { $(pub $field: Counter),* }
        impl GatewayCounters {
            pub fn new(counters: &Counters, prefix: &str) -> GatewayCounters {
                GatewayCounters {
                    $($field: counters.get(&format!("{prefix}.{}", $name))),*
                }
            }
        }
    };
}

counters! {
    opened = "connections_opened",
    closed = "connections_closed",
    logins_accepted = "logins_accepted",
    logins_rejected = "logins_rejected",
    logins_throttled = "logins_throttled",
    messages_in = "messages_in",
    messages_out = "messages_out",
    messages_malformed = "messages_malformed",
    messages_garbled = "messages_garbled",
    packets_malformed = "packets_malformed",
    dropped_silent = "dropped_silent",
    dropped_without_login = "dropped_without_login",
    dropped_for_others = "dropped_for_others",
    taken_over = "taken_over",
    paused = "paused_turns",
    dropped_slow = "dropped_slow",
    replays = "replays",
    resends = "resends",
    backpressure = "backpressure_turns",
    records_lost = "records_lost",
}

/// Everything but the transport, so that the transport can hand bytes to it.
pub(super) struct State {
    pub now_ns: UnixNanos,
    pub conns: Vec<Option<Box<Conn>>>,
    pub users: Vec<User>,
    pub names: Names,
    pub directory: Directory,
    pub session_name: [u8; 10],
    pub ports: Vec<Protocol>,
    /// The gateway's CompID.
    pub fix_comp_id: Vec<u8>,
    /// Names of orders that are kept of one user.
    pub order_names_max: u32,
    /// Finds FIX messages; there only while it is not in use.
    pub scanner: Option<Scanner>,
    pub words: fix::Words,
    pub throttle: Throttle,
    pub commands: Producer<Command>,
    pub logins: Logins,
    pub replays: Replays,
    pub records: Producer<Record>,
    pub counters: GatewayCounters,
    /// Books that users are told of.
    pub books: usize,
    pub peers: Peers,
    pub tap: Tap,
    /// Who watches whom, if they do it here.
    pub watchers: Option<Watchers>,
    /// The way to who makes snapshots.
    pub snapshots: Option<Snapshots>,
    /// The lines to venues.
    pub lines: Vec<Line>,
    /// What is done to those who trade here, where that is for tests.
    pub mischief: Option<Box<Mischief>>,
    /// The gateway ends: what lost sessions mean was asked for already.
    pub stopping: bool,
    /// Connections with something to send that is not their user's stream.
    pub to_flush: Vec<ConnId>,
    /// Connections that end for a reason of this side's.
    pub to_close: Vec<ConnId>,
    /// Users whose stream has something new to send.
    pub dirty: Vec<UserId>,
    /// Users with messages that wait for the disk.
    pub held: Vec<UserId>,
    /// Users that dropped and whose orders are still to be cancelled.
    pub to_disconnect: Vec<UserId>,
}

impl State {
    /// Whether nothing is left for the next turn.
    pub fn is_quiet(&self) -> bool {
        self.to_flush.is_empty()
            && self.to_close.is_empty()
            && self.dirty.is_empty()
            && self.logins.is_quiet()
    }

    pub fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(id.index as usize)?.as_deref_mut()?;
        (conn.id == id).then_some(conn)
    }

    /// Counts what a connection sent against its pace.
    #[inline]
    pub fn spend(&mut self, id: ConnId, messages: u64) {
        let now_ns = self.now_ns;
        if let Some(conn) = self.conn_mut(id) {
            conn.pace.spend(messages, now_ns);
        }
    }

    /// Puts a replay in line.
    pub fn ask_for_replay(&mut self, request: ReplayRequest) {
        let conns = &self.conns;
        self.replays.ask(request, |id| is_there(conns, id));
        self.counters.replays.add(1);
    }

    pub fn mark_dirty(&mut self, user: UserId) {
        let state = &mut self.users[user.index()];
        if !state.dirty {
            state.dirty = true;
            self.dirty.push(user);
        }
    }

    /// Leaves a record for the log; counts it if there is no room.
    pub fn record(&mut self, tell: fn(&Record), numbers: [u64; 4]) {
        if !self.records.push(&Record { tell, numbers }) {
            self.counters.records_lost.add(1);
        }
    }

    /// Sequences the cancels that lost connections ask for.
    pub fn disconnect_users(&mut self) -> usize {
        let mut work = 0;
        while let Some(&user) = self.to_disconnect.last() {
            let firm = self.users[user.index()].setup.firm;
            let staged = self.commands.stage_with(|place| {
                *place = Command::new(CommandKind::Disconnect, user, firm);
                place.reason = CancelReason::Supervisory;
            });
            if !staged {
                break;
            }
            self.to_disconnect.pop();
            work += 1;
        }
        self.commands.publish();
        work
    }

    /// Whether a user's stream is here and takes another message. One that another gateway is about to hand
    /// over is waited for.
    #[inline]
    pub fn has_room(&self, user: UserId) -> bool {
        self.users[user.index()].out.as_ref().is_some_and(|out| out.stream.has_room())
    }

    /// Puts the message that tells an event into a user's stream, which has room.
    #[inline]
    pub fn tell(&mut self, id: UserId, event: &Event, page: &mut Page, hold_until_durable: bool) {
        if !self.lines.is_empty() {
            self.heard(event);
        }
        let user = &mut self.users[id.index()];
        let out = user.out.as_mut().expect("it has room here");
        let packet = out.voice.encode(event, &self.names, page);
        if packet.is_empty() {
            return;
        }
        let from = out.stream.end();
        out.stream.push(event.seq(), packet);
        self.counters.messages_out.add(1);
        // Of what is copied the audit file has the original.
        if self.tap.is_on() && event.user == id {
            let message = out.voice.message_of(packet);
            let said = out.voice.fix().and_then(|voice| voice.said);
            if user.setup.venue && said.is_some() {
                // A Logon at a venue says who calls.
                let masked = fix::masked(message);
                self.tap.put(Direction::Out, Some(id), self.now_ns, &masked);
            } else {
                self.tap.put(Direction::Out, Some(id), self.now_ns, message);
            }
        }
        let said = out.voice.fix().and_then(|voice| voice.said);
        let asked = matches!(&out.voice, Voice::OuchVenue(voice) if voice.asked);
        if hold_until_durable {
            if !user.held {
                user.held = true;
                self.held.push(id);
            }
        } else {
            out.stream.release_all();
        }
        let until = out.stream.end();
        if let Some(mischief) = &mut self.mischief {
            mischief.told(event, (from, until), self.now_ns);
        }
        if !hold_until_durable {
            self.mark_dirty(id);
        }
        if let Some(said) = said {
            self.said(id, said, from, until);
        }
        if asked {
            self.asked_in_ouch(id, from);
        }
    }

    /// Tells an event to all who watch its firm. False if one of them has no room yet.
    pub fn copy(&mut self, event: &Event, page: &mut Page, hold_until_durable: bool) -> bool {
        let Some(watchers) = self.watchers.take() else { return true };
        let told = watchers.of(event, &self.names);
        let room = told.iter().all(|watcher| self.has_room(*watcher));
        if room {
            told.iter().for_each(|watcher| self.tell(*watcher, event, page, hold_until_durable));
        }
        self.watchers = Some(watchers);
        room
    }

    /// One client message into the ring to risk.
    #[inline]
    fn message(&mut self, id: ConnId, user: UserId, bytes: &[u8]) {
        self.counters.messages_in.add(1);
        let now_ns = self.now_ns;
        self.tap.put(Direction::In, Some(user), now_ns, bytes);
        if self.mischief.as_mut().is_some_and(|mischief| mischief.cuts()) {
            self.to_close.push(id);
        }
        let State { users, names, directory, commands, order_names_max, mischief, .. } = self;
        let of = &mut users[user.index()];
        let sender = Sender {
            user,
            firm: of.setup.firm,
            firm_name: names.firms[of.setup.firm.index()],
            symbols: directory,
            venues: &names.venues,
        };
        let bad = match &mut of.out {
            Some(_) if !of.setup.watches.is_empty() => Err(Unusable::OnlyListens),
            Some(Outbound { voice: Voice::Ouch42(voice), .. }) => {
                let mut command = Command::EMPTY;
                let full = voice.names() >= *order_names_max;
                match ouch42::Inbound::parse(bytes) {
                    Ok(message) if full && message.names_an_order() => Err(Unusable::NoMoreTokens),
                    Ok(message) => {
                        let asked = voice.translate(message, &sender, now_ns, &mut command);
                        Ok(!asked || commands.stage(&command))
                    }
                    Err(bad) => Err(bad.into()),
                }
            }
            _ => Inbound::parse(bytes)
                .map(|message| {
                    commands.stage_with(|place| {
                        translate(message, &sender, place);
                        if let Some(mischief) = mischief {
                            mischief.meddle(place);
                        }
                    })
                })
                .map_err(Unusable::from),
        };
        match bad {
            Ok(staged) => debug_assert!(staged, "bytes are read only where commands have room"),
            Err(why) => self.unusable(id, why),
        }
    }

    /// A message that nothing can be made of ends the session: what else the client meant to say
    /// cannot be known. It is told why in a Debug packet.
    fn unusable(&mut self, id: ConnId, why: Unusable) {
        self.counters.messages_malformed.add(1);
        self.record(tell_unusable, [u64::from(id.index), why as u64, 0, 0]);
        let text = UNUSABLE[why as usize];
        if let Some(conn) = self.conn_mut(id) {
            conn.push_control(&header(kind::DEBUG, text.len()));
            conn.push_control(text.as_bytes());
            conn.closing = true;
        }
        self.to_flush.push(id);
    }

    /// Sends a connection's session packets and its stream. False if it is to be closed.
    pub fn send(&mut self, id: ConnId, transport: &mut impl Transport) -> Result<bool, Close> {
        let now_ns = self.now_ns;
        let Some(conn) = self.conns.get_mut(id.index as usize).and_then(|c| c.as_deref_mut())
        else {
            return Ok(true);
        };
        if conn.id != id {
            return Ok(true);
        }
        if !conn.mid_message && !conn.control().is_empty() {
            let sent = transport.send(id, conn.control())?;
            conn.control_sent(sent);
            if sent > 0 {
                conn.sent(now_ns);
            }
            if !conn.control().is_empty() {
                return Ok(true);
            }
        }
        if conn.closing && !conn.mid_message {
            return Ok(false);
        }
        match conn.source {
            Source::Nothing => Ok(true),
            Source::Journal { next } => self.send_chunk(id, next, transport),
            Source::Again { then } => self.send_again(id, then, transport),
            Source::Snapshot => self.send_snapshot(id, transport),
            Source::Window(_) => {
                if !self.send_window(id, transport)? {
                    return Ok(false);
                }
                if self.turn_to_resend(id) { self.send(id, transport) } else { Ok(true) }
            }
        }
    }

    pub(super) fn send_window(
        &mut self,
        id: ConnId,
        transport: &mut impl Transport,
    ) -> Result<bool, Close> {
        let now_ns = self.now_ns;
        let conn = self.conns[id.index as usize].as_deref_mut().expect("found by send");
        let (Source::Window(mut offset), Some(user)) = (conn.source, conn.user) else {
            return Ok(true);
        };
        let until = self.may_send_until(user, offset);
        let conn = self.conns[id.index as usize].as_deref_mut().expect("found by send");
        let stream = self.users[user.index()].stream();
        if !stream.holds(offset) {
            // A client this far behind does not read. It can come back and be replayed.
            self.counters.dropped_slow.add(1);
            return Ok(false);
        }
        while offset < until {
            let mut end = offset;
            let pieces = std::array::from_fn(|_| {
                let piece = stream.bytes_from(end);
                let piece = &piece[..piece.len().min((until - end) as usize)];
                end += piece.len() as u64;
                piece
            });
            let sent = transport.send_pieces(id, &pieces)? as u64;
            offset += sent;
            if sent > 0 {
                conn.sent(now_ns);
            }
            if offset < end {
                break;
            }
        }
        conn.mid_message = offset < until;
        conn.source = Source::Window(offset);
        let over = conn.closing && !conn.mid_message;
        let said_goodbye = conn.fix().and_then(|link| link.close_at).is_some_and(|at| offset >= at);
        if !self.lines.is_empty() {
            self.sent_until(user, offset);
        }
        Ok(!over && !said_goodbye)
    }

    /// A snapshot is there for a connection, or could not be made.
    pub fn begin_snapshot(&mut self, id: ConnId, snapshot: Option<Snapshot>) {
        let begun_ns = self.now_ns;
        let Some(conn) = self.conn_mut(id) else { return };
        match snapshot {
            Some(snapshot) => {
                conn.snapshot = Some(Sending { snapshot, done: 0, begun_ns });
                conn.source = Source::Snapshot;
            }
            None => conn.closing = true,
        }
        self.to_flush.push(id);
    }

    fn send_snapshot(&mut self, id: ConnId, transport: &mut impl Transport) -> Result<bool, Close> {
        let now_ns = self.now_ns;
        let conn = self.conns[id.index as usize].as_deref_mut().expect("found by send");
        let Some(sending) = &mut conn.snapshot else { return Ok(true) };
        let sent = transport.send(id, &sending.snapshot[sending.done..])?;
        sending.done += sent;
        let whole = sending.done == sending.snapshot.len();
        if sent > 0 {
            conn.sent(now_ns);
        }
        conn.mid_message = !whole;
        if whole {
            // That was all there is to say.
            (conn.snapshot, conn.source) = (None, Source::Nothing);
            conn.push_control(&header(kind::END_OF_SESSION, 0));
            conn.closing = true;
            return self.send(id, transport);
        }
        Ok(true)
    }

    fn send_chunk(
        &mut self,
        id: ConnId,
        next: u64,
        transport: &mut impl Transport,
    ) -> Result<bool, Close> {
        let now_ns = self.now_ns;
        let conn = self.conns[id.index as usize].as_deref_mut().expect("found by send");
        let Some((chunk, done)) = &mut conn.chunk else { return Ok(true) };
        if chunk.failed {
            return Ok(false);
        }
        let sent = transport.send(id, &chunk.bytes[*done..usize::from(chunk.len)])?;
        *done += sent;
        let (whole, last) = (*done == usize::from(chunk.len), chunk.last);
        if sent > 0 {
            conn.sent(now_ns);
        }
        conn.mid_message = !whole;
        if conn.mid_message {
            return Ok(true);
        }
        conn.chunk = None;
        if let Some(user) = conn.user.filter(|_| last) {
            self.start_from(id, user, next);
            self.mark_dirty(user);
        }
        Ok(true)
    }
}

impl Handler for State {
    fn opened(&mut self, id: ConnId, port: usize, peer: IpAddr) {
        self.counters.opened.add(1);
        let conn = Conn::new(id, self.ports[port], peer, self.now_ns);
        self.conns[id.index as usize] = Some(Box::new(conn));
        let conns = &self.conns;
        self.logins.add_stranger(id, |id| {
            is_there(conns, id)
                && conns[id.index as usize].as_ref().is_some_and(|c| c.is_stranger())
        });
    }

    #[inline]
    fn appetite(&mut self, id: ConnId) -> usize {
        let now_ns = self.now_ns;
        if self.conn_mut(id).is_none_or(|conn| conn.pace.allows(now_ns)) {
            return usize::MAX;
        }
        self.counters.paused.add(1);
        0
    }

    fn make_room(&mut self) -> Option<ConnId> {
        let conns = &self.conns;
        let found = self.logins.oldest_stranger(|id| {
            let conn = conns[id.index as usize].as_ref().filter(|conn| conn.id == id);
            let conn = conn.filter(|conn| conn.is_stranger())?;
            Some(!conn.is_logging_in())
        });
        self.counters.dropped_for_others.add(found.is_some().into());
        found
    }

    fn received(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        let (mut done, mut packets) = (0, 0);
        loop {
            let now_ns = self.now_ns;
            let Some(conn) = self.conn_mut(id).filter(|conn| !conn.closing) else {
                return Ok(bytes.len());
            };
            let user = conn.user;
            let session = match &mut conn.session {
                Session::Soup(session) => session,
                Session::Fix(_) => return self.received_fix(id, bytes),
                Session::Calling(_) => return self.received_from_venue(id, bytes),
            };
            let (input, used) = match session.next(&bytes[done..], now_ns) {
                Ok(Some(next)) => next,
                Ok(None) => {
                    self.spend(id, packets);
                    return Ok(done);
                }
                Err(violation) => {
                    self.counters.packets_malformed.add(1);
                    let numbers = [u64::from(id.index), violation as u64, 0, 0];
                    self.record(tell_violation, numbers);
                    return Err(Close);
                }
            };
            done += used;
            packets += 1;
            match (input, user) {
                (Input::Message(message), Some(user)) => self.message(id, user, message),
                (Input::Login(login), _) => self.begin_login(id, &login),
                (Input::Logout, _) => return Err(Close),
                (Input::Nothing | Input::Message(_), _) => {}
            }
        }
    }

    fn writable(&mut self, id: ConnId) {
        if self.conn_mut(id).is_some() {
            self.to_flush.push(id);
            self.connected(id);
        }
    }

    fn closed(&mut self, id: ConnId) {
        let Some(conn) = self.conn_mut(id) else { return };
        let (user, pace) = (conn.user, conn.pace);
        self.conns[id.index as usize] = None;
        self.counters.closed.add(1);
        self.line_closed(id);
        if let Some(user) = user {
            let state = &mut self.users[user.index()];
            (state.conn, state.pace) = (None, pace);
            if state.setup.cancel_on_disconnect && !self.stopping {
                self.to_disconnect.push(user);
            }
        }
    }
}

fn tell_violation(record: &Record) {
    let reasons = ["empty packet", "packet too long", "unexpected packet", "unreadable login"];
    let reason = reasons[record.numbers[1] as usize];
    const _: () = assert!(Violation::BadLogin as usize == 3);
    tracing::warn!(connection = record.numbers[0], reason, "closed a connection: not SoupBinTCP");
}

/// Why nothing can be made of an OUCH message.
#[derive(Clone, Copy)]
enum Unusable {
    UnknownType,
    Truncated,
    NoMoreTokens,
    OnlyListens,
}

const UNUSABLE: [&str; 4] = [
    "unknown message type: session closed",
    "message too short for its type: session closed",
    "no more order tokens are remembered today: session closed",
    "a drop copy takes no orders: session closed",
];

impl From<BadMessage> for Unusable {
    fn from(bad: BadMessage) -> Unusable {
        match bad {
            BadMessage::UnknownType => Unusable::UnknownType,
            BadMessage::Truncated => Unusable::Truncated,
        }
    }
}

fn tell_unusable(record: &Record) {
    let reason = UNUSABLE[record.numbers[1] as usize];
    tracing::warn!(connection = record.numbers[0], reason, "cannot use an OUCH message");
}
