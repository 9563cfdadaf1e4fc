//! The audit files hold what went over the wire.

use std::process::Command;

use millrace::audit::{Entry, files, read};

use super::Floor;
use super::common::*;

fn entries(dir: &std::path::Path) -> Vec<Entry> {
    let mut all = vec![];
    for file in files(dir).unwrap() {
        read(&file, |entry| all.push(entry.clone())).unwrap();
    }
    all
}

#[test]
fn every_message_is_there_in_order_and_no_password() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut peer = floor.fix("CLIENT1");
    peer.enter("A1", '1', 100, "100");
    enter(&mut alice, &sell(1, 30, "100.00"));
    peer.expect("150=F");
    peer.cancel("A2", "A1", '1');
    peer.expect("39=4");
    let mut stranger = floor.peer("CLIENT2");
    stranger.send("A", "98=0|108=30|554=guess|");
    stranger.expect_end();
    peer.send("2", "7=2|16=2|");
    peer.any().expect("43=Y");
    let config = floor.venue.config.clone();
    let (stopped, _scratch) = floor.venue.stop();
    assert_eq!(stopped.failure, None);

    let all = entries(&config.audit_dir());
    let kinds = |session: &str, direction: &str| -> Vec<String> {
        let of = all.iter().filter(|e| e.session == session && e.direction == direction);
        of.map(|e| super::peer::Fields::parse(&e.message).get(35).to_owned()).collect()
    };
    assert_eq!(kinds("CLIENT1", "in"), ["D", "F", "2"]);
    assert_eq!(kinds("CLIENT1", "out"), ["A", "8", "8", "8", "8", "5"]);
    // Logons, while nobody was logged on.
    assert_eq!(kinds("-", "in"), ["A", "A"]);
    let text: Vec<u8> = all.iter().flat_map(|e| e.message.clone()).collect();
    for password in [&b"secret"[..], b"SECRET", b"guess"] {
        assert!(!text.windows(password.len()).any(|window| window == password));
    }
    let ouch = |direction: &str| {
        let of = all.iter().filter(|e| e.session == "ALICE" && e.direction == direction);
        of.map(|e| e.message[0]).collect::<Vec<u8>>()
    };
    assert_eq!(ouch("in"), b"O");
    assert_eq!(ouch("out"), b"SAE");

    let grep = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["audit", "grep"]).arg(config.audit_dir()).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = grep(&["--session", "CLIENT1", "--clordid", "A1"]);
    // The order, its report, its fill, the cancel, its report, and the report sent again.
    assert_eq!(lines.lines().count(), 6, "{lines}");
    assert!(lines.contains("-> BeginString(8)=FIX.4.4"), "{lines}");
    assert!(lines.contains("MsgType(35)=D(NewOrderSingle)"), "{lines}");
    assert!(lines.contains("OrigClOrdID(41)=A1"), "{lines}");
    assert_eq!(grep(&["--session", "ALICE", "--direction", "in"]).lines().count(), 1);
    assert_eq!(grep(&["--since", "2999"]), "");
    // The Logon that was refused is its session's all the same.
    assert!(grep(&["--session", "CLIENT2"]).contains("Password(554)=*****"));
}

#[test]
fn a_writer_that_must_not_lose_anything_has_it_all() {
    let text = super::text("audit = \"block\"", "max_open_orders = 2000");
    let venue = Venue::start_in(Scratch::new(), &text);
    let mut alice = venue.client("ALICE");
    for n in 1..=2_000 {
        alice.send(&buy(n, 1, "99.00").encode()).unwrap();
    }
    for _ in 1..=2_000 {
        answer(&mut alice);
    }
    let config = venue.config.clone();
    let (_, _scratch) = venue.stop();
    // A start of day for each who speaks OUCH; orders, answers, and the cancels of the end.
    assert_eq!(entries(&config.audit_dir()).len(), 4 + 3 * 2_000);
}
