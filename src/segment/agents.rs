//! The stages as duties of threads.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::book::BookAgent;
use crate::feed::{FeedAgent, Past, Requests};
use crate::gateway::Gateway;
use crate::journal::{Durable, JournalWriter};
use crate::net::Transport;
use crate::order::{NANOS_PER_SEC, UnixNanos};
use crate::ring::Consumer;
use crate::risk::RiskAgent;
use crate::runtime::bed::{Bed, wait_for};
use crate::runtime::promptness;
use crate::runtime::{Clock, Counter, Counters, DiskWatch, Duty, QUIET_US, Record};

use super::Failure;

/// The longest nap of an agent that has something under way: what it waits for, such as the disk,
/// wakes nobody.
const NAP_US: u32 = 50;
/// The same where all stages are one agent's, which then waits for the disk alone.
const DISK_NAP_US: u32 = 20;

/// Batches that the inline agent takes through risk and book before it answers.
const ROUNDS_MAX: usize = 8;

/// Follows the kernel's clock once a second.
struct Watch {
    clock: Clock,
    adjusted_ns: UnixNanos,
}

impl Watch {
    fn new(clock: Clock) -> Watch {
        Watch { adjusted_ns: clock.now_ns(), clock }
    }

    #[inline]
    fn now_ns(&mut self) -> UnixNanos {
        let now_ns = self.clock.now_ns();
        if now_ns.saturating_sub(self.adjusted_ns) > NANOS_PER_SEC {
            self.clock.adjust();
            self.adjusted_ns = now_ns;
        }
        now_ns
    }
}

/// The gateway on a thread of its own, or the outer part of the inline agent.
pub(super) struct GatewayDuty<T> {
    pub gateway: Gateway<T>,
    watch: Watch,
    durable: Durable,
}

impl<T: Transport> GatewayDuty<T> {
    pub fn new(gateway: Gateway<T>, clock: Clock, durable: Durable) -> GatewayDuty<T> {
        GatewayDuty { gateway, watch: Watch::new(clock), durable }
    }

    /// Sends what there is, as far as the disk allows.
    pub fn poll_out(&mut self) -> usize {
        self.gateway.poll_out(self.durable.seq())
    }
}

impl<T: Transport + Send + 'static> Duty for GatewayDuty<T> {
    fn begin(&mut self) {
        promptness::ask_for_short_waits();
    }

    fn poll(&mut self) -> usize {
        let now_ns = self.watch.now_ns();
        self.gateway.poll_in(now_ns) + self.poll_out()
    }

    fn nap(&mut self, us: u32) {
        let transport = self.gateway.transport();
        let us = us.min(NAP_US).min(transport.idle_us());
        wait_for(transport.wakes_by(), us);
    }

    fn waits_for_others(&mut self) -> bool {
        self.gateway.waits_for_disk()
    }

    fn quiet_us(&mut self) -> Option<u32> {
        Some(self.gateway.quiet_us()?.min(QUIET_US))
    }

    fn sleep(&mut self, bed: &Bed, us: u32) {
        bed.sleep(self.gateway.transport().wakes_by(), us);
    }
}

/// Risk on a thread of its own, or the middle of the inline agent.
pub(super) struct RiskDuty {
    pub agent: RiskAgent,
    watch: Watch,
    counters: [Counter; 4],
}

impl RiskDuty {
    pub fn new(agent: RiskAgent, clock: Clock, counters: &Counters) -> RiskDuty {
        let names = ["risk.sequenced", "risk.rejected", "risk.ignored", "risk.open_orders"];
        let counters = names.map(|name| counters.get(name));
        let duty = RiskDuty { agent, watch: Watch::new(clock), counters };
        // What the journal told of counts from the start.
        duty.count();
        duty
    }

    #[inline]
    fn count(&self) {
        let risk = &self.agent.risk;
        let values =
            [risk.last_seq().0, risk.rejected(), risk.ignored(), risk.open_orders() as u64];
        self.counters.iter().zip(values).for_each(|(counter, value)| counter.set(value));
    }

    #[inline]
    pub fn poll_at(&mut self, now_ns: UnixNanos) -> usize {
        let work = self.agent.poll(now_ns);
        if work > 0 {
            self.count();
        }
        work
    }
}

impl Duty for RiskDuty {
    fn begin(&mut self) {
        promptness::ask_for_short_waits();
    }

    fn poll(&mut self) -> usize {
        let now_ns = self.watch.now_ns();
        self.poll_at(now_ns)
    }

    /// Orders expire at whole seconds.
    fn quiet_us(&mut self) -> Option<u32> {
        if !self.agent.is_idle() {
            return None;
        }
        let left_ns = NANOS_PER_SEC - self.watch.now_ns() % NANOS_PER_SEC;
        let timed = self.agent.risk.has_timers();
        let us = if timed { (left_ns / 1_000) as u32 + 1 } else { QUIET_US };
        Some(if self.agent.risk.is_chasing() { us.min(CHASE_US) } else { us })
    }
}

/// How long risk sleeps at most where it asks a venue about its orders, no faster than that answers.
const CHASE_US: u32 = 1_000;

/// The book on a thread of its own, or the end of the inline agent.
pub(super) struct BookDuty {
    pub agent: BookAgent,
}

impl BookDuty {
    pub fn new(agent: BookAgent) -> BookDuty {
        BookDuty { agent }
    }
}

impl Duty for BookDuty {
    fn begin(&mut self) {
        promptness::ask_for_short_waits();
    }

    fn poll(&mut self) -> usize {
        self.agent.poll()
    }

    fn quiet_us(&mut self) -> Option<u32> {
        self.agent.is_idle().then_some(QUIET_US)
    }
}

/// All three on one thread, in the order an order takes.
pub(super) struct InlineDuty<T> {
    pub gateways: Vec<GatewayDuty<T>>,
    pub risk: RiskDuty,
    pub books: Vec<BookDuty>,
}

impl<T: Transport> InlineDuty<T> {
    /// What the transports wake by.
    fn sockets(&mut self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.gateways.iter_mut().filter_map(|duty| duty.gateway.transport().wakes_by())
    }
}

impl<T: Transport + Send + 'static> Duty for InlineDuty<T> {
    fn begin(&mut self) {
        promptness::ask_for_short_waits();
    }

    #[inline]
    fn poll(&mut self) -> usize {
        let now_ns = self.risk.watch.now_ns();
        let mut work = 0;
        for gateway in &mut self.gateways {
            work += gateway.gateway.poll_in(now_ns);
        }
        // What came together is answered together: a send costs more than many orders.
        for _ in 0..ROUNDS_MAX {
            let sequenced = self.risk.poll_at(now_ns);
            let carried_out = sequenced + self.books.iter_mut().map(BookDuty::poll).sum::<usize>();
            work += carried_out;
            if carried_out == 0 {
                break;
            }
        }
        for gateway in &mut self.gateways {
            work += gateway.poll_out();
        }
        work
    }

    fn nap(&mut self, us: u32) {
        let mut us = us.min(DISK_NAP_US);
        for duty in &mut self.gateways {
            us = us.min(duty.gateway.transport().idle_us());
        }
        wait_for(self.sockets(), us);
    }

    fn waits_for_others(&mut self) -> bool {
        self.gateways.iter().any(|duty| duty.gateway.waits_for_disk())
    }

    fn quiet_us(&mut self) -> Option<u32> {
        let mut us = self.risk.quiet_us()?;
        for book in &mut self.books {
            us = us.min(book.quiet_us()?);
        }
        for duty in &mut self.gateways {
            us = us.min(duty.quiet_us()?);
        }
        Some(us)
    }

    fn sleep(&mut self, bed: &Bed, us: u32) {
        bed.sleep(self.sockets(), us);
    }
}

/// The feed, behind the book and in nobody's way.
pub(super) struct FeedDuty {
    agent: FeedAgent,
    watch: Watch,
}

impl FeedDuty {
    pub fn new(agent: FeedAgent, clock: Clock) -> FeedDuty {
        FeedDuty { agent, watch: Watch::new(clock) }
    }

    /// Whether nothing waits to be told.
    pub fn is_idle(&mut self) -> bool {
        self.agent.is_idle()
    }

    /// Ends the feed's session.
    pub fn end(&mut self) {
        self.agent.end();
    }
}

impl Duty for FeedDuty {
    fn begin(&mut self) {
        promptness::ask_for_short_waits();
    }

    fn poll(&mut self) -> usize {
        let now_ns = self.watch.now_ns();
        self.agent.poll(now_ns)
    }

    fn nap(&mut self, us: u32) {
        std::thread::sleep(Duration::from_micros(us.min(NAP_US).into()));
    }

    fn quiet_us(&mut self) -> Option<u32> {
        let now_ns = self.watch.now_ns();
        Some(self.agent.quiet_us(now_ns)?.min(QUIET_US))
    }
}

/// How long it takes at most until the request server hears that it is to end.
const REQUESTS_WAIT_US: u32 = 50_000;

/// Answers requests for messages. It waits for nothing but its socket.
pub(super) struct RequestsDuty {
    server: Requests,
    watch: Watch,
}

impl RequestsDuty {
    pub fn new(server: Requests, clock: Clock) -> RequestsDuty {
        RequestsDuty { server, watch: Watch::new(clock) }
    }
}

impl Duty for RequestsDuty {
    fn poll(&mut self) -> usize {
        let now_ns = self.watch.now_ns();
        let asked = self.server.poll(now_ns);
        if asked == 0 {
            wait_for([self.server.wakes_by()], REQUESTS_WAIT_US);
        }
        asked
    }
}

/// Answers requests for what is only in the journal any more.
pub(super) struct PastDuty {
    past: Past,
}

impl PastDuty {
    pub fn new(past: Past) -> PastDuty {
        PastDuty { past }
    }
}

impl Duty for PastDuty {
    fn poll(&mut self) -> usize {
        self.past.poll()
    }
}

/// The journal's writer.
pub(super) struct JournalDuty {
    writer: JournalWriter,
    disk: DiskWatch,
    free: Counter,
    failure: Failure,
    durable: Durable,
    counter: Counter,
    /// Where nobody waits for each write, how long it rests between two: each puts more on disk, and the cores are
    /// left to the orders.
    rest: Option<Duration>,
    /// What each write took, in nanoseconds, and where that is shown.
    took_ns: Histogram<u64>,
    shown: [Counter; 2],
}

impl JournalDuty {
    pub fn new(
        writer: JournalWriter,
        disk: DiskWatch,
        failure: Failure,
        durable: Durable,
        counters: &Counters,
        rest: Option<Duration>,
    ) -> JournalDuty {
        let counter = counters.get("journal.durable");
        let free = counters.get("journal.disk_free_bytes");
        let shown = ["journal.write_p50_ns", "journal.write_p99_ns"].map(|name| counters.get(name));
        let took_ns = Histogram::new_with_bounds(100, 60 * NANOS_PER_SEC, 2);
        let took_ns = took_ns.expect("two digits up to a minute");
        JournalDuty { writer, disk, free, failure, durable, counter, rest, took_ns, shown }
    }
}

impl Duty for JournalDuty {
    /// It sleeps on the disk most of the time, and acknowledgements wait for it.
    fn begin(&mut self) {
        if self.rest.is_none() {
            promptness::ask_to_come_first();
        }
    }

    fn poll(&mut self) -> usize {
        if self.failure.get().is_some() {
            return 0;
        }
        if let Some(free) = self.disk.poll() {
            self.free.set(free);
            let at = |quantile| self.took_ns.value_at_quantile(quantile);
            self.shown.iter().zip([at(0.5), at(0.99)]).for_each(|(shown, ns)| shown.set(ns));
        }
        let began = Instant::now();
        match self.writer.write() {
            Ok(written) => {
                if written > 0 {
                    self.took_ns.saturating_record(began.elapsed().as_nanos() as u64);
                }
                self.counter.set(self.durable.seq().0);
                if let Some(rest) = self.rest.filter(|_| written > 0 && !self.writer.is_behind()) {
                    std::thread::sleep(rest);
                }
                written
            }
            Err(error) => {
                self.failure.set(error.to_string());
                0
            }
        }
    }
}

/// How often the log is written at most: more in one go where there is much.
const TELL_EVERY: Duration = Duration::from_millis(5);

/// Tells the records that agents left.
pub(super) struct LogDuty {
    records: Consumer<Record>,
}

impl LogDuty {
    pub fn new(records: Consumer<Record>) -> LogDuty {
        LogDuty { records }
    }
}

impl Duty for LogDuty {
    fn poll(&mut self) -> usize {
        let told = self.records.pop_batch(usize::MAX, |record| (record.tell)(record));
        if told > 0 {
            std::thread::sleep(TELL_EVERY);
        }
        told
    }
}
