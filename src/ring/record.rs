//! What may lie in memory that other processes write.

use std::mem::MaybeUninit;

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Plain bytes with a name: no pointer, no padding, and every pattern of bytes either is one or can be
/// told from one.
///
/// ```
/// use millrace::ring::Record;
/// use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
///
/// #[derive(Clone, Copy, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct Tick {
///     price_ticks: u64,
///     qty: u64,
/// }
///
/// impl Record for Tick {
///     const NAME: &'static str = "example.tick.1";
///     const EMPTY: Tick = Tick { price_ticks: 0, qty: 0 };
/// }
/// ```
pub trait Record:
    Copy + Send + 'static + TryFromBytes + IntoBytes + Immutable + KnownLayout
{
    /// What a ring of them says that it holds, at most 32 bytes; another layout has another name. An array
    /// is named after what it is made of.
    const NAME: &'static str;
    /// What an unused place holds.
    const EMPTY: Self;
}

macro_rules! record {
    ($($int:ident)*) => {$(
        impl Record for $int {
            const NAME: &'static str = stringify!($int);
            const EMPTY: $int = 0;
        }
    )*};
}

record! { u8 u16 u32 u64 i8 i16 i32 i64 }

impl<R: Record, const N: usize> Record for [R; N] {
    const NAME: &'static str = R::NAME;
    const EMPTY: [R; N] = [R::EMPTY; N];
}

/// Bytes that should be a record, and were written by somebody else.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Claimed<R: Copy>(MaybeUninit<R>);

impl<R: Record> Claimed<R> {
    /// Bytes that were all copied from somewhere.
    pub fn of(bytes: MaybeUninit<R>) -> Claimed<R> {
        Claimed(bytes)
    }

    /// The record, if they are one. Costs nothing where every pattern of bytes is.
    #[inline(always)]
    pub fn get(&self) -> Option<&R> {
        let at = std::ptr::from_ref(self).cast::<u8>();
        // SAFETY: a claim lies in a mapped file or was copied from one, which has no byte that is not
        // initialised, and is as long as the record.
        let bytes = unsafe { std::slice::from_raw_parts(at, size_of::<R>()) };
        R::try_ref_from_bytes(bytes).ok()
    }
}
