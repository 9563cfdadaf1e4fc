//! **millrace** takes orders from the wire straight to the matching engine and back.
//!
//! An order's path, module by module, in the order it is taken:
//!
//! 1. [`net`] turns a transport into byte streams; kernel sockets are one transport.
//! 2. [`session`] knows logins, heartbeats, sequence numbers and replay, over formats that
//!    [`wire`] reads where the bytes lie.
//! 3. [`gateway`] is the agent that joins the two to the rings: a message becomes an
//!    [`order::Command`] in the [`ring`] to risk, written where it will be read.
//! 4. [`risk`] is the sequencer: it gives each command its place and time, decides, and writes
//!    command and verdict to the book's ring and to the journal's.
//! 5. [`book`] matches in price-time priority and reports [`order::Event`]s to the gateway and
//!    [`order::Feedback`] to risk.
//! 6. [`journal`] puts commands on disk in group commits and tells how far it is.
//! 7. Back in [`gateway`], an event becomes a message in its user's stream, which is sent once
//!    its command is as durable as the configuration asks.
//!
//! [`feed`] is behind the book too, and never in its way: it tells the market what is displayed.
//! [`audit`] keeps every message as it stood on the wire, out of band.
//!
//! [`signals`] says what a displayed book tells of the next price, as those see it who read the feed, and
//! [`strategy`] trades on it: a client's orders, position and limits. With the cargo feature `lab`,
#![cfg_attr(feature = "lab", doc = "[`lab`]")]
#![cfg_attr(not(feature = "lab"), doc = "`lab`")]
//! records all of it, plays it again, and tests strategies on it.
//!
//! [`order`] holds the words they share; [`runtime`] the threads, clocks and memory they run
//! on. [`segment`] puts one pipeline together from a [`config`]; [`cli`] is the command line and
//! [`client`] the other end of the wire, for it and for tests. `docs/ARCHITECTURE.md` tells the
//! same story at more length.
#![warn(missing_docs)]

pub mod audit;
pub mod book;
pub mod cli;
pub mod client;
pub mod config;
pub mod feed;
pub mod gateway;
pub mod journal;
#[cfg(feature = "lab")]
pub mod lab;
pub mod net;
pub mod order;
pub mod ring;
pub mod risk;
pub mod runtime;
pub mod segment;
pub mod session;
pub mod signals;
pub mod strategy;
pub mod wire;
