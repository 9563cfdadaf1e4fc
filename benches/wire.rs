//! Order to Accepted over loopback, kernel sockets, inline topology, `ack = "sequenced"`,
//! against a raw 52-byte TCP echo in the same run: both sides spin, one message at a time.
//! `cargo bench --bench wire`

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hdrhistogram::Histogram;
use millrace::client::NewOrder;
use millrace::config::{BUILT_IN, Config};
use millrace::order::Price;
use millrace::segment::Segment;
use millrace::wire::soupbin::{self, kind};

const ROUND_TRIPS: u32 = 20_000;
const WARM_UP: u32 = 2_000;
const RUNS: usize = 7;
const ECHO_BYTES: usize = 52;
/// A Sequenced Data packet with an Accepted.
const ACCEPTED_BYTES: usize = 3 + 64;

/// Pins this thread. The cores are looked up once: a pinned thread, and those it starts, see
/// only their own.
fn pin(index: usize) {
    static CORES: std::sync::OnceLock<Vec<core_affinity::CoreId>> = std::sync::OnceLock::new();
    let cores = CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    core_affinity::set_for_current(cores[index % cores.len()]);
}

/// Reads exactly `bytes`, spinning.
fn read(mut stream: &TcpStream, bytes: &mut [u8]) {
    let mut done = 0;
    while done < bytes.len() {
        match stream.read(&mut bytes[done..]) {
            Ok(0) => panic!("closed"),
            Ok(count) => done += count,
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(e) => panic!("{e}"),
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 1_000_000_000, 3).unwrap()
}

/// Sends `request(n)` and reads `answer` bytes, one after the other.
fn round_trips(
    stream: &TcpStream,
    answer: usize,
    mut request: impl FnMut(u32) -> Vec<u8>,
    mut check: impl FnMut(u32, &[u8]),
) -> Histogram<u64> {
    let requests: Vec<Vec<u8>> = (0..WARM_UP + ROUND_TRIPS).map(&mut request).collect();
    let mut buffer = vec![0; answer];
    let mut histogram = histogram();
    for (n, request) in requests.iter().enumerate() {
        let started = Instant::now();
        (&*stream).write_all(request).unwrap();
        read(stream, &mut buffer);
        let elapsed = started.elapsed().as_nanos() as u64;
        check(n as u32, &buffer);
        if n as u32 >= WARM_UP {
            histogram.saturating_record(elapsed);
        }
    }
    histogram
}

fn connect(address: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

fn echo() -> Histogram<u64> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let server = std::thread::spawn(move || {
        pin(0);
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        while !told.load(Ordering::Relaxed) {
            match stream.read(&mut buffer) {
                Ok(count) => stream.write_all(&buffer[..count]).unwrap(),
                Err(_) => std::hint::spin_loop(),
            }
        }
    });
    let stream = connect(address);
    let message = |n: u32| vec![n as u8; ECHO_BYTES];
    let histogram = round_trips(&stream, ECHO_BYTES, message, |n, answer| {
        assert!(answer.iter().all(|b| *b == n as u8));
    });
    stop.store(true, Ordering::Relaxed);
    server.join().unwrap();
    histogram
}

/// Orders that rest far apart and are never cancelled: each is entered and accepted.
fn orders(address: std::net::SocketAddr, first: u32) -> Histogram<u64> {
    let stream = connect(address);
    (&stream).write_all(&soupbin::login_packet("TRADE1", "secret", "", 0)).unwrap();
    let mut accepted = [0; 33];
    read(&stream, &mut accepted);
    let order = |n: u32| {
        let price = Price(1_000_000 + n % 1_000 * 100);
        let order = NewOrder::new(first + n, b'B', 1, "AAPL", price);
        soupbin::packet(kind::UNSEQUENCED, &order.encode())
    };
    let histogram = round_trips(&stream, ACCEPTED_BYTES, order, |n, answer| {
        assert_eq!(answer[3], b'A', "accepted");
        assert_eq!(answer[12..16], (first + n).to_be_bytes());
    });
    (&stream).write_all(&soupbin::packet(kind::LOGOUT_REQUEST, b"")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    histogram
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if core_affinity::get_core_ids().is_none_or(|cores| cores.len() < 2) {
        return println!("wire: needs two cores");
    }
    let dir = std::env::temp_dir().join(format!("millrace-bench-wire-{}", std::process::id()));
    let text = BUILT_IN.replace("127.0.0.1:7001", "127.0.0.1:0").replace(
        "ack = \"journaled\"",
        "ack = \"sequenced\"\nidle = \"spin\"\ncores = [0]\nmax_orders = 524288",
    );
    let text = text.replace(
        "price_collar_bps = 0",
        "price_collar_bps = 0\nmax_messages_per_second = 1000000\nmax_position = 1000000000",
    );
    let mut config = Config::parse(&text, "bench").unwrap();
    config.gateway.data_dir = dir.clone();
    pin(1);
    let mut results: [Vec<(f64, f64)>; 2] = [vec![], vec![]];
    let mut first = 1;
    for _ in 0..RUNS {
        let percentiles = |h: &Histogram<u64>| {
            (h.value_at_quantile(0.5) as f64 / 1000.0, h.value_at_quantile(0.99) as f64 / 1000.0)
        };
        results[0].push(percentiles(&echo()));
        // Started for its turn only: it spins on the echo's core.
        let segment = Segment::start(&config).unwrap();
        results[1].push(percentiles(&orders(segment.addresses()[0], first)));
        first += WARM_UP + ROUND_TRIPS;
        segment.stop();
    }
    let _ = std::fs::remove_dir_all(&dir);
    println!("loopback, {ROUND_TRIPS} round trips a run, medians of {RUNS} runs in turn");
    let [echo, order] = results.map(|result| {
        let (p50, p99): (Vec<f64>, Vec<f64>) = result.into_iter().unzip();
        (median(p50), median(p99))
    });
    println!("  {:<26}p50 {:>7.2} us   p99 {:>7.2} us", "52-byte TCP echo", echo.0, echo.1);
    println!("  {:<26}p50 {:>7.2} us   p99 {:>7.2} us", "order to Accepted", order.0, order.1);
    println!(
        "  {:<26}p50 {:>7.2}      p99 {:>7.2}      (marks 1.25 and 1.50, goals 1.08 and 1.15)",
        "ratio",
        order.0 / echo.0,
        order.1 / echo.1
    );
}
