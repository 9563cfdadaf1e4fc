//! Random commands as risk might sequence them, for tests.

use super::Book;
use crate::order::{
    Command, CommandKind, Display, FirmId, OrderFlags, Price, SelfTrade, Side, Slot, SymbolId,
    TimeInForce, UserId, UserRefNum,
};

pub(crate) const SYMBOLS: u16 = 3;
pub(crate) const SLOTS: u32 = 240;

/// xorshift64*: reproducible, and nothing else is asked of it.
pub(crate) struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What users and symbols are, in front of everything else.
pub(crate) fn definitions() -> Vec<Command> {
    let user = (0..4).map(|firm| {
        let mut command = Command::new(CommandKind::DefineUser, UserId(firm), FirmId(firm));
        command.text[8..12].copy_from_slice(format!("FRM{firm}").as_bytes());
        command
    });
    let symbol = (0..SYMBOLS).map(|symbol| {
        let mut command = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
        (command.symbol, command.price) = (SymbolId(symbol), Price(100));
        command.text[..3].copy_from_slice(format!("SY{symbol}").as_bytes());
        command
    });
    user.chain(symbol).collect()
}

/// A command that risk might sequence, given what is open.
pub(crate) fn command(draw: &mut Draw, book: &Book, seq: u64) -> Command {
    let slot = Slot(draw.below(SLOTS.into()) as u32);
    let new_ref = UserRefNum(seq as u32);
    let mut command = Command::new(CommandKind::Enter, UserId(0), FirmId(0));
    command.side = draw.of(&[Side::Buy, Side::Sell, Side::SellShort]);
    let what = draw.below(10);
    match book.order(slot) {
        None => {
            let firm = draw.below(4) as u16;
            (command.user, command.firm) = (UserId(firm), FirmId(firm));
            command.symbol = SymbolId(draw.below(SYMBOLS.into()) as u16);
            command.user_ref = new_ref;
        }
        Some(order) => {
            command.kind = match what {
                0..4 => CommandKind::Replace,
                4..8 => CommandKind::Cancel,
                _ => CommandKind::Modify,
            };
            (command.user, command.firm, command.symbol) = (order.user, order.firm, order.symbol);
            (command.user_ref, command.orig_user_ref) = match command.kind {
                CommandKind::Replace => (new_ref, order.user_ref),
                _ => (order.user_ref, UserRefNum(0)),
            };
            if command.kind == CommandKind::Replace {
                command.side = order.side;
            }
        }
    }
    command.slot = slot;
    let all = command.kind == CommandKind::Cancel && what == 4;
    command.qty = if all { 0 } else { 1 + draw.below(300) as u32 };
    command.price = Price(100 * (80 + draw.below(40)) as u32);
    command.limit = command.price;
    command.self_trade = draw.of(&[
        SelfTrade::Allow,
        SelfTrade::CancelNewest,
        SelfTrade::CancelOldest,
        SelfTrade::CancelBoth,
        SelfTrade::Decrement,
    ]);
    match draw.below(12) {
        0 => command.tif = TimeInForce::Ioc,
        1 => command.flags = OrderFlags(OrderFlags::POST_ONLY),
        2 => command.flags = OrderFlags(OrderFlags::MARKET),
        3 | 4 => command.display = Display::Hidden,
        5 => command.display = Display::Attributable,
        6 | 7 => command.max_floor = 1 + draw.below(80) as u32,
        8 => (command.display, command.max_floor) = (Display::Hidden, 10),
        _ => {}
    }
    command
}
