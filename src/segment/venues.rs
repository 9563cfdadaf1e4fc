//! Outside exchanges: the gateway that calls them, and which orders go there.

use std::sync::Arc;

use super::dictionary::{Dictionary, venue_protocol};
use super::{Recovered, SegmentError, system};
use crate::config::{Config, User, Venue, Ways};
use crate::gateway::VenueSetup;
use crate::net::kernel::KernelTransport;
use crate::order::{SYMBOLS_MAX, UserId};
use crate::risk::{Displayed, FirmRouting, VenueTerms};
use crate::runtime::BlockPool;
use crate::session::stream::StreamMemory;

/// What a message to a venue takes, at most, as it usually is.
const MESSAGE_BYTES: usize = 512;
/// Bytes that wait for one venue in memory, at most.
const ROOM_MAX: usize = 256 << 20;

/// The transport on which venues are called: kernel sockets, whatever carries the orders in. Nothing if there are none.
pub(super) fn open(config: &Config) -> Result<Option<KernelTransport>, SegmentError> {
    if config.venues.is_empty() {
        return Ok(None);
    }
    // One connection each; one may end while the next begins.
    let opened = KernelTransport::listen(&[], 2 * config.venues.len());
    opened.map(Some).map_err(system("prepare the connections to venues".to_owned()))
}

/// Every venue as the gateway calls it.
pub(super) fn setups(config: &Config, dictionary: &Dictionary) -> Vec<VenueSetup> {
    let setup = |venue: &Venue| {
        let [first, most] = *venue.reconnect_ms.get_ref();
        VenueSetup {
            user: dictionary.venue(venue).expect("defined at the start"),
            name: venue.name.get_ref().clone(),
            protocol: venue_protocol(venue),
            connect: *venue.connect.get_ref(),
            heartbeat_s: (*venue.heartbeat_s.get_ref()).into(),
            reset_on_logon: venue.reset_on_logon,
            mass_status: venue.mass_status.as_ref().is_some_and(|wanted| *wanted.get_ref()),
            reconnect_ns: [first, most].map(|ms| u64::from(ms) * 1_000_000),
            open_s: venue.open_s(),
            max_messages_per_second: *venue.max_messages_per_second.get_ref(),
            batch_ns: u64::from(*venue.batch_us.get_ref()) * 1_000,
            cancel_on_disconnect: venue.cancel_on_disconnect,
        }
    };
    config.venues.iter().map(setup).collect()
}

/// Has risk know where firms' orders go, and what venues trade.
pub(super) fn apply_routing(config: &Config, recovered: &mut Recovered) {
    let dictionary = &recovered.dictionary;
    let numbers: Vec<Option<u8>> = config
        .venues
        .iter()
        .map(|venue| dictionary.venue_number(dictionary.venue(venue)?))
        .collect();
    let firm = |name: &String| {
        let Ways { policy, venues, by_price } = config.routing_of(name);
        let number = |(at, part): (usize, u32)| Some((numbers[at]?, part));
        FirmRouting { policy, venues: venues.into_iter().filter_map(number).collect(), by_price }
    };
    let firms = match config.venues.is_empty() {
        true => vec![],
        false => dictionary.firms.iter().map(firm).collect(),
    };
    let symbols = |venue: &Venue| {
        if venue.symbols.is_empty() {
            return None;
        }
        let mut traded = vec![false; usize::from(SYMBOLS_MAX)];
        for symbol in &venue.symbols {
            let number = dictionary.symbol(symbol.get_ref())?;
            traded[number.index()] = true;
        }
        Some(traded)
    };
    let symbols_max = dictionary.symbols.len();
    let terms = |user: &UserId| {
        let named = |venue: &&Venue| dictionary.venue(venue) == Some(*user);
        let venue = config.venues.iter().find(named);
        venue.map_or_else(VenueTerms::default, |venue| VenueTerms {
            symbols: symbols(venue),
            per_second: *venue.max_messages_per_second.get_ref(),
            displayed: venue.feed.as_ref().map(|_| Arc::new(Displayed::new(symbols_max))),
        })
    };
    let terms = dictionary.venues.iter().map(terms).collect();
    recovered.risk.set_routing(firms, terms);
    give_room(config, recovered);
}

/// Has what waits for a venue find room in memory, whatever its rate holds back: as many messages as users may have
/// unanswered there.
fn give_room(config: &Config, recovered: &mut Recovered) {
    let limits = recovered.dictionary.limits(config);
    let most = |user: &User| {
        let firm = recovered.dictionary.firm(user.firm.get_ref());
        let of_firm = limits.iter().find(|(of, _)| Some(*of) == firm);
        of_firm.map_or(0, |(_, limits)| limits.max_unanswered as usize)
    };
    let messages: usize = config.users.iter().map(most).sum();
    let least = *config.gateway.stream_window_bytes.get_ref();
    let window_bytes = (messages.saturating_mul(MESSAGE_BYTES))
        .clamp(least, least.max(ROOM_MAX))
        .next_power_of_two();
    for user in &recovered.dictionary.venues {
        let pool = Arc::new(BlockPool::new(window_bytes + window_bytes / 4, 1));
        recovered.streams[user.index()].keep_in(&StreamMemory { window_bytes, pool });
    }
}
