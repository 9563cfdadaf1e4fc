//! What an agent does when it finds nothing to do.
#![allow(unsafe_code, reason = "sets the thread's timer slack")]

use std::time::Duration;

/// The configured choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdleStrategy {
    /// Poll for ever. Only on a core of its own.
    Spin,
    /// Poll, then let other threads run between polls.
    Yield,
    /// Poll, then yield, then sleep a little between polls.
    Park,
}

/// Empty polls before an idle agent yields.
const SPINS: u32 = 64;
/// Yields before a parking agent sleeps.
const YIELDS: u32 = 64;
/// The longest sleep, and so what sleeping can add to a latency.
const SLEEP_MAX: Duration = Duration::from_micros(100);

/// One agent's idle state.
#[derive(Debug)]
pub struct Idle {
    strategy: IdleStrategy,
    empty_polls: u32,
}

impl Idle {
    /// Starts busy.
    pub fn new(strategy: IdleStrategy) -> Idle {
        Idle { strategy, empty_polls: 0 }
    }

    /// Call after every turn with how much work it did.
    #[inline]
    pub fn after(&mut self, work: usize) {
        if work > 0 {
            self.empty_polls = 0;
            return;
        }
        self.empty_polls = self.empty_polls.saturating_add(1);
        match self.strategy {
            IdleStrategy::Spin => std::hint::spin_loop(),
            _ if self.empty_polls < SPINS => std::hint::spin_loop(),
            IdleStrategy::Park if self.empty_polls > SPINS + YIELDS => {
                std::thread::sleep(self.sleep());
            }
            _ => std::thread::yield_now(),
        }
    }

    /// Grows with the time spent idle, up to [`SLEEP_MAX`].
    fn sleep(&self) -> Duration {
        let beyond = self.empty_polls - SPINS - YIELDS;
        SLEEP_MAX.min(Duration::from_micros(u64::from(beyond)))
    }
}

/// Makes this thread's short sleeps end on time instead of 50 µs late.
pub fn sharpen_sleeps() {
    // SAFETY: changes a property of the calling thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000, 0, 0, 0) };
}
