//! Journals, recordings, the exchange's files and captures, played again.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use millrace::book::Capacity;
use millrace::lab::replay::play::play;
use millrace::lab::replay::{Found, MarketSource, Pace, capture, look};

use super::common::Scratch;
use super::venue::{Exchange, Reader, Spoilt};

const MILLRACE: &str = env!("CARGO_BIN_EXE_millrace");
const CAPACITY: Capacity = Capacity { orders: 100_000, symbols: 1_000 };

fn market(path: &Path) -> MarketSource {
    match look(path, CAPACITY).unwrap() {
        Found::Market(source) => source,
        Found::Capture(path) => panic!("{} is no capture", path.display()),
    }
}

fn replay(arguments: &[&str]) -> (bool, String) {
    let done = Command::new(MILLRACE).arg("replay").args(arguments).output().unwrap();
    let said = [&done.stdout[..], &done.stderr[..]].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_market_played_again_has_the_same_trades_and_the_same_book() {
    let exchange = Exchange::start("", "ack = \"sequenced\"");
    let mut reader = Reader::open(&exchange, 0, Spoilt::default(), 1);
    exchange.trade(61, 3_000);
    exchange.trade(62, 3_000);
    reader.read_until(exchange.told());
    let (stopped, scratch) = exchange.venue.stop();
    // The journal, and the feed as the exchange's own file: packed, and not.
    let plain = scratch.0.join("day.itch");
    let mut file = vec![];
    for message in &reader.messages {
        file.extend_from_slice(&(message.len() as u16).to_be_bytes());
        file.extend_from_slice(message);
        if message[0] == b'S' {
            // A type that nobody here knows.
            file.extend_from_slice(&[0, 5, b'z', 1, 2, 3, 4]);
        }
    }
    std::fs::write(&plain, &file).unwrap();
    let packed = scratch.0.join("day.gz");
    let mut gz = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    gz.write_all(&file).unwrap();
    std::fs::write(&packed, gz.finish().unwrap()).unwrap();
    let mut all = vec![];
    for path in [&scratch.0, &plain, &packed] {
        let comparison = play(&market(path), &[], Pace::new(None), || true).unwrap();
        assert_eq!(comparison.differences().next(), None);
        assert_eq!(comparison.skipped.astray, 0);
        assert!(comparison.symbols.values().all(|(recorded, _)| recorded.trades > 20));
        all.push((comparison.events, comparison.symbols));
        let skipped: u64 = comparison.skipped.types.values().sum();
        assert_eq!(skipped > 0, path != &scratch.0, "{:?}", comparison.skipped);
    }
    assert!(all[0] == all[1] && all[1] == all[2]);
    // The same from the command line, whose journal is the whole one.
    let (fine, said) = replay(&[&scratch.0.display().to_string()]);
    assert!(fine && said.contains(&stopped.state_hash.to_string()), "{said}");
    assert!(said.contains("that the gateway had open when it ended"), "{said}");
    let (fine, said) = replay(&[&packed.display().to_string(), "--symbol", "AAPL"]);
    assert!(fine && said.contains("the same trades, and the same book"), "{said}");
    assert!(said.contains("messages of type z"), "{said}");
    // To a gateway, by two users of different firms.
    let second = Exchange::start("", "ack = \"sequenced\"");
    let to = second.venue.address.to_string();
    let way = ["--to", &to, "--user", "ALICE", "--taker", "BOB", "--password", "secret"];
    let (fine, said) = replay(&[&[&plain.display().to_string()[..]], &way[..]].concat());
    assert!(fine && said.contains("the same trades"), "{said}");
    // Cut in the middle of a message.
    std::fs::write(&plain, &file[..file.len() - 3]).unwrap();
    let (fine, said) = replay(&[&plain.display().to_string()]);
    assert!(!fine && said.contains("it ends within message"), "{said}");
    std::fs::write(&plain, [0; 100]).unwrap();
    let (fine, said) = replay(&[&plain.display().to_string()]);
    assert!(!fine && said.contains("no ITCH file"), "{said}");
}

/// A segment from one end of a connection on loopback to the other, in a frame.
fn frame(client: bool, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if client { (40_000u16, 7_001u16) } else { (7_001, 40_000) };
    let mut frame = vec![0; 12];
    frame.extend_from_slice(&[0x08, 0x00, 0x45, 0]);
    frame.extend_from_slice(&(40 + payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    frame.extend_from_slice(&from.to_be_bytes());
    frame.extend_from_slice(&to.to_be_bytes());
    frame.extend_from_slice(&seq.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 1, 0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
    frame.extend_from_slice(payload);
    frame
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend_from_slice(&65_535u32.to_le_bytes());
    file.extend_from_slice(&1u32.to_le_bytes());
    for (n, frame) in (0u32..).zip(frames) {
        let length = frame.len() as u32;
        for word in [1_700_000_000, n * 10, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(frame);
    }
    file
}

#[test]
fn a_captures_bytes_are_put_together_whatever_the_wire_did() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a.pcap");
    let (syn, ack) = (2, 0x18);
    let frames = [
        frame(true, 99, syn, b""),
        frame(false, 499, syn | 0x10, b""),
        frame(true, 100, ack, b"0123"),
        // Out of order, twice, and once with more than there was.
        frame(true, 108, ack, b"89ab"),
        frame(true, 104, ack, b"4567"),
        frame(true, 104, ack, b"4567"),
        frame(true, 108, ack, b"89abcd"),
        frame(false, 500, ack, b"yes"),
        // Something that the capture does not have.
        frame(false, 510, ack, b"late"),
        vec![1, 2, 3],
    ];
    std::fs::write(&path, pcap(&frames)).unwrap();
    let found = capture::read(&path).unwrap();
    assert_eq!((found.conversations.len(), found.foreign, found.cut), (1, 1, false));
    let conversation = &found.conversations[0];
    let said = |client: bool| -> Vec<u8> {
        let of = conversation.said.iter().filter(|said| said.client == client);
        of.flat_map(|said| said.bytes.clone()).collect()
    };
    assert_eq!((said(true), said(false)), (b"0123456789abcd".to_vec(), b"yeslate".to_vec()));
    assert_eq!((conversation.missing, conversation.port), (7, 7_001));
    // Cut in the middle of a packet: what is before it is there.
    let whole = pcap(&frames[..8]);
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let found = capture::read(&path).unwrap();
    assert!(found.cut && found.conversations[0].said.iter().all(|said| said.client));
    std::fs::write(&path, &whole[..10]).unwrap();
    assert!(capture::read(&path).unwrap_err().to_string().contains("no capture"));
}
