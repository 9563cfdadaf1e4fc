//! Ends of Rust against ends of C and of Python, with the real `Event`.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::OnceLock;

use millrace::order::Command as Order;
use millrace::order::{
    CommandKind, Event, FirmId, OrderFlags, Price, SeqNum, Slot, SymbolId, Tags, UserId, UserRefNum,
};
use millrace::ring::Record;
use millrace::ring::broadcast::From;
use millrace::ring::region::{self, RegionError, Start, Terms};
use zerocopy::{IntoBytes, TryFromBytes};

use super::common::Scratch;
use super::*;

const COUNT: u64 = 20_000;
const TERMS: Terms = Terms { capacity: 32_768, mode: 0o640, group: None };

/// What the n-th record is, as `bindings/c/ends.c` and `tests/rings/ends.py` have it.
trait Sample: Record + PartialEq + std::fmt::Debug {
    const WORD: &'static str;
    fn sample(n: u64) -> Self;
}

impl Sample for [u64; 7] {
    const WORD: &'static str = "numbers";

    fn sample(n: u64) -> Self {
        [n; 7]
    }
}

impl Sample for Event {
    const WORD: &'static str = "events";

    fn sample(n: u64) -> Event {
        let m = n as u32;
        let one_of = |most: u32| (m % most) as u8;
        fn read<T: TryFromBytes>(byte: u8) -> T {
            let Ok(value) = T::try_read_from_bytes(&[byte]) else { panic!("{byte} is none") };
            value
        }
        let mut command =
            Order::new(CommandKind::Enter, UserId(m as u16 + 10), FirmId(m as u16 + 11));
        (command.seq, command.time_ns) = (SeqNum(n), n * 1000);
        (command.user_ref, command.orig_user_ref) = (UserRefNum(m + 1), UserRefNum(m + 2));
        (command.qty, command.price, command.limit) = (m + 3, Price(m + 4), Price(m + 5));
        (command.min_qty, command.max_floor, command.expire_s) = (m + 6, m + 7, m + 8);
        (command.slot, command.symbol, command.group) =
            (Slot(m + 9), SymbolId(m as u16 + 12), m as u16 + 13);
        (command.tags, command.flags) = (Tags(m as u16 + 14), OrderFlags((m + 15) as u8));
        (command.side, command.display) = (read(one_of(4)), read(one_of(3)));
        (command.tif, command.capacity) = (read((m / 4 % 4) as u8), read((m / 3 % 4) as u8));
        command.self_trade = read(one_of(5));
        command.text = std::array::from_fn(|at| (m as usize + at) as u8);
        (command.carried, command.number_in, command.answer) = ((m + 16) as u8, m + 17, m + 18);
        Event {
            command,
            kind: read(one_of(17)),
            whole: m % 2 == 1,
            live: m / 2 % 2 == 1,
            side: read((m / 2 % 4) as u8),
            policy: read((m / 5 % 5) as u8),
            liquidity: (m + 19) as u8,
            user: UserId(m as u16 + 20),
            user_ref: UserRefNum(m + 21),
            qty: m + 22,
            price: Price(m + 23),
            reference: n + 24,
            ..Event::EMPTY
        }
    }
}

/// The other language's program: `write|read queue|broadcast numbers|events DIR NAME [COUNT]`.
trait Ends {
    fn ends(&self) -> Command;

    fn run(&self, what: &str, kind: &str, records: &str, dir: &Path) -> Child {
        let mut child = self.ends();
        child.args([what, kind, records]).arg(dir).arg("ring").arg(COUNT.to_string());
        child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Waits for a ring that another process makes.
fn wait_for<T>(mut open: impl FnMut() -> Result<T, RegionError>) -> T {
    let began = Instant::now();
    loop {
        match open() {
            Err(RegionError::NotThere { .. }) if began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            done => return done.unwrap(),
        }
    }
}

/// Records go from Rust to the other language and back, over both kinds of rings.
fn both_ways<R: Sample>(other: &impl Ends) {
    let expected = format!("{COUNT} seen, 0 missed\n");
    let samples = || (1..=COUNT).chain([0]).map(R::sample);

    let scratch = Scratch::new();
    let reader = other.run("read", "queue", R::WORD, &scratch.0);
    let mut tx = region::send::<R>(&place(&scratch.0), &TERMS).unwrap();
    samples().for_each(|record| assert!(tx.push(&record)));
    assert_eq!(passed(reader), expected);
    assert_eq!(tx.free(), TERMS.capacity);

    let scratch = Scratch::new();
    let writer = other.run("write", "queue", R::WORD, &scratch.0);
    let mut rx = wait_for(|| region::receive::<R>(&place(&scratch.0), Start::Onward));
    let began = Instant::now();
    for record in samples() {
        let got = loop {
            if let Some(got) = rx.pop().unwrap() {
                break got;
            }
            assert!(began.elapsed() < PATIENCE, "waits for {record:?}");
            std::thread::yield_now();
        };
        assert_eq!(got, record);
    }
    passed(writer);

    let scratch = Scratch::new();
    let mut tx = region::publish::<R>(&place(&scratch.0), &TERMS).unwrap();
    samples().for_each(|record| tx.push(&record));
    assert_eq!(passed(other.run("read", "broadcast", R::WORD, &scratch.0)), expected);

    // A ring that Rust made, to be gone on with; records of before, so that the other has to find its place.
    let scratch = Scratch::new();
    drop(region::publish::<R>(&place(&scratch.0), &Terms { capacity: 4096, ..TERMS }).unwrap());
    let mut rx = region::subscribe::<R>(&place(&scratch.0), From::Oldest).unwrap();
    passed(other.run("write", "broadcast", R::WORD, &scratch.0));
    let lost = rx.pop().unwrap_err();
    let next = COUNT + 1 - 2048;
    assert_eq!(lost, millrace::ring::broadcast::Lost::Missed { records: next });
    for record in samples().skip(next as usize) {
        assert_eq!(rx.pop(), Ok(Some(record)));
    }
    assert_eq!(rx.pop(), Ok(None));
}

/// What the other language refuses, it refuses for the same reasons.
fn refusals(other: &impl Ends) {
    let scratch = Scratch::new();
    let refused = |what: &str, kind: &str, records: &str| {
        let output = finish(other.run(what, kind, records, &scratch.0));
        assert_ne!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let tx =
        region::send::<[u64; 7]>(&place(&scratch.0), &Terms { capacity: 4096, ..TERMS }).unwrap();
    let _rx = region::receive::<[u64; 7]>(&place(&scratch.0), Start::Onward).unwrap();
    let said = refused("write", "queue", "numbers");
    assert!(said.contains("has a writer already"), "{said}");
    let said = refused("read", "queue", "numbers");
    assert!(said.contains("has a reader already, process "), "{said}");
    drop(tx);
    let said = refused("write", "queue", "events");
    assert!(
        said.contains("holds records \"u64\" of 56 bytes, not \"millrace.event.1\" of 152"),
        "{said}"
    );
    let said = refused("read", "broadcast", "numbers");
    assert!(said.contains("not a broadcast ring"), "{said}");
    let file = std::fs::OpenOptions::new().write(true).open(place(&scratch.0).ring()).unwrap();
    file.set_len(9_000).unwrap();
    let said = refused("write", "queue", "numbers");
    assert!(said.contains("was cut short"), "{said}");
}

struct C;

impl Ends for C {
    /// `bindings/c/ends.c` with everything that looks for mistakes.
    fn ends(&self) -> Command {
        static BINARY: OnceLock<(Scratch, PathBuf)> = OnceLock::new();
        let (_, binary) = BINARY.get_or_init(|| {
            let scratch = Scratch::new();
            let binary = scratch.0.join("ends");
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/bindings/c/ends.c");
            let output = Command::new("cc")
                .args([
                    "-std=c11",
                    "-O1",
                    "-g",
                    "-Wall",
                    "-Wextra",
                    "-Wpedantic",
                    "-Wshadow",
                    "-Werror",
                ])
                .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o"])
                .args([binary.as_os_str(), OsStr::new(source)])
                .output()
                .expect("there is a C compiler");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            (scratch, binary)
        });
        Command::new(binary)
    }
}

#[test]
fn c_speaks_numbers() {
    both_ways::<[u64; 7]>(&C);
}

#[test]
fn c_speaks_events() {
    both_ways::<Event>(&C);
}

#[test]
fn c_refuses_what_rust_does() {
    refusals(&C);
}

/// A Python that has the package, named by `scripts/test`.
struct Python(PathBuf);

impl Python {
    fn find() -> Option<Python> {
        let python = std::env::var_os("MILLRACE_PYTHON").map(|path| Python(path.into()));
        if python.is_none() {
            eprintln!(
                "skip  MILLRACE_PYTHON names no Python with millrace_ring; scripts/test makes one"
            );
        }
        python
    }
}

impl Ends for Python {
    fn ends(&self) -> Command {
        let mut python = Command::new(&self.0);
        python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rings/ends.py"));
        python
    }
}

#[test]
fn python_speaks_numbers() {
    if let Some(python) = Python::find() {
        both_ways::<[u64; 7]>(&python);
    }
}

#[test]
fn python_speaks_events() {
    if let Some(python) = Python::find() {
        both_ways::<Event>(&python);
    }
}

#[test]
fn python_refuses_what_rust_does() {
    if let Some(python) = Python::find() {
        refusals(&python);
    }
}

#[test]
fn python_looks_at_records_where_they_lie() {
    let Some(Python(python)) = Python::find() else { return };
    let scratch = Scratch::new();
    let mut child = Command::new(python);
    child.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rings/views.py")).arg(&scratch.0);
    passed(child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
}

/// The layout that the other languages have written down.
#[test]
fn an_event_is_so_many_bytes() {
    assert_eq!((size_of::<Order>(), size_of::<Event>()), (120, 152));
    assert_eq!(Event::sample(7).as_bytes().len(), 152);
}
