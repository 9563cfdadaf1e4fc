//! Messages that the peer asks for again (FIX 4.4 volume 2, "Resend Request"): application messages
//! and Rejects come with PossDupFlag, everything else becomes gap fills.

use crate::audit::Direction;
use crate::net::{Close, ConnId, Transport};
use crate::order::{UnixNanos, UserId};
use crate::wire::fix::dictionary::is_session_type;
use crate::wire::fix::scan::{Message, Scan, Scanner};
use crate::wire::fix::write::Writer;
use crate::wire::fix::{msg_type, tag};

use super::super::conn::Source;
use super::super::replay::ReplayRequest;
use super::super::state::State;
use super::outbound::Voice;

/// Messages made ready in one go.
const BATCH: u64 = 16;

/// A resend under way. Places count the user's stream from 1.
#[derive(Default)]
pub struct Resend {
    /// The next place.
    next: u64,
    /// The first that is not wanted.
    until: u64,
    /// MsgSeqNum of the first of some messages that are not sent again.
    gap: Option<u64>,
    /// What is ready, and how much of it was sent.
    ready: Vec<u8>,
    sent: usize,
    /// The journal was asked for messages.
    asked: bool,
    /// Asked for meanwhile: once more from this place.
    again: Option<u64>,
    /// Numbers begin again: what is not sent yet is not wanted.
    cut: bool,
    packet: Vec<u8>,
}

impl Resend {
    /// Ends after what is on its way.
    pub fn cut(&mut self) {
        self.cut = true;
        (self.until, self.gap, self.again) = (self.next, None, None);
    }

    /// Takes the message of the next place.
    fn take(&mut self, bytes: &[u8], scanner: &mut Scanner, voice: &mut Voice, now_ns: UnixNanos) {
        if self.cut {
            return;
        }
        let number = voice.number(self.next);
        self.next += 1;
        let Scan::Message(_) = scanner.scan(bytes) else {
            // What this gateway wrote it can read.
            debug_assert!(false, "a message of the stream");
            return;
        };
        let message = scanner.message(bytes);
        let kind = message.msg_type();
        // What is asked of a venue is not asked again unseen: how orders stand is found out.
        if (is_session_type(kind) || voice.calls.is_some()) && kind != msg_type::REJECT {
            self.gap.get_or_insert(number);
            return;
        }
        self.fill_gap(number, voice, now_ns);
        write_again(&message, number, voice, now_ns, &mut self.ready);
    }

    fn fill_gap(&mut self, until: u64, voice: &mut Voice, now_ns: UnixNanos) {
        if let Some(from) = self.gap.take() {
            voice.gap_fill(&mut self.ready, from, until, now_ns);
        }
    }
}

/// The same message with PossDupFlag, the time it is sent now, and the time it was sent first.
fn write_again(
    message: &Message<'_>,
    number: u64,
    voice: &mut Voice,
    now_ns: UnixNanos,
    out: &mut Vec<u8>,
) {
    let now = voice.time(now_ns);
    let head = voice.head_again(message.msg_type());
    let mut writer = Writer::new(out, &head, number, &now);
    writer.character(b"43=", b'Y');
    writer.bytes(b"122=", message.get(tag::SENDING_TIME).unwrap_or(&now));
    writer.raw(message.behind(tag::SENDING_TIME).unwrap_or(b""));
    writer.finish();
}

impl State {
    /// A peer asks for messages again: from a MsgSeqNum up to another, or to the end.
    pub(super) fn begin_resend(&mut self, id: ConnId, user: UserId, from: u64, to: Option<u64>) {
        let Some(out) = self.users[user.index()].out.as_mut() else { return };
        let held = out.stream.held_number();
        if out.progress.begins_again {
            // Nothing was said yet under the new numbers.
            return;
        }
        let Some(voice) = out.voice.fix() else { return };
        let first = voice.place(from.max(1));
        let until = to.map_or(held, |to| voice.place(to.saturating_add(1))).min(held);
        if first >= until {
            return;
        }
        let Some(link) = self.conn_mut(id).and_then(|conn| conn.fix()) else { return };
        match &mut link.resend {
            // Asked again in the middle of it: once more from there.
            Some(resend) if !resend.asked => {
                resend.gap = None;
                (resend.next, resend.until) = (first, until.max(resend.until));
            }
            // What the journal brings has its place; then once more from there.
            Some(resend) => {
                resend.until = resend.until.max(until);
                resend.again = Some(resend.again.map_or(first, |from| from.min(first)));
            }
            none => *none = Some(Box::new(Resend { next: first, until, ..Resend::default() })),
        }
        self.counters.resends.add(1);
        self.to_flush.push(id);
    }

    /// Turns to a resend where the stream was sent as far as it may be.
    pub(in crate::gateway) fn turn_to_resend(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conn_mut(id) else { return false };
        let (source, mid_message) = (conn.source, conn.mid_message);
        match (source, conn.fix()) {
            (Source::Window(then), Some(link)) if link.resend.is_some() && !mid_message => {
                conn.source = Source::Again { then };
                true
            }
            _ => false,
        }
    }

    /// Sends what there is of a resend. `Ok(false)` closes the connection.
    pub(in crate::gateway) fn send_again(
        &mut self,
        id: ConnId,
        then: u64,
        transport: &mut impl Transport,
    ) -> Result<bool, Close> {
        let Some(mut resend) =
            self.conn_mut(id).and_then(|conn| conn.fix()).and_then(|link| link.resend.take())
        else {
            return Ok(true);
        };
        let result = loop {
            if resend.sent < resend.ready.len() {
                let sent = transport.send(id, &resend.ready[resend.sent..])?;
                resend.sent += sent;
                let now_ns = self.now_ns;
                let whole = resend.sent == resend.ready.len();
                if let Some(conn) = self.conn_mut(id) {
                    conn.mid_message = !whole;
                    if sent > 0 {
                        conn.sent(now_ns);
                    }
                }
                if !whole {
                    break Ok(true);
                }
            }
            resend.ready.clear();
            resend.sent = 0;
            let waits = resend.cut && resend.asked;
            if resend.next >= resend.until && resend.gap.is_none() && !waits {
                if let Some(from) = resend.again.take() {
                    resend.next = from;
                    continue;
                }
                if let Some(conn) = self.conn_mut(id) {
                    conn.source = Source::Window(then);
                    conn.chunk = None;
                }
                // What was said meanwhile waits for nothing else.
                return self.send_window(id, transport);
            }
            match self.make_ready(id, &mut resend) {
                Some(true) => {}
                Some(false) => break Ok(true),
                None => break Ok(false),
            }
        };
        if let Some(link) = self.conn_mut(id).and_then(|conn| conn.fix()) {
            link.resend = Some(resend);
        }
        result
    }

    /// Makes the next messages ready. False if the journal has to be waited for; nothing if it
    /// cannot be had.
    fn make_ready(&mut self, id: ConnId, resend: &mut Resend) -> Option<bool> {
        let now_ns = self.now_ns;
        let user = self.conn_mut(id)?.user?;
        let mut scanner = self.scanner.take().unwrap_or_default();
        let before = resend.ready.len();
        let done = self.take_ready(id, user, resend, &mut scanner, now_ns);
        let mut bytes = &resend.ready[before..];
        while let Scan::Message(length) = scanner.scan(bytes) {
            self.tap.put(Direction::Out, Some(user), now_ns, &bytes[..length]);
            bytes = &bytes[length..];
        }
        self.scanner = Some(scanner);
        done
    }

    fn take_ready(
        &mut self,
        id: ConnId,
        user: UserId,
        resend: &mut Resend,
        scanner: &mut Scanner,
        now_ns: UnixNanos,
    ) -> Option<bool> {
        let chunk = self.conn_mut(id)?.chunk.take();
        let out = self.users[user.index()].out.as_mut()?;
        let voice = out.voice.fix()?;
        if let Some((chunk, _)) = chunk {
            if chunk.failed {
                return None;
            }
            let mut bytes = &chunk.bytes[..chunk.len.into()];
            while let Scan::Message(length) = scanner.scan(bytes) {
                resend.take(&bytes[..length], scanner, voice, now_ns);
                bytes = &bytes[length..];
            }
            resend.asked = !chunk.last;
            return Some(true);
        }
        if resend.asked {
            return Some(false);
        }
        if resend.next < resend.until && out.stream.find(resend.next).is_none() {
            // Halfway into the window, so that the rest is still there when this is done.
            let oldest = out.stream.oldest_number();
            let middle = oldest + out.stream.held_number().saturating_sub(oldest) / 2;
            let until = middle.min(resend.until);
            let request = ReplayRequest { conn: id, user, from: resend.next, until };
            resend.asked = true;
            self.ask_for_replay(request);
            return Some(false);
        }
        let end = (resend.next + BATCH).min(resend.until);
        let mut packet = std::mem::take(&mut resend.packet);
        while resend.next < end && out.stream.find(resend.next).is_some() {
            out.stream.copy(resend.next, &mut packet);
            resend.take(&packet, scanner, voice, now_ns);
        }
        resend.packet = packet;
        if resend.next >= resend.until {
            let until = voice.number(resend.until);
            resend.fill_gap(until, voice, now_ns);
        }
        Some(true)
    }
}
