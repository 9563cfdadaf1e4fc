//! A gateway with a feed, what trades there, and who reads it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use millrace::book::Book;
use millrace::client::feed::{Arbiter, take_in};
use millrace::client::market::{Level, Market};
use millrace::client::{
    Client, LoginError, NewOrder, Received, account_query, cancel, mass_cancel, replace,
};
use millrace::net::kernel::listen_to;
use millrace::order::{Price, SymbolId};
use millrace::segment::{journal_dir, recover};
use millrace::wire::moldudp64::Header;
use zerocopy::IntoBytes;

use super::common::{PATIENCE, Scratch, Venue, config, config_text};

/// Groups of this process's own, one after the other.
pub fn group() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let pid = std::process::id();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, a, b] = (pid * 16).to_be_bytes();
    (Ipv4Addr::new(239, 192, a, b | next as u8), 26_400 + next).into()
}

/// Ports for those who only listen, and two who watch firms.
const LISTENERS: &str = r#"
[[port]]
protocol = "glimpse"
listen = "127.0.0.1:0"
[[port]]
protocol = "dropcopy"
listen = "127.0.0.1:0"
[[user]]
name = "WATCHA"
password = "secret"
firm = "CMP"
drop_copy_of = ["AAA"]
[[user]]
name = "WATCHB"
password = "secret"
firm = "CMP"
drop_copy_of = ["BBB", "AAA"]
"#;

/// Where requests are answered: an address of this process's own, so that nobody takes its port meanwhile.
pub fn request_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [_, _, a, b] = std::process::id().to_be_bytes();
    (Ipv4Addr::new(127, 64 | a & 63, b, 1), 26_300 + NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// A configuration with a feed.
pub fn text(feed: &str, gateway: &str, lines: &[SocketAddr], request: SocketAddr) -> String {
    let mut text = config_text(gateway, "");
    for user in ["ALICE", "BOB"] {
        // What they entered stays when they go.
        let line = format!("name = \"{user}\"");
        text = text.replace(&line, &format!("{line}\ncancel_on_disconnect = false"));
    }
    let lines: Vec<String> = lines.iter().map(|line| format!("\"{line}\"")).collect();
    let lines = lines.join(", ");
    format!(
        "{text}{LISTENERS}\n[feed]\nlines = [{lines}]\ninterface = \"127.0.0.1\"\nrequest = \"{request}\"\n{feed}\n"
    )
}

/// A gateway and where its feed is.
pub struct Exchange {
    pub venue: Venue,
    pub lines: Vec<SocketAddr>,
    pub request: SocketAddr,
}

impl Exchange {
    /// With more lines for `[feed]` and `[gateway]`.
    pub fn start(feed: &str, gateway: &str) -> Exchange {
        Exchange::start_in(Scratch::new(), feed, gateway, [group(), group()], request_address())
    }

    pub fn start_in(
        scratch: Scratch,
        feed: &str,
        gateway: &str,
        lines: [SocketAddr; 2],
        request: SocketAddr,
    ) -> Exchange {
        let text = text(feed, gateway, &lines, request);
        let venue = Venue::start_in(scratch, &text);
        Exchange { venue, lines: lines.to_vec(), request }
    }

    /// Where snapshots are to be had.
    pub fn glimpse(&self) -> SocketAddr {
        self.venue.addresses()[1]
    }

    /// Somebody who watches, from message `number` on.
    pub fn watcher(&self, user: &str, number: u64) -> Client {
        Client::login(self.venue.addresses()[2], user, "secret", number).unwrap()
    }

    /// Messages told so far, once everything that was sequenced is.
    pub fn told(&self) -> u64 {
        told(|name| self.venue.counter(name))
    }

    /// Random orders of two users: displayed, hidden, icebergs, some of which trade, are replaced or cancelled.
    pub fn trade(&self, seed: u64, messages: u32) {
        trade(self.venue.address, seed, messages).unwrap();
    }
}

/// Messages told, once all that was sequenced is.
pub fn told(counter: impl Fn(&str) -> u64) -> u64 {
    let deadline = Instant::now() + 3 * PATIENCE;
    while counter("feed.followed") != counter("risk.sequenced") {
        assert!(Instant::now() < deadline, "the feed is behind");
        std::thread::sleep(Duration::from_millis(1));
    }
    counter("feed.messages")
}

/// A small generator of numbers that look random.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

fn order(draw: &mut Draw, user_ref: u32) -> NewOrder {
    let side = b"BS"[draw.below(2) as usize];
    let at = Price(990_000 + 1_000 * draw.below(20) as u32);
    let symbol = ["AAPL", "MSFT"][draw.below(2) as usize];
    let order = NewOrder::new(user_ref, side, 1 + draw.below(500) as u32, symbol, at);
    match draw.below(8) {
        0 => NewOrder { display: b'N', ..order },
        1 => NewOrder { display: b'A', ..order },
        2 | 3 => order.with(5, &(1 + draw.below(90) as u32).to_be_bytes()),
        4 => order.ioc(),
        _ => order,
    }
}

/// Fails once the gateway is gone.
pub fn trade(address: SocketAddr, seed: u64, messages: u32) -> std::io::Result<()> {
    let mut draw = Draw(seed | 1);
    let deadline = Instant::now() + PATIENCE;
    let log_in = |user: &str| loop {
        match Client::login(address, user, "secret", 0) {
            Ok(client) => return client.set_nonblocking().map(|()| client),
            // The session before has not ended yet.
            Err(LoginError::Rejected('S')) if Instant::now() < deadline => {}
            Err(error) => return Err(std::io::Error::other(error)),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut clients = [log_in("ALICE")?, log_in("BOB")?];
    let first = seed as u32 % 40_000 * 100_000 + 10;
    if seed.is_multiple_of(3) {
        // The book is not to be full of what came before.
        for (client, firm) in clients.iter_mut().zip(["AAA", "BBB"]) {
            for (number, symbol) in (1..).zip(["AAPL", "MSFT"]) {
                send(client, &mass_cancel(first - 10 + number, firm, symbol))?;
            }
        }
    }
    for n in 0..messages {
        let client = &mut clients[draw.below(2) as usize];
        let user_ref = first + n + 1;
        let some = first + 1 + draw.below(u64::from(n) + 1) as u32;
        let bytes = match draw.below(10) {
            0 | 1 => cancel(some, draw.below(2) as u32 * 10),
            2 => replace(some, user_ref, 1 + draw.below(400) as u32, Price(1_000_000)),
            _ => order(&mut draw, user_ref).encode(),
        };
        send(client, &bytes)?;
        client.drain(|_| ())?;
    }
    // The journal has all that they said once this is answered.
    for client in &mut clients {
        send(client, &account_query())?;
        let deadline = Instant::now() + PATIENCE;
        let mut answered = false;
        while !answered {
            assert!(Instant::now() < deadline, "no answer to a query");
            client.drain(|received| {
                if let Received::Message(_, bytes) = received {
                    answered |= bytes[0] == b'Q';
                }
            })?;
            std::thread::yield_now();
        }
    }
    Ok(())
}

fn send(client: &mut Client, message: &[u8]) -> std::io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.send(message) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(Instant::now() < deadline, "nothing is read");
                client.drain(|_| ())?;
            }
            done => return done,
        }
    }
}

/// What a network does to packets, of a thousand each.
#[derive(Clone, Copy, Default)]
pub struct Spoilt {
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
}

/// Reads one line, spoilt, and asks for what is missing.
pub struct Reader {
    line: UdpSocket,
    server: UdpSocket,
    spoilt: Spoilt,
    draw: Draw,
    late: Vec<Vec<u8>>,
    asked: BTreeMap<u64, Instant>,
    pub arbiter: Arbiter,
    pub market: Market,
    pub messages: Vec<Vec<u8>>,
}

impl Reader {
    pub fn open(market: &Exchange, line: usize, spoilt: Spoilt, seed: u64) -> Reader {
        Reader::of(market.lines[line], market.request, spoilt, seed)
    }

    pub fn of(line: SocketAddr, request: SocketAddr, spoilt: Spoilt, seed: u64) -> Reader {
        let line = listen_to(line, Some(Ipv4Addr::LOCALHOST.into())).unwrap();
        line.set_nonblocking(true).unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.connect(request).unwrap();
        server.set_nonblocking(true).unwrap();
        Reader {
            line,
            server,
            spoilt,
            draw: Draw(seed | 1),
            late: vec![],
            asked: BTreeMap::new(),
            arbiter: Arbiter::from(1),
            market: Market::new(),
            messages: vec![],
        }
    }

    /// Listens to nothing, and asks for everything.
    pub fn expect_session_of(&mut self, other: &Reader) {
        let session = other.arbiter.session().unwrap();
        let header = Header { session, sequence: other.arbiter.next().into(), count: 0.into() };
        self.arbiter.packet(header.as_bytes(), |_, _| ());
    }

    fn take(&mut self, packet: &[u8]) {
        let Reader { arbiter, market, messages, .. } = self;
        arbiter.packet(packet, |_, message| {
            take_in(market, message).unwrap();
            messages.push(message.to_vec());
        });
    }

    /// Takes in what is there. Returns whether that was anything.
    pub fn poll(&mut self) -> bool {
        let mut bytes = [0; 2048];
        let mut any = false;
        while let Ok(length) = self.line.recv(&mut bytes) {
            any = true;
            let (packet, fate) = (bytes[..length].to_vec(), self.draw.below(1_000));
            let Spoilt { lost, doubled, late } = self.spoilt;
            match fate {
                fate if fate < lost => {}
                fate if fate < lost + doubled => {
                    self.take(&packet);
                    self.take(&packet);
                }
                fate if fate < lost + doubled + late => self.late.push(packet),
                _ => {
                    self.take(&packet);
                    for late in std::mem::take(&mut self.late) {
                        self.take(&late);
                    }
                }
            }
        }
        while let Ok(length) = self.server.recv(&mut bytes) {
            any = true;
            let answer = bytes;
            self.take(&answer[..length]);
        }
        let missing: Vec<_> = self.arbiter.missing().take(4).collect();
        for (first, count) in missing {
            let recent = |at: &Instant| at.elapsed() < Duration::from_millis(20);
            if self.asked.get(&first).is_some_and(recent) {
                continue;
            }
            if let Some(request) = self.arbiter.request(first, count) {
                let _ = self.server.send(request.as_bytes());
                self.asked.insert(first, Instant::now());
            }
        }
        any
    }

    /// Reads until message `last` was taken in.
    pub fn read_until(&mut self, last: u64) {
        let deadline = Instant::now() + 3 * PATIENCE;
        while self.arbiter.next() <= last {
            let next = self.arbiter.next();
            assert!(Instant::now() < deadline, "message {next} of {last} never came");
            if !self.poll() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// What is displayed, by a journal's book.
pub fn displayed(book: &Book, symbol: SymbolId) -> [BTreeMap<Price, Level>; 2] {
    let mut sides = [BTreeMap::new(), BTreeMap::new()];
    book.for_each_order(symbol, |_, order| {
        if !order.is_hidden() {
            let side = &mut sides[usize::from(order.side.is_buy())];
            let level: &mut Level = side.entry(order.price).or_default();
            level.shares += u64::from(order.shown());
            level.orders += 1;
        }
    });
    sides
}

/// The market is what the journal in a folder says that it is.
pub fn assert_is_the_journals(market: &Market, scratch: &Scratch) {
    let config = config(&scratch.0, &config_text("", ""));
    let recovered = recover(&journal_dir(&config), &config).unwrap();
    for (number, symbol) in (0..).map(SymbolId).zip(&recovered.dictionary.symbols) {
        let [asks, bids] = displayed(&recovered.book, number);
        let depth = market.depth(&symbol.name).unwrap();
        let found = [&depth.asks, &depth.bids].map(|side| side.iter().collect::<BTreeMap<_, _>>());
        assert_eq!([&found[0], &found[1]], [&asks, &bids], "{}", symbol.name);
        assert!(!bids.is_empty() || !asks.is_empty(), "{} has nothing displayed", symbol.name);
    }
}
