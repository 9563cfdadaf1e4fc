//! A clean end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::agents::InlineDuty;
use super::recovery::{StateHash, state_hash};
use super::{Agents, Segment};
use crate::runtime::Duty;

/// How long the pipeline may take to run dry.
const DRAIN_MAX: Duration = Duration::from_secs(5);

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
            Agents::Pipeline { gateway, risk, book } => {
                InlineDuty { gateway: gateway.join(), risk: risk.join(), book: book.join() }
            }
        };
        let failed = || self.failure.get().is_some();
        drain(&mut inline, &failed);
        inline.gateway.gateway.disconnect_all();
        drain(&mut inline, &failed);
        inline.gateway.gateway.end_all();
        self.stop_replays.store(true, Ordering::Relaxed);
        let last = inline.risk.agent.risk.last_seq();
        let started = Instant::now();
        while self.durable.seq() < last && !failed() && started.elapsed() < DRAIN_MAX {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(self.journal.join());
        self.authenticator.join();
        self.replayer.join();
        self.log.join();
        let streams = inline.gateway.gateway.streams();
        Stopped {
            state_hash: state_hash(&inline.book.agent.book, &inline.risk.agent.risk, &streams),
            commands: last.0,
            failure: self.failure.get(),
        }
    }
}

/// Polls until nothing is under way and nothing waits for the disk.
fn drain<T: crate::net::Transport + Send + 'static>(
    inline: &mut InlineDuty<T>,
    failed: &impl Fn() -> bool,
) {
    let started = Instant::now();
    while started.elapsed() < DRAIN_MAX && !failed() {
        // Bytes that still come in are no longer read: their sender was not answered.
        let work = inline.risk.poll() + inline.book.poll() + inline.gateway.poll_out();
        let idle = inline.risk.agent.is_idle()
            && inline.book.agent.is_idle()
            && inline.gateway.gateway.is_idle()
            && inline.gateway.gateway.may_sleep();
        if idle {
            return;
        }
        if work == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}
