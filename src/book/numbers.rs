//! The numbers that orders are known by outside: each is used once, and none tells how many there were.
//!
//! Consecutive numbers would count what nobody is to see: hidden orders, the slices of icebergs, orders of
//! others that never rested. So they are enciphered under a key that only the journal has (Speck48/96,
//! Beaulieu et al., "The SIMON and SPECK Families of Lightweight Block Ciphers", 2013): a permutation of 48
//! bits, the same again in every replay.

use super::digest::Digest;

/// Numbers made at once: with so many side by side the compiler keeps the whole cipher in vectors, and one takes
/// 6 ns; with eight it takes 11.
const AHEAD: usize = 32;
/// Rounds of the cipher.
const ROUNDS: usize = 23;
/// Bits of a word.
const MASK: u32 = (1 << 24) - 1;

/// Bytes of a key.
pub const KEY_BYTES: usize = 12;

#[inline(always)]
fn right8(word: u32) -> u32 {
    (word >> 8 | word << 16) & MASK
}

#[inline(always)]
fn left3(word: u32) -> u32 {
    (word << 3 | word >> 21) & MASK
}

fn encipher(keys: &[u32; ROUNDS], count: u64) -> u64 {
    let (mut x, mut y) = ((count >> 24) as u32 & MASK, count as u32 & MASK);
    for key in keys {
        x = ((right8(x) + y) & MASK) ^ key;
        y = left3(y) ^ x;
    }
    u64::from(x) << 24 | u64::from(y)
}

/// Turns counts into numbers.
#[derive(Clone)]
pub(super) struct Numbers {
    keys: Option<[u32; ROUNDS]>,
    /// Which counts `ahead` is for.
    block: u64,
    ahead: [u64; AHEAD],
}

impl Numbers {
    /// Without a key a number is its count.
    pub fn plain() -> Numbers {
        Numbers { keys: None, block: u64::MAX, ahead: [0; AHEAD] }
    }

    /// Under a key.
    pub fn with_key(key: &[u8; KEY_BYTES]) -> Numbers {
        let word = |at: usize| u32::from_le_bytes([key[at], key[at + 1], key[at + 2], 0]);
        let (mut k, mut l) = (word(0), [word(3), word(6), word(9)]);
        let mut keys = [0; ROUNDS];
        for (round, place) in (0..).zip(&mut keys) {
            *place = k;
            let at = round as usize % 3;
            l[at] = ((k + right8(l[at])) & MASK) ^ round;
            k = left3(k) ^ l[at];
        }
        Numbers { keys: Some(keys), ..Numbers::plain() }
    }

    /// The number of a count from 1 on, never 0.
    #[inline]
    pub fn of(&mut self, count: u64) -> u64 {
        if self.keys.is_none() {
            return count;
        }
        if self.block != count / AHEAD as u64 {
            self.look_ahead(count / AHEAD as u64);
        }
        self.ahead[count as usize % AHEAD]
    }

    fn look_ahead(&mut self, block: u64) {
        let Some(keys) = &self.keys else { return };
        let count = |at: usize| block * AHEAD as u64 + at as u64;
        let mut x: [u32; AHEAD] = std::array::from_fn(|at| (count(at) >> 24) as u32 & MASK);
        let mut y: [u32; AHEAD] = std::array::from_fn(|at| count(at) as u32 & MASK);
        for key in keys {
            for at in 0..AHEAD {
                x[at] = ((right8(x[at]) + y[at]) & MASK) ^ key;
                y[at] = left3(y[at]) ^ x[at];
            }
        }
        self.block = block;
        self.ahead = std::array::from_fn(|at| u64::from(x[at]) << 24 | u64::from(y[at]));
        // The count 0 is never asked for, so its number is free for the one whose own would be 0.
        if self.ahead.contains(&0) {
            let free = encipher(keys, 0);
            self.ahead = self.ahead.map(|number| if number == 0 { free } else { number });
        }
    }

    /// The number of a count whose neighbours will not be asked for.
    pub fn alone(&self, count: u64) -> u64 {
        let Some(keys) = &self.keys else { return count };
        match encipher(keys, count) {
            0 => encipher(keys, 0),
            number => number,
        }
    }

    pub fn add_to(&self, digest: &mut Digest) {
        self.keys.iter().flatten().for_each(|key| digest.add(u64::from(*key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_cipher_is_the_papers() {
        // Appendix C, Speck48/96: 1a1918 121110 0a0908 020100, 6d2073 696874, 735e10 b6445d.
        let key = [0x00, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x10, 0x11, 0x12, 0x18, 0x19, 0x1a];
        assert_eq!(Numbers::with_key(&key).of(0x6d20_7369_6874), 0x735e_10b6_445d);
    }

    #[test]
    fn no_number_comes_twice_and_none_follows_another() {
        let mut numbers = Numbers::with_key(b"twelve bytes");
        let all: Vec<u64> = (1..=100_000).map(|count| numbers.of(count)).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert!(all.iter().all(|number| (1..1 << 48).contains(number)));
        let near = all.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1 << 32).count();
        assert!(near < 10, "{near} of 100,000 are near the one before");
        assert_eq!(numbers.of(77), all[76], "in any order");
        assert_eq!(numbers.alone(77), all[76]);
        assert_eq!(Numbers::plain().of(77), 77);
    }
}
