//! Who stands behind a client, as hubs and brokers say it: what a message says of where it came from
//! and where it goes comes back turned round on every answer to it (FIX 4.4 volume 1, "Third party
//! message routing").

use std::collections::HashMap;

use crate::wire::fix::dictionary::{Reason, Refused};
use crate::wire::fix::scan::Message;
use crate::wire::fix::write::Writer;
use crate::wire::fix::{SOH, tag};

/// Bytes of the longest route, tags counted in.
pub const ROUTE_MAX: usize = 120;

/// What a field becomes on the way back.
#[inline]
fn back(tag: u32) -> Option<&'static [u8; 4]> {
    Some(match tag {
        tag::ON_BEHALF_OF_COMP_ID => b"128=",
        tag::ON_BEHALF_OF_SUB_ID => b"129=",
        tag::ON_BEHALF_OF_LOCATION_ID => b"145=",
        tag::DELIVER_TO_COMP_ID => b"115=",
        tag::DELIVER_TO_SUB_ID => b"116=",
        tag::DELIVER_TO_LOCATION_ID => b"144=",
        _ => return None,
    })
}

/// The fields of an answer's header, with SOH between.
#[derive(Clone, Copy)]
pub struct Route {
    bytes: [u8; ROUTE_MAX],
    len: usize,
}

impl Route {
    /// No route, as of most messages.
    pub const NONE: Route = Route { bytes: [0; ROUTE_MAX], len: 0 };

    /// The way back of a message.
    #[inline]
    pub fn of(message: &Message<'_>) -> Result<Route, Refused> {
        let mut route = Route::NONE;
        for field in message.fields() {
            let Some(tag) = back(field.tag) else { continue };
            let value = message.value(field);
            // Refused by the dictionary; the refusal does not repeat the mistake.
            if value.is_empty() {
                continue;
            }
            let start = route.len + usize::from(route.len > 0);
            let end = start + tag.len() + value.len();
            if end > ROUTE_MAX || value.iter().any(|byte| *byte < b' ') {
                return Err(Refused { tag: field.tag, reason: Reason::Incorrect });
            }
            if start > 0 {
                route.bytes[start - 1] = SOH;
            }
            route.bytes[start..start + tag.len()].copy_from_slice(tag);
            route.bytes[start + tag.len()..end].copy_from_slice(value);
            route.len = end;
        }
        Ok(route)
    }

    /// Its fields.
    pub fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The routes of one user's orders, each kept once. Only what takes a name of the user's brings one,
/// so there are no more than names.
#[derive(Default)]
pub struct Routes {
    list: Vec<Box<[u8]>>,
    known: HashMap<Box<[u8]>, RouteId>,
}

/// One of them; nothing is 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RouteId(u32);

impl Routes {
    /// Remembers a route.
    #[inline]
    pub fn keep(&mut self, route: &[u8]) -> RouteId {
        if route.is_empty() { RouteId(0) } else { self.keep_some(route) }
    }

    #[cold]
    fn keep_some(&mut self, route: &[u8]) -> RouteId {
        if let Some(id) = self.known.get(route) {
            return *id;
        }
        self.list.push(route.into());
        let id = RouteId(self.list.len() as u32);
        self.known.insert(route.into(), id);
        id
    }

    /// The fields of a route.
    #[inline]
    pub fn get<'a>(&'a self, way: Way<'a>) -> &'a [u8] {
        match way {
            Way::Kept(id) => id.0.checked_sub(1).map_or(&[], |at| &self.list[at as usize]),
            Way::Told(route) => route,
        }
    }
}

/// The way an answer goes: an order's, or a message's that is not remembered.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    Kept(RouteId),
    Told(&'a [u8]),
}

/// Writes a route into a message's header.
#[inline]
pub fn put_route(writer: &mut Writer<'_>, route: &[u8]) {
    if !route.is_empty() {
        writer.raw(route).raw(&[SOH]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fix::scan::{Scan, Scanner, checksum};

    fn of(fields: &str) -> Result<Route, Refused> {
        let body = format!("35=D|49=HUB|56=MILLRACE|34=2|{fields}").replace('|', "\x01");
        let mut text = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
        let sum = checksum(&text);
        text.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
        let mut scanner = Scanner::new();
        assert_eq!(scanner.scan(&text), Scan::Message(text.len()));
        Route::of(&scanner.message(&text))
    }

    #[test]
    fn each_end_of_a_route_becomes_the_other() {
        let route = of("115=BROKER|116=DESK|144=NY|128=VENUE|129=FLOOR|145=LD|").unwrap();
        let turned = b"128=BROKER\x01129=DESK\x01145=NY\x01115=VENUE\x01116=FLOOR\x01144=LD";
        assert_eq!(route.get(), turned);
        assert!(of("11=A|").unwrap().get().is_empty());
        assert_eq!(of("115=|116=DESK|").unwrap().get(), b"129=DESK", "nothing has no way back");
        let mut routes = Routes::default();
        let id = routes.keep(route.get());
        assert_eq!(routes.keep(route.get()), id, "kept once");
        assert_eq!(routes.get(Way::Kept(id)), turned);
        assert_ne!(routes.keep(b"128=X"), id);
        let none = routes.keep(b"");
        assert!(routes.get(Way::Kept(none)).is_empty());
    }

    #[test]
    fn what_cannot_come_back_is_refused() {
        let long = "x".repeat(ROUTE_MAX);
        let refused = |tag| Some(Refused { tag, reason: Reason::Incorrect });
        assert_eq!(of(&format!("115={long}|")).err(), refused(115));
        assert_eq!(of("115=A|116=B\x02|").err(), refused(116));
    }
}
