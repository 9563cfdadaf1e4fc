//! Messages as names and texts, for people who read what went over the wire.

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::appendage::{Element, Elements, tag};
use super::{inbound, outbound};

/// Names of fields, as the specification writes them, and what they hold.
pub type Told = Vec<(String, String)>;

/// A message that can tell its fields.
pub(crate) trait Describe {
    fn describe(&self, told: &mut Told);
}

/// A field's value, or several fields.
pub(crate) trait Value {
    fn tell(&self, name: &str, told: &mut Told);
}

fn put(name: &str, text: String, told: &mut Told) {
    told.push((camel(name), text));
}

/// `cl_ord_id` as `ClOrdID`.
fn camel(name: &str) -> String {
    let word = |word: &str| match word {
        "id" => "ID".to_owned(),
        word => word[..1].to_ascii_uppercase() + &word[1..],
    };
    match name {
        "kind" => "Type".to_owned(),
        "user_ref" => "UserRefNum".to_owned(),
        "orig_user_ref" => "OrigUserRefNum".to_owned(),
        "next_user_ref" => "NextUserRefNum".to_owned(),
        name => name.split('_').map(word).collect(),
    }
}

fn is_price(name: &str) -> bool {
    name == "price" || name.ends_with("_price")
}

fn price(value: u64) -> String {
    match value {
        0x7fff_ffff => "market".to_owned(),
        value => format!("{}.{:04}", value / 10_000, value % 10_000),
    }
}

impl Value for u8 {
    fn tell(&self, name: &str, told: &mut Told) {
        let means = match (name, self) {
            ("side", b'B') => "(Buy)",
            ("side", b'S') => "(Sell)",
            ("side", b'T') => "(SellShort)",
            ("side", b'E') => "(SellShortExempt)",
            _ => "",
        };
        put(name, format!("{}{means}", self.escape_ascii()), told);
    }
}

impl Value for U16 {
    fn tell(&self, name: &str, told: &mut Told) {
        put(name, self.get().to_string(), told);
    }
}

impl Value for U32 {
    fn tell(&self, name: &str, told: &mut Told) {
        let value = self.get();
        let text = if is_price(name) { price(value.into()) } else { value.to_string() };
        put(name, text, told);
    }
}

impl Value for U64 {
    fn tell(&self, name: &str, told: &mut Told) {
        let value = self.get();
        let text = match name {
            "timestamp" => {
                let (seconds, nanos) = (value / 1_000_000_000, value % 1_000_000_000);
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                format!("{hours:02}:{minutes:02}:{:02}.{nanos:09}", seconds % 60)
            }
            name if is_price(name) => price(value),
            _ => value.to_string(),
        };
        put(name, text, told);
    }
}

impl<const N: usize> Value for [u8; N] {
    fn tell(&self, name: &str, told: &mut Told) {
        put(name, self.trim_ascii_end().escape_ascii().to_string(), told);
    }
}

impl<T: Describe> Value for T {
    fn tell(&self, _: &str, told: &mut Told) {
        self.describe(told);
    }
}

/// The fields of a message of type `T` in front of `bytes`, and what stands behind it.
pub(crate) fn fields<T>(bytes: &[u8]) -> Option<(Told, &[u8])>
where
    T: Describe + FromBytes + Immutable + KnownLayout + Unaligned + 'static,
{
    let (message, tail) = T::ref_from_prefix(bytes).ok()?;
    let mut told = Told::new();
    message.describe(&mut told);
    Some((told, tail))
}

/// The name of an OUCH 5.0 message and its fields; nothing if it is none.
pub fn describe(to_gateway: bool, bytes: &[u8]) -> Option<(&'static str, Told)> {
    use inbound::{CancelOrder, EnterOrder, FirmSwitch, MassCancel, ModifyOrder, ReplaceOrder};
    use outbound::{
        Accepted, AccountQueryResponse, AiqCanceled, BrokenTrade, CancelPending, CancelReject,
        Canceled, Executed, FirmSwitchResponse, MassCancelResponse, Modified, Rejected, Replaced,
        Restated, SystemEvent,
    };
    let (name, found) = match (to_gateway, *bytes.first()?) {
        (true, b'O') => ("EnterOrder", fields::<EnterOrder>(bytes)),
        (true, b'U') => ("ReplaceOrder", fields::<ReplaceOrder>(bytes)),
        (true, b'X') => ("CancelOrder", fields::<CancelOrder>(bytes)),
        (true, b'M') => ("ModifyOrder", fields::<ModifyOrder>(bytes)),
        (true, b'C') => ("MassCancel", fields::<MassCancel>(bytes)),
        (true, b'D') => ("DisableOrderEntry", fields::<FirmSwitch>(bytes)),
        (true, b'E') => ("EnableOrderEntry", fields::<FirmSwitch>(bytes)),
        (true, b'Q') => ("AccountQuery", Some((vec![("Type".into(), "Q".into())], &bytes[1..]))),
        (false, b'S') => ("SystemEvent", fields::<SystemEvent>(bytes)),
        (false, b'A') => ("OrderAccepted", fields::<Accepted>(bytes)),
        (false, b'U') => ("OrderReplaced", fields::<Replaced>(bytes)),
        (false, b'C') => ("OrderCanceled", fields::<Canceled>(bytes)),
        (false, b'D') => ("AIQCanceled", fields::<AiqCanceled>(bytes)),
        (false, b'E') => ("OrderExecuted", fields::<Executed>(bytes)),
        (false, b'J') => ("Rejected", fields::<Rejected>(bytes)),
        (false, b'P') => ("CancelPending", fields::<CancelPending>(bytes)),
        (false, b'B') => ("BrokenTrade", fields::<BrokenTrade>(bytes)),
        (false, b'I') => ("CancelReject", fields::<CancelReject>(bytes)),
        (false, b'R') => ("OrderRestated", fields::<Restated>(bytes)),
        (false, b'M') => ("OrderModified", fields::<Modified>(bytes)),
        (false, b'X') => ("MassCancelResponse", fields::<MassCancelResponse>(bytes)),
        (false, b'G') => ("DisableOrderEntryResponse", fields::<FirmSwitchResponse>(bytes)),
        (false, b'K') => ("EnableOrderEntryResponse", fields::<FirmSwitchResponse>(bytes)),
        (false, b'Q') => ("AccountQueryResponse", fields::<AccountQueryResponse>(bytes)),
        _ => return None,
    };
    let (mut told, tail) = found?;
    for element in Elements::parse(tail).ok()? {
        let Ok(element) = element else { break };
        told.push((element_name(element.tag), element_text(&element)));
    }
    Some((name, told))
}

fn element_name(of: u8) -> String {
    let name = match of {
        tag::SECONDARY_ORDER_REFERENCE => "SecondaryOrdRefNum",
        tag::FIRM => "Firm",
        tag::MINIMUM_QUANTITY => "MinQty",
        tag::CUSTOMER_TYPE => "CustomerType",
        tag::MAX_FLOOR => "MaxFloor",
        tag::PRICE_TYPE => "PriceType",
        tag::PEG_OFFSET => "PegOffset",
        tag::DISCRETION_PRICE => "DiscretionPrice",
        tag::DISCRETION_PRICE_TYPE => "DiscretionPriceType",
        tag::DISCRETION_PEG_OFFSET => "DiscretionPegOffset",
        tag::POST_ONLY => "PostOnly",
        tag::RANDOM_RESERVES => "RandomReserves",
        tag::ROUTE => "Route",
        tag::EXPIRE_TIME => "ExpireTime",
        tag::TRADE_NOW => "TradeNow",
        tag::HANDLE_INST => "HandleInst",
        tag::DISPLAY_QUANTITY => "DisplayQuantity",
        tag::GROUP_ID => "GroupID",
        tag::SHARES_LOCATED => "SharesLocated",
        tag::LOCATE_BROKER => "LocateBroker",
        tag::SIDE => "Side",
        tag::USER_REF_INDEX => "UserRefIndex",
        other => return format!("Element{other}"),
    };
    name.to_owned()
}

fn element_text(element: &Element<'_>) -> String {
    let is_text = element.value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    match element.value {
        value if is_text && !matches!(element.tag, tag::GROUP_ID | tag::USER_REF_INDEX) => {
            value.trim_ascii_end().escape_ascii().to_string()
        }
        &[byte] => byte.to_string(),
        value if value.len() <= 8 => {
            value.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)).to_string()
        }
        value => value.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(to_gateway: bool, bytes: &[u8]) -> String {
        let (name, told) = describe(to_gateway, bytes).unwrap();
        let told: String = told.iter().map(|(name, text)| format!(" {name}={text}")).collect();
        name.to_owned() + &told
    }

    #[test]
    fn an_order_is_told_with_its_elements() {
        let mut bytes =
            b"O\0\0\0\x07B\0\0\0\x64AAPL    \0\0\0\0\0\x1c\xfd\xe00YAYNmine          ".to_vec();
        bytes.extend(b"\0\x06\x05\x03\0\0\0\x0a");
        assert_eq!(
            line(true, &bytes),
            "EnterOrder Type=O UserRefNum=7 Side=B(Buy) Quantity=100 Symbol=AAPL Price=190.0000 \
             TimeInForce=0 Display=Y Capacity=A Sweep=Y CrossType=N ClOrdID=mine MinQty=10"
        );
    }

    #[test]
    fn an_answer_is_told_with_its_time() {
        let answer = outbound::Canceled {
            kind: b'C',
            timestamp: 43_445_000_000_001.into(),
            user_ref: 7.into(),
            quantity: 5.into(),
            reason: b'U',
        };
        let bytes = zerocopy::IntoBytes::as_bytes(&answer);
        assert_eq!(
            line(false, bytes),
            "OrderCanceled Type=C Timestamp=12:04:05.000000001 UserRefNum=7 Quantity=5 Reason=U"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), to in any::<bool>()) {
            let _ = describe(to, &bytes);
        }
    }
}
