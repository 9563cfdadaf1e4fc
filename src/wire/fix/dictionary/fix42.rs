//! FIX 4.2 with errata 20010501: the messages that clients send here, volume 2 and 4. Username
//! and Password of a Logon are 4.3's, and honoured here.

use super::layout::Kind::{
    Boolean, Character, Date, Decimal, Integer, Number, One, Several, Text, Timestamp,
};
use super::layout::{Layout, group, layout, may, must};

/// Numbers up to the highest tag that are no field's.
pub const GAPS: &[(u32, u32)] = &[(101, 101), (220, 222), (224, 230), (232, 261)];
/// The highest tag.
pub const TAG_MAX: u32 = 446;

/// The layout of a message type, if clients send it.
#[inline]
pub fn message(kind: &[u8]) -> Option<&'static Layout> {
    let [kind] = kind else { return None };
    Some(match kind {
        b'D' => &NEW_ORDER,
        b'F' => &CANCEL,
        b'G' => &REPLACE,
        b'H' => &STATUS,
        b'0' => &HEARTBEAT,
        b'1' => &TEST_REQUEST,
        b'2' => &RESEND_REQUEST,
        b'3' => &REJECT,
        b'4' => &SEQUENCE_RESET,
        b'5' => &LOGOUT,
        b'A' => &LOGON,
        b'j' => &BUSINESS_REJECT,
        _ => return None,
    })
}

/// Standard Message Header.
pub static HEADER: Layout = layout(&[&[
    must(Text, &[8, 35, 49, 56]),
    must(Number, &[9, 34]),
    must(Timestamp, &[52]),
    may(Text, &[115, 128, 91, 50, 142, 57, 143, 116, 144, 129, 145, 213, 347]),
    may(Number, &[90, 212, 369]),
    may(Boolean, &[43, 97]),
    may(Timestamp, &[122, 370]),
]]);

/// Heartbeat.
static HEARTBEAT: Layout = layout(&[&[may(Text, &[112])]]);

/// TestRequest.
static TEST_REQUEST: Layout = layout(&[&[must(Text, &[112])]]);

/// ResendRequest.
static RESEND_REQUEST: Layout = layout(&[&[must(Number, &[7, 16])]]);

/// Reject.
static REJECT: Layout = layout(&[&[
    must(Number, &[45]),
    may(Integer, &[371, 373]),
    may(Text, &[372, 58, 355]),
    may(Number, &[354]),
]]);

/// SequenceReset.
static SEQUENCE_RESET: Layout = layout(&[&[must(Number, &[36]), may(Boolean, &[123])]]);

/// Logout.
static LOGOUT: Layout = layout(&[&[may(Text, &[58, 355]), may(Number, &[354])]]);

/// NoMsgTypes.
static MSG_TYPES: Layout = layout(&[&[may(Text, &[372]), may(One(b"RS"), &[385])]]);

/// Logon.
static LOGON: Layout = layout(&[&[
    must(Number, &[98, 108]),
    may(Number, &[95]),
    may(Text, &[96]),
    may(Boolean, &[141]),
    may(Integer, &[383]),
    group(&[384], &MSG_TYPES),
    may(Text, &[553, 554]),
]]);

/// NoAllocs.
static ALLOCS: Layout = layout(&[&[may(Text, &[79]), may(Decimal, &[80])]]);

/// NoTradingSessions.
static TRADING_SESSIONS: Layout = layout(&[&[may(Text, &[336])]]);

/// NewOrderSingle.
static NEW_ORDER: Layout = layout(&[&[
    must(Text, &[11, 55]),
    must(One(b"123"), &[21]),
    must(One(b"123456789"), &[54]),
    must(Timestamp, &[60]),
    must(Decimal, &[38]),
    must(One(b"123456789ABCDEFGHIP"), &[40]),
    may(
        Text,
        &[
            109, 76, 1, 100, 65, 48, 22, 167, 200, 207, 106, 349, 107, 351, 15, 376, 23, 117, 120,
            58, 355, 439, 440,
        ],
    ),
    may(One(b"0123456789"), &[63]),
    may(Date, &[64, 432, 193]),
    may(Several(b"0123456789ABCDEFGILMNOPRSTUVW"), &[18]),
    may(Decimal, &[110, 111, 202, 231, 223, 140, 152, 44, 99, 12, 192, 210, 211, 389]),
    may(One(b"0123456"), &[81, 59]),
    may(Number, &[205, 348, 350, 354]),
    may(Integer, &[201, 427, 203, 204]),
    may(Character, &[206]),
    may(Boolean, &[114, 377, 121]),
    may(Timestamp, &[168, 126]),
    may(One(b"123"), &[13]),
    may(One(b"ABCDEFHIJKLMNOPRSTUWXYZ"), &[47]),
    may(One(b"CO"), &[77]),
    may(One(b"012345"), &[388]),
    group(&[78], &ALLOCS),
    group(&[386], &TRADING_SESSIONS),
]]);

/// OrderCancelRequest.
static CANCEL: Layout = layout(&[&[
    must(Text, &[41, 11, 55]),
    must(One(b"123456789"), &[54]),
    must(Timestamp, &[60]),
    may(Text, &[37, 66, 1, 109, 76, 65, 48, 22, 167, 200, 207, 106, 349, 107, 351, 376, 58, 355]),
    may(Number, &[205, 348, 350, 354]),
    may(Integer, &[201]),
    may(Decimal, &[202, 231, 223, 38, 152]),
    may(Character, &[206]),
    may(Boolean, &[377]),
]]);

/// OrderCancelReplaceRequest.
static REPLACE: Layout = layout(&[&[
    must(Text, &[41, 11, 55]),
    must(One(b"123"), &[21]),
    must(One(b"123456789"), &[54]),
    must(Timestamp, &[60]),
    must(Decimal, &[38]),
    must(One(b"123456789ABCDEFGHIP"), &[40]),
    may(
        Text,
        &[
            37, 109, 76, 66, 1, 100, 65, 48, 22, 167, 200, 207, 106, 349, 107, 351, 376, 15, 120,
            58, 355, 439, 440,
        ],
    ),
    may(One(b"0123456789"), &[63]),
    may(Date, &[64, 432, 193]),
    may(Several(b"0123456789ABCDEFGILMNOPRSTUVW"), &[18]),
    may(Decimal, &[110, 111, 202, 231, 223, 152, 44, 99, 211, 389, 12, 192, 210]),
    may(Number, &[205, 348, 350, 354]),
    may(Integer, &[201, 427, 203, 204]),
    may(Character, &[206]),
    may(One(b"012345"), &[388]),
    may(Boolean, &[377, 121, 114]),
    may(One(b"0123456"), &[59]),
    may(Timestamp, &[168, 126]),
    may(One(b"123"), &[13]),
    may(One(b"ABCDEFHIJKLMNOPRSTUWXYZ"), &[47]),
    may(One(b"CO"), &[77]),
    group(&[78], &ALLOCS),
    group(&[386], &TRADING_SESSIONS),
]]);

/// OrderStatusRequest.
static STATUS: Layout = layout(&[&[
    must(Text, &[11, 55]),
    must(One(b"123456789"), &[54]),
    may(Text, &[37, 109, 1, 76, 65, 48, 22, 167, 200, 207, 106, 349, 107, 351]),
    may(Number, &[205, 348, 350]),
    may(Integer, &[201]),
    may(Decimal, &[202, 231, 223]),
    may(Character, &[206]),
]]);

/// BusinessMessageReject.
static BUSINESS_REJECT: Layout = layout(&[&[
    must(Text, &[372]),
    must(Integer, &[380]),
    may(Number, &[45, 354]),
    may(Text, &[379, 58, 355]),
]]);
