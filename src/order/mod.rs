//! The words everyone shares: prices, quantities, sides, identifiers, and the two fixed-size
//! records that travel over the rings, [`Command`] (towards the book) and [`Event`] (back).
//!
//! Nothing here does any I/O, allocates, or knows another module.
#![forbid(unsafe_code)]

mod command;
mod event;
mod ids;
mod price;
mod reason;
mod route;
mod said;
mod text;

pub use command::{
    Command, CommandKind, NUMBERS_BY_PLACE, OrderFlags, PROTOCOL_AT, TEXT_BYTES, Tags, VENUE,
};
pub use event::{Event, EventKind, Feedback, FeedbackKind, Holding};
pub use ids::{
    FIRMS_MAX, FirmId, SYMBOLS_MAX, SeqNum, Slot, SymbolId, USERS_MAX, UserId, UserRefNum,
};
pub(crate) use price::parse_fixed4;
pub use price::{PRICE_ONE, ParsePriceError, Price};
pub use reason::{CancelReason, Reject};
pub use route::{Destination, LISTED_MAX, Policy, Route, VENUES_MAX};
pub use said::{Alarm, Said, Saying};
pub use text::{CARRIED_MAX, CarriedText, carry};

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Nanoseconds since the Unix epoch.
pub type UnixNanos = u64;

/// Number of nanoseconds in one second.
pub const NANOS_PER_SEC: u64 = 1_000_000_000;

/// Quantity of shares. One order holds 1 to [`QTY_MAX`] (OUCH 5.0, "Quantity").
pub type Qty = u32;

/// The highest quantity one order may have: OUCH 5.0 says "less than 1,000,000".
pub const QTY_MAX: Qty = 999_999;

/// Which way an order trades. The three sells differ only for the rules on short selling.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u8)]
pub enum Side {
    /// Buy.
    Buy = 0,
    /// Sell long.
    Sell = 1,
    /// Sell short.
    SellShort = 2,
    /// Sell short, exempt from the short sale price test.
    SellShortExempt = 3,
}

impl Side {
    /// True for [`Side::Buy`], false for the three sells.
    #[inline]
    pub const fn is_buy(self) -> bool {
        matches!(self, Side::Buy)
    }

    /// True for the two short sells.
    #[inline]
    pub const fn is_short(self) -> bool {
        matches!(self, Side::SellShort | Side::SellShortExempt)
    }
}

/// How long an order may rest.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u8)]
pub enum TimeInForce {
    /// Rests until cancelled or the day ends.
    Day = 0,
    /// Immediate or cancel: never rests.
    Ioc = 1,
    /// Rests through extended hours; this venue has one continuous session, so it rests like Day.
    Gtx = 2,
    /// Rests until its expire time.
    Gtt = 3,
}

/// Who may see an order.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u8)]
pub enum Display {
    /// Shown in the book.
    Visible = 0,
    /// Not shown; queues behind the displayed orders of its price.
    Hidden = 1,
    /// Shown with the firm's identity.
    Attributable = 2,
}

/// On whose account the firm trades.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u8)]
pub enum Capacity {
    /// Agency.
    Agency = 0,
    /// Principal.
    Principal = 1,
    /// Riskless principal.
    Riskless = 2,
    /// Other.
    Other = 3,
}

/// What happens when an order would trade against a resting order of its own firm.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u8)]
pub enum SelfTrade {
    /// They trade.
    Allow = 0,
    /// What is left of the incoming order is cancelled.
    CancelNewest = 1,
    /// The resting order is cancelled and matching goes on.
    CancelOldest = 2,
    /// Both are cancelled.
    CancelBoth = 3,
    /// Both shrink by the quantity that would have traded.
    Decrement = 4,
}
