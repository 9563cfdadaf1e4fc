//! The feed as a whole: every message in its order and with its number, from the first command on.

use super::record::{Told, session_tag};
use super::teller::Teller;
use crate::book::{Book, Reports};
use crate::order::{Command, UnixNanos};
use crate::ring::broadcast::{Publisher, Subscriber};
use crate::ring::region::Attached;

/// Where messages are kept for those who read them.
pub enum Ring {
    /// For this process alone.
    Own(Publisher<Told>),
    /// For all of this host.
    Shared(Attached<Publisher<Told>>),
}

impl Ring {
    #[inline]
    fn publisher(&mut self) -> &mut Publisher<Told> {
        match self {
            Ring::Own(publisher) => publisher,
            Ring::Shared(publisher) => publisher,
        }
    }
}

/// Numbers what the market is told, and leaves it in a ring.
pub struct Tape {
    teller: Teller,
    ring: Ring,
    session: [u8; 10],
    tag: u16,
    /// Number of the next message.
    next: u64,
    /// What the ring has already, of an earlier run: messages up to this one.
    has: u64,
}

impl Tape {
    /// The tape of a journal at its beginning. A ring that holds messages of the same session of the same
    /// journal goes on where it is.
    pub fn new(mut ring: Ring, session: [u8; 10], journal: [u8; 10]) -> Tape {
        let tag = session_tag(&session, &journal);
        let has = ring
            .publisher()
            .last()
            .filter(|last| last.session == tag)
            .map_or(0, |last| last.number);
        Tape { teller: Teller::new(), ring, session, tag, next: 1, has }
    }

    /// Name of the session.
    pub fn session(&self) -> [u8; 10] {
        self.session
    }

    /// The same in short, as records have it.
    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// Number of the next message.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// A reading end of the ring. The next message will stand where it begins.
    pub fn subscriber(&mut self) -> Subscriber<Told> {
        self.ring.publisher().subscriber()
    }

    /// Tells the ring's readers that its writer lives.
    pub fn beat(&self, now_ns: UnixNanos) {
        if let Ring::Shared(ring) = &self.ring {
            ring.beat(now_ns);
        }
    }

    /// Has `book` carry out the next command, `also` told of it as well. Hands each message and its number
    /// to `out`.
    #[inline]
    pub fn apply(
        &mut self,
        book: &mut Book,
        command: &Command,
        also: &mut impl Reports,
        mut out: impl FnMut(u64, &[u8]),
    ) {
        let Tape { teller, ring, tag, next, has, .. } = self;
        let ring = ring.publisher();
        teller.apply(book, command, also, &mut |message| {
            if *next > *has {
                ring.push(&Told::new(*next, *tag, message));
            }
            out(*next, message);
            *next += 1;
        });
    }
}
