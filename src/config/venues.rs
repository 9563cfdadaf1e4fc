//! `[[venue]]` and `[routing]`: outside exchanges, and which orders go there.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use super::check::Checker;
use super::types::{Config, Password};
use crate::order::{self, LISTED_MAX, VENUES_MAX};

/// `[[venue]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Venue {
    /// What it is called: LastMkt, ExDestination, OUCH's route. Up to 4 letters and digits.
    pub name: Spanned<String>,
    /// What it speaks.
    pub protocol: Spanned<VenueProtocol>,
    /// Where it listens.
    pub connect: Spanned<SocketAddr>,
    /// FIX: this side's CompID there.
    #[serde(default)]
    pub sender_comp_id: Option<Spanned<String>>,
    /// FIX: the venue's CompID.
    #[serde(default)]
    pub target_comp_id: Option<Spanned<String>>,
    /// SoupBinTCP's user name; FIX: Username (553), where the venue asks for it.
    #[serde(default)]
    pub username: Option<Spanned<String>>,
    /// Password, in FIX 554.
    #[serde(default)]
    pub password: Option<Spanned<Password>>,
    /// Symbols that it trades; empty: all.
    #[serde(default)]
    pub symbols: Vec<Spanned<String>>,
    /// What it calls symbols that have another name there.
    #[serde(default)]
    pub names: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Messages that it takes in a second.
    #[serde(default = "default_rate")]
    pub max_messages_per_second: Spanned<u32>,
    /// How long messages that its rate holds back wait for each other, to leave together.
    #[serde(default = "zero")]
    pub batch_us: Spanned<u32>,
    /// Whether it cancels what is open when the connection is lost.
    #[serde(default)]
    pub cancel_on_disconnect: bool,
    /// FIX: HeartBtInt in seconds.
    #[serde(default = "default_heartbeat")]
    pub heartbeat_s: Spanned<u32>,
    /// FIX: whether numbers begin at 1 with each connection.
    #[serde(default)]
    pub reset_on_logon: bool,
    /// FIX 4.4: whether it answers an OrderMassStatusRequest.
    #[serde(default)]
    pub mass_status: Option<Spanned<bool>>,
    /// How long to wait before the first try after a connection was lost, and at most, after many.
    #[serde(default = "default_reconnect")]
    pub reconnect_ms: Spanned<[u32; 2]>,
    /// When it is there, in UTC, such as `"08:00-16:30"`; always unless given.
    #[serde(default)]
    pub hours: Option<Spanned<String>>,
    /// Its market data.
    #[serde(default)]
    pub feed: Option<VenueFeed>,
}

/// `[venue.feed]`: a venue's market data, ITCH over MoldUDP64.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueFeed {
    /// Where its packets come: multicast groups or addresses of this host, with a port.
    pub lines: Spanned<Vec<SocketAddr>>,
    /// The address by whose interface multicast comes in; the system's choice unless given.
    #[serde(default)]
    pub interface: Option<Spanned<IpAddr>>,
    /// Where what was missed is asked for: without it, what stood there before this gateway came would never be known.
    pub request: Spanned<SocketAddr>,
}

fn default_rate() -> Spanned<u32> {
    Spanned::new(0..0, 1_000)
}

fn zero() -> Spanned<u32> {
    Spanned::new(0..0, 0)
}

fn default_heartbeat() -> Spanned<u32> {
    Spanned::new(0..0, 30)
}

fn default_reconnect() -> Spanned<[u32; 2]> {
    Spanned::new(0..0, [100, 10_000])
}

/// `protocol` of a venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueProtocol {
    /// FIX 4.2.
    Fix42,
    /// FIX 4.4.
    Fix44,
    /// OUCH 5.0 over SoupBinTCP.
    Ouch5,
}

/// `[routing]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// For every firm.
    pub default: FirmRouting,
    /// For one firm, overriding key by key.
    pub firm: BTreeMap<Spanned<String>, FirmRouting>,
}

/// `[routing.default]` and `[routing.firm.X]`: every key is optional.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FirmRouting {
    /// What is done with orders that name no venue.
    pub policy: Option<Policy>,
    /// Venues that the firm's orders may go to, in order of preference.
    pub venues: Option<Vec<Spanned<String>>>,
    /// How large a part of the orders each of them is to have; unless given, the first has all.
    pub weights: Option<Spanned<Vec<u32>>>,
    /// What says which of them is first.
    pub prefer: Option<Spanned<Prefer>>,
}

/// `prefer`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prefer {
    /// The list and its weights.
    List,
    /// The best displayed price at which the order would trade; then the list.
    Price,
}

/// What a firm's orders do, key by key from its own table or the one for all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ways {
    /// What is done with orders that name no venue.
    pub policy: order::Policy,
    /// Venues by their places in the file, with their weights.
    pub venues: Vec<(usize, u32)>,
    /// Whether the best displayed price is first.
    pub by_price: bool,
}

/// `policy`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "as in order::Policy")]
pub enum Policy {
    InternalOnly,
    CrossThenRoute,
    RouteOnly,
    PostOut,
}

impl Policy {
    /// In the words of everybody else.
    pub fn as_order(self) -> order::Policy {
        match self {
            Policy::InternalOnly => order::Policy::InternalOnly,
            Policy::CrossThenRoute => order::Policy::CrossThenRoute,
            Policy::RouteOnly => order::Policy::RouteOnly,
            Policy::PostOut => order::Policy::PostOut,
        }
    }
}

impl Venue {
    /// The seconds of a UTC day between which it is there; nothing is always.
    pub fn open_s(&self) -> Option<(u32, u32)> {
        self.hours.as_ref().and_then(|hours| read_hours(hours.get_ref()))
    }
}

/// `HH:MM-HH:MM`.
fn read_hours(text: &str) -> Option<(u32, u32)> {
    let seconds = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let of = |text: &str, end: u32| {
            let number: u32 = text.parse().ok()?;
            (text.len() == 2 && number < end).then_some(number)
        };
        Some(of(hours, 24)? * 3_600 + of(minutes, 60)? * 60)
    };
    let (from, until) = text.split_once('-')?;
    Some((seconds(from)?, seconds(until)?)).filter(|(from, until)| from != until)
}

impl Config {
    /// What a firm's orders do.
    pub fn routing_of(&self, firm: &str) -> Ways {
        let own = self.routing.firm.iter().find(|(name, _)| name.get_ref() == firm);
        let own = own.map(|(_, routing)| routing);
        let default = &self.routing.default;
        let policy = own.and_then(|own| own.policy).or(default.policy);
        let prefer = own.and_then(|own| own.prefer.as_ref()).or(default.prefer.as_ref());
        // Weights go with the list that they are beside.
        let listed = own.filter(|own| own.venues.is_some()).unwrap_or(default);
        let weights = own.filter(|own| own.weights.is_some()).unwrap_or(listed);
        let place = |name: &str| self.venues.iter().position(|venue| venue.name.get_ref() == name);
        let names = listed.venues.iter().flatten().filter_map(|name| place(name.get_ref()));
        let weights = weights.weights.as_ref().map_or(&[][..], |weights| weights.get_ref());
        let weights = weights.iter().copied().chain(std::iter::repeat(0));
        Ways {
            policy: policy.map_or(order::Policy::InternalOnly, Policy::as_order),
            venues: names.zip(weights).collect(),
            by_price: prefer.is_some_and(|prefer| *prefer.get_ref() == Prefer::Price),
        }
    }
}

pub(super) fn check(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let symbols: HashSet<&str> = config.symbols.iter().map(|s| s.name.get_ref().as_str()).collect();
    let users: HashSet<String> =
        config.users.iter().map(|user| user.name.get_ref().to_ascii_uppercase()).collect();
    let (mut names, mut pairs) = (HashSet::new(), HashSet::new());
    for (count, venue) in (1..).zip(&config.venues) {
        let name = venue.name.get_ref();
        checker.name(&venue.name, "venue", 4, &mut names)?;
        if count > VENUES_MAX {
            let what = format!("there are more than {VENUES_MAX} venues");
            return checker.fail(venue.name.span(), what);
        }
        if !config.segments.is_empty() {
            let what = "venues are one segment's: take [[segment]] away, or run a gateway each";
            return checker.fail(venue.name.span(), what);
        }
        if users.contains(&name.to_ascii_uppercase()) {
            let what = format!("\"{name}\" is a user's name: a venue has another");
            return checker.fail(venue.name.span(), what);
        }
        check_ends(venue, checker, &mut pairs)?;
        let traded = |symbol: &Spanned<String>| {
            if symbols.contains(symbol.get_ref().as_str()) {
                return Ok(());
            }
            let what = format!("\"{}\" is not a [[symbol]]: nobody trades it", symbol.get_ref());
            checker.fail(symbol.span(), what)
        };
        venue.symbols.iter().try_for_each(traded)?;
        for (symbol, alias) in &venue.names {
            traded(symbol)?;
            let text = alias.get_ref();
            let most = if is_fix(venue) { 20 } else { 8 };
            let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            if text.is_empty() || text.len() > most || !plain {
                let what = format!("\"{text}\" must be 1 to {most} printable ASCII characters");
                return checker.fail(alias.span(), what);
            }
        }
        check_numbers(venue, checker)?;
        venue.feed.as_ref().map_or(Ok(()), |feed| check_feed(feed, checker))?;
    }
    check_routing(config, checker)
}

fn is_fix(venue: &Venue) -> bool {
    *venue.protocol.get_ref() != VenueProtocol::Ouch5
}

/// Who is who on the connection.
fn check_ends(
    venue: &Venue,
    checker: &Checker<'_>,
    pairs: &mut HashSet<(String, String)>,
) -> Result<(), ConfigError> {
    let name = venue.name.get_ref();
    match (is_fix(venue), &venue.sender_comp_id, &venue.target_comp_id) {
        (true, Some(own), Some(peer)) => {
            super::check::check_comp_id(checker, own, "sender_comp_id")?;
            super::check::check_comp_id(checker, peer, "target_comp_id")?;
            if !pairs.insert((own.get_ref().clone(), peer.get_ref().clone())) {
                let what = format!(
                    "{} to {} is another venue's session too: its numbers would be two connections'",
                    own.get_ref(),
                    peer.get_ref()
                );
                return checker.fail(peer.span(), what);
            }
        }
        (true, ..) => {
            let what = format!(
                "venue \"{name}\" speaks FIX and needs a sender_comp_id, such as \"MILLRACE\", and a \
                 target_comp_id, such as \"{name}\""
            );
            return checker.fail(venue.name.span(), what);
        }
        (false, None, None) => {}
        (false, own, peer) => {
            let place = own.as_ref().or(peer.as_ref()).map_or(0..0, Spanned::span);
            return checker.fail(place, "CompIDs are FIX's: OUCH has a username and a password");
        }
    }
    let (most_name, most_password) = if is_fix(venue) { (64, 64) } else { (6, 10) };
    if let Some(username) = &venue.username
        && (username.get_ref().is_empty() || username.get_ref().len() > most_name)
    {
        let what = format!("username has 1 to {most_name} characters");
        return checker.fail(username.span(), what);
    }
    if let Some(password) = &venue.password
        && (password.get_ref().0.is_empty() || password.get_ref().0.len() > most_password)
    {
        let what = format!("password has 1 to {most_password} characters");
        return checker.fail(password.span(), what);
    }
    if !is_fix(venue) && (venue.username.is_none() || venue.password.is_none()) {
        let what = format!("venue \"{name}\" speaks OUCH and needs a username and a password");
        return checker.fail(venue.name.span(), what);
    }
    Ok(())
}

fn check_numbers(venue: &Venue, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let rate = &venue.max_messages_per_second;
    if !(1..=10_000_000).contains(rate.get_ref()) {
        return checker.fail(rate.span(), "max_messages_per_second is 1 to 10000000");
    }
    if *venue.batch_us.get_ref() > 1_000_000 {
        return checker.fail(venue.batch_us.span(), "batch_us is 0 to 1000000: a second");
    }
    if !(1..=3_600).contains(venue.heartbeat_s.get_ref()) {
        return checker.fail(venue.heartbeat_s.span(), "heartbeat_s is 1 to 3600");
    }
    let [first, most] = *venue.reconnect_ms.get_ref();
    if first == 0 || most < first || most > 3_600_000 {
        let what = "reconnect_ms is the first wait and the longest, such as [100, 10000]";
        return checker.fail(venue.reconnect_ms.span(), what);
    }
    if let Some(wanted) = venue.mass_status.as_ref().filter(|wanted| *wanted.get_ref())
        && *venue.protocol.get_ref() != VenueProtocol::Fix44
    {
        let what =
            "mass_status is FIX 4.4's: there is no OrderMassStatusRequest in other protocols";
        return checker.fail(wanted.span(), what);
    }
    match &venue.hours {
        Some(hours) if read_hours(hours.get_ref()).is_none() => {
            checker.fail(hours.span(), "hours are in UTC, such as \"08:00-16:30\"")
        }
        _ => Ok(()),
    }
}

fn check_feed(feed: &VenueFeed, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let by = feed.interface.as_ref();
    super::check::check_lines(checker, &feed.lines, by)?;
    if feed.lines.get_ref().is_empty() {
        let what = "lines are where the venue's packets come, such as [\"239.192.7.1:26400\"]";
        return checker.fail(feed.lines.span(), what);
    }
    if feed.request.get_ref().port() == 0 || feed.request.get_ref().ip().is_unspecified() {
        let what =
            "request is where the venue says again what was missed, such as \"10.0.0.7:26401\"";
        return checker.fail(feed.request.span(), what);
    }
    Ok(())
}

fn check_routing(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let firms: HashSet<&str> = config.users.iter().map(|u| u.firm.get_ref().as_str()).collect();
    for firm in config.routing.firm.keys() {
        if !firms.contains(firm.get_ref().as_str()) {
            let what = format!("no user belongs to firm \"{}\"", firm.get_ref());
            return checker.fail(firm.span(), what);
        }
    }
    let venues: HashSet<&str> = config.venues.iter().map(|v| v.name.get_ref().as_str()).collect();
    let all = std::iter::once(&config.routing.default).chain(config.routing.firm.values());
    for routing in all {
        let mut seen = HashSet::new();
        for venue in routing.venues.iter().flatten() {
            let name = venue.get_ref().as_str();
            if !venues.contains(name) {
                let what = format!("\"{name}\" is not a [[venue]]");
                return checker.fail(venue.span(), what);
            }
            if !seen.insert(name) || seen.len() > LISTED_MAX {
                let what = format!("venues are up to {LISTED_MAX}, each once");
                return checker.fail(venue.span(), what);
            }
        }
        if let Some(weights) = &routing.weights {
            let listed = routing.venues.as_ref().map_or(0, Vec::len);
            let whole: u64 = weights.get_ref().iter().map(|part| u64::from(*part)).sum();
            if weights.get_ref().len() != listed || whole == 0 || whole > 1_000_000 {
                let what = format!(
                    "weights are one for each of the {listed} venues beside them, such as [3, 1]"
                );
                return checker.fail(weights.span(), what);
            }
        }
    }
    for firm in firms {
        let named = config.routing.firm.keys().find(|name| name.get_ref() == firm);
        let Ways { policy, venues, by_price } = config.routing_of(firm);
        if by_price && !venues.iter().any(|(at, _)| config.venues[*at].feed.is_some()) {
            let own = named.and_then(|name| config.routing.firm[name].prefer.as_ref());
            let place = own.or(config.routing.default.prefer.as_ref()).map_or(0..0, Spanned::span);
            let what = format!(
                "firm \"{firm}\" prefers by price, and none of its venues has a [venue.feed] that tells prices"
            );
            return checker.fail(place, what);
        }
        if policy != order::Policy::InternalOnly && venues.is_empty() {
            let place = named.map_or(0..0, Spanned::span);
            let what = format!("firm \"{firm}\" has a policy that needs venues = [\"...\"]");
            return checker.fail(place, what);
        }
    }
    Ok(())
}
