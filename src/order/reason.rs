//! Why an order was refused or cancelled, in the protocol's own codes.

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Why an order was refused. The numbers are the reject reasons of OUCH 5.0; 0 is not refused, those
/// from 1000 on are FIX's, which OUCH is never told, and those from 2000 on are this venue's own, for
/// which OUCH has a wider one ([`Reject::ouch`]).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u16)]
#[allow(missing_docs, reason = "each name is the specification's own wording of its number")]
pub enum Reject {
    /// Not refused.
    None = 0,
    DestinationClosed = 2,
    InvalidDisplay = 3,
    InvalidMaxFloor = 4,
    InvalidPegType = 5,
    Halted = 7,
    InvalidSide = 9,
    ProcessingError = 10,
    FirmNotAuthorized = 12,
    InvalidMinimumQuantity = 13,
    Other = 15,
    PeggingNotAllowed = 17,
    InvalidQuantity = 19,
    InvalidCrossOrder = 20,
    ReplaceNotAllowed = 21,
    RoutingNotAllowed = 22,
    InvalidSymbol = 23,
    RetailNotAllowed = 26,
    InvalidPrice = 29,
    AggregateExposure = 32,
    RestrictedStock = 34,
    FatFinger = 38,
    LocateRequired = 39,
    PortMessageRate = 41,
    DuplicateMessageRate = 42,
    ShortSellNotAllowed = 43,
    MarketOrderNotAllowed = 44,
    ShortSellExemptNotAllowed = 47,
    SingleOrderNotional = 48,
    MaxQuantityExceeded = 49,
    /// The ClOrdID was used before.
    DuplicateClOrdId = 1000,
    /// No order has that OrigClOrdID.
    UnknownOrder = 1001,
    /// The order has nothing open any more.
    TooLate = 1002,
    /// Symbol or Side are not those of the order.
    OtherOrder = 1003,
    OrdTypeNotSupported = 1004,
    TimeInForceNotSupported = 1005,
    ExecInstNotSupported = 1006,
    /// A good-till-date order without a time to come.
    InvalidExpireTime = 1007,
    /// Allocations before the trade.
    AllocationsNotSupported = 1008,
    /// A mass cancel of something else than a symbol's orders or all.
    MassCancelNotSupported = 1009,
    /// The firm has as many open orders as it may have.
    TooManyOpenOrders = 2000,
    /// The venue's disk is nearly full: what takes risk away still goes.
    DiskNearlyFull = 2001,
    /// So many of the user's orders wait for the outside exchange that no more are sent there.
    VenueBusy = 2002,
}

impl Reject {
    /// The reject reason of OUCH 5.0.
    #[inline]
    pub fn ouch(self) -> u16 {
        match self {
            Reject::TooManyOpenOrders => Reject::AggregateExposure as u16,
            Reject::DiskNearlyFull => Reject::Halted as u16,
            Reject::VenueBusy => Reject::PortMessageRate as u16,
            own => own as u16,
        }
    }
}

/// Why open quantity was taken from an order. The bytes are the cancel reasons of OUCH 5.0.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u8)]
pub enum CancelReason {
    /// No reason: nothing was cancelled.
    None = 0,
    /// The user asked.
    User = b'U',
    /// An immediate-or-cancel order's remainder.
    Immediate = b'I',
    /// The time in force ran out.
    Timeout = b'T',
    /// Cancelled by the operator, or because the session dropped.
    Supervisory = b'S',
    /// Would have traded with the same firm.
    SelfMatch = b'Q',
    /// A market order reached its collar.
    MarketCollar = b'K',
    /// The system could not keep it: its tables were full.
    System = b'Z',
    /// A post-only order would have traded.
    PostOnly = b'G',
}
