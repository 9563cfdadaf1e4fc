//! Messages that left their stream's window, made again from the journal on a helper thread.

use std::collections::VecDeque;

use crate::net::ConnId;
use crate::order::UserId;
use crate::ring::{Consumer, Producer};

/// Bytes of one piece of a replay.
pub const CHUNK_BYTES: usize = 2000;

/// Messages `from` up to, not including, `until` of a user are wanted on a connection.
#[derive(Clone, Copy, Debug)]
pub struct ReplayRequest {
    /// The connection.
    pub conn: ConnId,
    /// The user.
    pub user: UserId,
    /// Number of the first message wanted.
    pub from: u64,
    /// Number of the first message not wanted.
    pub until: u64,
}

impl ReplayRequest {
    /// What rings are filled with.
    pub const EMPTY: ReplayRequest =
        ReplayRequest { conn: ConnId::NONE, user: UserId(0), from: 0, until: 0 };
}

/// Replays that are wanted, one for each connection at most. The helper has one at a time, so that
/// those whose connection ended meanwhile cost it nothing, and nobody's is refused for the others'.
pub(super) struct Replays {
    requests: Producer<ReplayRequest>,
    waiting: VecDeque<ReplayRequest>,
    under_way: Option<ConnId>,
}

impl Replays {
    pub fn new(requests: Producer<ReplayRequest>, connections_max: usize) -> Replays {
        Replays { requests, waiting: VecDeque::with_capacity(connections_max), under_way: None }
    }

    /// Puts a replay in line.
    pub fn ask(&mut self, request: ReplayRequest, lives: impl Fn(ConnId) -> bool) {
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.retain(|waiting| lives(waiting.conn));
        }
        self.waiting.push_back(request);
    }

    /// Hands the helper the next one that is still wanted, if it has none.
    pub fn hand_over(&mut self, lives: impl Fn(ConnId) -> bool) {
        while self.under_way.is_none() {
            let Some(request) = self.waiting.pop_front() else { return };
            if lives(request.conn) && self.requests.push(&request) {
                self.under_way = Some(request.conn);
            }
        }
    }

    /// The helper is done with one.
    pub fn done(&mut self, conn: ConnId) {
        if self.under_way == Some(conn) {
            self.under_way = None;
        }
    }
}

/// A piece of a replay.
#[derive(Clone, Copy)]
pub struct Chunk {
    /// The connection that wanted it.
    pub conn: ConnId,
    /// The last of its replay.
    pub last: bool,
    /// The journal could not be read.
    pub failed: bool,
    /// Bytes used.
    pub len: u16,
    /// Whole packets.
    pub bytes: [u8; CHUNK_BYTES],
}

impl Chunk {
    /// What rings are filled with.
    pub const EMPTY: Chunk =
        Chunk { conn: ConnId::NONE, last: false, failed: false, len: 0, bytes: [0; CHUNK_BYTES] };
}

/// Makes a user's stream again: calls the function with the packet of each message from `from`
/// to before `until`. False if the journal could not be read that far.
pub type RegenerateStream = Box<dyn FnMut(UserId, u64, u64, &mut dyn FnMut(&[u8])) -> bool + Send>;

/// Serves replays one after the other.
pub struct Replayer {
    regenerate: RegenerateStream,
    requests: Consumer<ReplayRequest>,
    chunks: Producer<Chunk>,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Replayer {
    /// Serves requests by regenerating; gives up a replay when `stop` is set.
    pub fn new(
        regenerate: RegenerateStream,
        requests: Consumer<ReplayRequest>,
        chunks: Producer<Chunk>,
        stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    ) -> Replayer {
        Replayer { regenerate, requests, chunks, stop }
    }

    fn serve(&mut self, request: ReplayRequest) {
        let mut chunk = Chunk { conn: request.conn, ..Chunk::EMPTY };
        let (chunks, stop) = (&mut self.chunks, &self.stop);
        let ReplayRequest { user, from, until, .. } = request;
        let whole = (self.regenerate)(user, from, until, &mut |packet| {
            if usize::from(chunk.len) + packet.len() > CHUNK_BYTES {
                push(chunks, &chunk, stop);
                chunk.len = 0;
            }
            let at = usize::from(chunk.len);
            chunk.bytes[at..at + packet.len()].copy_from_slice(packet);
            chunk.len += packet.len() as u16;
        });
        (chunk.last, chunk.failed) = (true, !whole);
        push(chunks, &chunk, stop);
    }
}

/// Waits for room: the gateway takes chunks as fast as the client reads.
fn push(chunks: &mut Producer<Chunk>, chunk: &Chunk, stop: &std::sync::atomic::AtomicBool) {
    while !chunks.push(chunk) && !stop.load(std::sync::atomic::Ordering::Relaxed) {
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
}

impl crate::runtime::Duty for Replayer {
    fn poll(&mut self) -> usize {
        match self.requests.pop() {
            Some(request) => {
                self.serve(request);
                1
            }
            None => 0,
        }
    }
}
