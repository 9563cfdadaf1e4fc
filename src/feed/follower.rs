//! The commands that the book carried out, in order and without a gap: from a ring while that keeps up,
//! and from the journal what the ring had no room for.

use std::path::Path;

use crate::book::Heard;
use crate::journal::{Chaser, Durable, JournalError};
use crate::order::{Command, SeqNum};

/// Follows the book, however late.
pub struct Follower {
    heard: Heard,
    chaser: Chaser,
    durable: Durable,
    /// Commands are handed out once they are on disk, and not before.
    hold_until_durable: bool,
    last: SeqNum,
    /// The next command is in the journal.
    behind: bool,
    from_journal: u64,
}

impl Follower {
    /// Goes on behind the command `last`; `dir` is where the journal lies.
    pub fn new(
        heard: Heard,
        dir: &Path,
        durable: Durable,
        hold_until_durable: bool,
        last: SeqNum,
    ) -> Follower {
        let chaser = Chaser::behind(dir, last);
        let (behind, from_journal) = (false, 0);
        Follower { heard, chaser, durable, hold_until_durable, last, behind, from_journal }
    }

    /// Whether nothing is handed out that is not on disk.
    pub fn holds_until_durable(&self) -> bool {
        self.hold_until_durable
    }

    /// The command handed out last.
    pub fn last(&self) -> SeqNum {
        self.last
    }

    /// Commands that the ring had no room for.
    pub fn from_journal(&self) -> u64 {
        self.from_journal
    }

    /// Hands out up to `most` commands while `take` says that it takes them. Returns how many those were.
    #[inline]
    pub fn poll(
        &mut self,
        most: usize,
        mut take: impl FnMut(&Command) -> bool,
    ) -> Result<usize, JournalError> {
        let durable = self.durable.seq();
        if self.behind {
            return self.catch_up(most, durable, take);
        }
        let until = if self.hold_until_durable { durable } else { SeqNum(u64::MAX) };
        let Follower { heard, last, behind, .. } = self;
        let mut taken = 0;
        heard.commands.pop_while(most, |command| {
            let next = SeqNum(last.0 + 1);
            if command.seq < next {
                // Found in the journal meanwhile.
                return true;
            }
            *behind = command.seq > next;
            if *behind || command.seq > until || !take(command) {
                return false;
            }
            *last = next;
            taken += 1;
            true
        });
        if taken == 0 && self.heard.left_out() > self.last && self.heard.commands.available() == 0 {
            self.behind = true;
        }
        Ok(taken)
    }

    #[cold]
    fn catch_up(
        &mut self,
        most: usize,
        durable: SeqNum,
        mut take: impl FnMut(&Command) -> bool,
    ) -> Result<usize, JournalError> {
        self.chaser.go_behind(self.last);
        for taken in 0..most {
            let Some(command) = self.chaser.next(durable)? else {
                // As far as the disk is: the ring goes on there, or has another gap.
                self.behind = false;
                return Ok(taken);
            };
            if !take(&command) {
                return Ok(taken);
            }
            self.last = command.seq;
            self.from_journal += 1;
        }
        Ok(most)
    }

    /// Whether nothing waits: neither in the ring nor in the journal.
    pub fn is_idle(&mut self) -> bool {
        !self.behind && self.heard.commands.available() == 0 && self.heard.left_out() <= self.last
    }
}
