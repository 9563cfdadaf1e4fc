//! The gateway as its users run it: killed in the middle of the flow, and with a feed that stands still.
#![allow(unsafe_code, reason = "stops a thread of another process")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millrace::runtime::counters::read_file;

use super::common::{PATIENCE, Scratch};
use super::venue::{
    Reader, Spoilt, assert_is_the_journals, group, request_address, text, told, trade,
};

/// A gateway in a process of its own.
struct Process {
    child: Child,
    dir: std::path::PathBuf,
    address: SocketAddr,
}

impl Process {
    fn start(dir: &Path, text: &str) -> Process {
        let file = dir.join("millrace.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["run", "--config"]).arg(&file).arg("--data").arg(dir);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(' ').find_map(|word| word.strip_prefix("ouch5="));
        let address = port.unwrap_or_else(|| panic!("not ready: {line}")).parse().unwrap();
        Process { child, dir: dir.to_owned(), address }
    }

    fn counter(&self, name: &str) -> u64 {
        let all = read_file(&self.dir.join("counters")).unwrap();
        all.iter().find(|(known, _)| known == name).expect("a counter of that name").1
    }

    /// The number of the thread that has a name.
    fn thread(&self, name: &str) -> i32 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let mut ids = tasks.map(|task| task.unwrap());
        let found = ids.find(|task| {
            let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            comm.trim() == name
        });
        found.expect("a thread of that name").file_name().to_str().unwrap().parse().unwrap()
    }

    /// What the journal has is what was told, once it has all of it.
    fn wait_for_disk(&self) {
        let deadline = Instant::now() + 3 * PATIENCE;
        while self.counter("journal.durable") < self.counter("risk.sequenced") {
            assert!(Instant::now() < deadline, "nothing more comes to be on disk");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Messages told, once all that was sequenced is.
    fn told(&self) -> u64 {
        told(|name| self.counter(name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_feed_goes_on_exactly_where_it_was_however_often_its_gateway_is_killed() {
    goes_on("", 6);
}

/// What was told and was not on disk is in memory that outlives the gateway.
#[test]
fn a_feed_ahead_of_the_disk_goes_on_where_it_was_too() {
    goes_on("ack = \"sequenced\"\nflush_ms = 20\ncrash_dir = \"DIR/crash\"", 4);
}

fn goes_on(gateway: &str, kills: u64) {
    let (scratch, line, request) = (Scratch::new(), group(), request_address());
    let gateway = gateway.replace("DIR", &scratch.0.display().to_string());
    let text = text("keep = 1024", &gateway, &[line], request);
    let mut reader = Reader::of(line, request, Spoilt::default(), 1);
    for round in 0..kills {
        let mut gateway = Process::start(&scratch.0, &text);
        let address = gateway.address;
        let trading = std::thread::spawn(move || trade(address, 100 + round, 1_000_000));
        // Each time somewhere else in the middle.
        let until = Instant::now() + Duration::from_millis(150 + 70 * round);
        while Instant::now() < until {
            if !reader.poll() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        gateway.child.kill().unwrap();
        gateway.child.wait().unwrap();
        assert!(trading.join().unwrap().is_err(), "it was killed while they traded");
    }
    let gateway = Process::start(&scratch.0, &text);
    let last = gateway.told();
    reader.read_until(last);
    // All of it again, from the journal: the same bytes, those that were told before each kill included.
    let mut late = Reader::of(line, request, Spoilt { lost: 1_000, ..Spoilt::default() }, 2);
    late.expect_session_of(&reader);
    late.read_until(last);
    assert!(reader.messages.len() > 5_000, "{} messages", reader.messages.len());
    assert!(late.messages == reader.messages);
    gateway.wait_for_disk();
    drop(gateway);
    assert_is_the_journals(&late.market, &scratch);
}

/// What was told may not be on disk, nor anywhere: those who listen are told to begin anew.
#[test]
fn a_feed_ahead_of_all_that_is_left_begins_a_new_session_once_its_gateway_was_killed() {
    let (scratch, line, request) = (Scratch::new(), group(), request_address());
    let text = text("", "ack = \"sequenced\"\ncrash_dir = \"\"", &[line], request);
    let mut sessions = vec![];
    for round in 0..3u64 {
        let mut reader = Reader::of(line, request, Spoilt::default(), 1);
        let mut gateway = Process::start(&scratch.0, &text);
        trade(gateway.address, 200 + round, 400).unwrap();
        let last = gateway.told();
        reader.read_until(last);
        sessions.push(reader.arbiter.session().unwrap());
        if round == 2 {
            gateway.wait_for_disk();
            drop(gateway);
            assert_is_the_journals(&reader.market, &scratch);
            break;
        }
        gateway.child.kill().unwrap();
        gateway.child.wait().unwrap();
    }
    assert_eq!(sessions[0][2..], sessions[2][2..]);
    assert!(sessions[0] != sessions[1] && sessions[1] != sessions[2], "{sessions:?}");
}

/// Stops one thread, as a debugger does, until it is dropped.
struct Stopped(i32);

impl Stopped {
    fn stop(thread: i32) -> Stopped {
        let nothing: *mut libc::c_void = std::ptr::null_mut();
        // SAFETY: no memory of this process is read or written.
        let done = unsafe { libc::ptrace(libc::PTRACE_ATTACH, thread, nothing, nothing) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        let mut status = 0;
        // SAFETY: a place for the status.
        let stopped = unsafe { libc::waitpid(thread, &mut status, libc::__WALL) };
        assert_eq!(stopped, thread);
        Stopped(thread)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let nothing: *mut libc::c_void = std::ptr::null_mut();
        // SAFETY: as in `stop`.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, nothing, nothing) };
    }
}

#[test]
fn a_feed_that_stands_still_for_ten_seconds_holds_nobody_up_and_catches_up_by_itself() {
    let (scratch, line, request) = (Scratch::new(), group(), request_address());
    let gateway = Process::start(
        &scratch.0,
        &text("", "ack = \"sequenced\"\ncrash_dir = \"\"", &[line], request),
    );
    let mut reader = Reader::of(line, request, Spoilt::default(), 1);
    trade(gateway.address, 1, 1_000).unwrap();
    let before = gateway.told();
    reader.read_until(before);
    let stopped = Stopped::stop(gateway.thread("mr-feed"));
    let began = Instant::now();
    let mut rounds = 0;
    // More than its ring holds, all answered while it stands still.
    while began.elapsed() < Duration::from_secs(10) || gateway.counter("risk.sequenced") < 80_000 {
        rounds += 1;
        trade(gateway.address, 1 + rounds, 2_000).unwrap();
        assert!(began.elapsed() < 9 * PATIENCE, "too slow to show anything");
    }
    assert_eq!(gateway.counter("feed.messages"), before, "it stood still");
    drop(stopped);
    let deadline = Instant::now() + 3 * PATIENCE;
    while gateway.counter("feed.commands_from_journal") == 0 {
        assert!(Instant::now() < deadline, "it never looked into the journal");
        std::thread::sleep(Duration::from_millis(20));
    }
    let last = gateway.told();
    assert!(last > before + 50_000, "{last}");
    reader.read_until(last);
    drop(gateway);
    assert_is_the_journals(&reader.market, &scratch);
}
