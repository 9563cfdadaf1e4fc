//! Risk's shadow of the open orders.

use crate::order::{Capacity, FirmId, Price, SeqNum, Side, Slot, SymbolId, UserId, UserRefNum};

use super::index::Index;
use crate::runtime::{Table, prefetch};

const NIL: u32 = Slot::NONE.0;

/// An open order as risk counts it: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Shadow {
    /// The command that entered or last replaced it.
    pub seq: SeqNum,
    pub user_ref: UserRefNum,
    pub user: UserId,
    pub firm: FirmId,
    pub symbol: SymbolId,
    pub group: u16,
    /// What its open shares are counted at; the higher one while a Replace is under way.
    pub price: Price,
    /// What they are counted at when none is.
    pub own_price: Price,
    /// Open shares, counted at the most they can be.
    pub open: u32,
    /// Shares traded, replaced orders included.
    pub executed: u32,
    /// Neighbours in the list of the user's orders, oldest first. Of a free slot `user_prev` is its place among
    /// the free ones, or nothing if that is where it was at first.
    pub(super) user_next: u32,
    pub(super) user_prev: u32,
    /// Neighbours in the list of orders that expire in the same second.
    pub timer_next: u32,
    pub timer_prev: u32,
    /// Unix second at which it expires; 0 is never.
    pub expires_s: u32,
    /// Replaces the book has not answered yet.
    pub replaces: u16,
    pub side: Side,
    pub capacity: Capacity,
    pub live: bool,
    /// A mass cancel or expiry has sent its Cancel already.
    pub cancel_sent: bool,
    /// It has a way to venues.
    pub routed: bool,
    /// The venue that owes an answer; 0 is none.
    pub waits_for: u8,
}

const _: () = assert!(size_of::<Shadow>() == 64);

impl Shadow {
    pub const EMPTY: Shadow = Shadow {
        seq: SeqNum(0),
        user_ref: UserRefNum(0),
        user: UserId(0),
        firm: FirmId(0),
        symbol: SymbolId(0),
        group: 0,
        price: Price(0),
        own_price: Price(0),
        open: 0,
        executed: 0,
        user_next: NIL,
        user_prev: NIL,
        timer_next: NIL,
        timer_prev: NIL,
        expires_s: 0,
        replaces: 0,
        side: Side::Buy,
        capacity: Capacity::Agency,
        live: false,
        cancel_sent: false,
        routed: false,
        waits_for: 0,
    };
}

/// All open orders, by slot, by user and number, and by user in order of age.
pub(super) struct OrderTable {
    pub shadows: Table<Shadow>,
    free: Vec<u32>,
    index: Index,
    /// First and last of each user's orders.
    ends: Vec<[u32; 2]>,
}

impl OrderTable {
    pub fn new(orders: u32, users: u16) -> OrderTable {
        OrderTable {
            shadows: Table::new(orders as usize, Shadow::EMPTY),
            free: (0..orders).rev().collect(),
            index: Index::new(orders),
            ends: vec![[NIL; 2]; usize::from(users)],
        }
    }

    pub fn users_max(&self) -> usize {
        self.ends.len()
    }

    pub fn len(&self) -> usize {
        self.shadows.len() - self.free.len()
    }

    /// The slot the next order will get.
    #[inline]
    pub fn next_free(&self) -> Option<Slot> {
        self.free.last().map(|slot| Slot(*slot))
    }

    #[inline]
    pub fn find(&self, user: UserId, user_ref: UserRefNum) -> Option<Slot> {
        self.index.get(user, user_ref)
    }

    /// Puts an order into `slot`, which is free. A live sequencer takes the one that
    /// [`OrderTable::next_free`] named; a replay may find it anywhere.
    #[inline]
    pub fn insert(&mut self, slot: Slot, order: Shadow) {
        if self.free.last() == Some(&slot.0) {
            self.free.pop();
        } else {
            self.take_out(slot);
        }
        self.index.insert(order.user, order.user_ref, slot);
        let last = std::mem::replace(&mut self.ends[order.user.index()][1], slot.0);
        self.shadows[slot.index()] =
            Shadow { user_next: NIL, user_prev: last, live: true, ..order };
        match last {
            NIL => self.ends[order.user.index()][0] = slot.0,
            last => self.shadows[last as usize].user_next = slot.0,
        }
    }

    /// Takes a slot out of the free ones, wherever it is among them: when this was sequenced, others may have been
    /// freed later than a replay frees them.
    fn take_out(&mut self, slot: Slot) {
        let first = self.shadows.len() as u32 - 1;
        let place = match self.shadows[slot.index()].user_prev {
            NIL => first - slot.0,
            place => place,
        };
        let found = self.free.get(place as usize).is_some_and(|free| *free == slot.0);
        assert!(found, "a journal puts orders into free slots");
        self.free.swap_remove(place as usize);
        if let Some(moved) = self.free.get(place as usize) {
            self.shadows[*moved as usize].user_prev = place;
        }
    }

    /// Brings near where a number is, or would be put.
    #[inline]
    pub fn foresee(&self, user: UserId, user_ref: UserRefNum) {
        self.index.foresee(user, user_ref);
    }

    /// Brings near the slot that the order after `later` others will get.
    #[inline]
    pub fn foresee_free(&self, later: usize) {
        if let Some(slot) = self.free.iter().nth_back(later) {
            prefetch(&self.shadows[*slot as usize]);
        }
    }

    /// Brings near what changes when an order is forgotten.
    #[inline]
    pub fn foresee_neighbours(&self, order: &Shadow) {
        for slot in [order.user_prev, order.user_next] {
            if let Some(neighbour) = self.shadows.get(slot as usize) {
                prefetch(neighbour);
            }
        }
    }

    /// Gives an order its new number.
    #[inline]
    pub fn renumber(&mut self, slot: Slot, user_ref: UserRefNum) {
        let order = &mut self.shadows[slot.index()];
        let old = std::mem::replace(&mut order.user_ref, user_ref);
        self.index.remove(order.user, old);
        self.index.insert(order.user, user_ref, slot);
    }

    /// Forgets an order and frees its slot.
    #[inline]
    pub fn remove(&mut self, slot: Slot) {
        let order = self.shadows[slot.index()];
        self.index.remove(order.user, order.user_ref);
        let ends = &mut self.ends[order.user.index()];
        match order.user_prev {
            NIL => ends[0] = order.user_next,
            prev => self.shadows[prev as usize].user_next = order.user_next,
        }
        match order.user_next {
            NIL => ends[1] = order.user_prev,
            next => self.shadows[next as usize].user_prev = order.user_prev,
        }
        let place = self.free.len() as u32;
        let order = &mut self.shadows[slot.index()];
        (order.live, order.user_prev) = (false, place);
        self.free.push(slot.0);
    }

    /// A user's first order at or behind `from` (its oldest, without) that `wanted` accepts.
    pub fn first_of(
        &self,
        user: UserId,
        from: Option<Slot>,
        wanted: impl Fn(&Shadow) -> bool,
    ) -> Option<Slot> {
        let mut slot = from.map_or(self.ends[user.index()][0], |slot| slot.0);
        while slot != NIL {
            let order = &self.shadows[slot as usize];
            if wanted(order) {
                return Some(Slot(slot));
            }
            slot = order.user_next;
        }
        None
    }

    /// Whether a user has any open order.
    pub fn has_orders(&self, user: UserId) -> bool {
        self.ends[user.index()][0] != NIL
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whichever free slots orders are put into, as a journal says, each is free until then, and again afterwards.
        #[test]
        fn any_free_slot_can_be_taken(steps in prop::collection::vec((any::<bool>(), any::<u16>()), 1..400)) {
            let mut table = OrderTable::new(16, 1);
            let mut taken = BTreeSet::new();
            for (n, (next, pick)) in (0..).zip(steps) {
                let slot = u32::from(pick) % 16;
                let slot = if next { table.next_free().map_or(slot, |slot| slot.0) } else { slot };
                if taken.remove(&slot) {
                    table.remove(Slot(slot));
                } else {
                    taken.insert(slot);
                    table.insert(Slot(slot), Shadow { user_ref: UserRefNum(n), ..Shadow::EMPTY });
                }
                prop_assert_eq!(table.len(), taken.len());
                let free: BTreeSet<u32> = table.free.iter().copied().collect();
                prop_assert!(table.free.len() == free.len() && free.is_disjoint(&taken));
            }
        }
    }
}
