//! The names of a segment's counters.

use crate::config::{Config, Venue};
use crate::{feed, gateway, net};

/// What belongs to the segment as a whole.
const OWN: [&str; 10] = [
    "risk.sequenced",
    "risk.rejected",
    "risk.ignored",
    "risk.open_orders",
    "journal.durable",
    "journal.disk_free_bytes",
    "journal.write_p50_ns",
    "journal.write_p99_ns",
    "audit.written",
    "audit.lost",
];

/// What stands before the counters of a gateway and of its transport: `gateway` and `net`, with
/// its number from the second on.
pub(super) fn prefixes(gateway: usize) -> [String; 2] {
    let number = if gateway == 0 { String::new() } else { gateway.to_string() };
    [format!("gateway{number}"), format!("net{number}")]
}

/// What stands before the gallery's.
pub(super) fn gallery_prefixes() -> [String; 2] {
    ["gallery", "gallery_net"].map(String::from)
}

/// What stands before those of the gateway that calls venues.
pub(super) fn line_prefixes() -> [String; 2] {
    ["lines", "lines_net"].map(String::from)
}

/// The counters of venues, and of the gateway that calls them.
pub(super) fn of_venues(config: &Config) -> Vec<String> {
    if config.venues.is_empty() {
        return vec![];
    }
    let [gateway, net] = line_prefixes();
    let own = gateway::COUNTERS.iter().map(|name| format!("{gateway}.{name}"));
    let own = own.chain(net::COUNTERS.iter().map(|name| format!("{net}.{name}")));
    let of = |venue: &Venue| {
        let line = gateway::venue_counters(venue.name.get_ref());
        line.chain(super::quotes::counters(venue)).collect::<Vec<_>>()
    };
    own.chain(config.venues.iter().flat_map(of)).collect()
}

/// Every counter of a segment.
pub(super) fn names(gateways: usize, has_gallery: bool, has_feed: bool) -> Vec<String> {
    let mut names: Vec<String> = OWN.map(String::from).to_vec();
    let of_feed = feed::COUNTERS.iter().filter(|_| has_feed);
    names.extend(of_feed.map(|name| (*name).to_owned()));
    let galleries = has_gallery.then(gallery_prefixes);
    for [gateway, net] in (0..gateways).map(prefixes).chain(galleries) {
        names.extend(gateway::COUNTERS.iter().map(|name| format!("{gateway}.{name}")));
        names.extend(net::COUNTERS.iter().map(|name| format!("{net}.{name}")));
    }
    names
}
