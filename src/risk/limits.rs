//! What a firm may do.

use crate::order::{Price, SelfTrade};

/// A firm's limits. Money is in 1/10000 of the currency unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most shares of one order.
    pub max_order_qty: u32,
    /// Most that one order may be worth.
    pub max_order_notional: u64,
    /// How far a price may be from the reference, in 1/100 of a percent; 0 is any.
    pub price_collar_bps: u32,
    /// Messages of one user in a second.
    pub max_messages_per_second: u32,
    /// Most net shares of a symbol, either way, if every open order of a side filled.
    pub max_position: i64,
    /// Most that all open orders may be worth.
    pub max_open_notional: u64,
    /// Most open orders.
    pub max_open_orders: u32,
    /// Most orders of one user for which one venue owes an answer.
    pub max_unanswered: u32,
    /// For how long an order may not be repeated; 0 is never.
    pub duplicate_window_ns: u64,
    /// What to do when two orders of the firm would trade.
    pub self_trade: SelfTrade,
    /// Whether market orders are allowed.
    pub market_orders: bool,
    /// Whether short sales are allowed.
    pub short_sales: bool,
    /// For each symbol, whether the firm must not trade it; those behind the last it may.
    pub restricted: Vec<bool>,
}

impl Limits {
    /// Nothing is allowed: what a firm has until it is given its own.
    pub const NONE: Limits = Limits {
        max_order_qty: 0,
        max_order_notional: 0,
        price_collar_bps: 0,
        max_messages_per_second: 0,
        max_position: 0,
        max_open_notional: 0,
        max_open_orders: 0,
        max_unanswered: 0,
        duplicate_window_ns: 0,
        self_trade: SelfTrade::CancelNewest,
        market_orders: false,
        short_sales: false,
        restricted: Vec::new(),
    };

    /// The lowest and highest price allowed around a reference price.
    #[inline]
    pub(super) fn collar(&self, reference: Price) -> (Price, Price) {
        if self.price_collar_bps == 0 {
            return (Price(0), Price::MAX_LIMIT);
        }
        let width = u64::from(reference.0) * u64::from(self.price_collar_bps) / 10_000;
        let low = u64::from(reference.0).saturating_sub(width);
        let high = (u64::from(reference.0) + width).min(u64::from(Price::MAX_LIMIT.0));
        (Price(low as u32), Price(high as u32))
    }
}
