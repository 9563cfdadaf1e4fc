//! What a venue says of an order that it has no more: trades after the end, and trades undone.

use super::known::{Asking, AtVenue, Trade};
use super::recent::When;
use crate::book::reports::Outside as News;
use crate::book::{Book, Order, Reports};
use crate::order::{
    Alarm, CancelReason, Command, Holding, Price, Said, Saying, Side, Slot, SymbolId, UserId,
    UserRefNum,
};

impl Book {
    /// A trade was undone. The order is not made larger by it: a new one is its owner's to send.
    pub(super) fn bust(
        &mut self,
        command: &Command,
        venue: u8,
        exec: u64,
        reports: &mut impl Reports,
    ) -> Alarm {
        let Some(outside) = &mut self.outside else { return Alarm::UnknownTrade };
        let trade = outside.trade(When::of(command), venue, exec).filter(|trade| !trade.undone);
        let Some(trade) = trade else { return Alarm::UnknownTrade };
        trade.undone = true;
        let Trade { user, user_ref, symbol, side, qty, price, match_number, .. } = *trade;
        let holding = Holding { symbol, buys: side.is_buy() };
        reports.outside(
            command,
            News::Busted { user, user_ref, holding, qty, price, match_number, venue },
        );
        Alarm::None
    }

    /// Something was said of an order that is not at the venue any more, or never was.
    pub(super) fn take_in_late(
        &mut self,
        command: &Command,
        said: &Said,
        venue: u8,
        reports: &mut impl Reports,
    ) -> Alarm {
        let now = When::of(command);
        let Some(outside) = &mut self.outside else { return Alarm::UnknownOrder };
        let ended = outside.ended(now, said.slot, said.number).copied();
        let Some(ended) = ended.filter(|ended| ended.venue == venue) else {
            return Alarm::UnknownOrder;
        };
        let Saying::Filled { qty, price, exec } = said.saying else { return Alarm::None };
        if exec != 0 && outside.trade(now, venue, exec).is_some() {
            return Alarm::Twice;
        }
        let taken = qty.min(ended.left);
        if taken == 0 {
            return Alarm::Overfilled;
        }
        outside.fill_ended(now, said.slot, said.number, taken);
        // It may be alive elsewhere: what traded here after all is not to trade there as well.
        let is_same =
            |order: &&Order| (order.user, order.reference) == (ended.user, ended.reference);
        let open = self.order(said.slot).filter(is_same).map_or(0, Order::open);
        let own = taken.min(open);
        if own > 0 {
            self.fill_elsewhere(command, said.slot, venue, (own, price), exec, reports);
        }
        let whose = (ended.user, ended.user_ref);
        let what = (ended.symbol, ended.side);
        self.fill_late(command, whose, what, venue, (taken - own, price), exec, reports);
        if qty > taken { Alarm::Overfilled } else { Alarm::Late }
    }

    /// Shares traded at a venue of an order that is done, or smaller, by now.
    #[allow(clippy::too_many_arguments, reason = "all of one trade")]
    pub(super) fn fill_late(
        &mut self,
        command: &Command,
        (user, user_ref): (UserId, UserRefNum),
        (symbol, side): (SymbolId, Side),
        venue: u8,
        (qty, price): (u32, Price),
        exec: u64,
        reports: &mut impl Reports,
    ) {
        if qty == 0 {
            return;
        }
        let match_number = self.numbering.of_match(symbol);
        let Some(outside) = &mut self.outside else { return };
        let trade = Trade { user, user_ref, symbol, side, qty, price, match_number, undone: false };
        outside.remember(When::of(command), venue, exec, trade);
        let holding = Holding { symbol, buys: side.is_buy() };
        let news = News::FilledLate { user, user_ref, holding, qty, price, match_number, venue };
        reports.outside(command, news);
    }

    /// Shares of an order that is in the book, or at another venue, traded at one that had let go of it.
    fn fill_elsewhere(
        &mut self,
        command: &Command,
        slot: Slot,
        venue: u8,
        (qty, price): (u32, Price),
        exec: u64,
        reports: &mut impl Reports,
    ) {
        let left = self.orders[slot.index()].open() - qty;
        let at = self.at_venue(slot);
        if left == 0 {
            self.refuse_replace_of(command, slot, reports);
        }
        if at.is_none() {
            self.lower(slot, left);
        }
        let order = &mut self.orders[slot.index()];
        order.executed += qty;
        if at.is_some() || left == 0 {
            (order.shown, order.reserve) = (left, 0);
        }
        let match_number = self.numbering.of_match(self.orders[slot.index()].symbol);
        let order = &self.orders[slot.index()];
        let (user, user_ref, symbol, side) = (order.user, order.user_ref, order.symbol, order.side);
        if let Some(outside) = &mut self.outside {
            let trade =
                Trade { user, user_ref, symbol, side, qty, price, match_number, undone: false };
            outside.remember(When::of(command), venue, exec, trade);
        }
        reports.outside(command, News::Filled { slot, order, qty, price, match_number, venue });
        let Some(at) = at else { return };
        if left == 0 {
            self.refuse_cancel_of(command, slot, at, reports);
            if at.asking != Asking::Cancel {
                self.ask_cancel(command, slot, at, reports);
            }
            self.leave(command, slot, at.sent.max(at.wanted) - at.filled);
        } else if at.asking == Asking::Nothing {
            // Nobody asked for it but the book.
            let at = AtVenue { request: 0, reason: CancelReason::System as u8, ..at };
            self.ask_lower(command, slot, at, at.filled + left, reports);
        }
    }
}
