//! The sequencer and the pre-trade checks.
//!
//! [`Risk`] takes commands in arrival order, gives each its place and time, and decides: its
//! verdict is written into the command, so that a replay never decides anew. What changes its
//! own state is only a sequenced command (`commit.rs`; [`Risk::replay`] in a recovery) or what the book fed back
//! ([`Risk::feed_back`]); the checks (`checks.rs`) only read.
//!
//! It keeps a shadow of every open order, which is how a client's number finds the order's slot
//! in the book, and how exposure is counted: an order's open shares from the moment it is
//! sequenced, and what it frees only when the book says so. In flight the count is never too low.
#![deny(clippy::float_arithmetic)]
#![forbid(unsafe_code)]

mod agent;
mod checks;
mod commit;
mod displayed;
mod duplicates;
mod exposure;
mod foresee;
mod index;
mod limits;
mod rate;
mod routing;
mod sweep;
mod table;
mod timers;

#[cfg(test)]
mod tests;

pub use agent::{Outlets, RiskAgent};
pub use displayed::Displayed;
pub use foresee::FORESEE_STEPS;
pub use limits::Limits;
pub use routing::{Chased, FirmRouting, Routing, VenueTerms};

use crate::book::Digest;
use crate::order::{
    Command, FirmId, NANOS_PER_SEC, Price, Reject, SeqNum, SymbolId, UnixNanos, UserId, VENUES_MAX,
};
use duplicates::Duplicates;
use exposure::Exposure;
use rate::TokenBucket;
use sweep::Sweep;
use table::OrderTable;
use timers::Timers;

/// How much risk must have room for.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Open orders, over all symbols.
    pub orders: u32,
    /// Users.
    pub users: u16,
    /// Firms.
    pub firms: u16,
    /// Symbols.
    pub symbols: u16,
}

/// What is known of a symbol.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    tick: Price,
    /// Last trade, or the configured reference price before the first.
    reference: Price,
    traded: bool,
}

/// What is known of a user.
#[derive(Clone, Debug)]
struct User {
    firm: FirmId,
    /// The highest UserRefNum used.
    last_ref: u32,
    rate: TokenBucket,
    /// Orders for which a venue owes an answer, by the venue's number less one.
    waiting: [u32; VENUES_MAX],
}

/// What is known of a firm.
#[derive(Clone, Copy, Debug)]
struct Firm {
    /// Which of the distinct limits are its own.
    limits: u16,
    /// Order entry was disabled by the firm.
    disabled: bool,
    open_orders: u32,
}

/// The sequencer's whole state.
pub struct Risk {
    last_seq: SeqNum,
    last_time_ns: UnixNanos,
    users: Vec<User>,
    firms: Vec<Firm>,
    /// Distinct limits: most firms share theirs, so that those in use stay close.
    limits: Vec<Limits>,
    symbols: Vec<Symbol>,
    orders: OrderTable,
    exposure: Exposure,
    timers: Timers,
    duplicates: Duplicates,
    sweep: Option<Sweep>,
    routing: Routing,
    /// What comes in may not all find room on disk.
    disk_nearly_full: bool,
    /// Messages ignored as the protocol demands: repeated numbers, orders that are no more.
    ignored: u64,
    rejected: u64,
}

impl Risk {
    /// No users, symbols or orders yet; all memory there will be.
    pub fn new(capacity: Capacity) -> Risk {
        Risk {
            last_seq: SeqNum(0),
            last_time_ns: 0,
            users: Vec::with_capacity(capacity.users.into()),
            firms: Vec::with_capacity(capacity.firms.into()),
            limits: Vec::new(),
            symbols: Vec::with_capacity(capacity.symbols.into()),
            orders: OrderTable::new(capacity.orders, capacity.users),
            exposure: Exposure::new(capacity.firms, capacity.symbols),
            timers: Timers::new(),
            duplicates: Duplicates::new(),
            sweep: None,
            routing: Routing::default(),
            disk_nearly_full: false,
            ignored: 0,
            rejected: 0,
        }
    }

    /// Sets a firm's limits; firms are numbered without gaps.
    pub fn set_limits(&mut self, firm: FirmId, limits: Limits) {
        if limits.duplicate_window_ns > 0 {
            self.duplicates.enable(self.orders.users_max());
        }
        let known = self.limits.iter().position(|known| *known == limits);
        let limits_at = known.unwrap_or_else(|| {
            self.limits.push(limits);
            self.limits.len() - 1
        }) as u16;
        match self.firms.get_mut(firm.index()) {
            Some(old) => old.limits = limits_at,
            None => {
                assert_eq!(firm.index(), self.firms.len(), "firms are numbered without gaps");
                self.firms.push(Firm { limits: limits_at, disabled: false, open_orders: 0 });
            }
        }
    }

    /// Whether new orders are refused because the disk is nearly full.
    pub fn set_disk_nearly_full(&mut self, full: bool) {
        self.disk_nearly_full = full;
    }

    /// Open orders of a firm, as far as the book has told.
    pub fn open_orders_of(&self, firm: FirmId) -> u32 {
        self.firms[firm.index()].open_orders
    }

    /// How many firms have limits.
    pub fn firms(&self) -> usize {
        self.firms.len()
    }

    /// Sets the price a symbol is judged by until it trades.
    pub fn set_reference_price(&mut self, symbol: SymbolId, price: Price) {
        let symbol = &mut self.symbols[symbol.index()];
        if !symbol.traded {
            symbol.reference = price;
        }
    }

    /// Sequence number of the last command.
    pub fn last_seq(&self) -> SeqNum {
        self.last_seq
    }

    /// Time of the last command.
    pub fn last_time_ns(&self) -> UnixNanos {
        self.last_time_ns
    }

    /// Messages ignored as the protocol demands.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Commands refused.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Open orders, as far as the book has told.
    pub fn open_orders(&self) -> usize {
        self.orders.len()
    }

    /// Net shares a firm holds of a symbol.
    pub fn position(&self, firm: FirmId, symbol: SymbolId) -> i64 {
        self.exposure.of(firm, symbol).position
    }

    /// Open notional of a firm, in 1/10000.
    pub fn open_notional(&self, firm: FirmId) -> u64 {
        self.exposure.open_notional(firm)
    }

    /// Gives a command its place and time, decides, and carries out what it means for risk.
    /// False if the protocol wants it ignored: it gets no place and goes no further.
    #[inline]
    pub fn sequence(&mut self, command: &mut Command, now_ns: UnixNanos) -> bool {
        if !self.decide(command, now_ns) {
            self.ignored += 1;
            return false;
        }
        self.stamp(command, now_ns);
        self.commit(command);
        true
    }

    /// Sequences a command of the venue itself, which is not judged.
    pub fn sequence_own(&mut self, command: &mut Command, now_ns: UnixNanos) {
        self.stamp(command, now_ns);
        self.commit(command);
    }

    /// Gives a command its place and time.
    #[inline]
    fn stamp(&mut self, command: &mut Command, now_ns: UnixNanos) {
        self.last_seq.0 += 1;
        self.last_time_ns = now_ns.max(self.last_time_ns);
        (command.seq, command.time_ns) = (self.last_seq, self.last_time_ns);
        if command.verdict != Reject::None {
            self.rejected += 1;
        }
    }

    /// Whether an order's time may run out.
    pub fn has_timers(&self) -> bool {
        !self.timers.is_empty()
    }

    /// A hash of everything that decides how risk behaves from here on, clocks aside.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::new();
        digest.add(self.last_seq.0);
        for user in &self.users {
            digest.add(u64::from(user.firm.0) << 32 | u64::from(user.last_ref));
        }
        self.firms.iter().for_each(|firm| digest.add(u64::from(firm.disabled)));
        self.symbols.iter().for_each(|symbol| digest.add(u64::from(symbol.tick.0)));
        self.exposure.add_to(&mut digest, self.firms.len(), self.symbols.len());
        self.routing.add_to(&mut digest);
        digest.value()
    }

    #[inline]
    fn limits(&self, user: UserId) -> &Limits {
        let firm = self.users[user.index()].firm;
        &self.limits[usize::from(self.firms[firm.index()].limits)]
    }
}

/// Seconds of a time, rounded up.
fn seconds_up(time_ns: UnixNanos) -> u64 {
    time_ns.div_ceil(NANOS_PER_SEC)
}
