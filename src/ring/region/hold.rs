//! What an end holds on to, and how it comes to it: files made, found, checked and locked.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::ptr::NonNull;

use super::file::{self, Locked};
use super::layout::{self, End, HEAD, Kind, PAGE_BYTES, PLACES, Shape, TOLD};
use super::{Place, RegionError, Terms};
use crate::ring::mapped::{Access, Mapped};
use crate::ring::record::{Claimed, Record};
use crate::ring::spsc;
use crate::ring::sync::AtomicU64;

/// What an end holds on to: its mappings and its lock.
pub(super) struct Hold {
    pub ring: Mapped,
    /// A queue's reader's page.
    pub page: Option<Mapped>,
    /// The file that the other end locks, if there is one.
    pub other: Option<File>,
    /// The file that this end writes to, if it writes to any.
    pub _lock: Option<Locked>,
}

impl Hold {
    pub fn places(&self) -> NonNull<u8> {
        // SAFETY: the mapping is longer than what is in front of the records.
        unsafe { self.ring.base().byte_add(PLACES) }
    }

    pub fn told(&self) -> NonNull<AtomicU64> {
        NonNull::from(self.ring.word(TOLD)).cast()
    }

    pub fn head(&self) -> NonNull<AtomicU64> {
        NonNull::from(self.page().word(HEAD)).cast()
    }

    pub fn page(&self) -> &Mapped {
        self.page.as_ref().expect("a queue has a reader's page")
    }

    pub fn other_lives(&self) -> bool {
        self.other.as_ref().is_some_and(Locked::is_held)
    }
}

/// Opens, checks and maps a ring's records for a reader.
pub(super) fn open_ring<R: Record>(
    place: &Place,
    kind: Kind,
) -> Result<(Mapped, File, Shape), RegionError> {
    let path = place.ring();
    let file = file::open(&path, Access::Read)?;
    let len = file::check_len(&file, &path, PLACES as u64)?;
    let ring = file::map(&file, &path, len, Access::Read)?;
    let shape = Shape::read(&ring, &path, len)?;
    shape.expect(&Shape::of::<R>(kind, shape.capacity as usize), &path)?;
    Ok((ring, file, shape))
}

/// Opens, checks and maps a queue's reader's page.
pub(super) fn open_page(
    path: &Path,
    access: Access,
    identity: u64,
) -> Result<(File, Mapped), RegionError> {
    let missing = |error| match error {
        RegionError::NotThere { path } => RegionError::refused(&path, "is missing beside its ring"),
        error => error,
    };
    let file = file::open(path, access).map_err(missing)?;
    let len = file::check_len(&file, path, PAGE_BYTES as u64).map_err(missing)?;
    let page = file::map(&file, path, len, access)?;
    layout::check_reader(&page, path, identity)?;
    Ok((file, page))
}

pub(super) fn taken(path: &Path, end: End, map: &Mapped) -> RegionError {
    let pid = end.life(map).pid;
    RegionError::Taken { path: path.to_owned(), end: end.name(), pid }
}

/// Locks a ring for writing, and makes it if it is not there or was not finished.
pub(super) fn attach_writer<R: Record>(
    place: &Place,
    terms: &Terms,
    kind: Kind,
) -> Result<Hold, RegionError> {
    let path = place.ring();
    if !terms.capacity.is_power_of_two() || terms.capacity < 2 {
        let what = format!("a capacity is a power of two from 2 on, not {}", terms.capacity);
        return Err(RegionError::refused(&path, what));
    }
    let shape = Shape::of::<R>(kind, terms.capacity);
    let taken = |file: File| {
        let ring = file::check_len(&file, &path, PLACES as u64)
            .and_then(|len| file::map(&file, &path, len, Access::Read));
        match ring {
            Ok(ring) => taken(&path, End::Writer, &ring),
            Err(_) => RegionError::refused(&path, "is being made by another writer"),
        }
    };
    let (lock, ring) = match own(&path, taken, |file| finished(file, &path))? {
        (lock, Some((ring, len))) => {
            Shape::read(&ring, &path, len)?.expect(&shape, &path)?;
            (lock, ring)
        }
        (lock, None) => {
            let ring = make::<R>(place, terms, &shape, &lock.file).inspect_err(|_| {
                let _ = std::fs::remove_file(&path);
            })?;
            (lock, ring)
        }
    };
    let (other, page) = match kind {
        Kind::Queue => open_page(&place.reader(), Access::Read, layout::identity(&ring))
            .map(|(file, page)| (Some(file), Some(page)))?,
        Kind::Broadcast => (None, None),
    };
    Ok(Hold { ring, page, other, _lock: Some(lock) })
}

/// Locks a file for writing, with what of it is to be kept. If that is nothing, the file is empty: what was
/// there is not cut, since somebody may look at it still, but left to them.
fn own<T>(
    path: &Path,
    taken: impl Fn(File) -> RegionError,
    keep: impl Fn(&File) -> Result<Option<T>, RegionError>,
) -> Result<(Locked, Option<T>), RegionError> {
    loop {
        let lock = Locked::take(file::open_or_make(path)?).map_err(&taken)?;
        // Somebody may have removed it in between.
        if !file::is_at(&lock.file, path) {
            continue;
        }
        let kept = keep(&lock.file)?;
        if kept.is_some() || file::is_empty(&lock.file, path)? {
            return Ok((lock, kept));
        }
        std::fs::remove_file(path).map_err(RegionError::system("remove", path))?;
    }
}

/// A ring that was finished, and the length of its file.
fn finished(file: &File, path: &Path) -> Result<Option<(Mapped, u64)>, RegionError> {
    match file::check_len(file, path, PLACES as u64) {
        Ok(len) => {
            let ring = file::map(file, path, len, Access::Write)?;
            Ok(layout::is_finished(&ring).then_some((ring, len)))
        }
        Err(RegionError::NotThere { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a ring of a locked file. A reader that comes meanwhile finds none.
fn make<R: Record>(
    place: &Place,
    terms: &Terms,
    shape: &Shape,
    file: &File,
) -> Result<Mapped, RegionError> {
    let path = place.ring();
    let Some(bytes) = shape.file_bytes() else {
        return Err(RegionError::refused(&path, "more records than can be counted"));
    };
    let len = file::take_pages(file, &path, bytes)?;
    let ring = file::map(file, &path, len, Access::Write)?;
    let identity = RandomState::new().hash_one(std::process::id());
    if shape.kind == Kind::Queue {
        make_page(place, terms, identity)?;
    }
    shape.write(&ring, identity);
    file::open_doors(file, &path, terms, terms.mode & !0o022)?;
    fill::<R>(&ring, terms.capacity, |_| true);
    layout::finish(&ring);
    Ok(ring)
}

/// Makes a queue's reader's page.
fn make_page(place: &Place, terms: &Terms, identity: u64) -> Result<(), RegionError> {
    let path = place.reader();
    let taken = |file: File| {
        let page = file::check_len(&file, &path, PAGE_BYTES as u64)
            .and_then(|len| file::map(&file, &path, len, Access::Read));
        page.map_or_else(|error| error, |page| taken(&path, End::Reader, &page))
    };
    let (lock, _) = own(&path, taken, |_| Ok(None::<()>))?;
    let len = file::take_pages(&lock.file, &path, PAGE_BYTES as u64)?;
    let page = file::map(&lock.file, &path, len, Access::Write)?;
    file::open_doors(&lock.file, &path, terms, terms.mode | ((terms.mode & 0o044) >> 1))?;
    layout::write_reader(&page, identity);
    Ok(())
}

/// What another program left that is no record becomes an empty one, so that a place can be written into
/// wherever it is.
pub(super) fn make_whole<R: Record>(hold: &Hold, capacity: usize) {
    fill::<R>(&hold.ring, capacity, |claimed| claimed.get().is_none());
}

/// Empties the places of a ring that the predicate says. For its only writer, before it writes.
fn fill<R: Record>(ring: &Mapped, capacity: usize, which: impl Fn(&Claimed<R>) -> bool) {
    for at in 0..capacity {
        // SAFETY: `capacity` places lie there in the mapping, a stride apart.
        let place = unsafe { ring.base().byte_add(PLACES + at * spsc::stride::<R>()) };
        let place = place.cast::<Claimed<R>>();
        // SAFETY: bytes of the mapping, aligned, that nobody writes: readers cannot, and we do not yet.
        if which(unsafe { place.as_ref() }) {
            // SAFETY: as above, and no reference to them is left.
            unsafe { place.cast::<R>().write(R::EMPTY) };
        }
    }
}
