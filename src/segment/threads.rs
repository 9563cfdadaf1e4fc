//! How many threads a segment has, where they run, and what they do when there is nothing to do.

use super::Agents;
use super::agents::{BookDuty, GatewayDuty, InlineDuty, RiskDuty};
use super::transport::AnyTransport;
use crate::book::BookAgent;
use crate::config::{Config, Idle, Topology};
use crate::gateway::Gateway;
use crate::journal::Durable;
use crate::risk::RiskAgent;
use crate::runtime::{Bed, Clock, Counters, IdleStrategy, Worker, allowed_cores};

/// Threads that check passwords: where it is not said, one for each core that no agent has.
pub(super) fn login_helpers(config: &Config, gateways: usize) -> usize {
    match usize::from(*config.gateway.login_helpers.get_ref()) {
        0 => {
            let agents = agents(config, gateways) + config.gateway.agents_beside;
            allowed_cores().len().saturating_sub(agents).clamp(1, 64)
        }
        said => said,
    }
}

/// Agents of a pipeline.
pub(super) fn agents(config: &Config, gateways: usize) -> usize {
    let books = usize::from(*config.gateway.books.get_ref());
    if config.gateway.topology == Topology::Inline { 1 } else { gateways + 1 + books }
}

/// Threads that sleep most of the time.
pub(super) fn helpers<D: crate::runtime::Duty>(
    name: &str,
    beds: Vec<Bed>,
    duties: Vec<D>,
) -> Vec<Worker<D>> {
    let start = |(duty, bed)| Worker::start(name, None, IdleStrategy::Rest, bed, duty);
    duties.into_iter().zip(beds).map(start).collect()
}

/// Starts the pipeline's threads as the configuration lays them out.
pub(super) fn start_agents(
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
pub(super) fn feed_strategy(idle: Idle, agents: usize) -> IdleStrategy {
    let spare = allowed_cores().len() > agents + 2;
    match idle_strategy(idle, agents) {
        IdleStrategy::Spin | IdleStrategy::SpinThenPark if !spare => IdleStrategy::Park,
        strategy => strategy,
    }
}

/// Spinning is for machines that have a core for every agent, one for the journal, and one for
/// the rest.
pub(super) fn idle_strategy(idle: Idle, agents: usize) -> IdleStrategy {
    match idle {
        Idle::Auto if allowed_cores().len() > agents + 1 => IdleStrategy::SpinThenPark,
        Idle::Auto => IdleStrategy::Park,
        Idle::Spin => IdleStrategy::Spin,
        Idle::Yield => IdleStrategy::Yield,
        Idle::Park => IdleStrategy::Park,
    }
}
