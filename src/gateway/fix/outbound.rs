//! From events to FIX: what one user's session is told, numbered.

use std::sync::Arc;

use crate::order::{
    CancelReason, CarriedText, Command, CommandKind, Event, EventKind, OrderFlags, Reject, Side,
    Tags, TimeInForce, UnixNanos, UserId,
};
use crate::wire::fix::Version;
use crate::wire::fix::value::{TIMESTAMP_BYTES, Timestamps};
use crate::wire::fix::write::{Head, Writer};

use super::super::ledger::Ledger;
use super::super::symbols::Names;
use super::abroad::Abroad;
use super::admin::Heads;
use super::calls::Calls;
use super::copy::Copies;
use super::order::{Kind, Order, Short, TERMS_MAX, day_of, status};
use super::reasons::{cancel_text, cxl_rej_reason, ord_rej_reason, reject_text};
use super::route::{Routes, Way, put_route};
use super::text::{Parts, divide};
use super::{CL_ORD_ID_MAX, Ends};

/// ExecType (150), where it is not an OrdStatus.
pub(super) mod exec {
    pub const RESTATED: u8 = b'D';
    pub const TRADE: u8 = b'F';
    pub const TRADE_CANCEL: u8 = b'H';
    pub const STATUS: u8 = b'I';
}

/// What was said last, for the connection to act on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// A Logon.
    LogOn,
    /// A Logout.
    LogOut,
}

/// What an ExecutionReport answers.
pub(super) struct Request<'a> {
    /// A ClOrdID of the request's own, which puts the order's into OrigClOrdID.
    pub name: Option<&'a [u8]>,
    /// The way back.
    pub route: Way<'a>,
}

/// Everything a user's FIX session is told comes from here, in the order of the events, live and
/// when the journal is replayed alike.
pub struct Voice {
    pub(super) ends: Arc<Ends>,
    pub(super) heads: Box<Heads>,
    pub(super) times: Timestamps,
    pub(super) carried: CarriedText,
    /// The orders of the user.
    pub orders: Ledger<Order>,
    /// Whom answers go back to beyond the user.
    pub routes: Routes,
    /// Messages so far, resets notwithstanding.
    pub(super) told: u64,
    /// How many of them were there before MsgSeqNum 1.
    pub(super) before: u64,
    /// MsgSeqNum expected next from the user, as far as events tell.
    next_in: u64,
    /// What the last event said of the session.
    pub said: Option<Said>,
    /// What every ExecID begins with: the user's number tells apart those of different users, and the
    /// count behind it goes on whatever becomes of MsgSeqNum.
    exec_head: Short<8>,
    /// What it watches, if it does.
    pub(super) copies: Option<Box<Copies>>,
    /// What it says to a venue, if it is one's.
    pub(super) calls: Option<Box<Calls>>,
    /// ExecIDs of trades at venues, by match number, in case one is undone.
    pub(super) abroad: Abroad,
    /// Trades here may be undone too.
    pub remembers_trades: bool,
}

impl Voice {
    /// The voice of a user's session before anything was said.
    pub fn new(ends: Ends) -> Voice {
        Voice {
            heads: Box::new(Heads::new(&ends)),
            ends: Arc::new(ends),
            times: Timestamps::default(),
            carried: CarriedText::default(),
            orders: Ledger::new(),
            routes: Routes::default(),
            told: 0,
            before: 0,
            next_in: 1,
            said: None,
            exec_head: Short::new(b""),
            copies: None,
            calls: None,
            abroad: Abroad::default(),
            remembers_trades: false,
        }
    }

    /// CompIDs and version.
    pub fn ends(&self) -> &Arc<Ends> {
        &self.ends
    }

    /// MsgSeqNum expected next from the user, as far as events told.
    pub fn next_in(&self) -> u64 {
        self.next_in
    }

    /// The place in the stream, from 1, of a MsgSeqNum.
    pub fn place(&self, number: u64) -> u64 {
        self.before.saturating_add(number)
    }

    /// The MsgSeqNum of a place in the stream.
    pub fn number(&self, place: u64) -> u64 {
        place.saturating_sub(self.before)
    }

    /// A gap fill for a resend: from one MsgSeqNum up to, not including, another.
    pub fn gap_fill(&mut self, out: &mut Vec<u8>, from: u64, until: u64, now_ns: UnixNanos) {
        let now = *self.times.text(now_ns);
        let mut writer = Writer::new(out, &self.heads.sequence_reset, from, &now);
        writer.character(b"43=", b'Y').bytes(b"122=", &now);
        writer.character(b"123=", b'Y').number(b"36=", until);
        writer.finish();
    }

    /// The head of a message of any type that is sent again.
    pub fn head_again(&self, kind: &[u8]) -> Head {
        Head::new(self.ends.version, kind, &self.ends.own, &self.ends.peer)
    }

    /// The time as messages write it.
    pub fn time(&mut self, now_ns: UnixNanos) -> [u8; TIMESTAMP_BYTES] {
        *self.times.text(now_ns)
    }

    /// Writes the message that tells an event behind what `out` holds; nothing if there is
    /// nothing to tell.
    pub fn encode(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        self.said = None;
        if self.copies.as_ref().is_some_and(|copies| copies.are_of(event)) {
            return self.copy(event, names, out);
        }
        self.exec_head(event.user);
        if event.whole && event.command.number_in != 0 {
            self.next_in = event.command.number_in.into();
        }
        match event.kind {
            EventKind::Executed => self.executed(event, names, out),
            EventKind::Accepted => self.accepted(event, names, out),
            EventKind::Replaced => self.replaced(event, names, out),
            EventKind::Canceled | EventKind::SelfTradePrevented => {
                self.canceled(event, names, out);
            }
            EventKind::Rejected => self.rejected(event, names, out),
            EventKind::Session => self.session(event, names, out),
            EventKind::MassCancelAnswer => self.mass_report(event, out),
            EventKind::VenueOrder
            | EventKind::VenueCancel
            | EventKind::VenueReplace
            | EventKind::VenueStatus => self.call(event, names, out),
            EventKind::CancelPending => self.cancel_pending(event, names, out),
            EventKind::ReplacePending => self.replace_pending(event, names, out),
            EventKind::CancelRefused => self.cancel_refused(event, out),
            EventKind::Busted => self.busted(event, names, out),
            EventKind::Suspended => self.suspended(event, names, out),
            EventKind::Silent
                if event.command.kind == CommandKind::Cancel && event.command.number_in != 0 =>
            {
                self.cancel_rejected(event, Reject::TooLate, out);
            }
            _ => {}
        }
    }

    /// What the ExecIDs of the user begin with.
    #[inline]
    pub(super) fn exec_head(&mut self, own: UserId) -> Short<8> {
        if self.exec_head.get().is_empty() {
            self.exec_head = Short::new(format!("{}-", own.0).as_bytes());
        }
        self.exec_head
    }

    /// The MsgSeqNum and ExecID of the next message.
    pub(super) fn next(&mut self) -> (u64, u64) {
        self.told += 1;
        (self.told - self.before, self.told)
    }

    /// Remembers what a command asks for, unless that was noted when it came in. A journal's events
    /// come in the order of the numbers.
    #[inline]
    pub(super) fn remember(&mut self, command: &Command, number: u32) {
        if number <= self.orders.last() {
            return;
        }
        let (parts, route) = divide(self.carried.of(command));
        let route = self.routes.keep(route);
        let order = Order::asked(command, &parts, route, command.time_ns);
        let found = command.verdict != Reject::DuplicateClOrdId;
        self.orders.put(number, order, found);
    }

    fn accepted(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let number = event.user_ref.0;
        self.remember(&event.command, number);
        let Some(order) = self.orders.get_mut(number) else { return };
        order.accept(event.reference);
        self.report(event, number, status::NEW, names, out, |_, _| {});
    }

    fn replaced(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let command = &event.command;
        let (number, old_number) = (command.user_ref.0, command.orig_user_ref.0);
        self.remember(command, number);
        let Some(old) = self.orders.get(old_number).cloned() else { return };
        let unfilled = match self.ends.version {
            Version::Fix42 => status::REPLACED,
            Version::Fix44 => status::NEW,
        };
        if let Some(order) = self.orders.get_mut(number) {
            order.take_over(&old, event.qty, unfilled);
        }
        if let Some(order) = self.orders.get_mut(old_number) {
            order.end(status::REPLACED);
        }
        self.report(event, number, status::REPLACED, names, out, |writer, _| {
            writer.bytes(b"41=", old.name.get());
        });
    }

    fn executed(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let number = event.user_ref.0;
        if event.venue != 0 {
            return self.executed_abroad(event, names, out);
        }
        let Some(order) = self.orders.get_mut(number) else { return };
        order.fill(event.qty, event.price);
        let exec_type = match self.ends.version {
            Version::Fix42 => order.status,
            Version::Fix44 => exec::TRADE,
        };
        let fix44 = self.ends.version == Version::Fix44;
        if self.remembers_trades {
            self.abroad.remember(event.reference, self.told + 1);
        }
        self.report(event, number, exec_type, names, out, |writer, event| {
            writer.number(b"32=", event.qty.into()).price(b"31=", event.price);
            if fix44 {
                writer.number(b"527=", event.reference);
                writer.character(b"851=", if event.liquidity == b'R' { b'2' } else { b'1' });
            }
        });
    }

    fn canceled(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let number = event.user_ref.0;
        let end = match event.reason {
            CancelReason::Timeout => status::EXPIRED,
            _ => status::CANCELED,
        };
        let Some(order) = self.orders.get_mut(number) else { return };
        let ended = order.reduce(event.qty, end);
        let asked = event.whole && event.command.kind == CommandKind::Cancel;
        if asked && ended {
            self.remember(&event.command, event.command.orig_user_ref.0);
            let (parts, _) = divide(self.carried.of(&event.command));
            let name = Short::<CL_ORD_ID_MAX>::new(parts.cl_ord_id());
            let route = self.way_of(event.command.orig_user_ref.0);
            let request = Request { name: Some(name.get()), route };
            return self.report_as(event, number, request, end, names, out, |_, _| {});
        }
        if event.venue != 0 && event.reference != 0 && ended {
            let asked = event.reference as u32;
            let name = self.orders.get(asked).map(|asked| asked.name).unwrap_or(Short::new(b""));
            let request = Request { name: Some(name.get()), route: self.way_of(asked) };
            return self.report_as(event, number, request, end, names, out, |_, _| {});
        }
        let text = cancel_text(event);
        if ended {
            self.report(event, number, end, names, out, |writer, _| {
                if !text.is_empty() {
                    writer.bytes(b"58=", text);
                }
            });
        } else {
            self.report(event, number, exec::RESTATED, names, out, |writer, _| {
                // ExecRestatementReason: partial decline of OrderQty.
                writer.character(b"378=", b'5').bytes(b"58=", text);
            });
        }
    }

    /// The way that an order's or a request's answers go.
    pub(super) fn way_of(&self, number: u32) -> Way<'static> {
        Way::Kept(self.orders.get(number).map(|order| order.route).unwrap_or_default())
    }

    pub(super) fn report(
        &mut self,
        event: &Event,
        number: u32,
        exec_type: u8,
        names: &Names,
        out: &mut Vec<u8>,
        more: impl FnOnce(&mut Writer<'_>, &Event),
    ) {
        let request = Request { name: None, route: self.way_of(number) };
        self.report_as(event, number, request, exec_type, names, out, more);
    }

    /// An ExecutionReport of an order as it stands, on behalf of a request.
    #[allow(clippy::too_many_arguments, reason = "all of one message")]
    pub(super) fn report_as(
        &mut self,
        event: &Event,
        number: u32,
        request: Request<'_>,
        exec_type: u8,
        names: &Names,
        out: &mut Vec<u8>,
        more: impl FnOnce(&mut Writer<'_>, &Event),
    ) {
        let (msg_seq_num, exec_id) = self.next();
        let time = *self.times.text(event.time_ns());
        let Some(order) = self.orders.get_mut(number) else { return };
        let mut writer = Writer::new(out, &self.heads.report, msg_seq_num, &time);
        put_route(&mut writer, self.routes.get(request.route));
        writer.number(b"37=", order.order_id);
        match request.name {
            Some(name) => {
                writer.bytes(b"11=", name).bytes(b"41=", order.name.get());
            }
            None => {
                writer.bytes(b"11=", order.name.get());
            }
        }
        writer.text_and_number(b"17=", self.exec_head.get(), exec_id);
        put_transaction(&mut writer, self.ends.version, exec_type);
        let exec_type = exec_type_of(self.ends.version, exec_type, order.status);
        writer.character(b"150=", exec_type).character(b"39=", order.status);
        match order.terms.get() {
            b"" => {
                let from = writer.len();
                put_order(&mut writer, order, names);
                let terms = writer.since(from);
                if terms.len() <= TERMS_MAX {
                    order.terms = Short::new(terms);
                }
            }
            terms => {
                writer.raw(terms);
            }
        }
        writer.number(b"151=", order.leaves.into()).number(b"14=", order.cum.into());
        writer.decimal(b"6=", order.average(), 8).bytes(b"60=", &time);
        more(&mut writer, event);
        writer.finish();
    }

    fn rejected(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        match event.command.kind {
            CommandKind::Enter => self.order_rejected(event, names, out),
            CommandKind::MassCancel => self.mass_report(event, out),
            _ => self.cancel_rejected(event, event.command.verdict, out),
        }
    }

    /// An order that never lived: its own words are all there is of it.
    fn order_rejected(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let command = &event.command;
        self.remember(command, command.user_ref.0);
        let (msg_seq_num, exec_id) = self.next();
        let time = *self.times.text(event.time_ns());
        let (parts, route) = divide(self.carried.of(command));
        let mut writer = Writer::new(out, &self.heads.report, msg_seq_num, &time);
        put_route(&mut writer, route);
        writer.bytes(b"37=", b"NONE").bytes(b"11=", parts.cl_ord_id());
        writer.text_and_number(b"17=", self.exec_head.get(), exec_id);
        put_transaction(&mut writer, self.ends.version, status::REJECTED);
        writer.character(b"150=", status::REJECTED).character(b"39=", status::REJECTED);
        writer.number(b"103=", ord_rej_reason(self.ends.version, command.verdict));
        if !parts.get(1).is_empty() {
            writer.bytes(b"1=", parts.get(1));
        }
        match (parts.get(2), parts.get(3)) {
            (b"", b"") => {
                writer.bytes(b"55=", name_of(names, command));
                writer.character(b"54=", side(command.side));
            }
            (symbol, side) => {
                writer.bytes(b"55=", symbol).bytes(b"54=", side);
            }
        }
        if command.qty > 0 {
            writer.number(b"38=", command.qty.into());
        }
        writer.number(b"151=", 0).number(b"14=", 0).number(b"6=", 0);
        writer.bytes(b"60=", &time).bytes(b"58=", reject_text(command.verdict));
        writer.finish();
    }

    /// OrderCancelReject: to a cancel, or to a replace.
    fn cancel_rejected(&mut self, event: &Event, why: Reject, out: &mut Vec<u8>) {
        let command = &event.command;
        let replace = command.kind == CommandKind::Replace;
        let (own, of) = match replace {
            true => (command.user_ref.0, command.orig_user_ref.0),
            false => (command.orig_user_ref.0, command.user_ref.0),
        };
        if own != 0 {
            self.remember(command, own);
            if let Some(order) = self.orders.get_mut(own) {
                order.kind = Kind::Request;
                order.end(status::REJECTED);
            }
        }
        if let Some(order) = self.orders.get_mut(of).filter(|_| replace) {
            order.successor = 0;
        }
        let (msg_seq_num, _) = self.next();
        let time = *self.times.text(event.time_ns());
        let (parts, route) = divide(self.carried.of(command));
        let order = self.orders.get(of).filter(|order| order.told && order.kind == Kind::Order);
        let why = match why {
            Reject::ReplaceNotAllowed if order.is_none_or(|order| !order.is_live()) => {
                Reject::TooLate
            }
            why => why,
        };
        let mut writer = Writer::new(out, &self.heads.cancel_reject, msg_seq_num, &time);
        put_route(&mut writer, route);
        match order {
            Some(order) => writer.number(b"37=", order.order_id),
            None => writer.bytes(b"37=", b"NONE"),
        };
        // What a venue refused later comes without its words.
        let name = self.orders.get(own).map(|own| own.name.get()).filter(|name| !name.is_empty());
        writer.bytes(b"11=", name.unwrap_or(parts.cl_ord_id()));
        let written = parts.get(2);
        match order {
            Some(order) if written.is_empty() => writer.bytes(b"41=", order.name.get()),
            _ => writer.bytes(b"41=", if written.is_empty() { b"NONE" } else { written }),
        };
        writer.character(b"39=", order.map_or(status::REJECTED, |order| order.status));
        writer.character(b"434=", if replace { b'2' } else { b'1' });
        writer.number(b"102=", cxl_rej_reason(self.ends.version, why));
        writer.bytes(b"60=", &time).bytes(b"58=", reject_text(why));
        writer.finish();
    }

    /// OrderMassCancelReport. The cancels follow, one ExecutionReport each.
    fn mass_report(&mut self, event: &Event, out: &mut Vec<u8>) {
        let command = &event.command;
        self.remember(command, command.user_ref.0);
        let one_symbol = command.flags.has(OrderFlags::ONE_SYMBOL);
        let one_side = command.flags.has(OrderFlags::ONE_SIDE);
        let affected = self.orders.iter().filter(|(_, order)| {
            order.told
                && order.is_live()
                && (!one_symbol || order.symbol == command.symbol)
                && (!one_side || order.side == command.side)
        });
        let affected = affected.count();
        let (msg_seq_num, id) = self.next();
        let time = *self.times.text(event.time_ns());
        let (parts, route) = divide(self.carried.of(command));
        let mut writer = Writer::new(out, &self.heads.mass_report, msg_seq_num, &time);
        put_route(&mut writer, route);
        writer.bytes(b"11=", parts.cl_ord_id()).number(b"37=", id);
        writer.bytes(b"530=", parts.get(1));
        if command.verdict == Reject::None {
            writer.character(b"531=", if one_symbol { b'1' } else { b'7' });
            writer.number(b"533=", affected as u64);
        } else {
            writer.character(b"531=", b'0');
            let unknown = command.verdict == Reject::InvalidSymbol;
            writer.character(b"532=", if unknown { b'1' } else { b'0' });
        }
        if !parts.get(2).is_empty() {
            writer.bytes(b"55=", parts.get(2));
        }
        if !parts.get(3).is_empty() {
            writer.bytes(b"54=", parts.get(3));
        }
        writer.bytes(b"60=", &time);
        if command.verdict != Reject::None {
            writer.bytes(b"58=", reject_text(command.verdict));
        }
        writer.finish();
    }

    /// An ExecutionReport of how an order stands.
    pub(super) fn order_status(
        &mut self,
        event: &Event,
        number: u32,
        words: Parts<'_>,
        route: &[u8],
        names: &Names,
        out: &mut Vec<u8>,
    ) {
        let fix44 = self.ends.version == Version::Fix44;
        let known = self.orders.get(number).filter(|o| o.kind == Kind::Order && o.order_id > 0);
        if known.is_some() {
            let request = Request { name: None, route: Way::Told(route) };
            return self.report_as(
                event,
                number,
                request,
                exec::STATUS,
                names,
                out,
                |writer, _| {
                    if fix44 && !words.get(1).is_empty() {
                        writer.bytes(b"790=", words.get(1));
                    }
                },
            );
        }
        let (msg_seq_num, exec_id) = self.next();
        let time = *self.times.text(event.time_ns());
        let mut writer = Writer::new(out, &self.heads.report, msg_seq_num, &time);
        put_route(&mut writer, route);
        writer.bytes(b"37=", b"NONE").bytes(b"11=", words.cl_ord_id());
        writer.text_and_number(b"17=", self.exec_head.get(), exec_id);
        put_transaction(&mut writer, self.ends.version, exec::STATUS);
        let exec_type = exec_type_of(self.ends.version, exec::STATUS, status::REJECTED);
        writer.character(b"150=", exec_type).character(b"39=", status::REJECTED);
        writer.character(b"103=", b'5');
        if fix44 && !words.get(1).is_empty() {
            writer.bytes(b"790=", words.get(1));
        }
        writer.bytes(b"55=", words.get(2)).bytes(b"54=", words.get(3));
        if !fix44 {
            writer.number(b"38=", 0);
        }
        writer.number(b"151=", 0).number(b"14=", 0).number(b"6=", 0);
        writer.bytes(b"60=", &time).bytes(b"58=", reject_text(Reject::UnknownOrder));
        writer.finish();
    }

    /// Whether a ClOrdID may not be used (again): it was today, or its order lives.
    pub fn is_taken(&self, name: &[u8], now_ns: UnixNanos) -> bool {
        self.orders
            .find(name)
            .and_then(|number| self.orders.get(number))
            .is_some_and(|order| order.day == day_of(now_ns) || order.is_live())
    }
}

/// ExecTransType, which FIX 4.3 did away with.
fn put_transaction(writer: &mut Writer<'_>, version: Version, exec_type: u8) {
    if version == Version::Fix42 {
        let transaction = match exec_type {
            exec::STATUS => b'3',
            exec::TRADE_CANCEL => b'1',
            _ => b'0',
        };
        writer.character(b"20=", transaction);
    }
}

/// ExecType: FIX 4.2 tells a status by ExecTransType, and here the order's own.
fn exec_type_of(version: Version, exec_type: u8, status: u8) -> u8 {
    match (version, exec_type) {
        (Version::Fix42, exec::STATUS | exec::TRADE_CANCEL) => status,
        _ => exec_type,
    }
}

/// What an order is, as its owner wrote it.
pub(super) fn put_order(writer: &mut Writer<'_>, order: &Order, names: &Names) {
    if !order.account.get().is_empty() {
        writer.bytes(b"1=", order.account.get());
    }
    writer.bytes(b"55=", trim(&names.symbols[order.symbol.index()]));
    writer.character(b"54=", side(order.side)).number(b"38=", order.qty.into());
    if order.flags.has(OrderFlags::MARKET) {
        writer.character(b"40=", b'1');
    } else {
        writer.character(b"40=", b'2').price(b"44=", order.price);
    }
    writer.character(b"59=", time_in_force(order));
    if order.flags.has(OrderFlags::POST_ONLY) {
        writer.character(b"18=", b'6');
    }
    if order.tags.has(Tags::MIN_QTY) {
        writer.number(b"110=", order.min_qty.into());
    }
    if order.tags.has(Tags::MAX_FLOOR) {
        writer.number(b"111=", order.max_floor.into());
    }
}

fn trim(name: &[u8; 8]) -> &[u8] {
    let used = name.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
    &name[..used]
}

fn name_of<'a>(names: &'a Names, command: &Command) -> &'a [u8] {
    trim(&names.symbols[command.symbol.index()])
}

fn time_in_force(order: &Order) -> u8 {
    match order.tif {
        _ if order.tags.has(Tags::GOOD_TILL_CANCEL) => b'1',
        _ if order.tags.has(Tags::FILL_OR_KILL) => b'4',
        TimeInForce::Ioc => b'3',
        TimeInForce::Gtt => b'6',
        TimeInForce::Day | TimeInForce::Gtx => b'0',
    }
}

/// Side (54).
pub fn side(side: Side) -> u8 {
    match side {
        Side::Buy => b'1',
        Side::Sell => b'2',
        Side::SellShort => b'5',
        Side::SellShortExempt => b'6',
    }
}
