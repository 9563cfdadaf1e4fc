//! A wire inside the process: two ends, each a frame driver.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use super::{BURST, Capabilities, FrameDriver, STATISTICS};

type Queue = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// One end of a wire inside the process.
pub struct Pipe {
    incoming: Queue,
    outgoing: Queue,
    frames_max: usize,
    mtu: usize,
    counts: [u64; 2],
}

/// A wire that holds `frames_max` frames in each direction, and its two ends.
pub fn pair(frames_max: usize, mtu: usize) -> (Pipe, Pipe) {
    let (there, back) = (Queue::default(), Queue::default());
    let near =
        Pipe { incoming: back.clone(), outgoing: there.clone(), frames_max, mtu, counts: [0; 2] };
    (near, Pipe { incoming: there, outgoing: back, frames_max, mtu, counts: [0; 2] })
}

impl Pipe {
    /// The next frame that came in, if there is one.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let frame = locked(&self.incoming).pop_front()?;
        self.counts[0] += 1;
        Some(frame)
    }
}

fn locked(queue: &Queue) -> std::sync::MutexGuard<'_, VecDeque<Vec<u8>>> {
    queue.lock().expect("nobody panics holding it")
}

impl FrameDriver for Pipe {
    fn receive(&mut self, _now_ns: u64, mut each: impl FnMut(&mut [u8])) -> usize {
        let mut count = 0;
        while count < BURST {
            let Some(mut frame) = self.take() else { break };
            each(&mut frame);
            count += 1;
        }
        count
    }

    fn room(&mut self) -> usize {
        self.frames_max - locked(&self.outgoing).len().min(self.frames_max)
    }

    fn transmit<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        locked(&self.outgoing).push_back(frame);
        self.counts[1] += 1;
        result
    }

    fn flush(&mut self, _now_ns: u64) {}

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            mtu: self.mtu,
            verifies_checksums: false,
            fills_checksums: false,
            answers_as: None,
        }
    }

    fn statistics(&mut self) -> [u64; STATISTICS.len()] {
        let [frames_in, frames_out] = self.counts;
        [frames_in, frames_out, 0, 0, 0, 0, 0, 0]
    }
}
