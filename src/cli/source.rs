//! Which feed a command reads, and where it begins.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::client::feed::{Reader, take_in};
use crate::client::market::Market;
use crate::client::source::Source;
use crate::client::{Client, Received};
use crate::config::Config;
use crate::ring::region::Place;
use crate::wire::itch::EndOfSnapshot;

/// How long a snapshot may take.
const SNAPSHOT_MAX: Duration = Duration::from_secs(60);

/// Where market data comes from.
#[derive(clap::Args, Clone, Debug)]
pub struct FeedArguments {
    /// Take ring, lines and request server from the [feed] of a configuration.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which of its segments.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub segment: Option<String>,
    /// Read a ring on this host; `millrace-feed` if nothing else is said.
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    pub ring: Option<String>,
    /// The folder that the ring is in.
    #[arg(long, value_name = "DIR", default_value = Place::DIR)]
    pub ring_dir: PathBuf,
    /// Listen to a line; more than once for more of them.
    #[arg(long, value_name = "ADDRESS", visible_alias = "feed")]
    pub from: Vec<SocketAddr>,
    /// The address by whose interface multicast comes in.
    #[arg(long, value_name = "ADDRESS")]
    pub interface: Option<IpAddr>,
    /// Ask there for what was missed.
    #[arg(long, value_name = "ADDRESS")]
    pub request: Option<SocketAddr>,
}

impl FeedArguments {
    /// Opens the feed from its beginning, or, with nobody to ask for that, wherever it is; `joined` says that a
    /// snapshot will tell of what came before.
    pub fn open(&self, joined: bool) -> Result<Source, Box<dyn std::error::Error>> {
        let (mut ring, mut dir) = (self.ring.clone(), self.ring_dir.clone());
        let (mut lines, mut request) = (self.from.clone(), self.request);
        let mut interface = self.interface;
        if let Some(path) = &self.config {
            let config = Config::load(path)?.segment(self.segment.as_deref())?;
            let feed = config.feed.ok_or_else(|| format!("{} has no [feed]", path.display()))?;
            request = request.or(feed.request.map(|request| *request.get_ref()));
            interface = interface.or(feed.interface.map(|interface| *interface.get_ref()));
            if lines.is_empty() && ring.is_none() {
                ring = feed.ring.map(|ring| ring.get_ref().clone());
                dir = feed.ring_dir;
                lines = feed.lines.get_ref().clone();
            }
        }
        if ring.is_none() && lines.is_empty() {
            ring = Some("millrace-feed".to_owned());
        }
        if let Some(name) = ring {
            return Ok(Source::ring(&Place::new(&dir, &name)?)?);
        }
        let first = if request.is_some() || joined { 1 } else { 0 };
        let reader = Reader::open(&lines, interface, request, first);
        let reader = reader.map_err(|error| format!("cannot listen to {lines:?}: {error}"))?;
        Ok(Source::lines(reader))
    }
}

/// Where the market's state is had from, for who comes late.
#[derive(clap::Args, Clone, Debug)]
pub struct SnapshotArguments {
    /// Begin with a snapshot from there.
    #[arg(long, value_name = "ADDRESS", requires_all = ["user", "password"])]
    pub glimpse: Option<SocketAddr>,
    /// User name, for a snapshot.
    #[arg(long)]
    user: Option<String>,
    /// Password, for a snapshot.
    #[arg(long)]
    password: Option<String>,
}

impl SnapshotArguments {
    /// Logs in for a snapshot, if there is to be one. Returns the number of the message from which the feed goes
    /// on.
    pub fn take(&self, market: &mut Market) -> Result<Option<u64>, Box<dyn std::error::Error>> {
        let Some(to) = self.glimpse else { return Ok(None) };
        let user = self.user.as_deref().unwrap_or_default();
        let password = self.password.as_deref().unwrap_or_default();
        let mut client = Client::login(to, user, password, 0)?;
        let until = Instant::now() + SNAPSHOT_MAX;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match client.receive(left)? {
                Some(Received::Message(_, message))
                    if message.first() == Some(&EndOfSnapshot::KIND) =>
                {
                    let number = std::str::from_utf8(&message[1..])?.trim().parse()?;
                    return Ok(Some(number));
                }
                Some(Received::Message(_, message)) => take_in(market, &message)?,
                Some(Received::Debug(_)) => {}
                Some(Received::EndOfSession) | None => break,
            }
        }
        Err(format!("no whole snapshot came from {to}").into())
    }
}

/// A time of day.
pub fn clock(since_midnight_ns: u64) -> String {
    let (s, us) = (since_midnight_ns / 1_000_000_000, since_midnight_ns / 1_000 % 1_000_000);
    format!("{:02}:{:02}:{:02}.{us:06}", s / 3600, s / 60 % 60, s % 60)
}

/// What was asked for and is not there any more.
pub fn missed(wanted: u64, found: u64) -> Box<dyn std::error::Error> {
    format!(
        "message {wanted} is no longer in the ring, which goes on with {found}: begin with a snapshot \
         (--glimpse ADDRESS --user NAME --password WORD), or have the gateway keep more ([feed] keep)"
    )
    .into()
}
