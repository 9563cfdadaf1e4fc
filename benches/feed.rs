//! The feed against its marks: messages into packets on one core, one message encoded, and a request
//! answered from memory next to an echo of UDP. `cargo bench --bench feed`

use std::hint::black_box;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace::book::{Book, Capacity};
use millrace::feed::{
    COUNTERS, Nobody, Packets, PastRequest, Requests, RequestsSetup, Ring, Tape, Told, Way,
};
use millrace::net::kernel::Datagrams;
use millrace::order::{
    Command, CommandKind, Display, FirmId, Price, SeqNum, Side, Slot, SymbolId, UserId, UserRefNum,
};
use millrace::ring::{self, broadcast};
use millrace::runtime::{Clock, Counters};
use millrace::wire::itch::{AddOrder, Head};
use millrace::wire::moldudp64::{Header, Packet, Writer};
use zerocopy::IntoBytes;

const COMMANDS: u64 = 2_000_000;
const RUNS: usize = 5;
const SESSION: [u8; 10] = *b"MRBENCH000";

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Orders of one symbol around a price: half of them entered, a tenth hidden and a tenth icebergs; the rest
/// replaced or cancelled.
fn commands() -> Vec<Command> {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut draw = |end: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % end
    };
    let mut user = Command::new(CommandKind::DefineUser, UserId(0), FirmId(0));
    user.text[8..12].copy_from_slice(b"FRM1");
    let mut symbol = Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0));
    symbol.price = Price(100);
    symbol.text[..4].copy_from_slice(b"AAPL");
    let mut all = vec![user, symbol];
    let mut book = Book::new(Capacity { orders: 2_048, symbols: 1 });
    all.iter().for_each(|command| book.apply(command, &mut Nobody));
    for n in 0..COMMANDS {
        let slot = Slot(draw(2_000) as u32);
        let mut command = Command::new(CommandKind::Enter, UserId(0), FirmId(0));
        (command.slot, command.symbol) = (slot, SymbolId(0));
        command.side = if draw(2) == 0 { Side::Buy } else { Side::Sell };
        // Bids below and asks above, and one in twenty that crosses.
        let away = draw(200) as u32;
        let crosses = draw(20) == 0;
        let below = command.side.is_buy() != crosses;
        command.price = Price(100 * if below { 10_000 - away } else { 10_001 + away });
        (command.limit, command.qty) = (command.price, 1 + draw(500) as u32);
        command.user_ref = UserRefNum(n as u32 + 1);
        if let Some(order) = book.order(slot) {
            command.side = order.side;
            if draw(10) < 7 {
                (command.kind, command.orig_user_ref) = (CommandKind::Replace, order.user_ref);
                let below = command.side.is_buy();
                command.price = Price(100 * if below { 10_000 - away } else { 10_001 + away });
                command.limit = command.price;
            } else {
                (command.kind, command.user_ref) = (CommandKind::Cancel, order.user_ref);
                command.qty = 0;
            }
        }
        match draw(10) {
            0 => command.display = Display::Hidden,
            1 => command.max_floor = 50,
            _ => {}
        }
        (command.seq, command.time_ns) = (SeqNum(n + 3), n * 1_000);
        book.apply(&command, &mut Nobody);
        all.push(command);
    }
    all
}

/// Messages a second, and bytes of a packet, with two lines that lead to one socket here or to nobody.
fn into_packets(commands: &[Command], lines: bool) -> (f64, f64, u64) {
    let clock = Clock::new();
    let own = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = own.local_addr().unwrap();
    let mut book = Book::new(Capacity { orders: 2_048, symbols: 1 });
    let (publisher, _) = broadcast::on_heap::<Told>(1 << 16);
    let mut tape = Tape::new(Ring::Own(publisher), SESSION, SESSION);
    let way = Way::Kernel(Datagrams::open(&[to, to], None, 1).unwrap());
    let mut packets = Packets::open(way, 1_500, SESSION, 1).unwrap();
    let mut bytes = Writer::new(SESSION, 1_452);
    let (mut written, mut filled) = (0u64, 0u64);
    bytes.begin(1);
    let started = Instant::now();
    for command in commands {
        tape.apply(&mut book, command, &mut Nobody, |number, message| {
            if lines {
                packets.add(number, message);
            } else if !bytes.add(message) {
                written += 1;
                filled += black_box(bytes.bytes()).len() as u64;
                bytes.begin(number);
                bytes.add(message);
            }
        });
    }
    packets.flush(clock.now_ns());
    let rate = (tape.next() - 1) as f64 / started.elapsed().as_secs_f64();
    (rate, filled as f64 / written.max(1) as f64, packets.counts().lost)
}

/// Nanoseconds to encode one Add Order into a packet.
fn encode() -> f64 {
    let mut writer = Writer::new(SESSION, 1_452);
    let count = 10_000_000u64;
    let started = Instant::now();
    writer.begin(1);
    for n in 0..count {
        let add = AddOrder {
            head: Head::new(AddOrder::KIND, 1, n),
            reference: n.into(),
            side: b'B',
            shares: 100.into(),
            stock: *b"AAPL    ",
            price: 1_900_000.into(),
        };
        if !writer.add(black_box(&add).as_bytes()) {
            black_box(writer.bytes());
            writer.begin(n);
        }
    }
    started.elapsed().as_nanos() as f64 / count as f64
}

/// Microseconds of each round trip at the median, with a datagram of `ask` bytes.
fn round_trip(to: std::net::SocketAddr, ask: &[u8], expected: usize) -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut times = vec![];
    let mut answer = [0; 2_048];
    for _ in 0..5_000 {
        let started = Instant::now();
        socket.send(ask).unwrap();
        let length = socket.recv(&mut answer).unwrap();
        times.push(started.elapsed().as_nanos() as f64 / 1_000.0);
        assert!(length >= expected, "{length} bytes came back");
    }
    median(times)
}

/// A request answered from memory, and an echo of as many bytes, both by a thread that sleeps on its socket.
fn requests() -> (f64, f64) {
    let stop = Arc::new(AtomicBool::new(false));
    let (mut publisher, _) = broadcast::on_heap::<Told>(1 << 12);
    let tag = millrace::feed::session_tag(&SESSION, &SESSION);
    let subscriber = publisher.subscriber();
    (1..=4_000).for_each(|n| publisher.push(&Told::new(n, tag, &[b'D'; 19])));
    let path = std::env::temp_dir().join(format!("millrace-bench-feed-{}", std::process::id()));
    let names: Vec<String> = COUNTERS.iter().map(|name| (*name).to_owned()).collect();
    let counters = Counters::create(&path, &names).unwrap();
    counters.get("feed.messages").set(4_000);
    let (past, _past) = ring::on_heap(PastRequest::RING, PastRequest::EMPTY);
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    let setup = RequestsSetup {
        socket: server,
        session: SESSION,
        tag,
        ring: subscriber,
        next: 1,
        packet_bytes: 1_452,
        per_second: 1_000_000,
        past,
        counters,
    };
    let mut server = Requests::new(setup).unwrap();
    let stopped = stop.clone();
    let clock = Clock::new();
    let serving = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            if server.poll(clock.now_ns()) == 0 {
                millrace::runtime::bed::wait_for([server.wakes_by()], 10_000);
            }
        }
    });
    let request = Header { session: SESSION, sequence: 100.into(), count: 60.into() };
    let answered = round_trip(at, request.as_bytes(), 1_200);
    stop.store(true, Ordering::Relaxed);
    serving.join().unwrap();
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = echo.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let mut bytes = [0; 2_048];
        for _ in 0..5_000 {
            let (length, from) = echo.recv_from(&mut bytes).unwrap();
            echo.send_to(&bytes[..length], from).unwrap();
        }
    });
    let echoed = round_trip(at, &[0; 1_280], 1_280);
    serving.join().unwrap();
    let _ = std::fs::remove_file(path);
    (answered, echoed)
}

fn main() {
    let commands = commands();
    let runs = |lines| -> Vec<(f64, f64, u64)> {
        (0..RUNS).map(|_| into_packets(&commands, lines)).collect()
    };
    let (memory, kernel) = (runs(false), runs(true));
    let rate = |runs: &[(f64, f64, u64)]| median(runs.iter().map(|run| run.0).collect()) / 1e6;
    println!("{COMMANDS} commands, medians of {RUNS} runs, one core");
    println!(
        "  commands to messages in packets: {:5.2} M messages/s (mark 2.0), packets of {:.0} bytes",
        rate(&memory),
        memory[0].1
    );
    println!(
        "  the same, sent on two lines:     {:5.2} M messages/s, by sendmmsg on loopback",
        rate(&kernel)
    );
    let encoded = median((0..RUNS).map(|_| encode()).collect());
    println!("  one Add Order into a packet:     {encoded:5.1} ns (mark 10)");
    let (answered, echoed): (Vec<f64>, Vec<f64>) = (0..RUNS).map(|_| requests()).unzip();
    let (answered, echoed) = (median(answered), median(echoed));
    println!(
        "  a request answered from memory:  {answered:5.1} us, an echo of as many bytes {echoed:.1} us: \
         {:.2} of it (mark 2)",
        answered / echoed
    );
    // What a packet says is what was told.
    let mut writer = Writer::new(SESSION, 64);
    writer.begin(1);
    writer.add(b"D");
    assert_eq!(Packet::parse(writer.bytes()).unwrap().numbered().count(), 1);
}
