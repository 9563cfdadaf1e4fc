//! SYN cookies (RFC 4987, 3.6): the sequence number of a SYN-ACK is all that is remembered of a
//! connection that is not open yet, so a flood of SYNs has nothing to fill.
//!
//! Every connection is opened this way, not only under attack: there is one path, and it is
//! always tested. What it costs is the SYN's options: neither window scaling nor timestamps nor
//! selective acknowledgements are agreed on. An order session has no use for windows above
//! 64 KiB.

use std::hash::BuildHasher;

use super::super::packet::Tuple;

/// How long a cookie of one period is given out. It is good for this one and the next.
const PERIOD_NS: u64 = 64_000_000_000;
/// Segment sizes a cookie can remember: the largest not above what the peer announced is taken.
const SIZES: [u16; 4] = [536, 1220, 1460, 8960];

/// What a cookie says of the segment that brings it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Check {
    /// It follows the SYN directly; segments to the peer may be so long.
    Good(u16),
    /// It is the peer's, but does not follow the SYN: one before it was lost or overtaken.
    Early,
    /// Not a cookie of ours, or too old.
    Unknown,
}

/// Random for each process; fixed where a fuzzer has to see the same twice.
#[cfg(not(fuzzing))]
type Secret = std::hash::RandomState;
#[cfg(fuzzing)]
type Secret = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// Gives out and recognizes cookies. From the top: the low 16 bits of the peer's initial
/// sequence number under 16 secret bits, 13 more secret bits, 2 for the segment size, 1 for the
/// period. A window below 64 KiB makes those 16 bits tell the first segment from any later one.
pub(super) struct Cookies {
    secret: Secret,
}

impl Cookies {
    /// With a secret of its own, from the system's random numbers.
    pub fn new() -> Cookies {
        Cookies { secret: Secret::default() }
    }

    /// The cookie of a peer whose initial sequence number ends in 16 zero bits. SipHash over both
    /// ends: the numbers of two connections tell nothing of each other (RFC 6528).
    fn base(&self, tuple: &Tuple, period: u64, size: usize) -> u32 {
        self.secret.hash_one((tuple, period, size)) as u32 & !7
            | (size as u32) << 1
            | period as u32 & 1
    }

    /// The initial sequence number for a peer that sent `irs` and its MSS.
    pub fn make(&self, tuple: &Tuple, irs: u32, mss: Option<u16>, now_ns: u64) -> u32 {
        // RFC 9293, 3.7.1: 536 if the peer does not say.
        let mss = mss.unwrap_or(SIZES[0]);
        let size = SIZES.iter().rposition(|size| *size <= mss).unwrap_or(0);
        self.base(tuple, now_ns / PERIOD_NS, size) ^ irs << 16
    }

    /// Whether a cookie was made by [`Cookies::make`] for this peer, not long ago.
    pub fn check(&self, tuple: &Tuple, irs: u32, cookie: u32, now_ns: u64) -> Check {
        let now = now_ns / PERIOD_NS;
        let period = if now & 1 == u64::from(cookie & 1) { now } else { now.wrapping_sub(1) };
        let size = (cookie >> 1 & 3) as usize;
        let difference = cookie ^ self.base(tuple, period, size);
        if difference & 0xffff != 0 {
            Check::Unknown
        } else if difference == irs << 16 {
            Check::Good(SIZES[size])
        } else {
            Check::Early
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const TUPLE: Tuple = Tuple {
        remote: (Ipv4Addr::new(10, 0, 0, 1), 5000),
        local: (Ipv4Addr::new(10, 0, 0, 2), 7001),
    };

    #[test]
    fn a_cookie_brings_back_the_segment_size() {
        let cookies = Cookies::new();
        for (announced, size) in [
            (None, 536),
            (Some(100), 536),
            (Some(1459), 1220),
            (Some(1460), 1460),
            (Some(9000), 8960),
        ] {
            let cookie = cookies.make(&TUPLE, 42, announced, 0);
            assert_eq!(cookies.check(&TUPLE, 42, cookie, 0), Check::Good(size));
        }
    }

    #[test]
    fn a_cookie_is_good_for_one_peer_one_number_and_two_periods() {
        let cookies = Cookies::new();
        let made_ns = 10 * PERIOD_NS + 5;
        let cookie = cookies.make(&TUPLE, 42, Some(1460), made_ns);
        let check = |irs, cookie, now_ns| cookies.check(&TUPLE, irs, cookie, now_ns);
        assert_eq!(check(42, cookie, made_ns + PERIOD_NS), Check::Good(1460));
        assert_eq!(check(42, cookie, made_ns + 2 * PERIOD_NS), Check::Unknown);
        assert_eq!(check(43, cookie, made_ns), Check::Early);
        assert_eq!(check(42, cookie ^ 8, made_ns), Check::Unknown);
        let other = Tuple { remote: (TUPLE.remote.0, 5001), ..TUPLE };
        assert_eq!(cookies.check(&other, 42, cookie, made_ns), Check::Unknown);
        assert_eq!(Cookies::new().check(&TUPLE, 42, cookie, made_ns), Check::Unknown);
    }
}
