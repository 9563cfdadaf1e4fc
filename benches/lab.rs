//! What recording, signals, back-tests and a strategy's tick take, on a market of about a thousand live orders.

use std::hint::black_box;
use std::time::{Duration, Instant};

use millrace::book::{Book, Capacity};
use millrace::client::load::Random;
use millrace::client::market::Market;
use millrace::feed::{Nobody, Teller, Told};
use millrace::lab::backtest::{self, Delay, Latency, OwnOrders};
use millrace::lab::read::Recording;
use millrace::lab::{Partition, Recorder, Setup, Store};
use millrace::order::{
    Command, CommandKind, FirmId, NANOS_PER_SEC, Price, SeqNum, Side, Slot, TimeInForce, UserId,
    UserRefNum,
};
use millrace::ring::{self, broadcast};
use millrace::runtime::Clock;
use millrace::signals::{Ladder, Signals};
use millrace::strategy::live::Seat;
use millrace::strategy::{Desk, Fees, Limits, Maker, Strategy, ouch};
use millrace::wire::itch::Message;

const MESSAGES: usize = 3_000_000;
const LIVE: u32 = 1_000;

/// A market's messages, a microsecond apart.
fn market() -> Vec<Told> {
    let mut random = Random::new(15);
    let (mut book, mut teller) =
        (Book::new(Capacity { orders: 2 * LIVE, symbols: 1 }), Teller::new());
    let (mut told, mut seq) = (Vec::with_capacity(MESSAGES + 16), 0);
    let mut define = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
    define.price = Price(100);
    define.text[..4].copy_from_slice(b"PERF");
    let begin_ns = 20_000 * 86_400 * NANOS_PER_SEC + 36_000 * NANOS_PER_SEC;
    let mut center = 1_000_000u32;
    let mut next = Some(define);
    while told.len() < MESSAGES {
        seq += 1;
        let mut command = next.take().unwrap_or_else(|| {
            let slot = Slot(random.below(u64::from(LIVE)) as u32);
            let mut command = Command::new(CommandKind::Enter, UserId(1), FirmId(1));
            (command.slot, command.user_ref) = (slot, UserRefNum(seq as u32));
            if random.below(64) == 0 {
                center = (center + 100 * random.below(3) as u32 - 100).clamp(900_000, 1_100_000);
            }
            let steps = 1 + random.below(100).min(random.below(100)) as u32;
            let buys = random.below(2) == 0;
            command.side = if buys { Side::Buy } else { Side::Sell };
            command.qty = 1 + random.below(300) as u32;
            command.price = Price(if buys { center - 100 * steps } else { center + 100 * steps });
            match book.order(slot) {
                Some(order) if random.below(3) > 0 => {
                    (command.kind, command.side) = (CommandKind::Replace, order.side);
                    command.orig_user_ref = order.user_ref;
                    let buys = order.side.is_buy();
                    command.qty += order.executed();
                    command.price =
                        Price(if buys { center - 100 * steps } else { center + 100 * steps });
                }
                Some(order) => {
                    (command.kind, command.user_ref) = (CommandKind::Cancel, order.user_ref);
                    command.qty = 0;
                }
                None if random.below(16) == 0 => {
                    command.tif = TimeInForce::Ioc;
                    command.price = Price(if buys { center + 300 } else { center - 300 });
                    command.slot = Slot(LIVE);
                }
                None => {}
            }
            command.limit = command.price;
            command
        });
        (command.seq, command.time_ns) = (SeqNum(seq), begin_ns + told.len() as u64 * 1_000);
        teller.apply(&mut book, &command, &mut Nobody, &mut |message: &[u8]| {
            told.push(Told::new(told.len() as u64 + 1, 7, message));
        });
    }
    told
}

fn per(count: usize, work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_nanos() as f64 / count as f64
}

/// What signals add to an event of a ladder: order flow alone, and all of them.
fn signals() {
    const CHANGES: usize = 4_000_000;
    let mut random = Random::new(3);
    let changes: Vec<(bool, u32, u32)> = (0..CHANGES)
        .map(|_| {
            let steps = random.below(40).min(random.below(40)) as u32;
            let buys = random.below(2) == 0;
            (
                buys,
                if buys { 100_000 - steps } else { 100_001 + steps },
                1 + random.below(300) as u32,
            )
        })
        .collect();
    let run = |with: u8| {
        let (mut bids, mut asks) = (Ladder::new(true), Ladder::new(false));
        let mut signals = Signals::default();
        let mut quote = millrace::signals::Quote::EMPTY;
        let mut flow = 0;
        per(CHANGES, || {
            for (buys, price, shares) in &changes {
                let ladder = if *buys { &mut bids } else { &mut asks };
                let moved = match ladder.at(Price(*price)) {
                    Some(level) if level.shares > 2_000 => {
                        ladder.lower(Price(*price), level.shares as u32, level.orders == 1)
                    }
                    _ => Some(ladder.add(Price(*price), *shares)),
                };
                let Some(moved) = moved else { continue };
                match with {
                    0 => _ = black_box(moved),
                    1 => {
                        let now = millrace::signals::Quote::of(&bids, &asks);
                        flow += now.flow_since(&quote);
                        quote = now;
                    }
                    _ => {
                        let ladder = if *buys { &bids } else { &asks };
                        signals.moved(*buys, ladder, moved);
                        signals.settle(&bids, &asks);
                        black_box((
                            signals.imbalance(0),
                            signals.imbalance(1),
                            signals.imbalance(2),
                        ));
                        black_box((signals.twice_mid(), signals.spread(), signals.microprice()));
                    }
                }
            }
            black_box((flow, &signals));
        })
    };
    let mut rounds: Vec<[f64; 3]> = (0..7).map(|_| [run(0), run(1), run(2)]).collect();
    let mut median = |of: usize| {
        rounds.sort_by(|a, b| a[of].total_cmp(&b[of]));
        rounds[rounds.len() / 2][of]
    };
    let (ladder, flow, all) = (median(0), median(1), median(2));
    println!(
        "signals     order flow {:.1} ns an event, all of them with every division {:.1} ns; the ladder's own {ladder:.1} ns",
        flow - ladder,
        all - ladder
    );
}

fn setup(dir: &std::path::Path) -> Setup {
    Setup {
        store: Store::new(dir),
        partition: Partition::Symbol,
        file_rows: 1 << 20,
        file_ns: 300 * NANOS_PER_SEC,
        rows_max: 4 << 20,
        signals: false,
        one_clock: true,
    }
}

struct Dir(std::path::PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir =
            std::env::temp_dir().join(format!("millrace-bench-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn pin(core: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}

/// As fast as it goes, with its writer on the same core.
fn recorder(told: &[Told], dir: &Dir) -> f64 {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            // The writer's thread inherits the core.
            pin(0);
            let clock = Clock::new();
            let mut recorder = Recorder::new(setup(&dir.0), "BENCH").unwrap();
            let rate = per(told.len(), || {
                for told in told {
                    let now_ns = clock.now_ns();
                    recorder.message(told.number, now_ns, now_ns, told.message()).unwrap();
                }
                recorder.finish().unwrap();
            });
            1e9 / rate
        });
        work.join().unwrap()
    })
}

/// A million a second through a ring of the default length. Returns how many were missed.
fn lossless(told: &[Told]) -> u64 {
    let dir = Dir::new("lossless");
    let (mut publisher, _) = broadcast::on_heap::<Told>(1 << 18);
    let mut subscriber = publisher.subscriber();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(1);
            let began = Instant::now();
            for (n, told) in told.iter().enumerate() {
                while began.elapsed() < Duration::from_nanos(n as u64 * 1_000) {
                    std::hint::spin_loop();
                }
                publisher.push(told);
            }
            // The ring has to stay until it was read.
            std::thread::sleep(Duration::from_millis(1_500));
        });
        let reader = scope.spawn(|| {
            pin(0);
            let clock = Clock::new();
            let mut recorder = Recorder::new(setup(&dir.0), "BENCH").unwrap();
            let (mut next, mut missed) = (1, 0);
            while next <= told.len() as u64 {
                let taken = subscriber.pop_batch(4_096, |told| {
                    missed += told.number - next;
                    next = told.number + 1;
                    let now_ns = clock.now_ns();
                    recorder.message(told.number, now_ns, now_ns, told.message()).unwrap();
                });
                if taken == Ok(0) {
                    std::thread::yield_now();
                }
            }
            recorder.finish().unwrap();
            missed
        });
        reader.join().unwrap()
    })
}

/// Decides nothing.
struct Idle;

impl Strategy for Idle {
    fn on_book(&mut self, _: usize, _: &millrace::client::market::Depth, _: &mut Desk) {}
}

fn desk() -> Desk {
    let limits =
        Limits { orders_per_second: usize::MAX, max_loss: u64::MAX >> 2, ..Limits::default() };
    let mut desk = Desk::new(&["PERF"], limits, Fees::default());
    desk.connected(1);
    desk
}

fn backtest<S: Strategy>(dir: &Dir, strategy: S) -> (f64, usize) {
    let symbols = ["PERF".to_owned()];
    let mut recording = Recording::open(&dir.0, &symbols).unwrap();
    let mut seat = Seat::new(strategy, desk());
    let fixed = Delay::Fixed(20_000);
    let latency = Latency { feed: fixed.clone(), order: fixed.clone(), report: fixed };
    let without = OwnOrders::default();
    let setup = backtest::Setup { symbols: symbols.to_vec(), latency, seed: 1, without };
    let began = Instant::now();
    let outcome = backtest::run(&mut recording, &mut seat, setup).unwrap();
    (outcome.events as f64 / began.elapsed().as_secs_f64(), outcome.fills.len())
}

/// From an event in the ring to the bytes of the orders that it brought about: half of them take less, one of a
/// hundred more.
fn tick(told: &[Told]) -> (f64, f64, usize) {
    pin(0);
    let (mut publisher, mut subscriber) = broadcast::on_heap::<Told>(1 << 10);
    let mut maker = Maker::default();
    maker.half_spread = 100;
    let mut seat = Seat::new(maker, desk());
    let (mut bytes, mut times) = (Vec::with_capacity(4_096), vec![]);
    let clock = Clock::new();
    for told in told.iter().take(400_000) {
        publisher.push(told);
        let began = Instant::now();
        seat.desk.set_now(clock.now_ns());
        let _ = subscriber.pop_batch(1, |told| seat.message(told.message()));
        if seat.desk.has_requests() {
            ouch::encode(&mut seat.desk, &mut bytes);
            times.push(began.elapsed().as_nanos() as u64);
            answer(&mut seat, &bytes);
            bytes.clear();
        }
    }
    times.sort_unstable();
    (times[times.len() / 2] as f64, times[times.len() * 99 / 100] as f64, times.len())
}

/// A venue that accepts everything.
fn answer<S: Strategy>(seat: &mut Seat<S>, mut bytes: &[u8]) {
    use millrace::strategy::Report;
    let number =
        |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    while let Ok(Some((packet, used))) = millrace::wire::soupbin::Packet::parse(bytes, u16::MAX) {
        bytes = &bytes[used..];
        let p = packet.payload;
        let report = match p[0] {
            b'O' => Report::Accepted {
                id: number(p, 1),
                symbol: *b"PERF    ",
                buys: p[5] == b'B',
                shares: number(p, 6),
                price: Price(number(p, 22)),
                reference: 1,
                live: true,
            },
            b'U' => Report::Replaced {
                old: number(p, 1),
                id: number(p, 5),
                shares: number(p, 9),
                price: Price(number(p, 17)),
                reference: 1,
                live: true,
            },
            _ => Report::Canceled { id: number(p, 1), shares: 100 },
        };
        seat.report(&report);
    }
}

/// A message there and back between two cores.
fn round_trip() -> f64 {
    let (mut there, mut here) = ring::on_heap(1_024, <Told as ring::Record>::EMPTY);
    let (mut back, mut again) = ring::on_heap(1_024, <Told as ring::Record>::EMPTY);
    const ROUNDS: usize = 200_000;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(1);
            for _ in 0..ROUNDS {
                while here.pop_batch(1, |told| while back.push_slice(&[*told]) == 0 {}) == 0 {
                    std::hint::spin_loop();
                }
            }
        });
        let own = scope.spawn(move || {
            pin(0);
            per(ROUNDS, || {
                for _ in 0..ROUNDS {
                    while there.push_slice(&[<Told as ring::Record>::EMPTY]) == 0 {}
                    while again.pop_batch(1, |_| ()) == 0 {
                        std::hint::spin_loop();
                    }
                }
            })
        });
        own.join().unwrap()
    })
}

fn main() {
    let told = market();
    println!("{} messages of one symbol, about {LIVE} live orders", told.len());
    signals();
    let mut market = Market::new();
    let each = per(told.len(), || {
        for told in &told {
            let message = Message::parse(told.message()).unwrap();
            market.apply(&message).unwrap();
        }
    });
    println!("market      {each:.1} ns a message into the displayed book with all signals");
    let dir = Dir::new("recorder");
    let rates: Vec<f64> = (0..3)
        .map(|_| {
            let _ = std::fs::remove_dir_all(&dir.0);
            recorder(&told, &dir)
        })
        .collect();
    println!(
        "recorder    {:.2?} million events/s with its writer on one core",
        rates.iter().map(|r| r / 1e6).collect::<Vec<_>>()
    );
    println!("            at 1 million/s {} of {} missed", lossless(&told), told.len());
    for _ in 0..3 {
        let (idle, _) = backtest(&dir, Idle);
        let (maker, fills) = backtest(&dir, Maker::default());
        println!(
            "back-test   {:.2} million events/s, with the maker {:.2} ({fills} fills)",
            idle / 1e6,
            maker / 1e6
        );
    }
    let rtt = round_trip();
    let (p50, p99, ticks) = tick(&told);
    println!(
        "tick        event in the ring to order bytes out, {ticks} of them: p50 {p50:.0} ns, p99 {p99:.0} ns; \
         p50 is {:.2} of the ring's round trip ({rtt:.0} ns)",
        p50 / rtt
    );
}
