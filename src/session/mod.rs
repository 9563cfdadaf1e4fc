//! Sessions: login, heartbeats, sequence numbers, replay. State machines without I/O: bytes
//! and time go in, packets come out.
#![forbid(unsafe_code)]

pub mod fix;
pub mod soup;
pub mod stream;
