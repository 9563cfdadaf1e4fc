//! Segments of no connection: SYNs are answered and forgotten, and a peer that brings the
//! answer's cookie back is let in.

use super::super::packet::write::Bare;
use super::super::packet::{IPV4_BYTES, Link, Segment, TCP_BYTES, flags};
use super::cookie::Check;
use super::stack::Stack;

impl Stack {
    /// A segment that belongs to no connection.
    pub(super) fn stranger(&mut self, segment: &Segment, link: Link, frame: &mut [u8]) {
        let (address, port) = segment.tuple.local;
        let listens =
            |listen: &std::net::SocketAddrV4| *listen.ip() == address && listen.port() == port;
        let Some(port) = self.listen.iter().position(listens) else {
            self.counts.foreign += 1;
            // Where a kernel shares the interface, the answer is the kernel's.
            let ours = self.listen.iter().any(|listen| *listen.ip() == address);
            if self.answers_as_host() && ours && !segment.has(flags::RST) {
                self.refuse(segment, &link);
            }
            return;
        };
        const KINDS: u8 = flags::SYN | flags::ACK | flags::RST;
        match segment.flags & KINDS {
            flags::SYN => self.answer_syn(segment, &link, frame),
            flags::ACK => self.admit(segment, link, port, frame),
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
        let mss = segment.mss(frame);
        let answer = Bare {
            tuple: segment.tuple,
            seq: self.cookies.make(&segment.tuple, segment.seq, mss, now_ns),
            ack: segment.seq.wrapping_add(1),
            flags: flags::SYN | flags::ACK,
            window: self.window(),
            mss: Some(self.segment_bytes_max()),
        };
        self.reply(link, &answer);
    }

    /// Opens a connection if the segment acknowledges a cookie.
    fn admit(&mut self, segment: &Segment, link: Link, port: usize, frame: &mut [u8]) {
        let (irs, cookie) = (segment.seq.wrapping_sub(1), segment.ack.wrapping_sub(1));
        let mss = match self.cookies.check(&segment.tuple, irs, cookie, self.now_ns()) {
            Check::Good(mss) => mss,
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
        let now_us = self.now_us();
        self.table.insert(segment.tuple, index);
        self.conns[index as usize].open(segment, link, port, mss, now_us);
        self.known(index, segment, link, frame);
    }

    /// A reset, as RFC 9293, 3.10.7.1 has it.
    fn refuse(&mut self, segment: &Segment, link: &Link) {
        self.counts.resets_out += 1;
        let (tuple, window, mss) = (segment.tuple, 0, None);
        let reset = if segment.has(flags::ACK) {
            Bare { tuple, seq: segment.ack, ack: 0, flags: flags::RST, window, mss }
        } else {
            let ack = segment.seq.wrapping_add(segment.len());
            Bare { tuple, seq: 0, ack, flags: flags::RST | flags::ACK, window, mss }
        };
        self.reply(link, &reset);
    }

    /// The largest segment this side takes.
    fn segment_bytes_max(&self) -> u16 {
        u16::try_from(self.mtu() - IPV4_BYTES - TCP_BYTES).unwrap_or(u16::MAX)
    }
}
