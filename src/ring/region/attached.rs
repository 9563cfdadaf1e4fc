//! Ends of shared rings.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::file::{self, Locked};
use super::layout::{self, End, HEAD, Kind, Life, PAGE_BYTES, PLACES, Shape, TOLD};
use super::{Place, RegionError, Terms};
use crate::ring::broadcast::{self, From, Publisher, Subscriber};
use crate::ring::mapped::{Access, Mapped};
use crate::ring::record::{Claimed, Record};
use crate::ring::spsc::{self, Consumer, Producer};

/// What an end holds on to: its mappings and its lock.
struct Hold {
    ring: Mapped,
    /// A queue's reader's page.
    page: Option<Mapped>,
    /// The file that the other end locks, if there is one.
    other: Option<File>,
    /// The file that this end writes to, if it writes to any.
    _lock: Option<Locked>,
}

impl Hold {
    fn places(&self) -> NonNull<u8> {
        // SAFETY: the mapping is longer than what is in front of the records.
        unsafe { self.ring.base().byte_add(PLACES) }
    }

    fn told(&self) -> NonNull<AtomicU64> {
        NonNull::from(self.ring.word(TOLD))
    }

    fn head(&self) -> NonNull<AtomicU64> {
        NonNull::from(self.page().word(HEAD))
    }

    fn page(&self) -> &Mapped {
        self.page.as_ref().expect("a queue has a reader's page")
    }

    fn other_lives(&self) -> bool {
        self.other.as_ref().is_some_and(Locked::is_held)
    }
}

fn queue<T>(hold: &Arc<Hold>, capacity: u64) -> spsc::Shared<T> {
    let (head, told, slots) = (hold.head(), hold.told(), hold.places());
    spsc::Shared { head, told, slots, capacity, memory: hold.clone(), records: PhantomData }
}

fn broadcast<R>(hold: &Arc<Hold>, capacity: u64) -> broadcast::Shared<R> {
    let (told, places) = (hold.told(), hold.places());
    broadcast::Shared { told, places, capacity, memory: hold.clone(), records: PhantomData }
}

/// An end of a shared ring: the same as of one within a process, and what its files say beside it.
pub struct Attached<E> {
    end: E,
    hold: Arc<Hold>,
}

impl<E> Deref for Attached<E> {
    type Target = E;

    #[inline(always)]
    fn deref(&self) -> &E {
        &self.end
    }
}

impl<E> DerefMut for Attached<E> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut E {
        &mut self.end
    }
}

impl<R: Record> Attached<Producer<R>> {
    /// Says that the writer lives, at a time in Unix nanoseconds: about once a second.
    pub fn beat(&self, now_ns: u64) {
        End::Writer.beat(&self.hold.ring, now_ns);
    }

    /// Who reads, or read last.
    pub fn reader(&self) -> Life {
        End::Reader.life(self.hold.page())
    }

    /// Whether the reader's process has its end still. A system call.
    pub fn reader_lives(&self) -> bool {
        self.hold.other_lives()
    }
}

impl<R: Record> Attached<Publisher<R>> {
    /// Says that the writer lives, at a time in Unix nanoseconds: about once a second.
    pub fn beat(&self, now_ns: u64) {
        End::Writer.beat(&self.hold.ring, now_ns);
    }
}

impl<R: Record> Attached<Subscriber<R>> {
    /// Who writes, or wrote last.
    pub fn writer(&self) -> Life {
        End::Writer.life(&self.hold.ring)
    }

    /// Whether the writer's process has its end still. A system call.
    pub fn writer_lives(&self) -> bool {
        self.hold.other_lives()
    }
}

/// Where the reader of a queue begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Behind what the one before it gave back.
    Onward,
    /// With what is written from now on.
    Newest,
}

/// The reading end of a shared queue. What another program wrote is looked at before it is taken for a
/// record.
pub struct Receiver<R: Record> {
    end: Attached<Consumer<Claimed<R>>>,
}

impl<R: Record> Receiver<R> {
    /// Records the ring can hold.
    pub fn capacity(&self) -> usize {
        self.end.capacity()
    }

    /// Index of the next record to be read: how many there were before it since the ring was made.
    pub fn index(&self) -> u64 {
        self.end.index()
    }

    /// How many records can be read now, at least.
    #[inline]
    pub fn available(&mut self) -> usize {
        self.end.available()
    }

    /// Reads one record, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<R>, RegionError> {
        let mut record = None;
        self.pop_batch(1, |r| record = Some(*r))?;
        Ok(record)
    }

    /// Hands up to `most` records to `read`, where they lie, oldest first; gives their places back to the
    /// writer once at the end. Returns how many there were.
    #[inline]
    pub fn pop_batch(
        &mut self,
        most: usize,
        mut read: impl FnMut(&R),
    ) -> Result<usize, RegionError> {
        let mut damaged = false;
        let taken = self.end.pop_while(most, |claimed| match claimed.get() {
            Some(record) => {
                read(record);
                true
            }
            None => {
                damaged = true;
                false
            }
        });
        if damaged && taken == 0 {
            return Err(RegionError::Damaged { index: self.end.index() });
        }
        Ok(taken)
    }

    /// Says that the reader lives, at a time in Unix nanoseconds: about once a second.
    pub fn beat(&self, now_ns: u64) {
        End::Reader.beat(self.end.hold.page(), now_ns);
    }

    /// Who writes, or wrote last.
    pub fn writer(&self) -> Life {
        End::Writer.life(&self.end.hold.ring)
    }

    /// Whether the writer's process has its end still. A system call.
    pub fn writer_lives(&self) -> bool {
        self.end.hold.other_lives()
    }
}

/// The writing end of a queue for one reader, which is made if it is not there. It goes on behind what an
/// earlier writer published.
pub fn send<R: Record>(place: &Place, terms: &Terms) -> Result<Attached<Producer<R>>, RegionError> {
    let hold = Arc::new(attach_writer::<R>(place, terms, Kind::Queue)?);
    make_whole::<R>(&hold, terms.capacity);
    let end = Producer::follow_on(queue(&hold, terms.capacity as u64));
    End::Writer.begin(&hold.ring);
    Ok(Attached { end, hold })
}

/// The writing end of a ring for any number of readers, which is made if it is not there. It goes on behind
/// what an earlier writer told.
pub fn publish<R: Record>(
    place: &Place,
    terms: &Terms,
) -> Result<Attached<Publisher<R>>, RegionError> {
    let hold = Arc::new(attach_writer::<R>(place, terms, Kind::Broadcast)?);
    let end = Publisher::follow_on(broadcast(&hold, terms.capacity as u64));
    End::Writer.begin(&hold.ring);
    Ok(Attached { end, hold })
}

/// The reading end of a queue.
pub fn receive<R: Record>(place: &Place, start: Start) -> Result<Receiver<R>, RegionError> {
    let (ring, ring_file, shape) = open_ring::<R>(place, Kind::Queue)?;
    let path = place.reader();
    let (file, page) = open_page(&path, Access::Write, layout::identity(&ring))?;
    let Ok(lock) = Locked::take(file) else {
        return Err(taken(&path, End::Reader, &page));
    };
    let (page, other, _lock) = (Some(page), Some(ring_file), Some(lock));
    let hold = Arc::new(Hold { ring, page, other, _lock });
    let shared = queue(&hold, shape.capacity);
    let Some(end) = Consumer::follow_on(shared, start == Start::Newest) else {
        let word = |map: &Mapped, at| map.word(at).load(Ordering::Acquire);
        let (read, written) = (word(hold.page(), HEAD), word(&hold.ring, TOLD));
        let what = format!(
            "says that {read} records were read, which cannot be: {written} were written, and the ring \
             holds {}; a reader can start at the newest",
            shape.capacity
        );
        return Err(RegionError::refused(&path, what));
    };
    End::Reader.begin(hold.page());
    Ok(Receiver { end: Attached { end, hold } })
}

/// A reading end of a broadcast ring.
pub fn subscribe<R: Record>(
    place: &Place,
    from: From,
) -> Result<Attached<Subscriber<R>>, RegionError> {
    let (ring, ring_file, shape) = open_ring::<R>(place, Kind::Broadcast)?;
    let hold = Arc::new(Hold { ring, page: None, other: Some(ring_file), _lock: None });
    let end = Subscriber::tune_in(broadcast(&hold, shape.capacity), from);
    let Some(end) = end else {
        let told = hold.ring.word(TOLD).load(Ordering::Acquire);
        let what = format!("has {told} records, none to go on behind so far");
        return Err(RegionError::refused(&place.ring(), what));
    };
    Ok(Attached { end, hold })
}

/// Opens, checks and maps a ring's records for a reader.
fn open_ring<R: Record>(place: &Place, kind: Kind) -> Result<(Mapped, File, Shape), RegionError> {
    let path = place.ring();
    let file = file::open(&path, Access::Read)?;
    let len = file::check_len(&file, &path, PLACES as u64)?;
    let ring = file::map(&file, &path, len, Access::Read)?;
    let shape = Shape::read(&ring, &path, len)?;
    shape.expect(&Shape::of::<R>(kind, shape.capacity as usize), &path)?;
    Ok((ring, file, shape))
}

/// Opens, checks and maps a queue's reader's page.
fn open_page(path: &Path, access: Access, identity: u64) -> Result<(File, Mapped), RegionError> {
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

fn taken(path: &Path, end: End, map: &Mapped) -> RegionError {
    let pid = end.life(map).pid;
    RegionError::Taken { path: path.to_owned(), end: end.name(), pid }
}

/// Locks a ring for writing, and makes it if it is not there or was not finished.
fn attach_writer<R: Record>(place: &Place, terms: &Terms, kind: Kind) -> Result<Hold, RegionError> {
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
fn make_whole<R: Record>(hold: &Hold, capacity: usize) {
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
