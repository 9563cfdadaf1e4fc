//! The tables and keys of the file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::feed::Feed;
use super::frames::{AfXdp, Dpdk, Faults, Tcp};
use super::mischief::Mischief;
use super::segments::SegmentTable;
use super::venues::{Routing, Venue};
use crate::order::Price;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How the process runs.
    #[serde(default)]
    pub gateway: Gateway,
    /// Where it listens.
    #[serde(rename = "port", default)]
    pub ports: Vec<Port>,
    /// Who may log in.
    #[serde(rename = "user")]
    pub users: Vec<User>,
    /// What is traded; those of `[symbols] file` behind those of the file itself.
    #[serde(rename = "symbol", default)]
    pub symbols: Vec<Symbol>,
    /// More of them.
    #[serde(rename = "symbols", default)]
    pub symbols_file: Option<SymbolsFile>,
    /// What is allowed.
    #[serde(default)]
    pub risk: Risk,
    /// Where frames come from with `transport = "af_xdp"`.
    #[serde(default)]
    pub af_xdp: Option<AfXdp>,
    /// Where frames come from with `transport = "dpdk"`.
    #[serde(default)]
    pub dpdk: Option<Dpdk>,
    /// TCP over frames.
    #[serde(default)]
    pub tcp: Tcp,
    /// What a test network does to frames.
    #[serde(default)]
    pub faults: Option<Faults>,
    /// What a venue for tests does to those who trade there.
    #[serde(default)]
    pub mischief: Option<Spanned<Mischief>>,
    /// Market data, if there is any.
    #[serde(default)]
    pub feed: Option<Feed>,
    /// Outside exchanges that orders go on to.
    #[serde(rename = "venue", default)]
    pub venues: Vec<Venue>,
    /// Which orders do.
    #[serde(default)]
    pub routing: Routing,
    /// Several sequencers, each with symbols and ports of its own; without, there is one.
    #[serde(rename = "segment", default)]
    pub segments: Vec<SegmentTable>,
}

/// `[gateway]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// What carries the bytes.
    pub transport: Spanned<TransportKind>,
    /// The user that runs the gateway once it is set up; it has to start as root then.
    pub user: Option<Spanned<String>>,
    /// A group that may read the journal, the audit files and the counters; nobody else may, but for
    /// their owner.
    pub group: Option<Spanned<String>>,
    /// Where what is sequenced and not yet on disk outlives the process with `ack = "sequenced"`: a folder of a memory
    /// file system. Empty: nowhere.
    pub crash_dir: PathBuf,
    /// Whether the process gives up what it does not need once it runs.
    pub confine: bool,
    /// Which agents share a core.
    pub topology: Topology,
    /// Books that have the symbols among them, a core each with `topology = "pipeline"`.
    pub books: Spanned<u8>,
    /// When an acknowledgement may leave.
    pub ack: Ack,
    /// How often the journal is put on disk if no acknowledgement waits for it; its ring has room for what comes
    /// meanwhile.
    pub flush_ms: Spanned<u16>,
    /// Where the journal lies.
    pub data_dir: PathBuf,
    /// With less of the disk left, no new orders are taken.
    pub min_free_bytes: u64,
    /// Agents are pinned to these, in order, wrapping round; empty: not pinned.
    pub cores: Spanned<Vec<usize>>,
    /// What an agent does when it finds nothing to do.
    pub idle: Idle,
    /// Connections at once.
    pub max_connections: Spanned<u32>,
    /// Threads that check passwords; 0: as many as there are cores beside the agents.
    pub login_helpers: Spanned<u8>,
    /// Open orders at once, over all symbols.
    pub max_orders: Spanned<u32>,
    /// Commands (and events) that may be under way between two agents.
    pub ring_capacity: Spanned<usize>,
    /// Bytes of each user's outbound messages kept for sending and replay, at most.
    pub stream_window_bytes: Spanned<usize>,
    /// Bytes of all users' together.
    pub stream_pool_bytes: Spanned<usize>,
    /// FIX: the gateway's CompID.
    pub fix_comp_id: Spanned<String>,
    /// FIX: agents that parse for each queue; 0 has the gateway's own do it.
    pub fix_parsers: Spanned<u8>,
    /// Names that a user may give its orders in a day (FIX: ClOrdID, OUCH 4.2: token): each is kept.
    pub order_names_max: Spanned<u32>,
    /// What happens when the audit file's writer does not keep up.
    pub audit: Audit,
    /// Where audit files lie; `audit` in `data_dir` unless given.
    pub audit_dir: Option<PathBuf>,
    /// Bytes after which an audit file is closed and the next one begun.
    pub audit_file_bytes: Spanned<u64>,
    /// Agents of other segments in the same process.
    #[serde(skip)]
    pub agents_beside: usize,
}

impl Default for Gateway {
    fn default() -> Self {
        Gateway {
            transport: Spanned::new(0..0, TransportKind::Kernel),
            user: None,
            group: None,
            crash_dir: "/dev/shm".into(),
            confine: true,
            topology: Topology::Inline,
            books: Spanned::new(0..0, 1),
            ack: Ack::Journaled,
            flush_ms: Spanned::new(0..0, 10),
            data_dir: "millrace-data".into(),
            min_free_bytes: 256 << 20,
            cores: Spanned::new(0..0, Vec::new()),
            idle: Idle::Auto,
            max_connections: Spanned::new(0..0, 1200),
            login_helpers: Spanned::new(0..0, 0),
            max_orders: Spanned::new(0..0, 262_144),
            ring_capacity: Spanned::new(0..0, 8_192),
            stream_window_bytes: Spanned::new(0..0, 4 << 20),
            stream_pool_bytes: Spanned::new(0..0, 256 << 20),
            fix_comp_id: Spanned::new(0..0, "MILLRACE".to_owned()),
            fix_parsers: Spanned::new(0..0, 0),
            order_names_max: Spanned::new(0..0, 1_000_000),
            audit: Audit::DropAndCount,
            audit_dir: None,
            audit_file_bytes: Spanned::new(0..0, 256 << 20),
            agents_beside: 0,
        }
    }
}

/// `audit`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audit {
    /// The gateway waits.
    Block,
    /// Messages are left out, and counted.
    DropAndCount,
    /// No audit files are written.
    Off,
}

/// `transport`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportKind {
    /// Kernel sockets.
    Kernel,
    /// AF_XDP.
    AfXdp,
    /// DPDK.
    Dpdk,
}

/// `topology`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Gateway, risk and book take turns on one core.
    Inline,
    /// Gateway, risk and book have a core each.
    Pipeline,
}

/// `ack`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Once the command has its place in the sequence.
    Sequenced,
    /// Once the command is on disk.
    Journaled,
}

/// `idle`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// Spin where cores suffice, for a while; give way elsewhere.
    Auto,
    /// Never give way.
    Spin,
    /// Let other threads run between polls.
    Yield,
    /// Sleep between polls.
    Park,
}

/// `[[port]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// What is spoken there.
    pub protocol: Spanned<Protocol>,
    /// Address and port.
    pub listen: Spanned<SocketAddr>,
    /// FIX 4.4: for users with `drop_copy_of`, and for them alone.
    #[serde(default)]
    pub drop_copy: bool,
}

/// `protocol`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// OUCH 5.0 over SoupBinTCP.
    Ouch5,
    /// OUCH 4.2 over SoupBinTCP.
    Ouch42,
    /// FIX 4.2.
    Fix42,
    /// FIX 4.4.
    Fix44,
    /// What firms do, for those who watch them: OUCH 5.0 over SoupBinTCP, one way.
    Dropcopy,
    /// Snapshots of the displayed book, over SoupBinTCP.
    Glimpse,
}

impl Protocol {
    /// As the file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Ouch5 => "ouch5",
            Protocol::Ouch42 => "ouch42",
            Protocol::Fix42 => "fix42",
            Protocol::Fix44 => "fix44",
            Protocol::Dropcopy => "dropcopy",
            Protocol::Glimpse => "glimpse",
        }
    }

    /// FIX of any version.
    pub fn is_fix(self) -> bool {
        matches!(self, Protocol::Fix42 | Protocol::Fix44)
    }
}

impl Port {
    /// Whether those who log in there only listen.
    pub fn is_for_listeners(&self) -> bool {
        let protocol = *self.protocol.get_ref();
        self.drop_copy || matches!(protocol, Protocol::Dropcopy | Protocol::Glimpse)
    }
}

impl Config {
    /// The same with none but the ports on which orders come in.
    pub fn for_trading(&self) -> Config {
        let mut config = self.clone();
        config.ports.retain(|port| !port.is_for_listeners());
        config
    }

    /// Where audit files lie.
    pub fn audit_dir(&self) -> PathBuf {
        let dir = self.gateway.audit_dir.clone();
        dir.unwrap_or_else(|| self.gateway.data_dir.join("audit"))
    }

    /// What a user speaks: what it says, or else what follows from its CompID and the ports.
    pub fn protocol_of(&self, user: &User) -> Protocol {
        let has = |protocol| self.ports.iter().any(|port| *port.protocol.get_ref() == protocol);
        match (&user.protocol, &user.fix_comp_id) {
            (Some(protocol), _) => *protocol.get_ref(),
            (None, None) if !user.drop_copy_of.is_empty() => Protocol::Dropcopy,
            (None, Some(_)) if !has(Protocol::Fix44) && has(Protocol::Fix42) => Protocol::Fix42,
            (None, Some(_)) => Protocol::Fix44,
            (None, None) if !has(Protocol::Ouch5) && has(Protocol::Ouch42) => Protocol::Ouch42,
            (None, None) => Protocol::Ouch5,
        }
    }
}

/// `[[user]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// SoupBinTCP user name, or FIX Username (553), up to 6 letters and digits.
    pub name: Spanned<String>,
    /// What it speaks, where that does not follow from the rest.
    #[serde(default)]
    pub protocol: Option<Spanned<Protocol>>,
    /// FIX: the user's CompID.
    #[serde(default)]
    pub fix_comp_id: Option<Spanned<String>>,
    /// Plain text password, for loopback only.
    #[serde(default)]
    pub password: Option<Spanned<Password>>,
    /// argon2id hash of the password, a PHC string.
    #[serde(default)]
    pub password_hash: Option<Spanned<Password>>,
    /// Firm (MPID), up to 4 letters and digits.
    pub firm: Spanned<String>,
    /// Firms whose orders it watches; it enters none then.
    #[serde(default)]
    pub drop_copy_of: Vec<Spanned<String>>,
    /// Whether losing the connection cancels the user's orders.
    #[serde(default = "yes")]
    pub cancel_on_disconnect: bool,
}

/// A secret: read, never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

fn yes() -> bool {
    true
}

/// `[symbols]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SymbolsFile {
    /// A table of symbols with a heading, comma-separated. Its columns are the keys of a
    /// `[[symbol]]`. The path counts from the configuration's folder.
    pub file: Spanned<PathBuf>,
}

/// `[[symbol]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symbol {
    /// Up to 8 letters, digits and dots.
    pub name: Spanned<String>,
    /// Prices are multiples of this.
    #[serde(default = "cent", deserialize_with = "price")]
    pub tick: Price,
    /// What the price collar is measured from before the first trade.
    #[serde(deserialize_with = "price")]
    pub reference_price: Price,
    /// Which of several books has it, from 0; else those without take turns.
    #[serde(default)]
    pub book: Option<u8>,
}

impl Symbol {
    /// The tick of a symbol that does not say otherwise: a cent.
    pub(super) const TICK: Price = Price(100);
}

fn cent() -> Price {
    Symbol::TICK
}

/// A price, written as a string so that no float ever rounds it.
fn price<'de, D: Deserializer<'de>>(from: D) -> Result<Price, D::Error> {
    let text = String::deserialize(from)?;
    let price: Price = text.parse().map_err(serde::de::Error::custom)?;
    if price.0 == 0 {
        return Err(serde::de::Error::custom("a price is above 0"));
    }
    Ok(price)
}

/// `[risk]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Risk {
    /// For every firm.
    pub default: Limits,
    /// For one firm, overriding key by key.
    pub firm: BTreeMap<Spanned<String>, Limits>,
}

/// `[risk.default]` and `[risk.firm.X]`: every key is optional.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most shares of one order.
    pub max_order_qty: Option<u32>,
    /// Most that one order may be worth.
    pub max_order_notional: Option<Money>,
    /// How far a price may be from the last trade, in 1/100 of a percent.
    pub price_collar_bps: Option<u32>,
    /// Messages of one user in a second.
    pub max_messages_per_second: Option<u32>,
    /// Most net shares of a symbol, open orders counted at their worst.
    pub max_position: Option<u64>,
    /// Most that all open orders may be worth.
    pub max_open_notional: Option<Money>,
    /// Most open orders of the firm; unless given, its part of `max_orders` if every firm had the
    /// same.
    pub max_open_orders: Option<u32>,
    /// Most orders of one user for which one outside exchange owes an answer; unless given, its part of what the
    /// slowest takes in two seconds, and eight at least.
    pub max_unanswered: Option<u32>,
    /// For how long an order may not be repeated.
    pub duplicate_window_ms: Option<u32>,
    /// What to do when two orders of the firm would trade.
    pub self_trade: Option<SelfTradePolicy>,
    /// Whether market orders are allowed.
    pub market_orders: Option<bool>,
    /// Whether short sales are allowed.
    pub short_sales: Option<bool>,
    /// Symbols the firm must not trade.
    pub restricted: Option<Vec<Spanned<String>>>,
}

/// `self_trade`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "as in order::SelfTrade")]
pub enum SelfTradePolicy {
    CancelNewest,
    CancelOldest,
    CancelBoth,
    Decrement,
    Allow,
}

/// An amount of money in 1/10000, written as a string such as `"20000000.00"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Money(pub u64);

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        let text = String::deserialize(from)?;
        let amount = crate::order::parse_fixed4(&text).ok();
        amount.map(Money).ok_or_else(|| {
            serde::de::Error::custom("an amount is digits with at most four decimals, in quotes")
        })
    }
}
