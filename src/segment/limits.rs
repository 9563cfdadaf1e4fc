//! What the configuration says of firms and symbols, as risk wants it.

use std::collections::HashSet;

use super::Recovered;
use crate::config::Config;
use crate::risk::Limits;

/// Gives every firm its limits and every symbol its reference price, unless it traded.
pub(super) fn apply_limits(config: &Config, recovered: &mut Recovered) {
    for (firm, limits) in recovered.dictionary.limits(config) {
        recovered.risk.set_limits(firm, limits);
    }
    super::venues::apply_routing(config, recovered);
    for (symbol, price) in recovered.dictionary.reference_prices(config) {
        recovered.risk.set_reference_price(symbol, price);
    }
}

/// The open orders of a firm that does not say: whatever one does, the others find room for theirs.
pub(super) fn part_of_orders(config: &Config) -> u32 {
    let firms: HashSet<&str> = config.users.iter().map(|u| u.firm.get_ref().as_str()).collect();
    (config.gateway.max_orders.get_ref() / firms.len().max(1) as u32).max(1)
}

/// The unanswered orders of a user that does not say: whatever one sends to a venue, the others' wait behind them is
/// short.
pub(super) fn part_of_answers(config: &Config) -> u32 {
    let rates = config.venues.iter().map(|venue| *venue.max_messages_per_second.get_ref());
    let users = config.users.len().max(1) as u32;
    rates.min().map_or(u32::MAX, |slowest| (slowest.saturating_mul(2) / users).max(8))
}

/// The limits of a firm that the configuration does not name: those of `[risk.default]`.
pub(super) fn limits_of(
    config: &Config,
    firm: &str,
    (orders, unanswered): (u32, u32),
    number_of: impl Fn(&str) -> Option<usize>,
) -> Limits {
    use crate::config::SelfTradePolicy as Policy;
    let own = config.risk.firm.iter().find(|(name, _)| name.get_ref() == firm).map(|(_, l)| l);
    let default = &config.risk.default;
    macro_rules! pick {
        ($key:ident, $built_in:expr) => {
            own.and_then(|own| own.$key.clone()).or(default.$key.clone()).unwrap_or($built_in)
        };
    }
    let mut restricted = Vec::new();
    for symbol in pick!(restricted, Vec::new()) {
        let Some(number) = number_of(symbol.get_ref()) else { continue };
        restricted.resize(restricted.len().max(number + 1), false);
        restricted[number] = true;
    }
    Limits {
        max_open_orders: pick!(max_open_orders, orders),
        max_unanswered: pick!(max_unanswered, unanswered),
        max_order_qty: pick!(max_order_qty, 100_000),
        max_order_notional: pick!(max_order_notional, crate::config::Money(200_000_000_000)).0,
        price_collar_bps: pick!(price_collar_bps, 2_000),
        max_messages_per_second: pick!(max_messages_per_second, 100_000),
        max_position: pick!(max_position, 10_000_000).min(1 << 60) as i64,
        max_open_notional: pick!(max_open_notional, crate::config::Money(10_000_000_000_000)).0,
        duplicate_window_ns: u64::from(pick!(duplicate_window_ms, 0)) * 1_000_000,
        self_trade: match pick!(self_trade, Policy::CancelNewest) {
            Policy::CancelNewest => crate::order::SelfTrade::CancelNewest,
            Policy::CancelOldest => crate::order::SelfTrade::CancelOldest,
            Policy::CancelBoth => crate::order::SelfTrade::CancelBoth,
            Policy::Decrement => crate::order::SelfTrade::Decrement,
            Policy::Allow => crate::order::SelfTrade::Allow,
        },
        market_orders: pick!(market_orders, true),
        short_sales: pick!(short_sales, true),
        restricted,
    }
}
