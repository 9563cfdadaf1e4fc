//! What a FIX session is told of an order, and so has to be remembered of it.

use crate::order::{
    Command, CommandKind, NANOS_PER_SEC, OrderFlags, Price, Side, SymbolId, Tags, TimeInForce,
};

use super::super::ledger::Entry;
use super::route::RouteId;
use super::text::Parts;
use super::{ACCOUNT_MAX, CL_ORD_ID_MAX};

/// OrdStatus (39).
pub mod status {
    #![allow(missing_docs, reason = "the specification's names")]
    pub const NEW: u8 = b'0';
    pub const PARTIALLY_FILLED: u8 = b'1';
    pub const FILLED: u8 = b'2';
    pub const CANCELED: u8 = b'4';
    pub const REPLACED: u8 = b'5';
    pub const PENDING_CANCEL: u8 = b'6';
    pub const PENDING_REPLACE: u8 = b'E';
    pub const SUSPENDED: u8 = b'9';
    pub const REJECTED: u8 = b'8';
    pub const EXPIRED: u8 = b'C';
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An order, or one that replaced another.
    Order,
    /// A request to cancel, which has a ClOrdID too.
    Request,
}

/// A short text without an allocation.
#[derive(Clone, Copy)]
pub struct Short<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Short<N> {
    /// Cut where it is too long.
    pub fn new(text: &[u8]) -> Short<N> {
        let len = text.len().min(N);
        let mut bytes = [0; N];
        bytes[..len].copy_from_slice(&text[..len]);
        Short { bytes, len: len as u8 }
    }

    /// The text.
    pub fn get(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

/// One ClOrdID: an order as its owner was told of it. `qty` is `cum` and `leaves` together as long
/// as it is alive.
#[derive(Clone)]
pub struct Order {
    /// ClOrdID.
    pub name: Short<CL_ORD_ID_MAX>,
    /// Account.
    pub account: Short<ACCOUNT_MAX>,
    /// What it is.
    pub kind: Kind,
    /// OrdStatus.
    pub status: u8,
    /// The book told of it.
    pub told: bool,
    /// Side.
    pub side: Side,
    /// Symbol.
    pub symbol: SymbolId,
    /// TimeInForce, with what [`Tags`] says of it.
    pub tif: TimeInForce,
    /// FIX's own times in force, and what else the client wrote.
    pub tags: Tags,
    /// Market, post-only.
    pub flags: OrderFlags,
    /// Price.
    pub price: Price,
    /// OrderQty.
    pub qty: u32,
    /// CumQty.
    pub cum: u32,
    /// LeavesQty.
    pub leaves: u32,
    /// MinQty.
    pub min_qty: u32,
    /// MaxFloor.
    pub max_floor: u32,
    /// The way back of the message that named it.
    pub route: RouteId,
    /// What was paid for `cum`, in 1/10000.
    pub notional: u64,
    /// The number of a Replace of it that was passed on to a venue.
    pub successor: u32,
    /// OrderID: the book's first reference for it.
    pub order_id: u64,
    /// Day it came in, since 1970 in UTC.
    pub day: u32,
    /// What every report repeats of the order, written once; nothing where it has to be written.
    pub terms: Short<TERMS_MAX>,
}

/// Bytes of the longest terms that are kept.
pub const TERMS_MAX: usize = 96;

impl Entry for Order {
    fn empty() -> Order {
        Order {
            name: Short::new(b""),
            account: Short::new(b""),
            kind: Kind::Request,
            status: status::REJECTED,
            told: false,
            side: Side::Buy,
            symbol: SymbolId(0),
            tif: TimeInForce::Day,
            tags: Tags(0),
            flags: OrderFlags(0),
            price: Price(0),
            qty: 0,
            cum: 0,
            leaves: 0,
            min_qty: 0,
            max_floor: 0,
            route: RouteId::default(),
            notional: 0,
            successor: 0,
            order_id: 0,
            day: 0,
            terms: Short::new(b""),
        }
    }

    fn name(&self) -> &[u8] {
        self.name.get()
    }
}

/// Days since 1970.
pub fn day_of(time_ns: u64) -> u32 {
    (time_ns / (86_400 * NANOS_PER_SEC)) as u32
}

impl Order {
    /// What a command asks for, before anything became of it.
    pub fn asked(command: &Command, parts: &Parts<'_>, route: RouteId, time_ns: u64) -> Order {
        let is_order = matches!(command.kind, CommandKind::Enter | CommandKind::Replace);
        Order {
            name: Short::new(parts.cl_ord_id()),
            account: Short::new(if is_order { parts.get(1) } else { b"" }),
            kind: if is_order { Kind::Order } else { Kind::Request },
            side: command.side,
            symbol: command.symbol,
            tif: command.tif,
            tags: command.tags,
            flags: command.flags,
            price: command.price,
            qty: command.qty,
            min_qty: command.min_qty,
            max_floor: command.max_floor,
            day: day_of(time_ns),
            route,
            ..Order::empty()
        }
    }

    /// The book took it.
    pub fn accept(&mut self, order_id: u64) {
        (self.told, self.status) = (true, status::NEW);
        (self.order_id, self.leaves) = (order_id, self.qty);
    }

    /// The book replaced `old` by it; `open` shares are left.
    pub fn take_over(&mut self, old: &Order, open: u32, status_of_unfilled: u8) {
        (self.told, self.order_id) = (true, old.order_id);
        (self.cum, self.notional, self.leaves) = (old.cum, old.notional, open);
        self.qty = self.cum + open;
        (self.side, self.symbol) = (old.side, old.symbol);
        self.status = match (open, self.cum) {
            (0, _) => status::FILLED,
            (_, 0) => status_of_unfilled,
            _ => status::PARTIALLY_FILLED,
        };
    }

    /// `qty` shares traded.
    pub fn fill(&mut self, qty: u32, price: Price) {
        self.cum += qty;
        self.leaves = self.leaves.saturating_sub(qty);
        self.notional += price.notional(qty);
        self.status = if self.leaves == 0 { status::FILLED } else { status::PARTIALLY_FILLED };
    }

    /// A trade of `qty` shares was undone; what is open is not more for it.
    pub fn undo(&mut self, qty: u32, price: Price) {
        self.cum = self.cum.saturating_sub(qty);
        self.notional = self.notional.saturating_sub(price.notional(qty));
        if self.is_live() {
            self.qty = self.cum + self.leaves;
            self.terms = Short::new(b"");
            self.status = if self.cum == 0 { status::NEW } else { status::PARTIALLY_FILLED };
        } else if self.status == status::FILLED {
            // Nothing of it is open, and not all of it traded.
            self.status = status::CANCELED;
        }
    }

    /// `qty` shares were taken away. True if that was the end of the order.
    pub fn reduce(&mut self, qty: u32, end: u8) -> bool {
        self.leaves = self.leaves.saturating_sub(qty);
        if self.leaves == 0 {
            self.status = end;
            return true;
        }
        self.qty = self.cum + self.leaves;
        self.terms = Short::new(b"");
        false
    }

    /// Another name took its place, or it was refused.
    pub fn end(&mut self, status: u8) {
        (self.status, self.leaves) = (status, 0);
    }

    /// Whether it has something open.
    pub fn is_live(&self) -> bool {
        self.leaves > 0
    }

    /// AvgPx with eight decimals, rounded to the nearest.
    pub fn average(&self) -> u64 {
        if self.cum == 0 {
            return 0;
        }
        let cum = u128::from(self.cum);
        ((u128::from(self.notional) * 10_000 + cum / 2) / cum) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantities_and_the_average_add_up(
            qty in 1u32..=999_999,
            steps in prop::collection::vec((0u8..3, 1u32..100_000, 1u32..2_000_000), 1..40)
        ) {
            let mut order = Order { qty, ..Order::empty() };
            order.accept(1);
            let (mut cum, mut paid) = (0u64, 0u128);
            for (step, amount, price) in steps {
                if !order.is_live() {
                    break;
                }
                let amount = amount.min(order.leaves);
                match step {
                    0 => {
                        order.fill(amount, Price(price));
                        cum += u64::from(amount);
                        paid += u128::from(amount) * u128::from(price);
                    }
                    1 => {
                        let ended = order.reduce(amount, status::CANCELED);
                        prop_assert_eq!(ended, order.leaves == 0);
                    }
                    _ => {
                        let mut new = Order { qty: order.cum + amount, ..Order::empty() };
                        new.take_over(&order, amount, status::NEW);
                        order.end(status::REPLACED);
                        order = new;
                    }
                }
                prop_assert_eq!(u64::from(order.cum), cum);
                if order.is_live() {
                    prop_assert_eq!(order.qty, order.cum + order.leaves);
                }
                if cum > 0 {
                    let exact = paid as f64 / cum as f64 / 10_000.0;
                    let told = order.average() as f64 / 1e8;
                    prop_assert!((told - exact).abs() < 1e-7, "{} is not {}", told, exact);
                }
                let filled = order.status == status::FILLED;
                prop_assert!(!filled || (order.leaves == 0 && order.cum > 0));
            }
        }
    }
}
