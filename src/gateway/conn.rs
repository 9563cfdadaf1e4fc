//! A connection as the gateway sees it.

use std::net::IpAddr;

use crate::net::ConnId;
use crate::order::{UnixNanos, UserId};
use crate::session::soup;
use crate::wire::Protocol;

use super::fix;
use super::pace::Pace;
use super::replay::Chunk;
use super::snapshots::{SNAPSHOT_NS, Sending};

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
    /// A snapshot, and then nothing.
    Snapshot,
    /// What a FIX peer asked for again; then what stands in the window from this offset.
    Again { then: u64 },
}

/// The session spoken on a connection.
pub(super) enum Session {
    Soup(soup::Session),
    Fix(Box<fix::Link>),
    /// SoupBinTCP, called from here.
    Calling(soup::Caller),
}

/// Whether a connection is there.
pub(super) fn is_there(conns: &[Option<Box<Conn>>], id: ConnId) -> bool {
    conns[id.index as usize].as_ref().is_some_and(|conn| conn.id == id)
}

pub(super) struct Conn {
    pub id: ConnId,
    pub protocol: Protocol,
    pub peer: IpAddr,
    pub opened_ns: UnixNanos,
    pub session: Session,
    pub user: Option<UserId>,
    /// Who logged in for a snapshot.
    pub snapshot_of: Option<UserId>,
    /// How fast it is read.
    pub pace: Pace,
    /// Message asked for by the login.
    pub requested: u64,
    pub source: Source,
    /// Part of a message was sent: nothing else may come between.
    pub mid_message: bool,
    control: [u8; CONTROL_BYTES],
    control_len: usize,
    /// Part of a replay, and how much of it was sent.
    pub chunk: Option<(Chunk, usize)>,
    /// A snapshot on its way.
    pub snapshot: Option<Sending>,
    /// The connection is closed once everything waiting was sent.
    pub closing: bool,
}

impl Conn {
    pub fn new(id: ConnId, protocol: Protocol, peer: IpAddr, now_ns: UnixNanos) -> Conn {
        let session = match protocol {
            Protocol::Fix(version) => Session::Fix(Box::new(fix::Link::new(version, now_ns))),
            _ => Session::Soup(soup::Session::new(now_ns)),
        };
        Conn {
            id,
            protocol,
            peer,
            opened_ns: now_ns,
            session,
            user: None,
            snapshot_of: None,
            pace: Pace::of_stranger(),
            requested: 0,
            source: Source::Nothing,
            mid_message: false,
            control: [0; CONTROL_BYTES],
            control_len: 0,
            chunk: None,
            snapshot: None,
            closing: false,
        }
    }

    /// Whether it is nobody's.
    pub fn is_stranger(&self) -> bool {
        self.user.is_none() && self.snapshot_of.is_none()
    }

    /// Whether a login is being checked.
    pub fn is_logging_in(&self) -> bool {
        match &self.session {
            Session::Soup(session) => session.phase() == soup::Phase::LoggingIn,
            Session::Fix(link) => link.is_logging_on(),
            Session::Calling(_) => false,
        }
    }

    /// Whether the peer has missed heartbeats.
    pub fn is_overdue(&self, now_ns: UnixNanos) -> bool {
        match &self.session {
            Session::Soup(session) => session.is_overdue(now_ns),
            Session::Fix(link) => link.is_overdue(now_ns),
            Session::Calling(_) => false,
        }
    }

    /// Something was sent.
    #[inline]
    pub fn sent(&mut self, now_ns: UnixNanos) {
        match &mut self.session {
            Session::Soup(session) => session.sent(now_ns),
            Session::Fix(link) => link.sent(now_ns),
            Session::Calling(caller) => caller.sent(now_ns),
        }
    }

    /// Whether the peer takes nothing of a replay that waits for it, or too long for a snapshot.
    pub fn is_stalled(&self, now_ns: UnixNanos) -> bool {
        if let Some(sending) = &self.snapshot {
            return now_ns.saturating_sub(sending.begun_ns) > SNAPSHOT_NS;
        }
        self.chunk.is_some()
            && match &self.session {
                Session::Soup(session) => session.is_stalled(now_ns),
                Session::Fix(link) => link.is_stalled(now_ns),
                Session::Calling(_) => false,
            }
    }

    /// The FIX session, if that is spoken here.
    pub fn fix(&mut self) -> Option<&mut fix::Link> {
        match &mut self.session {
            Session::Fix(link) => Some(link),
            Session::Soup(_) | Session::Calling(_) => None,
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
