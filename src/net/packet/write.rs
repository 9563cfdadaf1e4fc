//! Segments without payload, written whole: answers that need no connection.

use super::{IPV4_BYTES, LINK_BYTES_MAX, Link, TCP_BYTES, Tuple, complete_tcp};

/// The longest frame [`bare`] writes.
pub const BARE_BYTES_MAX: usize = LINK_BYTES_MAX + IPV4_BYTES + TCP_BYTES + 4;

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
    /// Maximum Segment Size option, for a SYN.
    pub mss: Option<u16>,
}

/// Writes the frame of a segment behind a link header; returns its length.
pub fn bare(link: &Link, segment: &Bare, frame: &mut [u8]) -> usize {
    let options = if segment.mss.is_some() { 4 } else { 0 };
    let (start, length) = (link.bytes().len(), IPV4_BYTES + TCP_BYTES + options);
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
    tcp[12] = ((TCP_BYTES + options) as u8 / 4) << 4;
    tcp[13] = segment.flags;
    tcp[14..16].copy_from_slice(&segment.window.to_be_bytes());
    if let Some(mss) = segment.mss {
        tcp[20..22].copy_from_slice(&[2, 4]);
        tcp[22..24].copy_from_slice(&mss.to_be_bytes());
    }
    complete_tcp(packet);
    start + length
}
