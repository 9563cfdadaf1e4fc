//! Shares that are at venues: what is known of each order there, and of those that were there lately.

use std::collections::HashMap;

use crate::book::digest::Digest;
use crate::book::order::Order;
use zerocopy::FromZeros;

use crate::order::{
    CancelReason, Command, FIRMS_MAX, NANOS_PER_SEC, Price, SYMBOLS_MAX, SeqNum, Side, Slot,
    SymbolId, TEXT_BYTES, UnixNanos, UserId, UserRefNum, VENUES_MAX,
};
use crate::runtime::Sparse;

use super::recent::{Memory, Recent, When};

/// An order that ended is remembered for what its venue may still say of it; a trade, in case it is told again, or
/// undone later that day.
const ENDED: Memory = Memory { time_ns: 60 * NANOS_PER_SEC, commands_max: 1 << 22 };
const TRADES: Memory = Memory { time_ns: 86_400 * NANOS_PER_SEC, commands_max: 1 << 24 };

/// What is under way about an order at its venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromZeros)]
#[repr(u8)]
pub(in crate::book) enum Asking {
    #[default]
    Nothing = 0,
    /// All of it is to be cancelled.
    Cancel = 1,
    /// It is to be smaller.
    Lower = 2,
    /// It is to be replaced.
    Replace = 3,
}

/// An order at a venue.
#[derive(Clone, Copy, Debug, Default, FromZeros)]
pub(in crate::book) struct AtVenue {
    /// What was paid for `filled`, in 1/10000.
    pub notional: u64,
    /// What the venue calls it, and what it would by what is under way.
    pub number: u32,
    pub asked: u32,
    /// The whole of it as the venue has it, and what traded there.
    pub sent: u32,
    pub filled: u32,
    /// The whole of it as it was asked to be.
    pub wanted: u32,
    /// The client's number of the request that is under way.
    pub request: u32,
    /// Neighbours among the orders of the firm in the symbol that are at venues: their slots and one, 0 is none.
    pub next: u32,
    pub prev: u32,
    /// The venue's number; 0: it is at none.
    pub venue: u8,
    pub asking: Asking,
    /// Why a cancel is under way: a [`CancelReason`].
    pub reason: u8,
    /// The venue said something of it.
    pub known: bool,
    /// A cancel waits for the answer to a replace.
    pub cancel_waits: bool,
    /// The venue is lost, and its owner was told.
    pub suspended: bool,
    /// How it stands was heard since.
    pub heard: bool,
    /// Something that the venue said of it may be lost for good: how it stands has to be heard.
    pub doubted: bool,
}

/// An order that was at a venue and ended here.
#[derive(Clone, Copy, Debug)]
pub(in crate::book) struct Ended {
    /// The other number that the venue may call it by.
    other: u32,
    pub venue: u8,
    pub user: UserId,
    pub user_ref: UserRefNum,
    pub reference: u64,
    pub symbol: SymbolId,
    pub side: Side,
    /// Shares that did not trade as far as was known.
    pub left: u32,
}

/// A trade that a venue told of.
#[derive(Clone, Copy, Debug)]
pub(in crate::book) struct Trade {
    pub user: UserId,
    pub user_ref: UserRefNum,
    pub symbol: SymbolId,
    pub side: Side,
    pub qty: u32,
    pub price: Price,
    pub match_number: u64,
    pub undone: bool,
}

/// What a book knows of venues, once there is any.
pub(in crate::book) struct Outside {
    /// Users that venues are, by their numbers, from 1.
    venues: Vec<UserId>,
    orders: Sparse<AtVenue>,
    /// Replaces that wait for their venue's answer.
    replaces: HashMap<Slot, Command>,
    ended: Recent<Ended>,
    trades: Recent<Trade>,
    /// The first order of each firm in each symbol that is at a venue: its slot and one.
    first: Sparse<u32>,
    /// Orders at venues.
    pub count: u32,
}

impl Outside {
    /// No venues, and room for so many orders at them.
    pub fn new(orders: u32) -> Box<Outside> {
        Box::new(Outside {
            venues: Vec::with_capacity(VENUES_MAX),
            orders: Sparse::new(orders as usize),
            replaces: HashMap::with_capacity(1024),
            ended: Recent::new(ENDED),
            trades: Recent::new(TRADES),
            first: Sparse::new(usize::from(FIRMS_MAX) * usize::from(SYMBOLS_MAX)),
            count: 0,
        })
    }

    /// There is another venue, or one that is known.
    pub fn define(&mut self, user: UserId) {
        if !self.venues.contains(&user) {
            self.venues.push(user);
        }
    }

    /// The user that a venue is.
    pub fn user_of(&self, venue: u8) -> Option<UserId> {
        self.venues.get(usize::from(venue).checked_sub(1)?).copied()
    }

    /// The number of the venue that a user is; 0: it is none.
    pub fn venue_of(&self, user: UserId) -> u8 {
        self.venues.iter().position(|venue| *venue == user).map_or(0, |at| at as u8 + 1)
    }

    /// What is known of the order in a slot.
    pub fn get(&self, slot: Slot) -> AtVenue {
        self.orders[slot.index()]
    }

    /// Keeps what is known of it.
    pub fn set(&mut self, slot: Slot, at: AtVenue) {
        let AtVenue { next, prev, .. } = self.orders[slot.index()];
        self.orders[slot.index()] = AtVenue { next, prev, ..at };
    }

    /// An order is sent to a venue.
    pub fn begin(&mut self, slot: Slot, order: &Order, at: AtVenue) {
        let place = place_of(order);
        let next = std::mem::replace(&mut self.first[place], slot.0 + 1);
        if next != 0 {
            self.orders[next as usize - 1].prev = slot.0 + 1;
        }
        self.orders[slot.index()] = AtVenue { next, prev: 0, ..at };
        self.count += 1;
    }

    fn unlink(&mut self, slot: Slot, order: &Order) {
        let AtVenue { next, prev, .. } = self.orders[slot.index()];
        match prev {
            0 => self.first[place_of(order)] = next,
            prev => self.orders[prev as usize - 1].next = next,
        }
        if next != 0 {
            self.orders[next as usize - 1].prev = prev;
        }
    }

    /// Calls `see` for the orders of a firm in a symbol that are at venues, in no order.
    pub fn for_each_of(&self, order: &Order, mut see: impl FnMut(Slot, &AtVenue)) {
        let mut next = self.first[place_of(order)];
        while next != 0 {
            let at = &self.orders[next as usize - 1];
            see(Slot(next - 1), at);
            next = at.next;
        }
    }

    /// A Replace waits for its venue.
    pub fn keep_replace(&mut self, slot: Slot, command: &Command) {
        self.replaces.insert(slot, *command);
    }

    /// It was answered.
    pub fn take_replace(&mut self, slot: Slot) -> Option<Command> {
        self.replaces.remove(&slot)
    }

    /// The one that waits.
    pub fn replace_of(&self, slot: Slot) -> Option<&Command> {
        self.replaces.get(&slot)
    }

    /// An order is no longer at its venue, with `left` shares that did not trade there as far as is known.
    pub fn end(&mut self, now: When, slot: Slot, order: &Order, left: u32) {
        let at = self.get(slot);
        let ended = Ended {
            other: 0,
            venue: at.venue,
            user: order.user,
            user_ref: order.user_ref,
            reference: order.reference,
            symbol: order.symbol,
            side: order.side,
            left,
        };
        // By its last name, and by the one before, which a venue may use for what happened meanwhile.
        for (number, other) in [(at.asked, at.number), (at.number, at.asked)] {
            if number != 0 {
                self.ended.put(now, name_of(slot, number), Ended { other, ..ended });
            }
        }
        self.unlink(slot, order);
        self.orders[slot.index()] = AtVenue::default();
        self.replaces.remove(&slot);
        self.count -= 1;
    }

    /// An order that was at a venue under that number.
    pub fn ended(&mut self, now: When, slot: Slot, number: u32) -> Option<&mut Ended> {
        self.ended.get_mut(now, name_of(slot, number))
    }

    /// A trade that a venue told of.
    pub fn trade(&mut self, now: When, venue: u8, exec: u64) -> Option<&mut Trade> {
        self.trades.get_mut(now, (venue.into(), exec))
    }

    /// Shares of an order that ended traded after all, whichever name the venue calls it by.
    pub fn fill_ended(&mut self, now: When, slot: Slot, number: u32, qty: u32) {
        let Some(Ended { other, .. }) = self.ended(now, slot, number).copied() else { return };
        for number in [number, other] {
            if let Some(ended) = self.ended(now, slot, number) {
                ended.left = ended.left.saturating_sub(qty);
            }
        }
    }

    /// A venue told of a trade. One without a name cannot be told twice, nor undone.
    pub fn remember(&mut self, now: When, venue: u8, exec: u64, trade: Trade) {
        if exec != 0 {
            self.trades.put(now, (venue.into(), exec), trade);
        }
    }

    /// What is the same in each of several books.
    pub fn part(&self, orders: u32, has: impl Fn(SymbolId) -> bool) -> Box<Outside> {
        let mut part = Outside::new(orders);
        part.venues.extend(&self.venues);
        self.ended.copy_to(&mut part.ended, |ended| has(ended.symbol));
        self.trades.copy_to(&mut part.trades, |trade| has(trade.symbol));
        part
    }

    /// Takes over what another knows of the order in a slot.
    pub fn take_over(&mut self, slot: Slot, order: &Order, from: &Outside) {
        self.begin(slot, order, from.get(slot));
        if let Some(command) = from.replaces.get(&slot) {
            self.replaces.insert(slot, *command);
        }
    }

    /// Adds what is known of the order in a slot.
    pub fn add_to(&self, slot: Slot, digest: &mut Digest) {
        let at = self.get(slot);
        for word in [
            u64::from(at.number) << 32 | u64::from(at.asked),
            u64::from(at.sent) << 32 | u64::from(at.filled),
            u64::from(at.wanted) << 32 | u64::from(at.request),
            at.notional,
            u64::from(at.venue) << 32 | u64::from(at.reason) << 16 | at.asking as u64,
        ] {
            digest.add(word);
        }
    }
}

/// The name of an order at a venue, as a key.
fn name_of(slot: Slot, number: u32) -> (u32, u64) {
    (slot.0, number.into())
}

/// Where the list of an order's firm in its symbol begins.
fn place_of(order: &Order) -> usize {
    order.firm.index() * usize::from(SYMBOLS_MAX) + order.symbol.index()
}

/// A client's command as it is told of once its venue answered: with the place of what brought the answer. Words that
/// went ahead of it are gone, and whoever has use for them remembers them.
pub(super) fn told_now(command: &Command, seq: SeqNum, time_ns: UnixNanos) -> Command {
    let text = if command.carried == 0 { command.text } else { [0; TEXT_BYTES] };
    Command { seq, time_ns, text, number_in: 0, carried: 0, ..*command }
}

/// The number by which a venue calls what a command brought about: one command says one thing of an order at most.
#[inline]
pub(super) fn number_of(command: &Command) -> u32 {
    let SeqNum(seq) = command.seq;
    // Never 0, which is nothing.
    (seq as u32).max(1)
}

/// Why a cancel is under way, as it is kept.
pub(super) fn reason_of(code: u8) -> CancelReason {
    [CancelReason::User, CancelReason::Timeout, CancelReason::Supervisory, CancelReason::SelfMatch]
        .into_iter()
        .find(|reason| *reason as u8 == code)
        .unwrap_or(CancelReason::User)
}
