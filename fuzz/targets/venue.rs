//! A venue against the gateway that calls it, with risk and book behind it and no wire, clock or thread: whatever it
//! says, in FIX 4.4, FIX 4.2 or OUCH, what goes out is well-formed and numbered, and shares add up.

use std::sync::Arc;

use millrace::audit::{Overload, Tap};
use millrace::book::{self, Book, BookAgent, Books, Events};
use millrace::gateway::{
    AuthAnswer, AuthLine, AuthRequest, Chunk, Gateway, GatewayRings, GatewaySetup, Names, Outbound,
    Passwords, Peers, ReplayRequest, Secret, Sightings, UserSetup, VenueSetup, Voice,
};
use millrace::order::{
    Command, CommandKind, Event, Feedback, FirmId, PROTOCOL_AT, Policy, Price, SeqNum, Side,
    SymbolId, TimeInForce, UserId, UserRefNum, VENUE,
};
use millrace::ring::{self, Bell, Consumer, Producer};
use millrace::risk::{self, FirmRouting, Outlets, Risk, RiskAgent, VenueTerms};
use millrace::runtime::{NearlyFull, Record};
use millrace::session::stream::{Stream, StreamMemory};
use millrace::wire::Protocol;
use millrace::wire::fix::scan::{Scan, Scanner};
use millrace::wire::fix::value::number;
use millrace::wire::fix::{Version, tag};

use super::Input;
use super::fix_session::{frame_of, limits};
use super::wire::{Wire, counters};

/// 2026-07-01, 12:04:05.
const NOW_NS: u64 = 1_782_907_445_000_000_000;

/// What a venue may say in FIX, `|` for a field's end, `@` for the name of something it was sent, `#` for a small
/// number.
const SAYS: [(&str, &str); 22] = [
    ("8", "37=1|11=@|17=#|150=0|39=0|55=AAPL|54=1|151=100|14=0|6=0|"),
    ("8", "37=1|11=@|17=#|150=F|39=1|55=AAPL|54=1|32=#|31=100|151=5|14=5|6=100|"),
    ("8", "37=1|11=@|17=#|150=1|39=1|20=0|55=AAPL|54=1|32=#|31=99.99|151=5|14=5|6=100|"),
    ("8", "37=1|11=@|41=@|17=#|150=4|39=4|55=AAPL|54=1|151=0|14=0|6=0|"),
    ("8", "37=1|11=@|41=@|17=#|150=5|39=0|55=AAPL|54=1|151=100|14=0|6=0|"),
    ("8", "37=1|11=@|17=#|150=8|39=8|103=0|55=AAPL|54=1|151=0|14=0|6=0|"),
    ("8", "37=1|11=@|17=#|150=H|19=#|39=0|55=AAPL|54=1|32=#|31=100|151=5|14=0|6=0|"),
    ("8", "37=1|11=@|17=#|150=G|19=#|39=1|55=AAPL|54=1|32=#|31=101|151=5|14=5|6=0|"),
    ("8", "37=1|11=@|17=#|150=0|20=1|19=#|39=0|55=AAPL|54=1|151=5|14=0|6=0|"),
    ("8", "37=1|11=@|17=#|150=0|20=3|39=1|55=AAPL|54=1|151=#|14=#|6=100.125|"),
    ("8", "37=1|11=@|17=#|150=I|39=1|55=AAPL|54=1|151=#|14=#|6=100|584=2|911=1|912=Y|"),
    ("8", "37=1|11=@|17=#|150=I|39=8|55=AAPL|54=1|151=0|14=0|6=0|"),
    ("8", "37=1|11=@|17=#|150=6|39=6|55=AAPL|54=1|151=5|14=0|6=0|"),
    ("9", "37=1|11=@|41=@|39=0|434=1|102=0|"),
    ("9", "37=1|11=@|41=@|39=0|434=2|102=0|"),
    ("j", "45=#|372=D|380=3|"),
    ("3", "45=#|372=D|373=5|"),
    ("0", ""),
    ("1", "112=#|"),
    ("2", "7=1|16=0|"),
    ("4", "123=Y|36=9|"),
    ("5", "58=#|"),
];

/// What a venue may say in OUCH: the letter, and how long it is.
const LETTERS: [(u8, usize); 9] = [
    (b'A', 64),
    (b'E', 36),
    (b'C', 20),
    (b'U', 69),
    (b'J', 31),
    (b'I', 15),
    (b'B', 38),
    (b'Q', 15),
    (b'S', 10),
];

/// Everything between the wire and the disk.
struct Stage {
    gateway: Gateway<Wire>,
    risk: RiskAgent,
    book: BookAgent,
    clients: Producer<Command>,
    journal: Consumer<Command>,
    _rings: Rings,
}

type Rings = (
    (Consumer<AuthRequest>, Producer<AuthAnswer>),
    (Consumer<ReplayRequest>, Producer<Chunk>, Consumer<Record>),
);

impl Stage {
    /// The venue is user 0, and a client is user 1.
    fn open(protocol: Protocol, rules: u8) -> Stage {
        let capacity = risk::Capacity { orders: 256, users: 2, firms: 2, symbols: 1 };
        let mut risk = Risk::new(capacity);
        (0..2).for_each(|firm| risk.set_limits(FirmId(firm), limits()));
        let (commands, to_risk) = ring::on_heap(2048, Command::EMPTY);
        let (clients, from_clients) = ring::on_heap(2048, Command::EMPTY);
        let (mut to_book, from_risk) = ring::on_heap(2048, Command::EMPTY);
        let (to_journal, journal) = ring::on_heap(2048, Command::EMPTY);
        let (to_gateway, events) = ring::on_heap(4096, Event::EMPTY);
        let (feed, feedback) = ring::on_heap(4096, Feedback::EMPTY);
        let mut define = |mut command: Command| {
            risk.sequence_own(&mut command, NOW_NS);
            assert!(to_book.push(&command));
        };
        let mut venue = Command::new(CommandKind::DefineUser, UserId(0), FirmId(0));
        venue.text[PROTOCOL_AT] = VENUE;
        define(venue);
        define(Command::new(CommandKind::DefineUser, UserId(1), FirmId(1)));
        let symbol = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
        define(Command { price: Price(100), ..symbol });
        to_book.publish();
        let policy = [Policy::RouteOnly, Policy::PostOut, Policy::CrossThenRoute];
        let policy = policy[usize::from(rules >> 3) % policy.len()];
        let firm = FirmRouting { policy, venues: vec![(1, 0)], by_price: false };
        risk.set_routing(vec![firm.clone(), firm], vec![VenueTerms::default()]);
        let journal_and_books = Outlets { books: Books::one(to_book), journal: to_journal };
        let risk = RiskAgent::new(
            risk,
            vec![to_risk, from_clients],
            vec![feedback],
            journal_and_books,
            NearlyFull::default(),
        );
        let book = Book::new(book::Capacity { orders: 256, symbols: 1 });
        let book = BookAgent::new(book, from_risk, vec![to_gateway], 2, feed);
        let (auth_requests, requests) = ring::on_heap(8, AuthRequest::EMPTY);
        let (answers, auth_answers) = ring::on_heap(8, AuthAnswer::EMPTY);
        let (replay_requests, replays) = ring::on_heap(8, ReplayRequest::EMPTY);
        let (to_chunks, chunks) = ring::on_heap(8, Chunk::EMPTY);
        let (records, from_records) = ring::on_heap(64, Record::EMPTY);
        let memory = StreamMemory::of_one(1 << 20);
        let user = |name: &str, firm, protocol, comp_id: &str| UserSetup {
            name: name.into(),
            firm: FirmId(firm),
            cancel_on_disconnect: false,
            max_messages_per_second: u32::MAX,
            protocol,
            comp_id: comp_id.into(),
            watches: vec![],
            enabled: true,
            venue: firm == 0,
        };
        let out = |voice| Some(Outbound::new(Stream::new(&memory), voice));
        let secret = Secret { username: "GATE".into(), password: "secret".into() };
        let users = vec![
            (user("XOUT", 0, protocol, "C"), out(Voice::to_venue(protocol, "M", "C", secret))),
            (user("ALICE", 1, Protocol::Ouch50, ""), out(Voice::new(Protocol::Ouch50, "", ""))),
        ];
        let counters = counters();
        let venue = VenueSetup {
            user: UserId(0),
            name: "XOUT".into(),
            protocol,
            connect: ([127, 0, 0, 1], 1).into(),
            heartbeat_s: 30,
            reset_on_logon: rules & 1 != 0,
            mass_status: rules & 2 != 0 && protocol == Protocol::Fix(Version::Fix44),
            reconnect_ns: [1_000_000, 8_000_000],
            open_s: None,
            max_messages_per_second: 10_000_000,
            batch_ns: 0,
            cancel_on_disconnect: rules & 4 != 0,
        };
        let setup = GatewaySetup {
            users,
            ports: vec![],
            fix_comp_id: "M".into(),
            names: Names {
                symbols: vec![*b"AAPL    "],
                firms: vec![*b"VENU", *b"FIRM"],
                users: vec![FirmId(0), FirmId(1)],
                user_names: vec![*b"XOUT  ", *b"ALICE "],
                venues: vec![*b"XOUT"],
                ..Names::default()
            },
            session_name: *b"FUZZ      ",
            hold_until_durable: false,
            tap: Tap::new(None, Overload::Block, counters.get("gateway.audit_dropped")),
            counters,
            counter_prefixes: ["gateway".into(), "net".into()],
            peers: Peers::all(&[Arc::new(Bell::new(|| ()))], 2).remove(0),
            stream_pool: memory.pool.clone(),
            order_names_max: 1 << 20,
            passwords: Arc::new(Passwords::new(std::iter::empty())),
            sightings: Sightings::nowhere(),
            watchers: None,
            snapshots: None,
            venues: vec![venue],
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
        let gateway = Gateway::new(Wire::default(), setup, rings);
        let _rings = ((requests, answers), (replays, to_chunks, from_records));
        Stage { gateway, risk, book, clients, journal, _rings }
    }

    /// Turns of everyone, until nobody has anything left to do. Returns what was sent.
    fn turn(&mut self, coming: &[u8], now_ns: u64) -> Vec<u8> {
        self.gateway.transport().coming.extend_from_slice(coming);
        for _ in 0..4 {
            self.gateway.poll_in(now_ns);
            while self.risk.poll(now_ns) + self.book.poll() > 0 {
                while self.journal.pop().is_some() {}
                self.gateway.poll_out(SeqNum(u64::MAX));
            }
            self.gateway.poll_out(SeqNum(u64::MAX));
        }
        // Risk counts what the book has.
        assert_eq!(self.risk.risk.open_orders() as u32, self.book.book.open_orders());
        std::mem::take(&mut self.gateway.transport().sent)
    }

    /// A client's order, cancel or replace.
    fn client(&mut self, what: u8, next: &mut u32, input: &mut Input<'_>) {
        let kind = match what % 4 {
            0 | 1 => CommandKind::Enter,
            2 => CommandKind::Cancel,
            _ => CommandKind::Replace,
        };
        let mut command = Command::new(kind, UserId(1), FirmId(1));
        let of = u32::from(input.byte()) % (*next + 1);
        command.symbol = SymbolId(0);
        command.side = if what & 4 == 0 { Side::Buy } else { Side::Sell };
        command.qty = u32::from(input.byte());
        command.price = Price(1_000_000 + 100 * u32::from(what >> 4));
        command.limit = command.price;
        command.tif = if what & 8 == 0 { TimeInForce::Day } else { TimeInForce::Ioc };
        match kind {
            CommandKind::Cancel => command.user_ref = UserRefNum(of),
            _ => {
                *next += 1;
                (command.user_ref, command.orig_user_ref) = (UserRefNum(*next), UserRefNum(of));
                command.qty = command.qty.max(1);
            }
        }
        self.clients.push(&command);
        self.clients.publish();
    }
}

/// Checks what the venue was sent. Numbers go on from `next`, but over what was said when nobody was there.
fn check(mut bytes: &[u8], next: &mut u64) {
    let mut scanner = Scanner::new();
    while !bytes.is_empty() {
        let Scan::Message(length) = scanner.scan(bytes) else {
            panic!("{}", bytes.escape_ascii());
        };
        let message = scanner.message(&bytes[..length]);
        let got = message.get(tag::MSG_SEQ_NUM).and_then(number).unwrap();
        if message.get(tag::POSS_DUP_FLAG).is_none() {
            let reset = message.get(tag::RESET_SEQ_NUM_FLAG).is_some();
            assert!(reset || got >= *next, "{got} instead of {next}");
            *next = got + 1;
        }
        bytes = &bytes[length..];
    }
}

/// Names of orders and requests in what was sent.
fn names_in(sent: &[u8], names: &mut Vec<String>) {
    for field in sent.split(|byte| *byte == 1) {
        if let Some(name) = field.strip_prefix(b"11=") {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    names.drain(..names.len().saturating_sub(8));
}

fn in_fix(
    version: Version,
    what: u8,
    number: u64,
    names: &[String],
    input: &mut Input<'_>,
) -> Vec<u8> {
    let (kind, fields) = match what {
        0..=7 => ("A", if what & 1 == 0 { "98=0|108=30|" } else { "98=0|108=30|141=Y|" }),
        _ => SAYS[usize::from(what) % SAYS.len()],
    };
    let time = "20260701-12:04:05";
    let mut body = format!("35={kind}|49=C|56=M|34={number}|52={time}|{fields}");
    while let Some(at) = body.find(['@', '#']) {
        let pick = usize::from(input.byte());
        let text = match body.as_bytes()[at] {
            b'@' => names.get(pick % names.len().max(1)).cloned().unwrap_or("X".into()),
            _ => pick.to_string(),
        };
        body.replace_range(at..=at, &text);
    }
    frame_of(version, body.replace('|', "\x01").as_bytes())
}

fn in_ouch(what: u8, input: &mut Input<'_>) -> Vec<u8> {
    let packet = |kind: u8, payload: &[u8]| {
        let length = (payload.len() + 1) as u16;
        [&length.to_be_bytes()[..], &[kind], payload].concat()
    };
    match what {
        0..=9 => packet(b'A', b"S                            1"),
        10..=12 => packet(b'A', format!("T{:>29}", input.byte()).as_bytes()),
        13 => packet(b'J', b"A"),
        14 => packet(b'Z', b""),
        15 => packet(b'H', b""),
        _ => {
            let (letter, length) = LETTERS[usize::from(what) % LETTERS.len()];
            let mut message = vec![letter];
            message.resize(length, 0);
            // Its number is behind the time, and a small one.
            if length > 13 {
                message[12] = input.byte() % 32;
                let some = input.bytes(4);
                message[13..][..some.len().min(length - 13)]
                    .copy_from_slice(&some[..some.len().min(length - 13)]);
            }
            message.extend([0, 0]);
            packet(b'S', &message)
        }
    }
}

/// A venue that says what the bytes have it say.
pub fn run(data: &[u8]) {
    answers(data);
}

/// What it was sent.
pub fn answers(data: &[u8]) -> Vec<u8> {
    let mut input = Input(data);
    let head = input.byte();
    let protocol = match head % 3 {
        0 => Protocol::Fix(Version::Fix44),
        1 => Protocol::Fix(Version::Fix42),
        _ => Protocol::Ouch50,
    };
    let mut stage = Stage::open(protocol, input.byte());
    let (mut own, mut next, mut now_ns, mut client) = (1u64, 0u64, NOW_NS, 0);
    let (mut names, mut all) = (vec![], vec![]);
    while !input.is_empty() {
        let what = input.byte();
        let bytes = match what {
            0..=79 => {
                stage.client(input.byte(), &mut client, &mut input);
                vec![]
            }
            80..=199 => {
                let what = what - 80;
                match protocol {
                    Protocol::Fix(version) => {
                        let reset = what < 8 && what & 1 == 1;
                        own = if reset { 2 } else { own + 1 };
                        in_fix(version, what, own - 1, &names, &mut input)
                    }
                    _ => in_ouch(what, &mut input),
                }
            }
            200..=209 => {
                stage.gateway.transport().fails = true;
                vec![]
            }
            210..=219 => {
                own = (own + u64::from(input.byte() % 4)).saturating_sub(1).max(1);
                vec![]
            }
            220..=234 => {
                now_ns += 1_000_000 * u64::from(input.half());
                vec![]
            }
            235..=244 => {
                let length = usize::from(input.byte() & 63);
                match protocol {
                    Protocol::Fix(version) => frame_of(version, input.bytes(length)),
                    _ => input.bytes(length).to_vec(),
                }
            }
            _ => input.bytes(usize::from(what & 15)).to_vec(),
        };
        let sent = stage.turn(&bytes, now_ns);
        if matches!(protocol, Protocol::Fix(_)) {
            check(&sent, &mut next);
            names_in(&sent, &mut names);
        }
        all.extend(sent);
    }
    all
}
