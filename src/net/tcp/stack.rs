//! The connections, and the way of a frame to one of them.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::super::frames::{BURST, Capabilities, FrameDriver};
use super::super::packet::icmp::{self, TooBig};
use super::super::packet::write::{BARE_BYTES_MAX, Bare, bare};
use super::super::packet::{
    Dropped, End, LINK_BYTES_MAX, Link, SCALE_MAX, Segment, end_of, flags, host, parse,
};
use super::super::{Close, ConnId, Handler, STACK_COUNTERS};
use super::conn::{Agreed, Arrival, Conn, Phase, Sizes, State};
use super::cookie::Cookies;
use super::deliver::Sink;
use super::sender::Again;
use super::table::Table;
use super::timers::Timers;

/// How long a connection whose bytes are not wanted is left alone by one who sleeps.
const PAUSE_US: u32 = 200;
/// Such frames in one turn; a frame that came in asks for one at most.
const REPLIES_MAX: usize = BURST;

macro_rules! counts {
    ($($field:ident),* $(,)?) => {
        /// What the stack counts, in the order of [`STACK_COUNTERS`].
        #[derive(Default)]
        pub(super) struct Counts { $(pub $field: u64),* }
        impl Counts {
            pub fn in_order(&self) -> [u64; STACK_COUNTERS.len()] {
                [$(self.$field),*]
            }
        }
    };
}

counts! {
    refused, foreign, malformed, fragments, checksums, syns, admitted, unknown,
    resets_in, resets_ignored, resets_out, replies_lost,
    sent_again, probes, needless, timeouts, closed_windows, challenges, too_long,
}

impl Counts {
    #[cold]
    fn count(&mut self, again: &Again) {
        self.sent_again += u64::from(again.segments);
        self.probes += u64::from(again.probes);
        self.needless += u64::from(again.needless);
        self.timeouts += u64::from(again.timeouts);
        self.closed_windows += u64::from(again.closed_windows);
    }
}

struct Reply {
    frame: [u8; BARE_BYTES_MAX],
    len: usize,
}

/// Answers of the host's that one turn may have.
const HOST_REPLIES_MAX: usize = 16;

/// Frames of any length, as many as fit.
struct HostReplies {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl HostReplies {
    fn new(capabilities: &Capabilities) -> HostReplies {
        let count = if capabilities.answers_as.is_some() { HOST_REPLIES_MAX } else { 0 };
        let bytes = Vec::with_capacity(count * (LINK_BYTES_MAX + capabilities.mtu));
        HostReplies { bytes, lengths: Vec::with_capacity(count) }
    }

    /// False if there is no room.
    fn keep(&mut self, frame: &[u8]) -> bool {
        let fits = self.lengths.len() < self.lengths.capacity()
            && self.bytes.capacity() - self.bytes.len() >= frame.len();
        if fits {
            self.bytes.extend_from_slice(frame);
            self.lengths.push(frame.len());
        }
        fits
    }

    fn send(&mut self, driver: &mut impl FrameDriver) {
        if self.lengths.is_empty() {
            return;
        }
        let (mut at, room) = (0, driver.room());
        for &length in self.lengths.iter().take(room) {
            driver.transmit(length, |frame| frame.copy_from_slice(&self.bytes[at..at + length]));
            at += length;
        }
        self.bytes.clear();
        self.lengths.clear();
    }
}

pub(super) struct Stack {
    pub(super) conns: Vec<Conn>,
    pub(super) listen: Vec<End>,
    pub(super) table: Table,
    pub(super) free: Vec<u32>,
    /// In TIME-WAIT, oldest first, with the generation they had.
    time_wait: VecDeque<(u32, u32)>,
    pub(super) cookies: Cookies,
    timers: Timers,
    /// Connections with something to tell the handler.
    pub(super) touched: Vec<u32>,
    /// Connections whose bytes the handler does not want yet.
    pub(super) paused: Vec<u32>,
    /// Those being told now.
    pub(super) telling: Vec<u32>,
    /// Connections that may have something to send.
    pending: Vec<u32>,
    /// Those being sent for now.
    sending: Vec<u32>,
    replies: Vec<Reply>,
    /// Answers of the host's to be sent at the end of the turn.
    host: HostReplies,
    capabilities: Capabilities,
    sizes: Sizes,
    /// Time that never goes back: Unix time, plus what that went back by.
    time_ns: u64,
    behind_ns: u64,
    pub(super) counts: Counts,
}

impl Stack {
    pub fn new(
        listen: &[SocketAddr],
        connections_max: usize,
        sizes: Sizes,
        capabilities: Capabilities,
    ) -> Stack {
        Stack {
            conns: (0..connections_max).map(|_| Conn::new(&sizes)).collect(),
            listen: listen.iter().copied().map(end_of).collect(),
            table: Table::new(connections_max),
            free: (0..connections_max as u32).rev().collect(),
            time_wait: VecDeque::with_capacity(connections_max),
            cookies: Cookies::new(),
            timers: Timers::new(connections_max),
            touched: Vec::with_capacity(connections_max),
            telling: Vec::with_capacity(connections_max),
            paused: Vec::with_capacity(connections_max),
            pending: Vec::with_capacity(connections_max),
            sending: Vec::with_capacity(connections_max),
            replies: Vec::with_capacity(REPLIES_MAX),
            host: HostReplies::new(&capabilities),
            capabilities,
            sizes,
            time_ns: 0,
            behind_ns: 0,
            counts: Counts::default(),
        }
    }

    /// Sets the time. A clock that is set back does not hold up what waits for it.
    pub fn set_time(&mut self, now_ns: u64) {
        if now_ns + self.behind_ns < self.time_ns {
            self.behind_ns = self.time_ns - now_ns;
        }
        self.time_ns = now_ns + self.behind_ns;
    }

    pub(super) fn now_us(&self) -> u64 {
        self.time_ns / 1000
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.time_ns
    }

    /// Whether no kernel answers beside this.
    pub(super) fn answers_as_host(&self) -> bool {
        self.capabilities.answers_as.is_some()
    }

    pub(super) fn mtu(&self) -> usize {
        self.capabilities.mtu
    }

    /// The window a connection begins with, which is never scaled (RFC 7323, 2.2).
    pub(super) fn window(&self) -> u16 {
        u16::try_from(self.sizes.receive).unwrap_or(u16::MAX)
    }

    /// How far the windows told later are shifted.
    pub(super) fn scale(&self) -> u8 {
        let fits = |shift: &u8| self.sizes.receive >> shift <= u16::MAX.into();
        (0..SCALE_MAX).find(fits).unwrap_or(SCALE_MAX)
    }

    pub fn connections(&self) -> usize {
        self.conns.len() - self.free.len()
    }

    pub fn next_due_ns(&self) -> Option<u64> {
        if !self.pending.is_empty() || !self.touched.is_empty() || !self.paused.is_empty() {
            return Some(self.time_ns.saturating_sub(self.behind_ns));
        }
        self.timers.next_us().map(|at| (at * 1000).saturating_sub(self.behind_ns))
    }

    /// Microseconds until something is due without a frame coming in.
    pub fn idle_us(&self) -> u32 {
        if !self.touched.is_empty() || !self.pending.is_empty() {
            return 0;
        }
        // A pause ends without a frame.
        let most = if self.paused.is_empty() { u32::MAX } else { PAUSE_US };
        let left = self.timers.next_us().map_or(u64::MAX, |at| at.saturating_sub(self.now_us()));
        u32::try_from(left).unwrap_or(u32::MAX).min(most)
    }

    /// One frame from the driver.
    #[inline]
    pub fn receive<H: Handler>(&mut self, frame: &mut [u8], sink: &mut Sink<'_, H>) {
        let segment = match parse(frame) {
            Ok(segment) => segment,
            Err(Dropped::Foreign) => return self.no_segment(frame),
            Err(Dropped::Fragment) => return self.counts.fragments += 1,
            Err(_) => return self.counts.malformed += 1,
        };
        if self.capabilities.answers_as.is_some_and(|mac| frame[..6] != mac) {
            return self.counts.foreign += 1;
        }
        if !self.capabilities.verifies_checksums && !segment.checksums_are_right(frame) {
            self.counts.checksums += 1;
            return;
        }
        let link = Link::answering(&frame[..segment.ip]);
        let is = |index: u32| self.conns[index as usize].tuple == segment.tuple;
        match self.table.find(&segment.tuple, is) {
            Some(index) => self.known(index, &segment, link, frame, sink),
            None => self.stranger(&segment, link, frame, sink),
        }
    }

    /// What a router says of a segment; what is asked of a host, where this is all of it there is.
    #[cold]
    fn no_segment(&mut self, frame: &mut [u8]) {
        if let Some(told) = icmp::too_big(frame) {
            return self.narrow(&told);
        }
        let ours = |address| self.listen.iter().any(|listen| listen.0 == address);
        let mac = self.capabilities.answers_as;
        match mac.and_then(|mac| host::answer(frame, mac, ours)) {
            Some(length) => {
                self.counts.replies_lost += u64::from(!self.host.keep(&frame[..length]))
            }
            None => self.counts.foreign += 1,
        }
    }

    fn narrow(&mut self, told: &TooBig) {
        let is = |index: u32| self.conns[index as usize].tuple == told.tuple;
        let found = self.table.find(&told.tuple, is);
        match found.filter(|index| self.conns[*index as usize].narrow(told)) {
            Some(index) => {
                self.counts.too_long += 1;
                self.pend(index);
            }
            None => self.counts.foreign += 1,
        }
    }

    /// A segment of a connection.
    #[inline]
    pub(super) fn known<H: Handler>(
        &mut self,
        index: u32,
        segment: &Segment,
        link: Link,
        frame: &[u8],
        sink: &mut Sink<'_, H>,
    ) {
        if segment.flags & (flags::SYN | flags::RST) != 0 {
            return self.known_by_control(index, segment, link, frame, sink);
        }
        let now_us = self.now_us();
        let conn = &mut self.conns[index as usize];
        // The neighbour that frames come by may change, but not for a guess.
        if conn.link != link && conn.is_of_the_peer(segment) {
            conn.link = link;
        }
        match conn.arrive(segment, frame, now_us) {
            Arrival::InPlace => {
                let payload = &frame[segment.payload..segment.end];
                self.hand_over_in_place(index, payload, sink);
            }
            Arrival::Kept => self.touch(index),
            Arrival::Challenge => self.challenge(index),
            Arrival::Nothing => {}
        }
        let conn = &self.conns[index as usize];
        if conn.blocked || conn.state != State::Established {
            self.after_its_end(index);
        }
        self.pend(index);
    }

    /// What follows from a segment of a connection that waits or ends.
    #[cold]
    fn after_its_end(&mut self, index: u32) {
        self.touch(index);
        let conn = &mut self.conns[index as usize];
        if conn.phase == Phase::Closing && !conn.waits && conn.state == State::TimeWait {
            conn.waits = true;
            let stale = |(index, generation): &(u32, u32)| {
                self.conns[*index as usize].generation != *generation
            };
            while self.time_wait.front().is_some_and(stale) {
                self.time_wait.pop_front();
            }
            let generation = self.conns[index as usize].generation;
            self.time_wait.push_back((index, generation));
        }
    }

    /// A connection begins with the segment that acknowledges its SYN-ACK.
    pub(super) fn begin<H: Handler>(
        &mut self,
        index: u32,
        segment: &Segment,
        agreed: &Agreed,
        link: Link,
        port: usize,
        sink: &mut Sink<'_, H>,
    ) {
        let now_us = self.now_us();
        let conn = &mut self.conns[index as usize];
        (conn.tuple, conn.link, conn.port) = (segment.tuple, link, port);
        conn.open(segment, agreed, &self.sizes, now_us);
        sink.opened(ConnId { index, generation: conn.generation }, conn);
    }

    /// SYN and RST for a connection: RFC 5961, sections 3 and 4.
    fn known_by_control<H: Handler>(
        &mut self,
        index: u32,
        segment: &Segment,
        link: Link,
        frame: &[u8],
        sink: &mut Sink<'_, H>,
    ) {
        let conn = &mut self.conns[index as usize];
        if segment.has(flags::SYN) {
            // A port used again before its last connection's end was forgotten here.
            if conn.waits && !segment.has(flags::ACK) && !segment.has(flags::RST) {
                self.forget(index);
                return self.stranger(segment, link, frame, sink);
            }
            return self.challenge(index);
        }
        let expected = conn.receiver.next();
        if segment.seq == expected {
            self.counts.resets_in += 1;
            conn.broken();
            self.touch(index);
            return self.pend(index);
        }
        self.counts.resets_ignored += 1;
        if conn.receiver.accepts(segment.seq, 1) {
            self.challenge(index);
        }
    }

    /// Tells the peer where this side stands; a peer that is no longer there answers with a
    /// reset that is right. No more often than RFC 5961, 7, allows.
    #[cold]
    fn challenge(&mut self, index: u32) {
        let now_us = self.now_us();
        let conn = &mut self.conns[index as usize];
        if conn.may_challenge(now_us) {
            self.counts.challenges += 1;
            conn.owe_ack();
            self.pend(index);
        }
    }

    /// Keeps a segment without payload to be sent at the end of the turn.
    pub(super) fn reply(&mut self, link: &Link, segment: &Bare) {
        if self.replies.len() == REPLIES_MAX {
            self.counts.replies_lost += 1;
            return;
        }
        let mut reply = Reply { frame: [0; BARE_BYTES_MAX], len: 0 };
        reply.len = bare(link, segment, &mut reply.frame);
        self.replies.push(reply);
    }

    #[inline]
    pub(super) fn touch(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        if !conn.touched {
            conn.touched = true;
            self.touched.push(index);
        }
    }

    #[inline]
    pub(super) fn pend(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        if !conn.pending {
            conn.pending = true;
            self.pending.push(index);
        }
    }

    /// Looks at connections whose deadline has come.
    pub fn wake_due(&mut self) {
        let now_us = self.now_us();
        while let Some(index) = self.timers.due(now_us) {
            if self.conns[index as usize].on_time(now_us) {
                self.touch(index);
            }
            self.pend(index);
        }
    }

    /// The handler's connection, if it still is.
    pub(super) fn open_conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(id.index as usize)?;
        (conn.generation == id.generation && conn.phase == Phase::Open).then_some(conn)
    }

    #[inline]
    pub fn send(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        let conn = self.open_conn(id).ok_or(Close)?;
        if conn.is_dead() {
            return Err(Close);
        }
        let sent = conn.sender.write(bytes);
        conn.blocked = sent < bytes.len();
        self.pend(id.index);
        Ok(sent)
    }

    /// Resets the handler's connection: its place is wanted at once.
    pub fn evict(&mut self, id: ConnId) {
        if let Some(conn) = self.open_conn(id) {
            conn.abort();
            self.pend(id.index);
        }
    }

    pub fn close(&mut self, id: ConnId) {
        let now_us = self.now_us();
        if let Some(conn) = self.open_conn(id) {
            conn.close(now_us);
            self.pend(id.index);
        }
    }

    /// Writes what connections have to send, then the replies, as far as the driver has room.
    #[inline]
    pub fn flush(&mut self, driver: &mut impl FrameDriver) {
        let now_us = self.now_us();
        std::mem::swap(&mut self.pending, &mut self.sending);
        for at in 0..self.sending.len() {
            let index = self.sending[at];
            let conn = &mut self.conns[index as usize];
            conn.pending = false;
            let all = conn.send(driver, now_us, self.capabilities.fills_checksums);
            if let Some(again) = conn.sender.take_again() {
                self.counts.count(&again);
            }
            if conn.phase == Phase::Closing && conn.state == State::Closed {
                self.forget(index);
                continue;
            }
            let deadline = conn.deadline_us();
            if all {
                self.timers.set(index, deadline);
            } else {
                // The driver has no room: again in the next turn.
                self.pend(index);
            }
        }
        self.sending.clear();
        let room = driver.room().min(self.replies.len());
        self.counts.replies_lost += (self.replies.len() - room) as u64;
        for reply in &self.replies[..room] {
            driver.transmit(reply.len, |frame| frame.copy_from_slice(&reply.frame[..reply.len]));
        }
        self.replies.clear();
        self.host.send(driver);
    }

    /// Makes a connection free.
    pub(super) fn forget(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        if conn.phase == Phase::Free {
            return;
        }
        conn.phase = Phase::Free;
        conn.generation = conn.generation.wrapping_add(1);
        let tuple = conn.tuple;
        self.table.remove(&tuple, index);
        self.timers.set(index, None);
        self.free.push(index);
    }

    /// Whether [`Stack::take_free`] may find one.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty() || !self.time_wait.is_empty()
    }

    /// A free connection: one that is in nobody's way, or the one longest in TIME-WAIT.
    pub(super) fn take_free(&mut self) -> Option<u32> {
        while self.free.is_empty() {
            let (index, generation) = self.time_wait.pop_front()?;
            let conn = &self.conns[index as usize];
            if conn.generation == generation && conn.phase == Phase::Closing {
                self.forget(index);
            }
        }
        self.free.pop()
    }
}
