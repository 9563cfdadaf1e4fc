//! Bytes of a session to requests.

use millrace::wire::ouch::inbound::{CancelOrder, EnterOrder, Inbound};
use millrace::wire::soupbin::{LoginAccepted, Packet, kind};
use zerocopy::IntoBytes;

/// What a session asks for.
#[derive(Clone, Copy)]
pub enum Request {
    Login,
    Enter(EnterOrder),
    Cancel(CancelOrder),
}

/// The longest packet of a client.
const PACKET_BYTES_MAX: u16 = 512;

/// Bytes that are read at once.
pub const READ_BYTES: usize = 64 << 10;

/// Bytes of one session, and how much of them was a request already.
pub struct Decoder {
    bytes: Vec<u8>,
    from: usize,
    until: usize,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder { bytes: vec![0; READ_BYTES], from: 0, until: 0 }
    }

    /// Where the next bytes go.
    pub fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.from..self.until, 0);
        (self.from, self.until) = (0, self.until - self.from);
        &mut self.bytes[self.until..]
    }

    /// So many bytes came.
    pub fn came(&mut self, count: usize) {
        self.until += count;
    }

    /// The next whole request, if there is one; an error ends the session.
    pub fn next(&mut self) -> Result<Option<Request>, Violation> {
        loop {
            let bytes = &self.bytes[self.from..self.until];
            let Some((packet, length)) =
                Packet::parse(bytes, PACKET_BYTES_MAX).map_err(|_| Violation)?
            else {
                return Ok(None);
            };
            let request = match packet.kind {
                kind::LOGIN_REQUEST => Some(Request::Login),
                kind::UNSEQUENCED => match Inbound::parse(packet.payload) {
                    Ok(Inbound::Enter(order, _)) => Some(Request::Enter(*order)),
                    Ok(Inbound::Cancel(cancel, _)) => Some(Request::Cancel(*cancel)),
                    _ => return Err(Violation),
                },
                kind::CLIENT_HEARTBEAT => None,
                _ => return Err(Violation),
            };
            self.from += length;
            if request.is_some() {
                return Ok(request);
            }
        }
    }
}

/// Something that no client of the comparison sends, or goodbye.
pub struct Violation;

/// The answer to a login.
pub fn welcome() -> Vec<u8> {
    LoginAccepted::new(*b"MODEL     ", 1).as_bytes().to_vec()
}
