//! A FIX client that costs nothing but its socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use millrace::wire::fix::Version;
use millrace::wire::fix::value::Timestamps;
use millrace::wire::fix::write::{Head, Writer};

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
