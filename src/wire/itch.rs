//! ITCH 5.0: what a market tells everybody about its displayed book.
//!
//! Each message is a structure of its bytes; integers are big-endian, text is padded right with
//! spaces. Sections are those of the Nasdaq TotalView-ITCH 5.0 specification.

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::soupbin::pad_number;

/// Bytes of the longest message that is ever told, a [`Trade`].
pub const MESSAGE_BYTES_MAX: usize = 44;

/// What every message begins with.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Head {
    /// Message type.
    pub kind: u8,
    /// Number of the symbol, the same all session; 0 for the market as a whole.
    pub locate: U16,
    /// Always 0 here.
    pub tracking: U16,
    /// Nanoseconds since midnight UTC, 48 bits.
    pub timestamp: [u8; 6],
}

impl Head {
    /// The head of a message of type `kind`.
    #[inline]
    pub fn new(kind: u8, locate: u16, since_midnight_ns: u64) -> Head {
        let [_, _, timestamp @ ..] = since_midnight_ns.to_be_bytes();
        Head { kind, locate: locate.into(), tracking: 0.into(), timestamp }
    }

    /// Nanoseconds since midnight UTC.
    pub fn since_midnight_ns(&self) -> u64 {
        let [a, b, c, d, e, f] = self.timestamp;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $letter:literal, $bytes:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)?
    })*) => {
        $(
            $(#[$doc])*
            #[derive(
                Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout,
                Unaligned,
            )]
            #[repr(C)]
            pub struct $name {
                /// Type, symbol and time.
                pub head: Head,
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl $name {
                /// Its message type.
                pub const KIND: u8 = $letter;
            }

            const _: () = assert!(size_of::<$name>() == $bytes);
        )*

        /// Any message, where it lies.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "the structures have the docs")]
        pub enum Message<'a> { $($name(&'a $name)),* }

        impl<'a> Message<'a> {
            /// Reads a message: its bytes, no more and no fewer.
            pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, BadMessage> {
                match bytes.first() {
                    None => Err(BadMessage::Empty),
                    $(Some(&$name::KIND) => $name::ref_from_bytes(bytes)
                        .map(Message::$name)
                        .map_err(|_| BadMessage::Length),)*
                    Some(_) => Err(BadMessage::UnknownType),
                }
            }

            /// Type, symbol and time.
            pub fn head(&self) -> &'a Head {
                match self { $(Message::$name(message) => &message.head),* }
            }
        }
    };
}

messages! {
    /// System Event (1.1).
    SystemEvent = b'S', 12 {
        /// `O` start of messages, `S` of system hours, `Q` of market hours, `C` end of messages.
        event: u8,
    }
    /// Stock Directory (1.2.1).
    StockDirectory = b'R', 39 {
        /// Its name.
        stock: [u8; 8],
        /// Listing market; space: not available.
        category: u8,
        /// Financial status of the issuer; space: not available.
        status: u8,
        /// Shares of a round lot.
        round_lot: U32,
        /// Whether only round lots are taken.
        round_lots_only: u8,
        /// Kind of security.
        classification: u8,
        /// More of that; `Z`: not applicable.
        sub_type: [u8; 2],
        /// `P` production, `T` test.
        authenticity: u8,
        /// Short sale threshold; space: not available.
        short_threshold: u8,
        /// Whether it is a new issue; space: not available.
        ipo: u8,
        /// Limit up, limit down tier; space: not applicable.
        luld_tier: u8,
        /// Whether it is an exchange traded product; space: not available.
        etp: u8,
        /// Its leverage.
        etp_leverage: U32,
        /// Whether that is inverse.
        inverse: u8,
    }
    /// Stock Trading Action (1.2.2).
    TradingAction = b'H', 25 {
        /// Which symbol.
        stock: [u8; 8],
        /// `T` trading, `H` halted.
        state: u8,
        /// Reserved.
        reserved: u8,
        /// Why, if there is a reason.
        reason: [u8; 4],
    }
    /// Add Order, no MPID (1.3.1).
    AddOrder = b'A', 36 {
        /// Number of the order.
        reference: U64,
        /// `B` or `S`.
        side: u8,
        /// Displayed shares.
        shares: U32,
        /// What it trades.
        stock: [u8; 8],
        /// Price in 1/10000.
        price: U32,
    }
    /// Add Order with MPID (1.3.2).
    AddOrderMpid = b'F', 40 {
        /// Number of the order.
        reference: U64,
        /// `B` or `S`.
        side: u8,
        /// Displayed shares.
        shares: U32,
        /// What it trades.
        stock: [u8; 8],
        /// Price in 1/10000.
        price: U32,
        /// Whose order it is.
        mpid: [u8; 4],
    }
    /// Order Executed (1.4.1): at the order's own price.
    Executed = b'E', 31 {
        /// Number of the order.
        reference: U64,
        /// Shares executed.
        shares: U32,
        /// Number of the trade.
        match_number: U64,
    }
    /// Order Executed with Price (1.4.2): at another price than the order's own.
    ExecutedWithPrice = b'C', 36 {
        /// Number of the order.
        reference: U64,
        /// Shares executed.
        shares: U32,
        /// Number of the trade.
        match_number: U64,
        /// Whether it counts for volume.
        printable: u8,
        /// Price in 1/10000.
        price: U32,
    }
    /// Order Cancel (1.4.3): part of the displayed shares are gone.
    Cancel = b'X', 23 {
        /// Number of the order.
        reference: U64,
        /// Shares that are gone.
        shares: U32,
    }
    /// Order Delete (1.4.4).
    Delete = b'D', 19 {
        /// Number of the order.
        reference: U64,
    }
    /// Order Replace (1.4.5): side, symbol and MPID stay.
    Replace = b'U', 35 {
        /// Number of the order that is gone.
        original: U64,
        /// Number of the one in its place.
        reference: U64,
        /// Displayed shares.
        shares: U32,
        /// Price in 1/10000.
        price: U32,
    }
    /// Trade, non-cross (1.5.1): against an order that is not displayed.
    Trade = b'P', 44 {
        /// Always 0: what is not displayed has no number.
        reference: U64,
        /// Always `B`.
        side: u8,
        /// Shares executed.
        shares: U32,
        /// What was traded.
        stock: [u8; 8],
        /// Price in 1/10000.
        price: U32,
        /// Number of the trade.
        match_number: U64,
    }
    /// Broken Trade (1.5.3).
    BrokenTrade = b'B', 19 {
        /// Number of the trade.
        match_number: U64,
    }
}

const _: () = assert!(size_of::<Trade>() == MESSAGE_BYTES_MAX);

/// Why bytes are not a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadMessage {
    /// There is none.
    #[error("no bytes")]
    Empty,
    /// A type that this market does not tell.
    #[error("unknown message type")]
    UnknownType,
    /// Not as long as its type says.
    #[error("not as long as its type says")]
    Length,
}

/// GLIMPSE 5.0, End of Snapshot: the number of the ITCH message from which the live feed goes on.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct EndOfSnapshot {
    /// `G`.
    pub kind: u8,
    /// ASCII, padded left with spaces.
    pub sequence: [u8; 20],
}

impl EndOfSnapshot {
    /// Its message type.
    pub const KIND: u8 = b'G';

    /// Goes on with message `next`.
    pub fn new(next: u64) -> EndOfSnapshot {
        EndOfSnapshot { kind: EndOfSnapshot::KIND, sequence: pad_number(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back_and_nothing_else_is_one() {
        let add = AddOrder {
            head: Head::new(AddOrder::KIND, 7, 0x0000_1234_5678_9ABC),
            reference: 42.into(),
            side: b'B',
            shares: 100.into(),
            stock: *b"AAPL    ",
            price: 1_900_000.into(),
        };
        let bytes = add.as_bytes();
        assert_eq!(bytes[..5], [b'A', 0, 7, 0, 0]);
        assert_eq!(Message::parse(bytes), Ok(Message::AddOrder(&add)));
        assert_eq!(Message::parse(bytes).unwrap().head().since_midnight_ns(), 0x1234_5678_9ABC);
        assert_eq!(Message::parse(&bytes[..35]), Err(BadMessage::Length));
        assert_eq!(Message::parse(&[bytes, b"x"].concat()), Err(BadMessage::Length));
        assert_eq!(Message::parse(b""), Err(BadMessage::Empty));
        assert_eq!(Message::parse(b"?"), Err(BadMessage::UnknownType));
    }
}
