//! How far several books are, for those who put together again what they say.

use std::sync::Arc;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

use super::Places;
use crate::order::{Command, Event, SeqNum};
use crate::ring::{Consumer, Producer};

type Line = CachePadded<AtomicU64>;

/// The words that the sequencer and each book write, a line each.
struct Lines {
    /// Everything up to here was handed to its book.
    sequenced: Line,
    /// The last command that each book was handed.
    handed: Vec<Line>,
    /// Each book has carried out whatever it is handed up to here.
    done: Vec<Line>,
}

/// What is known of how far each book is.
#[derive(Clone)]
pub struct Progress(Arc<Lines>);

impl Progress {
    /// Of so many books that have carried out everything up to `last`.
    pub fn new(books: usize, last: SeqNum) -> Progress {
        let line = || CachePadded::new(AtomicU64::new(last.0));
        let lines = || (0..books).map(|_| line()).collect();
        Progress(Arc::new(Lines { sequenced: line(), handed: lines(), done: lines() }))
    }

    /// Up to where a book tells nothing more. What it told before can be seen once this was asked.
    fn of(&self, book: usize) -> SeqNum {
        // A book that has nothing to do says nothing, so it is asked whether anything was left for it: in this
        // order, for what the sequencer had handed out is in `handed` then.
        let sequenced = self.0.sequenced.load(Ordering::Acquire);
        let handed = self.0.handed[book].load(Ordering::Acquire);
        let done = self.0.done[book].load(Ordering::Acquire);
        SeqNum(if done >= handed { done.max(sequenced) } else { done })
    }

    /// A book says how far it is, behind what it tells.
    pub fn set_done(&self, book: usize, done: SeqNum) {
        self.0.done[book].store(done.0, Ordering::Release);
    }
}

/// The sequencer's way to the books: each command goes to the one that has its symbol.
pub struct Books {
    rings: Vec<Producer<Command>>,
    places: Places,
    /// The last command handed to each, and to any.
    handed: Vec<SeqNum>,
    last: SeqNum,
    progress: Option<Progress>,
}

impl Books {
    /// To one book.
    pub fn one(ring: Producer<Command>) -> Books {
        Books {
            rings: vec![ring],
            places: Places::one(),
            handed: vec![],
            last: SeqNum(0),
            progress: None,
        }
    }

    /// To each of several.
    pub fn several(
        rings: Vec<Producer<Command>>,
        places: Places,
        progress: Progress,
        last: SeqNum,
    ) -> Books {
        let handed = vec![last; rings.len()];
        Books { rings, places, handed, last, progress: Some(progress) }
    }

    /// Whether any of them takes another command.
    #[inline]
    pub fn has_room(&mut self) -> bool {
        self.rings.iter_mut().all(|ring| ring.has_room(1))
    }

    /// Hands a command to its book. False if that has no room.
    #[inline]
    pub fn stage(&mut self, command: &Command) -> bool {
        if self.progress.is_none() {
            return self.rings[0].stage(command);
        }
        let book = self.places.of_command(command);
        (self.handed[book], self.last) = (command.seq, command.seq);
        self.rings[book].stage(command)
    }

    /// Hands all of them what is not sequenced. False if one has no room.
    pub fn stage_for_all(&mut self, command: &Command) -> bool {
        self.rings.iter_mut().all(|ring| ring.stage(command))
    }

    /// Has the books see what was handed to them.
    #[inline]
    pub fn publish(&mut self) {
        self.rings.iter_mut().for_each(Producer::publish);
        if let Some(Progress(lines)) = &self.progress
            && self.last.0 != lines.sequenced.load(Ordering::Relaxed)
        {
            for (line, handed) in lines.handed.iter().zip(&self.handed) {
                line.store(handed.0, Ordering::Release);
            }
            lines.sequenced.store(self.last.0, Ordering::Release);
        }
    }

    /// Whether they have taken everything.
    pub fn are_drained(&mut self) -> bool {
        self.rings.iter_mut().all(|ring| ring.is_drained())
    }
}

/// A gateway's way from the books: what they tell, in the order of the commands that made it happen.
pub struct Events {
    rings: Vec<Consumer<Event>>,
    progress: Option<Progress>,
    /// Up to where each book tells nothing that is not in its ring.
    told: Vec<SeqNum>,
}

impl Events {
    /// From one book.
    pub fn one(ring: Consumer<Event>) -> Events {
        Events { rings: vec![ring], progress: None, told: vec![] }
    }

    /// From each of several.
    pub fn several(rings: Vec<Consumer<Event>>, progress: Progress) -> Events {
        let told = vec![SeqNum(0); rings.len()];
        Events { rings, progress: Some(progress), told }
    }

    /// How many books they come from.
    pub fn books(&self) -> usize {
        self.rings.len()
    }

    /// Whether there are none, nor on their way out of the rings.
    pub fn is_empty(&mut self) -> bool {
        self.rings.iter_mut().all(|ring| ring.available() == 0)
    }

    /// Takes up to `most` events while `take` says that it takes them; the first that it does not stays.
    #[inline]
    pub fn pop_while(&mut self, most: usize, take: impl FnMut(&Event) -> bool) -> usize {
        match self.progress {
            None => self.rings[0].pop_while(most, take),
            Some(_) => self.merge(most, take),
        }
    }

    fn merge(&mut self, most: usize, mut take: impl FnMut(&Event) -> bool) -> usize {
        let Events { rings, progress: Some(progress), told } = self else { return 0 };
        // Before anything is looked at: what was told up to there is in the rings then.
        for (book, told) in told.iter_mut().enumerate() {
            *told = progress.of(book);
        }
        let (mut taken, mut refused) = (0, false);
        while taken < most && !refused {
            let Some((book, until)) = next_run(rings, told) else { break };
            let run = rings[book].pop_while(most - taken, |event| {
                let in_turn = event.seq() <= until;
                refused = in_turn && !take(event);
                in_turn && !refused
            });
            taken += run;
        }
        taken
    }
}

/// Whose event is next, and up to which command it is its turn. Nothing if a book may still tell of an earlier one.
fn next_run(rings: &mut [Consumer<Event>], told: &[SeqNum]) -> Option<(usize, SeqNum)> {
    let mut first: Option<(usize, SeqNum)> = None;
    let mut until = SeqNum(u64::MAX);
    for (book, (ring, told)) in rings.iter_mut().zip(told).enumerate() {
        let mut head = None;
        ring.peek(1, |event| head = Some(event.seq()));
        match (head, first) {
            (None, _) => until = until.min(*told),
            (Some(seq), Some((_, least))) if seq >= least => until = until.min(seq),
            (Some(seq), earlier) => {
                until = until.min(earlier.map_or(SeqNum(u64::MAX), |(_, seq)| seq));
                first = Some((book, seq));
            }
        }
    }
    let (book, _) = first.filter(|(_, seq)| *seq <= until)?;
    Some((book, until))
}
