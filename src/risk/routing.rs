//! Which way an order goes, and what happens when a venue comes and goes.

use std::sync::Arc;

use super::Risk;
use super::displayed::Displayed;
use crate::book::Digest;
use crate::order::{
    Command, CommandKind, Destination, LISTED_MAX, PROTOCOL_AT, Policy, Price, Reject, Route, Slot,
    SymbolId, UnixNanos, UserId, VENUE, VENUES_MAX,
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
    /// Ahead of that, who displays the best price at which the order would trade.
    pub by_price: bool,
}

impl FirmRouting {
    /// Its venues that take an order, in the order in which that is to try them; of a lower `rank` first, if prices are
    /// looked at.
    fn in_order(&self, takes: impl Fn(u8) -> bool, rank: impl Fn(u8) -> u32, place: u64) -> Route {
        let takes = |(venue, _): &&(u8, u32)| takes(*venue);
        let whole: u64 = self.venues.iter().filter(&takes).map(|(_, part)| u64::from(*part)).sum();
        let mut first = None;
        if whole > 0 {
            // Parts of the sequence, not of a count: several gateways come to the same.
            let mut at = place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            at = (at * whole) >> 32;
            for (venue, part) in self.venues.iter().filter(&takes) {
                if at < u64::from(*part) {
                    first = Some(*venue);
                    break;
                }
                at -= u64::from(*part);
            }
        }
        let others = self.venues.iter().filter(&takes).map(|(venue, _)| *venue);
        let others = others.filter(|venue| Some(*venue) != first);
        let listed = first.into_iter().chain(others).take(LISTED_MAX);
        if !self.by_price {
            return Route::new(self.policy, listed);
        }
        let mut ranked = [(0, 0); LISTED_MAX];
        let mut count = 0;
        for (place, venue) in ranked.iter_mut().zip(listed) {
            *place = (rank(venue), venue);
            count += 1;
        }
        // A few, and those of one rank stay as they were.
        let ranked = &mut ranked[..count];
        for at in 1..count {
            let mut to = at;
            while to > 0 && ranked[to - 1].0 > ranked[to].0 {
                ranked.swap(to - 1, to);
                to -= 1;
            }
        }
        Route::new(self.policy, ranked.iter().map(|(_, venue)| *venue))
    }
}

/// What is known of ways out. Venues have numbers in the order in which they became known, from 1.
#[derive(Default)]
pub struct Routing {
    /// By firm; those behind the last have nothing to do with venues.
    pub firms: Vec<FirmRouting>,
    /// What each venue takes.
    pub terms: Vec<VenueTerms>,
    venues: Vec<UserId>,
    up: [bool; VENUES_MAX + 1],
    /// Orders that may be at a venue which came or went are looked for.
    chases: Vec<Chase>,
}

/// What a venue takes.
#[derive(Clone, Debug, Default)]
pub struct VenueTerms {
    /// Its symbols; nothing is all of them.
    pub symbols: Option<Vec<bool>>,
    /// Messages in a second; 0 is any number.
    pub per_second: u32,
    /// What it displays, if anybody follows its market data.
    pub displayed: Option<Arc<Displayed>>,
}

/// A look through all orders.
#[derive(Clone, Copy)]
struct Chase {
    venue: UserId,
    /// As in [`CommandKind::VenueState`].
    state: u32,
    next: u32,
    /// When it began, and how many orders it found.
    begun_ns: UnixNanos,
    found: u64,
}

/// What a step of such a look came to.
#[derive(Clone, Copy, Debug)]
pub enum Chased {
    /// A command about an order, sequenced.
    Found(Command),
    /// Nothing among those that one turn looks at.
    Nothing,
    /// The venue is to be asked no faster than it answers.
    Later,
}

/// What may be asked at once, in parts of what a venue takes in a second.
const BURST: u64 = 20;

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
        let terms = self.terms.get(usize::from(venue) - 1);
        let listed = terms.and_then(|terms| terms.symbols.as_ref());
        self.up[usize::from(venue)]
            && listed.is_none_or(|listed| listed.get(symbol.index()) == Some(&true))
    }

    /// How far from the best a venue's price is for an order; the same for all at which it would not trade now, as far as
    /// they tell.
    fn rank(&self, venue: u8, command: &Command) -> u32 {
        let displayed = self.terms.get(usize::from(venue) - 1);
        let displayed = displayed.and_then(|terms| terms.displayed.as_ref());
        let facing = displayed.and_then(|known| known.facing(command.symbol, command.side));
        let market = command.price == Price::MARKET;
        match facing {
            Some(ask) if command.side.is_buy() && (market || ask <= command.price) => ask.0,
            Some(bid) if !command.side.is_buy() && (market || bid >= command.price) => !bid.0,
            _ => u32::MAX,
        }
    }
}

impl Risk {
    /// Sets what firms' orders do, and what venues trade.
    pub fn set_routing(&mut self, firms: Vec<FirmRouting>, terms: Vec<VenueTerms>) {
        (self.routing.firms, self.routing.terms) = (firms, terms);
        // A journal's own were carried out as it tells.
        self.routing.chases.clear();
    }

    /// A venue's number, if the user is one.
    pub fn venue_of(&self, user: UserId) -> Option<u8> {
        let at = self.routing.venues.iter().position(|venue| *venue == user)?;
        Some(at as u8 + 1)
    }

    /// What a venue displays, if its market data is followed.
    pub fn displayed_by(&self, venue: UserId) -> Option<Arc<Displayed>> {
        let number = self.venue_of(venue)?;
        self.routing.terms.get(usize::from(number) - 1)?.displayed.clone()
    }

    /// The way of a new order.
    #[inline]
    pub(super) fn find_way(&self, command: &Command) -> Result<Route, Reject> {
        if self.routing.firms.is_empty() && command.destination == 0 {
            return Ok(Route::INTERNAL);
        }
        self.find_way_of(command)
    }

    fn find_way_of(&self, command: &Command) -> Result<Route, Reject> {
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
            if self.is_full_for(command.user, number) {
                return Err(Reject::VenueBusy);
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
        let takes = |venue| self.routing.takes(venue, command.symbol);
        let has_room = |venue| takes(venue) && !self.is_full_for(command.user, venue);
        let rank = |venue| self.routing.rank(venue, command);
        let route = firm.in_order(has_room, rank, self.last_seq.0 + 1);
        match route.next() {
            Some(_) => Ok(route),
            None if firm.venues.iter().any(|(venue, _)| takes(*venue)) => Err(Reject::VenueBusy),
            None if firm.policy == Policy::RouteOnly => Err(Reject::DestinationClosed),
            None => Ok(Route::INTERNAL),
        }
    }

    /// Orders of a user for which a venue owes an answer.
    pub fn waiting_for(&self, user: UserId, venue: u8) -> u32 {
        self.users[user.index()].waiting[usize::from(venue) - 1]
    }

    /// Whether so many orders of a user wait for a venue that no more may go there.
    #[inline]
    fn is_full_for(&self, user: UserId, venue: u8) -> bool {
        self.waiting_for(user, venue) >= self.limits(user).max_unanswered
    }

    /// Whether that is so for any venue.
    pub(super) fn is_any_full_for(&self, user: UserId) -> bool {
        let most = self.limits(user).max_unanswered;
        self.users[user.index()].waiting.iter().any(|waiting| *waiting >= most)
    }

    /// An order was accepted that may go out.
    #[inline(never)]
    pub(super) fn begin_way(&mut self, slot: Slot, route: Route) {
        if let (Policy::RouteOnly | Policy::PostOut, Some(venue)) = (route.policy(), route.next()) {
            // What of it does not trade here goes there, for sure.
            self.wait_for(slot, venue);
        }
    }

    /// An order waits for the answer of a venue now, or (0) of none.
    #[inline(never)]
    pub(super) fn wait_for(&mut self, slot: Slot, venue: u8) {
        let order = &mut self.orders.shadows[slot.index()];
        let waiting = &mut self.users[order.user.index()].waiting;
        let before = std::mem::replace(&mut order.waits_for, venue);
        if let Some(at) = before.checked_sub(1) {
            waiting[usize::from(at)] -= 1;
        }
        if let Some(at) = venue.checked_sub(1) {
            waiting[usize::from(at)] += 1;
        }
    }

    /// A venue came or went: the orders it may have are looked for.
    pub(super) fn set_venue(&mut self, venue: UserId, state: u32) {
        let Some(number) = self.venue_of(venue) else { return };
        self.routing.up[usize::from(number)] = state > 0;
        self.routing.chases.retain(|chase| chase.venue != venue);
        let begun_ns = self.last_time_ns;
        self.routing.chases.push(Chase { venue, state, next: 0, begun_ns, found: 0 });
    }

    /// Whether orders are looked for that a venue may have.
    pub fn is_chasing(&self) -> bool {
        !self.routing.chases.is_empty()
    }

    /// Whether a venue was up when this was last told.
    pub fn is_up(&self, venue: UserId) -> bool {
        self.venue_of(venue).is_some_and(|number| self.routing.up[usize::from(number)])
    }

    /// Whether a venue may be asked about one more order: by half of what it takes, the other half is for what is new.
    fn may_ask(&self, chase: &Chase, now_ns: UnixNanos) -> bool {
        let venue = self.venue_of(chase.venue).unwrap_or(0);
        let terms = usize::from(venue).checked_sub(1).and_then(|at| self.routing.terms.get(at));
        let per_second = terms.map_or(0, |terms| u64::from(terms.per_second));
        let passed_us = now_ns.saturating_sub(chase.begun_ns) / 1_000;
        let asked = (per_second / BURST).max(1) + passed_us.saturating_mul(per_second) / 2_000_000;
        chase.state == 0 || per_second == 0 || chase.found < asked
    }

    /// The next command about an order that a venue which came or went may have.
    pub fn next_chase(&mut self, now_ns: UnixNanos) -> Chased {
        if self.routing.chases.last().is_some_and(|chase| !self.may_ask(chase, now_ns)) {
            return Chased::Later;
        }
        for _ in 0..LOOKS_MAX {
            let Some(chase) = self.routing.chases.last_mut() else { break };
            let Some(order) = self.orders.shadows.get(chase.next as usize) else {
                self.routing.chases.pop();
                continue;
            };
            let slot = Slot(chase.next);
            chase.next += 1;
            if !(order.live && order.routed) {
                continue;
            }
            // Where only what owes an answer is asked for, the others cost the venue nothing.
            chase.found += u64::from(chase.state != 1 || order.waits_for > 0);
            let chase = *chase;
            let mut command = Command {
                slot,
                symbol: order.symbol,
                qty: chase.state,
                ..Command::new(CommandKind::Chase, chase.venue, order.firm)
            };
            self.sequence_own(&mut command, now_ns);
            return Chased::Found(command);
        }
        Chased::Nothing
    }
}
