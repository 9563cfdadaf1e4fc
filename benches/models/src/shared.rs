//! Memory that processes share because it is mapped before they part: whatever a closure builds.
#![allow(unsafe_code, reason = "maps memory, and is the program's allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes for what is built, beside what it maps by itself. Pages that are not used cost nothing.
const ARENA_BYTES: usize = 2 << 30;

/// The system's allocator; while something is built that is shared, an arena that only grows.
struct Sharing;

#[global_allocator]
static ALLOCATOR: Sharing = Sharing;

static BUILDING: AtomicBool = AtomicBool::new(false);
static BASE: AtomicUsize = AtomicUsize::new(0);
static USED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the arena hands out each byte once, aligned and within its mapping; everything else is the system's.
unsafe impl GlobalAlloc for Sharing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !BUILDING.load(Ordering::Relaxed) {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        let mut at = 0;
        let _ = USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            at = used.next_multiple_of(layout.align());
            Some(at + layout.size())
        });
        if at + layout.size() > ARENA_BYTES {
            return std::ptr::null_mut();
        }
        (BASE.load(Ordering::Relaxed) + at) as *mut u8
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let base = BASE.load(Ordering::Relaxed);
        if base == 0 || !(base..base + ARENA_BYTES).contains(&(at as usize)) {
            // SAFETY: not of the arena, so the system's.
            unsafe { System.dealloc(at, layout) };
        }
    }
}

/// Builds something that processes forked later share, at the same addresses. It must not allocate
/// afterwards, and is never dropped.
pub fn build<T>(what: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<&'static T> {
    BASE.store(map(None, ARENA_BYTES)?, Ordering::Relaxed);
    let before = private_mappings()?;
    BUILDING.store(true, Ordering::SeqCst);
    let built = what().map(Box::new);
    BUILDING.store(false, Ordering::SeqCst);
    let built = Box::leak(built?);
    for range in private_mappings()?.into_iter().flat_map(|range| without(range, &before)) {
        share(range)?;
    }
    Ok(built)
}

/// Maps shared memory, at an address if there is one.
fn map(at: Option<usize>, bytes: usize) -> std::io::Result<usize> {
    let fixed = if at.is_some() { libc::MAP_FIXED } else { libc::MAP_NORESERVE };
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | fixed;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let at = at.unwrap_or(0) as *mut libc::c_void;
    // SAFETY: new memory; a fixed address is a mapping of this process whose content its caller has saved.
    let base = unsafe { libc::mmap(at, bytes, protection, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    Ok(base as usize)
}

/// Writable mappings that a fork would copy, but for stacks and the heap.
fn private_mappings() -> std::io::Result<Vec<Range<usize>>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let ranges = maps.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (range, rights) = (fields.next()?, fields.next()?);
        let name = fields.nth(3).unwrap_or_default();
        let plain = name.is_empty() || name.contains("hugepage");
        let (from, until) = range.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        (rights == "rw-p" && plain).then_some(number(from)?..number(until)?)
    });
    Ok(ranges.collect())
}

/// The parts of a range that are in none of others.
fn without(range: Range<usize>, others: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut parts = vec![range];
    for other in others {
        parts = parts
            .into_iter()
            .flat_map(|part| {
                [
                    part.start..part.end.min(other.start).max(part.start),
                    part.start.max(other.end).min(part.end)..part.end,
                ]
            })
            .filter(|part| !part.is_empty())
            .collect();
    }
    parts
}

/// Makes a private mapping shared, with what is in it.
fn share(range: Range<usize>) -> std::io::Result<()> {
    let bytes = range.start as *const u8;
    // SAFETY: a mapping of this process that can be read, and nobody writes to it meanwhile.
    let saved = unsafe { std::slice::from_raw_parts(bytes, range.len()) }.to_vec();
    let base = map(Some(range.start), range.len())?;
    // SAFETY: just mapped, as long as what was saved.
    unsafe { std::ptr::copy_nonoverlapping(saved.as_ptr(), base as *mut u8, saved.len()) };
    Ok(())
}

/// Parts into two processes. The new one runs `what` and ends.
pub fn fork(what: impl FnOnce()) -> std::io::Result<()> {
    // SAFETY: what the child runs allocates, which the C library allows after a fork; it takes no lock that
    // another thread of the parent could have held.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => {
            end_with_parent();
            what();
            std::process::exit(0)
        }
        _ => Ok(()),
    }
}

/// Children that ended are not waited for.
pub fn forget_children() {
    // SAFETY: replaces a handler that nobody set.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

fn end_with_parent() {
    // SAFETY: changes this process only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}
