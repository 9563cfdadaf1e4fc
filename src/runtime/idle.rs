//! What an agent does when it finds nothing to do.
#![allow(unsafe_code, reason = "sets the thread's timer slack")]

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

/// Turns without a pause after which one that shares its core yields: whoever woke there, the journal first, would
/// else wait for the scheduler's next tick, which is milliseconds away.
const BUSY_TURNS: u32 = 16;

/// One agent's idle state.
#[derive(Debug)]
pub struct Idle {
    strategy: IdleStrategy,
    empty_polls: u32,
    busy_turns: u32,
}

impl Idle {
    /// Starts busy.
    pub fn new(strategy: IdleStrategy) -> Idle {
        Idle { strategy, empty_polls: 0, busy_turns: 0 }
    }

    /// What to do after a turn that did so much work.
    #[inline]
    pub fn after(&mut self, work: usize) -> Pause {
        if work > 0 {
            self.empty_polls = 0;
            self.busy_turns += 1;
            let shares = matches!(self.strategy, IdleStrategy::Yield | IdleStrategy::Park);
            if shares && self.busy_turns >= BUSY_TURNS {
                self.busy_turns = 0;
                return Pause::Yield;
            }
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
            (0..polls).map(|_| idle.after(0)).last().unwrap()
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
            let mut idle = Idle::new(strategy);
            let pauses: Vec<Pause> = (0..4 * BUSY_TURNS).map(|_| idle.after(1)).collect();
            assert_eq!(pauses.iter().filter(|pause| **pause == Pause::Yield).count(), 4);
        }
        let mut idle = Idle::new(IdleStrategy::SpinThenPark);
        assert!((0..1_000).all(|_| idle.after(1) == Pause::None));
    }

    #[test]
    fn work_makes_an_agent_spin_again() {
        let mut idle = Idle::new(IdleStrategy::Park);
        (0..1000).for_each(|_| _ = idle.after(0));
        assert_eq!(idle.after(1), Pause::None);
        assert_eq!(idle.after(0), Pause::None);
    }
}
