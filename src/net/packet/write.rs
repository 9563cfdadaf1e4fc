//! Segments, written where they are sent from.

use super::{
    IPV4_BYTES, IPV6_BYTES, LINK_BYTES_MAX, Link, OPTIONS_BYTES_MAX, Options, PROTOCOL_TCP,
    TCP_BYTES, TIME_TO_LIVE, Tuple, complete_tcp,
};

/// The longest frame [`bare`] writes.
pub const BARE_BYTES_MAX: usize = LINK_BYTES_MAX + IPV6_BYTES + TCP_BYTES + OPTIONS_BYTES_MAX;

/// The headers of a segment from this side to the peer.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The header of the link.
    pub link: &'a Link,
    /// Both ends.
    pub tuple: &'a Tuple,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Control bits.
    pub flags: u8,
    /// Window, as it stands in the header.
    pub window: u16,
    /// Options, padded to whole words.
    pub options: &'a [u8],
}

impl Head<'_> {
    /// Bytes of the frame with so many of payload.
    #[inline]
    pub fn frame_bytes(&self, payload: usize) -> usize {
        let ip = self.tuple.ip_bytes();
        self.link.bytes().len() + ip + TCP_BYTES + self.options.len() + payload
    }

    /// Writes a whole frame; `fill` writes its payload. Checksums are left at zero unless asked for.
    #[inline]
    pub fn write(&self, frame: &mut [u8], checksums: bool, fill: impl FnOnce(&mut [u8])) {
        let link = self.link.bytes();
        let (place, packet) = frame.split_at_mut(link.len());
        place.copy_from_slice(link);
        let Tuple { remote, local } = self.tuple;
        let length = packet.len();
        let ip = if self.tuple.is_ipv4() {
            // Version and length, no service asked for; identification 0, never to be fragmented (RFC
            // 6864).
            packet[..2].copy_from_slice(&[0x45, 0]);
            packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            packet[4..12].copy_from_slice(&[0, 0, 0x40, 0, TIME_TO_LIVE, PROTOCOL_TCP, 0, 0]);
            packet[12..16].copy_from_slice(&local.0.octets()[12..]);
            packet[16..20].copy_from_slice(&remote.0.octets()[12..]);
            IPV4_BYTES
        } else {
            // RFC 8200, 3: no service asked for, no flow label.
            packet[..4].copy_from_slice(&[0x60, 0, 0, 0]);
            packet[4..6].copy_from_slice(&((length - IPV6_BYTES) as u16).to_be_bytes());
            packet[6..8].copy_from_slice(&[PROTOCOL_TCP, TIME_TO_LIVE]);
            packet[8..24].copy_from_slice(&local.0.octets());
            packet[24..40].copy_from_slice(&remote.0.octets());
            IPV6_BYTES
        };
        let tcp = &mut packet[ip..];
        tcp[0..2].copy_from_slice(&local.1.to_be_bytes());
        tcp[2..4].copy_from_slice(&remote.1.to_be_bytes());
        tcp[4..8].copy_from_slice(&self.seq.to_be_bytes());
        tcp[8..12].copy_from_slice(&self.ack.to_be_bytes());
        tcp[12] = ((TCP_BYTES + self.options.len()) as u8 / 4) << 4;
        tcp[13] = self.flags;
        tcp[14..16].copy_from_slice(&self.window.to_be_bytes());
        tcp[16..20].fill(0);
        let (options, payload) = tcp[TCP_BYTES..].split_at_mut(self.options.len());
        options.copy_from_slice(self.options);
        fill(payload);
        if checksums {
            complete_tcp(packet);
        }
    }
}

/// A segment without payload from this side to the peer, which needs no connection.
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
    let count = segment.options.write(&mut options);
    let Bare { tuple, seq, ack, flags, window, .. } = segment;
    let (seq, ack, flags, window) = (*seq, *ack, *flags, *window);
    let head = Head { link, tuple, seq, ack, flags, window, options: &options[..count] };
    let length = head.frame_bytes(0);
    head.write(&mut frame[..length], true, |_| {});
    length
}
