//! Order among sequence numbers, which begin again at zero (RFC 9293, 3.4).

/// How far `a` is ahead of `b`; negative if it is behind.
#[inline]
pub(super) fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// Whether `a` comes before `b`.
#[inline]
pub(super) fn before(a: u32, b: u32) -> bool {
    ahead(a, b) < 0
}

/// The one further on.
#[inline]
pub(super) fn later(a: u32, b: u32) -> u32 {
    if before(a, b) { b } else { a }
}

/// The one less far.
#[inline]
pub(super) fn earlier(a: u32, b: u32) -> u32 {
    if before(a, b) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_goes_on_across_zero() {
        assert!(before(u32::MAX, 0) && before(u32::MAX - 5, 7) && !before(7, 7));
        assert_eq!((ahead(3, u32::MAX), ahead(u32::MAX, 3)), (4, -4));
        assert_eq!((later(u32::MAX, 1), earlier(u32::MAX, 1)), (1, u32::MAX));
    }
}
