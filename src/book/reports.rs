//! How the book tells what happened.

use crate::order::{
    Alarm, CancelReason, Command, Holding, Price, Reject, SelfTrade, Slot, UserId, UserRefNum,
};

use super::Order;

/// What happens to an order outside the book.
#[derive(Clone, Copy, Debug)]
pub enum Outside<'a> {
    /// An order is to be sent to its venue.
    Sent(&'a Leg<'a>),
    /// It is to be cancelled there; the leg's number is the cancel's, `of` the order's.
    CancelSent(&'a Leg<'a>, u32),
    /// It is to be replaced there, `of` by the leg's number.
    ReplaceSent(&'a Leg<'a>, u32),
    /// It is to be smaller there, and nothing else.
    LowerSent(&'a Leg<'a>, u32),
    /// The venue is to be asked how it stands.
    StatusAsked(&'a Leg<'a>),
    /// What the venue said was taken in.
    Heard(Alarm),
    /// Nothing that the venue was asked for an order is unanswered any more.
    Answered(Slot, &'a Order),
    /// The client's cancel was passed on.
    CancelPending(&'a Order),
    /// The client's replace was passed on.
    ReplacePending(&'a Order),
    /// Shares traded there. The order is as it is after it.
    Filled {
        /// Where it lives.
        slot: Slot,
        /// The order.
        order: &'a Order,
        /// Shares.
        qty: u32,
        /// Each.
        price: Price,
        /// This venue's number for the trade.
        match_number: u64,
        /// Where.
        venue: u8,
    },
    /// Shares were taken from it there.
    Canceled {
        /// Where it lives.
        slot: Slot,
        /// The order.
        order: &'a Order,
        /// Shares.
        qty: u32,
        /// Why.
        reason: CancelReason,
        /// None are left.
        done: bool,
        /// The client's number of the request that asked for it, or 0.
        request: u32,
        /// Where.
        venue: u8,
    },
    /// The client's cancel was refused there.
    CancelRefused {
        /// The order.
        order: &'a Order,
        /// The client's number of the request.
        request: u32,
        /// Where.
        venue: u8,
    },
    /// A replace was refused: the order goes on by the number it has.
    ReplaceRefused {
        /// Where it lives.
        slot: Slot,
        /// The order.
        order: &'a Order,
        /// The client's Replace.
        replace: &'a Command,
        /// Why.
        reason: Reject,
    },
    /// Shares traded there of an order that had ended here.
    FilledLate {
        /// Whose order it was.
        user: UserId,
        /// What it was called.
        user_ref: UserRefNum,
        /// What was bought or sold.
        holding: Holding,
        /// Shares.
        qty: u32,
        /// Each.
        price: Price,
        /// This venue's number for the trade.
        match_number: u64,
        /// Where.
        venue: u8,
    },
    /// A trade there was undone.
    Busted {
        /// Whose it was.
        user: UserId,
        /// What its order is or was called.
        user_ref: UserRefNum,
        /// What was bought or sold.
        holding: Holding,
        /// Shares.
        qty: u32,
        /// Each.
        price: Price,
        /// Its number.
        match_number: u64,
        /// Where.
        venue: u8,
    },
    /// The venue is lost, or there again.
    Suspended {
        /// The order.
        order: &'a Order,
        /// It is lost.
        lost: bool,
        /// Which.
        venue: u8,
    },
}

/// One message to a venue about one order.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'a> {
    /// Where the order lives.
    pub slot: Slot,
    /// The order.
    pub order: &'a Order,
    /// The user that the venue is.
    pub user: UserId,
    /// The venue.
    pub venue: u8,
    /// By what number the message goes.
    pub number: u32,
    /// The whole of the order as the venue is to have it.
    pub qty: u32,
    /// The worst price it may trade at.
    pub price: Price,
    /// Least quantity that must trade at once.
    pub min_qty: u32,
}

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

    /// Something happened outside the book.
    fn outside(&mut self, _command: &Command, _what: Outside<'_>) {}
}
