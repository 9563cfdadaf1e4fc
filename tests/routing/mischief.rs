//! A venue that refuses, undoes, holds back and cuts off: what the gateway's clients were told is what the venue has.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Scratch, Venue};
use crate::{exchange_text, free_port, gateway, wait_up};
use millrace::client::{Answer, Client, NewOrder, Received, cancel};
use millrace::order::Price;

/// Net shares as somebody was told of them, and shares that are open.
#[derive(Default)]
struct Held {
    orders: HashMap<u32, (char, u32)>,
    trades: HashMap<(u32, u64), i64>,
    canceled: u64,
    broken: u64,
}

impl Held {
    fn hear(&mut self, message: &[u8]) {
        match Answer::parse(message) {
            Answer::Accepted { user_ref, side, quantity, .. } => {
                self.orders.insert(user_ref, (side, quantity));
            }
            Answer::Executed { user_ref, quantity, match_number, .. } => {
                let (side, left) = self.orders.get_mut(&user_ref).unwrap();
                *left = left.checked_sub(quantity).expect("no more than is open");
                let sign = if *side == 'B' { 1 } else { -1 };
                self.trades.insert((user_ref, match_number), sign * i64::from(quantity));
            }
            Answer::BrokenTrade { user_ref, match_number } => {
                self.broken += 1;
                self.trades.remove(&(user_ref, match_number)).expect("it was told");
            }
            Answer::Canceled { user_ref, quantity, .. }
            | Answer::AiqCanceled { user_ref, decrement: quantity, .. } => {
                self.canceled += 1;
                let (_, left) = self.orders.get_mut(&user_ref).unwrap();
                *left = left.checked_sub(quantity).expect("no more than is open");
            }
            _ => {}
        }
    }

    fn net(&self) -> i64 {
        self.trades.values().sum()
    }
}

/// Reads on until there is silence; a connection that was cut is made again.
fn listen(client: &mut Client, venue: &Venue, user: &str, held: &mut Held, silence: Duration) {
    loop {
        match client.receive(silence) {
            Ok(Some(Received::Message(_, message))) => held.hear(&message),
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(_) => *client = log_in(venue, user, client.next_number),
        }
    }
}

fn log_in(venue: &Venue, user: &str, number: u64) -> Client {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Client::login(venue.address, user, "secret", number) {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn trade_beside(protocol: &str) {
    let at = free_port();
    let text = exchange_text(at, protocol)
        + "[mischief]\nseed = 7\ndelay_us = 2000\nreject_ppm = 100000\nbust_ppm = 150000\n\
           disconnect_ppm = 15000\n";
    let outside = Venue::start_in(Scratch::new(), &text);
    let inside =
        gateway(Scratch::new(), at, protocol, "route-only", "max_messages_per_second = 100000");
    wait_up(&inside);
    let (mut maker, mut alice) = (log_in(&outside, "MAKER", 1), log_in(&inside, "ALICE", 1));
    let (mut there, mut here) = (Held::default(), Held::default());
    let quick = Duration::from_millis(1);
    for n in 1..=600u32 {
        let price = Price(990_000 + 5_000 * (n % 5));
        let (own, other) = if n % 2 == 0 { (b'B', b'S') } else { (b'S', b'B') };
        let order = NewOrder::new(n, own, 30, "AAPL", price);
        let _ = maker.send(&order.encode());
        let order = NewOrder::new(n, other, 50, "AAPL", price);
        let _ = alice.send(&order.encode());
        if n % 3 == 0 {
            let _ = alice.send(&cancel(n - 2, 0));
        }
        listen(&mut maker, &outside, "MAKER", &mut there, quick);
        listen(&mut alice, &inside, "ALICE", &mut here, quick);
    }
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        listen(&mut maker, &outside, "MAKER", &mut there, Duration::from_millis(300));
        listen(&mut alice, &inside, "ALICE", &mut here, Duration::from_millis(300));
        let makers = there.orders.values().filter(|(_, left)| *left > 0).count() as u64;
        // What the maker was told may be behind, for now.
        let open =
            (inside.counter("risk.open_orders") + makers, outside.counter("risk.open_orders"));
        let told = here.orders.values().filter(|(_, left)| *left > 0).count() as u64;
        if here.net() == -there.net() && open.0 == open.1 && open.0 == told + makers {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{} here, {} there; open {open:?}, {told} as told; {:?}",
            here.net(),
            there.net(),
            inside.counters()
        );
    }
    assert!(here.trades.len() > 50 && here.broken > 5 && here.canceled > 20);
    assert!(inside.counter("venue.XOUT.connections") > 1, "it was cut off");
}

#[test]
fn with_fix_44() {
    trade_beside("fix44");
}

#[test]
fn with_fix_42() {
    trade_beside("fix42");
}

#[test]
fn with_ouch() {
    trade_beside("ouch5");
}
