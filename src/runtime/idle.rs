//! What an agent does when it finds nothing to do.
#![allow(unsafe_code, reason = "sets the thread's timer slack")]

use std::time::{Duration, Instant};

/// The configured choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdleStrategy {
    /// Poll for ever. Only on a core of its own.
    Spin,
    /// Poll for about a second of idleness, then as [`IdleStrategy::Park`].
    SpinThenPark,
    /// Poll, then let other threads run between polls.
    Yield,
    /// Poll, then yield, then sleep until there is something.
    Park,
    /// Nap between polls, and sleep after about a second of idleness: for those whom agents that spin
    /// would have to wake, which takes a system call.
    Linger,
    /// Sleep whenever there is nothing: for helpers, on whose promptness no order depends.
    Rest,
}

/// What to do before the next poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// Nothing.
    None,
    /// Let another thread run.
    Yield,
    /// Let others run who were kept from it for long, whatever there is to do.
    GiveWay,
    /// Sleep for up to so many microseconds.
    Nap(u32),
    /// Sleep until something comes; where that would not wake, for up to so many microseconds.
    Sleep(u32),
}

/// Empty polls before an idle agent that gives way yields.
const SPINS: u32 = 64;
/// Empty polls before one that spins first does: about a second of empty reads.
const LONG_SPINS: u32 = 2_000_000;
/// Yields before it sleeps.
const YIELDS: u32 = 64;
/// Naps before one that lingers sleeps: about a second.
const LINGERING: u32 = 5_000;
/// The longest sleep that nothing ends.
const SLEEP_MAX_US: u32 = 200;

/// How long one that shares its core keeps it at a stretch. Whoever woke there meanwhile, the journal first or the kernel's
/// thread that passes its writes on, waits else for the scheduler's next tick or the one after, which are milliseconds
/// away.
const STRETCH: Duration = Duration::from_micros(200);

/// One agent's idle state.
#[derive(Debug)]
pub struct Idle {
    strategy: IdleStrategy,
    empty_polls: u32,
    /// When one that shares its core last let others run.
    since: Instant,
}

impl Idle {
    /// Starts busy.
    pub fn new(strategy: IdleStrategy) -> Idle {
        Idle { strategy, empty_polls: 0, since: Instant::now() }
    }

    /// What to do after a turn that did so much work.
    #[inline]
    pub fn after(&mut self, work: usize) -> Pause {
        if matches!(self.strategy, IdleStrategy::Yield | IdleStrategy::Park) {
            let now = Instant::now();
            if now - self.since >= STRETCH {
                self.since = now;
                return Pause::GiveWay;
            }
        }
        if work > 0 {
            self.empty_polls = 0;
            return Pause::None;
        }
        self.empty_polls = self.empty_polls.saturating_add(1);
        let spins = if self.strategy == IdleStrategy::SpinThenPark { LONG_SPINS } else { SPINS };
        let beyond = self.empty_polls.saturating_sub(spins);
        match self.strategy {
            IdleStrategy::Rest => Pause::Sleep(SLEEP_MAX_US),
            IdleStrategy::Linger if self.empty_polls <= LINGERING => {
                Pause::Nap(self.empty_polls.min(SLEEP_MAX_US))
            }
            IdleStrategy::Spin => Pause::None,
            _ if beyond == 0 => Pause::None,
            IdleStrategy::Yield => Pause::Yield,
            _ if beyond <= YIELDS => Pause::Yield,
            _ => Pause::Sleep((beyond - YIELDS).min(SLEEP_MAX_US)),
        }
    }
}

/// Makes this thread's short sleeps end on time instead of 50 µs late.
pub fn sharpen_sleeps() {
    // SAFETY: changes a property of the calling thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000, 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_spinning_never_gives_way() {
        let pause = |strategy, polls| {
            let mut idle = Idle::new(strategy);
            // Whether it is time to let others run is another question.
            (0..polls)
                .map(|_| idle.after(0))
                .filter(|pause| *pause != Pause::GiveWay)
                .last()
                .unwrap()
        };
        assert_eq!(pause(IdleStrategy::Spin, 1_000_000), Pause::None);
        assert_eq!(pause(IdleStrategy::Yield, 1_000_000), Pause::Yield);
        assert_eq!(pause(IdleStrategy::Park, 1_000_000), Pause::Sleep(SLEEP_MAX_US));
        assert_eq!(pause(IdleStrategy::SpinThenPark, SPINS + 1), Pause::None);
        assert_eq!(pause(IdleStrategy::SpinThenPark, 3_000_000), Pause::Sleep(SLEEP_MAX_US));
        assert_eq!(pause(IdleStrategy::Rest, 1), Pause::Sleep(SLEEP_MAX_US));
        assert_eq!(pause(IdleStrategy::Linger, 1_000), Pause::Nap(SLEEP_MAX_US));
        assert_eq!(pause(IdleStrategy::Linger, 10_000), Pause::Sleep(SLEEP_MAX_US));
    }

    #[test]
    fn one_that_shares_its_core_lets_others_run_however_much_there_is_to_do() {
        for strategy in [IdleStrategy::Yield, IdleStrategy::Park] {
            let began = Instant::now();
            let mut idle = Idle::new(strategy);
            let gave_way = (0..1_000_000_000).any(|_| idle.after(1) == Pause::GiveWay);
            assert!(gave_way && began.elapsed() >= STRETCH);
        }
        let mut idle = Idle::new(IdleStrategy::SpinThenPark);
        let began = Instant::now();
        while began.elapsed() < 2 * STRETCH {
            assert_eq!(idle.after(1), Pause::None);
        }
    }

    #[test]
    fn work_makes_an_agent_spin_again() {
        let mut idle = Idle::new(IdleStrategy::Park);
        (0..1000).for_each(|_| _ = idle.after(0));
        // However often it is time to let others run in between.
        let spins = |idle: &mut Idle| [1, 0, 0].map(|work| idle.after(work)) == [Pause::None; 3];
        assert!((0..1_000).any(|_| spins(&mut idle)));
    }
}
