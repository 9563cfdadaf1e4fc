//! DPDK's environment, once a process, and the thread that looks after it.
//!
//! That thread starts EAL, so that it is EAL's main core and no thread of the gateway's has its
//! core changed; then it runs the drivers' timers, reads their statistics and brings back ports
//! whose device asked to be reset.
#![allow(unsafe_code, reason = "calls into DPDK")]

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use super::DpdkError;
use super::port::Port;

/// Lines of DPDK's log that are kept, for errors.
const LINES_MAX: usize = 16;
/// How often the thread looks.
const TURN: Duration = Duration::from_millis(5);
/// How often timers run and statistics are read (amzn-drivers, userspace/dpdk/README).
const SECOND: Duration = Duration::from_secs(1);
/// RTE_MAX_ETHPORTS as it is built by default.
const PORTS_MAX: usize = 32;

struct Eal {
    arguments: Option<Vec<String>>,
    ports: Vec<Weak<Port>>,
}

static EAL: Mutex<Eal> = Mutex::new(Eal { arguments: None, ports: Vec::new() });
static LINES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
/// Ports whose device asked to be reset.
static RESETS: [AtomicBool; PORTS_MAX] = [const { AtomicBool::new(false) }; PORTS_MAX];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts EAL with these arguments, unless it runs with them.
pub(super) fn start(arguments: &[String]) -> Result<(), DpdkError> {
    let mut eal = lock(&EAL);
    if let Some(running) = &eal.arguments {
        return if running == arguments { Ok(()) } else { Err(DpdkError::OtherArguments) };
    }
    let (tell, told) = mpsc::channel();
    let given = arguments.to_vec();
    std::thread::Builder::new().name("mr-dpdk".to_owned()).spawn(move || {
        let started = init(&given);
        let runs = started.is_ok();
        if tell.send(started).is_ok() && runs {
            look_after();
        }
    })?;
    let started = told.recv().unwrap_or(Err(libc::EIO));
    started.map_err(|error| DpdkError::Eal { said: said(), error: errno(error) })?;
    eal.arguments = Some(arguments.to_vec());
    Ok(())
}

pub(super) fn errno(error: c_int) -> io::Error {
    io::Error::from_raw_os_error(error)
}

fn init(arguments: &[String]) -> Result<(), c_int> {
    hush(c"libxdp.so.1", c"libxdp_set_print");
    hush(c"libbpf.so.1", c"libbpf_set_print");
    let program = ["millrace".to_owned()];
    let words = program.iter().chain(arguments);
    let words: Result<Vec<CString>, _> = words.map(|word| CString::new(word.as_str())).collect();
    let words = words.map_err(|_| libc::EINVAL)?;
    let mut pointers: Vec<*mut c_char> =
        words.iter().map(|word| word.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    let cores = affinity();
    // SAFETY: as many terminated strings as said, alive for the call; EAL keeps copies.
    let error = unsafe { dpdk_sys::shim_init(words.len() as c_int, pointers.as_mut_ptr(), log) };
    set_affinity(&cores);
    if error == 0 { Ok(()) } else { Err(error) }
}

/// Has a library that drivers may bring with them write nothing to stderr: what these say of a start
/// that goes well reads like an error. Where the library is not there, there is nothing to hush.
fn hush(library: &CStr, setter: &CStr) {
    // SAFETY: a terminated name. The library stays, as it does when its driver loads it.
    let library = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW) };
    if library.is_null() {
        return;
    }
    // SAFETY: an open library and a terminated name.
    let setter = unsafe { libc::dlsym(library, setter.as_ptr()) };
    if !setter.is_null() {
        type SetPrint = unsafe extern "C" fn(*const libc::c_void) -> *const libc::c_void;
        // SAFETY: both take a function to print with, or none, and return the one before.
        let set_print: SetPrint = unsafe { std::mem::transmute(setter) };
        // SAFETY: no function is one of the values that they take (bpf/libbpf.h, xdp/libxdp.h).
        unsafe { set_print(std::ptr::null()) };
    }
}

fn affinity() -> libc::cpu_set_t {
    // SAFETY: a set of bits; all zeros is one.
    let mut cores: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a place of that size, for this thread.
    unsafe { libc::sched_getaffinity(0, size_of_val(&cores), &mut cores) };
    cores
}

/// EAL put its main thread on its main core; this one has little to do and goes where there is
/// room.
fn set_affinity(cores: &libc::cpu_set_t) {
    // SAFETY: a set of that size, for this thread.
    unsafe { libc::sched_setaffinity(0, size_of_val(cores), cores) };
}

/// The first core that this process may use.
pub(super) fn first_core() -> usize {
    let cores = affinity();
    // SAFETY: the index is within the set.
    let is_in = |core: &usize| unsafe { libc::CPU_ISSET(*core, &cores) };
    (0..libc::CPU_SETSIZE as usize).find(is_in).unwrap_or(0)
}

/// DPDK's log, line by line.
extern "C" fn log(text: *const c_char, length: usize) {
    // SAFETY: the shim gives as many bytes as it says, for the call.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    let text = String::from_utf8_lossy(bytes);
    let mut lines = lock(&LINES);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        tracing::debug!(target: "dpdk", "{line}");
        if lines.back().is_some_and(|last| last == line) {
            continue;
        }
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// What DPDK logged since it was last asked, as one line.
pub(super) fn said() -> String {
    let lines: Vec<String> = lock(&LINES).drain(..).collect();
    let wrong = |line: &&String| {
        let line = line.to_lowercase();
        ["error", "unrecognized", "cannot", "failed", "fail ", "invalid", "no ", "not ", "unable"]
            .iter()
            .any(|word| line.contains(word))
    };
    let told: Vec<&str> = lines.iter().filter(wrong).map(String::as_str).collect();
    match told[..] {
        [] => lines.last().cloned().unwrap_or_else(|| "it does not say why".to_owned()),
        [.., before, last] => format!("{before}; {last}"),
        [last] => last.to_owned(),
    }
}

/// Has a port looked after for as long as it lives.
pub(super) fn adopt(port: Weak<Port>) {
    lock(&EAL).ports.push(port);
}

/// The port of a device.
pub(super) fn find(device: &str) -> Option<Arc<Port>> {
    let eal = lock(&EAL);
    eal.ports.iter().filter_map(Weak::upgrade).find(|port| port.device() == device)
}

/// The device behind a port wants to be reset.
pub(super) extern "C" fn reset_wanted(port: u16) {
    if let Some(wanted) = RESETS.get(usize::from(port)) {
        wanted.store(true, Ordering::Release);
    }
}

fn look_after() {
    let mut last = Instant::now();
    // Nothing is allocated from turn to turn.
    let mut ports: Vec<Arc<Port>> = Vec::with_capacity(PORTS_MAX);
    loop {
        std::thread::sleep(TURN);
        let second = last.elapsed() >= SECOND;
        if second {
            last = Instant::now();
            // SAFETY: this is the thread that started EAL.
            unsafe { dpdk_sys::shim_timers() };
        }
        {
            let mut eal = lock(&EAL);
            eal.ports.retain(|port| port.strong_count() > 0);
            ports.extend(eal.ports.iter().filter_map(Weak::upgrade));
        }
        for port in ports.drain(..) {
            let wanted = RESETS.get(usize::from(port.id()));
            if wanted.is_some_and(|wanted| wanted.swap(false, Ordering::Acquire)) {
                port.reset();
            }
            if second {
                port.read_statistics();
            }
        }
    }
}
