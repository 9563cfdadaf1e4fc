//! Rings, agents and threads of a segment.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::agents::{GatewayDuty, JournalDuty};
use super::dictionary::SymbolEntry;
use super::gallery::{self, GalleryDuty, Stage};
use super::gateways::{Beds, Common, InGallery};
use super::limits::apply_limits;
use super::memory::ring;
use super::threads::{agents, feed_strategy, helpers, idle_strategy, login_helpers, start_agents};
use super::transport::{AnyTransport, Opened, Wire, ring_bells};
use super::{Failure, Recovered, Segment, SegmentError, Shown, market, quotes, recovery, venues};
use crate::book::{BookAgent, Books, Places, Progress};
use crate::config::{Ack, Config, Topology};
use crate::gateway::{
    Authenticator, Credential, Outbound, Passwords, Peers, SnapshotMaker, Snapshots, UserSetup,
};
use crate::journal::{DirectoryLock, Durable, JournalWriter, Kept};
use crate::order::{Command, Feedback, SeqNum, UserId};
use crate::ring::{Consumer, Producer};
use crate::risk::{Outlets, RiskAgent};
use crate::runtime::{Backing, Clock, DiskWatch, IdleStrategy, Worker};
use crate::wire::Protocol;

/// Commands on their way to the disk.
const JOURNAL_RING: usize = 65_536;

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
    let start = recovered.start();
    let kept = recovery::kept(config, (start.session, start.begun_ns));
    let (kept, mut to_journal, from_risk_j) = journal_ring(config, kept, recovered.left())?;
    let recovered_commands = recovered.risk.last_seq().0;
    let session_name = start.session;
    let durable = Durable::new(SeqNum(recovered_commands));
    let mut writer = JournalWriter::open(&dir, start, from_risk_j, durable.clone())?;
    // Nothing is acknowledged before it is on disk what a crash left.
    while writer.write()? > 0 {}
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
    let calling = venues::open(config)?;
    let gateways = opened.transports.len() + usize::from(calling.is_some());
    let has_gallery = market.gallery.is_some();
    let places = places(config, recovered)?;
    let helpers_wanted = login_helpers(config, gateways);
    let beds = Beds::new(gateways, has_gallery, places.books(), helpers_wanted)?;
    let bells = beds.gateway_bells(inline);
    ring_bells(&mut opened.transports, &bells);
    let calls = calling.is_some().then_some(opened.transports.len());
    opened.transports.extend(calling.map(Wire::Kernel).map(AnyTransport::Plain));
    to_journal.set_bell(beds.journal.bell());
    let (mut to_books, mut book_ends, mut feedback_rx) = (vec![], vec![], vec![]);
    let mut backing = Backing::Pages;
    for bed in &beds.books {
        let (mut to_book, from_risk, made_of) = ring(capacity, Command::EMPTY);
        backing = made_of;
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
        calls,
        venues: venues::setups(config, &recovered.dictionary),
    };
    let quotes = quotes::open(config, &recovered.dictionary, &recovered.risk, &shown)?;
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
    let mut risk = RiskAgent::new(risk, from_gateways, feedback_rx, outlets, disk.nearly_full());
    if let Some(gateway) = calls {
        risk.hear_first(gateway);
    }
    let mut books = Vec::new();
    for (at, (book, (commands, feedback))) in
        book.split(&places).into_iter().zip(book_ends).enumerate()
    {
        let events = to_gateways.iter_mut().map(|of_gateway| of_gateway.remove(0)).collect();
        let mut book = BookAgent::new(book, commands, events, users_max, feedback);
        for user in &recovered.dictionary.venues {
            book.tell_at(*user, calls.unwrap_or(0));
        }
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
    // Where answers wait for the disk, being woken is little beside it; naps would be more.
    let journals = if spins && sequenced { IdleStrategy::Linger } else { IdleStrategy::Rest };
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
        quotes: quotes.into_iter().map(quotes::QuotesDuty::start).collect(),
        recovered_commands,
        places,
        kept,
        _lock: lock,
    })
}

type JournalRing = (Option<Kept>, Producer<Command>, Consumer<Command>);

/// The ring to the journal, which begins with what a crash left. Where answers do not wait for the disk, it outlives the
/// process.
fn journal_ring(
    config: &Config,
    kept: Option<Kept>,
    left: &[Command],
) -> Result<JournalRing, SegmentError> {
    if !left.is_empty() {
        tracing::warn!(
            commands = left.len(),
            "a crash left what was not on disk yet: it is carried out and written"
        );
    }
    let dir = config.gateway.crash_dir.display();
    let wanted = config.gateway.ack == Ack::Sequenced || !left.is_empty();
    if let Some(mut kept) = kept {
        if !wanted {
            kept.clear();
        } else {
            match kept.ring(JOURNAL_RING, left) {
                Ok((commands, reader)) => return Ok((Some(kept), commands, reader)),
                Err(why) if left.is_empty() => {
                    // What is there from before would pass for what this process leaves.
                    kept.clear();
                    tracing::warn!(
                        "[gateway] crash_dir = \"{dir}\": {why}; a crash of this process may lose what is not on \
                         disk yet, {} ms of it",
                        config.gateway.flush_ms.get_ref()
                    );
                }
                Err(why) => {
                    return Err(super::system(format!("keep what a crash left in {dir}"))(why));
                }
            }
        }
    }
    let (commands, reader, _) = ring(JOURNAL_RING, Command::EMPTY);
    Ok((None, commands, reader))
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
