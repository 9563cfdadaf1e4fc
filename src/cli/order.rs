//! `millrace order`

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Outcome;
use crate::client::{Answer, Client, NewOrder, Received, account_query};
use crate::order::Price;

/// Enter one order and print what comes back until it is done, or a timeout.
///
/// The gateway cancels what is still open when this leaves, unless the user is configured with
/// `cancel_on_disconnect = false`.
#[derive(clap::Args)]
pub struct Arguments {
    /// What to do.
    #[arg(value_enum)]
    side: SideArgument,
    /// Shares.
    quantity: u32,
    /// Symbol.
    symbol: String,
    /// Limit price such as 190.00, or `market`.
    price: String,
    /// User name.
    #[arg(long)]
    user: String,
    /// Password.
    #[arg(long)]
    password: String,
    /// Immediate or cancel: what does not trade at once is cancelled.
    #[arg(long)]
    ioc: bool,
    /// Never trade on entry.
    #[arg(long)]
    post_only: bool,
    /// The gateway.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7001")]
    to: SocketAddr,
    /// Seconds to wait for the order to be done.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    timeout: f64,
    /// Stay until the order is done, however long that takes.
    #[arg(long, conflicts_with = "timeout")]
    wait: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum SideArgument {
    Buy,
    Sell,
    Short,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let price = match arguments.price.as_str() {
        "market" => Price::MARKET,
        text => text.parse().map_err(|e| format!("price {text}: {e}"))?,
    };
    let timeout = Duration::try_from_secs_f64(arguments.timeout)?;
    let side = match arguments.side {
        SideArgument::Buy => b'B',
        SideArgument::Sell => b'S',
        SideArgument::Short => b'T',
    };
    let mut client = Client::login(arguments.to, &arguments.user, &arguments.password, 0)
        .map_err(|e| format!("{}: {e}", arguments.to))?;
    let deadline = (!arguments.wait).then(|| Instant::now() + timeout);
    client.send(&account_query())?;
    let user_ref = loop {
        let answer = Answer::parse(&client.message(timeout)?);
        if let Answer::AccountQueryResponse { next_user_ref } = answer {
            break next_user_ref;
        }
    };
    let mut order = NewOrder::new(user_ref, side, arguments.quantity, &arguments.symbol, price);
    if arguments.ioc {
        order = order.ioc();
    }
    if arguments.post_only {
        order = order.post_only();
    }
    client.send(&order.encode())?;
    follow(&mut client, user_ref, arguments.quantity, deadline)?;
    client.logout()?;
    Ok(())
}

/// Prints what happens to an order until nothing of it is open.
fn follow(client: &mut Client, user_ref: u32, quantity: u32, deadline: Option<Instant>) -> Outcome {
    let mut open = quantity;
    while open > 0 {
        let left = deadline
            .map_or(Duration::from_secs(1), |at| at.saturating_duration_since(Instant::now()));
        let message = match client.receive(left)? {
            Some(Received::Message(_, message)) => message,
            Some(Received::Debug(text)) => {
                println!("gateway: {text}");
                continue;
            }
            Some(Received::EndOfSession) => return Err("the gateway ended the session".into()),
            None if deadline.is_none() => continue,
            None => {
                println!("{open} still open at the timeout");
                return Ok(());
            }
        };
        let answer = Answer::parse(&message);
        if answer.user_ref() != Some(user_ref) {
            continue;
        }
        println!("{answer}");
        match answer {
            Answer::Executed { quantity, .. } | Answer::Canceled { quantity, .. } => {
                open = open.saturating_sub(quantity);
            }
            Answer::AiqCanceled { decrement, .. } => open = open.saturating_sub(decrement),
            Answer::Rejected { .. } => return Err("the order was rejected".into()),
            _ => {}
        }
    }
    Ok(())
}
