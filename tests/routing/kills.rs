//! The gateway is killed with orders in flight, again and again: what it holds afterwards is what the venue says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::common::process::Process;
use crate::common::{PATIENCE, Scratch, Venue};
use crate::{exchange, free_port, gateway_text};
use millrace::client::{Answer, Client, NewOrder, Received, cancel, replace};
use millrace::order::Price;
use millrace::runtime::counters::read_file;

fn rounds() -> u32 {
    std::env::var("MILLRACE_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

/// Logs in, as soon as an earlier connection is seen to have ended.
fn log_in(address: SocketAddr, user: &str, number: u64) -> Client {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Client::login(address, user, "secret", number) {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Everything a user was ever told, up to now.
fn everything(address: SocketAddr, user: &str) -> Vec<Answer> {
    let mut client = log_in(address, user, 1);
    let mut all = vec![];
    while let Some(received) = client.receive(Duration::from_millis(200)).unwrap() {
        if let Received::Message(_, message) = received {
            all.push(Answer::parse(&message));
        }
    }
    all
}

/// Net shares, and the shares of orders that are open, as a list of answers says.
fn holds(all: &[Answer]) -> (i64, u64) {
    let mut orders: HashMap<u32, (char, u32)> = HashMap::new();
    let mut sum = 0;
    for one in all {
        match *one {
            Answer::Accepted { user_ref, side, quantity, .. } => {
                assert!(orders.insert(user_ref, (side, quantity)).is_none(), "accepted twice");
            }
            Answer::Replaced { orig_user_ref, user_ref, quantity, .. } => {
                let (side, _) = orders.insert(orig_user_ref, ('B', 0)).expect("it was accepted");
                orders.insert(user_ref, (side, quantity));
            }
            Answer::Executed { user_ref, quantity, .. } => {
                let (side, left) = orders.get_mut(&user_ref).expect("it was accepted");
                assert!(
                    quantity <= *left,
                    "order {user_ref} has {left} left, and {quantity} trade"
                );
                *left -= quantity;
                sum += if *side == 'B' { i64::from(quantity) } else { -i64::from(quantity) };
            }
            Answer::Canceled { user_ref, quantity, .. }
            | Answer::AiqCanceled { user_ref, decrement: quantity, .. } => {
                let (_, left) = orders.get_mut(&user_ref).expect("it was accepted");
                assert!(quantity <= *left);
                *left -= quantity;
            }
            _ => {}
        }
    }
    (sum, orders.values().map(|(_, left)| u64::from(*left)).sum())
}

/// Orders, replaces and cancels until the gateway is gone.
fn trade_until_gone(mut client: Client, seed: u64, mut next: u32) {
    let mut state = seed | 1;
    let mut draw = |end: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % end
    };
    loop {
        let mut bytes = vec![];
        let price = Price(990_000 + 5_000 * draw(5) as u32);
        let message = match draw(10) {
            0 if next > 1 => cancel(next - 1 - draw(3).min(u64::from(next) - 1) as u32, 0),
            1 if next > 1 => {
                next += 1;
                replace(next - 2, next - 1, 50 + draw(100) as u32, price)
            }
            _ => {
                let side = if draw(2) == 0 { b'B' } else { b'S' };
                next += 1;
                let order = NewOrder::new(next - 1, side, 10 + draw(90) as u32, "AAPL", price);
                let ioc = draw(4) == 0;
                if ioc { order.ioc().encode() } else { order.encode() }
            }
        };
        bytes.extend(message);
        if client.send(&bytes).is_err() {
            return;
        }
        // What it is told is read, so that it goes on being told.
        while let Ok(Some(_)) = client.receive(Duration::from_micros(200)) {}
        if client.receive(Duration::ZERO).is_err() {
            return;
        }
    }
}

/// The first number that a user has not used.
fn next_ref(address: SocketAddr, user: &str) -> u32 {
    let mut client = log_in(address, user, 0);
    client.send(&millrace::client::account_query()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let message = client.message(PATIENCE).unwrap();
        if let Answer::AccountQueryResponse { next_user_ref } = Answer::parse(&message) {
            return next_user_ref;
        }
    }
    panic!("no answer");
}

fn counter(scratch: &Scratch, name: &str) -> u64 {
    let counters = read_file(&scratch.0.join("data/counters")).unwrap();
    counters.into_iter().find(|(known, _)| known == name).expect(name).1
}

/// The venue's makers give the gateway's orders somebody to trade with, and take no notice of it.
fn kill_under_load(protocol: &str, policy: &str, more: &str) {
    let at = free_port();
    let outside: Venue = exchange(Scratch::new(), at, protocol);
    let scratch = Scratch::new();
    let text = gateway_text(at, protocol, policy, "max_messages_per_second = 100000")
        .replace("[gateway]\n", &format!("[gateway]\n{more}\n"))
        .replace("DIR", &scratch.0.display().to_string());
    let users = ["ALICE", "BOB"];
    for round in 0..rounds() {
        let (process, ports) = Process::start_with(&scratch.0, &text);
        let address = ports[0].1;
        wait(|| counter(&scratch, "venue.XOUT.state") == 3);
        let traders: Vec<_> = users
            .iter()
            .zip(0u64..)
            .map(|(user, n)| {
                let next = next_ref(address, user);
                let client = log_in(address, user, 0);
                let seed = 7_919 * u64::from(round) + n + 1;
                std::thread::spawn(move || trade_until_gone(client, seed, next))
            })
            .collect();
        let maker = std::thread::spawn({
            let next = next_ref(outside.address, "MAKER");
            let mut client = log_in(outside.address, "MAKER", 0);
            move || {
                let until = Instant::now() + Duration::from_millis(400);
                for n in next.. {
                    let side = if n % 2 == 0 { b'B' } else { b'S' };
                    let price = Price(990_000 + 5_000 * (n % 5));
                    let order = NewOrder::new(n, side, 35, "AAPL", price);
                    client.send(&order.encode()).unwrap();
                    while let Ok(Some(_)) = client.receive(Duration::from_micros(300)) {}
                    if Instant::now() > until {
                        client.send(&millrace::client::mass_cancel(n + 1, "MMM", "AAPL")).unwrap();
                        return;
                    }
                }
            }
        });
        std::thread::sleep(Duration::from_millis(100 + u64::from(round) * 53 % 250));
        process.kill();
        traders.into_iter().for_each(|trader| trader.join().unwrap());
        maker.join().unwrap();
        let (process, ports) = Process::start_with(&scratch.0, &text);
        let address = ports[0].1;
        wait(|| counter(&scratch, "venue.XOUT.state") == 3);
        // Here and there the same, once everything was said.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let here = users.map(|user| holds(&everything(address, user)));
            let (held, open) =
                here.iter().fold((0, 0), |(h, o), (held, open)| (h + held, o + open));
            let maker = holds(&everything(outside.address, "MAKER"));
            let there = outside.counter("risk.open_orders");
            if held == -maker.0 && counter(&scratch, "risk.open_orders") == there && maker.1 == 0 {
                println!("round {round}: {held} held, {open} open in {there} orders");
                break;
            }
            assert!(
                Instant::now() < deadline,
                "round {round}: here {here:?} in {} orders, there {maker:?} in {there}",
                counter(&scratch, "risk.open_orders")
            );
        }
        process.stop();
    }
}

fn wait(what: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn kill_9_with_orders_at_a_venue_that_speaks_fix() {
    kill_under_load("fix44", "route-only", "ack = \"journaled\"");
}

#[test]
fn kill_9_with_orders_at_a_venue_that_speaks_ouch() {
    kill_under_load("ouch5", "route-only", "ack = \"sequenced\"\ncrash_dir = \"DIR\"");
}

#[test]
fn kill_9_with_orders_that_cross_here_first() {
    kill_under_load("fix42", "post-out", "ack = \"journaled\"");
}
