//! What an order costs beside time: allocations and system calls. Used by the test, which
//! insists, and by the bench, which prints.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use millrace::client::NewOrder;
use millrace::order::Price;
use millrace::wire::soupbin::{login_packet, packet};

/// Bytes of a Sequenced Data packet with an Accepted, and with the Canceled that follows.
const ANSWER_BYTES: usize = ACCEPTED_BYTES + 3 + 20;
/// Of the Accepted alone.
const ACCEPTED_BYTES: usize = 3 + 64;

/// A session that neither allocates nor waits in anything but its socket.
pub struct PingPong {
    stream: TcpStream,
    orders: Vec<Vec<u8>>,
    at: usize,
    /// They rest, and are told to the market.
    rests: bool,
}

impl PingPong {
    /// Logs in and prepares `count` orders, that are cancelled at once or rest.
    pub fn new(to: SocketAddr, user: &str, count: u32, rests: bool) -> PingPong {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&login_packet(user, "secret", "", 0)).unwrap();
        let mut accepted = [0; 33];
        stream.read_exact(&mut accepted).unwrap();
        assert_eq!(accepted[2], b'A');
        let order = |n| NewOrder::new(n, b'B', 10, "AAPL", Price(1_000_000));
        let order = |n| if rests { order(n) } else { order(n).ioc() };
        let orders = (1..=count).map(|n| packet(b'U', &order(n).encode())).collect();
        PingPong { stream, orders, at: 0, rests }
    }

    /// Enters `count` orders, each after the answer to the one before.
    pub fn run(&mut self, count: usize) {
        let mut answer = [0; ANSWER_BYTES];
        for order in &self.orders[self.at..self.at + count] {
            self.stream.write_all(order).unwrap();
            if self.rests {
                self.stream.read_exact(&mut answer[..ACCEPTED_BYTES]).unwrap();
                assert_eq!(answer[3], b'A');
                continue;
            }
            self.stream.read_exact(&mut answer).unwrap();
            assert_eq!((answer[3], answer[70]), (b'A', b'C'));
        }
        self.at += count;
    }
}

/// System calls of the gateway's process, as strace counts them.
#[derive(Debug, Default)]
pub struct SystemCalls {
    /// Reads that brought something.
    pub receives: u64,
    /// Reads that found nothing.
    pub empty_receives: u64,
    /// Sends.
    pub sends: u64,
    /// epoll_wait and ppoll.
    pub waits: u64,
}

/// The configuration that system calls are counted with.
pub fn counted_config() -> String {
    millrace::config::BUILT_IN
        .replace("127.0.0.1:7001", "127.0.0.1:0")
        .replace("ack = \"journaled\"", "ack = \"sequenced\"")
}

/// Runs the program under strace, started by `start`, enters `orders`, and counts; `None` without
/// strace.
pub fn count_system_calls(
    binary: &str,
    dir: &Path,
    text: &str,
    orders: u32,
    start: impl FnOnce(&mut Command) -> std::io::Result<Child>,
) -> Option<SystemCalls> {
    Command::new("strace").arg("-V").stdout(Stdio::null()).status().ok()?;
    let table = dir.join("strace");
    let config = dir.join("millrace.toml");
    std::fs::write(&config, text).unwrap();
    let calls = "trace=recvfrom,sendto,read,write,epoll_wait,ppoll,futex";
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-e", calls, "-o"]).arg(&table);
    command.args([binary, "run", "--config"]).arg(&config);
    command.arg("--data").arg(dir.join("data"));
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = start(&mut command).ok()?;
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    // Where strace may not trace, nothing starts.
    let Some(address) = ready.trim().strip_prefix("millrace ready ouch5=") else {
        let _ = child.wait();
        return None;
    };
    let mut session = PingPong::new(address.parse().unwrap(), "TRADE1", orders, false);
    session.run(orders as usize);
    // The gateway is strace's child: stopping it ends both.
    let traced = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()));
    let pid = traced.ok()?.trim().to_owned();
    Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap();
    child.wait().unwrap();
    Some(read_table(&std::fs::read_to_string(&table).unwrap()))
}

/// Reads strace's summary: `% time, seconds, usecs/call, calls, [errors], syscall`.
fn read_table(table: &str) -> SystemCalls {
    let mut counted = SystemCalls::default();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(name), Some(Ok(calls))) = (words.last(), words.get(3).map(|w| w.parse::<u64>()))
        else {
            continue;
        };
        let errors = if words.len() == 6 { words[4].parse().unwrap_or(0) } else { 0 };
        match *name {
            "recvfrom" => {
                counted.receives += calls - errors;
                counted.empty_receives += errors;
            }
            "sendto" => counted.sends += calls,
            "epoll_wait" | "ppoll" => counted.waits += calls,
            _ => {}
        }
    }
    counted
}
