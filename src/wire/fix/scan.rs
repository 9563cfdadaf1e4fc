//! Finding one message in a stream of bytes, its fields, and whether it is whole.
//!
//! Loops over bytes are written so that they become vector instructions: the checksum, and a bit
//! for each field's end, 64 bytes at a time. BodyLength counts what stands between its own end and
//! the CheckSum field, CheckSum is the sum of all bytes before it modulo 256 (FIX 4.4 volume 2,
//! "Standard Message Header" and "Standard Message Trailer").

use super::ends::{BLOCK_BYTES, ends};
use super::{SOH, tag};

/// Fields of the longest message that is read.
pub const FIELDS_MAX: usize = 512;
/// Bytes of the longest message that is read: as many as a transport may keep for the next read.
pub const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// `8=FIX.x.y|9=`
const PREFIX_BYTES: usize = 12;
/// `10=nnn|`
const TRAILER_BYTES: usize = 7;
/// Digits of BodyLength that are read.
const LENGTH_DIGITS_MAX: usize = 6;

/// Where a field's value lies in its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Field {
    /// The tag; 0 where it is not a number above 0 without leading zeros, or there is no `=`.
    pub tag: u32,
    start: u16,
    end: u16,
}

/// Why bytes are no message. They are passed over without an answer and without a sequence number
/// (FIX 4.4 volume 2, "Garbled messages").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Garbled {
    /// They do not begin with `8=FIX.`, a version, and `9=`.
    BeginString,
    /// BodyLength is no number, too high, or does not lead to CheckSum.
    BodyLength,
    /// CheckSum is not the sum.
    CheckSum,
    /// More fields than are read.
    TooManyFields,
    /// The third field is not MsgType (session test case 2.t).
    MsgType,
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scan {
    /// A message of that many bytes.
    Message(usize),
    /// The beginning of one.
    Incomplete,
    /// No message; go on behind that many bytes.
    Garbled(Garbled, usize),
}

/// The fields of the last message that was found. Used again for each.
pub struct Scanner {
    fields: Box<[Field; FIELDS_MAX]>,
    count: usize,
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner::new()
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// The sum of all bytes modulo 256. The loop becomes vector instructions.
#[inline]
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The high bit of each byte that is zero, exact.
#[inline]
fn zeros(word: u64) -> u64 {
    !(((word & LOWS) + LOWS) | word | LOWS)
}

/// Digits of the longest tag.
const TAG_DIGITS_MAX: u32 = 7;

/// The tag that a field begins with, and its length with the equals sign; 0 if what stands there
/// is none. `word` are its first eight bytes, of which `length` belong to it.
#[inline]
fn tag_of(word: u64, length: usize) -> (u32, usize) {
    let digit = |at: u32| (word >> (8 * at)) as u8;
    let value = |at: u32| u32::from(digit(at).wrapping_sub(b'0'));
    // Most tags have two digits, then three.
    if digit(2) == b'=' && length > 2 {
        let (tens, ones) = (value(0), value(1));
        if tens.wrapping_sub(1) < 9 && ones < 10 {
            return (tens * 10 + ones, 3);
        }
    } else if digit(3) == b'=' && length > 3 {
        let (hundreds, tens, ones) = (value(0), value(1), value(2));
        if hundreds.wrapping_sub(1) < 9 && tens < 10 && ones < 10 {
            return (hundreds * 100 + tens * 10 + ones, 4);
        }
    } else if digit(1) == b'=' && length > 1 && value(0).wrapping_sub(1) < 9 {
        return (value(0), 2);
    }
    any_tag_of(word, length)
}

/// The same for tags of any length.
#[inline(never)]
fn any_tag_of(word: u64, length: usize) -> (u32, usize) {
    const ZEROS: u64 = ONES * b'0' as u64;
    const HIGH: u64 = ONES * 0xf0;
    let hits = zeros(word ^ (ONES * b'=' as u64));
    let digits = hits.trailing_zeros() / 8;
    if digits == 0 || digits > TAG_DIGITS_MAX || digits as usize >= length {
        return (0, 0);
    }
    // The digits as the last of eight, with nothing in front.
    let text = word << (64 - 8 * digits);
    let all_digits = ZEROS << (64 - 8 * digits);
    let is_number = text & HIGH == all_digits && (text + (ONES * 6)) & HIGH == all_digits;
    if !is_number || word as u8 == b'0' {
        return (0, 0);
    }
    // Two digits, four, eight (Lemire 2018).
    let value = text & (ONES * 0x0f);
    let value = (value * 10 + (value >> 8)) & 0x00ff_00ff_00ff_00ff;
    let value = (value * 100 + (value >> 16)) & 0x0000_ffff_0000_ffff;
    let value = (value.wrapping_mul(10_000) + (value >> 32)) & 0xffff_ffff;
    (value as u32, digits as usize + 1)
}

/// Finds the fields before `end`. Returns how many there are; `None` if there are too many.
#[inline]
fn split(bytes: &[u8], end: usize, fields: &mut [Field; FIELDS_MAX]) -> Option<usize> {
    let (mut count, mut start, mut at) = (0, 0, 0);
    while at < end {
        let (hits, seen) = ends_from(&bytes[..end], at);
        let mut hits = hits;
        while hits != 0 {
            let end = at + hits.trailing_zeros() as usize;
            *fields.get_mut(count)? = field(bytes, start, end);
            count += 1;
            start = end + 1;
            hits &= hits - 1;
        }
        at += seen;
    }
    Some(count)
}

/// A bit for each SOH among the next bytes from `at` on, and how many bytes that were.
#[inline]
fn ends_from(bytes: &[u8], at: usize) -> (u64, usize) {
    let left = bytes.len() - at;
    if let Some(block) = bytes[at..].first_chunk() {
        return (ends(block), BLOCK_BYTES);
    }
    // The last bytes with some in front of them that were seen.
    match bytes.last_chunk() {
        Some(block) => (ends(block) >> (BLOCK_BYTES - left), left),
        None => {
            let mut block = [0; BLOCK_BYTES];
            block[..left].copy_from_slice(&bytes[at..]);
            (ends(&block), left)
        }
    }
}

/// The field between two places of a message.
#[inline]
fn field(bytes: &[u8], start: usize, end: usize) -> Field {
    // The trailer stands behind every field, so these bytes are there.
    let word = bytes[start..start + 8].try_into().expect("eight bytes");
    let (tag, length) = tag_of(u64::from_le_bytes(word), end - start);
    Field { tag, start: (start + length) as u16, end: end as u16 }
}

impl Scanner {
    /// With room for [`FIELDS_MAX`] fields.
    pub fn new() -> Scanner {
        Scanner { fields: Box::new([Field::default(); FIELDS_MAX]), count: 0 }
    }

    /// Looks for a message at the beginning of `bytes`.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        self.count = 0;
        let body = match body_of(bytes) {
            Ok(Some(body)) => body,
            Ok(None) => return Scan::Incomplete,
            Err(why) => return Scan::Garbled(why, next_start(bytes)),
        };
        let end = body.end + TRAILER_BYTES;
        let Some(message) = bytes.get(..end) else {
            return Scan::Incomplete;
        };
        let trailer = &message[body.end..];
        let digits = &trailer[3..6];
        let whole = message[body.end - 1] == SOH
            && trailer[..3] == *b"10="
            && trailer[6] == SOH
            && digits.iter().all(u8::is_ascii_digit);
        if !whole {
            return Scan::Garbled(Garbled::BodyLength, next_start(bytes));
        }
        let told = digits.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        if u16::from(checksum(&message[..body.end])) != told {
            return Scan::Garbled(Garbled::CheckSum, end);
        }
        match split(message, body.end, &mut self.fields) {
            None => Scan::Garbled(Garbled::TooManyFields, end),
            Some(count) if count > 2 && self.fields[2].tag == tag::MSG_TYPE => {
                self.count = count;
                Scan::Message(end)
            }
            Some(_) => Scan::Garbled(Garbled::MsgType, end),
        }
    }

    /// The message whose bytes were scanned last.
    #[inline]
    pub fn message<'a>(&'a self, bytes: &'a [u8]) -> Message<'a> {
        Message { bytes, fields: &self.fields[..self.count] }
    }
}

/// Where the body lies, once BodyLength is there.
#[inline]
fn body_of(bytes: &[u8]) -> Result<Option<std::ops::Range<usize>>, Garbled> {
    const BEGIN: &[u8; 6] = b"8=FIX.";
    let Some(prefix) = bytes.first_chunk::<PREFIX_BYTES>() else {
        let seen = bytes.len().min(BEGIN.len());
        return if bytes[..seen] == BEGIN[..seen] { Ok(None) } else { Err(Garbled::BeginString) };
    };
    // One digit, a point, one digit: every version there was.
    if prefix.first_chunk() != Some(BEGIN) || prefix[9] != SOH || prefix[10..] != *b"9=" {
        return Err(Garbled::BeginString);
    }
    let mut length = 0usize;
    for at in 0..=LENGTH_DIGITS_MAX {
        match bytes.get(PREFIX_BYTES + at) {
            None => return Ok(None),
            Some(digit @ b'0'..=b'9') => length = length * 10 + usize::from(digit - b'0'),
            Some(&SOH) if at > 0 => {
                let start = PREFIX_BYTES + at + 1;
                let end = start + length;
                let fits = length >= 5 && end + TRAILER_BYTES <= MESSAGE_BYTES_MAX;
                return if fits { Ok(Some(start..end)) } else { Err(Garbled::BodyLength) };
            }
            Some(_) => return Err(Garbled::BodyLength),
        }
    }
    Err(Garbled::BodyLength)
}

/// Bytes to pass over until something looks like the start of a message again.
#[cold]
fn next_start(bytes: &[u8]) -> usize {
    const START: &[u8] = b"8=FIX.";
    for at in 1..bytes.len() {
        let seen = (bytes.len() - at).min(START.len());
        if bytes[at..at + seen] == START[..seen] {
            return at;
        }
    }
    bytes.len()
}

/// A whole message and its fields: BeginString and BodyLength first, CheckSum left out.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    fields: &'a [Field],
}

impl<'a> Message<'a> {
    /// Every field, in order.
    #[inline]
    pub fn fields(&self) -> &'a [Field] {
        self.fields
    }

    /// A field's value.
    #[inline]
    pub fn value(&self, field: &Field) -> &'a [u8] {
        &self.bytes[usize::from(field.start)..usize::from(field.end)]
    }

    /// The value of the first field with that tag.
    #[inline]
    pub fn get(&self, tag: u32) -> Option<&'a [u8]> {
        let field = self.fields.iter().find(|field| field.tag == tag)?;
        Some(self.value(field))
    }

    /// What stands behind a field, up to the trailer.
    pub fn behind(&self, tag: u32) -> Option<&'a [u8]> {
        let field = self.fields.iter().find(|field| field.tag == tag)?;
        self.bytes.get(usize::from(field.end) + 1..self.bytes.len() - TRAILER_BYTES)
    }

    /// MsgType, the third field.
    #[inline]
    pub fn msg_type(&self) -> &'a [u8] {
        self.fields.get(2).map_or(b"", |field| self.value(field))
    }

    /// BeginString.
    #[inline]
    pub fn begin_string(&self) -> &'a [u8] {
        self.fields.first().map_or(b"", |field| self.value(field))
    }

    /// The bytes, from BeginString to CheckSum.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message from text with `|` for SOH; length and sum are put in.
    fn message(body: &str) -> Vec<u8> {
        let body = body.replace('|', "\x01");
        let mut text = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
        let sum = text.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 256;
        text.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
        text
    }

    #[test]
    fn fields_are_found_where_they_lie() {
        let bytes = message("35=D|34=12|49=ME|11=A=B|58=|");
        let mut scanner = Scanner::new();
        assert_eq!(scanner.scan(&bytes), Scan::Message(bytes.len()));
        let message = scanner.message(&bytes);
        assert_eq!(message.msg_type(), b"D");
        assert_eq!(message.get(34), Some(&b"12"[..]));
        assert_eq!(message.get(11), Some(&b"A=B"[..]), "a value may hold an equals sign");
        assert_eq!(message.get(58), Some(&b""[..]));
        assert_eq!(message.get(59), None);
        let tags: Vec<u32> = message.fields().iter().map(|field| field.tag).collect();
        assert_eq!(tags, [8, 9, 35, 34, 49, 11, 58]);
    }

    #[test]
    fn what_is_no_tag_is_0() {
        for field in ["x=1", "=1", "055=1", "5", "", "0=1", "9999999999=1", "-5=1", "5 =1"] {
            let bytes = message(&format!("35=D|{field}|"));
            let mut scanner = Scanner::new();
            assert_eq!(scanner.scan(&bytes), Scan::Message(bytes.len()), "{field}");
            assert_eq!(scanner.message(&bytes).fields()[3].tag, 0, "{field}");
        }
    }

    #[test]
    fn every_part_of_a_message_is_incomplete() {
        let bytes = message("35=0|34=1|49=ME|56=YOU|52=20260101-00:00:00|");
        let mut scanner = Scanner::new();
        for end in 0..bytes.len() {
            assert_eq!(scanner.scan(&bytes[..end]), Scan::Incomplete, "{end}");
        }
        let mut two = bytes.clone();
        two.extend_from_slice(&bytes);
        assert_eq!(scanner.scan(&two), Scan::Message(bytes.len()));
    }

    #[test]
    fn garbled_bytes_are_passed_over_up_to_the_next_start() {
        let good = message("35=0|34=1|");
        let mut scanner = Scanner::new();
        let cases: [(&[u8], Garbled); 5] = [
            (b"GET / HTTP/1.1\r\n", Garbled::BeginString),
            (b"8=FIX.4.4\x0135=0\x01", Garbled::BeginString),
            (b"8=FIX.4.4\x019=x\x0135=0\x01", Garbled::BodyLength),
            (b"8=FIX.4.4\x019=10\x0135=0\x0134=123\x0110=000\x01", Garbled::BodyLength),
            (b"8=FIX.4.4\x019=5\x0135=0\x0110=000\x01", Garbled::CheckSum),
        ];
        for (bad, why) in cases {
            let bytes = [bad, &good].concat();
            assert_eq!(scanner.scan(&bytes), Scan::Garbled(why, bad.len()), "{bad:?}");
            assert_eq!(scanner.scan(&bytes[bad.len()..]), Scan::Message(good.len()));
        }
        let long = b"8=FIX.4.4\x019=999999\x01";
        assert_eq!(scanner.scan(long), Scan::Garbled(Garbled::BodyLength, long.len()));
    }

    #[test]
    fn a_message_whose_third_field_is_not_its_type_is_garbled() {
        let good = message("35=0|34=1|");
        for body in ["34=1|35=0|", "49=ME|34=1|", "34=1234567|"] {
            let bad = message(body);
            let bytes = [&bad[..], &good].concat();
            let mut scanner = Scanner::new();
            assert_eq!(scanner.scan(&bytes), Scan::Garbled(Garbled::MsgType, bad.len()), "{body}");
            assert_eq!(scanner.scan(&bytes[bad.len()..]), Scan::Message(good.len()));
        }
    }

    #[test]
    fn too_many_fields_are_garbled_as_a_whole() {
        let bytes = message(&format!("35=D|{}", "58=x|".repeat(FIELDS_MAX)));
        let scan = Scanner::new().scan(&bytes);
        assert_eq!(scan, Scan::Garbled(Garbled::TooManyFields, bytes.len()));
    }

    proptest! {
        #[test]
        fn splitting_is_what_it_is_on_text(
            fields in prop::collection::vec((1u32..99_999, "[ -{}~]{0,40}"), 0..80)
        ) {
            let body: String = fields.iter().map(|(tag, value)| format!("{tag}={value}\x01")).collect();
            let bytes = message(&format!("35=D|{body}"));
            let mut scanner = Scanner::new();
            prop_assert_eq!(scanner.scan(&bytes), Scan::Message(bytes.len()));
            let read = scanner.message(&bytes);
            let got: Vec<_> = read.fields()[3..]
                .iter()
                .map(|field| (field.tag, String::from_utf8(read.value(field).to_vec()).unwrap()))
                .collect();
            prop_assert_eq!(got, fields);
        }

        #[test]
        fn no_bytes_make_the_scanner_panic_or_stand_still(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut scanner = Scanner::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                match scanner.scan(rest) {
                    Scan::Incomplete => break,
                    Scan::Message(length) | Scan::Garbled(_, length) => {
                        prop_assert!(length > 0 && length <= rest.len());
                        rest = &rest[length..];
                    }
                }
            }
        }

        #[test]
        fn the_checksum_is_the_sum(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
            prop_assert_eq!(checksum(&bytes), sum);
        }
    }
}
