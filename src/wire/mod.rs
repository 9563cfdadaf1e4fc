//! Formats: pure views over bytes. No I/O, no allocation, no state.
#![forbid(unsafe_code)]

pub mod fix;
pub mod ouch;
pub mod soupbin;
