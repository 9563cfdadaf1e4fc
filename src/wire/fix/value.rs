//! Values as FIX writes them (FIX 4.4 volume 1, "FIX data types").

use crate::order::Price;

/// Nanoseconds of a day.
const DAY_NS: u64 = 86_400 * 1_000_000_000;

/// An int without sign: digits, leading zeros allowed; `None` if it is none or above `u64`.
#[inline]
pub fn number(text: &[u8]) -> Option<u64> {
    /// As many digits always fit.
    const SURE: usize = 19;
    if text.is_empty() || text.len() > SURE + 1 {
        return None;
    }
    let (mut value, mut wrong) = (0u64, false);
    let (sure, last) = text.split_at(text.len().min(SURE));
    for digit in sure {
        let digit = digit.wrapping_sub(b'0');
        wrong |= digit > 9;
        value = value * 10 + u64::from(digit & 0x0f);
    }
    for digit in last {
        let digit = digit.wrapping_sub(b'0');
        wrong |= digit > 9;
        value = value.checked_mul(10)?.checked_add(digit.into())?;
    }
    (!wrong).then_some(value)
}

/// A Qty that is a whole number, with or without a fraction of zeros.
#[inline]
pub fn quantity(text: &[u8]) -> Option<u32> {
    let (whole, fraction) = split(text);
    let zeros = fraction.iter().all(|digit| *digit == b'0');
    if !zeros {
        return None;
    }
    u32::try_from(number(whole)?).ok()
}

/// A Price of four decimals at most; more of them only if they are zeros.
#[inline]
pub fn price(text: &[u8]) -> Option<Price> {
    let (whole, fraction) = split(text);
    let whole = if whole.is_empty() && !fraction.is_empty() { 0 } else { number(whole)? };
    let mut parts = 0u64;
    for (at, digit) in fraction.iter().enumerate() {
        match digit {
            b'0'..=b'9' if at < 4 => parts = parts * 10 + u64::from(digit - b'0'),
            b'0' => {}
            _ => return None,
        }
    }
    for _ in fraction.len()..4 {
        parts *= 10;
    }
    let ticks = whole.checked_mul(10_000)?.checked_add(parts)?;
    u32::try_from(ticks).ok().map(Price)
}

/// What stands before the point, and behind it.
#[inline]
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

/// A Boolean.
#[inline]
pub fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"Y" => Some(true),
        b"N" => Some(false),
        _ => None,
    }
}

/// A char.
#[inline]
pub fn character(text: &[u8]) -> Option<u8> {
    match text {
        [character] => Some(*character),
        _ => None,
    }
}

/// Eight characters as one word, the first in the lowest byte.
#[inline]
fn word(text: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*text)
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Whether every byte is 9 at most.
#[inline]
fn are_digits(word: u64) -> bool {
    (word | (word.wrapping_add(ONES * 0x76))) & (ONES * 0x80) == 0
}

/// A UTCTimestamp, `YYYYMMDD-HH:MM:SS` with nothing, three, six or nine decimals, as Unix
/// nanoseconds. Date and time are words of eight characters each.
#[inline]
pub fn timestamp(text: &[u8]) -> Option<u64> {
    let days = day_of(text.first_chunk()?)?;
    let time = word(text.get(9..17)?.try_into().ok()?) ^ word(b"00:00:00");
    let colons = 0x0000_ff00_00ff_0000;
    // The digits of each pair as ten times the first and the second.
    let pairs = (time & (ONES * 0x0f)).wrapping_mul(10).wrapping_add(time >> 8);
    let (hour, minute, second) = (pairs & 0xff, pairs >> 24 & 0xff, pairs >> 48 & 0xff);
    let wrong = text[8] != b'-' || time & colons != 0 || !are_digits(time);
    // A leap second is the first of the next minute here.
    if wrong || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let fraction = match &text[17..] {
        [] => 0,
        [b'.', digits @ ..] if matches!(digits.len(), 3 | 6 | 9) => {
            number(digits)? * 10u64.pow(9 - digits.len() as u32)
        }
        _ => return None,
    };
    let of_day = ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction;
    days.checked_mul(DAY_NS)?.checked_add(of_day)
}

/// `YYYYMMDD` as days since 1970-01-01.
#[inline]
fn day_of(text: &[u8; 8]) -> Option<u64> {
    let digits = word(text) ^ (ONES * u64::from(b'0'));
    if !are_digits(digits) {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let pair = |at: u32| pairs >> (16 * at) & 0xff;
    calendar_day(pair(0) * 100 + pair(1), pair(2), pair(3))
}

/// A LocalMktDate or UTCDate, `YYYYMMDD`, as days since 1970-01-01.
pub fn date(text: &[u8]) -> Option<u64> {
    day_of(text.try_into().ok()?)
}

/// Days since 1970-01-01 of a day that there is.
#[inline]
fn calendar_day(year: u64, month: u64, day: u64) -> Option<u64> {
    const DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = *DAYS.get((month.checked_sub(1)?) as usize)? + u64::from(leap && month == 2);
    (year >= 1970 && day != 0 && day <= length).then(|| days_since_1970(year, month, day))
}

/// Days of the Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// Year, month and day of days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (year + era * 400, if month < 10 { month + 3 } else { month - 9 });
    (year + u64::from(month <= 2), month, day)
}

/// Bytes of a UTCTimestamp with microseconds.
pub const TIMESTAMP_BYTES: usize = 24;

/// Writes UTCTimestamps with microseconds; the part up to the second is kept from one to the next.
#[derive(Clone, Debug)]
pub struct Timestamps {
    second: u64,
    text: [u8; TIMESTAMP_BYTES],
}

impl Default for Timestamps {
    fn default() -> Timestamps {
        Timestamps { second: u64::MAX, text: *b"19700101-00:00:00.000000" }
    }
}

impl Timestamps {
    /// The text of a time in Unix nanoseconds.
    #[inline]
    pub fn text(&mut self, unix_ns: u64) -> &[u8; TIMESTAMP_BYTES] {
        let second = unix_ns / 1_000_000_000;
        if second != self.second {
            self.set_second(second);
        }
        let mut micros = (unix_ns % 1_000_000_000) / 1000;
        for digit in self.text[18..].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        &self.text
    }

    #[cold]
    fn set_second(&mut self, second: u64) {
        self.second = second;
        let (year, month, day) = civil(second / 86_400);
        let of_day = second % 86_400;
        let parts = [
            (0, year / 100),
            (2, year % 100),
            (4, month),
            (6, day),
            (9, of_day / 3600),
            (12, of_day / 60 % 60),
            (15, of_day % 60),
        ];
        for (at, value) in parts {
            self.text[at] = b'0' + (value / 10 % 10) as u8;
            self.text[at + 1] = b'0' + (value % 10) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_quantities_and_prices() {
        assert_eq!(number(b"0042"), Some(42));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"-1", b"+1", b"1 ", b"18446744073709551616", b"1.0"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
        assert_eq!(quantity(b"100"), Some(100));
        assert_eq!(quantity(b"100.00"), Some(100));
        assert_eq!(quantity(b"100.5"), None);
        assert_eq!(quantity(b"4294967296"), None);
        assert_eq!(price(b"190"), Some(Price(1_900_000)));
        assert_eq!(price(b"190.25"), Some(Price(1_902_500)));
        assert_eq!(price(b".25"), Some(Price(2_500)));
        assert_eq!(price(b"0.00010"), Some(Price(1)));
        for bad in [&b"0.00001"[..], b"-1", b"1.2.3", b"", b".", b"429496.7296", b"1,5"] {
            assert_eq!(price(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn timestamps_are_read_and_refused() {
        let second = 1_782_907_445_000_000_000;
        assert_eq!(timestamp(b"20260701-12:04:05"), Some(second));
        assert_eq!(timestamp(b"20260701-12:04:05.678"), Some(second + 678_000_000));
        assert_eq!(timestamp(b"20260701-12:04:05.000000001"), Some(second + 1));
        for bad in [
            &b"20260701-12:04"[..],
            b"20260701 12:04:05",
            b"20260732-12:04:05",
            b"20260229-12:04:05",
            b"20261301-12:04:05",
            b"20260701-24:04:05",
            b"20260701-12:04:05.1",
            b"19691231-23:59:59",
        ] {
            assert_eq!(timestamp(bad), None, "{}", String::from_utf8_lossy(bad));
        }
        assert!(timestamp(b"20240229-00:00:00").is_some());
    }

    /// A timestamp read one digit after the other.
    fn plain(text: &[u8]) -> Option<u64> {
        let part = |from: usize, to: usize| {
            let digits = &text[from..to];
            let all = digits.iter().all(u8::is_ascii_digit);
            all.then(|| digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
        };
        let days = calendar_day(part(0, 4)?, part(4, 6)?, part(6, 8)?)?;
        let (hour, minute, second) = (part(9, 11)?, part(12, 14)?, part(15, 17)?);
        let good = (text[8], text[11], text[14]) == (b'-', b':', b':')
            && (hour < 24 && minute < 60 && second <= 60);
        let of_day = ((hour * 60 + minute) * 60 + second) * 1_000_000_000;
        good.then(|| days.checked_mul(DAY_NS)?.checked_add(of_day)).flatten()
    }

    #[test]
    fn any_character_anywhere_is_read_as_digit_by_digit() {
        for good in [b"20260701-12:04:05", b"19991231-23:59:60", b"20000229-00:10:09"] {
            for (at, with) in (0..good.len()).flat_map(|at| (0..=255).map(move |with| (at, with))) {
                let mut text = *good;
                text[at] = with;
                assert_eq!(timestamp(&text), plain(&text), "{}", String::from_utf8_lossy(&text));
            }
        }
    }

    proptest! {
        #[test]
        fn any_two_characters_are_read_as_digit_by_digit(
            places in [0usize..17, 0usize..17], with in any::<[u8; 2]>(), near in any::<bool>()
        ) {
            let mut text = *b"20260701-12:04:05";
            for (at, with) in places.into_iter().zip(with) {
                text[at] = if near { b'*' + with % 24 } else { with };
            }
            prop_assert_eq!(timestamp(&text), plain(&text));
        }

        #[test]
        fn what_is_written_is_read(times in prop::collection::vec(0u64..7_000_000_000_000_000_000, 1..20)) {
            let mut timestamps = Timestamps::default();
            for time in times {
                prop_assert_eq!(timestamp(timestamps.text(time)), Some(time / 1000 * 1000));
            }
        }

        #[test]
        fn prices_are_what_decimals_are(ticks in any::<u32>()) {
            let text = format!("{}.{:04}", ticks / 10_000, ticks % 10_000);
            prop_assert_eq!(price(text.as_bytes()), Some(Price(ticks)));
        }
    }
}
