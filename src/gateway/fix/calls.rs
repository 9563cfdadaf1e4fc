//! What a venue is told in FIX: orders, cancels, replaces, and questions how an order stands.
//!
//! An order goes there by a name that says where it is here, so that what comes back needs no table: its symbol, its
//! slot, and the place in the sequence of what brought the message about, which is never the same twice.

use crate::order::{
    Capacity, Display, Event, EventKind, OrderFlags, Price, Slot, SymbolId, TimeInForce,
};
use crate::wire::fix::write::{Head, Writer};
use crate::wire::fix::{Version, msg_type};

use super::super::symbols::Names;
use super::super::voice::Secret;
use super::Ends;
use super::outbound::{Voice, side};

/// Bytes of the longest name: three numbers and what is between.
const NAME_MAX: usize = 5 + 1 + 10 + 1 + 10;

/// What a session that calls has beside what one that is called has.
pub struct Calls {
    order: Head,
    cancel: Head,
    replace: Head,
    status: Head,
    secret: Secret,
}

impl Calls {
    fn new(ends: &Ends, secret: Secret) -> Calls {
        let head = |kind| Head::new(ends.version, kind, &ends.own, &ends.peer);
        Calls {
            order: head(msg_type::NEW_ORDER_SINGLE),
            cancel: head(msg_type::ORDER_CANCEL_REQUEST),
            replace: head(msg_type::ORDER_CANCEL_REPLACE_REQUEST),
            status: head(msg_type::ORDER_STATUS_REQUEST),
            secret,
        }
    }

    /// What a Logon says of who calls.
    pub fn put_secret(&self, writer: &mut Writer<'_>) {
        let Secret { username, password } = &self.secret;
        if !username.is_empty() {
            writer.bytes(b"553=", username.as_bytes());
        }
        if !password.is_empty() {
            writer.bytes(b"554=", password.as_bytes());
        }
    }
}

/// What an order is called at a venue.
#[derive(Clone, Copy)]
pub struct VenueName {
    bytes: [u8; NAME_MAX],
    len: usize,
}

impl VenueName {
    /// Of an order, by the number of a message about it.
    pub fn new(symbol: SymbolId, slot: Slot, number: u32) -> VenueName {
        let mut name = VenueName { bytes: [0; NAME_MAX], len: 0 };
        name.push(symbol.0.into());
        name.bytes[name.len] = b'-';
        name.len += 1;
        name.push(slot.0);
        name.bytes[name.len] = b'-';
        name.len += 1;
        name.push(number);
        name
    }

    fn push(&mut self, number: u32) {
        let digits = number.checked_ilog10().map_or(1, |digits| digits as usize + 1);
        let mut left = number;
        for place in self.bytes[self.len..self.len + digits].iter_mut().rev() {
            *place = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.len += digits;
    }

    /// As it is written.
    pub fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// What a name says; nothing if no order of this side's has it.
    pub fn read(text: &[u8]) -> Option<(SymbolId, Slot, u32)> {
        let mut parts = text.split(|byte| *byte == b'-');
        let mut next = || {
            let digits = parts.next().filter(|part| (1..=10).contains(&part.len()))?;
            let plain = digits.iter().all(u8::is_ascii_digit);
            let number = |all: u64, digit: &u8| all * 10 + u64::from(digit - b'0');
            plain.then(|| digits.iter().fold(0, number)).and_then(|all| u32::try_from(all).ok())
        };
        let (symbol, slot, number) = (next()?, next()?, next()?);
        let symbol = SymbolId(u16::try_from(symbol).ok()?);
        parts.next().is_none().then_some((symbol, Slot(slot), number))
    }
}

impl Voice {
    /// The voice of a session with a venue.
    pub fn to_venue(ends: Ends, secret: Secret) -> Voice {
        let calls = Some(Box::new(Calls::new(&ends, secret)));
        let mut voice = Voice::new(ends);
        voice.calls = calls;
        voice
    }

    /// Writes what a venue is told of an order.
    pub(super) fn call(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let (number, _) = self.next();
        let time = *self.times.text(event.time_ns());
        let Some(calls) = &self.calls else { return };
        let head = match event.kind {
            EventKind::VenueCancel => &calls.cancel,
            EventKind::VenueReplace => &calls.replace,
            EventKind::VenueStatus => &calls.status,
            _ => &calls.order,
        };
        let command = &event.command;
        let name = |number| VenueName::new(command.symbol, command.slot, number);
        let mut writer = Writer::new(out, head, number, &time);
        writer.bytes(b"11=", name(event.user_ref.0).get());
        if matches!(event.kind, EventKind::VenueCancel | EventKind::VenueReplace) {
            writer.bytes(b"41=", name(event.reference as u32).get());
        }
        let asks = matches!(event.kind, EventKind::VenueOrder | EventKind::VenueReplace);
        if asks {
            // Automated, without a broker's hand.
            writer.character(b"21=", b'1');
        }
        writer.bytes(b"55=", names.at_venue(event.user, command.symbol));
        writer.character(b"54=", side(command.side));
        if event.kind != EventKind::VenueStatus {
            writer.bytes(b"60=", &time).number(b"38=", event.qty.into());
        }
        if asks {
            put_terms(&mut writer, event, self.ends.version);
        }
        writer.finish();
    }
}

/// What an order may do.
fn put_terms(writer: &mut Writer<'_>, event: &Event, version: Version) {
    let command = &event.command;
    let market = command.flags.has(OrderFlags::MARKET);
    // A market order trades no worse than its collar, if it has one.
    let limited = event.price > Price(0) && event.price <= Price::MAX_LIMIT;
    if limited && !(market && event.price == Price::MAX_LIMIT) {
        writer.character(b"40=", b'2').price(b"44=", event.price);
    } else {
        writer.character(b"40=", b'1');
    }
    let at_once = market || command.tif == TimeInForce::Ioc;
    // An order with a time is cancelled from here.
    writer.character(b"59=", if at_once { b'3' } else { b'0' });
    if command.flags.has(OrderFlags::POST_ONLY) {
        writer.character(b"18=", b'6');
    }
    if command.min_qty > 0 {
        writer.number(b"110=", command.min_qty.into());
    }
    if command.display == Display::Hidden {
        writer.number(b"111=", 0);
    } else if command.max_floor > 0 {
        writer.number(b"111=", command.max_floor.into());
    }
    let capacity = match command.capacity {
        Capacity::Principal => b'P',
        Capacity::Riskless if version == Version::Fix44 => b'R',
        _ => b'A',
    };
    match version {
        Version::Fix42 => writer.character(b"47=", capacity),
        Version::Fix44 => writer.character(b"528=", capacity),
    };
    if command.side.is_short() {
        writer.character(b"114=", b'N');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_is_read_back(symbol: u16, slot: u32, number: u32) {
            let name = VenueName::new(SymbolId(symbol), Slot(slot), number);
            prop_assert_eq!(VenueName::read(name.get()), Some((SymbolId(symbol), Slot(slot), number)));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            VenueName::read(&text);
        }
    }

    #[test]
    fn other_names_are_nobodys() {
        for text in [
            "",
            "1-2",
            "1-2-3-4",
            "1--3",
            "65536-1-1",
            "1-4294967296-1",
            "a-1-1",
            "1-1-99999999999",
        ] {
            assert_eq!(VenueName::read(text.as_bytes()), None, "{text}");
        }
    }
}
