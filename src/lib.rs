//! **millrace** takes orders from the wire straight to the matching engine and back.
#![warn(missing_docs)]

pub mod book;
pub mod cli;
pub mod client;
pub mod config;
pub mod gateway;
pub mod journal;
pub mod net;
pub mod order;
pub mod ring;
pub mod risk;
pub mod runtime;
pub mod segment;
pub mod session;
pub mod wire;
