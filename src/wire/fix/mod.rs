//! FIX 4.2 and 4.4, tag=value: messages are found and checked where their bytes lie ([`scan`]),
//! their values read from there ([`value`]), and written into buffers of the caller's ([`mod@write`]).
//! What a message may hold is in [`dictionary`].
//!
//! Sources: FIX 4.2 with errata 20010501, volumes 1, 2 and 4; FIX 4.4 with errata 20030618, volumes
//! 1, 2 and 4; the FIX session layer test cases.

pub mod dictionary;
mod ends;
pub mod scan;
pub mod value;
pub mod write;

/// What ends a field.
pub const SOH: u8 = 1;

/// The versions spoken here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// FIX 4.2.
    Fix42,
    /// FIX 4.4.
    Fix44,
}

impl Version {
    /// BeginString.
    pub const fn begin_string(self) -> &'static [u8] {
        match self {
            Version::Fix42 => b"FIX.4.2",
            Version::Fix44 => b"FIX.4.4",
        }
    }
}

macro_rules! tags {
    ($($name:ident = $number:literal),* $(,)?) => {
        /// Tags by their names in the specification.
        #[allow(missing_docs, reason = "the specification's names")]
        pub mod tag {
            $(pub const $name: u32 = $number;)*

            /// The name of a tag as the specification writes it, as far as it is used here.
            pub fn name(tag: u32) -> Option<String> {
                const NAMES: &[(u32, &str)] = &[$(($number, stringify!($name))),*];
                let (_, name) = NAMES.iter().find(|(number, _)| *number == tag)?;
                let word = |word: &str| match word {
                    "ID" => "ID".to_owned(),
                    "IDS" => "IDs".to_owned(),
                    word => word[..1].to_owned() + &word[1..].to_ascii_lowercase(),
                };
                Some(name.split('_').map(word).collect())
            }
        }
    };
}

tags! {
    ACCOUNT = 1, AVG_PX = 6, BEGIN_SEQ_NO = 7, BEGIN_STRING = 8, BODY_LENGTH = 9, CHECK_SUM = 10,
    CL_ORD_ID = 11, CUM_QTY = 14, CURRENCY = 15, END_SEQ_NO = 16, EXEC_ID = 17, EXEC_INST = 18,
    EXEC_TRANS_TYPE = 20, HANDL_INST = 21, SECURITY_ID_SOURCE = 22, LAST_PX = 31, LAST_QTY = 32,
    EXEC_REF_ID = 19, LAST_MKT = 30, MSG_SEQ_NUM = 34, MSG_TYPE = 35, NEW_SEQ_NO = 36, ORDER_ID = 37, ORDER_QTY = 38,
    ORD_STATUS = 39, ORD_TYPE = 40, ORIG_CL_ORD_ID = 41, POSS_DUP_FLAG = 43, PRICE = 44,
    REF_SEQ_NUM = 45, SECURITY_ID = 48, SENDER_COMP_ID = 49, SENDER_SUB_ID = 50,
    SENDING_TIME = 52, SIDE = 54, SYMBOL = 55, TARGET_COMP_ID = 56, TARGET_SUB_ID = 57, TEXT = 58,
    TIME_IN_FORCE = 59, TRANSACT_TIME = 60, SETTL_TYPE = 63, SYMBOL_SFX = 65, EX_DESTINATION = 100,
    POSS_RESEND = 97, ENCRYPT_METHOD = 98, STOP_PX = 99, CXL_REJ_REASON = 102,
    ORD_REJ_REASON = 103, HEART_BT_INT = 108, CLIENT_ID = 109, MIN_QTY = 110, MAX_FLOOR = 111,
    TEST_REQ_ID = 112, ON_BEHALF_OF_COMP_ID = 115, ON_BEHALF_OF_SUB_ID = 116,
    ORIG_SENDING_TIME = 122, GAP_FILL_FLAG = 123, EXPIRE_TIME = 126, DELIVER_TO_COMP_ID = 128,
    DELIVER_TO_SUB_ID = 129, RESET_SEQ_NUM_FLAG = 141, SENDER_LOCATION_ID = 142, EXEC_TYPE = 150,
    LEAVES_QTY = 151, SECURITY_TYPE = 167, SECURITY_EXCHANGE = 207, MAX_MESSAGE_SIZE = 383,
    REF_TAG_ID = 371, REF_MSG_TYPE = 372, SESSION_REJECT_REASON = 373,
    BUSINESS_REJECT_REF_ID = 379, BUSINESS_REJECT_REASON = 380, CXL_REJ_RESPONSE_TO = 434,
    NO_PARTY_IDS = 453, PARTY_ID_SOURCE = 447, PARTY_ID = 448, PARTY_ROLE = 452,
    NO_PARTY_SUB_IDS = 802, EXPIRE_DATE = 432, MASS_CANCEL_REQUEST_TYPE = 530,
    MASS_CANCEL_RESPONSE = 531, MASS_CANCEL_REJECT_REASON = 532, TOTAL_AFFECTED_ORDERS = 533,
    ORDER_CAPACITY = 528, USERNAME = 553, PASSWORD = 554, ACCOUNT_TYPE = 581,
    ORD_STATUS_REQ_ID = 790, MASS_STATUS_REQ_ID = 584, TOT_NUM_REPORTS = 911, LAST_RPT_REQUESTED = 912,
    LAST_MSG_SEQ_NUM_PROCESSED = 369, ON_BEHALF_OF_SENDING_TIME = 370,
    RAW_DATA_LENGTH = 95, RAW_DATA = 96, SIGNATURE_LENGTH = 93, SIGNATURE = 89,
    SECONDARY_EXEC_ID = 527, EXEC_RESTATEMENT_REASON = 378, LAST_LIQUIDITY_IND = 851,
    PARTY_SUB_ID = 523, PARTY_SUB_ID_TYPE = 803,
    SETTL_DATE = 64, EXEC_BROKER = 76, PROCESS_CODE = 81, RULE80_A = 47, ISSUER = 106, SECURITY_DESC = 107,
    LOCATE_REQD = 114, SETTL_CURRENCY = 120, COMPLIANCE_ID = 376, SOLICITED_FLAG = 377,
    CFI_CODE = 461, PRODUCT = 460, SECONDARY_CL_ORD_ID = 526, ORDER_RESTRICTIONS = 529,
    CUST_ORDER_CAPACITY = 582, CL_ORD_LINK_ID = 583, TARGET_LOCATION_ID = 143,
    ON_BEHALF_OF_LOCATION_ID = 144, DELIVER_TO_LOCATION_ID = 145, MESSAGE_ENCODING = 347,
    ALLOC_QTY = 80, NO_ALLOCS = 78, ALLOC_ACCOUNT = 79,
}

/// MsgType values.
pub mod msg_type {
    #![allow(missing_docs, reason = "the specification's names")]
    pub const HEARTBEAT: &[u8] = b"0";
    pub const TEST_REQUEST: &[u8] = b"1";
    pub const RESEND_REQUEST: &[u8] = b"2";
    pub const REJECT: &[u8] = b"3";
    pub const SEQUENCE_RESET: &[u8] = b"4";
    pub const LOGOUT: &[u8] = b"5";
    pub const EXECUTION_REPORT: &[u8] = b"8";
    pub const ORDER_CANCEL_REJECT: &[u8] = b"9";
    pub const LOGON: &[u8] = b"A";
    pub const NEW_ORDER_SINGLE: &[u8] = b"D";
    pub const ORDER_CANCEL_REQUEST: &[u8] = b"F";
    pub const ORDER_CANCEL_REPLACE_REQUEST: &[u8] = b"G";
    pub const ORDER_STATUS_REQUEST: &[u8] = b"H";
    pub const ORDER_MASS_STATUS_REQUEST: &[u8] = b"AF";
    pub const BUSINESS_MESSAGE_REJECT: &[u8] = b"j";
    pub const ORDER_MASS_CANCEL_REQUEST: &[u8] = b"q";
    pub const ORDER_MASS_CANCEL_REPORT: &[u8] = b"r";

    /// The name of a type, as far as it is used here.
    pub fn name(msg_type: &[u8]) -> Option<&'static str> {
        Some(match msg_type {
            HEARTBEAT => "Heartbeat",
            TEST_REQUEST => "TestRequest",
            RESEND_REQUEST => "ResendRequest",
            REJECT => "Reject",
            SEQUENCE_RESET => "SequenceReset",
            LOGOUT => "Logout",
            EXECUTION_REPORT => "ExecutionReport",
            ORDER_CANCEL_REJECT => "OrderCancelReject",
            LOGON => "Logon",
            NEW_ORDER_SINGLE => "NewOrderSingle",
            ORDER_CANCEL_REQUEST => "OrderCancelRequest",
            ORDER_CANCEL_REPLACE_REQUEST => "OrderCancelReplaceRequest",
            ORDER_STATUS_REQUEST => "OrderStatusRequest",
            ORDER_MASS_STATUS_REQUEST => "OrderMassStatusRequest",
            BUSINESS_MESSAGE_REJECT => "BusinessMessageReject",
            ORDER_MASS_CANCEL_REQUEST => "OrderMassCancelRequest",
            ORDER_MASS_CANCEL_REPORT => "OrderMassCancelReport",
            _ => return None,
        })
    }
}
