//! SYN cookies (RFC 4987, 3.6): the sequence number of a SYN-ACK is all that is remembered of a
//! connection that is not open yet, so a flood of SYNs has nothing to fill.
//!
//! Every connection is opened this way, not only under attack: there is one path, and it is
//! always tested. The segment size and SACK are in the cookie itself. The peer's window scale is in the
//! low bits of the timestamp that it echoes, as Linux has it: who offers no timestamps gets windows
//! below 64 KiB, which an order session has no use for more of.

use std::hash::BuildHasher;

use super::super::packet::{Options, SCALE_MAX, Tuple};
use super::conn::MSS_MIN;

/// How long a cookie of one period is given out. It is good for this one and the next.
const PERIOD_NS: u64 = 64_000_000_000;
/// Segment sizes a cookie can remember: the largest not above what the peer announced is taken.
const SIZES: [u16; 8] = [MSS_MIN, 536, 1220, 1360, 1420, 1460, 4000, 8960];
/// Of a peer that does not say (RFC 9293, 3.7.1).
const MSS_UNSAID: u16 = 536;

/// What a cookie says of the segment that brings it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Check {
    /// It follows the SYN directly; segments to the peer may be so long, and whether SACK is used.
    Good(u16, bool),
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
/// sequence number under 16 secret bits, 11 more secret bits, 1 for SACK, 3 for the segment size, 1
/// for the period. A window below 64 KiB makes those 16 bits tell the first segment from any later one.
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
    fn base(&self, tuple: &Tuple, period: u64, said: u32) -> u32 {
        self.secret.hash_one((tuple, period, said)) as u32 & !31 | said << 1 | period as u32 & 1
    }

    /// The initial sequence number for a peer that sent `irs` and these options.
    pub fn make(&self, tuple: &Tuple, irs: u32, options: &Options, now_ns: u64) -> u32 {
        let mss = options.mss.unwrap_or(MSS_UNSAID);
        let size = SIZES.iter().rposition(|size| *size <= mss).unwrap_or(0);
        let said = size as u32 | u32::from(options.sack_permitted) << 3;
        self.base(tuple, now_ns / PERIOD_NS, said) ^ irs << 16
    }

    /// Whether a cookie was made by [`Cookies::make`] for this peer, not long ago.
    pub fn check(&self, tuple: &Tuple, irs: u32, cookie: u32, now_ns: u64) -> Check {
        let now = now_ns / PERIOD_NS;
        let period = if now & 1 == u64::from(cookie & 1) { now } else { now.wrapping_sub(1) };
        let said = cookie >> 1 & 15;
        let difference = cookie ^ self.base(tuple, period, said);
        if difference & 0xffff != 0 {
            Check::Unknown
        } else if difference == irs << 16 {
            Check::Good(SIZES[(said & 7) as usize], said & 8 != 0)
        } else {
            Check::Early
        }
    }

    /// What a connection's clock is ahead of the time in milliseconds: the clock of one tells nothing of
    /// another's, nor of how long the machine is up (RFC 7323, 5.4).
    pub fn clock(&self, tuple: &Tuple) -> u32 {
        self.secret.hash_one((tuple, "clock")) as u32
    }
}

/// A timestamp not later than `now` that remembers the peer's window scale.
pub(super) fn stamp_with(now: u32, scale: Option<u8>) -> u32 {
    let said = scale.map_or(0, |scale| HAS_SCALE | u32::from(scale));
    let stamp = now & !SCALE_BITS | said;
    if stamp.wrapping_sub(now) as i32 > 0 { stamp.wrapping_sub(SCALE_BITS + 1) } else { stamp }
}

/// What [`stamp_with`] put there.
pub(super) fn scale_of(stamp: u32) -> Option<u8> {
    (stamp & HAS_SCALE != 0).then_some(((stamp & 0xf) as u8).min(SCALE_MAX))
}

const HAS_SCALE: u32 = 0x10;
const SCALE_BITS: u32 = 0x1f;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const TUPLE: Tuple = Tuple {
        remote: (Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped(), 5000),
        local: (Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped(), 7001),
    };

    #[test]
    fn rfc_4987_3_6_a_cookie_brings_back_the_segment_size_and_sack() {
        let cookies = Cookies::new();
        for (announced, size) in [
            (None, 536),
            (Some(1), MSS_MIN),
            (Some(535), MSS_MIN),
            (Some(1459), 1420),
            (Some(1460), 1460),
            (Some(9000), 8960),
        ] {
            for sack_permitted in [false, true] {
                let options = Options { mss: announced, sack_permitted, ..Options::NONE };
                let cookie = cookies.make(&TUPLE, 42, &options, 0);
                assert_eq!(cookies.check(&TUPLE, 42, cookie, 0), Check::Good(size, sack_permitted));
            }
        }
    }

    #[test]
    fn a_cookie_is_good_for_one_peer_one_number_and_two_periods() {
        let cookies = Cookies::new();
        let made_ns = 10 * PERIOD_NS + 5;
        let cookie = cookies.make(&TUPLE, 42, &Options::of_mss(1460), made_ns);
        let check = |irs, cookie, now_ns| cookies.check(&TUPLE, irs, cookie, now_ns);
        assert_eq!(check(42, cookie, made_ns + PERIOD_NS), Check::Good(1460, false));
        assert_eq!(check(42, cookie, made_ns + 2 * PERIOD_NS), Check::Unknown);
        assert_eq!(check(43, cookie, made_ns), Check::Early);
        assert_eq!(check(42, cookie ^ 32, made_ns), Check::Unknown);
        let other = Tuple { remote: (TUPLE.remote.0, 5001), ..TUPLE };
        assert_eq!(cookies.check(&other, 42, cookie, made_ns), Check::Unknown);
        assert_eq!(Cookies::new().check(&TUPLE, 42, cookie, made_ns), Check::Unknown);
    }

    #[test]
    fn rfc_7323_a_timestamp_brings_back_the_window_scale_and_is_never_ahead() {
        for now in [0, 1, 31, 32, 1000, u32::MAX] {
            assert_eq!(scale_of(stamp_with(now, None)), None);
            for scale in 0..=SCALE_MAX {
                let stamp = stamp_with(now, Some(scale));
                assert_eq!(scale_of(stamp), Some(scale));
                assert!(now.wrapping_sub(stamp) <= SCALE_BITS, "{now} {stamp}");
            }
        }
    }
}
