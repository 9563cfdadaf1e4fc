//! What the handler is told, and the bytes it is given.

use smoltcp::socket::tcp::State;

use super::super::{Close, ConnId, Handler, UNCONSUMED_MAX};
use super::conn::{Conn, Phase};
use super::stack::Stack;

/// What a message across a buffer's end is first looked at in: more than most have.
const WRAPPED_BYTES: usize = 2048;

/// With less of the budget left than this, nothing more is handed over.
const READ_MIN: usize = 512;

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

impl Stack {
    /// Tells the handler what happened to the connections that were touched. Returns how much
    /// was done.
    #[inline]
    pub fn deliver(&mut self, handler: &mut impl Handler, budget: usize) -> usize {
        let mut budget = budget;
        let mut work = 0;
        while let Some(index) = self.paused.pop() {
            self.touch(index);
        }
        std::mem::swap(&mut self.touched, &mut self.telling);
        for at in 0..self.telling.len() {
            let index = self.telling[at];
            self.conns[index as usize].touched = false;
            work += self.tell(index, handler, &mut budget);
        }
        self.telling.clear();
        work
    }

    fn tell(&mut self, index: u32, handler: &mut impl Handler, budget: &mut usize) -> usize {
        let now_us = self.now_us();
        let conn = &mut self.conns[index as usize];
        let id = ConnId { index, generation: conn.generation };
        match conn.phase {
            Phase::Free => return 0,
            Phase::Closing => {
                conn.discard();
                return 0;
            }
            Phase::New => {
                if conn.state() == State::SynReceived {
                    return 0;
                }
                conn.begin();
                handler.opened(id, conn.port, conn.tuple.remote.0.into());
            }
            Phase::Open => {}
        }
        let before = *budget;
        let over = match conn.hand_over(id, handler, budget) {
            Taken::Closed => true,
            Taken::Paused => {
                self.paused.push(index);
                return before - *budget;
            }
            // More than is read at once comes again.
            Taken::Budget => {
                self.touch(index);
                return before - *budget;
            }
            Taken::All | Taken::Part => match conn.state() {
                State::Established => false,
                // Closed by the peer, and what of a message is there will never be whole.
                _ => true,
            },
        };
        if over {
            handler.closed(id);
            conn.close(now_us);
            conn.discard();
            self.pend(index);
        } else if conn.blocked && conn.socket().send_queue() < conn.socket().send_capacity() {
            conn.blocked = false;
            handler.writable(id);
        }
        1 + before - *budget
    }
}

impl Conn {
    /// Gives the handler the received bytes where they lie in the socket's buffer; only what
    /// wraps round the buffer's end is copied.
    #[inline]
    fn hand_over(&mut self, id: ConnId, handler: &mut impl Handler, budget: &mut usize) -> Taken {
        loop {
            let queue = self.socket().recv_queue();
            if queue == 0 {
                return Taken::All;
            }
            if *budget < READ_MIN {
                return Taken::Budget;
            }
            let most = (*budget).min(handler.appetite(id));
            if most == 0 {
                return Taken::Paused;
            }
            let received = self.socket().recv(|bytes| {
                let piece = &bytes[..bytes.len().min(most)];
                let result = handler.received(id, piece);
                (result.unwrap_or(0), (piece.len(), piece.len() < bytes.len(), result))
            });
            let Ok((piece, cut, Ok(done))) = received else { return Taken::Closed };
            self.count_taken(done);
            *budget -= done;
            if done == piece {
                continue;
            }
            if piece - done > UNCONSUMED_MAX {
                return Taken::Closed;
            }
            if cut {
                return Taken::Budget;
            }
            if piece == queue {
                return self.part(queue);
            }
            let taken = match self.hand_over_wrapped::<WRAPPED_BYTES>(id, handler, budget) {
                None => self.hand_over_wrapped::<{ 2 * UNCONSUMED_MAX }>(id, handler, budget),
                taken => taken,
            };
            match taken.unwrap_or(Taken::Closed) {
                Taken::All => {}
                other => return other,
            }
        }
    }

    /// Part of a message was left; one that fills the whole buffer will never be more.
    fn part(&mut self, queue: usize) -> Taken {
        if queue == self.socket().recv_capacity() { Taken::Closed } else { Taken::Part }
    }

    /// A message that lies across the buffer's end, seen as far as `N` bytes go; nothing if they do
    /// not suffice.
    #[cold]
    fn hand_over_wrapped<const N: usize>(
        &mut self,
        id: ConnId,
        handler: &mut impl Handler,
        budget: &mut usize,
    ) -> Option<Taken> {
        let mut whole = [0; N];
        let most = whole.len().min(*budget);
        let queue = self.socket().recv_queue();
        let length = self.socket().peek_slice(&mut whole[..most]).unwrap_or(0);
        let taken = match handler.received(id, &whole[..length]) {
            Err(Close) => Taken::Closed,
            Ok(0) if length == queue => self.part(queue),
            Ok(0) if length == whole.len() => return None,
            Ok(0) => Taken::Budget,
            Ok(done) => {
                self.take(done);
                *budget -= done;
                Taken::All
            }
        };
        Some(taken)
    }
}
