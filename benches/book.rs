//! Risk and book on exchange-core's published mix: one symbol, 1,000 accounts, about 1,000 live
//! orders; 9 % GTC, 3 % IOC, 6 % cancel, 82 % move. Then the same kinds of commands over a whole
//! market: 12,000 symbols, as often as a Zipf distribution has it, and a million live orders, any of
//! which may be moved next. `cargo bench --bench book`
//!
//! The commands are made beforehand against a live book, so that each names an order that is
//! there. They run through sequencing, every check, matching, feedback, and events into a ring
//! that is read. What is timed is checked first: two runs must end in the same state.

use std::time::Instant;

use hdrhistogram::Histogram;
use millrace::book::{self, Book, Outlet, RingReports};
use millrace::client::load::Random;
use millrace::order::{
    Command, CommandKind, Event, Feedback, FirmId, Price, SelfTrade, Side, SymbolId, TimeInForce,
    UserId, UserRefNum,
};
use millrace::ring::{self, Consumer, Producer};
use millrace::risk::{self, Limits, Risk};

const COMMANDS: usize = 3_000_000;
const ACCOUNTS: u16 = 1_000;
const MIDDLE: u64 = 100_000;
const HALF_WIDTH: u64 = 400;
const RUNS: usize = 5;
/// Commands that an agent takes in one turn.
const BATCH: usize = 64;

/// What is traded.
struct Mix {
    symbols: u16,
    /// Live orders, which are there before anything is timed.
    live: usize,
    /// Slots.
    orders: u32,
}

const ONE_SYMBOL: Mix = Mix { symbols: 1, live: 1_000, orders: 8_192 };
const WHOLE_MARKET: Mix = Mix { symbols: 12_000, live: 1_000_000, orders: 1 << 21 };

/// Symbols as often as 1/rank.
struct Zipf {
    sums: Vec<u64>,
}

impl Zipf {
    fn new(symbols: u16) -> Zipf {
        let mut sum = 0;
        let sums = (1..=u64::from(symbols)).map(|rank| {
            sum += (1 << 40) / rank;
            sum
        });
        Zipf { sums: sums.collect() }
    }

    fn pick(&self, random: &mut Random) -> SymbolId {
        let at = random.below(*self.sums.last().expect("at least one"));
        SymbolId(self.sums.partition_point(|sum| *sum <= at) as u16)
    }
}

struct RingOutlet {
    events: Producer<Event>,
    feedback: Vec<Feedback>,
}

impl Outlet for RingOutlet {
    fn has_room(&mut self, reports: usize) -> bool {
        self.events.has_room(reports)
    }
    #[inline]
    fn event(&mut self, _user: UserId, write: impl FnOnce(&mut Event)) {
        self.events.stage_with(write);
    }
    #[inline]
    fn feedback(&mut self, feedback: &Feedback) {
        self.feedback.push(*feedback);
    }
}

struct Machine {
    risk: Risk,
    book: Book,
    reports: RingReports<RingOutlet>,
    events: Consumer<Event>,
    sequenced: Vec<Command>,
}

impl Machine {
    fn new(mix: &Mix) -> Machine {
        let (orders, symbols) = (mix.orders, mix.symbols);
        let capacity = risk::Capacity { orders, users: ACCOUNTS, firms: ACCOUNTS, symbols };
        let (tx, events) = ring::on_heap(256, Event::EMPTY);
        let outlet = RingOutlet { events: tx, feedback: Vec::with_capacity(4096) };
        let mut machine = Machine {
            risk: Risk::new(capacity),
            book: Book::new(book::Capacity { orders, symbols }),
            reports: RingReports::new(outlet),
            events,
            sequenced: Vec::with_capacity(BATCH),
        };
        // Numbers are enciphered, as a journal has it.
        let mut key = Command::new(CommandKind::DefineNumbers, UserId(0), FirmId(0));
        key.text[..12].copy_from_slice(b"twelve bytes");
        machine.define(key);
        for account in 0..ACCOUNTS {
            machine.risk.set_limits(FirmId(account), limits());
            let (user, firm) = (UserId(account), FirmId(account));
            machine.define(Command::new(CommandKind::DefineUser, user, firm));
        }
        for symbol in (0..symbols).map(SymbolId) {
            let define = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
            machine.define(Command { symbol, price: Price(100), ..define });
            machine.risk.set_reference_price(symbol, Price(MIDDLE as u32 * 100));
        }
        machine
    }

    fn define(&mut self, mut command: Command) {
        self.risk.sequence_own(&mut command, 1);
        self.book.apply(&command, &mut self.reports);
        self.drain();
    }

    fn drain(&mut self) {
        self.reports.outlet.events.publish();
        while self.events.pop_batch(1024, |event| _ = std::hint::black_box(event.user_ref)) > 0 {}
    }

    /// Commands that come together go through risk and then through the book, as the agents take them.
    #[inline]
    fn run(&mut self, commands: &[Command], now_ns: u64) {
        for batch in commands.chunks(BATCH) {
            self.run_batch(batch, now_ns);
        }
    }

    #[inline]
    fn run_batch(&mut self, commands: &[Command], now_ns: u64) {
        if self.risk.has_to_foresee() && commands.len() > 3 {
            for step in 0..risk::FORESEE_STEPS {
                for (at, command) in commands.iter().enumerate() {
                    self.risk.foresee(command, at, step);
                }
            }
        }
        self.sequenced.clear();
        for command in commands {
            let mut sequenced = *command;
            if self.risk.sequence(&mut sequenced, now_ns) {
                self.sequenced.push(sequenced);
            }
        }
        if self.book.has_to_foresee() && commands.len() > 3 {
            for step in 0..book::FORESEE_STEPS {
                self.sequenced.iter().for_each(|command| self.book.foresee(command, step));
            }
        }
        for at in 0..self.sequenced.len() {
            self.book.apply(&self.sequenced[at], &mut self.reports);
            while self.book.is_paused() {
                self.drain();
                self.book.resume(&mut self.reports);
            }
            if !self.reports.outlet.events.has_room(16) {
                self.drain();
            }
        }
        for feedback in self.reports.outlet.feedback.drain(..) {
            self.risk.feed_back(&feedback);
        }
    }

    fn digest(&self) -> (u64, u64) {
        (self.book.digest(), self.risk.digest())
    }
}

fn limits() -> Limits {
    Limits {
        max_order_qty: 100_000,
        max_order_notional: u64::MAX,
        price_collar_bps: 2_000,
        max_messages_per_second: u32::MAX,
        max_position: 1 << 40,
        max_open_notional: 1 << 60,
        max_open_orders: u32::MAX,
        duplicate_window_ns: 0,
        self_trade: SelfTrade::CancelNewest,
        market_orders: true,
        short_sales: true,
        restricted: vec![false],
    }
}

/// A price on a side: mostly behind the middle, as deep as the band is wide.
fn price(random: &mut Random, side: Side) -> Price {
    let depth = 1 + random.below(HALF_WIDTH);
    let ticks = if side.is_buy() { MIDDLE - depth } else { MIDDLE + depth };
    Price(ticks as u32 * 100)
}

/// Makes the commands, against a live machine so that moves and cancels name live orders.
fn generate(mix: &Mix) -> Vec<Command> {
    let mut machine = Machine::new(mix);
    let mut random = Random::new(20_121_212);
    let zipf = Zipf::new(mix.symbols);
    let mut next_ref = vec![1u32; ACCOUNTS.into()];
    let mut live: Vec<(u16, u32, Side)> = Vec::new();
    let mut commands = Vec::with_capacity(COMMANDS + mix.live);
    while commands.len() < COMMANDS + mix.live {
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

/// Runs all commands; seconds for those after the warm-up, and the final state.
fn run(mix: &Mix, commands: &[Command]) -> (f64, (u64, u64)) {
    let mut machine = Machine::new(mix);
    let (warm_up, timed) = commands.split_at(mix.live);
    machine.run(warm_up, 2);
    machine.drain();
    let started = Instant::now();
    for batch in timed.chunks(BATCH) {
        machine.run(batch, 3);
        machine.drain();
    }
    (started.elapsed().as_secs_f64(), machine.digest())
}

/// Latency of each command at an offered rate, from its scheduled time.
fn latencies(commands: &[Command], per_second: f64) -> Histogram<u64> {
    let mut machine = Machine::new(&ONE_SYMBOL);
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 1_000_000_000, 3).unwrap();
    let started = Instant::now();
    for (n, command) in commands.iter().enumerate() {
        let due_ns = (n as f64 * 1e9 / per_second) as u64;
        while (started.elapsed().as_nanos() as u64) < due_ns {
            std::hint::spin_loop();
        }
        machine.run(std::slice::from_ref(command), 3);
        machine.drain();
        if n >= ONE_SYMBOL.live {
            let late = started.elapsed().as_nanos() as u64 - due_ns;
            histogram.saturating_record(late);
        }
    }
    histogram
}

fn main() {
    if let Some(core) = core_affinity::get_core_ids().and_then(|cores| cores.last().copied()) {
        core_affinity::set_for_current(core);
    }
    let mixes = [&ONE_SYMBOL, &WHOLE_MARKET];
    let commands = mixes.map(generate);
    let mut seconds: [Vec<f64>; 2] = Default::default();
    let mut states = [None; 2];
    // In turn, so that what else the machine does falls on both.
    for _ in 0..RUNS {
        for (at, mix) in mixes.iter().enumerate() {
            let (took, digest) = run(mix, &commands[at]);
            assert!(states[at].is_none_or(|state| state == digest), "two runs end differently");
            states[at] = Some(digest);
            seconds[at].push(took);
        }
    }
    let [one, wide] = seconds.map(|mut all| {
        all.sort_by(f64::total_cmp);
        (all[RUNS / 2], all[0])
    });
    let rate = |seconds: f64| COMMANDS as f64 / seconds / 1e6;
    println!("risk and book, exchange-core's mix, {COMMANDS} commands, {RUNS} runs");
    println!("  median {:.2} M commands/s, best {:.2}", rate(one.0), rate(one.1));
    println!("  (mark 10, goal 25; exchange-core publishes 5)");
    println!("the same over {} symbols, {} live orders", WHOLE_MARKET.symbols, WHOLE_MARKET.live);
    println!("  median {:.2} M commands/s, best {:.2}", rate(wide.0), rate(wide.1));
    println!("  a command costs {:.2} of one in one symbol (mark 2.0, goal 1.5)", wide.0 / one.0);
    let commands = &commands[0];
    for rate in [1e6, 5e6] {
        let histogram = latencies(commands, rate);
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        println!(
            "  at {:.0} M/s offered: p50 {:.2} us, p99 {:.2} us, p99.9 {:.2} us, {} samples",
            rate / 1e6,
            at(0.5),
            at(0.99),
            at(0.999),
            histogram.len()
        );
    }
}
