//! A driver that spoils what another one moves: loss, reordering, duplicates, delay, corruption.
//! What it does follows from its seed, so a failure can be repeated.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::BorrowedFd;

use super::{BURST, Capabilities, FrameDriver, STATISTICS};

/// How much goes wrong, each way. Shares are in frames of a million.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Where the pseudo-random numbers start.
    pub seed: u64,
    /// Frames lost.
    pub loss_ppm: u32,
    /// Frames held back so long that others overtake them.
    pub reorder_ppm: u32,
    /// Frames that come twice.
    pub duplicate_ppm: u32,
    /// Frames with one bit flipped.
    pub corrupt_ppm: u32,
    /// What every frame takes, in nanoseconds.
    pub delay_ns: u64,
    /// What a frame takes more than that, at most; frames keep their order unless reordered.
    pub jitter_ns: u64,
}

const MILLION: u64 = 1_000_000;
/// Frames under way, more are lost.
const FRAMES_MAX: usize = 4096;

/// A frame under way: when it arrives, and its place among those that arrive together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Late {
    due_ns: u64,
    number: u64,
    frame: Vec<u8>,
}

/// One direction.
#[derive(Default)]
struct Lane {
    late: BinaryHeap<Reverse<Late>>,
    number: u64,
    /// When the last frame that keeps its order arrives.
    last_ns: u64,
}

/// Another driver, spoilt.
pub struct FaultyDriver<D> {
    inner: D,
    faults: Faults,
    random: u64,
    incoming: Lane,
    outgoing: Lane,
    /// Frames written since the last flush.
    written: Vec<Vec<u8>>,
}

impl<D: FrameDriver> FaultyDriver<D> {
    /// Spoils what `inner` moves.
    pub fn new(inner: D, faults: Faults) -> FaultyDriver<D> {
        FaultyDriver {
            inner,
            faults,
            random: faults.seed ^ 0x9e37_79b9_7f4a_7c15,
            incoming: Lane::default(),
            outgoing: Lane::default(),
            written: Vec::new(),
        }
    }

    /// When the next frame arrives, in either direction.
    pub fn next_due_ns(&self) -> Option<u64> {
        let due = |lane: &Lane| lane.late.peek().map(|Reverse(late)| late.due_ns);
        [due(&self.incoming), due(&self.outgoing)].into_iter().flatten().min()
    }
}

/// xorshift64* (Vigna, 2016).
fn draw(random: &mut u64) -> u64 {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

impl Lane {
    fn spoil(&mut self, frame: &[u8], now_ns: u64, faults: &Faults, random: &mut u64) {
        let mut happens = |ppm: u32| draw(random) % MILLION < u64::from(ppm);
        let (lost, copies) =
            (happens(faults.loss_ppm), if happens(faults.duplicate_ppm) { 2 } else { 1 });
        if lost {
            return;
        }
        for _ in 0..copies {
            let mut happens = |ppm: u32| draw(random) % MILLION < u64::from(ppm);
            let (reordered, corrupt) = (happens(faults.reorder_ppm), happens(faults.corrupt_ppm));
            if self.late.len() == FRAMES_MAX {
                return;
            }
            let mut frame = frame.to_vec();
            if corrupt {
                let bit = draw(random) as usize % (frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            let jitter = draw(random) % (faults.jitter_ns + 1);
            let mut due_ns = now_ns + faults.delay_ns + jitter;
            if reordered {
                due_ns += faults.delay_ns.max(100_000);
            } else {
                due_ns = due_ns.max(self.last_ns);
                self.last_ns = due_ns;
            }
            self.number += 1;
            self.late.push(Reverse(Late { due_ns, number: self.number, frame }));
        }
    }

    fn arrived(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        if self.late.peek()?.0.due_ns > now_ns {
            return None;
        }
        self.late.pop().map(|Reverse(late)| late.frame)
    }
}

impl<D: FrameDriver> FrameDriver for FaultyDriver<D> {
    fn receive(&mut self, now_ns: u64, mut each: impl FnMut(&mut [u8])) -> usize {
        let FaultyDriver { inner, faults, random, incoming, .. } = self;
        inner.receive(now_ns, |frame| incoming.spoil(frame, now_ns, faults, random));
        let mut count = 0;
        while count < BURST {
            let Some(mut frame) = incoming.arrived(now_ns) else { break };
            each(&mut frame);
            count += 1;
        }
        count
    }

    fn room(&mut self) -> usize {
        FRAMES_MAX - self.written.len().min(FRAMES_MAX)
    }

    fn transmit<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        self.written.push(frame);
        result
    }

    fn flush(&mut self, now_ns: u64) {
        for frame in self.written.drain(..) {
            self.outgoing.spoil(&frame, now_ns, &self.faults, &mut self.random);
        }
        while self.inner.room() > 0 {
            let Some(frame) = self.outgoing.arrived(now_ns) else { break };
            self.inner.transmit(frame.len(), |place| place.copy_from_slice(&frame));
        }
        self.inner.flush(now_ns);
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        self.inner.wakes_by()
    }

    fn idle_us(&self) -> u32 {
        let own = if self.next_due_ns().is_some() { 50 } else { u32::MAX };
        own.min(self.inner.idle_us())
    }

    fn capabilities(&self) -> Capabilities {
        let inner = self.inner.capabilities();
        // A flipped bit has to be found above the driver.
        Capabilities { verifies_checksums: false, fills_checksums: false, ..inner }
    }

    fn statistics(&mut self) -> [u64; STATISTICS.len()] {
        self.inner.statistics()
    }
}

#[cfg(test)]
mod tests {
    use super::super::pipe::pair;
    use super::*;

    /// What arrives of 10,000 numbered frames.
    fn through(faults: Faults) -> Vec<(u64, Vec<u8>)> {
        let (near, mut far) = pair(1 << 20, 1500);
        let mut near = FaultyDriver::new(near, faults);
        let mut arrived = vec![];
        for now_ns in 0..12_000u64 {
            if now_ns < 10_000 {
                near.transmit(64, |frame| frame[..8].copy_from_slice(&now_ns.to_be_bytes()));
            }
            near.flush(now_ns * 1_000);
            far.receive(0, |frame| arrived.push((now_ns, frame.to_vec())));
        }
        arrived
    }

    #[test]
    fn without_faults_every_frame_arrives_in_order() {
        let arrived = through(Faults::default());
        assert_eq!(arrived.len(), 10_000);
        assert!(arrived.iter().enumerate().all(|(n, (_, f))| f[..8] == (n as u64).to_be_bytes()));
    }

    #[test]
    fn faults_come_at_the_rate_asked_for_and_again_with_the_same_seed() {
        let faults = Faults {
            seed: 7,
            loss_ppm: 50_000,
            reorder_ppm: 250_000,
            duplicate_ppm: 50_000,
            corrupt_ppm: 1_000,
            delay_ns: 100_000,
            jitter_ns: 100_000,
        };
        let arrived = through(faults);
        assert!((9_700..10_300).contains(&arrived.len()), "{}", arrived.len());
        let numbers: Vec<u64> = arrived
            .iter()
            .map(|(_, frame)| u64::from_be_bytes(frame[..8].try_into().unwrap()))
            .collect();
        let overtaken = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(overtaken > 500, "{overtaken}");
        let spoilt = arrived.iter().filter(|(_, f)| f[8..].iter().any(|b| *b != 0)).count();
        assert!((1..40).contains(&spoilt), "{spoilt}");
        assert!(arrived == through(faults), "the same seed, the same faults");
        assert!(arrived != through(Faults { seed: 8, ..faults }));
    }
}
