//! Segments read and checked on another thread, while whoever asked for them is busy with the one before.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use super::format::{HEADER_BYTES, RECORD_BYTES, RECORDS_MAX, SEGMENT_BYTES, is_whole};

/// A segment's bytes, and how many of its records, from the first on, have the right checksum.
pub(super) type Checked = (Vec<u8>, usize);

/// The thread that reads. It ends when nobody waits for it any more.
pub(super) struct Ahead {
    read: Receiver<io::Result<Checked>>,
    used: Sender<Vec<u8>>,
}

impl Ahead {
    /// Reads segments in turn, one further than was asked for.
    pub fn start(paths: Vec<PathBuf>) -> io::Result<Ahead> {
        let (read_tx, read) = sync_channel(1);
        let (used, used_rx) = channel();
        let work = move || read_all(&paths, &read_tx, &used_rx);
        std::thread::Builder::new().name("mr-ahead".into()).spawn(work)?;
        Ok(Ahead { read, used })
    }

    /// The next segment; `used` is the memory of one that is not needed any more.
    pub fn next(&self, used: Vec<u8>) -> io::Result<Checked> {
        // It may have ended: then nothing is left to read into it.
        let _ = self.used.send(used);
        self.read.recv().unwrap_or_else(|_| Err(io::Error::other("there is no further segment")))
    }
}

fn read_all(paths: &[PathBuf], read: &SyncSender<io::Result<Checked>>, used: &Receiver<Vec<u8>>) {
    for path in paths {
        let memory = used.try_recv().unwrap_or_default();
        if read.send(read_checked(path, memory)).is_err() {
            return;
        }
    }
}

fn read_checked(path: &Path, mut bytes: Vec<u8>) -> io::Result<Checked> {
    bytes.clear();
    bytes.reserve(SEGMENT_BYTES as usize + 1);
    File::open(path)?.read_to_end(&mut bytes)?;
    let records = bytes.get(HEADER_BYTES..).unwrap_or_default().chunks_exact(RECORD_BYTES);
    let whole = records.take(RECORDS_MAX).take_while(|record| is_whole(record)).count();
    Ok((bytes, whole))
}
