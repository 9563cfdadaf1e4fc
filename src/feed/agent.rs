//! The feed as a stage: commands in from the book, packets out on the lines, messages and events into
//! rings for this host.

use super::follower::Follower;
use super::packets::Packets;
use super::tape::Tape;
use crate::book::{Book, Outlet, RingReports};
use crate::order::{Event, Feedback, UnixNanos, UserId};
use crate::ring::broadcast::Publisher;
use crate::ring::region::Attached;
use crate::runtime::{Counter, Counters};

/// Commands carried out before packets are looked at again.
const BATCH_MAX: usize = 64;
/// How often counters are shown, and a ring's readers told that its writer lives.
const SHOW_EVERY_NS: u64 = 200_000_000;

/// Counters of the feed.
pub const COUNTERS: &[&str] = &[
    "feed.messages",
    "feed.followed",
    "feed.packets",
    "feed.datagrams_lost",
    "feed.commands_from_journal",
    "feed.requests",
    "feed.requests_throttled",
    "feed.requests_malformed",
    "feed.requests_foreign",
    "feed.requests_early",
    "feed.requests_past",
    "feed.requests_dropped",
    "feed.ahead_of_disk",
];

/// The counter that is 1 while messages are told before their commands are on disk, and 0 once a clean end
/// left nothing behind: what a gateway that died has there says whether its feed can go on.
pub const AHEAD_OF_DISK: &str = "feed.ahead_of_disk";

/// The book's own events, for readers on this host.
pub type Events = Attached<Publisher<Event>>;

/// Where the follower's book reports to: its events go into a ring, if there is one.
struct EventRing {
    ring: Option<Events>,
    event: Event,
}

impl Outlet for EventRing {
    #[inline]
    fn has_room(&mut self, _: usize) -> bool {
        true
    }

    #[inline]
    fn event(&mut self, _: UserId, write: impl FnOnce(&mut Event)) {
        if let Some(ring) = &mut self.ring {
            write(&mut self.event);
            ring.push(&self.event);
        }
    }

    #[inline]
    fn feedback(&mut self, _: &Feedback) {}
}

/// The feed and what it is joined to.
pub struct FeedAgent {
    follower: Follower,
    book: Book,
    tape: Tape,
    packets: Option<Packets>,
    reports: RingReports<EventRing>,
    counters: [Counter; 4],
    /// The last command of which everything was told.
    followed: Counter,
    ahead: Counter,
    shown_ns: UnixNanos,
}

/// What a feed is made of.
pub struct FeedSetup {
    /// Where commands come from.
    pub follower: Follower,
    /// The book as it stands behind the follower's last command.
    pub book: Book,
    /// The feed as it stands there.
    pub tape: Tape,
    /// The lines, if there are any.
    pub packets: Option<Packets>,
    /// A ring for events, if there is one.
    pub events: Option<Events>,
    /// Counters of [`COUNTERS`].
    pub counters: Counters,
}

impl FeedAgent {
    /// Joins the parts.
    pub fn new(setup: FeedSetup) -> FeedAgent {
        let counter = |name: &str| setup.counters.get(&format!("feed.{name}"));
        let FeedSetup { follower, book, tape, packets, events, .. } = setup;
        let counters =
            ["messages", "packets", "datagrams_lost", "commands_from_journal"].map(counter);
        let followed = counter("followed");
        followed.set(follower.last().0);
        counters[0].set(tape.next() - 1);
        let ahead = setup.counters.get(AHEAD_OF_DISK);
        ahead.set(u64::from(!follower.holds_until_durable()));
        FeedAgent {
            follower,
            book,
            tape,
            packets,
            reports: RingReports::new(EventRing { ring: events, event: Event::EMPTY }),
            counters,
            followed,
            ahead,
            shown_ns: 0,
        }
    }

    /// Tells what the book did, as far as it may be told. Returns how much that was.
    pub fn poll(&mut self, now_ns: UnixNanos) -> usize {
        let FeedAgent { follower, book, tape, packets, reports, .. } = self;
        let result = follower.poll(BATCH_MAX, |command| {
            tape.apply(book, command, reports, |number, message| {
                if let Some(packets) = packets {
                    packets.add(number, message);
                }
            });
            true
        });
        let taken = result.unwrap_or_else(|error| {
            tracing::error!(%error, "the feed ends: it fell behind, and the journal cannot be read");
            0
        });
        if taken > 0 {
            // Whoever asks for messages may ask for these.
            self.counters[0].set(self.tape.next() - 1);
            self.followed.set(self.follower.last().0);
        }
        // Under load a packet waits until it is full.
        if taken < BATCH_MAX
            && let Some(packets) = &mut self.packets
        {
            packets.flush(now_ns);
            packets.beat(self.tape.next(), now_ns);
        }
        if now_ns.saturating_sub(self.shown_ns) > SHOW_EVERY_NS {
            self.shown_ns = now_ns;
            self.show(now_ns);
        }
        taken
    }

    fn show(&mut self, now_ns: UnixNanos) {
        let counts = self.packets.as_ref().map(Packets::counts).unwrap_or_default();
        let [_, packets, lost, from_journal] = &self.counters;
        packets.set(counts.packets);
        lost.set(counts.lost);
        from_journal.set(self.follower.from_journal());
        if let Some(ring) = &self.reports.outlet.ring {
            ring.beat(now_ns);
        }
        self.tape.beat(now_ns);
    }

    /// Whether nothing waits to be told.
    pub fn is_idle(&mut self) -> bool {
        self.follower.is_idle()
    }

    /// For how many microseconds it may be left alone if the book does nothing.
    pub fn quiet_us(&mut self, now_ns: UnixNanos) -> Option<u32> {
        let due_ns = self.packets.as_ref().map_or(u64::MAX, |packets| packets.due_ns(now_ns));
        self.is_idle().then_some((due_ns / 1_000 + 1).min(u64::from(u32::MAX)) as u32)
    }

    /// Ends the session, once everything was told.
    pub fn end(&mut self) {
        if let Some(packets) = &mut self.packets {
            packets.end(self.tape.next());
        }
        self.ahead.set(0);
        self.show(self.shown_ns);
    }
}
