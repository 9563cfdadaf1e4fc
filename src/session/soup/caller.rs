//! The client's side of one SoupBinTCP connection.

use super::{HEARTBEAT_NS, LENGTH_MAX, LOGIN_NS, SILENCE_NS};
use crate::order::UnixNanos;
use crate::wire::soupbin::{BadPacket, Packet, kind, read_number};

/// What a server sent that concerns the level above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// The login was accepted: that session, and the number of the next message.
    Accepted([u8; 10], u64),
    /// It was not: `A` not authorized, `S` the session is not available.
    Rejected(u8),
    /// The next message; `number` is what is expected behind it.
    Message {
        /// The message.
        payload: &'a [u8],
        /// The number of the next one.
        next: u64,
    },
    /// The session is over for good.
    End,
    /// A heartbeat or debug packet: nothing to do.
    Nothing,
}

/// The server does not keep to the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// One connection's session, from the side that called.
#[derive(Clone, Debug)]
pub struct Caller {
    active: bool,
    next: u64,
    heard_ns: UnixNanos,
    sent_ns: UnixNanos,
}

/// What time demands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// A heartbeat.
    Heartbeat,
    /// The server is silent: the connection is lost.
    Drop,
}

impl Caller {
    /// A connection on which a login request leaves now.
    pub fn new(now_ns: UnixNanos) -> Caller {
        Caller { active: false, next: 0, heard_ns: now_ns, sent_ns: now_ns }
    }

    /// Whether the login was accepted.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// The next packet of `bytes`, and its length; `None` if it is not all there yet.
    #[inline]
    pub fn next<'a>(
        &mut self,
        bytes: &'a [u8],
        now_ns: UnixNanos,
    ) -> Result<Option<(Heard<'a>, usize)>, Broken> {
        let (Packet { kind, payload }, used) = match Packet::parse(bytes, LENGTH_MAX) {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(None),
            Err(BadPacket::Empty | BadPacket::TooLong) => return Err(Broken),
        };
        self.heard_ns = now_ns;
        let heard = match (kind, self.active) {
            (kind::SEQUENCED, true) => {
                self.next += 1;
                Heard::Message { payload, next: self.next }
            }
            (kind::SERVER_HEARTBEAT, true) | (kind::DEBUG, _) => Heard::Nothing,
            (kind::UNSEQUENCED, true) => Heard::Nothing,
            (kind::END_OF_SESSION, true) => Heard::End,
            (kind::LOGIN_ACCEPTED, false) => {
                let (session, number) = payload.split_first_chunk().ok_or(Broken)?;
                self.next = read_number(number).filter(|next| *next > 0).ok_or(Broken)?;
                self.active = true;
                Heard::Accepted(*session, self.next)
            }
            (kind::LOGIN_REJECTED, false) => Heard::Rejected(*payload.first().ok_or(Broken)?),
            _ => return Err(Broken),
        };
        Ok(Some((heard, used)))
    }

    /// Something was sent.
    #[inline]
    pub fn sent(&mut self, now_ns: UnixNanos) {
        self.sent_ns = now_ns;
    }

    /// What the time demands.
    pub fn due(&self, now_ns: UnixNanos) -> Wanted {
        let silent_ns = now_ns.saturating_sub(self.heard_ns);
        match self.active {
            false if silent_ns >= LOGIN_NS => Wanted::Drop,
            true if silent_ns >= SILENCE_NS => Wanted::Drop,
            true if now_ns.saturating_sub(self.sent_ns) >= HEARTBEAT_NS => Wanted::Heartbeat,
            _ => Wanted::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::soupbin::{LoginAccepted, packet};
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    fn active() -> Caller {
        let mut caller = Caller::new(0);
        let accepted = LoginAccepted::new(*b"TODAY     ", 7);
        let heard = caller.next(accepted.as_bytes(), 0).unwrap().unwrap();
        assert_eq!(heard, (Heard::Accepted(*b"TODAY     ", 7), 33));
        caller
    }

    #[test]
    fn messages_have_the_numbers_behind_the_login() {
        let mut caller = active();
        let message = packet(kind::SEQUENCED, b"A");
        for next in [8, 9] {
            let heard = caller.next(&message, 1).unwrap().unwrap().0;
            assert_eq!(heard, Heard::Message { payload: b"A", next });
        }
        assert_eq!(caller.next(&message[..3], 1), Ok(None));
        let end = packet(kind::END_OF_SESSION, b"");
        assert_eq!(caller.next(&end, 1).unwrap().unwrap().0, Heard::End);
    }

    #[test]
    fn nothing_comes_before_the_answer_to_the_login() {
        let mut caller = Caller::new(0);
        assert_eq!(caller.next(&packet(kind::SEQUENCED, b"A"), 0), Err(Broken));
        let rejected = packet(kind::LOGIN_REJECTED, b"S");
        assert_eq!(caller.next(&rejected, 0).unwrap().unwrap().0, Heard::Rejected(b'S'));
        assert_eq!(active().next(&rejected, 0), Err(Broken));
        assert_eq!(Caller::new(0).next(&packet(kind::LOGIN_ACCEPTED, b"short"), 0), Err(Broken));
    }

    #[test]
    fn heartbeats_are_due_after_a_second_and_silence_is_the_end() {
        let mut caller = active();
        assert_eq!(caller.due(HEARTBEAT_NS - 1), Wanted::Nothing);
        assert_eq!(caller.due(HEARTBEAT_NS), Wanted::Heartbeat);
        caller.sent(HEARTBEAT_NS);
        assert_eq!(caller.due(HEARTBEAT_NS), Wanted::Nothing);
        assert_eq!(caller.due(SILENCE_NS), Wanted::Drop);
        assert_eq!(Caller::new(0).due(LOGIN_NS), Wanted::Drop);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_loop(
            bytes in prop::collection::vec(any::<u8>(), 0..200), on: bool
        ) {
            let mut caller = if on { active() } else { Caller::new(0) };
            let mut at = 0;
            while let Ok(Some((_, used))) = caller.next(&bytes[at..], 1) {
                prop_assert!(used >= 3);
                at += used;
            }
        }
    }
}
