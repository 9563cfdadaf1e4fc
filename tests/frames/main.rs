//! Transports on raw frames between two network namespaces: what kernel sockets leave to the
//! kernel. AF_XDP, or what `MILLRACE_TEST_TRANSPORT` names. Needs root; skipped, said, without.

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod feed;
mod ipv6;
mod link;
mod privileges;
mod queues;
mod transcript;
mod venue;
