//! Rings between real processes: ends of Rust, C and Python, that come, are killed, and come again.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod kills;
mod languages;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use millrace::ring::region::Place;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn place(dir: &Path) -> Place {
    Place::new(dir, "ring").unwrap()
}

/// `millrace ring COMMAND ring --dir DIR ...`
fn ring(command: &str, dir: &Path, more: &[&str]) -> Command {
    let mut child = Command::new(env!("CARGO_BIN_EXE_millrace"));
    child.args(["ring", command, "ring", "--dir"]).arg(dir).args(more);
    child.stdout(Stdio::piped()).stderr(Stdio::piped());
    child
}

/// What a process said once it has ended, which it must in time.
fn finish(mut child: Child) -> Output {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it did not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

fn passed(child: Child) -> String {
    let output = finish(child);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// One line on standard error, and an exit code that says so.
fn refused(child: Child) -> String {
    let output = finish(child);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    said.trim_end().lines().last().unwrap().to_owned()
}
