//! What the messages that are understood may hold, and whether one does. `fix42` and `fix44`
//! have the specification's tables, in the words of `layout`.

mod fix42;
mod fix44;
mod layout;

use self::layout::Kind::{self, Boolean, Date, Decimal, Number, One, Several, Text, Timestamp};
use self::layout::{Layout, Seen};
use super::scan::{Field, Message};
use super::value::{boolean, date, number, price, timestamp};
use super::{Version, tag};

/// SessionRejectReason (373).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Reason {
    /// What stands before `=` is no tag, or none of any version.
    InvalidTag = 0,
    /// A required field is missing.
    Missing = 1,
    /// The field does not belong to this message type.
    NotForThisType = 2,
    /// The tag is another version's.
    Undefined = 3,
    /// Nothing stands behind `=`.
    NoValue = 4,
    /// The value is none of those that the field may have.
    Incorrect = 5,
    /// The value is not written as its type asks for.
    Format = 6,
    /// SenderCompID or TargetCompID is another's.
    CompId = 9,
    /// SendingTime is too far from this clock.
    SendingTime = 10,
    /// The message type is not understood.
    MsgType = 11,
    /// The field stands there twice.
    Twice = 13,
    /// A field of the header stands behind the header.
    OutOfOrder = 14,
    /// A group's entry does not begin with its first field.
    GroupOrder = 15,
    /// A group has more or fewer entries than it says.
    GroupCount = 16,
}

/// Why a message is rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The field, or 0.
    pub tag: u32,
    /// SessionRejectReason.
    pub reason: Reason,
}

/// Fields of the trailer beside CheckSum.
const TRAILER: [u32; 2] = [tag::SIGNATURE_LENGTH, tag::SIGNATURE];

/// Whether a type is one of the session's own.
#[inline]
pub fn is_session_type(msg_type: &[u8]) -> bool {
    matches!(msg_type, [b'0'..=b'5' | b'A'])
}

/// Tags from here on are for users.
const FIRST_USER_TAG: u32 = 5000;

/// Whether a version has a field of that number.
fn is_defined(version: Version, tag: u32) -> bool {
    let (gaps, most) = match version {
        Version::Fix42 => (fix42::GAPS, fix42::TAG_MAX),
        Version::Fix44 => (fix44::GAPS, fix44::TAG_MAX),
    };
    (1..=most).contains(&tag) && !gaps.iter().any(|(from, to)| (*from..=*to).contains(&tag))
}

#[inline]
fn is_well_formed(kind: Kind, value: &[u8]) -> Result<(), Reason> {
    let good = match kind {
        Text => true,
        One(of) => match value {
            [character] => {
                return if of.contains(character) { Ok(()) } else { Err(Reason::Incorrect) };
            }
            _ => false,
        },
        Several(of) => {
            let mut words = value.split(|byte| *byte == b' ');
            if !words.all(|word| matches!(word, [character] if of.contains(character))) {
                return Err(Reason::Incorrect);
            }
            true
        }
        Kind::Character => value.len() == 1,
        Number => number(value).is_some(),
        Kind::Integer => number(value.strip_prefix(b"-").unwrap_or(value)).is_some(),
        Decimal => {
            let digits = value.strip_prefix(b"-").unwrap_or(value);
            price(digits).is_some() || is_decimal(digits)
        }
        Boolean => boolean(value).is_some(),
        Timestamp => timestamp(value).is_some(),
        Date => date(value).is_some(),
        Kind::Group(_) => number(value).is_some(),
    };
    if good { Ok(()) } else { Err(Reason::Format) }
}

/// Digits with at most one point among them.
fn is_decimal(text: &[u8]) -> bool {
    let points = text.iter().filter(|byte| **byte == b'.').count();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    points <= 1 && digits > 0 && points + digits == text.len()
}

/// Whether a message holds what its type may and must. Where more than one thing is wrong, the
/// first is told, as it stands in the message; missing fields come last.
#[inline]
pub fn check(version: Version, message: &Message<'_>) -> Result<(), Refused> {
    let msg_type = message.msg_type();
    let refused = |tag, reason| Err(Refused { tag, reason });
    let (header, layout) = match version {
        Version::Fix42 => (&fix42::HEADER, fix42::message(msg_type)),
        Version::Fix44 => (&fix44::HEADER, fix44::message(msg_type)),
    };
    let mut fields = message.fields().iter();
    let (mut header_seen, mut seen) = (Seen::default(), Seen::default());
    let mut in_header = true;
    while let Some(field) = fields.next() {
        let value = message.value(field);
        if field.tag == 0 {
            return refused(0, Reason::InvalidTag);
        }
        let of_header = header.find(field.tag);
        let found = match (of_header, layout) {
            (Some(_), _) => of_header,
            (None, Some(layout)) => layout.find(field.tag),
            (None, None) => break,
        };
        let Some((place, kind)) = found else {
            in_header = false;
            check_unknown(version, field, value)?;
            continue;
        };
        if !if of_header.is_some() { &mut header_seen } else { &mut seen }.add(place) {
            return refused(field.tag, Reason::Twice);
        }
        if of_header.is_some() && !in_header {
            return refused(field.tag, Reason::OutOfOrder);
        }
        in_header = of_header.is_some();
        check_value(field, value, kind)?;
        if let Kind::Group(entry) = kind {
            check_group(message, field, entry, &mut fields)?;
        }
    }
    if let Some(tag) = header.missing(&header_seen) {
        return refused(tag, Reason::Missing);
    }
    let Some(layout) = layout else { return refused(tag::MSG_TYPE, Reason::MsgType) };
    layout.missing(&seen).map_or(Ok(()), |tag| refused(tag, Reason::Missing))
}

#[inline]
fn check_value(field: &Field, value: &[u8], kind: Kind) -> Result<(), Refused> {
    if value.is_empty() {
        return Err(Refused { tag: field.tag, reason: Reason::NoValue });
    }
    is_well_formed(kind, value).map_err(|reason| Refused { tag: field.tag, reason })
}

/// A field that is neither the header's nor the type's.
#[cold]
fn check_unknown(version: Version, field: &Field, value: &[u8]) -> Result<(), Refused> {
    let refused = |reason| Err(Refused { tag: field.tag, reason });
    let tag = field.tag;
    if value.is_empty() {
        return refused(Reason::NoValue);
    }
    if TRAILER.contains(&tag) || tag >= FIRST_USER_TAG {
        return Ok(());
    }
    refused(match is_defined(version, tag) {
        true => Reason::NotForThisType,
        false if is_defined(Version::Fix42, tag) || is_defined(Version::Fix44, tag) => {
            Reason::Undefined
        }
        false => Reason::InvalidTag,
    })
}

/// Takes the fields of a group off the front of what is left.
fn check_group(
    message: &Message<'_>,
    count: &Field,
    entry: &'static Layout,
    fields: &mut std::slice::Iter<'_, Field>,
) -> Result<(), Refused> {
    let told = number(message.value(count)).unwrap_or(0);
    let mut entries = 0u64;
    let mut seen = Seen::default();
    while let Some(field) = fields.as_slice().first() {
        let Some((place, kind)) = entry.find(field.tag) else { break };
        let refused = |reason| Err(Refused { tag: field.tag, reason });
        if field.tag == entry.first() {
            entries += 1;
            seen = Seen::default();
        } else if entries == 0 {
            return refused(Reason::GroupOrder);
        }
        if !seen.add(place) {
            return refused(Reason::Twice);
        }
        check_value(field, message.value(field), kind)?;
        fields.next();
        if let Kind::Group(inner) = kind {
            check_group(message, field, inner, fields)?;
        }
    }
    if entries != told {
        return Err(Refused { tag: count.tag, reason: Reason::GroupCount });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Scan, Scanner};
    use super::*;

    const HEAD: &str = "49=CLIENT1|56=MILLRACE|34=2|52=20260701-12:04:05.678|";
    const ORDER: &str = "11=A1|55=AAPL|54=1|60=20260701-12:04:05|38=100|40=2|44=190.25|";

    fn check_text(version: Version, body: &str) -> Result<(), (u32, Reason)> {
        let body = body.replace('|', "\x01");
        let begin = std::str::from_utf8(version.begin_string()).unwrap();
        let mut text = format!("8={begin}\x019={}\x01{body}", body.len()).into_bytes();
        let sum = super::super::scan::checksum(&text);
        text.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
        let mut scanner = Scanner::new();
        assert_eq!(scanner.scan(&text), Scan::Message(text.len()));
        check(version, &scanner.message(&text)).map_err(|refused| (refused.tag, refused.reason))
    }

    fn order(from: &str, to: &str) -> Result<(), (u32, Reason)> {
        let body = format!("35=D|{HEAD}{ORDER}");
        assert!(body.contains(from), "{from}");
        check_text(Version::Fix44, &body.replacen(from, to, 1))
    }

    #[test]
    fn an_order_of_either_version_is_as_it_should_be() {
        assert_eq!(order("", ""), Ok(()));
        let old = format!("35=D|{HEAD}21=1|{ORDER}");
        assert_eq!(check_text(Version::Fix42, &old), Ok(()));
        assert_eq!(order("11=A1|", "11=A1|18=6 G|59=0|9001=mine|"), Ok(()));
    }

    #[test]
    fn each_fault_has_its_reason() {
        use Reason::*;
        for (from, to, tag, reason) in [
            ("11=A1|", "", 11, Missing),
            ("49=CLIENT1|", "", 49, Missing),
            ("11=A1|", "11=|", 11, NoValue),
            ("11=A1|", "11=A1|11=A1|", 11, Twice),
            ("34=2|", "34=2|34=2|", 34, Twice),
            ("54=1|", "54=X|", 54, Incorrect),
            ("54=1|", "54=11|", 54, Format),
            ("38=100|", "38=lots|", 38, Format),
            ("44=190.25|", "44=1.2.3|", 44, Format),
            ("60=20260701-12:04:05|", "60=today|", 60, Format),
            ("11=A1|", "11=A1|108=30|", 108, NotForThisType),
            ("11=A1|", "11=A1|999=1|", 999, InvalidTag),
            ("11=A1|", "11=A1|109=me|", 109, Undefined),
            ("11=A1|", "x=1|", 0, InvalidTag),
            ("11=A1|", "11=A1|43=N|", 43, OutOfOrder),
            ("35=D|", "35=ZZ|", 35, MsgType),
            ("35=D|", "35=6|", 35, MsgType),
        ] {
            assert_eq!(order(from, to), Err((tag, reason)), "{from} to {to}");
        }
        let mass = format!("35=q|{HEAD}11=A1|530=7|60=20260701-12:04:05|");
        assert_eq!(check_text(Version::Fix44, &mass), Ok(()));
        assert_eq!(check_text(Version::Fix42, &mass), Err((35, MsgType)), "4.2 has none");
        let without = format!("35=D|{HEAD}{ORDER}");
        assert_eq!(check_text(Version::Fix42, &without), Err((21, Missing)), "4.2 wants HandlInst");
    }

    /// A value that a field may have.
    fn sample(kind: Kind) -> String {
        let of = |characters: &[u8]| char::from(characters[0]).to_string();
        match kind {
            Text => "text".to_owned(),
            Kind::Character => "Z".to_owned(),
            One(characters) => of(characters),
            Several(characters) => format!("{0} {0}", of(characters)),
            Number => "7".to_owned(),
            Kind::Integer => "-7".to_owned(),
            Decimal => "-7.5".to_owned(),
            Boolean => "N".to_owned(),
            Timestamp => "20260701-12:04:05".to_owned(),
            Date => "20260701".to_owned(),
            Kind::Group(_) => "0".to_owned(),
        }
    }

    /// Two entries of a group with every field, groups inside too.
    fn entries(tag: u32, entry: &'static Layout) -> String {
        let one: String = entry
            .fields()
            .map(|(tag, kind, _)| match kind {
                Kind::Group(inner) => entries(tag, inner),
                kind => format!("{tag}={}|", sample(kind)),
            })
            .collect();
        format!("{tag}=2|{one}{one}")
    }

    /// Every field and group of every message: with it, without it where it is required, empty,
    /// twice, and groups with a wrong count.
    #[test]
    fn every_field_and_group_of_the_tables_is_taken() {
        use Reason::*;
        for (version, types) in
            [(Version::Fix42, &b"012345ADFGHj"[..]), (Version::Fix44, &b"012345ADFGHqj"[..])]
        {
            let of = |kind: u8| match version {
                Version::Fix42 => fix42::message(&[kind]),
                Version::Fix44 => fix44::message(&[kind]),
            };
            for &kind in types {
                let fields: Vec<_> = of(kind).unwrap().fields().collect();
                let body = |without: u32, more: &str| {
                    let required = fields.iter().filter(|(tag, _, must)| *must && *tag != without);
                    let required: String = required
                        .map(|(tag, kind, _)| format!("{tag}={}|", sample(*kind)))
                        .collect();
                    check_text(version, &format!("35={}|{HEAD}{required}{more}", char::from(kind)))
                };
                assert_eq!(body(0, ""), Ok(()), "{version:?} {kind}");
                for &(tag, kind, required) in &fields {
                    let field = format!("{tag}={}|", sample(kind));
                    let without = if required { Err((tag, Missing)) } else { Ok(()) };
                    assert_eq!(body(tag, ""), without, "{version:?} {tag}");
                    assert_eq!(body(tag, &field), Ok(()), "{version:?} {field}");
                    assert_eq!(body(tag, &format!("{tag}=|")), Err((tag, NoValue)));
                    let twice = format!("{field}{field}");
                    assert_eq!(body(tag, &twice), Err((tag, Twice)), "{version:?} {tag}");
                    if let Kind::Group(entry) = kind {
                        let whole = entries(tag, entry);
                        assert_eq!(body(tag, &whole), Ok(()), "{version:?} {whole}");
                        let wrong = whole.replacen("=2|", "=3|", 1);
                        assert_eq!(body(tag, &wrong), Err((tag, GroupCount)), "{version:?} {tag}");
                    }
                }
            }
        }
    }

    #[test]
    fn groups_are_counted_and_may_hold_groups() {
        use Reason::*;
        let with = |group: &str| order("11=A1|", &format!("11=A1|{group}"));
        assert_eq!(with("453=2|448=A|447=D|452=1|448=B|452=3|"), Ok(()));
        assert_eq!(with("453=1|448=A|802=2|523=x|803=1|523=y|447=D|"), Ok(()));
        assert_eq!(with("453=0|"), Ok(()));
        assert_eq!(with("453=3|448=A|448=B|"), Err((453, GroupCount)));
        assert_eq!(with("453=1|448=A|448=B|"), Err((453, GroupCount)));
        assert_eq!(with("453=1|447=D|448=A|"), Err((447, GroupOrder)));
        assert_eq!(with("453=1|448=A|447=D|447=D|"), Err((447, Twice)));
        assert_eq!(with("453=1|448=A|802=2|523=x|"), Err((802, GroupCount)));
        assert_eq!(with("453=x|448=A|"), Err((453, Format)));
    }
}
