//! Segments of no connection: SYNs are answered and forgotten, and a peer that brings the
//! answer's cookie back is let in.

use super::super::Handler;
use super::super::packet::write::Bare;
use super::super::packet::{Link, Options, Segment, Stamps, TCP_BYTES, Tuple, flags};
use super::conn::{Agreed, milliseconds};
use super::cookie::{Check, scale_of, stamp_with};
use super::deliver::Sink;
use super::stack::Stack;

impl Stack {
    /// A segment that belongs to no connection.
    pub(super) fn stranger<H: Handler>(
        &mut self,
        segment: &Segment,
        link: Link,
        frame: &[u8],
        sink: &mut Sink<'_, H>,
    ) {
        let local = segment.tuple.local;
        let Some(port) = self.listen.iter().position(|listen| *listen == local) else {
            self.counts.foreign += 1;
            // Where a kernel shares the interface, the answer is the kernel's.
            let ours = self.listen.iter().any(|listen| listen.0 == local.0);
            if self.answers_as_host() && ours && !segment.has(flags::RST) {
                self.refuse(segment, &link);
            }
            return;
        };
        const KINDS: u8 = flags::SYN | flags::ACK | flags::RST;
        match segment.flags & KINDS {
            flags::SYN => self.answer_syn(segment, &link, frame),
            flags::ACK => self.admit(segment, link, port, frame, sink),
            // RFC 9293, 3.10.7.1: a reset is never answered.
            kinds if kinds & flags::RST != 0 => self.counts.unknown += 1,
            _ => self.refuse(segment, &link),
        }
    }

    /// SYN-ACK with a cookie, or a reset if there is no room for another connection.
    fn answer_syn(&mut self, segment: &Segment, link: &Link, frame: &[u8]) {
        self.counts.syns += 1;
        if !self.has_room() {
            self.counts.refused += 1;
            return self.refuse(segment, link);
        }
        let now_ns = self.now_ns();
        let offered = segment.options(frame);
        let now = milliseconds(self.now_us()).wrapping_add(self.cookies.clock(&segment.tuple));
        // The scale can be remembered only in a timestamp.
        let scale = offered.scale.filter(|_| offered.stamps.is_some());
        let stamps = offered.stamps.map(|stamps| {
            let value = stamp_with(now, scale);
            Stamps { value, echo: stamps.value }
        });
        let options = Options {
            mss: Some(self.segment_bytes_max(&segment.tuple)),
            sack_permitted: offered.sack_permitted,
            scale: scale.map(|_| self.scale()),
            stamps,
            ..Options::NONE
        };
        let answer = Bare {
            tuple: segment.tuple,
            seq: self.cookies.make(&segment.tuple, segment.seq, &offered, now_ns),
            ack: segment.seq.wrapping_add(1),
            flags: flags::SYN | flags::ACK,
            window: self.window(),
            options,
        };
        self.reply(link, &answer);
    }

    /// Opens a connection if the segment acknowledges a cookie.
    fn admit<H: Handler>(
        &mut self,
        segment: &Segment,
        link: Link,
        port: usize,
        frame: &[u8],
        sink: &mut Sink<'_, H>,
    ) {
        let (irs, cookie) = (segment.seq.wrapping_sub(1), segment.ack.wrapping_sub(1));
        let (mss, selective) = match self.cookies.check(&segment.tuple, irs, cookie, self.now_ns())
        {
            Check::Good(mss, selective) => (mss, selective),
            // It comes again, after the one that it overtook.
            Check::Early => return,
            Check::Unknown => {
                self.counts.unknown += 1;
                return self.refuse(segment, &link);
            }
        };
        let Some(index) = self.take_free() else {
            self.counts.refused += 1;
            return self.refuse(segment, &link);
        };
        self.counts.admitted += 1;
        let options = segment.options(frame);
        let scale = options.stamps.and_then(|stamps| scale_of(stamps.echo));
        let agreed = Agreed {
            mss,
            selective,
            scales: scale.map(|scale| (scale, self.scale())),
            clock: options.stamps.map(|heard| (self.cookies.clock(&segment.tuple), heard)),
        };
        self.table.insert(&segment.tuple, index);
        self.begin(index, segment, &agreed, link, port, sink);
        self.known(index, segment, link, frame, sink);
    }

    /// A reset, as RFC 9293, 3.10.7.1 has it.
    fn refuse(&mut self, segment: &Segment, link: &Link) {
        self.counts.resets_out += 1;
        let (tuple, window, options) = (segment.tuple, 0, Options::NONE);
        let reset = if segment.has(flags::ACK) {
            Bare { tuple, seq: segment.ack, ack: 0, flags: flags::RST, window, options }
        } else {
            let ack = segment.seq.wrapping_add(segment.len());
            Bare { tuple, seq: 0, ack, flags: flags::RST | flags::ACK, window, options }
        };
        self.reply(link, &reset);
    }

    /// The largest segment this side takes.
    fn segment_bytes_max(&self, tuple: &Tuple) -> u16 {
        u16::try_from(self.mtu() - tuple.ip_bytes() - TCP_BYTES).unwrap_or(u16::MAX)
    }
}
