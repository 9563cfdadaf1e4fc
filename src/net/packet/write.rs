//! Segments without payload, written whole: answers that need no connection.

use super::{
    IPV4_BYTES, LINK_BYTES_MAX, Link, OPTIONS_BYTES_MAX, Options, TCP_BYTES, Tuple, complete_tcp,
};

/// The longest frame [`bare`] writes.
pub const BARE_BYTES_MAX: usize = LINK_BYTES_MAX + IPV4_BYTES + TCP_BYTES + OPTIONS_BYTES_MAX;

/// Hops an answer may take.
const TIME_TO_LIVE: u8 = 64;

/// A segment without payload from this side to the peer.
#[derive(Clone, Copy, Debug)]
pub struct Bare {
    /// Both ends.
    pub tuple: Tuple,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Control bits.
    pub flags: u8,
    /// Window in bytes.
    pub window: u16,
    /// Options.
    pub options: Options,
}

/// Writes the frame of a segment behind a link header; returns its length.
pub fn bare(link: &Link, segment: &Bare, frame: &mut [u8]) -> usize {
    let mut options = [0; OPTIONS_BYTES_MAX];
    let length = segment.options.write(&mut options);
    let options = &options[..length];
    let (start, length) = (link.bytes().len(), IPV4_BYTES + TCP_BYTES + options.len());
    frame[..start].copy_from_slice(link.bytes());
    let packet = &mut frame[start..start + length];
    packet.fill(0);
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    packet[6] = 0x40;
    packet[8] = TIME_TO_LIVE;
    packet[9] = 6;
    let Tuple { remote, local } = segment.tuple;
    packet[12..16].copy_from_slice(&local.0.octets());
    packet[16..20].copy_from_slice(&remote.0.octets());
    let tcp = &mut packet[IPV4_BYTES..];
    tcp[0..2].copy_from_slice(&local.1.to_be_bytes());
    tcp[2..4].copy_from_slice(&remote.1.to_be_bytes());
    tcp[4..8].copy_from_slice(&segment.seq.to_be_bytes());
    tcp[8..12].copy_from_slice(&segment.ack.to_be_bytes());
    tcp[12] = ((TCP_BYTES + options.len()) as u8 / 4) << 4;
    tcp[13] = segment.flags;
    tcp[14..16].copy_from_slice(&segment.window.to_be_bytes());
    tcp[TCP_BYTES..].copy_from_slice(options);
    complete_tcp(packet);
    start + length
}
