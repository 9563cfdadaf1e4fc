//! `millrace bench fairness`

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::Outcome;
use super::place::connect;
use super::witness;
use crate::client::{Client, NewOrder, account_query};
use crate::config::{BUILT_IN, Config};
use crate::order::Price;
use crate::runtime::signals;
use crate::segment::Segment;
use crate::wire::soupbin::{kind, login_packet, packet};

/// What one session notices while another uses up whatever it can: places for orders, the rate of
/// messages, connections.
#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds of each attack.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

/// A session that sends as much as its socket takes.
struct Flood {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Flood {
    /// Sends more once what came before is sent; drops what is answered.
    fn send(&mut self, more: &[u8]) -> std::io::Result<()> {
        if self.rest.is_empty() {
            self.rest.extend_from_slice(more);
        }
        let waits = |error: std::io::Error| match error.kind() {
            ErrorKind::WouldBlock => Ok(0),
            _ => Err(error),
        };
        let sent = self.stream.write(&self.rest).or_else(waits)?;
        self.rest.drain(..sent);
        self.stream.read(&mut [0; 65_536]).or_else(waits).map(|_| ())
    }
}

/// What is done, once a turn, until the time is over.
type Attack<'a> = Box<dyn FnMut() -> std::io::Result<()> + 'a>;

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let text = BUILT_IN
        .replace("127.0.0.1:7001", "127.0.0.1:0")
        .replace("ack = \"journaled\"", "ack = \"sequenced\"\nmax_connections = 100")
        + "\n[risk.firm.FRM3]\nmax_messages_per_second = 10000\n[risk.firm.FRM2]\n\
           max_messages_per_second = 10000\n";
    let dir = std::env::temp_dir().join(format!("millrace-fairness-{}", std::process::id()));
    let mut config = Config::parse(&text, "bench")?;
    config.gateway.data_dir = dir.clone();
    for name in ["nothing", "orders far apart", "account queries", "idle connections"] {
        let segment = Segment::start(&config)?;
        let done = measure(arguments, name, &segment);
        segment.stop();
        let _ = std::fs::remove_dir_all(&dir);
        done?;
    }
    Ok(())
}

fn measure(arguments: &Arguments, name: &str, segment: &Segment) -> Outcome {
    let to = segment.addresses()[0];
    let mut evil = Client::login(to, "TRADE5", "secret", 0)?;
    let queries = packet(kind::UNSEQUENCED, &account_query()).repeat(200);
    let mut flood = Flood { stream: connect(to)?, rest: vec![] };
    flood.send(&login_packet("TRADE4", "secret", "", 0))?;
    let mut user_ref = 0;
    let mut idle = vec![];
    let mut attack: Attack<'_> = match name {
        "orders far apart" => Box::new(|| {
            user_ref += 1;
            let price = Price(user_ref * 6_400 * 64 % 1_999_999_900 / 100 * 100 + 100);
            let order = NewOrder::new(user_ref, b'B', 1, "MSFT", price);
            evil.send(&order.encode())?;
            evil.receive(Duration::from_secs(10)).map(|_| ())
        }),
        "account queries" => Box::new(|| flood.send(&queries)),
        "idle connections" => Box::new(|| {
            if idle.len() > 150 {
                idle.drain(..50);
            }
            idle.push(TcpStream::connect(to)?);
            std::thread::sleep(Duration::from_micros(500));
            Ok(())
        }),
        _ => Box::new(|| {
            std::thread::sleep(Duration::from_millis(10));
            evil.heartbeat()
        }),
    };
    let seen = witness::beside(to, || {
        // The one who looks on has the core they share when it wants it.
        crate::runtime::promptness::give_way();
        let until = Instant::now() + Duration::from_secs(arguments.seconds);
        while Instant::now() < until {
            attack()?;
        }
        Ok(())
    })?;
    println!("{name:<18} {seen} (mark 2)");
    Ok(())
}
