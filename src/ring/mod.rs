//! Single-producer single-consumer rings: how stages hand records to each other.
//!
//! A ring is a power-of-two array of `Copy` records between two indices that only grow. The
//! producer owns `tail`, the consumer owns `head`; each keeps a private copy of the other's
//! index and looks again only when the copy says the ring is full (or empty), so in steady flow
//! the cache line of an index moves once per batch instead of once per record.
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
mod memory;
mod spsc;
mod sync;

pub use bell::{Bell, end_turn, take_turns};
pub use memory::{Heap, Memory};
pub use spsc::{Consumer, Producer, bytes_for, in_memory, on_heap};
