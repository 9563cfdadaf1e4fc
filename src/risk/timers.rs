//! Expiry of GTT orders: a wheel of lists, one for each second modulo its size.

use crate::order::Slot;

use super::table::Shadow;

const WHEEL_SECONDS: u64 = 1024;
const NIL: u32 = Slot::NONE.0;

pub(super) struct Timers {
    heads: Vec<u32>,
    /// The last second whose list was emptied of what expired.
    done_s: u64,
    count: usize,
}

impl Timers {
    pub fn new() -> Timers {
        Timers { heads: vec![NIL; WHEEL_SECONDS as usize], done_s: 0, count: 0 }
    }

    /// Whether no order has a time.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn list(&self, shadow: &Shadow) -> usize {
        (u64::from(shadow.expires_s) % WHEEL_SECONDS) as usize
    }

    /// Lists an order under its second. A second already passed counts at the next turn,
    /// because the wheel is then turned from before it.
    pub fn insert(&mut self, shadows: &mut [Shadow], slot: Slot) {
        self.count += 1;
        let list = self.list(&shadows[slot.index()]);
        self.done_s = self.done_s.min(u64::from(shadows[slot.index()].expires_s) - 1);
        let head = std::mem::replace(&mut self.heads[list], slot.0);
        shadows[slot.index()].timer_next = head;
        shadows[slot.index()].timer_prev = NIL;
        if head != NIL {
            shadows[head as usize].timer_prev = slot.0;
        }
    }

    pub fn remove(&mut self, shadows: &mut [Shadow], slot: Slot) {
        self.count -= 1;
        let Shadow { timer_next: next, timer_prev: prev, .. } = shadows[slot.index()];
        match prev {
            NIL => {
                let list = self.list(&shadows[slot.index()]);
                self.heads[list] = next;
            }
            prev => shadows[prev as usize].timer_next = next,
        }
        if next != NIL {
            shadows[next as usize].timer_prev = prev;
        }
        shadows[slot.index()].expires_s = 0;
    }

    /// An order that expired at or before `now_s` and has not been cancelled yet. `None` ends
    /// the turn: ask again in the next second.
    pub fn next_expired(&mut self, shadows: &[Shadow], now_s: u64) -> Option<Slot> {
        self.done_s = self.done_s.max(now_s.saturating_sub(WHEEL_SECONDS));
        while self.done_s < now_s {
            let mut slot = self.heads[((self.done_s + 1) % WHEEL_SECONDS) as usize];
            while slot != NIL {
                let order = &shadows[slot as usize];
                if u64::from(order.expires_s) <= now_s && !order.cancel_sent {
                    return Some(Slot(slot));
                }
                slot = order.timer_next;
            }
            self.done_s += 1;
        }
        None
    }
}
