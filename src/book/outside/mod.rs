//! Orders that go out to venues, and what venues say of them.
//!
//! An order's open shares are all in one place: in the book, or at one venue. What is under way between here and
//! there is one request at a time, so that every answer has one meaning, and whatever happens meanwhile is told
//! when it is known: a fill that comes during a cancel is a fill, and the cancel finds less.

mod asked;
mod known;
mod late;
mod recent;
mod said;
mod tell;

pub(super) use known::Outside;

use super::order::{NO_LEVEL, OUTSIDE};
use super::reports::{Leg, Outside as News};
use super::{Book, Reports};
use crate::order::{
    CancelReason, Command, CommandKind, OrderFlags, Policy, Price, Route, SelfTrade, Slot,
    TimeInForce, UserRefNum,
};
use known::{AtVenue, number_of};
use recent::When;

impl Book {
    /// Whether what is left of an order that met the book goes on to a venue. It `traded` here just now, or not.
    #[inline(never)]
    pub(in crate::book) fn goes_out(&self, slot: Slot, traded: bool) -> bool {
        let order = &self.orders[slot.index()];
        let at_once = order.tif == TimeInForce::Ioc || order.flags.has(OrderFlags::MARKET);
        order.route.next().is_some()
            && match order.route.policy() {
                Policy::InternalOnly => false,
                Policy::CrossThenRoute => at_once || traded,
                Policy::RouteOnly | Policy::PostOut => true,
            }
    }

    /// Sends an order, which does not rest, to the next venue of its way, with its open shares.
    #[inline(never)]
    pub(in crate::book) fn send_out(
        &mut self,
        command: &Command,
        slot: Slot,
        reports: &mut impl Reports,
    ) {
        let order = &mut self.orders[slot.index()];
        let venue = order.route.next().expect("it has a way");
        order.route = order.route.behind();
        (order.shown, order.reserve) = (order.open(), 0);
        // A market order is one that trades at once, no worse than its collar.
        let market = order.flags.has(OrderFlags::MARKET);
        let entered = command.slot == slot && command.user == order.user;
        let price = if market && entered { command.limit } else { order.price };
        let min_qty = if entered { command.min_qty } else { 0 };
        if let Some(other) = self.meets_own(slot, venue, price) {
            return self.prevent_outside(command, slot, other, reports);
        }
        let order = &mut self.orders[slot.index()];
        order.level = OUTSIDE;
        let Some(outside) = &mut self.outside else { return };
        let (number, open) = (number_of(command), order.shown);
        let at = AtVenue { venue, number, sent: open, wanted: open, ..AtVenue::default() };
        outside.begin(slot, order, at);
        let user = outside.user_of(venue).expect("risk names venues that are there");
        let order = &self.orders[slot.index()];
        let leg = Leg { slot, order, user, venue, number, qty: open, price, min_qty };
        reports.outside(command, News::Sent(&leg));
    }

    /// The best price at which an order of the same firm is at a venue that one which is sent there would trade with.
    fn meets_own(&self, slot: Slot, venue: u8, price: Price) -> Option<Price> {
        let order = &self.orders[slot.index()];
        if order.self_trade == SelfTrade::Allow {
            return None;
        }
        let buys = order.side.is_buy();
        let mut met = None;
        self.outside.as_ref()?.for_each_of(order, |other, at| {
            let other = &self.orders[other.index()];
            let market = other.flags.has(OrderFlags::MARKET);
            let crosses = if buys { other.price <= price } else { other.price >= price };
            if at.venue == venue && other.side.is_buy() != buys && (crosses || market) {
                let better =
                    |met: Price| if buys { met.min(other.price) } else { met.max(other.price) };
                met = Some(met.map_or(other.price, better));
            }
        });
        met
    }

    /// An order would meet its own firm at a venue, where nobody here can do anything about the other: it ends, whatever
    /// the firm's policy is in the book.
    fn prevent_outside(
        &mut self,
        command: &Command,
        slot: Slot,
        price: Price,
        reports: &mut impl Reports,
    ) {
        let order = &self.orders[slot.index()];
        let (open, policy) = (order.shown, SelfTrade::CancelNewest);
        reports.self_trade_prevented(command, slot, order, open, open, price, policy, true);
        let order = &mut self.orders[slot.index()];
        (order.shown, order.level) = (0, NO_LEVEL);
        self.open_orders -= 1;
    }

    /// The order in a slot and what is known of it outside, if it is there.
    fn at_venue(&self, slot: Slot) -> Option<AtVenue> {
        self.order(slot).filter(|order| order.is_outside())?;
        Some(self.outside.as_ref()?.get(slot))
    }

    fn set_at_venue(&mut self, slot: Slot, at: AtVenue) {
        if let Some(outside) = &mut self.outside {
            outside.set(slot, at);
        }
    }

    /// One more message about an order to its venue.
    fn leg(&self, slot: Slot, at: &AtVenue, number: u32, qty: u32, price: Price) -> Leg<'_> {
        let order = &self.orders[slot.index()];
        let outside = self.outside.as_ref().expect("an order is there");
        let user = outside.user_of(at.venue).expect("a venue that is there");
        Leg { slot, order, user, venue: at.venue, number, qty, price, min_qty: 0 }
    }

    /// Whether an order that a venue let go of goes on to the next.
    fn goes_on(&self, slot: Slot) -> bool {
        let order = &self.orders[slot.index()];
        let at_once = order.tif == TimeInForce::Ioc || order.flags.has(OrderFlags::MARKET);
        at_once && order.route.next().is_some()
    }

    /// The order in a slot is done, with `left` shares that did not trade at its venue.
    fn leave(&mut self, command: &Command, slot: Slot, left: u32) {
        self.leave_for(command, slot, left);
        self.open_orders -= 1;
    }

    /// The order in a slot is at its venue no more.
    fn leave_for(&mut self, command: &Command, slot: Slot, left: u32) {
        let order = &mut self.orders[slot.index()];
        order.level = NO_LEVEL;
        let order = *order;
        if let Some(outside) = &mut self.outside {
            outside.end(When::of(command), slot, &order, left);
        }
    }

    /// An order whose shares came back meets the book, and rests here.
    fn come_in(&mut self, command: &Command, slot: Slot, reports: &mut impl Reports) {
        let order = &mut self.orders[slot.index()];
        order.route = Route::INTERNAL;
        // As if its owner had entered it now.
        let entered = Command {
            kind: CommandKind::Enter,
            user: order.user,
            firm: order.firm,
            user_ref: order.user_ref,
            symbol: order.symbol,
            side: order.side,
            slot,
            qty: order.open(),
            price: order.price,
            limit: order.price,
            tif: order.tif,
            display: order.display,
            flags: order.flags,
            self_trade: order.self_trade,
            capacity: order.capacity,
            max_floor: order.max_floor,
            min_qty: 0,
            number_in: 0,
            orig_user_ref: UserRefNum(0),
            reason: CancelReason::None,
            ..*command
        };
        self.take(&entered, slot, reports);
    }
}
