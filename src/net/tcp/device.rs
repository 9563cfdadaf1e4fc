//! What smoltcp sees of a connection's packets: one in, or the driver's next frame out.
//!
//! On the wire a connection's sequence numbers begin at its SYN cookie; smoltcp begins where it
//! likes. The difference is taken out of what comes in and put on what goes out.

use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use super::super::frames::FrameDriver;
use super::super::packet::{IPV4_BYTES, Link, complete_tcp, flags};

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

/// What a connection's outgoing segments need beside what smoltcp writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The wire's sequence numbers less smoltcp's.
    pub delta: u32,
    /// The highest sequence number sent and one more, on the wire.
    pub next: u32,
}

/// The sequence number of an IPv4 packet without options.
pub(super) fn sequence_number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[SEQ..SEQ + 4].try_into().expect("four bytes"))
}

/// Puts the wire's sequence number on a packet smoltcp wrote, and its checksums.
///
/// smoltcp goes back in its sequence numbers when it sends again, and so do its bare
/// acknowledgments then, which a peer that is further drops unread: if both ends do that, they
/// wait for each other for ever. RFC 9293, 3.10.7.4, has SND.NXT there.
#[inline]
fn put_on_wire(packet: &mut [u8], numbers: &mut Numbers, checksums: bool) {
    let mut seq = sequence_number(packet).wrapping_add(numbers.delta);
    let header = usize::from(packet[IPV4_BYTES + 12] >> 4) * 4;
    let bits = packet[IPV4_BYTES + 13];
    let controls = (bits & (flags::SYN | flags::FIN)).count_ones();
    let length = (packet.len() - IPV4_BYTES - header) as u32 + controls;
    let ahead = |a: u32, b: u32| (a.wrapping_sub(b) as i32) > 0;
    if length == 0 && bits & flags::RST == 0 && ahead(numbers.next, seq) {
        seq = numbers.next;
    }
    let end = seq.wrapping_add(length);
    if ahead(end, numbers.next) {
        numbers.next = end;
    }
    packet[SEQ..SEQ + 4].copy_from_slice(&seq.to_be_bytes());
    if checksums {
        complete_tcp(packet);
    }
}

/// One packet in; what smoltcp answers at once is kept aside.
pub(super) struct Ingress<'a> {
    pub packet: Option<&'a [u8]>,
    pub answer: &'a mut Answer,
    pub numbers: &'a mut Numbers,
    pub mtu: usize,
}

/// A packet kept aside.
pub(super) struct Answer {
    bytes: [u8; ANSWER_BYTES_MAX],
    len: usize,
}

impl Answer {
    pub fn new() -> Answer {
        Answer { bytes: [0; ANSWER_BYTES_MAX], len: 0 }
    }

    /// The packet, if there is one.
    pub fn take(&mut self) -> Option<&[u8]> {
        let len = std::mem::take(&mut self.len);
        (len > 0).then(|| &self.bytes[..len])
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
    numbers: &'a mut Numbers,
}

impl phy::TxToken for AnswerToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        if len > ANSWER_BYTES_MAX {
            // Not what an answer is: written, and lost.
            return f(&mut vec![0; len]);
        }
        let packet = &mut self.answer.bytes[..len];
        let result = f(packet);
        put_on_wire(packet, self.numbers, true);
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
        Some((packet, AnswerToken { answer: self.answer, numbers: self.numbers }))
    }

    fn transmit(&mut self, _: Instant) -> Option<AnswerToken<'_>> {
        Some(AnswerToken { answer: self.answer, numbers: self.numbers })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

/// Packets out, written where the driver takes them from.
pub(super) struct Egress<'a, D> {
    pub driver: &'a mut D,
    pub link: &'a Link,
    pub numbers: &'a mut Numbers,
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
        (self.driver.room() > 0).then_some(TransmitToken {
            driver: self.driver,
            link: self.link,
            numbers: self.numbers,
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
    numbers: &'a mut Numbers,
    fills_checksums: bool,
}

impl<D: FrameDriver> phy::TxToken for TransmitToken<'_, D> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let link = self.link.bytes();
        let (numbers, checksums) = (self.numbers, !self.fills_checksums);
        self.driver.transmit(link.len() + len, |frame| {
            frame[..link.len()].copy_from_slice(link);
            let packet = &mut frame[link.len()..];
            let result = f(packet);
            put_on_wire(packet, numbers, checksums);
            result
        })
    }
}
