//! What every protocol's orders have in common.

use crate::order::{
    Command, CommandKind, Destination, Display, FirmId, OrderFlags, Reject, TimeInForce, UserId,
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
    /// Names of venues, by their numbers from 1.
    pub venues: &'a [[u8; 4]],
}

/// What a client calls this venue where it has to name one.
pub(super) const HERE: &[u8] = b"HERE";

impl Sender<'_> {
    /// Where a client wants its order: nothing said is nothing, and of a name that nobody has nothing is known.
    #[inline]
    pub fn destination(&self, name: &[u8]) -> Result<Destination, Reject> {
        match name.trim_ascii_end() {
            b"" => Ok(Destination::Unsaid),
            HERE => Ok(Destination::Here),
            name => {
                let is_named = |venue: &[u8; 4]| venue.trim_ascii_end().eq_ignore_ascii_case(name);
                let at = self.venues.iter().position(is_named);
                at.map(|at| Destination::Venue(at as u8 + 1)).ok_or(Reject::RoutingNotAllowed)
            }
        }
    }

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
