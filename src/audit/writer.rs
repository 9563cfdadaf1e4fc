//! The helper thread: from the rings into files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use super::file;
use super::head::Heads;
use super::tap::Slot;
use crate::ring::Consumer;
use crate::runtime::{Counter, Duty};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;
/// Slots taken in one turn.
const SLOTS_MAX: usize = 4096;
/// Nobody waits for the file: the writer rests between writes, and the cores are left to the orders.
/// A ring holds twice what comes meanwhile at three million messages a second.
const REST: Duration = Duration::from_millis(10);
/// After an error, nothing is tried for this long.
const RETRY: Duration = Duration::from_secs(1);

/// Users as the file names them: CompIDs of those who speak FIX, login names of the others; and
/// what each speaks.
pub type Names = Vec<(String, &'static str)>;

/// Writes what comes out of the rings.
pub struct Writer {
    rings: Vec<Consumer<Slot>>,
    records: Records,
}

/// What the rings hold, as records of a file.
struct Records {
    heads: Heads,
    dir: PathBuf,
    bytes_max: u64,
    file: Option<Open>,
    buffer: Vec<u8>,
    /// What is there of a message whose end is still to come.
    message: Vec<u8>,
    written: Counter,
    dropped: Counter,
    closing: Vec<JoinHandle<()>>,
    failed: bool,
}

struct Open {
    file: File,
    path: PathBuf,
    day: [u8; 8],
    bytes: u64,
}

impl Writer {
    /// Into a directory, which is made; files end at about `bytes_max`. What an earlier process
    /// left uncompressed is compressed now.
    pub fn new(
        dir: &Path,
        bytes_max: u64,
        rings: Vec<Consumer<Slot>>,
        names: Names,
        written: Counter,
        dropped: Counter,
    ) -> io::Result<Writer> {
        std::fs::create_dir_all(dir)?;
        let mut records = Records {
            heads: Heads::new(&names),
            dir: dir.to_owned(),
            bytes_max,
            file: None,
            buffer: Vec::with_capacity(BUFFER_BYTES + 8192),
            message: Vec::with_capacity(4096),
            written,
            dropped,
            closing: vec![],
            failed: false,
        };
        for old in
            file::list(dir)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "log"))
        {
            records.close(old);
        }
        Ok(Writer { rings, records })
    }

    /// Takes what there is. Returns how many slots that were.
    pub(super) fn take(&mut self) -> usize {
        let Writer { rings, records } = self;
        let mut taken = 0;
        for ring in rings {
            let (mut of_ring, mut before) = (0, usize::MAX);
            while of_ring < SLOTS_MAX && of_ring != before {
                before = of_ring;
                of_ring += ring.pop_batch(SLOTS_MAX, |slot| records.slot(slot));
            }
            taken += of_ring;
        }
        if !records.buffer.is_empty() {
            records.write();
        }
        taken
    }

    /// Ends: takes what is left, and closes the file.
    pub fn finish(mut self) {
        while self.take() > 0 {}
        let Records { file, closing, .. } = &mut self.records;
        let last = file.take();
        let closing = std::mem::take(closing);
        if let Some(open) = last {
            self.records.close(open.path);
        }
        for thread in closing.into_iter().chain(self.records.closing) {
            let _ = thread.join();
        }
    }
}

impl Records {
    #[inline]
    fn slot(&mut self, slot: &Slot) {
        let part = &slot.bytes[..slot.len.into()];
        if slot.more {
            self.message.extend_from_slice(part);
        } else if self.message.is_empty() {
            self.record(slot, part);
        } else {
            let mut message = std::mem::take(&mut self.message);
            message.extend_from_slice(part);
            self.record(slot, &message);
            message.clear();
            self.message = message;
        }
    }

    /// One message is whole.
    #[inline]
    fn record(&mut self, slot: &Slot, message: &[u8]) {
        self.heads.go_to(slot.time_ns);
        let day = self.heads.day();
        if self.file.as_ref().is_some_and(|open| open.day != day || open.bytes >= self.bytes_max) {
            self.write();
            if let Some(open) = self.file.take() {
                self.close(open.path);
            }
        }
        if self.file.is_none() {
            self.open(day);
        }
        let before = self.buffer.len();
        self.heads.put(&mut self.buffer, slot.user, slot.direction, message.len());
        self.buffer.extend_from_slice(message);
        self.buffer.push(b'\n');
        let more = (self.buffer.len() - before) as u64;
        match &mut self.file {
            Some(open) => {
                open.bytes += more;
                self.written.add(1);
            }
            None => {
                self.buffer.truncate(before);
                self.dropped.add(1);
            }
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.write();
        }
    }

    fn open(&mut self, day: [u8; 8]) {
        let text = String::from_utf8_lossy(&day).into_owned();
        let opened = file::next_number(&self.dir, &text).and_then(|number| {
            let path = self.dir.join(file::name_of(&text, number));
            let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
            Ok(Open { file, path, day, bytes: 0 })
        });
        match opened {
            Ok(open) => {
                self.file = Some(open);
                self.failed = false;
            }
            Err(error) => self.fail(&error),
        }
    }

    fn write(&mut self) {
        let Some(open) = &mut self.file else {
            self.buffer.clear();
            return;
        };
        let result = open.file.write_all(&self.buffer);
        self.buffer.clear();
        if let Err(error) = result {
            self.file = None;
            self.fail(&error);
        }
    }

    /// Says once that nothing can be written, and goes on trying: an audit file that cannot be
    /// written is told of, and does not stop trading.
    fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(%error, dir = %self.dir.display(), "the audit file cannot be written");
        }
        std::thread::sleep(RETRY);
    }

    /// Has a file compressed on a thread of its own: it may take longer than the ring waits.
    fn close(&mut self, path: PathBuf) {
        self.closing.retain(|thread| !thread.is_finished());
        let work = move || {
            if let Err(error) = file::compress(&path) {
                tracing::warn!(%error, file = %path.display(), "an audit file is not compressed");
            }
        };
        match std::thread::Builder::new().name("mr-audit-zstd".into()).spawn(work) {
            Ok(thread) => self.closing.push(thread),
            Err(error) => tracing::warn!(%error, "no thread to compress an audit file"),
        }
    }
}

impl Duty for Writer {
    fn nap(&mut self, _: u32) {
        std::thread::sleep(REST);
    }

    fn poll(&mut self) -> usize {
        let taken = self.take();
        // Unless they come faster than it rests: then what there is fills the ring.
        if (1..SLOTS_MAX).contains(&taken) {
            std::thread::sleep(REST);
        }
        taken
    }
}
