//! Bytes of a FIX connection, through scanner, dictionary and session: every byte is taken once,
//! whatever was found lies within its message, and the expected number never goes back.

use millrace::session::fix::{Action, Ends, Phase, Session};
use millrace::wire::fix::dictionary::check;
use millrace::wire::fix::scan::{Scan, Scanner, checksum};
use millrace::wire::fix::value::{price, quantity, timestamp};
use millrace::wire::fix::{Version, tag};

use super::Input;

/// 2026-07-01, 12:04:05.
const NOW_NS: u64 = 1_782_907_445_000_000_000;
const ENDS: Ends<'static> = Ends { version: Version::Fix44, own: b"M", peer: b"C" };

/// Fields that a fuzzer would take long to come upon; `|` is a field's end.
const WORDS: [&[u8]; 16] = [
    b"35=A|49=C|56=M|34=1|52=20260701-12:04:05|98=0|108=30|",
    b"35=D|49=C|56=M|52=20260701-12:04:05|34=",
    b"35=2|49=C|56=M|52=20260701-12:04:05|7=1|16=0|34=",
    b"35=4|49=C|56=M|52=20260701-12:04:05|123=Y|34=2|36=",
    b"35=4|49=C|56=M|52=20260701-12:04:05|34=2|36=",
    b"35=1|49=C|56=M|52=20260701-12:04:05|112=x|34=",
    b"35=5|49=C|56=M|52=20260701-12:04:05|34=",
    b"11=A|55=B|54=1|60=20260701-12:04:05|38=1|40=2|44=1.5|",
    b"453=2|448=A|447=D|802=1|523=x|448=B|",
    b"43=Y|122=20260701-12:04:04|",
    b"141=Y|",
    b"97=N|",
    b"|",
    b"0|",
    b"1|",
    b"2|",
];

/// A stream of messages with right lengths and sums, of words and of bytes as they are.
fn stream(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !input.is_empty() {
        let shape = input.byte();
        let mut body = Vec::new();
        for _ in 0..shape & 7 {
            let word = input.byte();
            match WORDS.get(usize::from(word)) {
                Some(word) => body.extend_from_slice(word),
                None => body.extend_from_slice(input.bytes(usize::from(word & 15))),
            }
        }
        body.iter_mut().filter(|byte| **byte == b'|').for_each(|byte| *byte = 1);
        if shape & 0x80 != 0 {
            bytes.extend_from_slice(&body);
            continue;
        }
        let start = bytes.len();
        bytes.extend_from_slice(format!("8=FIX.4.4\x019={}\x01", body.len()).as_bytes());
        bytes.extend_from_slice(&body);
        let sum = checksum(&bytes[start..]);
        bytes.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    }
    bytes
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let raw = input.byte() & 1 == 1;
    let bytes = if raw { input.0.to_vec() } else { stream(&mut input) };
    let mut scanner = Scanner::new();
    let mut session = Session::new(NOW_NS);
    let mut rest = &bytes[..];
    loop {
        match scanner.scan(rest) {
            Scan::Incomplete => break,
            Scan::Garbled(_, length) => {
                assert!(length > 0 && length <= rest.len());
                rest = &rest[length..];
            }
            Scan::Message(length) => {
                let message = scanner.message(&rest[..length]);
                for field in message.fields() {
                    let value = message.value(field);
                    assert!(!value.contains(&1));
                    let _ = (price(value), quantity(value), timestamp(value));
                }
                let _ = check(Version::Fix42, &message);
                let _ = check(Version::Fix44, &message);
                let before = (session.next_in(), session.phase());
                let actions = session.received(&message, &ENDS, NOW_NS);
                for action in actions.iter() {
                    match action {
                        Action::LogOn(logon) => {
                            assert_eq!(before.1, Phase::Connected);
                            session.accept(&logon, 1, NOW_NS);
                        }
                        Action::Application => {
                            assert_eq!(before.1, Phase::Active);
                            assert!(message.get(tag::CL_ORD_ID).is_some());
                        }
                        _ => {}
                    }
                }
                let again =
                    actions.iter().any(|action| matches!(action, Action::BeginAgain { .. }));
                let goes_on =
                    if again { session.next_in() == 2 } else { session.next_in() >= before.0 };
                assert!(goes_on, "the expected number goes back");
                rest = &rest[length..];
            }
        }
        if rest.is_empty() {
            break;
        }
    }
}
