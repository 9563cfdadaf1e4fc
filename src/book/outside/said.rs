//! What a venue says of an order that it has.

use super::known::{Asking, AtVenue, Trade, number_of, reason_of, told_now};
use super::recent::When;
use crate::book::reports::Outside as News;
use crate::book::{Book, Reports};
use crate::order::{
    Alarm, CancelReason, Command, OrderFlags, Policy, Price, Said, Saying, Slot, TimeInForce,
};

impl Book {
    /// A venue said something.
    pub(in crate::book) fn venue_said(&mut self, command: &Command, reports: &mut impl Reports) {
        let said = Said::read(command);
        let waited = self.waits(said.slot);
        let alarm = self.take_in(command, &said, reports);
        let order = self.order(said.slot);
        if let Some(order) = order.filter(|_| waited && !self.waits(said.slot)) {
            reports.outside(command, News::Answered(said.slot, order));
        }
        reports.outside(command, News::Heard(alarm));
    }

    /// Whether the order in a slot is at a venue that owes an answer.
    pub fn waits(&self, slot: Slot) -> bool {
        self.at_venue(slot).is_some_and(|at| !at.known || at.asking != Asking::Nothing)
    }

    fn take_in(&mut self, command: &Command, said: &Said, reports: &mut impl Reports) -> Alarm {
        let Some(outside) = &self.outside else { return Alarm::UnknownOrder };
        let venue = outside.venue_of(command.user);
        if let Saying::Busted { exec } = said.saying {
            return self.bust(command, venue, exec, reports);
        }
        let slot = said.slot;
        // Requests that were made again have names between the order's own and the last one's.
        let is_meant = |at: &AtVenue| {
            at.venue == venue
                && (at.number == said.number
                    || (at.number < said.number && said.number <= at.asked))
        };
        let Some(at) = self.at_venue(slot).filter(is_meant) else {
            return self.take_in_late(command, said, venue, reports);
        };
        // That a venue refuses to change an order does not mean that it has it.
        use Saying::{CancelRefused, Refused, ReplaceRefused, Unknown};
        let denies = matches!(said.saying, CancelRefused | ReplaceRefused | Refused | Unknown);
        let stands = matches!(said.saying, Saying::Stands { .. });
        // Of one that is doubted, only how it stands is enough to know it.
        let known = at.known || stands || !(denies || at.doubted);
        let (heard, doubted) = (at.heard || stands, at.doubted && !stands);
        let at = AtVenue { known, heard, doubted, ..at };
        // An answer to a request goes by the request's number; one by the order's own is taken for one too.
        let is_answer = at.asking != Asking::Nothing && said.number != at.number;
        let replaces = matches!(at.asking, Asking::Lower | Asking::Replace);
        let tells = matches!(said.saying, Saying::Filled { .. } | Saying::Stands { .. });
        let at = if is_answer && replaces && tells {
            // What has the name that a replace gives was replaced, whether that was heard or not.
            self.replaced_outside(command, slot, at, Some(said.number), reports);
            let Some(at) = self.at_venue(slot) else {
                return self.take_in_late(command, said, venue, reports);
            };
            at
        } else {
            at
        };
        match said.saying {
            Saying::Accepted => {
                self.set_at_venue(slot, at);
                Alarm::None
            }
            Saying::Filled { qty, price, exec } => {
                self.fill(command, slot, at, (qty, price), exec, reports)
            }
            Saying::Refused if !is_answer => {
                self.come_back(command, slot, at, reports);
                Alarm::None
            }
            Saying::Canceled { qty } => self.taken(command, slot, at, qty, reports),
            Saying::Replaced => {
                let now = is_answer.then_some(said.number);
                let alarm = self.replaced_outside(command, slot, at, now, reports);
                let doubted = self.at_venue(slot).filter(|at| at.doubted);
                if let Some(at) = doubted {
                    self.ask_how_it_stands(command, slot, &at, reports);
                }
                alarm
            }
            // It was asked once more, and that is answered too.
            Saying::CancelRefused | Saying::ReplaceRefused | Saying::Refused
                if said.number < at.asked =>
            {
                Alarm::None
            }
            Saying::CancelRefused | Saying::ReplaceRefused | Saying::Refused => {
                self.refused(command, slot, at, reports)
            }
            Saying::Stands { cum, leaves, notional } => {
                self.stands(command, slot, at, (cum, leaves, notional), reports)
            }
            // Of use where something may be lost; else what traded comes by itself.
            Saying::Traded { cum, notional } if at.doubted => {
                self.set_at_venue(slot, at);
                self.catch_up(command, slot, at, (cum, notional), reports)
            }
            Saying::Traded { .. } => Alarm::None,
            Saying::Untold => {
                // It is taken to stand until the venue says more.
                self.set_at_venue(slot, AtVenue { known: true, ..at });
                Alarm::None
            }
            Saying::Unknown if is_answer && said.number != at.number => {
                // The request never got there: it is made once more.
                self.ask_again(command, slot, at, reports);
                Alarm::None
            }
            Saying::Unknown => {
                self.come_back(command, slot, at, reports);
                Alarm::None
            }
            Saying::Busted { .. } => Alarm::UnknownTrade,
        }
    }

    /// Shares traded at the venue.
    fn fill(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        (qty, price): (u32, Price),
        exec: u64,
        reports: &mut impl Reports,
    ) -> Alarm {
        let now = When::of(command);
        let venue = at.venue;
        let outside = self.outside.as_mut().expect("an order is there");
        if exec != 0 && outside.trade(now, venue, exec).is_some() {
            return Alarm::Twice;
        }
        let open = self.orders[slot.index()].open();
        let taken = qty.min(open);
        if taken == open {
            self.refuse_replace_of(command, slot, reports);
        }
        let outside = self.outside.as_mut().expect("an order is there");
        let order = &mut self.orders[slot.index()];
        order.shown -= taken;
        order.executed += taken;
        let (symbol, side) = (order.symbol, order.side);
        let match_number = self.numbering.of_match(symbol);
        let order = &self.orders[slot.index()];
        let (user, user_ref) = (order.user, order.user_ref);
        let trade =
            Trade { user, user_ref, symbol, side, qty: taken, price, match_number, undone: false };
        outside.remember(now, venue, exec, trade);
        let notional = at.notional + price.notional(taken);
        let whose = (user, user_ref);
        let at = AtVenue { filled: at.filled + taken, notional, ..at };
        outside.set(slot, at);
        let news = News::Filled { slot, order, qty: taken, price, match_number, venue };
        reports.outside(command, news);
        if taken == open {
            self.refuse_cancel_of(command, slot, at, reports);
            self.leave(command, slot, 0);
        }
        // More than is open may have been sent there, if another venue said one thing and did another.
        let more = (qty - taken).min(at.sent.max(at.wanted).saturating_sub(at.filled));
        self.fill_late(command, whose, (symbol, side), venue, (more, price), exec, reports);
        match () {
            () if qty > taken => Alarm::Overfilled,
            () if price.0 == 0 || !price.0.is_multiple_of(self.tick(symbol).0) => Alarm::OffTick,
            () => Alarm::None,
        }
    }

    /// The venue took shares away: because it was asked, or by itself.
    fn taken(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        qty: u32,
        reports: &mut impl Reports,
    ) -> Alarm {
        let open = self.orders[slot.index()].open();
        let taken = if qty == 0 { open } else { qty.min(open) };
        let asked = at.asking == Asking::Cancel || at.cancel_waits;
        if taken == open && !asked && self.goes_on(slot) {
            self.refuse_replace_of(command, slot, reports);
            self.leave_for(command, slot, open);
            self.send_out(command, slot, reports);
            return Alarm::None;
        }
        let lowers = at.asking == Asking::Lower;
        let reason = match asked || lowers {
            true => reason_of(at.reason),
            false if self.orders[slot.index()].tif == TimeInForce::Ioc => CancelReason::Immediate,
            false if self.orders[slot.index()].flags.has(OrderFlags::MARKET) => {
                CancelReason::Immediate
            }
            false => CancelReason::Supervisory,
        };
        let request = if asked || lowers { at.request } else { 0 };
        self.take_away(command, slot, at, taken, (reason, request), reports);
        Alarm::None
    }

    /// Takes open shares from an order at a venue, and tells its owner.
    fn take_away(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        taken: u32,
        (reason, request): (CancelReason, u32),
        reports: &mut impl Reports,
    ) {
        let (done, venue) = (taken == self.orders[slot.index()].open(), at.venue);
        if done {
            self.refuse_replace_of(command, slot, reports);
        }
        self.orders[slot.index()].shown -= taken;
        let order = &self.orders[slot.index()];
        let news = News::Canceled { slot, order, qty: taken, reason, done, request, venue };
        reports.outside(command, news);
        if done {
            self.leave(command, slot, taken);
        } else {
            let at = match at.asking {
                Asking::Lower => AtVenue { asking: Asking::Nothing, request: 0, ..at },
                _ => at,
            };
            let sent = at.sent.saturating_sub(taken);
            self.set_at_venue(slot, AtVenue { sent, ..at });
        }
    }

    /// The venue carried out a replace: it calls the order `now`.
    fn replaced_outside(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        now: Option<u32>,
        reports: &mut impl Reports,
    ) -> Alarm {
        let Some(number) = now else { return Alarm::Unasked };
        let open = at.wanted.saturating_sub(at.filled);
        let now = AtVenue { number, asked: 0, asking: Asking::Nothing, sent: at.wanted, ..at };
        match at.asking {
            Asking::Lower => {
                let taken = self.orders[slot.index()].open().saturating_sub(open);
                let why = (reason_of(at.reason), at.request);
                let now = AtVenue { request: 0, sent: at.wanted + taken, ..now };
                self.take_away(command, slot, now, taken, why, reports);
            }
            Asking::Replace => {
                let outside = self.outside.as_mut().expect("an order is there");
                let Some(replace) = outside.take_replace(slot) else { return Alarm::Unasked };
                outside.set(slot, now);
                let order = &mut self.orders[slot.index()];
                order.shown = open;
                (order.price, order.user_ref) = (replace.price, replace.user_ref);
                (order.tif, order.flags) = (replace.tif, replace.flags);
                (order.display, order.max_floor) = (replace.display, replace.max_floor);
                order.group = replace.group;
                // It has its place now, and was carried out by this command.
                let told = told_now(&replace, command.seq, command.time_ns);
                reports.replaced(&told, open, order.reference, open > 0);
                if open == 0 {
                    self.leave(command, slot, 0);
                    return Alarm::None;
                }
            }
            _ => return Alarm::Unasked,
        }
        self.go_on_canceling(command, slot, reports);
        Alarm::None
    }

    /// The venue did not do what it was asked to.
    fn refused(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        reports: &mut impl Reports,
    ) -> Alarm {
        if at.asking == Asking::Nothing {
            return Alarm::Unasked;
        }
        match at.asking {
            Asking::Replace => self.refuse_replace_of(command, slot, reports),
            _ => self.refuse_cancel_of(command, slot, at, reports),
        }
        let kept = AtVenue { asking: Asking::Nothing, asked: 0, wanted: at.sent, ..at };
        self.set_at_venue(slot, kept);
        if at.cancel_waits {
            self.go_on_canceling(command, slot, reports);
        } else if !at.known {
            // It may be that the order never got there.
            self.ask_how_it_stands(command, slot, &kept, reports);
        }
        Alarm::None
    }

    /// The venue does not have the order, or not any more: its shares are here again.
    fn come_back(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        reports: &mut impl Reports,
    ) {
        let open = self.orders[slot.index()].open();
        let canceled = at.asking == Asking::Cancel || at.cancel_waits;
        if !canceled && self.orders[slot.index()].route.next().is_some() {
            self.refuse_replace_of(command, slot, reports);
            self.leave_for(command, slot, open);
            return self.send_out(command, slot, reports);
        }
        let order = &self.orders[slot.index()];
        let rests = order.route.policy() == Policy::CrossThenRoute
            && order.tif != TimeInForce::Ioc
            && !order.flags.has(OrderFlags::MARKET);
        if rests && !canceled {
            self.refuse_replace_of(command, slot, reports);
            self.leave_for(command, slot, open);
            return self.come_in(command, slot, reports);
        }
        let why = match canceled {
            true => (reason_of(at.reason), at.request),
            false => (CancelReason::Supervisory, 0),
        };
        self.take_away(command, slot, at, open, why, reports);
    }

    /// More traded than was heard of: what was missed is known together, at what it cost on average.
    fn catch_up(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        (cum, notional): (u32, u64),
        reports: &mut impl Reports,
    ) -> Alarm {
        let qty = cum.saturating_sub(at.filled);
        if qty == 0 {
            return Alarm::None;
        }
        let price = Price((notional.saturating_sub(at.notional) / u64::from(qty)) as u32);
        self.fill(command, slot, at, (qty, price), 0, reports)
    }

    /// How an order stands at its venue.
    fn stands(
        &mut self,
        command: &Command,
        slot: Slot,
        at: AtVenue,
        (cum, leaves, notional): (u32, u32, u64),
        reports: &mut impl Reports,
    ) -> Alarm {
        self.set_at_venue(slot, at);
        let alarm = self.catch_up(command, slot, at, (cum, notional), reports);
        let Some(at) = self.at_venue(slot) else { return alarm };
        if leaves == 0 {
            return self.taken(command, slot, at, 0, reports);
        }
        // Not if it was sent just now.
        if at.asking == Asking::Cancel && at.asked != number_of(command) {
            self.ask_again(command, slot, at, reports);
        }
        alarm
    }
}
