//! Harness messages to book commands, book reports to harness reports.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};

use millrace::book::{Book, Capacity, Order, Reports};
use millrace::order::{
    CancelReason, Command, CommandKind, FirmId, Price, Reject, SelfTrade, SeqNum, Side, Slot,
    SymbolId, TimeInForce, UserId, UserRefNum,
};
use millrace::ring::{self, Consumer, Producer};

use crate::abi::{self, Cancel, Message, Modify, NewOrder, Report, Transport};

/// Orders that may be open at once.
const ORDERS_MAX: u32 = 1 << 17;
/// Order ids that the harness may use.
const IDS_MAX: usize = 1 << 22;
/// Reports staged before the drainer is told.
const PUBLISH_EVERY: u32 = 16;

const SYMBOL: SymbolId = SymbolId(0);

struct Outlet {
    reports: &'static mut Producer<Report>,
    staged: u32,
    /// Slots to use next, last freed first.
    free: Vec<u32>,
}

impl Outlet {
    #[inline(always)]
    fn push(&mut self, report: &Report) {
        while !self.reports.stage_with(|place| *place = *report) {
            self.reports.publish();
            std::hint::spin_loop();
        }
        self.staged += 1;
        if self.staged >= PUBLISH_EVERY {
            self.reports.publish();
            self.staged = 0;
        }
    }

    /// A report about a whole order.
    #[inline(always)]
    fn tell(&mut self, kind: u8, seq: u64, id: u64, side: Side, price: Price, quantity: u32) {
        self.push(&Report {
            kind,
            side: u8::from(!side.is_buy()),
            sequence_number: seq,
            order_id: id,
            price_ticks: i64::from(price.0),
            quantity,
            ..Report::default()
        });
    }
}

impl Reports for Outlet {
    #[inline(always)]
    fn has_room(&mut self) -> bool {
        true
    }
    #[inline(always)]
    fn accepted(&mut self, c: &Command, _: u64) {
        self.tell(abi::ORDER_ACK, c.seq.0, c.user_ref.0.into(), c.side, c.price, c.qty);
    }
    fn replaced(&mut self, _: &Command, _: u32, _: u64, _: bool) {}
    fn rejected(&mut self, _: &Command, _: Reject) {
        unreachable!("capacities are beyond the workload's");
    }
    #[inline(always)]
    fn canceled(&mut self, c: &Command, s: Slot, o: &Order, qty: u32, _: CancelReason, _: bool) {
        self.free.push(s.0);
        self.tell(abi::CANCEL_ACK, c.seq.0, o.user_ref.0.into(), o.side, o.price, qty);
    }
    fn self_trade_prevented(
        &mut self,
        _: &Command,
        _: Slot,
        _: &Order,
        _: u32,
        _: u32,
        _: Price,
        _: SelfTrade,
        _: bool,
    ) {
        unreachable!("every order allows self-trades");
    }
    #[inline(always)]
    fn executed(
        &mut self,
        c: &Command,
        maker_slot: Slot,
        maker: &Order,
        taker_slot: Slot,
        taker: &Order,
        quantity: u32,
        price: Price,
        _: u64,
    ) {
        if maker.open() == 0 {
            self.free.push(maker_slot.0);
        }
        if taker.open() == 0 {
            self.free.push(taker_slot.0);
        }
        self.push(&Report {
            kind: abi::TRADE,
            side: 0,
            sequence_number: c.seq.0,
            price_ticks: i64::from(price.0),
            quantity,
            maker_order_id: maker.user_ref.0.into(),
            taker_order_id: taker.user_ref.0.into(),
            ..Report::default()
        });
    }
    fn restated(&mut self, _: &Command, _: &Order, _: u64) {}
    fn modified(&mut self, _: &Command, _: Slot, _: &Order) {}
    fn ignored(&mut self, _: &Command) {}
    fn modify_refused(&mut self, _: &Command) {}
    fn answered(&mut self, _: &Command) {}
}

pub struct Engine {
    book: Book,
    /// Slot that each order id had last; `Slot::NONE` if it was never seen.
    slots: Vec<u32>,
    outlet: Outlet,
}

impl Engine {
    pub fn new(reports: &'static mut Producer<Report>) -> Engine {
        let mut book = Book::new(Capacity { orders: ORDERS_MAX, symbols: 1 });
        book.define_symbol(SYMBOL, Price(1));
        let free = (0..ORDERS_MAX).rev().collect();
        Engine {
            book,
            slots: vec![Slot::NONE.0; IDS_MAX],
            outlet: Outlet { reports, staged: 0, free },
        }
    }

    #[inline(always)]
    pub fn message(&mut self, message: &Message) {
        match message.kind {
            // SAFETY: type 0 says that the body is a new order.
            0 => self.new_order(unsafe { &message.body.new_order }),
            // SAFETY: type 1 says that the body is a cancel.
            1 => self.cancel(unsafe { &message.body.cancel }),
            // SAFETY: type 2 says that the body is a modify.
            _ => self.modify(unsafe { &message.body.modify }),
        }
    }

    /// The slot and order that an id names, if it rests.
    #[inline(always)]
    fn resting(&self, id: u64) -> Option<(Slot, &Order)> {
        let slot = Slot(*self.slots.get(id as usize)?);
        let order = self.book.order(slot).filter(|order| u64::from(order.user_ref.0) == id)?;
        Some((slot, order))
    }

    #[inline(always)]
    pub fn new_order(&mut self, order: &NewOrder) {
        let slot = self.outlet.free.pop().expect("fewer orders rest than slots exist");
        self.slots[order.order_id as usize] = slot;
        let price = Price(order.price_ticks as u32);
        let command = Command {
            seq: SeqNum(order.sequence_number),
            user_ref: UserRefNum(order.order_id as u32),
            qty: order.quantity,
            price,
            limit: price,
            slot: Slot(slot),
            symbol: SYMBOL,
            side: side(order.side),
            tif: if order.ioc != 0 { TimeInForce::Ioc } else { TimeInForce::Day },
            ..Command::new(CommandKind::Enter, UserId(0), FirmId(0))
        };
        self.book.apply(&command, &mut self.outlet);
    }

    #[inline(always)]
    pub fn cancel(&mut self, cancel: &Cancel) {
        let Some((slot, _)) = self.resting(cancel.order_id) else {
            return self.refuse(abi::CANCEL_REJECT, cancel.sequence_number, cancel.order_id);
        };
        let command = Command {
            seq: SeqNum(cancel.sequence_number),
            user_ref: UserRefNum(cancel.order_id as u32),
            slot,
            ..Command::new(CommandKind::Cancel, UserId(0), FirmId(0))
        };
        self.book.apply(&command, &mut self.outlet);
    }

    #[inline(always)]
    pub fn modify(&mut self, modify: &Modify) {
        let Some((slot, order)) = self.resting(modify.order_id) else {
            return self.refuse(abi::MODIFY_REJECT, modify.sequence_number, modify.order_id);
        };
        let price = Price(modify.new_price_ticks as u32);
        let side = side(modify.side);
        let command = Command {
            seq: SeqNum(modify.sequence_number),
            user_ref: order.user_ref,
            orig_user_ref: order.user_ref,
            // The harness counts what is open, a Replace what was executed too.
            qty: modify.new_quantity + order.executed(),
            price,
            limit: price,
            slot,
            symbol: SYMBOL,
            side,
            ..Command::new(CommandKind::Replace, UserId(0), FirmId(0))
        };
        self.book.apply(&command, &mut self.outlet);
        let (seq, id) = (modify.sequence_number, modify.order_id);
        self.outlet.tell(abi::MODIFY_ACK, seq, id, side, price, modify.new_quantity);
    }

    fn refuse(&mut self, kind: u8, seq: u64, id: u64) {
        self.outlet.tell(kind, seq, id, Side::Buy, Price(0), 0);
    }

    pub fn flush(&mut self) {
        self.outlet.reports.publish();
    }

    pub fn best_bid(&self) -> Option<i64> {
        self.book.best_bid(SYMBOL).map(|price| i64::from(price.0))
    }

    pub fn best_ask(&self) -> Option<i64> {
        self.book.best_ask(SYMBOL).map(|price| i64::from(price.0))
    }

    /// Open quantity at a price, if that price is on the side asked for.
    pub fn depth_at(&self, price_ticks: i64, of: u8) -> u64 {
        let best = if of == 0 { self.best_bid() } else { self.best_ask() };
        let beyond = |best: i64| if of == 0 { price_ticks > best } else { price_ticks < best };
        match (best, u32::try_from(price_ticks)) {
            (Some(best), Ok(price)) if !beyond(best) => self.book.shares_at(SYMBOL, Price(price)),
            _ => 0,
        }
    }
}

fn side(side: u8) -> Side {
    if side == 0 { Side::Buy } else { Side::Sell }
}

/// Both ends of the report ring, behind the harness's opaque handle.
struct Ends {
    producer: UnsafeCell<Producer<Report>>,
    consumer: UnsafeCell<Consumer<Report>>,
}

/// The transport that `engine_get_transport` names.
pub static TRANSPORT: Transport = Transport { create, push, drain, flush, destroy };

unsafe extern "C" fn create(capacity: u32) -> *mut c_void {
    let (producer, consumer) =
        ring::on_heap((capacity as usize).next_power_of_two(), Report::default());
    let ends = Ends { producer: UnsafeCell::new(producer), consumer: UnsafeCell::new(consumer) };
    Box::into_raw(Box::new(ends)).cast()
}

/// The producing end of a transport.
///
/// # Safety
///
/// `handle` came from `create` and is not destroyed while the result is used, and only the
/// matcher thread uses the result, one borrow at a time.
pub unsafe fn producer_of(handle: *mut c_void) -> &'static mut Producer<Report> {
    // SAFETY: the caller's promise.
    let ends = unsafe { &*handle.cast::<Ends>() };
    // SAFETY: the caller's promise: one borrow, on one thread.
    unsafe { &mut *ends.producer.get() }
}

/// Unused by this engine, which holds the producing end itself; here because the interface
/// has it.
unsafe extern "C" fn push(handle: *mut c_void, report: *const Report) -> c_int {
    // SAFETY: the harness calls from the matcher thread with a report and our handle.
    let producer = unsafe { producer_of(handle) };
    // SAFETY: as above.
    let report = unsafe { &*report };
    c_int::from(producer.push(report))
}

unsafe extern "C" fn drain(handle: *mut c_void, out: *mut Report, most: u32) -> u32 {
    // SAFETY: the handle came from `create`.
    let ends = unsafe { &*handle.cast::<Ends>() };
    // SAFETY: only the drainer thread calls `drain`.
    let consumer = unsafe { &mut *ends.consumer.get() };
    let mut at = out;
    let count = consumer.pop_batch(most as usize, |report| {
        // SAFETY: `out` has room for `most` reports, and no more are written.
        unsafe { at.write(*report) };
        at = at.wrapping_add(1);
    });
    count as u32
}

unsafe extern "C" fn flush(handle: *mut c_void) {
    // SAFETY: the harness calls from the matcher thread.
    unsafe { producer_of(handle) }.publish();
}

unsafe extern "C" fn destroy(handle: *mut c_void) {
    // SAFETY: the handle came from `create` and is not used again.
    drop(unsafe { Box::from_raw(handle.cast::<Ends>()) });
}
