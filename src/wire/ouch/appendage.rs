//! The optional appendage: elements of `length u8` (of tag and value), `tag u8`, value.

/// Element tags (OUCH 5.0, "Appendix: optional fields").
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod tag {
    pub const SECONDARY_ORDER_REFERENCE: u8 = 1;
    pub const FIRM: u8 = 2;
    pub const MINIMUM_QUANTITY: u8 = 3;
    pub const CUSTOMER_TYPE: u8 = 4;
    pub const MAX_FLOOR: u8 = 5;
    pub const PRICE_TYPE: u8 = 6;
    pub const PEG_OFFSET: u8 = 7;
    pub const DISCRETION_PRICE: u8 = 9;
    pub const DISCRETION_PRICE_TYPE: u8 = 10;
    pub const DISCRETION_PEG_OFFSET: u8 = 11;
    pub const POST_ONLY: u8 = 12;
    pub const RANDOM_RESERVES: u8 = 13;
    pub const ROUTE: u8 = 14;
    pub const EXPIRE_TIME: u8 = 15;
    pub const TRADE_NOW: u8 = 16;
    pub const HANDLE_INST: u8 = 17;
    pub const DISPLAY_QUANTITY: u8 = 22;
    pub const GROUP_ID: u8 = 24;
    pub const SHARES_LOCATED: u8 = 25;
    pub const LOCATE_BROKER: u8 = 26;
    pub const SIDE: u8 = 27;
    pub const USER_REF_INDEX: u8 = 28;
    /// millrace's own, in drop copies: who entered the order, alpha 6.
    pub const USER: u8 = 240;
}

/// An element where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// One of [`tag`], or unknown.
    pub tag: u8,
    /// Its value.
    pub value: &'a [u8],
}

impl Element<'_> {
    /// The value as a big-endian u32, if it has four bytes.
    pub fn u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.value.try_into().ok()?))
    }

    /// The value as a big-endian u16, if it has two bytes.
    pub fn u16(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.value.try_into().ok()?))
    }

    /// The value, if it has one byte.
    pub fn u8(&self) -> Option<u8> {
        (self.value.len() == 1).then(|| self.value[0])
    }
}

/// The elements of an appendage are not what its lengths say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadAppendage;

/// The elements of an appendage, in order.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// What stands after a message's fixed fields: nothing at all, or `length u16` and as many
    /// bytes exactly.
    pub fn parse(tail: &'a [u8]) -> Result<Elements<'a>, BadAppendage> {
        match tail {
            [] => Ok(Elements { rest: &[] }),
            [high, low, rest @ ..]
                if usize::from(u16::from_be_bytes([*high, *low])) == rest.len() =>
            {
                Ok(Elements { rest })
            }
            _ => Err(BadAppendage),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, BadAppendage>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&length, rest) = self.rest.split_first()?;
        let element = rest.get(..usize::from(length)).and_then(|body| body.split_first());
        let Some((&tag, value)) = element else {
            self.rest = &[];
            return Some(Err(BadAppendage));
        };
        self.rest = &rest[usize::from(length)..];
        Some(Ok(Element { tag, value }))
    }
}

/// Appends an element to `out`, for clients and tests.
pub fn push_element(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(value.len() as u8 + 1);
    out.push(tag);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_come_in_order_and_a_wrong_length_is_an_error() {
        let mut body = vec![];
        push_element(&mut body, tag::POST_ONLY, b"P");
        push_element(&mut body, tag::MAX_FLOOR, &100u32.to_be_bytes());
        let whole = [&(body.len() as u16).to_be_bytes()[..], &body].concat();
        let seen: Vec<_> = Elements::parse(&whole).unwrap().map(Result::unwrap).collect();
        assert_eq!(seen[0], Element { tag: 12, value: b"P" });
        assert_eq!(seen[1].u32(), Some(100));
        assert!(Elements::parse(&whole[..5]).is_err());
        assert!(Elements::parse(&[0]).is_err());
        assert_eq!(Elements::parse(&[0, 2, 9, 9]).unwrap().next(), Some(Err(BadAppendage)));
        assert_eq!(Elements::parse(&[0, 1, 0]).unwrap().next(), Some(Err(BadAppendage)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic_or_loop(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(elements) = Elements::parse(&bytes) {
                prop_assert!(elements.count() <= bytes.len());
            }
        }
    }
}
