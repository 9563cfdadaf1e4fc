//! Matching: an incoming order against the other side, one resting order a step.

use crate::order::{
    CancelReason, Command, OrderFlags, Price, Route, SelfTrade, Side, Slot, TimeInForce,
};

use super::order::NO_LEVEL;
use super::{Book, Reports};

/// Whether an order that buys (or sells) down to `limit` would trade at `price`. Without a branch
/// on the side, which is anybody's guess; the answer is not.
#[inline]
fn crosses(buys: bool, limit: Price, price: Price) -> bool {
    (buys & (price <= limit)) | (!buys & (price >= limit))
}

impl Book {
    /// Runs the order in `slot`, which does not rest, against the book, then rests or cancels
    /// what is left. Keeps the command for [`Book::resume`] if the reports run out of room.
    #[inline(always)]
    pub(super) fn take(&mut self, command: &Command, slot: Slot, reports: &mut impl Reports) {
        self.traded_before = self.orders[slot.index()].executed;
        if !self.may_start(command, slot, reports) {
            return;
        }
        self.run(command, slot, reports);
    }

    /// Checks what must hold before the first trade: post-only and minimum quantity. An order
    /// that fails is cancelled here.
    #[inline(always)]
    fn may_start(&mut self, command: &Command, slot: Slot, reports: &mut impl Reports) -> bool {
        let order = &self.orders[slot.index()];
        let buys = order.side.is_buy();
        if order.flags.has(OrderFlags::POST_ONLY) {
            let best = self.ladders[order.symbol.index()].best(!buys);
            if best.is_some_and(|price| crosses(buys, command.limit, price)) {
                self.drop_taker(command, slot, CancelReason::PostOnly, reports);
                return false;
            }
        }
        // A Replace may find shares already executed: what is left is all it can ask for.
        let needed = command.min_qty.min(order.shown);
        if needed > 0 && !self.can_trade(command, slot, needed) {
            if self.goes_out(slot, false) {
                self.send_out(command, slot, reports);
                return false;
            }
            self.drop_taker(command, slot, CancelReason::Immediate, reports);
            return false;
        }
        true
    }

    /// Matches until nothing crosses, the order is filled, or the reports are full.
    #[inline(always)]
    fn run(&mut self, command: &Command, slot: Slot, reports: &mut impl Reports) {
        let (symbol, buys) = {
            let order = &self.orders[slot.index()];
            (order.symbol.index(), order.side.is_buy())
        };
        while self.orders[slot.index()].shown > 0 {
            let Some(price) = self.ladders[symbol].best(!buys) else { break };
            if !crosses(buys, command.limit, price) {
                break;
            }
            if !reports.has_room() {
                self.paused = Some(*command);
                return;
            }
            let level = self.ladders[symbol].best_level(!buys).expect("has a best");
            self.meet_first(command, slot, level, reports);
        }
        self.settle(command, slot, reports);
    }

    /// Goes on with a command that had to stop for want of room. True if none is left waiting.
    pub fn resume(&mut self, reports: &mut impl Reports) -> bool {
        if let Some(command) = self.paused.take() {
            self.run(&command, command.slot, reports);
        }
        self.paused.is_none()
    }

    /// Whether a command waits for [`Book::resume`].
    #[inline]
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// One step: the incoming order meets the first order of the best level.
    #[inline]
    fn meet_first(
        &mut self,
        command: &Command,
        slot: Slot,
        level: u32,
        reports: &mut impl Reports,
    ) {
        let at = self.pools.level(level);
        let maker_slot = Slot(if at.shown.is_empty() { at.hidden.head } else { at.shown.head });
        let taker = &self.orders[slot.index()];
        let maker = &self.orders[maker_slot.index()];
        if taker.firm == maker.firm && taker.self_trade != SelfTrade::Allow {
            self.prevent(command, slot, maker_slot, reports);
        } else {
            self.trade(command, slot, maker_slot, level, reports);
        }
    }

    fn trade(
        &mut self,
        command: &Command,
        slot: Slot,
        maker_slot: Slot,
        level: u32,
        reports: &mut impl Reports,
    ) {
        let qty = self.orders[slot.index()].shown.min(self.orders[maker_slot.index()].shown);
        debug_assert!(qty > 0, "a resting order shows shares");
        for at in [slot, maker_slot] {
            let order = &mut self.orders[at.index()];
            order.shown -= qty;
            order.executed += qty;
        }
        self.pools.level_mut(level).shares -= u64::from(qty);
        let symbol = self.orders[slot.index()].symbol;
        let match_number = self.numbering.of_match(symbol);
        let (maker, taker) = (&self.orders[maker_slot.index()], &self.orders[slot.index()]);
        let price = maker.price;
        let (shown, reserve) = (maker.shown, maker.reserve);
        reports.executed(command, maker_slot, maker, slot, taker, qty, price, match_number);
        if shown == 0 {
            self.unlink(maker_slot);
            if reserve > 0 {
                self.refresh(command, maker_slot, level, reports);
            } else {
                self.forget(maker_slot, level);
            }
        }
    }

    /// Shows an iceberg's next slice at the back of its level.
    fn refresh(&mut self, command: &Command, slot: Slot, level: u32, reports: &mut impl Reports) {
        let order = &mut self.orders[slot.index()];
        let reference = self.numbering.of_slice(order.symbol);
        order.shown = order.max_floor.min(order.reserve);
        order.reserve -= order.shown;
        order.reference = reference;
        self.link(slot, level);
        reports.restated(command, &self.orders[slot.index()], reference);
    }

    /// The two orders are of one firm, which does not want to trade with itself.
    fn prevent(
        &mut self,
        command: &Command,
        slot: Slot,
        maker_slot: Slot,
        reports: &mut impl Reports,
    ) {
        let policy = self.orders[slot.index()].self_trade;
        let price = self.orders[maker_slot.index()].price;
        let taker_open = self.orders[slot.index()].shown;
        let both = taker_open.min(self.orders[maker_slot.index()].shown);
        let (from_maker, from_taker) = match policy {
            SelfTrade::CancelNewest | SelfTrade::Allow => (0, taker_open),
            SelfTrade::CancelOldest => (self.orders[maker_slot.index()].open(), 0),
            SelfTrade::CancelBoth => (self.orders[maker_slot.index()].open(), taker_open),
            SelfTrade::Decrement => (both, both),
        };
        if from_maker > 0 {
            let done = from_maker == self.orders[maker_slot.index()].open();
            let maker = &self.orders[maker_slot.index()];
            reports.self_trade_prevented(
                command, maker_slot, maker, from_maker, both, price, policy, done,
            );
            self.take_shown_first(command, maker_slot, from_maker, reports);
        }
        if from_taker > 0 {
            let done = from_taker == taker_open;
            let taker = &self.orders[slot.index()];
            reports
                .self_trade_prevented(command, slot, taker, from_taker, both, price, policy, done);
            self.orders[slot.index()].shown -= from_taker;
        }
    }

    /// Takes shares from a resting order, the displayed ones first.
    fn take_shown_first(
        &mut self,
        command: &Command,
        slot: Slot,
        qty: u32,
        reports: &mut impl Reports,
    ) {
        let order = &mut self.orders[slot.index()];
        let level = order.level;
        let from_shown = qty.min(order.shown);
        order.shown -= from_shown;
        order.reserve -= qty - from_shown;
        let (shown, reserve) = (order.shown, order.reserve);
        self.pools.level_mut(level).shares -= u64::from(qty);
        if shown == 0 {
            self.unlink(slot);
            if reserve > 0 {
                self.refresh(command, slot, level, reports);
            } else {
                self.forget(slot, level);
            }
        }
    }

    /// Nothing crosses any more: what is left rests, or is cancelled if it may not.
    #[inline]
    fn settle(&mut self, command: &Command, slot: Slot, reports: &mut impl Reports) {
        let order = &self.orders[slot.index()];
        if order.shown == 0 {
            self.open_orders -= 1;
        } else if order.route != Route::INTERNAL
            && self.goes_out(slot, order.executed > self.traded_before)
        {
            self.send_out(command, slot, reports);
        } else if order.flags.has(OrderFlags::MARKET) {
            let beyond = self.ladders[order.symbol.index()].best(!order.side.is_buy()).is_some();
            let reason = if beyond { CancelReason::MarketCollar } else { CancelReason::Immediate };
            self.drop_taker(command, slot, reason, reports);
        } else if order.tif == TimeInForce::Ioc {
            self.drop_taker(command, slot, CancelReason::Immediate, reports);
        } else {
            self.rest(slot);
        }
    }

    /// Cancels what is open of an order that does not rest.
    #[inline]
    fn drop_taker(
        &mut self,
        command: &Command,
        slot: Slot,
        reason: CancelReason,
        reports: &mut impl Reports,
    ) {
        let order = &mut self.orders[slot.index()];
        let qty = std::mem::take(&mut order.shown);
        self.open_orders -= 1;
        reports.canceled(command, slot, &self.orders[slot.index()], qty, reason, true);
    }

    /// Puts an order into the book, its open shares all in `shown`.
    #[inline]
    fn rest(&mut self, slot: Slot) {
        let order = &mut self.orders[slot.index()];
        if order.max_floor > 0 && order.shown > order.max_floor {
            order.reserve = order.shown - order.max_floor;
            order.shown = order.max_floor;
        }
        self.place(slot);
    }

    /// Puts an order that is as it rests at the end of its queue.
    #[inline]
    pub(super) fn place(&mut self, slot: Slot) {
        let order = &self.orders[slot.index()];
        let (symbol, price, buys) = (order.symbol.index(), order.price, order.side.is_buy());
        let open = order.open();
        let level = self.ladders[symbol].obtain(&mut self.pools, price, buys);
        self.pools.level_mut(level).shares += u64::from(open);
        self.link(slot, level);
    }

    /// Appends an order to its queue of a level.
    #[inline]
    fn link(&mut self, slot: Slot, level: u32) {
        let order = &mut self.orders[slot.index()];
        order.level = level;
        order.next = Slot::NONE.0;
        let at = self.pools.level_mut(level);
        let queue = if order.is_hidden() { &mut at.hidden } else { &mut at.shown };
        order.prev = queue.tail;
        if queue.is_empty() {
            queue.head = slot.0;
        }
        let before = std::mem::replace(&mut queue.tail, slot.0);
        if before != Slot::NONE.0 {
            self.orders[before as usize].next = slot.0;
        }
    }

    /// Takes an order out of its queue; its level stays even if it is empty now.
    #[inline]
    fn unlink(&mut self, slot: Slot) {
        let order = &self.orders[slot.index()];
        let (prev, next) = (order.prev, order.next);
        let at = self.pools.level_mut(order.level);
        let queue = if order.is_hidden() { &mut at.hidden } else { &mut at.shown };
        if prev == Slot::NONE.0 {
            queue.head = next;
        } else {
            self.orders[prev as usize].next = next;
        }
        if next == Slot::NONE.0 {
            queue.tail = prev;
        } else {
            self.orders[next as usize].prev = prev;
        }
    }

    /// The unlinked order is done; removes its level if that was the last one there.
    #[inline]
    fn forget(&mut self, slot: Slot, level: u32) {
        self.open_orders -= 1;
        self.leave_level(slot, level);
    }

    /// The unlinked order no longer rests at `level`; removes the level if it is empty.
    #[inline]
    fn leave_level(&mut self, slot: Slot, level: u32) {
        let order = &mut self.orders[slot.index()];
        order.level = NO_LEVEL;
        let at = self.pools.level(level);
        if at.shown.is_empty() && at.hidden.is_empty() {
            let (symbol, buys) = (order.symbol.index(), order.side.is_buy());
            self.ladders[symbol].remove(&mut self.pools, level, buys);
        }
    }

    /// Takes a resting order out of the book, with all its open shares, for a Replace.
    #[inline]
    pub(super) fn withdraw(&mut self, slot: Slot) {
        let order = &self.orders[slot.index()];
        let (level, open) = (order.level, order.open());
        self.unlink(slot);
        self.pools.level_mut(level).shares -= u64::from(open);
        self.leave_level(slot, level);
    }

    /// Lowers a resting order's open shares to `open`, reserve first, keeping its priority.
    /// 0 removes it.
    #[inline]
    pub(super) fn lower(&mut self, slot: Slot, open: u32) {
        if open == 0 {
            self.withdraw(slot);
            self.open_orders -= 1;
            return;
        }
        let order = &mut self.orders[slot.index()];
        let taken = order.open() - open;
        let from_reserve = taken.min(order.reserve);
        order.reserve -= from_reserve;
        order.shown -= taken - from_reserve;
        let level = order.level;
        self.pools.level_mut(level).shares -= u64::from(taken);
    }

    /// Whether at least `needed` shares would trade at once, before the order meets a resting
    /// order of its own firm that would stop it.
    fn can_trade(&self, command: &Command, slot: Slot, needed: u32) -> bool {
        let taker = &self.orders[slot.index()];
        let buys = taker.side.is_buy();
        let ladder = &self.ladders[taker.symbol.index()];
        let mut found = 0u64;
        let mut level = ladder.best_level(!buys);
        while let Some(at) = level {
            let tick = self.pools.level(at).tick;
            if !crosses(buys, command.limit, Price(tick * ladder.tick().0)) {
                break;
            }
            let stopped = self.count_level(at, slot, &mut found);
            if found >= u64::from(needed) || stopped {
                break;
            }
            level = ladder.next_level(&self.pools, tick, !buys);
        }
        found >= u64::from(needed)
    }

    /// Adds what of a level could trade with the order in `slot`, in the order it would trade:
    /// what the displayed queue shows, its reserves, then the hidden queue. True if an order of
    /// the same firm ends it.
    fn count_level(&self, level: u32, slot: Slot, found: &mut u64) -> bool {
        let taker = &self.orders[slot.index()];
        let mut reserves = 0;
        let at = self.pools.level(level);
        for queue in [at.shown, at.hidden] {
            let mut next = queue.head;
            while next != Slot::NONE.0 {
                let maker = &self.orders[next as usize];
                if maker.firm == taker.firm && taker.self_trade != SelfTrade::Allow {
                    if taker.self_trade != SelfTrade::CancelOldest {
                        return true;
                    }
                } else {
                    *found += u64::from(maker.shown);
                    reserves += u64::from(maker.reserve);
                }
                next = maker.next;
            }
            *found += std::mem::take(&mut reserves);
        }
        false
    }

    /// Whether a sell may become another kind of sell in place.
    pub(super) fn may_change_side(from: Side, to: Side) -> bool {
        from == to || (!from.is_buy() && !to.is_buy())
    }
}
