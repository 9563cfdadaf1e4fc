//! Messages as names and texts, for people who read what went over the wire.

use super::super::ouch::describe::{Told, fields};
use super::{
    Accepted, AiqCanceled, BrokenTrade, CancelOrder, CancelPending, CancelReject, Canceled,
    EnterOrder, Executed, Modified, ModifyOrder, Rejected, ReplaceOrder, Replaced, SystemEvent,
};

/// The name of an OUCH 4.2 message and its fields; nothing if it is none.
pub fn describe(to_gateway: bool, bytes: &[u8]) -> Option<(&'static str, Told)> {
    let (name, found) = match (to_gateway, *bytes.first()?) {
        (true, b'O') => ("EnterOrder", fields::<EnterOrder>(bytes)),
        (true, b'U') => ("ReplaceOrder", fields::<ReplaceOrder>(bytes)),
        (true, b'X') => ("CancelOrder", fields::<CancelOrder>(bytes)),
        (true, b'M') => ("ModifyOrder", fields::<ModifyOrder>(bytes)),
        (false, b'S') => ("SystemEvent", fields::<SystemEvent>(bytes)),
        (false, b'A') => ("Accepted", fields::<Accepted>(bytes)),
        (false, b'U') => ("Replaced", fields::<Replaced>(bytes)),
        (false, b'C') => ("Canceled", fields::<Canceled>(bytes)),
        (false, b'D') => ("AIQCanceled", fields::<AiqCanceled>(bytes)),
        (false, b'E') => ("Executed", fields::<Executed>(bytes)),
        (false, b'J') => ("Rejected", fields::<Rejected>(bytes)),
        (false, b'P') => ("CancelPending", fields::<CancelPending>(bytes)),
        (false, b'B') => ("BrokenTrade", fields::<BrokenTrade>(bytes)),
        (false, b'I') => ("CancelReject", fields::<CancelReject>(bytes)),
        (false, b'M') => ("Modified", fields::<Modified>(bytes)),
        _ => return None,
    };
    Some((name, found?.0))
}
