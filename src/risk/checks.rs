//! The verdict. Reads everything, changes nothing but the command and the rate counters.

use crate::order::{Command, CommandKind, OrderFlags, Price, Reject, Side, UnixNanos, UserRefNum};

use super::Risk;

impl Risk {
    /// Completes a command and writes its verdict. False if it is to be ignored.
    #[inline]
    pub(super) fn decide(&mut self, command: &mut Command, now_ns: UnixNanos) -> bool {
        command.firm = self.users[command.user.index()].firm;
        use CommandKind::{Bust, Session, Text, VenueSaid, VenueState};
        if matches!(command.kind, Session | Text | VenueSaid | VenueState | Bust) {
            return true;
        }
        let within_rate = self.take_token(command, now_ns);
        match command.kind {
            CommandKind::Enter => {
                if !self.is_new_number(command) {
                    return false;
                }
                self.judge(command, within_rate, |risk, command| risk.check_enter(command, now_ns));
                true
            }
            CommandKind::Replace => {
                if !self.is_new_number(command) {
                    return false;
                }
                self.judge(command, within_rate, |risk, command| risk.check_replace(command));
                true
            }
            CommandKind::Cancel | CommandKind::Modify => {
                if command.verdict != Reject::None {
                    return true;
                }
                match self.orders.find(command.user, command.user_ref) {
                    Some(slot) => {
                        command.slot = slot;
                        command.symbol = self.orders.shadows[slot.index()].symbol;
                        true
                    }
                    // OUCH 5.0: a cancel of an order that is no more is ignored, and so is a
                    // modify. A session that numbers its messages is answered.
                    None if command.number_in == 0 => false,
                    None => {
                        command.verdict = Reject::TooLate;
                        true
                    }
                }
            }
            CommandKind::AccountQuery => {
                let last = self.users[command.user.index()].last_ref;
                command.answer = last.saturating_add(1);
                true
            }
            _ => true,
        }
    }

    /// Counts a client's message against its rate. What only takes risk away always passes.
    #[inline]
    fn take_token(&mut self, command: &Command, now_ns: UnixNanos) -> bool {
        let per_second = self.limits(command.user).max_messages_per_second;
        self.users[command.user.index()].rate.take(now_ns, per_second)
    }

    /// OUCH 5.0, "UserRefNum": a repeated or lower number is ignored without a reply.
    #[inline]
    fn is_new_number(&self, command: &Command) -> bool {
        command.user_ref.0 > self.users[command.user.index()].last_ref
    }

    /// Runs the checks unless the gateway refused the command already.
    #[inline]
    fn judge(
        &mut self,
        command: &mut Command,
        within_rate: bool,
        check: impl FnOnce(&mut Risk, &mut Command) -> Result<(), Reject>,
    ) {
        if command.verdict != Reject::None {
            return;
        }
        let verdict = if within_rate { check(self, command) } else { Err(Reject::PortMessageRate) };
        if let Err(reject) = verdict {
            command.verdict = reject;
        }
    }

    #[inline]
    fn check_enter(&mut self, command: &mut Command, now_ns: UnixNanos) -> Result<(), Reject> {
        self.check_firm(command)?;
        let price = self.check_terms(command)?;
        let open_orders = self.firms[command.firm.index()].open_orders;
        if open_orders >= self.limits(command.user).max_open_orders {
            return Err(Reject::TooManyOpenOrders);
        }
        self.check_exposure(command, command.qty, price.notional(command.qty))?;
        let window_ns = self.limits(command.user).duplicate_window_ns;
        let users = self.users.len();
        if self.duplicates.seen(command, now_ns, window_ns)
            || self.duplicates.is_full_for(command.user, now_ns, window_ns, users)
        {
            return Err(Reject::DuplicateMessageRate);
        }
        command.answer = self.find_way(command)?.0;
        if command.flags.has(OrderFlags::MARKET) {
            command.orig_user_ref = UserRefNum(price.0);
        }
        command.slot = self.orders.next_free().ok_or(Reject::ProcessingError)?;
        self.duplicates.remember(command, now_ns, window_ns);
        Ok(())
    }

    #[inline]
    fn check_replace(&mut self, command: &mut Command) -> Result<(), Reject> {
        let slot = self.orders.find(command.user, command.orig_user_ref);
        let Some(slot) = slot.filter(|slot| !self.orders.shadows[slot.index()].cancel_sent) else {
            return Err(Reject::ReplaceNotAllowed);
        };
        let order = self.orders.shadows[slot.index()];
        command.slot = slot;
        command.symbol = order.symbol;
        command.side = order.side;
        command.group = if command.group == 0 { order.group } else { command.group };
        command.capacity = order.capacity;
        self.check_firm(command)?;
        if order.routed && order.waits_for == 0 && self.is_any_full_for(command.user) {
            return Err(Reject::VenueBusy);
        }
        let price = self.check_terms(command)?;
        // What is counted for the order already makes room for what replaces it.
        let open = command.qty.saturating_sub(order.executed);
        let (more, worth) = (open.saturating_sub(order.open), price.notional(open));
        let more_worth = worth.saturating_sub(order.price.notional(order.open));
        self.check_exposure(command, more, more_worth)
    }

    /// Whether the firm may have anything new.
    #[inline]
    fn check_firm(&self, command: &Command) -> Result<(), Reject> {
        if self.disk_nearly_full {
            return Err(Reject::DiskNearlyFull);
        }
        if self.firms[command.firm.index()].disabled {
            return Err(Reject::FirmNotAuthorized);
        }
        Ok(())
    }

    /// Checks an order by itself, and finds its limit. Returns the price it is counted at.
    #[inline]
    fn check_terms(&self, command: &mut Command) -> Result<Price, Reject> {
        let limits = self.limits(command.user);
        let symbol = &self.symbols[command.symbol.index()];
        if limits.restricted.get(command.symbol.index()) == Some(&true) {
            return Err(Reject::RestrictedStock);
        }
        check_side(command.side, limits.short_sales)?;
        if command.qty > limits.max_order_qty {
            return Err(Reject::MaxQuantityExceeded);
        }
        command.self_trade = limits.self_trade;
        let (low, high) = limits.collar(symbol.reference);
        let price = if command.flags.has(OrderFlags::MARKET) {
            if !limits.market_orders {
                return Err(Reject::MarketOrderNotAllowed);
            }
            command.limit = if command.side.is_buy() { high } else { low };
            symbol.reference
        } else {
            if command.price.0 == 0 || !command.price.0.is_multiple_of(symbol.tick.0) {
                return Err(Reject::InvalidPrice);
            }
            if command.price < low || command.price > high {
                return Err(Reject::FatFinger);
            }
            command.limit = command.price;
            command.price
        };
        if price.notional(command.qty) > limits.max_order_notional {
            return Err(Reject::SingleOrderNotional);
        }
        Ok(price)
    }

    /// Whether the firm may have `qty` more open shares on the command's side, worth `worth`.
    #[inline]
    fn check_exposure(&self, command: &Command, qty: u32, worth: u64) -> Result<(), Reject> {
        let limits = self.limits(command.user);
        let holding = self.exposure.of(command.firm, command.symbol);
        let worst = holding.worst(command.side.is_buy());
        if qty > 0 && worst + i64::from(qty) > limits.max_position {
            return Err(Reject::AggregateExposure);
        }
        if worth > 0 && self.exposure.open_notional(command.firm) + worth > limits.max_open_notional
        {
            return Err(Reject::AggregateExposure);
        }
        Ok(())
    }

    /// What an accepted order is counted at.
    pub(super) fn counted_price(&self, command: &Command) -> Price {
        match (command.flags.has(OrderFlags::MARKET), command.orig_user_ref.0) {
            (false, _) => command.price,
            // As in older journals.
            (true, 0) => self.symbols[command.symbol.index()].reference,
            (true, reference) => Price(reference),
        }
    }
}

fn check_side(side: Side, short_sales: bool) -> Result<(), Reject> {
    match side {
        Side::SellShort if !short_sales => Err(Reject::ShortSellNotAllowed),
        Side::SellShortExempt if !short_sales => Err(Reject::ShortSellExemptNotAllowed),
        _ => Ok(()),
    }
}
