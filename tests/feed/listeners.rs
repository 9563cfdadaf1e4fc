//! Those who only listen: drop copies and snapshots.

use std::time::Duration;

use millrace::client::feed::{Arbiter, take_in};
use millrace::client::market::Market;
use millrace::client::{Client, LoginError, Received};
use millrace::segment::{journal_dir, recover};

use super::common::{PATIENCE, buy, config, config_text, enter, sell, silence};
use super::venue::{Exchange, Reader, Spoilt, assert_is_the_journals};

/// All that one who trades was told, as far as it is copied.
fn own_of(client: &mut Client) -> Vec<Vec<u8>> {
    // An order of nothing is refused, behind everything else.
    let last = u32::MAX;
    client.send(&buy(last, 0, "100.00").encode()).unwrap();
    let mut all = vec![];
    loop {
        let message = client.message(PATIENCE).unwrap();
        match message[0] {
            b'J' if message[9..13] == last.to_be_bytes() => return all,
            kind if b"AUECDRM".contains(&kind) => all.push(message),
            _ => {}
        }
    }
}

/// The next messages of one who watches.
fn copied(client: &mut Client, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| client.message(PATIENCE).unwrap()).collect()
}

/// A message without its appendage, which in a copy says whose it is.
fn fixed(message: &[u8]) -> &[u8] {
    let length = match message[0] {
        b'A' => 62,
        b'U' => 66,
        b'E' => 34,
        b'C' => 18,
        b'D' => 32,
        b'R' => 14,
        b'M' => 18,
        other => panic!("{} is not copied", other as char),
    };
    &message[..length]
}

/// Who a copy says that it is about: firm and user.
fn about(message: &[u8]) -> (String, String) {
    let mut appendage = &message[fixed(message).len() + 2..];
    let mut found = (String::new(), String::new());
    while let [length, tag, rest @ ..] = appendage {
        let (value, behind) = rest.split_at(usize::from(*length) - 1);
        let text = || String::from_utf8_lossy(value).trim().to_owned();
        match tag {
            2 => found.0 = text(),
            240 => found.1 = text(),
            _ => {}
        }
        appendage = behind;
    }
    found
}

#[test]
fn who_watches_a_firm_is_told_what_its_users_are_told() {
    let exchange = Exchange::start("", "");
    let mut watcher = exchange.watcher("WATCHA", 0);
    exchange.trade(11, 600);
    exchange.told();
    let mut alice = exchange.venue.client_from("ALICE", 1);
    let own = own_of(&mut alice);
    assert!(own.len() > 300, "{}", own.len());
    let mut copies = copied(&mut watcher, own.len());
    for (copy, own) in copies.iter().zip(&own) {
        assert_eq!(fixed(copy), fixed(own));
        assert_eq!(about(copy), ("AAA".to_owned(), "ALICE".to_owned()));
    }
    // The same again from the start, and after a restart, whose stream comes from the journal.
    drop(watcher);
    let mut again = exchange.watcher("WATCHA", 1);
    let replayed = copied(&mut again, 1 + own.len());
    assert_eq!(replayed[0][0], b'S', "the first message is the start of the day");
    assert_eq!(replayed[1..], copies);
    drop((again, alice));
    let Exchange { venue, lines, request } = exchange;
    let (_, scratch) = venue.stop();
    let lines = [lines[0], lines[1]];
    let exchange = Exchange::start_in(scratch, "", "", lines, request);
    let mut again = exchange.watcher("WATCHA", 2);
    assert_eq!(copied(&mut again, copies.len()), copies);
    silence(&mut again);
    // Another that watches both firms has it all, in order.
    let mut bob = exchange.venue.client_from("BOB", 1);
    let mut both = exchange.watcher("WATCHB", 2);
    let all = copied(&mut both, copies.len() + own_of(&mut bob).len());
    silence(&mut both);
    copies.retain(|copy| !all.contains(copy));
    assert_eq!(copies, [] as [Vec<u8>; 0]);
    assert!(all.iter().any(|copy| about(copy).0 == "BBB"));
    drop((again, bob, both));
    let (stopped, scratch) = exchange.venue.stop();
    let config = config(&scratch.0, &config_text("", ""));
    let recovered = recover(&journal_dir(&config), &config).unwrap();
    assert_eq!(recovered.state_hash(), stopped.state_hash);
}

#[test]
fn who_watches_enters_nothing_and_nobody_else_gets_in() {
    let exchange = Exchange::start("", "");
    let addresses = exchange.venue.addresses();
    let refused = |at: usize, user: &str, password: &str| {
        let login = Client::login(addresses[at], user, password, 0);
        matches!(login, Err(LoginError::Rejected('A')))
    };
    assert!(refused(2, "ALICE", "secret"), "one who trades has no drop copy");
    assert!(refused(0, "WATCHA", "secret"), "one who watches does not trade");
    assert!(refused(2, "WATCHA", "wrong"));
    assert!(refused(1, "ALICE", "wrong"));
    let mut watcher = exchange.watcher("WATCHA", 0);
    watcher.send(&buy(1, 100, "100.00").encode()).unwrap();
    match watcher.receive(PATIENCE).unwrap() {
        Some(Received::Debug(why)) => assert!(why.contains("takes no orders"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(exchange.venue.counter("risk.open_orders"), 0);
}

/// What a snapshot says, and from which message the feed goes on.
fn snapshot(exchange: &Exchange, user: &str) -> (Market, u64) {
    let mut client = Client::login(exchange.glimpse(), user, "secret", 0).unwrap();
    let mut market = Market::new();
    let mut next = None;
    loop {
        match client.receive(PATIENCE).unwrap() {
            Some(Received::Message(_, message)) if message[0] == b'G' => {
                let number = std::str::from_utf8(&message[1..]).unwrap().trim();
                next = Some(number.parse().unwrap());
            }
            Some(Received::Message(_, message)) => take_in(&mut market, &message).unwrap(),
            Some(Received::EndOfSession) => return (market, next.unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_joins_late_by_a_snapshot_ends_with_the_same_book() {
    let exchange = Exchange::start("", "");
    let mut early = Reader::open(&exchange, 0, Spoilt::default(), 1);
    exchange.trade(17, 1_500);
    exchange.told();
    // Somebody who takes nothing of a snapshot is in nobody's way.
    let mut idle = Client::login(exchange.glimpse(), "BOB", "secret", 0).unwrap();
    let (market, next) = snapshot(&exchange, "ALICE");
    // How many there are depends on whose orders came first.
    assert!(market.orders() > 100 && next > 500, "{} orders, {next}", market.orders());
    let mut late = Reader::open(&exchange, 1, Spoilt::default(), 2);
    (late.market, late.arbiter) = (market, Arbiter::from(next));
    exchange.trade(18, 500);
    let last = exchange.told();
    early.read_until(last);
    late.read_until(last);
    for name in ["AAPL", "MSFT"] {
        let [a, b] = [&early, &late].map(|reader| reader.market.depth(name).unwrap());
        assert_eq!((&a.bids, &a.asks), (&b.bids, &b.asks));
    }
    assert!(idle.receive(Duration::from_secs(20)).unwrap().is_some(), "it is still served");
    drop(idle);
    let (_, scratch) = exchange.venue.stop();
    assert_is_the_journals(&late.market, &scratch);
}

#[test]
fn a_drop_copy_comes_while_trading_goes_on() {
    let exchange = Exchange::start("", "ack = \"sequenced\"");
    let mut watcher = exchange.watcher("WATCHB", 0);
    let (mut alice, mut bob) = (exchange.venue.client("ALICE"), exchange.venue.client("BOB"));
    enter(&mut alice, &buy(1, 100, "100.00"));
    enter(&mut bob, &sell(1, 40, "100.00"));
    let kinds: Vec<_> = (0..4).map(|_| watcher.message(PATIENCE).unwrap()).collect();
    let who: Vec<_> = kinds.iter().map(|copy| (copy[0] as char, about(copy).1)).collect();
    let expected = [('A', "ALICE"), ('A', "BOB"), ('E', "ALICE"), ('E', "BOB")];
    assert_eq!(who, expected.map(|(kind, user)| (kind, user.to_owned())));
}
