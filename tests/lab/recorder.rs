//! The recorder as its users run it: killed, out of disk, beside a feed with gaps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use millrace::lab::read::Recording;
use millrace::lab::{Partition, Recorder, Row, Setup, Store};
use millrace::order::NANOS_PER_SEC;

use super::common::{PATIENCE, Scratch};
use super::venue::Exchange;

const MILLRACE: &str = env!("CARGO_BIN_EXE_millrace");

/// A recorder in a process of its own.
struct Process(Option<Child>);

impl Process {
    fn start(ring_dir: &Path, out: &Path, more: &[&str]) -> Process {
        let mut command = Command::new(MILLRACE);
        command.args(["record", "--quiet", "--ring", "lab", "--ring-dir"]).arg(ring_dir);
        command.arg("--out").arg(out).args(more);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Process(Some(child))
    }

    fn wait(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }

    fn kill(mut self) {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn exchange(ring_dir: &Path) -> Exchange {
    let feed = format!("ring = \"lab\"\nring_dir = {:?}\n", ring_dir.display().to_string());
    Exchange::start(&feed, "ack = \"sequenced\"")
}

/// All rows, and their symbols' names, by number; without what only a live recording has.
pub fn rows(dir: &Path) -> BTreeMap<u64, (String, Row)> {
    let mut recording = Recording::open(dir, &[]).unwrap();
    let mut all = BTreeMap::new();
    while let Some(row) = recording.next(&[]).unwrap() {
        let name = recording.symbols[usize::from(row.locate)].clone();
        let row = Row { received_ns: 0, local_ns: 0, offset_ns: 0, locate: 0, ..row };
        assert!(all.insert(row.number, (name, row)).is_none(), "{row:?} is there twice");
    }
    all
}

fn export(data: &Path, out: &Path) {
    let mut command = Command::new(MILLRACE);
    let done = command.args(["journal", "export"]).arg(data).arg("--parquet").arg(out).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Waits until a recording's files have a message.
fn wait_for(out: &Path, number: u64) {
    let deadline = Instant::now() + 3 * PATIENCE;
    let reached = || {
        let files = Store::new(out).files("events").unwrap();
        files.iter().map(|file| file.span.last).max().unwrap_or(0)
    };
    while reached() < number {
        assert!(Instant::now() < deadline, "message {number} never came, only {}", reached());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_recorded_is_what_the_journal_says_however_often_the_recorder_is_killed() {
    let ring_dir = Scratch::new();
    let exchange = exchange(&ring_dir.0);
    let out = ring_dir.0.join("out");
    exchange.trade(31, 200);
    for round in 0..3 {
        let recorder = Process::start(&ring_dir.0, &out, &["--file-rows", "150", "--signals"]);
        exchange.trade(32 + round, 1_000);
        // In the middle of whatever it does.
        wait_for(&out, exchange.told() / 4);
        recorder.kill();
    }
    let more = ["--file-rows", "150", "--signals", "--until-end"];
    let recorder = Process::start(&ring_dir.0, &out, &more);
    exchange.trade(35, 1_000);
    let told = exchange.told();
    let (_, scratch) = exchange.venue.stop();
    let done = recorder.wait();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (again, recorded) = (ring_dir.0.join("again"), rows(&out));
    export(&scratch.0, &again);
    assert!(recorded.len() > 1_000 && recorded.len() as u64 <= told);
    assert!(recorded == rows(&again), "a row of the recording is not the journal's");
    let open = |dir: &Path| -> usize {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { open_in(&path) } else { 0 }).sum()
    };
    assert_eq!(open(&out), 0, "files that were open when it was killed are gone");
}

fn open_in(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => open_in(&path),
            false => usize::from(path.to_string_lossy().ends_with(".open")),
        })
        .sum()
}

/// Over two lines, whose packets the kernel stamps, and with what came before asked for.
#[test]
fn packets_are_recorded_with_the_time_that_they_came_at() {
    let scratch = Scratch::new();
    let exchange = exchange(&scratch.0);
    exchange.trade(81, 300);
    let out = scratch.0.join("out");
    let mut command = Command::new(MILLRACE);
    command.args(["record", "--quiet", "--until-end", "--one-clock", "--interface", "127.0.0.1"]);
    for line in &exchange.lines {
        command.args(["--feed", &line.to_string()]);
    }
    command.args(["--request", &exchange.request.to_string(), "--file-rows", "100"]);
    let child = command.arg("--out").arg(&out).stdout(Stdio::piped()).stderr(Stdio::piped());
    let recorder = Process(Some(child.spawn().unwrap()));
    // Until it listens, whatever is told is only to be had by request.
    exchange.trade(82, 1_000);
    wait_for(&out, exchange.told() / 4);
    exchange.trade(83, 1_000);
    exchange.told();
    let (_, journal) = exchange.venue.stop();
    let done = recorder.wait();
    let said = String::from_utf8_lossy(&[&done.stdout[..], &done.stderr[..]].concat()).into_owned();
    assert!(done.status.success() && said.contains(" 0 messages missed"), "{said}");
    let again = scratch.0.join("again");
    export(&journal.0, &again);
    assert!(rows(&out) == rows(&again), "a row of the recording is not the journal's");
    let mut recording = Recording::open(&out, &[]).unwrap();
    while let Some(row) = recording.next(&[]).unwrap() {
        assert!(row.received_ns > 0 && row.received_ns <= row.local_ns, "{row:?}");
        assert!(row.offset_ns <= (row.received_ns - row.time_ns) as i64, "{row:?}");
    }
}

fn setup(dir: &Path, partition: Partition) -> Setup {
    Setup {
        store: Store::new(dir),
        partition,
        file_rows: 1_000,
        file_ns: 60 * NANOS_PER_SEC,
        rows_max: 5_000,
        signals: false,
        one_clock: true,
    }
}

fn messages(exchange: &Exchange) -> Vec<Vec<u8>> {
    use super::venue::{Reader, Spoilt};
    let mut reader = Reader::open(exchange, 0, Spoilt::default(), 1);
    exchange.trade(41, 2_500);
    let told = exchange.told();
    reader.read_until(told);
    reader.messages
}

#[test]
fn gaps_are_recorded_as_gaps_and_a_day_or_a_symbol_begins_a_file() {
    let scratch = Scratch::new();
    let exchange = exchange(&scratch.0);
    let messages = messages(&exchange);
    for partition in [Partition::Symbol, Partition::Date] {
        let dir = scratch.0.join(format!("{partition:?}"));
        let mut recorder = Recorder::new(setup(&dir, partition), "SESSION").unwrap();
        let now_ns = exchange_time(&messages[100]);
        for (number, message) in (1..).zip(&messages) {
            match number {
                400 => recorder.gap(400, 100, now_ns),
                401..=499 => {}
                _ => recorder.message(number, 0, now_ns, message).unwrap(),
            }
        }
        let stats = recorder.finish().unwrap();
        assert_eq!((stats.missed, stats.rows), (100, stats.written));
        let all = rows(&dir);
        assert!(all.keys().all(|number| !(400..500).contains(number)));
        // How many messages two sessions bring about depends on how they mingle.
        assert!(all.len() > 300 && all.len() as u64 == stats.written, "{}", all.len());
        let names: std::collections::BTreeSet<_> = all.values().map(|(name, _)| name).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["AAPL", "MSFT"]);
        let gaps = Store::new(&dir).files("gaps").unwrap();
        assert_eq!((gaps[0].span.first, gaps[0].span.last), (400, 499));
        // Begun again, it goes on behind what there is.
        let recorder = Recorder::new(setup(&dir, partition), "SESSION").unwrap();
        assert_eq!(recorder.reached(), messages.len() as u64);
    }
}

/// A message that defines a symbol, and one that displays an order in it.
fn of_symbol(locate: u16, time_ns: u64, reference: Option<u64>) -> Vec<u8> {
    use millrace::wire::itch::{AddOrder, Head, StockDirectory};
    use zerocopy::IntoBytes;
    let mut stock = *b"S       ";
    stock[1..6].copy_from_slice(format!("{locate:05}").as_bytes());
    match reference {
        Some(reference) => AddOrder {
            head: Head::new(AddOrder::KIND, locate, time_ns),
            reference: reference.into(),
            side: b'B',
            shares: 100.into(),
            stock,
            price: 1_000_000.into(),
        }
        .as_bytes()
        .to_vec(),
        None => {
            let mut bytes = vec![0; size_of::<StockDirectory>()];
            bytes[..11]
                .copy_from_slice(Head::new(StockDirectory::KIND, locate, time_ns).as_bytes());
            bytes[11..19].copy_from_slice(&stock);
            bytes
        }
    }
}

/// Twelve thousand symbols in memory that would hold a tenth of their rows.
#[test]
fn thousands_of_symbols_find_room_in_bounded_memory() {
    const SYMBOLS: u16 = 12_000;
    let scratch = Scratch::new();
    let now_ns = exchange_time(&[0; 12]);
    let since_midnight_ns = now_ns % (86_400 * NANOS_PER_SEC);
    let mut recorder = Recorder::new(setup(&scratch.0, Partition::Date), "WIDE").unwrap();
    let mut number = 0;
    for locate in 1..=SYMBOLS {
        number += 1;
        let message = of_symbol(locate, since_midnight_ns, None);
        recorder.message(number, 0, now_ns, &message).unwrap();
    }
    for round in 0..5u64 {
        for locate in 1..=SYMBOLS {
            number += 1;
            let message = of_symbol(locate, since_midnight_ns + round, Some(number));
            recorder.message(number, 0, now_ns, &message).unwrap();
        }
    }
    let stats = recorder.finish().unwrap();
    assert_eq!((stats.rows, stats.written), (60_000, 60_000));
    let all = rows(&scratch.0);
    assert_eq!(all.len(), 60_000);
    let names: std::collections::BTreeSet<_> = all.values().map(|(name, _)| name).collect();
    assert_eq!(names.len(), usize::from(SYMBOLS));
    let mut one = Recording::open(&scratch.0, &["S00077".to_owned()]).unwrap();
    let mut count = 0;
    while one.next(&["S00077".to_owned()]).unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 5);
}

/// A time near those of a message: of today.
fn exchange_time(message: &[u8]) -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    assert!(message.len() > 11);
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[test]
fn a_file_of_another_schema_is_said_with_its_column() {
    let scratch = Scratch::new();
    let exchange = exchange(&scratch.0);
    let messages = messages(&exchange);
    let dir = scratch.0.join("data");
    let mut recorder = Recorder::new(setup(&dir, Partition::Symbol), "SESSION").unwrap();
    let now_ns = exchange_time(&messages[0]);
    for (number, message) in (1..).zip(&messages) {
        recorder.message(number, 0, now_ns, message).unwrap();
    }
    recorder.finish().unwrap();
    let files = Store::new(&dir).files("events").unwrap();
    let first = &files[0].path;
    // Signals under the name of events.
    let other = scratch.0.join("other/events/date=2026-01-01/symbol=AAPL");
    std::fs::create_dir_all(&other).unwrap();
    let place = other.join(first.file_name().unwrap());
    std::fs::write(&place, b"PAR1 and nothing else").unwrap();
    let error = |path: PathBuf| match Recording::open(&path, &[]) {
        Ok(_) => panic!("{} is taken", path.display()),
        Err(error) => error.to_string(),
    };
    assert!(error(scratch.0.join("other")).contains(&place.display().to_string()));
    assert!(error(scratch.0.join("none")).contains("no file of events"));
    let whole = std::fs::read(first).unwrap();
    std::fs::write(&place, &whole[..whole.len() / 2]).unwrap();
    assert!(error(scratch.0.join("other")).contains(&place.display().to_string()));
    assert!(match Recording::open(&dir, &["NONE".to_owned()]) {
        Ok(_) => false,
        Err(error) => error.to_string().contains("nothing of NONE"),
    });
}

#[test]
fn a_disk_that_fills_stops_the_recorder_with_a_line_and_nobody_else() {
    let scratch = Scratch::new();
    let out = scratch.0.join("small");
    std::fs::create_dir(&out).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=192k", "tmpfs"])
        .arg(&out)
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a small file system needs root");
        return;
    }
    struct Mounted(PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
    let mounted = Mounted(out.clone());
    let exchange = exchange(&scratch.0);
    let recorder = Process::start(&scratch.0, &out, &["--file-rows", "100", "--signals"]);
    for round in 0..12 {
        exchange.trade(50 + round, 1_000);
    }
    let done = recorder.wait();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("No space left on device"), "{said}");
    assert!(said.contains("what was closed before is whole"), "{said}");
    let kept = rows(&out);
    assert!(kept.len() > 100, "{}", kept.len());
    // The gateway did not notice.
    exchange.trade(70, 200);
    drop(mounted);
}
