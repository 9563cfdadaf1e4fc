//! What smoltcp sees of a connection's packets: one in, or the driver's next frame out.
//!
//! On the wire a connection's sequence numbers begin at its SYN cookie; smoltcp begins where it
//! likes. The difference is taken out of what comes in and put on what goes out.

use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use super::super::frames::FrameDriver;
use super::super::packet::{IPV4_BYTES, Link, complete_tcp};

/// Offset of the sequence number in an IPv4 packet without options.
const SEQ: usize = IPV4_BYTES + 4;
/// The longest packet smoltcp answers a segment with: IPv4 and TCP headers with all options.
pub(super) const ANSWER_BYTES_MAX: usize = 20 + 60;

pub(super) fn capabilities(mtu: usize) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = mtu;
    // Checked before, filled in after.
    capabilities.checksum = ChecksumCapabilities::ignored();
    capabilities
}

/// What stands in a connection's outgoing segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Behind the highest sequence number sent, on the wire.
    pub next: u32,
    /// The last acknowledgment number.
    pub ack: u32,
}

/// Puts the wire's sequence number on a packet smoltcp wrote, and its checksums.
#[inline]
fn put_on_wire(packet: &mut [u8], delta: u32, checksums: bool) -> Sent {
    let be32 = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().expect("four bytes"));
    let (seq, ack) = (be32(SEQ).wrapping_add(delta), be32(SEQ + 4));
    packet[SEQ..SEQ + 4].copy_from_slice(&seq.to_be_bytes());
    if checksums {
        complete_tcp(packet);
    }
    let header = usize::from(packet[IPV4_BYTES + 12] >> 4) * 4;
    let payload = (packet.len() - IPV4_BYTES - header) as u32;
    let controls = u32::from((packet[IPV4_BYTES + 13] & 0x03).count_ones());
    Sent { next: seq.wrapping_add(payload + controls), ack }
}

/// One packet in; what smoltcp answers at once is kept aside.
pub(super) struct Ingress<'a> {
    pub packet: Option<&'a [u8]>,
    pub answer: &'a mut Answer,
    pub delta: u32,
    pub mtu: usize,
}

/// A packet kept aside.
pub(super) struct Answer {
    bytes: [u8; ANSWER_BYTES_MAX],
    len: usize,
    pub sent: Sent,
}

impl Answer {
    pub fn new() -> Answer {
        Answer { bytes: [0; ANSWER_BYTES_MAX], len: 0, sent: Sent::default() }
    }

    /// The packet, if there is one.
    pub fn take(&mut self) -> Option<(&[u8], Sent)> {
        let len = std::mem::take(&mut self.len);
        (len > 0).then(|| (&self.bytes[..len], self.sent))
    }
}

pub(super) struct Packet<'a>(&'a [u8]);

impl phy::RxToken for Packet<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

pub(super) struct AnswerToken<'a> {
    answer: &'a mut Answer,
    delta: u32,
}

impl phy::TxToken for AnswerToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        if len > ANSWER_BYTES_MAX {
            // Not what an answer is: written, and lost.
            return f(&mut vec![0; len]);
        }
        let packet = &mut self.answer.bytes[..len];
        let result = f(packet);
        self.answer.sent = put_on_wire(packet, self.delta, true);
        self.answer.len = len;
        result
    }
}

impl Device for Ingress<'_> {
    type RxToken<'b>
        = Packet<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = AnswerToken<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Packet<'_>, AnswerToken<'_>)> {
        let packet = Packet(self.packet.take()?);
        Some((packet, AnswerToken { answer: self.answer, delta: self.delta }))
    }

    fn transmit(&mut self, _: Instant) -> Option<AnswerToken<'_>> {
        Some(AnswerToken { answer: self.answer, delta: self.delta })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

/// Packets out, written where the driver takes them from.
pub(super) struct Egress<'a, D> {
    pub driver: &'a mut D,
    pub link: &'a Link,
    pub delta: u32,
    pub sent: &'a mut Option<Sent>,
    pub mtu: usize,
    pub fills_checksums: bool,
}

impl<D: FrameDriver> Device for Egress<'_, D> {
    type RxToken<'b>
        = Packet<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = TransmitToken<'b, D>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Packet<'_>, TransmitToken<'_, D>)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<TransmitToken<'_, D>> {
        (self.driver.room() > 0).then(|| TransmitToken {
            driver: self.driver,
            link: self.link,
            delta: self.delta,
            sent: self.sent,
            fills_checksums: self.fills_checksums,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

/// A frame of the driver's.
pub(super) struct TransmitToken<'a, D> {
    driver: &'a mut D,
    link: &'a Link,
    delta: u32,
    sent: &'a mut Option<Sent>,
    fills_checksums: bool,
}

impl<D: FrameDriver> phy::TxToken for TransmitToken<'_, D> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let link = self.link.bytes();
        let (delta, checksums) = (self.delta, !self.fills_checksums);
        let (result, sent) = self.driver.transmit(link.len() + len, |frame| {
            frame[..link.len()].copy_from_slice(link);
            let packet = &mut frame[link.len()..];
            let result = f(packet);
            (result, put_on_wire(packet, delta, checksums))
        });
        *self.sent = Some(sent);
        result
    }
}
