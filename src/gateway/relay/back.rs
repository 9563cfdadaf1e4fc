//! The end with the parser: a transport whose wire is a pair of rings.

use std::os::fd::BorrowedFd;

use super::{CREDIT_BYTES, Ends, Kind, PARCEL_BYTES, Parcel, UNSENT_MAX, WAIT_US, stage_bytes};
use crate::net::{COUNTERS, Close, ConnId, Counts, Handler, Transport, UNCONSUMED_MAX};
use crate::ring::Producer;

struct Conn {
    id: ConnId,
    /// What the handler left.
    left: Vec<u8>,
    /// Bytes that came and that the front has not been told are taken.
    taken: usize,
    /// On the list of those the front is to be told of.
    owes: bool,
    /// Bytes given to the front and not yet with the transport.
    unsent: usize,
    /// Took less than it was given.
    blocked: bool,
}

/// A transport for a gateway that has none of its own.
pub struct Back {
    ends: Ends,
    conns: Vec<Option<Conn>>,
    /// Connections that wait for room.
    blocked: Vec<ConnId>,
    /// Connections of which much came, and of which more is wanted once they are at it.
    owing: Vec<ConnId>,
    /// Connections to be closed, of which the front was not told.
    closes: Vec<ConnId>,
}

impl Back {
    /// The ring to the front.
    pub fn ring(&mut self) -> &mut Producer<Parcel> {
        &mut self.ends.out
    }

    /// At the other end of a front's rings; `connections_max` is the front's.
    pub fn new(ends: Ends, connections_max: usize) -> Back {
        Back {
            ends,
            conns: (0..connections_max).map(|_| None).collect(),
            blocked: vec![],
            owing: vec![],
            closes: vec![],
        }
    }

    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns[id.index as usize].as_mut().filter(|conn| conn.id == id)
    }

    fn take(&mut self, parcel: &Parcel, handler: &mut impl Handler) {
        let id = parcel.conn;
        match parcel.kind {
            Kind::Opened => {
                let left = Vec::with_capacity(2048);
                let conn = Conn { id, left, taken: 0, owes: false, unsent: 0, blocked: false };
                self.conns[id.index as usize] = Some(conn);
                handler.opened(id, parcel.number as usize, parcel.peer);
            }
            Kind::Bytes => self.receive(parcel, handler),
            Kind::Sent => {
                if let Some(conn) = self.conn(id) {
                    conn.unsent -= parcel.number as usize;
                    if std::mem::take(&mut conn.blocked) {
                        self.blocked.retain(|blocked| *blocked != id);
                        handler.writable(id);
                    }
                }
            }
            Kind::Taken => {}
            Kind::Closed => {
                if self.conn(id).is_some() {
                    self.conns[id.index as usize] = None;
                    handler.closed(id);
                }
            }
        }
    }

    fn receive(&mut self, parcel: &Parcel, handler: &mut impl Handler) {
        let Some(conn) = self.conn(parcel.conn) else { return };
        let mut left = std::mem::take(&mut conn.left);
        let done = if left.is_empty() {
            // Most messages are whole in one parcel, and read where they lie.
            let done = handler.received(parcel.conn, parcel.text());
            left.extend_from_slice(&parcel.text()[*done.as_ref().unwrap_or(&0)..]);
            done
        } else {
            left.extend_from_slice(parcel.text());
            let done = handler.received(parcel.conn, &left);
            left.drain(..*done.as_ref().unwrap_or(&0));
            done
        };
        let over = done.is_err() || left.len() > UNCONSUMED_MAX;
        match self.conn(parcel.conn) {
            Some(conn) => {
                conn.left = left;
                conn.taken += parcel.text().len();
                if conn.taken >= CREDIT_BYTES / 4 && !std::mem::replace(&mut conn.owes, true) {
                    self.owing.push(parcel.conn);
                }
            }
            None => return,
        }
        if over {
            self.close(parcel.conn);
            handler.closed(parcel.conn);
        }
    }
}

impl Back {
    /// Tells the front of what was taken of connections that may send more.
    fn ask_for_more(&mut self, handler: &mut impl Handler) {
        let mut at = 0;
        while let Some(&id) = self.owing.get(at) {
            let Some(conn) = self.conns[id.index as usize].as_mut().filter(|c| c.id == id) else {
                self.owing.swap_remove(at);
                continue;
            };
            let taken = Parcel { number: conn.taken as u32, ..Parcel::new(Kind::Taken, id) };
            if handler.appetite(id) == 0 || !self.ends.out.stage(&taken) {
                at += 1;
                continue;
            }
            (conn.taken, conn.owes) = (0, false);
            self.owing.swap_remove(at);
        }
    }
}

impl Transport for Back {
    fn poll(&mut self, handler: &mut impl Handler, budget: usize, _now_ns: u64) -> usize {
        let mut left = budget;
        let mut work = 0;
        while left >= PARCEL_BYTES {
            let Some(parcel) = self.ends.inlet.pop() else { break };
            left -= PARCEL_BYTES;
            work += 1;
            self.take(&parcel, handler);
        }
        self.ask_for_more(handler);
        // Waiting for the ring, not for the peer.
        if !self.blocked.is_empty() && self.ends.out.has_room(UNSENT_MAX / PARCEL_BYTES) {
            for id in std::mem::take(&mut self.blocked) {
                if let Some(conn) = self.conn(id).filter(|conn| conn.unsent < UNSENT_MAX) {
                    conn.blocked = false;
                    handler.writable(id);
                } else {
                    self.blocked.push(id);
                }
            }
        }
        work
    }

    fn send(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        let Some(conn) = self.conns[id.index as usize].as_mut().filter(|conn| conn.id == id) else {
            return Err(Close);
        };
        let room = UNSENT_MAX - conn.unsent;
        let sent = stage_bytes(&mut self.ends.out, id, &bytes[..bytes.len().min(room)]);
        conn.unsent += sent;
        if sent < bytes.len() && !conn.blocked {
            conn.blocked = true;
            self.blocked.push(id);
        }
        Ok(sent)
    }

    fn flush(&mut self, _now_ns: u64) {
        while let Some(id) = self.closes.last() {
            if !self.ends.out.stage(&Parcel::new(Kind::Closed, *id)) {
                break;
            }
            self.closes.pop();
        }
        self.ends.out.publish();
    }

    fn close(&mut self, id: ConnId) {
        if self.conn(id).is_some() {
            self.conns[id.index as usize] = None;
            self.blocked.retain(|blocked| *blocked != id);
            self.closes.push(id);
        }
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn idle_us(&mut self) -> u32 {
        let quiet = self.blocked.is_empty() && self.closes.is_empty() && self.ends.out.is_drained();
        if quiet { u32::MAX } else { WAIT_US }
    }

    fn connections_max(&self) -> usize {
        self.conns.len()
    }

    fn closing(&mut self) -> usize {
        self.flush(0);
        self.closes.len()
    }

    fn counts(&mut self) -> Counts {
        [0; COUNTERS.len()]
    }
}
