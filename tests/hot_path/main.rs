//! An order allocates nothing after warm-up, and costs one receive and one send.

#[path = "../common/mod.rs"]
mod common;
mod fix;
mod measure;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicU64, Ordering};

use common::transport::{self, on_server};
use common::{Scratch, config, config_text};
use fix::FixPingPong;
use measure::{PingPong, count_system_calls, counted_config};
use millrace::client::playground::Carrier;
use millrace::segment::Segment;

struct Counting;

/// Counts an allocation, but for the test runner's own: after a minute it says on the main thread that
/// a test takes long, as it may where others keep the cores.
fn count() {
    #[allow(unsafe_code, reason = "asks which thread this is")]
    // SAFETY: no arguments; cannot fail.
    let thread = unsafe { libc::gettid() };
    if thread.unsigned_abs() != std::process::id() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code, reason = "an allocator that counts")]
// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The same with a FIX session.
fn with_fix(text: &str) -> String {
    let more = r#"
[[port]]
protocol = "fix44"
listen = "127.0.0.1:0"
[[user]]
name = "FIX1"
password = "secret"
firm = "BBB"
fix_comp_id = "CLIENT1"
[[symbol]]
"#;
    text.replacen("[[symbol]]\n", more, 1)
}

/// The feed, its ring and a drop copy allocate nothing either.
fn with_a_feed() {
    let scratch = Scratch::new();
    let line = UdpSocket::bind("127.0.0.1:0").unwrap();
    let feed = format!(
        r#"
[[port]]
protocol = "dropcopy"
listen = "127.0.0.1:0"
[[user]]
name = "WATCH"
password = "secret"
firm = "CMP"
drop_copy_of = ["AAA"]
[feed]
lines = ["{}"]
ring = "feed"
ring_dir = "{}"
keep = 1024
"#,
        line.local_addr().unwrap(),
        scratch.0.display()
    );
    let text = config_text("ack = \"sequenced\"", "") + &feed;
    let config = config(&scratch.0, &text);
    let segment = Segment::start(&config).unwrap();
    let mut session = PingPong::new(segment.addresses()[0], "ALICE", 900, true);
    session.run(300);
    let told = || segment.counters().get("feed.messages").get();
    let wait = |messages| {
        let deadline = std::time::Instant::now() + common::PATIENCE;
        while told() < messages {
            assert!(std::time::Instant::now() < deadline, "{} of {messages} are told", told());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    };
    wait(300);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    session.run(600);
    wait(900);
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(allocated, 0, "allocations for 600 orders that the market is told of");
    segment.stop();
}

/// Nor does an order that goes on to an exchange, there and back, on either side.
fn with_a_venue(protocol: &str) {
    let (scratch, there) = (Scratch::new(), Scratch::new());
    let gate = match protocol {
        "ouch5" => "",
        _ => "fix_comp_id = \"MILLRACE\"",
    };
    let outside = format!(
        r#"
[[port]]
protocol = "{protocol}"
listen = "127.0.0.1:0"
[[user]]
name = "GATE"
{gate}
password = "secret"
firm = "GATE"
cancel_on_disconnect = false
[[symbol]]
"#
    );
    let gateway = "ack = \"sequenced\"\nfix_comp_id = \"XOUT\"";
    let text = config_text(gateway, "").replacen("[[symbol]]\n", &outside, 1);
    let exchange = Segment::start(&config(&there.0, &text)).unwrap();
    let ends = match protocol {
        "ouch5" => "username = \"GATE\"",
        _ => "sender_comp_id = \"MILLRACE\"\ntarget_comp_id = \"XOUT\"",
    };
    let venue = format!(
        r#"
[[venue]]
name = "XOUT"
protocol = "{protocol}"
connect = "{}"
{ends}
password = "secret"
max_messages_per_second = 1000000
[routing.default]
policy = "route-only"
venues = ["XOUT"]
"#,
        exchange.addresses()[1]
    );
    let text = config_text("ack = \"sequenced\"", "") + &venue;
    let segment = Segment::start(&config(&scratch.0, &text)).unwrap();
    let deadline = std::time::Instant::now() + common::PATIENCE;
    while segment.counters().get("venue.XOUT.state").get() != 3 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    let mut session = PingPong::new(segment.addresses()[0], "ALICE", 3_000, false);
    session.run(1_000);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    session.run(2_000);
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(allocated, 0, "{protocol}: allocations for 2000 orders that go to a venue");
    segment.stop();
    exchange.stop();
}

/// Every thread of the process counts, journal and helpers too; both topologies, both kinds of
/// acknowledgement; on other transports with `MILLRACE_TEST_TRANSPORT`. One test, because nothing else may run beside it.
#[test]
fn an_order_allocates_nothing_and_makes_two_system_calls() {
    for (topology, ack) in
        [("inline", "journaled"), ("inline", "sequenced"), ("pipeline", "journaled")]
    {
        let scratch = Scratch::new();
        let gateway = format!("topology = \"{topology}\"\nack = \"{ack}\"");
        let config = config(&scratch.0, &with_fix(&config_text(&gateway, "")));
        let segment = on_server(|| Segment::start(&config)).unwrap();
        let mut session = PingPong::new(segment.addresses()[0], "ALICE", 3_000, false);
        session.run(1_000);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        session.run(2_000);
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(allocated, 0, "{topology}, {ack}: allocations for 2000 orders");
        // On other transports than loopback the password is hashed, of capitals.
        let password = if transport::is_kernel() { "secret" } else { "SECRET" };
        let to = segment.addresses()[1];
        let mut session = FixPingPong::new(to, "CLIENT1", password, 3_000);
        session.run(1_000);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        session.run(2_000);
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(allocated, 0, "{topology}, {ack}: allocations for 2000 FIX orders");
        segment.stop();
    }

    if transport::is_kernel() {
        with_a_feed();
        with_a_venue("fix44");
        with_a_venue("ouch5");
    }

    let scratch = Scratch::new();
    let orders = 2_000;
    let binary = env!("CARGO_BIN_EXE_millrace");
    let text = transport::adapt(&counted_config());
    let counted = count_system_calls(binary, &scratch.0, &text, orders, |command| {
        on_server(|| command.spawn())
    });
    match counted {
        Some(counted) => {
            // The login and the start take a few.
            let most = u64::from(orders) + 50;
            // Frames are there without asking for them; sending wakes the driver.
            let (receives, sends) = match transport::carrier() {
                Carrier::Kernel => (most, most),
                // Frames are there without asking for them; sending wakes the driver.
                Carrier::AfXdp(_) | Carrier::Dpdk(_) => (50, most),
            };
            assert!(counted.receives <= receives, "{counted:?}");
            assert!(counted.sends <= sends, "{counted:?}");
        }
        None => println!("skip: system calls are not counted without strace"),
    }
}
