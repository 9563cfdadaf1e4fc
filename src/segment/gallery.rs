//! The gallery: a gateway for those who only listen, behind a book of its own.
//!
//! It follows the book as the feed does, over a ring for which the book does not wait, and on a thread of
//! its own: a thousand who watch cost those who trade nothing. Its ports are on kernel sockets, whatever
//! carries the orders.

use std::net::SocketAddr;
use std::path::Path;

use super::agents::GatewayDuty;
use super::memory::{listening, ring};
use super::{SegmentError, system};
use crate::book::{Book, BookAgent, Listener};
use crate::config::{Ack, Config};
use crate::feed::{Follower, History};
use crate::gateway::{Gateway, MakeSnapshot};
use crate::journal::Durable;
use crate::net::Transport;
use crate::net::kernel::KernelTransport;
use crate::order::{Command, Event, Feedback, SeqNum};
use crate::ring::{Bell, Consumer, Producer};
use crate::runtime::bed::{Bed, wait_for};
use crate::runtime::{Duty, promptness};
use crate::wire::soupbin::{header, kind};

use super::market::{LISTENER_RING, book_capacity};

/// Commands handed to the gallery's book in one turn.
const BATCH_MAX: usize = 64;
/// The longest nap while something is under way.
const NAP_US: u32 = 50;

/// Opens the ports of those who only listen; nothing if there are none.
pub(super) fn open(config: &Config) -> Result<Option<KernelTransport>, SegmentError> {
    let ports = config.ports.iter().filter(|port| port.is_for_listeners());
    let addresses: Vec<SocketAddr> = ports.map(|port| *port.listen.get_ref()).collect();
    if addresses.is_empty() {
        return Ok(None);
    }
    let connections_max = *config.gateway.max_connections.get_ref() as usize;
    let opened = KernelTransport::listen(&addresses, connections_max);
    opened.map(Some).map_err(system("open the ports of drop copies and snapshots".to_owned()))
}

/// All addresses in the configuration's order, of those who trade and of those who listen.
pub(super) fn in_order(
    config: &Config,
    trading: Vec<SocketAddr>,
    listening: Vec<SocketAddr>,
) -> Vec<SocketAddr> {
    let (mut trading, mut listening) = (trading.into_iter(), listening.into_iter());
    let next = |port: &crate::config::Port| {
        let of = if port.is_for_listeners() { &mut listening } else { &mut trading };
        of.next().expect("every port was opened")
    };
    config.ports.iter().map(next).collect()
}

/// The gallery's book, and what is in front of it.
pub(super) struct Stage {
    follower: Follower,
    to_book: Producer<Command>,
    book: BookAgent,
    feedback: Consumer<Feedback>,
}

impl Stage {
    /// A book that goes on as `replica` stands behind the command `last`, whose events go to `events`. The
    /// matching books, so many of them, tell it what they do by the second.
    #[allow(clippy::too_many_arguments, reason = "what a segment has in common")]
    pub fn new(
        config: &Config,
        books: usize,
        replica: Book,
        events: Producer<Event>,
        bell: &std::sync::Arc<Bell>,
        dir: &Path,
        durable: &Durable,
        last: SeqNum,
        users_max: usize,
    ) -> (Stage, Vec<Listener>) {
        let (listeners, heard) = listening(books, LISTENER_RING, bell);
        let hold = config.gateway.ack == Ack::Journaled;
        let follower = Follower::new(heard, dir, durable.clone(), hold, last);
        let capacity = *config.gateway.ring_capacity.get_ref();
        let (to_book, commands, _) = ring(capacity, Command::EMPTY);
        let (feedback_tx, feedback, _) = ring(capacity, Feedback::EMPTY);
        let book = BookAgent::new(replica, commands, vec![events], users_max, feedback_tx);
        (Stage { follower, to_book, book, feedback }, listeners)
    }

    fn poll(&mut self) -> usize {
        let Stage { follower, to_book, book, feedback } = self;
        let heard = follower.poll(BATCH_MAX, |command| to_book.stage(command));
        to_book.publish();
        let heard = heard.unwrap_or_else(|error| {
            tracing::error!(%error, "drop copies end: the journal cannot be read");
            0
        });
        let matched = book.poll();
        feedback.pop_batch(usize::MAX, |_| ());
        heard + matched
    }

    fn is_idle(&mut self) -> bool {
        self.follower.is_idle() && self.book.is_idle()
    }
}

/// The gallery as a duty of a thread.
pub(super) struct GalleryDuty<T> {
    pub gateway: GatewayDuty<T>,
    stage: Stage,
}

impl<T: Transport> GalleryDuty<T> {
    pub fn new(gateway: GatewayDuty<T>, stage: Stage) -> GalleryDuty<T> {
        GalleryDuty { gateway, stage }
    }

    /// Whether everything that happened was told.
    pub fn is_idle(&mut self) -> bool {
        self.stage.is_idle() && self.gateway.gateway.is_idle()
    }

    fn gateway(&mut self) -> &mut Gateway<T> {
        &mut self.gateway.gateway
    }
}

impl<T: Transport + Send + 'static> Duty for GalleryDuty<T> {
    /// Where it shares a core with those who trade, it is the one that waits.
    fn begin(&mut self) {
        promptness::give_way();
    }

    fn poll(&mut self) -> usize {
        let told = self.stage.poll();
        told + self.gateway.poll()
    }

    fn nap(&mut self, us: u32) {
        let transport = self.gateway().transport();
        let us = us.min(NAP_US).min(transport.idle_us());
        wait_for(transport.wakes_by(), us);
    }

    fn quiet_us(&mut self) -> Option<u32> {
        if !self.stage.is_idle() {
            return None;
        }
        self.gateway.quiet_us()
    }

    fn sleep(&mut self, bed: &Bed, us: u32) {
        bed.sleep(self.gateway().transport().wakes_by(), us);
    }
}

/// Snapshots of the displayed book, out of the journal, as packets.
pub(super) fn snapshots(config: &Config, dir: &Path, durable: &Durable) -> MakeSnapshot {
    let mut history = History::new(dir.to_owned(), book_capacity(config), durable.clone());
    Box::new(move || {
        let mut packets = vec![];
        let made = history.snapshot(|message| {
            packets.extend_from_slice(&header(kind::SEQUENCED, message.len()));
            packets.extend_from_slice(message);
        });
        match made {
            Ok(()) => Some(packets),
            Err(error) => {
                tracing::error!(%error, "no snapshot: the journal cannot be read");
                None
            }
        }
    })
}
