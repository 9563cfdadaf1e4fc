//! Connections to venues: called from here, and called again when they are lost.
//!
//! What risk is told of a venue is whether it is up: logged on, and nothing missing of what it said. A venue that
//! cannot be reached, or does not let this side in, is called again after a wait that grows.

use std::net::SocketAddr;

use crate::net::{ConnId, Transport};
use crate::order::{
    Alarm, Command, CommandKind, Event, EventKind, NANOS_PER_SEC, UnixNanos, UserId,
};
use crate::runtime::{Counter, Counters, Record};
use crate::session::soup::Caller;
use crate::wire::Protocol;

use super::allowance::Allowance;
use super::conn::{Conn, Session};
use super::fix;
use super::pace::Pace;
use super::state::State;

/// How long a connection may take to be there.
const CONNECT_NS: u64 = 10 * NANOS_PER_SEC;
/// Commands that a call may become, with room to spare.
const COMMANDS_MAX: usize = 16;

/// A venue as the configuration has it.
#[derive(Clone, Debug)]
pub struct VenueSetup {
    /// The user that it is.
    pub user: UserId,
    /// What it is called.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it listens.
    pub connect: SocketAddr,
    /// FIX: HeartBtInt.
    pub heartbeat_s: u64,
    /// FIX: numbers begin at 1 with each connection.
    pub reset_on_logon: bool,
    /// FIX: it says how all orders stand when it is asked once.
    pub mass_status: bool,
    /// The first wait after a connection was lost, and the longest.
    pub reconnect_ns: [u64; 2],
    /// The seconds of a UTC day between which it is there; nothing is always.
    pub open_s: Option<(u32, u32)>,
    /// Messages that it takes in a second.
    pub max_messages_per_second: u32,
    /// How long messages wait for each other where that holds them back.
    pub batch_ns: u64,
    /// It cancels what is open when the connection is lost.
    pub cancel_on_disconnect: bool,
}

/// What is counted of each venue, behind `venue.NAME.`; alarms stand behind these, see [`Alarm::ALL`].
const COUNTERS: [&str; 6] =
    ["state", "connections", "messages_in", "messages_out", "turns_held_back", "turned_away"];

/// The names of a venue's counters.
pub fn venue_counters(name: &str) -> impl Iterator<Item = String> {
    let alarms = Alarm::ALL.iter().map(|(_, alarm)| format!("alarm_{alarm}"));
    let own = COUNTERS.iter().map(|counter| (*counter).to_owned());
    let prefix = format!("venue.{name}.");
    own.chain(alarms).map(move |counter| format!("{prefix}{counter}"))
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    /// There is none; or the venue is closed.
    Down = 0,
    /// It was asked for.
    Connecting = 1,
    /// It is there, and the venue has not let this side in, or something it said is still missing.
    LoggingOn = 2,
    /// Orders go.
    Up = 3,
}

/// How far a venue is in telling how all orders stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Telling {
    /// It was not asked.
    Unasked,
    /// It was asked, or told something of it, at that time.
    Since(UnixNanos),
    /// It told what it has to tell.
    Done,
}

/// How long it may be silent meanwhile.
const TELLING_NS: u64 = 2 * NANOS_PER_SEC;

/// The line to one venue.
pub(super) struct Line {
    setup: VenueSetup,
    phase: Phase,
    conn: Option<ConnId>,
    since_ns: UnixNanos,
    retry_ns: UnixNanos,
    wait_ns: u64,
    /// What risk was told last; nothing was told yet.
    told_up: Option<bool>,
    /// Numbers began again: all that is open is asked for.
    begun_again: bool,
    /// It is asked, once on each connection, how all orders stand, and has not said that it told all.
    telling: Telling,
    /// OUCH: the next login is for another session than the last one.
    afresh: bool,
    /// OUCH: numbers that never got there and are still to be told, once the venue said which.
    missed: Option<(u32, u32)>,
    allowance: Allowance,
    /// The next message of the stream to be sent.
    next_number: u64,
    /// Messages wait until then.
    held_until: Option<UnixNanos>,
    counters: [Counter; COUNTERS.len()],
    alarms: [Counter; Alarm::ALL.len()],
}

impl Line {
    pub fn new(setup: VenueSetup, counters: &Counters) -> Line {
        let mut all = venue_counters(&setup.name).map(|name| counters.get(&name));
        let mut next = || all.next().expect("one for each");
        let (own, alarms) = (std::array::from_fn(|_| next()), std::array::from_fn(|_| next()));
        drop(all);
        Line {
            phase: Phase::Down,
            conn: None,
            since_ns: 0,
            retry_ns: 0,
            wait_ns: setup.reconnect_ns[0],
            told_up: None,
            begun_again: false,
            telling: Telling::Unasked,
            afresh: false,
            missed: None,
            allowance: Allowance::new(setup.max_messages_per_second),
            next_number: 0,
            held_until: None,
            counters: own,
            alarms,
            setup,
        }
    }

    /// Its name as a record has it.
    fn short_name(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(self.setup.name.bytes()).for_each(|(place, byte)| *place = byte);
        u64::from_le_bytes(bytes)
    }

    fn set_phase(&mut self, phase: Phase, now_ns: UnixNanos) {
        (self.phase, self.since_ns) = (phase, now_ns);
        self.counters[0].set(phase as u64);
    }

    /// Whether the venue may have cancelled orders, or told of some, under numbers that are gone. Of OUCH's none are.
    fn asks_for_all(&self) -> bool {
        let is_fix = matches!(self.setup.protocol, Protocol::Fix(_));
        is_fix && (self.setup.cancel_on_disconnect || self.setup.reset_on_logon)
    }

    /// Whether the venue is there at that time of day.
    fn is_open(&self, now_ns: UnixNanos) -> bool {
        let Some((from, until)) = self.setup.open_s else { return true };
        let now = (now_ns / NANOS_PER_SEC % 86_400) as u32;
        if from < until { (from..until).contains(&now) } else { now >= from || now < until }
    }
}

impl State {
    pub(super) fn line_mut(&mut self, user: UserId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.setup.user == user)
    }

    /// Brings calls on. Returns how much was done.
    pub(super) fn attend_venues(&mut self, transport: &mut impl Transport) -> usize {
        let now_ns = self.now_ns;
        let mut work = 0;
        for at in 0..self.lines.len() {
            if self.commands.free() < COMMANDS_MAX {
                break;
            }
            let line = &mut self.lines[at];
            let is_up = line.phase == Phase::Up;
            let again = is_up && std::mem::take(&mut line.begun_again);
            if line.told_up != Some(is_up) || again {
                self.tell_state(at, is_up, again);
                work += 1;
            }
            let line = &mut self.lines[at];
            match line.phase {
                Phase::Down
                    if now_ns >= line.retry_ns && line.is_open(now_ns) && !self.stopping =>
                {
                    self.call(at, transport);
                    work += 1;
                }
                Phase::Connecting if now_ns.saturating_sub(line.since_ns) > CONNECT_NS => {
                    self.to_close.extend(line.conn);
                }
                Phase::LoggingOn => work += usize::from(self.look_whether_up(at)),
                Phase::Up if !line.is_open(now_ns) => {
                    let user = line.setup.user;
                    self.say_goodbye(user);
                }
                _ => {}
            }
            let line = &mut self.lines[at];
            if line.held_until.is_some_and(|until| now_ns >= until) {
                line.held_until = None;
                let user = line.setup.user;
                self.mark_dirty(user);
            }
        }
        self.commands.publish();
        work
    }

    /// For how many microseconds lines may be left alone.
    pub(super) fn lines_quiet_us(&self) -> u32 {
        let now_ns = self.now_ns;
        let until = |at_ns: u64| (at_ns.saturating_sub(now_ns) / 1_000).min(1_000_000) as u32;
        let of = |line: &Line| match (line.phase, line.held_until) {
            (_, Some(held)) => until(held),
            (Phase::Down, None) => until(line.retry_ns),
            (Phase::Up | Phase::Connecting, None) => 1_000_000,
            (Phase::LoggingOn, None) => 10_000,
        };
        self.lines.iter().map(of).min().unwrap_or(u32::MAX)
    }

    /// Has risk know whether a venue is up.
    fn tell_state(&mut self, at: usize, is_up: bool, again: bool) {
        let line = &mut self.lines[at];
        let user = line.setup.user;
        let firm = self.users[user.index()].setup.firm;
        let asks = match () {
            () if !is_up => 0,
            () if again => 2,
            () if line.telling == Telling::Done => 3,
            () if line.asks_for_all() => 2,
            () => 1,
        };
        let staged = self.commands.stage_with(|place| {
            *place = Command::new(CommandKind::VenueState, user, firm);
            place.qty = asks;
        });
        if staged {
            let was_told = line.told_up.replace(is_up).is_some();
            if is_up || was_told {
                let name = line.short_name();
                let tell = if is_up { tell_up } else { tell_down };
                self.record(tell, [name, 0, 0, 0]);
            }
        }
    }

    fn call(&mut self, at: usize, transport: &mut impl Transport) {
        let now_ns = self.now_ns;
        let line = &mut self.lines[at];
        let Some(id) = transport.connect(line.setup.connect) else {
            return self.call_later(at);
        };
        line.counters[1].add(1);
        line.set_phase(Phase::Connecting, now_ns);
        line.conn = Some(id);
        let (user, protocol) = (line.setup.user, line.setup.protocol);
        let mut conn = Conn::new(id, protocol, line.setup.connect.ip(), now_ns);
        if !matches!(protocol, Protocol::Fix(_)) {
            conn.session = Session::Calling(Caller::new(now_ns));
        }
        (conn.user, conn.pace) = (Some(user), Pace::of(u32::MAX / 4));
        self.users[user.index()].conn = Some(id);
        self.conns[id.index as usize] = Some(Box::new(conn));
    }

    /// A line is lost: it is called again, later each time.
    fn call_later(&mut self, at: usize) {
        let now_ns = self.now_ns;
        let line = &mut self.lines[at];
        line.set_phase(Phase::Down, now_ns);
        (line.conn, line.held_until, line.missed) = (None, None, None);
        if std::mem::replace(&mut line.telling, Telling::Unasked) != Telling::Unasked {
            // What it told may be the past next time: that the line is lost is told, whether it was up or not.
            line.told_up = Some(true);
        }
        line.retry_ns = now_ns + line.wait_ns;
        line.wait_ns = (2 * line.wait_ns).min(line.setup.reconnect_ns[1]);
    }

    /// A connection that was asked for is there.
    pub(super) fn connected(&mut self, id: ConnId) {
        let now_ns = self.now_ns;
        let called = |line: &Line| line.conn == Some(id) && line.phase == Phase::Connecting;
        let Some(at) = self.lines.iter().position(called) else { return };
        self.lines[at].set_phase(Phase::LoggingOn, now_ns);
        let setup = &self.lines[at].setup;
        let (user, heartbeat_s, reset) = (setup.user, setup.heartbeat_s, setup.reset_on_logon);
        let afresh = self.lines[at].afresh;
        match self.lines[at].setup.protocol {
            Protocol::Fix(_) => self.log_on(id, user, heartbeat_s, reset),
            _ => self.log_in(id, user, afresh),
        }
    }

    fn look_whether_up(&mut self, at: usize) -> bool {
        let now_ns = self.now_ns;
        let Some(id) = self.lines[at].conn else { return false };
        let whole = match self.lines[at].setup.protocol {
            Protocol::Fix(_) => {
                self.conn_mut(id).and_then(|conn| conn.fix()).is_some_and(fix::Link::is_whole)
            }
            _ => self.tell_missed(at),
        };
        if whole && self.has_told(at) {
            let line = &mut self.lines[at];
            line.set_phase(Phase::Up, now_ns);
            line.wait_ns = line.setup.reconnect_ns[0];
        }
        whole
    }

    /// Whether a venue that is to be asked how all orders stand was, and told.
    fn has_told(&mut self, at: usize) -> bool {
        let now_ns = self.now_ns;
        let line = &mut self.lines[at];
        let user = line.setup.user;
        match line.telling {
            Telling::Done => return true,
            Telling::Unasked if !(line.setup.mass_status && line.asks_for_all()) => return true,
            Telling::Unasked => {
                line.telling = Telling::Since(now_ns);
                self.ask_for_all(user);
            }
            // What it does not say is asked for one by one.
            Telling::Since(then) if now_ns.saturating_sub(then) > TELLING_NS => {
                line.telling = Telling::Done;
                return true;
            }
            Telling::Since(_) => {}
        }
        false
    }

    /// A venue told how an order stands, as it was asked to of all; that was the last one.
    pub(super) fn line_told(&mut self, user: UserId, last: bool) {
        let now_ns = self.now_ns;
        let tells = |line: &&mut Line| matches!(line.telling, Telling::Since(_));
        if let Some(line) = self.line_mut(user).filter(tells) {
            line.telling = if last { Telling::Done } else { Telling::Since(now_ns) };
        }
    }

    /// Tells what never got to a venue, as far as there is room. True once all of it was told.
    fn tell_missed(&mut self, at: usize) -> bool {
        let Some((mut next, last)) = self.lines[at].missed else { return false };
        let user = self.lines[at].setup.user;
        while next < last && self.commands.free() >= COMMANDS_MAX {
            if let Some(command) = self.never_got(user, next) {
                self.commands.stage(&command);
            }
            next += 1;
        }
        self.lines[at].missed = Some((next, last));
        next >= last
    }

    /// OUCH: a venue expects that number next, and the last one sent is before the other.
    pub(super) fn line_received(&mut self, user: UserId, expected: u32, next: u32) {
        if let Some(line) = self.line_mut(user) {
            line.missed = Some((expected.max(1), next));
        }
    }

    /// OUCH: whether the next login is for another session.
    pub(super) fn line_afresh(&mut self, user: UserId, afresh: bool) {
        if let Some(line) = self.line_mut(user) {
            line.afresh = afresh;
        }
    }

    /// A connection is gone.
    pub(super) fn line_closed(&mut self, id: ConnId) {
        if let Some(at) = self.lines.iter().position(|line| line.conn == Some(id)) {
            self.call_later(at);
        }
    }

    /// Numbers began again on a line.
    pub(super) fn line_begun_again(&mut self, user: UserId) {
        if let Some(line) = self.line_mut(user) {
            line.begun_again = true;
        }
    }

    /// A venue did not let this side in.
    pub(super) fn turned_away(&mut self, user: UserId, why: &[u8]) {
        let mut text = [0; 24];
        let len = why.len().min(text.len());
        text[..len].copy_from_slice(&why[..len]);
        let word = |at: usize| u64::from_le_bytes(text[at..at + 8].try_into().expect("eight"));
        if let Some(line) = self.line_mut(user) {
            line.counters[5].add(1);
            let numbers = [line.short_name(), word(0), word(8), word(16)];
            self.record(tell_turned_away, numbers);
        }
    }

    /// A message came from a venue.
    pub(super) fn count_said(&mut self, user: UserId) {
        if let Some(line) = self.line_mut(user) {
            line.counters[2].add(1);
        }
    }

    /// Something is wrong with what a venue said.
    pub(super) fn alarm(&mut self, user: UserId, alarm: Alarm) {
        let Some(place) = Alarm::ALL.iter().position(|(of, _)| *of == alarm) else { return };
        if let Some(line) = self.line_mut(user) {
            line.alarms[place].add(1);
            let name = line.short_name();
            self.record(tell_alarm, [name, place as u64, 0, 0]);
        }
    }

    /// What a venue said was taken in.
    pub(super) fn heard(&mut self, event: &Event) {
        if event.kind == EventKind::VenueHeard && event.reference != 0 {
            self.alarm(event.user, Alarm::of_code(event.reference));
        }
    }

    /// The stream of a venue is sent from the message that was just told on.
    pub(super) fn line_begins(&mut self, user: UserId) {
        let Some(out) = &self.users[user.index()].out else { return };
        let number = out.stream.next_number().saturating_sub(1);
        if let Some(line) = self.line_mut(user) {
            line.next_number = number;
        }
    }

    /// Up to where a connection's stream may be sent now, which stands at `offset`: a venue's as far as it takes it.
    pub(super) fn may_send_until(&mut self, user: UserId, offset: u64) -> u64 {
        let now_ns = self.now_ns;
        let State { lines, users, mischief, .. } = self;
        let stream = users[user.index()].stream();
        if let Some(mischief) = mischief {
            return mischief.may_send_until(user, stream, now_ns);
        }
        let Some(line) = lines.iter_mut().find(|line| line.setup.user == user) else {
            return stream.released();
        };
        if line.held_until.is_some_and(|until| now_ns < until) {
            return offset;
        }
        let left = u64::from(line.allowance.left(now_ns));
        let (next, held) = (line.next_number, stream.held_number());
        if next + left >= held {
            return stream.released();
        }
        // What its rate holds back anyway may as well wait for company.
        line.held_until = Some(line.allowance.next_ns().max(now_ns + line.setup.batch_ns));
        line.counters[4].add(1);
        stream.find(next + left).unwrap_or_else(|| stream.released())
    }

    /// The stream of a user was sent up to there.
    pub(super) fn sent_until(&mut self, user: UserId, offset: u64) {
        let now_ns = self.now_ns;
        let State { lines, users, .. } = self;
        let Some(line) = lines.iter_mut().find(|line| line.setup.user == user) else { return };
        let stream = users[user.index()].stream();
        let before = line.next_number;
        while line.next_number < stream.next_number()
            && stream.find(line.next_number + 1).is_some_and(|end| end <= offset)
        {
            line.next_number += 1;
        }
        let count = (line.next_number - before) as u32;
        line.allowance.spend(count, now_ns);
        line.counters[3].add(count.into());
    }
}

/// A venue's name in a record: four characters at most.
fn name_in(record: &Record) -> String {
    let bytes = record.numbers[0].to_le_bytes();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
}

fn tell_up(record: &Record) {
    tracing::info!(venue = name_in(record), "a venue is up");
}

fn tell_down(record: &Record) {
    tracing::info!(venue = name_in(record), "a venue is down");
}

fn tell_turned_away(record: &Record) {
    let [_, words @ ..] = record.numbers;
    let text: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let why = String::from_utf8_lossy(&text);
    let (venue, why) = (name_in(record), why.trim_end_matches('\0'));
    tracing::warn!(venue, why, "a venue did not let this side in");
}

fn tell_alarm(record: &Record) {
    let (_, alarm) = Alarm::ALL[record.numbers[1] as usize];
    tracing::warn!(venue = name_in(record), alarm, "a venue said what cannot be, or is not known");
}
