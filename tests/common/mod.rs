//! A gateway of its own for each test, and short words for talking to it.
#![allow(dead_code, reason = "each test file uses some of it")]

pub mod process;
pub mod transport;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use millrace::client::{Answer, Client, NewOrder};
use millrace::config::Config;
use millrace::order::Price;
use millrace::segment::{Segment, SegmentError, Stopped};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test waits for what must not come.
pub const QUIET: Duration = Duration::from_millis(150);

/// A directory that is removed at the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("millrace-test-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The configuration of the tests: small tables, two firms, a quiet idle strategy.
pub fn config_text(gateway: &str, risk: &str) -> String {
    format!(
        r#"
[gateway]
idle = "park"
max_orders = 4096
ring_capacity = 2048
stream_window_bytes = 262144
{gateway}
[[port]]
protocol = "ouch5"
listen = "127.0.0.1:0"
[[user]]
name = "ALICE"
password = "secret"
firm = "AAA"
[[user]]
name = "BOB"
password = "secret"
firm = "BBB"
[[user]]
name = "CAROL"
password = "secret"
firm = "AAA"
cancel_on_disconnect = false
[[symbol]]
name = "AAPL"
reference_price = "100.00"
[[symbol]]
name = "MSFT"
reference_price = "100.00"
[risk.default]
{risk}
"#
    )
}

pub fn config(dir: &Path, text: &str) -> Config {
    let mut config = Config::parse(&transport::adapt(text), "test").unwrap();
    config.gateway.data_dir = dir.to_owned();
    config
}

/// Starts a gateway where the transport has its host.
pub fn start(config: &Config) -> Result<Segment, SegmentError> {
    transport::on_server(|| Segment::start(config))
}

/// A running gateway.
pub struct Venue {
    segment: Option<Segment>,
    pub config: Config,
    pub scratch: Option<Scratch>,
    pub address: SocketAddr,
}

impl Venue {
    pub fn start() -> Venue {
        Venue::with("", "")
    }

    /// With more lines for `[gateway]` and `[risk.default]`.
    pub fn with(gateway: &str, risk: &str) -> Venue {
        Venue::start_in(Scratch::new(), &config_text(gateway, risk))
    }

    pub fn start_in(scratch: Scratch, text: &str) -> Venue {
        let config = config(&scratch.0, text);
        let segment = start(&config).unwrap();
        let address = segment.addresses()[0];
        Venue { segment: Some(segment), config, scratch: Some(scratch), address }
    }

    /// Where it listens, in the configuration's order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.segment.as_ref().unwrap().addresses().to_vec()
    }

    pub fn client(&self, user: &str) -> Client {
        self.client_from(user, 0)
    }

    pub fn client_from(&self, user: &str, number: u64) -> Client {
        Client::login(self.address, user, "secret", number).unwrap()
    }

    /// A counter; one of a gateway's, of all gateways together.
    pub fn counter(&self, name: &str) -> u64 {
        let of_all = |known: &str| match known.split_once('.') {
            Some((agent, rest)) if agent.starts_with("gateway") => format!("gateway.{rest}"),
            _ => known.to_owned(),
        };
        let all = self.segment.as_ref().unwrap().counters().snapshot();
        assert!(all.iter().any(|(known, _)| *known == name), "no counter {name}");
        all.iter().filter(|(known, _)| of_all(known) == name).map(|(_, value)| value).sum()
    }

    /// A counter of the first gateway's own, or of nobody else's.
    pub fn own_counter(&self, name: &str) -> u64 {
        self.segment.as_ref().unwrap().counters().get(name).get()
    }

    /// All counters that are not 0.
    pub fn counters(&self) -> Vec<(String, u64)> {
        let all = self.segment.as_ref().unwrap().counters().snapshot();
        let some = all.into_iter().filter(|(_, value)| *value > 0);
        some.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Waits until a counter is at least `value`.
    pub fn wait_for(&self, name: &str, value: u64) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.counter(name) < value {
            assert!(std::time::Instant::now() < deadline, "{name} stays {}", self.counter(name));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn stop(mut self) -> (Stopped, Scratch) {
        (self.segment.take().unwrap().stop(), self.scratch.take().unwrap())
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        if let Some(segment) = self.segment.take() {
            segment.stop();
        }
    }
}

/// The next answer.
pub fn answer(client: &mut Client) -> Answer {
    Answer::parse(&client.message(PATIENCE).unwrap())
}

/// Nothing comes.
pub fn silence(client: &mut Client) {
    assert_eq!(client.receive(QUIET).unwrap(), None);
}

/// A message without what no other run has: its time, and the order's number, which is enciphered under a
/// key of the journal's own.
pub fn comparable(mut message: Vec<u8>) -> Vec<u8> {
    message[1..9].fill(0);
    match message[0] {
        b'A' => message[36..44].fill(0),
        b'U' => message[40..48].fill(0),
        _ => {}
    }
    message
}

/// Whole units and cents.
pub fn price(text: &str) -> Price {
    text.parse().unwrap()
}

pub fn buy(user_ref: u32, quantity: u32, at: &str) -> NewOrder {
    NewOrder::new(user_ref, b'B', quantity, "AAPL", price(at))
}

pub fn sell(user_ref: u32, quantity: u32, at: &str) -> NewOrder {
    NewOrder::new(user_ref, b'S', quantity, "AAPL", price(at))
}

/// Sends an order and checks that it is accepted.
pub fn enter(client: &mut Client, order: &NewOrder) {
    client.send(&order.encode()).unwrap();
    match answer(client) {
        Answer::Accepted { user_ref, live: true, .. } if user_ref == order.user_ref => {}
        other => panic!("expected order {} accepted, got {other:?}", order.user_ref),
    }
}

/// Sends an order and says why it is rejected.
pub fn refused(client: &mut Client, order: &NewOrder) -> u16 {
    client.send(&order.encode()).unwrap();
    match answer(client) {
        Answer::Rejected { user_ref, reason } if user_ref == order.user_ref => reason,
        other => panic!("expected order {} rejected, got {other:?}", order.user_ref),
    }
}

/// Checks for a fill.
pub fn filled(client: &mut Client, user_ref: u32, quantity: u32, at: &str, liquidity: char) {
    match answer(client) {
        Answer::Executed { user_ref: r, quantity: q, price: p, liquidity: l, .. } => {
            assert_eq!((r, q, p, l), (user_ref, quantity, price(at).0.into(), liquidity));
        }
        other => panic!("expected a fill of order {user_ref}, got {other:?}"),
    }
}

/// Checks for a cancel.
pub fn canceled(client: &mut Client, user_ref: u32, quantity: u32, reason: char) {
    assert_eq!(answer(client), Answer::Canceled { user_ref, quantity, reason });
}
