//! The real gateway and the kernel's TCP, with a spoilt wire between.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use millrace::client::{Answer, Client, NewOrder};
use millrace::order::Price;

use super::common::{PATIENCE, config_text};
use super::venue::Venue;

const CLIENTS: u32 = 50;
/// Orders under way on one connection.
const WINDOW: u32 = 60;

/// The faults of the issue: loss 5 %, reordering 25 %, duplicates 5 %, corruption 0.1 %, a delay
/// of 1 ms with jitter.
const FAULTS: &str = "[faults]\nseed = 3\nloss_ppm = 50000\nreorder_ppm = 250000\n\
    duplicate_ppm = 50000\ncorrupt_ppm = 1000\ndelay_us = 1000\njitter_us = 500\n";

fn config() -> String {
    let risk = "max_messages_per_second = 1000000\nmax_position = 1000000000\n\
                max_open_orders = 2000000\nmax_open_notional = \"100000000000.00\"";
    let mut text = config_text("", risk).replace("max_orders = 4096", "max_orders = 2097152");
    let at = text.find("[[symbol]]").unwrap();
    let user = |n| {
        format!(
            "[[user]]\nname = \"U{n}\"\npassword = \"secret\"\nfirm = \"AAA\"\n\
             cancel_on_disconnect = false\n"
        )
    };
    text.insert_str(at, &(0..CLIENTS).map(user).collect::<String>());
    text
}

fn order(client: u32, n: u32) -> NewOrder {
    let price = Price(900_000 + n % 100 * 100);
    let mut order = NewOrder::new(n, b'B', 1 + (client * 7 + n) % 50, "AAPL", price);
    order.cl_ord_id = format!("C{client}N{n}");
    order
}

/// Connects until it is let in: of the SYNs of five seconds one client in a few hundred loses all.
fn login(address: SocketAddr, user: &str, from: u64) -> Client {
    let deadline = Instant::now() + 6 * PATIENCE;
    loop {
        match Client::login(address, user, "secret", from) {
            Ok(client) => return client,
            Err(error) if Instant::now() > deadline => panic!("{user}: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Everything that was sent comes back, in order and once, on one connection.
fn trade(address: SocketAddr, number: u32, orders: u32) {
    let user = format!("U{number}");
    let mut client = login(address, &user, 1);
    let (mut sent, mut answered) = (0, 0);
    let mut begun = false;
    while answered < orders {
        while sent < orders && sent - answered < WINDOW {
            client.send(&order(number, sent + 1).encode()).unwrap();
            sent += 1;
        }
        let message = client.message(6 * PATIENCE).unwrap_or_else(|e| {
            panic!("{user}: {e}, {answered} of {sent} orders answered");
        });
        if !begun {
            assert!(matches!(Answer::parse(&message), Answer::SystemEvent { .. }), "{user}");
            begun = true;
            continue;
        }
        answered += 1;
        let expected = order(number, answered);
        match Answer::parse(&message) {
            Answer::Accepted { user_ref, quantity, price, live: true, .. } => {
                let told = (user_ref, quantity, price);
                assert_eq!(told, (answered, expected.quantity, expected.price), "{user}");
            }
            other => panic!("{user}: order {answered} got {other:?}"),
        }
        let id = expected.cl_ord_id.as_bytes();
        assert!(message.windows(id.len()).any(|window| window == id), "{user}: ClOrdID");
    }
    assert_eq!(client.next_number, u64::from(orders) + 2);
}

/// A million orders with `MILLRACE_FAULTY_ORDERS=1000000`; a fiftieth of it unless asked.
#[test]
fn over_a_spoilt_wire_every_order_is_answered_in_order_and_once() {
    let orders = std::env::var("MILLRACE_FAULTY_ORDERS").ok().and_then(|n| n.parse().ok());
    let orders: u32 = orders.unwrap_or(20_000);
    let Some(venue) = Venue::with(&config(), 1, FAULTS) else { return };
    let address = venue.address;
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            scope.spawn(move || trade(address, number, orders / CLIENTS));
        }
    });
    venue.wait_for("spoilt frames", |venue| venue.counter("net.frames_bad_checksum") > 0);
}
