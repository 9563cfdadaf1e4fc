//! The inputs kept in `fuzz/corpus` run through what is fuzzed, without a fuzzer.

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::path::Path;

fn replay(name: &str, target: impl Fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        target(&std::fs::read(&path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", dir.display());
}

#[test]
fn frames() {
    replay("frame", targets::frame::run);
}

#[test]
fn segments_in_sequence() {
    replay("tcp", targets::tcp::run);
}

#[test]
fn bytes_of_a_soupbin_session() {
    replay("soupbin", targets::soupbin::run);
}

#[test]
fn bytes_of_a_fix_session() {
    replay("fix", targets::fix::run);
}
