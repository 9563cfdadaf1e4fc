//! From sequenced commands to what the market is told, in ITCH.
//!
//! The teller has a book at its side that carries out the same commands as the matching one, so it asks
//! nobody anything, and what it tells follows from the commands alone: a journal makes the same feed
//! again, byte for byte.
//!
//! Only displayed shares are told. A hidden order is never mentioned; what trades against one is a Trade
//! without a number. Of an iceberg the displayed slice is told, each next one as a new order. An order
//! that trades on entry is told once it rests, with what is left of it.

use zerocopy::IntoBytes;

use crate::book::{Book, Order, Outside, Reports};
use crate::order::{
    CancelReason, Command, CommandKind, Display, NANOS_PER_SEC, Price, Reject, SelfTrade, Side,
    Slot, SymbolId,
};
use crate::wire::itch;

/// Nanoseconds of a day.
const DAY_NS: u64 = 86_400 * NANOS_PER_SEC;

/// Shares of a round lot, of every symbol.
const ROUND_LOT: u32 = 100;

/// A displayed order as the market knows it.
#[derive(Clone, Copy)]
struct Known {
    reference: u64,
    shown: u32,
    buys: bool,
    attributed: bool,
}

/// Turns commands into the market's messages.
pub struct Teller {
    /// Names by symbol and by firm, padded.
    symbols: Vec<[u8; 8]>,
    firms: Vec<[u8; 4]>,
    /// The first message was told; so were those in front of the first order.
    begun: bool,
    trading: bool,
}

impl Teller {
    /// One that has told nothing.
    #[allow(clippy::new_without_default, reason = "a teller begins with a journal, by name")]
    pub fn new() -> Teller {
        Teller { symbols: vec![], firms: vec![], begun: false, trading: false }
    }

    /// Has `book` carry out the next command, `also` told of it as well, and hands what the market is
    /// told to `out`, message by message.
    #[inline]
    pub fn apply(
        &mut self,
        book: &mut Book,
        command: &Command,
        also: &mut impl Reports,
        out: &mut impl FnMut(&[u8]),
    ) {
        let accepted = command.verdict == Reject::None;
        let time_ns = command.time_ns % DAY_NS;
        if !self.begun {
            self.begun = true;
            system_event(time_ns, b'O', out);
        }
        if !self.trading && command.kind == CommandKind::Enter && accepted {
            self.trading = true;
            b"SQ".iter().for_each(|event| system_event(time_ns, *event, out));
        }
        let known = book.addressed(command).filter(|_| accepted).and_then(known);
        let said = command.kind == CommandKind::VenueSaid;
        let before = book.order(command.slot).filter(|_| said);
        let (outside, rested) =
            (before.is_some_and(Order::is_outside), before.and_then(self::known));
        let mut telling = Telling { teller: self, known, time_ns, also, out };
        book.apply(command, &mut telling);
        let known = telling.known;
        match command.kind {
            CommandKind::Enter | CommandKind::Replace if accepted => {
                if let Some(order) = book.order(command.slot).filter(|o| is_of(o, command)) {
                    self.rests(order, known, time_ns, out);
                } else if let Some(known) = known {
                    delete(command.symbol, time_ns, known.reference, out);
                }
            }
            // What a venue did not take may rest here, and what rests here may have traded there after all.
            CommandKind::VenueSaid if outside => {
                if let Some(order) = book.order(command.slot) {
                    self.rests(order, None, time_ns, out);
                }
            }
            CommandKind::VenueSaid => {
                let now = book.order(command.slot).and_then(self::known);
                if let Some(before) = rested {
                    let left = now.filter(|now| now.reference == before.reference);
                    let left = left.map_or(0, |now| now.shown);
                    lowered(command.symbol, time_ns, &before, left, out);
                }
            }
            CommandKind::DefineSymbol => self.define_symbol(command, time_ns, out),
            CommandKind::DefineUser => {
                let mpid = command.text[8..12].try_into().expect("four bytes");
                put(&mut self.firms, command.firm.index(), padded(mpid));
            }
            _ => {}
        }
    }

    /// What everybody is told of the market as a whole, ahead of its orders: for who comes later.
    pub fn preamble(&self, time_ns: u64, mut out: impl FnMut(&[u8])) {
        let time_ns = time_ns % DAY_NS;
        let events = [(self.begun, b'O'), (self.trading, b'S'), (self.trading, b'Q')];
        for (_, event) in events.iter().filter(|(told, _)| *told) {
            system_event(time_ns, *event, &mut out);
        }
        for (number, name) in (0..).map(SymbolId).zip(&self.symbols) {
            directory(number, *name, time_ns, &mut out);
        }
    }

    /// Tells all displayed orders of a symbol, best price first.
    pub fn orders(&self, book: &Book, symbol: SymbolId, time_ns: u64, mut out: impl FnMut(&[u8])) {
        book.for_each_order(symbol, |_, order| {
            if known(order).is_some() {
                self.add(order, time_ns % DAY_NS, &mut out);
            }
        });
    }

    /// Symbols that were told.
    pub fn symbols(&self) -> usize {
        self.symbols.len()
    }

    /// An order rests that was not known, or in place of one that was.
    #[inline]
    fn rests(
        &self,
        order: &Order,
        before: Option<Known>,
        time_ns: u64,
        out: &mut impl FnMut(&[u8]),
    ) {
        let now = known(order);
        match (before, now) {
            (Some(before), Some(now))
                if before.buys == now.buys && !before.attributed && !now.attributed =>
            {
                out(itch::Replace {
                    head: head(itch::Replace::KIND, order.symbol, time_ns),
                    original: before.reference.into(),
                    reference: now.reference.into(),
                    shares: now.shown.into(),
                    price: order.price.0.into(),
                }
                .as_bytes());
            }
            (before, now) => {
                if let Some(before) = before {
                    delete(order.symbol, time_ns, before.reference, out);
                }
                if now.is_some() {
                    self.add(order, time_ns, out);
                }
            }
        }
    }

    #[inline]
    fn add(&self, order: &Order, time_ns: u64, out: &mut impl FnMut(&[u8])) {
        let stock = self.symbols[order.symbol.index()];
        let (reference, side) = (order.reference.into(), side(order.side));
        let (shares, price) = (order.shown().into(), order.price.0.into());
        if order.display == Display::Attributable {
            let head = head(itch::AddOrderMpid::KIND, order.symbol, time_ns);
            let mpid = self.firms[order.firm.index()];
            let add = itch::AddOrderMpid { head, reference, side, shares, stock, price, mpid };
            out(add.as_bytes());
        } else {
            let head = head(itch::AddOrder::KIND, order.symbol, time_ns);
            out(itch::AddOrder { head, reference, side, shares, stock, price }.as_bytes());
        }
    }

    fn define_symbol(&mut self, command: &Command, time_ns: u64, out: &mut impl FnMut(&[u8])) {
        let name = padded(command.text[..8].try_into().expect("eight bytes"));
        put(&mut self.symbols, command.symbol.index(), name);
        directory(command.symbol, name, time_ns, out);
    }
}

/// A zero ends a name in the journal; on the wire spaces follow it.
fn padded<const N: usize>(name: [u8; N]) -> [u8; N] {
    name.map(|byte| if byte == 0 { b' ' } else { byte })
}

fn put<const N: usize>(names: &mut Vec<[u8; N]>, at: usize, name: [u8; N]) {
    if names.len() <= at {
        names.resize(at + 1, [b' '; N]);
    }
    names[at] = name;
}

/// What the market knows of a resting order; nothing of one that is hidden.
#[inline]
fn known(order: &Order) -> Option<Known> {
    (!order.is_hidden() && !order.is_outside()).then(|| Known {
        reference: order.reference,
        shown: order.shown(),
        buys: order.side.is_buy(),
        attributed: order.display == Display::Attributable,
    })
}

/// Whether an order is the one that a command entered.
#[inline]
fn is_of(order: &Order, command: &Command) -> bool {
    order.user == command.user && order.user_ref == command.user_ref
}

#[inline]
fn side(side: Side) -> u8 {
    if side.is_buy() { b'B' } else { b'S' }
}

#[inline]
fn head(kind: u8, symbol: SymbolId, time_ns: u64) -> itch::Head {
    itch::Head::new(kind, symbol.0 + 1, time_ns)
}

/// A displayed order has `left` shares, without a trade that the market saw.
fn lowered(symbol: SymbolId, time_ns: u64, before: &Known, left: u32, out: &mut impl FnMut(&[u8])) {
    if left == 0 {
        delete(symbol, time_ns, before.reference, out);
    } else if left < before.shown {
        let head = head(itch::Cancel::KIND, symbol, time_ns);
        let (reference, shares) = (before.reference.into(), (before.shown - left).into());
        out(itch::Cancel { head, reference, shares }.as_bytes());
    }
}

fn system_event(time_ns: u64, event: u8, out: &mut impl FnMut(&[u8])) {
    let head = itch::Head::new(itch::SystemEvent::KIND, 0, time_ns);
    out(itch::SystemEvent { head, event }.as_bytes());
}

/// What a symbol is, and that it trades.
fn directory(symbol: SymbolId, stock: [u8; 8], time_ns: u64, out: &mut impl FnMut(&[u8])) {
    out(itch::StockDirectory {
        head: head(itch::StockDirectory::KIND, symbol, time_ns),
        stock,
        category: b' ',
        status: b' ',
        round_lot: ROUND_LOT.into(),
        round_lots_only: b'N',
        classification: b'C',
        sub_type: *b"Z ",
        authenticity: b'P',
        short_threshold: b' ',
        ipo: b' ',
        luld_tier: b' ',
        etp: b' ',
        etp_leverage: 0.into(),
        inverse: b'N',
    }
    .as_bytes());
    out(itch::TradingAction {
        head: head(itch::TradingAction::KIND, symbol, time_ns),
        stock,
        state: b'T',
        reserved: b' ',
        reason: *b"    ",
    }
    .as_bytes());
}

#[inline]
fn delete(symbol: SymbolId, time_ns: u64, reference: u64, out: &mut impl FnMut(&[u8])) {
    let head = head(itch::Delete::KIND, symbol, time_ns);
    out(itch::Delete { head, reference: reference.into() }.as_bytes());
}

/// Takes what the book reports of one command.
struct Telling<'a, R, O> {
    teller: &'a Teller,
    /// The displayed order that the command is about, until it was told what became of it.
    known: Option<Known>,
    time_ns: u64,
    also: &'a mut R,
    out: &'a mut O,
}

impl<R: Reports, O: FnMut(&[u8])> Telling<'_, R, O> {
    /// An order that is replaced is gone before its successor trades.
    #[inline]
    fn leaves(&mut self, symbol: SymbolId) {
        if let Some(known) = self.known.take() {
            delete(symbol, self.time_ns, known.reference, self.out);
        }
    }

    /// Shares of a displayed order are gone, all of them if none is left.
    #[inline]
    fn lowered(&mut self, order: &Order, reference: u64, shares: u32, left: u32) {
        if left == 0 {
            delete(order.symbol, self.time_ns, reference, self.out);
        } else if shares > 0 {
            let head = head(itch::Cancel::KIND, order.symbol, self.time_ns);
            let cancel = itch::Cancel { head, reference: reference.into(), shares: shares.into() };
            (self.out)(cancel.as_bytes());
        }
    }

    /// The order that a Cancel or Modify is about has `left` displayed shares.
    #[inline]
    fn lowers(&mut self, order: &Order, left: u32) {
        if let Some(known) = self.known.take() {
            self.lowered(order, known.reference, known.shown - left, left);
        }
    }
}

impl<R: Reports, O: FnMut(&[u8])> Reports for Telling<'_, R, O> {
    #[inline]
    fn has_room(&mut self) -> bool {
        let room = self.also.has_room();
        debug_assert!(room, "whoever else is told what a follower's book does takes it");
        room
    }

    #[inline]
    fn accepted(&mut self, command: &Command, reference: u64) {
        self.also.accepted(command, reference);
    }

    #[inline]
    fn replaced(&mut self, command: &Command, open: u32, reference: u64, live: bool) {
        self.also.replaced(command, open, reference, live);
    }

    fn rejected(&mut self, command: &Command, reason: Reject) {
        self.also.rejected(command, reason);
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
        self.also.canceled(command, slot, order, qty, reason, done);
        // What is left of an order that was just entered was never displayed.
        if matches!(command.kind, CommandKind::Cancel | CommandKind::Modify) {
            self.lowers(order, if done { 0 } else { order.shown() });
        }
    }

    fn self_trade_prevented(
        &mut self,
        command: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        prevented: u32,
        price: Price,
        policy: SelfTrade,
        done: bool,
    ) {
        self.also.self_trade_prevented(command, slot, order, qty, prevented, price, policy, done);
        // Of a hidden one nobody is to see that it was met, not even by the order of what is told.
        if slot != command.slot
            && let Some(known) = known(order)
        {
            self.leaves(order.symbol);
            let shares = qty.min(known.shown);
            self.lowered(order, known.reference, shares, known.shown - shares);
        }
    }

    #[inline]
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
        self.also.executed(command, maker_slot, maker, taker_slot, taker, qty, price, match_number);
        self.leaves(maker.symbol);
        let (shares, match_number) = (qty.into(), match_number.into());
        if maker.is_hidden() {
            let head = head(itch::Trade::KIND, maker.symbol, self.time_ns);
            let stock = self.teller.symbols[maker.symbol.index()];
            let (reference, side, price) = (0.into(), b'B', price.0.into());
            let trade = itch::Trade { head, reference, side, shares, stock, price, match_number };
            (self.out)(trade.as_bytes());
        } else {
            let head = head(itch::Executed::KIND, maker.symbol, self.time_ns);
            let reference = maker.reference.into();
            (self.out)(itch::Executed { head, reference, shares, match_number }.as_bytes());
        }
    }

    fn restated(&mut self, command: &Command, order: &Order, reference: u64) {
        self.also.restated(command, order, reference);
        if known(order).is_some() {
            self.teller.add(order, self.time_ns, self.out);
        }
    }

    fn modified(&mut self, command: &Command, slot: Slot, order: &Order) {
        self.also.modified(command, slot, order);
        self.lowers(order, order.shown());
    }

    fn ignored(&mut self, command: &Command) {
        self.also.ignored(command);
    }

    fn modify_refused(&mut self, command: &Command) {
        self.also.modify_refused(command);
    }

    fn answered(&mut self, command: &Command) {
        self.also.answered(command);
    }

    /// Nobody is shown what is elsewhere.
    fn outside(&mut self, command: &Command, what: Outside<'_>) {
        self.also.outside(command, what);
    }
}

/// Whoever is told nothing.
pub struct Nobody;

impl Reports for Nobody {
    fn has_room(&mut self) -> bool {
        true
    }
    fn accepted(&mut self, _: &Command, _: u64) {}
    fn replaced(&mut self, _: &Command, _: u32, _: u64, _: bool) {}
    fn rejected(&mut self, _: &Command, _: Reject) {}
    fn canceled(&mut self, _: &Command, _: Slot, _: &Order, _: u32, _: CancelReason, _: bool) {}
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
    }
    fn executed(
        &mut self,
        _: &Command,
        _: Slot,
        _: &Order,
        _: Slot,
        _: &Order,
        _: u32,
        _: Price,
        _: u64,
    ) {
    }
    fn restated(&mut self, _: &Command, _: &Order, _: u64) {}
    fn modified(&mut self, _: &Command, _: Slot, _: &Order) {}
    fn ignored(&mut self, _: &Command) {}
    fn modify_refused(&mut self, _: &Command) {}
    fn answered(&mut self, _: &Command) {}
}
