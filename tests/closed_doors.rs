//! What others on the machine can read of the gateway, and what the gateway can do to the machine.

mod common;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use common::process::Process;
use common::*;
use millrace::client::Client;

fn trade(address: std::net::SocketAddr) {
    let mut alice = Client::login(address, "ALICE", "secret", 0).unwrap();
    enter(&mut alice, &buy(1, 1, "90.00"));
}

/// Every file and folder below one, and its rights.
fn rights(dir: &Path, found: &mut Vec<(String, u32)>) {
    found.push((dir.display().to_string(), std::fs::metadata(dir).unwrap().mode() & 0o7777));
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => rights(&path, found),
            false => {
                let mode = std::fs::metadata(&path).unwrap().mode() & 0o7777;
                found.push((path.display().to_string(), mode));
            }
        }
    }
}

#[test]
fn journal_audit_and_counters_are_their_owners_alone() {
    let scratch = Scratch::new();
    let (process, address) = Process::start(&scratch.0, "");
    trade(address);
    let said = process.stop();
    assert!(!said.contains("open to others"), "{said}");
    let mut found = vec![];
    rights(&scratch.0.join("data"), &mut found);
    assert!(found.len() >= 6, "{found:?}");
    for (path, mode) in found {
        assert_eq!(mode & 0o077, 0, "{path} is {mode:o}");
    }
}

#[test]
fn a_folder_of_roots_becomes_the_configured_users() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skip: becoming another user needs root");
        return;
    }
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (process, address) = Process::start(&scratch.0, "user = \"nobody\"");
    trade(address);
    process.stop();
    let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
    assert_ne!(owner(&data), 0);
    assert_eq!(owner(&data.join("journal/000001.journal")), owner(&data));
}

#[test]
fn a_folder_that_others_can_read_is_told_of() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (process, address) = Process::start(&scratch.0, "");
    trade(address);
    let said = process.stop();
    assert!(said.contains("is open to others (mode 0755)"), "{said}");
    assert!(said.contains("chmod -R go-rwx"), "{said}");
}

#[test]
fn a_group_that_is_named_may_read_and_one_that_is_not_there_is_refused() {
    let scratch = Scratch::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    let file = scratch.0.join("millrace.toml");
    std::fs::write(&file, config_text("group = \"no-such-group\"", "")).unwrap();
    command.args(["run", "--config"]).arg(&file).arg("--data").arg(scratch.0.join("data"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("group = \"no-such-group\": there is no such group"), "{said}");
    // Only root may give files to a group of which it is no member.
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skip: the rest needs root");
        return;
    }
    let (process, address) = Process::start(&scratch.0, "group = \"daemon\"");
    trade(address);
    process.stop();
    let mut found = vec![];
    rights(&scratch.0.join("data"), &mut found);
    for (path, mode) in found {
        let is_folder = Path::new(&path).is_dir();
        assert_eq!(mode & 0o777, if is_folder { 0o750 } else { 0o640 }, "{path}");
        let group = std::fs::metadata(&path).unwrap().gid();
        assert_eq!(group, 1, "{path} is of group {group}");
    }
}

#[test]
fn every_thread_is_confined_and_it_still_trades_rotates_and_stops() {
    let scratch = Scratch::new();
    let gateway = "topology = \"pipeline\"\naudit_file_bytes = 65536";
    let (process, address) = Process::start(&scratch.0, gateway);
    let mut alice = Client::login(address, "ALICE", "secret", 0).unwrap();
    // Enough for several audit files, which are closed and compressed beside.
    for user_ref in 1..=1_000 {
        enter(&mut alice, &buy(user_ref, 1, "90.00").ioc());
        canceled(&mut alice, user_ref, 1, 'I');
    }
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let path = task.unwrap().path();
        // One that compressed a file may have ended.
        let Ok(status) = std::fs::read_to_string(path.join("status")) else { continue };
        threads += 1;
        assert!(status.contains("Seccomp:\t2"), "{status}");
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
    assert!(threads >= 7, "{threads} threads");
    drop(alice);
    let said = process.stop();
    assert!(!said.contains("cannot") && !said.contains("not compressed"), "{said}");
    let files = std::fs::read_dir(scratch.0.join("data/audit")).unwrap();
    let names: Vec<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() >= 3 && names.iter().all(|name| name.ends_with(".zst")), "{names:?}");
}

#[test]
fn confinement_can_be_turned_off() {
    let scratch = Scratch::new();
    let (process, address) = Process::start(&scratch.0, "confine = false");
    trade(address);
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    assert!(status.contains("Seccomp:\t0"), "{status}");
    process.stop();
}
