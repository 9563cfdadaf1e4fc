//! The gateway's turns.

use crate::net::{Close, ConnId, Handler, Transport};
use crate::order::{CancelReason, Command, CommandKind, Event, FirmId, SeqNum, UnixNanos, UserId};
use crate::ring::{Consumer, Producer};
use crate::runtime::{Counter, Counters, Record};
use crate::session::soup::{Due, Input, Violation};
use crate::session::stream::Stream;
use crate::wire::ouch::inbound::{BadMessage, Inbound};
use crate::wire::ouch::outbound::Buffer;
use crate::wire::soupbin::{HEADER_BYTES, header, kind};

use super::auth::{AuthAnswer, AuthRequest};
use super::conn::{Conn, Source};
use super::inbound::{Sender, translate};
use super::outbound::encode;
use super::replay::{Chunk, ReplayRequest};
use super::symbols::{Directory, Names};

/// The shortest packet that becomes a command: an account query.
const COMMAND_BYTES_MIN: usize = HEADER_BYTES + 1;
/// Connections that one turn may read, at most.
const READS_MAX: usize = 256;
/// Events taken in one turn.
const EVENTS_MAX: usize = 1024;
/// Connections looked at for heartbeats and silence in one turn.
const DUE_CHECKS: usize = 4;
/// A turn of looking at all connections takes at least this long.
const DUE_EVERY_NS: u64 = 50_000_000;

/// A user as the configuration has it.
#[derive(Clone, Debug)]
pub struct UserSetup {
    /// Login name.
    pub name: String,
    /// The user's firm.
    pub firm: FirmId,
    /// Whether a lost connection cancels the user's orders.
    pub cancel_on_disconnect: bool,
    /// Whether the user may log in; false for users only the journal still knows.
    pub enabled: bool,
}

/// What a gateway is made of, rings aside.
pub struct GatewaySetup {
    /// Users in order of their numbers, each with its stream.
    pub users: Vec<(UserSetup, Stream)>,
    /// Names by number.
    pub names: Names,
    /// Name of the journal's session.
    pub session_name: [u8; 10],
    /// Messages wait until their command is durable.
    pub hold_until_durable: bool,
    /// The counters of [`super::COUNTERS`].
    pub counters: Counters,
}

/// A gateway's ring ends.
pub struct GatewayRings {
    /// To risk.
    pub commands: Producer<Command>,
    /// From the book.
    pub events: Consumer<Event>,
    /// To the password helper.
    pub auth_requests: Producer<AuthRequest>,
    /// From it.
    pub auth_answers: Consumer<AuthAnswer>,
    /// To the replay helper.
    pub replay_requests: Producer<ReplayRequest>,
    /// From it.
    pub chunks: Consumer<Chunk>,
    /// To the log.
    pub records: Producer<Record>,
}

pub(super) struct User {
    pub setup: UserSetup,
    pub stream: Stream,
    pub conn: Option<ConnId>,
    dirty: bool,
    held: bool,
}

macro_rules! counters {
    ($($field:ident = $name:literal),* $(,)?) => {
        pub(super) struct GatewayCounters { $(pub $field: Counter),* }
        impl GatewayCounters {
            fn new(counters: &Counters) -> GatewayCounters {
                GatewayCounters { $($field: counters.get(concat!("gateway.", $name))),* }
            }
        }
    };
}

counters! {
    opened = "connections_opened",
    closed = "connections_closed",
    refused = "connections_refused",
    logins_accepted = "logins_accepted",
    logins_rejected = "logins_rejected",
    messages_in = "messages_in",
    messages_out = "messages_out",
    messages_malformed = "messages_malformed",
    packets_malformed = "packets_malformed",
    dropped_silent = "dropped_silent",
    dropped_without_login = "dropped_without_login",
    dropped_slow = "dropped_slow",
    replays = "replays",
    backpressure = "backpressure_turns",
    records_lost = "records_lost",
}

/// Everything but the transport, so that the transport can hand bytes to it.
pub(super) struct State {
    pub now_ns: UnixNanos,
    conns: Vec<Option<Box<Conn>>>,
    pub users: Vec<User>,
    names: Names,
    directory: Directory,
    pub session_name: [u8; 10],
    commands: Producer<Command>,
    pub auth_requests: Producer<AuthRequest>,
    pub replay_requests: Producer<ReplayRequest>,
    records: Producer<Record>,
    pub counters: GatewayCounters,
    /// Connections with something to send that is not their user's stream.
    pub to_flush: Vec<ConnId>,
    /// Users whose stream has something new to send.
    dirty: Vec<UserId>,
    /// Users with messages that wait for the disk.
    held: Vec<UserId>,
    /// Users that dropped and whose orders are still to be cancelled.
    to_disconnect: Vec<UserId>,
}

/// The gateway agent over some transport.
pub struct Gateway<T> {
    transport: T,
    state: State,
    events: Consumer<Event>,
    auth_answers: Consumer<AuthAnswer>,
    chunks: Consumer<Chunk>,
    hold_until_durable: bool,
    durable_seen: SeqNum,
    buffer: Buffer,
    /// The next connection to look at for heartbeats, and when that round began.
    due_at: usize,
    due_round_ns: UnixNanos,
}

impl<T: Transport> Gateway<T> {
    /// Joins a transport to the rings.
    pub fn new(transport: T, setup: GatewaySetup, rings: GatewayRings) -> Gateway<T> {
        let conns_max = transport.connections_max();
        let users: Vec<User> = setup
            .users
            .into_iter()
            .map(|(setup, stream)| User { setup, stream, conn: None, dirty: false, held: false })
            .collect();
        let state = State {
            now_ns: 0,
            conns: (0..conns_max).map(|_| None).collect(),
            to_flush: Vec::with_capacity(2 * conns_max),
            dirty: Vec::with_capacity(users.len()),
            held: Vec::with_capacity(users.len()),
            to_disconnect: Vec::with_capacity(conns_max),
            users,
            directory: Directory::new(&setup.names.symbols),
            names: setup.names,
            session_name: setup.session_name,
            commands: rings.commands,
            auth_requests: rings.auth_requests,
            replay_requests: rings.replay_requests,
            records: rings.records,
            counters: GatewayCounters::new(&setup.counters),
        };
        Gateway {
            transport,
            state,
            events: rings.events,
            auth_answers: rings.auth_answers,
            chunks: rings.chunks,
            hold_until_durable: setup.hold_until_durable,
            durable_seen: SeqNum(0),
            buffer: Buffer::new(),
            due_at: 0,
            due_round_ns: 0,
        }
    }

    /// Takes bytes in and hands their commands to risk. Returns how much was done.
    pub fn poll_in(&mut self, now_ns: UnixNanos) -> usize {
        self.state.now_ns = now_ns;
        let state = &mut self.state;
        let mut work = self.auth_answers.pop_batch(usize::MAX, |answer| state.finish_login(answer));
        work += state.disconnect_users();
        // Every byte read must find room for the commands it may hold, and what was left of an
        // earlier read for one more on each connection read.
        let budget = state.commands.free().saturating_sub(READS_MAX) * COMMAND_BYTES_MIN;
        if budget < state.commands.capacity() {
            state.counters.backpressure.add(1);
        }
        work += self.transport.poll(state, budget);
        state.commands.publish();
        state.counters.refused.set(self.transport.refused());
        work
    }

    /// Tells users what happened, as far as `durable` allows, and sends what there is.
    pub fn poll_out(&mut self, durable: SeqNum) -> usize {
        let mut work = self.take_events();
        if self.hold_until_durable {
            work += self.release(durable);
        }
        work += self.take_chunks();
        self.check_due();
        while let Some(user) = self.state.dirty.pop() {
            self.state.users[user.index()].dirty = false;
            if let Some(id) = self.state.users[user.index()].conn {
                self.flush(id);
            }
        }
        while let Some(id) = self.state.to_flush.pop() {
            work += 1;
            self.flush(id);
        }
        work
    }

    fn take_events(&mut self) -> usize {
        let Gateway { events, state, buffer, hold_until_durable, .. } = self;
        events.pop_while(EVENTS_MAX, |event| {
            let user = &mut state.users[event.user.index()];
            if !user.stream.has_room() {
                return false;
            }
            if encode(event, &state.names, buffer) {
                user.stream.push(event.seq(), buffer.bytes());
                state.counters.messages_out.add(1);
                if *hold_until_durable {
                    if !user.held {
                        user.held = true;
                        state.held.push(event.user);
                    }
                } else {
                    user.stream.release_all();
                    state.mark_dirty(event.user);
                }
            }
            true
        })
    }

    /// Releases what the disk has, once it has more.
    fn release(&mut self, durable: SeqNum) -> usize {
        if self.state.held.is_empty() && durable == self.durable_seen {
            return 0;
        }
        self.durable_seen = durable;
        let mut released = 0;
        let mut at = 0;
        while let Some(&user_id) = self.state.held.get(at) {
            let user = &mut self.state.users[user_id.index()];
            let before = user.stream.released();
            user.held = user.stream.release(durable);
            if user.held {
                at += 1;
            } else {
                self.state.held.swap_remove(at);
            }
            if self.state.users[user_id.index()].stream.released() != before {
                released += 1;
                self.state.mark_dirty(user_id);
            }
        }
        released
    }

    /// Hands pieces of replays to their connections, one at a time each.
    fn take_chunks(&mut self) -> usize {
        let state = &mut self.state;
        self.chunks.pop_while(64, |chunk| {
            let Some(conn) = state.conn_mut(chunk.conn) else { return true };
            if conn.chunk.is_some() {
                return false;
            }
            conn.chunk = Some((*chunk, 0));
            state.to_flush.push(chunk.conn);
            true
        })
    }

    /// Looks at a few connections for what the time demands.
    fn check_due(&mut self) {
        let now_ns = self.state.now_ns;
        if self.due_at == self.state.conns.len() {
            if now_ns.saturating_sub(self.due_round_ns) < DUE_EVERY_NS {
                return;
            }
            (self.due_at, self.due_round_ns) = (0, now_ns);
        }
        let end = (self.due_at + DUE_CHECKS).min(self.state.conns.len());
        for at in self.due_at..end {
            let Some(conn) = self.state.conns[at].as_mut() else { continue };
            let id = conn.id;
            match conn.session.due(now_ns) {
                Due::Nothing => {}
                Due::Heartbeat if conn.mid_message || !conn.control().is_empty() => {}
                Due::Heartbeat => {
                    conn.push_control(&header(kind::SERVER_HEARTBEAT, 0));
                    self.state.to_flush.push(id);
                }
                Due::DropSilent => {
                    self.state.counters.dropped_silent.add(1);
                    self.close(id);
                }
                Due::DropUnknown => {
                    self.state.counters.dropped_without_login.add(1);
                    self.close(id);
                }
            }
        }
        self.due_at = end;
    }

    fn close(&mut self, id: ConnId) {
        self.transport.close(id);
        self.state.closed(id);
    }

    /// Sends what a connection has to send, as far as it takes it.
    fn flush(&mut self, id: ConnId) {
        match self.state.send(id, &mut self.transport) {
            Ok(true) | Err(Close) => {}
            Ok(false) => self.close(id),
        }
    }

    /// Whether a turn found nothing that only time or the disk will bring on: the agent may
    /// sleep until the transport has something.
    pub fn may_sleep(&self) -> bool {
        self.state.held.is_empty() && self.state.to_disconnect.is_empty()
    }

    /// Sleeps until something comes in, `timeout_us` at most.
    pub fn sleep(&mut self, timeout_us: u32) {
        self.transport.wait(timeout_us);
    }

    /// Asks for the cancels that the end of every session means, before [`Gateway::end_all`].
    pub fn disconnect_all(&mut self) {
        for (number, user) in self.state.users.iter().enumerate() {
            if user.conn.is_some() && user.setup.cancel_on_disconnect {
                self.state.to_disconnect.push(UserId(number as u16));
            }
        }
        self.state.disconnect_users();
    }

    /// Ends every session: each client is told, then closed.
    pub fn end_all(&mut self) {
        let ids: Vec<ConnId> = self.state.conns.iter().flatten().map(|conn| conn.id).collect();
        for id in ids {
            if let Some(conn) = self.state.conn_mut(id).filter(|conn| !conn.mid_message) {
                conn.push_control(&header(kind::END_OF_SESSION, 0));
            }
            self.flush(id);
            self.transport.close(id);
            self.state.conns[id.index as usize] = None;
        }
    }

    /// Number and checksum of every user's stream.
    pub fn streams(&self) -> Vec<(u64, u32)> {
        let users = self.state.users.iter();
        users.map(|user| (user.stream.next_number(), user.stream.checksum())).collect()
    }

    /// Whether every event was taken.
    pub fn is_idle(&mut self) -> bool {
        self.events.available() == 0 && self.state.commands.is_drained()
    }
}

impl State {
    pub fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(id.index as usize)?.as_deref_mut()?;
        (conn.id == id).then_some(conn)
    }

    pub fn mark_dirty(&mut self, user: UserId) {
        let state = &mut self.users[user.index()];
        if !state.dirty {
            state.dirty = true;
            self.dirty.push(user);
        }
    }

    /// Leaves a record for the log; counts it if there is no room.
    fn record(&mut self, tell: fn(&Record), numbers: [u64; 4]) {
        if !self.records.push(&Record { tell, numbers }) {
            self.counters.records_lost.add(1);
        }
    }

    /// Sequences the cancels that lost connections ask for.
    fn disconnect_users(&mut self) -> usize {
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

    /// One client message into the ring to risk.
    #[inline]
    fn message(&mut self, id: ConnId, user: UserId, bytes: &[u8]) {
        self.counters.messages_in.add(1);
        let message = match Inbound::parse(bytes) {
            Ok(message) => message,
            Err(bad) => {
                self.malformed(id, bad);
                return;
            }
        };
        let setup = &self.users[user.index()].setup;
        let sender = Sender {
            user,
            firm: setup.firm,
            firm_name: self.names.firms[setup.firm.index()],
            symbols: &self.directory,
        };
        let staged = self.commands.stage_with(|place| translate(message, &sender, place));
        debug_assert!(staged, "bytes are read only as far as there is room for their commands");
    }

    /// A message that cannot be understood ends the session: what else the client meant to say
    /// cannot be known. It is told why in a Debug packet.
    fn malformed(&mut self, id: ConnId, bad: BadMessage) {
        self.counters.messages_malformed.add(1);
        self.record(tell_malformed, [u64::from(id.index), bad as u64, 0, 0]);
        let text = match bad {
            BadMessage::UnknownType => "unknown message type: session closed",
            BadMessage::Truncated => "message too short for its type: session closed",
        };
        if let Some(conn) = self.conn_mut(id) {
            conn.push_control(&header(kind::DEBUG, text.len()));
            conn.push_control(text.as_bytes());
            conn.closing = true;
        }
        self.to_flush.push(id);
    }

    /// Sends a connection's session packets and its stream. False if it is to be closed.
    fn send(&mut self, id: ConnId, transport: &mut impl Transport) -> Result<bool, Close> {
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
            conn.session.sent(now_ns);
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
            Source::Window(_) => self.send_window(id, transport),
        }
    }

    fn send_window(&mut self, id: ConnId, transport: &mut impl Transport) -> Result<bool, Close> {
        let now_ns = self.now_ns;
        let conn = self.conns[id.index as usize].as_deref_mut().expect("found by send");
        let (Source::Window(mut offset), Some(user)) = (conn.source, conn.user) else {
            return Ok(true);
        };
        let stream = &self.users[user.index()].stream;
        if !stream.holds(offset) {
            // A client this far behind does not read. It can come back and be replayed.
            self.counters.dropped_slow.add(1);
            return Ok(false);
        }
        while offset < stream.released() {
            let bytes = stream.bytes_from(offset);
            let sent = transport.send(id, bytes)?;
            offset += sent as u64;
            if sent > 0 {
                conn.session.sent(now_ns);
            }
            if sent < bytes.len() {
                break;
            }
        }
        conn.mid_message = offset < stream.released();
        conn.source = Source::Window(offset);
        Ok(!conn.closing || conn.mid_message)
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
        *done += transport.send(id, &chunk.bytes[*done..usize::from(chunk.len)])?;
        conn.session.sent(now_ns);
        conn.mid_message = *done < usize::from(chunk.len);
        if conn.mid_message {
            return Ok(true);
        }
        let last = chunk.last;
        conn.chunk = None;
        if let Some(user) = conn.user.filter(|_| last) {
            self.start_from(id, user, next);
            self.mark_dirty(user);
        }
        Ok(true)
    }
}

impl Handler for State {
    fn opened(&mut self, id: ConnId, _port: usize) {
        self.counters.opened.add(1);
        self.conns[id.index as usize] = Some(Box::new(Conn::new(id, self.now_ns)));
    }

    fn received(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        let mut done = 0;
        loop {
            let now_ns = self.now_ns;
            let Some(conn) = self.conn_mut(id).filter(|conn| !conn.closing) else {
                return Ok(bytes.len());
            };
            let user = conn.user;
            let (input, used) = match conn.session.next(&bytes[done..], now_ns) {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(done),
                Err(violation) => {
                    self.counters.packets_malformed.add(1);
                    let numbers = [u64::from(id.index), violation as u64, 0, 0];
                    self.record(tell_violation, numbers);
                    return Err(Close);
                }
            };
            done += used;
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
        }
    }

    fn closed(&mut self, id: ConnId) {
        let Some(conn) = self.conn_mut(id) else { return };
        let user = conn.user;
        self.conns[id.index as usize] = None;
        self.counters.closed.add(1);
        if let Some(user) = user {
            let state = &mut self.users[user.index()];
            state.conn = None;
            if state.setup.cancel_on_disconnect {
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

fn tell_malformed(record: &Record) {
    let reasons = ["unknown message type", "message too short"];
    let reason = reasons[record.numbers[1] as usize];
    const _: () = assert!(BadMessage::Truncated as usize == 1);
    tracing::warn!(connection = record.numbers[0], reason, "closed a session: not OUCH 5.0");
}
