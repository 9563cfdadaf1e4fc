//! Actors with queues: each owns what it needs, and nobody waits but for its own queue.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::event::epoll;

use crate::decode::{Decoder, Request, welcome};
use crate::log::{Disk, canceled, entered, record};
use crate::matcher::{Matcher, Orders, Out, symbol_of};
use crate::outs::Outs;
use crate::venue::{Setup, prepare};

const LISTENER: u64 = u64::MAX;

/// Requests of one session that came together.
type Batch = (u16, Vec<Request>);

/// Answers by session.
type Answers = Vec<(u16, Vec<u8>)>;

/// What the output actor is told.
enum Outgoing {
    Connected(TcpStream),
    /// Answers that may leave once the log is written up to a place.
    Answers(u64, Answers),
    /// The log is written up to a place.
    Written(u64),
}

/// Four of them: input decodes, matching owns the book, the log writes, output sends.
pub fn run(setup: &Setup, listener: TcpListener) -> std::io::Result<()> {
    let disk = Disk::create(&setup.log, setup.durable)?;
    let (requests, to_match) = channel::<Batch>();
    let (records, to_log) = channel::<(u64, Vec<u8>)>();
    let (outgoing, to_send) = channel::<Outgoing>();
    std::thread::scope(|scope| {
        let written = outgoing.clone();
        scope.spawn(|| log(to_log, disk, setup.durable.then_some(written)));
        let (answers, durable) = (outgoing.clone(), setup.durable);
        scope.spawn(move || matching(setup, durable, to_match, records, answers));
        scope.spawn(move || output(to_send));
        input(setup, listener, requests, outgoing)
    })
}

/// Reads and decodes.
fn input(
    setup: &Setup,
    listener: TcpListener,
    requests: Sender<Batch>,
    outgoing: Sender<Outgoing>,
) -> std::io::Result<()> {
    let gone = |_| std::io::Error::other("an actor is gone");
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN;
    epoll::add(&poll, &listener, epoll::EventData::new_u64(LISTENER), flags)?;
    let mut connections: Vec<Option<(TcpStream, Decoder)>> = vec![];
    let mut events = Vec::with_capacity(256);
    loop {
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            if event.data.u64() == LISTENER {
                let (stream, _) = listener.accept()?;
                prepare(&stream)?;
                if connections.len() < usize::from(setup.sessions) {
                    let data = epoll::EventData::new_u64(connections.len() as u64);
                    epoll::add(&poll, &stream, data, flags)?;
                    outgoing.send(Outgoing::Connected(stream.try_clone()?)).map_err(gone)?;
                    connections.push(Some((stream, Decoder::new())));
                }
                continue;
            }
            let session = event.data.u64() as usize;
            let Some((stream, decoder)) = &mut connections[session] else { continue };
            let mut batch = vec![];
            let mut over = match stream.read(decoder.room()) {
                Ok(0) | Err(_) => true,
                Ok(count) => {
                    decoder.came(count);
                    false
                }
            };
            loop {
                match decoder.next() {
                    Ok(Some(request)) => batch.push(request),
                    Ok(None) => break,
                    Err(_) => {
                        over = true;
                        break;
                    }
                }
            }
            if !batch.is_empty() {
                requests
                    .send((session as u16, batch))
                    .map_err(|_| std::io::Error::other("matching is gone"))?;
            }
            if over {
                let _ = epoll::delete(&poll, &*stream);
                connections[session] = None;
            }
        }
    }
}

/// Owns the book and everybody's orders. What waits in its queue is one batch for those behind it.
fn matching(
    setup: &Setup,
    durable: bool,
    requests: Receiver<Batch>,
    records: Sender<(u64, Vec<u8>)>,
    answers: Sender<Outgoing>,
) {
    let (symbols, mut matcher) = (setup.symbols, Matcher::alone(setup));
    let mut orders: Vec<Orders> = (0..setup.sessions).map(|_| Orders::new()).collect();
    let mut outs = Outs::new(setup);
    while let Ok(first) = requests.recv() {
        let mut log = vec![];
        for (session, batch) in std::iter::once(first).chain(requests.try_iter().take(63)) {
            let orders = &mut orders[usize::from(session)];
            for request in &batch {
                let seq = matcher.seq() + 1;
                match request {
                    Request::Login => outs.packet(session, &welcome()),
                    Request::Enter(order) => {
                        let Some(symbol) = symbol_of(order, symbols) else { continue };
                        record(&mut log, seq, session, entered(order));
                        if let Some(slot) = matcher.enter(session, order, symbol, &mut outs) {
                            orders.add(order.user_ref.get(), symbol, slot);
                        }
                    }
                    Request::Cancel(cancel) => {
                        let Some((_, slot)) = orders.find(cancel.user_ref.get()) else { continue };
                        record(&mut log, seq, session, canceled(cancel));
                        matcher.cancel(session, slot, cancel, &mut outs);
                    }
                }
            }
        }
        let place = matcher.seq();
        // A login is in no log.
        let waits_for = if durable && !log.is_empty() { place } else { 0 };
        if !log.is_empty() && records.send((place, log)).is_err() {
            return;
        }
        let Outs { bytes, touched, .. } = &mut outs;
        let sent = touched
            .drain(..)
            .map(|session| (session, std::mem::take(&mut bytes[usize::from(session)])));
        if answers.send(Outgoing::Answers(waits_for, sent.collect())).is_err() {
            return;
        }
    }
}

/// Writes what waits in its queue in one piece, and says how far it is if somebody waits for that.
fn log(records: Receiver<(u64, Vec<u8>)>, disk: Disk, tell: Option<Sender<Outgoing>>) {
    while let Ok((mut place, mut bytes)) = records.recv() {
        for (later, more) in records.try_iter() {
            place = later;
            bytes.extend_from_slice(&more);
        }
        if disk.write(&bytes).is_err() {
            return;
        }
        if tell.as_ref().is_some_and(|tell| tell.send(Outgoing::Written(place)).is_err()) {
            return;
        }
    }
}

/// Sends answers, in order, once the log is far enough.
fn output(outgoing: Receiver<Outgoing>) {
    let mut streams: Vec<TcpStream> = vec![];
    let mut held: VecDeque<(u64, Answers)> = VecDeque::new();
    let mut written = 0;
    while let Ok(told) = outgoing.recv() {
        match told {
            Outgoing::Connected(stream) => streams.push(stream),
            Outgoing::Answers(place, answers) => held.push_back((place, answers)),
            Outgoing::Written(place) => written = place,
        }
        while held.front().is_some_and(|(place, _)| *place <= written) {
            let Some((_, answers)) = held.pop_front() else { break };
            for (session, bytes) in answers {
                if let Some(mut stream) = streams.get(usize::from(session)) {
                    let _ = stream.write_all(&bytes);
                }
            }
        }
    }
}
