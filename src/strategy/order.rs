//! A client's own orders: what state each is in, and what every message does to it.
//!
//! ```text
//!                    Rejected                       Canceled, last share traded
//!            ┌───────────────────────▶ Done ◀──────────────────────────────────────┐
//!            │                           ▲                                         │
//!  enter ▶ Pending ──Accepted──▶ Live ───┼──Executed──▶ PartlyFilled ──────────────┤
//!                                 │  ▲   │                 │  ▲                    │
//!                         replace │  │ Replaced, Rejected  │  │ Replaced, Rejected │
//!                                 ▼  │   │                 ▼  │                    │
//!                                Replacing ──── cancel ──▶ Cancelling ─────────────┘
//!
//!  any but Done ──connection lost──▶ Unknown ──what was missed is replayed, the query answered──▶
//!        Pending: Done, it never arrived; everything else: Live or PartlyFilled, its request is lost
//! ```
//!
//! What trades while a request is under way lowers the order and leaves the request under way. A Cancel of an order
//! whose replacement is under way is sent for both numbers: whichever stands is met.

use std::collections::BTreeMap;

use crate::order::Price;

/// How an order is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// It rests until it is cancelled.
    Day,
    /// It rests, or is cancelled where it would trade at once.
    PostOnly,
    /// It trades at once; the rest is cancelled.
    Ioc,
}

/// Number of an order, the client's own; OUCH calls it UserRefNum, FIX ClOrdID.
pub type OrderId = u32;

/// Where an order stands, as far as its owner knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum State {
    /// Sent, and nothing was heard of it.
    Pending,
    /// Open, nothing traded.
    Live,
    /// Open, some of it traded.
    PartlyFilled,
    /// A replacement is under way.
    Replacing,
    /// A cancel is under way.
    Cancelling,
    /// The connection was lost: anything may have happened.
    Unknown,
    /// Nothing of it is open.
    Done,
}

/// What the venue tells of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// It is in the book, or traded at once.
    Accepted {
        /// Its number.
        id: OrderId,
        /// Its symbol, padded.
        symbol: [u8; 8],
        /// Whether it buys.
        buys: bool,
        /// Shares open.
        shares: u32,
        /// Limit.
        price: Price,
        /// The venue's number, which the feed shows.
        reference: u64,
        /// Whether any of it is open.
        live: bool,
    },
    /// Another stands in its place.
    Replaced {
        /// The order before.
        old: OrderId,
        /// Its number now.
        id: OrderId,
        /// Shares open now.
        shares: u32,
        /// Limit now.
        price: Price,
        /// The venue's number now.
        reference: u64,
        /// Whether any of it is open.
        live: bool,
    },
    /// Shares traded.
    Executed {
        /// The order.
        id: OrderId,
        /// Shares.
        shares: u32,
        /// At this price.
        price: Price,
        /// Whether it rested before.
        added: bool,
        /// The same on both sides.
        match_number: u64,
    },
    /// Shares are no longer open.
    Canceled {
        /// The order.
        id: OrderId,
        /// Shares taken from it.
        shares: u32,
    },
    /// An Enter or a Replace was refused.
    Rejected {
        /// The number that the order would have had.
        id: OrderId,
        /// OUCH 5.0's reason, or FIX's.
        reason: u16,
    },
    /// A Cancel was refused: the order stays as it is, or is gone already.
    CancelRejected {
        /// The order.
        id: OrderId,
    },
}

/// One own order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// Which of the desk's symbols.
    pub symbol: usize,
    /// Whether it buys.
    pub buys: bool,
    /// Limit.
    pub price: Price,
    /// Shares open.
    pub open: u32,
    /// Shares traded, of orders that it replaced too.
    pub filled: u32,
    /// The venue's number; 0 until it is known.
    pub reference: u64,
    /// Where it stands.
    pub state: State,
    /// How it was entered, which a replacement keeps.
    pub manner: Manner,
    /// Number, open shares and price of a replacement under way.
    pub successor: Option<(OrderId, u32, Price)>,
    /// Whether it was ever accepted.
    accepted: bool,
}

impl Order {
    fn rests(&self) -> State {
        match (self.accepted, self.filled) {
            (false, _) => State::Pending,
            (true, 0) => State::Live,
            (true, _) => State::PartlyFilled,
        }
    }

    /// Most shares that it may trade from here on, whatever is under way.
    pub fn open_at_most(&self) -> u32 {
        self.successor.map_or(self.open, |(_, open, _)| open.max(self.open))
    }

    /// Whether a request for it may be sent.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Live | State::PartlyFilled)
    }

    fn lower(&mut self, shares: u32) {
        self.open = self.open.saturating_sub(shares);
        if self.open == 0 {
            self.state = State::Done;
        } else if self.is_settled() {
            self.state = self.rests();
        }
    }
}

/// All open orders of a client, and those of which nobody knows.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    orders: BTreeMap<OrderId, Order>,
    /// Which order a replacement under way is for.
    successors: BTreeMap<OrderId, OrderId>,
}

impl Orders {
    /// The order with a number.
    pub fn get(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// All orders that are not done, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// How many those are.
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// An Enter is sent.
    pub fn entered(
        &mut self,
        id: OrderId,
        symbol: usize,
        (buys, shares, price): (bool, u32, Price),
        manner: Manner,
    ) {
        let order = Order {
            id,
            symbol,
            buys,
            price,
            open: shares,
            filled: 0,
            reference: 0,
            state: State::Pending,
            manner,
            successor: None,
            accepted: false,
        };
        self.orders.insert(id, order);
    }

    /// A Replace is sent, of an order that [is settled](Order::is_settled).
    pub fn replacing(&mut self, old: OrderId, id: OrderId, open: u32, price: Price) {
        if let Some(order) = self.orders.get_mut(&old) {
            (order.state, order.successor) = (State::Replacing, Some((id, open, price)));
            self.successors.insert(id, old);
        }
    }

    /// A Cancel is sent. Returns the numbers it has to be sent for, the second one if a replacement is under way.
    pub fn cancelling(&mut self, id: OrderId) -> (Option<OrderId>, Option<OrderId>) {
        match self.orders.get_mut(&id) {
            Some(order) if !matches!(order.state, State::Cancelling | State::Unknown) => {
                order.state = State::Cancelling;
                (Some(id), order.successor.map(|(successor, ..)| successor))
            }
            _ => (None, None),
        }
    }

    /// Takes in what the venue tells. Returns the order as it is now, [`State::Done`] the last time; `None` if it
    /// is not known. `symbol_of` finds the symbol of an order that an earlier run entered.
    pub fn take(
        &mut self,
        report: &Report,
        symbol_of: impl FnOnce(&[u8; 8]) -> Option<usize>,
    ) -> Option<Order> {
        let id = match *report {
            Report::Accepted { id, symbol, buys, shares, price, reference, live } => {
                if !self.orders.contains_key(&id) {
                    self.entered(id, symbol_of(&symbol)?, (buys, shares, price), Manner::Day);
                }
                let order = self.orders.get_mut(&id)?;
                (order.open, order.price, order.reference) = (shares, price, reference);
                order.accepted = true;
                match order.state {
                    _ if !live => order.state = State::Done,
                    State::Pending => order.state = State::Live,
                    _ => {}
                }
                id
            }
            Report::Replaced { old, id, shares, price, reference, live } => {
                let mut order = self.orders.remove(&old)?;
                self.forget_successor(&mut order);
                (order.id, order.open, order.price, order.reference) =
                    (id, shares, price, reference);
                match order.state {
                    _ if !live => order.state = State::Done,
                    State::Cancelling | State::Unknown => {}
                    _ => order.state = order.rests(),
                }
                self.orders.insert(id, order);
                id
            }
            Report::Executed { id, shares, .. } => {
                let order = self.orders.get_mut(&id)?;
                order.filled += shares;
                order.lower(shares);
                id
            }
            Report::Canceled { id, shares } => {
                let order = self.orders.get_mut(&id)?;
                order.lower(shares);
                id
            }
            Report::Rejected { id, .. } => match self.successors.get(&id).copied() {
                Some(old) => {
                    let mut order = self.orders.remove(&old)?;
                    self.forget_successor(&mut order);
                    if order.state == State::Replacing {
                        order.state = order.rests();
                    }
                    self.orders.insert(old, order);
                    old
                }
                None => {
                    self.orders.get_mut(&id)?.state = State::Done;
                    id
                }
            },
            Report::CancelRejected { id } => {
                let order = self.orders.get_mut(&id)?;
                if order.state == State::Cancelling {
                    order.state = order.rests();
                }
                id
            }
        };
        let order = *self.orders.get(&id)?;
        if order.state == State::Done {
            self.forget(id);
        }
        Some(order)
    }

    fn forget_successor(&mut self, order: &mut Order) {
        if let Some((successor, ..)) = order.successor.take() {
            self.successors.remove(&successor);
        }
    }

    fn forget(&mut self, id: OrderId) {
        if let Some(mut order) = self.orders.remove(&id) {
            self.forget_successor(&mut order);
        }
    }

    /// The connection is lost.
    pub fn lost(&mut self) {
        self.orders.values_mut().for_each(|order| order.state = State::Unknown);
    }

    /// Everything that the venue ever said has come: what was not heard of by now never arrived there. Hands those
    /// orders out.
    pub fn settled(&mut self, mut gone: impl FnMut(&Order)) {
        self.successors.clear();
        self.orders.retain(|_, order| {
            if order.state == State::Unknown {
                order.successor = None;
                order.state = order.rests();
                if order.state == State::Pending {
                    order.state = State::Done;
                    gone(order);
                    return false;
                }
            }
            true
        });
    }
}
