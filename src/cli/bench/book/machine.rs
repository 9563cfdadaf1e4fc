//! Risk, book and a ring that is read, without threads.

use crate::book::{self, Book, Outlet, RingReports};
use crate::order::{
    Command, CommandKind, Event, Feedback, FirmId, NUMBERS_BY_PLACE, Price, SelfTrade, SymbolId,
    UserId,
};
use crate::ring::{self, Consumer, Producer};
use crate::risk::{self, Limits, Risk};

use super::mix::{ACCOUNTS, MIDDLE, Mix};

/// Commands that an agent takes in one turn.
pub const BATCH: usize = 64;

/// Where its reports go.
pub struct RingOutlet {
    pub events: Producer<Event>,
    pub feedback: Vec<Feedback>,
}

impl Outlet for RingOutlet {
    fn has_room(&mut self, reports: usize) -> bool {
        self.events.has_room(reports)
    }
    #[inline]
    fn event(&mut self, _user: UserId, write: impl FnOnce(&mut Event)) {
        self.events.stage_with(write);
    }
    #[inline]
    fn feedback(&mut self, feedback: &Feedback) {
        self.feedback.push(*feedback);
    }
}

/// The machine that is measured.
pub struct Machine {
    pub risk: Risk,
    pub book: Book,
    reports: RingReports<RingOutlet>,
    events: Consumer<Event>,
    sequenced: Vec<Command>,
}

impl Machine {
    pub fn new(mix: &Mix) -> Machine {
        let (orders, symbols) = (mix.orders, mix.symbols);
        let capacity = risk::Capacity { orders, users: ACCOUNTS, firms: ACCOUNTS, symbols };
        let (tx, events) = ring::on_heap(256, Event::EMPTY);
        let outlet = RingOutlet { events: tx, feedback: Vec::with_capacity(4096) };
        let mut machine = Machine {
            risk: Risk::new(capacity),
            book: Book::new(book::Capacity { orders, symbols }),
            reports: RingReports::new(outlet),
            events,
            sequenced: Vec::with_capacity(BATCH),
        };
        // Numbers are enciphered, as a journal has it.
        let mut key = Command::new(CommandKind::DefineNumbers, UserId(0), FirmId(0));
        key.qty = NUMBERS_BY_PLACE;
        key.text[..12].copy_from_slice(b"twelve bytes");
        machine.define(key);
        for account in 0..ACCOUNTS {
            machine.risk.set_limits(FirmId(account), limits());
            let (user, firm) = (UserId(account), FirmId(account));
            machine.define(Command::new(CommandKind::DefineUser, user, firm));
        }
        for symbol in (0..symbols).map(SymbolId) {
            let define = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
            machine.define(Command { symbol, price: Price(100), ..define });
            machine.risk.set_reference_price(symbol, Price(MIDDLE as u32 * 100));
        }
        machine
    }

    fn define(&mut self, mut command: Command) {
        self.risk.sequence_own(&mut command, 1);
        self.book.apply(&command, &mut self.reports);
        self.drain();
    }

    pub fn drain(&mut self) {
        self.reports.outlet.events.publish();
        while self.events.pop_batch(1024, |event| _ = std::hint::black_box(event.user_ref)) > 0 {}
    }

    /// Commands that come together go through risk and then through the book, as the agents take them.
    #[inline]
    pub fn run(&mut self, commands: &[Command], now_ns: u64) {
        for batch in commands.chunks(BATCH) {
            self.run_batch(batch, now_ns);
        }
    }

    #[inline]
    fn run_batch(&mut self, commands: &[Command], now_ns: u64) {
        if self.risk.has_to_foresee() && commands.len() > 3 {
            for step in 0..risk::FORESEE_STEPS {
                for (at, command) in commands.iter().enumerate() {
                    self.risk.foresee(command, at, step);
                }
            }
        }
        self.sequenced.clear();
        for command in commands {
            let mut sequenced = *command;
            if self.risk.sequence(&mut sequenced, now_ns) {
                self.sequenced.push(sequenced);
            }
        }
        if self.book.has_to_foresee() && commands.len() > 3 {
            for step in 0..book::FORESEE_STEPS {
                self.sequenced.iter().for_each(|command| self.book.foresee(command, step));
            }
        }
        for at in 0..self.sequenced.len() {
            self.book.apply(&self.sequenced[at], &mut self.reports);
            while self.book.is_paused() {
                self.drain();
                self.book.resume(&mut self.reports);
            }
            if !self.reports.outlet.events.has_room(16) {
                self.drain();
            }
        }
        for feedback in self.reports.outlet.feedback.drain(..) {
            self.risk.feed_back(&feedback);
        }
    }

    /// What the last batch became.
    pub fn sequenced(&self) -> &[Command] {
        &self.sequenced
    }

    pub fn digest(&self) -> (u64, u64) {
        (self.book.digest(), self.risk.digest())
    }
}

/// Limits that nobody reaches, and every check.
pub fn limits() -> Limits {
    Limits {
        max_order_qty: 100_000,
        max_order_notional: u64::MAX,
        price_collar_bps: 2_000,
        max_messages_per_second: u32::MAX,
        max_position: 1 << 40,
        max_open_notional: 1 << 60,
        max_open_orders: u32::MAX,
        max_unanswered: u32::MAX,
        duplicate_window_ns: 0,
        self_trade: SelfTrade::CancelNewest,
        market_orders: true,
        short_sales: true,
        restricted: vec![false],
    }
}
