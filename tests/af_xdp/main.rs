//! AF_XDP between two network namespaces: what no other transport has. The rest of the suite runs
//! on it with `MILLRACE_TEST_TRANSPORT=af_xdp`. Needs root; skipped, said, without.

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod link;
mod privileges;
mod queues;
mod transcript;
mod venue;
