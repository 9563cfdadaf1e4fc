//! Which way an order goes, and what happens when a venue comes and goes.

use super::Risk;
use crate::book::Digest;
use crate::order::{
    Command, CommandKind, Destination, LISTED_MAX, PROTOCOL_AT, Policy, Reject, Route, Slot,
    SymbolId, UserId, VENUE, VENUES_MAX,
};

/// Slots looked at in one turn for orders that a venue may have.
const LOOKS_MAX: usize = 4_096;

/// What a firm's orders do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmRouting {
    /// Without a word of the client's.
    pub policy: Policy,
    /// Venues by their numbers, in order of preference, and how large a part of the orders each is to have first; if
    /// none has a part, the first one has all that it trades.
    pub venues: Vec<(u8, u32)>,
}

/// What is known of ways out. Venues have numbers in the order in which they became known, from 1.
#[derive(Default)]
pub struct Routing {
    /// By firm; those behind the last have nothing to do with venues.
    pub firms: Vec<FirmRouting>,
    /// For each venue, the symbols that it trades; nothing is all of them.
    pub symbols: Vec<Option<Vec<bool>>>,
    venues: Vec<UserId>,
    up: [bool; VENUES_MAX + 1],
    /// Orders that may be at a venue which came or went are looked for.
    chases: Vec<Chase>,
}

/// A look through all orders.
#[derive(Clone, Copy)]
struct Chase {
    venue: UserId,
    /// As in [`CommandKind::VenueState`].
    state: u32,
    next: u32,
}

impl Routing {
    /// Takes in who is a venue.
    pub(super) fn define(&mut self, command: &Command) {
        let is_venue = command.text[PROTOCOL_AT] & VENUE != 0;
        if is_venue && !self.venues.contains(&command.user) {
            self.venues.push(command.user);
        }
    }

    /// Adds what a journal decides.
    pub(super) fn add_to(&self, digest: &mut Digest) {
        for (venue, up) in self.venues.iter().zip(&self.up[1..]) {
            digest.add(u64::from(venue.0) << 1 | u64::from(*up));
        }
    }

    /// Whether a venue can be sent an order of a symbol now.
    fn takes(&self, venue: u8, symbol: SymbolId) -> bool {
        let listed = self.symbols.get(usize::from(venue) - 1).and_then(Option::as_ref);
        self.up[usize::from(venue)]
            && listed.is_none_or(|listed| listed.get(symbol.index()) == Some(&true))
    }

    /// Venues of a firm, in the order in which an order is to try them.
    fn in_order(&self, firm: &FirmRouting, command: &Command, place: u64) -> Route {
        let takes = |(venue, _): &&(u8, u32)| self.takes(*venue, command.symbol);
        let whole: u64 = firm.venues.iter().filter(takes).map(|(_, part)| u64::from(*part)).sum();
        let mut first = None;
        if whole > 0 {
            // Parts of the sequence, not of a count: several gateways come to the same.
            let mut at = place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            at = (at * whole) >> 32;
            for (venue, part) in firm.venues.iter().filter(takes) {
                if at < u64::from(*part) {
                    first = Some(*venue);
                    break;
                }
                at -= u64::from(*part);
            }
        }
        let others = firm.venues.iter().filter(takes).map(|(venue, _)| *venue);
        let others = others.filter(|venue| Some(*venue) != first);
        Route::new(firm.policy, first.into_iter().chain(others).take(LISTED_MAX))
    }
}

impl Risk {
    /// Sets what firms' orders do, and what venues trade.
    pub fn set_routing(&mut self, firms: Vec<FirmRouting>, symbols: Vec<Option<Vec<bool>>>) {
        (self.routing.firms, self.routing.symbols) = (firms, symbols);
        // A journal's own were carried out as it tells.
        self.routing.chases.clear();
    }

    /// A venue's number, if the user is one.
    pub fn venue_of(&self, user: UserId) -> Option<u8> {
        let at = self.routing.venues.iter().position(|venue| *venue == user)?;
        Some(at as u8 + 1)
    }

    /// The way of a new order.
    #[inline]
    pub(super) fn find_way(&self, command: &Command) -> Result<Route, Reject> {
        let destination = Destination::of_code(command.destination);
        let firm = self.routing.firms.get(command.firm.index());
        match (destination, firm) {
            (Destination::Unsaid, None) | (Destination::Here, _) => Ok(Route::INTERNAL),
            (Destination::Venue(_), None) => Err(Reject::RoutingNotAllowed),
            (destination, Some(firm)) => self.find_way_out(command, destination, firm),
        }
    }

    fn find_way_out(
        &self,
        command: &Command,
        destination: Destination,
        firm: &FirmRouting,
    ) -> Result<Route, Reject> {
        if let Destination::Venue(number) = destination {
            let mut known = firm.venues.iter().map(|(venue, _)| *venue);
            if !known.any(|venue| venue == number) {
                return Err(Reject::RoutingNotAllowed);
            }
            if !self.routing.takes(number, command.symbol) {
                return Err(Reject::DestinationClosed);
            }
            let policy = match firm.policy {
                Policy::RouteOnly => Policy::RouteOnly,
                // Whoever names a venue wants to have it there, and not to rest here.
                _ => Policy::PostOut,
            };
            return Ok(Route::new(policy, [number]));
        }
        if firm.policy == Policy::InternalOnly {
            return Ok(Route::INTERNAL);
        }
        let route = self.routing.in_order(firm, command, self.last_seq.0 + 1);
        match route.next() {
            Some(_) => Ok(route),
            None if firm.policy == Policy::RouteOnly => Err(Reject::DestinationClosed),
            None => Ok(Route::INTERNAL),
        }
    }

    /// A venue came or went: the orders it may have are looked for.
    pub(super) fn set_venue(&mut self, venue: UserId, state: u32) {
        let Some(number) = self.venue_of(venue) else { return };
        self.routing.up[usize::from(number)] = state > 0;
        self.routing.chases.retain(|chase| chase.venue != venue);
        self.routing.chases.push(Chase { venue, state, next: 0 });
    }

    /// Whether orders are looked for that a venue may have.
    pub fn is_chasing(&self) -> bool {
        !self.routing.chases.is_empty()
    }

    /// Whether a venue was up when this was last told.
    pub fn is_up(&self, venue: UserId) -> bool {
        self.venue_of(venue).is_some_and(|number| self.routing.up[usize::from(number)])
    }

    /// The next command about an order that a venue which came or went may have, sequenced; nothing if none was found
    /// among those that one turn looks at.
    pub fn next_chase(&mut self, now_ns: u64) -> Option<Command> {
        for _ in 0..LOOKS_MAX {
            let chase = self.routing.chases.last_mut()?;
            let Some(order) = self.orders.shadows.get(chase.next as usize) else {
                self.routing.chases.pop();
                continue;
            };
            let slot = Slot(chase.next);
            chase.next += 1;
            if !(order.live && order.routed) {
                continue;
            }
            let chase = *chase;
            let mut command = Command {
                slot,
                symbol: order.symbol,
                qty: chase.state,
                ..Command::new(CommandKind::Chase, chase.venue, order.firm)
            };
            self.sequence_own(&mut command, now_ns);
            return Some(command);
        }
        None
    }
}
