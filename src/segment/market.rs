//! The feed's parts and threads.

use std::net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::agents::{FeedDuty, PastDuty, RequestsDuty};
use super::memory::{listening, ring};
use super::transport::Device;
use super::{SegmentError, Shown, gallery, system};
use crate::book::{Book, BookAgent};
use crate::config::{self, Ack, Config, TransportKind};
use crate::feed::{
    self, FeedAgent, FeedSetup, Follower, History, MTU_MIN, Packets, Past, PastRequest, Requests,
    RequestsSetup, Ring, Tape, UDP_BYTES, Way,
};
use crate::journal::Durable;
use crate::net::frames::{WHOLE_BYTES, Whole};
use crate::net::kernel::{Datagrams, KernelTransport};
use crate::net::packet::ETHERNET_BYTES;
use crate::net::packet::udp::Group;
use crate::order::{SYMBOLS_MAX, SeqNum};
use crate::ring::region::{Place, RegionError, Terms, publish};
use crate::ring::{Producer, broadcast};
use crate::runtime::{Bed, Clock, IdleStrategy, Worker};
use crate::wire::soupbin::pad;

const _: () = assert!(config::FEED_MTU_MIN == MTU_MIN, "what is checked is what is needed");

/// Commands on their way to a listener.
pub(super) const LISTENER_RING: usize = 65_536;
/// Events in the ring for this host.
const EVENTS_RING: usize = 65_536;
/// What the ring of events is called, behind the name of the messages' own.
const EVENTS: &str = "-events";
/// How long the feed may take to tell the rest.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What needs a privilege, if anything here does.
pub(super) struct Opened {
    /// Where lost messages are asked for.
    pub request: Option<UdpSocket>,
    /// The ports of those who only listen.
    pub gallery: Option<KernelTransport>,
}

/// Opens the port for requests, and those of the gallery.
pub(super) fn open(config: &Config) -> Result<Opened, SegmentError> {
    let wanted = config.feed.as_ref().and_then(|feed| feed.request.as_ref());
    let bind = |address: &toml::Spanned<std::net::SocketAddr>| {
        let address = address.get_ref();
        UdpSocket::bind(address).map_err(system(format!("listen for [feed] request on {address}")))
    };
    Ok(Opened { request: wanted.map(bind).transpose()?, gallery: gallery::open(config)? })
}

/// The book's capacity, for whoever has a book of its own.
pub fn book_capacity(config: &Config) -> crate::book::Capacity {
    crate::book::Capacity { orders: *config.gateway.max_orders.get_ref(), symbols: SYMBOLS_MAX }
}

/// The feed at its beginning, for recovery to tell it everything; nothing if there is none.
///
/// Where the gateway before was ahead of its disk when it died, and what it sequenced is `lost`, it told what the journal
/// may not have: the feed then begins a new session.
pub(super) fn tape(
    config: &Config,
    journal: [u8; 10],
    lost: bool,
) -> Result<Option<Tape>, SegmentError> {
    let Some(feed) = &config.feed else { return Ok(None) };
    let session = session(config, journal, lost)?;
    let keep = *feed.keep.get_ref();
    let ring = match place(config, "")? {
        None => {
            let bytes = broadcast::bytes_for::<feed::Told>(keep);
            Ring::Own(broadcast::in_memory(keep, super::memory::region(bytes)).0)
        }
        Some(place) => Ring::Shared(publish(&place, &terms(config, keep)?).map_err(shared)?),
    };
    Ok(Some(Tape::new(ring, session, journal)))
}

/// Name of the feed's session: the configuration's, or the journal's, or the one that came after it.
fn session(config: &Config, journal: [u8; 10], lost: bool) -> Result<[u8; 10], SegmentError> {
    let named = config.feed.as_ref().map_or("", |feed| feed.session.get_ref());
    if !named.is_empty() {
        if lost {
            tracing::warn!(
                session = named,
                "the gateway died with ack = \"sequenced\": messages that were told may be numbered anew; \
                 give the feed another session"
            );
        }
        return Ok(pad(named.as_bytes()));
    }
    let path = config.gateway.data_dir.join("feed-session");
    let kept = std::fs::read(&path).ok().and_then(|name| name.try_into().ok());
    let mut name: [u8; 10] = kept.unwrap_or(journal);
    if lost {
        // The next two letters: MR, MS, ... MZ, NA.
        name[1] = if name[1] < b'Z' { name[1] + 1 } else { b'A' };
        name[0] += u8::from(name[1] == b'A');
        std::fs::write(&path, name).map_err(system(format!("write {}", path.display())))?;
        tracing::warn!(
            session = %String::from_utf8_lossy(&name),
            "the gateway died with ack = \"sequenced\": the feed begins a new session"
        );
    }
    Ok(name)
}

/// Whether the gateway that wrote the counters at `path` died ahead of its disk.
pub(super) fn was_ahead(path: &Path) -> bool {
    let counters = crate::runtime::counters::read_file(path).unwrap_or_default();
    counters.iter().any(|(name, value)| name == feed::AHEAD_OF_DISK && *value > 0)
}

fn shared(error: RegionError) -> SegmentError {
    SegmentError::Setting(format!("[feed] ring: {error}"))
}

fn place(config: &Config, behind: &str) -> Result<Option<Place>, SegmentError> {
    let Some(feed) = &config.feed else { return Ok(None) };
    let named = |name: &toml::Spanned<String>| {
        Place::new(&feed.ring_dir, &format!("{}{behind}", name.get_ref())).map_err(shared)
    };
    feed.ring.as_ref().map(named).transpose()
}

/// Whoever may read the data folder may read the rings.
fn terms(config: &Config, capacity: usize) -> Result<Terms, SegmentError> {
    let readers = super::readers(config)?;
    let mode = if config.gateway.group.is_some() { 0o640 } else { 0o600 };
    Ok(Terms { capacity, mode, group: readers.gid() })
}

/// The feed's threads, not yet started.
pub(super) struct Parts {
    agent: FeedAgent,
    bed: Bed,
    server: Option<(Requests, Past, Bed)>,
}

/// Puts the feed together behind the books, as all were recovered.
#[allow(clippy::too_many_arguments, reason = "what a segment has in common")]
pub(super) fn parts(
    config: &Config,
    request: Option<UdpSocket>,
    frames: Option<Frames>,
    mut tape: Tape,
    books: &mut [BookAgent],
    replica: Book,
    dir: &Path,
    durable: &Durable,
    last: SeqNum,
    shown: &Shown,
) -> Result<Parts, SegmentError> {
    let feed = config.feed.as_ref().expect("there is a tape where there is a feed");
    let bed = Bed::new();
    let (listeners, heard) = listening(books.len(), LISTENER_RING, bed.bell());
    books.iter_mut().zip(listeners).for_each(|(book, listener)| book.add_listener(listener));
    let hold = config.gateway.ack == Ack::Journaled;
    let follower = Follower::new(heard, dir, durable.clone(), hold, last);
    let (session, mtu) = (tape.session(), *feed.mtu.get_ref());
    let packets = if feed.lines.get_ref().is_empty() {
        None
    } else {
        let opened = way(config, frames).and_then(|way| {
            Packets::open(way, mtu, session, tape.next()).map_err(|error| no_way(config, &error))
        });
        Some(opened?)
    };
    let server = match request {
        None => None,
        Some(socket) => {
            let bed = Bed::new();
            let (mut to_past, requests, _) = ring(PastRequest::RING, PastRequest::EMPTY);
            to_past.set_bell(bed.bell());
            let setup = RequestsSetup {
                socket,
                session,
                tag: tape.tag(),
                ring: tape.subscriber(),
                next: tape.next(),
                packet_bytes: mtu - UDP_BYTES,
                per_second: *feed.requests_per_second.get_ref(),
                past: to_past,
                counters: shown.counters.clone(),
            };
            let what = || system("answer [feed] request".to_owned());
            let server = Requests::new(setup).map_err(what())?;
            let history = History::new(dir.to_owned(), book_capacity(config), durable.clone());
            let past = Past::new(&server, requests, history).map_err(what())?;
            Some((server, past, bed))
        }
    };
    let events = match place(config, EVENTS)? {
        None => None,
        Some(place) => Some(publish(&place, &terms(config, EVENTS_RING)?).map_err(shared)?),
    };
    let counters = shown.counters.clone();
    let setup = FeedSetup { follower, book: replica, tape, packets, events, counters };
    Ok(Parts { agent: FeedAgent::new(setup), bed, server })
}

/// The way onto a device: who sends frames there, and what stands in them.
pub(super) struct Frames {
    pub ring: Producer<Whole>,
    pub device: Device,
}

/// Whether the feed's packets are frames of the transport's: those to multicast groups are.
pub(super) fn leaves_by_frames(config: &Config, device: Option<Device>) -> bool {
    let multicast = |feed: &config::Feed| {
        let lines = feed.lines.get_ref();
        !lines.is_empty() && lines.iter().all(|line| line.is_ipv4() && line.ip().is_multicast())
    };
    device.is_some() && config.feed.as_ref().is_some_and(multicast)
}

/// Where packets leave: by the transport's own frames, or by a socket.
fn way(config: &Config, frames: Option<Frames>) -> Result<Way, SegmentError> {
    let feed = config.feed.as_ref().expect("it has lines");
    let (lines, hops) = (feed.lines.get_ref(), *feed.hops.get_ref());
    let by = feed.interface.as_ref().map(|interface| *interface.get_ref());
    let Some(Frames { ring, device }) = frames else {
        if *config.gateway.transport.get_ref() == TransportKind::Dpdk {
            tracing::info!("the feed's lines are not multicast over IPv4: the kernel sends them");
        }
        let opened = Datagrams::open(lines, by, hops).map(Way::Kernel);
        return opened.map_err(|error| no_way(config, &error));
    };
    let setting = |what: String| SegmentError::Setting(format!("[feed] {what}"));
    let mtu = *feed.mtu.get_ref();
    let most = device.mtu.min(WHOLE_BYTES - ETHERNET_BYTES);
    if mtu > most {
        return Err(setting(format!("mtu = {mtu}, and the device carries {most}")));
    }
    let trading = config.ports.iter().find(|port| !port.is_for_listeners());
    let own = trading.map(|port| port.listen.get_ref().ip());
    let Some(IpAddr::V4(own)) = by.or(own) else {
        return Err(setting("interface has to be the device's address of IPv4".to_owned()));
    };
    let group = |line: &SocketAddr| match line {
        SocketAddr::V4(line) => {
            let from = SocketAddrV4::new(own, line.port());
            Some(Group::new(device.mac, from, *line, hops as u8))
        }
        SocketAddr::V6(_) => None,
    };
    Ok(Way::Frames { ring, lines: lines.iter().filter_map(group).collect() })
}

/// What a line that leads nowhere needs.
fn no_way(config: &Config, error: &std::io::Error) -> SegmentError {
    let feed = config.feed.as_ref().expect("it has lines");
    let lines: Vec<String> = feed.lines.get_ref().iter().map(ToString::to_string).collect();
    let hint = match &feed.interface {
        None => "name the address it leaves by, [feed] interface = \"...\"".to_owned(),
        Some(by) => format!("is {} an address of this host, and does it reach them?", by.get_ref()),
    };
    SegmentError::Setting(format!(
        "[feed] lines: cannot send to {}: {error}; {hint}",
        lines.join(" and ")
    ))
}

/// The feed, running.
pub(super) struct Running {
    agent: Worker<FeedDuty>,
    server: Option<(Worker<RequestsDuty>, Worker<PastDuty>)>,
}

impl Parts {
    /// Sets the threads going.
    pub fn start(self, clock: &Clock, core: Option<usize>, strategy: IdleStrategy) -> Running {
        let duty = FeedDuty::new(self.agent, clock.clone());
        let agent = Worker::start("mr-feed", core, strategy, self.bed, duty);
        let server = self.server.map(|(server, past, bed)| {
            let duty = RequestsDuty::new(server, clock.clone());
            // It waits for its socket, whatever its turns are.
            let server = Worker::start("mr-requests", None, IdleStrategy::Spin, Bed::new(), duty);
            let past = Worker::start("mr-past", None, IdleStrategy::Rest, bed, PastDuty::new(past));
            (server, past)
        });
        Running { agent, server }
    }
}

impl Running {
    /// Tells what is left to tell, and that it was all.
    pub fn stop(self) {
        let mut duty = self.agent.join();
        let started = Instant::now();
        while !duty.is_idle() && started.elapsed() < DRAIN_MAX {
            if crate::runtime::Duty::poll(&mut duty) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        duty.end();
        if let Some((server, past)) = self.server {
            drop(server.join());
            drop(past.join());
        }
    }
}
