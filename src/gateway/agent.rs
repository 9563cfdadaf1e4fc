//! The gateway's turns.

use std::sync::Arc;

use crate::audit::Tap;
use crate::book::Events;
use crate::net::frames::Whole;
use crate::net::{self, Close, ConnId, Handler, Transport};
use crate::order::{Command, EventKind, FirmId, SeqNum, UnixNanos, UserId};
use crate::ring::{Consumer, Producer};
use crate::runtime::{BlockPool, Counter, Counters, Record};
use crate::session::soup::{Due, Wanted};
use crate::wire::Protocol;
use crate::wire::soupbin::{HEADER_BYTES, header, kind};

use super::conn::Session;
use super::conn::is_there;
use super::fix;
use super::home::Peers;
use super::logins::{AuthLine, Logins};
use super::mischief::{Mischief, MischiefSetup};
use super::pace::Pace;
use super::passwords::Passwords;
use super::replay::{Chunk, ReplayRequest, Replays};
use super::sightings::{Sighting, Sightings};
use super::snapshots::Snapshots;
use super::state::{GatewayCounters, State, User};
use super::symbols::{Directory, Names};
use super::throttle::Throttle;
use super::venues::{Line, VenueSetup};
use super::voice::{Outbound, Page};
use super::watchers::Watchers;

/// The shortest packet that becomes a command: an account query.
const COMMAND_BYTES_MIN: usize = HEADER_BYTES + 1;
/// Connections that one turn may read, at most.
const READS_MAX: usize = 256;
/// Events taken in one turn.
const EVENTS_MAX: usize = 1024;
/// Frames of the feed's sent in one turn.
const FRAMES_MAX: usize = 8;
/// Connections looked at for heartbeats and silence in one turn.
const DUE_CHECKS: usize = 4;
/// Places for connections gone through for them in one turn.
const DUE_LOOKS: usize = 64;
/// Users looked at for memory to give back in one turn.
const TRIMS: usize = 64;
/// How often the transport's counters are shown.
const COUNT_EVERY_NS: u64 = 200_000_000;
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
    /// What it may send; far above that it is read more slowly.
    pub max_messages_per_second: u32,
    /// What the user speaks.
    pub protocol: Protocol,
    /// Its CompID, if that is FIX.
    pub comp_id: String,
    /// Firms that it watches; it enters nothing then.
    pub watches: Vec<FirmId>,
    /// Whether the user may log in; false for users only the journal still knows.
    pub enabled: bool,
    /// It is an outside exchange, which is called from here.
    pub venue: bool,
}

/// What a gateway is made of, rings aside.
pub struct GatewaySetup {
    /// Users in order of their numbers, each with its stream if that is here.
    pub users: Vec<(UserSetup, Option<Outbound>)>,
    /// What is spoken on each port.
    pub ports: Vec<Protocol>,
    /// The gateway's own CompID.
    pub fix_comp_id: String,
    /// Names by number.
    pub names: Names,
    /// Name of the journal's session.
    pub session_name: [u8; 10],
    /// Messages wait until their command is durable.
    pub hold_until_durable: bool,
    /// The counters of [`super::COUNTERS`], and the transport's.
    pub counters: Counters,
    /// What stands before their names, with a dot.
    pub counter_prefixes: [String; 2],
    /// The line to the other gateways.
    pub peers: Peers,
    /// Where messages are left for the audit file.
    pub tap: Tap,
    /// What streams are made of.
    pub stream_pool: Arc<BlockPool>,
    /// Names of orders that are kept of one user.
    pub order_names_max: u32,
    /// Passwords that are known to be right.
    pub passwords: Arc<Passwords>,
    /// Where connections are shown to who looks.
    pub sightings: Sightings,
    /// Who watches whom, if they do it here; then nobody enters orders here.
    pub watchers: Option<Watchers>,
    /// The way to who makes snapshots, if there are ports for them here.
    pub snapshots: Option<Snapshots>,
    /// Venues that are called from here.
    pub venues: Vec<VenueSetup>,
    /// What is done to those who trade here, where that is for tests.
    pub mischief: Option<MischiefSetup>,
}

/// A gateway's ring ends.
pub struct GatewayRings {
    /// To risk.
    pub commands: Producer<Command>,
    /// From the books.
    pub events: Events,
    /// To the password helpers, and from them.
    pub auth: Vec<AuthLine>,
    /// To the replay helper.
    pub replay_requests: Producer<ReplayRequest>,
    /// From it.
    pub chunks: Consumer<Chunk>,
    /// To the log.
    pub records: Producer<Record>,
    /// Frames to be sent beside the sessions, from the feed.
    pub frames: Option<Consumer<Whole>>,
}

/// The gateway agent over some transport.
pub struct Gateway<T> {
    transport: T,
    state: State,
    events: Events,
    chunks: Consumer<Chunk>,
    frames: Option<Consumer<Whole>>,
    hold_until_durable: bool,
    durable_seen: SeqNum,
    transport_counters: Vec<Counter>,
    counted_ns: UnixNanos,
    page: Page,
    stream_pool: Arc<BlockPool>,
    /// The next user to look at for memory to give back.
    trim_at: usize,
    /// The next connection to look at for heartbeats, and when that round began.
    due_at: usize,
    due_round_ns: UnixNanos,
    sightings: Sightings,
}

impl<T: Transport> Gateway<T> {
    /// Joins a transport to the rings.
    pub fn new(transport: T, setup: GatewaySetup, rings: GatewayRings) -> Gateway<T> {
        let conns_max = transport.connections_max();
        let [_, prefix] = &setup.counter_prefixes;
        let transport_counter = |name: &&str| setup.counters.get(&format!("{prefix}.{name}"));
        let transport_counters = net::COUNTERS.iter().map(transport_counter).collect();
        let all: Vec<UserSetup> = setup.users.iter().map(|(setup, _)| setup.clone()).collect();
        let logins = Logins::new(&all, conns_max, setup.passwords, rings.auth);
        let users: Vec<User> = setup
            .users
            .into_iter()
            .map(|(setup, out)| User {
                out,
                conn: None,
                dirty: false,
                held: false,
                leaving: false,
                told_all: 0,
                pace: Pace::of(setup.max_messages_per_second),
                setup,
            })
            .collect();
        let state = State {
            now_ns: 0,
            conns: (0..conns_max).map(|_| None).collect(),
            to_flush: Vec::with_capacity(2 * conns_max),
            to_close: Vec::with_capacity(conns_max),
            dirty: Vec::with_capacity(users.len()),
            held: Vec::with_capacity(users.len()),
            to_disconnect: Vec::with_capacity(conns_max),
            users,
            directory: Directory::new(&setup.names.symbols),
            names: setup.names,
            session_name: setup.session_name,
            ports: setup.ports,
            fix_comp_id: setup.fix_comp_id.into_bytes(),
            order_names_max: setup.order_names_max,
            scanner: None,
            words: fix::Words::new(),
            throttle: Throttle::new(),
            commands: rings.commands,
            logins,
            replays: Replays::new(rings.replay_requests, conns_max),
            records: rings.records,
            counters: GatewayCounters::new(&setup.counters, &setup.counter_prefixes[0]),
            books: rings.events.books(),
            peers: setup.peers,
            tap: setup.tap,
            watchers: setup.watchers,
            snapshots: setup.snapshots,
            lines: setup
                .venues
                .into_iter()
                .map(|venue| Line::new(venue, &setup.counters))
                .collect(),
            mischief: setup.mischief.map(|of| Box::new(Mischief::new(of, all.len()))),
            stopping: false,
        };
        Gateway {
            transport,
            state,
            events: rings.events,
            chunks: rings.chunks,
            frames: rings.frames,
            hold_until_durable: setup.hold_until_durable,
            durable_seen: SeqNum(0),
            transport_counters,
            counted_ns: 0,
            page: Page::default(),
            stream_pool: setup.stream_pool,
            trim_at: 0,
            due_at: 0,
            due_round_ns: 0,
            sightings: setup.sightings,
        }
    }

    /// What the gateway is joined to.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Takes bytes in and hands their commands to risk. Returns how much was done.
    pub fn poll_in(&mut self, now_ns: UnixNanos) -> usize {
        self.state.now_ns = now_ns;
        let state = &mut self.state;
        let mut work = state.attend_logins();
        work += state.disconnect_users() + state.attend_peers();
        if !state.lines.is_empty() {
            work += state.attend_venues(&mut self.transport);
        }
        if state.mischief.is_some() {
            work += state.do_mischief();
        }
        // Every byte read must find room for the commands it may hold, and what was left of an
        // earlier read for one more on each connection read.
        let room = state.commands.free().min(state.tap.room());
        let budget = room.saturating_sub(READS_MAX) * COMMAND_BYTES_MIN;
        if budget < state.commands.capacity() {
            state.counters.backpressure.add(1);
        }
        work += self.transport.poll(state, budget, now_ns);
        state.commands.publish();
        state.tap.publish();
        work
    }

    /// Tells users what happened, as far as `durable` allows, and sends what there is.
    pub fn poll_out(&mut self, durable: SeqNum) -> usize {
        let mut work = self.take_events();
        if self.hold_until_durable {
            work += self.release(durable);
        }
        work += self.take_chunks() + self.take_snapshots();
        self.check_due();
        if self.stream_pool.is_low() {
            self.trim_streams();
        }
        self.show_counts();
        while let Some(id) = self.state.to_close.pop() {
            work += 1;
            self.close(id);
        }
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
        self.state.tap.publish();
        self.transport.flush(self.state.now_ns);
        work + self.send_frames()
    }

    /// Sends some of what the feed wants sent, once those who trade have theirs.
    fn send_frames(&mut self) -> usize {
        let Gateway { transport, frames: Some(frames), .. } = self else { return 0 };
        let sent = frames.pop_while(FRAMES_MAX, |whole| transport.frame(whole.frame()));
        if sent > 0 {
            transport.flush(self.state.now_ns);
        }
        sent
    }

    fn take_events(&mut self) -> usize {
        let Gateway { events, state, page, hold_until_durable, .. } = self;
        events.pop_while(EVENTS_MAX, |event| {
            if !state.tap.may_send() {
                return false;
            }
            if state.watchers.is_some() && state.users[event.user.index()].setup.watches.is_empty()
            {
                return state.copy(event, page, *hold_until_durable);
            }
            if !state.has_room(event.user) {
                return false;
            }
            if event.kind == EventKind::StreamMoved {
                state.hand_over(event.user, event.qty as u8);
            } else {
                state.tell(event.user, event, page, *hold_until_durable);
            }
            true
        })
    }

    /// Has snapshots that were made sent to who asked for them.
    fn take_snapshots(&mut self) -> usize {
        let state = &mut self.state;
        let Some(snapshots) = state.snapshots.take() else { return 0 };
        let mut taken = 0;
        while let Some((id, snapshot)) = snapshots.next() {
            taken += 1;
            state.begin_snapshot(id, snapshot);
        }
        state.snapshots = Some(snapshots);
        taken
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
            let out = user.out.as_mut().expect("a stream that leaves is no longer held");
            let stream = &mut out.stream;
            let before = stream.released();
            user.held = stream.release(durable);
            let moved = stream.released() != before;
            if user.held {
                at += 1;
            } else {
                self.state.held.swap_remove(at);
            }
            if moved {
                released += 1;
                self.state.mark_dirty(user_id);
            }
        }
        released
    }

    /// Hands pieces of replays to their connections, one at a time each.
    fn take_chunks(&mut self) -> usize {
        let state = &mut self.state;
        let taken = self.chunks.pop_while(64, |chunk| {
            let conn = state.conns[chunk.conn.index as usize].as_deref_mut();
            let Some(conn) = conn.filter(|conn| conn.id == chunk.conn) else {
                if chunk.last {
                    state.replays.done(chunk.conn);
                }
                return true;
            };
            if conn.chunk.is_some() {
                return false;
            }
            if chunk.last {
                state.replays.done(chunk.conn);
            }
            conn.chunk = Some((*chunk, 0));
            state.to_flush.push(chunk.conn);
            true
        });
        let State { conns, replays, .. } = state;
        replays.hand_over(|id| is_there(conns, id));
        taken
    }

    /// Looks at a few connections for what the time demands.
    fn check_due(&mut self) {
        let now_ns = self.state.now_ns;
        if self.due_at == self.state.conns.len() {
            if now_ns.saturating_sub(self.due_round_ns) < DUE_EVERY_NS {
                return;
            }
            (self.due_at, self.due_round_ns) = (0, now_ns);
            self.sightings.begin_round(now_ns);
        }
        let end = (self.due_at + DUE_LOOKS).min(self.state.conns.len());
        let mut checks = 0;
        while self.due_at < end && checks < DUE_CHECKS {
            let at = self.due_at;
            self.due_at += 1;
            let Some(conn) = self.state.conns[at].as_mut() else { continue };
            checks += 1;
            let id = conn.id;
            if self.sightings.are_wanted() {
                let user = conn
                    .user
                    .or(conn.snapshot_of)
                    .map_or("", |user| &self.state.users[user.index()].setup.name);
                self.sightings.write(
                    at,
                    &Sighting {
                        written_ns: now_ns,
                        opened_ns: conn.opened_ns,
                        user,
                        protocol: conn.protocol.name(),
                        peer: conn.peer,
                        tcp: self.transport.look(id),
                    },
                );
            }
            // Replays are served one after the other: one whose client does not read ends.
            if conn.is_stalled(now_ns) {
                self.state.counters.dropped_slow.add(1);
                self.close(id);
                continue;
            }
            let session = match &conn.session {
                Session::Soup(session) => session,
                Session::Fix(_) => {
                    if !self.state.fix_due(id) {
                        self.close(id);
                    }
                    continue;
                }
                Session::Calling(caller) => {
                    match caller.due(now_ns) {
                        Wanted::Nothing => {}
                        Wanted::Heartbeat if conn.mid_message || !conn.control().is_empty() => {}
                        Wanted::Heartbeat => {
                            conn.push_control(&header(kind::CLIENT_HEARTBEAT, 0));
                            self.state.to_flush.push(id);
                        }
                        Wanted::Drop => {
                            self.state.counters.dropped_silent.add(1);
                            self.close(id);
                        }
                    }
                    continue;
                }
            };
            match session.due(now_ns) {
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
    }

    /// Takes from some users what is beyond their share of the streams' memory.
    #[cold]
    fn trim_streams(&mut self) {
        let users = &mut self.state.users;
        for _ in 0..TRIMS.min(users.len()) {
            self.trim_at = (self.trim_at + 1) % users.len();
            if let Some(out) = &mut users[self.trim_at].out {
                out.stream.give_back();
            }
        }
    }

    /// Shows what the transport counted, now and then: it may ask the kernel.
    fn show_counts(&mut self) {
        let now_ns = self.state.now_ns;
        if now_ns.saturating_sub(self.counted_ns) < COUNT_EVERY_NS {
            return;
        }
        self.counted_ns = now_ns;
        let counts = self.transport.counts();
        self.transport_counters.iter().zip(counts).for_each(|(counter, count)| counter.set(count));
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

    /// For how many microseconds it may be left alone if nothing comes in and no ring brings
    /// anything; nothing if something is under way.
    pub fn quiet_us(&mut self) -> Option<u32> {
        let to_send = self.frames.as_mut().map_or(0, Consumer::available);
        if self.state.mischief.as_ref().is_some_and(|mischief| mischief.is_waiting()) {
            return None;
        }
        if !(self.is_idle() && self.may_sleep() && self.chunks.available() + to_send == 0) {
            return None;
        }
        // A round of looks at what the time demands is not left half done.
        while self.due_at < self.state.conns.len() && self.state.is_quiet() {
            self.check_due();
        }
        if !(self.state.is_quiet() && self.state.commands.is_drained()) {
            return None;
        }
        let connected = self.state.conns.iter().any(Option::is_some);
        let due_us = if connected { (DUE_EVERY_NS / 1_000) as u32 } else { u32::MAX };
        Some(due_us.min(self.state.lines_quiet_us()).min(self.transport.idle_us()))
    }

    /// Whether answers are ready and wait for the disk.
    #[inline]
    pub fn waits_for_disk(&self) -> bool {
        !self.state.held.is_empty()
    }

    /// Asks for the cancels that the end of every session means, before [`Gateway::end_all`].
    pub fn disconnect_all(&mut self) {
        for (number, user) in self.state.users.iter().enumerate() {
            if user.conn.is_some() && user.setup.cancel_on_disconnect {
                self.state.to_disconnect.push(UserId(number as u16));
            }
        }
        self.state.disconnect_users();
        self.state.stopping = true;
        (0..self.state.users.len()).for_each(|user| self.state.say_goodbye(UserId(user as u16)));
    }

    /// Ends every session: each client is told, then closed.
    pub fn end_all(&mut self) {
        let ids: Vec<ConnId> = self.state.conns.iter().flatten().map(|conn| conn.id).collect();
        for id in ids {
            let is_fix = self.state.is_fix(id);
            let conn = self.state.conn_mut(id).filter(|conn| !conn.mid_message && !is_fix);
            if let Some(conn) = conn {
                let called = matches!(conn.session, Session::Calling(_));
                let end = if called { kind::LOGOUT_REQUEST } else { kind::END_OF_SESSION };
                conn.push_control(&header(end, 0));
            }
            self.flush(id);
            self.transport.close(id);
            self.state.conns[id.index as usize] = None;
        }
    }

    /// Looks at what other gateways ask and bring, and asks for what sessions that were just lost mean, where
    /// bytes are no longer taken in.
    pub fn attend(&mut self) -> usize {
        self.state.disconnect_users() + self.state.attend_peers()
    }

    /// Number and checksum of every user's stream that is here.
    pub fn streams(&self) -> Vec<Option<(u64, u32)>> {
        let all = self.state.users.iter().map(|user| user.out.as_ref().map(|out| &out.stream));
        all.map(|s| s.map(|stream| (stream.next_number(), stream.checksum()))).collect()
    }

    /// Whether every event was taken, and no stream is on its way from one gateway to another.
    pub fn is_idle(&mut self) -> bool {
        self.events.is_empty() && self.state.commands.is_drained() && !self.state.is_moving()
    }

    /// Brings the ends of closed connections on. Returns how many have not ended.
    pub fn finish(&mut self, now_ns: UnixNanos) -> usize {
        self.state.now_ns = now_ns;
        self.transport.poll(&mut self.state, 0, now_ns);
        self.transport.flush(now_ns);
        self.transport.closing()
    }
}
