//! From OUCH to commands. What the format allows but this venue does not gets its verdict here;
//! risk only adds the place in the sequence.

use crate::order::{
    Capacity, Command, CommandKind, Display, OrderFlags, Price, QTY_MAX, Reject, Tags, TimeInForce,
    UserRefNum,
};
use crate::wire::ouch::appendage::{Element, Elements, tag};
use crate::wire::ouch::inbound::{
    CancelOrder, EnterOrder, FirmSwitch, Inbound, MassCancel, ModifyOrder, ReplaceOrder,
};

use super::super::terms::{Sender, check_combination};
use super::letters::read_side;

/// Writes the command that a message asks for over `command`.
#[inline]
pub fn translate(message: Inbound<'_>, from: &Sender<'_>, command: &mut Command) {
    match message {
        Inbound::Enter(order, tail) => enter(order, tail, from, command),
        Inbound::Replace(order, tail) => replace(order, tail, from, command),
        Inbound::Cancel(cancel, _) => cancel_order(cancel, from, command),
        Inbound::Modify(modify, tail) => modify_order(modify, tail, from, command),
        Inbound::MassCancel(request, tail) => mass_cancel(request, tail, from, command),
        Inbound::Disable(switch, _) => firm_switch(CommandKind::DisableFirm, switch, from, command),
        Inbound::Enable(switch, _) => firm_switch(CommandKind::EnableFirm, switch, from, command),
        Inbound::AccountQuery(_) => start(CommandKind::AccountQuery, from, command),
    }
}

#[inline]
fn start(kind: CommandKind, from: &Sender<'_>, command: &mut Command) {
    *command = Command::new(kind, from.user, from.firm);
}

#[inline]
fn enter(order: &EnterOrder, tail: &[u8], from: &Sender<'_>, command: &mut Command) {
    start(CommandKind::Enter, from, command);
    command.user_ref = UserRefNum(order.user_ref.get());
    command.text[..14].copy_from_slice(&order.cl_ord_id);
    if let Err(reject) = read_enter(order, tail, from, command) {
        command.verdict = reject;
    }
}

#[inline]
fn read_enter(
    order: &EnterOrder,
    tail: &[u8],
    from: &Sender<'_>,
    command: &mut Command,
) -> Result<(), Reject> {
    command.side = read_side(order.side).ok_or(Reject::InvalidSide)?;
    command.symbol = from.symbols.find(&order.symbol).ok_or(Reject::InvalidSymbol)?;
    command.capacity = match order.capacity {
        b'A' => Capacity::Agency,
        b'P' => Capacity::Principal,
        b'R' => Capacity::Riskless,
        b'O' => Capacity::Other,
        _ => return Err(Reject::Other),
    };
    if order.cross_type != b'N' {
        return Err(Reject::InvalidCrossOrder);
    }
    let terms = Terms {
        quantity: order.quantity.get(),
        price: order.price.get(),
        time_in_force: order.time_in_force,
        display: order.display,
        sweep: order.sweep,
    };
    read_terms(&terms, tail, from, command)
}

#[inline]
fn replace(order: &ReplaceOrder, tail: &[u8], from: &Sender<'_>, command: &mut Command) {
    start(CommandKind::Replace, from, command);
    command.user_ref = UserRefNum(order.user_ref.get());
    command.orig_user_ref = UserRefNum(order.orig_user_ref.get());
    command.text[..14].copy_from_slice(&order.cl_ord_id);
    let terms = Terms {
        quantity: order.quantity.get(),
        price: order.price.get(),
        time_in_force: order.time_in_force,
        display: order.display,
        sweep: order.sweep,
    };
    if let Err(reject) = read_terms(&terms, tail, from, command) {
        command.verdict = reject;
    }
}

/// What Enter and Replace have in common.
struct Terms {
    quantity: u32,
    price: u64,
    time_in_force: u8,
    display: u8,
    sweep: u8,
}

#[inline]
fn read_terms(
    terms: &Terms,
    tail: &[u8],
    from: &Sender<'_>,
    command: &mut Command,
) -> Result<(), Reject> {
    if terms.quantity == 0 || terms.quantity > QTY_MAX {
        return Err(Reject::InvalidQuantity);
    }
    command.qty = terms.quantity;
    if terms.price == u64::from(Price::MARKET.0) {
        command.flags.0 |= OrderFlags::MARKET;
    } else if terms.price == 0 || terms.price > u64::from(Price::MAX_LIMIT.0) {
        return Err(Reject::InvalidPrice);
    }
    command.price = Price(terms.price as u32);
    command.tif = match terms.time_in_force {
        b'0' => TimeInForce::Day,
        b'3' => TimeInForce::Ioc,
        b'5' => TimeInForce::Gtx,
        b'6' => TimeInForce::Gtt,
        _ => return Err(Reject::Other),
    };
    command.display = match terms.display {
        b'Y' => Display::Visible,
        b'N' => Display::Hidden,
        b'A' => Display::Attributable,
        _ => return Err(Reject::InvalidDisplay),
    };
    match terms.sweep {
        b'Y' => command.flags.0 |= OrderFlags::SWEEP,
        b'N' => {}
        _ => return Err(Reject::Other),
    }
    if !tail.is_empty() {
        read_appendage(tail, from, command)?;
    }
    check_combination(command)
}

#[inline]
fn read_appendage(tail: &[u8], from: &Sender<'_>, command: &mut Command) -> Result<(), Reject> {
    for element in Elements::parse(tail).map_err(|_| Reject::Other)? {
        read_element(element.map_err(|_| Reject::Other)?, from, command)?;
    }
    Ok(())
}

/// One optional element: honoured, harmless, or refused with its reason.
fn read_element(
    element: Element<'_>,
    from: &Sender<'_>,
    command: &mut Command,
) -> Result<(), Reject> {
    match element.tag {
        tag::FIRM => {
            command.tags.0 |= Tags::FIRM;
            if element.value != from.firm_name {
                return Err(Reject::FirmNotAuthorized);
            }
        }
        tag::MINIMUM_QUANTITY => {
            command.tags.0 |= Tags::MIN_QTY;
            command.min_qty = element.u32().ok_or(Reject::InvalidMinimumQuantity)?;
        }
        tag::MAX_FLOOR => {
            command.tags.0 |= Tags::MAX_FLOOR;
            command.max_floor = element.u32().ok_or(Reject::InvalidMaxFloor)?;
        }
        tag::POST_ONLY => match element.u8() {
            Some(b'P') => {
                command.tags.0 |= Tags::POST_ONLY;
                command.flags.0 |= OrderFlags::POST_ONLY;
            }
            Some(b'N') => command.tags.0 |= Tags::POST_ONLY,
            _ => return Err(Reject::Other),
        },
        tag::EXPIRE_TIME => {
            command.tags.0 |= Tags::EXPIRE_TIME;
            command.expire_s = element.u32().ok_or(Reject::Other)?;
        }
        tag::GROUP_ID => {
            command.tags.0 |= Tags::GROUP_ID;
            command.group = element.u16().ok_or(Reject::Other)?;
        }
        tag::CUSTOMER_TYPE => match element.u8() {
            Some(b'R') => return Err(Reject::RetailNotAllowed),
            Some(b'N' | b'X' | b' ') => {}
            _ => return Err(Reject::Other),
        },
        tag::PRICE_TYPE => match element.u8() {
            Some(b'L') => {}
            Some(b'P' | b'M' | b'R' | b'Q' | b'm') => return Err(Reject::PeggingNotAllowed),
            _ => return Err(Reject::InvalidPegType),
        },
        tag::PEG_OFFSET
        | tag::DISCRETION_PRICE
        | tag::DISCRETION_PRICE_TYPE
        | tag::DISCRETION_PEG_OFFSET => return Err(Reject::PeggingNotAllowed),
        tag::ROUTE => {
            command.tags.0 |= Tags::ROUTE;
            let destination = from.destination(element.value)?;
            // Where an order is, it stays when it is replaced.
            if command.kind == CommandKind::Enter {
                command.destination = destination.code();
            }
        }
        tag::SHARES_LOCATED => match element.u8() {
            Some(b'Y') => {}
            Some(b'N') if !command.side.is_short() => {}
            Some(b'N') => return Err(Reject::LocateRequired),
            _ => return Err(Reject::Other),
        },
        tag::LOCATE_BROKER => {}
        tag::TRADE_NOW if matches!(element.u8(), Some(b'N' | b' ')) => {}
        tag::HANDLE_INST if element.u8() == Some(b' ') => {}
        tag::USER_REF_INDEX if element.u8() == Some(0) => {}
        _ => return Err(Reject::Other),
    }
    Ok(())
}

fn cancel_order(cancel: &CancelOrder, from: &Sender<'_>, command: &mut Command) {
    start(CommandKind::Cancel, from, command);
    command.user_ref = UserRefNum(cancel.user_ref.get());
    command.qty = cancel.quantity.get();
}

fn modify_order(modify: &ModifyOrder, tail: &[u8], from: &Sender<'_>, command: &mut Command) {
    start(CommandKind::Modify, from, command);
    command.user_ref = UserRefNum(modify.user_ref.get());
    command.qty = modify.quantity.get();
    // A modify that cannot be read leaves the order as it is: the book refuses a sell that
    // would buy, and a buy that would sell.
    match read_side(modify.side).filter(|_| Elements::parse(tail).is_ok()) {
        Some(side) => command.side = side,
        None => command.flags.0 |= OrderFlags::UNREADABLE,
    }
}

fn mass_cancel(request: &MassCancel, tail: &[u8], from: &Sender<'_>, command: &mut Command) {
    start(CommandKind::MassCancel, from, command);
    command.user_ref = UserRefNum(request.user_ref.get());
    if let Err(reject) = read_mass_cancel(request, tail, from, command) {
        command.verdict = reject;
    }
}

fn read_mass_cancel(
    request: &MassCancel,
    tail: &[u8],
    from: &Sender<'_>,
    command: &mut Command,
) -> Result<(), Reject> {
    check_firm(&request.firm, from)?;
    if request.symbol != [b' '; 8] {
        command.symbol = from.symbols.find(&request.symbol).ok_or(Reject::InvalidSymbol)?;
        command.flags.0 |= OrderFlags::ONE_SYMBOL;
    }
    for element in Elements::parse(tail).map_err(|_| Reject::Other)? {
        let element = element.map_err(|_| Reject::Other)?;
        match element.tag {
            tag::SIDE => {
                let side = element.u8().and_then(read_side).ok_or(Reject::InvalidSide)?;
                (command.side, command.flags.0) = (side, command.flags.0 | OrderFlags::ONE_SIDE);
            }
            tag::GROUP_ID => {
                command.group = element.u16().ok_or(Reject::Other)?;
                command.flags.0 |= OrderFlags::ONE_GROUP;
            }
            tag::USER_REF_INDEX if element.u8() == Some(0) => {}
            _ => return Err(Reject::Other),
        }
    }
    Ok(())
}

fn firm_switch(kind: CommandKind, switch: &FirmSwitch, from: &Sender<'_>, command: &mut Command) {
    start(kind, from, command);
    command.user_ref = UserRefNum(switch.user_ref.get());
    if let Err(reject) = check_firm(&switch.firm, from) {
        command.verdict = reject;
    }
}

/// A user speaks for its own firm only; blank means it.
fn check_firm(firm: &[u8; 4], from: &Sender<'_>) -> Result<(), Reject> {
    if *firm == from.firm_name || firm == b"    " { Ok(()) } else { Err(Reject::FirmNotAuthorized) }
}
