//! Drop copies in FIX 4.4: what becomes of other users' orders, in ExecutionReports of the watcher's own
//! session.

use std::collections::HashMap;

use crate::order::{CancelReason, CarriedText, Command, CommandKind, Event, EventKind, UserId};
use crate::wire::fix::write::Writer;

use super::super::symbols::Names;
use super::order::{Order, Short, status};
use super::outbound::{Voice, exec, put_order};
use super::route::RouteId;
use super::text::{Parts, divide};

/// What has to be remembered of the orders that are watched: those that are alive.
pub struct Copies {
    own: UserId,
    orders: HashMap<(UserId, u32), Order>,
    carried: HashMap<UserId, CarriedText>,
}

impl Copies {
    /// Those for a watcher.
    pub fn new(own: UserId) -> Copies {
        Copies { own, orders: HashMap::new(), carried: HashMap::new() }
    }

    /// Whether an event is another user's.
    #[inline]
    pub fn are_of(&self, event: &Event) -> bool {
        event.user != self.own
    }

    /// The watcher.
    pub fn own(&self) -> UserId {
        self.own
    }

    /// What a command asks for. Names come from all protocols: what would not be one of FIX is put so that
    /// it is.
    fn asked(&mut self, command: &Command) -> Order {
        let carried = self.carried.entry(command.user).or_default();
        // What came by FIX moves a number; anything else has no parts, and names of 14 characters.
        let parts = match command.number_in {
            0 => Parts(b""),
            _ => divide(carried.of(command)).0,
        };
        let name = if command.number_in == 0 { &command.text[..14] } else { parts.cl_ord_id() };
        let name = name.trim_ascii_end();
        let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let name = printable(&name[..end]);
        let mut order = Order::asked(command, &parts, RouteId::default(), command.time_ns);
        order.name = match name.trim_ascii() {
            b"" => Short::new(command.user_ref.0.to_string().as_bytes()),
            name => Short::new(name),
        };
        order.account = Short::new(&printable(order.account.get()));
        order
    }
}

fn printable(text: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { *byte } else { b'?' };
    text.iter().map(plain).collect()
}

impl Voice {
    /// From here on the user watches others, or does not.
    pub fn watch(&mut self, own: UserId, watches: bool) {
        match (&self.copies, watches) {
            (None, true) => self.copies = Some(Box::new(Copies::new(own))),
            (Some(_), false) => self.copies = None,
            _ => {}
        }
    }

    /// Writes the report that tells of another user's event; nothing if there is none.
    pub(super) fn copy(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let Some(mut copies) = self.copies.take() else { return };
        self.copy_with(&mut copies, event, names, out);
        self.copies = Some(copies);
    }

    fn copy_with(&mut self, copies: &mut Copies, event: &Event, names: &Names, out: &mut Vec<u8>) {
        let at = (event.user, event.user_ref.0);
        let mut replaced = None;
        let exec_type = match event.kind {
            EventKind::Session if event.command.kind == CommandKind::Text => {
                return copies.carried.entry(event.user).or_default().take(&event.command);
            }
            EventKind::Accepted => {
                let mut order = copies.asked(&event.command);
                order.accept(event.reference);
                copies.orders.insert(at, order);
                status::NEW
            }
            EventKind::Replaced => {
                let mut order = copies.asked(&event.command);
                let before = (event.user, event.command.orig_user_ref.0);
                let Some(old) = copies.orders.remove(&before) else { return };
                order.take_over(&old, event.qty, status::NEW);
                copies.orders.insert(at, order);
                replaced = Some(old);
                status::REPLACED
            }
            _ => {
                let Some(order) = copies.orders.get_mut(&at) else { return };
                match event.kind {
                    EventKind::Executed => {
                        order.fill(event.qty, event.price);
                        exec::TRADE
                    }
                    EventKind::Canceled | EventKind::SelfTradePrevented => {
                        let end = match event.reason {
                            CancelReason::Timeout => status::EXPIRED,
                            _ => status::CANCELED,
                        };
                        if order.reduce(event.qty, end) { end } else { exec::RESTATED }
                    }
                    EventKind::Modified => {
                        order.side = event.side;
                        order.qty = event.qty;
                        order.leaves = event.qty.saturating_sub(order.cum);
                        exec::RESTATED
                    }
                    _ => return,
                }
            }
        };
        let (msg_seq_num, exec_id) = self.next();
        let exec_head = self.exec_head(copies.own());
        let time = *self.times.text(event.time_ns());
        let order = &copies.orders[&at];
        let mut writer = Writer::new(out, &self.heads.report, msg_seq_num, &time);
        writer.number(b"37=", order.order_id).bytes(b"11=", order.name.get());
        if let Some(old) = &replaced {
            writer.bytes(b"41=", old.name.get());
        }
        put_parties(&mut writer, event.user, names);
        writer.text_and_number(b"17=", exec_head.get(), exec_id);
        writer.character(b"150=", exec_type).character(b"39=", order.status);
        if exec_type == exec::RESTATED {
            writer.character(b"378=", b'5');
        }
        put_order(&mut writer, order, names);
        if event.kind == EventKind::Executed {
            writer.number(b"32=", event.qty.into()).price(b"31=", event.price);
        }
        writer.number(b"151=", order.leaves.into()).number(b"14=", order.cum.into());
        writer.decimal(b"6=", order.average(), 8).bytes(b"60=", &time);
        if event.kind == EventKind::Executed {
            writer.number(b"527=", event.reference);
            writer.character(b"851=", if event.liquidity == b'R' { b'2' } else { b'1' });
        }
        writer.character(b"797=", b'Y');
        writer.finish();
        if !order.is_live() {
            copies.orders.remove(&at);
        }
    }
}

/// Whose order it is: the trader who entered it, and the firm.
fn put_parties(writer: &mut Writer<'_>, user: UserId, names: &Names) {
    let (name, firm) = (names.user_names[user.index()], names.firm_of(user));
    writer.character(b"453=", b'2');
    writer.bytes(b"448=", name.trim_ascii()).character(b"447=", b'D').bytes(b"452=", b"11");
    writer.bytes(b"448=", firm.trim_ascii()).character(b"447=", b'D').bytes(b"452=", b"1");
}
