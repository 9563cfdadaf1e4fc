//! Segments of a connection, written where the driver takes them from.

use super::super::frames::FrameDriver;
use super::super::packet::{
    IPV4_BYTES, Link, OPTIONS_BYTES_MAX, Options, TCP_BYTES, Tuple, complete_tcp, flags,
};
use super::conn::Conn;

/// Segments sent for one connection in one turn.
const SEGMENTS_MAX: usize = 64;
/// Hops a segment may take.
const TIME_TO_LIVE: u8 = 64;

/// The header of a segment.
struct Header<'a> {
    link: &'a Link,
    tuple: &'a Tuple,
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    options: &'a [u8],
}

/// Writes a segment of `length` bytes of payload; `fill` writes these.
#[inline]
fn write(
    driver: &mut impl FrameDriver,
    header: &Header<'_>,
    length: usize,
    fills_checksums: bool,
    fill: impl FnOnce(&mut [u8]),
) {
    let link = header.link.bytes();
    let total = IPV4_BYTES + TCP_BYTES + header.options.len() + length;
    driver.transmit(link.len() + total, |frame| {
        let (place, packet) = frame.split_at_mut(link.len());
        place.copy_from_slice(link);
        let Tuple { remote, local } = header.tuple;
        // Version and length, no service asked for; identification 0, never to be fragmented (RFC
        // 6864); TCP; the checksum is filled in later.
        packet[..2].copy_from_slice(&[0x45, 0]);
        packet[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        packet[4..12].copy_from_slice(&[0, 0, 0x40, 0, TIME_TO_LIVE, 6, 0, 0]);
        packet[12..16].copy_from_slice(&local.0.octets());
        packet[16..20].copy_from_slice(&remote.0.octets());
        let tcp = &mut packet[IPV4_BYTES..];
        tcp[0..2].copy_from_slice(&local.1.to_be_bytes());
        tcp[2..4].copy_from_slice(&remote.1.to_be_bytes());
        tcp[4..8].copy_from_slice(&header.seq.to_be_bytes());
        tcp[8..12].copy_from_slice(&header.ack.to_be_bytes());
        tcp[12] = ((TCP_BYTES + header.options.len()) as u8 / 4) << 4;
        tcp[13] = header.flags;
        tcp[14..16].copy_from_slice(&header.window.to_be_bytes());
        tcp[16..20].fill(0);
        let (options, payload) = tcp[TCP_BYTES..].split_at_mut(header.options.len());
        options.copy_from_slice(header.options);
        fill(payload);
        if !fills_checksums {
            complete_tcp(packet);
        }
    });
}

impl Conn {
    /// Sends what is to be sent now, as far as the driver has room. False if there was not enough.
    #[inline]
    pub fn send(&mut self, driver: &mut impl FrameDriver, now_us: u64, fills: bool) -> bool {
        if self.take_reset() {
            return self.send_reset(driver, fills);
        }
        for _ in 0..SEGMENTS_MAX {
            if driver.room() == 0 {
                return false;
            }
            let Some(piece) = self.sender.next_piece(now_us) else {
                return self.send_bare(driver, now_us, fills);
            };
            let mut bits = flags::ACK;
            if piece.push {
                bits |= flags::PSH;
            }
            if piece.fin {
                bits |= flags::FIN;
            }
            self.send_segment(driver, piece.seq, bits, piece.length as usize, now_us, fills);
        }
        false
    }

    #[inline]
    fn send_segment(
        &mut self,
        driver: &mut impl FrameDriver,
        seq: u32,
        bits: u8,
        length: usize,
        now_us: u64,
        fills: bool,
    ) {
        let bare = length == 0;
        let mut options = Options { stamps: self.stamps(now_us), ..Options::NONE };
        if bare {
            options.blocks = self.take_blocks();
        }
        let mut bytes = [0; OPTIONS_BYTES_MAX];
        let count = options.write(&mut bytes);
        let options = &bytes[..count];
        let window = self.window();
        let header = Header {
            link: &self.link,
            tuple: &self.tuple,
            seq,
            ack: self.receiver.next(),
            flags: bits,
            window,
            options,
        };
        write(driver, &header, length, fills, |payload| self.sender.read(seq, payload));
        self.acknowledged(bare);
    }

    /// An acknowledgment, or a question for a closed window, where nothing else left.
    #[inline]
    fn send_bare(&mut self, driver: &mut impl FrameDriver, now_us: u64, fills: bool) -> bool {
        let probe = self.sender.take_window_probe();
        if self.owes_ack() || probe.is_some() {
            let seq = probe.unwrap_or(self.sender.next());
            self.send_segment(driver, seq, flags::ACK, 0, now_us, fills);
        }
        true
    }

    fn send_reset(&mut self, driver: &mut impl FrameDriver, fills: bool) -> bool {
        if driver.room() == 0 {
            // Lost, as it might have been on its way.
            return true;
        }
        let header = Header {
            link: &self.link,
            tuple: &self.tuple,
            seq: self.sender.next(),
            ack: self.receiver.next(),
            flags: flags::RST | flags::ACK,
            window: 0,
            options: &[],
        };
        write(driver, &header, 0, fills, |_| {});
        true
    }
}
