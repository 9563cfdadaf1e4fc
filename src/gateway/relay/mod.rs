//! Connections handed from the agent that has the transport to agents that parse.
//!
//! [`Front`] is a transport around a transport: it keeps to itself the connections of some ports and
//! passes their bytes on over rings, each connection to one [`Back`]. A back is the transport of a
//! gateway agent of its own, which scans, checks, numbers and encodes; its commands go to risk by its
//! own ring. A connection stays with its back, so order within a session is kept, and a user's stream
//! follows its connection as it does between queues.
//!
//! Nothing is dropped: the front reads no byte that may not fit the ring, and a back sends no more of
//! a connection than the front has room to keep until the transport takes it.

mod back;
mod front;
#[cfg(test)]
mod tests;

pub use back::Back;
pub use front::Front;

use std::net::{IpAddr, Ipv4Addr};

use crate::net::ConnId;
use crate::ring::{Consumer, Producer};

/// Bytes that one parcel takes.
const PARCEL_BYTES: usize = 208;
/// Parcels under way, each way.
pub const PARCELS: usize = 4096;
/// Bytes of a connection that were given to send and are not yet with the transport.
const UNSENT_MAX: usize = 64 << 10;

/// Bytes of a connection on their way to its back, at most: more stays with the transport, so that no
/// connection fills the ring with what its back does not want yet.
const CREDIT_BYTES: usize = 16 << 10;

/// How long what waits for room in a ring is left alone: taking records out wakes nobody.
const WAIT_US: u32 = 50;

/// What goes from one agent to another: 256 bytes with the word of its ring.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Parcel {
    kind: Kind,
    len: u8,
    conn: ConnId,
    /// Of an Opened, the port; of a Sent or Taken, how many bytes.
    number: u32,
    peer: IpAddr,
    bytes: [u8; PARCEL_BYTES],
}

const _: () = assert!(size_of::<Parcel>() <= 248, "with the ring's word four cache lines");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// To the back: a connection is there.
    Opened,
    /// Either way: bytes.
    Bytes,
    /// To the back: so many bytes are with the transport.
    Sent,
    /// To the front: so many bytes are done with.
    Taken,
    /// To the back: the connection is gone. To the front: it is to be closed.
    Closed,
}

impl Parcel {
    /// What rings are filled with.
    pub const EMPTY: Parcel = Parcel::new(Kind::Closed, ConnId::NONE);

    const fn new(kind: Kind, conn: ConnId) -> Parcel {
        let peer = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Parcel { kind, len: 0, conn, number: 0, peer, bytes: [0; PARCEL_BYTES] }
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

/// Both directions of one end.
pub struct Ends {
    /// To the other agent.
    pub out: Producer<Parcel>,
    /// From it.
    pub inlet: Consumer<Parcel>,
}

/// Stages bytes as far as there is room. Returns how many.
fn stage_bytes(out: &mut Producer<Parcel>, conn: ConnId, bytes: &[u8]) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        let piece = &bytes[done..(done + PARCEL_BYTES).min(bytes.len())];
        let staged = out.stage_with(|parcel| {
            (parcel.kind, parcel.conn, parcel.len) = (Kind::Bytes, conn, piece.len() as u8);
            parcel.bytes[..piece.len()].copy_from_slice(piece);
        });
        if !staged {
            break;
        }
        done += piece.len();
    }
    done
}
