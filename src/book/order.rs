//! An open order as the book keeps it: one cache line.

use crate::order::{
    Capacity, Display, FirmId, OrderFlags, Price, Route, SelfTrade, Side, Slot, SymbolId,
    TimeInForce, UserId, UserRefNum,
};

use super::digest::Digest;

/// Level index of an order that does not rest.
pub(super) const NO_LEVEL: u32 = u32::MAX;

/// Level index of an order whose shares are at a venue.
pub(super) const OUTSIDE: u32 = u32::MAX - 1;

/// An open order. 64 bytes, aligned to its cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Order {
    /// Next order in the queue of its price, `Slot::NONE` at the end.
    pub(super) next: u32,
    /// Order before it in that queue.
    pub(super) prev: u32,
    /// The level it rests at, or [`NO_LEVEL`].
    pub(super) level: u32,
    /// Open shares that the queue shows now.
    pub(super) shown: u32,
    /// Open shares of an iceberg that wait behind `shown`.
    pub(super) reserve: u32,
    /// Shares of an iceberg shown at a time; 0: it is no iceberg.
    pub(super) max_floor: u32,
    /// Shares traded so far, replaced orders included.
    pub(super) executed: u32,
    /// Where it goes beside the book.
    pub(super) route: Route,
    /// Its number, as its owner and, where it is displayed, the market are told.
    pub reference: u64,
    /// Limit price.
    pub price: Price,
    /// The client's number of the order.
    pub user_ref: UserRefNum,
    /// Whose order.
    pub user: UserId,
    /// The user's firm.
    pub firm: FirmId,
    /// What it trades.
    pub symbol: SymbolId,
    /// Group for mass cancels.
    pub group: u16,
    /// Buy or sell.
    pub side: Side,
    /// Time in force.
    pub tif: TimeInForce,
    /// Displayed or not.
    pub display: Display,
    /// What to do against its own firm when it takes.
    pub self_trade: SelfTrade,
    /// Yes-or-no properties.
    pub flags: OrderFlags,
    /// Agency or principal.
    pub capacity: Capacity,
}

const _: () = assert!(size_of::<Order>() == 64);

impl Order {
    pub(super) const EMPTY: Order = Order {
        next: Slot::NONE.0,
        prev: Slot::NONE.0,
        level: NO_LEVEL,
        shown: 0,
        reserve: 0,
        max_floor: 0,
        executed: 0,
        route: Route::INTERNAL,
        reference: 0,
        price: Price(0),
        user_ref: UserRefNum(0),
        user: UserId(0),
        firm: FirmId(0),
        symbol: SymbolId(0),
        group: 0,
        side: Side::Buy,
        tif: TimeInForce::Day,
        display: Display::Visible,
        self_trade: SelfTrade::Allow,
        flags: OrderFlags(0),
        capacity: Capacity::Agency,
    };

    /// Open shares (LeavesQty).
    #[inline]
    pub fn open(&self) -> u32 {
        self.shown + self.reserve
    }

    /// Shares traded so far (CumQty).
    #[inline]
    pub fn executed(&self) -> u32 {
        self.executed
    }

    /// Shares of an iceberg that are displayed now.
    #[inline]
    pub fn shown(&self) -> u32 {
        self.shown
    }

    /// Whether its open shares are at a venue, and not in the book.
    #[inline]
    pub fn is_outside(&self) -> bool {
        self.level == OUTSIDE
    }

    /// Whether it queues behind the displayed orders of its price.
    #[inline]
    pub fn is_hidden(&self) -> bool {
        self.display == Display::Hidden
    }

    pub(super) fn add_to(&self, digest: &mut Digest) {
        digest.add(u64::from(self.shown) << 32 | u64::from(self.reserve));
        digest.add(u64::from(self.max_floor) << 32 | u64::from(self.executed));
        digest.add(u64::from(self.price.0) << 32 | u64::from(self.user_ref.0));
        if self.route != Route::INTERNAL {
            digest.add(u64::from(self.route.0));
        }
        digest.add(
            u64::from(self.user.0) << 48
                | u64::from(self.firm.0) << 32
                | u64::from(self.symbol.0) << 16
                | u64::from(self.group),
        );
        digest.add(
            (self.side as u64) << 32
                | (self.tif as u64) << 24
                | (self.display as u64) << 16
                | (self.self_trade as u64) << 8
                | u64::from(self.flags.0),
        );
    }
}
