//! Price-time priority matching.
//!
//! A [`Book`] holds every open order of a segment's symbols. It is a deterministic machine: it
//! is given sequenced [`Command`]s and tells its [`Reports`] what happened; it reads no clock,
//! and all its memory is allocated by [`Book::new`]. The same commands always give the same
//! reports, which is what makes replaying a journal enough to recover.
//!
//! A price level is found through a compressed radix tree of 64-way nodes (`Ladder`), so that the
//! next best price is a few bit scans away however far it lies, and there are never more nodes than
//! orders; bids and asks share one tree, because a continuous book never holds both at one price.
#![deny(clippy::float_arithmetic)]
#![forbid(unsafe_code)]

mod agent;
mod commands;
mod digest;
mod foresee;
mod ladder;
mod listener;
mod matching;
mod numbering;
mod numbers;
mod order;
mod outside;
mod places;
mod progress;
mod records;
mod reports;

pub use agent::{BookAgent, Outlet, RingReports};
pub use digest::Digest;
pub use foresee::FORESEE_STEPS;
pub use listener::{Heard, Listener, listen};
pub use numbers::KEY_BYTES as NUMBERS_KEY_BYTES;
pub use order::Order;
pub use places::{Places, digest};
pub use progress::{Books, Events, Progress};
pub use reports::{Leg, Outside, Reports};

use crate::order::{Command, CommandKind, Price, Slot, SymbolId, UserId};
use crate::runtime::Table;
use ladder::{Ladder, Pools};
use numbering::Numbering;
use order::NO_LEVEL;

/// How large a book may become. Everything is allocated at start-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Open orders, over all symbols.
    pub orders: u32,
    /// Symbols.
    pub symbols: u16,
}

/// The open orders of all symbols of a segment.
pub struct Book {
    orders: Table<Order>,
    pools: Pools,
    ladders: Vec<Ladder>,
    numbering: Numbering,
    /// A command whose matching stopped because the reports had no room; see [`Book::resume`].
    paused: Option<Command>,
    open_orders: u32,
    /// What an order that takes had traded before, replaced orders included.
    traded_before: u32,
    /// What is at venues, if there are any.
    outside: Option<Box<outside::Outside>>,
}

impl Book {
    /// A book without symbols or orders, with all memory it will ever use.
    pub fn new(capacity: Capacity) -> Book {
        Book {
            orders: Table::new(capacity.orders as usize, Order::EMPTY),
            pools: Pools::new(capacity.orders),
            ladders: Vec::with_capacity(capacity.symbols as usize),
            numbering: Numbering::new(capacity.symbols),
            paused: None,
            open_orders: 0,
            traded_before: 0,
            outside: None,
        }
    }

    /// Adds the next symbol, or changes the tick of a known one whose book is empty.
    pub fn define_symbol(&mut self, symbol: SymbolId, tick: Price) {
        assert!(symbol.index() <= self.ladders.len(), "symbols are defined in order");
        if symbol.index() == self.ladders.len() {
            self.ladders.push(Ladder::new(tick));
            self.numbering.add_symbol();
        } else if self.ladders[symbol.index()].tick() != tick {
            assert!(
                self.ladders[symbol.index()].is_empty(),
                "a tick changes in an empty book only"
            );
            self.ladders[symbol.index()] = Ladder::new(tick);
        }
    }

    /// A user is a venue.
    fn define_venue(&mut self, user: UserId) {
        let orders = self.capacity().orders;
        self.outside.get_or_insert_with(|| outside::Outside::new(orders)).define(user);
    }

    /// Orders whose shares are at venues.
    pub fn orders_outside(&self) -> u32 {
        self.outside.as_ref().map_or(0, |outside| outside.count)
    }

    /// Calls `see` for every order whose shares are at a venue, with the venue's number.
    pub fn for_each_outside(&self, mut see: impl FnMut(Slot, u8, &Order)) {
        let Some(outside) = self.outside.as_ref().filter(|outside| outside.count > 0) else {
            return;
        };
        for (slot, order) in (0..).map(Slot).zip(self.orders.iter()) {
            if order.is_outside() {
                see(slot, outside.get(slot).venue, order);
            }
        }
    }

    /// How large it may become.
    fn capacity(&self) -> Capacity {
        Capacity { orders: self.orders.len() as u32, symbols: self.ladders.capacity() as u16 }
    }

    /// Whether numbers of orders and trades follow from where they are given, as several books need it.
    pub fn numbers_by_place(&self) -> bool {
        self.numbering.is_by_place()
    }

    /// Number of orders open in all symbols.
    pub fn open_orders(&self) -> u32 {
        self.open_orders
    }

    /// The number of symbols defined.
    pub fn symbols(&self) -> usize {
        self.ladders.len()
    }

    /// The tick of a defined symbol.
    pub fn tick(&self, symbol: SymbolId) -> Price {
        self.ladders[symbol.index()].tick()
    }

    /// Highest price somebody buys at, displayed or not.
    pub fn best_bid(&self, symbol: SymbolId) -> Option<Price> {
        self.ladders[symbol.index()].best(true)
    }

    /// Lowest price somebody sells at, displayed or not.
    pub fn best_ask(&self, symbol: SymbolId) -> Option<Price> {
        self.ladders[symbol.index()].best(false)
    }

    /// Open shares at a price, displayed or not. 0 if there are none.
    pub fn shares_at(&self, symbol: SymbolId, price: Price) -> u64 {
        let ladder = &self.ladders[symbol.index()];
        ladder.level_at(&self.pools, price).map_or(0, |level| self.pools.level(level).shares)
    }

    /// The order in a slot, if one is open there.
    pub fn order(&self, slot: Slot) -> Option<&Order> {
        self.orders.get(slot.index()).filter(|order| order.level != NO_LEVEL)
    }

    /// Calls `see` for every open order of a symbol, best price first and in time priority
    /// within a price, bids before asks.
    pub fn for_each_order(&self, symbol: SymbolId, mut see: impl FnMut(Slot, &Order)) {
        let ladder = &self.ladders[symbol.index()];
        for buys in [true, false] {
            let mut level = ladder.best_level(buys);
            while let Some(at) = level {
                for head in [self.pools.level(at).shown.head, self.pools.level(at).hidden.head] {
                    let mut slot = head;
                    while slot != Slot::NONE.0 {
                        see(Slot(slot), &self.orders[slot as usize]);
                        slot = self.orders[slot as usize].next;
                    }
                }
                level = ladder.next_level(&self.pools, self.pools.level(at).tick, buys);
            }
        }
    }

    /// The order that a Replace, Cancel or Modify is about, if it is open.
    pub fn addressed(&self, command: &Command) -> Option<&Order> {
        match command.kind {
            CommandKind::Replace => self.named(command, command.orig_user_ref.0),
            CommandKind::Cancel | CommandKind::Modify => self.named(command, command.user_ref.0),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod drawn;
#[cfg(test)]
mod tests;
