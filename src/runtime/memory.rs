//! Memory for rings and streams: hugepages where there are any, plain pages elsewhere.
#![allow(unsafe_code, reason = "maps and touches memory")]

use std::alloc::Layout;
use std::ptr::NonNull;

/// Bytes that regions start at a multiple of.
const ALIGN: usize = 4096;

/// What a [`Region`] was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backing {
    /// Explicit hugepages.
    Hugepages,
    /// Ordinary pages; the kernel was asked for transparent hugepages.
    Pages,
}

/// A zeroed stretch of memory, every page of it touched.
pub struct Region {
    base: NonNull<u8>,
    layout: Layout,
    backing: Backing,
}

impl Region {
    /// Maps `len` bytes (above 0), from hugepages if enough are free.
    pub fn new(len: usize) -> Region {
        assert!(len > 0, "a region has a size");
        let layout = Layout::from_size_align(len, ALIGN).expect("a size that fits memory");
        if len >= hugepage_size() / 2 && free_hugepage_bytes() >= len + hugepage_size() {
            // SAFETY: the layout's size is above 0.
            let base = unsafe { hugepage_rs::alloc(layout) };
            if let Some(base) = NonNull::new(base) {
                return Region { base, layout, backing: Backing::Hugepages }.touched();
            }
        }
        Region { base: map_pages(len), layout, backing: Backing::Pages }.touched()
    }

    /// First byte; aligned to 4096.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.layout.size()
    }

    /// What it was made of.
    pub fn backing(&self) -> Backing {
        self.backing
    }

    /// The whole region.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is `len` readable, initialised bytes for as long as `self` lives.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len()) }
    }

    /// The whole region, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len()) }
    }

    /// Writes one byte of each page, so that it is there before it is needed.
    fn touched(mut self) -> Region {
        self.bytes_mut().chunks_mut(ALIGN).for_each(|page| page[0] = 0);
        self
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        match self.backing {
            // SAFETY: the mapping came from `hugepage_rs::alloc` with this layout.
            Backing::Hugepages => unsafe { hugepage_rs::dealloc(self.base.as_ptr(), self.layout) },
            Backing::Pages => {
                // SAFETY: the mapping came from `mmap` with this length and is unmapped once.
                unsafe { libc::munmap(self.base.as_ptr().cast(), self.len()) };
            }
        }
    }
}

// SAFETY: a region owns its mapping; nothing about it is bound to a thread.
unsafe impl Send for Region {}
// SAFETY: shared access gives out only shared slices and an address.
unsafe impl Sync for Region {}

/// A table in a region of its own: all of it there, on hugepages where there are any, so that an
/// entry anywhere in it is found without a walk through page tables that do not fit the cache.
pub struct Table<T> {
    region: Region,
    len: usize,
    entries: std::marker::PhantomData<T>,
}

impl<T: Copy> Table<T> {
    /// A table of `len` entries, all the same.
    pub fn new(len: usize, filling: T) -> Table<T> {
        assert!(align_of::<T>() <= ALIGN, "a page is aligned enough");
        let bytes = size_of::<T>().checked_mul(len).expect("a size that fits memory").max(1);
        let table = Table { region: Region::new(bytes), len, entries: std::marker::PhantomData };
        let base = table.region.base().cast::<T>();
        for at in 0..len {
            // SAFETY: inside the region, which has room for `len` and is aligned.
            let place = unsafe { base.add(at) };
            // SAFETY: as above; there is nothing there to drop.
            unsafe { place.write(filling) };
        }
        table
    }
}

impl<T> std::ops::Deref for Table<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `new`, the only way to make one, wrote `len` entries to the region.
        unsafe { std::slice::from_raw_parts(self.region.base().as_ptr().cast(), self.len) }
    }
}

impl<T> std::ops::DerefMut for Table<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.region.base().as_ptr().cast(), self.len) }
    }
}

/// A table of which memory is taken only where it was written: zeroed entries, a page at a time.
///
/// It is as large as the worst case asks for and costs what is used of it; the first write to a
/// page takes the kernel a fraction of a microsecond.
pub struct Sparse<T> {
    base: NonNull<T>,
    len: usize,
}

impl<T: Copy + zerocopy::FromZeros> Sparse<T> {
    /// A table of `len` entries that are used here and there.
    pub fn new(len: usize) -> Sparse<T> {
        // A huge page would take memory for entries that nobody writes.
        Sparse::advised(len, libc::MADV_NOHUGEPAGE)
    }

    /// A table of `len` entries that are used from the first on; `touched` of them have their memory
    /// at once.
    pub fn growing(len: usize, touched: usize) -> Sparse<T> {
        let mut table = Sparse::advised(len, libc::MADV_HUGEPAGE);
        let page = (ALIGN / size_of::<T>().max(1)).max(1);
        table[..touched].iter_mut().step_by(page).for_each(|entry| *entry = T::new_zeroed());
        table
    }

    fn advised(len: usize, advice: libc::c_int) -> Sparse<T> {
        assert!(align_of::<T>() <= ALIGN, "a page is aligned enough");
        let bytes = size_of::<T>().checked_mul(len).expect("a size that fits memory").max(1);
        let base = map(bytes, libc::MAP_NORESERVE);
        // SAFETY: the range was just mapped; the advice changes no contents.
        unsafe { libc::madvise(base.as_ptr().cast(), bytes, advice) };
        Sparse { base: base.cast(), len }
    }
}

impl<T> std::ops::Deref for Sparse<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping is `len` aligned entries, all zero or written as a `T` since, and a
        // zeroed `T` is a value; `new` is the only way to make one.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl<T> std::ops::DerefMut for Sparse<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}

impl<T> Drop for Sparse<T> {
    fn drop(&mut self) {
        let bytes = (size_of::<T>() * self.len).max(1);
        // SAFETY: the mapping came from `mmap` with this length and is unmapped once; a `T` is
        // `Copy` and wants no drop.
        unsafe { libc::munmap(self.base.as_ptr().cast(), bytes) };
    }
}

// SAFETY: a table owns its mapping, as a `Vec` does.
unsafe impl<T: Send> Send for Sparse<T> {}
// SAFETY: as a `Vec`.
unsafe impl<T: Sync> Sync for Sparse<T> {}

/// Zeroed pages of this process's own.
fn map(len: usize, more: libc::c_int) -> NonNull<u8> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | more;
    // SAFETY: a new anonymous mapping anywhere touches no other memory.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, -1, 0) };
    assert!(base != libc::MAP_FAILED, "no memory for {len} bytes");
    NonNull::new(base.cast()).expect("a mapping is not at 0")
}

fn map_pages(len: usize) -> NonNull<u8> {
    let base = map(len, 0);
    // SAFETY: the range was just mapped; the advice changes no contents.
    unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
    base
}

/// Has a cache line brought near while something else is done. Does nothing where the processor has no
/// such thing that is known here.
#[inline(always)]
pub fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: an address of something that is there; nothing is read or changed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Keeps every page of the process in memory once it is there, if that is allowed without a limit: a
/// limit counts what is reserved too, which is more than is used. Says why not.
pub fn lock_memory() -> Result<(), String> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) };
    let free_of_limits = super::Capability::IPC_LOCK.is_held();
    if limit.rlim_cur != libc::RLIM_INFINITY && !free_of_limits {
        return Err(format!("RLIMIT_MEMLOCK is {} KiB", limit.rlim_cur / 1024));
    }
    // SAFETY: flags only. Pages are locked as they come.
    let done = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}

/// A line of `/proc/meminfo`, such as `Hugepagesize:`, in its own unit.
fn meminfo(key: &str) -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Size of a default hugepage in bytes; 2 MiB where the kernel does not say.
pub fn hugepage_size() -> usize {
    meminfo("Hugepagesize:").unwrap_or(2048) * 1024
}

/// Bytes of hugepages nobody uses now.
pub fn free_hugepage_bytes() -> usize {
    meminfo("HugePages_Free:").unwrap_or(0) * hugepage_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_zeroed_and_writable_to_its_end() {
        let mut region = Region::new(3 * 4096 + 5);
        assert!(region.bytes().iter().all(|b| *b == 0));
        *region.bytes_mut().last_mut().unwrap() = 7;
        assert_eq!(region.bytes()[3 * 4096 + 4], 7);
    }

    #[test]
    fn a_sparse_table_takes_memory_where_it_is_written() {
        let resident_kib = || {
            let status = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
            line.split_whitespace().next().unwrap().parse::<usize>().unwrap()
        };
        let before = resident_kib();
        let mut table = Sparse::<[i64; 3]>::new(1 << 28);
        assert_eq!(table[(1 << 28) - 1], [0; 3]);
        table[1 << 27][1] = 7;
        assert_eq!(table[1 << 27], [0, 7, 0]);
        // Six GiB are mapped; other tests run beside this one and take some memory of their own.
        assert!(resident_kib() < before + (1 << 20));
    }

    #[test]
    fn without_hugepages_a_large_region_says_that_it_has_plain_pages() {
        let region = Region::new(8 << 20);
        if free_hugepage_bytes() == 0 {
            assert_eq!(region.backing(), Backing::Pages);
        }
        assert_eq!(region.len(), 8 << 20);
    }
}
