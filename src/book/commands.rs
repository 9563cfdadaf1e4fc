//! What each command does to the book.

use crate::order::{
    CancelReason, Command, CommandKind, Holding, NUMBERS_BY_PLACE, OrderFlags, PROTOCOL_AT, Policy,
    Reject, Route, Slot, SymbolId, VENUE,
};

use super::order::{NO_LEVEL, Order};
use super::{Book, Outside, Reports};

impl Book {
    /// Carries out one sequenced command. The caller has made sure that the reports have room
    /// and that the book is not paused.
    #[inline(always)]
    pub fn apply(&mut self, command: &Command, reports: &mut impl Reports) {
        debug_assert!(!self.is_paused(), "a paused command goes first");
        if command.verdict != Reject::None {
            return reports.rejected(command, command.verdict);
        }
        match command.kind {
            CommandKind::Enter => self.enter(command, reports),
            CommandKind::Replace => self.replace(command, reports),
            CommandKind::Cancel => self.cancel(command, reports),
            CommandKind::Modify => self.modify(command, reports),
            CommandKind::DefineNumbers => {
                let (key, _) = command.text.split_first_chunk().expect("a text is longer");
                self.numbering.set_key(key, command.qty == NUMBERS_BY_PLACE);
                reports.answered(command);
            }
            CommandKind::DefineSymbol => {
                self.define_symbol(SymbolId(command.symbol.0), command.price);
                reports.answered(command);
            }
            // The book agent's, which knows gateways.
            CommandKind::MoveStream => {}
            CommandKind::VenueSaid => self.venue_said(command, reports),
            CommandKind::Chase => self.chase(command, reports),
            CommandKind::Bust => undo(command, reports),
            CommandKind::DefineUser => {
                if is_venue(command) {
                    self.define_venue(command.user);
                }
                reports.answered(command);
            }
            CommandKind::MassCancel
            | CommandKind::DisableFirm
            | CommandKind::EnableFirm
            | CommandKind::AccountQuery
            | CommandKind::Disconnect
            | CommandKind::Session
            | CommandKind::Text
            | CommandKind::VenueState
            | CommandKind::DefineAlias => reports.answered(command),
        }
    }

    #[inline(always)]
    fn enter(&mut self, command: &Command, reports: &mut impl Reports) {
        debug_assert!(command.qty > 0 && self.orders[command.slot.index()].level == NO_LEVEL);
        let reference = self.numbering.of_order(command);
        self.orders[command.slot.index()] = new_order(command, command.qty, 0, reference);
        self.open_orders += 1;
        reports.accepted(command, reference);
        if command.route().policy() == Policy::RouteOnly {
            return self.send_out(command, command.slot, reports);
        }
        self.take(command, command.slot, reports);
    }

    /// The live order in the command's slot, if it is still the one that the command names.
    #[inline]
    pub(super) fn named(&self, command: &Command, user_ref: u32) -> Option<&Order> {
        self.order(command.slot)
            .filter(|order| order.user == command.user && order.user_ref.0 == user_ref)
    }

    #[inline(always)]
    fn replace(&mut self, command: &Command, reports: &mut impl Reports) {
        let named = self.named(command, command.orig_user_ref.0);
        let Some(order) = named.filter(|order| !order.is_outside()) else {
            return match self.named_outside(command, command.orig_user_ref) {
                Some(at) => self.replace_outside(command, at, reports),
                None => self.refuse_replace(command, reports),
            };
        };
        let (executed, route) = (order.executed, order.route);
        let open = command.qty.saturating_sub(executed);
        self.withdraw(command.slot);
        let reference = self.numbering.of_order(command);
        self.orders[command.slot.index()] =
            Order { route, ..new_order(command, open, executed, reference) };
        if open == 0 {
            self.open_orders -= 1;
            return reports.replaced(command, 0, reference, false);
        }
        reports.replaced(command, open, reference, true);
        self.take(command, command.slot, reports);
    }

    /// A Replace of an order that is no more, or goes by another number because an earlier Replace of it was refused.
    #[cold]
    fn refuse_replace(&mut self, replace: &Command, reports: &mut impl Reports) {
        let (slot, reason) = (replace.slot, Reject::ReplaceNotAllowed);
        match self.order(slot).filter(|order| order.user == replace.user) {
            Some(order) => {
                let news = Outside::ReplaceRefused { slot, order, replace, reason };
                reports.outside(replace, news);
            }
            None => reports.rejected(replace, reason),
        }
    }

    #[inline(always)]
    fn cancel(&mut self, command: &Command, reports: &mut impl Reports) {
        let named = self.named(command, command.user_ref.0);
        let Some(order) = named.filter(|order| !order.is_outside()) else {
            return match self.named_outside(command, command.user_ref) {
                Some(at) => self.cancel_outside(command, at, reports),
                None => reports.ignored(command),
            };
        };
        let (open, left) = (order.open(), command.qty.saturating_sub(order.executed));
        if left >= open {
            return reports.ignored(command);
        }
        let reason = match command.reason {
            CancelReason::None => CancelReason::User,
            reason => reason,
        };
        self.lower(command.slot, left);
        let order = &self.orders[command.slot.index()];
        reports.canceled(command, command.slot, order, open - left, reason, left == 0);
    }

    fn modify(&mut self, command: &Command, reports: &mut impl Reports) {
        let named = self.named(command, command.user_ref.0);
        let Some(order) = named.filter(|order| !order.is_outside()) else {
            return match self.named_outside(command, command.user_ref) {
                Some(at) => self.modify_outside(command, at, reports),
                None => reports.ignored(command),
            };
        };
        let readable = !command.flags.has(OrderFlags::UNREADABLE);
        if !readable || !Book::may_change_side(order.side, command.side) {
            return reports.modify_refused(command);
        }
        let open = order.open();
        let left = command.qty.saturating_sub(order.executed).min(open);
        self.orders[command.slot.index()].side = command.side;
        self.lower(command.slot, left);
        let order = &self.orders[command.slot.index()];
        if left == 0 {
            reports.canceled(command, command.slot, order, open, CancelReason::User, true);
        } else {
            reports.modified(command, command.slot, order);
        }
    }
}

/// Tells one side of a trade that it was undone.
fn undo(command: &Command, reports: &mut impl Reports) {
    let (number, _) = command.text.split_first_chunk().expect("a text is longer");
    let holding = Holding { symbol: command.symbol, buys: command.side.is_buy() };
    let (user, user_ref, qty, price) = (command.user, command.user_ref, command.qty, command.price);
    let match_number = u64::from_le_bytes(*number);
    let what = Outside::Busted { user, user_ref, holding, qty, price, match_number, venue: 0 };
    reports.outside(command, what);
}

/// Whether the definition of a user is a venue's: in its text the place of what it speaks says so.
fn is_venue(command: &Command) -> bool {
    command.text[PROTOCOL_AT] & VENUE != 0
}

/// The order that an Enter or Replace describes, not resting yet.
#[inline]
fn new_order(command: &Command, open: u32, executed: u32, reference: u64) -> Order {
    Order {
        next: Slot::NONE.0,
        prev: Slot::NONE.0,
        level: NO_LEVEL,
        shown: open,
        reserve: 0,
        max_floor: command.max_floor,
        executed,
        route: if command.kind == CommandKind::Enter { command.route() } else { Route::INTERNAL },
        reference,
        price: command.price,
        user_ref: command.user_ref,
        user: command.user,
        firm: command.firm,
        symbol: command.symbol,
        group: command.group,
        side: command.side,
        tif: command.tif,
        display: command.display,
        self_trade: command.self_trade,
        flags: command.flags,
        capacity: command.capacity,
    }
}
