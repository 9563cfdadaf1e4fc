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
fn datagrams_of_market_data() {
    replay("feed", targets::feed::run);
}

#[test]
fn bytes_of_fix_messages() {
    replay("fix_messages", targets::fix_messages::run);
}

#[test]
fn a_fix_session_with_everything_behind_it() {
    let told = std::cell::RefCell::new(vec![]);
    replay("fix_session", |data| told.borrow_mut().extend(targets::fix_session::answers(data)));
    // It gets far enough to be worth something: trades, replacements, resends, rejects.
    let told = told.into_inner();
    for field in ["150=F", "150=5", "150=4", "43=Y", "35=9", "35=3", "35=5", "123=Y"] {
        let field = format!("\x01{field}\x01").into_bytes();
        assert!(
            told.windows(field.len()).any(|window| window == field),
            "{}",
            field.escape_ascii()
        );
    }
}

#[test]
fn a_venue_that_is_called_with_everything_behind_it() {
    let told = std::cell::RefCell::new(vec![]);
    replay("venue", |data| told.borrow_mut().extend(targets::venue::answers(data)));
    // Orders, cancels, replaces and questions, in FIX and in OUCH.
    let told = told.into_inner();
    for field in ["35=D", "35=F", "35=G", "35=H", "35=AF", "35=2"] {
        let field = format!("\x01{field}\x01").into_bytes();
        let is_there = told.windows(field.len()).any(|window| window == field);
        assert!(is_there, "{}", field.escape_ascii());
    }
    assert!(told.windows(4).any(|window| window == [0, 48, b'U', b'O']), "an order in OUCH");
}
