//! millrace's book, and its reports as messages to sessions.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace::book::{Book, Capacity, Order, Reports};
use millrace::order::{
    CancelReason, Command, CommandKind, Feedback, FeedbackKind, FirmId, Price, Reject, SelfTrade,
    SeqNum, Side, Slot, SymbolId, TimeInForce, UserId, UserRefNum,
};
use millrace::risk::{self, Limits, Risk};
use millrace::wire::ouch::inbound::{CancelOrder, EnterOrder};
use millrace::wire::ouch::outbound::{Accepted, Buffer, Canceled, Executed, Rejected};

use crate::sync::Lock;
use crate::venue::{ORDERS_MAX, Setup};

/// What is said of an order that is taken.
pub fn accepted(order: &EnterOrder, timestamp: u64, reference: u64) -> Accepted {
    Accepted {
        kind: b'A',
        timestamp: timestamp.into(),
        user_ref: order.user_ref,
        side: order.side,
        quantity: order.quantity,
        symbol: order.symbol,
        price: order.price,
        time_in_force: order.time_in_force,
        display: order.display,
        order_reference: reference.into(),
        capacity: order.capacity,
        sweep: order.sweep,
        cross_type: order.cross_type,
        state: b'L',
        cl_ord_id: order.cl_ord_id,
    }
}

/// Where messages to sessions go.
pub trait Out {
    fn packet(&mut self, session: u16, packet: &[u8]);
}

/// What a session was told last: a client that comes back asks for it again.
pub struct Kept {
    bytes: Vec<u8>,
    /// Where each message ended.
    ends: Vec<u64>,
    end: u64,
    count: u64,
}

/// Bytes that are kept of a session, and messages.
const KEPT_BYTES: usize = 64 << 10;
const KEPT_MESSAGES: u64 = 1024;

impl Kept {
    pub fn new() -> Kept {
        let ends = vec![0; KEPT_MESSAGES as usize];
        Kept { bytes: vec![0; KEPT_BYTES], ends, end: 0, count: 0 }
    }

    pub fn add(&mut self, packet: &[u8]) {
        let at = (self.end % KEPT_BYTES as u64) as usize;
        let fits = packet.len().min(KEPT_BYTES - at);
        self.bytes[at..at + fits].copy_from_slice(&packet[..fits]);
        self.bytes[..packet.len() - fits].copy_from_slice(&packet[fits..]);
        self.end += packet.len() as u64;
        self.ends[(self.count % KEPT_MESSAGES) as usize] = self.end;
        self.count += 1;
    }
}

/// An order of a session: what a Cancel has to know.
#[derive(Clone, Copy)]
struct Known {
    user_ref: u32,
    symbol: u16,
    slot: u32,
}

/// Orders of a session that may still be canceled; as many of the last ones as no client of the comparison has open.
pub struct Orders(Vec<Known>);

const ORDERS_KNOWN: usize = 1 << 10;

impl Orders {
    pub fn new() -> Orders {
        Orders(vec![Known { user_ref: 0, symbol: 0, slot: 0 }; ORDERS_KNOWN])
    }

    pub fn add(&mut self, user_ref: u32, symbol: u16, slot: u32) {
        self.0[user_ref as usize % ORDERS_KNOWN] = Known { user_ref, symbol, slot };
    }

    /// Symbol and slot of an order.
    pub fn find(&self, user_ref: u32) -> Option<(u16, u32)> {
        let known = self.0[user_ref as usize % ORDERS_KNOWN];
        (known.user_ref == user_ref && user_ref > 0).then_some((known.symbol, known.slot))
    }
}

/// Symbol of an Enter: S00 to S99.
pub fn symbol_of(order: &EnterOrder, symbols: u16) -> Option<u16> {
    let digit = |at: usize| order.symbol[at].wrapping_sub(b'0');
    let number = u16::from(digit(1)) * 10 + u16::from(digit(2));
    (digit(1) < 10 && digit(2) < 10 && number < symbols).then_some(number)
}

/// Who gives orders their slots, and says whether they may be.
pub enum Checks {
    /// Nobody asks: any order may be. Slots to use next, last freed first.
    None(Vec<u32>),
    /// millrace's risk checks.
    Own(Box<Risk>),
    /// The same of all books: what a firm holds and may lose is one thing, whatever the symbol.
    Shared(&'static Lock<Risk>),
}

impl Checks {
    /// Gives a command its slot, or its verdict. False if it is to be ignored.
    fn pass(&mut self, command: &mut Command) -> bool {
        match self {
            Checks::None(free) => {
                if command.kind == CommandKind::Enter {
                    command.limit = command.price;
                    match free.pop() {
                        Some(slot) => command.slot = Slot(slot),
                        None => command.verdict = Reject::Other,
                    }
                }
                true
            }
            Checks::Own(risk) => risk.sequence(command, command.time_ns),
            Checks::Shared(risk) => risk.lock().sequence(command, command.time_ns),
        }
    }

    /// Hears what became of orders.
    fn hear(&mut self, feedback: &mut Vec<Feedback>) {
        match self {
            Checks::None(free) => {
                free.extend(feedback.iter().filter(|told| told.done).map(|told| told.slot.0));
            }
            Checks::Own(risk) => feedback.iter().for_each(|told| risk.feed_back(told)),
            Checks::Shared(_) if feedback.is_empty() => {}
            Checks::Shared(risk) => {
                let mut risk = risk.lock();
                feedback.iter().for_each(|told| risk.feed_back(told));
            }
        }
        feedback.clear();
    }
}

/// millrace's risk checks, for so many users with a firm each.
pub fn risk(symbols: u16, orders: u32, users: u16) -> Risk {
    let capacity = risk::Capacity { orders, users, firms: users, symbols };
    let mut risk = Risk::new(capacity);
    for number in 0..users {
        let limits = Limits {
            max_order_qty: 100_000,
            max_order_notional: u64::MAX,
            price_collar_bps: 0,
            max_messages_per_second: 1_000_000_000,
            max_position: 1 << 40,
            max_open_notional: 1 << 60,
            max_open_orders: orders,
            max_unanswered: u32::MAX,
            duplicate_window_ns: 0,
            self_trade: SelfTrade::CancelNewest,
            market_orders: true,
            short_sales: true,
            restricted: vec![],
        };
        risk.set_limits(FirmId(number), limits);
        let mut user = Command::new(CommandKind::DefineUser, UserId(number), FirmId(number));
        risk.sequence_own(&mut user, 1);
    }
    for number in 0..symbols {
        let mut symbol = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
        (symbol.symbol, symbol.price) = (SymbolId(number), Price(100));
        risk.sequence_own(&mut symbol, 1);
        risk.set_reference_price(SymbolId(number), Price(1_000_000));
    }
    risk
}

/// Books of some symbols.
pub struct Matcher {
    book: Book,
    checks: Checks,
    /// The first symbol, whose book is number 0 here.
    first: u16,
    seq: u64,
    feedback: Vec<Feedback>,
}

impl Matcher {
    /// Books of so many symbols from `first` on.
    pub fn new(first: u16, symbols: u16, orders: u32, checks: Checks) -> Matcher {
        let mut book = Book::new(Capacity { orders, symbols });
        (0..symbols).for_each(|symbol| book.define_symbol(SymbolId(symbol), Price(100)));
        Matcher { book, checks, first, seq: 0, feedback: Vec::with_capacity(4096) }
    }

    /// With all symbols, and checks of its own or none.
    pub fn alone(setup: &Setup) -> Matcher {
        let checks = match setup.lean {
            true => Checks::None((0..ORDERS_MAX).rev().collect()),
            false => Checks::Own(Box::new(risk(setup.symbols, ORDERS_MAX, setup.sessions))),
        };
        Matcher::new(0, setup.symbols, ORDERS_MAX, checks)
    }

    /// Place of the last command in the sequence.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Enters an order. Returns its slot, if it was accepted.
    pub fn enter(
        &mut self,
        session: u16,
        order: &EnterOrder,
        symbol: u16,
        out: &mut impl Out,
    ) -> Option<u32> {
        let mut command = self.command(CommandKind::Enter, session);
        command.side = if order.side == b'B' { Side::Buy } else { Side::Sell };
        command.tif = if order.time_in_force == b'3' { TimeInForce::Ioc } else { TimeInForce::Day };
        command.user_ref = UserRefNum(order.user_ref.get());
        command.qty = order.quantity.get();
        command.price = Price(order.price.get() as u32);
        command.symbol = SymbolId(symbol);
        command.text[..14].copy_from_slice(&order.cl_ord_id);
        if !self.checks.pass(&mut command) {
            return None;
        }
        let slot = (command.verdict == Reject::None).then_some(command.slot.0);
        self.apply(&mut command, Some(order), out);
        slot
    }

    /// Cancels an order, if it is still there.
    pub fn cancel(&mut self, session: u16, slot: u32, cancel: &CancelOrder, out: &mut impl Out) {
        let mut command = self.command(CommandKind::Cancel, session);
        command.user_ref = UserRefNum(cancel.user_ref.get());
        command.qty = cancel.quantity.get();
        command.slot = Slot(slot);
        if self.checks.pass(&mut command) {
            self.apply(&mut command, None, out);
        }
    }

    fn apply(&mut self, command: &mut Command, entered: Option<&EnterOrder>, out: &mut impl Out) {
        // Risk knows symbols by their numbers, this book by its own.
        command.symbol.0 = command.symbol.0.wrapping_sub(self.first);
        let Matcher { book, feedback, .. } = self;
        book.apply(command, &mut Teller { feedback, out, entered, buffer: Buffer::new() });
        self.checks.hear(&mut self.feedback);
    }

    fn command(&mut self, kind: CommandKind, session: u16) -> Command {
        self.seq += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut command = Command::new(kind, UserId(session), FirmId(session));
        (command.seq, command.time_ns) = (SeqNum(self.seq), now.as_nanos() as u64);
        command
    }
}

/// Writes what the book does as OUCH.
struct Teller<'a, O: Out> {
    feedback: &'a mut Vec<Feedback>,
    out: &'a mut O,
    entered: Option<&'a EnterOrder>,
    buffer: Buffer,
}

impl<O: Out> Teller<'_, O> {
    fn tell_risk(
        &mut self,
        slot: Slot,
        order: &Order,
        kind: FeedbackKind,
        qty: u32,
        price: Price,
        done: bool,
    ) {
        self.feedback.push(Feedback { slot, qty, price, user: order.user, kind, done });
    }

    fn executed_one(
        &mut self,
        time_ns: u64,
        slot: Slot,
        order: &Order,
        trade: (u32, Price, u64),
        adds: bool,
    ) {
        let (qty, price, match_number) = trade;
        self.buffer.start(&Executed {
            kind: b'E',
            timestamp: since_midnight(time_ns).into(),
            user_ref: order.user_ref.0.into(),
            quantity: qty.into(),
            price: u64::from(price.0).into(),
            liquidity: if adds { b'A' } else { b'R' },
            match_number: match_number.into(),
        });
        self.out.packet(order.user.0, self.buffer.packet());
        self.tell_risk(slot, order, FeedbackKind::Filled, qty, price, order.open() == 0);
    }
}

impl<O: Out> Reports for Teller<'_, O> {
    fn has_room(&mut self) -> bool {
        true
    }

    fn accepted(&mut self, command: &Command, reference: u64) {
        let Some(order) = self.entered else { return };
        self.buffer.start(&accepted(order, since_midnight(command.time_ns), reference));
        self.out.packet(command.user.0, self.buffer.packet());
    }

    fn rejected(&mut self, command: &Command, reason: Reject) {
        let Some(order) = self.entered else { return };
        self.buffer.start(&Rejected {
            kind: b'J',
            timestamp: since_midnight(command.time_ns).into(),
            user_ref: order.user_ref,
            reason: reason.ouch().into(),
            cl_ord_id: order.cl_ord_id,
        });
        self.out.packet(command.user.0, self.buffer.packet());
    }

    fn canceled(
        &mut self,
        command: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        reason: CancelReason,
        done: bool,
    ) {
        self.buffer.start(&Canceled {
            kind: b'C',
            timestamp: since_midnight(command.time_ns).into(),
            user_ref: order.user_ref.0.into(),
            quantity: qty.into(),
            reason: reason as u8,
        });
        self.out.packet(order.user.0, self.buffer.packet());
        self.tell_risk(slot, order, FeedbackKind::Reduced, qty, order.price, done);
    }

    fn executed(
        &mut self,
        command: &Command,
        maker_slot: Slot,
        maker: &Order,
        taker_slot: Slot,
        taker: &Order,
        qty: u32,
        price: Price,
        match_number: u64,
    ) {
        let trade = (qty, price, match_number);
        self.executed_one(command.time_ns, maker_slot, maker, trade, true);
        self.executed_one(command.time_ns, taker_slot, taker, trade, false);
    }

    // Nothing that the comparison sends leads to one of these.
    fn replaced(&mut self, _: &Command, _: u32, _: u64, _: bool) {}
    fn self_trade_prevented(
        &mut self,
        command: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        _: u32,
        _: Price,
        _: SelfTrade,
        done: bool,
    ) {
        self.canceled(command, slot, order, qty, CancelReason::User, done);
    }
    fn restated(&mut self, _: &Command, _: &Order, _: u64) {}
    fn modified(&mut self, _: &Command, _: Slot, _: &Order) {}
    fn ignored(&mut self, _: &Command) {}
    fn modify_refused(&mut self, _: &Command) {}
    fn answered(&mut self, _: &Command) {}
}

fn since_midnight(time_ns: u64) -> u64 {
    time_ns % 86_400_000_000_000
}
