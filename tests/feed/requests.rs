//! Requests that nobody should make, rings, and the page that shows the book.

use std::net::UdpSocket;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use millrace::feed::Told;
use millrace::order::Event;
use millrace::ring::broadcast::From;
use millrace::ring::region::{Place, subscribe};
use millrace::wire::moldudp64::{Header, Packet};
use zerocopy::IntoBytes;

use super::common::{PATIENCE, QUIET};
use super::venue::{Exchange, Reader, Spoilt};

/// Who asks, from an address of its own.
fn socket(address: &str, to: &Exchange) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.connect(to.request).unwrap();
    socket.set_read_timeout(Some(QUIET)).unwrap();
    socket
}

fn header(session: [u8; 10], sequence: u64, count: u16) -> Header {
    Header { session, sequence: sequence.into(), count: count.into() }
}

/// Numbers of the messages that come back.
fn answer(socket: &UdpSocket) -> Option<Vec<u64>> {
    let mut bytes = [0; 2_048];
    let length = socket.recv(&mut bytes).ok()?;
    let packet = Packet::parse(&bytes[..length]).unwrap();
    Some(packet.numbered().map(|(number, _)| number).collect())
}

#[test]
fn what_is_no_request_gets_no_answer_and_is_counted() {
    let exchange = Exchange::start("requests_per_second = 50", "");
    let mut reader = Reader::open(&exchange, 0, Spoilt::default(), 1);
    exchange.trade(1, 300);
    let last = exchange.told();
    reader.read_until(last);
    let session = reader.arbiter.session().unwrap();
    let good = header(session, 1, 5);
    let asks = socket("127.0.0.2", &exchange);
    asks.send(good.as_bytes()).unwrap();
    asks.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(answer(&asks), Some(vec![1, 2, 3, 4, 5]));
    asks.set_read_timeout(Some(QUIET)).unwrap();
    let bad: [(&str, Vec<u8>); 7] = [
        ("feed.requests_malformed", vec![]),
        ("feed.requests_malformed", good.as_bytes()[..19].to_vec()),
        ("feed.requests_malformed", [good.as_bytes(), b"x"].concat()),
        ("feed.requests_malformed", header(session, 0, 1).as_bytes().to_vec()),
        ("feed.requests_malformed", header(session, 1, 0).as_bytes().to_vec()),
        ("feed.requests_foreign", header(*b"ANOTHER   ", 1, 1).as_bytes().to_vec()),
        ("feed.requests_early", header(session, last + 1, 1).as_bytes().to_vec()),
    ];
    for (counter, bytes) in bad {
        let before = exchange.venue.counter(counter);
        asks.send(&bytes).unwrap();
        exchange.venue.wait_for(counter, before + 1);
        assert_eq!(answer(&asks), None, "{counter}: {bytes:?}");
    }
    // As many as fit, whatever is asked for.
    asks.send(header(session, 10, 60_000).as_bytes()).unwrap();
    asks.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = answer(&asks).unwrap();
    assert!(told[0] == 10 && (20..60).contains(&told.len()), "{told:?}");
    // One who asks too much is refused, and another is not.
    let floods = socket("127.0.0.3", &exchange);
    for _ in 0..2_000 {
        let _ = floods.send(good.as_bytes());
    }
    let deadline = Instant::now() + PATIENCE;
    asks.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    loop {
        assert!(Instant::now() < deadline, "the flood of one held up another");
        asks.send(good.as_bytes()).unwrap();
        if answer(&asks).is_some() {
            break;
        }
    }
    exchange.venue.wait_for("feed.requests_throttled", 100);
}

fn book(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.arg("book").args(arguments).output().unwrap()
}

#[test]
fn a_ring_has_the_same_messages_and_the_books_own_events_and_the_page_is_the_book() {
    let dir = super::common::Scratch::new();
    let in_dir = dir.0.display().to_string();
    let feed = format!("ring = \"peer\"\nring_dir = \"{in_dir}\"\n");
    let exchange = Exchange::start(&feed, "");
    let mut reader = Reader::open(&exchange, 0, Spoilt::default(), 1);
    let place = |name| Place::new(&dir.0, name).unwrap();
    let mut events = subscribe::<Event>(&place("peer-events"), From::Oldest).unwrap();
    exchange.trade(9, 800);
    let last = exchange.told();
    reader.read_until(last);
    let read_ring = || {
        let mut told = vec![];
        let mut ring = subscribe::<Told>(&place("peer"), From::Oldest).unwrap();
        while ring.pop_batch(4_096, |message| told.push(*message)).unwrap() > 0 {}
        told
    };
    let told = read_ring();
    assert_eq!(told.len() as u64, last);
    for ((number, message), told) in (1..).zip(&reader.messages).zip(&told) {
        assert!(told.number == number && told.message() == message);
    }
    let mut kinds = std::collections::BTreeSet::new();
    while events.pop_batch(4_096, |event| _ = kinds.insert(format!("{:?}", event.kind))).unwrap()
        > 0
    {}
    for kind in ["Accepted", "Executed", "Canceled", "Replaced", "Restated"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    // The page by every way is the book.
    let depth = reader.market.depth("AAPL").unwrap();
    let best = depth.side(true).next().unwrap();
    let expected = (best.0.to_string(), best.1.shares);
    let (line, request) = (exchange.lines[1].to_string(), exchange.request.to_string());
    let glimpse = exchange.glimpse().to_string();
    let ways: [&[&str]; 3] = [
        &["--ring", "peer", "--ring-dir", &in_dir],
        &["--from", &line, "--interface", "127.0.0.1", "--request", &request],
        &[
            "--from",
            &line,
            "--interface",
            "127.0.0.1",
            "--glimpse",
            &glimpse,
            "--user",
            "BOB",
            "--password",
            "secret",
        ],
    ];
    for way in ways {
        let output = book(&[&["AAPL", "--once", "--json"], way].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{way:?}: {said}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let bid = &told["bids"][0];
        let found = (bid["price"].as_str().unwrap().to_owned(), bid["shares"].as_u64().unwrap());
        assert_eq!(found, expected, "{way:?}");
    }
    let text = book(&["AAPL", "--once", "--ring", "peer", "--ring-dir", &in_dir]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("bid | ask") && text.contains(&expected.0), "{text}");
    // What cannot be shown is said.
    for (arguments, why) in [
        (&["NONE", "--once", "--ring", "peer", "--ring-dir", &in_dir][..], "no symbol NONE"),
        (&["AAPL", "--ring", "not-there", "--ring-dir", &in_dir], "there is no ring"),
    ] {
        let output = book(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{said}");
    }
    // Started again, the ring goes on behind what it has.
    let Exchange { venue, lines, request } = exchange;
    let (_, scratch) = venue.stop();
    let exchange = Exchange::start_in(scratch, &feed, "", [lines[0], lines[1]], request);
    exchange.trade(10, 200);
    let last = exchange.told();
    let told = read_ring();
    assert!(told.iter().map(|told| told.number).eq(1..=last), "each message once");
}

#[test]
fn lines_that_lead_nowhere_and_ports_that_are_taken_are_said_at_the_start() {
    let start = |feed: &str| {
        let scratch = super::common::Scratch::new();
        let text = super::common::config_text("", "") + feed;
        let config = super::common::config(&scratch.0, &text);
        match millrace::segment::Segment::start(&config) {
            Ok(segment) => {
                segment.stop();
                panic!("{feed} is taken")
            }
            Err(error) => error.to_string(),
        }
    };
    // TEST-NET-1 (RFC 5737): no interface of this host has it.
    let error = start("[feed]\nlines = [\"239.192.7.1:26400\"]\ninterface = \"192.0.2.1\"\n");
    assert!(error.contains("cannot send to 239.192.7.1:26400"), "{error}");
    assert!(error.contains("is 192.0.2.1 an address of this host"), "{error}");
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let request = taken.local_addr().unwrap();
    let error = start(&format!("[feed]\nrequest = \"{request}\"\n"));
    assert!(error.contains(&format!("listen for [feed] request on {request}")), "{error}");
    let error = start("[feed]\nring = \"x\"\nring_dir = \"/no/such/folder\"\n");
    assert!(error.contains("[feed] ring: "), "{error}");
}
