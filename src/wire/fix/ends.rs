//! Where fields end: a bit for each byte of a block that is SOH.
#![allow(unsafe_code, reason = "vector instructions")]

use super::SOH;

/// Bytes looked at in one step: as many as a word has bits.
pub(super) const BLOCK_BYTES: usize = 64;

/// A bit for each byte of a block that is SOH.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn ends(block: &[u8; BLOCK_BYTES]) -> u64 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { compared(block) }
}

/// By the instruction that gathers the highest bits of 16 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn compared(block: &[u8; BLOCK_BYTES]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    let mut hits = 0;
    for (at, part) in block.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: `part` is 16 bytes.
        let bytes = unsafe { _mm_loadu_si128(part.as_ptr().cast()) };
        let is_end = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(SOH as i8));
        hits |= (_mm_movemask_epi8(is_end) as u64) << (16 * at);
    }
    hits
}

/// The same without any instruction's help.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn ends(block: &[u8; BLOCK_BYTES]) -> u64 {
    gathered(block)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn gathered(block: &[u8; BLOCK_BYTES]) -> u64 {
    // Multiplying gathers the low bits of eight bytes in the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let is_end = block.map(|byte| u8::from(byte == SOH));
    let mut hits = 0;
    for (at, word) in is_end.chunks_exact(8).enumerate() {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        hits |= (word.wrapping_mul(GATHER) >> 56) << (8 * at);
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ends_are_found_with_and_without_help(bytes in prop::collection::vec(0u8..4, BLOCK_BYTES)) {
            let block: [u8; BLOCK_BYTES] = bytes.try_into().expect("as many");
            let plain = (0..BLOCK_BYTES).fold(0, |bits, at| bits | u64::from(block[at] == SOH) << at);
            prop_assert_eq!(ends(&block), plain);
            prop_assert_eq!(gathered(&block), plain);
        }
    }
}
