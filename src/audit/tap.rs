//! The agent's end: messages into the ring.

use crate::order::{UnixNanos, UserId};
use crate::ring::Producer;
use crate::runtime::Counter;

/// Bytes of a message that one slot takes.
pub const SLOT_BYTES: usize = 107;

/// The longest message that is kept whole.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Slots that the longest message sent takes.
const SENT_SLOTS_MAX: usize = 1024usize.div_ceil(SLOT_BYTES);

/// What happens when the writer does not keep up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overload {
    /// The gateway waits for it: nothing is read or sent meanwhile.
    Block,
    /// Messages are left out of the file, and counted.
    DropAndCount,
}

/// Which way a message went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Direction {
    /// To the gateway.
    In = 0,
    /// From it.
    Out = 1,
}

impl Direction {
    /// As the file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// Part of a message on its way to the writer: with the ring's word two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Slot {
    /// When the gateway saw the message.
    pub time_ns: UnixNanos,
    /// Whose it is, if that is known.
    pub user: UserId,
    /// The message goes on in the next slot.
    pub more: bool,
    /// Which way it went.
    pub direction: Direction,
    /// Bytes used.
    pub len: u8,
    /// Part of the message.
    pub bytes: [u8; SLOT_BYTES],
}

const _: () = assert!(size_of::<Slot>() == 120);

/// The user of a connection that is not logged in.
pub(super) const NOBODY: UserId = UserId(u16::MAX);

impl Slot {
    /// What rings are filled with.
    pub const EMPTY: Slot = Slot {
        time_ns: 0,
        user: NOBODY,
        more: false,
        direction: Direction::In,
        len: 0,
        bytes: [0; SLOT_BYTES],
    };
}

/// Where an agent leaves its messages.
pub struct Tap {
    ring: Option<Producer<Slot>>,
    overload: Overload,
    dropped: Counter,
}

impl Tap {
    /// Into a ring; nothing is kept without one.
    pub fn new(ring: Option<Producer<Slot>>, overload: Overload, dropped: Counter) -> Tap {
        Tap { ring, overload, dropped }
    }

    /// How many messages, each of one slot, may be taken in before the agent has to wait.
    pub fn room(&mut self) -> usize {
        match (&mut self.ring, self.overload) {
            (Some(ring), Overload::Block) => ring.free(),
            _ => usize::MAX,
        }
    }

    /// Whether the agent may send one more message.
    #[inline]
    pub fn may_send(&mut self) -> bool {
        match (&mut self.ring, self.overload) {
            (Some(ring), Overload::Block) => ring.has_room(SENT_SLOTS_MAX),
            _ => true,
        }
    }

    /// Whether anything is kept.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.ring.is_some()
    }

    /// Leaves a message.
    #[inline]
    pub fn put(
        &mut self,
        direction: Direction,
        user: Option<UserId>,
        time_ns: UnixNanos,
        message: &[u8],
    ) {
        let Some(ring) = &mut self.ring else { return };
        let message = &message[..message.len().min(MESSAGE_BYTES_MAX)];
        let slots = message.len().div_ceil(SLOT_BYTES).max(1);
        if !ring.has_room(slots) {
            self.dropped.add(1);
            return;
        }
        let user = user.unwrap_or(NOBODY);
        let mut rest = message;
        for _ in 0..slots {
            let (part, after) = rest.split_at(rest.len().min(SLOT_BYTES));
            ring.stage_with(|slot| {
                (slot.time_ns, slot.user, slot.direction) = (time_ns, user, direction);
                (slot.more, slot.len) = (!after.is_empty(), part.len() as u8);
                slot.bytes[..part.len()].copy_from_slice(part);
            });
            rest = after;
        }
    }

    /// Tells the writer what was left in this turn.
    #[inline]
    pub fn publish(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.publish();
        }
    }
}
