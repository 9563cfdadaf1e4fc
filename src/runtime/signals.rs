//! SIGTERM and SIGINT, waited for instead of handled.
#![allow(unsafe_code, reason = "system calls")]

use std::mem::MaybeUninit;
use std::time::Duration;

fn stop_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `set` is a place for a signal set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: `set` was made by `sigemptyset`.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: made by `sigemptyset`.
    unsafe { set.assume_init() }
}

/// Holds the stop signals back in this thread and those it starts from here on.
pub fn hold_back() {
    // SAFETY: a valid set, and nobody asks for the old one.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &stop_signals(), std::ptr::null_mut()) };
}

/// Waits for a stop signal that is [held back](hold_back). False if none came in time.
pub fn wait(timeout: Duration) -> bool {
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs() as i64,
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // SAFETY: a valid set and timeout; nobody asks for details.
    unsafe { libc::sigtimedwait(&stop_signals(), std::ptr::null_mut(), &timeout) > 0 }
}

/// Lets a closed pipe end this process quietly, as other command-line programs do, instead of
/// failing a write. Not for a gateway.
pub fn end_on_closed_pipe() {
    // SAFETY: sets a default disposition; no handler runs.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
