//! What is fuzzed, as functions of bytes: fuzz/bin hands them to libFuzzer, and tests/corpus.rs
//! runs them over the inputs kept in fuzz/corpus.
#![allow(dead_code, reason = "each fuzzer uses one of them")]

pub mod feed;
pub mod fix_messages;
pub mod fix_session;
pub mod frame;
pub mod soupbin;
pub mod tcp;
pub mod venue;
mod wire;

/// Takes bytes off the front, zeros where there are no more.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub fn half(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// As many as there are, up to `most`.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        front
    }
}
