//! What happened lately, by a name: orders that ended at a venue, and trades that it told of.
//!
//! Entries stand in the order in which they came, in chunks that stay where they are; the newest of each hash is
//! found in a table, and each entry knows the one before it that had the same hash. What is forgotten is not taken
//! out anywhere: whatever a chain finds that is too old ends it.

use std::collections::VecDeque;

use crate::order::{Command, SeqNum, UnixNanos};
use crate::runtime::Sparse;

/// Commands for which anything is remembered, however long that is.
const COMMANDS: u64 = 1 << 18;

/// For how long something is remembered beyond [`COMMANDS`]. Both measures are the same in one book and in several, and
/// in a replay.
#[derive(Clone, Copy, Debug)]
pub(in crate::book) struct Memory {
    pub time_ns: u64,
    /// In no case for more commands than these.
    pub commands_max: u64,
}

/// Entries of a chunk, and chunks that there are from the start: their memory is taken when they are first used.
const CHUNK: usize = 4_096;
const CHUNKS: usize = 128;
/// Places of the table: twice what there usually is.
const TABLE_BITS: u32 = 20;

/// A place in the sequence, and its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::book) struct When {
    seq: SeqNum,
    time_ns: UnixNanos,
}

impl When {
    /// When a command was sequenced.
    pub fn of(command: &Command) -> When {
        When { seq: command.seq, time_ns: command.time_ns }
    }

    /// Whether this is forgotten by `now`.
    fn is_past(self, now: When, memory: Memory) -> bool {
        let commands = now.seq.0.saturating_sub(self.seq.0);
        let is_old = self.time_ns.saturating_add(memory.time_ns) < now.time_ns;
        commands > memory.commands_max || (commands > COMMANDS && is_old)
    }
}

/// What a thing is found by.
pub(in crate::book) type Name = (u32, u64);

#[derive(Clone, Copy)]
struct Entry<V> {
    when: When,
    name: Name,
    /// The one before it in its chain, counted from 1; 0 is none.
    before: u64,
    value: V,
}

/// What happened lately.
pub(in crate::book) struct Recent<V> {
    memory: Memory,
    /// Chunks that are in use, oldest first, and those that are not.
    chunks: VecDeque<Vec<Entry<V>>>,
    spare: Vec<Vec<Entry<V>>>,
    /// Chunks that were forgotten.
    gone: u64,
    /// The newest entry of each chain, counted from 1 since the first there ever was; 0 is none.
    newest: Sparse<u64>,
}

impl<V: Copy> Recent<V> {
    /// Nothing yet.
    pub fn new(memory: Memory) -> Recent<V> {
        Recent {
            memory,
            chunks: VecDeque::with_capacity(4 * CHUNKS),
            spare: (0..CHUNKS).map(|_| Vec::with_capacity(CHUNK)).collect(),
            gone: 0,
            newest: Sparse::new(1 << TABLE_BITS),
        }
    }

    /// Something happened. Of two things of one name the later is found.
    pub fn put(&mut self, now: When, name: Name, value: V) {
        while let Some(chunk) = self.chunks.front() {
            if chunk.len() < CHUNK || !chunk[CHUNK - 1].when.is_past(now, self.memory) {
                break;
            }
            let Some(mut chunk) = self.chunks.pop_front() else { break };
            chunk.clear();
            self.spare.push(chunk);
            self.gone += 1;
        }
        if self.chunks.back().is_none_or(|chunk| chunk.len() == CHUNK) {
            let chunk = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
            self.chunks.push_back(chunk);
        }
        let last = self.gone + self.chunks.len() as u64 - 1;
        let Some(chunk) = self.chunks.back_mut() else { return };
        let number = last * CHUNK as u64 + chunk.len() as u64 + 1;
        let before = std::mem::replace(&mut self.newest[place_of(name)], number);
        chunk.push(Entry { when: now, name, before, value });
    }

    /// What happened last under a name, if that is not forgotten.
    pub fn get_mut(&mut self, now: When, name: Name) -> Option<&mut V> {
        let mut number = self.newest[place_of(name)];
        let (chunk, at) = loop {
            let place = number.checked_sub(1)?;
            let chunk = (place / CHUNK as u64).checked_sub(self.gone)? as usize;
            let at = (place % CHUNK as u64) as usize;
            let entry = self.chunks.get(chunk)?.get(at)?;
            if entry.when.is_past(now, self.memory) {
                return None;
            }
            if entry.name == name {
                break (chunk, at);
            }
            number = entry.before;
        };
        self.chunks.get_mut(chunk)?.get_mut(at).map(|entry| &mut entry.value)
    }

    /// Has another remember what `has` accepts.
    pub fn copy_to(&self, other: &mut Recent<V>, has: impl Fn(&V) -> bool) {
        for entry in self.chunks.iter().flatten().filter(|entry| has(&entry.value)) {
            other.put(entry.when, entry.name, entry.value);
        }
    }
}

fn place_of((first, second): Name) -> usize {
    let mixed = (second ^ u64::from(first).rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (64 - TABLE_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::NANOS_PER_SEC;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const MEMORY: Memory = Memory { time_ns: 60 * NANOS_PER_SEC, commands_max: 1 << 20 };

    proptest! {
        /// It finds what a map of everything finds that is not too old.
        #[test]
        fn finds_what_is_not_forgotten(
            steps in prop::collection::vec((0u64..200_000, 0u64..50, 0u32..40), 1..400)
        ) {
            let (mut recent, mut all) = (Recent::new(MEMORY), HashMap::new());
            let (mut seq, mut second) = (1, 1);
            for (value, (commands, seconds, name)) in steps.into_iter().enumerate() {
                (seq, second) = (seq + commands, second + seconds);
                let now = When { seq: SeqNum(seq), time_ns: second * NANOS_PER_SEC };
                for other in 0..40 {
                    let name = (other, u64::from(other));
                    let known = all.get(&name).filter(|(when, _): &&(When, usize)| !when.is_past(now, MEMORY));
                    prop_assert_eq!(recent.get_mut(now, name).copied(), known.map(|(_, value)| *value));
                }
                let name = (name, u64::from(name));
                recent.put(now, name, value);
                all.insert(name, (now, value));
            }
        }
    }

    #[test]
    fn what_is_forgotten_makes_room() {
        let mut recent = Recent::new(MEMORY);
        for seq in 1..=2_000_000 {
            let now = When { seq: SeqNum(seq), time_ns: seq * NANOS_PER_SEC };
            recent.put(now, (7, seq), seq);
            let first = seq.saturating_sub(COMMANDS).max(1);
            assert_eq!(recent.get_mut(now, (7, first)).copied(), Some(first));
            assert_eq!(recent.get_mut(now, (7, first - 1)), None);
        }
        assert_eq!(recent.chunks.len() + recent.spare.len(), CHUNKS, "no more than there was");
    }
}
