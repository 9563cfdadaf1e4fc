//! What happens to orders outside, as events and feedback.

use crate::book::agent::{Outlet, RingReports};
use crate::book::{Leg, Order, Outside};
use crate::order::{
    Command, CommandKind, Event, EventKind, Feedback, FeedbackKind, Price, Reject, Slot, UserRefNum,
};

/// The liquidity flag of a fill at a venue.
const ROUTED: u8 = b'X';

impl<O: Outlet> RingReports<O> {
    /// Tells whom it concerns.
    pub(in crate::book) fn tell_outside(&mut self, command: &Command, what: Outside<'_>) {
        match what {
            Outside::Sent(leg) => self.tell_venue(command, leg, EventKind::VenueOrder, 0, true),
            Outside::CancelSent(leg, of) => {
                self.tell_venue(command, leg, EventKind::VenueCancel, of, true);
            }
            Outside::ReplaceSent(leg, of) => {
                self.tell_venue(command, leg, EventKind::VenueReplace, of, true);
            }
            Outside::LowerSent(leg, of) => {
                self.tell_venue(command, leg, EventKind::VenueReplace, of, false);
            }
            Outside::StatusAsked(leg) => {
                self.tell_venue(command, leg, EventKind::VenueStatus, 0, true)
            }
            Outside::Heard(alarm) => {
                self.whole(command, EventKind::VenueHeard, 0, alarm as u64, false);
            }
            Outside::Answered(slot, order) => {
                self.tell_risk(slot, order, FeedbackKind::Answered, 0, Price(0), false);
            }
            Outside::CancelPending(order) => self.pending(command, order, EventKind::CancelPending),
            Outside::ReplacePending(order) => {
                self.pending(command, order, EventKind::ReplacePending);
            }
            Outside::Filled { slot, order, qty, price, match_number, venue } => {
                self.part(command, order, EventKind::Executed, qty, |event| {
                    event.price = price;
                    event.reference = match_number;
                    event.liquidity = ROUTED;
                    event.venue = venue;
                });
                self.tell_risk(slot, order, FeedbackKind::Filled, qty, price, order.open() == 0);
            }
            Outside::Canceled { slot, order, qty, reason, done, request, venue } => {
                self.part(command, order, EventKind::Canceled, qty, |event| {
                    event.reason = reason;
                    event.reference = request.into();
                    event.venue = venue;
                });
                self.tell_risk(slot, order, FeedbackKind::Reduced, qty, order.price, done);
            }
            Outside::CancelRefused { order, request, venue } => {
                self.part(command, order, EventKind::CancelRefused, 0, |event| {
                    event.reference = request.into();
                    event.venue = venue;
                });
            }
            Outside::ReplaceRefused { slot, order, replace, reason } => {
                self.refused(slot, order, replace, reason);
            }
            Outside::FilledLate { user, user_ref, holding, qty, price, match_number, venue } => {
                self.of_ended(command, EventKind::Executed, user_ref, |event| {
                    (event.user, event.qty, event.price) = (user, qty, price);
                    (event.reference, event.liquidity) = (match_number, ROUTED);
                    event.venue = venue;
                });
                let (slot, kind) = (holding.as_slot(), FeedbackKind::FilledLate);
                let feedback = Feedback { slot, qty, price, user, kind, done: false };
                self.outlet.feedback(&feedback);
            }
            Outside::Busted { user, user_ref, holding, qty, price, match_number, venue } => {
                self.of_ended(command, EventKind::Busted, user_ref, |event| {
                    (event.user, event.qty, event.price) = (user, qty, price);
                    (event.reference, event.venue) = (match_number, venue);
                });
                let (slot, kind) = (holding.as_slot(), FeedbackKind::Busted);
                let feedback = Feedback { slot, qty, price, user, kind, done: false };
                self.outlet.feedback(&feedback);
            }
            Outside::Suspended { order, lost, venue } => {
                self.part(command, order, EventKind::Suspended, order.open(), |event| {
                    (event.live, event.venue) = (!lost, venue);
                });
            }
        }
    }

    /// What a venue is sent: the order as it stands, told by what brought it about.
    fn tell_venue(
        &mut self,
        command: &Command,
        leg: &Leg<'_>,
        kind: EventKind,
        of: u32,
        live: bool,
    ) {
        let order = leg.order;
        self.outlet.event(leg.user, |event| {
            event.command = Command {
                seq: command.seq,
                time_ns: command.time_ns,
                slot: leg.slot,
                symbol: order.symbol,
                side: order.side,
                qty: leg.qty,
                price: leg.price,
                limit: leg.price,
                min_qty: leg.min_qty,
                max_floor: order.max_floor,
                tif: order.tif,
                display: order.display,
                capacity: order.capacity,
                flags: order.flags,
                ..Command::new(CommandKind::Enter, order.user, order.firm)
            };
            event.kind = kind;
            event.whole = true;
            event.live = live;
            event.user = leg.user;
            event.venue = leg.venue;
            event.user_ref = UserRefNum(leg.number);
            event.reference = of.into();
            event.side = order.side;
            event.qty = leg.qty;
            event.price = leg.price;
        });
        // Of an order that is no more nothing is counted.
        if order.open() > 0 {
            let venue = leg.venue.into();
            self.tell_risk(leg.slot, order, FeedbackKind::Asked, venue, Price(0), false);
        }
    }

    /// A client's request was passed on; its words are all there.
    fn pending(&mut self, command: &Command, order: &Order, kind: EventKind) {
        self.outlet.event(order.user, |event| {
            event.command = *command;
            event.kind = kind;
            event.whole = true;
            event.venue = 0;
            event.user = order.user;
            event.user_ref = order.user_ref;
            event.qty = order.open();
            event.reference = 0;
        });
    }

    /// A Replace was refused and its order stands: it goes by the number it has.
    fn refused(&mut self, slot: Slot, order: &Order, replace: &Command, reason: Reject) {
        let answer = Command { verdict: reason, ..*replace };
        // The order stands.
        self.whole(&answer, EventKind::Rejected, replace.qty, 0, true);
        let (qty, user, price) = (order.user_ref.0, order.user, Price(0));
        let renumbered =
            Feedback { slot, qty, price, user, kind: FeedbackKind::Renumbered, done: false };
        self.outlet.feedback(&renumbered);
        self.tell_risk(slot, order, FeedbackKind::Replaced, order.open(), order.price, false);
    }

    /// Something about an order of which only its name is left.
    fn of_ended(
        &mut self,
        command: &Command,
        kind: EventKind,
        user_ref: UserRefNum,
        more: impl FnOnce(&mut Event),
    ) {
        let mut event = Event::EMPTY;
        more(&mut event);
        self.outlet.event(event.user, |place| {
            *place = Event { kind, user_ref, ..event };
            place.command.seq = command.seq;
            place.command.time_ns = command.time_ns;
        });
    }
}
