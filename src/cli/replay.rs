//! `millrace replay`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Outcome;
use crate::client::{Answer, Client, account_query};
use crate::config::Config;
use crate::lab::replay::play::{self, Comparison};
use crate::lab::replay::{Found, MarketSource, Pace, capture, look, orders, play_sessions};
use crate::runtime::counters::read_file;
use crate::runtime::signals;
use crate::segment::{book_capacity, recover};

/// Differences shown at the most.
const SHOWN_MAX: usize = 10;

/// Play what was recorded again, and compare what comes of it.
///
/// The source is a gateway's data directory, a recording's folder, a file of ITCH 5.0 messages as the exchange has it
/// (each behind its length, gzip or not), or a capture (pcap, pcapng) of OUCH or FIX sessions. A market is played into
/// a book of this process, or as orders to a gateway; a capture's sessions are sent to a gateway as they were.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  millrace replay millrace-data                         a journal's market into a book, as fast as it goes
  millrace replay data --speed 10                       a recording, ten times as fast as it was
  millrace replay 01302020.NASDAQ_ITCH50.gz --symbol AAPL
  millrace replay data --to 127.0.0.1:7001 --user TRADE1 --taker TRADE3 --password secret
  millrace replay session.pcapng --to 127.0.0.1:7001 --speed 1")]
pub struct Arguments {
    /// What to play.
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// How many times as fast as it was, or `max`.
    #[arg(long, default_value = "max", value_parser = speed)]
    speed: Speed,
    /// The gateway to play to.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<SocketAddr>,
    /// Only these symbols of a market.
    #[arg(long)]
    symbol: Vec<String>,
    /// A market to a gateway: whose the orders are that rest.
    #[arg(long, requires = "to")]
    user: Option<String>,
    /// A market to a gateway: who trades against them; of another firm, or self-trade prevention is in the way.
    #[arg(long, requires = "user")]
    taker: Option<String>,
    /// Password of both.
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// The configuration that a journal's gateway ran with, if it raised `max_orders`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct Speed(Option<f64>);

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed(None));
    }
    let number = text.parse::<f64>().ok().filter(|speed| speed.is_finite() && *speed > 0.0);
    number
        .map(|speed| Speed(Some(speed)))
        .ok_or_else(|| "a speed is a number above 0, or max".into())
}

pub fn run(arguments: &Arguments) -> Outcome {
    super::start_log();
    let config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None => Config::built_in(),
    };
    let pace = Pace::new(arguments.speed.0);
    match look(&arguments.source, book_capacity(&config))? {
        Found::Capture(path) => sessions(arguments, &path, pace),
        Found::Market(source) => match arguments.to {
            None => match &source {
                MarketSource::Journal(dir, _)
                    if arguments.speed.0.is_none() && arguments.symbol.is_empty() =>
                {
                    whole_journal(&arguments.source, dir, &config)
                }
                _ => into_a_book(arguments, &source, pace),
            },
            Some(to) => to_a_gateway(arguments, &source, pace, to),
        },
    }
}

/// Every command of a journal through risk and book, hidden orders too, as a recovery does it.
fn whole_journal(data: &Path, dir: &Path, config: &Config) -> Outcome {
    let began = Instant::now();
    let recovered = recover(dir, config)?;
    let seconds = began.elapsed().as_secs_f64();
    let (commands, open) = (recovered.risk.last_seq().0, u64::from(recovered.book.open_orders()));
    println!("commands    {commands}");
    println!("time        {seconds:.3} s, {:.0} commands/s", commands as f64 / seconds);
    println!("state hash  {}", recovered.state_hash());
    // What the gateway itself counted last.
    let counters = read_file(&data.join("counters")).unwrap_or_default();
    let counted = |name: &str| counters.iter().find(|(known, _)| known == name).map(|(_, n)| *n);
    match (counted("risk.sequenced"), counted("risk.open_orders")) {
        (Some(sequenced), Some(orders)) if (sequenced, orders) == (commands, open) => {
            println!("played      the {open} orders that the gateway had open when it ended");
        }
        (Some(sequenced), Some(orders)) => println!(
            "differs     the gateway had {orders} orders open after command {sequenced}, here {open} are after {commands}"
        ),
        _ => println!("open orders {open}; the gateway's own count is not there to compare with"),
    }
    Ok(())
}

fn into_a_book(arguments: &Arguments, source: &MarketSource, pace: Pace) -> Outcome {
    signals::hold_back();
    let began = Instant::now();
    let comparison =
        play::play(source, &arguments.symbol, pace, || !signals::wait(Duration::ZERO))?;
    say(&comparison, began.elapsed());
    Ok(())
}

fn say(comparison: &Comparison, took: Duration) {
    let (events, seconds) = (comparison.events, took.as_secs_f64());
    println!("events      {events} of {} symbols", comparison.symbols.len());
    println!("time        {seconds:.3} s, {:.0} events/s", events as f64 / seconds);
    for (kind, count) in &comparison.skipped.types {
        println!("skipped     {count} messages of type {}", kind.escape_ascii());
    }
    if comparison.skipped.astray > 0 {
        println!(
            "astray      {} messages do not follow from those before",
            comparison.skipped.astray
        );
    }
    let trades: u64 = comparison.symbols.values().map(|(recorded, _)| recorded.trades).sum();
    let shares: u64 = comparison.symbols.values().map(|(recorded, _)| recorded.shares).sum();
    println!("recorded    {trades} trades of {shares} displayed shares");
    let mut differences = comparison.differences().peekable();
    if differences.peek().is_none() {
        println!("played      the same trades, and the same book at the end, in every symbol");
    }
    let mut more = 0;
    for (at, (name, (recorded, played))) in differences.enumerate() {
        if at < SHOWN_MAX {
            println!(
                "differs     {name}: {} trades of {} shares, then {} of {}; {} orders of {} shares \
                      displayed at the end, then {} of {}",
                recorded.trades,
                recorded.shares,
                played.trades,
                played.shares,
                recorded.orders,
                recorded.displayed,
                played.orders,
                played.displayed
            );
        } else {
            more += 1;
        }
    }
    if more > 0 {
        println!("            and {more} symbols more");
    }
}

fn to_a_gateway(
    arguments: &Arguments,
    source: &MarketSource,
    pace: Pace,
    to: SocketAddr,
) -> Outcome {
    let need = "a market is played to a gateway by two users: --user, --taker, --password";
    let (Some(user), Some(taker)) = (&arguments.user, &arguments.taker) else {
        return Err(need.into());
    };
    let password = arguments.password.as_deref().ok_or(need)?;
    let mut clients = vec![];
    let mut used = vec![];
    for user in [user, taker] {
        let mut client = Client::login(to, user, password, 0)?;
        client.send(&account_query())?;
        let next = loop {
            let message = client.message(Duration::from_secs(10))?;
            if let Answer::AccountQueryResponse { next_user_ref } = Answer::parse(&message) {
                break next_user_ref;
            }
        };
        clients.push(client);
        used.push(next - 1);
    }
    let mut clients = clients.into_iter();
    let (Some(first), Some(second)) = (clients.next(), clients.next()) else {
        return Err(need.into());
    };
    signals::hold_back();
    let began = Instant::now();
    let (comparison, rejected) =
        orders::play(source, &arguments.symbol, pace, [first, second], [used[0], used[1]], || {
            !signals::wait(Duration::ZERO)
        })?;
    say(&comparison, began.elapsed());
    if rejected > 0 {
        println!("rejected    {rejected} orders");
    }
    Ok(())
}

fn sessions(arguments: &Arguments, path: &Path, pace: Pace) -> Outcome {
    let capture = capture::read(path)?;
    if capture.cut {
        println!("the capture ends in the middle of a packet; what is before that is whole");
    }
    let count = capture.conversations.len();
    println!("sessions    {count}; {} packets are not TCP", capture.foreign);
    let played = match arguments.to {
        Some(to) => play_sessions(&capture.conversations, to, pace)?,
        None => capture.conversations.iter().map(crate::lab::replay::describe).collect(),
    };
    for (number, (conversation, played)) in (1..).zip(capture.conversations.iter().zip(&played)) {
        print!(
            "{number:<12}{}, port {}: {} messages sent, {} answered",
            played.protocol, conversation.port, played.sent, played.recorded
        );
        if conversation.missing > 0 {
            print!("; {} bytes are not in the capture", conversation.missing);
        }
        if arguments.to.is_some() {
            match &played.first_difference {
                None => print!("; now the same"),
                Some((recorded, now)) => print!(
                    "; now {}, the first {} of them the same, then\n            recorded {recorded}\n            now      {now}",
                    played.answered, played.same
                ),
            }
        }
        println!();
    }
    Ok(())
}
