//! A SoupBinTCP/OUCH client: what `millrace order` and the demo trade with, and the tests.
//!
//! Simple rather than fast: one blocking socket, messages as owned values.
#![forbid(unsafe_code)]

mod answer;
pub mod feed;
pub mod load;
pub mod market;
pub mod playground;
mod request;
pub mod source;

pub use answer::Answer;
pub use request::{NewOrder, account_query, cancel, mass_cancel, modify, replace};

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::wire::soupbin::{self, Packet, kind};

/// Why a login did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The gateway refused: `A` is a wrong user or password, `S` a session that is not there.
    #[error("login rejected: {}", match .0 { 'A' => "wrong user or password", 'S' => "session not available (already logged in?)", _ => "unknown reason" })]
    Rejected(char),
    /// The connection.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What came from the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A sequenced message, with its number.
    Message(u64, Vec<u8>),
    /// A debug packet's text.
    Debug(String),
    /// The session ended.
    EndOfSession,
}

/// How long a login may take: behind a thousand others, each takes a hash.
const LOGIN_PATIENCE: Duration = Duration::from_secs(120);

/// A logged-in session.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The session joined.
    pub session: String,
    /// Number of the next message.
    pub next_number: u64,
    sent: Instant,
}

impl Client {
    /// Connects and logs in; messages come from number `sequence` on, 0 is new ones only.
    pub fn login(
        to: SocketAddr,
        user: &str,
        password: &str,
        sequence: u64,
    ) -> Result<Client, LoginError> {
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        // A gateway that is gone without a word takes nothing and says nothing.
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        (&stream).write_all(&soupbin::login_packet(user, password, "", sequence))?;
        let buffer = Vec::with_capacity(1 << 16);
        let (session, sent) = (String::new(), Instant::now());
        let mut client = Client { stream, buffer, session, next_number: 0, sent };
        let deadline = Instant::now() + LOGIN_PATIENCE;
        loop {
            let Some((kind, payload)) = client.packet(deadline)? else {
                return Err(io::Error::new(ErrorKind::TimedOut, "no answer to the login").into());
            };
            match kind {
                kind::LOGIN_ACCEPTED if payload.len() == 30 => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
                    client.session = text(&payload[..10]);
                    client.next_number = text(&payload[10..]).parse().unwrap_or(0);
                    return Ok(client);
                }
                kind::LOGIN_REJECTED => {
                    return Err(LoginError::Rejected(
                        payload.first().map_or('?', |b| char::from(*b)),
                    ));
                }
                _ => {}
            }
        }
    }

    /// Sends one OUCH message.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.sent = Instant::now();
        (&self.stream).write_all(&soupbin::packet(kind::UNSEQUENCED, message))
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    /// Sends as much of some packets as goes without waiting. Returns how many bytes that were. No
    /// heartbeat is due for another second: the rest comes first.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent = Instant::now();
        match (&self.stream).write(bytes) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            result => result,
        }
    }

    /// Says goodbye.
    pub fn logout(&mut self) -> io::Result<()> {
        (&self.stream).write_all(&soupbin::packet(kind::LOGOUT_REQUEST, b""))
    }

    /// Sends a heartbeat if nothing was sent for a second.
    pub fn heartbeat(&mut self) -> io::Result<()> {
        if self.sent.elapsed() >= Duration::from_secs(1) {
            self.sent = Instant::now();
            (&self.stream).write_all(&soupbin::packet(kind::CLIENT_HEARTBEAT, b""))?;
        }
        Ok(())
    }

    /// The next thing from the gateway; `None` if nothing came in time. Heartbeats are sent as
    /// they are due. A closed connection is an error of kind `UnexpectedEof`.
    pub fn receive(&mut self, timeout: Duration) -> io::Result<Option<Received>> {
        let deadline = Instant::now() + timeout;
        loop {
            let Some((kind, payload)) = self.packet(deadline)? else { return Ok(None) };
            match kind {
                kind::SEQUENCED => {
                    let number = self.next_number;
                    self.next_number += 1;
                    return Ok(Some(Received::Message(number, payload)));
                }
                kind::DEBUG => {
                    let text = String::from_utf8_lossy(&payload).into_owned();
                    return Ok(Some(Received::Debug(text)));
                }
                kind::END_OF_SESSION => return Ok(Some(Received::EndOfSession)),
                _ => {}
            }
        }
    }

    /// Makes [`Client::drain`] the way to receive.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        self.stream.set_nonblocking(true)
    }

    /// Takes everything that has come, without waiting. Returns how many packets that were.
    pub fn drain(&mut self, mut see: impl FnMut(Received)) -> io::Result<usize> {
        self.heartbeat()?;
        let mut chunk = [0; 1 << 14];
        match (&self.stream).read(&mut chunk) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(0);
            }
            Err(e) => return Err(e),
        }
        let (mut done, mut count) = (0, 0);
        while let Ok(Some((packet, used))) = Packet::parse(&self.buffer[done..], u16::MAX) {
            done += used;
            count += 1;
            match packet.kind {
                kind::SEQUENCED => {
                    see(Received::Message(self.next_number, packet.payload.to_vec()));
                    self.next_number += 1;
                }
                kind::END_OF_SESSION => see(Received::EndOfSession),
                _ => {}
            }
        }
        self.buffer.drain(..done);
        Ok(count)
    }

    /// The next sequenced message; an error if the session ends or nothing comes in time.
    pub fn message(&mut self, timeout: Duration) -> io::Result<Vec<u8>> {
        loop {
            match self.receive(timeout)? {
                Some(Received::Message(_, message)) => return Ok(message),
                Some(Received::Debug(_)) => {}
                Some(Received::EndOfSession) => {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "end of session"));
                }
                None => return Err(io::Error::new(ErrorKind::TimedOut, "no message in time")),
            }
        }
    }

    /// The next packet, by a deadline.
    fn packet(&mut self, deadline: Instant) -> io::Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Ok(Some((packet, used))) = Packet::parse(&self.buffer, u16::MAX) {
                let owned = (packet.kind, packet.payload.to_vec());
                self.buffer.drain(..used);
                return Ok(Some(owned));
            }
            self.heartbeat()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let wait = left.min(Duration::from_millis(500));
            self.stream.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
            let mut chunk = [0; 1 << 14];
            match (&self.stream).read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(e) => return Err(e),
            }
        }
    }
}
