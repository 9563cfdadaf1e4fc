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

/// An agent's.
const SHORT_NS: u64 = 300_000;
/// The shortest slice the kernel grants.
const SHORTEST_NS: u64 = 100_000;
/// The niceness of who comes first: ten times the weight of others.
const FIRST: i32 = -10;

/// Asks for short slices for this thread, which let it run soon after it wakes, before threads
/// that spin. Kernels before 6.12 have no such thing, and leave everything as it was.
pub fn ask_for_short_waits() {
    let _ = ask_for(SHORT_NS, 0);
}

/// Asks to run at once, for a thread that every agent waits for and that itself waits for a device: for a shorter slice
/// than anybody's, and, where this process may, for a weight with which what it ran before does not count against it.
/// Whoever used as much of a core as somebody that spins there waits for the next tick, which is milliseconds away.
pub fn ask_to_come_first() {
    if !ask_for(SHORTEST_NS, FIRST) {
        let _ = ask_for(SHORTEST_NS, 0);
    }
}

fn ask_for(slice_ns: u64, nice: i32) -> bool {
    let attributes = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice,
        priority: 0,
        runtime_ns: slice_ns,
        deadline_ns: 0,
        period_ns: 0,
    };
    let this_thread = 0;
    // SAFETY: `attributes` is a valid `sched_attr` that says its own size.
    unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attributes, 0) == 0 }
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
