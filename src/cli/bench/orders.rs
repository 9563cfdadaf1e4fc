//! Order to Accepted against the whole gateway.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::place::{Place, connect, on_core, read, run_segment};
use super::plan::{Figures, Measured, Plan, histogram};
use crate::client::NewOrder;
use crate::client::playground::Carrier;
use crate::config::BUILT_IN;
use crate::net::kernel::listen_to;
use crate::order::Price;
use crate::segment::Segment;
use crate::wire::itch::AddOrder;
use crate::wire::moldudp64::Packet;
use crate::wire::soupbin::{self, kind};

/// Long enough for an answer to leave alone.
const MOMENT: Duration = Duration::from_micros(30);
/// A Sequenced Data packet with an Accepted.
const ACCEPTED_BYTES: usize = 3 + 64;
const LOGIN_ACCEPTED_BYTES: usize = 33;

/// The built-in configuration, for one order at a time as fast as it goes.
pub(super) fn bench_text(plan: &Plan) -> String {
    let (core, sequenced) = (plan.cores[0], "ack = \"sequenced\"\nidle = \"spin\"");
    durable_text().replace("ack = \"journaled\"", &format!("{sequenced}\ncores = [{core}]"))
}

/// The same where answers wait for the disk, and nobody spins.
pub(super) fn durable_text() -> String {
    BUILT_IN
        .replace("127.0.0.1:7001", "127.0.0.1:0")
        .replace("ack = \"journaled\"", "ack = \"journaled\"\nmax_orders = 524288")
        .replace(
            "price_collar_bps = 0",
            "price_collar_bps = 0\nmax_messages_per_second = 1000000\nmax_position = 1000000000",
        )
}

/// Orders that rest far apart and are never cancelled: each is entered and accepted.
pub(super) fn measure(plan: &Plan, place: &Place<'_>, carrier: &Carrier) -> Measured {
    run_segment(&bench_text(plan), place, carrier, |segment| {
        trade(plan, segment, WaitsFor::Answer, None)
    })
}

/// Of a gateway that runs.
pub(super) fn measure_awake(plan: &Plan, segment: &Segment) -> Measured {
    trade(plan, segment, WaitsFor::Answer, None)
}

/// The same, by a client that sleeps while it waits.
pub(super) fn measure_asleep(plan: &Plan, segment: &Segment) -> Measured {
    trade(plan, segment, WaitsFor::AnswerAsleep, None)
}

/// What a client waits for, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// The order's answer, spinning.
    Answer,
    /// The order's answer, asleep: the core is the feed's meanwhile.
    AnswerAsleep,
    /// The order's Add Order on the first line, asleep.
    ItchAsleep,
}

/// The same with a feed: two multicast lines on loopback, and a ring.
pub(super) fn measure_with_feed(plan: &Plan, waits_for: WaitsFor) -> Measured {
    let id = std::process::id();
    let [_, _, a, b] = id.to_be_bytes();
    let line: SocketAddr = (Ipv4Addr::new(239, 192, a, b), 26_400).into();
    let other: SocketAddr = (Ipv4Addr::new(239, 193, a, b), 26_400).into();
    let feed = format!(
        "[feed]\nlines = [\"{line}\", \"{other}\"]\ninterface = \"127.0.0.1\"\n\
         ring = \"millrace-bench-{id}\"\nring_dir = \"{}\"\n",
        std::env::temp_dir().display()
    );
    let text = format!("{}\n{feed}", bench_text(plan));
    let loopback = Some(Ipv4Addr::LOCALHOST.into());
    let figures = run_segment(&text, &Place::Loopback, &Carrier::Kernel, |segment| {
        let line = listen_to(line, loopback)?;
        trade(plan, segment, waits_for, Some(&line))
    });
    for name in [format!("millrace-bench-{id}"), format!("millrace-bench-{id}-events")] {
        let _ = std::fs::remove_file(std::env::temp_dir().join(format!("{name}.ring")));
    }
    figures
}

/// Waits for the packet that tells of the next order.
fn hear(line: &UdpSocket) -> std::io::Result<()> {
    let mut bytes = [0; 2_048];
    loop {
        let length = line.recv(&mut bytes)?;
        let packet = Packet::parse(&bytes[..length]);
        let mut messages = packet.iter().flat_map(Packet::numbered);
        if messages.any(|(_, message)| message.first() == Some(&AddOrder::KIND)) {
            return Ok(());
        }
    }
}

fn trade(
    plan: &Plan,
    segment: &Segment,
    waits_for: WaitsFor,
    line: Option<&UdpSocket>,
) -> Measured {
    let to = segment.addresses()[0];
    let idle: Vec<TcpStream> = (0..plan.idle).map(|_| connect(to)).collect::<Result<_, _>>()?;
    let stream = connect(to)?;
    (&stream).write_all(&soupbin::login_packet("TRADE1", "secret", "", 0))?;
    read(&stream, &mut [0; LOGIN_ACCEPTED_BYTES])?;
    stream.set_nonblocking(waits_for == WaitsFor::Answer)?;
    let line = line.filter(|_| waits_for == WaitsFor::ItchAsleep);
    let calls = || {
        let get = |name| segment.counters().get(name).get();
        get("net.transmit_calls") + get("net.receive_calls")
    };
    let orders = (plan.warm_up() + plan.round_trips) * plan.together;
    let packets: Vec<Vec<u8>> = (1..=orders).map(order).collect();
    let calls_before = calls();
    let times_ns = on_core(plan.cores[1], || -> Result<_, String> {
        let mut times_ns = histogram();
        let mut answer = [0; ACCEPTED_BYTES];
        let mut n = 0;
        for packets in packets.chunks(plan.together as usize) {
            let mut started = Instant::now();
            for (at, packet) in packets.iter().enumerate() {
                while at > 0 && started.elapsed() < MOMENT {
                    std::hint::spin_loop();
                }
                started = Instant::now();
                (&stream).write_all(packet).map_err(|e| e.to_string())?;
            }
            let mut heard = None;
            if let Some(line) = line {
                hear(line).map_err(|e| e.to_string())?;
                heard = Some(started.elapsed());
            }
            for _ in packets {
                read_answer(&stream, &mut answer).map_err(|e| e.to_string())?;
                n += 1;
                if answer[3] != b'A' || answer[12..16] != u32::to_be_bytes(n) {
                    return Err(format!("order {n} was answered with {answer:02x?}"));
                }
            }
            if n > plan.warm_up() * plan.together {
                let took = heard.unwrap_or_else(|| started.elapsed());
                times_ns.saturating_record(took.as_nanos() as u64);
            }
        }
        Ok(times_ns)
    })?;
    // The counters are shown five times a second.
    std::thread::sleep(Duration::from_millis(300));
    let calls = (calls() - calls_before) as f64 / f64::from(orders);
    drop(idle);
    let driver_calls = (calls > 0.0).then_some(calls);
    Ok(Figures { times_ns, driver_calls })
}

/// Reads an answer; heartbeats, which come where one took a second, are passed over.
fn read_answer(stream: &TcpStream, answer: &mut [u8]) -> std::io::Result<()> {
    const HEARTBEAT: [u8; 3] = [0, 1, kind::SERVER_HEARTBEAT];
    read(stream, answer)?;
    while answer.starts_with(&HEARTBEAT) {
        answer.rotate_left(HEARTBEAT.len());
        let rest = answer.len() - HEARTBEAT.len();
        read(stream, &mut answer[rest..])?;
    }
    Ok(())
}

fn order(n: u32) -> Vec<u8> {
    let price = Price(1_000_000 + n % 1_000 * 100);
    let order = NewOrder::new(n, b'B', 1, "AAPL", price);
    soupbin::packet(kind::UNSEQUENCED, &order.encode())
}
