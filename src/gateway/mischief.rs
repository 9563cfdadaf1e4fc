//! What a venue for tests does to those who trade there: what others have to live with.

use std::collections::VecDeque;

use crate::order::{
    Command, CommandKind, Event, EventKind, FirmId, Reject, SymbolId, UnixNanos, UserId,
};
use crate::session::stream::Stream;

use super::state::State;

/// How much of it, and how often.
#[derive(Clone, Copy, Debug)]
pub struct MischiefSetup {
    /// The same seed does the same to the same messages.
    pub seed: u64,
    /// How long an answer is held back.
    pub delay_ns: u64,
    /// Parts of a million new orders that are refused.
    pub reject_ppm: u32,
    /// Of trades that are undone.
    pub bust_ppm: u32,
    /// Of messages after which the connection is cut.
    pub disconnect_ppm: u32,
}

/// The least that is remembered of each user's orders, to undo a trade.
#[derive(Clone, Copy)]
struct Traded {
    symbol: SymbolId,
    firm: FirmId,
}

/// What of a user's stream is held back.
#[derive(Clone, Default)]
struct Due {
    /// Up to where it may be sent in any case.
    from: u64,
    /// From when on up to where.
    until: VecDeque<(UnixNanos, u64)>,
}

pub(super) struct Mischief {
    setup: MischiefSetup,
    drawn: u64,
    /// Trades that are to be undone.
    busts: VecDeque<Command>,
    /// By user: up to where its stream may be sent from when on.
    due: Vec<Due>,
    /// By user and number: what an order trades. It grows, as tests are not for ever.
    orders: Vec<Vec<Option<Traded>>>,
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

impl Mischief {
    pub fn new(setup: MischiefSetup, users: usize) -> Mischief {
        let due = vec![Due::default(); users];
        Mischief { setup, drawn: 0, busts: VecDeque::new(), due, orders: vec![vec![]; users] }
    }

    /// Whether something that happens so often happens now.
    fn draws(&mut self, ppm: u32) -> bool {
        self.drawn += 1;
        ppm > 0 && mix(self.drawn ^ self.setup.seed) % 1_000_000 < u64::from(ppm)
    }

    /// Whether the connection that a message came on is cut.
    pub fn cuts(&mut self) -> bool {
        self.draws(self.setup.disconnect_ppm)
    }

    /// May refuse a new order.
    pub fn meddle(&mut self, command: &mut Command) {
        let refuses = command.kind == CommandKind::Enter && self.draws(self.setup.reject_ppm);
        if refuses && command.verdict == Reject::None {
            command.verdict = Reject::Halted;
        }
    }

    /// A user was told something, between these offsets of its stream.
    pub fn told(&mut self, event: &Event, (from, until): (u64, u64), now_ns: UnixNanos) {
        let user = event.user.index();
        if self.setup.delay_ns > 0 {
            let due = &mut self.due[user];
            if due.until.is_empty() {
                due.from = from;
            }
            due.until.push_back((now_ns + self.setup.delay_ns, until));
        }
        let number = event.user_ref.0 as usize;
        if event.whole && matches!(event.kind, EventKind::Accepted | EventKind::Replaced) {
            let Command { symbol, firm, .. } = event.command;
            if self.orders[user].len() <= number {
                self.orders[user].resize(number + 1, None);
            }
            self.orders[user][number] = Some(Traded { symbol, firm });
        }
        // Both sides of a trade draw the same.
        let drawn = mix(event.reference ^ self.setup.seed) % 1_000_000;
        if event.kind != EventKind::Executed || drawn >= u64::from(self.setup.bust_ppm) {
            return;
        }
        let traded = self.orders[user].get(number).copied().flatten();
        let Some(Traded { symbol, firm }) = traded else { return };
        let mut command = Command::new(CommandKind::Bust, event.user, firm);
        (command.symbol, command.user_ref, command.side) = (symbol, event.user_ref, event.side);
        (command.qty, command.price) = (event.qty, event.price);
        command.text[..8].copy_from_slice(&event.reference.to_le_bytes());
        self.busts.push_back(command);
    }

    /// The next trade to be undone.
    pub fn next_bust(&mut self) -> Option<Command> {
        self.busts.pop_front()
    }

    /// Up to where a stream may be sent now.
    pub fn may_send_until(&mut self, user: UserId, stream: &Stream, now_ns: UnixNanos) -> u64 {
        if self.setup.delay_ns == 0 {
            return stream.released();
        }
        let due = &mut self.due[user.index()];
        while let Some((_, until)) = due.until.front().filter(|(at, _)| *at <= now_ns) {
            due.from = *until;
            due.until.pop_front();
        }
        if due.until.is_empty() { stream.released() } else { due.from.min(stream.released()) }
    }

    /// Users who have something that is due now.
    pub fn due(&self, now_ns: UnixNanos) -> impl Iterator<Item = UserId> {
        let is_due = move |due: &Due| due.until.front().is_some_and(|(at, _)| *at <= now_ns);
        (0..).map(UserId).zip(&self.due).filter(move |(_, due)| is_due(due)).map(|(user, _)| user)
    }

    /// Whether something waits for its time.
    pub fn is_waiting(&self) -> bool {
        !self.busts.is_empty() || self.due.iter().any(|due| !due.until.is_empty())
    }
}

impl State {
    /// Has what is due sent, and undoes trades.
    pub(super) fn do_mischief(&mut self) -> usize {
        let now_ns = self.now_ns;
        let Some(mut mischief) = self.mischief.take() else { return 0 };
        let mut work = 0;
        while self.commands.free() > 1
            && let Some(command) = mischief.next_bust()
        {
            self.commands.stage(&command);
            work += 1;
        }
        self.commands.publish();
        let due: Vec<UserId> = mischief.due(now_ns).collect();
        due.into_iter().for_each(|user| self.mark_dirty(user));
        self.mischief = Some(mischief);
        work
    }
}
