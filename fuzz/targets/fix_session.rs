//! A FIX client against the whole gateway, with risk and book behind it and no wire, clock or thread:
//! whatever comes, what goes out is well-formed, numbered without gaps, and adds up.

use std::sync::Arc;

use millrace::audit::{Overload, Tap};
use millrace::book::{self, Book, BookAgent, Books, Events};
use millrace::gateway::{
    AuthAnswer, AuthLine, AuthRequest, Chunk, Gateway, GatewayRings, GatewaySetup, Names, Outbound,
    Passwords, Peers, ReplayRequest, Sightings, UserSetup, Voice,
};
use millrace::order::{
    Command, CommandKind, Event, Feedback, FirmId, Price, SelfTrade, SeqNum, SymbolId, UserId,
};
use millrace::ring::{self, Bell, Consumer, Producer};
use millrace::risk::{self, Limits, Outlets, Risk, RiskAgent};
use millrace::runtime::{NearlyFull, Record};
use millrace::session::stream::{Stream, StreamMemory};
use millrace::wire::Protocol;
use millrace::wire::fix::scan::{Scan, Scanner, checksum};
use millrace::wire::fix::value::number;
use millrace::wire::fix::{Version, tag};

use super::Input;
use super::wire::{Wire, counters};

/// 2026-07-01, 12:04:05.
const NOW_NS: u64 = 1_782_907_445_000_000_000;
const PORT: Protocol = Protocol::Fix(Version::Fix44);

/// What a client may say, `|` for a field's end and `#` for one of a few names.
const SAYS: [(&str, &str); 15] = [
    ("D", "11=#|55=AAPL|54=1|60=T|38=100|40=2|44=100|"),
    ("D", "11=#|55=AAPL|54=2|60=T|38=70|40=2|44=100|"),
    ("D", "11=#|1=ACC|55=AAPL|54=1|60=T|38=30|40=2|44=99.5|59=3|"),
    ("D", "11=#|55=AAPL|54=2|60=T|38=50|40=1|59=4|"),
    ("D", "11=#|55=MSFT|54=9|60=T|38=0.5|40=3|"),
    ("F", "11=#|41=#|55=AAPL|54=1|60=T|"),
    ("F", "11=#|41=#|55=AAPL|54=2|60=T|"),
    ("G", "11=#|41=#|55=AAPL|54=1|60=T|38=120|40=2|44=100|"),
    ("G", "11=#|41=#|55=AAPL|54=2|60=T|38=20|40=2|44=99|111=5|"),
    ("H", "11=#|55=AAPL|54=1|790=#|"),
    ("q", "11=#|530=7|60=T|"),
    ("1", "112=#|"),
    ("2", "7=1|16=0|"),
    ("4", "123=Y|36=9|"),
    ("5", "58=#|"),
];

/// Everything between the wire and the disk.
struct Venue {
    gateway: Gateway<Wire>,
    risk: RiskAgent,
    book: BookAgent,
    journal: Consumer<Command>,
    requests: Consumer<AuthRequest>,
    answers: Producer<AuthAnswer>,
    _rings: (Consumer<ReplayRequest>, Producer<Chunk>, Consumer<Record>),
}

/// Limits that nobody comes up against, but for what may wait for a venue.
pub fn limits() -> Limits {
    Limits {
        max_order_qty: 1_000_000,
        max_order_notional: u64::MAX >> 1,
        price_collar_bps: 0,
        max_messages_per_second: 1_000_000,
        max_position: 1 << 40,
        max_open_notional: u64::MAX >> 1,
        max_open_orders: u32::MAX,
        max_unanswered: 50,
        self_trade: SelfTrade::Allow,
        market_orders: true,
        short_sales: true,
        ..Limits::NONE
    }
}

impl Venue {
    fn open() -> Venue {
        let capacity = risk::Capacity { orders: 256, users: 2, firms: 2, symbols: 1 };
        let mut risk = Risk::new(capacity);
        let mut book = Book::new(book::Capacity { orders: 256, symbols: 1 });
        risk.set_limits(FirmId(0), limits());
        let mut define = Command::new(CommandKind::DefineUser, UserId(0), FirmId(0));
        risk.sequence_own(&mut define, NOW_NS);
        let mut define = Command {
            price: Price(100),
            ..Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0))
        };
        risk.sequence_own(&mut define, NOW_NS);
        book.define_symbol(SymbolId(0), Price(100));

        let (commands, to_risk) = ring::on_heap(2048, Command::EMPTY);
        let (to_book, from_risk) = ring::on_heap(2048, Command::EMPTY);
        let (to_journal, journal) = ring::on_heap(2048, Command::EMPTY);
        let (to_gateway, events) = ring::on_heap(2048, Event::EMPTY);
        let (feed, feedback) = ring::on_heap(2048, Feedback::EMPTY);
        let (auth_requests, requests) = ring::on_heap(8, AuthRequest::EMPTY);
        let (answers, auth_answers) = ring::on_heap(8, AuthAnswer::EMPTY);
        let (replay_requests, replays) = ring::on_heap(8, ReplayRequest::EMPTY);
        let (to_chunks, chunks) = ring::on_heap(8, Chunk::EMPTY);
        let (records, from_records) = ring::on_heap(64, Record::EMPTY);
        let risk = RiskAgent::new(
            risk,
            vec![to_risk],
            vec![feedback],
            Outlets { books: Books::one(to_book), journal: to_journal },
            NearlyFull::default(),
        );
        let book = BookAgent::new(book, from_risk, vec![to_gateway], 1, feed);
        let user = UserSetup {
            name: "FIX1".into(),
            firm: FirmId(0),
            cancel_on_disconnect: false,
            max_messages_per_second: u32::MAX,
            protocol: PORT,
            comp_id: "C".into(),
            watches: vec![],
            enabled: true,
            venue: false,
        };
        let memory = StreamMemory::of_one(1 << 20);
        let stream = Stream::new(&memory);
        let out = Outbound::new(stream, Voice::new(PORT, "M", "C"));
        let counters = counters();
        let setup = GatewaySetup {
            users: vec![(user, Some(out))],
            ports: vec![PORT],
            fix_comp_id: "M".into(),
            names: Names {
                symbols: vec![*b"AAPL    "],
                firms: vec![*b"FIRM"],
                users: vec![FirmId(0)],
                user_names: vec![*b"FIX1  "],
                ..Names::default()
            },
            session_name: *b"FUZZ      ",
            hold_until_durable: false,
            tap: Tap::new(None, Overload::Block, counters.get("gateway.audit_dropped")),
            counters,
            counter_prefixes: ["gateway".into(), "net".into()],
            peers: Peers::all(&[Arc::new(Bell::new(|| ()))], 1).remove(0),
            stream_pool: memory.pool,
            order_names_max: 1 << 20,
            passwords: Arc::new(Passwords::new(std::iter::empty())),
            sightings: Sightings::nowhere(),
            watchers: None,
            snapshots: None,
            venues: vec![],
            mischief: None,
        };
        let rings = GatewayRings {
            commands,
            events: Events::one(events),
            auth: vec![AuthLine { requests: auth_requests, answers: auth_answers }],
            replay_requests,
            chunks,
            records,
            frames: None,
        };
        let wire = Wire::default();
        let gateway = Gateway::new(wire, setup, rings);
        let _rings = (replays, to_chunks, from_records);
        Venue { gateway, risk, book, journal, requests, answers, _rings }
    }

    /// Turns of everyone, until nobody has anything left to do. Returns what was sent.
    fn turn(&mut self, coming: &[u8], now_ns: u64) -> Vec<u8> {
        self.gateway.transport().coming.extend_from_slice(coming);
        for _ in 0..4 {
            self.gateway.poll_in(now_ns);
            while let Some(request) = self.requests.pop() {
                self.answers.push(&AuthAnswer { conn: request.conn, user: request.user });
            }
            while self.risk.poll(now_ns) + self.book.poll() > 0 {
                while self.journal.pop().is_some() {}
            }
            self.gateway.poll_out(SeqNum(u64::MAX));
        }
        std::mem::take(&mut self.gateway.transport().sent)
    }

    fn connect(&mut self) {
        let wire = self.gateway.transport();
        if !wire.open {
            wire.coming.clear();
            wire.opens = true;
        }
    }
}

/// Checks what the gateway sent. `next` is the number it has to go on with, 0 for any.
fn check(mut bytes: &[u8], next: &mut u64) {
    let mut scanner = Scanner::new();
    while !bytes.is_empty() {
        let Scan::Message(length) = scanner.scan(bytes) else {
            panic!("{}", bytes.escape_ascii());
        };
        let message = scanner.message(&bytes[..length]);
        let of = |tag| message.get(tag).and_then(number);
        let got = of(tag::MSG_SEQ_NUM).unwrap();
        if message.get(tag::POSS_DUP_FLAG).is_none() {
            let reset = message.get(tag::RESET_SEQ_NUM_FLAG).is_some();
            assert!(*next == 0 || reset || got == *next, "{got} instead of {next}");
            *next = got + 1;
        }
        let live = matches!(message.get(tag::ORD_STATUS), Some(b"0" | b"1"));
        if message.msg_type() == b"8" && live {
            let sum = of(tag::CUM_QTY).unwrap() + of(tag::LEAVES_QTY).unwrap();
            assert_eq!(Some(sum), of(tag::ORDER_QTY), "{}", bytes.escape_ascii());
        }
        bytes = &bytes[length..];
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    frame_of(Version::Fix44, body)
}

/// A body between BeginString, BodyLength and CheckSum.
pub fn frame_of(version: Version, body: &[u8]) -> Vec<u8> {
    let begin = String::from_utf8_lossy(version.begin_string());
    let mut bytes = format!("8={begin}\x019={}\x01", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    let sum = checksum(&bytes);
    bytes.extend(format!("10={sum:03}\x01").into_bytes());
    bytes
}

pub fn run(data: &[u8]) {
    answers(data);
}

/// What the gateway sent.
pub fn answers(data: &[u8]) -> Vec<u8> {
    let mut all = vec![];
    let mut input = Input(data);
    let mut venue = Venue::open();
    // The numbers of the client's next message, and of the gateway's.
    let (mut own, mut next) = (1u64, 0u64);
    let mut now_ns = NOW_NS;
    let time = "20260701-12:04:05";
    while !input.is_empty() {
        let what = input.byte();
        let say = |kind: &str, fields: &str, number: u64, input: &mut Input<'_>| {
            let mut body = format!("35={kind}|49=C|56=M|34={number}|52={time}|{fields}");
            while let Some(at) = body.find('#') {
                let name = format!("N{}", input.byte() % 12);
                body.replace_range(at..=at, &name);
            }
            let body = body.replace("=T|", &format!("={time}|")).replace('|', "\x01");
            frame(body.as_bytes())
        };
        let bytes = match what {
            0..=199 => {
                let (kind, fields) = SAYS[usize::from(what) % SAYS.len()];
                own += 1;
                say(kind, fields, own - 1, &mut input)
            }
            200..=209 => {
                venue.connect();
                let reset = what & 1 == 1;
                own = if reset { 2 } else { own + 1 };
                let fields = if reset { "98=0|108=30|141=Y|" } else { "98=0|108=30|" };
                say("A", fields, own - 1, &mut input)
            }
            210..=219 => {
                // A gap, or a number that was used.
                own = (own + u64::from(input.byte() % 4)).saturating_sub(1).max(1);
                vec![]
            }
            220..=229 => {
                now_ns += 1_000_000 * u64::from(input.half());
                vec![]
            }
            230..=239 => {
                let length = usize::from(input.byte() & 63);
                frame(input.bytes(length))
            }
            _ => input.bytes(usize::from(what & 15)).to_vec(),
        };
        let sent = venue.turn(&bytes, now_ns);
        check(&sent, &mut next);
        all.extend(sent);
    }
    all
}
