//! Rings, agents and threads of a segment.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::agents::{BookDuty, GatewayDuty, InlineDuty, JournalDuty, LogDuty, RiskDuty};
use super::dictionary::{SymbolEntry, wire_protocol};
use super::gallery::{self, GalleryDuty, Stage};
use super::memory::ring;
use super::transport::{AnyTransport, Opened, Wire, ring_bells};
use super::{
    Agents, Failure, Recovered, Segment, SegmentError, Shown,
    counters::{gallery_prefixes, prefixes},
    limits::apply_limits,
    market, regenerate,
};
use crate::audit::{self, Direction, Overload, Slot, Tap};
use crate::book::{BookAgent, Books, Events, Places, Progress};
use crate::config::{Ack, Audit, Config, Idle, Topology};
use crate::gateway::{
    AuthAnswer, AuthLine, AuthRequest, Authenticator, Credential, Gateway, GatewayRings,
    GatewaySetup, Names, Outbound, Passwords, Peers, Replayer, Sightings, SnapshotMaker, Snapshots,
    UserSetup, Watchers,
};
use crate::journal::{DirectoryLock, Durable, JournalWriter};
use crate::net::Transport as _;
use crate::net::frames::Whole;
use crate::order::{Command, Event, Feedback, SeqNum, UnixNanos, UserId};
use crate::ring::{Bell, Consumer, Producer};
use crate::risk::{Outlets, RiskAgent};
use crate::runtime::{
    Bed, BlockPool, Clock, Counters, DiskWatch, IdleStrategy, Record, Worker, allowed_cores,
};
use crate::wire::Protocol;

/// Records on their way to the log.
const RECORDS_MAX: usize = 1024;
/// Logins on their way to or from a password helper.
const LOGINS_MAX: usize = 4;
/// Replays asked for.
const REPLAYS_MAX: usize = 64;
/// Pieces of replays on their way.
const CHUNKS_MAX: usize = 256;
/// Frames of the feed's on their way to a driver.
const FRAMES_RING: usize = 256;
/// Commands on their way to the disk.
const JOURNAL_RING: usize = 65_536;
/// Slots on their way to the audit file.
const AUDIT_RING: usize = 65_536;

/// Where the threads sleep. The bells that wake them are rung by the rings they read.
struct Beds {
    /// One for each gateway; the first is the inline agent's.
    gateways: Vec<Bed>,
    gallery: Option<Bed>,
    snapshots: Bed,
    risk: Bed,
    books: Vec<Bed>,
    journal: Bed,
    logins: Vec<Bed>,
    replays: Vec<Bed>,
    logs: Vec<Bed>,
    audit: Bed,
}

impl Beds {
    fn new(
        gateways: usize,
        gallery: bool,
        books: usize,
        login_helpers: usize,
    ) -> Result<Beds, SegmentError> {
        let beside = |_| Bed::beside_sockets().map_err(super::system("make an eventfd".into()));
        let of = |count: usize| (0..count).map(|_| Bed::new()).collect();
        let own = (0..gateways).map(beside).collect::<Result<_, _>>()?;
        let gateways = gateways + usize::from(gallery);
        Ok(Beds {
            gateways: own,
            gallery: gallery.then(|| beside(0)).transpose()?,
            snapshots: Bed::new(),
            risk: Bed::new(),
            books: of(books),
            journal: Bed::new(),
            logins: of(login_helpers),
            replays: of(gateways),
            logs: of(gateways),
            audit: Bed::new(),
        })
    }

    /// What wakes each gateway.
    fn gateway_bells(&self, inline: bool) -> Vec<Arc<Bell>> {
        let bell = |at: usize| self.gateways[if inline { 0 } else { at }].bell().clone();
        (0..self.gateways.len()).map(bell).collect()
    }
}

/// What every gateway of a segment has in common.
struct Common<'a> {
    config: &'a Config,
    dir: PathBuf,
    users: Vec<UserSetup>,
    names: Names,
    session_name: [u8; 10],
    shown: Shown,
    durable: Durable,
    now_ns: UnixNanos,
    stop_replays: Arc<AtomicBool>,
    stream_pool: Arc<BlockPool>,
    passwords: Arc<Passwords>,
    beds: Beds,
    inline: bool,
    /// How far the books are, if there are several.
    progress: Option<Progress>,
    /// The feed's packets are frames that the first gateway sends.
    feed_frames: bool,
    /// What new users were told at this start.
    greetings: Vec<(UserId, Vec<u8>)>,
}

/// The other ends of a gateway's rings, and its helpers.
struct Surroundings {
    frames: Option<Producer<Whole>>,
    commands: Consumer<Command>,
    /// One from each book.
    events: Vec<Producer<Event>>,
    /// One for each password helper.
    auth: Vec<(Consumer<AuthRequest>, Producer<AuthAnswer>)>,
    replayer: Replayer,
    log: LogDuty,
    audit: Option<Consumer<Slot>>,
}

/// What makes a gateway the gallery.
struct InGallery {
    watchers: Watchers,
    snapshots: Snapshots,
}

impl Common<'_> {
    /// A gateway and what surrounds it. The first has all streams.
    fn gateway(
        &self,
        number: usize,
        transport: AnyTransport,
        peers: Peers,
        streams: &mut [Option<Outbound>],
        gallery: Option<InGallery>,
    ) -> (Gateway<AnyTransport>, Surroundings) {
        let capacity = *self.config.gateway.ring_capacity.get_ref();
        let (mut commands_tx, commands, _) = ring(capacity, Command::EMPTY);
        let in_gallery = gallery.is_some();
        let bell = match &self.beds.gallery {
            Some(bed) if in_gallery => bed.bell(),
            _ => &self.beds.gateway_bells(self.inline)[number],
        };
        match (self.inline, in_gallery) {
            (true, false) => {}
            (true, true) => commands_tx.set_bell(self.beds.gateways[0].bell()),
            (false, _) => commands_tx.set_bell(self.beds.risk.bell()),
        }
        // The gallery's are of its own book.
        let progress = self.progress.clone().filter(|_| !in_gallery);
        let books = if progress.is_some() { self.beds.books.len() } else { 1 };
        let from_book = |_| {
            let (mut events, events_rx, _) = ring(capacity, Event::EMPTY);
            if !self.inline && !in_gallery {
                events.set_bell(bell);
            }
            (events, events_rx)
        };
        let (events, mut events_rx): (Vec<_>, Vec<_>) = (0..books).map(from_book).unzip();
        let events_rx = match progress {
            Some(progress) => Events::several(events_rx, progress),
            None => Events::one(events_rx.remove(0)),
        };
        let (mut auth, mut auth_ends) = (vec![], vec![]);
        for bed in &self.beds.logins {
            let (mut requests, requests_end, _) = ring(LOGINS_MAX, AuthRequest::EMPTY);
            let (mut answers_end, answers, _) = ring(LOGINS_MAX, AuthAnswer::EMPTY);
            requests.set_bell(bed.bell());
            answers_end.set_bell(bell);
            auth.push(AuthLine { requests, answers });
            auth_ends.push((requests_end, answers_end));
        }
        let (mut replay_tx, replay_rx, _) = ring(REPLAYS_MAX, crate::gateway::ReplayRequest::EMPTY);
        let (mut chunk_tx, chunk_rx, _) = ring(CHUNKS_MAX, crate::gateway::Chunk::EMPTY);
        let (mut records_tx, records_rx, _) = ring(RECORDS_MAX, Record::EMPTY);
        replay_tx.set_bell(self.beds.replays[number].bell());
        chunk_tx.set_bell(bell);
        records_tx.set_bell(self.beds.logs[number].bell());
        let prefixes = if in_gallery { gallery_prefixes() } else { prefixes(number) };
        let (mut tap, audit) = self.tap(&prefixes[0]);
        for (user, packet) in self.greetings.iter().filter(|_| number == 0) {
            let Some(out) = &streams[user.index()] else { continue };
            let message = out.voice.message_of(packet);
            tap.put(Direction::Out, Some(*user), self.now_ns, message);
        }
        let takes = number == 0 || in_gallery;
        let mine = |stream: &mut Option<Outbound>| if takes { stream.take() } else { None };
        let connections_max = transport.connections_max();
        let ports = self.config.ports.iter().filter(|port| port.is_for_listeners() == in_gallery);
        let (watchers, snapshots) = gallery.map(|of| (of.watchers, of.snapshots)).unzip();
        let setup = GatewaySetup {
            users: self.users.iter().cloned().zip(streams.iter_mut().map(mine)).collect(),
            names: self.names.clone(),
            session_name: self.session_name,
            ports: ports.map(|port| wire_protocol(*port.protocol.get_ref())).collect(),
            fix_comp_id: self.config.gateway.fix_comp_id.get_ref().clone(),
            // What the gallery hears of is on disk already.
            hold_until_durable: self.config.gateway.ack == Ack::Journaled && !in_gallery,
            counters: self.shown.counters.clone(),
            counter_prefixes: prefixes,
            peers,
            tap,
            stream_pool: self.stream_pool.clone(),
            order_names_max: *self.config.gateway.order_names_max.get_ref(),
            passwords: self.passwords.clone(),
            sightings: Sightings::new(self.shown.board.clone(), number, number * connections_max),
            watchers,
            snapshots,
        };
        let (frames_tx, frames) = match self.feed_frames && number == 0 {
            true => {
                let (mut tx, rx, _) = ring(FRAMES_RING, Whole::EMPTY);
                tx.set_bell(bell);
                (Some(tx), Some(rx))
            }
            false => (None, None),
        };
        let rings = GatewayRings {
            frames,
            commands: commands_tx,
            events: events_rx,
            auth,
            replay_requests: replay_tx,
            chunks: chunk_rx,
            records: records_tx,
        };
        let again = regenerate(self.dir.clone(), self.config.clone(), self.durable.clone());
        let surroundings = Surroundings {
            frames: frames_tx,
            commands,
            events,
            auth: auth_ends,
            replayer: Replayer::new(again, replay_rx, chunk_tx, self.stop_replays.clone()),
            log: LogDuty::new(records_rx),
            audit,
        };
        (Gateway::new(transport, setup, rings), surroundings)
    }
}

impl Common<'_> {
    /// Where a gateway leaves its messages, and where the audit file's writer finds them.
    fn tap(&self, prefix: &str) -> (Tap, Option<Consumer<Slot>>) {
        let dropped = self.shown.counters.get(&format!("{prefix}.audit_dropped"));
        let overload = match self.config.gateway.audit {
            Audit::Off => return (Tap::new(None, Overload::DropAndCount, dropped), None),
            Audit::Block => Overload::Block,
            Audit::DropAndCount => Overload::DropAndCount,
        };
        let (mut tx, rx, _) = ring(AUDIT_RING, Slot::EMPTY);
        tx.set_bell(self.beds.audit.bell());
        (Tap::new(Some(tx), overload, dropped), Some(rx))
    }

    /// The audit file's writer, if there is one.
    fn auditor(&self, rings: Vec<Consumer<Slot>>) -> Result<Option<audit::Writer>, SegmentError> {
        if rings.is_empty() {
            return Ok(None);
        }
        let name = |user: &UserSetup| {
            let fix = matches!(user.protocol, Protocol::Fix(_));
            let name = if fix { &user.comp_id } else { &user.name };
            (name.clone(), user.protocol.name())
        };
        let names = self.users.iter().map(name).collect();
        let dir = self.config.audit_dir();
        let bytes_max = *self.config.gateway.audit_file_bytes.get_ref();
        let [written, lost] =
            ["audit.written", "audit.lost"].map(|name| self.shown.counters.get(name));
        let writer = audit::Writer::new(&dir, bytes_max, rings, names, written, lost);
        let what = format!("write audit files into {}", dir.display());
        Ok(Some(writer.map_err(super::system(what))?))
    }
}

/// Builds everything on top of what was recovered, and sets the threads going once `before_threads`
/// was called.
pub(super) fn assemble(
    config: &Config,
    dir: PathBuf,
    lock: DirectoryLock,
    (mut opened, mut market): (Opened, market::Opened),
    shown: Shown,
    recovered: &mut Recovered,
    before_threads: impl FnOnce() -> Result<(), SegmentError>,
) -> Result<Segment, SegmentError> {
    let clock = Clock::new();
    let counters = shown.counters.clone();
    let capacity = *config.gateway.ring_capacity.get_ref();
    let (mut to_journal, from_risk_j, backing) = ring(JOURNAL_RING, Command::EMPTY);
    let start = recovered.start();
    let recovered_commands = recovered.risk.last_seq().0;
    let session_name = start.session;
    let durable = Durable::new(SeqNum(recovered_commands));
    let mut writer = JournalWriter::open(&dir, start, from_risk_j, durable.clone())?;
    recovered.define_new(config, clock.now_ns(), |command| {
        if !to_journal.push(command) {
            // More names than the ring holds: nothing else runs yet that could be held up.
            writer.write()?;
            let pushed = to_journal.push(command);
            assert!(pushed, "the writer took what was there");
        }
        Ok(())
    })?;
    apply_limits(config, recovered);

    let inline = config.gateway.topology == Topology::Inline;
    let gateways = opened.transports.len();
    let has_gallery = market.gallery.is_some();
    let places = places(config, recovered)?;
    let helpers_wanted = login_helpers(config, gateways);
    let beds = Beds::new(gateways, has_gallery, places.books(), helpers_wanted)?;
    let bells = beds.gateway_bells(inline);
    ring_bells(&mut opened.transports, &bells);
    to_journal.set_bell(beds.journal.bell());
    let (mut to_books, mut book_ends, mut feedback_rx) = (vec![], vec![], vec![]);
    for bed in &beds.books {
        let (mut to_book, from_risk, _) = ring(capacity, Command::EMPTY);
        let (mut feedback, from_book, _) = ring(capacity, Feedback::EMPTY);
        if !inline {
            to_book.set_bell(bed.bell());
            feedback.set_bell(beds.risk.bell());
        }
        to_books.push(to_book);
        book_ends.push((from_risk, feedback));
        feedback_rx.push(from_book);
    }
    let mut recovered = recovered.take();
    let last = recovered.risk.last_seq();
    let progress = (places.books() > 1).then(|| Progress::new(places.books(), last));
    let tape = recovered.tape();
    let greetings = recovered.greetings();
    let streams = recovered.outbounds();
    let credentials: Arc<[Credential]> = recovered.dictionary.credentials(config).into();
    let users = recovered.dictionary.users.iter();
    let exact = users.map(|user| matches!(user.protocol, Protocol::Fix(_)));
    let common = Common {
        config,
        dir,
        users: recovered.dictionary.user_setups(config),
        names: recovered.dictionary.names(),
        session_name,
        shown: shown.clone(),
        durable: durable.clone(),
        now_ns: clock.now_ns(),
        stop_replays: Arc::new(AtomicBool::new(false)),
        stream_pool: recovered.stream_pool(),
        passwords: Arc::new(Passwords::new(credentials.iter().zip(exact))),
        beds,
        inline,
        progress: progress.clone(),
        feed_frames: market::leaves_by_frames(config, opened.device),
        greetings,
    };
    let Recovered { risk, book, .. } = recovered;
    let replica = tape.is_some().then(|| book.replica());
    let in_gallery = has_gallery.then(|| book.replica());
    let mut streams: Vec<Option<Outbound>> = streams.into_iter().map(Some).collect();
    let users_max = streams.len();
    let watches = |(user, stream): (&UserSetup, &mut Option<Outbound>)| {
        if user.watches.is_empty() { None } else { stream.take() }
    };
    let mut watching: Vec<_> = common.users.iter().zip(&mut streams).map(watches).collect();
    let peers = Peers::all(&bells, users_max);
    let mut gateways = Vec::new();
    let mut feed_frames = None;
    let (mut from_gateways, mut to_gateways) = (Vec::new(), Vec::<Vec<_>>::new());
    let (mut replayers, mut logs) = (Vec::new(), Vec::new());
    let mut auth: Vec<Vec<_>> = common.beds.logins.iter().map(|_| Vec::new()).collect();
    let mut audits = Vec::new();
    for (number, (transport, peers)) in opened.transports.into_iter().zip(peers).enumerate() {
        let (gateway, around) = common.gateway(number, transport, peers, &mut streams, None);
        gateways.push(gateway);
        feed_frames = feed_frames.or(around.frames);
        from_gateways.push(around.commands);
        to_gateways.push(around.events);
        auth.iter_mut().zip(around.auth).for_each(|(lines, line)| lines.push(line));
        replayers.push(around.replayer);
        logs.push(around.log);
        audits.extend(around.audit);
    }
    let mut listening = vec![];
    let (mut gallery, mut to_gallery, mut snapshots) = (None, None, None);
    if let Some(transport) = market.gallery.take() {
        listening = transport.addresses().map_err(super::system("read the ports".to_owned()))?;
        let bell = common.beds.gallery.as_ref().expect("made for it").bell();
        let (asked_tx, asked) = channel();
        let (made_tx, made) = channel();
        let make = gallery::snapshots(config, &common.dir, &durable);
        snapshots = Some(SnapshotMaker::new(make, asked, made_tx, bell.clone()));
        let in_gallery = InGallery {
            watchers: recovered.dictionary.watchers(),
            snapshots: Snapshots::new(asked_tx, common.beds.snapshots.bell().clone(), made),
        };
        let peers = Peers::all(std::slice::from_ref(bell), users_max).remove(0);
        let transport = AnyTransport::Plain(Wire::Kernel(transport));
        let (gateway, around) =
            common.gateway(gateways.len(), transport, peers, &mut watching, Some(in_gallery));
        gallery = Some(gateway);
        to_gallery = around.events.into_iter().next();
        from_gateways.push(around.commands);
        auth.iter_mut().zip(around.auth).for_each(|(lines, line)| lines.push(line));
        replayers.push(around.replayer);
        logs.push(around.log);
        audits.extend(around.audit);
    }
    let passwords = &common.passwords;
    let authenticator = |lines| Authenticator::new(credentials.clone(), passwords.clone(), lines);
    let authenticators = auth.into_iter().map(authenticator).collect();
    let books = match &progress {
        Some(progress) => Books::several(to_books, places.clone(), progress.clone(), last),
        None => Books::one(to_books.remove(0)),
    };
    let outlets = Outlets { books, journal: to_journal };
    let disk = DiskWatch::new(&config.gateway.data_dir, config.gateway.min_free_bytes);
    let risk = RiskAgent::new(risk, from_gateways, feedback_rx, outlets, disk.nearly_full());
    let mut books = Vec::new();
    for (at, (book, (commands, feedback))) in
        book.split(&places).into_iter().zip(book_ends).enumerate()
    {
        let events = to_gateways.iter_mut().map(|of_gateway| of_gateway.remove(0)).collect();
        let mut book = BookAgent::new(book, commands, events, users_max, feedback);
        if let Some(progress) = &progress {
            book.set_place(at, progress.clone(), last);
        }
        books.push(book);
    }
    let feed = match tape.zip(replica) {
        None => None,
        Some((tape, replica)) => Some(market::parts(
            config,
            market.request.take(),
            feed_frames.zip(opened.device).map(|(ring, device)| market::Frames { ring, device }),
            tape,
            &mut books,
            replica,
            &common.dir,
            &durable,
            last,
            &shown,
        )?),
    };
    let stage = in_gallery.zip(to_gallery).map(|(replica, events)| {
        let bell = common.beds.gallery.as_ref().expect("made for it").bell();
        let dir = &common.dir;
        let count = books.len();
        let (stage, listeners) =
            Stage::new(config, count, replica, events, bell, dir, &durable, last, users_max);
        let watches = |(_, user): &(UserId, &UserSetup)| !user.watches.is_empty();
        let watching: Vec<_> = (0..).map(UserId).zip(&common.users).filter(watches).collect();
        for (book, listener) in books.iter_mut().zip(listeners) {
            book.add_listener(listener);
            watching.iter().for_each(|(user, _)| book.leave_out(*user));
        }
        stage
    });
    let failure = Failure::default();
    let every_ms = (*config.gateway.flush_ms.get_ref()).into();
    let sequenced = config.gateway.ack == Ack::Sequenced;
    let rest = sequenced.then(|| Duration::from_millis(every_ms));
    let journal = JournalDuty::new(writer, disk, failure.clone(), durable.clone(), &counters, rest);
    let auditor = common.auditor(audits)?;
    let stop_replays = common.stop_replays.clone();
    let Beds {
        gateways: gateway_beds,
        gallery: gallery_bed,
        snapshots: snapshots_bed,
        risk: risk_bed,
        books: book_beds,
        journal: journal_bed,
        logins,
        replays,
        logs: log_beds,
        audit,
    } = common.beds;
    before_threads()?;
    let count = agents(config, gateways.len());
    let beside = config.gateway.agents_beside + usize::from(feed.is_some());
    let strategy = idle_strategy(config.gateway.idle, count + beside);
    // Agents that spin are not to make system calls to wake those behind them.
    let spins = strategy != IdleStrategy::Park;
    let gateways = gateways.into_iter().zip(gateway_beds).collect();
    let risk = (risk, risk_bed);
    let books = books.into_iter().zip(book_beds).collect();
    let own = (clock.clone(), strategy);
    let agents = start_agents(config, own, gateways, risk, books, &durable, &counters);
    let core = config.gateway.cores.get_ref().get(count).copied();
    let feed = feed.map(|feed| {
        feed.start(
            &clock,
            core,
            feed_strategy(config.gateway.idle, count + config.gateway.agents_beside),
        )
    });
    let gallery = gallery.zip(stage).zip(gallery_bed).map(|((gateway, stage), bed)| {
        let gateway = GatewayDuty::new(gateway, clock.clone(), durable.clone());
        let duty = GalleryDuty::new(gateway, stage);
        Worker::start("mr-gallery", None, IdleStrategy::Park, bed, duty)
    });
    let snapshots = snapshots
        .map(|maker| Worker::start("mr-snapshots", None, IdleStrategy::Rest, snapshots_bed, maker));
    let audits = if spins { IdleStrategy::Linger } else { IdleStrategy::Rest };
    let auditor = auditor.map(|writer| Worker::start("mr-audit", None, audits, audit, writer));
    let journals = if spins { IdleStrategy::Linger } else { IdleStrategy::Park };
    Ok(Segment {
        addresses: gallery::in_order(config, opened.addresses, listening),
        transport: opened.name,
        backing,
        counters,
        durable,
        failure,
        agents,
        journal: Worker::start("mr-journal", None, journals, journal_bed, journal),
        authenticators: helpers("mr-login", logins, authenticators),
        replayers: helpers("mr-replay", replays, replayers),
        stop_replays,
        logs: helpers("mr-log", log_beds, logs),
        auditor,
        feed,
        gallery,
        snapshots,
        recovered_commands,
        places,
        _lock: lock,
    })
}

/// Which book has which symbol: the one that the configuration names, the others in turn.
fn places(config: &Config, recovered: &Recovered) -> Result<Places, SegmentError> {
    let books = *config.gateway.books.get_ref();
    if books == 1 {
        return Ok(Places::one());
    }
    if !recovered.book.numbers_by_place() {
        return Err(SegmentError::Setting(format!(
            "[gateway] books = {books}: the journal in {} numbers orders over all symbols, as one book does; begin \
             a new data_dir, or leave books = 1",
            config.gateway.data_dir.display()
        )));
    }
    let wanted =
        |name: &str| config.symbols.iter().find(|symbol| symbol.name.get_ref() == name)?.book;
    let mut others = (0..books).cycle();
    let place = |entry: &SymbolEntry| match wanted(&entry.name) {
        Some(book) => book,
        None => others.next().expect("they come round"),
    };
    let of: Vec<u8> = recovered.dictionary.symbols.iter().map(place).collect();
    Ok(Places::new(books.into(), &of))
}

/// Threads that check passwords: where it is not said, one for each core that no agent has.
fn login_helpers(config: &Config, gateways: usize) -> usize {
    match usize::from(*config.gateway.login_helpers.get_ref()) {
        0 => {
            let agents = agents(config, gateways) + config.gateway.agents_beside;
            allowed_cores().len().saturating_sub(agents).clamp(1, 64)
        }
        said => said,
    }
}

/// Agents of a pipeline.
fn agents(config: &Config, gateways: usize) -> usize {
    let books = usize::from(*config.gateway.books.get_ref());
    if config.gateway.topology == Topology::Inline { 1 } else { gateways + 1 + books }
}

/// Threads that sleep most of the time.
fn helpers<D: crate::runtime::Duty>(name: &str, beds: Vec<Bed>, duties: Vec<D>) -> Vec<Worker<D>> {
    let start = |(duty, bed)| Worker::start(name, None, IdleStrategy::Rest, bed, duty);
    duties.into_iter().zip(beds).map(start).collect()
}

/// Starts the pipeline's threads as the configuration lays them out.
fn start_agents(
    config: &Config,
    (clock, strategy): (Clock, IdleStrategy),
    gateways: Vec<(Gateway<AnyTransport>, Bed)>,
    (risk, risk_bed): (RiskAgent, Bed),
    books: Vec<(BookAgent, Bed)>,
    durable: &Durable,
    counters: &Counters,
) -> Agents {
    let inline = config.gateway.topology == Topology::Inline;
    let core = |agent: usize| {
        let cores = config.gateway.cores.get_ref();
        (!cores.is_empty()).then(|| cores[agent % cores.len()])
    };
    let duty = |gateway| GatewayDuty::new(gateway, clock.clone(), durable.clone());
    let (gateways, beds): (Vec<_>, Vec<_>) = gateways.into_iter().unzip();
    let gateways: Vec<_> = gateways.into_iter().map(duty).collect();
    let mut beds = beds.into_iter();
    let risk = RiskDuty::new(risk, clock.clone(), counters);
    let (books, book_beds): (Vec<_>, Vec<_>) = books.into_iter().unzip();
    let books: Vec<_> = books.into_iter().map(BookDuty::new).collect();
    if inline {
        let duty = InlineDuty { gateways, risk, books };
        let bed = beds.next().expect("at least one gateway");
        return Agents::Inline(Worker::start("mr-inline", core(0), strategy, bed, duty));
    }
    let count = gateways.len();
    let start = |(at, (gateway, bed))| {
        let name = if count == 1 { "mr-gateway".to_owned() } else { format!("mr-gateway{at}") };
        Worker::start(&name, core(at), strategy, bed, gateway)
    };
    let several = books.len() > 1;
    let start_book = |(at, (book, bed))| {
        let name = if several { format!("mr-book{at}") } else { "mr-book".to_owned() };
        Worker::start(&name, core(count + 1 + at), strategy, bed, book)
    };
    Agents::Pipeline {
        gateways: gateways.into_iter().zip(beds).enumerate().map(start).collect(),
        risk: Worker::start("mr-risk", core(count), strategy, risk_bed, risk),
        books: books.into_iter().zip(book_beds).enumerate().map(start_book).collect(),
    }
}

/// The feed spins where there is a core for it beside the agents' and the journal's, and nowhere else: what it
/// takes from those who trade is more than it gains.
fn feed_strategy(idle: Idle, agents: usize) -> IdleStrategy {
    let spare = allowed_cores().len() > agents + 2;
    match idle_strategy(idle, agents) {
        IdleStrategy::Spin | IdleStrategy::SpinThenPark if !spare => IdleStrategy::Park,
        strategy => strategy,
    }
}

/// Spinning is for machines that have a core for every agent, one for the journal, and one for
/// the rest.
fn idle_strategy(idle: Idle, agents: usize) -> IdleStrategy {
    match idle {
        Idle::Auto if allowed_cores().len() > agents + 1 => IdleStrategy::SpinThenPark,
        Idle::Auto => IdleStrategy::Park,
        Idle::Spin => IdleStrategy::Spin,
        Idle::Yield => IdleStrategy::Yield,
        Idle::Park => IdleStrategy::Park,
    }
}
