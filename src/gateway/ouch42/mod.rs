//! OUCH 4.2: messages to commands, events to messages. Orders go by tokens on the wire and by
//! numbers inside.

use crate::order::{
    CancelReason, Capacity, Command, CommandKind, Display, Event, EventKind, NANOS_PER_SEC,
    OrderFlags, Price, QTY_MAX, Reject, Tags, TimeInForce, UserRefNum,
};
use crate::wire::ouch::outbound::Buffer;
use crate::wire::ouch42::{
    Accepted, AiqCanceled, BrokenTrade, CancelPending, CancelReject, Canceled, EnterOrder,
    Executed, Inbound, MARKET_HOURS, Modified, NewOrder, Rejected, Replaced, SECONDS_MAX,
    SYSTEM_HOURS, SystemEvent, Token,
};

use super::ledger::{Entry, Ledger};
use super::ouch5::letters;
use super::symbols::Names;
use super::terms::{Sender, check_combination};

const DAY_NS: u64 = 86_400 * NANOS_PER_SEC;

/// A token, and on which day it was used.
#[derive(Clone)]
struct Order {
    token: Token,
    day: u32,
}

impl Entry for Order {
    fn empty() -> Order {
        Order { token: [b' '; 14], day: 0 }
    }

    fn name(&self) -> &[u8] {
        &self.token
    }
}

fn day_of(time_ns: u64) -> u32 {
    (time_ns / DAY_NS) as u32
}

/// Which token has which number.
pub struct Voice {
    orders: Ledger<Order>,
}

impl Default for Voice {
    fn default() -> Voice {
        Voice { orders: Ledger::new() }
    }
}

impl Voice {
    /// Tokens that are remembered.
    pub(super) fn names(&self) -> u32 {
        self.orders.last()
    }

    /// Writes the command that a message asks for over `command`. False if it is to be ignored
    /// without an answer: a token used before, or one of an order that is not there (OUCH 4.2,
    /// "Enter Order", "Cancel Order").
    pub(super) fn translate(
        &mut self,
        message: Inbound<'_>,
        from: &Sender<'_>,
        now_ns: u64,
        command: &mut Command,
    ) -> bool {
        match message {
            Inbound::Enter(order) => {
                if self.is_taken(&order.token, now_ns) {
                    return false;
                }
                from.start(CommandKind::Enter, command);
                command.verdict = read_enter(order, from, command).err().unwrap_or(Reject::None);
                self.name(command, &order.token, now_ns);
            }
            Inbound::Replace(replace) => {
                let Some(old) = self.orders.find(&replace.existing) else { return false };
                if self.is_taken(&replace.replacement, now_ns) {
                    return false;
                }
                from.start(CommandKind::Replace, command);
                command.orig_user_ref = UserRefNum(old);
                let terms = Terms {
                    shares: replace.shares.get(),
                    price: replace.price.get(),
                    time_in_force: replace.time_in_force.get(),
                    display: replace.display,
                    sweep: replace.sweep,
                    min_quantity: replace.min_quantity.get(),
                };
                command.verdict = read_terms(&terms, command).err().unwrap_or(Reject::None);
                self.name(command, &replace.replacement, now_ns);
            }
            Inbound::Cancel(cancel) => {
                let Some(number) = self.orders.find(&cancel.token) else { return false };
                from.start(CommandKind::Cancel, command);
                command.user_ref = UserRefNum(number);
                command.qty = cancel.shares.get();
            }
            Inbound::Modify(modify) => {
                let Some(number) = self.orders.find(&modify.token) else { return false };
                from.start(CommandKind::Modify, command);
                command.user_ref = UserRefNum(number);
                command.qty = modify.shares.get();
                match letters::read_side(modify.side) {
                    Some(side) => command.side = side,
                    None => command.flags.0 |= OrderFlags::UNREADABLE,
                }
            }
        }
        true
    }

    fn is_taken(&self, token: &Token, now_ns: u64) -> bool {
        let known = self.orders.find(token).and_then(|number| self.orders.get(number));
        known.is_some_and(|order| order.day == day_of(now_ns))
    }

    fn name(&mut self, command: &mut Command, token: &Token, now_ns: u64) {
        command.user_ref = UserRefNum(self.orders.last() + 1);
        command.text[..14].copy_from_slice(token);
        self.learn(command, now_ns);
    }

    fn learn(&mut self, command: &Command, time_ns: u64) {
        let mut token = [0; 14];
        token.copy_from_slice(&command.text[..14]);
        let order = Order { token, day: day_of(time_ns) };
        self.orders.put(command.user_ref.0, order, true);
    }

    fn token(&self, number: UserRefNum) -> Token {
        self.orders.get(number.0).map_or([b' '; 14], |order| order.token)
    }

    /// Writes the message that tells an event; false if there is nothing to tell.
    pub fn encode(&mut self, event: &Event, names: &Names, out: &mut Buffer) -> bool {
        let timestamp = (event.time_ns() % DAY_NS).into();
        match event.kind {
            EventKind::Accepted
            | EventKind::Replaced
            | EventKind::ReplacePending
            | EventKind::Rejected => {
                self.learn(&event.command, event.time_ns());
            }
            _ => {}
        }
        let token = self.token(event.user_ref);
        let command = &event.command;
        match event.kind {
            EventKind::Accepted => {
                let order = new_order(event, b'A', token, command.qty, names);
                out.start_bare(&Accepted { order, bbo_weight: b' ' });
            }
            EventKind::Replaced => {
                let order = new_order(event, b'U', token, event.qty, names);
                let previous = self.token(command.orig_user_ref);
                out.start_bare(&Replaced { order, previous, bbo_weight: b' ' });
            }
            EventKind::Executed => out.start_bare(&Executed {
                kind: b'E',
                timestamp,
                token,
                shares: event.qty.into(),
                price: event.price.0.into(),
                liquidity: event.liquidity,
                match_number: event.reference.into(),
            }),
            EventKind::Canceled => out.start_bare(&Canceled {
                kind: b'C',
                timestamp,
                token,
                decrement: event.qty.into(),
                reason: cancel_reason(event.reason),
            }),
            EventKind::SelfTradePrevented => out.start_bare(&AiqCanceled {
                kind: b'D',
                timestamp,
                token,
                decrement: event.qty.into(),
                reason: b'Q',
                prevented: (event.reference as u32).into(),
                price: event.price.0.into(),
                liquidity: if event.live { b'R' } else { b'A' },
            }),
            // A replacement of an order that is no more is ignored (OUCH 4.2, "Replace Order").
            EventKind::Rejected if command.verdict == Reject::ReplaceNotAllowed && !event.live => {
                return false;
            }
            EventKind::Rejected => out.start_bare(&Rejected {
                kind: b'J',
                timestamp,
                token,
                reason: reject_reason(command.verdict),
            }),
            EventKind::Modified => out.start_bare(&Modified {
                kind: b'M',
                timestamp,
                token,
                side: letters::side(event.side),
                shares: event.qty.into(),
            }),
            EventKind::ModifyRefused | EventKind::CancelRefused => {
                out.start_bare(&CancelReject { kind: b'I', timestamp, token });
            }
            EventKind::CancelPending => {
                out.start_bare(&CancelPending { kind: b'P', timestamp, token });
            }
            EventKind::Busted => out.start_bare(&BrokenTrade {
                kind: b'B',
                timestamp,
                token,
                match_number: event.reference.into(),
                reason: b'S',
            }),
            EventKind::StartOfDay => {
                out.start_bare(&SystemEvent { kind: b'S', timestamp, event: b'S' });
            }
            _ => return false,
        }
        true
    }
}

/// What Accepted and Replaced have in common.
fn new_order(event: &Event, kind: u8, token: Token, shares: u32, names: &Names) -> NewOrder {
    let command = &event.command;
    NewOrder {
        kind,
        timestamp: (event.time_ns() % DAY_NS).into(),
        token,
        side: letters::side(command.side),
        shares: shares.into(),
        stock: names.symbols[command.symbol.index()],
        price: command.price.0.into(),
        time_in_force: time_in_force(command).into(),
        firm: names.firm_of(event.user),
        display: display(command),
        order_reference: event.reference.into(),
        capacity: letters::capacity(command.capacity),
        sweep: letters::sweep(command),
        min_quantity: command.min_qty.into(),
        cross_type: b'N',
        state: letters::state(event.live),
    }
}

struct Terms {
    shares: u32,
    price: u32,
    time_in_force: u32,
    display: u8,
    sweep: u8,
    min_quantity: u32,
}

fn read_enter(order: &EnterOrder, from: &Sender<'_>, command: &mut Command) -> Result<(), Reject> {
    command.side = letters::read_side(order.side).ok_or(Reject::InvalidSide)?;
    command.symbol = from.symbols.find(&order.stock).ok_or(Reject::InvalidSymbol)?;
    command.capacity = match order.capacity {
        b'A' => Capacity::Agency,
        b'P' => Capacity::Principal,
        b'R' => Capacity::Riskless,
        b'O' => Capacity::Other,
        _ => return Err(Reject::Other),
    };
    if order.firm != from.firm_name && order.firm != *b"    " {
        return Err(Reject::FirmNotAuthorized);
    }
    if order.cross_type != b'N' {
        return Err(Reject::InvalidCrossOrder);
    }
    if !matches!(order.customer_type, b'N' | b' ') {
        return Err(Reject::RetailNotAllowed);
    }
    let terms = Terms {
        shares: order.shares.get(),
        price: order.price.get(),
        time_in_force: order.time_in_force.get(),
        display: order.display,
        sweep: order.sweep,
        min_quantity: order.min_quantity.get(),
    };
    read_terms(&terms, command)
}

fn read_terms(terms: &Terms, command: &mut Command) -> Result<(), Reject> {
    if terms.shares == 0 || terms.shares > QTY_MAX {
        return Err(Reject::InvalidQuantity);
    }
    command.qty = terms.shares;
    command.price = Price(terms.price);
    if command.price == Price::MARKET {
        command.flags.0 |= OrderFlags::MARKET;
    } else if terms.price == 0 || command.price > Price::MAX_LIMIT {
        return Err(Reject::InvalidPrice);
    }
    command.tif = match terms.time_in_force {
        0 => TimeInForce::Ioc,
        MARKET_HOURS => TimeInForce::Day,
        SYSTEM_HOURS => TimeInForce::Gtx,
        seconds @ 1..=SECONDS_MAX => {
            command.expire_s = seconds;
            TimeInForce::Gtt
        }
        _ => return Err(Reject::Other),
    };
    command.display = match terms.display {
        b'Y' => Display::Visible,
        b'A' => Display::Attributable,
        b'N' => Display::Hidden,
        b'P' => {
            command.flags.0 |= OrderFlags::POST_ONLY;
            Display::Visible
        }
        _ => return Err(Reject::InvalidDisplay),
    };
    match terms.sweep {
        b'Y' => command.flags.0 |= OrderFlags::SWEEP,
        b'N' => {}
        _ => return Err(Reject::Other),
    }
    if terms.min_quantity > 0 {
        command.tags.0 |= Tags::MIN_QTY;
        command.min_qty = terms.min_quantity;
    }
    check_combination(command)
}

fn time_in_force(command: &Command) -> u32 {
    match command.tif {
        TimeInForce::Ioc => 0,
        TimeInForce::Day => MARKET_HOURS,
        TimeInForce::Gtx => SYSTEM_HOURS,
        TimeInForce::Gtt => command.expire_s,
    }
}

fn display(command: &Command) -> u8 {
    if command.flags.has(OrderFlags::POST_ONLY) { b'P' } else { letters::display(command.display) }
}

/// The reasons that 4.2 has.
fn cancel_reason(reason: CancelReason) -> u8 {
    match reason {
        CancelReason::MarketCollar => b'I',
        CancelReason::PostOnly => b'Z',
        reason => reason as u8,
    }
}

/// The letters that 4.2 has.
fn reject_reason(reject: Reject) -> u8 {
    match reject {
        Reject::Halted | Reject::DiskNearlyFull => b'H',
        Reject::InvalidSymbol => b'S',
        Reject::InvalidDisplay => b'D',
        Reject::DestinationClosed => b'C',
        Reject::FirmNotAuthorized => b'L',
        Reject::InvalidCrossOrder => b'R',
        Reject::InvalidPrice => b'X',
        Reject::InvalidMinimumQuantity => b'N',
        Reject::RestrictedStock => b'c',
        Reject::ShortSellNotAllowed | Reject::ShortSellExemptNotAllowed => b'i',
        Reject::MaxQuantityExceeded => b'm',
        Reject::SingleOrderNotional | Reject::AggregateExposure | Reject::TooManyOpenOrders => b'n',
        Reject::FatFinger => b'Z',
        _ => b'O',
    }
}
