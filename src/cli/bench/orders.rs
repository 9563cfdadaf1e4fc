//! Order to Accepted against the whole gateway.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::place::{Place, connect, on_core, read, run_segment};
use super::plan::{Figures, Measured, Plan, histogram};
use crate::client::NewOrder;
use crate::client::playground::Carrier;
use crate::config::BUILT_IN;
use crate::order::Price;
use crate::segment::Segment;
use crate::wire::soupbin::{self, kind};

/// Long enough for an answer to leave alone.
const MOMENT: Duration = Duration::from_micros(30);
/// A Sequenced Data packet with an Accepted.
const ACCEPTED_BYTES: usize = 3 + 64;
const LOGIN_ACCEPTED_BYTES: usize = 33;

/// The built-in configuration, for one order at a time as fast as it goes.
pub(super) fn bench_text(plan: &Plan) -> String {
    let more = format!(
        "ack = \"sequenced\"\nidle = \"spin\"\ncores = [{}]\nmax_orders = 524288",
        plan.cores[0]
    );
    BUILT_IN.replace("127.0.0.1:7001", "127.0.0.1:0").replace("ack = \"journaled\"", &more).replace(
        "price_collar_bps = 0",
        "price_collar_bps = 0\nmax_messages_per_second = 1000000\nmax_position = 1000000000",
    )
}

/// Orders that rest far apart and are never cancelled: each is entered and accepted.
pub(super) fn measure(plan: &Plan, place: &Place<'_>, carrier: &Carrier) -> Measured {
    run_segment(&bench_text(plan), place, carrier, |segment| trade(plan, segment))
}

fn trade(plan: &Plan, segment: &Segment) -> Measured {
    let to = segment.addresses()[0];
    let idle: Vec<TcpStream> = (0..plan.idle).map(|_| connect(to)).collect::<Result<_, _>>()?;
    let stream = connect(to)?;
    (&stream).write_all(&soupbin::login_packet("TRADE1", "secret", "", 0))?;
    read(&stream, &mut [0; LOGIN_ACCEPTED_BYTES])?;
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
            for _ in packets {
                read_answer(&stream, &mut answer).map_err(|e| e.to_string())?;
                n += 1;
                if answer[3] != b'A' || answer[12..16] != u32::to_be_bytes(n) {
                    return Err(format!("order {n} was answered with {answer:02x?}"));
                }
            }
            if n > plan.warm_up() * plan.together {
                times_ns.saturating_record(started.elapsed().as_nanos() as u64);
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
