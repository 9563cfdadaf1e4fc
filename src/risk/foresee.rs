//! Bringing near what the next commands will look at. In a whole market most of it is in no cache, and
//! the misses of many commands together take little longer than those of one.

use crate::order::{Command, CommandKind, UserRefNum};
use crate::runtime::prefetch;

use super::Risk;

/// Steps of [`Risk::foresee`]: each follows what the one before brought near.
pub const FORESEE_STEPS: usize = 3;

/// With fewer open orders and symbols all of it is near anyhow.
const ORDERS_MIN: usize = 16_384;
const SYMBOLS_MIN: usize = 1_024;

impl Risk {
    /// Whether it is worth it.
    #[inline]
    pub fn has_to_foresee(&self) -> bool {
        self.orders.len() >= ORDERS_MIN || self.symbols.len() >= SYMBOLS_MIN
    }

    /// Asks for what sequencing a command will read, as far as `step` can know it. `at` is the
    /// command's place among those that are foreseen together.
    #[inline]
    pub fn foresee(&self, command: &Command, at: usize, step: usize) {
        let named = named(command);
        match step {
            0 => {
                if let Some(user_ref) = named {
                    self.orders.foresee(command.user, user_ref);
                }
                if matches!(command.kind, CommandKind::Enter | CommandKind::Replace) {
                    self.orders.foresee(command.user, command.user_ref);
                }
                if command.kind == CommandKind::Enter {
                    self.orders.foresee_free(at);
                    self.foresee_symbol(command);
                }
            }
            _ => {
                let found = named.and_then(|user_ref| self.orders.find(command.user, user_ref));
                let Some(slot) = found else { return };
                let order = &self.orders.shadows[slot.index()];
                if step == 1 {
                    return prefetch(order);
                }
                let firm = self.users[command.user.index()].firm;
                prefetch(self.exposure.of(firm, order.symbol));
                prefetch(&self.symbols[order.symbol.index()]);
                if command.kind == CommandKind::Cancel {
                    self.orders.foresee_neighbours(order);
                }
            }
        }
    }

    #[inline]
    fn foresee_symbol(&self, command: &Command) {
        let firm = self.users[command.user.index()].firm;
        if let Some(symbol) = self.symbols.get(command.symbol.index()) {
            prefetch(symbol);
            prefetch(self.exposure.of(firm, command.symbol));
        }
    }
}

/// The number by which a command names an order that is there.
#[inline]
fn named(command: &Command) -> Option<UserRefNum> {
    match command.kind {
        CommandKind::Replace => Some(command.orig_user_ref),
        CommandKind::Cancel | CommandKind::Modify => Some(command.user_ref),
        _ => None,
    }
}
