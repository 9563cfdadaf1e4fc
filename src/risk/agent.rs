//! Risk as a stage: commands in from the gateways, sequenced commands out to book and journal.

use crate::book::Books;
use crate::order::{Command, CommandKind, Feedback, UnixNanos};
use crate::ring::{Consumer, Producer};
use crate::runtime::NearlyFull;

use super::{Chased, FORESEE_STEPS, Risk};

/// Commands of one gateway sequenced in one turn.
const BATCH_MAX: usize = 64;
/// The same of the gateway that venues are called from: each order that a client sends there has several answers, and a
/// venue that is not read closes the line for all.
const SAID_MAX: usize = 512;

/// With fewer commands there is nothing to do while memory is fetched.
const FORESEEN_MIN: usize = 4;

/// Where sequenced commands go.
pub struct Outlets {
    /// To the books.
    pub books: Books,
    /// To the journal.
    pub journal: Producer<Command>,
}

impl Outlets {
    #[inline]
    fn has_room(&mut self) -> bool {
        self.books.has_room() && self.journal.has_room(1)
    }

    #[inline]
    fn stage(&mut self, command: &Command) {
        let staged = self.books.stage(command) && self.journal.stage(command);
        debug_assert!(staged, "room was checked");
    }

    /// Hands on to the books what is not sequenced.
    #[cold]
    fn pass(&mut self, command: &Command) {
        let staged = self.books.stage_for_all(command);
        debug_assert!(staged, "room was checked");
    }

    fn publish(&mut self) {
        self.books.publish();
        self.journal.publish();
    }
}

/// Risk and its rings.
pub struct RiskAgent {
    /// Risk.
    pub risk: Risk,
    gateways: Vec<Consumer<Command>>,
    /// The first of them has what venues say.
    venues_first: bool,
    /// One from each book.
    feedback: Vec<Consumer<Feedback>>,
    outlets: Outlets,
    disk: NearlyFull,
    /// The second whose expiries have been told.
    expired_s: u64,
}

impl RiskAgent {
    /// Joins risk to its rings.
    pub fn new(
        risk: Risk,
        gateways: Vec<Consumer<Command>>,
        feedback: Vec<Consumer<Feedback>>,
        outlets: Outlets,
        disk: NearlyFull,
    ) -> RiskAgent {
        RiskAgent { risk, gateways, venues_first: false, feedback, outlets, disk, expired_s: 0 }
    }

    /// Venues are called from that gateway: what they say goes before what clients want.
    pub fn hear_first(&mut self, gateway: usize) {
        self.gateways.swap(0, gateway);
        self.venues_first = true;
    }

    /// Takes in feedback, then sequences commands while book and journal have room. Returns how
    /// much was done.
    pub fn poll(&mut self, now_ns: UnixNanos) -> usize {
        self.risk.set_disk_nearly_full(self.disk.get());
        let mut work = self.take_feedback() + self.cancel_due(now_ns);
        if self.risk.is_chasing() {
            work += self.chase(now_ns);
        }
        let RiskAgent { risk, gateways, outlets, .. } = self;
        let mut batch = if self.venues_first { SAID_MAX } else { BATCH_MAX };
        for commands in gateways {
            if risk.has_to_foresee() && commands.available() >= FORESEEN_MIN {
                for step in 0..FORESEE_STEPS {
                    let mut at = 0;
                    commands.peek(BATCH_MAX, |command| {
                        risk.foresee(command, at, step);
                        at += 1;
                    });
                }
            }
            let most = std::mem::replace(&mut batch, BATCH_MAX);
            work += commands.pop_while(most, |command| {
                if risk.is_sweeping() || !outlets.has_room() {
                    return false;
                }
                if command.kind == CommandKind::MoveStream {
                    outlets.pass(command);
                    return true;
                }
                let mut sequenced = *command;
                if risk.sequence(&mut sequenced, now_ns) {
                    outlets.stage(&sequenced);
                }
                true
            });
        }
        outlets.publish();
        work
    }

    fn take_feedback(&mut self) -> usize {
        let RiskAgent { risk, feedback, .. } = self;
        let take = |ring: &mut Consumer<Feedback>| {
            ring.pop_batch(usize::MAX, |feedback| risk.feed_back(feedback))
        };
        feedback.iter_mut().map(take).sum()
    }

    /// Sequences the cancels of a mass cancel under way, and once a second those of orders that
    /// expired, while there is room.
    fn cancel_due(&mut self, now_ns: UnixNanos) -> usize {
        let now_s = now_ns / crate::order::NANOS_PER_SEC;
        if !self.risk.is_sweeping() && now_s <= self.expired_s {
            return 0;
        }
        let mut count = 0;
        while count < BATCH_MAX {
            if !self.outlets.has_room() {
                return count;
            }
            match self.risk.next_cancel(now_ns) {
                Some(cancel) => self.outlets.stage(&cancel),
                None => {
                    self.expired_s = now_s;
                    break;
                }
            }
            count += 1;
        }
        self.outlets.publish();
        count
    }

    /// Sequences what finds out about orders at venues that came or went, while there is room.
    #[cold]
    fn chase(&mut self, now_ns: UnixNanos) -> usize {
        let mut count = 0;
        while count < BATCH_MAX && !self.risk.is_sweeping() && self.outlets.has_room() {
            match self.risk.next_chase(now_ns) {
                Chased::Found(command) => self.outlets.stage(&command),
                Chased::Nothing => return count + 1,
                Chased::Later => break,
            }
            count += 1;
        }
        count
    }

    /// Whether nothing waits to be sequenced or taken in, and the book has taken everything. Who looks for the orders
    /// of a venue takes its time, and begins again whenever that venue comes.
    pub fn is_idle(&mut self) -> bool {
        !self.risk.is_sweeping()
            && self.gateways.iter_mut().all(|commands| commands.available() == 0)
            && self.feedback.iter_mut().all(|ring| ring.available() == 0)
            && self.outlets.books.are_drained()
    }
}
