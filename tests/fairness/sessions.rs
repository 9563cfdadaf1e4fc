//! What sessions use up: places in the sequence, the password helpers, replays, streams, connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace::client::{Answer, Client, LoginError, NewOrder, account_query};
use millrace::order::Price;
use millrace::wire::fix::value::Timestamps;
use millrace::wire::soupbin::{kind, login_packet, packet};

use super::common::{PATIENCE, Venue, answer, transport};
use super::{HONEST, Honest, floor, trade_until_paused, while_trading};

/// A FIX client of a few words.
pub struct FixClient {
    stream: TcpStream,
    number: u32,
    buffer: Vec<u8>,
}

impl FixClient {
    pub fn log_on(venue: &Venue) -> FixClient {
        let stream = TcpStream::connect(venue.addresses()[1]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = FixClient { stream, number: 0, buffer: vec![] };
        let password = if transport::is_kernel() { "secret" } else { "SECRET" };
        client.send("A", &format!("98=0|108=0|554={password}|"));
        assert!(client.next().contains("|35=A|"));
        client
    }

    fn time() -> String {
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        String::from_utf8(Timestamps::default().text(now_ns).to_vec()).unwrap()
    }

    pub fn text(&mut self, kind: &str, fields: &str) -> Vec<u8> {
        self.number += 1;
        let body = format!(
            "35={kind}|49=EVILFIX|56=MILLRACE|34={}|52={}|{fields}",
            self.number,
            FixClient::time()
        );
        let text = format!("8=FIX.4.4|9={:05}|{body}", body.len()).replace('|', "\x01");
        let sum: u8 = text.bytes().fold(0, u8::wrapping_add);
        format!("{text}10={sum:03}\x01").into_bytes()
    }

    fn send(&mut self, kind: &str, fields: &str) {
        let text = self.text(kind, fields);
        self.stream.write_all(&text).unwrap();
    }

    pub fn send_order(&mut self, name: &str) {
        let time = FixClient::time();
        let fields = format!("11={name}|21=1|55=AAPL|54=1|60={time}|38=1|40=2|44=50.00|59=0|");
        self.send("D", &fields);
    }

    pub fn send_cancel(&mut self, name: &str, of: &str) {
        let time = FixClient::time();
        self.send("F", &format!("11={name}|41={of}|55=AAPL|54=1|60={time}|38=1|"));
    }

    /// The next message, `|` for a field's end.
    pub fn next(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.buffer).replace('\x01', "|");
            if let Some(at) = text.find("|10=").filter(|at| text.len() >= at + 8) {
                self.buffer.drain(..at + 8);
                return text[..at + 8].to_owned();
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).unwrap();
            assert!(count > 0, "closed");
            self.buffer.extend_from_slice(&chunk[..count]);
        }
    }
}

#[test]
fn a_flood_of_queries_is_read_at_its_pace_and_nobody_waits_for_it() {
    let venue = floor("", "max_messages_per_second = 1000");
    let mut honest = Honest::of(&venue);
    let mut evil = TcpStream::connect(venue.address).unwrap();
    let password = if transport::is_kernel() { "secret" } else { "SECRET" };
    evil.write_all(&login_packet("EVIL", password, "", 0)).unwrap();
    evil.read_exact(&mut [0; 33]).unwrap();
    evil.set_nonblocking(true).unwrap();
    let query = packet(kind::UNSEQUENCED, &account_query()).repeat(500);
    let mut rest: Vec<u8> = vec![];
    let started = Instant::now();
    let before = venue.counter("risk.sequenced");
    let rounds = trade_until_paused(&venue, &mut honest, || {
        // What the socket does not take is the client's to keep.
        if rest.is_empty() {
            rest.extend_from_slice(&query);
        }
        if let Ok(sent) = evil.write(&rest) {
            rest.drain(..sent);
        }
        let _ = evil.read(&mut [0; 65_536]);
    });
    // The honest ones' orders and cancels, and twice the flood's rate with a second's worth at once;
    // a turn may read a few thousand more before it knows.
    let own = u64::from(rounds * 2 * HONEST as u32);
    let most = 2_000 * (started.elapsed().as_secs() + 3) + 10_000;
    let sequenced = venue.counter("risk.sequenced") - before;
    assert!(sequenced <= own + most, "{sequenced} sequenced, {own} of them honest");
}

#[test]
fn a_flood_of_test_requests_is_read_at_its_pace() {
    let venue = floor("", "max_messages_per_second = 1000");
    let mut honest = Honest::of(&venue);
    let mut evil = FixClient::log_on(&venue);
    let mut rest: Vec<u8> = vec![];
    evil.stream.set_nonblocking(true).unwrap();
    trade_until_paused(&venue, &mut honest, || {
        if rest.is_empty() {
            rest = (0..200).flat_map(|_| evil.text("1", "112=T|")).collect();
        }
        if let Ok(sent) = evil.stream.write(&rest) {
            rest.drain(..sent);
        }
        let _ = evil.stream.read(&mut [0; 65_536]);
    });
}

#[test]
fn one_who_does_not_read_loses_its_own_session() {
    let venue = floor("stream_pool_bytes = 1048576", "max_messages_per_second = 1000000");
    let mut honest = Honest::of(&venue);
    let mut evil = venue.client("EVIL");
    let mut user_ref = 0;
    evil.set_nonblocking().unwrap();
    while_trading(&mut honest, 300, || {
        let orders: Vec<u8> = (0..100)
            .flat_map(|n| {
                let order = NewOrder::new(user_ref + n + 1, b'B', 1, "AAPL", Price(500_000)).ioc();
                packet(kind::UNSEQUENCED, &order.encode())
            })
            .collect();
        user_ref += 100;
        if evil.send_raw(&orders).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    // Everybody else still has what it was told, from the first message on.
    drop(honest);
    for n in 0..HONEST {
        let mut client = login_again(&venue, &format!("H{n}"), 1);
        assert!(matches!(answer(&mut client), Answer::SystemEvent { event: 'S' }));
        assert!(matches!(answer(&mut client), Answer::Accepted { user_ref: 1, .. }));
    }
}

/// Logs in once the gateway has seen the end of the session before.
fn login_again(venue: &Venue, user: &str, number: u64) -> Client {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Client::login(venue.address, user, "secret", number) {
            Ok(client) => return client,
            Err(LoginError::Rejected('S')) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn replays_that_nobody_takes_hold_up_no_other() {
    let venue = floor("", "");
    let mut honest = Honest::of(&venue);
    // More than the window: the beginning comes out of the journal.
    honest.trade(800);
    let mut evil = venue.client("EVIL");
    for hundred in 0..15 {
        for user_ref in 1 + hundred * 100..=100 + hundred * 100 {
            let order = NewOrder::new(user_ref, b'B', 1, "AAPL", Price(500_000)).ioc();
            evil.send(&order.encode()).unwrap();
        }
        for _ in 0..200 {
            answer(&mut evil);
        }
    }
    drop(evil);
    // Asks for everything and leaves, as often as it can.
    for _ in 0..100 {
        drop(login_again(&venue, "EVIL", 1));
    }
    drop(honest);
    let mut client = login_again(&venue, "H0", 1);
    assert!(matches!(answer(&mut client), Answer::SystemEvent { event: 'S' }));
    for user_ref in 1..=800 {
        assert!(
            matches!(answer(&mut client), Answer::Accepted { user_ref: r, .. } if r == user_ref)
        );
        assert!(
            matches!(answer(&mut client), Answer::Canceled { user_ref: r, .. } if r == user_ref)
        );
    }
}

#[test]
fn a_thousand_wrong_passwords_at_once_let_the_others_trade() {
    let hash = millrace::gateway::hash_password("secret", false).unwrap();
    let text = super::text("max_connections = 1100", "")
        .replace("password = \"secret\"", &format!("password_hash = \"{hash}\""));
    let venue = Venue::start_in(super::Scratch::new(), &text);
    let mut honest = Honest::of(&venue);
    let wrong: Vec<TcpStream> = (0..1000)
        .map(|_| {
            let stream = TcpStream::connect(venue.address).unwrap();
            (&stream).write_all(&login_packet("EVIL", "wrong", "", 0)).unwrap();
            stream
        })
        .collect();
    let refused = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for mut stream in wrong {
                stream.set_read_timeout(Some(4 * PATIENCE)).unwrap();
                let mut answer = vec![];
                stream.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, b"\0\x02JA");
            }
            refused.store(true, Ordering::Relaxed);
        });
        let deadline = Instant::now() + 5 * PATIENCE;
        while !refused.load(Ordering::Relaxed) && Instant::now() < deadline {
            honest.trade(5);
        }
    });
    // Most of them never cost a hash.
    assert!(venue.counter("gateway.logins_throttled") >= 900);
    honest.trade(5);
}

#[test]
fn connections_that_say_nothing_give_way() {
    let venue = floor("max_connections = 40", "");
    let mut honest = Honest::of(&venue);
    let mut idle = vec![];
    while_trading(&mut honest, 50, || {
        if idle.len() > 200 {
            idle.drain(..100);
        }
        idle.extend(TcpStream::connect(venue.address));
        std::thread::sleep(Duration::from_micros(200));
    });
    // One who lost its connection finds a place again.
    drop(honest.clients.pop());
    honest.clients.push(login_again(&venue, &format!("H{}", HONEST - 1), 0));
    honest.trade(5);
}

#[test]
fn two_hundred_hashed_logins_at_once_are_all_let_in() {
    let hash = millrace::gateway::hash_password("secret", false).unwrap();
    let users: String = (0..200)
        .map(|n| {
            format!("[[user]]\nname = \"U{n}\"\npassword_hash = \"{hash}\"\nfirm = \"MANY\"\n")
        })
        .collect();
    let text = super::text("max_connections = 1000", "")
        .replace("[[symbol]]", &format!("{users}[[symbol]]"));
    let venue = Venue::start_in(super::Scratch::new(), &text);
    // Once with nobody known, once with everybody.
    for round in 0..2 {
        let all: Vec<TcpStream> = (0..200)
            .map(|n| {
                let stream = TcpStream::connect(venue.address).unwrap();
                (&stream).write_all(&login_packet(&format!("U{n}"), "secret", "", 0)).unwrap();
                stream
            })
            .collect();
        for mut stream in &all {
            stream.set_read_timeout(Some(4 * PATIENCE)).unwrap();
            let mut answer = [0; 33];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer[2], kind::LOGIN_ACCEPTED, "round {round}");
        }
        drop(all);
        venue.wait_for("gateway.connections_closed", 200 * (round + 1));
    }
    assert_eq!(venue.counter("gateway.logins_rejected"), 0);
}
