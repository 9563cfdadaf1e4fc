//! Threads that poll.
#![allow(unsafe_code, reason = "sets the thread's cores")]

use crate::ring::{Bell, end_turn, take_turns};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::bed::Bed;
use super::idle::{Idle, IdleStrategy, Pause, sharpen_sleeps};

/// One duty cycle after another, until told to stop.
pub trait Duty: Send + 'static {
    /// Does what there is to do now, without blocking. Returns how much that was.
    fn poll(&mut self) -> usize;

    /// Called once on the duty's own thread, before the first turn.
    fn begin(&mut self) {}

    /// Sleeps up to `us` microseconds between two looks at what nobody rings for.
    fn nap(&mut self, us: u32) {
        std::thread::sleep(Duration::from_micros(us.into()));
    }

    /// Whether it has to wait for what a thread does that may want the same core: the journal's, and the kernel's that
    /// pass its writes on.
    fn waits_for_others(&mut self) -> bool {
        false
    }

    /// For how many microseconds it may be left alone if nobody rings; nothing if something is under
    /// way that only further turns bring on.
    fn quiet_us(&mut self) -> Option<u32> {
        Some(QUIET_US)
    }

    /// Sleeps until somebody rings, `us` microseconds at most.
    fn sleep(&mut self, bed: &Bed, us: u32) {
        bed.sleep([], us);
    }
}

/// How often somebody who has nothing to do looks around all the same.
pub const QUIET_US: u32 = 1_000_000;

/// Long enough to be over only after others were let run.
const MOMENT: Duration = Duration::from_micros(10);

/// A thread that polls a [`Duty`].
pub struct Worker<D> {
    thread: JoinHandle<D>,
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
}

impl<D: Duty> Worker<D> {
    /// Starts a thread named `name`, pinned to `core` if one is given, that sleeps in `bed`.
    pub fn start(
        name: &str,
        core: Option<usize>,
        strategy: IdleStrategy,
        bed: Bed,
        duty: D,
    ) -> Worker<D> {
        let bell = bed.bell().clone();
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(duty, core, strategy, bed, &told))
            .expect("the system has a thread left at start-up");
        Worker { thread, stop, bell }
    }

    /// Whether the thread ended by itself, which only a bug makes it do.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread after its current turn and gives the duty back.
    pub fn join(self) -> D {
        self.stop.store(true, Ordering::Release);
        self.bell.wake();
        match self.thread.join() {
            Ok(duty) => duty,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn run<D: Duty>(
    mut duty: D,
    core: Option<usize>,
    strategy: IdleStrategy,
    mut bed: Bed,
    stop: &AtomicBool,
) -> D {
    if let Some(id) = core {
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
    sharpen_sleeps();
    duty.begin();
    let mut idle = Idle::new(strategy);
    take_turns();
    while !stop.load(Ordering::Acquire) {
        let work = duty.poll();
        end_turn();
        match idle.after(work) {
            // No pause instruction: a turn is long enough, and a pause is up to 140 cycles in
            // which an order waits.
            Pause::None => {}
            Pause::Yield => std::thread::yield_now(),
            // A yield is nothing to a scheduler that owes the others no time, and a sleep is a sleep.
            Pause::GiveWay if duty.waits_for_others() => std::thread::sleep(MOMENT),
            Pause::GiveWay => std::thread::yield_now(),
            Pause::Nap(us) => duty.nap(us),
            Pause::Sleep(us) => {
                if rest(&mut duty, &mut bed, us, stop) > 0 {
                    idle.after(1);
                }
            }
        }
    }
    end_turn();
    duty
}

/// Sleeps until there is something to do. Returns what a last look before that found.
fn rest<D: Duty>(duty: &mut D, bed: &mut Bed, nap_us: u32, stop: &AtomicBool) -> usize {
    // A barrier disturbs every core that runs a thread of this process: not for a short sleep.
    let quiet_us = duty.quiet_us().unwrap_or(0);
    if quiet_us <= nap_us {
        duty.nap(nap_us);
        return 0;
    }
    let mut work = 0;
    if bed.lie_down() {
        work = duty.poll();
        let quiet_us = duty.quiet_us().filter(|_| work == 0 && !stop.load(Ordering::Acquire));
        end_turn();
        if let Some(us) = quiet_us {
            duty.sleep(bed, us);
        }
    } else {
        duty.nap(nap_us);
    }
    bed.get_up();
    work
}

/// Has this thread, and those it starts from now on, run on some cores only.
pub fn keep_to(cores: &[usize]) {
    // SAFETY: zeros are an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for core in cores {
        // SAFETY: a number outside the set is left out.
        unsafe { libc::CPU_SET(*core, &mut set) };
    }
    // SAFETY: a valid set of the size that is told; 0 is this thread.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
}

/// The cores this process may run on, lowest first.
pub fn allowed_cores() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}
