//! `millrace bench` says what it finds, leaves a page, and where something is missing says so and runs the rest.

use std::path::PathBuf;
use std::process::{Command, Output};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("millrace-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where no sources are, so that nothing is built.
fn bench(dir: &Scratch, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.arg("bench").args(words.split(' ')).args(["--out", "page"]).current_dir(&dir.0);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_load_leaves_a_page_with_its_machine_pictures_and_histograms() {
    let dir = Scratch::new("bench-load");
    let words = "load --sessions 2 --shares 0.2,0.5 --durable false --runs 1 --ms 200";
    let output = bench(&dir, words);
    let said = said(&output);
    if std::thread::available_parallelism().unwrap().get() < 2 {
        assert!(said.contains("two cores are needed"), "{said}");
        return;
    }
    assert!(output.status.success(), "{said}");
    assert!(said.contains("millrace inline"), "{said}");
    let page = std::fs::read_to_string(dir.0.join("page/index.html")).unwrap();
    for part in ["processor", "<svg", "millrace bench load", "2 sessions, not durable"] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    let json = std::fs::read_to_string(dir.0.join("page/results.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let found = json["sections"]["load"]["found"].as_object().unwrap();
    let inline = &found["not durable 2 sessions millrace inline"];
    assert!(inline["highest"][0].as_f64().unwrap() > 100.0, "{json}");
    // A load that was disturbed is left out, and said; one that was not has its histogram, of
    // millrace and of the reference servers if they are built.
    let loads: usize = found.values().map(|server| server["loads"].as_array().unwrap().len()).sum();
    let histograms = std::fs::read_dir(dir.0.join("page")).unwrap().flatten();
    let histograms = histograms.filter(|file| file.path().extension().is_some_and(|e| e == "hgrm"));
    assert_eq!(histograms.count(), loads, "{json}");
}

#[test]
fn a_killed_gateways_journal_is_replayed_to_one_state() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        return;
    }
    let dir = Scratch::new("bench-recovery");
    let output = bench(&dir, "recovery --ms 200 --runs 2");
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("M commands/s"), "{}", said(&output));
}

#[test]
fn all_says_what_it_leaves_out_and_runs_the_rest() {
    let dir = Scratch::new("bench-all");
    let output = bench(&dir, "all --only decode");
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("without FIX"), "{}", said(&output));
    let page = std::fs::read_to_string(dir.0.join("page/index.html")).unwrap();
    assert!(page.contains("decode: bytes to a command in the ring"), "{page}");
}

#[test]
fn with_one_core_it_is_said_that_two_are_needed() {
    let dir = Scratch::new("bench-one-core");
    let bound = Command::new("taskset")
        .args(["-c", "0", env!("CARGO_BIN_EXE_millrace"), "bench", "models"])
        .current_dir(&dir.0)
        .output();
    // util-linux is not everywhere.
    let Ok(output) = bound else { return };
    assert!(!output.status.success());
    assert!(said(&output).contains("two cores are needed"), "{}", said(&output));
}
