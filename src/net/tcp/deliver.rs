//! What the handler is told, and the bytes it is given.

use super::super::{Close, ConnId, Handler, UNCONSUMED_MAX};
use super::conn::{Conn, Phase};
use super::stack::Stack;

/// With less of the budget left than this, nothing more is handed over.
const READ_MIN: usize = 512;

/// Who is told in this turn, and how many bytes more it is given.
pub(super) struct Sink<'a, H> {
    handler: &'a mut H,
    budget: usize,
}

/// How a connection's bytes were taken.
enum Taken {
    /// All there were.
    All,
    /// Up to a piece of a message that waits for its rest.
    Part,
    /// As many as the budget allowed.
    Budget,
    /// None, for now: the handler wants to wait.
    Paused,
    /// The handler is done with the connection.
    Closed,
}

impl<'a, H: Handler> Sink<'a, H> {
    pub fn new(handler: &'a mut H, budget: usize) -> Sink<'a, H> {
        Sink { handler, budget }
    }

    /// How many bytes of a connection may be handed over now.
    #[inline]
    fn most(&mut self, id: ConnId) -> usize {
        if self.budget < READ_MIN { 0 } else { self.budget.min(self.handler.appetite(id)) }
    }

    #[inline]
    fn give(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        let done = self.handler.received(id, bytes)?;
        self.budget -= done;
        if bytes.len() - done > UNCONSUMED_MAX { Err(Close) } else { Ok(done) }
    }

    /// A connection is there.
    pub fn opened(&mut self, id: ConnId, conn: &Conn) {
        self.handler.opened(id, conn.port, conn.tuple.remote.0.to_canonical());
    }
}

impl Stack {
    /// Hands a payload over where it lies in the driver's frame.
    #[inline]
    pub(super) fn hand_over_in_place<H: Handler>(
        &mut self,
        index: u32,
        payload: &[u8],
        sink: &mut Sink<'_, H>,
    ) {
        let conn = &mut self.conns[index as usize];
        let id = ConnId { index, generation: conn.generation };
        let piece = &payload[..payload.len().min(sink.most(id))];
        let done = if piece.is_empty() { Ok(0) } else { sink.give(id, piece) };
        match done {
            // What is left waits where it can be gone on with.
            Ok(done) => {
                let left = &payload[done..];
                conn.receiver.pass(payload.len(), left);
                if piece.len() < payload.len() {
                    self.touch(index);
                } else if left.len() == conn.receiver.capacity() {
                    self.end(index, sink);
                }
            }
            Err(Close) => {
                conn.receiver.pass(payload.len(), &[]);
                self.end(index, sink);
            }
        }
    }

    /// Tells the handler what happened to the connections that were touched. Returns how much
    /// was done.
    #[inline]
    pub fn deliver<H: Handler>(&mut self, sink: &mut Sink<'_, H>) -> usize {
        let mut work = 0;
        while let Some(index) = self.paused.pop() {
            self.touch(index);
        }
        std::mem::swap(&mut self.touched, &mut self.telling);
        for at in 0..self.telling.len() {
            let index = self.telling[at];
            self.conns[index as usize].touched = false;
            work += self.tell(index, sink);
        }
        self.telling.clear();
        work
    }

    fn tell<H: Handler>(&mut self, index: u32, sink: &mut Sink<'_, H>) -> usize {
        let conn = &mut self.conns[index as usize];
        if conn.phase != Phase::Open {
            return 0;
        }
        let id = ConnId { index, generation: conn.generation };
        let before = sink.budget;
        let taken = conn.hand_over(id, sink);
        conn.taken();
        let work = before - sink.budget;
        if conn.owes_ack() {
            self.pend(index);
        }
        let conn = &mut self.conns[index as usize];
        match taken {
            Taken::Closed => self.end(index, sink),
            Taken::Paused => {
                self.paused.push(index);
                return work;
            }
            // More than is read at once comes again.
            Taken::Budget => {
                self.touch(index);
                return work;
            }
            // Closed by the peer, and what of a message is there will never be whole.
            Taken::All | Taken::Part if conn.is_over() => self.end(index, sink),
            Taken::All | Taken::Part => {
                if conn.blocked && conn.sender.room() > 0 {
                    conn.blocked = false;
                    sink.handler.writable(id);
                }
            }
        }
        1 + work
    }

    /// Tells the handler that a connection is gone, and brings it to its end.
    #[cold]
    fn end<H: Handler>(&mut self, index: u32, sink: &mut Sink<'_, H>) {
        let now_us = self.now_us();
        let conn = &mut self.conns[index as usize];
        sink.handler.closed(ConnId { index, generation: conn.generation });
        conn.close(now_us);
        self.pend(index);
    }
}

impl Conn {
    /// Gives the handler the bytes that were kept.
    #[inline]
    fn hand_over<H: Handler>(&mut self, id: ConnId, sink: &mut Sink<'_, H>) -> Taken {
        loop {
            let kept = self.receiver.kept();
            if kept.is_empty() {
                return Taken::All;
            }
            if sink.budget < READ_MIN {
                return Taken::Budget;
            }
            let most = sink.most(id);
            if most == 0 {
                return Taken::Paused;
            }
            let piece = &kept[..kept.len().min(most)];
            let (whole, cut) = (piece.len(), piece.len() < kept.len());
            let Ok(done) = sink.give(id, piece) else { return Taken::Closed };
            self.receiver.take(done);
            if done == whole {
                continue;
            }
            if cut {
                return Taken::Budget;
            }
            // One that fills the whole buffer will never be more.
            let full = self.receiver.kept().len() == self.receiver.capacity();
            return if full { Taken::Closed } else { Taken::Part };
        }
    }
}
