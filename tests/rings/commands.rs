//! `millrace ring` as it is used.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;

use millrace::ring::region::look;

use super::common::Scratch;
use super::*;

#[test]
fn either_end_may_start_first() {
    for (record_bytes, broadcast) in [(4, false), (8, false), (64, false), (120, false), (56, true)]
    {
        let bytes = format!("--record-bytes={record_bytes}");
        let mut produce = vec!["--count=50000", &bytes, "--capacity=65536"];
        produce.extend(broadcast.then_some("--broadcast"));
        let scratch = Scratch::new();
        let consumer = ring("consume", &scratch.0, &[]).spawn().unwrap();
        let producer = ring("produce", &scratch.0, &produce).spawn().unwrap();
        assert!(passed(producer).starts_with("wrote 1 to 50000 and a zero: "));
        assert!(passed(consumer).starts_with("read 50000 numbers, 1 to 50000, and a zero: "));

        let scratch = Scratch::new();
        let produced = passed(ring("produce", &scratch.0, &produce).spawn().unwrap());
        assert!(produced.starts_with("wrote 1 to 50000 and a zero: "));
        let consumed = passed(ring("consume", &scratch.0, &[]).spawn().unwrap());
        assert!(consumed.starts_with("read 50000 numbers, 1 to 50000, and a zero: "));
    }
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let scratch = Scratch::new();
    let mut tx =
        millrace::ring::region::send::<[u64; 2]>(&place(&scratch.0), &Default::default()).unwrap();
    tx.push_slice(&[[1; 2], [2; 2], [4; 2]]);
    let said = refused(ring("consume", &scratch.0, &[]).spawn().unwrap());
    assert_eq!(said, "millrace: 4 came where 3 should have");
    tx.push(&[5, 6]);
    let said = refused(ring("consume", &scratch.0, &[]).spawn().unwrap());
    assert!(said.ends_with("has not the same number in all of its words"), "{said}");
}

#[test]
fn a_broadcast_reader_begins_with_the_oldest_that_is_there() {
    let scratch = Scratch::new();
    let produce = ["--count=1000", "--broadcast", "--capacity=64"];
    passed(ring("produce", &scratch.0, &produce).spawn().unwrap());
    // 1,001 records were written, of which the last 64 are there.
    let read = passed(ring("consume", &scratch.0, &[]).spawn().unwrap());
    assert!(read.starts_with("read 63 numbers, 938 to 1000, and a zero: "), "{read}");
}

#[test]
fn a_second_end_is_refused() {
    let scratch = Scratch::new();
    let mut first =
        ring("produce", &scratch.0, &["--count=100000", "--capacity=64"]).spawn().unwrap();
    let began = Instant::now();
    while look(&place(&scratch.0)).map_or(0, |sight| sight.written) < 64 {
        assert!(began.elapsed() < PATIENCE, "it does not fill the ring");
        std::thread::sleep(Duration::from_millis(2));
    }
    let said =
        refused(ring("produce", &scratch.0, &["--count=1", "--capacity=64"]).spawn().unwrap());
    assert!(said.ends_with(&format!("has a writer already, process {}", first.id())), "{said}");
    let shown = passed(ring("show", &scratch.0, &[]).spawn().unwrap());
    assert!(
        shown.contains(&format!("process {}", first.id())) && shown.contains("nobody so far"),
        "{shown}"
    );
    assert!(shown.contains("unread      64, 100 % of the ring"), "{shown}");
    first.kill().unwrap();
    first.wait().unwrap();
    let shown = passed(ring("show", &scratch.0, &["--json"]).spawn().unwrap());
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["writer"]["lives"], &shown["written"]), (&false.into(), &64.into()));
}

#[test]
fn what_cannot_be_a_ring_is_said_in_a_line() {
    let scratch = Scratch::new();
    let mut bad = ring("produce", &scratch.0, &["--count=1"]);
    bad.args(["--record-bytes=5"]);
    assert!(refused(bad.spawn().unwrap()).contains("not 5"));
    let said =
        refused(ring("produce", &scratch.0, &["--count=1", "--capacity=100"]).spawn().unwrap());
    assert!(said.contains("a power of two from 2 on, not 100"), "{said}");
    let said = refused(ring("show", &scratch.0, &[]).spawn().unwrap());
    assert!(said.contains("there is no ring"), "{said}");
    let said =
        refused(ring("produce", &scratch.0.join("nowhere"), &["--count=1"]).spawn().unwrap());
    assert!(said.contains("No such file or directory"), "{said}");
    let long = ["--count=4294967295", "--record-bytes=4"];
    let said = refused(ring("produce", &scratch.0, &long).spawn().unwrap());
    assert!(said.contains("count to 4294967294 at most"), "{said}");
}

/// A memory file system that has not enough: said when the ring is made, and nothing is left of it.
#[test]
fn a_full_memory_is_an_error_and_not_a_signal() {
    let scratch = Scratch::new();
    let script = "mount -t tmpfs -o size=256k none \"$1\" && shift && exec \"$@\"";
    let mut child = Command::new("unshare");
    child.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(&scratch.0);
    child
        .arg(env!("CARGO_BIN_EXE_millrace"))
        .args(["ring", "produce", "ring", "--dir"])
        .arg(&scratch.0);
    child.args(["--count=1", "--capacity=65536"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(child) = child.spawn() else { return eprintln!("skip  there is no unshare") };
    let output = finish(child);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("unshare:") || said.contains("mount:") {
        return eprintln!("skip  no namespaces here: {said}");
    }
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("cannot take the memory of") && said.contains("No space left"), "{said}");
}

/// Somebody who is neither the writer nor of its group.
#[test]
fn who_may_not_read_is_told_so() {
    #[allow(unsafe_code, reason = "asks who we are")]
    // SAFETY: no arguments; cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return eprintln!("skip  only root can be somebody else");
    }
    let scratch = Scratch::new();
    passed(ring("produce", &scratch.0, &["--count=1"]).spawn().unwrap());
    let binary = scratch.0.join("millrace");
    std::fs::copy(env!("CARGO_BIN_EXE_millrace"), &binary).unwrap();
    let nobody = |command: &str, more: &[&str]| {
        let mut child = Command::new(&binary);
        child
            .args(["ring", command, "ring", "--dir"])
            .arg(&scratch.0)
            .args(more)
            .uid(65534)
            .gid(65534);
        child.stdout(Stdio::piped()).stderr(Stdio::piped());
        loop {
            match child.spawn() {
                // A test beside this one forked while the copy was open for writing.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                child => return refused(child.unwrap()),
            }
        }
    };
    assert!(nobody("consume", &[]).contains("Permission denied"));
    assert!(nobody("produce", &["--count=1"]).contains("Permission denied"));
}
