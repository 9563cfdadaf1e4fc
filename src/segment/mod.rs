//! One segment put together: its agents, its rings, its threads, its recovery.
//!
//! A segment is one sequencer, one set of symbols, one journal and one deterministic pipeline.
//! [`Segment::start`] recovers what the journal holds, tells it of whatever is new in the
//! configuration, and sets the agents going; [`Segment::stop`] ends sessions, lets the pipeline
//! run dry and closes the journal.

mod agents;
mod dictionary;
mod memory;
mod recovery;
mod stop;

pub use dictionary::{Dictionary, SymbolEntry, UserEntry};
pub use recovery::{Recovered, StateHash, recover, regenerate};
pub use stop::Stopped;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::book::BookAgent;
use crate::config::{Ack, Config, Idle, Topology};
use crate::gateway::{Authenticator, Gateway, GatewayRings, GatewaySetup, Replayer};
use crate::journal::{DirectoryLock, Durable, JournalError, JournalWriter};
use crate::net::kernel::KernelTransport;
use crate::order::{Command, Event, Feedback, Price};
use crate::risk::{Limits, Outlets, RiskAgent};
use crate::runtime::{Backing, Clock, Counters, IdleStrategy, Record, Worker, allowed_cores};
use agents::{BookDuty, GatewayDuty, InlineDuty, JournalDuty, LogDuty, RiskDuty};
use memory::ring;

/// Records on their way to the log.
const RECORDS_MAX: usize = 1024;
/// Logins on their way to or from the password helper.
const LOGINS_MAX: usize = 64;
/// Pieces of replays on their way.
const CHUNKS_MAX: usize = 256;
/// Commands on their way to the disk.
const JOURNAL_RING: usize = 65_536;

/// Why a segment does not start.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
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
    backing: Backing,
    counters: Counters,
    durable: Durable,
    failure: Failure,
    agents: Agents,
    journal: Worker<JournalDuty>,
    authenticator: Worker<Authenticator>,
    replayer: Worker<Replayer>,
    stop_replays: Arc<AtomicBool>,
    log: Worker<LogDuty>,
    recovered_commands: u64,
    _lock: DirectoryLock,
}

/// The pipeline's threads.
enum Agents {
    Inline(Worker<InlineDuty<KernelTransport>>),
    Pipeline {
        gateway: Worker<GatewayDuty<KernelTransport>>,
        risk: Worker<RiskDuty>,
        book: Worker<BookDuty>,
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

/// Every counter of a segment.
const COUNTERS: &[&str] = &{
    const RISK: &[&str] =
        &["risk.sequenced", "risk.rejected", "risk.ignored", "risk.open_orders", "journal.durable"];
    let mut all = [""; RISK.len() + crate::gateway::COUNTERS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] =
            if at < RISK.len() { RISK[at] } else { crate::gateway::COUNTERS[at - RISK.len()] };
        at += 1;
    }
    all
};

/// Where the journal of a data directory lies.
pub fn journal_dir(config: &Config) -> PathBuf {
    config.gateway.data_dir.join("journal")
}

impl Segment {
    /// Recovers and starts. Connections are accepted when this returns.
    pub fn start(config: &Config) -> Result<Segment, SegmentError> {
        let lock = DirectoryLock::take(&config.gateway.data_dir)?;
        let dir = journal_dir(config);
        std::fs::create_dir_all(&dir).map_err(system(format!("create {}", dir.display())))?;
        let addresses: Vec<_> = config.ports.iter().map(|port| *port.listen.get_ref()).collect();
        let connections = *config.gateway.max_connections.get_ref() as usize;
        let transport = KernelTransport::listen(&addresses, connections)
            .map_err(system("open the ports".to_owned()))?;
        let addresses = transport.addresses().map_err(system("read the ports".to_owned()))?;
        let counters = Counters::create(&config.gateway.data_dir.join("counters"), COUNTERS)
            .map_err(system("create the counters file".to_owned()))?;

        let mut recovered = recover(&dir, config)?;
        if recovered.tail.is_some_and(|tail| tail.torn) {
            let tail = recovered.tail.expect("checked above");
            tracing::warn!(
                after_seq = tail.last_seq.0,
                "the journal ends in a torn write, which was never acknowledged: dropped"
            );
            crate::journal::repair(&dir, tail)?;
        }
        Segment::assemble(config, dir, lock, transport, addresses, counters, &mut recovered)
    }

    fn assemble(
        config: &Config,
        dir: PathBuf,
        lock: DirectoryLock,
        transport: KernelTransport,
        addresses: Vec<SocketAddr>,
        counters: Counters,
        recovered: &mut Recovered,
    ) -> Result<Segment, SegmentError> {
        let clock = Clock::new();
        let capacity = *config.gateway.ring_capacity.get_ref();
        let (mut to_journal, from_risk_j, backing) = ring(JOURNAL_RING, Command::EMPTY);
        let start = recovered.start(clock.now_ns());
        let recovered_commands = recovered.risk.last_seq().0;
        let session_name = start.session;
        recovered.define_new(config, clock.now_ns(), |command| {
            assert!(to_journal.push(command), "fewer definitions than the journal's ring holds");
        })?;
        apply_limits(config, recovered);

        let durable = Durable::new(crate::order::SeqNum(recovered_commands));
        let writer = JournalWriter::open(&dir, start, from_risk_j, durable.clone())?;
        let (to_risk, from_gateway, _) = ring(capacity, Command::EMPTY);
        let (to_book, from_risk, _) = ring(capacity, Command::EMPTY);
        let (to_gateway, from_book, _) = ring(capacity, Event::EMPTY);
        let (feedback_tx, feedback_rx, _) = ring(capacity, Feedback::EMPTY);
        let (auth_tx, auth_rx, _) = ring(LOGINS_MAX, crate::gateway::AuthRequest::EMPTY);
        let (answer_tx, answer_rx, _) = ring(LOGINS_MAX, crate::gateway::AuthAnswer::EMPTY);
        let (replay_tx, replay_rx, _) = ring(LOGINS_MAX, crate::gateway::ReplayRequest::EMPTY);
        let (chunk_tx, chunk_rx, _) = ring(CHUNKS_MAX, crate::gateway::Chunk::EMPTY);
        let (records_tx, records_rx, _) = ring(RECORDS_MAX, Record::EMPTY);

        let failure = Failure::default();
        let Recovered { risk, book, dictionary, streams, .. } = recovered.take();
        let setup = GatewaySetup {
            users: dictionary.user_setups(config).into_iter().zip(streams).collect(),
            names: dictionary.names(),
            session_name,
            hold_until_durable: config.gateway.ack == Ack::Journaled,
            counters: counters.clone(),
        };
        let rings = GatewayRings {
            commands: to_risk,
            events: from_book,
            auth_requests: auth_tx,
            auth_answers: answer_rx,
            replay_requests: replay_tx,
            chunks: chunk_rx,
            records: records_tx,
        };
        let gateway = Gateway::new(transport, setup, rings);
        let outlets = Outlets { book: to_book, journal: to_journal };
        let risk = RiskAgent::new(risk, from_gateway, feedback_rx, outlets);
        let book = BookAgent::new(book, from_risk, to_gateway, feedback_tx);

        let stop_replays = Arc::new(AtomicBool::new(false));
        let again = regenerate(dir, config.clone(), durable.clone());
        let replayer = Replayer::new(again, replay_rx, chunk_tx, stop_replays.clone());
        let credentials = dictionary.credentials(config);
        let authenticator = Authenticator::new(credentials, auth_rx, answer_tx);
        let journal = JournalDuty::new(
            writer,
            failure.clone(),
            durable.clone(),
            &counters,
            config.gateway.ack == Ack::Journaled,
        );
        let helper = |name: &str| (format!("mr-{name}"), None::<usize>, IdleStrategy::Yield);
        let agents = start_agents(config, clock, gateway, risk, book, &durable, &counters);
        let (name, core, _) = helper("journal");
        let journal = Worker::start(&name, core, IdleStrategy::Park, journal);
        let (name, core, idle) = helper("login");
        let authenticator = Worker::start(&name, core, idle, authenticator);
        let (name, core, idle) = helper("replay");
        let replayer = Worker::start(&name, core, idle, replayer);
        let (name, core, idle) = helper("log");
        let log = Worker::start(&name, core, idle, LogDuty::new(records_rx));
        Ok(Segment {
            addresses,
            backing,
            counters,
            durable,
            failure,
            agents,
            journal,
            authenticator,
            replayer,
            stop_replays,
            log,
            recovered_commands,
            _lock: lock,
        })
    }

    /// The addresses listened on, in the configuration's order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
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

fn system(what: String) -> impl FnOnce(std::io::Error) -> SegmentError {
    move |source| SegmentError::System { what, source }
}

/// Starts the pipeline's threads as the configuration lays them out.
fn start_agents(
    config: &Config,
    clock: Clock,
    gateway: Gateway<KernelTransport>,
    risk: RiskAgent,
    book: BookAgent,
    durable: &Durable,
    counters: &Counters,
) -> Agents {
    let agents = if config.gateway.topology == Topology::Inline { 1 } else { 3 };
    let strategy = idle_strategy(config.gateway.idle, agents);
    let core = |agent: usize| {
        let cores = config.gateway.cores.get_ref();
        (!cores.is_empty()).then(|| cores[agent % cores.len()])
    };
    let gateway = GatewayDuty::new(gateway, clock.clone(), durable.clone());
    let risk = RiskDuty::new(risk, clock, counters);
    let book = BookDuty::new(book);
    if agents == 1 {
        let duty = InlineDuty { gateway, risk, book };
        return Agents::Inline(Worker::start("mr-inline", core(0), strategy, duty));
    }
    Agents::Pipeline {
        gateway: Worker::start("mr-gateway", core(0), strategy, gateway),
        risk: Worker::start("mr-risk", core(1), strategy, risk),
        book: Worker::start("mr-book", core(2), strategy, book),
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

/// Gives every firm its limits and every symbol its reference price, unless it traded.
fn apply_limits(config: &Config, recovered: &mut Recovered) {
    for (firm, limits) in recovered.dictionary.limits(config) {
        recovered.risk.set_limits(firm, limits);
    }
    for (symbol, price) in recovered.dictionary.reference_prices(config) {
        recovered.risk.set_reference_price(symbol, price);
    }
}

/// The limits of a firm that the configuration does not name: those of `[risk.default]`.
fn limits_of(config: &Config, firm: &str, symbols: &[String]) -> Limits {
    use crate::config::SelfTradePolicy as Policy;
    let own = config.risk.firm.iter().find(|(name, _)| name.get_ref() == firm).map(|(_, l)| l);
    let default = &config.risk.default;
    macro_rules! pick {
        ($key:ident, $built_in:expr) => {
            own.and_then(|own| own.$key.clone()).or(default.$key.clone()).unwrap_or($built_in)
        };
    }
    let restricted = pick!(restricted, Vec::new());
    Limits {
        max_order_qty: pick!(max_order_qty, 100_000),
        max_order_notional: pick!(max_order_notional, crate::config::Money(200_000_000_000)).0,
        price_collar_bps: pick!(price_collar_bps, 2_000),
        max_messages_per_second: pick!(max_messages_per_second, 100_000),
        max_position: pick!(max_position, 10_000_000).min(1 << 60) as i64,
        max_open_notional: pick!(max_open_notional, crate::config::Money(10_000_000_000_000)).0,
        duplicate_window_ns: u64::from(pick!(duplicate_window_ms, 0)) * 1_000_000,
        self_trade: match pick!(self_trade, Policy::CancelNewest) {
            Policy::CancelNewest => crate::order::SelfTrade::CancelNewest,
            Policy::CancelOldest => crate::order::SelfTrade::CancelOldest,
            Policy::CancelBoth => crate::order::SelfTrade::CancelBoth,
            Policy::Decrement => crate::order::SelfTrade::Decrement,
            Policy::Allow => crate::order::SelfTrade::Allow,
        },
        market_orders: pick!(market_orders, true),
        short_sales: pick!(short_sales, true),
        restricted: symbols
            .iter()
            .map(|symbol| restricted.iter().any(|name| name.get_ref() == symbol))
            .collect(),
    }
}

/// A symbol's tick in the configuration.
fn tick_of(config: &Config, symbol: &str) -> Option<Price> {
    config.symbols.iter().find(|s| s.name.get_ref() == symbol).map(|s| s.tick)
}
