//! What a venue says of an order that was sent there, in the same words whatever it speaks.

use super::{
    Command, CommandKind, FirmId, Price, Reject, Slot, SymbolId, TEXT_BYTES, UserId, UserRefNum,
};

/// What became of it. A journal keeps the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saying {
    /// It is there.
    Accepted,
    /// It never was: refused.
    Refused,
    /// `qty` shares traded at `price`.
    Filled {
        /// Shares.
        qty: u32,
        /// Each.
        price: Price,
        /// The trade, by a hash of what the venue calls it.
        exec: u64,
    },
    /// It is no more, or smaller by `qty` if that is not 0.
    Canceled {
        /// Shares that were taken; 0 is whatever is open.
        qty: u32,
    },
    /// It was replaced as asked.
    Replaced,
    /// It was not cancelled as asked; it stands as it did.
    CancelRefused,
    /// It was not replaced as asked; it stands as it did.
    ReplaceRefused,
    /// A trade was undone.
    Busted {
        /// The trade.
        exec: u64,
    },
    /// It stands with `cum` shares traded for `notional`, and `leaves` open; none is the end of it.
    Stands {
        /// Shares traded.
        cum: u32,
        /// Shares open.
        leaves: u32,
        /// What was paid for them, in 1/10000.
        notional: u64,
    },
    /// The venue knows nothing of it.
    Unknown,
    /// All in all `cum` shares of it traded, for `notional`: said beside something else.
    Traded {
        /// Shares traded.
        cum: u32,
        /// What was paid for them, in 1/10000.
        notional: u64,
    },
    /// The venue does not tell how it stands.
    Untold,
}

/// One thing that a venue said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Said {
    /// Where the order is here, as its name at the venue says.
    pub slot: Slot,
    /// What it trades, as its name says.
    pub symbol: SymbolId,
    /// The number by which the venue calls it.
    pub number: u32,
    /// What became of it.
    pub saying: Saying,
}

impl Said {
    /// Writes it into a command of the venue's.
    pub fn write(&self, venue: UserId, firm: FirmId, command: &mut Command) {
        *command = Command::new(CommandKind::VenueSaid, venue, firm);
        (command.slot, command.symbol) = (self.slot, self.symbol);
        command.user_ref = UserRefNum(self.number);
        let (code, word) = match self.saying {
            Saying::Accepted => (1, 0),
            Saying::Refused => (2, 0),
            Saying::Filled { qty, price, exec } => {
                (command.qty, command.price) = (qty, price);
                (3, exec)
            }
            Saying::Canceled { qty } => {
                command.qty = qty;
                (4, 0)
            }
            Saying::Replaced => (5, 0),
            Saying::CancelRefused => (6, 0),
            Saying::ReplaceRefused => (7, 0),
            Saying::Busted { exec } => (8, exec),
            Saying::Stands { cum, leaves, notional } => {
                (command.qty, command.min_qty) = (cum, leaves);
                (9, notional)
            }
            Saying::Unknown => (10, 0),
            Saying::Traded { cum, notional } => {
                command.qty = cum;
                (11, notional)
            }
            Saying::Untold => (12, 0),
        };
        command.group = code;
        command.text[..8].copy_from_slice(&word.to_le_bytes());
    }

    /// Reads it back; what no version wrote is unknown.
    pub fn read(command: &Command) -> Said {
        const _: () = assert!(TEXT_BYTES >= 8);
        let (word, _) = command.text.split_first_chunk().expect("a text is longer");
        let word = u64::from_le_bytes(*word);
        let saying = match command.group {
            1 => Saying::Accepted,
            2 => Saying::Refused,
            3 => Saying::Filled { qty: command.qty, price: command.price, exec: word },
            4 => Saying::Canceled { qty: command.qty },
            5 => Saying::Replaced,
            6 => Saying::CancelRefused,
            7 => Saying::ReplaceRefused,
            8 => Saying::Busted { exec: word },
            9 => Saying::Stands { cum: command.qty, leaves: command.min_qty, notional: word },
            11 => Saying::Traded { cum: command.qty, notional: word },
            12 => Saying::Untold,
            _ => Saying::Unknown,
        };
        let (slot, symbol) = (command.slot, command.symbol);
        Said { slot, symbol, number: command.user_ref.0, saying }
    }
}

/// What is wrong with what a venue said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Alarm {
    /// Nothing.
    None = 0,
    /// Of an order that was never sent there, or too long ago to be remembered.
    UnknownOrder = 1,
    /// More shares than are open.
    Overfilled = 2,
    /// A trade that was told before.
    Twice = 3,
    /// A trade was undone that is not known, or was already.
    UnknownTrade = 4,
    /// A trade of an order that had ended here: it was taken all the same.
    Late = 5,
    /// A price that is no multiple of the symbol's tick: it was taken all the same.
    OffTick = 6,
    /// Something that was not asked for.
    Unasked = 7,
    /// It can be made nothing of.
    Unreadable = 8,
}

impl Alarm {
    /// All of them that tell of something, with what a counter is called.
    pub const ALL: [(Alarm, &'static str); 8] = [
        (Alarm::UnknownOrder, "unknown_order"),
        (Alarm::Overfilled, "overfilled"),
        (Alarm::Twice, "told_twice"),
        (Alarm::UnknownTrade, "unknown_trade"),
        (Alarm::Late, "late"),
        (Alarm::OffTick, "off_tick"),
        (Alarm::Unasked, "unasked"),
        (Alarm::Unreadable, "unreadable"),
    ];

    /// The alarm of an event's number.
    pub fn of_code(code: u64) -> Alarm {
        let found = Alarm::ALL.iter().find(|(alarm, _)| *alarm as u64 == code);
        found.map_or(Alarm::None, |(alarm, _)| *alarm)
    }
}

/// Why a client is told that its order ended outside.
impl Reject {
    /// Nobody outside can be reached who would take the order.
    pub const NO_VENUE: Reject = Reject::DestinationClosed;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_venue_said_is_read_back() {
        for saying in [
            Saying::Accepted,
            Saying::Refused,
            Saying::Filled { qty: 100, price: Price(1_000_000), exec: u64::MAX },
            Saying::Canceled { qty: 0 },
            Saying::Canceled { qty: 7 },
            Saying::Replaced,
            Saying::CancelRefused,
            Saying::ReplaceRefused,
            Saying::Busted { exec: 1 << 60 },
            Saying::Stands { cum: 3, leaves: 4, notional: 1 << 50 },
            Saying::Unknown,
            Saying::Traded { cum: 3, notional: 1 << 50 },
            Saying::Untold,
        ] {
            let said = Said { slot: Slot(5), symbol: SymbolId(2), number: 77, saying };
            let mut command = Command::EMPTY;
            said.write(UserId(9), FirmId(3), &mut command);
            assert_eq!(Said::read(&command), said);
            assert_eq!(command.kind, CommandKind::VenueSaid);
        }
        for (alarm, _) in Alarm::ALL {
            assert_eq!(Alarm::of_code(alarm as u64), alarm);
        }
    }
}
