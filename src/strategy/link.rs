//! What a desk's link to a gateway is, whatever it speaks.

use super::desk::Desk;
use super::order::{OrderId, Report};
use crate::client::LoginError;

/// What a link has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkEvent {
    /// The venue tells of an order.
    Report(Report),
    /// All that was ever told has come, and numbers from `next_id` on are free.
    Connected {
        /// The lowest number that may be used.
        next_id: OrderId,
    },
    /// The connection is gone; it will be tried again.
    Lost,
}

/// A session that comes back by itself, and has what it missed told again.
pub trait Link {
    /// Sends what the desk wants sent.
    fn send(&mut self, desk: &mut Desk);

    /// Takes in what has come, and logs in where there is no connection. An error is a login that was refused: it
    /// would be the next time.
    fn poll(&mut self, see: &mut dyn FnMut(LinkEvent)) -> Result<usize, LoginError>;

    /// Says goodbye.
    fn log_out(&mut self);
}
