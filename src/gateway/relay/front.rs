//! The end with the transport.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use super::{CREDIT_BYTES, Ends, Kind, PARCEL_BYTES, PARCELS, Parcel, WAIT_US, stage_bytes};
use crate::net::{Close, ConnId, Counts, Handler, Look, PIECES, Transport};
use crate::ring::Producer;

/// Connections that one turn may read, at most; each may leave part of a parcel empty.
const READS_MAX: usize = 256;
/// Parcels kept free for what is not bytes: every connection may end at once.
const SPARE: usize = PARCELS / 8;

/// A connection that a back has.
struct Relayed {
    id: ConnId,
    back: usize,
    /// Bytes that the back may still be given.
    credit: usize,
    /// Given to send and not yet taken by the transport.
    unsent: VecDeque<u8>,
    /// To be closed once everything is sent.
    closing: bool,
    /// On the list of those with something new to send.
    touched: bool,
}

/// A transport that passes the connections of some ports on.
pub struct Front<T> {
    pub(super) inner: T,
    backs: Vec<Ends>,
    /// Which ports' connections are passed on.
    ports: Vec<bool>,
    conns: Vec<Option<Relayed>>,
    /// What the backs have yet to be told, because a ring was full.
    late: Vec<VecDeque<Parcel>>,
    next_back: usize,
    closing: usize,
    /// Connections with something new to send.
    touched: Vec<ConnId>,
}

impl<T> Front<T> {
    /// The rings to the backs, in order.
    pub fn rings(&mut self) -> impl Iterator<Item = &mut Producer<Parcel>> {
        self.backs.iter_mut().map(|back| &mut back.out)
    }
}

impl<T: Transport> Front<T> {
    /// Passes the connections of `ports` on to `backs`, in turn.
    pub fn new(inner: T, ports: Vec<bool>, backs: Vec<Ends>) -> Front<T> {
        let conns = (0..inner.connections_max()).map(|_| None).collect();
        let late = backs.iter().map(|_| VecDeque::new()).collect();
        Front { inner, backs, ports, conns, late, next_back: 0, closing: 0, touched: vec![] }
    }

    /// Room for bytes in the fullest ring.
    fn room(&mut self) -> usize {
        let free = self.backs.iter_mut().map(|back| back.out.free()).min().unwrap_or(0);
        free.saturating_sub(READS_MAX + SPARE) * PARCEL_BYTES
    }

    /// Does what the backs ask for. Returns how much that was.
    fn serve(&mut self) -> usize {
        let mut work = 0;
        for back in 0..self.backs.len() {
            while self.late[back].front().is_some_and(|parcel| self.backs[back].out.stage(parcel)) {
                self.late[back].pop_front();
            }
            while let Some(parcel) = self.backs[back].inlet.pop() {
                work += 1;
                self.take(&parcel);
            }
            self.backs[back].out.publish();
        }
        // All that came for a connection goes in one piece.
        while let Some(id) = self.touched.pop() {
            self.send_rest(id);
        }
        work
    }

    fn take(&mut self, parcel: &Parcel) {
        let id = parcel.conn;
        let conn = self.conns[id.index as usize].as_mut().filter(|conn| conn.id == id);
        let Some(conn) = conn else { return };
        if parcel.kind == Kind::Taken {
            conn.credit += parcel.number as usize;
            return;
        }
        if parcel.kind == Kind::Closed {
            conn.closing = true;
            self.closing += 1;
        } else {
            conn.unsent.extend(parcel.text());
        }
        if !std::mem::replace(&mut conn.touched, true) {
            self.touched.push(id);
        }
    }

    /// Sends what is unsent, and closes a connection that has no more to send.
    fn send_rest(&mut self, id: ConnId) {
        let Some(conn) = self.conns[id.index as usize].as_mut().filter(|conn| conn.id == id) else {
            return;
        };
        conn.touched = false;
        let mut sent = 0;
        while let (head, _) = conn.unsent.as_slices()
            && !head.is_empty()
        {
            // A connection that is gone takes nothing, and is told of soon.
            match self.inner.send(id, head) {
                Ok(0) | Err(Close) => break,
                Ok(count) => {
                    conn.unsent.drain(..count);
                    sent += count;
                }
            }
        }
        let over = conn.closing && conn.unsent.is_empty();
        self.tell_sent(id, sent);
        if over {
            self.conns[id.index as usize] = None;
            self.closing -= 1;
            self.inner.close(id);
        }
    }

    fn tell_sent(&mut self, id: ConnId, count: usize) {
        if count == 0 {
            return;
        }
        let Some(conn) = &self.conns[id.index as usize] else { return };
        let parcel = Parcel { number: count as u32, ..Parcel::new(Kind::Sent, id) };
        tell(&mut self.backs[conn.back], &mut self.late[conn.back], &parcel);
    }
}

/// Leaves a parcel that must not be lost.
fn tell(back: &mut Ends, late: &mut VecDeque<Parcel>, parcel: &Parcel) {
    if !late.is_empty() || !back.out.stage(parcel) {
        late.push_back(*parcel);
    }
}

/// Tells the handler what is its own, and the backs what is theirs.
struct Split<'a, H> {
    handler: &'a mut H,
    backs: &'a mut [Ends],
    late: &'a mut [VecDeque<Parcel>],
    ports: &'a [bool],
    conns: &'a mut [Option<Relayed>],
    next_back: &'a mut usize,
    closing: &'a mut usize,
    /// Relayed connections that can take more.
    writable: Vec<ConnId>,
}

impl<H> Split<'_, H> {
    fn relayed(&self, id: ConnId) -> Option<usize> {
        let conn = self.conns[id.index as usize].as_ref().filter(|conn| conn.id == id);
        conn.map(|conn| conn.back)
    }
}

impl<H: Handler> Handler for Split<'_, H> {
    fn opened(&mut self, id: ConnId, port: usize, peer: IpAddr) {
        if !self.ports[port] {
            return self.handler.opened(id, port, peer);
        }
        let back = *self.next_back;
        *self.next_back = (back + 1) % self.backs.len();
        let credit = CREDIT_BYTES;
        let unsent = VecDeque::new();
        let conn = Relayed { id, back, credit, unsent, closing: false, touched: false };
        self.conns[id.index as usize] = Some(conn);
        let parcel = Parcel { number: port as u32, peer, ..Parcel::new(Kind::Opened, id) };
        tell(&mut self.backs[back], &mut self.late[back], &parcel);
    }

    #[inline]
    fn received(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        match self.relayed(id) {
            None => self.handler.received(id, bytes),
            // Not before the Opened. What is left comes again.
            Some(back) if !self.late[back].is_empty() => Ok(0),
            Some(back) => {
                let conn = self.conns[id.index as usize].as_mut().expect("found above");
                let wanted = &bytes[..bytes.len().min(conn.credit)];
                let staged = stage_bytes(&mut self.backs[back].out, id, wanted);
                conn.credit -= staged;
                Ok(staged)
            }
        }
    }

    fn appetite(&mut self, id: ConnId) -> usize {
        match &self.conns[id.index as usize] {
            Some(conn) if conn.id == id => conn.credit,
            _ => self.handler.appetite(id),
        }
    }

    fn make_room(&mut self) -> Option<ConnId> {
        self.handler.make_room()
    }

    fn writable(&mut self, id: ConnId) {
        match self.relayed(id) {
            None => self.handler.writable(id),
            Some(_) => self.writable.push(id),
        }
    }

    fn closed(&mut self, id: ConnId) {
        let Some(back) = self.relayed(id) else { return self.handler.closed(id) };
        let gone = self.conns[id.index as usize].take();
        match gone {
            // It was the back's wish.
            Some(conn) if conn.closing => *self.closing -= 1,
            _ => {
                let parcel = Parcel::new(Kind::Closed, id);
                tell(&mut self.backs[back], &mut self.late[back], &parcel);
            }
        }
    }
}

impl<T: Transport> Transport for Front<T> {
    fn poll(&mut self, handler: &mut impl Handler, budget: usize, now_ns: u64) -> usize {
        let served = self.serve();
        let budget = budget.min(self.room());
        let Front { inner, backs, late, ports, conns, next_back, closing, .. } = self;
        let writable = Vec::new();
        let mut split = Split { handler, backs, late, ports, conns, next_back, closing, writable };
        let work = inner.poll(&mut split, budget, now_ns);
        let writable = split.writable;
        for id in writable {
            self.send_rest(id);
        }
        self.backs.iter_mut().for_each(|back| back.out.publish());
        served + work
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        self.inner.send(conn, bytes)
    }

    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]; PIECES]) -> Result<usize, Close> {
        self.inner.send_pieces(conn, pieces)
    }

    fn flush(&mut self, now_ns: u64) {
        self.serve();
        self.inner.flush(now_ns);
    }

    fn close(&mut self, conn: ConnId) {
        self.inner.close(conn);
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        self.inner.wakes_by()
    }

    fn idle_us(&mut self) -> u32 {
        let told = self.late.iter().all(VecDeque::is_empty);
        let quiet = told && self.backs.iter_mut().all(|back| back.out.is_drained());
        self.inner.idle_us().min(if quiet { u32::MAX } else { WAIT_US })
    }

    fn connections_max(&self) -> usize {
        self.inner.connections_max()
    }

    fn closing(&mut self) -> usize {
        self.serve();
        self.inner.closing() + self.closing
    }

    fn frame(&mut self, frame: &[u8]) -> bool {
        self.inner.frame(frame)
    }

    fn look(&mut self, conn: ConnId) -> Option<Look> {
        self.inner.look(conn)
    }

    fn counts(&mut self) -> Counts {
        self.inner.counts()
    }
}
