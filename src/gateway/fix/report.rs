//! What a venue says in FIX of the orders that were sent there, in the words of [`Said`].

use crate::order::{Said, Saying};
use crate::wire::fix::scan::Message;
use crate::wire::fix::value::{number, price};
use crate::wire::fix::{Version, msg_type, tag};

use super::calls::VenueName;

/// The most things that one message says: a trade that is corrected is undone and made anew.
pub const SAID_MAX: usize = 2;

/// What one message says.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// These, in order.
    Said([Option<Said>; SAID_MAX]),
    /// Nothing that changes anything.
    Nothing,
    /// The message of this side's with that MsgSeqNum was refused, and what it was.
    Refused(u64),
    /// Nothing can be made of it.
    Unreadable,
}

/// Reads an application message of a venue's, or its Reject.
pub fn read(message: &Message<'_>, version: Version) -> Heard {
    match message.msg_type() {
        msg_type::EXECUTION_REPORT => {
            // That there are no orders is said of none.
            let of_all = message.get(tag::MASS_STATUS_REQ_ID).is_some();
            let nothing = if of_all { Heard::Nothing } else { Heard::Unreadable };
            execution(message, version).unwrap_or(nothing)
        }
        msg_type::ORDER_CANCEL_REJECT => cancel_reject(message).unwrap_or(Heard::Unreadable),
        msg_type::BUSINESS_MESSAGE_REJECT | msg_type::REJECT => {
            let refused = message.get(tag::REF_SEQ_NUM).and_then(number);
            refused.map_or(Heard::Unreadable, Heard::Refused)
        }
        _ => Heard::Nothing,
    }
}

/// What became of a message of this side's type that was refused as such.
pub fn refused(kind: &[u8], name: &[u8]) -> Option<Said> {
    let saying = match kind {
        msg_type::NEW_ORDER_SINGLE => Saying::Refused,
        msg_type::ORDER_CANCEL_REQUEST => Saying::CancelRefused,
        msg_type::ORDER_CANCEL_REPLACE_REQUEST => Saying::ReplaceRefused,
        msg_type::ORDER_STATUS_REQUEST => Saying::Untold,
        _ => return None,
    };
    said(name, saying)
}

fn said(name: &[u8], saying: Saying) -> Option<Said> {
    let (symbol, slot, number) = VenueName::read(name)?;
    Some(Said { slot, symbol, number, saying })
}

fn one(said: Said) -> Heard {
    Heard::Said([Some(said), None])
}

/// The order that a message is about: by the name it gives, or, where a venue made one up for something nobody asked
/// for, by the one before.
fn about(message: &Message<'_>, saying: Saying) -> Option<Said> {
    let name = |tag| message.get(tag).unwrap_or(b"");
    said(name(tag::CL_ORD_ID), saying).or_else(|| said(name(tag::ORIG_CL_ORD_ID), saying))
}

fn cancel_reject(message: &Message<'_>) -> Option<Heard> {
    let replaces = message.get(tag::CXL_REJ_RESPONSE_TO) == Some(b"2");
    let saying = if replaces { Saying::ReplaceRefused } else { Saying::CancelRefused };
    Some(one(about(message, saying)?))
}

fn execution(message: &Message<'_>, version: Version) -> Option<Heard> {
    let exec_type = *message.get(tag::EXEC_TYPE)?.first()?;
    let transaction = message.get(tag::EXEC_TRANS_TYPE).and_then(|text| text.first()).copied();
    match (version, transaction) {
        // FIX 4.2: cancel, correct and status are transactions.
        (Version::Fix42, Some(b'1')) => return Some(one(busted(message)?)),
        (Version::Fix42, Some(b'2')) => return corrected(message),
        (Version::Fix42, Some(b'3')) => return Some(one(stands(message)?)),
        _ => {}
    }
    Some(match exec_type {
        b'0' => one(about(message, Saying::Accepted)?),
        b'8' => one(about(message, Saying::Refused)?),
        // Canceled, done for day, expired.
        b'4' | b'3' | b'C' => {
            let canceled = about(message, Saying::Canceled { qty: 0 })?;
            match traded(message) {
                Some(saying) => Heard::Said([Some(Said { saying, ..canceled }), Some(canceled)]),
                None => one(canceled),
            }
        }
        b'5' => one(about(message, Saying::Replaced)?),
        b'F' | b'1' | b'2' => one(filled(message)?),
        b'H' => one(busted(message)?),
        b'G' => return corrected(message),
        b'I' | b'D' => one(stands(message)?),
        // Pending, suspended, stopped: it stands as it did.
        _ => Heard::Nothing,
    })
}

fn filled(message: &Message<'_>) -> Option<Said> {
    let qty = shares(message, tag::LAST_QTY)?;
    let price = message.get(tag::LAST_PX).and_then(price)?;
    let exec = exec_of(message.get(tag::EXEC_ID)?);
    about(message, Saying::Filled { qty, price, exec })
}

fn busted(message: &Message<'_>) -> Option<Said> {
    about(message, Saying::Busted { exec: exec_of(message.get(tag::EXEC_REF_ID)?) })
}

/// A trade that was corrected: undone, and there as it is now.
fn corrected(message: &Message<'_>) -> Option<Heard> {
    Some(Heard::Said([Some(busted(message)?), Some(filled(message)?)]))
}

/// What traded of an order that ended, if anything did.
fn traded(message: &Message<'_>) -> Option<Saying> {
    let cum = shares(message, tag::CUM_QTY).filter(|cum| *cum > 0)?;
    let average = message.get(tag::AVG_PX).and_then(ten_thousandths)?;
    Some(Saying::Traded { cum, notional: u64::from(cum).checked_mul(average)? })
}

fn stands(message: &Message<'_>) -> Option<Said> {
    if message.get(tag::ORD_STATUS) == Some(b"8") {
        return about(message, Saying::Unknown);
    }
    let (cum, leaves) = (shares(message, tag::CUM_QTY)?, shares(message, tag::LEAVES_QTY)?);
    let average = message.get(tag::AVG_PX).map_or(Some(0), ten_thousandths)?;
    let notional = u64::from(cum).checked_mul(average)?;
    about(message, Saying::Stands { cum, leaves, notional })
}

/// Shares, which may have decimals that say nothing.
fn shares(message: &Message<'_>, tag: u32) -> Option<u32> {
    let text = message.get(tag)?;
    let (whole, decimals) = split(text);
    let plain = decimals.iter().all(|byte| *byte == b'0');
    number(whole).filter(|_| plain).and_then(|qty| u32::try_from(qty).ok())
}

/// An average price, which may have any decimals, in 1/10000.
fn ten_thousandths(text: &[u8]) -> Option<u64> {
    let (whole, decimals) = split(text);
    let mut value = number(whole)?.checked_mul(10_000)?;
    let mut unit = 1_000;
    for digit in decimals.iter().take(4) {
        value += unit * u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        unit /= 10;
    }
    Some(value)
}

fn split(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

/// A number for what a venue calls a trade. It stands in journals: FNV-1a, and never 0.
pub fn exec_of(id: &[u8]) -> u64 {
    let mix = |all: u64, byte: &u8| (all ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    id.iter().fold(0xcbf2_9ce4_8422_2325, mix).max(1)
}
