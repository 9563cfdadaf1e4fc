//! What comes back from the book: [`Event`] to the gateway, [`Feedback`] to risk.

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

use super::{
    CancelReason, Command, Price, SelfTrade, SeqNum, Side, Slot, SymbolId, UnixNanos, UserId,
    UserRefNum,
};

/// What an [`Event`] reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u8)]
pub enum EventKind {
    /// A new order was accepted; `command` says all of it.
    Accepted = 0,
    /// An order was replaced; `command` says all of the new one.
    Replaced = 1,
    /// A command was refused; `command.verdict` says why.
    Rejected = 2,
    /// Open quantity was taken from an order.
    Canceled = 3,
    /// Quantity was taken from an order because it would have met its own firm.
    SelfTradePrevented = 4,
    /// Shares traded.
    Executed = 5,
    /// An iceberg displayed its next slice.
    Restated = 6,
    /// An order's side or size was modified in place.
    Modified = 7,
    /// A Modify that cannot be done; the order stays as it is.
    ModifyRefused = 8,
    /// Answer to a mass cancel.
    MassCancelAnswer = 9,
    /// Answer to DisableFirm.
    DisableAnswer = 10,
    /// Answer to EnableFirm.
    EnableAnswer = 11,
    /// Answer to an account query.
    AccountAnswer = 12,
    /// First message of a user's stream.
    StartOfDay = 13,
    /// The last event this gateway gets for the user: the gateway numbered `qty` has the next.
    StreamMoved = 14,
    /// A session's own message, or text that goes ahead of a command.
    Session = 15,
    /// Nothing for a client to see: a command that has no answer passed the book, or one came too
    /// late to change anything.
    Silent = 16,
    /// To a venue: a new order, `command` says all of it. It goes by `user_ref` there.
    VenueOrder = 17,
    /// To a venue: a cancel of the order that goes by `reference` there. It goes by `user_ref` itself.
    VenueCancel = 18,
    /// To a venue: a replace of the order that goes by `reference` there, as it will be called itself; `qty` is
    /// the whole order with what traded there.
    /// If it is not `live`, only to make it smaller.
    VenueReplace = 19,
    /// To a venue: how does the order stand that goes by `user_ref` there.
    VenueStatus = 20,
    /// What a venue said was taken in; `reference` is an [`super::Alarm`].
    VenueHeard = 21,
    /// The cancel of an order was passed on to its venue; `command` is the client's.
    CancelPending = 22,
    /// The replace of an order was passed on to its venue; `command` is the client's.
    ReplacePending = 23,
    /// The venue did not cancel; `reference` is the client's number of the request.
    CancelRefused = 24,
    /// A trade was undone: `reference` is its match number.
    Busted = 25,
    /// The venue that has an order is lost (`live` false), or there again.
    Suspended = 26,
}

/// One thing that happened to one user's order, in the order it happened.
///
/// `seq` says which command made it happen: the gateway may release the message once that
/// command is as durable as the configuration asks.
///
/// Other processes read it as it stands, over shared rings: every byte is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Event {
    /// The command that caused it if `whole`: for Accepted, Replaced, Rejected and the answers, and
    /// for what a numbered command did to its own order; else only `seq` and `time_ns` are
    /// meaningful.
    pub command: Command,
    /// What happened.
    pub kind: EventKind,
    /// `command` is there with all its fields, and it is the user's own.
    pub whole: bool,
    /// Order state in Accepted and Replaced: true is live, false dead. In SelfTradePrevented,
    /// whether the order was the incoming one.
    pub live: bool,
    /// Side of the order (Modified).
    pub side: Side,
    /// Why quantity was taken (Canceled, SelfTradePrevented).
    pub reason: CancelReason,
    /// Policy that took it (SelfTradePrevented).
    pub policy: SelfTrade,
    /// Liquidity flag (Executed): `A` added, `R` removed, `J` added non-displayed.
    pub liquidity: u8,
    /// Where it happened: 0 here, or the venue of that number.
    pub venue: u8,
    /// Unused, zero.
    pub spare: [u8; 2],
    /// Whose stream it belongs to.
    pub user: UserId,
    /// The client's number of the order.
    pub user_ref: UserRefNum,
    /// Executed, taken, restated or modified quantity.
    pub qty: u32,
    /// Execution price, or the price at which a self-trade was prevented.
    pub price: Price,
    /// Order reference number (Accepted, Replaced, Restated), match number (Executed), the
    /// shares kept from trading (SelfTradePrevented), or the client's number of the request that a venue
    /// carried out (Canceled).
    pub reference: u64,
}

impl Event {
    /// An event that says nothing; what rings are filled with.
    pub const EMPTY: Event = Event {
        command: Command::EMPTY,
        kind: EventKind::Silent,
        whole: false,
        live: false,
        side: Side::Buy,
        reason: CancelReason::None,
        policy: SelfTrade::Allow,
        liquidity: 0,
        venue: 0,
        spare: [0; 2],
        user: UserId(0),
        user_ref: UserRefNum(0),
        qty: 0,
        price: Price(0),
        reference: 0,
    };

    /// Sequence number of the command that caused the event.
    #[inline]
    pub const fn seq(&self) -> SeqNum {
        self.command.seq
    }

    /// The sequencer's time of that command.
    #[inline]
    pub const fn time_ns(&self) -> UnixNanos {
        self.command.time_ns
    }
}

/// What a [`Feedback`] reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FeedbackKind {
    /// `qty` shares traded at `price`.
    Filled,
    /// `qty` shares are no longer open.
    Reduced,
    /// A Replace was carried out: `qty` shares are open at `price`.
    Replaced,
    /// A Modify was carried out: `qty` shares are open.
    Modified,
    /// A Replace was refused: the order goes by the number in `qty`, as before.
    Renumbered,
    /// `qty` shares of an order that was no more traded at `price`; `slot` is a [`Holding`].
    FilledLate,
    /// A trade of `qty` shares was undone; `slot` is a [`Holding`].
    Busted,
    /// The venue in `qty` was asked for something and has not answered yet.
    Asked,
    /// No venue has anything to answer.
    Answered,
}

/// Whose shares a feedback is about where no order is left: a symbol, and whether they were bought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holding {
    /// What.
    pub symbol: SymbolId,
    /// Bought, or sold.
    pub buys: bool,
}

impl Holding {
    /// As a feedback carries it.
    pub const fn as_slot(self) -> Slot {
        Slot((self.symbol.0 as u32) << 1 | self.buys as u32)
    }

    /// Read back.
    pub const fn of_slot(slot: Slot) -> Holding {
        Holding { symbol: SymbolId((slot.0 >> 1) as u16), buys: slot.0 & 1 == 1 }
    }
}

/// What risk must know of the book: fills and freed quantity. 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(16))]
pub struct Feedback {
    /// The order's slot.
    pub slot: Slot,
    /// Shares.
    pub qty: u32,
    /// Trade price, or the order's new price.
    pub price: Price,
    /// Whose order.
    pub user: UserId,
    /// What happened.
    pub kind: FeedbackKind,
    /// Nothing of the order is open any more; its slot is free.
    pub done: bool,
}

impl Feedback {
    /// A feedback that says nothing; what rings are filled with.
    pub const EMPTY: Feedback = Feedback {
        slot: Slot::NONE,
        qty: 0,
        price: Price(0),
        user: UserId(0),
        kind: FeedbackKind::Reduced,
        done: false,
    };
}

const _: () = assert!(size_of::<Feedback>() == 16);
const _: () = assert!(size_of::<Event>() == 152, "with the ring's word three cache lines");
