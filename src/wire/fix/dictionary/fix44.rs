//! FIX 4.4 with errata 20030618: the messages that clients send here, volumes 2 to 4, and the
//! component blocks and groups they are made of.

use super::layout::Kind::{
    Boolean, Character, Date, Decimal, Integer, Number, One, Several, Text, Timestamp,
};
use super::layout::{Layout, Rules, group, layout, may, must};

/// Numbers up to the highest tag that are no field's.
pub const GAPS: &[(u32, u32)] = &[
    (20, 20),
    (24, 24),
    (46, 47),
    (51, 51),
    (76, 76),
    (86, 86),
    (92, 92),
    (101, 101),
    (105, 105),
    (109, 109),
    (125, 125),
    (166, 166),
    (173, 187),
    (204, 205),
    (219, 219),
    (261, 261),
    (314, 314),
    (319, 319),
    (370, 370),
    (439, 440),
    (449, 450),
    (465, 465),
    (653, 653),
    (685, 685),
    (809, 809),
    (831, 831),
];
/// The highest tag.
pub const TAG_MAX: u32 = 956;

/// The layout of a message type, if clients send it.
#[inline]
pub fn message(kind: &[u8]) -> Option<&'static Layout> {
    let [kind] = kind else { return None };
    Some(match kind {
        b'D' => &NEW_ORDER,
        b'F' => &CANCEL,
        b'G' => &REPLACE,
        b'H' => &STATUS,
        b'q' => &MASS_CANCEL,
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

/// NoHops.
static HOPS: Layout = layout(&[&[may(Text, &[628]), may(Timestamp, &[629]), may(Number, &[630])]]);

/// Standard Message Header.
pub static HEADER: Layout = layout(&[&[
    must(Text, &[8, 35, 49, 56]),
    must(Number, &[9, 34]),
    must(Timestamp, &[52]),
    may(Text, &[115, 128, 91, 50, 142, 57, 143, 116, 144, 129, 145, 213, 347]),
    may(Number, &[90, 212, 369]),
    may(Boolean, &[43, 97]),
    may(Timestamp, &[122]),
    group(&[627], &HOPS),
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
    may(Number, &[95, 789, 383]),
    may(Text, &[96, 553, 554]),
    may(Boolean, &[141, 464]),
    group(&[384], &MSG_TYPES),
]]);

/// NoPartySubIDs.
static PARTY_SUBS: Layout = layout(&[&[may(Text, &[523]), may(Integer, &[803])]]);

/// NoPartyIDs.
static PARTIES: Layout = layout(&[&[
    may(Text, &[448]),
    may(One(b"123456789ABCDEFGHI"), &[447]),
    may(Integer, &[452]),
    group(&[802], &PARTY_SUBS),
]]);

/// NoNestedPartySubIDs.
static NESTED_PARTY_SUBS: Layout = layout(&[&[may(Text, &[545]), may(Integer, &[805])]]);

/// NoNestedPartyIDs.
static NESTED_PARTIES: Layout = layout(&[&[
    may(Text, &[524]),
    may(Character, &[525]),
    may(Integer, &[538]),
    group(&[804], &NESTED_PARTY_SUBS),
]]);

/// NoAllocs.
static ALLOCS: Layout = layout(&[&[
    may(Text, &[79, 736, 467]),
    may(Integer, &[661]),
    may(Decimal, &[80]),
    group(&[539], &NESTED_PARTIES),
]]);

/// NoTradingSessions.
static TRADING_SESSIONS: Layout = layout(&[&[may(Text, &[336, 625])]]);

/// NoSecurityAltID.
static SECURITY_ALT_IDS: Layout = layout(&[&[may(Text, &[455, 456])]]);

/// NoEvents.
static EVENTS: Layout =
    layout(&[&[may(Integer, &[865]), may(Date, &[866]), may(Decimal, &[867]), may(Text, &[868])]]);

/// Instrument, without Symbol, which each message asks for itself.
const INSTRUMENT: &[Rules] = &[
    may(
        Text,
        &[
            65, 48, 22, 461, 167, 762, 200, 239, 255, 543, 470, 471, 472, 947, 207, 106, 349, 107,
            351, 691, 667, 876,
        ],
    ),
    may(Integer, &[460, 201, 226, 875]),
    may(Date, &[541, 224, 225, 240, 873, 874]),
    may(Decimal, &[227, 228, 202, 231, 223]),
    may(Character, &[206]),
    may(Number, &[348, 350]),
    group(&[454], &SECURITY_ALT_IDS),
    group(&[864], &EVENTS),
];

/// FinancingDetails.
const FINANCING: &[Rules] = &[
    may(Text, &[913, 914, 918]),
    may(Date, &[915, 916, 917]),
    may(Integer, &[788, 919]),
    may(Decimal, &[898]),
];

/// NoUnderlyingSecurityAltID.
static UNDERLYING_ALT_IDS: Layout = layout(&[&[may(Text, &[458, 459])]]);

/// NoUnderlyingStips.
static UNDERLYING_STIPS: Layout = layout(&[&[may(Text, &[888, 889])]]);

/// UnderlyingInstrument.
const UNDERLYING: &[Rules] = &[
    may(
        Text,
        &[
            311, 312, 309, 305, 463, 310, 763, 313, 243, 256, 595, 592, 593, 594, 941, 308, 306,
            363, 307, 365, 877, 878, 318,
        ],
    ),
    may(Integer, &[462, 315, 244]),
    may(Date, &[542, 241, 242, 247]),
    may(Decimal, &[245, 246, 316, 436, 435, 879, 810, 882, 883, 884, 885, 886]),
    may(Character, &[317]),
    may(Number, &[362, 364]),
    group(&[457], &UNDERLYING_ALT_IDS),
    group(&[887], &UNDERLYING_STIPS),
];

/// NoUnderlyings.
static UNDERLYINGS: Layout = layout(&[UNDERLYING]);

/// NoStipulations.
static STIPULATIONS: Layout = layout(&[&[may(Text, &[233, 234])]]);

/// OrderQtyData, without OrderQty, the one that this venue takes.
const ORDER_QTY: &[Rules] = &[may(Decimal, &[152, 516, 469]), may(One(b"012"), &[468])];

/// SpreadOrBenchmarkCurveData.
const BENCHMARK: &[Rules] =
    &[may(Decimal, &[218, 662]), may(Text, &[220, 221, 222, 699, 761]), may(Integer, &[663])];

/// YieldData.
const YIELD: &[Rules] =
    &[may(Text, &[235]), may(Decimal, &[236, 697]), may(Date, &[701, 696]), may(Integer, &[698])];

/// CommissionData.
const COMMISSION: &[Rules] =
    &[may(Decimal, &[12]), may(One(b"123456"), &[13]), may(Text, &[479]), may(One(b"NY"), &[497])];

/// PegInstructions.
const PEG: &[Rules] = &[may(Decimal, &[211]), may(Integer, &[835, 836, 837, 838, 840])];

/// DiscretionInstructions.
const DISCRETION: &[Rules] =
    &[may(One(b"0123456"), &[388]), may(Decimal, &[389]), may(Integer, &[841, 842, 843, 844, 846])];

/// NewOrderSingle.
static NEW_ORDER: Layout = layout(&[
    &[
        must(Text, &[55]),
        must(Decimal, &[38]),
        must(Text, &[11]),
        must(One(b"123456789ABCDEFG"), &[54]),
        must(Timestamp, &[60]),
        must(One(b"12346789DEGIJKLMP"), &[40]),
        may(Text, &[526, 583, 1, 70, 635, 100, 15, 376, 23, 117, 120, 58, 355, 848, 513, 494]),
        may(Date, &[229, 75, 64, 432, 193]),
        may(Integer, &[660, 581, 854, 423, 427, 582, 775, 203, 847]),
        may(One(b"012"), &[589, 590]),
        may(One(b"01"), &[591]),
        may(One(b"0123456789"), &[63]),
        may(One(b"123"), &[544, 21]),
        may(Several(b"0123456789ABCDEFGHIJKLMNOPQRSUVWXYZabcde"), &[18]),
        may(Decimal, &[110, 111, 140, 44, 99, 192, 640, 210, 849]),
        may(One(b"0123456"), &[81]),
        may(Boolean, &[114, 377, 121]),
        may(One(b"01234567"), &[59]),
        may(Timestamp, &[168, 126]),
        may(One(b"AGIPRW"), &[528]),
        may(Several(b"123456789A"), &[529]),
        may(Number, &[354]),
        may(One(b"CFOR"), &[77]),
        may(One(b"MNOY"), &[480]),
        may(One(b"123NY"), &[481]),
        group(&[453], &PARTIES),
        group(&[78], &ALLOCS),
        group(&[386], &TRADING_SESSIONS),
        group(&[711], &UNDERLYINGS),
        group(&[232], &STIPULATIONS),
    ],
    INSTRUMENT,
    FINANCING,
    ORDER_QTY,
    BENCHMARK,
    YIELD,
    COMMISSION,
    PEG,
    DISCRETION,
]);

/// OrderCancelRequest.
static CANCEL: Layout = layout(&[
    &[
        may(Decimal, &[38]),
        must(Text, &[55]),
        must(Text, &[41, 11]),
        must(One(b"123456789ABCDEFG"), &[54]),
        must(Timestamp, &[60]),
        may(Text, &[37, 526, 583, 66, 1, 376, 58, 355]),
        may(Timestamp, &[586]),
        may(Integer, &[660, 581]),
        may(Number, &[354]),
        group(&[453], &PARTIES),
        group(&[711], &UNDERLYINGS),
    ],
    INSTRUMENT,
    FINANCING,
    ORDER_QTY,
]);

/// OrderCancelReplaceRequest.
static REPLACE: Layout = layout(&[
    &[
        must(Text, &[55]),
        must(Decimal, &[38]),
        must(Text, &[41, 11]),
        must(One(b"123456789ABCDEFG"), &[54]),
        must(Timestamp, &[60]),
        must(One(b"12346789DEGIJKLMP"), &[40]),
        may(Text, &[37, 526, 583, 66, 1, 70, 635, 100, 848, 376, 15, 120, 58, 355, 513, 494]),
        may(Date, &[229, 75, 64, 432, 193]),
        may(Timestamp, &[586, 168, 126]),
        may(Integer, &[660, 581, 854, 423, 847, 427, 582, 775, 203]),
        may(One(b"012"), &[589, 590]),
        may(One(b"01"), &[591]),
        may(One(b"0123456789"), &[63]),
        may(One(b"123"), &[544, 21]),
        may(Several(b"0123456789ABCDEFGHIJKLMNOPQRSUVWXYZabcde"), &[18]),
        may(Decimal, &[110, 111, 44, 99, 849, 192, 640, 210]),
        may(Boolean, &[377, 121, 114]),
        may(One(b"01234567"), &[59]),
        may(One(b"AGIPRW"), &[528]),
        may(Several(b"123456789A"), &[529]),
        may(Number, &[354]),
        may(One(b"CFOR"), &[77]),
        may(One(b"MNOY"), &[480]),
        may(One(b"123NY"), &[481]),
        group(&[453], &PARTIES),
        group(&[78], &ALLOCS),
        group(&[386], &TRADING_SESSIONS),
        group(&[711], &UNDERLYINGS),
    ],
    INSTRUMENT,
    FINANCING,
    ORDER_QTY,
    BENCHMARK,
    YIELD,
    PEG,
    DISCRETION,
    COMMISSION,
]);

/// OrderStatusRequest.
static STATUS: Layout = layout(&[
    &[
        must(Text, &[55]),
        must(Text, &[11]),
        must(One(b"123456789ABCDEFG"), &[54]),
        may(Text, &[37, 526, 583, 790, 1]),
        may(Integer, &[660]),
        group(&[453], &PARTIES),
        group(&[711], &UNDERLYINGS),
    ],
    INSTRUMENT,
    FINANCING,
]);

/// BusinessMessageReject.
static BUSINESS_REJECT: Layout = layout(&[&[
    must(Text, &[372]),
    must(Integer, &[380]),
    may(Number, &[45, 354]),
    may(Text, &[379, 58, 355]),
]]);

/// OrderMassCancelRequest.
static MASS_CANCEL: Layout = layout(&[
    &[
        may(Text, &[55]),
        must(Text, &[11]),
        must(One(b"1234567"), &[530]),
        must(Timestamp, &[60]),
        may(Text, &[526, 336, 625, 58, 355]),
        may(One(b"123456789ABCDEFG"), &[54]),
        may(Number, &[354]),
    ],
    INSTRUMENT,
    UNDERLYING,
]);
