//! What a venue is told in OUCH 5.0: orders, cancels and replaces, and which of its numbers is which order's.
//!
//! OUCH has no question how an order stands. What was not received is found out by asking for the next number: the
//! answer stands behind everything that was said before.

use std::collections::HashMap;

use crate::order::{
    Command, CommandKind, Event, EventKind, FirmId, OrderFlags, Price, Said, Saying, Slot,
    SymbolId, TimeInForce, UserId,
};
use crate::wire::ouch::appendage::tag;
use crate::wire::ouch::inbound::{CancelOrder, EnterOrder, ReplaceOrder};
use crate::wire::ouch::outbound::Buffer;
use crate::wire::soupbin::pad;

use super::super::symbols::Names;
use super::super::voice::Secret;
use super::letters::{capacity, display, side};

/// What a session with a venue says beside orders, in `qty` of a [`CommandKind::Session`]. A journal keeps it.
const HEARD: u32 = 0;
const JOINED: u32 = 1;
const QUERY: u32 = 2;

/// What a UserRefNum is.
#[derive(Clone, Copy)]
struct Sent {
    symbol: SymbolId,
    slot: Slot,
    number: u32,
    replaces: bool,
}

/// The UserRefNums of the order in a slot, by the numbers of the messages that gave them.
#[derive(Clone, Copy, Default)]
struct Known {
    order: (u32, u32),
    replace: (u32, u32),
    /// The number of the last cancel.
    cancel: u32,
}

/// Everything a venue is told in OUCH comes from here.
pub struct VenueVoice {
    secret: Secret,
    /// What each UserRefNum is, from 1.
    sent: Vec<Sent>,
    by_slot: HashMap<Slot, Known>,
    /// The session that was joined last.
    session: [u8; 10],
    /// The number expected next of the venue.
    next_in: u64,
    /// What the last event asked for.
    pub asked: bool,
}

/// UserRefNums there is room for at the start.
const ROOM: usize = 65_536;

impl VenueVoice {
    /// Before anything was said.
    pub fn new(secret: Secret) -> VenueVoice {
        VenueVoice {
            secret,
            sent: Vec::with_capacity(ROOM),
            by_slot: HashMap::with_capacity(ROOM / 4),
            session: [b' '; 10],
            next_in: 1,
            asked: false,
        }
    }

    /// Who calls, and which session is to go on from which message.
    pub fn login(&self) -> (&Secret, [u8; 10], u64) {
        (&self.secret, self.session, self.next_in)
    }

    /// The number expected next of the venue.
    pub fn next_in(&self) -> u64 {
        self.next_in
    }

    /// The next UserRefNum.
    pub fn next_ref(&self) -> u32 {
        self.sent.len() as u32 + 1
    }

    /// What is said of what a UserRefNum is.
    pub fn said(&self, user_ref: u32, saying: Saying) -> Option<Said> {
        let sent = self.sent.get((user_ref as usize).checked_sub(1)?)?;
        let Sent { symbol, slot, mut number, replaces } = *sent;
        let saying = match saying {
            Saying::Refused if replaces => Saying::ReplaceRefused,
            saying => saying,
        };
        if saying == Saying::CancelRefused {
            // It goes by the order's number there, and by the cancel's here.
            number = self.by_slot.get(&slot).map_or(number, |known| known.cancel);
        }
        Some(Said { slot, symbol, number, saying })
    }

    /// Writes what a venue is told; false if there is nothing to tell.
    pub fn encode(&mut self, event: &Event, names: &Names, out: &mut Buffer) -> bool {
        self.asked = false;
        let command = &event.command;
        if event.whole && command.number_in != 0 {
            self.next_in = command.number_in.into();
        }
        match event.kind {
            EventKind::VenueOrder => self.order(event, names, out),
            EventKind::VenueReplace if event.live => return self.replace(event, out),
            // Smaller: the venue takes that for a cancel.
            EventKind::VenueReplace => return self.cancel(event, event.qty, out),
            EventKind::VenueCancel => return self.cancel(event, 0, out),
            EventKind::Session if command.kind == CommandKind::Session => match command.qty {
                JOINED => {
                    self.session.copy_from_slice(&command.text[..10]);
                    return false;
                }
                QUERY => {
                    self.asked = true;
                    out.start_bare(b"Q");
                }
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    fn next(&mut self, event: &Event, replaces: bool) -> u32 {
        let Command { symbol, slot, .. } = event.command;
        let number = event.user_ref.0;
        self.sent.push(Sent { symbol, slot, number, replaces });
        let user_ref = self.sent.len() as u32;
        let known = self.by_slot.entry(slot).or_default();
        if replaces {
            known.replace = (number, user_ref);
        } else {
            *known = Known { order: (number, user_ref), ..Known::default() };
        }
        user_ref
    }

    /// The UserRefNum of the order in a slot that goes by a number.
    fn find(&self, slot: Slot, number: u32) -> Option<u32> {
        let known = self.by_slot.get(&slot)?;
        let of = |(of, user_ref): (u32, u32)| (of == number && user_ref != 0).then_some(user_ref);
        of(known.replace).or(of(known.order))
    }

    fn order(&mut self, event: &Event, names: &Names, out: &mut Buffer) {
        let user_ref = self.next(event, false);
        let command = &event.command;
        let mut cl_ord_id = [b' '; 14];
        put_digits(&mut cl_ord_id, event.user_ref.0);
        out.start(&EnterOrder {
            kind: b'O',
            user_ref: user_ref.into(),
            side: side(command.side),
            quantity: event.qty.into(),
            symbol: pad(names.at_venue(event.user, command.symbol)),
            price: price(event).into(),
            time_in_force: time_in_force(command),
            display: display(command.display),
            capacity: capacity(command.capacity),
            sweep: b'N',
            cross_type: b'N',
            cl_ord_id,
        });
        if command.min_qty > 0 {
            out.element(tag::MINIMUM_QUANTITY, &command.min_qty.to_be_bytes());
        }
        put_floor(command, out);
        if command.flags.has(OrderFlags::POST_ONLY) {
            out.element(tag::POST_ONLY, b"P");
        }
        if command.side.is_short() {
            out.element(tag::SHARES_LOCATED, b"Y");
        }
    }

    fn replace(&mut self, event: &Event, out: &mut Buffer) -> bool {
        let command = &event.command;
        let Some(old) = self.find(command.slot, event.reference as u32) else { return false };
        // What is replaced is the order from now on, if the venue agrees; until then it is found by either name.
        if let Some(known) = self.by_slot.get_mut(&command.slot) {
            known.order = (event.reference as u32, old);
        }
        let user_ref = self.next(event, true);
        let mut cl_ord_id = [b' '; 14];
        put_digits(&mut cl_ord_id, event.user_ref.0);
        out.start(&ReplaceOrder {
            kind: b'U',
            orig_user_ref: old.into(),
            user_ref: user_ref.into(),
            quantity: event.qty.into(),
            price: price(event).into(),
            time_in_force: time_in_force(&event.command),
            display: display(event.command.display),
            sweep: b'N',
            cl_ord_id,
        });
        put_floor(&event.command, out);
        true
    }

    fn cancel(&mut self, event: &Event, left: u32, out: &mut Buffer) -> bool {
        let slot = event.command.slot;
        let Some(user_ref) = self.find(slot, event.reference as u32) else { return false };
        if let Some(known) = self.by_slot.get_mut(&slot) {
            known.cancel = event.user_ref.0;
        }
        let (user_ref, quantity) = (user_ref.into(), left.into());
        out.start(&CancelOrder { kind: b'X', user_ref, quantity });
        true
    }
}

/// A session was joined, from a number on.
pub fn joined(user: UserId, firm: FirmId, session: [u8; 10], next: u64) -> Command {
    let mut command = Command::new(CommandKind::Session, user, firm);
    (command.qty, command.number_in) = (JOINED, next as u32);
    command.text[..10].copy_from_slice(&session);
    command
}

/// What number is next: the answer tells which messages never arrived.
pub fn query(user: UserId, firm: FirmId) -> Command {
    let mut command = Command::new(CommandKind::Session, user, firm);
    command.qty = QUERY;
    command
}

/// Something was heard that only takes a number.
pub fn heard(user: UserId, firm: FirmId, next: u64) -> Command {
    let mut command = Command::new(CommandKind::Session, user, firm);
    (command.qty, command.number_in) = (HEARD, next as u32);
    command
}

fn put_floor(command: &Command, out: &mut Buffer) {
    if command.max_floor > 0 {
        out.element(tag::MAX_FLOOR, &command.max_floor.to_be_bytes());
    }
}

/// The worst price: a market order's is its collar, if it has one.
fn price(event: &Event) -> u64 {
    let Price(limit) = event.price;
    let limited = limit > 0 && event.price < Price::MAX_LIMIT;
    let market = event.command.flags.has(OrderFlags::MARKET);
    if market && !limited { Price::MARKET.0.into() } else { limit.into() }
}

fn time_in_force(command: &Command) -> u8 {
    let at_once = command.flags.has(OrderFlags::MARKET) || command.tif == TimeInForce::Ioc;
    // An order with a time is cancelled from here.
    if at_once { b'3' } else { b'0' }
}

fn put_digits(field: &mut [u8; 14], mut number: u32) {
    let digits = number.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    for place in field[..digits].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
