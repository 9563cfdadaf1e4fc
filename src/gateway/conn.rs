//! A connection as the gateway sees it.

use crate::net::ConnId;
use crate::order::{UnixNanos, UserId};
use crate::session::soup::Session;

use super::replay::Chunk;

/// Bytes of session packets that may wait to be sent: a login's answer and some heartbeats.
const CONTROL_BYTES: usize = 256;

/// What a connection sends next from its user's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Not logged in yet.
    Nothing,
    /// What stands in the stream's window from this offset.
    Window(u64),
    /// Messages that left the window, made again from the journal; then message `next`.
    Journal { next: u64 },
}

pub(super) struct Conn {
    pub id: ConnId,
    pub session: Session,
    pub user: Option<UserId>,
    /// Message asked for by the login.
    pub requested: u64,
    pub source: Source,
    /// Part of a message was sent: nothing else may come between.
    pub mid_message: bool,
    control: [u8; CONTROL_BYTES],
    control_len: usize,
    /// Part of a replay, and how much of it was sent.
    pub chunk: Option<(Chunk, usize)>,
    /// The connection is closed once everything waiting was sent.
    pub closing: bool,
}

impl Conn {
    pub fn new(id: ConnId, now_ns: UnixNanos) -> Conn {
        Conn {
            id,
            session: Session::new(now_ns),
            user: None,
            requested: 0,
            source: Source::Nothing,
            mid_message: false,
            control: [0; CONTROL_BYTES],
            control_len: 0,
            chunk: None,
            closing: false,
        }
    }

    /// Leaves a session packet to send. One that does not fit is left out: only a peer that
    /// does not read gets that far, and it is about to be dropped.
    pub fn push_control(&mut self, packet: &[u8]) {
        let end = self.control_len + packet.len();
        if let Some(place) = self.control.get_mut(self.control_len..end) {
            place.copy_from_slice(packet);
            self.control_len = end;
        }
    }

    pub fn control(&self) -> &[u8] {
        &self.control[..self.control_len]
    }

    pub fn control_sent(&mut self, count: usize) {
        self.control.copy_within(count..self.control_len, 0);
        self.control_len -= count;
    }
}
