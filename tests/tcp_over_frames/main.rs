//! TCP over frames in one process, on a virtual clock: streams under faults for many seeds, and
//! hand-made segments for what no kernel sends.

mod churn;
mod host;
mod in_place;
mod ipv6;
mod peer;
mod rfc;
mod routers;
mod segments;
mod server;
mod stage;
mod streams;
