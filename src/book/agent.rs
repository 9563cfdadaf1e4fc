//! The book as a stage: commands in from risk, events out to the gateways, feedback to risk.

use crate::order::{
    CancelReason, Command, CommandKind, Event, EventKind, Feedback, FeedbackKind, Price, Reject,
    SelfTrade, SeqNum, Slot, UserId,
};
use crate::ring::{Consumer, Producer};

use super::{Book, FORESEE_STEPS, Listener, Order, Outside, Progress, Reports};

/// The most events (and feedbacks) that one command reports before the book asks again for
/// room, with some to spare: two fills, a restatement, and the end of the order.
const STEP_REPORTS_MAX: usize = 8;

/// Commands taken in one turn.
const BATCH_MAX: usize = 64;

/// With fewer commands there is nothing to do while memory is fetched.
const FORESEEN_MIN: usize = 4;

/// Where the events go of users who are told by somebody else.
const NOBODY: u8 = u8::MAX;

/// Where a book's events and feedback go. [`RingReports`] sends them to the other stages;
/// recovery takes them directly.
pub trait Outlet {
    /// Whether so many of each fit.
    fn has_room(&mut self, reports: usize) -> bool;
    /// Something for a user's stream: `write` fills in an event that holds what an earlier one
    /// left there.
    fn event(&mut self, user: UserId, write: impl FnOnce(&mut Event));
    /// Something for risk.
    fn feedback(&mut self, feedback: &Feedback);
}

/// The rings out of the book.
pub struct RingOutlet {
    /// One for each gateway.
    gateways: Vec<Producer<Event>>,
    /// Which gateway each user's events go to.
    routes: Vec<u8>,
    /// All events go to the one gateway that there is.
    all_to_one: bool,
    feedback: Producer<Feedback>,
}

impl RingOutlet {
    /// Tells a user's gateway that it has no more for it, and has another take over.
    #[cold]
    fn move_stream(&mut self, command: &Command) {
        self.event(command.user, |event| {
            event.command = *command;
            event.whole = true;
            event.kind = EventKind::StreamMoved;
            event.user = command.user;
            event.qty = command.qty;
        });
        self.routes[command.user.index()] = command.qty as u8;
    }

    fn publish(&mut self) {
        self.gateways.iter_mut().for_each(Producer::publish);
        self.feedback.publish();
    }

    fn is_drained(&mut self) -> bool {
        self.gateways.iter_mut().all(|events| events.is_drained()) && self.feedback.is_drained()
    }
}

impl Outlet for RingOutlet {
    #[inline]
    fn has_room(&mut self, reports: usize) -> bool {
        self.gateways.iter_mut().all(|events| events.has_room(reports))
            && self.feedback.has_room(reports)
    }

    #[inline]
    fn event(&mut self, user: UserId, write: impl FnOnce(&mut Event)) {
        let gateway = if self.all_to_one { 0 } else { self.routes[user.index()] };
        if gateway == NOBODY {
            return;
        }
        let staged = self.gateways[usize::from(gateway)].stage_with(write);
        debug_assert!(staged, "room was checked");
    }

    #[inline]
    fn feedback(&mut self, feedback: &Feedback) {
        let staged = self.feedback.stage(feedback);
        debug_assert!(staged, "room was checked");
    }
}

/// The book and its rings.
pub struct BookAgent {
    /// The book.
    pub book: Book,
    commands: Consumer<Command>,
    reports: RingReports<RingOutlet>,
    listeners: Vec<Listener>,
    /// The last command that was taken.
    last: SeqNum,
    /// Where it says how far it is, if there are several books: which of them this is, and what it said.
    progress: Option<(Progress, usize, SeqNum)>,
}

impl BookAgent {
    /// Joins a book to its rings. Every user's events go to the first gateway until a
    /// [`CommandKind::MoveStream`].
    pub fn new(
        book: Book,
        commands: Consumer<Command>,
        gateways: Vec<Producer<Event>>,
        users_max: usize,
        feedback: Producer<Feedback>,
    ) -> BookAgent {
        assert!((1..=255).contains(&gateways.len()), "a gateway's number is a byte");
        let all_to_one = gateways.len() == 1;
        let outlet = RingOutlet { gateways, routes: vec![0; users_max], all_to_one, feedback };
        let reports = RingReports::new(outlet);
        let last = SeqNum(0);
        BookAgent { book, commands, reports, listeners: vec![], last, progress: None }
    }

    /// Makes it one of several books, which have carried out everything up to `last`.
    pub fn set_place(&mut self, book: usize, progress: Progress, last: SeqNum) {
        self.last = last;
        self.progress = Some((progress, book, last));
    }

    /// Tells a user's events to another gateway than the first.
    pub fn tell_at(&mut self, user: UserId, gateway: usize) {
        self.reports.outlet.routes[user.index()] = gateway as u8;
        self.reports.outlet.all_to_one &= gateway == 0;
    }

    /// Tells nobody a user's events: whoever listens to the book tells them.
    pub fn leave_out(&mut self, user: UserId) {
        self.reports.outlet.routes[user.index()] = NOBODY;
        self.reports.outlet.all_to_one = false;
    }

    /// Has somebody told of every command from here on.
    pub fn add_listener(&mut self, listener: Listener) {
        self.listeners.push(listener);
    }

    /// Takes commands while their reports have room. Returns how many were taken.
    pub fn poll(&mut self) -> usize {
        let BookAgent { book, commands, reports, listeners, last, .. } = self;
        let resumed = usize::from(book.is_paused());
        let taken = if book.resume(reports) {
            if book.has_to_foresee() && commands.has(FORESEEN_MIN) {
                for step in 0..FORESEE_STEPS {
                    commands.peek(BATCH_MAX, |command| book.foresee(command, step));
                }
            }
            commands.pop_while(BATCH_MAX, |command| {
                let free = !book.is_paused() && reports.has_room();
                match command.kind {
                    _ if !free => {}
                    CommandKind::MoveStream => reports.outlet.move_stream(command),
                    _ => {
                        book.apply(command, reports);
                        *last = command.seq;
                        listeners.iter_mut().for_each(|listener| listener.tell(command));
                    }
                }
                free
            })
        } else {
            0
        };
        reports.outlet.publish();
        listeners.iter_mut().for_each(Listener::publish);
        if self.progress.is_some() {
            self.say_how_far();
        }
        resumed + taken
    }

    /// Says up to which command it has told everything, behind what it told.
    fn say_how_far(&mut self) {
        let mut done = self.last;
        if self.book.is_paused() {
            done.0 -= 1;
        } else {
            // Nothing before the next one is its own. What is not sequenced has no place.
            self.commands.peek(1, |next| done.0 = done.0.max(next.seq.0.saturating_sub(1)));
        }
        let Some((progress, book, said)) = &mut self.progress else { return };
        if *said != done {
            *said = done;
            progress.set_done(*book, done);
        }
    }

    /// Whether nothing waits to be matched or told.
    pub fn is_idle(&mut self) -> bool {
        !self.book.is_paused() && self.commands.available() == 0 && self.reports.outlet.is_drained()
    }
}

/// Turns what the book reports into [`Event`]s and [`Feedback`]s.
pub struct RingReports<O> {
    /// Where they go.
    pub outlet: O,
}

impl<O: Outlet> RingReports<O> {
    /// Reports into an outlet.
    pub fn new(outlet: O) -> RingReports<O> {
        RingReports { outlet }
    }

    /// Tells an event about the command as a whole.
    #[inline]
    pub(super) fn whole(
        &mut self,
        command: &Command,
        kind: EventKind,
        qty: u32,
        reference: u64,
        live: bool,
    ) {
        self.outlet.event(command.user, |event| {
            event.command = *command;
            event.kind = kind;
            event.whole = true;
            event.user = command.user;
            event.user_ref = command.user_ref;
            event.qty = qty;
            event.reference = reference;
            event.live = live;
            event.venue = 0;
        });
    }

    /// Tells an event about one order; only the command's number and time go along, or all of it
    /// with a cancel that a session which numbers its messages may have asked for.
    #[inline]
    pub(super) fn part(
        &mut self,
        command: &Command,
        order: &Order,
        kind: EventKind,
        qty: u32,
        more: impl FnOnce(&mut Event),
    ) {
        self.outlet.event(order.user, |event| {
            let asked = kind == EventKind::Canceled && command.number_in != 0;
            event.whole = asked && command.user == order.user;
            if event.whole {
                event.command = *command;
            } else {
                event.command.seq = command.seq;
                event.command.time_ns = command.time_ns;
            }
            event.kind = kind;
            event.user = order.user;
            event.user_ref = order.user_ref;
            event.side = order.side;
            event.qty = qty;
            event.venue = 0;
            if kind == EventKind::Canceled {
                event.reference = 0;
            }
            more(event);
        });
    }

    #[inline]
    pub(super) fn tell_risk(
        &mut self,
        slot: Slot,
        order: &Order,
        kind: FeedbackKind,
        qty: u32,
        price: Price,
        done: bool,
    ) {
        let user = order.user;
        self.outlet.feedback(&Feedback { slot, qty, price, user, kind, done });
    }
}

/// The liquidity flag of the resting side of a fill (OUCH 5.0, "Liquidity Flag").
fn added(maker: &Order) -> u8 {
    if maker.is_hidden() { b'J' } else { b'A' }
}

impl<O: Outlet> Reports for RingReports<O> {
    #[inline]
    fn has_room(&mut self) -> bool {
        self.outlet.has_room(STEP_REPORTS_MAX)
    }

    #[inline]
    fn accepted(&mut self, command: &Command, reference: u64) {
        self.whole(command, EventKind::Accepted, command.qty, reference, true);
    }

    #[inline]
    fn replaced(&mut self, command: &Command, open: u32, reference: u64, live: bool) {
        self.whole(command, EventKind::Replaced, open, reference, live);
        self.outlet.feedback(&Feedback {
            slot: command.slot,
            qty: open,
            price: command.price,
            user: command.user,
            kind: FeedbackKind::Replaced,
            done: !live,
        });
    }

    fn rejected(&mut self, command: &Command, reason: Reject) {
        let answer = Command { verdict: reason, ..*command };
        self.whole(&answer, EventKind::Rejected, command.qty, 0, false);
    }

    fn canceled(
        &mut self,
        command: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        reason: CancelReason,
        done: bool,
    ) {
        self.part(command, order, EventKind::Canceled, qty, |event| event.reason = reason);
        self.tell_risk(slot, order, FeedbackKind::Reduced, qty, order.price, done);
    }

    fn self_trade_prevented(
        &mut self,
        command: &Command,
        slot: Slot,
        order: &Order,
        qty: u32,
        prevented: u32,
        price: Price,
        policy: SelfTrade,
        done: bool,
    ) {
        self.part(command, order, EventKind::SelfTradePrevented, qty, |event| {
            event.reason = CancelReason::SelfMatch;
            event.policy = policy;
            event.price = price;
            event.reference = u64::from(prevented);
            event.live = order.user_ref == command.user_ref && order.user == command.user;
        });
        self.tell_risk(slot, order, FeedbackKind::Reduced, qty, order.price, done);
    }

    #[inline]
    fn executed(
        &mut self,
        command: &Command,
        maker_slot: Slot,
        maker: &Order,
        taker_slot: Slot,
        taker: &Order,
        qty: u32,
        price: Price,
        match_number: u64,
    ) {
        for (order, liquidity) in [(maker, added(maker)), (taker, b'R')] {
            self.part(command, order, EventKind::Executed, qty, |event| {
                event.price = price;
                event.reference = match_number;
                event.liquidity = liquidity;
            });
        }
        for (slot, order) in [(maker_slot, maker), (taker_slot, taker)] {
            self.tell_risk(slot, order, FeedbackKind::Filled, qty, price, order.open() == 0);
        }
    }

    fn restated(&mut self, command: &Command, order: &Order, reference: u64) {
        self.part(command, order, EventKind::Restated, order.shown(), |event| {
            event.reference = reference;
        });
    }

    fn modified(&mut self, command: &Command, slot: Slot, order: &Order) {
        let size = order.open() + order.executed();
        self.part(command, order, EventKind::Modified, size, |_| ());
        self.tell_risk(slot, order, FeedbackKind::Modified, order.open(), order.price, false);
    }

    fn ignored(&mut self, command: &Command) {
        self.whole(command, EventKind::Silent, 0, 0, false);
    }

    fn modify_refused(&mut self, command: &Command) {
        self.whole(command, EventKind::ModifyRefused, 0, 0, false);
    }

    fn outside(&mut self, command: &Command, what: Outside<'_>) {
        self.tell_outside(command, what);
    }

    fn answered(&mut self, command: &Command) {
        use crate::order::CommandKind as Kind;
        let kind = match command.kind {
            Kind::MassCancel => EventKind::MassCancelAnswer,
            Kind::DisableFirm => EventKind::DisableAnswer,
            Kind::EnableFirm => EventKind::EnableAnswer,
            Kind::AccountQuery => EventKind::AccountAnswer,
            Kind::DefineUser => EventKind::StartOfDay,
            Kind::Session | Kind::Text => EventKind::Session,
            _ => EventKind::Silent,
        };
        self.whole(command, kind, 0, 0, false);
    }
}
