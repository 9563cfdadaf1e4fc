//! What is asked of a venue: by an order's owner, by risk for it, or to find out how it stands.

use super::known::{Asking, AtVenue, number_of, told_now};
use crate::book::reports::Outside as News;
use crate::book::{Book, Reports};
use crate::order::{CancelReason, Command, OrderFlags, Reject, Slot, UserRefNum};

impl Book {
    /// The order that a client's command means, if its shares are at a venue: it may go by the number that a replace
    /// under way gives it.
    #[cold]
    pub(in crate::book) fn named_outside(
        &self,
        command: &Command,
        user_ref: UserRefNum,
    ) -> Option<AtVenue> {
        let at = self.at_venue(command.slot)?;
        let order = self.order(command.slot).filter(|order| order.user == command.user)?;
        let outside = self.outside.as_ref()?;
        let coming = outside.replace_of(command.slot).map(|replace| replace.user_ref);
        (order.user_ref == user_ref || coming == Some(user_ref)).then_some(at)
    }

    /// A client, or risk for it, wants an order that is at a venue to be smaller or gone.
    pub(in crate::book) fn cancel_outside(
        &mut self,
        command: &Command,
        at: AtVenue,
        reports: &mut impl Reports,
    ) {
        let slot = command.slot;
        let order = &self.orders[slot.index()];
        let left = command.qty.saturating_sub(order.executed);
        if left >= order.open() {
            return reports.ignored(command);
        }
        let reason = match command.reason {
            CancelReason::None => CancelReason::User,
            reason => reason,
        };
        let request = command.orig_user_ref.0;
        if left > 0 {
            if at.asking != Asking::Nothing {
                let (order, venue) = (&self.orders[slot.index()], at.venue);
                return reports.outside(command, News::CancelRefused { order, request, venue });
            }
            let at = AtVenue { request, reason: reason as u8, ..at };
            reports.outside(command, News::CancelPending(&self.orders[slot.index()]));
            return self.ask_lower(command, slot, at, at.filled + left, reports);
        }
        // Whoever asked first is told when it is done; what takes all of it away for sure is not asked for twice.
        if at.asking == Asking::Cancel || at.cancel_waits {
            let (order, venue) = (&self.orders[slot.index()], at.venue);
            return match command.reason {
                CancelReason::None => {
                    reports.outside(command, News::CancelRefused { order, request, venue });
                }
                _ => reports.ignored(command),
            };
        }
        if command.reason == CancelReason::None {
            reports.outside(command, News::CancelPending(&self.orders[slot.index()]));
        } else {
            reports.ignored(command);
        }
        let at = AtVenue { request, reason: reason as u8, ..at };
        if at.asking != Asking::Nothing {
            return self.set_at_venue(slot, AtVenue { cancel_waits: true, ..at });
        }
        self.ask_cancel(command, slot, at, reports);
    }

    pub(super) fn ask_cancel(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        reports: &mut impl Reports,
    ) {
        let asked = number_of(command);
        let at = AtVenue { asking: Asking::Cancel, asked, cancel_waits: false, ..at };
        self.set_at_venue(slot, at);
        let price = self.orders[slot.index()].price;
        let leg = self.leg(slot, &at, asked, at.sent, price);
        reports.outside(command, News::CancelSent(&leg, at.number));
    }

    pub(super) fn ask_lower(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        wanted: u32,
        reports: &mut impl Reports,
    ) {
        let asked = number_of(command);
        let at = AtVenue { asking: Asking::Lower, asked, wanted, ..at };
        self.set_at_venue(slot, at);
        let price = self.orders[slot.index()].price;
        let leg = self.leg(slot, &at, asked, wanted, price);
        reports.outside(command, News::LowerSent(&leg, at.number));
    }

    /// A client wants an order that is at a venue to be another.
    pub(in crate::book) fn replace_outside(
        &mut self,
        command: &Command,
        at: AtVenue,
        reports: &mut impl Reports,
    ) {
        let slot = command.slot;
        let order = &self.orders[slot.index()];
        let open = command.qty.saturating_sub(order.executed);
        let is_named = order.user_ref == command.orig_user_ref;
        if at.asking != Asking::Nothing || open == 0 || !is_named {
            let (replace, reason) = (command, Reject::ReplaceNotAllowed);
            return reports.outside(command, News::ReplaceRefused { slot, order, replace, reason });
        }
        reports.outside(command, News::ReplacePending(order));
        let (asked, wanted) = (number_of(command), at.filled + open);
        let at = AtVenue { asking: Asking::Replace, asked, wanted, ..at };
        self.set_at_venue(slot, at);
        if let Some(outside) = &mut self.outside {
            outside.keep_replace(slot, command);
        }
        let leg = self.leg(slot, &at, asked, wanted, command.limit);
        reports.outside(command, News::ReplaceSent(&leg, at.number));
    }

    /// A client wants to change an order at a venue in place: its size can, its side cannot.
    pub(in crate::book) fn modify_outside(
        &mut self,
        command: &Command,
        at: AtVenue,
        reports: &mut impl Reports,
    ) {
        let order = &self.orders[command.slot.index()];
        let left = command.qty.saturating_sub(order.executed);
        let readable = !command.flags.has(OrderFlags::UNREADABLE);
        if !readable || order.side != command.side || at.asking != Asking::Nothing {
            return reports.modify_refused(command);
        }
        if left >= order.open() {
            return reports.ignored(command);
        }
        let at = AtVenue { request: 0, reason: CancelReason::User as u8, ..at };
        reports.outside(command, News::CancelPending(order));
        match left {
            0 => self.ask_cancel(command, command.slot, at, reports),
            left => self.ask_lower(command, command.slot, at, at.filled + left, reports),
        }
    }

    /// Finds out how an order stands at a venue: the venue was lost, or is there again (`qty` 1).
    pub(in crate::book) fn chase(&mut self, command: &Command, reports: &mut impl Reports) {
        let slot = command.slot;
        let venue = self.outside.as_ref().map_or(0, |outside| outside.venue_of(command.user));
        let Some(at) = self.at_venue(slot).filter(|at| at.venue == venue) else {
            return reports.answered(command);
        };
        let lost = command.qty == 0;
        if lost != at.suspended {
            let order = &self.orders[slot.index()];
            reports.outside(command, News::Suspended { order, lost, venue });
        }
        // What it said meanwhile may be lost for good, if not how it stands was told since.
        let doubted = at.doubted || command.qty == 2 || command.qty == 3 && !at.heard;
        let (known, heard) = (at.known && !doubted, at.heard && !lost);
        let at = AtVenue { suspended: lost, known, heard, doubted, ..at };
        self.set_at_venue(slot, at);
        if lost {
            return reports.answered(command);
        }
        match at.asking {
            // Asked twice, it is done once; but what traded before it was done has to be heard.
            Asking::Cancel | Asking::Lower if !doubted => {
                self.ask_again(command, slot, at, reports);
            }
            Asking::Nothing if at.known => {}
            asking => {
                // What became of a replace is known by the name that it gives.
                let replaces = matches!(asking, Asking::Lower | Asking::Replace);
                let number = if replaces { at.asked } else { at.number };
                let price = self.orders[slot.index()].price;
                let leg = self.leg(slot, &at, number, at.sent, price);
                reports.outside(command, News::StatusAsked(&leg));
            }
        }
        reports.answered(command);
    }

    /// Asks how an order stands by the name that its venue has for it.
    pub(super) fn ask_how_it_stands(
        &mut self,
        command: &Command,
        slot: Slot,
        at: &AtVenue,
        reports: &mut impl Reports,
    ) {
        let price = self.orders[slot.index()].price;
        let leg = self.leg(slot, at, at.number, at.sent, price);
        reports.outside(command, News::StatusAsked(&leg));
    }

    /// A cancel that waited for the answer to a replace is sent.
    pub(super) fn go_on_canceling(
        &mut self,
        command: &Command,
        slot: Slot,
        reports: &mut impl Reports,
    ) {
        let waits = self.at_venue(slot).filter(|at| at.cancel_waits);
        if let Some(at) = waits {
            self.ask_cancel(command, slot, at, reports);
        }
    }

    /// A request that never got there is made once more, under another number.
    pub(super) fn ask_again(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        reports: &mut impl Reports,
    ) {
        match at.asking {
            Asking::Cancel => self.ask_cancel(command, slot, at, reports),
            Asking::Lower => self.ask_lower(command, slot, at, at.wanted, reports),
            Asking::Replace => {
                let asked = number_of(command);
                let at = AtVenue { asked, ..at };
                self.set_at_venue(slot, at);
                let outside = self.outside.as_ref().expect("an order is there");
                let price = outside.replace_of(slot).map(|replace| replace.limit);
                let price = price.unwrap_or(self.orders[slot.index()].price);
                let leg = self.leg(slot, &at, asked, at.wanted, price);
                reports.outside(command, News::ReplaceSent(&leg, at.number));
            }
            Asking::Nothing => {}
        }
    }

    /// Tells the owner of an order that the Replace under way, if there is one, will not be done.
    pub(super) fn refuse_replace_of(
        &mut self,
        command: &Command,
        slot: Slot,
        reports: &mut impl Reports,
    ) {
        let order = &self.orders[slot.index()];
        let Some(outside) = &mut self.outside else { return };
        let Some(replace) = outside.take_replace(slot) else { return };
        let (seq, time_ns) = (command.seq, command.time_ns);
        let replace = &told_now(&replace, seq, time_ns);
        let reason = Reject::ReplaceNotAllowed;
        reports.outside(command, News::ReplaceRefused { slot, order, replace, reason });
    }

    /// Tells the owner of an order that the cancel under way, if it asked for one, will not be done.
    pub(super) fn refuse_cancel_of(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        reports: &mut impl Reports,
    ) {
        let under_way = matches!(at.asking, Asking::Cancel | Asking::Lower) || at.cancel_waits;
        if under_way && at.reason == CancelReason::User as u8 {
            let (order, request, venue) = (&self.orders[slot.index()], at.request, at.venue);
            reports.outside(command, News::CancelRefused { order, request, venue });
        }
    }
}
