//! Single-producer single-consumer rings: how stages hand records to each other.
//!
//! A ring is a power-of-two array of `Copy` records between two indices that only grow. What the
//! producer says stands beside its records: a batch's first record carries the index behind its last.
//! So one store publishes any number of records, all at once or not at all, and a record that fits a
//! cache line with it crosses between cores in that one line. The consumer's index has a line of its
//! own, at which the producer looks only when the ring seems full.
//!
//! The ring lies in memory that its maker supplies ([`Memory`]): heap, hugepages, or a mapping
//! shared with another process. All of its state is in that memory, none of it is a pointer.
//!
//! ```
//! use millrace::ring;
//! let (mut tx, mut rx) = ring::on_heap(8, 0u64);
//! assert!(tx.push(&7));
//! assert_eq!(rx.pop(), Some(7));
//! assert_eq!(rx.pop(), None);
//! ```
#![allow(unsafe_code, reason = "the ring's slots are shared memory; each block says why it holds")]

mod bell;
pub mod broadcast;
mod kept;
mod mapped;
mod memory;
mod record;
pub mod region;
mod spsc;
mod sync;

pub use bell::{Bell, end_turn, take_turns};
pub use kept::{in_file, left_in};
pub(crate) use mapped::{Access, Mapped};
pub use memory::{Heap, Memory};
pub use record::Record;
pub use spsc::{Consumer, Producer, bytes_for, in_memory, on_heap};
