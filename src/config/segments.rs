//! `[[segment]]`: several sequencers in one process. They share users, limits and what `[gateway]` says of each, and
//! nothing while they run.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::check::Checker;
use super::feed::Feed;
use super::frames::AfXdp;
use super::types::{Config, Port, Topology, TransportKind};
use super::{ConfigError, check};

/// Stands for every symbol that no other segment names.
const THE_REST: &str = "*";

/// `[[segment]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentTable {
    /// What it is called, which is also its folder in `data_dir`.
    pub name: Spanned<String>,
    /// What is traded there: names of `[[symbol]]`s, or `"*"` for those that no other segment names.
    pub symbols: Vec<Spanned<String>>,
    /// Where it listens.
    #[serde(rename = "port")]
    pub ports: Vec<Port>,
    /// Its agents' cores, which are no other segment's; empty: not pinned.
    #[serde(default)]
    pub cores: Option<Spanned<Vec<usize>>>,
    /// Its books, instead of `[gateway] books`.
    #[serde(default)]
    pub books: Option<Spanned<u8>>,
    /// Its data directory, instead of the one of its name in `[gateway] data_dir`.
    #[serde(default)]
    pub data_dir: Option<PathBuf>,
    /// Its market data.
    #[serde(default)]
    pub feed: Option<Feed>,
    /// Where its frames come from: queues of its own.
    #[serde(default)]
    pub af_xdp: Option<AfXdp>,
}

impl Config {
    /// What each segment runs with; the configuration itself if it has no `[[segment]]`.
    pub fn segments(&self) -> Vec<Config> {
        if self.segments.is_empty() {
            return vec![self.clone()];
        }
        let mut all: Vec<Config> = self.segments.iter().map(|segment| self.of(segment)).collect();
        let agents: usize = all.iter().map(Config::agents).sum();
        for config in &mut all {
            config.gateway.agents_beside = agents - config.agents();
        }
        all
    }

    /// Agents of a segment with one queue.
    fn agents(&self) -> usize {
        match self.gateway.topology {
            Topology::Inline => 1,
            Topology::Pipeline => 2 + usize::from(*self.gateway.books.get_ref()),
        }
    }

    /// What the segment of a name runs with, or the only one.
    pub fn segment(&self, name: Option<&str>) -> Result<Config, String> {
        let named =
            |segment: &&SegmentTable| name.is_none_or(|name| segment.name.get_ref() == name);
        match (name, &self.segments[..]) {
            (None, []) => Ok(self.clone()),
            (Some(name), []) => Err(format!("there is no segment \"{name}\": nor any other")),
            (None, [_, _, ..]) => Err(format!("say which segment: {}", self.names())),
            (_, all) => all.iter().find(named).map(|segment| self.of(segment)).ok_or_else(|| {
                format!(
                    "there is no segment \"{}\", but {}",
                    name.unwrap_or_default(),
                    self.names()
                )
            }),
        }
    }

    /// The ports and cores of all segments as if they were one's, for who looks at the machine.
    pub fn together(&self) -> Config {
        let mut all = self.clone();
        for segment in &self.segments {
            all.ports.extend(segment.ports.iter().cloned());
            if let Some(cores) = &segment.cores {
                all.gateway.cores.get_mut().extend(cores.get_ref());
            }
        }
        all
    }

    /// The names of segments, for people.
    fn names(&self) -> String {
        let names: Vec<&str> = self.segments.iter().map(|s| s.name.get_ref().as_str()).collect();
        names.join(", ")
    }

    fn of(&self, segment: &SegmentTable) -> Config {
        let SegmentTable { name, ports, cores, books, data_dir, feed, af_xdp, .. } =
            segment.clone();
        let mut config = Config { segments: vec![], ports, feed, ..self.clone() };
        config.af_xdp = af_xdp;
        let gateway = &mut config.gateway;
        gateway.data_dir = data_dir.unwrap_or_else(|| gateway.data_dir.join(name.get_ref()));
        gateway.audit_dir = gateway.audit_dir.as_ref().map(|dir| dir.join(name.get_ref()));
        gateway.cores = cores.unwrap_or_else(|| Spanned::new(0..0, vec![]));
        gateway.books = books.unwrap_or_else(|| gateway.books.clone());
        let named = |segment: &SegmentTable| -> HashSet<String> {
            segment.symbols.iter().map(|name| name.get_ref().clone()).collect()
        };
        let own = named(segment);
        let all: HashSet<String> = self.segments.iter().flat_map(named).collect();
        let rest = own.contains(THE_REST);
        let has = |symbol: &str| own.contains(symbol) || rest && !all.contains(symbol);
        config.symbols.retain(|symbol| has(symbol.name.get_ref()));
        let limits = std::iter::once(&mut config.risk.default).chain(config.risk.firm.values_mut());
        for restricted in limits.filter_map(|limits| limits.restricted.as_mut()) {
            restricted.retain(|symbol| has(symbol.get_ref()));
        }
        config
    }
}

/// What one segment cannot say about the others.
pub(super) fn check(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    if let Some(port) = config.ports.first() {
        let what = "with [[segment]]s each has its own ports: make it a [[segment.port]]";
        return checker.fail(port.listen.span(), what);
    }
    let cores = &config.gateway.cores;
    if !cores.get_ref().is_empty() {
        let what =
            "with [[segment]]s each has cores of its own: two on one core wait for each other";
        return checker.fail(cores.span(), what);
    }
    let transport = &config.gateway.transport;
    if *transport.get_ref() == TransportKind::Dpdk {
        let what = "DPDK is one segment's: several run on \"kernel\" or \"af_xdp\"";
        return checker.fail(transport.span(), what);
    }
    if config.feed.is_some() || config.af_xdp.is_some() {
        let what =
            "with [[segment]]s, feeds and frames are theirs: [segment.feed], [segment.af_xdp]";
        return checker.fail(0..0, what);
    }
    let known: HashSet<&str> = config.symbols.iter().map(|s| s.name.get_ref().as_str()).collect();
    let (mut names, mut traded, mut addresses) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut taken = HashSet::new();
    for segment in &config.segments {
        checker.name(&segment.name, "segment", 32, &mut names)?;
        for symbol in &segment.symbols {
            let name = symbol.get_ref().as_str();
            if name != THE_REST && !known.contains(name) {
                return checker.fail(symbol.span(), format!("\"{name}\" is not a [[symbol]]"));
            }
            if !traded.insert(name) {
                let what = format!("\"{name}\" is in two segments: it has one sequencer");
                return checker.fail(symbol.span(), what);
            }
        }
        // One segment may wrap round its own.
        let own: HashSet<usize> =
            segment.cores.iter().flat_map(|cores| cores.get_ref()).copied().collect();
        if let Some(core) = own.iter().find(|core| taken.contains(*core)) {
            let place = segment.cores.as_ref().map_or(0..0, Spanned::span);
            return checker.fail(place, format!("core {core} is another segment's too"));
        }
        taken.extend(own);
        for port in &segment.ports {
            let address = *port.listen.get_ref();
            if address.port() != 0 && !addresses.insert(address) {
                return checker.fail(port.listen.span(), format!("{address} is listened on twice"));
            }
        }
    }
    if !traded.contains(THE_REST)
        && let Some(symbol) =
            config.symbols.iter().find(|s| !traded.contains(s.name.get_ref().as_str()))
    {
        let name = symbol.name.get_ref();
        let what =
            format!("{name} is in no segment: name it there, or have one with symbols = [\"*\"]");
        return checker.fail(symbol.name.span(), what);
    }
    let mut folders = HashSet::new();
    for (segment, table) in config.segments().iter().zip(&config.segments) {
        if !folders.insert(segment.gateway.data_dir.clone()) {
            let what =
                format!("{} is another segment's data_dir too", segment.gateway.data_dir.display());
            return checker.fail(table.name.span(), what);
        }
        check::check_own(segment, checker)?;
        check::check_books(segment, checker)?;
        if segment.symbols.is_empty() {
            return checker.fail(table.name.span(), "nothing is traded there");
        }
    }
    Ok(())
}
