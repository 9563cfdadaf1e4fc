//! What is to be sent to a session, by whoever comes first.

use std::io::Write;
use std::net::TcpStream;

use crate::log::Log;
use crate::matcher::Kept;
use crate::sync::Lock;

/// Bytes a session may have waiting: beyond, it is cut off.
const WAITING_MAX: usize = 512 << 10;

struct Waiting {
    bytes: Vec<u8>,
    /// Place in the log that has to be on the disk before they leave.
    place: u64,
    overrun: bool,
    kept: Option<Kept>,
}

/// Bytes for one session.
pub struct Outbox {
    waiting: Lock<Waiting>,
    /// What is being sent, in turn.
    sending: Lock<Vec<u8>>,
}

impl Outbox {
    pub fn new(keeps: bool) -> Outbox {
        let room = || Vec::with_capacity(WAITING_MAX);
        let waiting =
            Waiting { bytes: room(), place: 0, overrun: false, kept: keeps.then(Kept::new) };
        Outbox { waiting: Lock::new(waiting), sending: Lock::new(room()) }
    }

    /// Adds a packet that may leave once the log is on the disk up to a place.
    pub fn add(&self, packet: &[u8], place: u64) {
        let mut waiting = self.waiting.lock();
        if waiting.bytes.len() + packet.len() > WAITING_MAX {
            waiting.overrun = true;
        } else {
            waiting.bytes.extend_from_slice(packet);
            waiting.place = place;
            waiting.kept.iter_mut().for_each(|kept| kept.add(packet));
        }
    }

    /// Sends what waits, or leaves it to whoever is sending.
    pub fn flush(&self, stream: &TcpStream, log: &Log) -> std::io::Result<()> {
        while !self.waiting.lock().bytes.is_empty() {
            // Who is sending looks again when it is done.
            let Some(mut sending) = self.sending.try_lock() else { return Ok(()) };
            let mut waiting = self.waiting.lock();
            std::mem::swap(&mut waiting.bytes, &mut sending);
            let (place, overrun) = (waiting.place, waiting.overrun);
            drop(waiting);
            log.wait(place)?;
            let sent = (&*stream).write_all(&sending);
            sending.clear();
            sent?;
            if overrun {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}
