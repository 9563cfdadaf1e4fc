//! The ways of building.

pub mod actors;
pub mod classic;
pub mod event_loop;
pub mod processes;
pub mod threads;
