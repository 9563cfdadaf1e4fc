//! What measurements have in common: how much is measured, and what is found.

use hdrhistogram::Histogram;

/// What every measurement is made with.
pub(super) struct Plan {
    pub round_trips: u32,
    pub idle: u32,
    /// Orders that leave a moment apart before any answer is waited for.
    pub together: u32,
    pub cores: [usize; 2],
}

impl Plan {
    pub fn warm_up(&self) -> u32 {
        self.round_trips / 10
    }
}

/// What one run found.
pub(super) struct Figures {
    pub times_ns: Histogram<u64>,
    /// System calls of the driver's for each order, if it is counted.
    pub driver_calls: Option<f64>,
}

pub(super) type Measured = Result<Figures, Box<dyn std::error::Error>>;

pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("bounds that fit")
}
