//! One thread, one event loop; with a helper for the disk, if wanted.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

use crate::decode::{Decoder, Request, Violation, welcome};
use crate::log::{Disk, canceled, entered, record};
use crate::matcher::{Matcher, Orders, Out, symbol_of};
use crate::outs::Outs;
use crate::venue::{Setup, prepare};

/// How long a request may stay in memory where nobody waits for the disk.
const REST: Duration = Duration::from_millis(2);
/// Bytes of the log beyond which they are written at once.
const LOG_MAX: usize = 1 << 20;

const LISTENER: u64 = u64::MAX;
const HELPER: u64 = u64::MAX - 1;

struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    orders: Orders,
}

/// Who writes the log.
enum Writer {
    /// The loop itself, before it answers.
    Own(Disk),
    /// A helper, while the loop goes on.
    Helper { to: Sender<Vec<u8>>, back: Receiver<Vec<u8>>, busy: bool },
}

struct Server {
    connections: Vec<Option<Connection>>,
    matcher: Matcher,
    outs: Outs,
    log: Vec<u8>,
    last_write: Instant,
    writer: Writer,
    durable: bool,
    symbols: u16,
    /// Answers whose requests the helper is writing.
    held: VecDeque<(u16, Vec<u8>)>,
}

pub fn run(setup: &Setup, listener: TcpListener, helper: bool) -> std::io::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let add = |fd: &dyn std::os::fd::AsFd, data| {
        epoll::add(&poll, fd.as_fd(), epoll::EventData::new_u64(data), epoll::EventFlags::IN)
    };
    add(&listener, LISTENER)?;
    let disk = Disk::create(&setup.log, setup.durable)?;
    let written = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let writer = if helper {
        add(&*written, HELPER)?;
        help(disk, Arc::clone(&written))
    } else {
        Writer::Own(disk)
    };
    let mut server = Server {
        connections: vec![],
        matcher: Matcher::alone(setup),
        outs: Outs::new(setup),
        log: Vec::with_capacity(2 * LOG_MAX),
        last_write: Instant::now(),
        writer,
        durable: setup.durable,
        symbols: setup.symbols,
        held: VecDeque::new(),
    };
    let mut events = Vec::with_capacity(256);
    let rest = Timespec { tv_sec: 0, tv_nsec: REST.as_nanos() as i64 };
    loop {
        let wait = (!server.log.is_empty()).then_some(&rest);
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), wait)?;
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => {
                    let (stream, _) = listener.accept()?;
                    prepare(&stream)?;
                    if server.connections.len() < usize::from(setup.sessions) {
                        add(&stream, server.connections.len() as u64)?;
                        let (decoder, orders) = (Decoder::new(), Orders::new());
                        server.connections.push(Some(Connection { stream, decoder, orders }));
                    }
                }
                HELPER => server.helper_is_done(&written)?,
                session => {
                    if server.read(session as usize).is_err() {
                        server.connections[session as usize] = None;
                    }
                }
            }
        }
        server.write()?;
    }
}

/// A helper that writes what it is given, and says so by a number in the kernel.
fn help(disk: Disk, written: Arc<OwnedFd>) -> Writer {
    let (to, work) = channel::<Vec<u8>>();
    let (done, back) = channel();
    std::thread::spawn(move || {
        for mut records in work {
            if disk.write(&records).is_err() {
                // Nothing more is acknowledged.
                return;
            }
            records.clear();
            if done.send(records).is_err() {
                return;
            }
            let _ = rustix::io::write(&*written, &1u64.to_ne_bytes());
        }
    });
    Writer::Helper { to, back, busy: false }
}

impl Server {
    fn read(&mut self, session: usize) -> Result<(), Violation> {
        let Some(connection) = &mut self.connections[session] else { return Ok(()) };
        match connection.stream.read(connection.decoder.room()) {
            Ok(0) | Err(_) => return Err(Violation),
            Ok(count) => connection.decoder.came(count),
        }
        let session = session as u16;
        while let Some(request) = connection.decoder.next()? {
            let seq = self.matcher.seq() + 1;
            match &request {
                Request::Login => self.outs.packet(session, &welcome()),
                Request::Enter(order) => {
                    let Some(symbol) = symbol_of(order, self.symbols) else { continue };
                    record(&mut self.log, seq, session, entered(order));
                    let entered = self.matcher.enter(session, order, symbol, &mut self.outs);
                    if let Some(slot) = entered {
                        connection.orders.add(order.user_ref.get(), symbol, slot);
                    }
                }
                Request::Cancel(cancel) => {
                    let Some((_, slot)) = connection.orders.find(cancel.user_ref.get()) else {
                        continue;
                    };
                    record(&mut self.log, seq, session, canceled(cancel));
                    self.matcher.cancel(session, slot, cancel, &mut self.outs);
                }
            }
        }
        Ok(())
    }

    /// Has the log written where it is time, and sends what may leave.
    fn write(&mut self) -> std::io::Result<()> {
        let due = self.durable || self.log.len() > LOG_MAX || self.last_write.elapsed() >= REST;
        let wanted = due && !self.log.is_empty();
        match &mut self.writer {
            Writer::Own(disk) => {
                if wanted {
                    disk.write(&self.log)?;
                    self.log.clear();
                    self.last_write = Instant::now();
                }
                self.send();
            }
            Writer::Helper { .. } if !self.durable => {
                self.hand_over(wanted)?;
                self.send();
            }
            Writer::Helper { busy, .. } => {
                // What is answered without a record in the log, a login, may leave with the rest.
                if !*busy && self.log.is_empty() {
                    self.send();
                } else if !*busy {
                    for session in self.outs.touched.drain(..) {
                        let bytes = std::mem::take(&mut self.outs.bytes[usize::from(session)]);
                        self.held.push_back((session, bytes));
                    }
                    self.hand_over(true)?;
                }
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, wanted: bool) -> std::io::Result<()> {
        let Writer::Helper { to, busy, .. } = &mut self.writer else { return Ok(()) };
        if wanted && !*busy {
            let records = std::mem::replace(&mut self.log, Vec::with_capacity(2 * LOG_MAX));
            to.send(records).map_err(|_| std::io::Error::other("the helper is gone"))?;
            *busy = true;
            self.last_write = Instant::now();
        }
        Ok(())
    }

    fn helper_is_done(&mut self, written: &OwnedFd) -> std::io::Result<()> {
        let mut count = [0; 8];
        let _ = rustix::io::read(written, &mut count);
        let Writer::Helper { back, busy, .. } = &mut self.writer else { return Ok(()) };
        while let Ok(records) = back.try_recv() {
            if self.log.is_empty() {
                self.log = records;
            }
            *busy = false;
        }
        while let Some((session, mut bytes)) = self.held.pop_front() {
            if let Some(connection) = &self.connections[usize::from(session)] {
                let _ = (&connection.stream).write_all(&bytes);
            }
            bytes.clear();
            let place = &mut self.outs.bytes[usize::from(session)];
            if place.is_empty() {
                *place = bytes;
            }
        }
        Ok(())
    }

    fn send(&mut self) {
        for session in self.outs.touched.drain(..) {
            let bytes = &mut self.outs.bytes[usize::from(session)];
            if let Some(connection) = &self.connections[usize::from(session)] {
                let _ = (&connection.stream).write_all(bytes);
            }
            bytes.clear();
        }
    }
}
