//! Wall-clock time from the processor's time stamp counter.
#![allow(unsafe_code, reason = "reads the time stamp counter and asks the kernel for the time")]

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// How long the counter is compared with the kernel's clock at start.
const CALIBRATION_NS: u64 = 10_000_000;

/// Pairs of readings of which the fastest counts.
const READINGS: usize = 5;

/// Reads Unix time in nanoseconds, in about ten of them.
///
/// Where the processor has an invariant time stamp counter, the counter is scaled to the
/// kernel's clock, and [`Clock::adjust`] (call it about once a second) follows the kernel's own
/// corrections. Elsewhere every reading asks the kernel.
#[derive(Clone, Debug)]
pub struct Clock {
    counter: Option<Scale>,
}

#[derive(Clone, Debug)]
struct Scale {
    /// Unix time at `ticks`.
    unix_ns: u64,
    ticks: u64,
    /// Nanoseconds per tick, times 2^32.
    ns_per_tick_q32: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

impl Clock {
    /// A clock; takes ten milliseconds to calibrate where there is a counter.
    pub fn new() -> Clock {
        if !has_invariant_counter() {
            return Clock { counter: None };
        }
        let (ticks, unix_ns) = read_both();
        while kernel_ns() < unix_ns + CALIBRATION_NS {
            std::hint::spin_loop();
        }
        let mut scale = Scale { unix_ns, ticks, ns_per_tick_q32: 0 };
        scale.measure();
        Clock { counter: Some(scale) }
    }

    /// Unix time in nanoseconds. May step back by what the kernel's clock was corrected; the
    /// sequencer never lets that show.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        match &self.counter {
            Some(scale) => scale.at(read_counter()),
            None => kernel_ns(),
        }
    }

    /// Follows the kernel's clock. No system call: the kernel's clock is read through the vDSO.
    pub fn adjust(&mut self) {
        if let Some(scale) = &mut self.counter {
            scale.measure();
        }
    }

    /// Whether readings come from the time stamp counter.
    pub fn is_counter(&self) -> bool {
        self.counter.is_some()
    }
}

impl Scale {
    fn at(&self, ticks: u64) -> u64 {
        let passed = u128::from(ticks.wrapping_sub(self.ticks)) * u128::from(self.ns_per_tick_q32);
        self.unix_ns.wrapping_add((passed >> 32) as u64)
    }

    /// Sets the rate from the time since the last measurement, and starts anew from now.
    fn measure(&mut self) {
        let (ticks, unix_ns) = read_both();
        let (passed, passed_ns) = (ticks - self.ticks, unix_ns.saturating_sub(self.unix_ns));
        if passed > 0 && passed_ns >= CALIBRATION_NS / 2 {
            self.ns_per_tick_q32 = ((u128::from(passed_ns) << 32) / u128::from(passed)) as u64;
        }
        (self.ticks, self.unix_ns) = (ticks, unix_ns);
    }
}

/// The counter and the kernel's clock at one moment. A thread that is put aside between the two readings would take
/// them milliseconds apart, and be that much ahead or behind until it measures again: of several pairs the one that
/// was read fastest counts.
fn read_both() -> (u64, u64) {
    let pair = |_| {
        let before = read_counter();
        let unix_ns = kernel_ns();
        let took = read_counter().wrapping_sub(before);
        (took, (before.wrapping_add(took / 2), unix_ns))
    };
    (0..READINGS).map(pair).min_by_key(|(took, _)| *took).expect("there is one").1
}

/// Unix time from the kernel, in nanoseconds.
fn kernel_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
    debug_assert_eq!(failed, 0, "CLOCK_REALTIME exists on every Linux");
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn read_counter() -> u64 {
    // SAFETY: every x86-64 has the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn has_invariant_counter() -> bool {
    use std::arch::x86_64::__cpuid;
    // Intel SDM, CPUID leaf 8000_0007h, EDX bit 8: the counter runs at one rate in all states.
    let highest = __cpuid(0x8000_0000).eax;
    highest >= 0x8000_0007 && __cpuid(0x8000_0007).edx & (1 << 8) != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn read_counter() -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn has_invariant_counter() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_agrees_with_the_kernels() {
        let mut clock = Clock::new();
        clock.adjust();
        let (before, now, after) = (kernel_ns(), clock.now_ns(), kernel_ns());
        let slack = SECOND / 10;
        assert!(before - slack < now && now < after + slack, "{before} {now} {after}");
    }
}
