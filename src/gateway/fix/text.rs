//! The client's words as a command carries them: parts with SOH between, as on the wire.

use super::route::{ROUTE_MAX, Route};
use crate::order::{CARRIED_MAX, TEXT_BYTES};
use crate::wire::fix::SOH;

/// Room for every part of one message.
const BYTES_MAX: usize = 220;
/// Stands before a route. What comes back holds no control characters.
const ROUTE: u8 = 2;

const _: () = assert!(BYTES_MAX + 1 + ROUTE_MAX <= (CARRIED_MAX + 1) * TEXT_BYTES);

/// Parts being put together.
#[derive(Default)]
pub struct Words {
    bytes: Vec<u8>,
    begun: bool,
}

impl Words {
    /// With room that is used again for every message.
    pub fn new() -> Words {
        Words { bytes: Vec::with_capacity(BYTES_MAX + 1 + ROUTE_MAX), begun: false }
    }

    /// Starts over.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.begun = false;
    }

    /// Adds a part.
    pub fn push(&mut self, part: &[u8]) -> &mut Words {
        if std::mem::replace(&mut self.begun, true) {
            self.bytes.push(SOH);
        }
        let room = BYTES_MAX - self.bytes.len().min(BYTES_MAX);
        self.bytes.extend_from_slice(&part[..part.len().min(room)]);
        self
    }

    /// All of it, without empty parts at its end.
    pub fn get(&self) -> &[u8] {
        let used = self.bytes.iter().rposition(|byte| *byte != SOH).map_or(0, |at| at + 1);
        &self.bytes[..used]
    }

    /// Adds the way back of the message, behind the last part.
    #[inline]
    pub fn add_route(&mut self, route: &Route) {
        if !route.get().is_empty() {
            let used = self.get().len();
            self.bytes.truncate(used);
            self.bytes.push(ROUTE);
            self.bytes.extend_from_slice(route.get());
        }
    }
}

/// The parts of a command's text, and the way back behind them.
pub fn divide(text: &[u8]) -> (Parts<'_>, &[u8]) {
    match text.iter().position(|byte| *byte == ROUTE) {
        Some(at) => (Parts(&text[..at]), &text[at + 1..]),
        None => (Parts(text), &[]),
    }
}

/// Parts read again.
#[derive(Clone, Copy)]
pub struct Parts<'a>(pub &'a [u8]);

impl<'a> Parts<'a> {
    /// The part at a place; nothing where there is none.
    pub fn get(&self, at: usize) -> &'a [u8] {
        self.0.split(|byte| *byte == SOH).nth(at).unwrap_or(b"")
    }

    /// The first, which is the ClOrdID of whatever has one.
    pub fn cl_ord_id(&self) -> &'a [u8] {
        self.get(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_in_their_places() {
        let mut words = Words::new();
        words.push(b"ID").push(b"").push(b"AAPL").push(b"");
        let parts = Parts(words.get());
        assert_eq!(parts.0, b"ID\x01\x01AAPL");
        assert_eq!(
            [parts.get(0), parts.get(1), parts.get(2), parts.get(3)],
            [&b"ID"[..], b"", b"AAPL", b""]
        );
        words.add_route(&Route::NONE);
        assert_eq!(divide(words.get()).1, b"");
        words.clear();
        words.push(b"").push(b"x");
        assert_eq!(Parts(words.get()).get(1), b"x");
    }
}
