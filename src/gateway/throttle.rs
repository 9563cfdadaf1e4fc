//! Wrong passwords from one address are checked only so fast: a check costs a hash, and guessing
//! should cost time.

use std::net::{IpAddr, Ipv6Addr};

use crate::order::{NANOS_PER_SEC, UnixNanos};

/// Logins from one address that may fail at once.
const BURST: u64 = 20;
/// One more may after this long.
const EVERY_NS: u64 = NANOS_PER_SEC;
/// Addresses remembered; the one that is worth least gives way.
const ADDRESSES_MAX: usize = 256;

struct Source {
    /// An address of IPv4, or the network of one of IPv6: who has one address there has them all.
    of: IpAddr,
    /// When all of its tries are back.
    whole_ns: UnixNanos,
}

/// How much each address tried of late.
pub(super) struct Throttle {
    sources: Vec<Source>,
}

impl Throttle {
    pub fn new() -> Throttle {
        Throttle { sources: Vec::with_capacity(ADDRESSES_MAX) }
    }

    /// Whether a login from an address is looked at.
    pub fn admits(&self, address: IpAddr, now_ns: UnixNanos) -> bool {
        let of = source_of(address);
        let source = self.sources.iter().find(|source| source.of == of);
        source.is_none_or(|source| {
            source.whole_ns.saturating_sub(now_ns) + EVERY_NS <= BURST * EVERY_NS
        })
    }

    /// A login from an address was wrong.
    pub fn failed(&mut self, address: IpAddr, now_ns: UnixNanos) {
        let at = self.find(address, now_ns);
        let source = &mut self.sources[at];
        source.whole_ns = source.whole_ns.max(now_ns) + EVERY_NS;
    }

    fn find(&mut self, address: IpAddr, now_ns: UnixNanos) -> usize {
        let of = source_of(address);
        if let Some(at) = self.sources.iter().position(|source| source.of == of) {
            return at;
        }
        let fresh = Source { of, whole_ns: now_ns };
        if self.sources.len() < ADDRESSES_MAX {
            self.sources.push(fresh);
            return self.sources.len() - 1;
        }
        let least = self.sources.iter().enumerate().min_by_key(|(_, source)| source.whole_ns);
        let at = least.map_or(0, |(at, _)| at);
        self.sources[at] = fresh;
        at
    }
}

/// Whom an address stands for: itself, or all of its network's 64 bits (RFC 4291, 2.5.4).
fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn tries(throttle: &mut Throttle, address: IpAddr, now_ns: UnixNanos) -> u64 {
        let mut count = 0;
        while throttle.admits(address, now_ns) {
            throttle.failed(address, now_ns);
            count += 1;
        }
        count
    }

    #[test]
    fn a_flood_is_held_to_the_rate_and_others_are_not() {
        let mut throttle = Throttle::new();
        let (bad, good) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now_ns = 1_000 * NANOS_PER_SEC;
        assert_eq!(tries(&mut throttle, bad, now_ns), BURST);
        assert!(throttle.admits(good, now_ns));
        assert_eq!(tries(&mut throttle, bad, now_ns + 5 * EVERY_NS), 5);
        assert_eq!(tries(&mut throttle, bad, now_ns + 1_000 * EVERY_NS), BURST);
    }

    #[test]
    fn more_addresses_than_are_remembered_do_no_harm() {
        let mut throttle = Throttle::new();
        for n in 0..10_000u32 {
            throttle.failed(IpAddr::V4(Ipv4Addr::from(n)), NANOS_PER_SEC);
        }
        assert_eq!(throttle.sources.len(), ADDRESSES_MAX);
    }

    #[test]
    fn all_addresses_of_a_network_of_ipv6_are_one() {
        let mut throttle = Throttle::new();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        (0..BURST).for_each(|n| throttle.failed(at(&format!("2001:db8:0:1::{n}")), NANOS_PER_SEC));
        assert!(!throttle.admits(at("2001:db8:0:1:ffff::1"), NANOS_PER_SEC));
        assert!(throttle.admits(at("2001:db8:0:2::1"), NANOS_PER_SEC));
        (0..BURST).for_each(|_| throttle.failed(at("::ffff:10.0.0.1"), NANOS_PER_SEC));
        assert!(!throttle.admits(at("10.0.0.1"), NANOS_PER_SEC), "mapped, and the same");
        assert!(throttle.admits(at("10.0.0.2"), NANOS_PER_SEC));
    }
}
