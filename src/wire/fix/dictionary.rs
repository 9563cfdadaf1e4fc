//! What the messages that are understood may hold, and whether one does (FIX 4.2 and 4.4,
//! volumes 2 and 4). A field is looked up by its tag in a table that is made when this is compiled.

use super::scan::{Field, Message};
use super::value::{boolean, date, number, price, timestamp};
use super::{Version, tag};

/// SessionRejectReason (373).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Reason {
    /// What stands before `=` is no tag.
    InvalidTag = 0,
    /// A required field is missing.
    Missing = 1,
    /// The field does not belong to this message type.
    NotForThisType = 2,
    /// No version here has such a tag.
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

/// How a value is written.
#[derive(Clone, Copy)]
enum Kind {
    /// String, and what is compared as one.
    Text,
    /// One of these characters.
    One(&'static [u8]),
    /// Characters of these, with a space between (MultipleValueString).
    Some(&'static [u8]),
    /// int, SeqNum, Length.
    Number,
    /// Qty, Price, Amt: a decimal number.
    Decimal,
    Boolean,
    Timestamp,
    Date,
    /// NumInGroup.
    Group(&'static Group),
}

struct Rule {
    tag: u32,
    kind: Kind,
    required: bool,
}

const fn may(tag: u32, kind: Kind) -> Rule {
    Rule { tag, kind, required: false }
}

const fn must(tag: u32, kind: Kind) -> Rule {
    Rule { tag, kind, required: true }
}

/// A repeating group: its first field begins each entry.
struct Group {
    rules: &'static [Rule],
}

/// Tags below this are looked up.
const TAGS: usize = 1024;

/// A message type, or a header.
struct Layout {
    rules: &'static [Rule],
    /// For each tag the number of its rule and one, 0 where there is none.
    index: [u8; TAGS],
    /// A bit for each rule of a required field.
    required: u64,
}

const fn layout(rules: &'static [Rule]) -> Layout {
    assert!(rules.len() <= 64, "a bit for each rule");
    let mut index = [0; TAGS];
    let mut required = 0;
    let mut at = 0;
    while at < rules.len() {
        index[rules[at].tag as usize] = at as u8 + 1;
        if rules[at].required {
            required |= 1 << at;
        }
        at += 1;
    }
    Layout { rules, index, required }
}

impl Layout {
    #[inline]
    fn find(&'static self, tag: u32) -> Option<(usize, &'static Rule)> {
        let at = usize::from(*self.index.get(tag as usize)?).checked_sub(1)?;
        Some((at, &self.rules[at]))
    }

    /// The first required field that was not seen.
    #[cold]
    fn missing(&self, seen: u64) -> u32 {
        let at = (self.required & !seen).trailing_zeros() as usize;
        self.rules.get(at).map_or(0, |rule| rule.tag)
    }
}

use Kind::{Boolean, Date, Decimal, Number, One, Some as Several, Text, Timestamp};

static HEADER: Layout = layout(&[
    must(tag::BEGIN_STRING, Text),
    must(tag::BODY_LENGTH, Number),
    must(tag::MSG_TYPE, Text),
    must(tag::SENDER_COMP_ID, Text),
    must(tag::TARGET_COMP_ID, Text),
    must(tag::MSG_SEQ_NUM, Number),
    must(tag::SENDING_TIME, Timestamp),
    may(tag::SENDER_SUB_ID, Text),
    may(tag::SENDER_LOCATION_ID, Text),
    may(tag::TARGET_SUB_ID, Text),
    may(tag::TARGET_LOCATION_ID, Text),
    may(tag::ON_BEHALF_OF_LOCATION_ID, Text),
    may(tag::DELIVER_TO_LOCATION_ID, Text),
    may(tag::MESSAGE_ENCODING, Text),
    may(tag::ON_BEHALF_OF_COMP_ID, Text),
    may(tag::ON_BEHALF_OF_SUB_ID, Text),
    may(tag::DELIVER_TO_COMP_ID, Text),
    may(tag::DELIVER_TO_SUB_ID, Text),
    may(tag::POSS_DUP_FLAG, Boolean),
    may(tag::POSS_RESEND, Boolean),
    may(tag::ORIG_SENDING_TIME, Timestamp),
    may(tag::LAST_MSG_SEQ_NUM_PROCESSED, Number),
]);

static TRAILER: Layout = layout(&[may(tag::SIGNATURE_LENGTH, Number), may(tag::SIGNATURE, Text)]);

static HEARTBEAT: Layout = layout(&[may(tag::TEST_REQ_ID, Text)]);
static TEST_REQUEST: Layout = layout(&[must(tag::TEST_REQ_ID, Text)]);
static RESEND_REQUEST: Layout =
    layout(&[must(tag::BEGIN_SEQ_NO, Number), must(tag::END_SEQ_NO, Number)]);
static REJECT: Layout = layout(&[
    must(tag::REF_SEQ_NUM, Number),
    may(tag::REF_TAG_ID, Number),
    may(tag::REF_MSG_TYPE, Text),
    may(tag::SESSION_REJECT_REASON, Number),
    may(tag::TEXT, Text),
]);
static SEQUENCE_RESET: Layout =
    layout(&[may(tag::GAP_FILL_FLAG, Boolean), must(tag::NEW_SEQ_NO, Number)]);
static LOGOUT: Layout = layout(&[may(tag::TEXT, Text)]);
static LOGON: Layout = layout(&[
    must(tag::ENCRYPT_METHOD, Number),
    must(tag::HEART_BT_INT, Number),
    may(tag::RAW_DATA_LENGTH, Number),
    may(tag::RAW_DATA, Text),
    may(tag::RESET_SEQ_NUM_FLAG, Boolean),
    may(tag::MAX_MESSAGE_SIZE, Number),
    may(tag::USERNAME, Text),
    may(tag::PASSWORD, Text),
]);
static BUSINESS_REJECT: Layout = layout(&[
    may(tag::REF_SEQ_NUM, Number),
    must(tag::REF_MSG_TYPE, Text),
    may(tag::BUSINESS_REJECT_REF_ID, Text),
    must(tag::BUSINESS_REJECT_REASON, Number),
    may(tag::TEXT, Text),
]);

static PARTY_SUBS: Group = Group { rules: &[must(523, Text), may(803, Number)] };
static PARTIES: Group = Group {
    rules: &[
        must(tag::PARTY_ID, Text),
        may(tag::PARTY_ID_SOURCE, Text),
        may(tag::PARTY_ROLE, Number),
        may(tag::NO_PARTY_SUB_IDS, Kind::Group(&PARTY_SUBS)),
    ],
};
static ALLOCS: Group =
    Group { rules: &[must(tag::ALLOC_ACCOUNT, Text), may(tag::ALLOC_QTY, Decimal)] };

const SIDES: Kind = One(b"123456789");
const ORD_TYPES: Kind = One(b"123456789DEGIJKLMP");
const TIMES_IN_FORCE: Kind = One(b"01234567");
const EXEC_INSTS: Kind = Several(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcde");
const HANDL_INSTS: Kind = One(b"123");

/// What orders and replacements have in common, behind what is each one's own. Fields that say nothing
/// to this venue are let through, as long as they belong to the message.
macro_rules! order_layout {
    ($($own:expr),* $(,)?) => {
        layout(&[
            $($own,)*
            must(tag::CL_ORD_ID, Text),
            must(tag::SYMBOL, Text),
            must(tag::SIDE, SIDES),
            must(tag::TRANSACT_TIME, Timestamp),
            must(tag::ORDER_QTY, Decimal),
            must(tag::ORD_TYPE, ORD_TYPES),
            may(tag::ACCOUNT, Text),
            may(tag::NO_ALLOCS, Kind::Group(&ALLOCS)),
            may(tag::SETTL_TYPE, Text),
            may(tag::SETTL_DATE, Date),
            may(tag::EXEC_INST, EXEC_INSTS),
            may(tag::MIN_QTY, Decimal),
            may(tag::MAX_FLOOR, Decimal),
            may(tag::EX_DESTINATION, Text),
            may(tag::PROCESS_CODE, Text),
            may(tag::SYMBOL_SFX, Text),
            may(tag::SECURITY_ID, Text),
            may(tag::SECURITY_ID_SOURCE, Text),
            may(tag::SECURITY_TYPE, Text),
            may(tag::SECURITY_EXCHANGE, Text),
            may(tag::ISSUER, Text),
            may(tag::SECURITY_DESC, Text),
            may(tag::LOCATE_REQD, Boolean),
            may(tag::PRICE, Decimal),
            may(tag::STOP_PX, Decimal),
            may(tag::CURRENCY, Text),
            may(tag::SETTL_CURRENCY, Text),
            may(tag::COMPLIANCE_ID, Text),
            may(tag::SOLICITED_FLAG, Boolean),
            may(tag::TIME_IN_FORCE, TIMES_IN_FORCE),
            may(tag::EXPIRE_DATE, Date),
            may(tag::EXPIRE_TIME, Timestamp),
            may(tag::TEXT, Text),
        ])
    };
}

static NEW_ORDER_42: Layout = order_layout![
    must(tag::HANDL_INST, HANDL_INSTS),
    may(tag::CLIENT_ID, Text),
    may(tag::EXEC_BROKER, Text),
    may(tag::RULE80_A, Text),
];

static NEW_ORDER_44: Layout = order_layout![
    may(tag::HANDL_INST, HANDL_INSTS),
    may(tag::NO_PARTY_IDS, Kind::Group(&PARTIES)),
    may(tag::ACCOUNT_TYPE, Number),
    may(tag::ORDER_CAPACITY, One(b"AGIPRW")),
    may(tag::ORDER_RESTRICTIONS, Text),
    may(tag::CUST_ORDER_CAPACITY, Number),
    may(tag::SECONDARY_CL_ORD_ID, Text),
    may(tag::CL_ORD_LINK_ID, Text),
    may(tag::CFI_CODE, Text),
    may(tag::PRODUCT, Number),
];

static CANCEL: Layout = layout(&[
    must(tag::ORIG_CL_ORD_ID, Text),
    may(tag::ORDER_ID, Text),
    must(tag::CL_ORD_ID, Text),
    may(tag::ACCOUNT, Text),
    may(tag::CLIENT_ID, Text),
    may(tag::NO_PARTY_IDS, Kind::Group(&PARTIES)),
    must(tag::SYMBOL, Text),
    may(tag::SYMBOL_SFX, Text),
    may(tag::SECURITY_ID, Text),
    may(tag::SECURITY_ID_SOURCE, Text),
    must(tag::SIDE, SIDES),
    must(tag::TRANSACT_TIME, Timestamp),
    may(tag::ORDER_QTY, Decimal),
    may(tag::TEXT, Text),
]);

static REPLACE_42: Layout = order_layout![
    must(tag::ORIG_CL_ORD_ID, Text),
    must(tag::HANDL_INST, HANDL_INSTS),
    may(tag::ORDER_ID, Text),
    may(tag::CLIENT_ID, Text),
    may(tag::EXEC_BROKER, Text),
    may(tag::RULE80_A, Text),
];

static REPLACE_44: Layout = order_layout![
    must(tag::ORIG_CL_ORD_ID, Text),
    may(tag::HANDL_INST, HANDL_INSTS),
    may(tag::ORDER_ID, Text),
    may(tag::NO_PARTY_IDS, Kind::Group(&PARTIES)),
    may(tag::ACCOUNT_TYPE, Number),
    may(tag::ORDER_CAPACITY, One(b"AGIPRW")),
    may(tag::ORDER_RESTRICTIONS, Text),
    may(tag::CUST_ORDER_CAPACITY, Number),
    may(tag::SECONDARY_CL_ORD_ID, Text),
    may(tag::CL_ORD_LINK_ID, Text),
    may(tag::CFI_CODE, Text),
    may(tag::PRODUCT, Number),
];

static STATUS: Layout = layout(&[
    may(tag::ORDER_ID, Text),
    must(tag::CL_ORD_ID, Text),
    may(tag::ORD_STATUS_REQ_ID, Text),
    may(tag::CLIENT_ID, Text),
    may(tag::NO_PARTY_IDS, Kind::Group(&PARTIES)),
    may(tag::ACCOUNT, Text),
    must(tag::SYMBOL, Text),
    may(tag::SYMBOL_SFX, Text),
    may(tag::SECURITY_ID, Text),
    may(tag::SECURITY_ID_SOURCE, Text),
    must(tag::SIDE, SIDES),
]);

static MASS_CANCEL: Layout = layout(&[
    must(tag::CL_ORD_ID, Text),
    must(tag::MASS_CANCEL_REQUEST_TYPE, One(b"1234567")),
    may(tag::SYMBOL, Text),
    may(tag::SYMBOL_SFX, Text),
    may(tag::SIDE, SIDES),
    must(tag::TRANSACT_TIME, Timestamp),
    may(tag::TEXT, Text),
]);

/// The layout of a message type, if clients send it in this version.
#[inline]
fn layout_of(version: Version, msg_type: &[u8]) -> Option<&'static Layout> {
    let &[kind] = msg_type else { return None };
    Some(match (kind, version) {
        (b'D', Version::Fix42) => &NEW_ORDER_42,
        (b'D', Version::Fix44) => &NEW_ORDER_44,
        (b'F', _) => &CANCEL,
        (b'G', Version::Fix42) => &REPLACE_42,
        (b'G', Version::Fix44) => &REPLACE_44,
        (b'H', _) => &STATUS,
        // FIX 4.3 brought it.
        (b'q', Version::Fix44) => &MASS_CANCEL,
        (b'0', _) => &HEARTBEAT,
        (b'1', _) => &TEST_REQUEST,
        (b'2', _) => &RESEND_REQUEST,
        (b'3', _) => &REJECT,
        (b'4', _) => &SEQUENCE_RESET,
        (b'5', _) => &LOGOUT,
        (b'A', _) => &LOGON,
        (b'j', _) => &BUSINESS_REJECT,
        _ => return None,
    })
}

/// Whether a type is one of the session's own.
#[inline]
pub fn is_session_type(msg_type: &[u8]) -> bool {
    matches!(msg_type, [b'0'..=b'5' | b'A'])
}

/// The highest tag the versions here define; those from 5000 on are for users.
const TAG_MAX: u32 = 956;
const FIRST_USER_TAG: u32 = 5000;

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
        Number => number(value).is_some(),
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
    let layout = layout_of(version, msg_type);
    let mut fields = message.fields().iter();
    let mut header_seen = 0u64;
    let mut seen = 0u64;
    let mut in_header = true;
    while let Some(field) = fields.next() {
        let value = message.value(field);
        if field.tag == 0 {
            return refused(0, Reason::InvalidTag);
        }
        if let Some((at, rule)) = HEADER.find(field.tag) {
            if header_seen >> at & 1 == 1 {
                return refused(field.tag, Reason::Twice);
            }
            if !in_header {
                return refused(field.tag, Reason::OutOfOrder);
            }
            header_seen |= 1 << at;
            check_value(field, value, rule.kind)?;
            continue;
        }
        in_header = false;
        let Some(layout) = layout else { break };
        match layout.find(field.tag) {
            Some((at, rule)) => {
                if seen >> at & 1 == 1 {
                    return refused(field.tag, Reason::Twice);
                }
                seen |= 1 << at;
                check_value(field, value, rule.kind)?;
                if let Kind::Group(group) = rule.kind {
                    check_group(message, field, group, &mut fields)?;
                }
            }
            None => check_unknown(field, value)?,
        }
    }
    if HEADER.required & !header_seen != 0 {
        return refused(HEADER.missing(header_seen), Reason::Missing);
    }
    let Some(layout) = layout else { return refused(tag::MSG_TYPE, Reason::MsgType) };
    if layout.required & !seen != 0 {
        return refused(layout.missing(seen), Reason::Missing);
    }
    Ok(())
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
fn check_unknown(field: &Field, value: &[u8]) -> Result<(), Refused> {
    let refused = |reason| Err(Refused { tag: field.tag, reason });
    match field.tag {
        _ if value.is_empty() => refused(Reason::NoValue),
        tag if TRAILER.find(tag).is_some() || tag >= FIRST_USER_TAG => Ok(()),
        tag if tag > TAG_MAX => refused(Reason::Undefined),
        _ => refused(Reason::NotForThisType),
    }
}

/// Takes the fields of a group off the front of what is left.
fn check_group(
    message: &Message<'_>,
    count: &Field,
    group: &'static Group,
    fields: &mut std::slice::Iter<'_, Field>,
) -> Result<(), Refused> {
    let told = number(message.value(count)).unwrap_or(0);
    let mut entries = 0u64;
    let mut seen = 0u64;
    let first = group.rules[0].tag;
    while let Some(field) = fields.as_slice().first() {
        let Some(at) = group.rules.iter().position(|rule| rule.tag == field.tag) else { break };
        let refused = |reason| Err(Refused { tag: field.tag, reason });
        if field.tag == first {
            entries += 1;
            seen = 0;
        } else if entries == 0 {
            return refused(Reason::GroupOrder);
        } else if seen >> at & 1 == 1 {
            return refused(Reason::Twice);
        }
        seen |= 1 << at;
        check_value(field, message.value(field), group.rules[at].kind)?;
        fields.next();
        if let Kind::Group(inner) = group.rules[at].kind {
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
            ("11=A1|", "11=A1|999=1|", 999, Undefined),
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
