//! Who listens to the book: a ring of the commands that it carried out. The book never waits for a
//! listener. What does not fit into its ring is left out, and the listener finds it in the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::order::{Command, SeqNum};
use crate::ring::{Consumer, Producer};

/// The book's end.
pub struct Listener {
    commands: Producer<Command>,
    left_out: Arc<AtomicU64>,
}

/// The listener's end.
pub struct Heard {
    /// What was carried out, in order, with gaps where the ring was full.
    pub commands: Consumer<Command>,
    left_out: Arc<AtomicU64>,
}

/// Makes a ring one that a book does not wait for.
pub fn listen(commands: Producer<Command>, heard: Consumer<Command>) -> (Listener, Heard) {
    let left_out = Arc::new(AtomicU64::new(0));
    (Listener { commands, left_out: left_out.clone() }, Heard { commands: heard, left_out })
}

impl Listener {
    /// Tells of a command, if there is room.
    #[inline]
    pub fn tell(&mut self, command: &Command) {
        if !self.commands.stage(command) {
            self.leave_out(command.seq);
        }
    }

    #[cold]
    fn leave_out(&self, seq: SeqNum) {
        // Release: whoever sees it finds everything before it in the ring.
        self.left_out.store(seq.0, Ordering::Release);
    }

    /// Has the listener see what was told.
    #[inline]
    pub fn publish(&mut self) {
        self.commands.publish();
    }
}

impl Heard {
    /// The last command that was left out; 0 if none was.
    pub fn left_out(&self) -> SeqNum {
        SeqNum(self.left_out.load(Ordering::Acquire))
    }
}
