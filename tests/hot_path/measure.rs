//! What an order costs beside time: allocations and system calls. Used by the test, which
//! insists, and by the bench, which prints.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use millrace::client::NewOrder;
use millrace::order::Price;
use millrace::wire::fix::Version;
use millrace::wire::fix::value::Timestamps;
use millrace::wire::fix::write::{Head, Writer};
use millrace::wire::soupbin::{login_packet, packet};

/// Bytes of a Sequenced Data packet with an Accepted, and with the Canceled that follows.
const ANSWER_BYTES: usize = 3 + 64 + 3 + 20;

/// A session that neither allocates nor waits in anything but its socket.
pub struct PingPong {
    stream: TcpStream,
    orders: Vec<Vec<u8>>,
    at: usize,
}

impl PingPong {
    /// Logs in and prepares `count` orders that are cancelled at once.
    pub fn new(to: SocketAddr, user: &str, count: u32) -> PingPong {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&login_packet(user, "secret", "", 0)).unwrap();
        let mut accepted = [0; 33];
        stream.read_exact(&mut accepted).unwrap();
        assert_eq!(accepted[2], b'A');
        let order = |n| NewOrder::new(n, b'B', 10, "AAPL", Price(1_000_000)).ioc();
        let orders = (1..=count).map(|n| packet(b'U', &order(n).encode())).collect();
        PingPong { stream, orders, at: 0 }
    }

    /// Enters `count` orders, each after the answer to the one before.
    pub fn run(&mut self, count: usize) {
        let mut answer = [0; ANSWER_BYTES];
        for order in &self.orders[self.at..self.at + count] {
            self.stream.write_all(order).unwrap();
            self.stream.read_exact(&mut answer).unwrap();
            assert_eq!((answer[3], answer[70]), (b'A', b'C'));
        }
        self.at += count;
    }
}

/// A FIX session that neither allocates nor waits in anything but its socket.
pub struct FixPingPong {
    stream: TcpStream,
    orders: Vec<Vec<u8>>,
    at: usize,
    answer: [u8; 1024],
}

impl FixPingPong {
    /// Logs on and prepares `count` orders that are cancelled at once.
    pub fn new(to: SocketAddr, comp_id: &str, password: &str, count: u32) -> FixPingPong {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let time = *Timestamps::default().text(now);
        let message = |number: u32, kind: &[u8], fields: &str| {
            let head = Head::new(Version::Fix44, kind, comp_id.as_bytes(), b"MILLRACE");
            let mut bytes = vec![];
            let mut writer = Writer::new(&mut bytes, &head, number.into(), &time);
            writer.raw(fields.replace('|', "\x01").as_bytes());
            writer.finish();
            bytes
        };
        let now = String::from_utf8(time.to_vec()).unwrap();
        let order = |n: u32| {
            let terms = "55=AAPL|54=1|38=10|40=2|44=100|59=3|1=ACCOUNT|";
            message(n, b"D", &format!("11=AN ORDER {n:06}|60={now}|{terms}"))
        };
        let orders = (2..count + 2).map(order).collect();
        let mut session = FixPingPong { stream, orders, at: 0, answer: [0; 1024] };
        let logon = message(1, b"A", &format!("98=0|108=0|554={password}|"));
        session.stream.write_all(&logon).unwrap();
        assert!(session.receive(b"\x0135=A\x01"));
        session
    }

    /// Reads one message; whether it holds some bytes.
    fn receive(&mut self, fields: &[u8]) -> bool {
        self.stream.read_exact(&mut self.answer[..18]).unwrap();
        let body = self.answer[12..17].iter().fold(0, |n, d| n * 10 + usize::from(d - b'0'));
        let end = 18 + body + 7;
        self.stream.read_exact(&mut self.answer[18..end]).unwrap();
        self.answer[..end].windows(fields.len()).any(|window| window == fields)
    }

    /// Sends the next `count` orders, each after the answers to the one before.
    pub fn run(&mut self, count: usize) {
        for _ in 0..count {
            self.stream.write_all(&self.orders[self.at]).unwrap();
            assert!(self.receive(b"\x0139=0\x01") && self.receive(b"\x0139=4\x01"));
            self.at += 1;
        }
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
    let mut session = PingPong::new(address.parse().unwrap(), "TRADE1", orders);
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
