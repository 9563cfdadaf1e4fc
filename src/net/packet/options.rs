//! TCP options: what a SYN offers and what later segments carry.

use super::parse::be32;
use super::{Segment, TCP_BYTES};

/// Bytes of the longest options a header has room for (RFC 9293, 3.1).
pub const OPTIONS_BYTES_MAX: usize = 40;
/// Bytes of the timestamps option with what aligns it (RFC 7323, appendix A).
pub const STAMPS_BYTES: usize = 12;
/// The largest window shift (RFC 7323, 2.3).
pub const SCALE_MAX: u8 = 14;

const END: u8 = 0;
const NOTHING: u8 = 1;
const MSS: u8 = 2;
const SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const STAMPS: u8 = 8;
/// The timestamps option as everybody writes it, behind two that say nothing.
const ALIGNED_STAMPS: u32 = 0x0101_080a;

/// The timestamps option (RFC 7323, 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the clock of the other side, as it was last heard.
    pub echo: u32,
}

/// Blocks of a selective acknowledgment (RFC 2018, 3): each from a sequence number up to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Blocks {
    list: [(u32, u32); 4],
    len: usize,
}

impl Blocks {
    /// Adds one, if there is room: a header has room for four.
    pub fn push(&mut self, from: u32, to: u32) {
        if let Some(place) = self.list.get_mut(self.len) {
            *place = (from, to);
            self.len += 1;
        }
    }

    /// The blocks, in order.
    pub fn list(&self) -> &[(u32, u32)] {
        &self.list[..self.len]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The options of one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Maximum Segment Size (RFC 9293, 3.7.1).
    pub mss: Option<u16>,
    /// Window scale (RFC 7323, 2.2), [`SCALE_MAX`] at most.
    pub scale: Option<u8>,
    /// SACK-permitted (RFC 2018, 2).
    pub sack_permitted: bool,
    /// Timestamps.
    pub stamps: Option<Stamps>,
    /// SACK.
    pub blocks: Blocks,
}

impl Options {
    /// None.
    pub const NONE: Options = Options {
        mss: None,
        scale: None,
        sack_permitted: false,
        stamps: None,
        blocks: Blocks { list: [(0, 0); 4], len: 0 },
    };

    /// Only a segment size.
    pub fn of_mss(mss: u16) -> Options {
        Options { mss: Some(mss), ..Options::NONE }
    }

    /// Writes them, aligned to four bytes; returns how many bytes that took. Blocks that have no
    /// room left are left out.
    pub fn write(&self, out: &mut [u8; OPTIONS_BYTES_MAX]) -> usize {
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            put(&[MSS, 4, high, low]);
        }
        if self.sack_permitted {
            put(&[NOTHING, NOTHING, SACK_PERMITTED, 2]);
        }
        if let Some(stamps) = self.stamps {
            put(&ALIGNED_STAMPS.to_be_bytes());
            put(&stamps.value.to_be_bytes());
            put(&stamps.echo.to_be_bytes());
        }
        if let Some(scale) = self.scale {
            put(&[NOTHING, SCALE, 3, scale]);
        }
        let room = (OPTIONS_BYTES_MAX - at).saturating_sub(4) / 8;
        let blocks = &self.blocks.list()[..self.blocks.len.min(room)];
        if !blocks.is_empty() {
            let mut put = |bytes: &[u8]| {
                out[at..at + bytes.len()].copy_from_slice(bytes);
                at += bytes.len();
            };
            put(&[NOTHING, NOTHING, SACK, 2 + 8 * blocks.len() as u8]);
            for (from, to) in blocks {
                put(&from.to_be_bytes());
                put(&to.to_be_bytes());
            }
        }
        at
    }

    /// Reads them; what is not understood is passed over, and nothing behind what contradicts
    /// itself is looked at.
    fn read(bytes: &[u8]) -> Options {
        let mut options = Options::NONE;
        let mut left = bytes;
        loop {
            let length = match *left {
                [END, ..] | [] => return options,
                [NOTHING, ..] => 1,
                [_, length, ..] if length >= 2 => usize::from(length),
                [..] => return options,
            };
            let Some(option) = left.get(..length) else { return options };
            left = &left[length..];
            match *option {
                [MSS, 4, high, low] => options.mss = Some(u16::from_be_bytes([high, low])),
                [SCALE, 3, scale] => options.scale = Some(scale.min(SCALE_MAX)),
                [SACK_PERMITTED, 2] => options.sack_permitted = true,
                [STAMPS, 10, ..] => {
                    let stamps = Stamps { value: be32(option, 2), echo: be32(option, 6) };
                    options.stamps = Some(stamps);
                }
                [SACK, _, ref blocks @ ..] if blocks.len() % 8 == 0 => {
                    for block in blocks.chunks_exact(8) {
                        options.blocks.push(be32(block, 0), be32(block, 4));
                    }
                }
                _ => {}
            }
        }
    }
}

impl Segment {
    /// The options of the segment.
    #[inline]
    pub fn options(&self, frame: &[u8]) -> Options {
        let at = self.tcp + TCP_BYTES;
        let bytes = &frame[at..self.payload];
        if bytes.len() == STAMPS_BYTES && be32(bytes, 0) == ALIGNED_STAMPS {
            let stamps = Stamps { value: be32(bytes, 4), echo: be32(bytes, 8) };
            return Options { stamps: Some(stamps), ..Options::NONE };
        }
        if bytes.is_empty() { Options::NONE } else { Options::read(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(options: &Options) -> Vec<u8> {
        let mut bytes = [0; OPTIONS_BYTES_MAX];
        let length = options.write(&mut bytes);
        bytes[..length].to_vec()
    }

    fn any_options() -> impl Strategy<Value = Options> {
        let stamps = any::<(u32, u32)>().prop_map(|(value, echo)| Stamps { value, echo });
        (
            prop::option::of(any::<u16>()),
            prop::option::of(0..=SCALE_MAX),
            any::<bool>(),
            prop::option::of(stamps),
            prop::collection::vec(any::<(u32, u32)>(), 0..2),
        )
            .prop_map(|(mss, scale, sack_permitted, stamps, list)| {
                let mut blocks = Blocks::default();
                list.into_iter().for_each(|(from, to)| blocks.push(from, to));
                Options { mss, scale, sack_permitted, stamps, blocks }
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(mut options in any_options()) {
            let bytes = written(&options);
            prop_assert_eq!(bytes.len() % 4, 0);
            // A SYN that offers everything leaves room for one block.
            if options.mss.is_some() && options.stamps.is_some() && options.sack_permitted
                && options.scale.is_some()
            {
                prop_assert!(bytes.len() <= OPTIONS_BYTES_MAX);
            }
            let read = Options::read(&bytes);
            options.blocks.len = read.blocks.len;
            prop_assert_eq!(read, options);
        }

        #[test]
        fn any_bytes_are_options(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let options = Options::read(&bytes);
            prop_assert!(options.scale.unwrap_or(0) <= SCALE_MAX);
        }
    }

    #[test]
    fn four_blocks_fit_alone_and_three_beside_timestamps() {
        let mut options = Options::NONE;
        for n in 0..5 {
            options.blocks.push(n * 10, n * 10 + 5);
        }
        assert_eq!(Options::read(&written(&options)).blocks.list().len(), 4);
        options.stamps = Some(Stamps { value: 1, echo: 2 });
        let read = Options::read(&written(&options));
        assert_eq!(read.blocks.list(), [(0, 5), (10, 15), (20, 25)]);
        assert_eq!(read.stamps, options.stamps);
    }
}
