//! Orders that go on to a venue: from the client's socket to the venue's, and from the venue's fill to the client's.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::fix::{logon, message, order};
use super::orders::bench_text;
use super::place::{Place, connect, on_core, pin, read, run_segment};
use super::plan::{Figures, Measured, Plan, histogram};
use crate::client::playground::Carrier;
use crate::client::{NewOrder, account_query};
use crate::order::Price;
use crate::segment::Segment;
use crate::wire::fix::msg_type;
use crate::wire::ouch::outbound::{AccountQueryResponse, Executed};
use crate::wire::soupbin::{LoginAccepted, header, kind, login_packet, packet};
use zerocopy::IntoBytes;

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client's order to the venue's.
    There,
    /// From the venue's fill to the client's.
    Back,
}

/// What both ends speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    Fix,
    Ouch,
}

impl Speech {
    /// Bytes of an order, and of a fill.
    fn sizes(self) -> [usize; 2] {
        match self {
            Speech::Fix => [186, 200],
            Speech::Ouch => [52, 39],
        }
    }
}

type Failure = Box<dyn std::error::Error>;

/// How long a venue and a gateway may take to find each other.
const PATIENCE: Duration = Duration::from_secs(10);

/// The floor: a spinning server hands on what comes on either of two connections to the other one.
pub(super) fn proxy(plan: &Plan, speech: Speech, way: Way) -> Measured {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let core = plan.cores[0];
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        pin(core);
        let ends = [listener.accept()?.0, listener.accept()?.0];
        for end in &ends {
            end.set_nodelay(true)?;
            end.set_nonblocking(true)?;
        }
        let mut buffer = [0; 4096];
        while !stopped.load(Ordering::Relaxed) {
            for (from, to) in [(0, 1), (1, 0)] {
                match (&ends[from]).read(&mut buffer) {
                    Ok(count) => (&ends[to]).write_all(&buffer[..count])?,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    });
    let (client, venue) = (connect(to)?, connect(to)?);
    // Both were accepted.
    std::thread::sleep(Duration::from_millis(20));
    let bytes = speech.sizes()[usize::from(way == Way::Back)];
    let times_ns = on_core(plan.cores[1], || -> std::io::Result<_> {
        let mut times_ns = histogram();
        let (sent, mut heard) = (vec![7; bytes], vec![0; bytes]);
        let (from, to) = if way == Way::There { (&client, &venue) } else { (&venue, &client) };
        for n in 0..plan.warm_up() + plan.round_trips {
            let started = Instant::now();
            (&mut { from }).write_all(&sent)?;
            read(to, &mut heard)?;
            if n >= plan.warm_up() {
                times_ns.saturating_record(started.elapsed().as_nanos() as u64);
            }
        }
        Ok(times_ns)
    });
    stop.store(true, Ordering::Relaxed);
    drop((client, venue));
    let _ = server.join();
    Ok(Figures { times_ns: times_ns?, driver_calls: None })
}

/// The gateway, with `policy` and more for the venue.
pub(super) fn measure(plan: &Plan, speech: Speech, way: Way, policy: &str, more: &str) -> Measured {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let venue = listener.local_addr()?;
    let terms = Terms { policy, rate: 10_000_000, more };
    let text = text(&bench_text(plan), speech, venue, &terms);
    // The gateway calls while it starts.
    let caller = std::thread::spawn(move || answer_call(&listener, speech));
    run_segment(&text, &Place::Loopback, &Carrier::Kernel, move |segment| {
        let venue = called(caller, segment)?;
        match speech {
            Speech::Fix => trade_fix(plan, segment, &venue, way),
            Speech::Ouch => trade_ouch(plan, segment, &venue, way),
        }
    })
}

/// The venue's end, once orders can come there.
pub(super) fn called(
    caller: JoinHandle<Result<TcpStream, String>>,
    segment: &Segment,
) -> Result<TcpStream, Failure> {
    let venue = caller.join().map_err(|_| "the venue's end broke")??;
    let state = segment.counters().get("venue.XOUT.state");
    let started = Instant::now();
    while state.get() != 3 {
        if started.elapsed() > PATIENCE {
            return Err("the venue is not up".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(10));
    Ok(venue)
}

/// What orders do, and what the venue takes.
pub(super) struct Terms<'a> {
    pub policy: &'a str,
    /// Messages in a second.
    pub rate: u32,
    /// More of the venue.
    pub more: &'a str,
}

/// A configuration with a venue.
pub(super) fn text(base: &str, speech: Speech, venue: SocketAddr, terms: &Terms<'_>) -> String {
    let ends = match speech {
        Speech::Fix => {
            "protocol = \"fix44\"\nsender_comp_id = \"MILLRACE\"\ntarget_comp_id = \"XOUT\""
        }
        Speech::Ouch => "protocol = \"ouch5\"\nusername = \"GATE\"\npassword = \"secret\"",
    };
    let Terms { policy, rate, more } = terms;
    format!(
        "{base}\n[[port]]\nprotocol = \"fix44\"\nlisten = \"127.0.0.1:0\"\n[[user]]\nname = \"FIX1\"\n\
         password = \"secret\"\nfirm = \"FRM4\"\nfix_comp_id = \"CLIENT1\"\n\
         cancel_on_disconnect = false\n[[venue]]\nname = \"XOUT\"\nconnect = \"{venue}\"\n{ends}\n\
         max_messages_per_second = {rate}\n{more}\n[routing.default]\npolicy = \"{policy}\"\n\
         venues = [\"XOUT\"]\n"
    )
}

/// The venue's end of the connection, as far as orders can come.
pub(super) fn answer_call(listener: &TcpListener, speech: Speech) -> Result<TcpStream, String> {
    let call = || -> Result<TcpStream, Failure> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        match speech {
            Speech::Fix => {
                let mut inbox = Inbox::default();
                inbox.next(&stream)?;
                let now_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
                (&stream).write_all(&logon("XOUT", now_ns))?;
            }
            Speech::Ouch => {
                (&stream).read_exact(&mut [0; 49])?;
                (&stream).write_all(LoginAccepted::new(*b"TODAY     ", 1).as_bytes())?;
                // The question which number is next.
                (&stream).read_exact(&mut [0; 4])?;
                let answer = AccountQueryResponse {
                    kind: b'Q',
                    timestamp: 0.into(),
                    next_user_ref: 1.into(),
                };
                let answer = [answer.as_bytes(), &[0, 0]].concat();
                (&stream).write_all(&packet(kind::SEQUENCED, &answer))?;
            }
        }
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    call().map_err(|error| error.to_string())
}

/// Messages of FIX as they come.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// The next message, waited for.
    fn next(&mut self, mut stream: &TcpStream) -> Result<Vec<u8>, Failure> {
        loop {
            let end = self.bytes.windows(4).position(|window| window == b"\x0110=");
            if let Some(at) = end.filter(|at| self.bytes.len() >= at + 8) {
                let rest = self.bytes.split_off(at + 8);
                return Ok(std::mem::replace(&mut self.bytes, rest));
            }
            let mut chunk = [0; 2048];
            match stream.read(&mut chunk) {
                Ok(0) => return Err("the connection ended".into()),
                Ok(count) => self.bytes.extend_from_slice(&chunk[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The next one of a kind, such as `35=8`, that says something.
    fn next_of(&mut self, stream: &TcpStream, says: &[u8]) -> Result<Vec<u8>, Failure> {
        loop {
            let message = self.next(stream)?;
            if message.windows(says.len()).any(|window| window == says) {
                return Ok(message);
            }
        }
    }
}

fn trade_fix(plan: &Plan, segment: &Segment, venue: &TcpStream, way: Way) -> Measured {
    let client = connect(segment.addresses()[1])?;
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    (&client).write_all(&logon("CLIENT1", now_ns))?;
    let (mut told, mut sent) = (Inbox::default(), Inbox::default());
    told.next_of(&client, b"\x0135=A\x01")?;
    let count = plan.warm_up() + plan.round_trips;
    let orders: Vec<Vec<u8>> = (2..count + 2).map(|n| order("CLIENT1", n, now_ns)).collect();
    let mut run = || -> Result<_, Failure> {
        let mut times_ns = histogram();
        for (n, order) in (0..).zip(&orders) {
            let started = Instant::now();
            (&mut { &client }).write_all(order)?;
            let out = sent.next_of(venue, b"\x0135=D\x01")?;
            let mut elapsed = started.elapsed();
            told.next_of(&client, b"\x01150=0\x01")?;
            let fill = fill("XOUT", n + 2, now_ns, &out)?;
            let started = Instant::now();
            (&mut { venue }).write_all(&fill)?;
            told.next_of(&client, b"\x01150=F\x01")?;
            if way == Way::Back {
                elapsed = started.elapsed();
            }
            if n >= plan.warm_up() {
                times_ns.saturating_record(elapsed.as_nanos() as u64);
            }
        }
        Ok(times_ns)
    };
    let times_ns = on_core(plan.cores[1], || run().map_err(|error| error.to_string()))?;
    Ok(Figures { times_ns, driver_calls: None })
}

/// A report that all of an order traded.
fn fill(from: &str, number: u32, now_ns: u64, order: &[u8]) -> Result<Vec<u8>, Failure> {
    let at = order.windows(4).position(|window| window == b"\x0111=").ok_or("no ClOrdID")?;
    let id = order[at + 4..].split(|byte| *byte == 1).next().unwrap_or_default();
    Ok(message(from, number, msg_type::EXECUTION_REPORT, now_ns, |writer| {
        writer.number(b"37=", number.into()).bytes(b"11=", id).number(b"17=", number.into());
        writer.character(b"150=", b'F').character(b"39=", b'2').bytes(b"55=", b"AAPL");
        writer.character(b"54=", b'1').number(b"38=", 100).number(b"32=", 100);
        writer.bytes(b"31=", b"100").number(b"151=", 0).number(b"14=", 100).bytes(b"6=", b"100");
    }))
}

/// Reads the next packet of a type; others, such as heartbeats, are passed over.
fn next_packet(stream: &TcpStream, wanted: u8, message: u8) -> Result<Vec<u8>, Failure> {
    loop {
        let mut head = [0; 3];
        read(stream, &mut head)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[0], head[1]])) - 1];
        read(stream, &mut body)?;
        if head[2] == wanted && body.first() == Some(&message) {
            return Ok(body);
        }
    }
}

fn trade_ouch(plan: &Plan, segment: &Segment, venue: &TcpStream, way: Way) -> Measured {
    let client = connect(segment.addresses()[0])?;
    (&client).write_all(&login_packet("TRADE1", "secret", "", 0))?;
    read(&client, &mut [0; 33])?;
    (&client).write_all(&packet(kind::UNSEQUENCED, &account_query()))?;
    next_packet(&client, kind::SEQUENCED, b'Q')?;
    let count = plan.warm_up() + plan.round_trips;
    let order = |n| {
        let order = NewOrder::new(n, b'B', 100, "AAPL", Price(1_000_000 + n % 1_000 * 100));
        packet(kind::UNSEQUENCED, &order.encode())
    };
    let orders: Vec<Vec<u8>> = (1..=count).map(order).collect();
    let run = || -> Result<_, Failure> {
        let mut times_ns = histogram();
        for (n, order) in (1u32..).zip(&orders) {
            let started = Instant::now();
            (&mut { &client }).write_all(order)?;
            let out = next_packet(venue, kind::UNSEQUENCED, b'O')?;
            let mut elapsed = started.elapsed();
            next_packet(&client, kind::SEQUENCED, b'A')?;
            let user_ref = u32::from_be_bytes(out[1..5].try_into()?);
            let fill = Executed {
                kind: b'E',
                timestamp: 0.into(),
                user_ref: user_ref.into(),
                quantity: 100.into(),
                price: 1_000_000.into(),
                liquidity: b'A',
                match_number: u64::from(n).into(),
            };
            let fill = [&header(kind::SEQUENCED, 36)[..], fill.as_bytes(), &[0, 0]].concat();
            let started = Instant::now();
            (&mut { venue }).write_all(&fill)?;
            next_packet(&client, kind::SEQUENCED, b'E')?;
            if way == Way::Back {
                elapsed = started.elapsed();
            }
            if n > plan.warm_up() {
                times_ns.saturating_record(elapsed.as_nanos() as u64);
            }
        }
        Ok(times_ns)
    };
    let times_ns = on_core(plan.cores[1], || run().map_err(|error| error.to_string()))?;
    Ok(Figures { times_ns, driver_calls: None })
}
