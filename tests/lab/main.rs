//! The trading pipeline around the gateway: what is recorded is what the journal says, what is played again is what
//! was, and a strategy in a back-test trades as it would have.

#[path = "../common/mod.rs"]
mod common;
#[path = "../feed/venue.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod venue;

mod backtest;
mod live;
mod recorder;
mod replay;
