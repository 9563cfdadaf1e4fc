//! A small, stable 64-bit hash for comparing states: FNV-1a over 64-bit words, with a final mix.

/// Collects words into one 64-bit value. Not for hostile input.
#[derive(Clone, Debug)]
pub struct Digest(u64);

impl Digest {
    /// The hash of nothing.
    #[allow(clippy::new_without_default, reason = "a digest starts somewhere, by name")]
    pub fn new() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    /// Adds one word.
    #[inline]
    pub fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    /// The hash of the words added so far.
    pub fn value(&self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    }
}
