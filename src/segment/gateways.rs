//! The gateways of a segment: their rings, their helpers, and where everybody sleeps.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::agents::LogDuty;
use super::counters::{gallery_prefixes, line_prefixes, prefixes};
use super::dictionary::wire_protocol;
use super::memory::ring;
use super::transport::AnyTransport;
use super::{SegmentError, Shown, regenerate};
use crate::audit::{self, Direction, Overload, Slot, Tap};
use crate::book::{Events, Progress};
use crate::config::{Ack, Audit, Config, Mischief};
use crate::gateway::{
    AuthAnswer, AuthLine, AuthRequest, Gateway, GatewayRings, GatewaySetup, MischiefSetup, Names,
    Outbound, Passwords, Peers, Replayer, Sightings, Snapshots, UserSetup, VenueSetup, Watchers,
};
use crate::journal::Durable;
use crate::net::frames::Whole;
use crate::order::{Command, Event, UnixNanos, UserId};
use crate::ring::{Bell, Consumer, Producer};
use crate::runtime::{Bed, BlockPool, Record};
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
/// Slots on their way to the audit file.
const AUDIT_RING: usize = 65_536;

/// Where the threads sleep. The bells that wake them are rung by the rings they read.
pub(super) struct Beds {
    /// One for each gateway; the first is the inline agent's.
    pub gateways: Vec<Bed>,
    pub gallery: Option<Bed>,
    pub snapshots: Bed,
    pub risk: Bed,
    pub books: Vec<Bed>,
    pub journal: Bed,
    pub logins: Vec<Bed>,
    pub replays: Vec<Bed>,
    pub logs: Vec<Bed>,
    pub audit: Bed,
}

impl Beds {
    pub fn new(
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
    pub fn gateway_bells(&self, inline: bool) -> Vec<Arc<Bell>> {
        let bell = |at: usize| self.gateways[if inline { 0 } else { at }].bell().clone();
        (0..self.gateways.len()).map(bell).collect()
    }
}

/// What every gateway of a segment has in common.
pub(super) struct Common<'a> {
    pub config: &'a Config,
    pub dir: PathBuf,
    pub users: Vec<UserSetup>,
    pub names: Names,
    pub session_name: [u8; 10],
    pub shown: Shown,
    pub durable: Durable,
    pub now_ns: UnixNanos,
    pub stop_replays: Arc<AtomicBool>,
    pub stream_pool: Arc<BlockPool>,
    pub passwords: Arc<Passwords>,
    pub beds: Beds,
    pub inline: bool,
    /// How far the books are, if there are several.
    pub progress: Option<Progress>,
    /// The feed's packets are frames that the first gateway sends.
    pub feed_frames: bool,
    /// What new users were told at this start.
    pub greetings: Vec<(UserId, Vec<u8>)>,
    /// The number of the gateway that calls venues, if there are any, and whom it calls.
    pub calls: Option<usize>,
    pub venues: Vec<VenueSetup>,
}

/// The other ends of a gateway's rings, and its helpers.
pub(super) struct Surroundings {
    pub frames: Option<Producer<Whole>>,
    pub commands: Consumer<Command>,
    /// One from each book.
    pub events: Vec<Producer<Event>>,
    /// One for each password helper.
    pub auth: Vec<(Consumer<AuthRequest>, Producer<AuthAnswer>)>,
    pub replayer: Replayer,
    pub log: LogDuty,
    pub audit: Option<Consumer<Slot>>,
}

/// What a gateway for tests does.
fn mischief(of: &Mischief) -> MischiefSetup {
    MischiefSetup {
        seed: of.seed,
        delay_ns: u64::from(of.delay_us) * 1_000,
        reject_ppm: of.reject_ppm,
        bust_ppm: of.bust_ppm,
        disconnect_ppm: of.disconnect_ppm,
    }
}

/// What makes a gateway the gallery.
pub(super) struct InGallery {
    pub watchers: Watchers,
    pub snapshots: Snapshots,
}

impl Common<'_> {
    /// A gateway and what surrounds it. The first has all streams, but for those of venues.
    pub fn gateway(
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
        let calls = self.calls == Some(number);
        let prefixes = match (in_gallery, calls) {
            (true, _) => gallery_prefixes(),
            (false, true) => line_prefixes(),
            (false, false) => prefixes(number),
        };
        let (mut tap, audit) = self.tap(&prefixes[0]);
        for (user, packet) in self.greetings.iter().filter(|_| number == 0) {
            let Some(out) = &streams[user.index()] else { continue };
            let message = out.voice.message_of(packet);
            tap.put(Direction::Out, Some(*user), self.now_ns, message);
        }
        let takes = |user: &UserSetup| match self.calls {
            _ if in_gallery => true,
            None => number == 0,
            Some(_) => calls == user.venue && (number == 0 || calls),
        };
        let mine = |(user, stream): (&UserSetup, &mut Option<Outbound>)| {
            let stream = if takes(user) { stream.take() } else { None };
            (user.clone(), stream)
        };
        let ports = self.config.ports.iter().filter(|port| port.is_for_listeners() == in_gallery);
        let (watchers, snapshots) = gallery.map(|of| (of.watchers, of.snapshots)).unzip();
        let setup = GatewaySetup {
            users: self.users.iter().zip(streams).map(mine).collect(),
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
            sightings: Sightings::new(self.shown.board.clone(), number, self.first_place(number)),
            watchers,
            snapshots,
            venues: if calls { self.venues.clone() } else { vec![] },
            mischief: self.config.mischief.as_ref().map(|of| mischief(of.get_ref())),
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
    /// The place on the board of a gateway's first connection: those of venues come last.
    fn first_place(&self, number: usize) -> usize {
        let each = *self.config.gateway.max_connections.get_ref() as usize;
        let before = match self.calls {
            Some(calls) if number == calls => self.beds.gateways.len() - 1 + self.galleries(),
            Some(calls) if number > calls => number - 1,
            _ => number,
        };
        before * each
    }

    fn galleries(&self) -> usize {
        usize::from(self.beds.gallery.is_some())
    }

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
    pub fn auditor(
        &self,
        rings: Vec<Consumer<Slot>>,
    ) -> Result<Option<audit::Writer>, SegmentError> {
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
