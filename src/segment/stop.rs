//! A clean end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::agents::InlineDuty;
use super::gallery::GalleryDuty;
use super::recovery::{StateHash, state_hash};
use super::{Agents, Segment};
use crate::runtime::{Duty, Worker};

/// How long the pipeline may take to run dry.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long peers may take to end their connections.
const FINISH_MAX: Duration = Duration::from_millis(300);

/// What a segment was when it stopped.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// The hash of its state; a recovery from the journal has the same.
    pub state_hash: StateHash,
    /// Commands sequenced since the journal began.
    pub commands: u64,
    /// Why the journal could not be written, if it could not.
    pub failure: Option<String>,
}

impl Segment {
    /// Ends every session, lets the pipeline run dry, and closes the journal.
    pub fn stop(self) -> Stopped {
        let mut inline = match self.agents {
            Agents::Inline(inline) => inline.join(),
            // Back to front, so that nothing is handed to a stage that stopped.
            Agents::Pipeline { gateways, risk, books } => InlineDuty {
                gateways: gateways.into_iter().map(Worker::join).collect(),
                risk: risk.join(),
                books: books.into_iter().map(Worker::join).collect(),
            },
        };
        let failed = || self.failure.get().is_some();
        drain(&mut inline, &failed);
        let mut gallery = self.gallery.map(Worker::join);
        let listening = gallery.as_mut().map(|duty| &mut duty.gateway);
        for duty in inline.gateways.iter_mut().chain(listening) {
            duty.gateway.disconnect_all();
        }
        drain(&mut inline, &failed);
        for duty in &mut inline.gateways {
            duty.gateway.end_all();
        }
        finish(&mut inline);
        self.stop_replays.store(true, Ordering::Relaxed);
        let last = inline.risk.agent.risk.last_seq();
        let started = Instant::now();
        while self.durable.seq() < last && !failed() && started.elapsed() < DRAIN_MAX {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(self.journal.join());
        if let Some(kept) = self.kept.filter(|_| self.durable.seq() >= last) {
            kept.clear();
        }
        let listening = gallery.map(|mut duty| {
            finish_gallery(&mut duty);
            duty.gateway.gateway.streams()
        });
        if let Some(snapshots) = self.snapshots {
            drop(snapshots.join());
        }
        if let Some(feed) = self.feed {
            feed.stop();
        }
        self.quotes.into_iter().for_each(|helper| drop(helper.join()));
        self.authenticators.into_iter().for_each(|helper| drop(helper.join()));
        self.replayers.into_iter().for_each(|helper| drop(helper.join()));
        self.logs.into_iter().for_each(|helper| drop(helper.join()));
        if let Some(auditor) = self.auditor {
            auditor.join().finish();
        }
        let streams = streams(&inline, listening);
        let books: Vec<_> = inline.books.iter().map(|duty| &duty.agent.book).collect();
        Stopped {
            state_hash: state_hash(
                crate::book::digest(&books, &self.places),
                &inline.risk.agent.risk,
                &streams,
            ),
            commands: last.0,
            failure: self.failure.get(),
        }
    }
}

/// Brings closed connections to their end, as far as their peers let it.
fn finish<T: crate::net::Transport + Send + 'static>(inline: &mut InlineDuty<T>) {
    let started = Instant::now();
    let clock = crate::runtime::Clock::new();
    while started.elapsed() < FINISH_MAX {
        let now_ns = clock.now_ns();
        let closing: usize = inline.gateways.iter_mut().map(|d| d.gateway.finish(now_ns)).sum();
        if closing == 0 {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Tells those who listen what is left to tell, and ends their sessions.
fn finish_gallery<T: crate::net::Transport + Send + 'static>(duty: &mut GalleryDuty<T>) {
    let started = Instant::now();
    while started.elapsed() < DRAIN_MAX && !duty.is_idle() {
        if duty.poll() == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    duty.gateway.poll_out();
    duty.gateway.gateway.end_all();
}

/// Number and checksum of every stream, wherever it is.
fn streams<T: crate::net::Transport>(
    inline: &InlineDuty<T>,
    listening: Option<Vec<Option<(u64, u32)>>>,
) -> Vec<(u64, u32)> {
    let mut all: Vec<Option<(u64, u32)>> = vec![];
    let trading = inline.gateways.iter().map(|duty| duty.gateway.streams());
    for here in trading.chain(listening) {
        all.resize(here.len(), None);
        all.iter_mut().zip(here).for_each(|(stream, here)| *stream = stream.or(here));
    }
    all.into_iter().flatten().collect()
}

/// Polls until nothing is under way and nothing waits for the disk.
fn drain<T: crate::net::Transport + Send + 'static>(
    inline: &mut InlineDuty<T>,
    failed: &impl Fn() -> bool,
) {
    let started = Instant::now();
    while started.elapsed() < DRAIN_MAX && !failed() {
        // Bytes that still come in are no longer read: their sender was not answered.
        let mut work = inline.risk.poll();
        work += inline.books.iter_mut().map(Duty::poll).sum::<usize>();
        for duty in &mut inline.gateways {
            work += duty.gateway.attend() + duty.poll_out();
        }
        let mut gateways = inline.gateways.iter_mut().map(|duty| &mut duty.gateway);
        let idle = inline.risk.agent.is_idle()
            && inline.books.iter_mut().all(|duty| duty.agent.is_idle())
            && gateways.all(|gateway| gateway.is_idle() && gateway.may_sleep());
        if idle {
            return;
        }
        if work == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}
