//! The line in front of each message: when, whose, which way, in what protocol, and how long it is. It is put together
//! from pieces that are there already, because what takes longest with a message is to write its head.

use crate::order::{NANOS_PER_SEC, UnixNanos, UserId};
use crate::wire::fix::value::Timestamps;

use super::tap::Direction;
use super::writer::Names;

/// As in `2026-07-01T12:04:05.123456789Z`.
const TIME_BYTES: usize = 30;
/// Where a second's fraction stands there.
const FRACTION: std::ops::Range<usize> = 20..29;

/// What stands in front of messages.
pub(super) struct Heads {
    times: Timestamps,
    second: u64,
    time: [u8; TIME_BYTES],
    /// Of each user, for both ways; the last one's is nobody's.
    middles: Vec<[Vec<u8>; 2]>,
}

impl Heads {
    pub fn new(names: &Names) -> Heads {
        let nobody = ("-".to_owned(), "-");
        let middle = |(name, protocol): &(String, &str)| {
            [Direction::In, Direction::Out]
                .map(|way| format!(" {name} {} {protocol} ", way.name()).into_bytes())
        };
        Heads {
            times: Timestamps::default(),
            second: u64::MAX,
            time: *b"0000-00-00T00:00:00.000000000Z",
            middles: names.iter().chain([&nobody]).map(middle).collect(),
        }
    }

    /// Makes it the time of what comes next.
    #[inline]
    pub fn go_to(&mut self, time_ns: UnixNanos) {
        let second = time_ns / NANOS_PER_SEC;
        if second != self.second {
            self.set_second(second);
        }
        let mut fraction = (time_ns % NANOS_PER_SEC) as u32;
        for digit in self.time[FRACTION].iter_mut().rev() {
            *digit = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
    }

    #[cold]
    fn set_second(&mut self, second: u64) {
        self.second = second;
        let text = self.times.text(second * NANOS_PER_SEC);
        self.time[..4].copy_from_slice(&text[..4]);
        self.time[5..7].copy_from_slice(&text[4..6]);
        self.time[8..10].copy_from_slice(&text[6..8]);
        self.time[11..19].copy_from_slice(&text[9..17]);
    }

    /// The day of that time, as files are named by it.
    #[inline]
    pub fn day(&self) -> [u8; 8] {
        let [y0, y1, y2, y3, _, m0, m1, _, d0, d1, ..] = self.time;
        [y0, y1, y2, y3, m0, m1, d0, d1]
    }

    /// The head of a message at that time.
    #[inline]
    pub fn put(&self, into: &mut Vec<u8>, user: UserId, way: Direction, bytes: usize) {
        let nobody = self.middles.len() - 1;
        into.extend_from_slice(&self.time);
        into.extend_from_slice(&self.middles[user.index().min(nobody)][way as usize]);
        let (mut text, mut at, mut left) = ([b'\n'; 8], 7, bytes);
        while left > 0 || at == 7 {
            at -= 1;
            text[at] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        into.extend_from_slice(&text[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_when_whose_which_way_and_how_long() {
        let mut heads =
            Heads::new(&vec![("TRADE1".to_owned(), "ouch5"), ("BANK".to_owned(), "fix44")]);
        let mut head = |time_ns, user, way, bytes| {
            let mut into = vec![];
            heads.go_to(time_ns);
            heads.put(&mut into, UserId(user), way, bytes);
            (String::from_utf8(into).unwrap(), String::from_utf8(heads.day().to_vec()).unwrap())
        };
        for (time_ns, user, way, bytes, line, day) in [
            (
                0,
                0,
                Direction::In,
                0,
                "1970-01-01T00:00:00.000000000Z TRADE1 in ouch5 0\n",
                "19700101",
            ),
            (
                1_790_000_000_000_000_001,
                1,
                Direction::Out,
                4096,
                "2026-09-21T14:13:20.000000001Z BANK out fix44 4096\n",
                "20260921",
            ),
            (
                1_790_000_000_987_654_321,
                u16::MAX,
                Direction::In,
                49,
                "2026-09-21T14:13:20.987654321Z - in - 49\n",
                "20260921",
            ),
        ] {
            assert_eq!(head(time_ns, user, way, bytes), (line.to_owned(), day.to_owned()));
        }
    }
}
