//! Messages from the client, as views where they lie (OUCH 5.0, "Inbound Messages").

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }

        impl $crate::wire::ouch::describe::Describe for $name {
            fn describe(&self, told: &mut $crate::wire::ouch::describe::Told) {
                $($crate::wire::ouch::describe::Value::tell(&self.$field, stringify!($field), told);)*
            }
        }
    };
}
pub(crate) use message;

message! {
    /// Enter Order, `O`.
    EnterOrder {
        /// `O`.
        kind: u8,
        /// The client's number, above all it has used.
        user_ref: U32,
        /// `B` buy, `S` sell, `T` sell short, `E` sell short exempt.
        side: u8,
        /// Shares, 1 to 999,999.
        quantity: U32,
        /// Padded right.
        symbol: [u8; 8],
        /// In 1/10000; 0x7FFFFFFF enters a market order.
        price: U64,
        /// `0` Day, `3` IOC, `5` GTX, `6` GTT, `E` after hours.
        time_in_force: u8,
        /// `Y` visible, `N` hidden, `A` attributable.
        display: u8,
        /// `A` agency, `P` principal, `R` riskless, `O` other.
        capacity: u8,
        /// `Y` or `N`.
        sweep: u8,
        /// `N` continuous market.
        cross_type: u8,
        /// Any text.
        cl_ord_id: [u8; 14],
    }
}

message! {
    /// Replace Order Request, `U`.
    ReplaceOrder {
        /// `U`.
        kind: u8,
        /// The order to replace.
        orig_user_ref: U32,
        /// The new order's number, above all used.
        user_ref: U32,
        /// New size, shares already executed counted in.
        quantity: U32,
        /// As in [`EnterOrder`].
        price: U64,
        /// As in [`EnterOrder`].
        time_in_force: u8,
        /// As in [`EnterOrder`].
        display: u8,
        /// `Y` or `N`.
        sweep: u8,
        /// Any text.
        cl_ord_id: [u8; 14],
    }
}

message! {
    /// Cancel Order Request, `X`.
    CancelOrder {
        /// `X`.
        kind: u8,
        /// The order.
        user_ref: U32,
        /// The most that may ever execute, shares already executed counted in; 0 cancels.
        quantity: U32,
    }
}

message! {
    /// Modify Order Request, `M`.
    ModifyOrder {
        /// `M`.
        kind: u8,
        /// The order.
        user_ref: U32,
        /// New side: one of the sells for a sell.
        side: u8,
        /// New size, shares already executed counted in.
        quantity: U32,
    }
}

message! {
    /// Mass Cancel Request, `C`.
    MassCancel {
        /// `C`.
        kind: u8,
        /// The client's number of the request.
        user_ref: U32,
        /// The user's firm, or blank.
        firm: [u8; 4],
        /// A symbol, or blank for all.
        symbol: [u8; 8],
    }
}

message! {
    /// Disable (`D`) or Enable (`E`) Order Entry Request.
    FirmSwitch {
        /// `D` or `E`.
        kind: u8,
        /// The client's number of the request.
        user_ref: U32,
        /// The user's firm.
        firm: [u8; 4],
    }
}

/// A client message and what stands after its fixed fields.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each variant holds the message of its name and its tail")]
pub enum Inbound<'a> {
    Enter(&'a EnterOrder, &'a [u8]),
    Replace(&'a ReplaceOrder, &'a [u8]),
    Cancel(&'a CancelOrder, &'a [u8]),
    Modify(&'a ModifyOrder, &'a [u8]),
    MassCancel(&'a MassCancel, &'a [u8]),
    Disable(&'a FirmSwitch, &'a [u8]),
    Enable(&'a FirmSwitch, &'a [u8]),
    AccountQuery(&'a [u8]),
}

/// Why bytes are not a client message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadMessage {
    /// No type at all, or one that clients do not send.
    UnknownType,
    /// Shorter than its type's fixed fields.
    Truncated,
}

impl<'a> Inbound<'a> {
    /// The message that `bytes`, the payload of one Unsequenced Data packet, hold.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Inbound<'a>, BadMessage> {
        fn view<T: FromBytes + Immutable + KnownLayout + Unaligned>(
            bytes: &[u8],
        ) -> Result<(&T, &[u8]), BadMessage> {
            T::ref_from_prefix(bytes).map_err(|_| BadMessage::Truncated)
        }
        match bytes.first() {
            Some(b'O') => view(bytes).map(|(m, tail)| Inbound::Enter(m, tail)),
            Some(b'U') => view(bytes).map(|(m, tail)| Inbound::Replace(m, tail)),
            Some(b'X') => view(bytes).map(|(m, tail)| Inbound::Cancel(m, tail)),
            Some(b'M') => view(bytes).map(|(m, tail)| Inbound::Modify(m, tail)),
            Some(b'C') => view(bytes).map(|(m, tail)| Inbound::MassCancel(m, tail)),
            Some(b'D') => view(bytes).map(|(m, tail)| Inbound::Disable(m, tail)),
            Some(b'E') => view(bytes).map(|(m, tail)| Inbound::Enable(m, tail)),
            Some(b'Q') => Ok(Inbound::AccountQuery(&bytes[1..])),
            _ => Err(BadMessage::UnknownType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fixed_fields_have_the_lengths_of_the_specification() {
        assert_eq!(size_of::<EnterOrder>(), 45);
        assert_eq!(size_of::<ReplaceOrder>(), 38);
        assert_eq!(size_of::<CancelOrder>(), 9);
        assert_eq!(size_of::<ModifyOrder>(), 10);
        assert_eq!(size_of::<MassCancel>(), 17);
        assert_eq!(size_of::<FirmSwitch>(), 9);
    }

    #[test]
    fn short_and_unknown_messages_are_told_apart() {
        assert_eq!(Inbound::parse(b"").unwrap_err(), BadMessage::UnknownType);
        assert_eq!(Inbound::parse(b"Zabc").unwrap_err(), BadMessage::UnknownType);
        assert_eq!(Inbound::parse(b"Oabc").unwrap_err(), BadMessage::Truncated);
        assert!(matches!(Inbound::parse(b"Q"), Ok(Inbound::AccountQuery(&[]))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Inbound::parse(&bytes);
        }
    }
}
