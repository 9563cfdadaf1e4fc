//! SoupBinTCP 3.00 and 4.1: the session protocol under OUCH.
//!
//! A packet is `length u16` (of what follows), `type u8`, payload; integers are big-endian.

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes before a packet's payload: length and type.
pub const HEADER_BYTES: usize = 3;

/// Packet types, with the section of the SoupBinTCP 3.00 specification.
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod kind {
    pub const DEBUG: u8 = b'+'; // 2.2.1
    pub const LOGIN_ACCEPTED: u8 = b'A'; // 2.2.2
    pub const LOGIN_REJECTED: u8 = b'J'; // 2.2.3
    pub const SEQUENCED: u8 = b'S'; // 2.2.4
    pub const SERVER_HEARTBEAT: u8 = b'H'; // 2.2.5
    pub const END_OF_SESSION: u8 = b'Z'; // 2.2.6
    pub const LOGIN_REQUEST: u8 = b'L'; // 2.3.2
    pub const UNSEQUENCED: u8 = b'U'; // 2.3.3
    pub const CLIENT_HEARTBEAT: u8 = b'R'; // 2.3.4
    pub const LOGOUT_REQUEST: u8 = b'O'; // 2.3.5
}

/// Why a login is refused (2.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum LoginReject {
    /// Unknown user or wrong password.
    NotAuthorized = b'A',
    /// The requested session is not available.
    SessionNotAvailable = b'S',
}

/// Why bytes are not a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadPacket {
    /// The length is 0: there is no type.
    Empty,
    /// The length is above what a peer may send.
    TooLong,
}

/// A packet where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// Its type, one of [`kind`].
    pub kind: u8,
    /// What follows the type.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The first packet of `bytes`, with its length in bytes; `None` if it is not all there.
    /// Its length field must be at most `most`.
    #[inline]
    pub fn parse(bytes: &'a [u8], most: u16) -> Result<Option<(Packet<'a>, usize)>, BadPacket> {
        let Ok((length, rest)) = U16::read_from_prefix(bytes) else { return Ok(None) };
        match length.get() {
            0 => Err(BadPacket::Empty),
            length if length > most => Err(BadPacket::TooLong),
            length => Ok(rest.get(..length.into()).map(|body| {
                (Packet { kind: body[0], payload: &body[1..] }, 2 + usize::from(length))
            })),
        }
    }
}

/// Login Request (2.3.2).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct LoginRequest {
    /// User name, padded right with spaces.
    pub user: [u8; 6],
    /// Password, padded right with spaces.
    pub password: [u8; 10],
    /// Session to join; blank for the current one.
    pub session: [u8; 10],
    /// Next sequence number wanted, ASCII; 0 for new messages only.
    pub sequence: [u8; 20],
}

/// A Login Request as a packet's payload: 3.00 and 4.0 end after the sequence number, 4.1 adds
/// a heartbeat timeout.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The fields of every version.
    pub request: &'a LoginRequest,
    /// 4.1: drop the client after this many milliseconds of silence.
    pub timeout_ms: Option<u32>,
}

impl<'a> Login<'a> {
    /// Reads a login; `None` if its length or a number in it is wrong.
    pub fn parse(payload: &'a [u8]) -> Option<Login<'a>> {
        let (request, rest) = LoginRequest::ref_from_prefix(payload).ok()?;
        let timeout_ms = match rest.len() {
            0 => None,
            5 => Some(read_number(rest)? as u32),
            _ => return None,
        };
        Some(Login { request, timeout_ms })
    }

    /// The sequence number asked for; `None` if it is not a number.
    pub fn sequence(&self) -> Option<u64> {
        read_number(&self.request.sequence)
    }
}

/// An ASCII number with spaces on either side; blank is 0.
pub fn read_number(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(' ');
    if text.is_empty() {
        Some(0)
    } else {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
    }
}

/// A field without its padding: what stands before the trailing spaces.
pub fn trim(field: &[u8]) -> &[u8] {
    let end = field.iter().rposition(|b| *b != b' ').map_or(0, |last| last + 1);
    &field[..end]
}

/// A field of `N` bytes, padded right with spaces; longer text is cut.
pub fn pad<const N: usize>(text: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| text.get(i).copied().unwrap_or(b' '))
}

/// A number of `N` digits, padded left with spaces.
pub fn pad_number<const N: usize>(mut number: u64) -> [u8; N] {
    let mut field = [b' '; N];
    for place in field.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    field
}

/// Length and type of a packet whose payload has `payload` bytes.
#[inline]
pub fn header(kind: u8, payload: usize) -> [u8; HEADER_BYTES] {
    let length = (payload + 1) as u16;
    [(length >> 8) as u8, length as u8, kind]
}

/// A whole Login Accepted packet (2.2.2).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct LoginAccepted {
    /// Length and type.
    pub header: [u8; HEADER_BYTES],
    /// The session joined.
    pub session: [u8; 10],
    /// Sequence number of the first Sequenced Data packet that will follow.
    pub sequence: [u8; 20],
}

impl LoginAccepted {
    /// Says which session was joined and what comes next.
    pub fn new(session: [u8; 10], sequence: u64) -> LoginAccepted {
        LoginAccepted {
            header: header(kind::LOGIN_ACCEPTED, 30),
            session,
            sequence: pad_number(sequence),
        }
    }
}

/// A whole Login Request packet, for clients.
pub fn login_packet(user: &str, password: &str, session: &str, sequence: u64) -> Vec<u8> {
    let request = LoginRequest {
        user: pad(user.as_bytes()),
        password: pad(password.as_bytes()),
        session: pad(session.as_bytes()),
        sequence: pad_number(sequence),
    };
    packet(kind::LOGIN_REQUEST, request.as_bytes())
}

/// A whole packet, for clients and for what is not sent often.
pub fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&header(kind, payload.len())[..], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_cut_from_a_stream() {
        let stream =
            [packet(kind::UNSEQUENCED, b"abc"), packet(kind::CLIENT_HEARTBEAT, b"")].concat();
        let (first, used) = Packet::parse(&stream, 100).unwrap().unwrap();
        assert_eq!(first, Packet { kind: b'U', payload: b"abc" });
        let (second, _) = Packet::parse(&stream[used..], 100).unwrap().unwrap();
        assert_eq!(second, Packet { kind: b'R', payload: b"" });
        assert_eq!(Packet::parse(&stream[..5], 100), Ok(None));
        assert_eq!(Packet::parse(&[0, 0, 0], 100), Err(BadPacket::Empty));
        assert_eq!(Packet::parse(&[0xFF, 0xFF], 100), Err(BadPacket::TooLong));
    }

    #[test]
    fn a_login_is_read_with_and_without_a_timeout() {
        let bytes = login_packet("trade1", "secret", "", 7);
        assert_eq!(bytes.len(), 49);
        let login = Login::parse(&bytes[3..]).unwrap();
        assert_eq!(trim(&login.request.user), b"trade1");
        assert_eq!((login.sequence(), login.timeout_ms), (Some(7), None));
        let longer = [&bytes[3..], b"01500"].concat();
        assert_eq!(Login::parse(&longer).unwrap().timeout_ms, Some(1500));
        assert!(Login::parse(&bytes[3..40]).is_none());
    }

    #[test]
    fn numbers_are_padded_left() {
        assert_eq!(&pad_number::<5>(42), b"   42");
        assert_eq!(&pad_number::<3>(0), b"  0");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(Some((packet, used))) = Packet::parse(&bytes, 1024) {
                prop_assert!(used <= bytes.len() && packet.payload.len() + 3 == used);
            }
            if let Some(login) = Login::parse(&bytes) {
                let _ = login.sequence();
            }
        }
    }
}
