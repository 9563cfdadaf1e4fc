//! Kernel sockets: TCP_NODELAY, non-blocking, found ready by edge-triggered epoll.
//!
//! The connections that were active last are also read without asking epoll first, so that an
//! order on an active connection costs one `recv` and one `send`. Idle connections cost nothing.

pub(crate) mod epoll;
mod info;
mod socket;
mod udp;

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;

use super::{COUNTERS, Close, ConnId, Counts, Handler, Look, PIECES, Transport, UNCONSUMED_MAX};
use epoll::{Epoll, Ready};

pub use udp::{Datagrams, listen_to, receive_stamped, stamp_arrivals};

/// Connections read without asking epoll first.
const HOT_MAX: usize = 8;
/// Empty reads after which a connection is no longer hot.
const HOT_EMPTY_READS: u32 = 20_000;
/// While some connections are hot, epoll is asked once in this many turns.
const EPOLL_EVERY: u32 = 32;
/// While so many connections are hot, it is looked whether reading them all is worth it.
const HOT_FEW: usize = 2;
/// Turns that epoll is asked in instead, if it was not.
const ASKED_TURNS: u32 = 64;
/// Bytes read from one connection in one turn.
const READ_MAX: usize = 16 * 1024;
/// Room kept for what a handler left: more than most messages.
const LEFT_BYTES: usize = 2048;
/// With less of the budget left than this, nothing more is read.
const READ_MIN: usize = 512;
/// New connections taken in one turn: whoever was there before waits for no more than these.
const ACCEPTS_MAX: usize = 4;
/// How long bytes that are not wanted yet are left alone by one who sleeps.
const PAUSE_US: u32 = 200;
/// Turns that a new connection waits for a place before somebody else's is taken.
const WAITS_MAX: u32 = 64;
/// Connections read in one turn beside the hot ones.
const READS_MAX: usize = 16;
/// Set on the epoll tokens of listeners.
const LISTENER: u64 = 1 << 63;

struct Conn {
    stream: TcpStream,
    /// What the handler left.
    left: Vec<u8>,
    hot: bool,
    empty_reads: u32,
    /// The last read filled its buffer: there may be more that epoll will not tell again.
    more: bool,
    /// On the list of those to read.
    listed: bool,
    /// Asked for, and not there yet.
    connecting: bool,
}

impl Conn {
    fn new(stream: TcpStream, left: Vec<u8>) -> Conn {
        Conn {
            stream,
            left,
            hot: false,
            empty_reads: 0,
            more: false,
            listed: false,
            connecting: false,
        }
    }
}

/// TCP over kernel sockets.
pub struct KernelTransport {
    epoll: Epoll,
    listeners: Vec<TcpListener>,
    /// Listeners that may have more connections than were taken.
    accepting: Vec<usize>,
    conns: Vec<Option<Conn>>,
    generations: Vec<u32>,
    free: Vec<u32>,
    hot: Vec<u32>,
    /// Connections to read in this turn beside the hot ones.
    ready: Vec<u32>,
    /// Connections that broke while sending; told in the next turn.
    broken: Vec<u32>,
    scratch: Box<[u8]>,
    turn: u32,
    /// Turns that epoll is still asked in instead of reading what is hot.
    asking: u32,
    /// Turns that a new connection has waited for a place.
    waited: u32,
    refused: u64,
}

impl KernelTransport {
    /// Listens on every address, in order.
    pub fn listen(addresses: &[SocketAddr], connections_max: usize) -> std::io::Result<Self> {
        let epoll = Epoll::new()?;
        let mut listeners = Vec::with_capacity(addresses.len());
        for (port, address) in addresses.iter().enumerate() {
            let listener = TcpListener::bind(address)
                .map_err(|e| std::io::Error::new(e.kind(), format!("listen on {address}: {e}")))?;
            listener.set_nonblocking(true)?;
            socket::deepen(&listener, connections_max)?;
            epoll.add(&listener, LISTENER | port as u64)?;
            listeners.push(listener);
        }
        Ok(KernelTransport {
            epoll,
            accepting: Vec::with_capacity(addresses.len()),
            listeners,
            conns: (0..connections_max).map(|_| None).collect(),
            generations: vec![0; connections_max],
            free: (0..connections_max as u32).rev().collect(),
            hot: Vec::with_capacity(HOT_MAX),
            ready: Vec::with_capacity(connections_max),
            broken: Vec::with_capacity(connections_max),
            scratch: vec![0; UNCONSUMED_MAX + READ_MAX].into_boxed_slice(),
            turn: 0,
            asking: 0,
            waited: 0,
            refused: 0,
        })
    }

    /// The addresses listened on, with the ports the system chose where 0 was asked for.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.generations[index as usize] }
    }

    fn conn(&mut self, conn: ConnId) -> Option<&mut Conn> {
        let same = *self.generations.get(conn.index as usize)? == conn.generation;
        self.conns[conn.index as usize].as_mut().filter(|_| same)
    }

    fn ask_epoll(&mut self, handler: &mut impl Handler, timeout_us: u32) -> usize {
        let ready = self.epoll.wait(timeout_us);
        for at in 0..ready {
            match self.epoll.ready(at) {
                Ready { token, .. } if token & LISTENER != 0 => {
                    let port = (token & !LISTENER) as usize;
                    if !self.accepting.contains(&port) {
                        self.accepting.push(port);
                    }
                }
                Ready { token, readable, writable } => {
                    let index = token as u32;
                    let Some(conn) = &mut self.conns[index as usize] else { continue };
                    if readable && !std::mem::replace(&mut conn.listed, true) {
                        self.ready.push(index);
                    }
                    let there = !conn.connecting || matches!(conn.stream.take_error(), Ok(None));
                    if writable && there {
                        conn.connecting = false;
                        handler.writable(self.id(index));
                    }
                }
            }
        }
        ready
    }

    /// Takes some of the connections that wait. The others are not forgotten: a storm of them is
    /// taken in over many turns, between which everybody else is served.
    fn accept(&mut self, handler: &mut impl Handler) -> usize {
        let mut count = 0;
        while let Some(&port) = self.accepting.last() {
            // No place is free, but others may be about to leave, or to say who they are.
            let wait = self.free.is_empty() && !self.ready.is_empty() && self.waited < WAITS_MAX;
            self.waited += u32::from(wait);
            if count == ACCEPTS_MAX || wait {
                self.accepting.rotate_right(1);
                break;
            }
            let Ok((stream, peer)) = self.listeners[port].accept() else {
                self.accepting.pop();
                continue;
            };
            (count, self.waited) = (count + 1, 0);
            if self.free.is_empty()
                && let Some(id) = handler.make_room()
            {
                self.lose(id.index, handler);
            }
            let Some(index) = self.free.pop() else {
                self.refused += 1;
                continue;
            };
            let ready =
                socket::prepare(&stream).and_then(|()| self.epoll.add(&stream, u64::from(index)));
            if ready.is_err() {
                self.free.push(index);
                continue;
            }
            let left = Vec::with_capacity(LEFT_BYTES);
            self.conns[index as usize] = Some(Conn::new(stream, left));
            handler.opened(self.id(index), port, peer.ip());
        }
        count
    }

    /// Reads one connection once, `most` bytes of it, and hands on what came. Returns the bytes
    /// read.
    fn read(&mut self, index: u32, handler: &mut impl Handler, most: usize) -> usize {
        let id = self.id(index);
        let Some(conn) = self.conns[index as usize].as_mut() else { return 0 };
        let most = most.min(handler.appetite(id));
        if most == 0 {
            conn.more = true;
            return 0;
        }
        let left = conn.left.len();
        let read = (&conn.stream).read(&mut self.scratch[left..left + most]);
        let count = match read {
            Ok(0) => {
                self.lose(index, handler);
                return 0;
            }
            Ok(count) => count,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                conn.more = false;
                conn.empty_reads += 1;
                return 0;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => return 0,
            Err(_) => {
                self.lose(index, handler);
                return 0;
            }
        };
        conn.more = count == most;
        conn.empty_reads = 0;
        self.scratch[..left].copy_from_slice(&conn.left);
        conn.left.clear();
        let bytes = &self.scratch[..left + count];
        let rest = handler.received(id, bytes).map(|consumed| &bytes[consumed..]);
        match rest {
            Ok(rest) if rest.len() <= UNCONSUMED_MAX => conn.left.extend_from_slice(rest),
            _ => self.lose(index, handler),
        }
        count
    }

    #[inline]
    fn write(
        &mut self,
        id: ConnId,
        write: impl FnOnce(&TcpStream) -> std::io::Result<usize>,
    ) -> Result<usize, Close> {
        let Some(conn) = self.conn(id) else { return Err(Close) };
        match write(&conn.stream) {
            Ok(count) => Ok(count),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            Err(_) => {
                self.broken.push(id.index);
                Err(Close)
            }
        }
    }

    /// Drops a connection and tells the handler.
    fn lose(&mut self, index: u32, handler: &mut impl Handler) {
        let id = self.id(index);
        self.drop_conn(index);
        handler.closed(id);
    }

    fn drop_conn(&mut self, index: u32) {
        let Some(conn) = self.conns[index as usize].take() else { return };
        self.generations[index as usize] += 1;
        self.free.push(index);
        if conn.hot {
            self.hot.retain(|hot| *hot != index);
        }
        if conn.listed {
            self.ready.retain(|ready| *ready != index);
        }
    }

    /// Reads what epoll found, up to the budget, `share` of it each; what read anything becomes hot.
    fn read_ready(
        &mut self,
        handler: &mut impl Handler,
        budget: &mut usize,
        share: usize,
    ) -> usize {
        let mut work = 0;
        let (mut at, mut left) = (0, self.ready.len().min(READS_MAX));
        while left > 0 && at < self.ready.len() && *budget >= READ_MIN {
            left -= 1;
            let index = self.ready[at];
            let count = self.read(index, handler, share.min(*budget));
            work += count;
            *budget -= count;
            if self.ready.get(at) != Some(&index) {
                continue;
            }
            match &mut self.conns[index as usize] {
                Some(conn) if conn.more => at += 1,
                conn => {
                    if let Some(conn) = conn.as_mut() {
                        conn.listed = false;
                        if count > 0 && !conn.hot && self.hot.len() < HOT_MAX {
                            conn.hot = true;
                            self.hot.push(index);
                        }
                    }
                    self.ready.swap_remove(at);
                }
            }
        }
        // Those that were not reached come first in the next turn.
        let reached = at.min(self.ready.len());
        self.ready.rotate_left(reached);
        work
    }

    /// Reads what is hot, or, while epoll is asked, only what may have more.
    fn read_hot(&mut self, handler: &mut impl Handler, budget: &mut usize, share: usize) -> usize {
        let mut work = 0;
        let (mut at, mut reads, mut brought) = (0, 0, 0);
        let asking = self.asking > 0;
        while at < self.hot.len() && *budget >= READ_MIN {
            let index = self.hot[at];
            if asking && self.conns[index as usize].as_ref().is_some_and(|conn| !conn.more) {
                at += 1;
                continue;
            }
            let count = self.read(index, handler, share.min(*budget));
            (reads, brought) = (reads + 1, brought + usize::from(count > 0));
            work += count;
            *budget -= count;
            if self.hot.get(at) != Some(&index) {
                continue;
            }
            match &mut self.conns[index as usize] {
                Some(conn) if conn.empty_reads < HOT_EMPTY_READS => at += 1,
                conn => {
                    if let Some(conn) = conn {
                        conn.hot = false;
                    }
                    self.hot.swap_remove(at);
                }
            }
        }
        // Some have much to say and most of the others nothing: one question is less than their reads.
        if !asking && reads > HOT_FEW && brought > 0 && 2 * brought < reads {
            self.asking = ASKED_TURNS;
        }
        // Nobody is always the first, whom the budget suffices for.
        if *budget < READ_MIN && !self.hot.is_empty() {
            self.hot.rotate_left(1);
        }
        work
    }
}

impl Transport for KernelTransport {
    fn poll(&mut self, handler: &mut impl Handler, budget: usize, _now_ns: u64) -> usize {
        let mut budget = budget;
        let mut work = 0;
        while let Some(index) = self.broken.pop() {
            if self.conns[index as usize].is_some() {
                self.lose(index, handler);
                work += 1;
            }
        }
        let readers = (self.hot.len() + self.ready.len()).max(1);
        let share = (budget / readers).clamp(READ_MIN, READ_MAX);
        work += self.read_hot(handler, &mut budget, share);
        self.turn = self.turn.wrapping_add(1);
        let asked = self.asking > 0;
        self.asking = self.asking.saturating_sub(1);
        if self.hot.is_empty()
            || asked
            || self.hot.len() == HOT_MAX
            || !self.accepting.is_empty()
            || self.turn.is_multiple_of(EPOLL_EVERY)
        {
            work += self.ask_epoll(handler, 0);
        }
        if !self.accepting.is_empty() {
            work += self.accept(handler);
        }
        if !self.ready.is_empty() {
            work += self.read_ready(handler, &mut budget, share);
        }
        work
    }

    fn send(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        self.write(id, |mut stream| stream.write(bytes))
    }

    fn send_pieces(&mut self, id: ConnId, pieces: &[&[u8]; PIECES]) -> Result<usize, Close> {
        match pieces {
            [only, [], ..] => self.send(id, only),
            all => self.write(id, |stream| socket::send_all_of(stream, &all.map(IoSlice::new))),
        }
    }

    fn close(&mut self, id: ConnId) {
        if self.conn(id).is_some() {
            self.drop_conn(id.index);
        }
    }

    fn connect(&mut self, to: SocketAddr) -> Option<ConnId> {
        let stream = socket::connect(to).ok()?;
        let index = self.free.pop()?;
        let ready =
            socket::prepare(&stream).and_then(|()| self.epoll.add(&stream, u64::from(index)));
        if ready.is_err() {
            self.free.push(index);
            return None;
        }
        let conn = Conn { connecting: true, ..Conn::new(stream, Vec::with_capacity(LEFT_BYTES)) };
        self.conns[index as usize] = Some(conn);
        Some(self.id(index))
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        Some(self.epoll.as_fd())
    }

    fn idle_us(&mut self) -> u32 {
        let more = |index: &u32| self.conns[*index as usize].as_ref().is_some_and(|conn| conn.more);
        let waits = !self.ready.is_empty()
            || !self.broken.is_empty()
            || !self.accepting.is_empty()
            || self.hot.iter().any(more);
        if waits { PAUSE_US } else { u32::MAX }
    }

    fn connections_max(&self) -> usize {
        self.conns.len()
    }

    fn look(&mut self, id: ConnId) -> Option<Look> {
        info::look(&self.conn(id)?.stream).ok()
    }

    fn counts(&mut self) -> Counts {
        let mut counts = [0; COUNTERS.len()];
        counts[0] = self.refused;
        counts
    }
}
