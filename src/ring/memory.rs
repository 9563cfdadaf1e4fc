//! Where a ring may lie.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Memory that a ring can be built in.
///
/// # Safety
///
/// `base` must stay valid for reads and writes of `len` bytes, aligned to 128, as long as the
/// value lives, and nothing but the ring may touch those bytes meanwhile.
pub unsafe trait Memory: Send + Sync + 'static {
    /// First byte, aligned to 128.
    fn base(&self) -> NonNull<u8>;
    /// Length in bytes.
    fn len(&self) -> usize;
    /// Whether there is no memory at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes of a cache line.
pub(super) const LINE_BYTES: usize = 64;

/// Indices count records since a ring was made, and never come so far: a billion records a second take 146
/// years. What another process says beyond it is not believed.
pub(super) const INDEX_MAX: u64 = 1 << 62;

/// Keeps memory where it is as long as it lives.
pub(super) type Keeper = std::sync::Arc<dyn Send + Sync>;

/// Bytes from one place to the next, of places that each take so many: none shares a cache line with part of
/// another.
pub(super) const fn stride_bytes(place_bytes: usize) -> usize {
    if place_bytes <= LINE_BYTES {
        place_bytes.next_power_of_two()
    } else {
        place_bytes.next_multiple_of(LINE_BYTES)
    }
}

/// Has the lines from the one of `first` on, up to the one of `last`, brought near while something else
/// is done. Does nothing where the processor has no such thing that is known here.
#[inline(always)]
pub(super) fn fetch_lines<T, U>(first: &T, last: &U) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let last = std::ptr::from_ref(last).addr() / LINE_BYTES;
        let mut at = std::ptr::from_ref(first).cast::<i8>();
        while at.addr() / LINE_BYTES < last {
            // SAFETY: nothing is read or changed, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at) };
            at = at.wrapping_add(LINE_BYTES);
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    let _ = (first, last);
}

/// Zeroed heap memory aligned to 128 bytes.
pub struct Heap {
    base: NonNull<u8>,
    layout: Layout,
}

impl Heap {
    /// Allocates `len` zeroed bytes; `len` must not be 0.
    pub fn new(len: usize) -> Heap {
        assert!(len > 0, "a ring needs memory");
        let layout =
            Layout::from_size_align(len, 128).expect("a ring's size fits the address space");
        // SAFETY: `layout` has a size above 0, checked above.
        let raw = unsafe { alloc_zeroed(layout) };
        match NonNull::new(raw) {
            Some(base) => Heap { base, layout },
            None => handle_alloc_error(layout),
        }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: `base` came from `alloc_zeroed` with this very layout and is freed once.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}

// SAFETY: `Heap` owns its allocation; moving it between threads moves no thread-bound state.
unsafe impl Send for Heap {}
// SAFETY: `&Heap` gives out only the address; access through it is the ring's business.
unsafe impl Sync for Heap {}

// SAFETY: the allocation lives until `Heap` drops, is 128-aligned, and `Heap` itself never
// reads or writes it.
unsafe impl Memory for Heap {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.layout.size()
    }
}
