//! How the book tells what happened.

use crate::order::{CancelReason, Command, Price, Reject, SelfTrade, Slot};

use super::Order;

/// Receives what a [`super::Book`] does, in order. `command` is always the command that caused
/// it. The book is generic over this, so that its calls cost no more than what they do.
pub trait Reports {
    /// Whether everything one step of matching can report would fit now. The book asks before
    /// each step, and stops until asked to resume if the answer is no.
    fn has_room(&mut self) -> bool;

    /// A new order was accepted under an order reference number.
    fn accepted(&mut self, command: &Command, reference: u64);

    /// An order was replaced; `open` shares of the new one are open, none if it is not `live`.
    fn replaced(&mut self, command: &Command, open: u32, reference: u64, live: bool);

    /// The command was refused.
    fn rejected(&mut self, command: &Command, reason: Reject);

    /// `qty` open shares were taken from an order; `done` if none are left.
    fn canceled(
        &mut self,
        command: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        reason: CancelReason,
        done: bool,
    );

    /// `qty` open shares were taken from an order because it met its own firm at `price`, which
    /// kept `prevented` shares from trading.
    #[allow(clippy::too_many_arguments, reason = "one call tells one message's fields")]
    fn self_trade_prevented(
        &mut self,
        command: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        prevented: u32,
        price: Price,
        policy: SelfTrade,
        done: bool,
    );

    /// A fill of `qty` shares at the maker's price. Both orders are as they are after it; an
    /// order with no open shares left is done.
    #[allow(clippy::too_many_arguments, reason = "one call tells one message's fields")]
    fn executed(
        &mut self,
        command: &Command,
        maker_slot: Slot,
        maker: &Order,
        taker_slot: Slot,
        taker: &Order,
        qty: u32,
        price: Price,
        match_number: u64,
    );

    /// An iceberg showed its next slice, under a new reference number, at the back of its price.
    fn restated(&mut self, command: &Command, order: &Order, reference: u64);

    /// An order was modified in place.
    fn modified(&mut self, command: &Command, slot: Slot, order: &Order);

    /// A Cancel or Modify named an order that the book no longer has, or changed nothing.
    fn ignored(&mut self, command: &Command);

    /// A Modify that cannot be done; the order stays as it is.
    fn modify_refused(&mut self, command: &Command);

    /// A command that touches no order passed: its answer may go out.
    fn answered(&mut self, command: &Command);
}
