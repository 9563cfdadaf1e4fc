//! What a venue says in OUCH 5.0 of the orders that were sent there, in the words of [`Said`].

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::order::{Price, Said, Saying};
use crate::wire::ouch::outbound::{
    Accepted, AccountQueryResponse, AiqCanceled, BrokenTrade, CancelReject, Canceled, Executed,
    Rejected, Replaced,
};

use super::calls::VenueVoice;

/// What one message says.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something of an order.
    Said(Said),
    /// The next UserRefNum that the venue expects: what has it or a higher one never got there.
    Next(u32),
    /// Nothing that changes anything.
    Nothing,
    /// Of a number that was never sent.
    Unknown,
    /// Nothing can be made of it.
    Unreadable,
}

/// Reads a message of a venue's.
pub fn read(bytes: &[u8], voice: &VenueVoice) -> Heard {
    let Some(kind) = bytes.first() else { return Heard::Unreadable };
    known(*kind, bytes, voice).unwrap_or(Heard::Unreadable)
}

fn known(kind: u8, bytes: &[u8], voice: &VenueVoice) -> Option<Heard> {
    let of = |user_ref: u32, saying| {
        Some(voice.said(user_ref, saying).map_or(Heard::Unknown, Heard::Said))
    };
    match kind {
        b'A' => of(view::<Accepted>(bytes)?.user_ref.get(), Saying::Accepted),
        b'U' => of(view::<Replaced>(bytes)?.user_ref.get(), Saying::Replaced),
        b'J' => of(view::<Rejected>(bytes)?.user_ref.get(), Saying::Refused),
        b'I' => of(view::<CancelReject>(bytes)?.user_ref.get(), Saying::CancelRefused),
        b'C' => {
            let message: &Canceled = view(bytes)?;
            let qty = message.quantity.get();
            // Nothing taken is nothing said.
            if qty == 0 {
                Some(Heard::Nothing)
            } else {
                of(message.user_ref.get(), Saying::Canceled { qty })
            }
        }
        b'D' => {
            let message: &AiqCanceled = view(bytes)?;
            let qty = message.decrement.get();
            if qty == 0 {
                Some(Heard::Nothing)
            } else {
                of(message.user_ref.get(), Saying::Canceled { qty })
            }
        }
        b'E' => {
            let message: &Executed = view(bytes)?;
            let user_ref = message.user_ref.get();
            let price = Price(u32::try_from(message.price.get()).ok()?);
            let exec = exec_of(message.match_number.get(), user_ref);
            of(user_ref, Saying::Filled { qty: message.quantity.get(), price, exec })
        }
        b'B' => {
            let message: &BrokenTrade = view(bytes)?;
            let user_ref = message.user_ref.get();
            let exec = exec_of(message.match_number.get(), user_ref);
            of(user_ref, Saying::Busted { exec })
        }
        b'Q' => Some(Heard::Next(view::<AccountQueryResponse>(bytes)?.next_user_ref.get())),
        _ => Some(Heard::Nothing),
    }
}

fn view<T: FromBytes + Immutable + KnownLayout + Unaligned>(bytes: &[u8]) -> Option<&T> {
    T::ref_from_prefix(bytes).ok().map(|(view, _)| view)
}

/// A number for one side of a trade: both may be orders of this side's. It stands in journals, and is never 0.
fn exec_of(match_number: u64, user_ref: u32) -> u64 {
    (match_number.rotate_left(32) ^ u64::from(user_ref)).wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1)
}
