//! From a journal back to books, positions, numbers and streams.

use std::path::{Path, PathBuf};

use crate::book::{self, Book, Digest, Outlet, RingReports};
use crate::config::Config;
use crate::gateway::{Names, Outbound, Page, RegenerateStream, Voice};
use crate::journal::{Durable, Reader, Start, Tail};
use crate::order::{Command, Event, Feedback, FirmId, SeqNum, Slot, SymbolId, UnixNanos, UserId};
use crate::risk::{self, Limits, Risk};
use crate::session::stream::Stream;

use super::SegmentError;
use super::dictionary::{Dictionary, UserEntry};

/// Users, firms and symbols that one segment can know over its life.
const USERS_MAX: u16 = 4096;
const FIRMS_MAX: u16 = 1024;
const SYMBOLS_MAX: u16 = 512;

/// A hash of a segment's whole state: equal hashes behave equally from here on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateHash(pub u64);

impl std::fmt::Display for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Hashes books, risk and every stream's number and checksum.
pub(super) fn state_hash(book: &Book, risk: &Risk, streams: &[(u64, u32)]) -> StateHash {
    let mut digest = Digest::new();
    digest.add(book.digest());
    digest.add(risk.digest());
    for (number, checksum) in streams {
        digest.add(*number);
        digest.add(u64::from(*checksum));
    }
    StateHash(digest.value())
}

/// What a journal made.
pub struct Recovered {
    /// Sequencer, positions, open orders.
    pub risk: Risk,
    /// Books.
    pub book: Book,
    /// Names.
    pub dictionary: Dictionary,
    /// Every user's stream.
    pub streams: Vec<Stream>,
    voices: Vec<Voice>,
    /// What new users were told at this start, as packets.
    greetings: Vec<(UserId, Vec<u8>)>,
    /// Where the journal ends; `None` if there is none yet.
    pub tail: Option<Tail>,
    header: Option<([u8; 10], u64)>,
}

/// Receives what a replayed book reports: feedback for risk, messages for streams.
struct Replay<'a> {
    feedback: Vec<Feedback>,
    event: Event,
    page: Page,
    names: Names,
    /// How each user is told what happens.
    voices: Vec<Voice>,
    /// Told every message: whose, of which command, and its packet.
    message: &'a mut dyn FnMut(UserId, SeqNum, &[u8]),
}

impl Outlet for Replay<'_> {
    fn has_room(&mut self, _: usize) -> bool {
        true
    }

    #[inline]
    fn event(&mut self, _user: UserId, write: impl FnOnce(&mut Event)) {
        write(&mut self.event);
        // Text ahead of a user's definition is told to nobody.
        let Some(voice) = self.voices.get_mut(self.event.user.index()) else { return };
        let packet = voice.encode(&self.event, &self.names, &mut self.page);
        if !packet.is_empty() {
            (self.message)(self.event.user, self.event.seq(), packet);
        }
    }

    #[inline]
    fn feedback(&mut self, feedback: &Feedback) {
        self.feedback.push(*feedback);
    }
}

impl Replay<'_> {
    /// Takes in what the dictionary has learned.
    fn learn(&mut self, dictionary: &Dictionary) {
        self.names = dictionary.names();
        let new = &dictionary.users[self.voices.len()..];
        self.voices.extend(new.iter().map(|user| user.voice()));
    }
}

/// Risk, book and names, driven by a journal's commands.
struct Machine {
    risk: Risk,
    book: Book,
    dictionary: Dictionary,
}

impl Machine {
    fn new(config: &Config) -> Machine {
        let orders = *config.gateway.max_orders.get_ref();
        let capacity =
            risk::Capacity { orders, users: USERS_MAX, firms: FIRMS_MAX, symbols: SYMBOLS_MAX };
        Machine {
            risk: Risk::new(capacity),
            book: Book::new(book::Capacity { orders, symbols: SYMBOLS_MAX }),
            dictionary: Dictionary::default(),
        }
    }

    fn apply(&mut self, command: &Command, reports: &mut RingReports<Replay<'_>>) {
        self.dictionary.learn(command);
        while self.risk.firms() < self.dictionary.firms.len() {
            self.risk.set_limits(FirmId(self.risk.firms() as u16), Limits::NONE);
        }
        if matches!(command.kind, crate::order::CommandKind::DefineUser)
            || matches!(command.kind, crate::order::CommandKind::DefineSymbol)
        {
            reports.outlet.learn(&self.dictionary);
        }
        self.risk.replay(command);
        self.book.apply(command, reports);
        for feedback in reports.outlet.feedback.drain(..) {
            self.risk.feed_back(&feedback);
        }
    }
}

fn reports(message: &mut dyn FnMut(UserId, SeqNum, &[u8])) -> RingReports<Replay<'_>> {
    RingReports::new(Replay {
        feedback: Vec::with_capacity(64),
        event: Event::EMPTY,
        page: Page::default(),
        names: Names::default(),
        voices: Vec::new(),
        message,
    })
}

/// Puts messages into their users' streams, released: whatever is in a journal is on disk.
fn into_streams(
    streams: &mut Vec<Stream>,
    window: usize,
) -> impl FnMut(UserId, SeqNum, &[u8]) + '_ {
    move |user, seq, bytes| {
        while streams.len() <= user.index() {
            streams.push(Stream::new(window));
        }
        streams[user.index()].push(seq, bytes);
        streams[user.index()].release_all();
    }
}

/// Replays the journal in `dir`.
pub fn recover(dir: &Path, config: &Config) -> Result<Recovered, SegmentError> {
    let mut machine = Machine::new(config);
    let mut streams: Vec<Stream> = Vec::new();
    let window = *config.gateway.stream_window_bytes.get_ref();
    let mut message = into_streams(&mut streams, window);
    let mut reports = reports(&mut message);
    let mut reader = Reader::open(dir)?;
    let orders = *config.gateway.max_orders.get_ref();
    while let Some(command) = reader.next()? {
        if command.slot != Slot::NONE && command.slot.0 >= orders {
            return Err(SegmentError::Dictionary(format!(
                "the journal was written with more than max_orders = {orders}; raise it to {} or \
                 more",
                (command.slot.0 + 1).next_power_of_two()
            )));
        }
        machine.apply(&command, &mut reports);
    }
    let voices = std::mem::take(&mut reports.outlet.voices);
    drop(reports);
    drop(message);
    streams.resize_with(machine.dictionary.users.len(), || Stream::new(window));
    let header = reader.header().map(|header| (header.session, header.begun_ns.get()));
    let tail = header.map(|_| reader.tail());
    let Machine { risk, book, dictionary } = machine;
    let greetings = Vec::new();
    Ok(Recovered { risk, book, dictionary, streams, voices, greetings, tail, header })
}

/// Makes any user's stream again from the journal in `dir`, on whatever thread asks. Reads no
/// further than what is durable.
pub fn regenerate(dir: PathBuf, config: Config, durable: Durable) -> RegenerateStream {
    Box::new(move |wanted, from, until, packet| {
        let mut number = 0;
        let mut message = |user: UserId, _: SeqNum, bytes: &[u8]| {
            if user == wanted {
                number += 1;
                if (from..until).contains(&number) {
                    packet(bytes);
                }
            }
        };
        let mut machine = Machine::new(&config);
        let mut reports = reports(&mut message);
        let Ok(reader) = Reader::open(&dir) else { return false };
        let mut reader = reader.until(durable.seq());
        while let Ok(Some(command)) = reader.next() {
            machine.apply(&command, &mut reports);
        }
        drop(reports);
        number + 1 >= until
    })
}

impl Recovered {
    /// The hash of what was recovered.
    pub fn state_hash(&self) -> StateHash {
        let streams = self.streams.iter().map(|s| (s.next_number(), s.checksum()));
        state_hash(&self.book, &self.risk, &streams.collect::<Vec<_>>())
    }

    /// How the journal goes on; a new one is named after the time.
    pub(super) fn start(&self, now_ns: UnixNanos) -> Start {
        let (session, begun_ns) = self.header.unwrap_or_else(|| {
            let mut name = *b"MR00000000";
            let digits = format!("{:08X}", (now_ns / 1_000_000_000) as u32);
            name[2..].copy_from_slice(digits.as_bytes());
            (name, now_ns)
        });
        Start { session, begun_ns, tail: self.tail }
    }

    /// Sequences a definition for whatever the configuration has that the journal lacks.
    pub(super) fn define_new(
        &mut self,
        config: &Config,
        now_ns: UnixNanos,
        mut journal: impl FnMut(&Command),
    ) -> Result<(), SegmentError> {
        let window = *config.gateway.stream_window_bytes.get_ref();
        while let Some(mut commands) = self.dictionary.missing(config) {
            self.check_definition(config, &commands)?;
            for command in &commands {
                self.dictionary.learn(command);
            }
            while self.risk.firms() < self.dictionary.firms.len() {
                self.risk.set_limits(FirmId(self.risk.firms() as u16), Limits::NONE);
            }
            let (streams, greetings) = (&mut self.streams, &mut self.greetings);
            let mut into_streams = into_streams(streams, window);
            let mut message = |user: UserId, seq: SeqNum, packet: &[u8]| {
                into_streams(user, seq, packet);
                greetings.push((user, packet.to_vec()));
            };
            let mut reports = reports(&mut message);
            reports.outlet.voices = std::mem::take(&mut self.voices);
            reports.outlet.learn(&self.dictionary);
            for command in &mut commands {
                self.risk.sequence_own(command, now_ns);
                self.book.apply(command, &mut reports);
                journal(command);
            }
            self.voices = std::mem::take(&mut reports.outlet.voices);
        }
        self.streams.resize_with(self.dictionary.users.len(), || Stream::new(window));
        Ok(())
    }

    /// A change to something that is in use is refused.
    fn check_definition(
        &self,
        config: &Config,
        definition: &[Command],
    ) -> Result<(), SegmentError> {
        let command = definition.last().expect("a definition and what goes ahead of it");
        use crate::order::CommandKind as Kind;
        let refuse = |text: String| Err(SegmentError::Dictionary(text));
        let (users, symbols) = (self.dictionary.users.len(), self.dictionary.symbols.len());
        match command.kind {
            Kind::DefineUser if command.user.index() < users => {
                let entry = &self.dictionary.users[command.user.index()];
                let name = &entry.name;
                let mut after = self.dictionary.clone();
                definition.iter().for_each(|command| after.learn(command));
                let now = &after.users[command.user.index()];
                let speaks = |e: &UserEntry| (e.protocol, e.comp_id.clone(), e.own_comp_id.clone());
                if speaks(entry) != speaks(now) {
                    let of = |e: &UserEntry| match e.comp_id.as_str() {
                        "" => e.protocol.name().to_owned(),
                        comp_id => {
                            format!("{} as {comp_id} to {}", e.protocol.name(), e.own_comp_id)
                        }
                    };
                    return refuse(format!(
                        "user {name} speaks {} in the journal, and {} in the configuration; what \
                         it was told stays as it was told, so use another name for it, or begin a \
                         new data_dir",
                        of(entry),
                        of(now)
                    ));
                }
                if self.risk.has_orders(command.user) {
                    return refuse(format!(
                        "user {name} has another firm in the journal and open orders there; \
                         cancel them before you change the firm"
                    ));
                }
            }
            Kind::DefineSymbol if command.symbol.index() < symbols => {
                let symbol = SymbolId(command.symbol.0);
                let name = &self.dictionary.symbols[symbol.index()].name;
                let best = [self.book.best_bid(symbol), self.book.best_ask(symbol)];
                if self.dictionary.tick_changes(config, symbol) && best != [None, None] {
                    return refuse(format!(
                        "symbol {name} has another tick in the journal and open orders; cancel \
                         them before you change the tick"
                    ));
                }
            }
            _ => {}
        }
        let full = users >= usize::from(USERS_MAX)
            || self.dictionary.firms.len() >= usize::from(FIRMS_MAX)
            || symbols >= usize::from(SYMBOLS_MAX);
        if full {
            return refuse(format!(
                "one journal knows at most {USERS_MAX} users, {FIRMS_MAX} firms and {SYMBOLS_MAX} \
                 symbols; begin a new data_dir"
            ));
        }
        Ok(())
    }

    /// What new users were told at this start, for the audit file.
    pub(super) fn greetings(&mut self) -> Vec<(UserId, Vec<u8>)> {
        std::mem::take(&mut self.greetings)
    }

    /// Every user's stream and voice.
    pub(super) fn outbounds(&mut self) -> Vec<Outbound> {
        let streams = std::mem::take(&mut self.streams);
        let voices = std::mem::take(&mut self.voices);
        streams
            .into_iter()
            .zip(voices)
            .map(|(stream, voice)| Outbound::new(stream, voice))
            .collect()
    }

    /// Moves everything out, to be given to the agents.
    pub(super) fn take(&mut self) -> Recovered {
        let none = risk::Capacity { orders: 1, users: 1, firms: 1, symbols: 1 };
        Recovered {
            risk: std::mem::replace(&mut self.risk, Risk::new(none)),
            book: std::mem::replace(
                &mut self.book,
                Book::new(book::Capacity { orders: 1, symbols: 1 }),
            ),
            dictionary: std::mem::take(&mut self.dictionary),
            streams: std::mem::take(&mut self.streams),
            voices: std::mem::take(&mut self.voices),
            greetings: std::mem::take(&mut self.greetings),
            tail: self.tail,
            header: self.header,
        }
    }
}
