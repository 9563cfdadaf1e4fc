//! From a journal back to books, positions, numbers and streams.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::book::{self, Book, Digest, Outlet, Reports, RingReports};
use crate::config::Config;
use crate::feed::Tape;
use crate::gateway::{Names, Outbound, Page, RegenerateStream, Voice, Watchers};
use crate::journal::{self, Durable, Kept, Reader, Start, Tail};
use crate::order::{
    Command, CommandKind, Event, FIRMS_MAX, Feedback, FirmId, NANOS_PER_SEC, NUMBERS_BY_PLACE,
    SYMBOLS_MAX, SeqNum, Slot, SymbolId, USERS_MAX, UnixNanos, UserId,
};
use crate::risk::{self, Limits, Risk};
use crate::runtime::{BlockPool, Clock};
use crate::session::stream::{Stream, StreamMemory};

use super::SegmentError;
use super::dictionary::{Dictionary, Secrets, SymbolEntry, UserEntry};
use super::market::{self, book_capacity};

/// A hash of a segment's whole state: equal hashes behave equally from here on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateHash(pub u64);

impl std::fmt::Display for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Hashes books, risk and every stream's number and checksum.
pub(super) fn state_hash(books: u64, risk: &Risk, streams: &[(u64, u32)]) -> StateHash {
    let mut digest = Digest::new();
    digest.add(books);
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
    memory: StreamMemory,
    voices: Vec<Voice>,
    /// What a crash left that is not in the journal yet, and was carried out here.
    left: Vec<Command>,
    /// What new users were told at this start, as packets.
    greetings: Vec<(UserId, Vec<u8>)>,
    /// Where the journal ends; `None` if there is none yet.
    pub tail: Option<Tail>,
    header: Option<([u8; 10], u64)>,
    /// The feed as it stands, if there is one.
    tape: Option<Tape>,
}

/// Receives what a replayed book reports: feedback for risk, messages for streams.
struct Replay<'a> {
    feedback: Vec<Feedback>,
    event: Event,
    page: Page,
    names: Names,
    /// How each user is told what happens.
    voices: Vec<Voice>,
    /// Who is told of what others do.
    watchers: Watchers,
    /// What venues are told of who calls.
    secrets: Secrets,
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
        let Replay { event, page, names, voices, watchers, message, .. } = self;
        let mut tell = |user: UserId| {
            let Some(voice) = voices.get_mut(user.index()) else { return };
            let packet = voice.encode(event, names, page);
            if !packet.is_empty() {
                message(user, event.seq(), packet);
            }
        };
        tell(event.user);
        watchers.of(event, names).iter().for_each(|watcher| tell(*watcher));
    }

    #[inline]
    fn feedback(&mut self, feedback: &Feedback) {
        self.feedback.push(*feedback);
    }
}

impl Replay<'_> {
    /// Takes in what the dictionary has learned from a command.
    fn learn(&mut self, dictionary: &Dictionary, command: &Command) {
        dictionary.add_names(&mut self.names);
        if command.kind == CommandKind::DefineUser {
            self.names.users[command.user.index()] = command.firm;
            let watches = &dictionary.users[command.user.index()].watches;
            self.watchers.set(command.user, watches);
        }
        let new = &dictionary.users[self.voices.len()..];
        self.voices.extend(new.iter().map(|user| user.voice(&self.secrets)));
        if command.kind == CommandKind::DefineUser {
            let watches = !dictionary.users[command.user.index()].watches.is_empty();
            self.voices[command.user.index()].watch(command.user, watches);
        }
    }
}

/// Risk, book and names, driven by a journal's commands.
struct Machine {
    risk: Risk,
    book: Book,
    dictionary: Dictionary,
    tape: Option<Tape>,
}

impl Machine {
    fn new(config: &Config, tape: Option<Tape>) -> Machine {
        let orders = *config.gateway.max_orders.get_ref();
        let capacity =
            risk::Capacity { orders, users: USERS_MAX, firms: FIRMS_MAX, symbols: SYMBOLS_MAX };
        Machine {
            risk: Risk::new(capacity),
            book: Book::new(book_capacity(config)),
            dictionary: Dictionary::default(),
            tape,
        }
    }

    fn apply(&mut self, command: &Command, reports: &mut RingReports<Replay<'_>>) {
        self.dictionary.learn(command);
        while self.risk.firms() < self.dictionary.firms.len() {
            self.risk.set_limits(FirmId(self.risk.firms() as u16), Limits::NONE);
        }
        if is_definition(command) {
            reports.outlet.learn(&self.dictionary, command);
        }
        self.risk.replay(command);
        apply(&mut self.book, &mut self.tape, command, reports);
        for feedback in reports.outlet.feedback.drain(..) {
            self.risk.feed_back(&feedback);
        }
    }
}

/// Whether a command makes a name known.
fn is_definition(command: &Command) -> bool {
    use CommandKind::{DefineAlias, DefineSymbol, DefineUser};
    matches!(command.kind, DefineUser | DefineSymbol | DefineAlias)
}

/// Has the book carry out a command, and the feed tell of it.
fn apply(book: &mut Book, tape: &mut Option<Tape>, command: &Command, reports: &mut impl Reports) {
    match tape {
        None => book.apply(command, reports),
        Some(tape) => tape.apply(book, command, reports, |_, _| ()),
    }
}

/// A key for orders' numbers that nobody knows.
fn numbers_key() -> std::io::Result<Command> {
    let mut command = Command::new(CommandKind::DefineNumbers, UserId(0), FirmId(0));
    command.qty = NUMBERS_BY_PLACE;
    let key = &mut command.text[..book::NUMBERS_KEY_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(key)?;
    Ok(command)
}

fn reports<'a>(
    config: &Config,
    message: &'a mut dyn FnMut(UserId, SeqNum, &[u8]),
) -> RingReports<Replay<'a>> {
    RingReports::new(Replay {
        feedback: Vec::with_capacity(64),
        event: Event::EMPTY,
        page: Page::default(),
        names: Names::default(),
        voices: Vec::new(),
        watchers: Watchers::default(),
        secrets: Secrets::of_config(config),
        message,
    })
}

/// The memory that all streams share: at most a window for each user that the configuration names,
/// and its index, a quarter of it.
fn stream_memory(config: &Config) -> StreamMemory {
    let window_bytes = *config.gateway.stream_window_bytes.get_ref();
    let users = (config.users.len() + config.venues.len()).max(1);
    let most = window_bytes.saturating_add(window_bytes / 4).saturating_mul(users);
    let bytes = most.min(*config.gateway.stream_pool_bytes.get_ref());
    StreamMemory { window_bytes, pool: Arc::new(BlockPool::new(bytes, users)) }
}

/// Puts messages into their users' streams, released: whatever is in a journal is on disk.
fn into_streams<'a>(
    streams: &'a mut Vec<Stream>,
    memory: &'a StreamMemory,
) -> impl FnMut(UserId, SeqNum, &[u8]) + 'a {
    move |user, seq, bytes| {
        while streams.len() <= user.index() {
            streams.push(Stream::new(memory));
        }
        streams[user.index()].push(seq, bytes);
        streams[user.index()].release_all();
    }
}

/// Replays the journal in `dir`.
pub fn recover(dir: &Path, config: &Config) -> Result<Recovered, SegmentError> {
    replay(dir, config, None, None)
}

/// The same for a segment that goes on from there, with its feed.
pub(super) fn recover_for(
    dir: &Path,
    config: &Config,
    clock: &Clock,
    was_ahead: bool,
) -> Result<Recovered, SegmentError> {
    let header = journal::header(dir)?.map(|header| (header.session, header.begun_ns.get()));
    let header = header.unwrap_or_else(|| new_journal(clock.now_ns()));
    // What is kept in memory was not lost, however far it was ahead.
    let lost = was_ahead && !kept(config, header).is_some_and(|kept| kept.is_there());
    let tape = market::tape(config, header.0, lost)?;
    replay(dir, config, tape, Some(header))
}

/// The name of a journal that begins now, and when it begins.
fn new_journal(now_ns: UnixNanos) -> ([u8; 10], u64) {
    let mut name = *b"MR00000000";
    let digits = format!("{:08X}", (now_ns / NANOS_PER_SEC) as u32);
    name[2..].copy_from_slice(digits.as_bytes());
    (name, now_ns)
}

fn replay(
    dir: &Path,
    config: &Config,
    tape: Option<Tape>,
    header: Option<([u8; 10], u64)>,
) -> Result<Recovered, SegmentError> {
    let mut machine = Machine::new(config, tape);
    let mut streams: Vec<Stream> = Vec::new();
    let memory = stream_memory(config);
    let mut message = into_streams(&mut streams, &memory);
    let mut reports = reports(config, &mut message);
    let mut reader = Reader::open(dir)?.ahead()?;
    let orders = *config.gateway.max_orders.get_ref();
    while let Some(command) = reader.next()? {
        check_slot(&command, orders)?;
        machine.apply(&command, &mut reports);
    }
    let kept = header.and_then(|header| kept(config, header));
    let left = kept.map_or(Ok(vec![]), |kept| kept.left(machine.risk.last_seq()))?;
    for command in &left {
        check_slot(command, orders)?;
        machine.apply(command, &mut reports);
    }
    let voices = std::mem::take(&mut reports.outlet.voices);
    drop(reports);
    drop(message);
    streams.resize_with(machine.dictionary.users.len(), || Stream::new(&memory));
    let tail = reader.header().map(|_| reader.tail());
    let Machine { risk, book, dictionary, tape } = machine;
    let greetings = Vec::new();
    Ok(Recovered {
        risk,
        book,
        dictionary,
        memory,
        streams,
        voices,
        left,
        greetings,
        tail,
        header,
        tape,
    })
}

/// Where what is not on disk yet outlives the process, if it may have to.
pub(super) fn kept(config: &Config, (session, begun_ns): ([u8; 10], u64)) -> Option<Kept> {
    let dir = &config.gateway.crash_dir;
    (!dir.as_os_str().is_empty()).then(|| Kept::of(dir, session, begun_ns))
}

/// That there is a place for an order.
fn check_slot(command: &Command, orders: u32) -> Result<(), SegmentError> {
    // What a venue says names any slot.
    let said = command.kind == CommandKind::VenueSaid;
    if said || command.slot == Slot::NONE || command.slot.0 < orders {
        return Ok(());
    }
    Err(SegmentError::Dictionary(format!(
        "the journal was written with more than max_orders = {orders}; raise it to {} or more",
        (command.slot.0 + 1).next_power_of_two()
    )))
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
        let mut machine = Machine::new(&config, None);
        let mut reports = reports(&config, &mut message);
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
        state_hash(self.book.digest(), &self.risk, &streams.collect::<Vec<_>>())
    }

    /// How the journal goes on.
    pub(super) fn start(&self) -> Start {
        let (session, begun_ns) = self.header.expect("recovered for a segment");
        Start { session, begun_ns, tail: self.tail }
    }

    /// What a crash left that is to be in the journal before anything else is.
    pub(super) fn left(&self) -> &[Command] {
        &self.left
    }

    /// The feed, as it stands behind the last command.
    pub(super) fn tape(&mut self) -> Option<Tape> {
        self.tape.take()
    }

    /// Sequences a definition for whatever the configuration has that the journal lacks.
    pub(super) fn define_new(
        &mut self,
        config: &Config,
        now_ns: UnixNanos,
        mut journal: impl FnMut(&Command) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        let memory = self.memory.clone();
        let (mut streams, mut greetings) = (std::mem::take(&mut self.streams), vec![]);
        let mut to_stream = into_streams(&mut streams, &memory);
        let mut message = |user: UserId, seq: SeqNum, packet: &[u8]| {
            to_stream(user, seq, packet);
            greetings.push((user, packet.to_vec()));
        };
        self.define_all(config, now_ns, &mut message, &mut journal)?;
        drop(to_stream);
        streams.resize_with(self.dictionary.users.len(), || Stream::new(&memory));
        (self.streams, self.greetings) = (streams, greetings);
        Ok(())
    }

    fn define_all(
        &mut self,
        config: &Config,
        now_ns: UnixNanos,
        message: &mut dyn FnMut(UserId, SeqNum, &[u8]),
        journal: &mut impl FnMut(&Command) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        let mut reports = reports(config, message);
        reports.outlet.voices = std::mem::take(&mut self.voices);
        reports.outlet.names = self.dictionary.names();
        reports.outlet.watchers = self.dictionary.watchers();
        if self.risk.last_seq() == SeqNum(0) {
            let key = numbers_key().map_err(super::system("make a key".to_owned()))?;
            self.define(vec![key], now_ns, &mut reports, journal)?;
        }
        // Those who watch firms come behind those who are the firms.
        let (traders, watchers): (Vec<_>, Vec<_>) =
            config.users.iter().partition(|user| user.drop_copy_of.is_empty());
        for user in traders.into_iter().chain(watchers) {
            if let Some(commands) = self.dictionary.missing_user(config, user) {
                self.define(commands, now_ns, &mut reports, journal)?;
            }
        }
        for symbol in &config.symbols {
            if let Some(command) = self.dictionary.missing_symbol(symbol) {
                self.define(vec![command], now_ns, &mut reports, journal)?;
            }
        }
        for venue in &config.venues {
            if let Some(commands) = self.dictionary.missing_venue(venue) {
                self.define(commands, now_ns, &mut reports, journal)?;
            }
        }
        for command in self.dictionary.missing_aliases(config) {
            self.define(vec![command], now_ns, &mut reports, journal)?;
        }
        self.voices = std::mem::take(&mut reports.outlet.voices);
        Ok(())
    }

    /// Sequences one definition: a command, and the texts ahead of it.
    fn define(
        &mut self,
        mut commands: Vec<Command>,
        now_ns: UnixNanos,
        reports: &mut RingReports<Replay<'_>>,
        journal: &mut impl FnMut(&Command) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        self.check_definition(&commands)?;
        for command in &commands {
            self.dictionary.learn(command);
            if is_definition(command) {
                reports.outlet.learn(&self.dictionary, command);
            }
        }
        while self.risk.firms() < self.dictionary.firms.len() {
            self.risk.set_limits(FirmId(self.risk.firms() as u16), Limits::NONE);
        }
        for command in &mut commands {
            self.risk.sequence_own(command, now_ns);
            apply(&mut self.book, &mut self.tape, command, reports);
            journal(command)?;
        }
        Ok(())
    }

    /// A change to something that is in use is refused.
    fn check_definition(&self, definition: &[Command]) -> Result<(), SegmentError> {
        let command = definition.last().expect("a definition and what goes ahead of it");
        let refuse = |text: String| Err(SegmentError::Dictionary(text));
        let (users, symbols) = (self.dictionary.users.len(), self.dictionary.symbols.len());
        match command.kind {
            CommandKind::DefineUser if command.user.index() < users => {
                let entry = &self.dictionary.users[command.user.index()];
                let name = &entry.name;
                let mut alone = Dictionary::default();
                definition.iter().for_each(|command| alone.learn(command));
                let now = &alone.users[0];
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
            CommandKind::DefineSymbol if command.symbol.index() < symbols => {
                let symbol = SymbolId(command.symbol.0);
                let SymbolEntry { name, tick } = &self.dictionary.symbols[symbol.index()];
                let best = [self.book.best_bid(symbol), self.book.best_ask(symbol)];
                if *tick != command.price && best != [None, None] {
                    return refuse(format!(
                        "symbol {name} has another tick in the journal and open orders; cancel \
                         them before you change the tick"
                    ));
                }
            }
            _ => {}
        }
        let full = match command.kind {
            CommandKind::DefineUser => command.user.0 >= USERS_MAX || command.firm.0 >= FIRMS_MAX,
            _ => command.symbol.0 >= SYMBOLS_MAX,
        };
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

    /// What streams are made of.
    pub(super) fn stream_pool(&self) -> Arc<BlockPool> {
        self.memory.pool.clone()
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
            memory: self.memory.clone(),
            streams: std::mem::take(&mut self.streams),
            voices: std::mem::take(&mut self.voices),
            left: std::mem::take(&mut self.left),
            greetings: std::mem::take(&mut self.greetings),
            tail: self.tail,
            header: self.header,
            tape: self.tape.take(),
        }
    }
}
