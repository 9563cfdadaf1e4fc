//! The log of every request: written together, and where it must be on the disk, waited for together.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use millrace::wire::ouch::inbound::{CancelOrder, EnterOrder};
use zerocopy::IntoBytes;

use crate::sync::{Lock, Signal};

/// How long a request may stay in memory where nobody waits for the disk, as in millrace's journal.
const REST: Duration = Duration::from_millis(2);
/// Bytes beyond which whoever adds one writes them.
const PENDING_MAX: usize = 1 << 20;

/// A request as it is logged: what it was, whose, and the place in the sequence.
pub fn record(log: &mut Vec<u8>, seq: u64, session: u16, message: &[u8]) {
    log.extend_from_slice(&(message.len() as u16).to_le_bytes());
    log.extend_from_slice(&session.to_le_bytes());
    log.extend_from_slice(&seq.to_le_bytes());
    log.extend_from_slice(message);
}

/// The message of an Enter or Cancel.
pub fn entered(order: &EnterOrder) -> &[u8] {
    order.as_bytes()
}

/// As [`entered`].
pub fn canceled(cancel: &CancelOrder) -> &[u8] {
    cancel.as_bytes()
}

/// The file, for one who writes.
pub struct Disk {
    file: File,
    durable: bool,
}

impl Disk {
    pub fn create(path: &Path, durable: bool) -> std::io::Result<Disk> {
        let file = File::create(path)?;
        // As the journal does: room beforehand, so that a write changes no metadata.
        let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 256 << 20);
        Ok(Disk { file, durable })
    }

    /// Writes, and waits for the disk if that is asked for.
    pub fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        (&self.file).write_all(bytes)?;
        if self.durable {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

struct Pending {
    bytes: Vec<u8>,
    /// Bytes ever added.
    added: u64,
    /// Bytes ever written.
    written: u64,
    /// Somebody writes.
    writing: bool,
}

/// A log that many add to.
pub struct Log {
    pending: Lock<Pending>,
    /// What is being written, by whom `writing` is set.
    taken: Lock<Vec<u8>>,
    arrived: Signal,
    disk: Disk,
}

impl Log {
    pub fn new(path: &Path, durable: bool) -> std::io::Result<Log> {
        // Twice the most: who adds while somebody writes still has room.
        let room = || Vec::with_capacity(8 * PENDING_MAX);
        let pending = Pending { bytes: room(), added: 0, written: 0, writing: false };
        Ok(Log {
            pending: Lock::new(pending),
            taken: Lock::new(room()),
            arrived: Signal::new(),
            disk: Disk::create(path, durable)?,
        })
    }

    /// Adds a record. Returns the place behind it.
    pub fn add(&self, seq: u64, session: u16, message: &[u8]) -> u64 {
        let mut pending = self.pending.lock();
        while pending.bytes.len() > 4 * PENDING_MAX {
            drop(pending);
            self.write().expect("the log can be written");
            pending = self.pending.lock();
        }
        let before = pending.bytes.len();
        record(&mut pending.bytes, seq, session, message);
        pending.added += (pending.bytes.len() - before) as u64;
        pending.added
    }

    /// Waits until everything before a place is on the disk; at once where nobody waits for the disk.
    pub fn wait(&self, place: u64) -> std::io::Result<()> {
        if !self.disk.durable {
            return Ok(());
        }
        let mut pending = self.pending.lock();
        while pending.written < place {
            if pending.writing {
                pending = self.arrived.wait(pending);
            } else {
                drop(pending);
                self.write()?;
                pending = self.pending.lock();
            }
        }
        Ok(())
    }

    /// Writes what is there, unless somebody does.
    fn write(&self) -> std::io::Result<()> {
        let mut pending = self.pending.lock();
        if pending.writing {
            drop(self.arrived.wait(pending));
            return Ok(());
        }
        pending.writing = true;
        let place = pending.added;
        let mut taken = self.taken.lock();
        std::mem::swap(&mut pending.bytes, &mut taken);
        drop(pending);
        let result = self.disk.write(&taken);
        taken.clear();
        drop(taken);
        let mut pending = self.pending.lock();
        (pending.writing, pending.written) = (false, place);
        drop(pending);
        self.arrived.all();
        result
    }

    /// Writes every now and then; for a thread of its own where nobody waits for the disk.
    pub fn keep_writing(&self) -> std::io::Result<()> {
        loop {
            std::thread::sleep(REST);
            if !self.pending.lock().bytes.is_empty() {
                self.write()?;
            }
        }
    }

    pub fn is_durable(&self) -> bool {
        self.disk.durable
    }
}
