//! What several books behind one sequencer bring, and several segments.

use std::sync::Barrier;
use std::time::Instant;

use serde_json::json;

use super::super::book::{Machine, Market, commands, time};
use super::super::place::on_core;
use super::super::report::{Section, Table, Watch, figure, holds, median};
use crate::book::{BookAgent, Books, Events, Places, Progress};
use crate::order::{Command, Event, Feedback, UserId};
use crate::ring::{Consumer, Producer, on_heap};
use crate::risk::{Outlets, RiskAgent};
use crate::runtime::{NearlyFull, allowed_cores};

/// Symbols as often as 1/rank, so that the first has a fifth of all commands.
const MARKET: Market = Market { symbols: 64, live: 20_000, orders: 1 << 16 };
const COMMANDS: usize = 600_000;
const COUNTS: [usize; 4] = [1, 2, 4, 8];
/// Commands that come together.
const BATCH: usize = 64;
/// Small, so that on one core all of them stay as near as each would on its own.
const RING: usize = 256;
/// What two segments on two cores are to do, of what one does.
const MARK: f64 = 1.8;

/// A sequencer, its books and who hears of them, in turn on one core.
struct Stages {
    to_risk: Producer<Command>,
    risk: RiskAgent,
    books: Vec<BookAgent>,
    events: Events,
    journal: Consumer<Command>,
}

/// What each of them took, in nanoseconds.
#[derive(Default)]
struct Taken {
    risk: u64,
    books: Vec<u64>,
    merging: u64,
}

impl Taken {
    fn busiest(&self) -> u64 {
        self.books.iter().copied().chain([self.risk, self.merging]).max().unwrap_or(0)
    }
}

impl Stages {
    fn new(machine: Machine, places: &Places) -> Stages {
        let Machine { risk, book, .. } = machine;
        let last = risk.last_seq();
        let progress = Progress::new(places.books(), last);
        let several = places.books() > 1;
        let (to_risk, commands) = on_heap(RING, Command::EMPTY);
        let (to_journal, journal) = on_heap(RING, Command::EMPTY);
        let (mut to_books, mut feedbacks, mut books, mut told) = (vec![], vec![], vec![], vec![]);
        for (at, book) in book.split(places).into_iter().enumerate() {
            let (to_book, commands) = on_heap(RING, Command::EMPTY);
            let (feedback, from_book) = on_heap(RING, Feedback::EMPTY);
            let (events, from) = on_heap(RING, Event::EMPTY);
            let mut agent = BookAgent::new(book, commands, vec![events], 1_000, feedback);
            if several {
                agent.set_place(at, progress.clone(), last);
            }
            to_books.push(to_book);
            feedbacks.push(from_book);
            told.push(from);
            books.push(agent);
        }
        let (to_books, events) = match several {
            true => (
                Books::several(to_books, places.clone(), progress.clone(), last),
                Events::several(told, progress),
            ),
            false => (Books::one(to_books.remove(0)), Events::one(told.remove(0))),
        };
        let outlets = Outlets { books: to_books, journal: to_journal };
        let gateways = vec![commands];
        let risk = RiskAgent::new(risk, gateways, feedbacks, outlets, NearlyFull::default());
        Stages { to_risk, risk, books, events, journal }
    }

    fn run(&mut self, commands: &[Command], taken: &mut Taken) {
        taken.books.resize(self.books.len(), 0);
        let timed = |ns: &mut u64, what: &mut dyn FnMut() -> usize| {
            let began = Instant::now();
            let work = what();
            *ns += began.elapsed().as_nanos() as u64;
            work
        };
        for batch in commands.chunks(BATCH) {
            self.to_risk.push_slice(batch);
            // Until nothing is under way.
            while {
                let mut work = timed(&mut taken.risk, &mut || self.risk.poll(3));
                for (book, ns) in self.books.iter_mut().zip(&mut taken.books) {
                    work += timed(ns, &mut || book.poll());
                }
                work += timed(&mut taken.merging, &mut || {
                    self.events.pop_while(1_024, |event| {
                        std::hint::black_box(event.user) != UserId(u16::MAX)
                    })
                });
                self.journal.pop_batch(usize::MAX, |command| _ = std::hint::black_box(command.seq));
                work > 0
            } {}
        }
    }
}

/// The heaviest symbol first, each to the book that has least.
fn place(books: usize, commands: &[Command], machine: &mut Machine) -> Places {
    let mut weights = vec![(0u64, 0usize); MARKET.symbols.into()];
    (0..).zip(&mut weights).for_each(|(symbol, weight)| weight.1 = symbol);
    for batch in commands.chunks(BATCH) {
        machine.run(batch, 3);
        machine.drain();
        // A cancel or a move has the symbol of its order, which risk knows.
        machine.sequenced().iter().for_each(|command| weights[command.symbol.index()].0 += 1);
    }
    weights.sort_unstable_by(|a, b| b.cmp(a));
    let (mut of, mut has) = (vec![0; MARKET.symbols.into()], vec![0; books]);
    for (weight, symbol) in weights {
        let least = (0..books).min_by_key(|book| has[*book]).unwrap_or(0);
        has[least] += weight;
        of[symbol] = least as u8;
    }
    Places::new(books, &of)
}

pub fn over_books(runs: u32, section: &mut Section) {
    let flow = commands(&MARKET, COMMANDS);
    let (warm_up, timed) = flow.split_at(MARKET.live);
    let places = COUNTS.map(|books| place(books, &flow, &mut Machine::new(&MARKET)));
    let mut found: Vec<Vec<Taken>> = COUNTS.iter().map(|_| vec![]).collect();
    for _ in 0..runs {
        for (places, found) in places.iter().zip(&mut found) {
            let mut stages = Stages::new(Machine::new(&MARKET), places);
            stages.run(warm_up, &mut Taken::default());
            let mut taken = Taken::default();
            let ((), meanwhile) = Watch::over(|| stages.run(timed, &mut taken));
            match meanwhile.reason() {
                None => found.push(taken),
                Some(why) => {
                    section.say(format!("{} books, a run left out: {why}", places.books()))
                }
            }
        }
    }
    let mut table = Table::new(&[
        "books, 64 symbols",
        "risk ns",
        "busiest book ns",
        "merging ns",
        "M commands/s by the busiest agent",
        "of one book",
    ]);
    let of = |all: &[Taken], what: &dyn Fn(&Taken) -> u64| {
        let each: Vec<f64> =
            all.iter().map(|taken| what(taken) as f64 / timed.len() as f64).collect();
        median(&each)
    };
    let base = of(&found[0], &Taken::busiest);
    let mut kept = serde_json::Map::new();
    for (count, all) in COUNTS.iter().zip(&found) {
        let busiest = of(all, &Taken::busiest);
        let book = of(all, &|taken| taken.books.iter().copied().max().unwrap_or(0));
        let (risk, merging) = (of(all, &|taken| taken.risk), of(all, &|taken| taken.merging));
        table.row(vec![
            count.to_string(),
            figure(risk, 0),
            figure(book, 0),
            figure(merging, 0),
            figure(1e3 / busiest, 2),
            figure(base / busiest, 2),
        ]);
        kept.insert(
            count.to_string(),
            json!({ "risk_ns": risk, "book_ns": book, "merging_ns": merging, "busiest_ns": busiest }),
        );
    }
    section.table(table);
    section.say(
        "CPU time a command of each agent, in turn on one core: with a core each, the busiest one sets the rate. \
         Behind one sequencer that is risk; beyond it are segments",
    );
    section.keep("books", kept.into());
}

/// The same machine once, and twice on two cores with nothing in common.
pub fn over_segments(runs: u32, section: &mut Section) {
    let cores = allowed_cores();
    let [first, second, ..] = cores[..] else {
        return section.say("segments: two cores are needed");
    };
    let flow = commands(&MARKET, COMMANDS);
    let rate = |seconds: f64| COMMANDS as f64 / seconds / 1e6;
    let (mut alone, mut both) = (vec![], vec![]);
    for _ in 0..runs {
        let (seconds, meanwhile) = Watch::over(|| on_core(first, || time(&MARKET, &flow).0));
        match meanwhile.reason() {
            None => alone.push(rate(seconds)),
            Some(why) => section.say(format!("one segment, a run left out: {why}")),
        }
        let begin = Barrier::new(2);
        let run = |core| {
            on_core(core, || {
                begin.wait();
                time(&MARKET, &flow).0
            })
        };
        let (seconds, meanwhile) = Watch::over(|| {
            std::thread::scope(|scope| {
                let other = scope.spawn(|| run(second));
                [run(first), other.join().expect("it only counts")]
            })
        });
        match meanwhile.reason() {
            None => both.push(seconds.map(rate).iter().sum()),
            Some(why) => section.say(format!("two segments, a run left out: {why}")),
        }
    }
    let (alone, both) = (median(&alone), median(&both));
    let ratio = both / alone;
    let mut table = Table::new(&["risk and book, no sockets", "M commands/s", "of one"]);
    table.row(vec!["one segment".to_owned(), figure(alone, 2), String::new()]);
    let verdict = format!("{} ({}; mark {MARK})", figure(ratio, 2), holds(ratio >= MARK, ratio));
    table.row(vec!["two segments on two cores".to_owned(), figure(both, 2), verdict]);
    section.table(table);
    section.keep("segments", json!({ "one": alone, "two": both }));
}
