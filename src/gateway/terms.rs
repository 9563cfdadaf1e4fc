//! What every protocol's orders have in common.

use crate::order::{
    Command, CommandKind, Display, FirmId, OrderFlags, Reject, TimeInForce, UserId,
};

use super::symbols::Directory;

/// Who sends, and what the names in its messages mean.
pub struct Sender<'a> {
    /// The user.
    pub user: UserId,
    /// Its firm.
    pub firm: FirmId,
    /// The firm's name, padded right.
    pub firm_name: [u8; 4],
    /// Symbols by name.
    pub symbols: &'a Directory,
}

impl Sender<'_> {
    /// Writes a command of this user's with everything else zero.
    #[inline]
    pub fn start(&self, kind: CommandKind, command: &mut Command) {
        *command = Command::new(kind, self.user, self.firm);
    }
}

/// Properties that do not go together.
#[inline]
pub(super) fn check_combination(command: &Command) -> Result<(), Reject> {
    let ioc = command.tif == TimeInForce::Ioc;
    let market = command.flags.has(OrderFlags::MARKET);
    if command.min_qty > 0 && (!ioc || command.min_qty > command.qty) {
        return Err(Reject::InvalidMinimumQuantity);
    }
    if command.max_floor > 0 && command.display == Display::Hidden {
        return Err(Reject::InvalidMaxFloor);
    }
    if command.flags.has(OrderFlags::POST_ONLY) && (ioc || market) {
        return Err(Reject::Other);
    }
    let expires = command.expire_s > 0;
    if (command.tif == TimeInForce::Gtt) != expires {
        return Err(Reject::Other);
    }
    Ok(())
}
