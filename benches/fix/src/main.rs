//! A NewOrderSingle in, an ExecutionReport out: millrace, the crate `fefix`, and a copy of the same
//! bytes, in turn, in one run. `cargo run --release --manifest-path benches/fix/Cargo.toml`
//!
//! Decoding is framing, checksum, splitting and reading the nine values of an order; millrace also
//! with its dictionary's check, which the others do not make. hffix's way, as its documentation tells
//! it, is a cursor: each field is found from the one before, and nothing is kept.

use std::hint::black_box;
use std::time::Instant;

use fefix::definitions::fix44;
use fefix::prelude::*;
use fefix::tagvalue::{Config, Decoder, Encoder};
use millrace::gateway::{Names, Page, Voice};
use millrace::order::{Command, CommandKind, Event, EventKind, FirmId, Price, UserId, UserRefNum};
use millrace::wire::Protocol;
use millrace::wire::fix::dictionary::check;
use millrace::wire::fix::scan::{Message, Scan, Scanner};
use millrace::wire::fix::value::{Timestamps, character, number, price, quantity, timestamp};
use millrace::wire::fix::write::{Head, Writer};
use millrace::wire::fix::{Version, tag};

const ROUNDS: usize = 15;
const EACH: u32 = 200_000;
const NOW_NS: u64 = 1_782_907_445_678_901_000;

fn order() -> Vec<u8> {
    let head = Head::new(Version::Fix44, b"D", b"CLIENT1", b"MILLRACE");
    let mut out = Vec::new();
    let mut timestamps = Timestamps::default();
    let mut writer = Writer::new(&mut out, &head, 4711, timestamps.text(NOW_NS));
    writer
        .bytes(b"11=", b"ORD00004711")
        .bytes(b"1=", b"ACCT01")
        .bytes(b"55=", b"AAPL")
        .character(b"54=", b'1')
        .bytes(b"60=", b"20260701-12:04:05.678")
        .number(b"38=", 100)
        .character(b"40=", b'2')
        .price(b"44=", Price(1_902_500))
        .character(b"59=", b'0');
    writer.finish();
    out
}

/// What an order needs of its message.
#[inline]
fn read(message: &Message<'_>) -> u64 {
    let mut sum = 0u64;
    for field in message.fields() {
        sum = sum.wrapping_add(value_of(field.tag, message.value(field)));
    }
    sum
}

#[inline]
fn value_of(tag: u32, value: &[u8]) -> u64 {
    match tag {
        tag::MSG_SEQ_NUM => number(value).unwrap_or(0),
        tag::CL_ORD_ID | tag::ACCOUNT | tag::SYMBOL => value.len() as u64,
        tag::SIDE | tag::ORD_TYPE | tag::TIME_IN_FORCE => character(value).unwrap_or(0).into(),
        tag::TRANSACT_TIME => timestamp(value).unwrap_or(0),
        tag::ORDER_QTY => quantity(value).unwrap_or(0).into(),
        tag::PRICE => price(value).map_or(0, |price| price.0.into()),
        _ => 0,
    }
}

/// The same the way hffix reads: one field after the other, and no offsets kept.
#[inline]
fn read_by_cursor(bytes: &[u8]) -> Option<u64> {
    let length_at = memchr::memchr(1, bytes)? + 3;
    let length_end = length_at + memchr::memchr(1, &bytes[length_at..])?;
    let length = number(&bytes[length_at..length_end])? as usize;
    let trailer = length_end + 1 + length;
    let told = number(bytes.get(trailer + 3..trailer + 6)?)?;
    let checksum = bytes[..trailer].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if u64::from(checksum) != told {
        return None;
    }
    let (mut at, mut sum) = (length_end + 1, 0u64);
    while at < trailer {
        let mut tag = 0u32;
        while bytes[at] != b'=' {
            tag = tag * 10 + u32::from(bytes[at].wrapping_sub(b'0'));
            at += 1;
        }
        let end = at + 1 + memchr::memchr(1, &bytes[at + 1..])?;
        sum = sum.wrapping_add(value_of(tag, &bytes[at + 1..end]));
        at = end + 1;
    }
    Some(sum)
}

/// A report of a fill, from the event to the bytes.
struct Reports {
    voice: Voice,
    names: Names,
    page: Page,
    fill: Event,
}

impl Reports {
    fn new() -> Reports {
        let mut voice = Voice::new(Protocol::Fix(Version::Fix44), "MILLRACE", "CLIENT1");
        let names = Names {
            symbols: vec![*b"AAPL    "],
            firms: vec![*b"FIRM"],
            users: vec![FirmId(0)],
            user_names: vec![*b"CLIENT"],
            ..Names::default()
        };
        let mut page = Page::default();
        let mut command = Command::new(CommandKind::Enter, UserId(0), FirmId(0));
        (command.user_ref, command.qty) = (UserRefNum(1), u32::MAX);
        (command.price, command.time_ns, command.number_in) = (Price(1_902_500), NOW_NS, 2);
        command.text[..18].copy_from_slice(b"ORD00004711\x01ACCT01");
        let event = Event {
            command,
            kind: EventKind::Accepted,
            whole: true,
            user_ref: UserRefNum(1),
            qty: command.qty,
            reference: 900_000_007,
            ..Event::EMPTY
        };
        assert!(!voice.encode(&event, &names, &mut page).is_empty());
        let fill = Event {
            kind: EventKind::Executed,
            whole: false,
            qty: 1,
            price: Price(1_902_500),
            liquidity: b'A',
            ..event
        };
        Reports { voice, names, page, fill }
    }

    fn next(&mut self) -> usize {
        self.fill.command.time_ns += 1_000;
        self.fill.reference += 1;
        black_box(self.voice.encode(&self.fill, &self.names, &mut self.page)).len()
    }
}

/// Nanoseconds of one call, the least of a few thousand calls' mean.
fn time(mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..EACH {
        call();
    }
    started.elapsed().as_nanos() as f64 / f64::from(EACH)
}

fn main() {
    let order = order();
    let mut scanner = Scanner::new();
    assert_eq!(scanner.scan(&order), Scan::Message(order.len()));
    assert_eq!(check(Version::Fix44, &scanner.message(&order)), Ok(()));
    let mut decoder = Decoder::<Config>::new(fefix::Dictionary::fix44());
    let mut encoder = Encoder::<Config>::default();
    let mut copy = vec![0u8; 1024];
    let head = Head::new(Version::Fix44, b"8", b"MILLRACE", b"CLIENT1");
    let mut timestamps = Timestamps::default();
    let mut out = Vec::with_capacity(1024);
    let mut theirs = Vec::with_capacity(1024);
    let mut now_ns = NOW_NS;
    let (mut report_bytes, mut whole_bytes) = (0, 0);
    let mut reports = Reports::new();

    let names = [
        "copy of the order",
        "find the fields, millrace",
        "decode, millrace",
        "decode and check, millrace",
        "decode, fefix",
        "decode, hffix's way",
        "encode, millrace",
        "encode, fefix",
        "report of a fill, millrace",
    ];
    let mut times = vec![Vec::new(); names.len()];
    for _ in 0..ROUNDS {
        times[0].push(time(|| {
            copy[..order.len()].copy_from_slice(black_box(&order));
            black_box(&copy);
        }));
        times[1].push(time(|| {
            black_box(scanner.scan(black_box(&order)));
        }));
        times[2].push(time(|| {
            scanner.scan(black_box(&order));
            black_box(read(&scanner.message(&order)));
        }));
        times[3].push(time(|| {
            scanner.scan(black_box(&order));
            let message = scanner.message(&order);
            assert!(check(Version::Fix44, &message).is_ok());
            black_box(read(&message));
        }));
        times[4].push(time(|| {
            let message = decoder.decode(black_box(&order[..])).expect("a good message");
            let length = |text: Option<&[u8]>| text.map_or(0, <[u8]>::len) as u64;
            let number = |text: Option<&[u8]>| text.and_then(number).unwrap_or(0);
            let mut sum = number(message.fv_raw(fix44::MSG_SEQ_NUM));
            sum += length(message.fv_raw(fix44::CL_ORD_ID));
            sum += length(message.fv_raw(fix44::ACCOUNT));
            sum += length(message.fv_raw(fix44::SYMBOL));
            sum += length(message.fv_raw(fix44::SIDE));
            sum += length(message.fv_raw(fix44::ORD_TYPE));
            sum += length(message.fv_raw(fix44::TIME_IN_FORCE));
            sum += message.fv_raw(fix44::TRANSACT_TIME).and_then(timestamp).unwrap_or(0);
            sum += number(message.fv_raw(fix44::ORDER_QTY));
            sum += message.fv_raw(fix44::PRICE).and_then(price).map_or(0, |price| price.0.into());
            black_box(sum);
        }));
        times[5].push(time(|| {
            black_box(read_by_cursor(black_box(&order)).expect("a good message"));
        }));
        times[6].push(time(|| {
            now_ns += 1_000;
            out.clear();
            let time = *timestamps.text(now_ns);
            let mut writer = Writer::new(&mut out, &head, now_ns / 1_000 % 1_000_000, &time);
            writer
                .bytes(b"11=", b"ORD00004711")
                .bytes(b"55=", b"AAPL")
                .character(b"54=", b'1')
                .number(b"37=", now_ns % 1_000_000_007)
                .number(b"17=", now_ns % 1_000_000_009)
                .character(b"150=", b'F')
                .character(b"39=", b'1')
                .number(b"38=", 100)
                .number(b"32=", 40)
                .price(b"31=", Price(1_902_500))
                .number(b"151=", 60)
                .number(b"14=", 40)
                .price(b"6=", Price(1_902_500))
                .bytes(b"60=", &time);
            writer.finish();
            report_bytes = black_box(&out).len();
        }));
        times[7].push(time(|| {
            now_ns += 1_000;
            theirs.clear();
            let time = *timestamps.text(now_ns);
            let mut message = encoder.start_message(b"FIX.4.4", &mut theirs, b"8");
            message.set(fix44::SENDER_COMP_ID, "MILLRACE");
            message.set(fix44::TARGET_COMP_ID, "CLIENT1");
            message.set(fix44::MSG_SEQ_NUM, (now_ns / 1_000 % 1_000_000) as u32);
            message.set(fix44::SENDING_TIME, &time[..]);
            message.set(fix44::CL_ORD_ID, "ORD00004711");
            message.set(fix44::SYMBOL, "AAPL");
            message.set(fix44::SIDE, fix44::Side::Buy);
            message.set(fix44::ORDER_ID, (now_ns % 1_000_000_007) as u32);
            message.set(fix44::EXEC_ID, (now_ns % 1_000_000_009) as u32);
            message.set(fix44::EXEC_TYPE, "F");
            message.set(fix44::ORD_STATUS, "1");
            message.set(fix44::ORDER_QTY, 100u32);
            message.set(fix44::LAST_QTY, 40u32);
            message.set(fix44::LAST_PX, "190.25");
            message.set(fix44::LEAVES_QTY, 60u32);
            message.set(fix44::CUM_QTY, 40u32);
            message.set(fix44::AVG_PX, "190.25");
            message.set(fix44::TRANSACT_TIME, &time[..]);
            black_box(message.wrap());
        }));
        times[8].push(time(|| whole_bytes = reports.next()));
    }
    println!(
        "a NewOrderSingle of {} bytes, an ExecutionReport of {report_bytes}, a whole one from its event \
         {whole_bytes}; medians of {ROUNDS} rounds",
        order.len()
    );
    for (name, times) in names.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("  {name:<28}{:>8.1} ns", times[ROUNDS / 2]);
    }
    println!("  (marks: decode 150 ns, encode 150 ns, or 1.2 of the fastest peer)");
}
