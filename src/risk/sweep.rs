//! Cancelling many orders at once: one sequenced Cancel for each, as the rings have room.

use crate::order::{
    CancelReason, Command, CommandKind, OrderFlags, SeqNum, Side, Slot, SymbolId, UserId,
};

use super::Risk;
use super::table::Shadow;

/// A mass cancel under way. Orders entered after it are not touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep {
    user: UserId,
    before: SeqNum,
    reason: CancelReason,
    symbol: Option<SymbolId>,
    side: Option<Side>,
    group: Option<u16>,
    /// The order cancelled last, to go on behind it if it is still there.
    last: Option<(Slot, SeqNum)>,
}

impl Sweep {
    /// What a sequenced MassCancel or Disconnect asks for.
    pub fn new(command: &Command) -> Sweep {
        let only = |flag| command.flags.has(flag);
        Sweep {
            user: command.user,
            before: command.seq,
            // Each of its cancels is the venue's own, and sent once.
            reason: match command.reason {
                CancelReason::None => CancelReason::User,
                reason => reason,
            },
            symbol: only(OrderFlags::ONE_SYMBOL).then_some(command.symbol),
            side: only(OrderFlags::ONE_SIDE).then_some(command.side),
            group: only(OrderFlags::ONE_GROUP).then_some(command.group),
            last: None,
        }
    }

    fn wants(&self, order: &Shadow) -> bool {
        !order.cancel_sent
            && order.seq < self.before
            && self.symbol.is_none_or(|symbol| order.symbol == symbol)
            && self.side.is_none_or(|side| order.side == side)
            && self.group.is_none_or(|group| order.group == group)
    }
}

impl Risk {
    /// Whether a mass cancel or an expiry still has orders to cancel; nothing else is sequenced
    /// before [`Risk::next_cancel`] has no more.
    pub fn is_sweeping(&self) -> bool {
        self.sweep.is_some()
    }

    /// The next Cancel of a mass cancel under way, or of an order that expired by `now_ns`,
    /// sequenced.
    pub fn next_cancel(&mut self, now_ns: u64) -> Option<Command> {
        if let Some(sweep) = self.sweep {
            let last = sweep.last.filter(|(slot, seq)| {
                let order = &self.orders.shadows[slot.index()];
                order.live && order.user == sweep.user && order.seq == *seq
            });
            let from = last.map(|(slot, _)| slot);
            let found = self.orders.first_of(sweep.user, from, |order| sweep.wants(order));
            if let Some(slot) = found {
                let seq = self.orders.shadows[slot.index()].seq;
                self.sweep = Some(Sweep { last: Some((slot, seq)), ..sweep });
                return Some(self.cancel_slot(slot, sweep.reason, now_ns));
            }
            self.sweep = None;
        }
        let now_s = now_ns / crate::order::NANOS_PER_SEC;
        let slot = self.timers.next_expired(&self.orders.shadows, now_s)?;
        // Off the list at once: those behind it are not to be looked for past it again.
        self.timers.remove(&mut self.orders.shadows, slot);
        Some(self.cancel_slot(slot, CancelReason::Timeout, now_ns))
    }

    fn cancel_slot(&mut self, slot: Slot, reason: CancelReason, now_ns: u64) -> Command {
        let order = self.orders.shadows[slot.index()];
        let mut command = Command {
            user_ref: order.user_ref,
            symbol: order.symbol,
            side: order.side,
            slot,
            reason,
            ..Command::new(CommandKind::Cancel, order.user, order.firm)
        };
        self.stamp(&mut command, now_ns);
        self.commit(&command);
        command
    }
}
