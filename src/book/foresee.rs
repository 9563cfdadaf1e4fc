//! Bringing near what the next commands will look at, as risk does.

use crate::order::{Command, CommandKind};
use crate::runtime::prefetch;

use super::Book;

/// Steps of [`Book::foresee`]: each follows what the one before brought near.
pub const FORESEE_STEPS: usize = 4;

/// With fewer open orders and symbols all of it is near anyhow.
const ORDERS_MIN: u32 = 16_384;
const SYMBOLS_MIN: usize = 1_024;

impl Book {
    /// Whether it is worth it.
    #[inline]
    pub fn has_to_foresee(&self) -> bool {
        self.open_orders >= ORDERS_MIN || self.ladders.len() >= SYMBOLS_MIN
    }

    /// Asks for what carrying out a command will read, as far as `step` can know it.
    #[inline]
    pub fn foresee(&self, command: &Command, step: usize) {
        use CommandKind::{Cancel, Enter, Modify, Replace};
        let rests = matches!(command.kind, Enter | Replace);
        let names = matches!(command.kind, Cancel | Modify | Replace);
        let Some(order) = self.orders.get(command.slot.index()).filter(|_| rests || names) else {
            return;
        };
        let Some(ladder) = self.ladders.get(command.symbol.index()) else { return };
        match step {
            0 => {
                prefetch(order);
                prefetch(ladder);
            }
            1 => {
                if names {
                    for slot in [order.prev, order.next] {
                        if let Some(neighbour) = self.orders.get(slot as usize) {
                            prefetch(neighbour);
                        }
                    }
                    self.pools.foresee_level(order.level);
                    ladder.foresee(&self.pools, order.price, 1);
                }
                if rests {
                    ladder.foresee(&self.pools, command.price, 1);
                }
            }
            _ => {
                if names {
                    ladder.foresee(&self.pools, order.price, step);
                }
                if rests {
                    let level = ladder.foresee(&self.pools, command.price, step);
                    // Whoever is last in the queue gets a neighbour.
                    if let Some(last) = level.and_then(|tail| self.orders.get(tail as usize)) {
                        prefetch(last);
                    }
                }
            }
        }
    }
}
