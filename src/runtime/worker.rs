//! Threads that poll.
#![allow(unsafe_code, reason = "sets the thread's cores")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::idle::{Idle, IdleStrategy, Pause, sharpen_sleeps};

/// One duty cycle after another, until told to stop.
pub trait Duty: Send + 'static {
    /// Does what there is to do now, without blocking. Returns how much that was.
    fn poll(&mut self) -> usize;

    /// Called once on the duty's own thread, before the first turn.
    fn begin(&mut self) {}

    /// Sleeps up to `us` microseconds; whoever can be woken by what it waits for should be.
    fn sleep(&mut self, us: u32) {
        std::thread::sleep(std::time::Duration::from_micros(us.into()));
    }
}

/// A thread that polls a [`Duty`].
pub struct Worker<D> {
    thread: JoinHandle<D>,
    stop: Arc<AtomicBool>,
}

impl<D: Duty> Worker<D> {
    /// Starts a thread named `name`, pinned to `core` if one is given.
    pub fn start(name: &str, core: Option<usize>, strategy: IdleStrategy, duty: D) -> Worker<D> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(duty, core, strategy, &told))
            .expect("the system has a thread left at start-up");
        Worker { thread, stop }
    }

    /// Whether the thread ended by itself, which only a bug makes it do.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread after its current turn and gives the duty back.
    pub fn join(self) -> D {
        self.stop.store(true, Ordering::Release);
        match self.thread.join() {
            Ok(duty) => duty,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn run<D: Duty>(mut duty: D, core: Option<usize>, strategy: IdleStrategy, stop: &AtomicBool) -> D {
    if let Some(id) = core {
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
    sharpen_sleeps();
    duty.begin();
    let mut idle = Idle::new(strategy);
    while !stop.load(Ordering::Acquire) {
        let work = duty.poll();
        match idle.after(work) {
            // No pause instruction: a turn is long enough, and a pause is up to 140 cycles in
            // which an order waits.
            Pause::None => {}
            Pause::Yield => std::thread::yield_now(),
            Pause::Sleep(us) => duty.sleep(us),
        }
    }
    duty
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
