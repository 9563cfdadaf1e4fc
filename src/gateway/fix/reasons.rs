//! Why something was refused or taken away, in each version's numbers and in words.

use crate::order::{CancelReason, Event, Reject};
use crate::wire::fix::Version;

/// Text of a cancel that nobody asked for.
pub(super) fn cancel_text(event: &Event) -> &'static [u8] {
    match event.reason {
        CancelReason::Supervisory if event.venue != 0 => {
            b"the venue did not take it, or let go of it"
        }
        CancelReason::Immediate => b"nothing more to trade with at once",
        CancelReason::Timeout => b"expired",
        CancelReason::Supervisory => b"the session was lost",
        CancelReason::SelfMatch => b"would have traded with its own firm",
        CancelReason::MarketCollar => b"the market order reached its price collar",
        CancelReason::System => b"the system could not keep it",
        CancelReason::PostOnly => b"would have traded on entry",
        CancelReason::User | CancelReason::None => b"",
    }
}

/// OrdRejReason (103).
pub(super) fn ord_rej_reason(version: Version, why: Reject) -> u64 {
    let fix44 = version == Version::Fix44;
    match why {
        Reject::InvalidSymbol => 1,
        Reject::DestinationClosed => 2,
        Reject::AggregateExposure
        | Reject::TooManyOpenOrders
        | Reject::SingleOrderNotional
        | Reject::MaxQuantityExceeded
        | Reject::FatFinger => 3,
        Reject::DuplicateClOrdId => 6,
        Reject::InvalidQuantity | Reject::InvalidMinimumQuantity if fix44 => 13,
        Reject::OrdTypeNotSupported
        | Reject::TimeInForceNotSupported
        | Reject::ExecInstNotSupported
        | Reject::AllocationsNotSupported
        | Reject::PeggingNotAllowed
        | Reject::RoutingNotAllowed
            if fix44 =>
        {
            11
        }
        _ if fix44 => 99,
        _ => 0,
    }
}

/// CxlRejReason (102).
pub(super) fn cxl_rej_reason(version: Version, why: Reject) -> u64 {
    let fix44 = version == Version::Fix44;
    match why {
        Reject::TooLate => 0,
        Reject::UnknownOrder => 1,
        Reject::DuplicateClOrdId if fix44 => 6,
        _ if fix44 => 99,
        _ => 2,
    }
}

/// What a SessionRejectReason (373) means.
pub(super) fn session_reject_text(reason: u32) -> &'static [u8] {
    match reason {
        0 => b"not a tag",
        1 => b"required field missing",
        2 => b"field does not belong to this message type",
        3 => b"undefined tag",
        4 => b"field without a value",
        5 => b"value is not one this field may have",
        6 => b"value is not written as its type asks for",
        9 => b"CompID is another's",
        10 => b"SendingTime is more than 120 s from the gateway's clock",
        11 => b"message type is not understood",
        13 => b"field is there twice",
        14 => b"header field behind the header",
        15 => b"group entry does not begin with its first field",
        16 => b"group has not as many entries as it says",
        _ => b"cannot be taken",
    }
}

/// What a BusinessRejectReason (380) means.
pub(super) fn business_text(reason: u32) -> &'static [u8] {
    match reason {
        3 => b"message type is not supported",
        6 => b"who watches others enters nothing",
        4 => b"no more ClOrdIDs are remembered today",
        _ => b"cannot be done",
    }
}

/// What a reject means, in words.
pub(super) fn reject_text(why: Reject) -> &'static [u8] {
    match why {
        Reject::None => b"",
        Reject::InvalidDisplay => b"invalid display",
        Reject::InvalidMaxFloor => b"MaxFloor (111) does not go with this order",
        Reject::InvalidPegType => b"invalid peg type",
        Reject::Halted => b"trading in the symbol is halted",
        Reject::InvalidSide => b"Side (54) has to be 1, 2, 5 or 6",
        Reject::ProcessingError => b"no room for more orders",
        Reject::FirmNotAuthorized => b"the firm may not enter orders",
        Reject::InvalidMinimumQuantity => {
            b"MinQty (110) is for immediate-or-cancel orders, up to OrderQty (38)"
        }
        Reject::Other => b"terms that do not go together",
        Reject::PeggingNotAllowed => b"pegging is not supported",
        Reject::InvalidQuantity => b"OrderQty (38) has to be a whole number from 1 to 999999",
        Reject::InvalidCrossOrder => b"crosses are not supported",
        Reject::ReplaceNotAllowed => b"the order cannot be replaced",
        Reject::RoutingNotAllowed => b"the firm's orders do not go there",
        Reject::DestinationClosed => b"no venue that would take the order is there",
        Reject::InvalidSymbol => b"Symbol (55) is not traded here",
        Reject::RetailNotAllowed => b"retail orders are not supported",
        Reject::InvalidPrice => b"Price (44) has to be a multiple of the tick, above 0",
        Reject::AggregateExposure => b"risk: the firm's exposure would be too high",
        Reject::RestrictedStock => b"risk: the firm must not trade this symbol",
        Reject::FatFinger => b"risk: Price (44) is too far from the last trade",
        Reject::LocateRequired => b"risk: a short sale needs a locate",
        Reject::PortMessageRate => b"risk: too many messages in a second",
        Reject::DuplicateMessageRate => b"risk: the same order again too soon",
        Reject::ShortSellNotAllowed => b"risk: short sales are not allowed",
        Reject::MarketOrderNotAllowed => b"risk: market orders are not allowed",
        Reject::ShortSellExemptNotAllowed => b"risk: short sales exempt are not allowed",
        Reject::SingleOrderNotional => b"risk: the order is worth too much",
        Reject::MaxQuantityExceeded => b"risk: OrderQty (38) is above the firm's limit",
        Reject::DuplicateClOrdId => b"ClOrdID (11) was used before",
        Reject::UnknownOrder => b"no order has this ClOrdID",
        Reject::TooLate => b"too late: nothing of the order is open",
        Reject::OtherOrder => b"Symbol (55) or Side (54) is not the order's",
        Reject::OrdTypeNotSupported => b"OrdType (40) has to be 1 (market) or 2 (limit)",
        Reject::TimeInForceNotSupported => b"TimeInForce (59) has to be 0, 1, 3, 4 or 6",
        Reject::ExecInstNotSupported => {
            b"ExecInst (18) may be 6 (participate, do not initiate) only"
        }
        Reject::InvalidExpireTime => {
            b"good till date needs ExpireTime (126) or ExpireDate (432) to come"
        }
        Reject::AllocationsNotSupported => b"allocations before the trade are not supported",
        Reject::TooManyOpenOrders => b"risk: the firm has as many open orders as it may have",
        Reject::VenueBusy => b"too many of this user's orders wait for the outside exchange",
        Reject::DiskNearlyFull => b"no new orders are taken: the venue's disk is nearly full",
        Reject::MassCancelNotSupported => b"MassCancelRequestType (530) has to be 1 or 7",
    }
}
