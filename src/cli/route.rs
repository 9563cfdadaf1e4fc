//! `millrace demo --route`: clients in front, crossing inside, an exchange behind.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Outcome;
use super::venue::{Exchange, House, Mischief, PASSWORD, symbols_of};
use crate::client::load::Random;
use crate::client::{Answer, Client, NewOrder, Received, cancel};
use crate::config::Config;
use crate::order::{Price, SymbolId};
use crate::runtime::signals;
use crate::segment::{Recovered, Segment, journal_dir, recover};

/// What each firm's orders do, and who trades for it.
const FIRMS: [(&str, &str, &[&str]); 3] = [
    ("FRM1", "cross-then-route", &["TRADE1", "TRADE2"]),
    ("FRM2", "route-only", &["TRADE3", "TRADE4"]),
    ("FRM3", "post-out", &["TRADE5"]),
];
/// Shares that the exchange quotes itself.
const QUOTE: u32 = 60;
/// How long the venue may take to be there, and the last answers to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing may come before everything has.
const SILENCE: Duration = Duration::from_millis(300);

/// An order as its owner was told of it.
struct Order {
    sent: Instant,
    left: u32,
    /// It waits for nobody: what it takes is the way there and back.
    at_once: bool,
}

/// A client and what it was told.
struct Trader {
    client: Client,
    firm: usize,
    next: u32,
    orders: HashMap<u32, Order>,
}

/// What a firm's orders came to.
#[derive(Clone, Default)]
struct Came {
    orders: u64,
    here: u64,
    outside: u64,
    canceled: u64,
    refused: u64,
}

struct Told {
    firms: [Came; FIRMS.len()],
    /// From an order that trades at once to its fills outside.
    fill_ns: Histogram<u64>,
}

impl Trader {
    fn hear(&mut self, message: &[u8], told: &mut Told) {
        let came = &mut told.firms[self.firm];
        match Answer::parse(message) {
            Answer::Executed { user_ref, quantity, liquidity, .. } => {
                let Some(order) = self.orders.get_mut(&user_ref) else { return };
                order.left = order.left.saturating_sub(quantity);
                match liquidity {
                    'X' => {
                        came.outside += u64::from(quantity);
                        if order.at_once {
                            let took = order.sent.elapsed().as_nanos() as u64;
                            told.fill_ns.saturating_record(took);
                        }
                    }
                    _ => came.here += u64::from(quantity),
                }
            }
            Answer::Canceled { user_ref, quantity, .. }
            | Answer::AiqCanceled { user_ref, decrement: quantity, .. } => {
                came.canceled += u64::from(quantity);
                if let Some(order) = self.orders.get_mut(&user_ref) {
                    order.left = order.left.saturating_sub(quantity);
                }
            }
            Answer::Rejected { user_ref, .. } => {
                came.refused += 1;
                self.orders.remove(&user_ref);
            }
            _ => {}
        }
    }
}

pub fn run(dir: &Path, seconds: u64, rate: u64) -> Outcome {
    let built_in = Config::built_in();
    let symbols = symbols_of(&built_in);
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let exchange = Exchange {
        name: "XOUT",
        caller: "MILLRACE",
        listen: [any; 3],
        symbols: &symbols,
        mischief: Mischief::default(),
    };
    let outside_config = exchange.config(&dir.join("exchange"))?;
    let outside = Segment::start(&outside_config)?;
    let [fix44, _, ouch5] = outside.addresses() else { return Err("three ports".into()) };
    let house = House::open(*ouch5, &symbols, QUOTE)?;
    println!(
        "exchange XOUT on {fix44} (FIX 4.4): quotes {QUOTE} shares on each side of {} symbols",
        symbols.len()
    );
    let inside_config = gateway(dir, *fix44)?;
    let inside = Segment::start(&inside_config)?;
    let address = inside.addresses()[0];
    let state = inside.counters().get("venue.XOUT.state");
    let started = Instant::now();
    while state.get() != 3 {
        if started.elapsed() > PATIENCE {
            return Err("the exchange does not let the gateway in".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("gateway on {address} (OUCH 5.0): 5 sessions, {rate} messages/s for {seconds} s\n");
    let (told, traders) = trade(address, seconds, rate)?;
    house.close();
    let open_outside = outside.counters().get("risk.open_orders").get();
    let stopped = [inside.stop(), outside.stop()];
    let recovered =
        [recovered(&inside_config, &stopped[0])?, recovered(&outside_config, &stopped[1])?];
    page(&told, &traders, &recovered, open_outside);
    compare(&recovered, &symbols)?;
    println!(
        "gateway: {} commands, state hash {}; exchange: {}, {}; both recovered as they were",
        stopped[0].commands, stopped[0].state_hash, stopped[1].commands, stopped[1].state_hash
    );
    Ok(())
}

/// The built-in configuration with a venue behind it.
fn gateway(dir: &Path, venue: SocketAddr) -> Result<Config, Box<dyn std::error::Error>> {
    let mut text = crate::config::BUILT_IN.replace("127.0.0.1:7001", "127.0.0.1:0");
    // What is open at the end stays, to be looked at.
    text = text.replace("firm = ", "cancel_on_disconnect = false\nfirm = ");
    text.push_str("max_messages_per_second = 100000000\nself_trade = \"cancel_newest\"\n");
    text.push_str(&format!(
        "[[venue]]\nname = \"XOUT\"\nprotocol = \"fix44\"\nconnect = \"{venue}\"\n\
         sender_comp_id = \"MILLRACE\"\ntarget_comp_id = \"XOUT\"\npassword = \"{PASSWORD}\"\n\
         max_messages_per_second = 1000000\n[routing.default]\nvenues = [\"XOUT\"]\n"
    ));
    for (firm, policy, _) in FIRMS {
        text.push_str(&format!("[routing.firm.{firm}]\npolicy = \"{policy}\"\n"));
    }
    let mut config = Config::parse(&text, "the demo's configuration")?;
    config.gateway.data_dir = dir.join("gateway");
    Ok(config)
}

/// Random orders around the reference prices, and cancels.
fn trade(
    address: SocketAddr,
    seconds: u64,
    rate: u64,
) -> Result<(Told, Vec<Trader>), Box<dyn std::error::Error>> {
    let fill_ns = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
    let mut told = Told { firms: Default::default(), fill_ns };
    let mut traders = vec![];
    for (firm, (_, _, users)) in FIRMS.iter().enumerate() {
        for user in *users {
            let client = Client::login(address, user, PASSWORD, 0)?;
            client.set_nonblocking()?;
            traders.push(Trader { client, firm, next: 1, orders: HashMap::new() });
        }
    }
    let built_in = Config::built_in();
    let mut random = Random::new(568);
    let started = Instant::now();
    for n in 0..rate * seconds {
        let due = Duration::from_nanos(n * 1_000_000_000 / rate);
        while started.elapsed() < due {
            if listen(&mut traders, &mut told)? == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        let at = (n % traders.len() as u64) as usize;
        let trader = &mut traders[at];
        if random.below(8) == 0 && trader.next > 1 {
            let back = 1 + random.below(20.min(u64::from(trader.next) - 1)) as u32;
            trader.client.send(&cancel(trader.next - back, 0))?;
            continue;
        }
        let symbol = &built_in.symbols[random.below(built_in.symbols.len() as u64) as usize];
        let side = if random.below(2) == 0 { b'B' } else { b'S' };
        let ticks = random.below(5) as i64 - 2;
        let price = i64::from(symbol.reference_price.0) + ticks * i64::from(symbol.tick.0);
        let quantity = 10 + random.below(190) as u32;
        let order =
            NewOrder::new(trader.next, side, quantity, symbol.name.get_ref(), Price(price as u32));
        let at_once = random.below(3) == 0;
        let order = if at_once { order.ioc() } else { order };
        trader.client.send(&order.encode())?;
        let kept = Order { sent: Instant::now(), left: quantity, at_once };
        trader.orders.insert(trader.next, kept);
        trader.next += 1;
        told.firms[trader.firm].orders += 1;
        if n % 64 == 0 && signals::wait(Duration::ZERO) {
            return Err("interrupted".into());
        }
    }
    let mut heard = Instant::now();
    while heard.elapsed() < SILENCE {
        match listen(&mut traders, &mut told)? {
            0 => std::thread::sleep(Duration::from_millis(1)),
            _ => heard = Instant::now(),
        }
    }
    Ok((told, traders))
}

/// Takes what came for everybody. How much that was.
fn listen(traders: &mut [Trader], told: &mut Told) -> Result<usize, Box<dyn std::error::Error>> {
    let mut heard = 0;
    for trader in traders {
        let mut messages = vec![];
        heard += trader.client.drain(|received| {
            if let Received::Message(_, message) = received {
                messages.push(message);
            }
        })?;
        messages.iter().for_each(|message| trader.hear(message, told));
    }
    Ok(heard)
}

fn recovered(
    config: &Config,
    stopped: &crate::segment::Stopped,
) -> Result<Recovered, Box<dyn std::error::Error>> {
    if let Some(why) = &stopped.failure {
        return Err(why.clone().into());
    }
    let recovered = recover(&journal_dir(config), config)?;
    if recovered.state_hash() != stopped.state_hash {
        return Err("the recovered state is not the live one".into());
    }
    Ok(recovered)
}

/// One page of what came of it.
fn page(told: &Told, traders: &[Trader], recovered: &[Recovered; 2], open_outside: u64) {
    println!(
        "{:<6} {:<18} {:>8} {:>14} {:>16} {:>12} {:>9} {:>8}",
        "firm",
        "policy",
        "orders",
        "shares here",
        "shares outside",
        "taken back",
        "open",
        "refused"
    );
    for (at, ((firm, policy, _), came)) in FIRMS.iter().zip(&told.firms).enumerate() {
        let of_firm = traders.iter().filter(|trader| trader.firm == at);
        let open: u64 = of_firm
            .flat_map(|trader| trader.orders.values())
            .map(|order| u64::from(order.left))
            .sum();
        println!(
            "{firm:<6} {policy:<18} {:>8} {:>14} {:>16} {:>12} {open:>9} {:>8}",
            came.orders, came.here, came.outside, came.canceled, came.refused
        );
    }
    let book = &recovered[0].book;
    println!(
        "\norders open: {} in the book here, {} outside; the exchange says {open_outside}",
        book.open_orders() - book.orders_outside(),
        book.orders_outside()
    );
    let at = |quantile| told.fill_ns.value_at_quantile(quantile) as f64 / 1_000.0;
    println!(
        "from an immediate order to its fills outside, {} of them, as the client sees it, on disk on both sides: \
         p50 {:.0} us, p90 {:.0} us",
        told.fill_ns.len(),
        at(0.5),
        at(0.9)
    );
}

/// What the firms hold here is what the exchange says the gateway holds.
fn compare(recovered: &[Recovered; 2], symbols: &[(String, Price, Price)]) -> Outcome {
    let [inside, outside] = recovered;
    let held = |of: &Recovered, firms: &[&str], symbol: &str| -> i64 {
        let number = of.dictionary.symbol(symbol).unwrap_or(SymbolId(0));
        let firm = |name: &&str| of.dictionary.firm(name);
        firms.iter().filter_map(firm).map(|firm| of.risk.position(firm, number)).sum()
    };
    let firms = FIRMS.map(|(firm, ..)| firm);
    println!("\n{:<8} {:>22} {:>22}", "symbol", "net shares, firms here", "the exchange's record");
    for (symbol, ..) in symbols {
        let (here, there) = (held(inside, &firms, symbol), held(outside, &["GATE"], symbol));
        println!("{symbol:<8} {here:>22} {there:>22}");
        if here != there {
            return Err(format!("{symbol}: {here} here and {there} there").into());
        }
    }
    println!("every share agrees");
    Ok(())
}
