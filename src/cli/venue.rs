//! `millrace venue`

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Outcome;
use crate::client::{Answer, Client, NewOrder, Received};
use crate::config::Config;
use crate::order::Price;
use crate::runtime::signals;
use crate::segment::Segment;

/// Run an outside exchange to route orders to, for tests and demonstrations: another book, with FIX and OUCH ports,
/// that quotes a little itself and does what exchanges do to people.
#[derive(clap::Args)]
pub struct Arguments {
    /// What it is called: its CompID.
    #[arg(long, default_value = "XOUT")]
    name: String,
    /// The CompID of who calls.
    #[arg(long, default_value = "MILLRACE")]
    caller: String,
    /// Where it listens for FIX 4.4.
    #[arg(long, default_value = "127.0.0.1:9001")]
    fix44: SocketAddr,
    /// Where it listens for FIX 4.2.
    #[arg(long, default_value = "127.0.0.1:9002")]
    fix42: SocketAddr,
    /// Where it listens for OUCH 5.0, for user GATE.
    #[arg(long, default_value = "127.0.0.1:9003")]
    ouch5: SocketAddr,
    /// A configuration whose symbols it trades, instead of the built-in ones.
    #[arg(long, value_name = "FILE")]
    symbols_of: Option<PathBuf>,
    /// Where it keeps its journal; a new folder that is removed at the end, unless given.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Shares that it quotes on each side of each symbol, a tick from the reference price; what trades with them is
    /// filled in parts. 0 quotes nothing.
    #[arg(long, default_value_t = 0)]
    quote: u32,
    #[command(flatten)]
    mischief: Mischief,
}

/// What it does to those who trade there.
#[derive(clap::Args, Clone, Copy, Default)]
pub struct Mischief {
    /// Microseconds that every answer is held back.
    #[arg(long, default_value_t = 0)]
    pub delay_us: u32,
    /// Of a million new orders, so many are refused.
    #[arg(long, default_value_t = 0)]
    pub reject_ppm: u32,
    /// Of a million trades, so many are undone.
    #[arg(long, default_value_t = 0)]
    pub bust_ppm: u32,
    /// After so many of a million messages the connection is cut.
    #[arg(long, default_value_t = 0)]
    pub disconnect_ppm: u32,
    /// The same seed does the same to the same messages.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// The password of everybody there: it is for loopback.
pub const PASSWORD: &str = "secret";

/// What an exchange is made of.
pub struct Exchange<'a> {
    /// Its CompID.
    pub name: &'a str,
    /// The CompID of who calls.
    pub caller: &'a str,
    /// FIX 4.4, FIX 4.2, and OUCH 5.0.
    pub listen: [SocketAddr; 3],
    /// Its symbols, with ticks and reference prices.
    pub symbols: &'a [(String, Price, Price)],
    /// What it does to people.
    pub mischief: Mischief,
}

impl Exchange<'_> {
    /// Its configuration, with everything in `dir`.
    pub fn config(&self, dir: &Path) -> Result<Config, Box<dyn std::error::Error>> {
        let [fix44, fix42, ouch5] = self.listen;
        let (name, caller) = (self.name, self.caller);
        let mut text = format!(
            r#"
[gateway]
fix_comp_id = "{name}"
[[port]]
protocol = "fix44"
listen = "{fix44}"
[[port]]
protocol = "fix42"
listen = "{fix42}"
[[port]]
protocol = "ouch5"
listen = "{ouch5}"
[[user]]
name = "GATE"
password = "{PASSWORD}"
firm = "GATE"
cancel_on_disconnect = false
[[user]]
name = "GATE44"
protocol = "fix44"
fix_comp_id = "{caller}"
password = "{PASSWORD}"
firm = "GATE"
cancel_on_disconnect = false
[[user]]
name = "GATE42"
protocol = "fix42"
fix_comp_id = "{caller}42"
password = "{PASSWORD}"
firm = "GATE"
cancel_on_disconnect = false
[[user]]
name = "HOUSE"
password = "{PASSWORD}"
firm = "HOUS"
[risk.default]
max_messages_per_second = 100000000
max_position = 1000000000
max_open_notional = "100000000000.00"
max_order_notional = "100000000000.00"
self_trade = "allow"
price_collar_bps = 0
"#
        );
        for (name, tick, reference) in self.symbols {
            writeln!(
                text,
                "[[symbol]]\nname = \"{name}\"\ntick = \"{tick}\"\nreference_price = \"{reference}\""
            )?;
        }
        let Mischief { delay_us, reject_ppm, bust_ppm, disconnect_ppm, seed } = self.mischief;
        if delay_us + reject_ppm + bust_ppm + disconnect_ppm > 0 {
            writeln!(
                text,
                "[mischief]\nseed = {seed}\ndelay_us = {delay_us}\nreject_ppm = {reject_ppm}\n\
                 bust_ppm = {bust_ppm}\ndisconnect_ppm = {disconnect_ppm}"
            )?;
        }
        let mut config = Config::parse(&text, "the exchange's configuration")?;
        config.gateway.data_dir = dir.to_owned();
        Ok(config)
    }
}

/// The symbols of a configuration.
pub fn symbols_of(config: &Config) -> Vec<(String, Price, Price)> {
    let symbol = |s: &crate::config::Symbol| (s.name.get_ref().clone(), s.tick, s.reference_price);
    config.symbols.iter().map(symbol).collect()
}

/// A directory that is removed at the end, if it was made for this run.
struct Folder {
    dir: PathBuf,
    own: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.own {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    super::start_log();
    signals::hold_back();
    let config = match &arguments.symbols_of {
        Some(path) => Config::load(path)?,
        None => Config::built_in(),
    };
    let own = std::env::temp_dir().join(format!("millrace-venue-{}", std::process::id()));
    let folder = match &arguments.data {
        Some(dir) => Folder { dir: dir.clone(), own: false },
        None => Folder { dir: own, own: true },
    };
    let symbols = symbols_of(&config);
    let exchange = Exchange {
        name: &arguments.name,
        caller: &arguments.caller,
        listen: [arguments.fix44, arguments.fix42, arguments.ouch5],
        symbols: &symbols,
        mischief: arguments.mischief,
    };
    let segment = Segment::start(&exchange.config(&folder.dir)?)?;
    let [fix44, fix42, ouch5] = segment.addresses() else { return Err("three ports".into()) };
    let house = match arguments.quote {
        0 => None,
        shares => Some(House::open(*ouch5, &symbols, shares)?),
    };
    println!("millrace venue {} ready fix44={fix44} fix42={fix42} ouch5={ouch5}", arguments.name);
    std::io::stdout().flush()?;
    while !signals::wait(Duration::from_millis(100)) {
        if let Some(why) = segment.failure() {
            return Err(format!("stopped: {why}").into());
        }
    }
    if let Some(house) = house {
        house.close();
    }
    segment.stop().failure.map_or(Ok(()), |why| Err(why.into()))
}

/// Symbols that it quotes, at most.
const QUOTED_MAX: usize = 100;

/// The exchange's own quotes, on a thread of their own.
pub struct House {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl House {
    /// Quotes so many shares on each side of each symbol, and again whenever they traded.
    pub fn open(
        to: SocketAddr,
        symbols: &[(String, Price, Price)],
        shares: u32,
    ) -> Result<House, Box<dyn std::error::Error>> {
        let mut client = Client::login(to, "HOUSE", PASSWORD, 0)?;
        client.send(&crate::client::account_query())?;
        let mut next = loop {
            let message = client.message(Duration::from_secs(10))?;
            if let Answer::AccountQueryResponse { next_user_ref } = Answer::parse(&message) {
                break next_user_ref;
            }
        };
        let mut quotes: HashMap<u32, (NewOrder, u32)> = HashMap::new();
        for (name, tick, reference) in symbols.iter().take(QUOTED_MAX) {
            for (side, price) in
                [(b'B', reference.0.saturating_sub(tick.0)), (b'S', reference.0 + tick.0)]
            {
                let order = NewOrder::new(next, side, shares, name, Price(price.max(tick.0)));
                client.send(&order.encode())?;
                quotes.insert(next, (order, shares));
                next += 1;
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let quote = move || {
            while !stopped.load(Ordering::Relaxed) {
                let received = client.receive(Duration::from_millis(50));
                let Ok(received) = received else { return };
                let Some(Received::Message(_, message)) = received else { continue };
                let (user_ref, gone) = match Answer::parse(&message) {
                    Answer::Executed { user_ref, quantity, .. } => (user_ref, quantity),
                    Answer::Canceled { user_ref, quantity, .. } => (user_ref, quantity),
                    Answer::Rejected { user_ref, .. } => (user_ref, u32::MAX),
                    _ => continue,
                };
                let Some((order, left)) = quotes.get_mut(&user_ref) else { continue };
                *left = left.saturating_sub(gone);
                if *left == 0 {
                    let mut order = order.clone();
                    order.user_ref = next;
                    quotes.remove(&user_ref);
                    if client.send(&order.encode()).is_err() {
                        return;
                    }
                    quotes.insert(next, (order, shares));
                    next += 1;
                }
            }
            let _ = client.logout();
        };
        let thread = std::thread::Builder::new().name("house".into()).spawn(quote)?;
        Ok(House { stop, thread })
    }

    /// Ends the quotes.
    pub fn close(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
    }
}
