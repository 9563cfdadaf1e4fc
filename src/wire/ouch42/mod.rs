//! OUCH 4.2: order entry with tokens (OUCH 4.2, "Inbound Messages" and "Outbound Sequenced
//! Messages"). Every message is one fixed structure.
//!
//! Integers are big-endian, text is ASCII padded right with spaces, prices are in 1/10000 of the
//! currency unit, timestamps are nanoseconds since midnight (UTC here).

pub mod describe;

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ouch::inbound::{BadMessage, message};

/// Order token: the client's name for an order.
pub type Token = [u8; 14];

/// TimeInForce of an order for market hours.
pub const MARKET_HOURS: u32 = 99_998;
/// TimeInForce of an order for system hours.
pub const SYSTEM_HOURS: u32 = 99_999;
/// The longest TimeInForce in seconds.
pub const SECONDS_MAX: u32 = 86_399;

message! {
    /// Enter Order, `O`.
    EnterOrder {
        /// `O`.
        kind: u8,
        /// Unique over the day.
        token: Token,
        /// `B` buy, `S` sell, `T` sell short, `E` sell short exempt.
        side: u8,
        /// Shares, 1 to 999,999.
        shares: U32,
        /// Padded right.
        stock: [u8; 8],
        /// In 1/10000; 0x7FFFFFFF enters a market order.
        price: U32,
        /// 0 IOC, 1 to 86399 seconds, [`MARKET_HOURS`], [`SYSTEM_HOURS`].
        time_in_force: U32,
        /// The user's firm, or blank.
        firm: [u8; 4],
        /// `A` attributable, `Y` anonymous, `N` non-display, `P` post-only.
        display: u8,
        /// `A` agency, `P` principal, `R` riskless, `O` other.
        capacity: u8,
        /// `Y` or `N`.
        sweep: u8,
        /// Least quantity to trade at once, 0 for none.
        min_quantity: U32,
        /// `N` continuous market.
        cross_type: u8,
        /// `R` retail, `N` not, blank as the port has it.
        customer_type: u8,
    }
}

message! {
    /// Replace Order, `U`.
    ReplaceOrder {
        /// `U`.
        kind: u8,
        /// The order to replace.
        existing: Token,
        /// The new order's token.
        replacement: Token,
        /// New size, shares already executed counted in.
        shares: U32,
        /// As in [`EnterOrder`].
        price: U32,
        /// As in [`EnterOrder`].
        time_in_force: U32,
        /// As in [`EnterOrder`].
        display: u8,
        /// As in [`EnterOrder`].
        sweep: u8,
        /// As in [`EnterOrder`].
        min_quantity: U32,
    }
}

message! {
    /// Cancel Order, `X`.
    CancelOrder {
        /// `X`.
        kind: u8,
        /// The order.
        token: Token,
        /// The most that may ever execute, shares already executed counted in; 0 cancels.
        shares: U32,
    }
}

message! {
    /// Modify Order, `M`.
    ModifyOrder {
        /// `M`.
        kind: u8,
        /// The order.
        token: Token,
        /// The new side.
        side: u8,
        /// As in [`CancelOrder`].
        shares: U32,
    }
}

/// A client message.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each variant holds the message of its name")]
pub enum Inbound<'a> {
    Enter(&'a EnterOrder),
    Replace(&'a ReplaceOrder),
    Cancel(&'a CancelOrder),
    Modify(&'a ModifyOrder),
}

impl<'a> Inbound<'a> {
    /// The message that `bytes`, the payload of one Unsequenced Data packet, hold.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Inbound<'a>, BadMessage> {
        fn view<T: FromBytes + Immutable + KnownLayout + Unaligned>(
            bytes: &[u8],
        ) -> Result<&T, BadMessage> {
            T::ref_from_prefix(bytes).map(|(m, _)| m).map_err(|_| BadMessage::Truncated)
        }
        match bytes.first() {
            Some(b'O') => view(bytes).map(Inbound::Enter),
            Some(b'U') => view(bytes).map(Inbound::Replace),
            Some(b'X') => view(bytes).map(Inbound::Cancel),
            Some(b'M') => view(bytes).map(Inbound::Modify),
            _ => Err(BadMessage::UnknownType),
        }
    }

    /// Whether it brings a token of its own.
    pub fn names_an_order(&self) -> bool {
        matches!(self, Inbound::Enter(_) | Inbound::Replace(_))
    }
}

message! {
    /// System Event, `S`.
    SystemEvent {
        /// `S`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// `S` start of day, `E` end of day.
        event: u8,
    }
}

message! {
    /// What Accepted and Replaced say of an order.
    NewOrder {
        /// `A` or `U`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order's token.
        token: Token,
        /// As entered, or as of the order replaced.
        side: u8,
        /// As entered, or what is open.
        shares: U32,
        /// As entered, or as of the order replaced.
        stock: [u8; 8],
        /// As asked for.
        price: U32,
        /// As asked for.
        time_in_force: U32,
        /// The user's firm.
        firm: [u8; 4],
        /// As asked for.
        display: u8,
        /// The venue's number of the order.
        order_reference: U64,
        /// As entered, or as of the order replaced.
        capacity: u8,
        /// As asked for.
        sweep: u8,
        /// As asked for.
        min_quantity: U32,
        /// `N`.
        cross_type: u8,
        /// `L` live, `D` dead.
        state: u8,
    }
}

message! {
    /// Accepted, `A`.
    Accepted {
        /// The order.
        order: NewOrder,
        /// Blank: not told.
        bbo_weight: u8,
    }
}

message! {
    /// Replaced, `U`.
    Replaced {
        /// The new order.
        order: NewOrder,
        /// The order that was replaced.
        previous: Token,
        /// Blank: not told.
        bbo_weight: u8,
    }
}

message! {
    /// Canceled, `C`.
    Canceled {
        /// `C`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        token: Token,
        /// Shares taken from it.
        decrement: U32,
        /// `U` user, `I` immediate, `T` timeout, `S` supervisory, `Q` self match, `Z` system.
        reason: u8,
    }
}

message! {
    /// AIQ Canceled, `D`.
    AiqCanceled {
        /// `D`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        token: Token,
        /// Shares taken from it.
        decrement: U32,
        /// `Q`.
        reason: u8,
        /// Shares kept from trading.
        prevented: U32,
        /// At this price.
        price: U32,
        /// `A` added, `R` removed.
        liquidity: u8,
    }
}

message! {
    /// Executed, `E`.
    Executed {
        /// `E`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        token: Token,
        /// Shares traded.
        shares: U32,
        /// At this price.
        price: U32,
        /// `A` added, `R` removed, `J` added non-displayed.
        liquidity: u8,
        /// Number of the match.
        match_number: U64,
    }
}

message! {
    /// Rejected, `J`.
    Rejected {
        /// `J`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// As entered.
        token: Token,
        /// A letter of the specification's.
        reason: u8,
    }
}

message! {
    /// Cancel Pending, `P`.
    CancelPending {
        /// `P`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        token: Token,
    }
}

message! {
    /// Broken Trade, `B`.
    BrokenTrade {
        /// `B`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        token: Token,
        /// The trade.
        match_number: U64,
        /// `C` by consent, `E` erroneous, `S` supervisory.
        reason: u8,
    }
}

message! {
    /// Cancel Reject, `I`.
    CancelReject {
        /// `I`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        token: Token,
    }
}

message! {
    /// Order Modified, `M`.
    Modified {
        /// `M`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        token: Token,
        /// Its side now.
        side: u8,
        /// Its size now.
        shares: U32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_have_the_lengths_of_the_specification() {
        assert_eq!(size_of::<EnterOrder>(), 49);
        assert_eq!(size_of::<ReplaceOrder>(), 47);
        assert_eq!(size_of::<CancelOrder>(), 19);
        assert_eq!(size_of::<ModifyOrder>(), 20);
        assert_eq!(size_of::<SystemEvent>(), 10);
        assert_eq!(size_of::<Accepted>(), 66);
        assert_eq!(size_of::<Replaced>(), 80);
        assert_eq!(size_of::<Canceled>(), 28);
        assert_eq!(size_of::<AiqCanceled>(), 37);
        assert_eq!(size_of::<Executed>(), 40);
        assert_eq!(size_of::<Rejected>(), 24);
        assert_eq!(size_of::<CancelReject>(), 23);
        assert_eq!(size_of::<CancelPending>(), 23);
        assert_eq!(size_of::<BrokenTrade>(), 32);
        assert_eq!(size_of::<Modified>(), 28);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let expected = match bytes.first() {
                Some(b'O') => 49,
                Some(b'U') => 47,
                Some(b'X') => 19,
                Some(b'M') => 20,
                _ => 0,
            };
            match Inbound::parse(&bytes) {
                Ok(_) => prop_assert!(expected > 0 && bytes.len() >= expected),
                Err(BadMessage::Truncated) => prop_assert!(bytes.len() < expected),
                Err(BadMessage::UnknownType) => prop_assert_eq!(expected, 0),
            }
        }
    }
}
