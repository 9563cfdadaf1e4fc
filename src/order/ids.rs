//! Identifiers. Each has its own type, so that a client's number never passes for one of ours.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default,
            FromBytes, IntoBytes, Immutable, KnownLayout,
        )]
        #[repr(transparent)]
        pub struct $name(pub $int);

        impl $name {
            /// The identifier as an index into a table.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// Place of a command in a segment's one sequence. The first is 1.
    SeqNum, u64
);
id!(
    /// A login name of the configuration, numbered in the order the journal first saw it.
    UserId, u16
);
id!(
    /// A firm (MPID), numbered in the order the journal first saw it.
    FirmId, u16
);
id!(
    /// A traded symbol, numbered in the order the journal first saw it.
    SymbolId, u16
);
id!(
    /// Where an open order lives in the tables of risk and book. Reused once the order is done.
    Slot, u32
);
id!(
    /// The client's own number of an order: strictly increasing within a session (OUCH 5.0,
    /// "UserRefNum").
    UserRefNum, u32
);

/// Users that one segment can know over its life.
pub const USERS_MAX: u16 = 4_096;
/// Firms that one segment can know over its life.
pub const FIRMS_MAX: u16 = 1_024;
/// Symbols that one segment can know over its life.
pub const SYMBOLS_MAX: u16 = 60_000;

impl Slot {
    /// No order.
    pub const NONE: Slot = Slot(u32::MAX);
}
