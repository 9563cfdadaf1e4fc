//! A gateway that has nothing to do leaves the machine to others, and is there when something comes.

mod common;

use std::time::Duration;

use common::process::Process;
use common::*;
use millrace::client::Client;

/// How often each thread of a process was woken so far.
fn wake_ups(process: &Process) -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let of = |task: std::path::PathBuf| {
        let status = std::fs::read_to_string(task.join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().to_owned()
        };
        (field("Name:"), field("voluntary_ctxt_switches:").parse().unwrap())
    };
    tasks.map(|task| of(task.unwrap().path())).collect()
}

#[test]
fn an_idle_gateway_sleeps_and_answers_whoever_comes() {
    const SECONDS: u64 = 3;
    for topology in ["inline", "pipeline"] {
        let dir = Scratch::new();
        let (process, address) = Process::start(&dir.0, &format!("topology = \"{topology}\""));
        std::thread::sleep(Duration::from_millis(500));
        let before = wake_ups(&process);
        std::thread::sleep(Duration::from_secs(SECONDS));
        let after = wake_ups(&process);
        let sum = |of: &[(String, u64)]| of.iter().map(|(_, count)| count).sum::<u64>();
        let woken = sum(&after) - sum(&before);
        assert!(woken < 50 * SECONDS, "{topology}: {woken} in {SECONDS} s, {before:?} {after:?}");

        // Again and again out of sleep, and with a session that has to be kept alive.
        let mut alice = Client::login(address, "ALICE", "secret", 0).unwrap();
        for n in 1..=20 {
            std::thread::sleep(Duration::from_millis(20));
            enter(&mut alice, &buy(n, 1, "90.00"));
        }
        let before = sum(&wake_ups(&process));
        silence(&mut alice);
        for _ in 0..SECONDS {
            alice.heartbeat().unwrap();
            assert_eq!(alice.receive(Duration::from_secs(1)).unwrap(), None);
        }
        let woken = sum(&wake_ups(&process)) - before;
        assert!(woken < 100 * SECONDS, "{topology}, one session: {woken} in {SECONDS} s");
        process.stop();
    }
}
