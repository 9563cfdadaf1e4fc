//! NewOrderSingle to ExecutionReport against the whole gateway.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::orders::bench_text;
use super::place::{Place, connect, on_core, run_segment};
use super::plan::{Figures, Measured, Plan, histogram};
use crate::client::playground::Carrier;
use crate::segment::Segment;
use crate::wire::fix::value::Timestamps;
use crate::wire::fix::write::{Head, Writer};
use crate::wire::fix::{Version, msg_type};

/// `8=FIX.4.4|9=00000|`
const PREFIX_BYTES: usize = 18;
/// `10=000|`
const TRAILER_BYTES: usize = 7;
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024;

const CLIENT: &str = "CLIENT1";
const SESSION: &str = r#"
[[port]]
protocol = "fix44"
listen = "127.0.0.1:0"

[[user]]
name = "FIX1"
password = "secret"
firm = "FRM4"
fix_comp_id = "CLIENT1"
"#;

/// Bytes of an order, and of the report that answers it, as [`measure`] exchanges them.
pub(super) const ORDER_BYTES: usize = 186;
pub(super) const REPORT_BYTES: usize = 227;

/// Orders that rest far apart and are never cancelled: each is entered and reported.
pub(super) fn measure(plan: &Plan, place: &Place<'_>, carrier: &Carrier) -> Measured {
    let text = bench_text(plan) + SESSION;
    run_segment(&text, place, carrier, |segment| trade(plan, segment))
}

/// Reads one message, spinning; how long it was. Nothing comes behind it before the next order.
fn receive(mut stream: &TcpStream, answer: &mut [u8; ANSWER_BYTES_MAX]) -> Result<usize, String> {
    let (mut seen, mut length) = (0, usize::MAX);
    while seen < length {
        match stream.read(&mut answer[seen..]) {
            Ok(0) => return Err("the gateway closed the connection".to_owned()),
            Ok(count) => seen += count,
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(e) => return Err(e.to_string()),
        }
        if seen >= PREFIX_BYTES {
            let digits = &answer[PREFIX_BYTES - 6..PREFIX_BYTES - 1];
            let body = digits
                .iter()
                .fold(0, |sum, digit| sum * 10 + usize::from(digit.wrapping_sub(b'0')));
            length = PREFIX_BYTES + body + TRAILER_BYTES;
            if length > ANSWER_BYTES_MAX {
                return Err("an answer that is too long".to_owned());
            }
        }
    }
    Ok(length)
}

pub(super) fn message(
    from: &str,
    number: u32,
    kind: &[u8],
    now_ns: u64,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Vec<u8> {
    let head = Head::new(Version::Fix44, kind, from.as_bytes(), b"MILLRACE");
    let mut bytes = vec![];
    let mut writer =
        Writer::new(&mut bytes, &head, number.into(), Timestamps::default().text(now_ns));
    fill(&mut writer);
    writer.finish();
    bytes
}

/// A Logon with the first number.
pub(super) fn logon(from: &str, now_ns: u64) -> Vec<u8> {
    message(from, 1, msg_type::LOGON, now_ns, |writer| {
        writer.character(b"98=", b'0').number(b"108=", 0).bytes(b"554=", b"secret");
    })
}

/// An order that rests.
pub(super) fn order(from: &str, number: u32, now_ns: u64) -> Vec<u8> {
    let name = format!("ORDER-{number:09}");
    let price = format!("{}.{:02}", 100 + number % 10, number / 10 % 100);
    message(from, number, msg_type::NEW_ORDER_SINGLE, now_ns, |writer| {
        let time = *Timestamps::default().text(now_ns);
        writer.bytes(b"11=", name.as_bytes()).character(b"21=", b'1').bytes(b"55=", b"AAPL");
        writer.character(b"54=", b'1').bytes(b"60=", &time).number(b"38=", 100);
        writer.character(b"40=", b'2').bytes(b"44=", price.as_bytes());
        writer.character(b"59=", b'0');
    })
}

fn trade(plan: &Plan, segment: &Segment) -> Measured {
    let to = *segment.addresses().last().ok_or("no port")?;
    let stream = connect(to)?;
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let mut answer = [0; ANSWER_BYTES_MAX];
    (&stream).write_all(&logon(CLIENT, now_ns))?;
    receive(&stream, &mut answer)?;
    let count = plan.warm_up() + plan.round_trips;
    let orders: Vec<Vec<u8>> = (2..count + 2).map(|number| order(CLIENT, number, now_ns)).collect();
    let times_ns = on_core(plan.cores[1], || -> Result<_, String> {
        let mut times_ns = histogram();
        let mut bytes = 0;
        for (n, order) in (0..).zip(&orders) {
            let started = Instant::now();
            (&stream).write_all(order).map_err(|e| e.to_string())?;
            let length = receive(&stream, &mut answer)?;
            let elapsed = started.elapsed().as_nanos() as u64;
            if !answer[..length].windows(7).any(|window| window == b"\x01150=0\x01") {
                return Err(format!("no New: {}", answer[..length].escape_ascii()));
            }
            bytes += length;
            if n >= plan.warm_up() {
                times_ns.saturating_record(elapsed);
            }
        }
        let told = bytes / orders.len();
        let (sent, near) = (orders[0].len(), told.abs_diff(REPORT_BYTES) <= 16);
        if sent != ORDER_BYTES || !near {
            return Err(format!("the echo has other sizes: {sent} and {told} bytes"));
        }
        Ok(times_ns)
    })?;
    Ok(Figures { times_ns, driver_calls: None })
}
