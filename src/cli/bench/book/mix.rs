//! The commands: exchange-core's published mix on one symbol, and the same kinds over a whole market.

use crate::client::load::Random;
use crate::order::{
    Command, CommandKind, FirmId, Price, Side, SymbolId, TimeInForce, UserId, UserRefNum,
};

use super::machine::Machine;

pub const ACCOUNTS: u16 = 1_000;
pub const MIDDLE: u64 = 100_000;
const HALF_WIDTH: u64 = 400;

/// What is traded.
pub struct Mix {
    pub symbols: u16,
    /// Live orders, which are there before anything is timed.
    pub live: usize,
    /// Slots.
    pub orders: u32,
}

pub const ONE_SYMBOL: Mix = Mix { symbols: 1, live: 1_000, orders: 8_192 };
pub const WHOLE_MARKET: Mix = Mix { symbols: 12_000, live: 1_000_000, orders: 1 << 21 };

/// Symbols as often as 1/rank.
struct Zipf {
    sums: Vec<u64>,
}

impl Zipf {
    fn new(symbols: u16) -> Zipf {
        let mut sum = 0;
        let sums = (1..=u64::from(symbols)).map(|rank| {
            sum += (1 << 24) / rank;
            sum
        });
        Zipf { sums: sums.collect() }
    }

    fn pick(&self, random: &mut Random) -> SymbolId {
        let at = random.below(*self.sums.last().expect("at least one"));
        SymbolId(self.sums.partition_point(|sum| *sum <= at) as u16)
    }
}

/// A price on a side: mostly behind the middle, as deep as the band is wide.
fn price(random: &mut Random, side: Side) -> Price {
    let depth = 1 + random.below(HALF_WIDTH);
    let ticks = if side.is_buy() { MIDDLE - depth } else { MIDDLE + depth };
    Price(ticks as u32 * 100)
}

/// Makes the commands, against a live machine so that moves and cancels name live orders.
pub fn generate(mix: &Mix, count: usize) -> Vec<Command> {
    let mut machine = Machine::new(mix);
    let mut random = Random::new(20_121_212);
    let zipf = Zipf::new(mix.symbols);
    let mut next_ref = vec![1u32; ACCOUNTS.into()];
    let mut live: Vec<(u16, u32, Side)> = Vec::new();
    let mut commands = Vec::with_capacity(count + mix.live);
    while commands.len() < count + mix.live {
        let few = live.len() < mix.live / 2 || commands.len() < mix.live;
        let pick = if few { 0 } else { random.below(100) };
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let new = |random: &mut Random, account: u16, tif, price| Command {
            side,
            tif,
            qty: 1 + random.below(100) as u32,
            price,
            symbol: zipf.pick(random),
            ..Command::new(CommandKind::Enter, UserId(account), FirmId(account))
        };
        let mut command = match pick {
            0..9 => {
                let account = random.below(ACCOUNTS.into()) as u16;
                let price = price(&mut random, side);
                live.push((account, next_ref[usize::from(account)], side));
                new(&mut random, account, TimeInForce::Day, price)
            }
            9..12 => {
                // Takes whatever is best on the other side.
                let account = random.below(ACCOUNTS.into()) as u16;
                let far = if side.is_buy() { MIDDLE + HALF_WIDTH } else { MIDDLE - HALF_WIDTH };
                new(&mut random, account, TimeInForce::Ioc, Price(far as u32 * 100))
            }
            12..18 => {
                let at = random.below(live.len() as u64) as usize;
                let (account, user_ref, _) = live.swap_remove(at);
                let cancel = Command::new(CommandKind::Cancel, UserId(account), FirmId(account));
                Command { user_ref: UserRefNum(user_ref), ..cancel }
            }
            _ => {
                let at = random.below(live.len() as u64) as usize;
                let (account, user_ref, side) = live[at];
                live[at].1 = next_ref[usize::from(account)];
                let price = price(&mut random, side);
                let qty = 1 + random.below(100) as u32;
                let replace = Command::new(CommandKind::Replace, UserId(account), FirmId(account));
                Command { orig_user_ref: UserRefNum(user_ref), qty, price, ..replace }
            }
        };
        if command.kind != CommandKind::Cancel {
            let next = &mut next_ref[command.user.index()];
            command.user_ref = UserRefNum(*next);
            *next += 1;
        }
        machine.run(&[command], commands.len() as u64 + 2);
        machine.drain();
        commands.push(command);
        if commands.len().is_multiple_of(mix.live.max(4096)) {
            // Forget what traded, so that later commands name what is there.
            let mut open = std::collections::HashSet::new();
            for symbol in (0..mix.symbols).map(SymbolId) {
                machine.book.for_each_order(symbol, |_, order| {
                    open.insert((order.user.0, order.user_ref.0));
                });
            }
            live.retain(|(account, user_ref, _)| open.contains(&(*account, *user_ref)));
        }
    }
    commands
}
