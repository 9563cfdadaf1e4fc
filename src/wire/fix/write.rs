//! Writing messages: the head is a template with places to fill in, fields are put behind it, and
//! length and sum are filled in at the end.

use super::scan::checksum;
use super::value::TIMESTAMP_BYTES;
use super::{SOH, Version};
use crate::order::Price;

/// Digits of BodyLength and MsgSeqNum as they are written, zeros in front.
const LENGTH_DIGITS: usize = 5;
const NUMBER_DIGITS: usize = 9;
/// `10=nnn|`
const TRAILER_BYTES: usize = 7;

/// What every message of a session begins with:
/// `8=…|9=00000|35=X|49=…|56=…|34=000000000|52=…|`.
#[derive(Clone, Debug)]
pub struct Head {
    text: Vec<u8>,
    length_at: usize,
    body_at: usize,
    number_at: usize,
    time_at: usize,
}

impl Head {
    /// The head of messages of one type from one session's end.
    pub fn new(version: Version, msg_type: &[u8], sender: &[u8], target: &[u8]) -> Head {
        let mut text = Vec::with_capacity(128);
        let mut put = |parts: &[&[u8]]| {
            parts.iter().for_each(|part| text.extend_from_slice(part));
            text.len()
        };
        let length_at = put(&[b"8=", version.begin_string(), &[SOH], b"9="]);
        let body_at = put(&[&[b'0'; LENGTH_DIGITS], &[SOH]]);
        let number_at = put(&[
            b"35=",
            msg_type,
            &[SOH],
            b"49=",
            sender,
            &[SOH],
            b"56=",
            target,
            &[SOH],
            b"34=",
        ]);
        let time_at = put(&[&[b'0'; NUMBER_DIGITS], &[SOH], b"52="]);
        put(&[&[b'0'; TIMESTAMP_BYTES], &[SOH]]);
        Head { text, length_at, body_at, number_at, time_at }
    }
}

/// A message being written into a buffer of the caller's, which is not taken over: nothing is
/// allocated once it has grown to the longest message.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Where the message begins.
    start: usize,
    length_at: usize,
    body_at: usize,
}

impl<'a> Writer<'a> {
    /// Begins a message behind what the buffer holds.
    #[inline]
    pub fn new(
        out: &'a mut Vec<u8>,
        head: &Head,
        number: u64,
        sending_time: &[u8; TIMESTAMP_BYTES],
    ) -> Writer<'a> {
        let start = out.len();
        out.extend_from_slice(&head.text);
        let message = &mut out[start..];
        put_digits(&mut message[head.number_at..head.number_at + NUMBER_DIGITS], number);
        message[head.time_at..head.time_at + TIMESTAMP_BYTES].copy_from_slice(sending_time);
        let (length_at, body_at) = (start + head.length_at, start + head.body_at);
        Writer { out, start, length_at, body_at }
    }

    /// A field whose `tag` is written with its equals sign, as `b"55="`.
    #[inline(always)]
    pub fn bytes<const N: usize>(&mut self, tag: &[u8; N], value: &[u8]) -> &mut Self {
        // Of a known length, it is a store or two.
        self.out.extend_from_slice(tag);
        self.out.extend_from_slice(value);
        self.out.push(SOH);
        self
    }

    /// A field of one character.
    #[inline(always)]
    pub fn character<const N: usize>(&mut self, tag: &[u8; N], value: u8) -> &mut Self {
        self.bytes(tag, &[value])
    }

    /// A field with a whole number.
    #[inline(always)]
    pub fn number<const N: usize>(&mut self, tag: &[u8; N], value: u64) -> &mut Self {
        self.out.extend_from_slice(tag);
        self.put_number(value);
        self
    }

    /// A field with a text and, behind it, a number.
    #[inline]
    pub fn text_and_number<const N: usize>(
        &mut self,
        tag: &[u8; N],
        text: &[u8],
        value: u64,
    ) -> &mut Self {
        self.out.extend_from_slice(tag);
        self.out.extend_from_slice(text);
        self.put_number(value);
        self
    }

    /// Digits, and the field's end.
    #[inline]
    fn put_number(&mut self, value: u64) {
        // What stands behind the digits is copied too, so that the length is known.
        let mut digits = [SOH; DIGITS_MAX + DIGITS_MAX + 1];
        let from = digits_of(&mut digits, value);
        let text: &[u8; DIGITS_MAX + 1] = digits[from..].first_chunk().expect("that many behind");
        self.out.extend_from_slice(text);
        self.out.truncate(self.out.len() - from);
    }

    /// A field with a price, without zeros at its end.
    #[inline]
    pub fn price<const N: usize>(&mut self, tag: &[u8; N], value: Price) -> &mut Self {
        self.decimal(tag, value.0.into(), 4)
    }

    /// A field with `value` over 10 to the power of `decimals`, without zeros at its end.
    #[inline]
    pub fn decimal<const N: usize>(
        &mut self,
        tag: &[u8; N],
        value: u64,
        decimals: u32,
    ) -> &mut Self {
        let unit = 10u64.pow(decimals);
        let (whole, mut rest) = (value / unit, value % unit);
        if rest == 0 {
            return self.number(tag, whole);
        }
        let mut text = [0u8; 32];
        let mut end = text.len();
        if rest > 0 {
            let mut left = decimals;
            while rest % 10 == 0 {
                rest /= 10;
                left -= 1;
            }
            for _ in 0..left {
                end -= 1;
                text[end] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            end -= 1;
            text[end] = b'.';
        }
        let mut digits = [0; DIGITS_MAX + DIGITS_MAX + 1];
        let from = digits_of(&mut digits, whole);
        let start = end - (DIGITS_MAX - from);
        text[start..end].copy_from_slice(&digits[from..DIGITS_MAX]);
        // The fraction was written up to the end of the text.
        self.bytes(tag, &text[start..])
    }

    /// What was written since the message was so long ([`Writer::len`]).
    pub fn since(&self, len: usize) -> &[u8] {
        &self.out[len..]
    }

    /// Bytes of the buffer so far.
    #[allow(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whole fields as they are.
    #[inline]
    pub fn raw(&mut self, fields: &[u8]) -> &mut Self {
        self.out.extend_from_slice(fields);
        self
    }

    /// Ends the message: BodyLength and CheckSum.
    #[inline]
    pub fn finish(self) {
        let length = self.out.len() - self.body_at;
        put_digits(&mut self.out[self.length_at..self.length_at + LENGTH_DIGITS], length as u64);
        let sum = checksum(&self.out[self.start..]);
        let mut trailer = *b"10=000\x01";
        put_digits(&mut trailer[3..6], sum.into());
        debug_assert_eq!(trailer.len(), TRAILER_BYTES);
        self.out.extend_from_slice(&trailer);
    }
}

/// Writes a number over zeros, right aligned.
#[inline]
fn put_digits(place: &mut [u8], mut value: u64) {
    for pair in place.rchunks_mut(2) {
        let digits = &PAIRS[(value % 100) as usize];
        pair.copy_from_slice(&digits[2 - pair.len()..]);
        value /= 100;
    }
}

/// 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

/// Digits of the highest number.
const DIGITS_MAX: usize = 20;

/// Writes a number so that it ends where [`DIGITS_MAX`] digits would; returns where it begins.
#[inline]
fn digits_of(digits: &mut [u8; DIGITS_MAX + DIGITS_MAX + 1], mut value: u64) -> usize {
    let mut at = DIGITS_MAX;
    while value >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        at -= 1;
        digits[at] = b'0' + value as u8;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Scan, Scanner};
    use super::super::value::{Timestamps, number, price};
    use super::super::{Version, tag};
    use super::*;
    use proptest::prelude::*;

    fn written(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let head = Head::new(Version::Fix42, b"8", b"MILLRACE", b"CLIENT1");
        let mut out = b"what was there".to_vec();
        let mut timestamps = Timestamps::default();
        let mut writer =
            Writer::new(&mut out, &head, 17, timestamps.text(1_782_907_445_000_001_000));
        fill(&mut writer);
        writer.finish();
        out.split_off(b"what was there".len())
    }

    #[test]
    fn a_written_message_is_read_back() {
        let bytes = written(|writer| {
            writer.bytes(b"11=", b"A1").character(b"54=", b'1').number(b"38=", 0);
        });
        let mut scanner = Scanner::new();
        assert_eq!(scanner.scan(&bytes), Scan::Message(bytes.len()));
        let message = scanner.message(&bytes);
        assert_eq!(message.begin_string(), b"FIX.4.2");
        assert_eq!(message.msg_type(), b"8");
        assert_eq!(message.get(tag::MSG_SEQ_NUM), Some(&b"000000017"[..]));
        assert_eq!(message.get(tag::SENDER_COMP_ID), Some(&b"MILLRACE"[..]));
        assert_eq!(message.get(tag::SENDING_TIME), Some(&b"20260701-12:04:05.000001"[..]));
        assert_eq!(message.get(tag::ORDER_QTY), Some(&b"0"[..]));
    }

    #[test]
    fn decimals_have_no_zeros_at_the_end() {
        for (value, decimals, text) in [
            (0, 4, "0"),
            (1_900_000, 4, "190"),
            (1_902_500, 4, "190.25"),
            (1, 4, "0.0001"),
            (10, 1, "1"),
            (u64::MAX, 8, "184467440737.09551615"),
            (123_456_789, 0, "123456789"),
        ] {
            let bytes = written(|writer| {
                writer.decimal(b"6=", value, decimals);
            });
            let mut scanner = Scanner::new();
            scanner.scan(&bytes);
            let message = scanner.message(&bytes);
            assert_eq!(message.get(tag::AVG_PX), Some(text.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn numbers_and_prices_come_back(count in any::<u64>(), ticks in any::<u32>()) {
            let bytes = written(|writer| {
                writer.number(b"14=", count).price(b"44=", Price(ticks));
            });
            let mut scanner = Scanner::new();
            prop_assert_eq!(scanner.scan(&bytes), Scan::Message(bytes.len()));
            let message = scanner.message(&bytes);
            prop_assert_eq!(number(message.get(tag::CUM_QTY).unwrap()), Some(count));
            prop_assert_eq!(price(message.get(tag::PRICE).unwrap()), Some(Price(ticks)));
        }
    }
}
