//! A server on [`TcpTransport`] that echoes, and leaves incomplete records unconsumed as a
//! session layer does.

use std::collections::HashMap;

use millrace::net::frames::FrameDriver;
use millrace::net::tcp::{TcpSetup, TcpTransport};
use millrace::net::{Close, ConnId, Handler, Transport};

use super::peer::{SERVER, SERVER_6};

/// Bytes of a record: what is less than that is left for later.
pub const RECORD_BYTES: usize = 50;

#[derive(Default)]
pub struct Echo {
    /// What is still to be sent on each open connection.
    pub open: HashMap<ConnId, Vec<u8>>,
    pub opened: u64,
    pub closed: u64,
    /// Closes a connection that sends this byte first in a record.
    pub poison: Option<u8>,
    /// Wants nothing for now.
    pub full: bool,
    /// Who may go when places run out, the last first.
    pub expendable: Vec<ConnId>,
}

impl Handler for Echo {
    fn opened(&mut self, conn: ConnId, _port: usize, _peer: std::net::IpAddr) {
        self.opened += 1;
        assert!(self.open.insert(conn, vec![]).is_none(), "opened twice");
    }

    fn received(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        let out = self.open.get_mut(&conn).expect("bytes only while open");
        let whole = bytes.len() / RECORD_BYTES * RECORD_BYTES;
        if whole > 0 && self.poison == Some(bytes[0]) {
            return Err(Close);
        }
        out.extend_from_slice(&bytes[..whole]);
        Ok(whole)
    }

    fn appetite(&mut self, _conn: ConnId) -> usize {
        if self.full { 0 } else { usize::MAX }
    }

    fn make_room(&mut self) -> Option<ConnId> {
        self.expendable.pop()
    }

    fn writable(&mut self, conn: ConnId) {
        assert!(self.open.contains_key(&conn), "told after its end");
    }

    fn closed(&mut self, conn: ConnId) {
        assert!(self.open.remove(&conn).is_some(), "closed once");
        self.closed += 1;
    }
}

pub struct Server<D> {
    pub transport: TcpTransport<D>,
    pub echo: Echo,
}

impl<D: FrameDriver> Server<D> {
    pub fn new(driver: D, connections_max: usize) -> Server<D> {
        Server::with_window(driver, connections_max, 4096)
    }

    pub fn with_window(driver: D, connections_max: usize, receive_bytes: usize) -> Server<D> {
        let setup = TcpSetup {
            listen: vec![SERVER, SERVER_6],
            connections_max,
            receive_bytes,
            transmit_bytes: 8192,
            rto_min_us: 1000,
        };
        Server { transport: TcpTransport::new(driver, &setup), echo: Echo::default() }
    }

    /// One turn, as a gateway makes it.
    pub fn turn(&mut self, now_ns: u64) -> usize {
        let work = self.transport.poll(&mut self.echo, 1 << 20, now_ns);
        for (conn, out) in &mut self.echo.open {
            if !out.is_empty()
                && let Ok(sent) = self.transport.send(*conn, out)
            {
                out.drain(..sent);
            }
        }
        self.transport.flush(now_ns);
        work
    }

    pub fn count(&mut self, name: &str) -> u64 {
        let at = millrace::net::COUNTERS.iter().position(|n| *n == name).unwrap();
        self.transport.counts()[at]
    }
}
