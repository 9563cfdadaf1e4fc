//! Messages from the gateway, as values that print well.

use std::fmt;

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::order::Price;
use crate::wire::ouch::outbound as wire;

/// A message from the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the messages in wire::ouch::outbound")]
pub enum Answer {
    SystemEvent {
        event: char,
    },
    Accepted {
        user_ref: u32,
        side: char,
        quantity: u32,
        symbol: String,
        price: u64,
        live: bool,
        reference: u64,
    },
    Replaced {
        orig_user_ref: u32,
        user_ref: u32,
        quantity: u32,
        price: u64,
        live: bool,
    },
    Canceled {
        user_ref: u32,
        quantity: u32,
        reason: char,
    },
    AiqCanceled {
        user_ref: u32,
        decrement: u32,
        prevented: u32,
        price: u64,
        strategy: char,
    },
    Executed {
        user_ref: u32,
        quantity: u32,
        price: u64,
        liquidity: char,
        match_number: u64,
    },
    Rejected {
        user_ref: u32,
        reason: u16,
    },
    CancelReject {
        user_ref: u32,
    },
    Restated {
        user_ref: u32,
    },
    Modified {
        user_ref: u32,
        side: char,
        quantity: u32,
    },
    MassCancelResponse {
        user_ref: u32,
        symbol: String,
    },
    FirmSwitch {
        enabled: bool,
        user_ref: u32,
    },
    AccountQueryResponse {
        next_user_ref: u32,
    },
    CancelPending {
        user_ref: u32,
    },
    BrokenTrade {
        user_ref: u32,
        match_number: u64,
    },
    Unknown(Vec<u8>),
}

fn view<T: FromBytes + Immutable + KnownLayout + Unaligned>(bytes: &[u8]) -> Option<&T> {
    T::ref_from_prefix(bytes).ok().map(|(view, _)| view)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

impl Answer {
    /// Reads a message.
    pub fn parse(bytes: &[u8]) -> Answer {
        Answer::known(bytes).unwrap_or_else(|| Answer::Unknown(bytes.to_vec()))
    }

    fn known(bytes: &[u8]) -> Option<Answer> {
        Some(match bytes.first()? {
            b'P' => Answer::CancelPending {
                user_ref: view::<wire::CancelPending>(bytes)?.user_ref.get(),
            },
            b'B' => {
                let m: &wire::BrokenTrade = view(bytes)?;
                let (user_ref, match_number) = (m.user_ref.get(), m.match_number.get());
                Answer::BrokenTrade { user_ref, match_number }
            }
            b'S' => Answer::SystemEvent { event: view::<wire::SystemEvent>(bytes)?.event.into() },
            b'A' => {
                let m: &wire::Accepted = view(bytes)?;
                Answer::Accepted {
                    user_ref: m.user_ref.get(),
                    side: m.side.into(),
                    quantity: m.quantity.get(),
                    symbol: text(&m.symbol),
                    price: m.price.get(),
                    live: m.state == b'L',
                    reference: m.order_reference.get(),
                }
            }
            b'U' => {
                let m: &wire::Replaced = view(bytes)?;
                Answer::Replaced {
                    orig_user_ref: m.orig_user_ref.get(),
                    user_ref: m.user_ref.get(),
                    quantity: m.quantity.get(),
                    price: m.price.get(),
                    live: m.state == b'L',
                }
            }
            b'C' => {
                let m: &wire::Canceled = view(bytes)?;
                let (user_ref, quantity) = (m.user_ref.get(), m.quantity.get());
                Answer::Canceled { user_ref, quantity, reason: m.reason.into() }
            }
            b'D' => {
                let m: &wire::AiqCanceled = view(bytes)?;
                Answer::AiqCanceled {
                    user_ref: m.user_ref.get(),
                    decrement: m.decrement.get(),
                    prevented: m.prevented.get(),
                    price: m.price.get(),
                    strategy: m.strategy.into(),
                }
            }
            b'E' => {
                let m: &wire::Executed = view(bytes)?;
                Answer::Executed {
                    user_ref: m.user_ref.get(),
                    quantity: m.quantity.get(),
                    price: m.price.get(),
                    liquidity: m.liquidity.into(),
                    match_number: m.match_number.get(),
                }
            }
            b'J' => {
                let m: &wire::Rejected = view(bytes)?;
                Answer::Rejected { user_ref: m.user_ref.get(), reason: m.reason.get() }
            }
            _ => return Answer::rare(bytes),
        })
    }

    fn rare(bytes: &[u8]) -> Option<Answer> {
        Some(match bytes.first()? {
            b'I' => {
                let m: &wire::CancelReject = view(bytes)?;
                Answer::CancelReject { user_ref: m.user_ref.get() }
            }
            b'R' => {
                let m: &wire::Restated = view(bytes)?;
                Answer::Restated { user_ref: m.user_ref.get() }
            }
            b'M' => {
                let m: &wire::Modified = view(bytes)?;
                let (user_ref, quantity) = (m.user_ref.get(), m.quantity.get());
                Answer::Modified { user_ref, side: m.side.into(), quantity }
            }
            b'X' => {
                let m: &wire::MassCancelResponse = view(bytes)?;
                Answer::MassCancelResponse { user_ref: m.user_ref.get(), symbol: text(&m.symbol) }
            }
            kind @ (b'G' | b'K') => {
                let m: &wire::FirmSwitchResponse = view(bytes)?;
                Answer::FirmSwitch { enabled: *kind == b'K', user_ref: m.user_ref.get() }
            }
            b'Q' => {
                let m: &wire::AccountQueryResponse = view(bytes)?;
                Answer::AccountQueryResponse { next_user_ref: m.next_user_ref.get() }
            }
            _ => return None,
        })
    }

    /// The order or request that it is about.
    pub fn user_ref(&self) -> Option<u32> {
        match self {
            Answer::Accepted { user_ref, .. }
            | Answer::Replaced { user_ref, .. }
            | Answer::Canceled { user_ref, .. }
            | Answer::AiqCanceled { user_ref, .. }
            | Answer::Executed { user_ref, .. }
            | Answer::Rejected { user_ref, .. }
            | Answer::CancelReject { user_ref }
            | Answer::Restated { user_ref }
            | Answer::Modified { user_ref, .. }
            | Answer::MassCancelResponse { user_ref, .. }
            | Answer::FirmSwitch { user_ref, .. } => Some(*user_ref),
            _ => None,
        }
    }
}

/// Words for a reject reason that this venue gives.
fn reject_words(reason: u16) -> &'static str {
    match reason {
        2 => "destination closed",
        3 => "invalid display",
        4 => "invalid max floor",
        5 => "invalid peg type",
        7 => "halted",
        9 => "invalid side",
        10 => "processing error",
        12 => "firm not authorized",
        13 => "invalid minimum quantity",
        15 => "other",
        17 => "pegging not allowed",
        19 => "invalid quantity",
        20 => "invalid cross order",
        21 => "replace not allowed",
        22 => "routing not allowed",
        23 => "invalid symbol",
        26 => "retail not allowed",
        29 => "invalid price",
        32 => "risk: aggregate exposure exceeded",
        34 => "risk: restricted stock",
        38 => "risk: fat finger",
        39 => "risk: locate required",
        41 => "risk: port message rate",
        42 => "risk: duplicate message rate",
        43 => "risk: short sell not allowed",
        44 => "risk: market order not allowed",
        47 => "risk: short sell exempt not allowed",
        48 => "risk: single order notional exceeded",
        49 => "risk: max quantity exceeded",
        _ => "unknown reason",
    }
}

fn cancel_words(reason: char) -> &'static str {
    match reason {
        'U' => "user requested",
        'I' => "immediate or cancel",
        'T' => "timeout",
        'S' => "supervisory",
        'Q' => "self match",
        'K' => "market collar",
        'G' => "post only would trade",
        'Z' => "system",
        _ => "unknown reason",
    }
}

fn price_text(price: u64) -> String {
    match u32::try_from(price) {
        Ok(price) if price == Price::MARKET.0 => "market".to_owned(),
        Ok(price) => Price(price).to_string(),
        Err(_) => price.to_string(),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Accepted { user_ref, side, quantity, symbol, price, live, reference } => {
                let side = if *side == 'B' { "buy" } else { "sell" };
                let price = price_text(*price);
                write!(f, "accepted   #{user_ref} {side} {quantity} {symbol} at {price}")?;
                write!(f, ", order {reference}{}", if *live { "" } else { ", dead" })
            }
            Answer::CancelPending { user_ref } => {
                write!(f, "pending    #{user_ref}: the cancel is on its way to the venue")
            }
            Answer::BrokenTrade { user_ref, match_number } => {
                write!(f, "broken     #{user_ref}: trade {match_number} was undone")
            }
            Answer::Replaced { orig_user_ref, user_ref, quantity, price, live } => {
                let price = price_text(*price);
                let dead = if *live { "" } else { ", dead" };
                write!(f, "replaced   #{orig_user_ref} by #{user_ref}: {quantity} at {price}{dead}")
            }
            Answer::Canceled { user_ref, quantity, reason } => {
                write!(f, "canceled   #{user_ref} {quantity}: {}", cancel_words(*reason))
            }
            Answer::AiqCanceled { user_ref, decrement, price, .. } => {
                let price = price_text(*price);
                write!(f, "prevented  #{user_ref} {decrement} at {price}: self match")
            }
            Answer::Executed { user_ref, quantity, price, liquidity, match_number } => {
                let what = if *liquidity == 'R' { "removed" } else { "added" };
                let price = price_text(*price);
                write!(
                    f,
                    "executed   #{user_ref} {quantity} at {price}, {what}, match {match_number}"
                )
            }
            Answer::Rejected { user_ref, reason } => {
                write!(f, "rejected   #{user_ref}: {} ({reason})", reject_words(*reason))
            }
            other => write!(f, "{other:?}"),
        }
    }
}
