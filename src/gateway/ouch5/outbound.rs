//! From events to OUCH.

use crate::order::{
    Command, Destination, Event, EventKind, NANOS_PER_SEC, OrderFlags, SelfTrade, Tags, UnixNanos,
};
use crate::wire::ouch::appendage::tag;
use crate::wire::ouch::outbound::{
    Accepted, AccountQueryResponse, AiqCanceled, BrokenTrade, Buffer, CancelPending, CancelReject,
    Canceled, Executed, FirmSwitchResponse, MassCancelResponse, Modified, Rejected, Replaced,
    Restated, SystemEvent,
};
use crate::wire::soupbin::pad;

use super::super::symbols::Names;
use super::super::terms::HERE;
use super::letters::{capacity, display, side, state, sweep, time_in_force};

/// Nanoseconds of a day.
const DAY_NS: u64 = 86_400 * NANOS_PER_SEC;

/// Writes the message that tells an event; false if there is nothing to tell.
#[inline]
pub(in crate::gateway) fn encode(event: &Event, names: &Names, out: &mut Buffer) -> bool {
    let timestamp = since_midnight(event.time_ns()).into();
    let user_ref = event.user_ref.0.into();
    match event.kind {
        EventKind::Accepted => encode_accepted(event, names, out),
        EventKind::Replaced => encode_replaced(event, names, out),
        EventKind::Executed => out.start(&Executed {
            kind: b'E',
            timestamp,
            user_ref,
            quantity: event.qty.into(),
            price: u64::from(event.price.0).into(),
            liquidity: event.liquidity,
            match_number: event.reference.into(),
        }),
        EventKind::Canceled => out.start(&Canceled {
            kind: b'C',
            timestamp,
            user_ref,
            quantity: event.qty.into(),
            reason: event.reason as u8,
        }),
        EventKind::Rejected => out.start(&Rejected {
            kind: b'J',
            timestamp,
            user_ref,
            reason: event.command.verdict.ouch().into(),
            cl_ord_id: cl_ord_id(&event.command),
        }),
        EventKind::Silent
        | EventKind::StreamMoved
        | EventKind::ReplacePending
        | EventKind::Suspended
        | EventKind::VenueOrder
        | EventKind::VenueCancel
        | EventKind::VenueReplace
        | EventKind::VenueStatus
        | EventKind::VenueHeard => return false,
        _ => encode_rare(event, names, out),
    }
    true
}

/// What is not told for most orders.
fn encode_rare(event: &Event, names: &Names, out: &mut Buffer) {
    let timestamp = since_midnight(event.time_ns()).into();
    let user_ref = event.user_ref.0.into();
    match event.kind {
        EventKind::SelfTradePrevented => out.start(&AiqCanceled {
            kind: b'D',
            timestamp,
            user_ref,
            decrement: event.qty.into(),
            reason: event.reason as u8,
            prevented: (event.reference as u32).into(),
            price: u64::from(event.price.0).into(),
            liquidity: if event.live { b'R' } else { b'A' },
            strategy: strategy(event),
        }),
        EventKind::Restated => {
            out.start(&Restated { kind: b'R', timestamp, user_ref, reason: b'R' });
            out.element(tag::DISPLAY_QUANTITY, &event.qty.to_be_bytes());
            out.element(tag::SECONDARY_ORDER_REFERENCE, &event.reference.to_be_bytes());
        }
        EventKind::Modified => out.start(&Modified {
            kind: b'M',
            timestamp,
            user_ref,
            side: side(event.side),
            quantity: event.qty.into(),
        }),
        EventKind::ModifyRefused | EventKind::CancelRefused => {
            out.start(&CancelReject { kind: b'I', timestamp, user_ref });
        }
        EventKind::CancelPending => out.start(&CancelPending { kind: b'P', timestamp, user_ref }),
        EventKind::Busted => out.start(&BrokenTrade {
            kind: b'B',
            timestamp,
            user_ref,
            match_number: event.reference.into(),
            reason: b'S',
            cl_ord_id: [b' '; 14],
        }),
        EventKind::MassCancelAnswer => out.start(&MassCancelResponse {
            kind: b'X',
            timestamp,
            user_ref,
            firm: names.firm_of(event.user),
            symbol: if event.command.flags.has(OrderFlags::ONE_SYMBOL) {
                names.symbols[event.command.symbol.index()]
            } else {
                [b' '; 8]
            },
        }),
        EventKind::DisableAnswer | EventKind::EnableAnswer => {
            let kind = if event.kind == EventKind::DisableAnswer { b'G' } else { b'K' };
            let firm = names.firm_of(event.user);
            out.start(&FirmSwitchResponse { kind, timestamp, user_ref, firm });
        }
        EventKind::AccountAnswer => out.start(&AccountQueryResponse {
            kind: b'Q',
            timestamp,
            next_user_ref: event.command.answer.into(),
        }),
        _ => out.start(&SystemEvent { kind: b'S', timestamp, event: b'S' }),
    }
}

#[inline]
fn encode_accepted(event: &Event, names: &Names, out: &mut Buffer) {
    let command = &event.command;
    out.start(&Accepted {
        kind: b'A',
        timestamp: since_midnight(event.time_ns()).into(),
        user_ref: command.user_ref.0.into(),
        side: side(command.side),
        quantity: command.qty.into(),
        symbol: names.symbols[command.symbol.index()],
        price: u64::from(command.price.0).into(),
        time_in_force: time_in_force(command.tif),
        display: display(command.display),
        order_reference: event.reference.into(),
        capacity: capacity(command.capacity),
        sweep: sweep(command),
        cross_type: b'N',
        state: state(event.live),
        cl_ord_id: cl_ord_id(command),
    });
    echo_tags(command, names, out);
}

#[inline]
fn encode_replaced(event: &Event, names: &Names, out: &mut Buffer) {
    let command = &event.command;
    out.start(&Replaced {
        kind: b'U',
        timestamp: since_midnight(event.time_ns()).into(),
        orig_user_ref: command.orig_user_ref.0.into(),
        user_ref: command.user_ref.0.into(),
        side: side(command.side),
        quantity: event.qty.into(),
        symbol: names.symbols[command.symbol.index()],
        price: u64::from(command.price.0).into(),
        time_in_force: time_in_force(command.tif),
        display: display(command.display),
        order_reference: event.reference.into(),
        capacity: capacity(command.capacity),
        sweep: sweep(command),
        cross_type: b'N',
        state: state(event.live),
        cl_ord_id: cl_ord_id(command),
    });
    echo_tags(command, names, out);
}

/// Repeats the optional elements that were honoured.
#[inline]
fn echo_tags(command: &Command, names: &Names, out: &mut Buffer) {
    let tags = command.tags;
    if tags == Tags(0) {
        return;
    }
    if tags.has(Tags::FIRM) {
        out.element(tag::FIRM, &names.firm_of(command.user));
    }
    if tags.has(Tags::MIN_QTY) {
        out.element(tag::MINIMUM_QUANTITY, &command.min_qty.to_be_bytes());
    }
    if tags.has(Tags::MAX_FLOOR) {
        out.element(tag::MAX_FLOOR, &command.max_floor.to_be_bytes());
    }
    if tags.has(Tags::POST_ONLY) {
        let post_only = command.flags.has(OrderFlags::POST_ONLY);
        out.element(tag::POST_ONLY, if post_only { b"P" } else { b"N" });
    }
    if tags.has(Tags::ROUTE) {
        let name = match Destination::of_code(command.destination) {
            Destination::Venue(number) => pad(names.venue(number)),
            Destination::Here => pad(HERE),
            Destination::Unsaid => [b' '; 4],
        };
        out.element(tag::ROUTE, &name);
    }
    if tags.has(Tags::EXPIRE_TIME) {
        out.element(tag::EXPIRE_TIME, &command.expire_s.to_be_bytes());
    }
    if tags.has(Tags::GROUP_ID) {
        out.element(tag::GROUP_ID, &command.group.to_be_bytes());
    }
}

/// Nanoseconds since midnight UTC (OUCH 5.0, "Timestamp").
#[inline]
fn since_midnight(time_ns: UnixNanos) -> u64 {
    time_ns % DAY_NS
}

#[inline]
fn cl_ord_id(command: &Command) -> [u8; 14] {
    let mut id = [0; 14];
    id.copy_from_slice(&command.text[..14]);
    id
}

/// AIQ strategy: `O` cancel oldest, `W` cancel newest, `D` decrement both (by MPID). Under
/// cancel-both each side is told which it was.
fn strategy(event: &Event) -> u8 {
    match (event.policy, event.live) {
        (SelfTrade::Decrement, _) => b'D',
        (SelfTrade::CancelOldest, _) | (SelfTrade::CancelBoth, false) => b'O',
        _ => b'W',
    }
}
