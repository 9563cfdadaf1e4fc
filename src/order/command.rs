//! The record that travels from gateway through risk to book, and into the journal.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

use super::{
    CancelReason, Capacity, Display, FirmId, Price, Reject, SelfTrade, SeqNum, Side, Slot,
    SymbolId, TimeInForce, UnixNanos, UserId, UserRefNum,
};

/// What a [`Command`] asks for.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, TryFromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(u8)]
pub enum CommandKind {
    /// Enter a new order.
    Enter = 1,
    /// Replace an order by a new one that loses its time priority.
    Replace = 2,
    /// Lower an order's size; 0 cancels what is open.
    Cancel = 3,
    /// Change an order's sell side or lower its size; priority is kept.
    Modify = 4,
    /// Cancel all of a user's orders that fit symbol, side and group.
    MassCancel = 5,
    /// Refuse the firm's new orders until enabled again.
    DisableFirm = 6,
    /// Accept the firm's new orders again.
    EnableFirm = 7,
    /// Ask for the next UserRefNum.
    AccountQuery = 8,
    /// A session that asked for it dropped: cancel its orders, answer nothing.
    Disconnect = 9,
    /// Have a user's events go to another gateway from here on, the one numbered `qty`. It passes
    /// through risk and book in its place and is never sequenced: where a user is connected is
    /// no part of the state.
    MoveStream = 10,
    /// What a session says or has heard, beside orders: it takes a number in the user's stream,
    /// or only moves `number_in`. The gateway alone knows what its other fields mean.
    Session = 11,
    /// Undo a trade of a user's: `qty` shares at `price`, its match number at the beginning of `text`. The venue's own.
    Bust = 20,
    /// Text that does not fit into the user's next command, which says how much of it is its own
    /// ([`Command::carried`]).
    Text = 12,
    /// What a venue said of an order that was sent there ([`super::Said`]); `user` is the venue.
    VenueSaid = 13,
    /// A venue's session came to be up (`qty` 1, or 2 if all that is open there is to be asked for, 3 if it was and what was not
    /// told is) or was lost (0); `user` is the venue.
    VenueState = 14,
    /// The `user` is a venue that came or went, as `qty` says of its [`CommandKind::VenueState`]: find out how the order
    /// in `slot` stands, if it is there.
    Chase = 15,
    /// Makes a user known to the journal: name, firm and protocol in `text`.
    DefineUser = 16,
    /// Makes a symbol known to the journal: name in `text`, tick in `price`.
    DefineSymbol = 17,
    /// The key, in `text`, under which orders get their numbers from here on; [`NUMBERS_BY_PLACE`] in `qty`.
    DefineNumbers = 18,
    /// Makes known what a venue, the `user`, calls a symbol: in `text`.
    DefineAlias = 19,
}

/// Yes-or-no properties of an order.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct OrderFlags(pub u8);

impl OrderFlags {
    /// A market order; its limit is the collar in `limit`.
    pub const MARKET: u8 = 1;
    /// Must not trade on entry.
    pub const POST_ONLY: u8 = 2;
    /// Intermarket sweep, as the client wrote it.
    pub const SWEEP: u8 = 4;
    /// A mass cancel limited to one symbol.
    pub const ONE_SYMBOL: u8 = 8;
    /// A mass cancel limited to one side, the one in `side`.
    pub const ONE_SIDE: u8 = 16;
    /// A mass cancel limited to one group, the one in `group`.
    pub const ONE_GROUP: u8 = 32;

    /// A Modify that could not be read; it is refused and the order stays as it is.
    pub const UNREADABLE: u8 = 64;

    /// Whether every bit of `flag` is set.
    #[inline]
    pub const fn has(self, flag: u8) -> bool {
        self.0 & flag == flag
    }
}

/// Which optional appendage elements the client sent, so that the answer can echo them.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Tags(pub u16);

impl Tags {
    /// Firm.
    pub const FIRM: u16 = 1;
    /// Minimum quantity.
    pub const MIN_QTY: u16 = 2;
    /// Max floor.
    pub const MAX_FLOOR: u16 = 4;
    /// Post only.
    pub const POST_ONLY: u16 = 8;
    /// Expire time.
    pub const EXPIRE_TIME: u16 = 16;
    /// Group id.
    pub const GROUP_ID: u16 = 32;
    /// FIX: good till cancelled, which is a Day order here.
    pub const GOOD_TILL_CANCEL: u16 = 64;
    /// FIX: fill or kill, which is an IOC order of which everything has to trade.
    pub const FILL_OR_KILL: u16 = 128;

    /// Route.
    pub const ROUTE: u16 = 256;

    /// Whether every bit of `tag` is set.
    #[inline]
    pub const fn has(self, tag: u16) -> bool {
        self.0 & tag == tag
    }
}

/// In `qty` of a [`CommandKind::DefineNumbers`]: numbers follow from the command's place or its symbol's count, and
/// not from a count over all symbols as in older journals.
pub const NUMBERS_BY_PLACE: u32 = 1;

/// Where the text of a DefineUser says what the user speaks, and the bit that makes the user a venue.
pub const PROTOCOL_AT: usize = 12;
/// See [`PROTOCOL_AT`].
pub const VENUE: u8 = 0x40;

/// Bytes of [`Command::text`].
pub const TEXT_BYTES: usize = 38;

/// One request to a segment: 120 bytes, which are two cache lines with the ring's word or with what the
/// journal adds.
///
/// A gateway fills what the client said; risk fills `seq`, `time_ns`, `slot` and `verdict` and
/// whatever else replay must not decide anew. The journal keeps the record as it stands, so its
/// layout is a file format: integers are little-endian, and every byte is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Command {
    /// Place in the segment's sequence, from 1 without gaps; 0 until risk sets it.
    pub seq: SeqNum,
    /// The sequencer's clock; for a gateway's command, when its bytes were received.
    pub time_ns: UnixNanos,
    /// The client's number for this order (of the new order, on a Replace).
    pub user_ref: UserRefNum,
    /// On a Replace, the number of the order to replace. On the Enter of a market order, the price it is counted at.
    pub orig_user_ref: UserRefNum,
    /// Shares.
    pub qty: u32,
    /// Limit price, [`Price::MARKET`] on a market order.
    pub price: Price,
    /// The worst price this order may trade at: `price`, or the collar of a market order.
    pub limit: Price,
    /// Least quantity that must trade at once; 0 is none.
    pub min_qty: u32,
    /// Displayed part of an iceberg; 0 displays all.
    pub max_floor: u32,
    /// Seconds from entry until a GTT order expires.
    pub expire_s: u32,
    /// Where the order lives.
    pub slot: Slot,
    /// Who sent it.
    pub user: UserId,
    /// The user's firm.
    pub firm: FirmId,
    /// What it trades.
    pub symbol: SymbolId,
    /// Group for mass cancels; 0 is none.
    pub group: u16,
    /// Why it was refused, if it was.
    pub verdict: Reject,
    /// Appendage elements the client sent.
    pub tags: Tags,
    /// What it asks for.
    pub kind: CommandKind,
    /// Buy or sell.
    pub side: Side,
    /// Time in force.
    pub tif: TimeInForce,
    /// Displayed or not.
    pub display: Display,
    /// Agency or principal.
    pub capacity: Capacity,
    /// Yes-or-no properties.
    pub flags: OrderFlags,
    /// Self-trade policy that risk found for the firm.
    pub self_trade: SelfTrade,
    /// On a Cancel that the gateway or risk made itself, why.
    pub reason: CancelReason,
    /// The client's own words, such as its ClOrdID, or the names of a definition; zeros behind.
    pub text: [u8; TEXT_BYTES],
    /// How many Text commands before this one hold the beginning of `text`.
    pub carried: u8,
    /// On an Enter, where the client wants it ([`super::Destination`]); zero elsewhere.
    pub destination: u8,
    /// FIX: the MsgSeqNum expected next once this command has its place; 0 leaves it as it is.
    pub number_in: u32,
    /// On an AccountQuery, the answer: the next UserRefNum. On an Enter, its way ([`super::Route`]).
    pub answer: u32,
}

impl Command {
    /// A query of nobody's; what rings are filled with.
    pub const EMPTY: Command = Command::new(CommandKind::AccountQuery, UserId(0), FirmId(0));

    /// A command of a kind with everything else zero.
    pub const fn new(kind: CommandKind, user: UserId, firm: FirmId) -> Command {
        Command {
            seq: SeqNum(0),
            time_ns: 0,
            user_ref: UserRefNum(0),
            orig_user_ref: UserRefNum(0),
            qty: 0,
            price: Price(0),
            limit: Price(0),
            min_qty: 0,
            max_floor: 0,
            expire_s: 0,
            slot: Slot::NONE,
            user,
            firm,
            symbol: SymbolId(0),
            group: 0,
            verdict: Reject::None,
            tags: Tags(0),
            kind,
            side: Side::Buy,
            tif: TimeInForce::Day,
            display: Display::Visible,
            capacity: Capacity::Agency,
            flags: OrderFlags(0),
            self_trade: SelfTrade::Allow,
            reason: CancelReason::None,
            text: [0; TEXT_BYTES],
            carried: 0,
            destination: 0,
            number_in: 0,
            answer: 0,
        }
    }
}

const _: () = assert!(size_of::<Command>() == 120);
