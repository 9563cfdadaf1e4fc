//! Letters on the wire, which 4.2 and 5.0 have in common.

use crate::order::{Capacity, Command, Display, OrderFlags, Side, TimeInForce};

/// Buy/Sell Indicator.
#[inline]
pub fn side(side: Side) -> u8 {
    match side {
        Side::Buy => b'B',
        Side::Sell => b'S',
        Side::SellShort => b'T',
        Side::SellShortExempt => b'E',
    }
}

/// Time in Force.
#[inline]
pub fn time_in_force(tif: TimeInForce) -> u8 {
    match tif {
        TimeInForce::Day => b'0',
        TimeInForce::Ioc => b'3',
        TimeInForce::Gtx => b'5',
        TimeInForce::Gtt => b'6',
    }
}

/// Display.
#[inline]
pub fn display(display: Display) -> u8 {
    match display {
        Display::Visible => b'Y',
        Display::Hidden => b'N',
        Display::Attributable => b'A',
    }
}

/// Capacity.
#[inline]
pub fn capacity(capacity: Capacity) -> u8 {
    match capacity {
        Capacity::Agency => b'A',
        Capacity::Principal => b'P',
        Capacity::Riskless => b'R',
        Capacity::Other => b'O',
    }
}

/// Intermarket Sweep.
#[inline]
pub fn sweep(command: &Command) -> u8 {
    if command.flags.has(OrderFlags::SWEEP) { b'Y' } else { b'N' }
}

/// Order State.
#[inline]
pub fn state(live: bool) -> u8 {
    if live { b'L' } else { b'D' }
}

/// Side of a Buy/Sell Indicator.
#[inline]
pub fn read_side(side: u8) -> Option<Side> {
    match side {
        b'B' => Some(Side::Buy),
        b'S' => Some(Side::Sell),
        b'T' => Some(Side::SellShort),
        b'E' => Some(Side::SellShortExempt),
        _ => None,
    }
}
