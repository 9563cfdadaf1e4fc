//! Where a reader of the feed has its messages from: a ring of this host, or packets.

use std::io;
use std::os::fd::BorrowedFd;

use super::feed::Reader;
use crate::feed::Told;
use crate::order::UnixNanos;
use crate::ring::broadcast::{From, Lost, Subscriber};
use crate::ring::region::{Attached, Place, RegionError, subscribe};

/// What a source has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// Another session than before: numbers begin anew.
    Session,
    /// Messages that did not come and will not.
    Gap {
        /// The first of them.
        first: u64,
        /// How many.
        count: u64,
    },
    /// The next message.
    Message {
        /// Its number.
        number: u64,
        /// When it reached this host, as far as anybody looked at a clock; 0 if nobody did.
        received_ns: UnixNanos,
        /// The message.
        bytes: &'a [u8],
    },
}

/// Why a source says no more.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Sockets.
    #[error("cannot read the feed's packets: {0}")]
    Io(#[from] io::Error),
    /// The ring.
    #[error("{0}")]
    Ring(#[from] RegionError),
}

/// Messages of the feed in their order.
pub struct Source {
    from: Kind,
    /// Number of the next message; 0 stands for whatever comes first.
    next: u64,
    /// Nothing of before is wanted, so that what comes first is no gap.
    partial: bool,
}

enum Kind {
    Ring { ring: Box<Attached<Subscriber<Told>>>, session: u16 },
    Lines { reader: Box<Reader> },
}

impl Source {
    /// The ring at a place, from the oldest message that it has on.
    pub fn ring(place: &Place) -> Result<Source, SourceError> {
        let ring = Box::new(subscribe::<Told>(place, From::Oldest)?);
        Ok(Source { from: Kind::Ring { ring, session: 0 }, next: 1, partial: false })
    }

    /// Packets of lines. What is missing is asked for where there is somebody to ask; after a while of silence,
    /// and at once where there is nobody, it is a gap.
    pub fn lines(reader: Reader) -> Source {
        let (next, partial) = (reader.arbiter.next(), reader.is_partial());
        Source { from: Kind::Lines { reader: Box::new(reader) }, next, partial }
    }

    /// Wants messages from `first` on, and none before.
    pub fn begin_at(&mut self, first: u64) {
        self.next = first;
        if let Kind::Lines { reader, .. } = &mut self.from {
            reader.begin_at(first);
        }
    }

    /// What comes first is where it begins.
    pub fn begin_anywhere(&mut self) {
        (self.next, self.partial) = (0, true);
    }

    /// Number of the next message; 0 if any will do.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether it began in the middle, with nobody to ask for what came before.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether nothing is known to be missing.
    pub fn is_whole(&self) -> bool {
        match &self.from {
            Kind::Ring { .. } => true,
            Kind::Lines { reader, .. } => {
                reader.arbiter.session().is_some() && reader.arbiter.missing().next().is_none()
            }
        }
    }

    /// Whether the feed said that it is over, or, of a ring, the process that wrote it is gone. A system call on
    /// a ring.
    pub fn is_over(&self) -> bool {
        match &self.from {
            Kind::Ring { ring, .. } => !ring.writer_lives(),
            Kind::Lines { reader, .. } => reader.arbiter.is_over(),
        }
    }

    /// Whether both ends are on this host, so that they have one clock.
    pub fn is_of_this_host(&self) -> bool {
        matches!(self.from, Kind::Ring { .. })
    }

    /// Packets of its session so far; of a ring there are none.
    pub fn packets(&self) -> u64 {
        match &self.from {
            Kind::Ring { .. } => 0,
            Kind::Lines { reader, .. } => reader.arbiter.packets(),
        }
    }

    /// What is readable once there is something to take in; a ring has nothing of that kind.
    pub fn wakes_by(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let reader = match &self.from {
            Kind::Ring { .. } => None,
            Kind::Lines { reader, .. } => Some(reader),
        };
        reader.into_iter().flat_map(|reader| reader.wakes_by())
    }

    /// Session in words: its name, or what a ring has for it. `None` if nothing came.
    pub fn session(&self) -> Option<String> {
        match &self.from {
            Kind::Ring { session: 0, .. } => None,
            Kind::Ring { session, .. } => Some(format!("{session:04x}")),
            Kind::Lines { reader, .. } => {
                let name = reader.arbiter.session()?;
                Some(String::from_utf8_lossy(&name).trim().to_owned())
            }
        }
    }

    /// Takes in what is there, of a ring `most` messages. Returns how much that was.
    #[inline]
    pub fn poll(
        &mut self,
        most: usize,
        mut see: impl FnMut(Heard<'_>),
    ) -> Result<usize, SourceError> {
        let Source { from, next, .. } = self;
        match from {
            Kind::Ring { ring, session } => {
                let taken = ring.pop_batch(most, |told| {
                    if told.session != *session {
                        if *session != 0 {
                            *next = 1;
                            see(Heard::Session);
                        }
                        *session = told.session;
                    }
                    let (number, bytes) = (told.number, told.message());
                    if in_order(next, number, &mut see) {
                        see(Heard::Message { number, received_ns: 0, bytes });
                    }
                });
                match taken {
                    Ok(taken) => Ok(taken),
                    // The numbers tell which.
                    Err(Lost::Missed { .. } | Lost::Damaged { .. }) => Ok(1),
                }
            }
            Kind::Lines { reader } => {
                let mut news = 0;
                reader.give_up_what_never_comes();
                if reader.follows_another_session() {
                    *next = reader.arbiter.next();
                    see(Heard::Session);
                }
                reader.poll_stamped(|number, received_ns, bytes| {
                    news += 1;
                    if in_order(next, number, &mut see) {
                        see(Heard::Message { number, received_ns, bytes });
                    }
                })?;
                // A heartbeat is no news.
                Ok(news)
            }
        }
    }
}

/// Whether a message is the next one, or one behind a gap, which is told.
#[inline]
fn in_order(next: &mut u64, number: u64, see: &mut impl FnMut(Heard<'_>)) -> bool {
    if number < *next {
        return false;
    }
    if number > *next && *next != 0 {
        see(Heard::Gap { first: *next, count: number - *next });
    }
    *next = number + 1;
    true
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::wire::moldudp64::Writer;

    fn packet(session: &[u8; 10], first: u64, count: u64) -> Vec<u8> {
        let mut writer = Writer::new(*session, 1_400);
        writer.begin(first);
        (first..first + count).for_each(|n| assert!(writer.add(&n.to_be_bytes())));
        writer.bytes().to_vec()
    }

    #[test]
    fn a_source_follows_the_feed_into_another_session_and_says_what_is_missing() {
        // An address of this process's own, so that nobody has its port.
        let [_, _, a, b] = std::process::id().to_be_bytes();
        let line = ([127, 128 | a & 63, b, 1], 26_500).into();
        let reader = Reader::open(&[line], None, None, 0).unwrap();
        let mut source = Source::lines(reader);
        let gateway = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut heard = vec![];
        let mut began = None;
        let deadline = Instant::now() + Duration::from_secs(60);
        for bytes in [packet(b"SESSION001", 5, 2), packet(b"SESSION001", 9, 1)] {
            gateway.send_to(&bytes, line).unwrap();
        }
        while heard.last() != Some(&(b'm', 3)) {
            assert!(Instant::now() < deadline, "{heard:?}");
            if heard.last() == Some(&(b'm', 9)) || began.is_some() {
                // Its gateway was killed; another comes, which nobody had heard of.
                began.get_or_insert_with(Instant::now);
                gateway.send_to(&packet(b"SESSION002", 3, 1), line).unwrap();
            }
            source
                .poll(100, |told| {
                    heard.push(match told {
                        Heard::Session => (b's', 0),
                        Heard::Gap { first, count } => (b'g', first * 100 + count),
                        Heard::Message { number, received_ns, .. } => {
                            assert!(received_ns > 0, "the kernel says when it came");
                            (b'm', number)
                        }
                    });
                })
                .unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        let expected = [(b'm', 5), (b'm', 6), (b'g', 702), (b'm', 9), (b's', 0), (b'm', 3)];
        assert_eq!(heard, expected);
    }
}
