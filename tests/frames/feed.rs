//! Market data that leaves as frames of the gateway's own driver.

use std::time::{Duration, Instant};

use millrace::client::feed::{Reader, take_in};
use millrace::client::market::Market;
use millrace::client::playground::Carrier;
use millrace::order::Price;

use super::common::transport::carrier;
use super::common::{PATIENCE, buy, config_text, enter, sell};
use super::venue::Venue;

const FEED: &str = r#"
[feed]
lines = ["239.192.9.1:26400", "239.192.9.2:26401"]
interface = "10.9.0.1"
"#;

/// Datagrams that the kernel sent on the gateway's host (RFC 4113, udpOutDatagrams).
fn datagrams_of_the_kernel(venue: &Venue) -> u64 {
    let read = || std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let text = venue.hosts.server.run(read).unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut both = names.split(' ').zip(values.split(' '));
    both.find(|(name, _)| *name == "OutDatagrams").unwrap().1.parse().unwrap()
}

#[test]
fn multicast_leaves_by_the_driver_and_who_listens_has_the_book() {
    let with_kernel = matches!(carrier(), Carrier::Kernel | Carrier::AfXdp(_));
    // Requests are answered by the kernel beside, where there is one.
    let request = if with_kernel { "request = \"10.9.0.1:26410\"\n" } else { "" };
    let Some(venue) = Venue::with(&config_text("", ""), 1, &format!("{FEED}{request}")) else {
        return;
    };
    let lines = ["239.192.9.1:26400", "239.192.9.2:26401"].map(|line| line.parse().unwrap());
    let by = Some("10.9.0.2".parse().unwrap());
    let server = with_kernel.then(|| "10.9.0.1:26410".parse().unwrap());
    let first = if with_kernel { 1 } else { 0 };
    let mut reader = Reader::open(&lines, by, server, first).unwrap();
    let (mut alice, mut bob) = (venue.client("ALICE", 0), venue.client("BOB", 0));
    let mut market = Market::new();
    let mut numbers = vec![];
    let partial = reader.is_partial();
    let mut read = |reader: &mut Reader, market: &mut Market, until: u64| {
        let deadline = Instant::now() + PATIENCE;
        while reader.arbiter.next() <= until {
            assert!(Instant::now() < deadline, "message {} never came", reader.arbiter.next());
            let polled = reader.poll(|number, message| {
                let taken = take_in(market, message);
                assert!(partial || taken.is_ok(), "{taken:?}");
                numbers.push(number);
            });
            if polled.unwrap() == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    };
    let kernel_before = datagrams_of_the_kernel(&venue);
    for n in 1..=50 {
        enter(&mut alice, &buy(n, 100, "99.00"));
    }
    enter(&mut bob, &sell(1, 250, "99.00"));
    venue.wait_for("everything is told", |venue| venue.counter("feed.messages") >= 60);
    let last = venue.counter("feed.messages");
    read(&mut reader, &mut market, last);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "in order, each once");
    assert_eq!(venue.counter("feed.datagrams_lost"), 0);
    // The kernel beside sent none of them: only answers to requests.
    let asked = if with_kernel { venue.counter("feed.requests") } else { 0 };
    assert!(datagrams_of_the_kernel(&venue) <= kernel_before + asked);
    if !partial {
        let depth = market.depth("AAPL").unwrap();
        let bids: Vec<_> = depth.side(true).map(|(price, level)| (price, level.shares)).collect();
        assert_eq!(bids, [(Price(990_000), 4_750)]);
        assert_eq!(depth.volume, 250);
    }
}
