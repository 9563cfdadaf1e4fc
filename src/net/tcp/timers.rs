//! When connections want to be looked at again.
//!
//! A deadline that moves on, as it does with every segment, costs a store: the queue is touched
//! only when its earlier entry comes up and finds the deadline moved.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

const NEVER: u64 = u64::MAX;

pub(super) struct Timers {
    /// What each connection wants.
    deadlines: Vec<u64>,
    /// The earliest entry of each connection in the queue.
    queued: Vec<u64>,
    queue: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Timers {
    pub fn new(conns_max: usize) -> Timers {
        Timers {
            deadlines: vec![NEVER; conns_max],
            queued: vec![NEVER; conns_max],
            queue: BinaryHeap::with_capacity(4 * conns_max),
        }
    }

    /// Sets when a connection wants to be looked at; `None`: not at all.
    #[inline]
    pub fn set(&mut self, conn: u32, deadline_us: Option<u64>) {
        let deadline = deadline_us.unwrap_or(NEVER);
        self.deadlines[conn as usize] = deadline;
        if deadline < self.queued[conn as usize] {
            self.queued[conn as usize] = deadline;
            self.queue.push(Reverse((deadline, conn)));
        }
    }

    /// The next connection whose deadline has come; it has none then.
    #[inline]
    pub fn due(&mut self, now_us: u64) -> Option<u32> {
        loop {
            let &Reverse((at, conn)) = self.queue.peek()?;
            if at > now_us {
                return None;
            }
            self.queue.pop();
            let index = conn as usize;
            if at != self.queued[index] {
                continue;
            }
            self.queued[index] = NEVER;
            if self.deadlines[index] <= now_us {
                self.deadlines[index] = NEVER;
                return Some(conn);
            }
            let moved = self.deadlines[index];
            if moved != NEVER {
                self.set(conn, Some(moved));
            }
        }
    }

    /// The earliest time at which [`Timers::due`] may find something.
    pub fn next_us(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_deadline_comes_up_once_when_it_is_due(
            steps in prop::collection::vec((0u32..8, prop::option::of(0u64..100)), 0..300)
        ) {
            let mut timers = Timers::new(8);
            let mut model = [None; 8];
            for (now, (conn, deadline)) in steps.into_iter().enumerate() {
                let now = now as u64;
                let deadline = deadline.map(|ahead| now + ahead);
                timers.set(conn, deadline);
                model[conn as usize] = deadline;
                let mut due: Vec<u32> = std::iter::from_fn(|| timers.due(now)).collect();
                due.sort_unstable();
                let expected: Vec<u32> =
                    (0..8).filter(|c| model[*c as usize].is_some_and(|d| d <= now)).collect();
                prop_assert_eq!(&due, &expected);
                due.iter().for_each(|conn| model[*conn as usize] = None);
            }
        }
    }
}
