//! From FIX to commands. What the version allows but this venue does not gets its verdict here.

use crate::order::{
    Capacity, Command, CommandKind, Display, NANOS_PER_SEC, OrderFlags, Price, QTY_MAX, Reject,
    Side, Tags, TimeInForce, UnixNanos, UserRefNum,
};
use crate::wire::fix::dictionary::{Reason, Refused};
use crate::wire::fix::scan::Message;
use crate::wire::fix::value::{boolean, date, price, quantity, timestamp};
use crate::wire::fix::{msg_type, tag};
use crate::wire::soupbin::pad;

use super::super::terms::{Sender, check_combination};
use super::order::{Kind, Order};
use super::outbound::Voice;
use super::route::Route;
use super::say::Say;
use super::text::{Parts, Words};
use super::{ACCOUNT_MAX, CL_ORD_ID_MAX, ECHO_MAX};

const DAY_NS: u64 = 86_400 * NANOS_PER_SEC;

/// What an application message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// The command and the words, which are filled in.
    Command,
    /// Nothing: an order that may be sent twice (PossResend) and was.
    Nothing,
    /// Something that cannot be carried: a Reject.
    Refused(Refused),
}

/// Writes what a message asks for into `command` and `words`. The number that the client's name
/// goes by is taken from `voice`, which learns it.
#[inline]
pub fn translate(
    message: &Message<'_>,
    from: &Sender<'_>,
    voice: &mut Voice,
    now_ns: UnixNanos,
    command: &mut Command,
    words: &mut Words,
) -> Asked {
    let route = match Route::of(message) {
        Ok(route) => route,
        Err(refused) => return Asked::Refused(refused),
    };
    let request = Request { message, from, now_ns, route: &route };
    words.clear();
    let done = match message.msg_type() {
        msg_type::NEW_ORDER_SINGLE => request.enter(voice, command, words),
        msg_type::ORDER_CANCEL_REQUEST => request.cancel(voice, command, words),
        msg_type::ORDER_CANCEL_REPLACE_REQUEST => request.replace(voice, command, words),
        msg_type::ORDER_STATUS_REQUEST => request.status(voice, command, words),
        msg_type::ORDER_MASS_CANCEL_REQUEST => request.mass_cancel(voice, command, words),
        // A BusinessMessageReject: there is nobody to tell.
        _ => Ok(Asked::Nothing),
    };
    words.add_route(&route);
    done.unwrap_or_else(Asked::Refused)
}

struct Request<'a> {
    message: &'a Message<'a>,
    from: &'a Sender<'a>,
    now_ns: UnixNanos,
    /// The way back.
    route: &'a Route,
}

impl<'a> Request<'a> {
    #[inline]
    fn text(&self, tag: u32) -> &'a [u8] {
        self.message.get(tag).unwrap_or(b"")
    }

    /// A text that has to come back, and so must not be longer than there is room for.
    #[inline]
    fn echo(&self, tag: u32, most: usize) -> Result<&'a [u8], Refused> {
        let text = self.text(tag);
        let fits = text.len() <= most && text.iter().all(|byte| *byte >= b' ');
        if fits { Ok(text) } else { Err(Refused { tag, reason: Reason::Incorrect }) }
    }

    #[inline]
    fn enter(
        &self,
        voice: &mut Voice,
        command: &mut Command,
        words: &mut Words,
    ) -> Result<Asked, Refused> {
        let name = self.echo(tag::CL_ORD_ID, CL_ORD_ID_MAX)?;
        let account = self.echo(tag::ACCOUNT, ACCOUNT_MAX)?;
        let symbol = self.echo(tag::SYMBOL, ECHO_MAX)?;
        let taken = voice.is_taken(name, self.now_ns);
        if taken && self.message.get(tag::POSS_RESEND).and_then(boolean) == Some(true) {
            return Ok(Asked::Nothing);
        }
        self.from.start(CommandKind::Enter, command);
        words.push(name).push(account);
        command.user_ref = UserRefNum(voice.orders.last() + 1);
        let read = self.read_enter(symbol, command);
        let verdict = if taken { Err(Reject::DuplicateClOrdId) } else { read };
        if let Err(reject) = verdict {
            command.verdict = reject;
            words.push(symbol).push(self.text(tag::SIDE));
        }
        self.note(voice, command, command.user_ref.0, words);
        Ok(Asked::Command)
    }

    /// Has the ledger know the request's name before anything became of it.
    #[inline]
    fn note(&self, voice: &mut Voice, command: &Command, number: u32, words: &Words) {
        let route = voice.routes.keep(self.route.get());
        let order = Order::asked(command, &Parts(words.get()), route, self.now_ns);
        voice.orders.put(number, order, command.verdict != Reject::DuplicateClOrdId);
    }

    #[inline]
    fn read_enter(&self, symbol: &[u8], command: &mut Command) -> Result<(), Reject> {
        command.side = side(self.text(tag::SIDE)).ok_or(Reject::InvalidSide)?;
        if symbol.len() > 8 {
            return Err(Reject::InvalidSymbol);
        }
        let known = self.from.symbols.find(&pad(symbol));
        command.symbol = known.ok_or(Reject::InvalidSymbol)?;
        // OrderCapacity; in FIX 4.2 it was Rule80A.
        command.capacity = match (self.text(tag::ORDER_CAPACITY), self.text(tag::RULE80_A)) {
            (b"P", _) | (b"", b"P") => Capacity::Principal,
            (b"R", _) => Capacity::Riskless,
            (b"A", _) | (b"", b"A" | b"") => Capacity::Agency,
            _ => Capacity::Other,
        };
        // Who has no venues knows of no places.
        if !self.from.venues.is_empty() {
            let destination = self.from.destination(self.text(tag::EX_DESTINATION))?;
            command.destination = destination.code();
        }
        if self.message.get(tag::NO_ALLOCS).is_some_and(|count| count != b"0") {
            return Err(Reject::AllocationsNotSupported);
        }
        self.read_terms(command)
    }

    /// What a new order and a replacement have in common.
    #[inline]
    fn read_terms(&self, command: &mut Command) -> Result<(), Reject> {
        let whole = |tag| quantity(self.text(tag));
        let qty = whole(tag::ORDER_QTY).filter(|qty| (1..=QTY_MAX).contains(qty));
        command.qty = qty.ok_or(Reject::InvalidQuantity)?;
        match self.text(tag::ORD_TYPE) {
            b"1" => {
                command.flags.0 |= OrderFlags::MARKET;
                command.price = Price::MARKET;
            }
            b"2" => {
                let limit = price(self.text(tag::PRICE));
                let limit = limit.filter(|price| price.0 > 0 && *price <= Price::MAX_LIMIT);
                command.price = limit.ok_or(Reject::InvalidPrice)?;
            }
            _ => return Err(Reject::OrdTypeNotSupported),
        }
        self.read_time_in_force(command)?;
        if let Some(min) = self.message.get(tag::MIN_QTY) {
            command.tags.0 |= Tags::MIN_QTY;
            let min = quantity(min).ok_or(Reject::InvalidMinimumQuantity)?;
            command.min_qty = command.min_qty.max(min);
        }
        if let Some(floor) = self.message.get(tag::MAX_FLOOR) {
            command.tags.0 |= Tags::MAX_FLOOR;
            command.max_floor = quantity(floor).ok_or(Reject::InvalidMaxFloor)?;
            if command.max_floor == 0 {
                command.display = Display::Hidden;
            }
        }
        for instruction in self.text(tag::EXEC_INST).split(|byte| *byte == b' ') {
            match instruction {
                b"" => {}
                b"6" => command.flags.0 |= OrderFlags::POST_ONLY,
                _ => return Err(Reject::ExecInstNotSupported),
            }
        }
        check_combination(command)
    }

    #[inline]
    fn read_time_in_force(&self, command: &mut Command) -> Result<(), Reject> {
        command.tif = match self.text(tag::TIME_IN_FORCE) {
            b"" | b"0" => TimeInForce::Day,
            b"1" => {
                command.tags.0 |= Tags::GOOD_TILL_CANCEL;
                TimeInForce::Day
            }
            b"3" => TimeInForce::Ioc,
            b"4" => {
                command.tags.0 |= Tags::FILL_OR_KILL;
                command.min_qty = command.qty;
                TimeInForce::Ioc
            }
            b"6" => {
                command.expire_s = self.expires_in_s().ok_or(Reject::InvalidExpireTime)?;
                TimeInForce::Gtt
            }
            _ => return Err(Reject::TimeInForceNotSupported),
        };
        Ok(())
    }

    /// Seconds until ExpireTime, or until the end of ExpireDate in UTC.
    fn expires_in_s(&self) -> Option<u32> {
        let until_ns =
            match (self.message.get(tag::EXPIRE_TIME), self.message.get(tag::EXPIRE_DATE)) {
                (Some(time), _) => timestamp(time)?,
                (None, Some(day)) => date(day)?.checked_add(DAY_NS)?,
                (None, None) => return None,
            };
        let left_s = until_ns.checked_sub(self.now_ns)?.div_ceil(NANOS_PER_SEC);
        u32::try_from(left_s).ok().filter(|left| *left > 0)
    }

    /// The order that OrigClOrdID names, and whether Symbol and Side are its own.
    fn original(&self, name: &[u8], voice: &Voice) -> Result<u32, Reject> {
        let found = voice.orders.find(name).and_then(|n| Some((n, voice.orders.get(n)?)));
        let found = found.filter(|(_, order)| order.kind == Kind::Order);
        let (number, order) = found.ok_or(Reject::UnknownOrder)?;
        let symbol = self.text(tag::SYMBOL);
        let same_symbol =
            symbol.len() <= 8 && self.from.symbols.find(&pad(symbol)) == Some(order.symbol);
        let same_side = side(self.text(tag::SIDE)) == Some(order.side);
        if same_symbol && same_side { Ok(number) } else { Err(Reject::OtherOrder) }
    }

    fn cancel(
        &self,
        voice: &mut Voice,
        command: &mut Command,
        words: &mut Words,
    ) -> Result<Asked, Refused> {
        let name = self.echo(tag::CL_ORD_ID, CL_ORD_ID_MAX)?;
        let original = self.echo(tag::ORIG_CL_ORD_ID, CL_ORD_ID_MAX)?;
        self.from.start(CommandKind::Cancel, command);
        let own = voice.orders.last() + 1;
        command.orig_user_ref = UserRefNum(own);
        words.push(name).push(b"");
        match self.original(original, voice) {
            _ if voice.is_taken(name, self.now_ns) => command.verdict = Reject::DuplicateClOrdId,
            Ok(number) => {
                // Risk knows it by the number that a replace under way gives it.
                let successor = voice.orders.get(number).map_or(0, |order| order.successor);
                let number = if successor == 0 { number } else { successor };
                command.user_ref = UserRefNum(number);
            }
            Err(reject) => command.verdict = reject,
        }
        if command.verdict != Reject::None {
            words.push(original);
        }
        self.note(voice, command, own, words);
        Ok(Asked::Command)
    }

    fn replace(
        &self,
        voice: &mut Voice,
        command: &mut Command,
        words: &mut Words,
    ) -> Result<Asked, Refused> {
        let name = self.echo(tag::CL_ORD_ID, CL_ORD_ID_MAX)?;
        let original = self.echo(tag::ORIG_CL_ORD_ID, CL_ORD_ID_MAX)?;
        let account = self.echo(tag::ACCOUNT, ACCOUNT_MAX)?;
        self.from.start(CommandKind::Replace, command);
        command.user_ref = UserRefNum(voice.orders.last() + 1);
        words.push(name).push(account);
        let verdict = match self.original(original, voice) {
            _ if voice.is_taken(name, self.now_ns) => Err(Reject::DuplicateClOrdId),
            Ok(number) => {
                let order = voice.orders.get(number).expect("just found");
                (command.side, command.symbol) = (order.side, order.symbol);
                command.orig_user_ref = UserRefNum(number);
                self.read_terms(command)
            }
            Err(reject) => Err(reject),
        };
        if let Err(reject) = verdict {
            command.verdict = reject;
            words.push(original);
        }
        self.note(voice, command, command.user_ref.0, words);
        Ok(Asked::Command)
    }

    fn status(
        &self,
        voice: &mut Voice,
        command: &mut Command,
        words: &mut Words,
    ) -> Result<Asked, Refused> {
        let name = self.echo(tag::CL_ORD_ID, CL_ORD_ID_MAX)?;
        let id = self.echo(tag::ORD_STATUS_REQ_ID, ECHO_MAX)?;
        let symbol = self.echo(tag::SYMBOL, ECHO_MAX)?;
        self.from.start(CommandKind::Session, command);
        let order = voice.orders.find(name).unwrap_or(0);
        Say::Status { order, words: Parts(b"") }.write(command, words);
        words.clear();
        words.push(name).push(id).push(symbol).push(self.text(tag::SIDE));
        Ok(Asked::Command)
    }

    fn mass_cancel(
        &self,
        voice: &mut Voice,
        command: &mut Command,
        words: &mut Words,
    ) -> Result<Asked, Refused> {
        let name = self.echo(tag::CL_ORD_ID, CL_ORD_ID_MAX)?;
        let symbol = self.echo(tag::SYMBOL, ECHO_MAX)?;
        self.from.start(CommandKind::MassCancel, command);
        command.user_ref = UserRefNum(voice.orders.last() + 1);
        let kind = self.text(tag::MASS_CANCEL_REQUEST_TYPE);
        words.push(name).push(kind).push(symbol).push(self.text(tag::SIDE));
        let verdict = if voice.is_taken(name, self.now_ns) {
            Err(Reject::DuplicateClOrdId)
        } else {
            self.read_mass_cancel(kind, symbol, command)
        };
        if let Err(reject) = verdict {
            command.verdict = reject;
        }
        self.note(voice, command, command.user_ref.0, words);
        Ok(Asked::Command)
    }

    fn read_mass_cancel(
        &self,
        kind: &[u8],
        symbol: &[u8],
        command: &mut Command,
    ) -> Result<(), Reject> {
        match kind {
            b"7" => {}
            b"1" => {
                let known = (symbol.len() <= 8).then(|| self.from.symbols.find(&pad(symbol)));
                command.symbol = known.flatten().ok_or(Reject::InvalidSymbol)?;
                command.flags.0 |= OrderFlags::ONE_SYMBOL;
            }
            _ => return Err(Reject::MassCancelNotSupported),
        }
        if let Some(text) = self.message.get(tag::SIDE) {
            command.side = side(text).ok_or(Reject::InvalidSide)?;
            command.flags.0 |= OrderFlags::ONE_SIDE;
        }
        Ok(())
    }
}

#[inline]
fn side(text: &[u8]) -> Option<Side> {
    match text {
        b"1" => Some(Side::Buy),
        b"2" => Some(Side::Sell),
        b"5" => Some(Side::SellShort),
        b"6" => Some(Side::SellShortExempt),
        _ => None,
    }
}
