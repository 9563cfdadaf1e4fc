//! What the sessions of a load send: orders around one price in many symbols, of which most rest until they
//! are canceled a little later, and every eighth takes what it finds.

use crate::client::{NewOrder, cancel};
use crate::order::Price;
use crate::wire::soupbin::{kind, packet};

/// Symbols there are: S00, S01, ...
pub const SYMBOLS: u32 = 64;
/// What all prices are around, in 1/10000.
pub const MIDDLE: u32 = 1_000_000;
/// Orders of a session that are open before the oldest is canceled.
const OPEN: u32 = 8;
/// Where fields of an Enter stand in its packet, as those of a Cancel.
const USER_REF_AT: usize = 4;
const SIDE_AT: usize = 8;
const SYMBOL_AT: usize = 13;
const PRICE_AT: usize = 21;
const TIME_IN_FORCE_AT: usize = 29;

/// The orders of one session.
pub struct Flow {
    session: u32,
    enter: Vec<u8>,
    cancel: Vec<u8>,
    sent: u32,
}

impl Flow {
    pub fn new(session: u32) -> Flow {
        let enter = NewOrder::new(1, b'B', 100, "S00", Price(MIDDLE)).encode();
        Flow {
            session,
            enter: packet(kind::UNSEQUENCED, &enter),
            cancel: packet(kind::UNSEQUENCED, &cancel(1, 0)),
            sent: 0,
        }
    }

    /// The next order, and the cancel of an older one.
    pub fn put(&mut self, out: &mut Vec<u8>) {
        self.sent += 1;
        let n = self.sent;
        // A fixed scramble: every run has the same orders.
        let mixed = (n.wrapping_mul(0x9E37_79B1) ^ self.session.wrapping_mul(0x85EB_CA6B)) >> 8;
        let (symbol, buys, depth) = (mixed % SYMBOLS, mixed & 0x1_0000 != 0, (mixed >> 7) % 50 + 1);
        let takes = n % 8 == 7;
        // Who takes reaches over the middle.
        let up = buys == takes;
        let ticks = depth * 100;
        let price = if up { MIDDLE + ticks } else { MIDDLE - ticks };
        let order = &mut self.enter;
        order[USER_REF_AT..][..4].copy_from_slice(&n.to_be_bytes());
        order[SIDE_AT] = if buys { b'B' } else { b'S' };
        order[SYMBOL_AT + 1] = b'0' + (symbol / 10) as u8;
        order[SYMBOL_AT + 2] = b'0' + (symbol % 10) as u8;
        order[PRICE_AT..][..8].copy_from_slice(&u64::from(price).to_be_bytes());
        order[TIME_IN_FORCE_AT] = if takes { b'3' } else { b'0' };
        out.extend_from_slice(order);
        if n > OPEN {
            self.cancel[USER_REF_AT..][..4].copy_from_slice(&(n - OPEN).to_be_bytes());
            out.extend_from_slice(&self.cancel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ouch::inbound::Inbound;

    #[test]
    fn what_a_session_sends_are_orders_and_cancels_of_older_ones() {
        let mut flow = Flow::new(3);
        let mut bytes = vec![];
        (0..1_000).for_each(|_| flow.put(&mut bytes));
        let (mut entered, mut canceled, mut taking) = (0, 0, 0);
        let mut rest = &bytes[..];
        while let Some((packet, length)) = crate::wire::soupbin::Packet::parse(rest, 512).unwrap() {
            match Inbound::parse(packet.payload).unwrap() {
                Inbound::Enter(order, _) => {
                    entered += 1;
                    assert_eq!(order.user_ref.get(), entered);
                    let buys = order.side == b'B';
                    let takes = order.time_in_force == b'3';
                    let above = order.price.get() > u64::from(MIDDLE);
                    assert_eq!(above, buys == takes);
                    let number: u32 = str::from_utf8(&order.symbol[1..3]).unwrap().parse().unwrap();
                    assert!(number < SYMBOLS);
                    taking += u32::from(takes);
                }
                Inbound::Cancel(cancel, _) => {
                    canceled += 1;
                    assert_eq!(cancel.user_ref.get(), canceled);
                }
                other => panic!("{other:?}"),
            }
            rest = &rest[length..];
        }
        assert_eq!((entered, canceled, taking), (1_000, 992, 125));
    }
}
