//! A desk's link to a gateway: FIX 4.4.
//!
//! The first Logon begins both sides' numbers at 1. After a lost connection what was missed is asked for by a
//! ResendRequest, and what the gateway missed is filled by a gap: an order that it never had is not sent late. A
//! TestRequest then asks for a Heartbeat, behind which there is nothing that was not told.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::desk::{Desk, Request};
use super::link::{Link, LinkEvent};
use super::order::{Manner, OrderId, Report};
use crate::client::LoginError;
use crate::order::{NANOS_PER_SEC, Price, UnixNanos};
use crate::session::fix::{Action, Call, Ends, Farewell, Session};
use crate::wire::fix::dictionary::Refused;
use crate::wire::fix::scan::{Message, Scan, Scanner};
use crate::wire::fix::value::{Timestamps, number, price, quantity};
use crate::wire::fix::write::{Head, Writer};
use crate::wire::fix::{Version, msg_type, tag};
use crate::wire::soupbin::trim;

/// After which a Logon is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// How long a Logon may take: behind a thousand others, each takes a hash.
const LOGON_PATIENCE_NS: u64 = 120 * NANOS_PER_SEC;
/// HeartBtInt (108) in seconds.
const HEARTBEAT: u64 = 10;
/// What the TestRequest of a connection asks to be told.
const SETTLED: &[u8] = b"SETTLED";

/// Who logs on, and to whom.
#[derive(Clone, Debug)]
pub struct FixEnd {
    /// The gateway's FIX 4.4 port.
    pub to: SocketAddr,
    /// SenderCompID (49) of what is sent.
    pub own: String,
    /// TargetCompID (56).
    pub gateway: String,
    /// Password (554).
    pub password: String,
}

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The Logon was not answered yet.
    LoggingOn,
    /// What was missed may still come.
    Settling,
    /// Everything was told.
    Settled,
}

fn now_ns() -> UnixNanos {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

/// A session that comes back by itself.
pub struct FixLink {
    end: FixEnd,
    /// In front of this run's ClOrdIDs, which are used once a day.
    run: String,
    stream: Option<TcpStream>,
    stage: Stage,
    buffer: Vec<u8>,
    unsent: Vec<u8>,
    scanner: Box<Scanner>,
    heads: BTreeMap<&'static [u8], Head>,
    times: Timestamps,
    /// MsgSeqNum of the next message out.
    next_out: u64,
    session: Session,
    requests: u64,
    tried: Option<Instant>,
    lost: bool,
    /// LeavesQty that was told last.
    leaves: BTreeMap<OrderId, u32>,
}

impl FixLink {
    /// A link that logs on when it is polled first.
    pub fn new(end: FixEnd) -> FixLink {
        let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let head = |kind: &'static [u8]| {
            let (own, gateway) = (end.own.as_bytes(), end.gateway.as_bytes());
            (kind, Head::new(Version::Fix44, kind, own, gateway))
        };
        let kinds = [
            msg_type::LOGON,
            msg_type::LOGOUT,
            msg_type::HEARTBEAT,
            msg_type::TEST_REQUEST,
            msg_type::RESEND_REQUEST,
            msg_type::REJECT,
            msg_type::SEQUENCE_RESET,
            msg_type::NEW_ORDER_SINGLE,
            msg_type::ORDER_CANCEL_REQUEST,
            msg_type::ORDER_CANCEL_REPLACE_REQUEST,
        ];
        FixLink {
            heads: kinds.into_iter().map(head).collect(),
            end,
            run: format!("{run:x}"),
            stream: None,
            stage: Stage::LoggingOn,
            buffer: Vec::with_capacity(1 << 16),
            unsent: Vec::with_capacity(4_096),
            scanner: Box::new(Scanner::new()),
            times: Timestamps::default(),
            next_out: 1,
            session: Session::new(now_ns()),
            requests: 0,
            tried: None,
            lost: false,
            leaves: BTreeMap::new(),
        }
    }

    /// Puts a message behind what waits to be sent.
    fn put(&mut self, kind: &'static [u8], fill: impl FnOnce(&mut Writer<'_>, &[u8])) {
        let number = self.next_out;
        self.next_out += 1;
        self.put_as(kind, number, fill);
    }

    fn put_as(
        &mut self,
        kind: &'static [u8],
        number: u64,
        fill: impl FnOnce(&mut Writer<'_>, &[u8]),
    ) {
        let now_ns = now_ns();
        let time = *self.times.text(now_ns);
        let mut writer = Writer::new(&mut self.unsent, &self.heads[kind], number, &time);
        fill(&mut writer, &time);
        writer.finish();
        self.session.sent(now_ns);
    }

    fn write(&mut self) {
        let Some(stream) = &mut self.stream else { return self.unsent.clear() };
        while !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(0) => return self.lose(&io::Error::from(ErrorKind::WriteZero)),
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return;
                }
                Err(error) => return self.lose(&error),
            }
        }
    }

    fn lose(&mut self, error: &io::Error) {
        tracing::warn!(gateway = %self.end.to, %error, "the connection is lost; it is tried again");
        self.stream = None;
        self.unsent.clear();
        self.buffer.clear();
        self.lost = true;
    }

    /// Connects and sends a Logon.
    fn connect(&mut self) -> io::Result<()> {
        let stream = TcpStream::connect_timeout(&self.end.to, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        self.stream = Some(stream);
        self.stage = Stage::LoggingOn;
        let reset = self.next_out == 1;
        let call = Call { heartbeat_s: HEARTBEAT, reset, patience_ns: LOGON_PATIENCE_NS };
        self.session = Session::initiate(call, self.session.next_in(), now_ns());
        self.log_on(HEARTBEAT, reset);
        self.write();
        Ok(())
    }

    fn log_on(&mut self, heartbeat_s: u64, reset: bool) {
        let password = self.end.password.clone();
        self.put(msg_type::LOGON, |writer, _| {
            writer.character(b"98=", b'0').number(b"108=", heartbeat_s);
            if reset {
                writer.character(b"141=", b'Y');
            }
            writer.bytes(b"554=", password.as_bytes());
        });
    }

    /// Reads what is there. Returns how many messages there were.
    fn read(&mut self, see: &mut dyn FnMut(LinkEvent)) -> usize {
        let Some(stream) = &mut self.stream else { return 0 };
        let mut chunk = [0; 1 << 14];
        match stream.read(&mut chunk) {
            Ok(0) => {
                self.lose(&io::Error::from(ErrorKind::UnexpectedEof));
                return 0;
            }
            Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return 0;
            }
            Err(error) => {
                self.lose(&error);
                return 0;
            }
        }
        let (mut done, mut count) = (0, 0);
        let buffer = std::mem::take(&mut self.buffer);
        let mut scanner = std::mem::replace(&mut self.scanner, Box::new(Scanner::new()));
        loop {
            match scanner.scan(&buffer[done..]) {
                Scan::Incomplete => break,
                Scan::Garbled(_, length) => done += length,
                Scan::Message(length) => {
                    let bytes = &buffer[done..done + length];
                    self.heard(&scanner.message(bytes), see);
                    done += length;
                    count += 1;
                }
            }
        }
        self.scanner = scanner;
        if self.stream.is_some() {
            self.buffer.extend_from_slice(&buffer[done..]);
        }
        count
    }

    fn heard(&mut self, message: &Message<'_>, see: &mut dyn FnMut(LinkEvent)) {
        let end = self.end.clone();
        let ends =
            Ends { version: Version::Fix44, own: end.own.as_bytes(), peer: end.gateway.as_bytes() };
        let actions = self.session.received(message, &ends, now_ns());
        let is_missing = |action: Action<'_>| matches!(action, Action::RequestResend(_));
        let misses = actions.iter().any(is_missing);
        for action in actions.iter() {
            match action {
                Action::LoggedOn => {
                    self.stage = Stage::Settling;
                    if !misses {
                        self.ask_whether_settled();
                    }
                }
                Action::Turned(why) => {
                    let why = String::from_utf8_lossy(why).into_owned();
                    self.lose(&io::Error::new(ErrorKind::PermissionDenied, why));
                }
                Action::BeginAgain { heartbeat_s } => {
                    self.next_out = 1;
                    self.log_on(heartbeat_s.into(), true);
                }
                Action::Application | Action::Rejected => {
                    if let Some(report) = self.report(message) {
                        see(LinkEvent::Report(report));
                    }
                }
                Action::Answered(id) => {
                    if id == SETTLED && self.stage == Stage::Settling {
                        self.stage = Stage::Settled;
                        see(LinkEvent::Connected { next_id: 1 });
                    }
                }
                Action::Heartbeat(id) => self.put(msg_type::HEARTBEAT, |writer, _| {
                    if !id.is_empty() {
                        writer.bytes(b"112=", id);
                    }
                }),
                Action::TestRequest => self.test(),
                Action::RequestResend(from) => {
                    self.put(msg_type::RESEND_REQUEST, |writer, _| {
                        writer.number(b"7=", from).number(b"16=", 0);
                    });
                    self.ask_whether_settled();
                }
                Action::Resend { from, .. } => self.fill_gap(from),
                Action::Reject(Refused { tag, reason }) => {
                    let of = message.get(tag::MSG_SEQ_NUM).and_then(number).unwrap_or(0);
                    self.put(msg_type::REJECT, |writer, _| {
                        writer.number(b"45=", of);
                        if tag != 0 {
                            writer.number(b"371=", tag.into());
                        }
                        writer.number(b"373=", reason as u64);
                    });
                }
                Action::LogOut(why) => {
                    if why != Farewell::Answer {
                        tracing::warn!(gateway = %self.end.to, ?why, "the session cannot go on");
                    }
                    self.put(msg_type::LOGOUT, |_, _| ());
                }
                Action::Close => {
                    self.write();
                    self.lose(&io::Error::from(ErrorKind::ConnectionAborted));
                }
                // These are for who is called.
                Action::LogOn(_) | Action::Unsupported => {}
            }
        }
    }

    /// The answer comes behind everything that the gateway has said so far.
    fn ask_whether_settled(&mut self) {
        self.put(msg_type::TEST_REQUEST, |writer, _| _ = writer.bytes(b"112=", SETTLED));
    }

    /// Asks whether the gateway is there.
    fn test(&mut self) {
        self.put(msg_type::TEST_REQUEST, |writer, _| _ = writer.bytes(b"112=", b"THERE"));
    }

    /// What was sent and did not arrive is not sent late.
    fn fill_gap(&mut self, from: u64) {
        let next = self.next_out;
        self.put_as(msg_type::SEQUENCE_RESET, from, |writer, time| {
            writer.character(b"43=", b'Y').bytes(b"122=", time);
            writer.character(b"123=", b'Y').number(b"36=", next);
        });
        // The gap has swallowed what was asked before.
        if self.stage == Stage::Settling {
            self.ask_whether_settled();
        }
    }

    /// The number behind this run's mark.
    fn id(&self, text: Option<&[u8]>) -> Option<OrderId> {
        let text = std::str::from_utf8(text?).ok()?;
        text.strip_prefix(self.run.as_str())?.strip_prefix('-')?.parse().ok()
    }

    /// What a message means for a desk; `None` if nothing.
    fn report(&mut self, m: &Message<'_>) -> Option<Report> {
        let kind = m.msg_type();
        if kind == msg_type::ORDER_CANCEL_REJECT {
            return match m.get(434) {
                Some(b"2") => Some(Report::Rejected { id: self.id(m.get(11))?, reason: 0 }),
                _ => Some(Report::CancelRejected { id: self.id(m.get(41))? }),
            };
        }
        if kind != msg_type::EXECUTION_REPORT {
            if kind == msg_type::REJECT || kind == msg_type::BUSINESS_MESSAGE_REJECT {
                let text = String::from_utf8_lossy(m.get(58).unwrap_or_default()).into_owned();
                tracing::warn!(text, "the gateway refuses a message");
                return Some(Report::Rejected { id: self.id(m.get(379))?, reason: 0 });
            }
            return None;
        }
        let shares = |tag| m.get(tag).and_then(quantity).unwrap_or(0);
        let money = |tag| m.get(tag).and_then(price).unwrap_or(Price(0));
        let leaves = m.get(151).and_then(number).unwrap_or(0) as u32;
        let reference = m.get(37).and_then(number).unwrap_or(0);
        // A cancel has a name of its own; the order's is the one before.
        let own = self.id(m.get(11));
        let report = match m.get(150)? {
            b"0" => {
                let id = own?;
                Report::Accepted {
                    id,
                    symbol: crate::wire::soupbin::pad(trim(m.get(55)?)),
                    buys: m.get(54) == Some(b"1"),
                    shares: leaves,
                    price: money(44),
                    reference,
                    live: leaves > 0,
                }
            }
            b"5" => {
                let (old, id) = (self.id(m.get(41))?, own?);
                self.leaves.remove(&old);
                let live = leaves > 0;
                Report::Replaced { old, id, shares: leaves, price: money(44), reference, live }
            }
            b"F" => Report::Executed {
                id: own?,
                shares: shares(32),
                price: money(31),
                added: m.get(851) == Some(b"1"),
                match_number: m.get(527).and_then(number).unwrap_or(0),
            },
            b"4" | b"C" => {
                let id = own.or_else(|| self.id(m.get(41)))?;
                let shares = self.leaves.remove(&id).unwrap_or(u32::MAX);
                return Some(Report::Canceled { id, shares });
            }
            b"D" => {
                let id = own?;
                let before = self.leaves.insert(id, leaves).unwrap_or(leaves);
                return Some(Report::Canceled { id, shares: before.saturating_sub(leaves) });
            }
            b"8" => return Some(Report::Rejected { id: own?, reason: shares(103) as u16 }),
            _ => return None,
        };
        if let Report::Accepted { id, .. }
        | Report::Replaced { id, .. }
        | Report::Executed { id, .. } = report
        {
            if leaves > 0 {
                self.leaves.insert(id, leaves);
            } else {
                self.leaves.remove(&id);
            }
        }
        Some(report)
    }

    fn request(&mut self, desk: &Desk, request: &Request) {
        let name = |run: &str, id: OrderId| format!("{run}-{id}");
        let run = self.run.clone();
        match *request {
            Request::Enter { id, symbol, buys, shares, price, manner } => {
                let symbol = *desk.name(symbol);
                self.put(msg_type::NEW_ORDER_SINGLE, |writer, time| {
                    writer.bytes(b"11=", name(&run, id).as_bytes());
                    if manner == Manner::PostOnly {
                        writer.character(b"18=", b'6');
                    }
                    terms(writer, time, trim(&symbol), (buys, shares, price), manner);
                });
            }
            Request::Replace { old, id, shares, price, manner } => {
                let Some(order) = desk.orders().get(old) else { return };
                let (symbol, buys) = (*desk.name(order.symbol), order.buys);
                self.put(msg_type::ORDER_CANCEL_REPLACE_REQUEST, |writer, time| {
                    writer.bytes(b"41=", name(&run, old).as_bytes());
                    writer.bytes(b"11=", name(&run, id).as_bytes());
                    if manner == Manner::PostOnly {
                        writer.character(b"18=", b'6');
                    }
                    terms(writer, time, trim(&symbol), (buys, shares, price), manner);
                });
            }
            Request::Cancel { id } => {
                let successor = |order: &&super::order::Order| {
                    order.id == id || order.successor.is_some_and(|(next, ..)| next == id)
                };
                let Some(order) = desk.orders().iter().find(successor) else { return };
                let (symbol, buys) = (*desk.name(order.symbol), order.buys);
                self.requests += 1;
                let own = format!("{run}-c{}", self.requests);
                self.put(msg_type::ORDER_CANCEL_REQUEST, |writer, time| {
                    writer.bytes(b"41=", name(&run, id).as_bytes());
                    writer.bytes(b"11=", own.as_bytes()).bytes(b"55=", trim(&symbol));
                    writer.character(b"54=", if buys { b'1' } else { b'2' }).bytes(b"60=", time);
                });
            }
        }
    }
}

fn terms(
    writer: &mut Writer<'_>,
    time: &[u8],
    symbol: &[u8],
    (buys, shares, price): (bool, u32, Price),
    manner: Manner,
) {
    writer.bytes(b"55=", symbol).character(b"54=", if buys { b'1' } else { b'2' });
    writer.bytes(b"60=", time).number(b"38=", shares.into()).character(b"40=", b'2');
    writer.price(b"44=", price);
    writer.character(b"59=", if manner == Manner::Ioc { b'3' } else { b'0' });
}

impl Link for FixLink {
    fn send(&mut self, desk: &mut Desk) {
        if desk.has_requests() {
            desk.send_requests(|desk, request| self.request(desk, request));
            self.write();
        }
    }

    fn poll(&mut self, see: &mut dyn FnMut(LinkEvent)) -> Result<usize, LoginError> {
        if std::mem::take(&mut self.lost) {
            see(LinkEvent::Lost);
            // Who is not let in is disconnected without a word; the first time that is final.
            if self.stage == Stage::LoggingOn && self.session.next_in() == 1 {
                return Err(LoginError::Rejected('A'));
            }
        }
        if self.stream.is_none() {
            if self.tried.is_some_and(|tried| tried.elapsed() < TRY_AGAIN) {
                return Ok(0);
            }
            self.tried = Some(Instant::now());
            if self.connect().is_err() {
                return Ok(0);
            }
        }
        let count = self.read(see);
        match self.session.due(now_ns()).filter(|_| self.stream.is_some()) {
            Some(Action::Heartbeat(_)) => self.put(msg_type::HEARTBEAT, |_, _| ()),
            Some(Action::TestRequest) => self.test(),
            Some(Action::Close) => self.lose(&io::Error::from(ErrorKind::TimedOut)),
            _ => {}
        }
        self.write();
        Ok(count)
    }

    fn log_out(&mut self) {
        if self.stream.is_some() {
            self.put(msg_type::LOGOUT, |_, _| ());
            self.write();
        }
        self.stream = None;
    }
}
