//! A FIX client that does what it is told, right or wrong.
#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace::wire::fix::value::Timestamps;

use crate::common::transport::is_kernel;
use crate::common::{PATIENCE, QUIET};

/// A message as tags and texts, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(pub Vec<(u32, String)>);

impl Fields {
    /// The fields of bytes that end every field with SOH.
    pub fn parse(bytes: &[u8]) -> Fields {
        let text = String::from_utf8_lossy(bytes);
        let fields = text.split('\x01').filter(|field| !field.is_empty());
        Fields(
            fields
                .map(|field| field.split_once('=').expect("tag=value"))
                .map(|(tag, value)| (tag.parse().unwrap(), value.to_owned()))
                .collect(),
        )
    }

    /// The text of a tag, or nothing.
    pub fn get(&self, tag: u32) -> &str {
        let field = self.0.iter().find(|(known, _)| *known == tag);
        field.map_or("", |(_, text)| text)
    }

    pub fn number(&self, tag: u32) -> u64 {
        self.get(tag).parse().unwrap_or_else(|_| panic!("{tag} is no number in {self:?}"))
    }

    /// Checks some fields, written as `35=8|39=0`.
    #[track_caller]
    pub fn expect(&self, fields: &str) -> &Fields {
        for field in fields.split('|') {
            let (tag, value) = field.split_once('=').unwrap();
            let got = self.get(tag.parse().unwrap());
            assert_eq!(got, value, "tag {tag} of {}", self.line());
        }
        self
    }

    pub fn line(&self) -> String {
        self.0.iter().map(|(tag, text)| format!("{tag}={text}|")).collect()
    }
}

pub struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    pub version: String,
    pub comp_id: String,
    pub target: String,
    /// MsgSeqNum of the next message sent.
    pub next_out: u64,
    /// MsgSeqNum expected next.
    pub next_in: u64,
}

/// The gateway's password; on other transports than loopback it is hashed, of capitals.
pub fn password() -> &'static str {
    if is_kernel() { "secret" } else { "SECRET" }
}

/// SendingTime now, or so many seconds later.
pub fn time(later_s: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let at = now + later_s * 1_000_000_000;
    String::from_utf8(Timestamps::default().text(at as u64).to_vec()).unwrap()
}

/// Puts a body, written with bars, between BeginString, BodyLength and CheckSum.
pub fn frame(version: &str, body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    let mut message = format!("8={version}\x019={}\x01{body}", body.len()).into_bytes();
    let sum = message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend(format!("10={sum:03}\x01").into_bytes());
    message
}

impl Peer {
    pub fn connect(to: SocketAddr, version: &str, comp_id: &str) -> Peer {
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).unwrap();
        Peer::on(stream, version, comp_id)
    }

    /// The side that is called: it accepts the next connection.
    pub fn accept(listener: &TcpListener, version: &str, comp_id: &str) -> Peer {
        Peer::on(listener.accept().unwrap().0, version, comp_id)
    }

    fn on(stream: TcpStream, version: &str, comp_id: &str) -> Peer {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        Peer {
            stream,
            buffer: vec![],
            version: version.to_owned(),
            comp_id: comp_id.to_owned(),
            target: "MILLRACE".to_owned(),
            next_out: 1,
            next_in: 1,
        }
    }

    /// Ends the connection without a word.
    pub fn hang_up(&self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Connects anew and goes on with its numbers.
    pub fn again(&self, to: SocketAddr) -> Peer {
        let fresh = Peer::connect(to, &self.version, &self.comp_id);
        Peer { next_out: self.next_out, next_in: self.next_in, ..fresh }
    }

    /// Sends a Logon with more fields, such as `141=Y|`.
    pub fn send_logon(&mut self, more: &str) {
        let password = password();
        self.send("A", &format!("98=0|108=30|554={password}|{more}"));
    }

    /// Logs on, and sees the answer.
    pub fn log_on(&mut self, more: &str) -> Fields {
        self.send_logon(more);
        let answer = self.expect("35=A");
        if more.contains("141=Y") {
            answer.expect("34=000000001|141=Y");
        }
        answer
    }

    /// Sends a message with the next number.
    pub fn send(&mut self, kind: &str, body: &str) {
        let number = self.next_out;
        self.next_out += 1;
        self.send_as(number, kind, "", body);
    }

    /// With any number, and more fields of the header.
    pub fn send_as(&mut self, number: u64, kind: &str, header: &str, body: &str) {
        let (sender, target, now) = (&self.comp_id, &self.target, time(0));
        let body = format!("35={kind}|34={number}|49={sender}|56={target}|52={now}|{header}{body}");
        let message = frame(&self.version, &body);
        self.send_raw(&message);
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends as far as the gateway takes it; how much that was.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    /// The next message within some time; nothing if none comes or the connection ended.
    fn take(&mut self, within: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(end) = whole(&self.buffer) {
                let rest = self.buffer.split_off(end);
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend(&bytes[..count]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
    }

    /// The next message, whatever its number.
    #[track_caller]
    pub fn any(&mut self) -> Fields {
        let bytes = self.take(PATIENCE).expect("a message");
        let sum = bytes[..bytes.len() - 7].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        let fields = Fields::parse(&bytes);
        fields.expect(&format!("8={}|49={}|56={}", self.version, self.target, self.comp_id));
        assert_eq!(fields.number(10), u64::from(sum), "CheckSum of {}", fields.line());
        let body = bytes.len() - 7 - fields.get(9).len() - 13;
        assert_eq!(fields.number(9), body as u64, "BodyLength of {}", fields.line());
        fields
    }

    /// The next message, which has the next number.
    #[track_caller]
    pub fn next(&mut self) -> Fields {
        let fields = self.any();
        assert_eq!(fields.number(34), self.next_in, "MsgSeqNum of {}", fields.line());
        self.next_in += 1;
        fields
    }

    /// The same, with some fields checked.
    #[track_caller]
    pub fn expect(&mut self, fields: &str) -> Fields {
        let message = self.next();
        message.expect(fields);
        message
    }

    /// The connection ends, after nothing.
    #[track_caller]
    pub fn expect_end(&mut self) {
        if let Some(bytes) = self.take(PATIENCE) {
            panic!("expected the end, got {}", Fields::parse(&bytes).line());
        }
        let mut byte = [0];
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let end = self.stream.read(&mut byte);
        let ended = match &end {
            Ok(count) => *count == 0,
            Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        assert!(ended, "expected the end, got {end:?}");
    }

    #[track_caller]
    pub fn expect_silence(&mut self) {
        if let Some(bytes) = self.take(QUIET) {
            panic!("expected nothing, got {}", Fields::parse(&bytes).line());
        }
    }

    /// Waits until everything sent so far was taken in: a TestRequest comes back.
    #[track_caller]
    pub fn sync(&mut self) {
        self.send("1", "112=sync|");
        self.expect("35=0|112=sync");
    }

    /// A limit order for 100.00 and such.
    pub fn order(&mut self, id: &str, side: char, qty: u32, price: &str, more: &str) {
        let now = time(0);
        let body =
            format!("11={id}|21=1|55=AAPL|54={side}|60={now}|38={qty}|40=2|44={price}|{more}");
        self.send("D", &body);
    }

    /// An order that is accepted.
    #[track_caller]
    pub fn enter(&mut self, id: &str, side: char, qty: u32, price: &str) -> Fields {
        self.order(id, side, qty, price, "");
        self.expect(&format!(
            "35=8|11={id}|150=0|39=0|54={side}|38={qty}|151={qty}|14=0|6=0|55=AAPL"
        ))
    }

    pub fn cancel(&mut self, id: &str, original: &str, side: char) {
        let now = time(0);
        self.send("F", &format!("11={id}|41={original}|55=AAPL|54={side}|60={now}|38=1|"));
    }

    pub fn replace(&mut self, id: &str, original: &str, side: char, qty: u32, price: &str) {
        let now = time(0);
        let body = format!(
            "11={id}|41={original}|21=1|55=AAPL|54={side}|60={now}|38={qty}|40=2|44={price}|"
        );
        self.send("G", &body);
    }
}

/// Where the first message of some bytes ends.
fn whole(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|window| window == b"\x0110=")?;
    (bytes.len() >= at + 8).then_some(at + 8)
}
