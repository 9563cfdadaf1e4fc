//! What a client is told of an order that is at a venue.

use std::collections::{HashMap, VecDeque};

use crate::order::{CommandKind, Event};
use crate::wire::fix::Version;
use crate::wire::fix::write::Writer;

use super::super::symbols::Names;
use super::CL_ORD_ID_MAX;
use super::order::{Short, status};
use super::outbound::{Request, Voice, exec};
use super::route::put_route;
use super::text::divide;

/// Trades of one user's that are remembered, in case one is undone.
const TRADES_MAX: usize = 16_384;

/// The ExecIDs by which a user was told of trades at venues.
#[derive(Default)]
pub struct Abroad {
    by_match: HashMap<u64, u64>,
    recent: VecDeque<u64>,
}

impl Abroad {
    pub(super) fn remember(&mut self, match_number: u64, exec_id: u64) {
        if self.recent.len() == TRADES_MAX
            && let Some(old) = self.recent.pop_front()
        {
            self.by_match.remove(&old);
        }
        if self.by_match.capacity() == 0 {
            // Once, for who has any.
            self.by_match.reserve(2 * TRADES_MAX);
            self.recent.reserve(TRADES_MAX + 1);
        }
        self.recent.push_back(match_number);
        self.by_match.insert(match_number, exec_id);
    }
}

impl Voice {
    /// Shares traded at a venue.
    pub(super) fn executed_abroad(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let number = event.user_ref.0;
        let Some(order) = self.orders.get_mut(number) else { return };
        // One that had ended stays what it was.
        let ended = (!order.is_live()).then_some(order.status);
        order.fill(event.qty, event.price);
        order.status = ended.unwrap_or(order.status);
        let fix44 = self.ends.version == Version::Fix44;
        let exec_type = match (fix44, order.status) {
            (true, _) => exec::TRADE,
            (false, status) if ended.is_none() => status,
            (false, _) => status::PARTIALLY_FILLED,
        };
        self.abroad.remember(event.reference, self.told + 1);
        self.report(event, number, exec_type, names, out, |writer, event| {
            writer.number(b"32=", event.qty.into()).price(b"31=", event.price);
            writer.bytes(b"30=", names.venue(event.venue));
            if fix44 {
                writer.number(b"527=", event.reference);
                // Routed out.
                writer.character(b"851=", b'3');
            }
        });
    }

    /// A trade was undone.
    pub(super) fn busted(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let number = event.user_ref.0;
        let Some(order) = self.orders.get_mut(number) else { return };
        order.undo(event.qty, event.price);
        let told = self.abroad.by_match.get(&event.reference).copied();
        let head = self.exec_head(event.user);
        self.report(event, number, exec::TRADE_CANCEL, names, out, |writer, event| {
            match told {
                Some(told) => writer.text_and_number(b"19=", head.get(), told),
                None => writer.bytes(b"19=", b"NONE"),
            };
            writer.number(b"32=", event.qty.into()).price(b"31=", event.price);
            if event.venue != 0 {
                writer.bytes(b"30=", names.venue(event.venue));
            }
            writer.bytes(b"58=", b"the trade was undone");
        });
    }

    /// A cancel was passed on to the venue.
    pub(super) fn cancel_pending(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        if event.command.kind == CommandKind::Cancel {
            self.pending(event, event.command.orig_user_ref.0, status::PENDING_CANCEL, names, out);
        }
    }

    /// A replace was passed on to the venue.
    pub(super) fn replace_pending(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let number = event.command.user_ref.0;
        self.pending(event, number, status::PENDING_REPLACE, names, out);
        if let Some(order) = self.orders.get_mut(event.user_ref.0) {
            order.successor = number;
        }
    }

    fn pending(
        &mut self,
        event: &Event,
        request: u32,
        pending: u8,
        names: &Names,
        out: &mut Vec<u8>,
    ) {
        self.remember(&event.command, request);
        let number = event.user_ref.0;
        let (parts, _) = divide(self.carried.of(&event.command));
        let name = Short::<CL_ORD_ID_MAX>::new(parts.cl_ord_id());
        let Some(order) = self.orders.get_mut(number) else { return };
        let status = std::mem::replace(&mut order.status, pending);
        let request = Request { name: Some(name.get()), route: self.way_of(request) };
        self.report_as(event, number, request, pending, names, out, |_, _| {});
        if let Some(order) = self.orders.get_mut(number) {
            order.status = status;
        }
    }

    /// The venue did not cancel.
    pub(super) fn cancel_refused(&mut self, event: &Event, out: &mut Vec<u8>) {
        let (number, request) = (event.user_ref.0, event.reference as u32);
        if let Some(request) = self.orders.get_mut(request) {
            request.end(status::REJECTED);
        }
        let (msg_seq_num, _) = self.next();
        let time = *self.times.text(event.time_ns());
        let route = self.way_of(request);
        let Some(order) = self.orders.get(number) else { return };
        let name = self.orders.get(request).map_or(&b"NONE"[..], |request| request.name.get());
        let mut writer = Writer::new(out, &self.heads.cancel_reject, msg_seq_num, &time);
        put_route(&mut writer, self.routes.get(route));
        writer.number(b"37=", order.order_id).bytes(b"11=", name);
        writer.bytes(b"41=", order.name.get()).character(b"39=", order.status);
        // Too late, or one is under way already.
        let why = if order.is_live() { b'3' } else { b'0' };
        writer.character(b"434=", b'1').character(b"102=", why).bytes(b"60=", &time);
        let text: &[u8] = match order.is_live() {
            true => b"the venue did not cancel, or a cancel or replace is under way",
            false => b"nothing is open any more",
        };
        writer.bytes(b"58=", text);
        writer.finish();
    }

    /// The venue that has an order was lost, or is there again.
    pub(super) fn suspended(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let number = event.user_ref.0;
        let Some(order) = self.orders.get_mut(number) else { return };
        let kept = order.status;
        if !event.live {
            order.status = status::SUSPENDED;
        }
        let exec_type = if event.live { exec::RESTATED } else { status::SUSPENDED };
        self.report(event, number, exec_type, names, out, |writer, event| {
            let text: &[u8] = match event.live {
                true => b"the connection to the venue is there again",
                false => {
                    b"the connection to the venue is lost: what becomes of the order is told later"
                }
            };
            if event.live {
                writer.number(b"378=", 99);
            }
            writer.bytes(b"58=", text);
        });
        if let Some(order) = self.orders.get_mut(number) {
            order.status = kept;
        }
    }
}
