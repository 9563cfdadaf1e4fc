//! Waking who sleeps at the other end.
//!
//! A consumer that means to sleep says so, has every other thread's stores seen
//! ([`Bell::lie_down`]), and looks once more whether there is something. A producer that has
//! published looks whether the consumer sleeps. One of the two sees the other: the barrier between
//! the consumer's store and its look stands for both sides, so that a producer pays a load of a line
//! that nobody writes while there is work.

use std::cell::RefCell;

use super::sync::{AtomicU32, Ordering};

thread_local! {
    /// Who is to be woken at the end of this thread's turn, if it takes turns.
    static LATER: RefCell<Option<Vec<std::sync::Arc<Bell>>>> = const { RefCell::new(None) };
}

/// Bells that one turn may have to ring, at most; what is beyond is rung at once.
const LATER_MAX: usize = 256;

/// From now on this thread wakes others at the end of its turns ([`end_turn`]): a wake-up is a system
/// call, and an answer that is on its way does not wait for it.
pub fn take_turns() {
    LATER.with(|later| *later.borrow_mut() = Some(Vec::with_capacity(LATER_MAX)));
}

/// Wakes whoever was left something to do in this turn.
#[inline]
pub fn end_turn() {
    LATER.with(|later| {
        if let Some(later) = &mut *later.borrow_mut() {
            later.drain(..).for_each(|bell| (bell.wake)());
        }
    });
}

/// Whether somebody sleeps, and how to wake them. One for each thread, rung by every ring it reads.
pub struct Bell {
    asleep: AtomicU32,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Bell {
    /// A bell that wakes by `wake`.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Bell {
        Bell { asleep: AtomicU32::new(0), wake: Box::new(wake) }
    }

    /// Wakes who sleeps; to be called after something was published.
    #[inline(always)]
    pub fn ring(self: &std::sync::Arc<Bell>) {
        order_before_look();
        if self.asleep.load(Ordering::Relaxed) != 0 {
            self.ring_for_sleeper();
        }
    }

    #[cold]
    fn ring_for_sleeper(self: &std::sync::Arc<Bell>) {
        if self.asleep.swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        let left_for_later = LATER.with(|later| match &mut *later.borrow_mut() {
            Some(later) if later.len() < LATER_MAX => {
                later.push(self.clone());
                true
            }
            _ => false,
        });
        if !left_for_later {
            (self.wake)();
        }
    }

    /// Wakes, asleep or not.
    #[cold]
    pub fn wake(&self) {
        self.asleep.store(0, Ordering::Relaxed);
        (self.wake)();
    }

    /// Says that this thread is about to sleep. `barrier` has to be one for all threads of the
    /// process; if it says that it was none, sleeping would miss what comes meanwhile.
    pub fn lie_down(&self, barrier: impl FnOnce() -> bool) -> bool {
        self.asleep.store(1, Ordering::Relaxed);
        barrier()
    }

    /// Says that this thread is awake.
    pub fn get_up(&self) {
        self.asleep.store(0, Ordering::Relaxed);
    }
}

/// What was published comes before the look at who sleeps. The processor is told by the sleeper's
/// barrier; loom, which has none that is one-sided, here.
#[inline(always)]
fn order_before_look() {
    #[cfg(not(loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}
