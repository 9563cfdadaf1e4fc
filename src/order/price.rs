//! Prices as integers: no float ever stands on an order's path.

use std::fmt;
use std::str::FromStr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One currency unit, in the units of [`Price`].
pub const PRICE_ONE: u32 = 10_000;

/// A price in 1/10000 of the currency unit, as OUCH 5.0 writes it.
///
/// ```
/// use millrace::order::Price;
/// let price: Price = "190.05".parse().unwrap();
/// assert_eq!(price, Price(1_900_500));
/// assert_eq!(price.to_string(), "190.05");
/// ```
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(transparent)]
pub struct Price(pub u32);

impl Price {
    /// The highest limit price, 199,999.9900 (OUCH 5.0, "Price").
    pub const MAX_LIMIT: Price = Price(1_999_999_900);

    /// The value that enters a market order, 214,748.3647 (OUCH 5.0, "Price").
    pub const MARKET: Price = Price(0x7FFF_FFFF);

    /// This price times a quantity, in 1/10000 of the currency unit. Cannot overflow.
    #[inline]
    pub const fn notional(self, qty: u32) -> u64 {
        self.0 as u64 * qty as u64
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / PRICE_ONE, self.0 % PRICE_ONE);
        match fraction {
            f4 if f4 % 100 != 0 => write!(f, "{whole}.{f4:04}"),
            f4 => write!(f, "{whole}.{:02}", f4 / 100),
        }
    }
}

/// Why a text is not a [`Price`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParsePriceError {
    /// Something else than digits with at most one point.
    #[error("a price is digits with at most one point, as in \"190.05\"")]
    NotANumber,
    /// More than four decimals.
    #[error("a price has at most four decimals")]
    TooFine,
    /// Above what a price can hold.
    #[error("a price is at most 199999.99")]
    TooHigh,
}

/// Reads `digits[.digits]` as an integer count of 1/10000.
pub(crate) fn parse_fixed4(text: &str) -> Result<u64, ParsePriceError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return Err(ParsePriceError::NotANumber);
    }
    if fraction.len() > 4 {
        return Err(ParsePriceError::TooFine);
    }
    let whole: u64 = whole.parse().map_err(|_| ParsePriceError::TooHigh)?;
    let fraction: u64 = format!("{fraction:0<4}").parse().map_err(|_| ParsePriceError::TooFine)?;
    whole
        .checked_mul(u64::from(PRICE_ONE))
        .and_then(|w| w.checked_add(fraction))
        .ok_or(ParsePriceError::TooHigh)
}

impl FromStr for Price {
    type Err = ParsePriceError;

    fn from_str(text: &str) -> Result<Price, ParsePriceError> {
        let units = parse_fixed4(text)?;
        match u32::try_from(units) {
            Ok(units) if units <= Price::MAX_LIMIT.0 => Ok(Price(units)),
            _ => Err(ParsePriceError::TooHigh),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_parse_exactly_or_say_why_not() {
        assert_eq!("10".parse(), Ok(Price(100_000)));
        assert_eq!("0.0001".parse(), Ok(Price(1)));
        assert_eq!("199999.99".parse(), Ok(Price::MAX_LIMIT));
        assert_eq!("200000".parse::<Price>(), Err(ParsePriceError::TooHigh));
        assert_eq!("99999999999999999999".parse::<Price>(), Err(ParsePriceError::TooHigh));
        assert_eq!("1.00001".parse::<Price>(), Err(ParsePriceError::TooFine));
        for bad in ["", ".", "1.", ".5", "-1", "1e3", "1.2.3", "NaN", " 1"] {
            assert_eq!(bad.parse::<Price>(), Err(ParsePriceError::NotANumber), "{bad:?}");
        }
    }

    #[test]
    fn prices_print_two_or_four_decimals() {
        assert_eq!(Price(1_900_000).to_string(), "190.00");
        assert_eq!(Price(1).to_string(), "0.0001");
    }
}
