//! Takes what is displayed when the order flow leans one way, and gives it back when it leans the other.

use super::Strategy;
use super::desk::Desk;
use super::order::Manner;
use crate::client::market::Depth;
use crate::signals::FlowWindow;

/// Trades on order flow imbalance.
#[derive(Clone, Debug)]
pub struct Taker {
    /// Nanoseconds over which the flow is summed.
    pub window_ns: u64,
    /// Shares of flow at which it trades.
    pub threshold: i64,
    /// Shares of an order.
    pub shares: u32,
    /// Shares held at the most.
    pub most: u32,
    windows: Vec<FlowWindow>,
}

impl Default for Taker {
    fn default() -> Taker {
        Taker { window_ns: 100_000_000, threshold: 2_000, shares: 100, most: 300, windows: vec![] }
    }
}

impl Strategy for Taker {
    fn on_book(&mut self, symbol: usize, depth: &Depth, desk: &mut Desk) {
        while self.windows.len() <= symbol {
            self.windows.push(FlowWindow::new(self.window_ns));
        }
        let flow = self.windows[symbol].at(desk.now_ns(), &depth.signals);
        let quote = *depth.signals.quote();
        let waits = desk.orders().iter().any(|order| order.symbol == symbol);
        if flow.abs() < self.threshold || waits || !quote.is_whole() {
            return;
        }
        let (buys, held) = (flow > 0, desk.position(symbol).shares);
        let room = i64::from(self.most) - if buys { held } else { -held };
        let (price, there) =
            if buys { (quote.ask, quote.ask_shares) } else { (quote.bid, quote.bid_shares) };
        let shares = u64::from(self.shares).min(there).min(room.max(0) as u64) as u32;
        if shares > 0 {
            let _ = desk.enter(symbol, buys, shares, price, Manner::Ioc);
        }
    }
}
