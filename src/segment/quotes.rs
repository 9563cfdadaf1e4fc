//! Market data of venues: what they display, for risk to see who is best.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dictionary::Dictionary;
use super::{SegmentError, Shown, system};
use crate::client::feed::Reader;
use crate::client::market::{Depth, Market};
use crate::client::source::{Heard, Source};
use crate::config::{Config, Venue, VenueFeed};
use crate::order::SymbolId;
use crate::risk::{Displayed, Risk};
use crate::runtime::bed::wait_for;
use crate::runtime::{Bed, Counter, Duty, IdleStrategy, Worker};
use crate::wire::itch::Message;
use crate::wire::soupbin::pad;

/// Messages taken in at once.
const BATCH_MAX: usize = 256;
/// How long a feed may be silent: MoldUDP64 has a heartbeat each second.
const SILENCE: Duration = Duration::from_secs(5);
/// How long it waits for its sockets.
const WAIT_US: u32 = 50_000;

/// What is counted of a venue's feed, behind `venue.NAME.`.
const COUNTERS: [&str; 3] = ["feed_known", "feed_messages", "feed_missed"];

/// The names of those counters.
pub(super) fn counters(venue: &Venue) -> impl Iterator<Item = String> {
    let name = venue.name.get_ref();
    let of_feed = COUNTERS.iter().filter(|_| venue.feed.is_some());
    of_feed.map(move |counter| format!("venue.{name}.{counter}"))
}

/// Follows one venue's feed.
pub(super) struct QuotesDuty {
    source: Source,
    quotes: Quotes,
    /// Packets of the feed, and when there was a new one last.
    heard: (u64, Instant),
    /// Whether it said that it cannot read.
    failed: bool,
    /// Whether prices are known; messages; those that never came.
    counters: [Counter; COUNTERS.len()],
}

/// A venue's market, and what of it is shown.
struct Quotes {
    market: Market,
    /// Own symbols by what they are called there.
    names: HashMap<[u8; 8], SymbolId>,
    /// The same by their numbers in the feed.
    located: Vec<Option<SymbolId>>,
    displayed: Arc<Displayed>,
    /// Nothing is shown while nothing is heard.
    known: bool,
}

/// Everybody who follows a venue, not yet started; sockets are open.
pub(super) fn open(
    config: &Config,
    dictionary: &Dictionary,
    risk: &Risk,
    shown: &Shown,
) -> Result<Vec<QuotesDuty>, SegmentError> {
    let mut all = vec![];
    for venue in &config.venues {
        let user = dictionary.venue(venue).expect("defined at the start");
        let Some((feed, displayed)) = venue.feed.as_ref().zip(risk.displayed_by(user)) else {
            continue;
        };
        let what = || format!("listen to the feed of venue \"{}\"", venue.name.get_ref());
        let source = listen(feed).map_err(system(what()))?;
        let names = names(config, dictionary, venue);
        let mut counters = counters(venue).map(|name| shown.counters.get(&name));
        all.push(QuotesDuty {
            source,
            quotes: Quotes {
                market: Market::new(),
                names,
                located: vec![],
                displayed,
                known: false,
            },
            heard: (0, Instant::now()),
            failed: false,
            counters: std::array::from_fn(|_| counters.next().expect("one for each")),
        });
    }
    Ok(all)
}

fn listen(feed: &VenueFeed) -> std::io::Result<Source> {
    let by = feed.interface.as_ref().map(|interface| *interface.get_ref());
    let request = Some(*feed.request.get_ref());
    Reader::open(feed.lines.get_ref(), by, request, 1).map(Source::lines)
}

/// What the venue calls each symbol that it trades.
fn names(config: &Config, dictionary: &Dictionary, venue: &Venue) -> HashMap<[u8; 8], SymbolId> {
    let trades = |name: &str| {
        venue.symbols.is_empty() || venue.symbols.iter().any(|symbol| symbol.get_ref() == name)
    };
    let name = |own: &str| {
        let number = dictionary.symbol(own).filter(|_| trades(own))?;
        let alias = venue.names.iter().find(|(symbol, _)| symbol.get_ref() == own);
        let there = alias.map_or(own, |(_, alias)| alias.get_ref());
        (there.len() <= 8).then(|| (pad::<8>(there.as_bytes()), number))
    };
    config.symbols.iter().filter_map(|symbol| name(symbol.name.get_ref())).collect()
}

impl QuotesDuty {
    /// Sets its thread going.
    pub fn start(self) -> Worker<QuotesDuty> {
        // It waits for its sockets, whatever its turns are.
        Worker::start("mr-quotes", None, IdleStrategy::Spin, Bed::new(), self)
    }
}

impl Duty for QuotesDuty {
    fn poll(&mut self) -> usize {
        let QuotesDuty { source, quotes, counters: [_, messages, missed], .. } = self;
        let taken = source.poll(BATCH_MAX, |heard| match heard {
            Heard::Message { bytes, .. } => {
                quotes.message(bytes);
                messages.add(1);
            }
            Heard::Session => quotes.forget(Market::new()),
            Heard::Gap { count, .. } => {
                missed.add(count);
                let mut market = std::mem::take(&mut quotes.market);
                market.forget_orders();
                quotes.forget(market);
            }
        });
        let news = taken.unwrap_or_else(|error| {
            if !std::mem::replace(&mut self.failed, true) {
                tracing::warn!("a venue's market data is not read: {error}");
            }
            0
        });
        let packets = self.source.packets();
        if packets != self.heard.0 {
            self.heard = (packets, Instant::now());
        }
        // What is missing is on its way: prices are as old as that is.
        let known = packets > 0 && self.heard.1.elapsed() < SILENCE && self.source.is_whole();
        self.quotes.set_known(known);
        self.counters[0].set(known.into());
        if news == 0 {
            wait_for(self.source.wakes_by(), WAIT_US);
        }
        news
    }
}

impl Quotes {
    fn message(&mut self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let locate = message.head().locate.get();
        if let Message::StockDirectory(directory) = &message {
            let place = usize::from(locate);
            self.located.resize(self.located.len().max(place + 1), None);
            self.located[place] = self.names.get(&directory.stock).copied();
        }
        // An order of which it was never told was there before a gap.
        if self.market.apply(&message).is_ok() && self.known {
            self.show(locate);
        }
    }

    /// Shows a symbol as it is.
    fn show(&self, locate: u16) {
        let symbol = self.located.get(usize::from(locate)).copied().flatten();
        let Some((symbol, depth)) = symbol.zip(self.market.located(locate)) else { return };
        let open = |depth: &&Depth| depth.trading;
        let best = Some(depth).filter(open).map(|depth| [depth.bids.best(), depth.asks.best()]);
        let [bid, ask] = best.unwrap_or_default().map(|best| best.map(|(price, _)| price));
        self.displayed.show(symbol, bid, ask);
    }

    /// Goes on with another market, of which nothing is shown yet.
    fn forget(&mut self, market: Market) {
        self.market = market;
        self.set_known(false);
    }

    fn set_known(&mut self, known: bool) {
        if std::mem::replace(&mut self.known, known) == known {
            return;
        }
        match known {
            true => (0..self.located.len()).for_each(|locate| self.show(locate as u16)),
            false => self.displayed.clear(),
        }
    }
}
