//! A shared ring as anybody sees it who may read its files.

use std::sync::atomic::Ordering::Acquire;

use super::file::{self, Locked};
use super::layout::{
    self, End, HEAD, Kind, Life, MADE_NS, PAGE_BYTES, PLACES, Shape, TOLD, VERSION,
};
use super::{Place, RegionError};
use crate::ring::mapped::{Access, Mapped};

/// What anybody who may read it sees of a shared ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sight {
    /// What it is.
    pub kind: Kind,
    /// Layout of its files.
    pub version: u64,
    /// Records it holds.
    pub capacity: u64,
    /// Bytes of one.
    pub record_bytes: u64,
    /// Bytes from one to the next.
    pub stride_bytes: u64,
    /// What they are.
    pub record_name: String,
    /// When it was made, Unix nanoseconds.
    pub made_ns: u64,
    /// Bytes of its file.
    pub file_bytes: u64,
    /// Records written since then.
    pub written: u64,
    /// Who writes, or wrote last.
    pub writer: Life,
    /// Whether it is still there.
    pub writer_lives: bool,
    /// A queue's reader.
    pub reader: Option<Reading>,
}

/// How far a queue's reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// Records that it gave back since the ring was made.
    pub read: u64,
    /// Who reads, or read last.
    pub life: Life,
    /// Whether it is still there.
    pub lives: bool,
}

/// Looks at a shared ring, as it is now; changes nothing.
pub fn look(place: &Place) -> Result<Sight, RegionError> {
    let path = place.ring();
    let file = file::open(&path, Access::Read)?;
    let len = file::check_len(&file, &path, PLACES as u64)?;
    let map = file::map(&file, &path, len, Access::Read)?;
    let shape = Shape::read(&map, &path, len)?;
    let word = |map: &Mapped, at| map.word(at).load(Acquire);
    let reader = match shape.kind {
        Kind::Broadcast => None,
        Kind::Queue => {
            let path = place.reader();
            let file = file::open(&path, Access::Read)?;
            let len = file::check_len(&file, &path, PAGE_BYTES as u64)?;
            let page = file::map(&file, &path, len, Access::Read)?;
            layout::check_reader(&page, &path, layout::identity(&map))?;
            let life = End::Reader.life(&page);
            Some(Reading { read: word(&page, HEAD), life, lives: Locked::is_held(&file) })
        }
    };
    Ok(Sight {
        kind: shape.kind,
        version: VERSION,
        capacity: shape.capacity,
        record_bytes: shape.record_bytes,
        stride_bytes: shape.stride_bytes(),
        record_name: shape.record_name(),
        made_ns: word(&map, MADE_NS),
        file_bytes: len,
        written: word(&map, TOLD),
        writer: End::Writer.life(&map),
        writer_lives: Locked::is_held(&file),
        reader,
    })
}
