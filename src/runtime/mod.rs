//! What stages run on: memory, clock, cores, idle strategies, counters and error records.
//!
//! Knows nothing of orders. A stage is whatever has a duty cycle; a [`Worker`] gives it a
//! thread, a core, and something to do when there is nothing to do.

pub mod bed;
pub mod blocks;
pub mod board;
pub mod clock;
pub mod confine;
pub mod counters;
pub mod disk;
pub mod doors;
pub mod idle;
pub mod memory;
pub mod namespace;
pub mod privileges;
pub mod promptness;
pub mod records;
pub mod signals;
pub mod worker;

pub use bed::Bed;
pub use blocks::{Block, BlockPool};
pub use board::{Board, Watch};
pub use clock::Clock;
pub use counters::{Counter, Counters};
pub use disk::{DiskWatch, NearlyFull};
pub use doors::Readers;
pub use idle::{Idle, IdleStrategy};
pub use memory::{Backing, Region, Sparse, Table, lock_memory, prefetch};
pub use privileges::{
    Capability, PrivilegesError, drop_capabilities, drop_privileges, give_folder, is_root,
    need_capabilities,
};
pub use records::Record;
pub use worker::{Duty, QUIET_US, Worker, allowed_cores, keep_to};
