//! State changes: by a sequenced command, and by what the book feeds back. A replay does just
//! this, with the verdicts that the journal holds.

use crate::order::{
    CancelReason, Command, CommandKind, Feedback, FeedbackKind, Holding, OrderFlags, Price, Reject,
    Route, TimeInForce, UserRefNum, VENUES_MAX,
};

use super::rate::TokenBucket;
use super::sweep::Sweep;
use super::table::Shadow;
use super::{Risk, Symbol, User, seconds_up};

impl Risk {
    /// Carries out a command that was sequenced before, in a run that a journal tells of.
    pub fn replay(&mut self, command: &Command) {
        debug_assert_eq!(command.seq.0, self.last_seq.0 + 1, "no gaps in the sequence");
        self.last_seq = command.seq;
        self.last_time_ns = command.time_ns;
        self.commit(command);
    }

    /// Carries out what a sequenced command means for risk.
    #[inline]
    pub(super) fn commit(&mut self, command: &Command) {
        self.use_number(command);
        if command.verdict != Reject::None {
            return;
        }
        match command.kind {
            CommandKind::Enter => self.commit_enter(command),
            CommandKind::Replace => self.commit_replace(command),
            CommandKind::Cancel => {
                // The gateway's and the sweep's own cancels take the whole order, for sure.
                let order = &mut self.orders.shadows[command.slot.index()];
                order.cancel_sent |= command.reason != CancelReason::None;
            }
            CommandKind::Modify => {
                let order = &mut self.orders.shadows[command.slot.index()];
                let readable = !command.flags.has(OrderFlags::UNREADABLE);
                if readable && !order.side.is_buy() && !command.side.is_buy() {
                    order.side = command.side;
                }
            }
            CommandKind::MassCancel | CommandKind::Disconnect => {
                self.sweep = Some(Sweep::new(command));
            }
            CommandKind::DisableFirm => self.firms[command.firm.index()].disabled = true,
            CommandKind::EnableFirm => self.firms[command.firm.index()].disabled = false,
            CommandKind::AccountQuery
            | CommandKind::MoveStream
            | CommandKind::Session
            | CommandKind::Text
            | CommandKind::VenueSaid
            | CommandKind::Chase
            | CommandKind::Bust
            | CommandKind::DefineAlias
            | CommandKind::DefineNumbers => {}
            CommandKind::VenueState => self.set_venue(command.user, command.qty),
            CommandKind::DefineUser => {
                self.define_user(command);
                self.routing.define(command);
            }
            CommandKind::DefineSymbol => self.define_symbol(command),
        }
    }

    /// Whatever carries a new number uses it up, refused or not.
    #[inline]
    fn use_number(&mut self, command: &Command) {
        use CommandKind::{DisableFirm, EnableFirm, Enter, MassCancel, Replace};
        if matches!(command.kind, Enter | Replace | MassCancel | DisableFirm | EnableFirm) {
            let user = &mut self.users[command.user.index()];
            user.last_ref = user.last_ref.max(command.user_ref.0);
        }
    }

    #[inline]
    fn commit_enter(&mut self, command: &Command) {
        let (price, route) = (self.counted_price(command), command.route());
        let order = Shadow {
            seq: command.seq,
            user_ref: command.user_ref,
            user: command.user,
            firm: command.firm,
            symbol: command.symbol,
            group: command.group,
            price,
            own_price: price,
            open: command.qty,
            side: command.side,
            capacity: command.capacity,
            routed: route != Route::INTERNAL,
            ..Shadow::EMPTY
        };
        let buys = command.side.is_buy();
        self.exposure.open(command.firm, command.symbol, buys, command.qty, price);
        self.orders.insert(command.slot, order);
        self.firms[command.firm.index()].open_orders += 1;
        if route != Route::INTERNAL {
            self.begin_way(command.slot, route);
        }
        self.start_timer(command);
    }

    fn start_timer(&mut self, command: &Command) {
        if command.tif == TimeInForce::Gtt {
            let at_ns = command.time_ns + u64::from(command.expire_s) * 1_000_000_000;
            let order = &mut self.orders.shadows[command.slot.index()];
            order.expires_s = u32::try_from(seconds_up(at_ns)).unwrap_or(u32::MAX);
            self.timers.insert(&mut self.orders.shadows, command.slot);
        }
    }

    #[inline]
    fn commit_replace(&mut self, command: &Command) {
        let order = self.orders.shadows[command.slot.index()];
        let named = (command.user, command.orig_user_ref);
        if !order.live || (order.user, order.user_ref) != named {
            // In a replay the order is known to be gone already, which was still under way when this was
            // sequenced. The book will refuse it.
            return;
        }
        let market = command.flags.has(OrderFlags::MARKET);
        let price = if market { order.price } else { command.price };
        self.orders.renumber(command.slot, command.user_ref);
        if order.expires_s != 0 {
            self.timers.remove(&mut self.orders.shadows, command.slot);
        }
        // Count the larger of old and new until the book has carried it out.
        let open = order.open.max(command.qty.saturating_sub(order.executed));
        let price = order.price.max(price);
        self.recount(command.slot.index(), open, price);
        let order = &mut self.orders.shadows[command.slot.index()];
        order.seq = command.seq;
        order.group = command.group;
        order.replaces += 1;
        self.start_timer(command);
    }

    /// Counts an order with other open shares or another price from here on.
    #[inline]
    fn recount(&mut self, slot: usize, open: u32, price: Price) {
        let order = &mut self.orders.shadows[slot];
        if (order.open, order.price) == (open, price) {
            return;
        }
        let (firm, symbol, buys) = (order.firm, order.symbol, order.side.is_buy());
        self.exposure.close(firm, symbol, buys, order.open, order.price);
        self.exposure.open(firm, symbol, buys, open, price);
        (order.open, order.price) = (open, price);
    }

    /// Takes in what the book did to one order.
    #[inline]
    pub fn feed_back(&mut self, feedback: &Feedback) {
        if matches!(feedback.kind, FeedbackKind::FilledLate | FeedbackKind::Busted) {
            return self.correct(feedback);
        }
        let order = &mut self.orders.shadows[feedback.slot.index()];
        debug_assert!(
            order.live && order.user == feedback.user,
            "the book feeds back what is open"
        );
        let (firm, symbol, buys) = (order.firm, order.symbol, order.side.is_buy());
        match feedback.kind {
            FeedbackKind::Filled | FeedbackKind::Reduced => {
                let gone = feedback.qty.min(order.open);
                order.open -= gone;
                let price = order.price;
                if feedback.kind == FeedbackKind::Filled {
                    order.executed += feedback.qty;
                    self.exposure.fill(firm, symbol, buys, feedback.qty);
                    // A venue may say anything, but nothing is judged by a price of nothing.
                    if feedback.price > Price(0) {
                        let symbol = &mut self.symbols[symbol.index()];
                        (symbol.reference, symbol.traded) = (feedback.price, true);
                    }
                }
                self.exposure.close(firm, symbol, buys, gone, price);
            }
            FeedbackKind::FilledLate | FeedbackKind::Busted => {}
            FeedbackKind::Asked => self.wait_for(feedback.slot, feedback.qty as u8),
            FeedbackKind::Answered => self.wait_for(feedback.slot, 0),
            FeedbackKind::Renumbered => {
                let now = UserRefNum(feedback.qty);
                if order.user_ref != now {
                    self.orders.renumber(feedback.slot, now);
                }
            }
            FeedbackKind::Replaced => {
                // In a replay, one that was refused may never have been counted.
                order.replaces = order.replaces.saturating_sub(1);
                if order.replaces == 0 {
                    let market = feedback.price == Price::MARKET;
                    let price = if market { order.own_price } else { feedback.price };
                    order.own_price = price;
                    self.recount(feedback.slot.index(), feedback.qty, price);
                }
            }
            FeedbackKind::Modified => {
                if order.replaces == 0 {
                    let (open, price) = (feedback.qty.min(order.open), order.price);
                    self.recount(feedback.slot.index(), open, price);
                }
            }
        }
        if feedback.done {
            self.finish(feedback.slot.index());
        }
    }

    /// Shares of an order that is no more changed hands after all, or back.
    #[cold]
    fn correct(&mut self, feedback: &Feedback) {
        let Holding { symbol, buys } = Holding::of_slot(feedback.slot);
        let firm = self.users[feedback.user.index()].firm;
        let traded = feedback.kind == FeedbackKind::FilledLate;
        self.exposure.fill(firm, symbol, buys == traded, feedback.qty);
    }

    /// An order is no more: whatever is still counted for it is freed.
    fn finish(&mut self, slot: usize) {
        let order = self.orders.shadows[slot];
        let buys = order.side.is_buy();
        self.exposure.close(order.firm, order.symbol, buys, order.open, order.price);
        self.firms[order.firm.index()].open_orders -= 1;
        let slot = crate::order::Slot(slot as u32);
        if order.expires_s != 0 {
            self.timers.remove(&mut self.orders.shadows, slot);
        }
        if order.waits_for != 0 {
            self.wait_for(slot, 0);
        }
        self.orders.remove(slot);
    }

    /// Users are numbered without gaps; a known one may change its firm while it has no orders.
    fn define_user(&mut self, command: &Command) {
        let (user, firm) = (command.user, command.firm);
        match self.users.get_mut(user.index()) {
            Some(known) => {
                debug_assert!(!self.orders.has_orders(user), "checked before it was sequenced");
                known.firm = firm;
            }
            None => {
                assert_eq!(user.index(), self.users.len(), "users are numbered without gaps");
                let waiting = [0; VENUES_MAX];
                self.users.push(User { firm, last_ref: 0, rate: TokenBucket::new(), waiting });
            }
        }
    }

    fn define_symbol(&mut self, command: &Command) {
        let symbol = Symbol { tick: command.price, reference: command.price, traded: false };
        match self.symbols.get_mut(command.symbol.index()) {
            Some(known) => known.tick = symbol.tick,
            None => {
                let next = self.symbols.len();
                assert_eq!(command.symbol.index(), next, "symbols are numbered without gaps");
                self.symbols.push(symbol);
            }
        }
    }

    /// Whether a user has open orders.
    pub fn has_orders(&self, user: crate::order::UserId) -> bool {
        self.orders.has_orders(user)
    }
}
