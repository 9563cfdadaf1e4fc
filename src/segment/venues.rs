//! Outside exchanges: the gateway that calls them, and which orders go there.

use super::dictionary::{Dictionary, venue_protocol};
use super::{Recovered, SegmentError, system};
use crate::config::{Config, Venue};
use crate::gateway::VenueSetup;
use crate::net::kernel::KernelTransport;
use crate::order::{SYMBOLS_MAX, UserId};
use crate::risk::FirmRouting;

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
        let (policy, venues) = config.routing_of(name);
        let number = |(at, part): (usize, u32)| Some((numbers[at]?, part));
        FirmRouting { policy, venues: venues.into_iter().filter_map(number).collect() }
    };
    let firms = match config.venues.is_empty() {
        true => vec![],
        false => dictionary.firms.iter().map(firm).collect(),
    };
    let symbols = |user: &UserId| {
        let named = |venue: &&Venue| dictionary.venue(venue) == Some(*user);
        let venue = config.venues.iter().find(named)?;
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
    let symbols = dictionary.venues.iter().map(symbols).collect();
    recovered.risk.set_routing(firms, symbols);
}
