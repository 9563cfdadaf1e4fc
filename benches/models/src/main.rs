//! Ways of building a server, on one protocol and one book: what `millrace bench models` compares millrace
//! with. Not a product: nobody is authenticated, and nothing is recovered. What they all do is read SoupBinTCP,
//! decode Enter and Cancel of OUCH 5.0, check risk, match in millrace's own book, keep a log of every request
//! and what every session was told, and answer as the gateway does. (`--lean`: without risk and without what
//! was told.)
//!
//! Each is meant to be as good as its way of building allows: memory is allocated beforehand, answers to
//! requests that came together leave together, and with `--durable` whoever waits for the disk waits together
//! with all others (group commit).

mod decode;
mod log;
mod matcher;
mod model;
mod outbox;
mod outs;
mod shared;
mod sync;
mod venue;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Parser;

/// A server built in one way. Prints "ready ADDRESS" once it accepts.
#[derive(Parser)]
struct Arguments {
    /// How it is built.
    #[arg(value_enum)]
    model: Model,
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The log of every request.
    #[arg(long)]
    log: PathBuf,
    /// An answer leaves once its request is on the disk.
    #[arg(long)]
    durable: bool,
    /// Symbols: S00, S01, ...
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=100))]
    symbols: u16,
    /// Connections over its life.
    #[arg(long, default_value_t = 600)]
    sessions: u16,
    /// Without risk checks, and without keeping what sessions were told: what remains of a server that does
    /// less than the gateway.
    #[arg(long)]
    lean: bool,
    /// Processes that are there before anybody connects; threads of the classic gateway.
    #[arg(long, default_value_t = 2)]
    workers: u16,
    /// The exchange that a classic gateway sends orders to.
    #[arg(long, required_if_eq("model", "classic-gateway"))]
    venue: Option<SocketAddr>,
    /// Orders that it sends together.
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Microseconds that it waits for them.
    #[arg(long, default_value_t = 1000)]
    batch_us: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Model {
    /// A process for each connection; book, log and what is to be sent in shared memory.
    Process,
    /// A few processes, each with an event loop over the connections that it accepted.
    Prefork,
    /// A thread for each connection, and one lock.
    ThreadLock,
    /// A thread for each connection, and a lock for each symbol.
    ThreadSymbols,
    /// One process, one thread, one event loop (epoll).
    EventLoop,
    /// The event loop, with a helper for the disk.
    Amped,
    /// Actors with queues: input, matching, log, output.
    Actors,
    /// Not an exchange: a gateway in front of one, with a pool of threads that wait for batches.
    ClassicGateway,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen)?;
    println!("ready {}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let setup = venue::Setup {
        log: arguments.log,
        durable: arguments.durable,
        symbols: arguments.symbols,
        sessions: arguments.sessions,
        lean: arguments.lean,
    };
    match arguments.model {
        Model::Process => model::processes::one_for_each(&setup, &listener),
        Model::Prefork => model::processes::prefork(&setup, listener, arguments.workers),
        Model::ThreadLock => model::threads::run(&setup, &listener, 1),
        Model::ThreadSymbols => model::threads::run(&setup, &listener, setup.symbols),
        Model::EventLoop => model::event_loop::run(&setup, listener, false),
        Model::Amped => model::event_loop::run(&setup, listener, true),
        Model::Actors => model::actors::run(&setup, listener),
        Model::ClassicGateway => {
            let tuning = model::classic::Tuning {
                venue: arguments.venue.unwrap_or(arguments.listen),
                threads: arguments.workers,
                batch: arguments.batch,
                wait: std::time::Duration::from_micros(arguments.batch_us),
            };
            model::classic::run(&setup, &listener, tuning)
        }
    }
}
