//! Errors and notices leave the hot path as fixed-size records; a helper thread tells them.

/// One thing worth telling. Which numbers mean what is the reporter's business: `tell` turns
/// them into words on the helper thread.
#[derive(Clone, Copy)]
pub struct Record {
    /// Writes the record to `tracing`.
    pub tell: fn(&Record),
    /// Up to four numbers that say what happened.
    pub numbers: [u64; 4],
}

impl Record {
    /// A record that tells nothing; what rings are filled with.
    pub const EMPTY: Record = Record { tell: |_| (), numbers: [0; 4] };
}
