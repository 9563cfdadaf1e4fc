//! One client uses up what can be used up; ten others beside it see no refusal and no cancel. Each
//! test is a line of the table "What is shared" in docs/ARCHITECTURE.md.

#[path = "../common/mod.rs"]
mod common;
mod orders;
mod sessions;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use common::{PATIENCE, Scratch, Venue, answer};
use millrace::client::{Answer, Client, NewOrder, cancel};
use millrace::order::Price;

/// Sessions beside the one that wants everything.
const HONEST: usize = 10;

/// A venue with the honest and the other one, each of a firm of its own; more lines for `[gateway]`
/// and for the other one's limits.
fn floor(gateway: &str, limits: &str) -> Venue {
    Venue::start_in(Scratch::new(), &text(gateway, limits))
}

fn text(gateway: &str, limits: &str) -> String {
    let user = |name: &str| {
        format!("[[user]]\nname = \"{name}\"\npassword = \"secret\"\nfirm = \"{name}\"\n")
    };
    let honest: String = (0..HONEST).map(|n| user(&format!("H{n}"))).collect();
    format!(
        r#"
[gateway]
idle = "park"
max_orders = 4096
ring_capacity = 2048
stream_window_bytes = 65536
{gateway}
[[port]]
protocol = "ouch5"
listen = "127.0.0.1:0"
[[port]]
protocol = "fix44"
listen = "127.0.0.1:0"
{honest}{}
[[user]]
name = "EVILF"
password = "secret"
firm = "EVIL"
fix_comp_id = "EVILFIX"
[[symbol]]
name = "AAPL"
tick = "0.0001"
reference_price = "100.00"
[risk.default]
price_collar_bps = 0
[risk.firm.EVIL]
price_collar_bps = 0
{limits}
"#,
        user("EVIL")
    )
}

/// The honest ones, logged in.
struct Honest {
    clients: Vec<Client>,
    user_ref: u32,
}

impl Honest {
    fn of(venue: &Venue) -> Honest {
        let login = |n| venue.client(&format!("H{n}"));
        Honest { clients: (0..HONEST).map(login).collect(), user_ref: 0 }
    }

    /// Each enters an order at a price of its own and cancels it, so many times: nothing is refused,
    /// nothing is taken away.
    fn trade(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.user_ref += 1;
            let user_ref = self.user_ref;
            for (n, client) in (0..).zip(&mut self.clients) {
                let price = Price(900_000 + n * 1_000 + user_ref % 1_000);
                let order = NewOrder::new(user_ref, b'B', 10, "AAPL", price);
                client.send(&order.encode()).unwrap();
            }
            for client in &mut self.clients {
                match answer(client) {
                    Answer::Accepted { user_ref: r, live: true, .. } => assert_eq!(r, user_ref),
                    other => panic!("expected order {user_ref} accepted, got {other:?}"),
                }
                client.send(&cancel(user_ref, 0)).unwrap();
            }
            for client in &mut self.clients {
                let gone = Answer::Canceled { user_ref, quantity: 10, reason: 'U' };
                assert_eq!(answer(client), gone);
            }
        }
    }
}

/// Has the honest ones trade beside a flood until it is held up. How many rounds that took.
fn trade_until_paused(venue: &Venue, honest: &mut Honest, mut flood: impl FnMut() + Send) -> u32 {
    let deadline = Instant::now() + 3 * PATIENCE;
    for rounds in 1.. {
        while_trading(honest, 50, &mut flood);
        // Or it ended itself: it did not read its answers as fast.
        let held = venue.counter("gateway.paused_turns") + venue.counter("gateway.dropped_slow");
        if held > 0 && rounds > 3 {
            return 50 * rounds;
        }
        assert!(Instant::now() < deadline, "the flood is never held up");
    }
    unreachable!("the deadline comes first")
}

/// Does something again and again on a thread of its own while the honest ones trade.
fn while_trading(honest: &mut Honest, rounds: u32, mut again: impl FnMut() + Send) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let told = &stop;
        scope.spawn(move || {
            while !told.load(Ordering::Relaxed) {
                again();
            }
        });
        let traded =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| honest.trade(rounds)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = traded {
            std::panic::resume_unwind(panic);
        }
    });
}
