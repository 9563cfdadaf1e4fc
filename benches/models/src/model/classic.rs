//! A gateway to an exchange as such things come to be: a fixed pool of threads, each of which takes an order all
//! the way: it decodes it, logs it, tells the customer, and at the end waits with others until there is a batch
//! for the exchange, or until that is not worth the wait. Only then does it take the next order.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use millrace::wire::ouch::inbound::EnterOrder;
use millrace::wire::ouch::outbound::Buffer;
use millrace::wire::soupbin::{Packet, header, kind};
use zerocopy::IntoBytes;

use crate::decode::{Decoder, READ_BYTES, Request, welcome};
use crate::log::{Log, entered};
use crate::matcher::accepted;
use crate::outbox::Outbox;
use crate::venue::{Setup, prepare};

/// What such a gateway is tuned by.
pub struct Tuning {
    pub venue: SocketAddr,
    pub threads: u16,
    /// Orders that leave together; 1: each alone.
    pub batch: usize,
    /// How long it is worth waiting for them.
    pub wait: Duration,
}

/// Orders that the feeder may be ahead of the pool.
const QUEUE_MAX: usize = 1 << 16;

/// What all threads share.
struct Gateway {
    log: Log,
    outbox: Outbox,
    client: TcpStream,
    venue: TcpStream,
    queue: Mutex<VecDeque<EnterOrder>>,
    fed: Condvar,
    seq: AtomicU64,
    batch: Mutex<Batch>,
    sent: Condvar,
    tuning: Tuning,
}

/// Orders for the exchange.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    orders: usize,
    /// Batches that were sent.
    number: u64,
}

/// One customer, one exchange.
pub fn run(setup: &Setup, listener: &TcpListener, tuning: Tuning) -> std::io::Result<()> {
    let venue = TcpStream::connect(tuning.venue)?;
    let client = listener.accept()?.0;
    prepare(&venue)?;
    prepare(&client)?;
    let gateway = Gateway {
        log: Log::new(&setup.log, setup.durable)?,
        outbox: Outbox::new(!setup.lean),
        client,
        venue,
        queue: Mutex::new(VecDeque::with_capacity(QUEUE_MAX)),
        fed: Condvar::new(),
        seq: AtomicU64::new(0),
        batch: Mutex::default(),
        sent: Condvar::new(),
        tuning,
    };
    std::thread::scope(|scope| {
        if !gateway.log.is_durable() {
            scope.spawn(|| gateway.log.keep_writing());
        }
        for _ in 0..gateway.tuning.threads {
            scope.spawn(|| gateway.work());
        }
        scope.spawn(|| gateway.pass_on_fills());
        gateway.feed();
        // The pool has nothing to wait for any more.
        std::process::exit(0)
    })
}

impl Gateway {
    /// Reads the customer's orders for the pool.
    fn feed(&self) {
        let mut decoder = Decoder::new();
        while let Ok(count @ 1..) = (&self.client).read(decoder.room()) {
            decoder.came(count);
            while let Ok(Some(request)) = decoder.next() {
                match request {
                    Request::Login => {
                        self.outbox.add(&welcome(), 0);
                        let _ = self.outbox.flush(&self.client, &self.log);
                    }
                    Request::Enter(order) => {
                        let mut queue = held(&self.queue);
                        while queue.len() == QUEUE_MAX {
                            drop(queue);
                            std::thread::yield_now();
                            queue = held(&self.queue);
                        }
                        queue.push_back(order);
                        self.fed.notify_one();
                    }
                    Request::Cancel(_) => {}
                }
            }
        }
    }

    /// One thread of the pool: an order after another, all the way.
    fn work(&self) {
        let mut buffer = Buffer::new();
        loop {
            let mut queue = held(&self.queue);
            let order = loop {
                match queue.pop_front() {
                    Some(order) => break order,
                    None => queue = self.fed.wait(queue).unwrap_or_else(|e| e.into_inner()),
                }
            };
            drop(queue);
            let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
            let place = self.log.add(seq, 0, entered(&order));
            buffer.start(&accepted(&order, 0, seq));
            self.outbox.add(buffer.packet(), place);
            let _ = self.outbox.flush(&self.client, &self.log);
            self.send(&order);
        }
    }

    /// Adds an order to the batch, and returns once it was sent.
    fn send(&self, order: &EnterOrder) {
        let mut batch = held(&self.batch);
        let length = size_of::<EnterOrder>() + 2;
        batch.bytes.extend_from_slice(&header(kind::UNSEQUENCED, length));
        batch.bytes.extend_from_slice(order.as_bytes());
        batch.bytes.extend_from_slice(&[0, 0]);
        batch.orders += 1;
        let (own, due) = (batch.number, Instant::now() + self.tuning.wait);
        loop {
            if batch.number != own {
                return;
            }
            let left = due.saturating_duration_since(Instant::now());
            if batch.orders >= self.tuning.batch || left.is_zero() {
                let _ = (&self.venue).write_all(&batch.bytes);
                batch.bytes.clear();
                (batch.orders, batch.number) = (0, own + 1);
                self.sent.notify_all();
                return;
            }
            let waited = self.sent.wait_timeout(batch, left).unwrap_or_else(|e| e.into_inner());
            batch = waited.0;
        }
    }

    /// Tells the customer what traded.
    fn pass_on_fills(&self) {
        let (mut bytes, mut until) = (vec![0; READ_BYTES], 0);
        while let Ok(count @ 1..) = (&self.venue).read(&mut bytes[until..]) {
            until += count;
            let mut from = 0;
            while let Ok(Some((_, length))) = Packet::parse(&bytes[from..until], u16::MAX) {
                self.outbox.add(&bytes[from..from + length], 0);
                from += length;
            }
            bytes.copy_within(from..until, 0);
            until -= from;
            let _ = self.outbox.flush(&self.client, &self.log);
        }
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(|error| error.into_inner())
}
