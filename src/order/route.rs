//! Where an order goes: through the book, out to venues, or both.

use super::Command;

/// Venues that one process knows, at most.
pub const VENUES_MAX: usize = 15;

/// Venues that one order's way has, at most.
pub const LISTED_MAX: usize = 7;

/// What is done with an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Policy {
    /// It meets the book and rests there.
    #[default]
    InternalOnly = 0,
    /// It meets the book; what is left of an order that trades at once, or can, goes out, and any other rests here.
    CrossThenRoute = 1,
    /// It goes straight out.
    RouteOnly = 2,
    /// It meets the book; whatever is left rests outside.
    PostOut = 3,
}

/// Where a client wants its order, beside its firm's policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Destination {
    /// It does not say.
    #[default]
    Unsaid,
    /// Here, and nowhere else.
    Here,
    /// The venue of that number, from 1.
    Venue(u8),
}

const HERE: u8 = u8::MAX;

impl Destination {
    /// As a command carries it.
    pub const fn code(self) -> u8 {
        match self {
            Destination::Unsaid => 0,
            Destination::Here => HERE,
            Destination::Venue(number) => number,
        }
    }

    /// Read back.
    pub const fn of_code(code: u8) -> Destination {
        match code {
            0 => Destination::Unsaid,
            HERE => Destination::Here,
            number => Destination::Venue(number),
        }
    }
}

/// An order's way: a policy, and the venues that are still to be tried, the first one first. Risk finds it, the
/// command carries it, and a replay takes it as it is: a policy in the low four bits, a venue's number in each four
/// behind, 0 at the end.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Route(pub u32);

const BITS: u32 = 4;
const MASK: u32 = (1 << BITS) - 1;

impl Route {
    /// Through the book alone.
    pub const INTERNAL: Route = Route(0);

    /// A policy with venues to be tried in order; those beyond [`LISTED_MAX`] are left out.
    pub fn new(policy: Policy, venues: impl IntoIterator<Item = u8>) -> Route {
        let mut route = Route(policy as u32);
        for (at, venue) in (1..=LISTED_MAX as u32).zip(venues) {
            debug_assert!((1..=VENUES_MAX).contains(&usize::from(venue)), "a venue's number");
            route.0 |= (u32::from(venue) & MASK) << (at * BITS);
        }
        route
    }

    /// What is done.
    #[inline]
    pub const fn policy(self) -> Policy {
        match self.0 & MASK {
            1 => Policy::CrossThenRoute,
            2 => Policy::RouteOnly,
            3 => Policy::PostOut,
            _ => Policy::InternalOnly,
        }
    }

    /// The next venue, if there is one.
    #[inline]
    pub const fn next(self) -> Option<u8> {
        match self.0 >> BITS & MASK {
            0 => None,
            venue => Some(venue as u8),
        }
    }

    /// What is left of the way behind the next venue.
    #[inline]
    pub const fn behind(self) -> Route {
        Route((self.0 >> BITS) & !MASK | self.0 & MASK)
    }

    /// All its venues.
    pub fn venues(self) -> impl Iterator<Item = u8> {
        let mut left = self;
        std::iter::from_fn(move || {
            let venue = left.next();
            left = left.behind();
            venue
        })
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} by {:?}", self.policy(), self.venues().collect::<Vec<_>>())
    }
}

impl Command {
    /// The way of an Enter.
    #[inline]
    pub const fn route(&self) -> Route {
        Route(self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_way_is_read_back(policy in 0u32..4, venues in prop::collection::vec(1u8..=15, 0..9)) {
            let policy = Route(policy).policy();
            let route = Route::new(policy, venues.iter().copied());
            let kept = &venues[..venues.len().min(LISTED_MAX)];
            prop_assert_eq!(route.policy(), policy);
            prop_assert_eq!(route.venues().collect::<Vec<_>>(), kept);
            prop_assert_eq!(route.next(), kept.first().copied());
            prop_assert_eq!(route.behind().policy(), policy);
        }
    }

    #[test]
    fn old_journals_say_internal() {
        assert_eq!(Route(0).policy(), Policy::InternalOnly);
        assert_eq!(Route(0).next(), None);
        assert_eq!(Destination::of_code(0), Destination::Unsaid);
        for destination in [Destination::Here, Destination::Venue(3)] {
            assert_eq!(Destination::of_code(destination.code()), destination);
        }
    }
}
