//! An outside exchange as a model: it keeps to the rules, or lies.

use std::collections::{HashMap, VecDeque};

use crate::book::drawn::Draw;
use crate::order::{
    Event, EventKind, FirmId, Price, Said, Saying, Side, Slot, SymbolId, TimeInForce,
};

/// An order as a venue has it.
#[derive(Clone, Debug)]
pub struct There {
    pub slot: Slot,
    pub symbol: SymbolId,
    pub firm: FirmId,
    pub side: Side,
    pub qty: u32,
    pub cum: u32,
    pub live: bool,
}

/// An outside exchange: takes messages when it likes, fills what it likes.
#[derive(Default)]
pub struct Exchange {
    pub inbox: VecDeque<Event>,
    pub outbox: VecDeque<Said>,
    pub orders: HashMap<u32, There>,
    /// What each name became.
    renamed: HashMap<u32, u32>,
    trades: Vec<(u64, There, u32)>,
    next_exec: u64,
    /// Net shares of each firm in each symbol.
    pub held: HashMap<(FirmId, SymbolId), i64>,
}

/// Shares, less than none if they were sold.
pub fn signed(side: Side, qty: u32) -> i64 {
    if side.is_buy() { qty.into() } else { -i64::from(qty) }
}

impl Exchange {
    fn say(&mut self, order: &There, number: u32, saying: Saying) {
        let (slot, symbol) = (order.slot, order.symbol);
        if matches!(saying, Saying::Canceled { .. }) && order.cum > 0 {
            let (cum, notional) = (order.cum, u64::from(order.cum) * 1_000_000);
            let saying = Saying::Traded { cum, notional };
            self.outbox.push_back(Said { slot, symbol, number, saying });
        }
        self.outbox.push_back(Said { slot, symbol, number, saying });
    }

    pub fn step(&mut self, draw: &mut Draw) {
        match draw.below(4) {
            0 | 1 => self.take_one(draw),
            2 => self.fill_one(draw),
            _ => self.do_something_else(draw),
        }
    }

    pub fn take_one(&mut self, draw: &mut Draw) {
        let Some(event) = self.inbox.pop_front() else { return };
        let (number, of) = (event.user_ref.0, event.reference as u32);
        let about = There {
            slot: event.command.slot,
            symbol: event.command.symbol,
            firm: event.command.firm,
            side: event.command.side,
            qty: event.qty,
            cum: 0,
            live: true,
        };
        match event.kind {
            EventKind::VenueOrder if draw.below(8) == 0 => {
                self.say(&about, number, Saying::Refused);
            }
            EventKind::VenueOrder => {
                if draw.below(4) > 0 {
                    self.say(&about, number, Saying::Accepted);
                }
                assert!(self.orders.insert(number, about.clone()).is_none(), "a name is new");
                if event.command.tif == TimeInForce::Ioc {
                    self.fill(number, draw);
                    let order = self.orders.get_mut(&number).unwrap();
                    if std::mem::take(&mut order.live) {
                        let order = order.clone();
                        self.say(&order, number, Saying::Canceled { qty: 0 });
                    }
                }
            }
            EventKind::VenueCancel => match self.orders.get_mut(&of) {
                Some(order) if order.live && draw.below(6) > 0 => {
                    order.live = false;
                    let order = order.clone();
                    self.say(&order, number, Saying::Canceled { qty: 0 });
                }
                _ => self.say(&about, number, Saying::CancelRefused),
            },
            EventKind::VenueReplace => match self.orders.get(&of).cloned() {
                Some(order) if order.live && event.qty > order.cum && draw.below(5) > 0 => {
                    self.orders.get_mut(&of).unwrap().live = false;
                    self.orders.insert(number, There { qty: event.qty, ..order });
                    self.renamed.insert(of, number);
                    self.say(&about, number, Saying::Replaced);
                }
                _ => self.say(&about, number, Saying::ReplaceRefused),
            },
            EventKind::VenueStatus => match self.orders.get(&number).cloned() {
                Some(order) if !self.renamed.contains_key(&number) => {
                    let leaves = if order.live { order.qty - order.cum } else { 0 };
                    let notional = u64::from(order.cum) * 1_000_000;
                    let saying = Saying::Stands { cum: order.cum, leaves, notional };
                    self.say(&about, number, saying);
                }
                _ => self.say(&about, number, Saying::Unknown),
            },
            kind => panic!("{kind:?} is nothing for a venue"),
        }
    }

    fn fill_one(&mut self, draw: &mut Draw) {
        let mut live: Vec<u32> =
            self.orders.iter().filter(|(_, order)| order.live).map(|(n, _)| *n).collect();
        live.sort_unstable();
        if !live.is_empty() {
            let number = draw.of(&live);
            self.fill(number, draw);
        }
    }

    fn fill(&mut self, number: u32, draw: &mut Draw) {
        let order = self.orders.get_mut(&number).unwrap();
        let qty = 1 + draw.below((order.qty - order.cum).into()) as u32;
        order.cum += qty;
        order.live = order.cum < order.qty;
        let order = order.clone();
        self.next_exec += 1;
        let exec = self.next_exec;
        *self.held.entry((order.firm, order.symbol)).or_default() += signed(order.side, qty);
        self.trades.push((exec, order.clone(), qty));
        self.say(&order, number, Saying::Filled { qty, price: Price(1_000_000), exec });
    }

    fn do_something_else(&mut self, draw: &mut Draw) {
        match draw.below(10) {
            // Takes an order away by itself.
            0 => {
                let mut live: Vec<u32> =
                    self.orders.iter().filter(|(_, order)| order.live).map(|(n, _)| *n).collect();
                live.sort_unstable();
                if live.is_empty() {
                    return;
                }
                let number = draw.of(&live);
                let order = self.orders.get_mut(&number).unwrap();
                order.live = false;
                let order = order.clone();
                self.say(&order, number, Saying::Canceled { qty: 0 });
            }
            // Undoes a trade.
            1 if !self.trades.is_empty() => {
                let at = draw.below(self.trades.len() as u64) as usize;
                let (exec, order, qty) = self.trades.swap_remove(at);
                *self.held.get_mut(&(order.firm, order.symbol)).unwrap() -= signed(order.side, qty);
                self.say(&order, 0, Saying::Busted { exec });
            }
            _ => {}
        }
    }

    /// What was not heard will never be, but for trades that were undone.
    pub fn forget_said(&mut self) {
        let undone: Vec<u64> = self
            .outbox
            .iter()
            .filter_map(|said| match said.saying {
                Saying::Busted { exec } => Some(exec),
                _ => None,
            })
            .collect();
        let trades = &mut self.trades;
        self.outbox.retain(|said| match said.saying {
            Saying::Busted { .. } => true,
            Saying::Filled { exec, .. } if undone.contains(&exec) => true,
            Saying::Filled { exec, .. } => {
                trades.retain(|(of, ..)| *of != exec);
                false
            }
            _ => false,
        });
    }

    /// Tells how some of its orders stand.
    pub fn tell_some(&mut self, draw: &mut Draw) {
        let live = |(_, order): &(&u32, &There)| order.live;
        let live = self.orders.iter().filter(live);
        let mut live: Vec<_> = live.map(|(number, order)| (*number, order.clone())).collect();
        live.sort_unstable_by_key(|(number, _)| *number);
        for (number, order) in live {
            if draw.below(3) > 0 {
                let (cum, leaves) = (order.cum, order.qty - order.cum);
                let notional = u64::from(cum) * 1_000_000;
                self.say(&order, number, Saying::Stands { cum, leaves, notional });
            }
        }
    }

    /// Anything at all.
    pub fn lie(&mut self, draw: &mut Draw) {
        let mut numbers: Vec<u32> = self.orders.keys().copied().collect();
        numbers.sort_unstable();
        numbers.push(draw.below(1_000) as u32);
        let number = draw.of(&numbers);
        let slot = self.orders.get(&number).map_or(Slot(draw.below(80) as u32), |o| o.slot);
        let qty = draw.below(300) as u32;
        let exec = draw.below(40);
        let saying = match draw.below(13) {
            0 => Saying::Accepted,
            1 => Saying::Refused,
            2 | 3 => Saying::Filled { qty, price: Price(draw.below(2_000) as u32), exec },
            4 => Saying::Canceled { qty },
            5 => Saying::Replaced,
            6 => Saying::CancelRefused,
            7 => Saying::ReplaceRefused,
            8 => Saying::Busted { exec },
            9 => Saying::Stands { cum: qty, leaves: draw.below(300) as u32, notional: 7 },
            10 => Saying::Traded { cum: qty, notional: 9 },
            11 => Saying::Untold,
            _ => Saying::Unknown,
        };
        self.outbox.push_back(Said { slot, symbol: SymbolId(0), number, saying });
    }
}
