//! Market data: what the book does becomes visible, and can be rebuilt.
#![forbid(unsafe_code)]

mod teller;
#[cfg(test)]
mod tests;

pub use teller::{Nobody, Teller};
