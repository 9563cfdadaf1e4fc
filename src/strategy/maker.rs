//! A market maker: quotes on both sides of the microprice, leaning away from what it holds.

use super::Strategy;
use super::desk::Desk;
use super::order::{Manner, Order, OrderId, Report, State};
use crate::client::market::Depth;
use crate::order::Price;

/// Quotes one order on each side of every symbol.
#[derive(Clone, Debug)]
pub struct Maker {
    /// Shares of a quote.
    pub shares: u32,
    /// From the fair price to a quote, in 1/10000 of the currency unit.
    pub half_spread: u32,
    /// How far the fair price leans for each share held, in millionths of the currency unit.
    pub skew: u32,
    /// Shares held beyond which it quotes on one side only.
    pub most: u32,
    /// Prices that a quote may stand at, in 1/10000 of the currency unit.
    pub tick: u32,
    /// How far from where it should stand a quote may be, in 1/10000 of the currency unit.
    pub tolerance: u32,
    quotes: Vec<[Option<OrderId>; 2]>,
}

impl Default for Maker {
    fn default() -> Maker {
        Maker {
            shares: 100,
            half_spread: 200,
            skew: 20,
            most: 500,
            tick: 100,
            tolerance: 100,
            quotes: vec![],
        }
    }
}

impl Maker {
    /// Where it wants to buy and to sell, holding `held` shares; `None` where it does not.
    fn wanted(&self, depth: &Depth, held: i64) -> [Option<Price>; 2] {
        let Some((whole, part)) = depth.signals.microprice_ratio() else { return [None, None] };
        let lean = i128::from(held) * i128::from(self.skew) / 100;
        // In 1/10000 times the shares of both sides, which divides without a rest.
        let (whole, part) = (whole as i128, i128::from(part));
        let fair = whole - lean * part;
        let (half, tick) = (i128::from(self.half_spread) * part, i128::from(self.tick) * part);
        let quote = depth.signals.quote();
        let down = (fair - half).div_euclid(tick) * i128::from(self.tick);
        let up = -(-(fair + half)).div_euclid(tick) * i128::from(self.tick);
        // Never where it would trade at once.
        let buy = down.min(i128::from(quote.ask.0) - i128::from(self.tick));
        let sell = up.max(i128::from(quote.bid.0) + i128::from(self.tick));
        let price = |units: i128| {
            u32::try_from(units).ok().filter(|p| (1..=Price::MAX_LIMIT.0).contains(p)).map(Price)
        };
        let most = i64::from(self.most);
        [(held < most).then(|| price(buy)).flatten(), (held > -most).then(|| price(sell)).flatten()]
    }

    fn tend(&mut self, symbol: usize, side: usize, wanted: Option<Price>, desk: &mut Desk) {
        let standing = self.quotes[symbol][side].and_then(|id| desk.orders().get(id)).copied();
        match (standing, wanted) {
            (None, Some(price)) => {
                let entered = desk.enter(symbol, side == 0, self.shares, price, Manner::PostOnly);
                self.quotes[symbol][side] = entered.ok();
            }
            // It keeps its number until the new one is told.
            (Some(order), Some(price))
                if order.is_settled() && order.price.0.abs_diff(price.0) >= self.tolerance =>
            {
                let _ = desk.replace(order.id, self.shares, price);
            }
            (Some(order), None) if order.is_settled() => desk.cancel(order.id),
            _ => {}
        }
    }
}

impl Strategy for Maker {
    fn on_book(&mut self, symbol: usize, depth: &Depth, desk: &mut Desk) {
        if self.quotes.len() <= symbol {
            self.quotes.resize(symbol + 1, [None; 2]);
        }
        let wanted = self.wanted(depth, desk.position(symbol).shares);
        for (side, wanted) in wanted.into_iter().enumerate() {
            self.tend(symbol, side, wanted, desk);
        }
    }

    fn on_order(&mut self, report: &Report, order: &Order, _: &mut Desk) {
        let Some(quotes) = self.quotes.get_mut(order.symbol) else { return };
        let quote = &mut quotes[usize::from(!order.buys)];
        if let Report::Replaced { old, id, .. } = report
            && *quote == Some(*old)
        {
            *quote = Some(*id);
        }
        if order.state == State::Done && *quote == Some(order.id) {
            *quote = None;
        }
    }
}
