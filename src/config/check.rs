//! What one key cannot say about itself.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use toml::Spanned;

use super::frames::Tcp;
use super::types::{Config, Port, Protocol, Symbol, Topology, TransportKind, User};
use super::{BUILT_IN, ConfigError};
use super::{mischief, segments, venues};
use crate::order::{FIRMS_MAX, SYMBOLS_MAX, USERS_MAX};

/// The smallest MTU of the feed: IPv6, UDP and MoldUDP64 headers, and the longest message.
pub const FEED_MTU_MIN: usize = 48 + 20 + 2 + 44;

/// Users of the built-in configuration, whose password is public.
const BUILT_IN_PASSWORD: &str = "secret";

pub(super) struct Checker<'a> {
    text: &'a str,
    name: &'a str,
}

impl Checker<'_> {
    pub fn fail<T>(&self, place: Range<usize>, what: impl Into<String>) -> Result<T, ConfigError> {
        Err(ConfigError::at(self.name, self.text, place, what.into()))
    }

    pub fn name(
        &self,
        name: &Spanned<String>,
        what: &str,
        most: usize,
        seen: &mut HashSet<String>,
    ) -> Result<(), ConfigError> {
        check_name(name.get_ref(), what, most, seen).or_else(|what| self.fail(name.span(), what))
    }

    fn plain(&self, name: &Spanned<String>, what: &str, most: usize) -> Result<(), ConfigError> {
        check_plain(name.get_ref(), what, most).or_else(|what| self.fail(name.span(), what))
    }
}

/// Letters and digits, 1 to `most`, each name once.
fn check_name(
    name: &str,
    what: &str,
    most: usize,
    seen: &mut HashSet<String>,
) -> Result<(), String> {
    check_plain(name, what, most)?;
    let new = seen.insert(name.to_ascii_uppercase());
    if new { Ok(()) } else { Err(format!("{what} \"{name}\" is there twice")) }
}

fn check_plain(name: &str, what: &str, most: usize) -> Result<(), String> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if name.is_empty() || name.len() > most || !plain {
        return Err(format!("{what} \"{name}\" must be 1 to {most} ASCII letters, digits, . or -"));
    }
    Ok(())
}

/// What is wrong with a symbol, if anything is.
pub(super) fn symbol(symbol: &Symbol, seen: &mut HashSet<String>) -> Result<(), String> {
    let name = symbol.name.get_ref();
    check_name(name, "symbol", 8, seen)?;
    let (price, tick) = (symbol.reference_price, symbol.tick);
    if !price.0.is_multiple_of(tick.0) {
        return Err(format!(
            "reference_price {price} of {name} is not a multiple of its tick {tick}"
        ));
    }
    Ok(())
}

pub(super) fn check(config: &Config, text: &str, name: &str) -> Result<(), ConfigError> {
    let checker = Checker { text, name };
    if config.segments.is_empty() {
        check_own(config, &checker)?;
    }
    check_users(&config.together(), &checker)?;
    check_symbols(config, &checker)
}

/// What each segment has of its own.
pub(super) fn check_own(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    check_gateway(config, checker)?;
    check_frames(config, checker)?;
    check_ports(config, checker)?;
    check_feed(config, checker)
}

/// What can be said only once every file was read.
pub(super) fn check_whole(config: &Config, text: &str, name: &str) -> Result<(), ConfigError> {
    let checker = Checker { text, name };
    if config.symbols.is_empty() {
        return checker.fail(0..0, "at least one [[symbol]] is needed, or [symbols] with a file");
    }
    if config.segments.is_empty() {
        check_books(config, &checker)?;
    } else {
        segments::check(config, &checker)?;
    }
    check_risk(config, &checker)?;
    mischief::check(config, &checker)?;
    venues::check(config, &checker)
}

/// Whether each symbol is in one of the books that there are.
pub(super) fn check_books(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let books = *config.gateway.books.get_ref();
    let beyond = |symbol: &&Symbol| symbol.book.is_some_and(|book| book >= books);
    if let Some(symbol) = config.symbols.iter().find(beyond) {
        let (name, book) = (symbol.name.get_ref(), symbol.book.unwrap_or_default());
        let what = format!(
            "{name} is to be in book {book}, and [gateway] books = {books}: their numbers are 0 to {}",
            books - 1
        );
        return checker.fail(symbol.name.span(), what);
    }
    Ok(())
}

fn check_gateway(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let gateway = &config.gateway;
    if cfg!(not(feature = "dpdk")) && *gateway.transport.get_ref() == TransportKind::Dpdk {
        let what = "this build has no transport = \"dpdk\": install libdpdk-dev and build it with \
                    `cargo build --release --features dpdk`";
        return checker.fail(gateway.transport.span(), what);
    }
    let allowed = crate::runtime::allowed_cores();
    if let Some(core) = gateway.cores.get_ref().iter().find(|core| !allowed.contains(core)) {
        let what = format!("core {core} is not one this process may use; those are {allowed:?}");
        return checker.fail(gateway.cores.span(), what);
    }
    let between = |value: u64, low: u64, high: u64, place, key: &str| {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        checker.fail(place, format!("{key} = {value} must be {low} to {high}"))
    };
    let spanned = &gateway.max_connections;
    between((*spanned.get_ref()).into(), 1, 65_536, spanned.span(), "max_connections")?;
    let spanned = &gateway.max_orders;
    between((*spanned.get_ref()).into(), 16, 1 << 24, spanned.span(), "max_orders")?;
    for (spanned, low, high, key) in [
        (&gateway.ring_capacity, 2_048, 1 << 20, "ring_capacity"),
        (&gateway.stream_window_bytes, 64 << 10, 1 << 32, "stream_window_bytes"),
    ] {
        let value = *spanned.get_ref();
        between(value as u64, low, high, spanned.span(), key)?;
        if !value.is_power_of_two() {
            let near = value.next_power_of_two();
            let what = format!("{key} = {value} must be a power of two, such as {near}");
            return checker.fail(spanned.span(), what);
        }
    }
    let spanned = &gateway.order_names_max;
    between((*spanned.get_ref()).into(), 1, 1 << 30, spanned.span(), "order_names_max")?;
    let spanned = &gateway.login_helpers;
    between((*spanned.get_ref()).into(), 0, 64, spanned.span(), "login_helpers")?;
    let spanned = &gateway.stream_pool_bytes;
    between(*spanned.get_ref() as u64, 1 << 20, 1 << 40, spanned.span(), "stream_pool_bytes")?;
    let spanned = &gateway.fix_parsers;
    between((*spanned.get_ref()).into(), 0, 16, spanned.span(), "fix_parsers")?;
    if *spanned.get_ref() > 0 && gateway.topology == Topology::Inline {
        let what = "fix_parsers are threads of their own: they need topology = \"pipeline\"";
        return checker.fail(spanned.span(), what);
    }
    let spanned = &gateway.flush_ms;
    between((*spanned.get_ref()).into(), 1, 20, spanned.span(), "flush_ms")?;
    let spanned = &gateway.books;
    between((*spanned.get_ref()).into(), 1, 64, spanned.span(), "books")?;
    if *spanned.get_ref() > 1 && gateway.topology == Topology::Inline {
        let what = "several books are threads of their own: they need topology = \"pipeline\"";
        return checker.fail(spanned.span(), what);
    }
    let spanned = &gateway.audit_file_bytes;
    between(*spanned.get_ref(), 64 << 10, 1 << 40, spanned.span(), "audit_file_bytes")
}

/// Frames: `[af_xdp]`, `[tcp]`, `[faults]`.
fn check_frames(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let transport = &config.gateway.transport;
    let Tcp { receive_bytes, transmit_bytes, rto_min_us } = &config.tcp;
    for (value, span, low, high, key) in [
        (*receive_bytes.get_ref(), receive_bytes.span(), 2_048, 1 << 20, "receive_bytes"),
        (*transmit_bytes.get_ref(), transmit_bytes.span(), 1_024, 1 << 20, "transmit_bytes"),
        (*rto_min_us.get_ref() as usize, rto_min_us.span(), 100, 1_000_000, "rto_min_us"),
    ] {
        if !(low..=high).contains(&value) {
            return checker.fail(span, format!("{key} = {value} must be {low} to {high}"));
        }
    }
    let name = match transport.get_ref() {
        TransportKind::Kernel => {
            return match &config.faults {
                Some(_) => checker.fail(
                    transport.span(),
                    "[faults] spoils frames: it needs transport = \"af_xdp\" or \"dpdk\"",
                ),
                None => Ok(()),
            };
        }
        TransportKind::AfXdp => "af_xdp",
        TransportKind::Dpdk => "dpdk",
    };
    let vague = |address: IpAddr| {
        let of_the_link = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        let mapped = address.to_canonical() != address;
        address.is_unspecified() || address.is_multicast() || of_the_link || mapped
    };
    let mut trading = config.ports.iter().filter(|port| !port.is_for_listeners());
    if let Some(port) = trading.find(|port| vague(port.listen.get_ref().ip())) {
        let what = format!(
            "transport = \"{name}\" takes frames for an address of its own: name it, such as \
             10.9.0.1:7001 or [fd09::1]:7001"
        );
        return checker.fail(port.listen.span(), what);
    }
    match transport.get_ref() {
        TransportKind::AfXdp => check_af_xdp(config, checker),
        _ => check_dpdk(config, checker),
    }
}

fn check_dpdk(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let Some(dpdk) = &config.dpdk else {
        let what = "transport = \"dpdk\" needs a [dpdk] table with device = \"0000:00:06.0\", or \
                    another address";
        return checker.fail(config.gateway.transport.span(), what);
    };
    let mut trading = config.ports.iter().filter(|port| !port.is_for_listeners());
    if let Some(port) = trading.find(|port| port.listen.get_ref().ip().is_loopback()) {
        let what = "transport = \"dpdk\" takes the whole device: listen on an address of its network, \
                    not on loopback";
        return checker.fail(port.listen.span(), what);
    }
    if dpdk.device.get_ref().is_empty() {
        return checker.fail(dpdk.device.span(), "device is a PCI address or a virtual device");
    }
    if !(1..=64).contains(dpdk.queues.get_ref()) {
        return checker.fail(dpdk.queues.span(), "queues is 1 to 64");
    }
    let descriptors = *dpdk.descriptors.get_ref();
    if !(64..=8192).contains(&descriptors) {
        return checker.fail(dpdk.descriptors.span(), "descriptors is 64 to 8192, such as 512");
    }
    if !(2048..=9600).contains(dpdk.frame_bytes.get_ref()) {
        return checker.fail(dpdk.frame_bytes.span(), "frame_bytes is 2048 to 9600");
    }
    let mtu = *dpdk.mtu.get_ref();
    if mtu != 0 && !(576..=dpdk.frame_bytes.get_ref() - 22).contains(&mtu) {
        let what = "mtu is 576 to frame_bytes less 22 for the Ethernet header, or 0";
        return checker.fail(dpdk.mtu.span(), what);
    }
    // Both directions full, and bursts in the driver's hands and its cache's.
    let least = 2 * u32::from(descriptors) + 1024;
    if *dpdk.mbufs.get_ref() < least {
        let what = format!(
            "mbufs = {} are too few for {descriptors} descriptors each way: at least {least}",
            dpdk.mbufs.get_ref()
        );
        return checker.fail(dpdk.mbufs.span(), what);
    }
    Ok(())
}

fn check_af_xdp(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let transport = &config.gateway.transport;
    let Some(af_xdp) = &config.af_xdp else {
        let what = "transport = \"af_xdp\" needs an [af_xdp] table with interface = \"...\"";
        return checker.fail(transport.span(), what);
    };
    let queues = af_xdp.queues.get_ref();
    let twice = queues.iter().enumerate().any(|(at, queue)| queues[..at].contains(queue));
    if queues.is_empty() || twice || queues.len() > 64 {
        let what = "queues names 1 to 64 receive queues, each once, such as [0]";
        return checker.fail(af_xdp.queues.span(), what);
    }
    if ![2048, 4096].contains(af_xdp.frame_bytes.get_ref()) {
        return checker.fail(af_xdp.frame_bytes.span(), "frame_bytes is 2048 or 4096");
    }
    let frames = *af_xdp.ring_frames.get_ref();
    if !frames.is_power_of_two() || !(64..=65_536).contains(&frames) {
        let what = "ring_frames is a power of two from 64 to 65536, such as 2048";
        return checker.fail(af_xdp.ring_frames.span(), what);
    }
    Ok(())
}

fn check_ports(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    if config.ports.iter().all(Port::is_for_listeners) {
        return checker.fail(0..0, "at least one [[port]] is needed on which orders come in");
    }
    let mut seen = HashSet::new();
    for port in &config.ports {
        let address = port.listen.get_ref();
        let protocol = *port.protocol.get_ref();
        if protocol == Protocol::Glimpse && config.feed.is_none() {
            let what = "snapshots are of the feed: a glimpse port needs a [feed] table";
            return checker.fail(port.protocol.span(), what);
        }
        if port.drop_copy && protocol != Protocol::Fix44 {
            let what = "drop_copy = true is for fix44; protocol = \"dropcopy\" says it itself";
            return checker.fail(port.protocol.span(), what);
        }
        if address.port() != 0 && !seen.insert(*address) {
            return checker.fail(port.listen.span(), format!("{address} is listened on twice"));
        }
    }
    Ok(())
}

fn check_feed(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let Some(feed) = &config.feed else { return Ok(()) };
    check_lines(checker, &feed.lines, feed.interface.as_ref())?;
    if !(1..=255).contains(feed.hops.get_ref()) {
        return checker.fail(feed.hops.span(), "hops is 1 to 255");
    }
    if !(FEED_MTU_MIN..=9_216).contains(feed.mtu.get_ref()) {
        let what = format!(
            "mtu = {} must be {FEED_MTU_MIN} to 9216: a packet has room for one message at least",
            feed.mtu.get_ref()
        );
        return checker.fail(feed.mtu.span(), what);
    }
    if !(1..=1_000_000).contains(feed.requests_per_second.get_ref()) {
        return checker
            .fail(feed.requests_per_second.span(), "requests_per_second is 1 to 1000000");
    }
    let keep = *feed.keep.get_ref();
    if !keep.is_power_of_two() || !(1_024..=1 << 28).contains(&keep) {
        let what = "keep is a power of two from 1024 to 268435456, such as 262144";
        return checker.fail(feed.keep.span(), what);
    }
    if let Some(ring) = &feed.ring {
        let place = crate::ring::region::Place::new(&feed.ring_dir, ring.get_ref());
        place.or_else(|error| checker.fail(ring.span(), error.to_string()))?;
    }
    let session = feed.session.get_ref();
    let plain = session.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if session.len() > 10 || !plain {
        let what = "session is up to 10 ASCII letters and digits";
        return checker.fail(feed.session.span(), what);
    }
    Ok(())
}

/// Lines of a feed, and the interface that they go or come by.
pub(super) fn check_lines(
    checker: &Checker<'_>,
    lines: &Spanned<Vec<SocketAddr>>,
    interface: Option<&Spanned<IpAddr>>,
) -> Result<(), ConfigError> {
    let (place, lines) = (lines.span(), lines.get_ref());
    let families = lines.iter().map(|line| line.is_ipv4());
    if lines.len() > 8 || families.clone().any(|v4| v4) && families.clone().any(|v4| !v4) {
        let what = "lines are up to 8 addresses of one family, such as [\"239.192.7.1:26400\"]";
        return checker.fail(place, what);
    }
    if let Some(line) = lines.iter().find(|line| line.port() == 0 || line.ip().is_unspecified()) {
        let what = format!("nobody can be sent to at {line}: a line has an address and a port");
        return checker.fail(place, what);
    }
    if let Some(interface) = interface
        && lines.iter().any(|line| line.is_ipv4() != interface.get_ref().is_ipv4())
    {
        let what = "interface is an address of this host, of the same family as the lines";
        return checker.fail(interface.span(), what);
    }
    Ok(())
}

fn check_users(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let outside = config.ports.iter().find(|port| !port.listen.get_ref().ip().is_loopback());
    let mut seen = HashSet::new();
    let mut comp_ids = HashSet::new();
    check_comp_id(checker, &config.gateway.fix_comp_id, "fix_comp_id")?;
    let mut firms = HashSet::new();
    for (count, user) in (1..).zip(&config.users) {
        firms.insert(user.firm.get_ref());
        if count > usize::from(USERS_MAX) || firms.len() > usize::from(FIRMS_MAX) {
            let what = format!("there are more than {USERS_MAX} users, or {FIRMS_MAX} firms");
            return checker.fail(user.name.span(), what);
        }
        check_protocol(config, user, checker, &mut comp_ids)?;
        let is_fix = config.protocol_of(user).is_fix();
        checker.name(&user.name, "user", 6, &mut seen)?;
        checker.plain(&user.firm, "firm", 4)?;
        match (&user.password, &user.password_hash) {
            (Some(plain), None) => {
                let (most, of) = if is_fix { (64, "FIX") } else { (10, "SoupBinTCP") };
                if plain.get_ref().0.is_empty() || plain.get_ref().0.len() > most {
                    let what = format!("a {of} password has 1 to {most} characters");
                    return checker.fail(plain.span(), what);
                }
                if let Some(port) = outside {
                    return refuse_plain(checker, port.listen.get_ref(), plain);
                }
            }
            (None, Some(hash)) => {
                let valid = argon2::password_hash::PasswordHash::new(&hash.get_ref().0)
                    .is_ok_and(|hash| hash.algorithm.as_str() == "argon2id");
                if !valid {
                    let what = "password_hash is not an argon2id PHC string; \
                                `millrace hash-password` makes one";
                    return checker.fail(hash.span(), what);
                }
            }
            _ => {
                let what = format!(
                    "user \"{}\" needs a password or a password_hash, and not both",
                    user.name.get_ref()
                );
                return checker.fail(user.name.span(), what);
            }
        }
    }
    Ok(())
}

/// Bytes of the longest CompID.
const COMP_ID_MAX: usize = 32;

pub(super) fn check_comp_id(
    checker: &Checker<'_>,
    comp_id: &Spanned<String>,
    key: &str,
) -> Result<(), ConfigError> {
    let text = comp_id.get_ref();
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=');
    if text.is_empty() || text.len() > COMP_ID_MAX || !plain {
        let what = format!(
            "{key} \"{text}\" must be 1 to {COMP_ID_MAX} printable ASCII characters without \
             spaces"
        );
        return checker.fail(comp_id.span(), what);
    }
    Ok(())
}

/// Firms that one user watches, at most.
const WATCHED_MAX: usize = 12;

/// Who watches firms, and who does not.
fn check_watcher(
    config: &Config,
    user: &User,
    protocol: Protocol,
    checker: &Checker<'_>,
) -> Result<(), ConfigError> {
    let name = user.name.get_ref();
    let Some(first) = user.drop_copy_of.first() else {
        let place = user.protocol.as_ref().map_or(user.name.span(), Spanned::span);
        return match protocol {
            Protocol::Dropcopy => {
                let what = format!(
                    "user \"{name}\" speaks dropcopy and watches nobody: drop_copy_of = [\"{}\"]",
                    user.firm.get_ref()
                );
                checker.fail(place, what)
            }
            Protocol::Glimpse => {
                let what = "nobody speaks glimpse for good: every user may log in on such a port";
                checker.fail(place, what)
            }
            _ => Ok(()),
        };
    };
    if !matches!(protocol, Protocol::Dropcopy | Protocol::Fix44) {
        let what = "who has drop_copy_of speaks dropcopy or fix44";
        return checker.fail(first.span(), what);
    }
    if user.drop_copy_of.len() > WATCHED_MAX {
        let what = format!("drop_copy_of names up to {WATCHED_MAX} firms");
        return checker.fail(first.span(), what);
    }
    let trades = |firm: &str| {
        let of = |other: &User| other.drop_copy_of.is_empty() && other.firm.get_ref() == firm;
        config.users.iter().any(of)
    };
    match user.drop_copy_of.iter().find(|firm| !trades(firm.get_ref())) {
        None => Ok(()),
        Some(firm) => {
            let what = format!("nobody trades for firm \"{}\"", firm.get_ref());
            checker.fail(firm.span(), what)
        }
    }
}

/// What a user speaks has to be spoken on a port, and to fit its CompID.
fn check_protocol(
    config: &Config,
    user: &User,
    checker: &Checker<'_>,
    seen: &mut HashSet<String>,
) -> Result<(), ConfigError> {
    let protocol = config.protocol_of(user);
    let place = user.protocol.as_ref().map_or(user.name.span(), Spanned::span);
    let watches = !user.drop_copy_of.is_empty();
    check_watcher(config, user, protocol, checker)?;
    let spoken = |p: Protocol| {
        let fits = |port: &&Port| port.is_for_listeners() == watches;
        config.ports.iter().filter(fits).any(|port| *port.protocol.get_ref() == p)
    };
    if !spoken(protocol) {
        let name = match protocol {
            Protocol::Fix44 if watches => "fix44\" and drop_copy = \"true",
            protocol => protocol.name(),
        };
        let what = format!(
            "user \"{}\" speaks {name}, and no [[port]] has protocol = \"{name}\"",
            user.name.get_ref()
        );
        return checker.fail(place, what);
    }
    match (&user.fix_comp_id, protocol.is_fix()) {
        (Some(comp_id), true) => {
            check_comp_id(checker, comp_id, "fix_comp_id")?;
            let text = comp_id.get_ref();
            if text == config.gateway.fix_comp_id.get_ref() {
                let what = format!("fix_comp_id \"{text}\" is the gateway's own");
                return checker.fail(comp_id.span(), what);
            }
            if !seen.insert(text.clone()) {
                let what = format!("fix_comp_id \"{text}\" is there twice");
                return checker.fail(comp_id.span(), what);
            }
            Ok(())
        }
        (Some(comp_id), false) => {
            let what = format!("fix_comp_id is for FIX, and this user speaks {}", protocol.name());
            checker.fail(comp_id.span(), what)
        }
        (None, true) => {
            let what = format!(
                "user \"{}\" speaks {} and needs a fix_comp_id, such as \"{}\"",
                user.name.get_ref(),
                protocol.name(),
                user.name.get_ref()
            );
            checker.fail(place, what)
        }
        (None, false) => Ok(()),
    }
}

fn refuse_plain(
    checker: &Checker<'_>,
    address: &std::net::SocketAddr,
    plain: &Spanned<super::Password>,
) -> Result<(), ConfigError> {
    let known = plain.get_ref().0 == BUILT_IN_PASSWORD && BUILT_IN.contains(BUILT_IN_PASSWORD);
    let why = if known { "everybody knows this password" } else { "passwords lie open here" };
    let what = format!(
        "a plain text password is allowed only while every port is on loopback, and {address} is \
         not ({why}); run `millrace hash-password` and use password_hash"
    );
    checker.fail(plain.span(), what)
}

fn check_symbols(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    for (count, symbol) in (1..).zip(&config.symbols) {
        self::symbol(symbol, &mut seen).or_else(|what| checker.fail(symbol.name.span(), what))?;
        if count > usize::from(SYMBOLS_MAX) {
            let what = format!("there are more than {SYMBOLS_MAX} symbols");
            return checker.fail(symbol.name.span(), what);
        }
    }
    Ok(())
}

fn check_risk(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let firms: HashSet<&str> = config.users.iter().map(|u| u.firm.get_ref().as_str()).collect();
    let symbols: HashSet<&str> = config.symbols.iter().map(|s| s.name.get_ref().as_str()).collect();
    for firm in config.risk.firm.keys() {
        if !firms.contains(firm.get_ref().as_str()) {
            let what = format!("no user belongs to firm \"{}\"", firm.get_ref());
            return checker.fail(firm.span(), what);
        }
    }
    let all = std::iter::once(&config.risk.default).chain(config.risk.firm.values());
    for symbol in all.filter_map(|limits| limits.restricted.as_ref()).flatten() {
        if !symbols.contains(symbol.get_ref().as_str()) {
            let what = format!("restricted symbol \"{}\" is not a [[symbol]]", symbol.get_ref());
            return checker.fail(symbol.span(), what);
        }
    }
    Ok(())
}
