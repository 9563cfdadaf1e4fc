//! Order to Accepted against the whole gateway.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use super::place::{Place, connect, on_core, read, run_segment};
use super::plan::{Figures, Measured, Plan, histogram};
use crate::client::NewOrder;
use crate::client::playground::Carrier;
use crate::config::BUILT_IN;
use crate::order::Price;
use crate::segment::Segment;
use crate::wire::soupbin::{self, kind};

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
    let orders = plan.warm_up() + plan.round_trips;
    let packets: Vec<Vec<u8>> = (1..=orders).map(order).collect();
    let calls_before = calls();
    let times_ns = on_core(plan.cores[1], || -> Result<_, String> {
        let mut times_ns = histogram();
        let mut answer = [0; ACCEPTED_BYTES];
        for (n, packet) in (1..).zip(&packets) {
            let started = Instant::now();
            (&stream).write_all(packet).map_err(|e| e.to_string())?;
            read(&stream, &mut answer).map_err(|e| e.to_string())?;
            let elapsed = started.elapsed().as_nanos() as u64;
            if answer[3] != b'A' || answer[12..16] != u32::to_be_bytes(n) {
                return Err(format!("order {n} was not accepted"));
            }
            if n > plan.warm_up() {
                times_ns.saturating_record(elapsed);
            }
        }
        Ok(times_ns)
    })?;
    // The counters are shown five times a second.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let calls = (calls() - calls_before) as f64 / f64::from(orders);
    drop(idle);
    let driver_calls = (calls > 0.0).then_some(calls);
    Ok(Figures { times_ns, driver_calls })
}

fn order(n: u32) -> Vec<u8> {
    let price = Price(1_000_000 + n % 1_000 * 100);
    let order = NewOrder::new(n, b'B', 1, "AAPL", price);
    soupbin::packet(kind::UNSEQUENCED, &order.encode())
}
