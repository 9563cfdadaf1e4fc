//! Asking the scheduler for short waits.
#![allow(unsafe_code, reason = "system calls")]

/// `struct sched_attr` of `sched_setattr(2)`, first version.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// The shortest slice the kernel grants.
const SLICE_NS: u64 = 100_000;

/// Asks for short slices for this thread, which let it run soon after it wakes, before threads
/// that spin. Kernels before 6.12 have no such thing, and leave everything as it was.
pub fn ask_for_short_waits() {
    let attributes = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice: 0,
        priority: 0,
        runtime_ns: SLICE_NS,
        deadline_ns: 0,
        period_ns: 0,
    };
    let this_thread = 0;
    // SAFETY: `attributes` is a valid `sched_attr` that says its own size.
    unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attributes, 0) };
}

/// Has this thread leave a core to the others when there are too few: nobody waits for every
/// microsecond of what it does.
pub fn give_way() {
    // SAFETY: numbers only; 0 is this thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

/// Has this thread run only where nobody else wants a core.
pub fn take_what_is_left() {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: a valid `sched_param`; 0 is this thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &priority) };
}
