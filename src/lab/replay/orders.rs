//! A market played to a gateway as orders over OUCH: one user has those that rested, another takes from them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::{Duration, Instant};

use super::play::{Comparison, Recorded, Tally};
use super::{MarketSource, Pace};
use crate::client::{Client, NewOrder, Received, cancel, replace};
use crate::lab::LabError;
use crate::lab::row::{Kind, Row};
use crate::strategy::ouch::event;
use crate::strategy::{LinkEvent, Report};

/// Messages sent ahead of their answers at the most: the sockets hold that much.
const AHEAD_MAX: u64 = 2_000;
/// How long the last answers may take.
const SETTLE: Duration = Duration::from_secs(30);

/// Why orders could not be played.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    /// The recording.
    #[error("{0}")]
    Lab(#[from] LabError),
    /// The gateway.
    #[error("the gateway: {0}")]
    Io(#[from] io::Error),
}

struct Player {
    clients: [Client; 2],
    /// Numbers used by each.
    used: [u32; 2],
    /// Sent, and answered, of what is answered for certain.
    sent: u64,
    answered: u64,
    orders: HashMap<u64, (u32, u32)>,
    symbol_of: HashMap<u32, u16>,
    names: Vec<String>,
    played: Vec<Tally>,
    rejected: u64,
}

/// Plays a market to a gateway, at a pace, and compares what traded. `clients` are two logged-in users of different
/// firms: who rests, who takes. Both begin with the numbers behind `used`.
pub fn play(
    source: &MarketSource,
    symbols: &[String],
    mut pace: Pace,
    clients: [Client; 2],
    used: [u32; 2],
    mut goes_on: impl FnMut() -> bool,
) -> Result<(Comparison, u64), OrdersError> {
    clients.iter().try_for_each(Client::set_nonblocking)?;
    let mut player = Player {
        clients,
        used,
        sent: 0,
        answered: 0,
        orders: HashMap::new(),
        symbol_of: HashMap::new(),
        names: vec![],
        played: vec![],
        rejected: 0,
    };
    let (mut recorded, mut events, mut stopped) = (Recorded::default(), 0u64, false);
    let mut failed = None;
    let skipped = source.each::<OrdersError>(symbols, |name, row| {
        if stopped {
            return Ok(());
        }
        loop {
            player.hear()?;
            let wait = pace.wait(row.time_ns);
            if wait.is_zero() && player.sent < player.answered + AHEAD_MAX {
                break;
            }
            if !goes_on() {
                stopped = true;
                return Ok(());
            }
            std::thread::sleep(wait.min(Duration::from_micros(200)));
        }
        recorded.row(name, row);
        player.row(name, row)?;
        events += 1;
        if events.is_multiple_of(1 << 10) {
            stopped = !goes_on();
        }
        Ok(())
    })?;
    let deadline = Instant::now() + SETTLE;
    while player.answered < player.sent && Instant::now() < deadline {
        if let Err(error) = player.hear() {
            failed = Some(error);
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    let mut comparison = Comparison { events, symbols: BTreeMap::new(), skipped };
    for (name, mut tally) in recorded.into_tallies() {
        // What rests at the end is the gateway's to show.
        (tally.displayed, tally.orders) = (0, 0);
        let number = player.names.iter().position(|known| *known == name);
        let played = number.map_or(Tally::default(), |number| player.played[number]);
        comparison.symbols.insert(name, (tally, played));
    }
    Ok((comparison, player.rejected))
}

impl Player {
    fn number(&mut self, name: &str) -> u16 {
        let at = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.played.push(Tally::default());
            self.names.len() - 1
        });
        at as u16
    }

    fn send(&mut self, who: usize, message: &[u8]) -> io::Result<()> {
        let packet = crate::wire::soupbin::packet(crate::wire::soupbin::kind::UNSEQUENCED, message);
        let (mut done, deadline) = (0, Instant::now() + SETTLE);
        while done < packet.len() {
            done += self.clients[who].try_send_raw(&packet[done..])?;
            if done < packet.len() {
                if Instant::now() > deadline {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "it reads nothing"));
                }
                self.hear()?;
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        Ok(())
    }

    fn next_ref(&mut self, who: usize) -> u32 {
        self.used[who] += 1;
        self.used[who]
    }

    fn row(&mut self, name: &str, row: &Row) -> io::Result<()> {
        let symbol = self.number(name);
        let side = |buys: bool| if buys { b'B' } else { b'S' };
        match row.kind {
            Kind::Add => {
                let Some(buys) = row.buys else { return Ok(()) };
                let id = self.next_ref(0);
                self.orders.insert(row.order, (id, row.shares));
                self.symbol_of.insert(id, symbol);
                self.sent += 1;
                let order = NewOrder::new(id, side(buys), row.shares, name, row.price);
                self.send(0, &order.encode())
            }
            Kind::Replace => {
                let Some((old, _)) = self.orders.remove(&row.replaces) else { return Ok(()) };
                let id = self.next_ref(0);
                self.orders.insert(row.order, (id, row.shares));
                self.symbol_of.insert(id, symbol);
                self.sent += 1;
                self.send(0, &replace(old, id, row.shares, row.price))
            }
            Kind::Execute | Kind::ExecuteAt => {
                let Some((_, left)) = self.orders.get_mut(&row.order) else { return Ok(()) };
                *left = left.saturating_sub(row.shares);
                if *left == 0 {
                    self.orders.remove(&row.order);
                }
                let Some(buys) = row.buys else { return Ok(()) };
                // It is to find what was sent before it.
                let deadline = Instant::now() + SETTLE;
                while self.answered < self.sent && Instant::now() < deadline {
                    self.hear()?;
                    std::hint::spin_loop();
                }
                let id = self.next_ref(1);
                self.sent += 1;
                let order = NewOrder::new(id, side(!buys), row.shares, name, row.price).ioc();
                self.send(1, &order.encode())?;
                while self.answered < self.sent && Instant::now() < deadline {
                    self.hear()?;
                    std::hint::spin_loop();
                }
                Ok(())
            }
            Kind::Cancel | Kind::Delete => {
                let Some((id, left)) = self.orders.get_mut(&row.order) else { return Ok(()) };
                let id = *id;
                *left = if row.kind == Kind::Delete { 0 } else { left.saturating_sub(row.shares) };
                let left = *left;
                if left == 0 {
                    self.orders.remove(&row.order);
                }
                self.send(0, &cancel(id, left))
            }
            Kind::Trade => Ok(()),
        }
    }

    fn hear(&mut self) -> io::Result<()> {
        for who in 0..2 {
            let Player { clients, answered, symbol_of, played, rejected, .. } = self;
            clients[who].drain(|received| {
                let Received::Message(_, bytes) = received else { return };
                let Some(LinkEvent::Report(report)) = event(&bytes) else { return };
                match report {
                    Report::Accepted { .. } | Report::Replaced { .. } => *answered += 1,
                    Report::Rejected { .. } => {
                        *answered += 1;
                        *rejected += 1;
                    }
                    Report::Executed { id, shares, price, .. } if who == 0 => {
                        if let Some(symbol) = symbol_of.get(&id) {
                            let tally = &mut played[usize::from(*symbol)];
                            tally.trades += 1;
                            tally.shares += u64::from(shares);
                            tally.notional += u128::from(price.notional(shares));
                        }
                    }
                    _ => {}
                }
            })?;
        }
        Ok(())
    }
}
