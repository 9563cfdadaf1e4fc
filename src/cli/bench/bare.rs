//! The parts of an order's way by themselves, without sockets, threads or a disk.

use std::hint::black_box;

use super::book::{RingOutlet, limits};
use super::load::flow::{self, Flow};
use crate::book::{self, Book, RingReports};
use crate::gateway::{Directory, Names, Page, Sender, Voice, translate_ouch5};
use crate::order::{Command, CommandKind, Event, FirmId, Price, SymbolId, UserId};
use crate::ring::{self, Consumer, Producer};
use crate::risk::{self, Risk};
use crate::session::stream::{Stream, StreamMemory};
use crate::wire::Protocol;
use crate::wire::ouch::inbound::Inbound;
use crate::wire::soupbin::Packet;

/// The parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// A packet's bytes to a command in the ring to risk.
    Decode,
    /// A command through every check into the ring to the book.
    Risk,
    /// A command through the book, its events into their ring.
    Match,
    /// An event to a packet in its user's stream.
    Encode,
}

/// Commands that are taken together, as an agent does.
const BATCH: usize = 32;
const ORDERS: u32 = 4_096;

/// One user, and everything its orders go through.
pub struct Bare {
    directory: Directory,
    names: Names,
    risk: Risk,
    book: Book,
    reports: RingReports<RingOutlet>,
    to_risk: (Producer<Command>, Consumer<Command>),
    to_book: (Producer<Command>, Consumer<Command>),
    events: Consumer<Event>,
    voice: Voice,
    page: Page,
    stream: Stream,
    now_ns: u64,
}

const USER: UserId = UserId(0);
const FIRM: FirmId = FirmId(0);

impl Bare {
    pub fn new() -> Bare {
        let symbols: Vec<[u8; 8]> = (0..flow::SYMBOLS)
            .map(|n| crate::wire::soupbin::pad(format!("S{n:02}").as_bytes()))
            .collect();
        let count = symbols.len() as u16;
        let capacity = risk::Capacity { orders: ORDERS, users: 1, firms: 1, symbols: count };
        let (events, from_book) = ring::on_heap(1_024, Event::EMPTY);
        let outs = RingOutlet { events, feedback: Vec::with_capacity(1_024) };
        let mut bare = Bare {
            directory: Directory::new(&symbols),
            names: Names {
                symbols,
                firms: vec![*b"FRM1"],
                users: vec![FIRM],
                user_names: vec![*b"TRADE1"],
                ..Names::default()
            },
            risk: Risk::new(capacity),
            book: Book::new(book::Capacity { orders: ORDERS, symbols: count }),
            reports: RingReports::new(outs),
            to_risk: ring::on_heap(1_024, Command::EMPTY),
            to_book: ring::on_heap(1_024, Command::EMPTY),
            events: from_book,
            voice: Voice::new(Protocol::Ouch50, "", ""),
            page: Page::default(),
            stream: Stream::new(&StreamMemory::of_one(1 << 20)),
            now_ns: 1,
        };
        bare.risk.set_limits(FIRM, limits());
        bare.define(Command::new(CommandKind::DefineUser, USER, FIRM));
        for symbol in 0..count {
            let mut define = Command::new(CommandKind::DefineSymbol, USER, FIRM);
            (define.symbol, define.price) = (SymbolId(symbol), Price(100));
            bare.define(define);
            bare.risk.set_reference_price(SymbolId(symbol), Price(flow::MIDDLE));
        }
        bare
    }

    fn define(&mut self, mut command: Command) {
        self.risk.sequence_own(&mut command, 1);
        self.book.apply(&command, &mut self.reports);
        self.drain();
    }

    fn drain(&mut self) {
        self.reports.outlet.events.publish();
        while self.events.pop_batch(1_024, |event| _ = black_box(event.user_ref)) > 0 {}
        self.reports.outlet.feedback.clear();
    }

    /// The command of the first packet, and how long that is.
    #[inline]
    fn decode(directory: &Directory, bytes: &[u8], command: &mut Command) -> usize {
        let Ok(Some((packet, length))) = Packet::parse(bytes, 512) else { return bytes.len() };
        let firm_name = *b"FRM1";
        let sender = Sender { user: USER, firm: FIRM, firm_name, symbols: directory, venues: &[] };
        if let Ok(message) = Inbound::parse(packet.payload) {
            translate_ouch5(message, &sender, command);
        }
        length
    }

    /// Takes packets through all parts, a batch at a time, and has `seen` told of each part what it did in a batch,
    /// and how long it took. Returns how many packets that were.
    #[inline(never)]
    pub fn whole(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Part, usize, Lap)) -> usize {
        let mut count = 0;
        while !bytes.is_empty() {
            self.now_ns += 1_000;
            let lap = Lap::begin();
            let (packets, length) = self.decode_batch(bytes);
            seen(Part::Decode, packets, lap);
            let lap = Lap::begin();
            let commands = self.risk_batch();
            seen(Part::Risk, commands, lap);
            let lap = Lap::begin();
            self.match_batch();
            seen(Part::Match, commands, lap);
            self.reports.outlet.feedback.drain(..).for_each(|told| self.risk.feed_back(&told));
            let lap = Lap::begin();
            let events = self.encode_batch();
            seen(Part::Encode, events, lap);
            (bytes, count) = (&bytes[length..], count + packets);
        }
        count
    }

    #[inline(never)]
    fn decode_batch(&mut self, bytes: &[u8]) -> (usize, usize) {
        let (mut count, mut at) = (0, 0);
        while count < BATCH && at < bytes.len() {
            let (directory, rest, mut length) = (&self.directory, &bytes[at..], 0);
            self.to_risk.0.stage_with(|place| length = Bare::decode(directory, rest, place));
            (count, at) = (count + 1, at + length);
        }
        self.to_risk.0.publish();
        (count, at)
    }

    #[inline(never)]
    fn risk_batch(&mut self) -> usize {
        let Bare { risk, to_risk, to_book, now_ns, .. } = self;
        let mut count = 0;
        to_risk.1.pop_batch(BATCH, |command| {
            let mut sequenced = *command;
            if risk.sequence(&mut sequenced, *now_ns) {
                to_book.0.stage_with(|place| *place = sequenced);
                count += 1;
            }
        });
        to_book.0.publish();
        count
    }

    #[inline(never)]
    fn match_batch(&mut self) {
        let Bare { book, reports, to_book, .. } = self;
        to_book.1.pop_batch(BATCH, |command| book.apply(command, reports));
        reports.outlet.events.publish();
    }

    #[inline(never)]
    fn encode_batch(&mut self) -> usize {
        let Bare { events, voice, page, names, stream, .. } = self;
        let mut count = 0;
        events.pop_batch(1_024, |event| {
            let packet = voice.encode(event, names, page);
            if !packet.is_empty() {
                stream.push(event.seq(), packet);
                count += 1;
            }
        });
        stream.release_all();
        count
    }
}

/// Since when a part has run.
#[derive(Clone, Copy)]
pub struct Lap(Option<std::time::Instant>);

/// Whether laps are timed: a clock would be counted too where instructions are.
static TIMED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

impl Lap {
    /// From here on laps are timed.
    pub fn time_all() {
        TIMED.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    #[inline]
    fn begin() -> Lap {
        let timed = TIMED.load(std::sync::atomic::Ordering::Relaxed);
        Lap(timed.then(std::time::Instant::now))
    }

    /// Nanoseconds since.
    pub fn ns(self) -> u64 {
        self.0.map_or(0, |began| began.elapsed().as_nanos() as u64)
    }
}

/// So many orders, and the cancels of older ones, as they come on the wire.
pub fn packets(orders: u32) -> Vec<u8> {
    let (mut flow, mut bytes) = (Flow::new(1), vec![]);
    (0..orders).for_each(|_| flow.put(&mut bytes));
    bytes
}
