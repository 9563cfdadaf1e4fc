//! The feed from its beginning, made again from the journal.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::record::Told;
use super::teller::{Nobody, Teller};
use crate::book::{Book, Capacity};
use crate::journal::{Chaser, Durable, JournalError};
use crate::order::{SymbolId, UnixNanos};
use crate::wire::itch::EndOfSnapshot;
use zerocopy::IntoBytes;

/// Messages kept of those made last: whoever asks goes on where the last answer ended.
const KEPT: usize = 4096;

/// Tells what was told, and what is displayed. Its memory is taken when it is first asked.
pub struct History {
    dir: PathBuf,
    capacity: Capacity,
    durable: Durable,
    machine: Option<Machine>,
}

struct Machine {
    chaser: Chaser,
    book: Book,
    teller: Teller,
    /// Number of the next message.
    next: u64,
    kept: VecDeque<Told>,
    time_ns: UnixNanos,
}

impl Machine {
    fn new(dir: &Path, capacity: Capacity) -> Machine {
        Machine {
            chaser: Chaser::behind(dir, crate::order::SeqNum(0)),
            book: Book::new(capacity),
            teller: Teller::new(),
            next: 1,
            kept: VecDeque::with_capacity(KEPT + 1),
            time_ns: 0,
        }
    }

    /// Carries out the next command that is on disk; false if there is none.
    fn step(&mut self, durable: &Durable) -> Result<bool, JournalError> {
        let Some(command) = self.chaser.next(durable.seq())? else { return Ok(false) };
        let Machine { book, teller, next, kept, time_ns, .. } = self;
        *time_ns = command.time_ns;
        teller.apply(book, &command, &mut Nobody, &mut |message: &[u8]| {
            kept.push_back(Told::new(*next, 0, message));
            if kept.len() > KEPT {
                kept.pop_front();
            }
            *next += 1;
        });
        Ok(true)
    }

    fn oldest(&self) -> u64 {
        self.kept.front().map_or(self.next, |told| told.number)
    }
}

impl History {
    /// Of the journal in `dir`, whose book has a `capacity`.
    pub fn new(dir: PathBuf, capacity: Capacity, durable: Durable) -> History {
        History { dir, capacity, durable, machine: None }
    }

    /// Number from which on messages are found without beginning anew.
    pub fn begins(&self) -> u64 {
        self.machine.as_ref().map_or(1, Machine::oldest)
    }

    /// Hands out the messages from `number` on, while `take` says that it takes them and they are on disk.
    pub fn messages(
        &mut self,
        number: u64,
        mut take: impl FnMut(&Told) -> bool,
    ) -> Result<(), JournalError> {
        if number < self.begins() {
            self.machine = None;
        }
        let History { dir, capacity, durable, machine } = self;
        let machine = machine.get_or_insert_with(|| Machine::new(dir, *capacity));
        let mut wanted = number;
        loop {
            while wanted < machine.next {
                let at = (wanted - machine.oldest()) as usize;
                if !take(&machine.kept[at]) {
                    return Ok(());
                }
                wanted += 1;
            }
            if !machine.step(durable)? {
                return Ok(());
            }
        }
    }

    /// Hands out the displayed book as it stands on disk, and from which message on the feed goes on.
    pub fn snapshot(&mut self, mut out: impl FnMut(&[u8])) -> Result<(), JournalError> {
        let History { dir, capacity, durable, machine } = self;
        let machine = machine.get_or_insert_with(|| Machine::new(dir, *capacity));
        while machine.step(durable)? {}
        let Machine { book, teller, next, time_ns, .. } = machine;
        teller.preamble(*time_ns, &mut out);
        for symbol in (0..teller.symbols() as u16).map(SymbolId) {
            teller.orders(book, symbol, *time_ns, &mut out);
        }
        out(EndOfSnapshot::new(*next).as_bytes());
        Ok(())
    }
}
