//! Processes that share books, log and outboxes.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::decode::Decoder;
use crate::matcher::Orders;
use crate::shared;
use crate::sync::Lock;
use crate::venue::{Setup, Venue, prepare};

/// What processes share.
struct Common {
    venue: Venue,
    /// Who serves each session.
    served_by: Vec<AtomicU16>,
    /// Sessions that each process has something to send to.
    to_send: Vec<Lock<Vec<u16>>>,
    /// Sessions there were.
    sessions: AtomicU16,
}

/// What each of them has: the memory, and a number in the kernel that wakes each process.
#[derive(Clone, Copy)]
struct Shop {
    common: &'static Common,
    wakes: &'static [OwnedFd],
}

impl Shop {
    fn open(setup: &Setup, processes: u16) -> std::io::Result<Shop> {
        let common = shared::build(|| {
            Ok(Common {
                venue: Venue::new(setup, 1)?,
                served_by: (0..setup.sessions).map(|_| AtomicU16::new(0)).collect(),
                to_send: (0..processes)
                    .map(|_| Lock::new(Vec::with_capacity(4 * usize::from(setup.sessions))))
                    .collect(),
                sessions: AtomicU16::new(0),
            })
        })?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wakes = (0..processes).map(|_| eventfd(0, flags)).collect::<Result<Vec<_>, _>>()?;
        shared::forget_children();
        Ok(Shop { common, wakes: Vec::leak(wakes) })
    }

    /// A new session's number.
    fn next_session(&self, process: u16) -> Option<u16> {
        let session = self.common.sessions.fetch_add(1, Ordering::Relaxed);
        self.common.served_by.get(usize::from(session))?.store(process, Ordering::Release);
        Some(session)
    }

    /// Has another process send to its session.
    fn tell(&self, session: u16) {
        let process = self.common.served_by[usize::from(session)].load(Ordering::Acquire);
        let mut sessions = self.common.to_send[usize::from(process)].lock();
        if sessions.len() == sessions.capacity() || sessions.contains(&session) {
            return;
        }
        sessions.push(session);
        if sessions.len() == 1 {
            let _ = rustix::io::write(&self.wakes[usize::from(process)], &1u64.to_ne_bytes());
        }
    }

    /// A thread of the first process that writes the log where nobody waits for it.
    fn keep_writing(&self) {
        let log = &self.common.venue.log;
        if !log.is_durable() {
            std::thread::spawn(|| log.keep_writing());
        }
    }
}

/// A process for each connection.
pub fn one_for_each(setup: &Setup, listener: &TcpListener) -> std::io::Result<()> {
    let shop = Shop::open(setup, setup.sessions)?;
    shop.keep_writing();
    for (process, stream) in (0..setup.sessions).zip(listener.incoming()) {
        let stream = stream?;
        prepare(&stream)?;
        let Some(session) = shop.next_session(process) else { break };
        shared::fork(|| {
            if let Err(error) = Process::new(shop, process).and_then(|mut own| {
                own.add(session, stream)?;
                own.run(None)
            }) {
                eprintln!("process {process}: {error}");
            }
        })?;
    }
    wait_for_the_end()
}

/// So many processes, each with an event loop over the connections that it accepted.
pub fn prefork(setup: &Setup, listener: TcpListener, processes: u16) -> std::io::Result<()> {
    let shop = Shop::open(setup, processes)?;
    listener.set_nonblocking(true)?;
    for process in 0..processes {
        shared::fork(|| {
            let own = Process::new(shop, process);
            if let Err(error) = own.and_then(|mut own| own.run(Some(&listener))) {
                eprintln!("process {process}: {error}");
            }
        })?;
    }
    drop(listener);
    shop.keep_writing();
    wait_for_the_end()
}

/// The first process stays: those who want to end the server end it.
fn wait_for_the_end() -> std::io::Result<()> {
    loop {
        std::thread::park();
    }
}

struct Connection {
    session: u16,
    stream: TcpStream,
    decoder: Decoder,
    orders: Orders,
}

/// One process: an event loop over its connections.
struct Process {
    shop: Shop,
    number: u16,
    poll: OwnedFd,
    /// By session.
    connections: Vec<Option<Connection>>,
}

const WAKE: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;

impl Process {
    fn new(shop: Shop, number: u16) -> std::io::Result<Process> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = &shop.wakes[usize::from(number)];
        epoll::add(&poll, wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        let connections = shop.common.served_by.iter().map(|_| None).collect();
        Ok(Process { shop, number, poll, connections })
    }

    fn add(&mut self, session: u16, stream: TcpStream) -> std::io::Result<()> {
        let data = epoll::EventData::new_u64(session.into());
        epoll::add(&self.poll, &stream, data, epoll::EventFlags::IN)?;
        let (decoder, orders) = (Decoder::new(), Orders::new());
        self.connections[usize::from(session)] =
            Some(Connection { session, stream, decoder, orders });
        Ok(())
    }

    fn run(&mut self, listener: Option<&TcpListener>) -> std::io::Result<()> {
        if let Some(listener) = listener {
            let flags = epoll::EventFlags::IN | epoll::EventFlags::EXCLUSIVE;
            epoll::add(&self.poll, listener, epoll::EventData::new_u64(LISTENER), flags)?;
        }
        let mut events = Vec::with_capacity(256);
        let mut touched = vec![];
        loop {
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), None)?;
            for event in events.drain(..) {
                match event.data.u64() {
                    WAKE => self.take_told(&mut touched)?,
                    LISTENER => self.accept(listener)?,
                    session => {
                        let ended = !self.read(session as usize, &mut touched);
                        if ended {
                            self.connections[session as usize] = None;
                            if listener.is_none() {
                                return Ok(());
                            }
                        }
                    }
                }
            }
            touched.sort_unstable();
            touched.dedup();
            // Others first: they wait for the same disk.
            for session in touched.iter().filter(|session| !self.is_own(**session)) {
                self.shop.tell(*session);
            }
            for session in touched.drain(..) {
                let Some(connection) = &self.connections[usize::from(session)] else { continue };
                let _ = self.shop.common.venue.flush(session, &connection.stream);
            }
        }
    }

    fn is_own(&self, session: u16) -> bool {
        self.shop.common.served_by[usize::from(session)].load(Ordering::Acquire) == self.number
    }

    fn accept(&mut self, listener: Option<&TcpListener>) -> std::io::Result<()> {
        let Some(Ok((stream, _))) = listener.map(TcpListener::accept) else { return Ok(()) };
        stream.set_nonblocking(false)?;
        prepare(&stream)?;
        match self.shop.next_session(self.number) {
            Some(session) => self.add(session, stream),
            None => Ok(()),
        }
    }

    fn take_told(&mut self, touched: &mut Vec<u16>) -> std::io::Result<()> {
        let mut count = [0; 8];
        let number = usize::from(self.number);
        let _ = rustix::io::read(&self.shop.wakes[number], &mut count);
        touched.extend(self.shop.common.to_send[number].lock().drain(..));
        Ok(())
    }

    /// False once the session is over.
    fn read(&mut self, session: usize, touched: &mut Vec<u16>) -> bool {
        let Some(connection) = &mut self.connections[session] else { return true };
        match connection.stream.read(connection.decoder.room()) {
            Ok(0) | Err(_) => return false,
            Ok(count) => connection.decoder.came(count),
        }
        let Connection { session, decoder, orders, .. } = connection;
        self.shop.common.venue.serve(*session, decoder, orders, touched).is_ok()
    }
}
