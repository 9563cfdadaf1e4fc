//! Market data as those who connect have it: over lines that lose packets, by request, by snapshot, out of
//! a ring; and a book that never waits for any of it.

#[path = "../common/mod.rs"]
mod common;
mod listeners;
mod peers;
mod processes;
mod recovery;
mod requests;
mod venue;
