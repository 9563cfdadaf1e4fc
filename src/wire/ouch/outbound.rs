//! Messages to the client (OUCH 5.0, "Outbound Messages"). Each is a fixed structure; what has
//! an appendage is followed by one, `length u16` at least.

use crate::wire::soupbin::{HEADER_BYTES, header, kind};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::inbound::message;

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
    /// Order Accepted, `A`.
    Accepted {
        /// `A`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The client's number.
        user_ref: U32,
        /// As entered.
        side: u8,
        /// As entered.
        quantity: U32,
        /// As entered.
        symbol: [u8; 8],
        /// As entered.
        price: U64,
        /// As entered.
        time_in_force: u8,
        /// As entered.
        display: u8,
        /// The venue's number of the order.
        order_reference: U64,
        /// As entered.
        capacity: u8,
        /// As entered.
        sweep: u8,
        /// As entered.
        cross_type: u8,
        /// `L` live, `D` dead.
        state: u8,
        /// As entered.
        cl_ord_id: [u8; 14],
    }
}

message! {
    /// Order Replaced, `U`.
    Replaced {
        /// `U`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order that was replaced.
        orig_user_ref: U32,
        /// The order that replaced it.
        user_ref: U32,
        /// As of the replaced order.
        side: u8,
        /// Shares now open.
        quantity: U32,
        /// As of the replaced order.
        symbol: [u8; 8],
        /// New price.
        price: U64,
        /// New time in force.
        time_in_force: u8,
        /// New display.
        display: u8,
        /// The venue's number of the new order.
        order_reference: U64,
        /// As of the replaced order.
        capacity: u8,
        /// As asked.
        sweep: u8,
        /// As of the replaced order.
        cross_type: u8,
        /// `L` live, `D` dead: nothing was left open.
        state: u8,
        /// Of the new order.
        cl_ord_id: [u8; 14],
    }
}

message! {
    /// Order Canceled, `C`.
    Canceled {
        /// `C`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        user_ref: U32,
        /// Shares taken from it.
        quantity: U32,
        /// `U` user, `I` immediate or cancel, `T` timeout, ...
        reason: u8,
    }
}

message! {
    /// AIQ Canceled, `D`: self-match prevention took shares.
    AiqCanceled {
        /// `D`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        user_ref: U32,
        /// Shares taken from it.
        decrement: U32,
        /// `Q` self match.
        reason: u8,
        /// Shares that would have traded.
        prevented: U32,
        /// At this price.
        price: U64,
        /// `A` would have added, `R` removed.
        liquidity: u8,
        /// `O` cancel oldest, `W` cancel newest, `D` decrement both.
        strategy: u8,
    }
}

message! {
    /// Order Executed, `E`.
    Executed {
        /// `E`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        user_ref: U32,
        /// Shares.
        quantity: U32,
        /// Price.
        price: U64,
        /// `A` added, `R` removed, `J` added non-displayed.
        liquidity: u8,
        /// The same on both sides of the trade.
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
        /// The order that was refused.
        user_ref: U32,
        /// Reject reason.
        reason: U16,
        /// As entered.
        cl_ord_id: [u8; 14],
    }
}

message! {
    /// Cancel Pending, `P`: the cancel is on its way, and what becomes of it is told later.
    CancelPending {
        /// `P`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        user_ref: U32,
    }
}

message! {
    /// Broken Trade, `B`: a trade was undone.
    BrokenTrade {
        /// `B`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        user_ref: U32,
        /// The trade.
        match_number: U64,
        /// `C` by consent, `E` erroneous, `S` supervisory.
        reason: u8,
        /// The client's text, where it is known.
        cl_ord_id: [u8; 14],
    }
}

message! {
    /// Cancel Reject, `I`: the order stays as it is.
    CancelReject {
        /// `I`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        user_ref: U32,
    }
}

message! {
    /// Order Restated, `R`.
    Restated {
        /// `R`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The order.
        user_ref: U32,
        /// `R` refresh of the displayed part.
        reason: u8,
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
        user_ref: U32,
        /// Side now.
        side: u8,
        /// Size now, shares already executed counted in.
        quantity: U32,
    }
}

message! {
    /// Mass Cancel Response, `X`.
    MassCancelResponse {
        /// `X`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The request's number.
        user_ref: U32,
        /// As asked.
        firm: [u8; 4],
        /// As asked.
        symbol: [u8; 8],
    }
}

message! {
    /// Disable (`G`) or Enable (`K`) Order Entry Response.
    FirmSwitchResponse {
        /// `G` or `K`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The request's number.
        user_ref: U32,
        /// As asked.
        firm: [u8; 4],
    }
}

message! {
    /// Account Query Response, `Q`.
    AccountQueryResponse {
        /// `Q`.
        kind: u8,
        /// Nanoseconds since midnight.
        timestamp: U64,
        /// The lowest number the client may use next.
        next_user_ref: U32,
    }
}

/// The longest message this gateway sends: Replaced with every element it echoes.
pub const OUTBOUND_BYTES_MAX: usize = 160;

/// A message being written: fixed fields, then an appendage. There is room for the packet's header in
/// front.
#[derive(Clone, Copy)]
pub struct Buffer {
    bytes: [u8; HEADER_BYTES + OUTBOUND_BYTES_MAX],
    /// Behind the message, and so with its header.
    len: usize,
    /// Where the appendage's length stands.
    appendage: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer::new()
    }
}

impl Buffer {
    /// Nothing yet.
    pub const fn new() -> Buffer {
        Buffer { bytes: [0; HEADER_BYTES + OUTBOUND_BYTES_MAX], len: HEADER_BYTES, appendage: 0 }
    }

    /// Starts over with a message's fixed fields and an empty appendage.
    #[inline]
    pub fn start(&mut self, message: &(impl IntoBytes + Immutable)) {
        let fixed = message.as_bytes();
        self.appendage = HEADER_BYTES + fixed.len();
        self.bytes[HEADER_BYTES..self.appendage].copy_from_slice(fixed);
        self.len = self.appendage + 2;
        self.bytes[self.appendage..self.len].fill(0);
    }

    /// Adds an element to the appendage.
    #[inline]
    pub fn element(&mut self, tag: u8, value: &[u8]) {
        let end = self.len + 2 + value.len();
        self.bytes[self.len] = value.len() as u8 + 1;
        self.bytes[self.len + 1] = tag;
        self.bytes[self.len + 2..end].copy_from_slice(value);
        self.len = end;
        let length = (end - self.appendage - 2) as u16;
        self.bytes[self.appendage..self.appendage + 2].copy_from_slice(&length.to_be_bytes());
    }

    /// The message.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..self.len]
    }

    /// The message as a Sequenced Data packet.
    #[inline]
    pub fn packet(&mut self) -> &[u8] {
        let head = header(kind::SEQUENCED, self.len - HEADER_BYTES);
        self.bytes[..HEADER_BYTES].copy_from_slice(&head);
        &self.bytes[..self.len]
    }

    /// The message as an Unsequenced Data packet, as a client sends it.
    #[inline]
    pub fn client_packet(&mut self) -> &[u8] {
        let head = header(kind::UNSEQUENCED, self.len - HEADER_BYTES);
        self.bytes[..HEADER_BYTES].copy_from_slice(&head);
        &self.bytes[..self.len]
    }

    /// Starts over with a message that has no appendage.
    #[inline]
    pub fn start_bare(&mut self, message: &(impl IntoBytes + Immutable)) {
        let fixed = message.as_bytes();
        self.len = HEADER_BYTES + fixed.len();
        self.bytes[HEADER_BYTES..self.len].copy_from_slice(fixed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_fields_have_the_lengths_of_the_specification() {
        assert_eq!(size_of::<SystemEvent>(), 10);
        assert_eq!(size_of::<Accepted>(), 62);
        assert_eq!(size_of::<Replaced>(), 66);
        assert_eq!(size_of::<Canceled>(), 18);
        assert_eq!(size_of::<AiqCanceled>(), 32);
        assert_eq!(size_of::<Executed>(), 34);
        assert_eq!(size_of::<Rejected>(), 29);
        assert_eq!(size_of::<Restated>(), 14);
        assert_eq!(size_of::<CancelPending>(), 13);
        assert_eq!(size_of::<BrokenTrade>(), 36);
        assert_eq!(size_of::<Modified>(), 18);
        assert_eq!(size_of::<MassCancelResponse>(), 25);
        assert_eq!(size_of::<FirmSwitchResponse>(), 17);
        assert_eq!(size_of::<AccountQueryResponse>(), 13);
    }

    #[test]
    fn an_appendage_counts_its_own_bytes() {
        let mut buffer = Buffer::new();
        buffer.start(&CancelReject { kind: b'I', timestamp: 1.into(), user_ref: 2.into() });
        assert_eq!(&buffer.bytes()[13..], [0, 0]);
        buffer.element(3, &[0, 0, 0, 9]);
        assert_eq!(&buffer.bytes()[13..], [0, 6, 5, 3, 0, 0, 0, 9]);
    }
}
