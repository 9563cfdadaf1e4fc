//! Segments of a connection, written where the driver takes them from.

use super::super::frames::FrameDriver;
use super::super::packet::write::Head;
use super::super::packet::{OPTIONS_BYTES_MAX, Options, flags};
use super::conn::Conn;

/// Segments sent for one connection in one turn.
const SEGMENTS_MAX: usize = 64;
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
        let window = self.window();
        let head = Head { window, options: &bytes[..count], ..self.head(seq, bits) };
        driver.transmit(head.frame_bytes(length), |frame| {
            head.write(frame, !fills, |payload| self.sender.read(seq, payload));
        });
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
        let head = self.head(self.sender.next(), flags::RST | flags::ACK);
        driver.transmit(head.frame_bytes(0), |frame| head.write(frame, !fills, |_| {}));
        true
    }

    /// The headers of a segment, with a window of nothing.
    #[inline]
    fn head(&self, seq: u32, flags: u8) -> Head<'_> {
        let ack = self.receiver.next();
        Head { link: &self.link, tuple: &self.tuple, seq, ack, flags, window: 0, options: &[] }
    }
}
