//! One segment put together: its agents, its rings, its threads, its recovery.
//!
//! A segment is one sequencer, one set of symbols, one journal and one deterministic pipeline.
//! [`Segment::start`] recovers what the journal holds, tells it of whatever is new in the
//! configuration, and sets the agents going; [`Segment::stop`] ends sessions, lets the pipeline
//! run dry and closes the journal.

mod agents;
mod assemble;
mod counters;
mod dictionary;
mod gallery;
mod gateways;
mod limits;
mod market;
mod memory;
mod quotes;
mod recovery;
mod stop;
mod threads;
mod transport;
mod venues;

#[cfg(test)]
mod tests;

pub use dictionary::{Dictionary, SymbolEntry, UserEntry};
pub use market::book_capacity;
pub use memory::frame_memory;
pub use recovery::{Recovered, StateHash, recover, regenerate};
pub use stop::Stopped;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::book::Places;
use crate::config::{Audit, Config};
use crate::gateway::{Authenticator, Replayer, SnapshotMaker};
use crate::journal::{DirectoryLock, Durable, JournalError, Kept};
use crate::net::Transport as _;
use crate::runtime::{Backing, Board, Clock, Counters, Readers, Worker};
use agents::{BookDuty, GatewayDuty, InlineDuty, JournalDuty, LogDuty, RiskDuty};
use transport::AnyTransport;

/// Why a segment does not start.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// AF_XDP.
    #[error(transparent)]
    AfXdp(#[from] crate::net::af_xdp::AfXdpError),
    /// DPDK.
    #[cfg(feature = "dpdk")]
    #[error(transparent)]
    Dpdk(#[from] crate::net::dpdk::DpdkError),
    /// The user to run as.
    #[error(transparent)]
    Privileges(#[from] crate::runtime::PrivilegesError),
    /// A setting that does not fit the machine.
    #[error("{0}")]
    Setting(String),
    /// The configuration does not fit the journal.
    #[error("{0}")]
    Dictionary(String),
    /// The system.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A running segment.
pub struct Segment {
    addresses: Vec<SocketAddr>,
    transport: String,
    backing: Backing,
    counters: Counters,
    durable: Durable,
    failure: Failure,
    agents: Agents,
    journal: Worker<JournalDuty>,
    authenticators: Vec<Worker<Authenticator>>,
    /// One for every gateway.
    replayers: Vec<Worker<Replayer>>,
    stop_replays: Arc<AtomicBool>,
    logs: Vec<Worker<LogDuty>>,
    auditor: Option<Worker<crate::audit::Writer>>,
    feed: Option<market::Running>,
    gallery: Option<Worker<gallery::GalleryDuty<AnyTransport>>>,
    snapshots: Option<Worker<SnapshotMaker>>,
    /// One for every venue whose market data is followed.
    quotes: Vec<Worker<quotes::QuotesDuty>>,
    recovered_commands: u64,
    places: Places,
    /// What outlives a crash.
    kept: Option<Kept>,
    _lock: DirectoryLock,
}

/// The pipeline's threads.
enum Agents {
    Inline(Worker<InlineDuty<AnyTransport>>),
    Pipeline {
        gateways: Vec<Worker<GatewayDuty<AnyTransport>>>,
        risk: Worker<RiskDuty>,
        books: Vec<Worker<BookDuty>>,
    },
}

/// Why the segment cannot go on, if it cannot.
#[derive(Clone, Default)]
struct Failure {
    set: Arc<AtomicBool>,
    why: Arc<Mutex<String>>,
}

impl Failure {
    fn set(&self, why: String) {
        *self.why.lock().expect("nobody panics holding it") = why;
        self.set.store(true, Ordering::Release);
    }

    fn get(&self) -> Option<String> {
        let set = self.set.load(Ordering::Acquire);
        set.then(|| self.why.lock().expect("nobody panics holding it").clone())
    }
}

/// Where the journal of a data directory lies.
pub fn journal_dir(config: &Config) -> PathBuf {
    config.gateway.data_dir.join("journal")
}

/// What others may look at while the segment runs.
#[derive(Clone)]
struct Shown {
    counters: Counters,
    board: Board,
}

impl Segment {
    /// Recovers and starts. Connections are accepted when this returns.
    pub fn start(config: &Config) -> Result<Segment, SegmentError> {
        let segment = Segment::start_as(std::slice::from_ref(config), false)?.pop();
        Ok(segment.expect("one for each configuration"))
    }

    /// The same in a process that is the gateway's alone, for each of its segments: with `[gateway] confine`, this
    /// thread and those of the segments can do no more from then on than a gateway does.
    pub fn start_alone(configs: &[Config]) -> Result<Vec<Segment>, SegmentError> {
        Segment::start_as(configs, true)
    }

    fn start_as(configs: &[Config], alone: bool) -> Result<Vec<Segment>, SegmentError> {
        // What needs privileges comes first, and they are given up before anything is written.
        let open =
            |config| Ok((transport::open(&Config::for_trading(config))?, market::open(config)?));
        let opened = configs.iter().map(open).collect::<Result<Vec<_>, SegmentError>>()?;
        for config in configs {
            give_folders(config)?;
        }
        if let Some(user) = configs.iter().find_map(|config| config.gateway.user.as_ref()) {
            crate::runtime::drop_privileges(user.get_ref())?;
        }
        crate::runtime::drop_capabilities();
        let mut prepared = Vec::new();
        for (config, opened) in configs.iter().zip(opened) {
            prepared.push(Prepared::new(config, opened, alone)?);
        }
        let mut segments = Vec::new();
        assemble_all(&mut prepared, &mut segments, &|| {
            if alone {
                confine(configs);
            }
        })?;
        Ok(segments)
    }

    /// The addresses listened on, in the configuration's order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What carries the bytes, in the words of the configuration, and how.
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// What the rings are made of.
    pub fn backing(&self) -> Backing {
        self.backing
    }

    /// The counters, live.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Commands that were recovered from the journal at start.
    pub fn recovered_commands(&self) -> u64 {
        self.recovered_commands
    }

    /// How far the journal is on disk.
    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Why the segment cannot go on, if it cannot: the journal cannot be written. Nothing that
    /// waits for the disk is acknowledged any more.
    pub fn failure(&self) -> Option<String> {
        self.failure.get()
    }
}

/// A segment that knows where it stands, and has what it may open only with privileges.
struct Prepared<'a> {
    config: &'a Config,
    dir: PathBuf,
    lock: DirectoryLock,
    opened: (transport::Opened, market::Opened),
    shown: Shown,
    recovered: Recovered,
}

impl Prepared<'_> {
    fn new(
        config: &Config,
        (mut opened, market): (transport::Opened, market::Opened),
        alone: bool,
    ) -> Result<Prepared<'_>, SegmentError> {
        let dir = journal_dir(config);
        close_doors(config, &dir, alone)?;
        let lock = DirectoryLock::take(&config.gateway.data_dir)?;
        let path = config.gateway.data_dir.join("counters");
        let was_ahead = market::was_ahead(&path);
        let has_gallery = market.gallery.is_some();
        let has_feed = config.feed.is_some();
        let mut names = counters::names(opened.transports.len(), has_gallery, has_feed);
        names.extend(counters::of_venues(config));
        names.extend(opened.statistics.names.iter().cloned());
        let counters = Counters::create(&path, &names)
            .map_err(system("create the counters file".to_owned()))?;
        let path = config.gateway.data_dir.join("connections");
        let places = opened.transports.iter().map(|transport| transport.connections_max());
        let listeners = market.gallery.iter().map(|transport| transport.connections_max());
        let lines = 2 * config.venues.len();
        let rounds = opened.transports.len() + usize::from(has_gallery) + usize::from(lines > 0);
        let board = Board::create(&path, places.chain(listeners).sum::<usize>() + lines, rounds)
            .map_err(system("create the connections file".to_owned()))?;
        if let Some(follow) = opened.statistics.follow.take() {
            follow(opened.statistics.names.iter().map(|name| counters.get(name)).collect());
        }

        let recovered = recovery::recover_for(&dir, config, &Clock::new(), was_ahead)?;
        if recovered.tail.is_some_and(|tail| tail.torn) {
            let tail = recovered.tail.expect("checked above");
            tracing::warn!(
                after_seq = tail.last_seq.0,
                "the journal ends in a torn write, which was never acknowledged: dropped"
            );
            crate::journal::repair(&dir, tail)?;
        }
        let shown = Shown { counters, board };
        Ok(Prepared { config, dir, lock, opened: (opened, market), shown, recovered })
    }
}

/// Builds the last of them, then the others, and starts their threads once all stand and `before_threads` was
/// called: what one's threads may do no more, another's may still need to be built.
fn assemble_all(
    prepared: &mut Vec<Prepared<'_>>,
    segments: &mut Vec<Segment>,
    before_threads: &dyn Fn(),
) -> Result<(), SegmentError> {
    let Some(last) = prepared.pop() else {
        before_threads();
        return Ok(());
    };
    let Prepared { config, dir, lock, opened, shown, mut recovered } = last;
    let others = || assemble_all(prepared, segments, before_threads);
    let segment = assemble::assemble(config, dir, lock, opened, shown, &mut recovered, others)?;
    segments.push(segment);
    Ok(())
}

/// Gives a segment's folders to the user that it becomes.
fn give_folders(config: &Config) -> Result<(), SegmentError> {
    let Some(user) = config.gateway.user.as_ref().filter(|_| crate::runtime::is_root()) else {
        return Ok(());
    };
    let folders = std::iter::once(&config.gateway.data_dir).chain(&config.gateway.audit_dir);
    for folder in folders {
        crate::runtime::give_folder(folder, user.get_ref())?;
    }
    Ok(())
}

/// Who may read what the gateway writes.
fn readers(config: &Config) -> Result<Readers, SegmentError> {
    let Some(group) = &config.gateway.group else { return Ok(Readers::NOBODY) };
    let name = group.get_ref();
    let found = Readers::group(name).map_err(system(format!("look up group \"{name}\"")))?;
    found.ok_or_else(|| {
        SegmentError::Setting(format!("[gateway] group = \"{name}\": there is no such group"))
    })
}

/// Makes the folders, and has nobody else read what will be in them. A process that is the gateway's
/// `alone` makes nothing that others may read; in any other the folders keep them out.
fn close_doors(
    config: &Config,
    journal: &std::path::Path,
    alone: bool,
) -> Result<(), SegmentError> {
    let readers = readers(config)?;
    if alone {
        readers.set_default();
    }
    let audit = config.audit_dir();
    let audit = (config.gateway.audit != Audit::Off).then_some(audit.as_path());
    for folder in [config.gateway.data_dir.as_path(), journal].into_iter().chain(audit) {
        let made = readers.make_folder(folder);
        let wider = made.map_err(system(format!("create {}", folder.display())))?;
        if let Some(mode) = wider {
            tracing::warn!(
                "{} is open to others (mode {mode:04o}), and holds every firm's orders: \
                 chmod -R go-rwx {0}",
                folder.display()
            );
        }
    }
    Ok(())
}

/// Gives up what the process does not need from here on.
fn confine(configs: &[Config]) {
    if let Err(why) = crate::runtime::lock_memory() {
        tracing::info!("memory is not locked: {why}");
    }
    if !configs.iter().all(|config| config.gateway.confine) {
        return;
    }
    let folders =
        configs.iter().flat_map(|config| [config.gateway.data_dir.clone(), config.audit_dir()]);
    let folders: Vec<PathBuf> = folders.collect();
    let folders: Vec<&std::path::Path> = folders.iter().map(PathBuf::as_path).collect();
    let calls = configs.iter().flat_map(|config| &config.venues);
    let ports: Vec<u16> = calls.map(|venue| venue.connect.get_ref().port()).collect();
    let confined = crate::runtime::confine::confine(&folders, &ports);
    if let Err(why) = confined.calls {
        tracing::warn!("system calls are not filtered: {why}");
    }
    if let Err(why) = confined.files {
        tracing::warn!("other files are not out of reach: {why}");
    }
}

fn system(what: String) -> impl FnOnce(std::io::Error) -> SegmentError {
    move |source| SegmentError::System { what, source }
}
