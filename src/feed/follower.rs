//! The commands that the books carried out, in order and without a gap: from a ring of each while those keep up,
//! and from the journal what one of them had no room for.

use std::path::Path;

use crate::book::Heard;
use crate::journal::{Chaser, Durable, JournalError};
use crate::order::{Command, SeqNum};

/// Follows the books, however late.
pub struct Follower {
    /// From each book; a command is in one of them.
    heard: Vec<Heard>,
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
        heard: Vec<Heard>,
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
        let Follower { heard, last, .. } = self;
        let (mut taken, mut before, mut waits) = (0, usize::MAX, false);
        // Round and round while one of them has what is next.
        while taken < most && taken != before && !waits {
            before = taken;
            for Heard { commands, .. } in heard.iter_mut() {
                commands.pop_while(most - taken, |command| {
                    let next = SeqNum(last.0 + 1);
                    if command.seq < next {
                        // Found in the journal meanwhile.
                        return true;
                    }
                    if command.seq > next {
                        return false;
                    }
                    waits = command.seq > until || !take(command);
                    if waits {
                        return false;
                    }
                    *last = next;
                    taken += 1;
                    true
                });
            }
        }
        // Where none has it, it may still come, unless something was left out.
        self.behind =
            taken == 0 && !waits && heard.iter().any(|heard| heard.left_out() > self.last);
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
                && self
                    .heard
                    .iter_mut()
                    .all(|heard| heard.commands.available() == 0 && heard.left_out() <= self.last)
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

        /// Whatever its rings leave out, whichever book is late, however the disk lags and whoever takes nothing
        /// for a while: each command is handed out once, in order, and none that is not on disk if that is asked for.
        #[test]
        fn every_command_is_handed_out_once_and_in_order(
            hold in any::<bool>(),
            books in 1..4usize,
            steps in prop::collection::vec((0..12u64, 0..12usize, 0..9usize, 0..10u8), 1..120),
        ) {
            let dir = std::env::temp_dir().join(format!("millrace-follower-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir(&dir).unwrap();
            let durable = Durable::new(SeqNum(0));
            let start = Start { session: *b"MRTEST    ", begun_ns: 1, tail: None };
            let (mut to_disk, on_disk) = ring::on_heap(4_096, Command::EMPTY);
            let mut writer = JournalWriter::open(&dir, start, on_disk, durable.clone()).unwrap();
            let of_book = || {
                let (commands, heard) = ring::on_heap(8, Command::EMPTY);
                listen(commands, heard)
            };
            let (mut listeners, heard): (Vec<_>, Vec<_>) = (0..books).map(|_| of_book()).unzip();
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
                    listeners[sequenced as usize % 7 % books].tell(&command);
                }
                // Which book is late with what it tells is anybody's guess.
                listeners[most % books].publish();
                if disk < 7 {
                    writer.write().unwrap();
                }
                poll(&mut follower, most, taken);
            }
            listeners.iter_mut().for_each(|listener| listener.publish());
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
