//! Everybody who is about to be somebody: who has which name, and logins that wait for their
//! password to be checked.
//!
//! A login with a password that was right before, or that the configuration tells plainly, is decided
//! at once. Any other waits in line for a helper thread, however long: a login is refused for being
//! wrong, never for being one of many. There is at most one for each connection.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::net::ConnId;
use crate::order::UserId;
use crate::ring::{Consumer, Producer};
use crate::wire::Protocol;

use super::agent::UserSetup;
use super::auth::{AuthAnswer, AuthRequest};
use super::passwords::Passwords;

/// Logins that a helper has at once: few, so that the others can still be looked at.
const UNDER_WAY_MAX: usize = 2;

/// The way to a helper thread and back.
pub struct AuthLine {
    /// Logins to check.
    pub requests: Producer<AuthRequest>,
    /// What became of them.
    pub answers: Consumer<AuthAnswer>,
}

struct Line {
    ends: AuthLine,
    under_way: usize,
}

pub(super) struct Logins {
    by_name: HashMap<Vec<u8>, UserId>,
    by_comp_id: HashMap<(u8, Vec<u8>), UserId>,
    passwords: Arc<Passwords>,
    lines: Vec<Line>,
    waiting: VecDeque<AuthRequest>,
    /// Decided, and not yet carried out.
    decided: VecDeque<AuthAnswer>,
    /// Connections that were not anybody's when they opened, oldest first.
    strangers: VecDeque<ConnId>,
}

impl Logins {
    pub fn new(
        users: &[UserSetup],
        connections_max: usize,
        passwords: Arc<Passwords>,
        lines: Vec<AuthLine>,
    ) -> Logins {
        let enabled = || (0..).map(UserId).zip(users).filter(|(_, setup)| setup.enabled);
        let comp_id = |(user, setup): (UserId, &UserSetup)| {
            let comp_id = setup.comp_id.as_bytes().to_vec();
            (!comp_id.is_empty()).then_some(((setup.protocol.code(), comp_id), user))
        };
        Logins {
            by_name: enabled().map(|(user, s)| (upper(s.name.as_bytes()), user)).collect(),
            by_comp_id: enabled().filter_map(comp_id).collect(),
            passwords,
            lines: lines.into_iter().map(|ends| Line { ends, under_way: 0 }).collect(),
            waiting: VecDeque::with_capacity(connections_max),
            decided: VecDeque::with_capacity(connections_max),
            strangers: VecDeque::with_capacity(connections_max),
        }
    }

    /// Who logs in by a name (SoupBinTCP 3.00, 2.3.2: without regard to case).
    pub fn by_name(&self, name: &[u8]) -> Option<UserId> {
        self.by_name.get(&upper(name)).copied()
    }

    /// Who logs on by a CompID.
    pub fn by_comp_id(&self, protocol: Protocol, comp_id: &[u8]) -> Option<UserId> {
        self.by_comp_id.get(&(protocol.code(), comp_id.to_vec())).copied()
    }

    /// Takes a login: it is decided at once, or waits. `lives` tells whether a connection is still
    /// there.
    pub fn put(&mut self, request: &AuthRequest, lives: impl Fn(ConnId) -> bool) {
        if self.passwords.knows(request) {
            self.decide(AuthAnswer { conn: request.conn, user: request.user });
            return;
        }
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.retain(|waiting| lives(waiting.conn));
        }
        self.waiting.push_back(*request);
    }

    /// A login that can be carried out.
    pub fn decide(&mut self, answer: AuthAnswer) {
        self.decided.push_back(answer);
    }

    /// Takes in what helpers found out.
    pub fn take_answers(&mut self) -> usize {
        let mut work = 0;
        for line in &mut self.lines {
            while let Some(answer) = line.ends.answers.pop() {
                line.under_way -= 1;
                self.decided.push_back(answer);
                work += 1;
            }
        }
        work
    }

    /// Whether nothing is to be done before a helper answers.
    pub fn is_quiet(&self) -> bool {
        self.decided.is_empty() && (self.waiting.is_empty() || !self.helper_is_free())
    }

    /// The next login that can be carried out.
    pub fn next_decided(&mut self) -> Option<AuthAnswer> {
        self.decided.pop_front()
    }

    /// Whether helpers could take another login.
    pub fn helper_is_free(&self) -> bool {
        self.lines.iter().any(|line| line.under_way < UNDER_WAY_MAX)
    }

    /// The login that waited longest.
    pub fn next_waiting(&mut self) -> Option<AuthRequest> {
        self.waiting.pop_front()
    }

    /// Hands a login to the helper that has least to do.
    pub fn hand_over(&mut self, request: &AuthRequest) {
        let line = self.lines.iter_mut().min_by_key(|line| line.under_way);
        let line = line.expect("there is at least one helper");
        let pushed = line.ends.requests.push(request);
        debug_assert!(pushed, "a ring has room for what may be under way");
        line.under_way += 1;
    }

    /// A connection was opened, and is nobody's.
    pub fn add_stranger(&mut self, conn: ConnId, is_stranger: impl Fn(ConnId) -> bool) {
        if self.strangers.len() == self.strangers.capacity() {
            self.strangers.retain(|known| is_stranger(*known));
        }
        self.strangers.push_back(conn);
    }

    /// The connection that was open longest without asking to be let in.
    pub fn oldest_stranger(
        &mut self,
        is_silent: impl Fn(ConnId) -> Option<bool>,
    ) -> Option<ConnId> {
        for _ in 0..self.strangers.len() {
            let conn = self.strangers.pop_front()?;
            match is_silent(conn) {
                Some(true) => return Some(conn),
                Some(false) => self.strangers.push_back(conn),
                None => {}
            }
        }
        None
    }
}

fn upper(name: &[u8]) -> Vec<u8> {
    name.to_ascii_uppercase()
}
