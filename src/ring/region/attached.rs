//! Ends of shared rings.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::file::Locked;
use super::hold::{Hold, attach_writer, make_whole, open_page, open_ring, taken};
use super::layout::{self, End, HEAD, Kind, Life, TOLD};
use super::{Place, RegionError, Terms};
use crate::ring::broadcast::{self, From, Publisher, Subscriber};
use crate::ring::mapped::{Access, Mapped};
use crate::ring::record::{Claimed, Record};
use crate::ring::spsc::{self, Consumer, Producer};

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
    let end = end.ok_or_else(|| untrue(place, &hold))?;
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
    let end = end.ok_or_else(|| untrue(place, &hold))?;
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

/// A writer that says what cannot be.
fn untrue(place: &Place, hold: &Hold) -> RegionError {
    let told = hold.ring.word(TOLD).load(Ordering::Acquire);
    RegionError::refused(
        &place.ring(),
        format!("says that {told} records were written, which cannot be"),
    )
}
