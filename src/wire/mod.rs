//! Formats: pure views over bytes. No I/O, no allocation, no state.
#![deny(unsafe_code)]

pub mod fix;
pub mod itch;
pub mod moldudp64;
pub mod ouch;
pub mod ouch42;
pub mod soupbin;

/// What can be spoken on a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// OUCH 5.0 over SoupBinTCP.
    Ouch50,
    /// OUCH 4.2 over SoupBinTCP.
    Ouch42,
    /// FIX, tag=value over TCP.
    Fix(fix::Version),
    /// A firm's executions for those who watch it: OUCH 5.0 over SoupBinTCP, one way.
    DropCopy,
    /// Snapshots of the displayed book: GLIMPSE 5.0 over SoupBinTCP.
    Glimpse,
}

impl Protocol {
    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Ouch50 => "ouch5",
            Protocol::Ouch42 => "ouch42",
            Protocol::Fix(fix::Version::Fix42) => "fix42",
            Protocol::Fix(fix::Version::Fix44) => "fix44",
            Protocol::DropCopy => "dropcopy",
            Protocol::Glimpse => "glimpse",
        }
    }

    /// As the journal writes it.
    pub const fn code(self) -> u8 {
        match self {
            Protocol::Ouch50 => 0,
            Protocol::Ouch42 => 1,
            Protocol::Fix(fix::Version::Fix42) => 2,
            Protocol::Fix(fix::Version::Fix44) => 3,
            Protocol::DropCopy => 4,
            Protocol::Glimpse => 5,
        }
    }

    /// The protocol of a journal's code.
    pub const fn of_code(code: u8) -> Option<Protocol> {
        match code {
            0 => Some(Protocol::Ouch50),
            1 => Some(Protocol::Ouch42),
            2 => Some(Protocol::Fix(fix::Version::Fix42)),
            3 => Some(Protocol::Fix(fix::Version::Fix44)),
            4 => Some(Protocol::DropCopy),
            5 => Some(Protocol::Glimpse),
            _ => None,
        }
    }
}
