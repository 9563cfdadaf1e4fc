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
    failed: bool,
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
        Follower {
            heard,
            chaser,
            durable,
            hold_until_durable,
            last,
            behind: false,
            from_journal: 0,
            failed: false,
        }
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

    /// Hands out up to `most` commands while `take` says that it takes them. Returns how many those were. An
    /// error is said once: a follower that cannot read the journal hands out nothing more.
    #[inline]
    pub fn poll(
        &mut self,
        most: usize,
        mut take: impl FnMut(&Command) -> bool,
    ) -> Result<usize, JournalError> {
        if self.failed {
            return Ok(0);
        }
        let durable = self.durable.seq();
        if self.behind {
            let found = self.catch_up(most, durable, take);
            self.failed = found.is_err();
            return found;
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
        self.failed
            || !self.behind
                && self.heard.commands.available() == 0
                && self.heard.left_out() <= self.last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::book::listen;
    use crate::journal::{JournalWriter, Start};
    use crate::order::{CommandKind, FirmId, UserId};
    use crate::ring;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever its ring leaves out, however the disk lags and whoever takes nothing for a while: each
        /// command is handed out once, in order, and none that is not on disk if that is asked for.
        #[test]
        fn every_command_is_handed_out_once_and_in_order(
            hold in any::<bool>(),
            steps in prop::collection::vec((0..12u64, 0..12usize, 0..9usize, 0..10u8), 1..120),
        ) {
            let dir = std::env::temp_dir().join(format!("millrace-follower-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir(&dir).unwrap();
            let durable = Durable::new(SeqNum(0));
            let start = Start { session: *b"MRTEST    ", begun_ns: 1, tail: None };
            let (mut to_disk, on_disk) = ring::on_heap(4_096, Command::EMPTY);
            let mut writer = JournalWriter::open(&dir, start, on_disk, durable.clone()).unwrap();
            let (commands, heard) = ring::on_heap(8, Command::EMPTY);
            let (mut book, heard) = listen(commands, heard);
            let mut follower = Follower::new(heard, &dir, durable.clone(), hold, SeqNum(0));
            let (mut sequenced, mut told) = (0, 0);
            let mut poll = |follower: &mut Follower, most: usize, taken: usize| {
                let mut room = taken;
                let found = follower.poll(most, |command| {
                    if room == 0 {
                        return false;
                    }
                    room -= 1;
                    told += 1;
                    assert_eq!(command.seq, SeqNum(told));
                    assert!(!hold || command.seq <= durable.seq());
                    true
                });
                assert!(found.unwrap() <= most);
                told
            };
            for (more, most, taken, disk) in steps {
                for _ in 0..more {
                    sequenced += 1;
                    let mut command = Command::new(CommandKind::Enter, UserId(3), FirmId(1));
                    command.seq = SeqNum(sequenced);
                    assert_eq!(to_disk.push_slice(&[command]), 1);
                    book.tell(&command);
                }
                book.publish();
                if disk < 7 {
                    writer.write().unwrap();
                }
                poll(&mut follower, most, taken);
            }
            while writer.write().unwrap() > 0 {}
            while poll(&mut follower, 16, 16) < sequenced {}
            // What it found in the journal may be in the ring still.
            (0..8).for_each(|_| _ = poll(&mut follower, 16, 16));
            prop_assert!(follower.is_idle());
            prop_assert_eq!(follower.last(), SeqNum(sequenced));
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
}
