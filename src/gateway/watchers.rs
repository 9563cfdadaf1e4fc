//! Drop copies: what firms do, told to those who watch them and enter nothing themselves.

use crate::order::{CommandKind, Event, EventKind, FirmId, UserId};
use crate::wire::ouch::appendage::tag;
use crate::wire::ouch::outbound::Buffer;

use super::ouch5;
use super::symbols::Names;

/// Who watches which firm.
#[derive(Clone, Debug, Default)]
pub struct Watchers {
    by_firm: Vec<Vec<UserId>>,
}

impl Watchers {
    /// A user watches these firms from here on, and no others.
    pub fn set(&mut self, user: UserId, firms: &[FirmId]) {
        self.by_firm.iter_mut().for_each(|watchers| watchers.retain(|watcher| *watcher != user));
        for firm in firms {
            if self.by_firm.len() <= firm.index() {
                self.by_firm.resize(firm.index() + 1, vec![]);
            }
            let watchers = &mut self.by_firm[firm.index()];
            let at = watchers.partition_point(|watcher| *watcher < user);
            watchers.insert(at, user);
        }
    }

    /// Who is told of an event that is another user's.
    #[inline]
    pub fn of(&self, event: &Event, names: &Names) -> &[UserId] {
        if !is_copied(event.kind) && !is_text(event) {
            return &[];
        }
        // Text goes ahead of a user's definition too.
        let firm = names.users.get(event.user.index());
        firm.and_then(|firm| self.by_firm.get(firm.index())).map_or(&[], Vec::as_slice)
    }
}

/// Part of a name that is longer than its command has room for.
fn is_text(event: &Event) -> bool {
    event.kind == EventKind::Session && event.command.kind == CommandKind::Text
}

/// What changes an order is copied; questions, answers and refusals are not.
#[inline]
fn is_copied(kind: EventKind) -> bool {
    use EventKind as Kind;
    matches!(
        kind,
        Kind::Accepted
            | Kind::Replaced
            | Kind::Executed
            | Kind::Canceled
            | Kind::SelfTradePrevented
            | Kind::Restated
            | Kind::Modified
    )
}

/// Writes the message that tells a watcher of an event in OUCH 5.0: as the user was told it, and whose it
/// was. False if there is nothing to tell.
pub(super) fn encode(event: &Event, names: &Names, out: &mut Buffer) -> bool {
    if !is_copied(event.kind) {
        return event.kind == EventKind::StartOfDay && ouch5::encode(event, names, out);
    }
    let told = ouch5::encode(event, names, out);
    if told {
        if !(event.whole && event.command.tags.has(crate::order::Tags::FIRM)) {
            out.element(tag::FIRM, &names.firm_of(event.user));
        }
        out.element(tag::USER, &names.user_names[event.user.index()]);
    }
    told
}
