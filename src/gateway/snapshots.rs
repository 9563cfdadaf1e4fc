//! Snapshots of the displayed book: made whole by a helper, one for all who ask at the time, and sent to
//! each as fast as it reads.

use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Weak};

use crate::net::ConnId;
use crate::order::{NANOS_PER_SEC, UnixNanos};
use crate::ring::Bell;

/// A snapshot as packets, one behind the other.
pub type Snapshot = Arc<[u8]>;

/// Makes a snapshot; nothing if the journal cannot be read.
pub type MakeSnapshot = Box<dyn FnMut() -> Option<Vec<u8>> + Send>;

/// Who has not taken all of its snapshot after this long is dropped.
pub(super) const SNAPSHOT_NS: u64 = 60 * NANOS_PER_SEC;

/// Snapshots in memory at once. With so many, those who ask get the latest there is: it only takes them
/// longer to catch up.
const ALIVE_MAX: usize = 4;

/// The gateway's end of the way to the helper.
pub struct Snapshots {
    asked: Sender<ConnId>,
    bell: Arc<Bell>,
    made: Receiver<(ConnId, Option<Snapshot>)>,
}

impl Snapshots {
    /// A way to the helper, whom a bell wakes, and back.
    pub fn new(
        asked: Sender<ConnId>,
        bell: Arc<Bell>,
        made: Receiver<(ConnId, Option<Snapshot>)>,
    ) -> Snapshots {
        Snapshots { asked, bell, made }
    }

    /// Asks for a snapshot for a connection.
    pub(super) fn ask(&self, conn: ConnId) {
        // A helper that is gone is one of a segment that is stopping.
        let _ = self.asked.send(conn);
        self.bell.ring();
    }

    /// The next one that was made, and for whom.
    pub(super) fn next(&self) -> Option<(ConnId, Option<Snapshot>)> {
        self.made.try_recv().ok()
    }
}

/// A snapshot on its way to one connection.
pub(super) struct Sending {
    pub snapshot: Snapshot,
    /// Bytes sent.
    pub done: usize,
    pub begun_ns: UnixNanos,
}

/// Makes snapshots for those who ask.
pub struct SnapshotMaker {
    make: MakeSnapshot,
    asked: Receiver<ConnId>,
    made: Sender<(ConnId, Option<Snapshot>)>,
    bell: Arc<Bell>,
    alive: Vec<Weak<[u8]>>,
}

impl SnapshotMaker {
    /// Serves those who ask, and wakes by a bell who waits.
    pub fn new(
        make: MakeSnapshot,
        asked: Receiver<ConnId>,
        made: Sender<(ConnId, Option<Snapshot>)>,
        bell: Arc<Bell>,
    ) -> SnapshotMaker {
        SnapshotMaker { make, asked, made, bell, alive: vec![] }
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        self.alive.retain(|snapshot| snapshot.strong_count() > 0);
        if self.alive.len() >= ALIVE_MAX
            && let Some(latest) = self.alive.last().and_then(Weak::upgrade)
        {
            return Some(latest);
        }
        let snapshot: Snapshot = (self.make)()?.into();
        self.alive.push(Arc::downgrade(&snapshot));
        Some(snapshot)
    }
}

impl crate::runtime::Duty for SnapshotMaker {
    fn poll(&mut self) -> usize {
        let mut waiting = self.asked.try_iter().collect::<Vec<_>>();
        if waiting.is_empty() {
            return 0;
        }
        let snapshot = self.snapshot();
        // Whoever asked meanwhile has the same.
        waiting.extend(self.asked.try_iter());
        for conn in &waiting {
            let _ = self.made.send((*conn, snapshot.clone()));
        }
        self.bell.ring();
        waiting.len()
    }
}
