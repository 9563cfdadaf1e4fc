//! One SoupBinTCP connection: the server's side, and in `caller` the client's.

mod caller;

pub use caller::{Broken, Caller, Heard, Wanted};

use crate::order::{NANOS_PER_SEC, UnixNanos};
use crate::wire::soupbin::{BadPacket, Login, Packet, kind};

/// A heartbeat goes out after this long without anything else (SoupBinTCP 3.00, 2.2.5).
pub const HEARTBEAT_NS: u64 = NANOS_PER_SEC;

/// A client silent for this long is dropped (SoupBinTCP 3.00, 2.3.4), unless its login says
/// otherwise.
pub const SILENCE_NS: u64 = 15 * NANOS_PER_SEC;

/// After this long without a heartbeat a client that logs in again is believed.
pub const OVERDUE_NS: u64 = 5 * HEARTBEAT_NS;

/// A connection must log in within this time.
pub const LOGIN_NS: u64 = 5 * NANOS_PER_SEC;

/// The highest length field a client may send: a login has 52, an order at most 513.
pub const LENGTH_MAX: u16 = 1024;

/// How far a session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Connected; nothing but a login is accepted.
    Connected,
    /// A login is being checked.
    LoggingIn,
    /// Logged in.
    Active,
}

/// What a client sent that concerns the level above.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A login request, to be answered with [`Session::accept`] or a rejection.
    Login(Login<'a>),
    /// An Unsequenced Data packet's payload: one message.
    Message(&'a [u8]),
    /// The client is done.
    Logout,
    /// A heartbeat or debug packet: nothing to do.
    Nothing,
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// A length field of 0.
    EmptyPacket,
    /// A length field above [`LENGTH_MAX`].
    PacketTooLong,
    /// A packet type that clients do not send, or not now.
    UnexpectedPacket,
    /// A login request that cannot be read.
    BadLogin,
}

/// What time demands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A heartbeat.
    Heartbeat,
    /// The client is to be dropped: it was silent.
    DropSilent,
    /// The client is to be dropped: it did not log in.
    DropUnknown,
}

/// One connection's session.
#[derive(Clone, Debug)]
pub struct Session {
    phase: Phase,
    heard_ns: UnixNanos,
    sent_ns: UnixNanos,
    silence_ns: u64,
}

impl Session {
    /// A new connection.
    pub fn new(now_ns: UnixNanos) -> Session {
        Session {
            phase: Phase::Connected,
            heard_ns: now_ns,
            sent_ns: now_ns,
            silence_ns: SILENCE_NS,
        }
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The next packet of `bytes`, and its length; `None` if it is not all there yet.
    #[inline]
    pub fn next<'a>(
        &mut self,
        bytes: &'a [u8],
        now_ns: UnixNanos,
    ) -> Result<Option<(Input<'a>, usize)>, Violation> {
        let packet = match Packet::parse(bytes, LENGTH_MAX) {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(None),
            Err(BadPacket::Empty) => return Err(Violation::EmptyPacket),
            Err(BadPacket::TooLong) => return Err(Violation::PacketTooLong),
        };
        self.heard_ns = now_ns;
        let (Packet { kind, payload }, used) = packet;
        let input = match (kind, self.phase) {
            (kind::UNSEQUENCED, Phase::Active) => Input::Message(payload),
            (kind::CLIENT_HEARTBEAT | kind::DEBUG, _) => Input::Nothing,
            (kind::LOGOUT_REQUEST, _) => Input::Logout,
            (kind::LOGIN_REQUEST, Phase::Connected) => {
                let login = Login::parse(payload).ok_or(Violation::BadLogin)?;
                if let Some(timeout_ms) = login.timeout_ms.filter(|ms| *ms > 0) {
                    self.silence_ns = u64::from(timeout_ms) * 1_000_000;
                }
                self.phase = Phase::LoggingIn;
                Input::Login(login)
            }
            _ => return Err(Violation::UnexpectedPacket),
        };
        Ok(Some((input, used)))
    }

    /// The login was accepted.
    pub fn accept(&mut self, now_ns: UnixNanos) {
        self.phase = Phase::Active;
        self.heard_ns = now_ns;
    }

    /// Something was sent.
    #[inline]
    pub fn sent(&mut self, now_ns: UnixNanos) {
        self.sent_ns = now_ns;
    }

    /// Whether something waits to be sent and the client has taken nothing for as long as it may
    /// be silent.
    pub fn is_stalled(&self, now_ns: UnixNanos) -> bool {
        now_ns.saturating_sub(self.sent_ns) >= self.silence_ns
    }

    /// Whether the client has missed several heartbeats (SoupBinTCP 3.00, 2.3.4).
    pub fn is_overdue(&self, now_ns: UnixNanos) -> bool {
        now_ns.saturating_sub(self.heard_ns) >= OVERDUE_NS
    }

    /// What the time demands.
    pub fn due(&self, now_ns: UnixNanos) -> Due {
        let silent_ns = now_ns.saturating_sub(self.heard_ns);
        match self.phase {
            Phase::Connected if silent_ns >= LOGIN_NS => Due::DropUnknown,
            // It waits for this side.
            Phase::LoggingIn => Due::Nothing,
            Phase::Active if silent_ns >= self.silence_ns => Due::DropSilent,
            Phase::Active if now_ns.saturating_sub(self.sent_ns) >= HEARTBEAT_NS => Due::Heartbeat,
            _ => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::soupbin::{login_packet, packet};
    use proptest::prelude::*;

    fn logged_in() -> Session {
        let mut session = Session::new(0);
        let login = login_packet("TRADE1", "secret", "", 0);
        assert!(matches!(session.next(&login, 0), Ok(Some((Input::Login(_), 49)))));
        session.accept(0);
        session
    }

    #[test]
    fn orders_before_the_login_are_a_violation() {
        let order = packet(kind::UNSEQUENCED, b"O");
        let mut session = Session::new(0);
        assert_eq!(session.next(&order, 0).unwrap_err(), Violation::UnexpectedPacket);
        assert!(matches!(logged_in().next(&order, 0), Ok(Some((Input::Message(b"O"), 4)))));
    }

    #[test]
    fn a_second_login_is_a_violation() {
        let login = login_packet("TRADE1", "secret", "", 0);
        assert_eq!(logged_in().next(&login, 0).unwrap_err(), Violation::UnexpectedPacket);
    }

    #[test]
    fn heartbeats_are_due_after_a_second_and_silence_ends_a_session() {
        let mut session = logged_in();
        assert_eq!(session.due(HEARTBEAT_NS - 1), Due::Nothing);
        assert_eq!(session.due(HEARTBEAT_NS), Due::Heartbeat);
        session.sent(HEARTBEAT_NS);
        assert_eq!(session.due(HEARTBEAT_NS), Due::Nothing);
        assert_eq!(session.due(SILENCE_NS), Due::DropSilent);
        let beat = packet(kind::CLIENT_HEARTBEAT, b"");
        session.next(&beat, SILENCE_NS).unwrap();
        session.sent(SILENCE_NS);
        assert_eq!(session.due(SILENCE_NS), Due::Nothing);
    }

    #[test]
    fn a_login_of_4_1_sets_the_silence() {
        let mut session = Session::new(0);
        let mut login = login_packet("TRADE1", "secret", "", 0);
        login.extend(b" 2000");
        login[1] += 5;
        session.next(&login, 0).unwrap();
        session.accept(0);
        session.sent(NANOS_PER_SEC * 2);
        assert_eq!(session.due(NANOS_PER_SEC * 2), Due::DropSilent);
    }

    #[test]
    fn a_client_that_takes_nothing_for_as_long_as_it_may_be_silent_is_stalled() {
        let mut session = logged_in();
        session.sent(1);
        assert!(!session.is_stalled(SILENCE_NS));
        assert!(session.is_stalled(SILENCE_NS + 1));
    }

    #[test]
    fn a_login_that_is_being_checked_waits_as_long_as_that_takes() {
        let mut session = Session::new(0);
        session.next(&login_packet("TRADE1", "secret", "", 0), 0).unwrap();
        assert_eq!(session.due(100 * SILENCE_NS), Due::Nothing);
        session.accept(100 * SILENCE_NS);
        assert!(!session.is_overdue(100 * SILENCE_NS));
        assert!(session.is_overdue(100 * SILENCE_NS + OVERDUE_NS));
    }

    #[test]
    fn a_connection_that_says_nothing_is_dropped() {
        assert_eq!(Session::new(0).due(LOGIN_NS), Due::DropUnknown);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_session_panic_or_loop(
            bytes in prop::collection::vec(any::<u8>(), 0..200), active: bool
        ) {
            let mut session = if active { logged_in() } else { Session::new(0) };
            let mut at = 0;
            while let Ok(Some((_, used))) = session.next(&bytes[at..], 1) {
                prop_assert!(used >= 3);
                at += used;
            }
            prop_assert!(at <= bytes.len());
        }
    }
}
