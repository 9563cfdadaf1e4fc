//! Where streams are, when there are several gateways: each at one of them, which alone sends
//! from it. A login at another gateway has it moved there.
//!
//! The gateway that has a stream asks the book, by way of risk, to send the user's events to the
//! other one ([`CommandKind::MoveStream`]). Whatever it asked for earlier on the user's behalf,
//! such as the cancels of a lost session, is before that in the same ring. When the book's answer
//! comes ([`EventKind::StreamMoved`](crate::order::EventKind)), the stream holds every earlier
//! event, and is handed over; events of the user that reach the other gateway first wait there.
//!
//! No two gateways can wait for each other: the book tells of moves in the order of all events,
//! so a gateway waits only for what was told before what it waits with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::net::ConnId;
use crate::order::{Command, CommandKind, FirmId, UserId};
use crate::ring::Bell;

use super::state::State;
use super::voice::Outbound;

enum Notice {
    /// The gateway `by` has a login of the user.
    Wanted { user: UserId, by: u8 },
    /// Here it is.
    Handed { user: UserId, out: Box<Outbound> },
    /// The user is connected at the gateway that was asked, or its stream is under way.
    Refused { user: UserId },
}

/// A gateway's line to the others.
pub struct Peers {
    own: u8,
    /// Which gateway has each user's stream, or had it last.
    home: Arc<[AtomicU8]>,
    inbox: Receiver<Notice>,
    others: Vec<(Sender<Notice>, Arc<Bell>)>,
    /// Users whose stream a login waits for.
    awaited: Vec<(UserId, ConnId)>,
    /// Moves that are asked for and not yet on their way.
    leaving: Vec<(UserId, u8)>,
}

impl Peers {
    /// The lines between gateways, each of which one of `bells` wakes. All streams are with the
    /// first.
    pub fn all(bells: &[Arc<Bell>], users: usize) -> Vec<Peers> {
        let home: Arc<[AtomicU8]> = (0..users).map(|_| AtomicU8::new(0)).collect();
        let (senders, inboxes): (Vec<_>, Vec<_>) = bells.iter().map(|_| channel()).unzip();
        let others: Vec<_> = senders.into_iter().zip(bells.iter().cloned()).collect();
        let lines = inboxes.into_iter().zip(0u8..);
        lines
            .map(|(inbox, own)| Peers {
                own,
                home: home.clone(),
                inbox,
                others: others.clone(),
                awaited: vec![],
                leaving: vec![],
            })
            .collect()
    }

    fn tell(&self, gateway: u8, notice: Notice) {
        // A gateway that is gone is one of a segment that is stopping.
        let (line, bell) = &self.others[usize::from(gateway)];
        let _ = line.send(notice);
        bell.ring();
    }
}

impl State {
    /// Has a stream brought here for a login on a connection.
    pub(super) fn fetch_stream(&mut self, user: UserId, conn: ConnId) {
        if self.peers.awaited.iter().any(|(awaited, _)| *awaited == user) {
            return self.reject_second_login(conn);
        }
        self.peers.awaited.push((user, conn));
        let home = self.peers.home[user.index()].load(Ordering::Acquire);
        self.peers.tell(home, Notice::Wanted { user, by: self.peers.own });
    }

    /// Looks at what other gateways ask and bring. Returns how much that was.
    pub(super) fn attend_peers(&mut self) -> usize {
        if self.peers.others.len() == 1 {
            return 0;
        }
        let mut work = 0;
        while let Ok(notice) = self.peers.inbox.try_recv() {
            work += 1;
            match notice {
                Notice::Wanted { user, by } => self.let_go(user, by),
                Notice::Handed { user, out } => self.take_over(user, *out),
                Notice::Refused { user } => {
                    if let Some(conn) = self.awaiting(user) {
                        self.reject_second_login(conn);
                    }
                }
            }
        }
        work + self.send_off()
    }

    fn awaiting(&mut self, user: UserId) -> Option<ConnId> {
        let at = self.peers.awaited.iter().position(|(awaited, _)| *awaited == user)?;
        Some(self.peers.awaited.swap_remove(at).1)
    }

    /// Another gateway wants a stream.
    fn let_go(&mut self, user: UserId, by: u8) {
        let state = &mut self.users[user.index()];
        if state.out.is_none() || state.conn.is_some() || state.leaving {
            return self.peers.tell(by, Notice::Refused { user });
        }
        state.leaving = true;
        self.peers.leaving.push((user, by));
    }

    /// Asks for the moves whose users have nothing left to be asked for here.
    fn send_off(&mut self) -> usize {
        let mut sent = 0;
        while let Some(&(user, by)) = self.peers.leaving.last() {
            if self.to_disconnect.contains(&user) {
                break;
            }
            let staged = self.commands.stage_with(|place| {
                *place = Command::new(CommandKind::MoveStream, user, FirmId(0));
                place.qty = by.into();
            });
            if !staged {
                break;
            }
            self.peers.leaving.pop();
            sent += 1;
        }
        self.commands.publish();
        sent
    }

    /// A book has told all it had to tell here. Behind the last of them the stream goes.
    pub(super) fn hand_over(&mut self, user: UserId, to: u8) {
        let state = &mut self.users[user.index()];
        state.told_all += 1;
        if state.told_all < self.books {
            return;
        }
        self.held.retain(|held| *held != user);
        (state.held, state.leaving, state.told_all) = (false, false, 0);
        let out = state.out.take().expect("only the gateway that has it asks for a move");
        self.peers.home[user.index()].store(to, Ordering::Release);
        self.peers.tell(to, Notice::Handed { user, out: Box::new(out) });
    }

    fn take_over(&mut self, user: UserId, out: Outbound) {
        let state = &mut self.users[user.index()];
        if out.stream.is_holding() {
            state.held = true;
            self.held.push(user);
        }
        state.out = Some(out);
        if let Some(conn) = self.awaiting(user) {
            self.admit(user, conn);
        }
    }

    /// Whether a stream is on its way to or from here.
    pub(super) fn is_moving(&self) -> bool {
        !self.peers.awaited.is_empty()
            || !self.peers.leaving.is_empty()
            || self.users.iter().any(|user| user.leaving)
    }
}
