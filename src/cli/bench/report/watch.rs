//! Whether something else ran meanwhile.

use serde::{Deserialize, Serialize};

/// The machine's counters at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// Time of all cores, in ticks: together, busy, and taken by the hypervisor for others.
    all: u64,
    busy: u64,
    steal: u64,
    interrupts: u64,
    migrations: u64,
    cores: usize,
}

/// Beyond these shares of all cores' time a run was disturbed.
const STEAL_MAX: f64 = 0.02;
const OTHERS_MAX: f64 = 0.10;

/// What happened meanwhile that was not the bench's.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Disturbance {
    /// Share of all cores' time that the hypervisor gave to others.
    pub steal: f64,
    /// Share of all cores' time that other processes took.
    pub others: f64,
    /// Interrupts a second.
    pub interrupts: f64,
    /// Times that this thread went to another core.
    pub migrations: u64,
}

impl Watch {
    /// Looks at the counters.
    pub fn now() -> Watch {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let numbers = |line: &str| -> Vec<u64> {
            line.split_ascii_whitespace().skip(1).map_while(|word| word.parse().ok()).collect()
        };
        let find = |name: &str| stat.lines().find(|line| line.starts_with(name)).map(numbers);
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let times = find("cpu ").unwrap_or_default();
        let at = |field: usize| times.get(field).copied().unwrap_or(0);
        let busy = [0, 1, 2, 5, 6].map(at).iter().sum();
        let sched = std::fs::read_to_string("/proc/thread-self/sched").unwrap_or_default();
        let moved = sched.lines().find(|line| line.starts_with("se.nr_migrations"));
        Watch {
            all: (0..8).map(at).sum(),
            busy,
            steal: at(7),
            interrupts: find("intr ").and_then(|all| all.first().copied()).unwrap_or(0),
            migrations: moved
                .and_then(|line| line.split(':').nth(1)?.trim().parse().ok())
                .unwrap_or(0),
            cores: stat.lines().filter(|line| line.starts_with("cpu")).count().max(2) - 1,
        }
    }

    /// What happened between two looks, with so much CPU time of the bench's own.
    pub fn until(&self, now: &Watch, seconds: f64, own_seconds: f64) -> Disturbance {
        // All cores' ticks in that time are so many seconds, whatever a tick is.
        let ticks = now.all.saturating_sub(self.all).max(1) as f64;
        let own = own_seconds / (seconds * self.cores.max(1) as f64);
        Disturbance {
            steal: now.steal.saturating_sub(self.steal) as f64 / ticks,
            others: (now.busy.saturating_sub(self.busy) as f64 / ticks - own).max(0.0),
            interrupts: now.interrupts.saturating_sub(self.interrupts) as f64 / seconds,
            migrations: now.migrations.saturating_sub(self.migrations),
        }
    }

    /// Runs something, and says what happened meanwhile.
    pub fn over<R>(what: impl FnOnce() -> R) -> (R, Disturbance) {
        let (watch, own, began) = (Watch::now(), own_seconds(), std::time::Instant::now());
        let result = what();
        let seconds = began.elapsed().as_secs_f64();
        let disturbance = watch.until(&Watch::now(), seconds, own_seconds() - own);
        (result, disturbance)
    }
}

/// CPU time of this process and of those that it started and waited for.
fn own_seconds() -> f64 {
    // Time of user and system, then of children.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every Linux.
    ticks as f64 / 100.0
}

impl Disturbance {
    /// Why a run is not to be compared with another, if so.
    pub fn reason(&self) -> Option<String> {
        if self.steal > STEAL_MAX {
            return Some(format!("the hypervisor took {:.0} % of the cores", self.steal * 100.0));
        }
        (self.others > OTHERS_MAX)
            .then(|| format!("other processes took {:.0} % of the cores", self.others * 100.0))
    }

    /// The worse of two.
    pub fn worst(self, other: Disturbance) -> Disturbance {
        Disturbance {
            steal: self.steal.max(other.steal),
            others: self.others.max(other.others),
            interrupts: self.interrupts.max(other.interrupts),
            migrations: self.migrations + other.migrations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_beside_others_is_disturbed_and_says_by_what() {
        assert_eq!(Disturbance::default().reason(), None);
        let stolen = Disturbance { steal: 0.05, ..Disturbance::default() };
        assert!(stolen.reason().unwrap().contains("hypervisor took 5 %"));
        let beside = Disturbance { others: 0.5, ..Disturbance::default() };
        assert!(beside.worst(stolen).reason().is_some());
        assert!(beside.reason().unwrap().contains("other processes took 50 %"));
    }

    #[test]
    fn what_a_process_does_itself_is_not_others() {
        let spin = || {
            let began = std::time::Instant::now();
            while began.elapsed() < std::time::Duration::from_millis(500) {
                std::hint::spin_loop();
            }
        };
        let (own, _) = (own_seconds(), spin());
        let spent = own_seconds() - own;
        // Somebody else may have had the core meanwhile, so there is no least time.
        assert!(spent <= 60.0, "{spent}");
        let (_, disturbance) = Watch::over(spin);
        assert!((0.0..=1.0).contains(&disturbance.others), "{disturbance:?}");
    }
}
