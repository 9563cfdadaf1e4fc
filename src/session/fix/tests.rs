//! The session layer's test cases as the specification numbers them (FIX 4.4 volume 2, "FIX session
//! level test cases"), for the acceptor's side; and what differs for the initiator's.

use super::*;
use crate::wire::fix::scan::{Garbled, Scan, Scanner, checksum};
use crate::wire::fix::value::Timestamps;

const NOW_NS: UnixNanos = 1_782_907_445_000_000_000;
const SECOND: u64 = NANOS_PER_SEC;
const ENDS: Ends<'static> = Ends { version: Version::Fix44, own: b"MILLRACE", peer: b"CLIENT1" };
const ORDER: &str = "11=A1|55=AAPL|54=1|60=20260701-12:04:05|38=100|40=2|44=190.25|";

fn frame(begin: &str, body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    let mut text = format!("8={begin}\x019={}\x01{body}", body.len()).into_bytes();
    let sum = checksum(&text);
    text.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    text
}

fn time(at_ns: UnixNanos) -> String {
    String::from_utf8(Timestamps::default().text(at_ns).to_vec()).unwrap()
}

/// A session, and the words for what it does.
struct Test {
    session: Session,
    now_ns: UnixNanos,
}

impl Test {
    fn connected() -> Test {
        Test { session: Session::new(NOW_NS), now_ns: NOW_NS }
    }

    /// One that called, with `expected` next of the peer; the peer writes as a client would.
    fn calling(reset: bool, expected: u64) -> Test {
        let call = Call { heartbeat_s: 30, reset, patience_ns: 20 * SECOND };
        Test { session: Session::initiate(call, expected, NOW_NS), now_ns: NOW_NS }
    }

    /// Logged on, with 2 expected next.
    fn active() -> Test {
        let mut test = Test::connected();
        let said = test.logon(1, 1, "");
        assert_eq!(said, ["logon 1"]);
        test
    }

    fn raw(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut scanner = Scanner::new();
        assert_eq!(scanner.scan(bytes), Scan::Message(bytes.len()));
        let message = scanner.message(bytes);
        let actions = self.session.received(&message, &ENDS, self.now_ns);
        actions.iter().map(|action| tell(&action)).collect()
    }

    /// A message with a header as it should be.
    fn get(&mut self, kind: &str, number: u64, more: &str) -> Vec<String> {
        let sent = time(self.now_ns);
        let body = format!("35={kind}|49=CLIENT1|56=MILLRACE|34={number}|52={sent}|{more}");
        self.raw(&frame("FIX.4.4", &body))
    }

    /// A Logon that is accepted, with `expected` next of the peer.
    fn logon(&mut self, number: u64, expected: u64, more: &str) -> Vec<String> {
        let sent = time(self.now_ns);
        let body = format!("35=A|49=CLIENT1|56=MILLRACE|34={number}|52={sent}|98=0|108=30|{more}");
        let bytes = frame("FIX.4.4", &body);
        let mut scanner = Scanner::new();
        scanner.scan(&bytes);
        let message = scanner.message(&bytes);
        let actions = self.session.received(&message, &ENDS, self.now_ns);
        let mut told = Vec::new();
        for action in actions.iter() {
            told.push(tell(&action));
            if let Action::LogOn(logon) = action {
                let then = self.session.accept(&logon, expected, self.now_ns);
                told.extend(then.iter().map(|action| tell(&action)));
            }
        }
        told
    }

    fn pass(&mut self, seconds: u64) -> Option<String> {
        self.now_ns += seconds * SECOND;
        self.session.due(self.now_ns).map(|action| tell(&action))
    }
}

fn tell(action: &Action<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match action {
        Action::LogOn(logon) => format!("logon {}", logon.number),
        Action::LoggedOn => "logged on".to_owned(),
        Action::Turned(why) => format!("turned {}", text(why)),
        Action::Rejected => "rejected".to_owned(),
        Action::Answered(id) => format!("answered {}", text(id)),
        Action::BeginAgain { heartbeat_s } => format!("begin again {heartbeat_s}"),
        Action::Application => "application".to_owned(),
        Action::Unsupported => "unsupported".to_owned(),
        Action::Reject(refused) => format!("reject {} {}", refused.tag, refused.reason as u8),
        Action::Heartbeat(id) => format!("heartbeat {}", text(id)).trim().to_owned(),
        Action::TestRequest => "test request".to_owned(),
        Action::RequestResend(from) => format!("request from {from}"),
        Action::Resend { from, to } => format!("resend {from} to {to:?}"),
        Action::LogOut(Farewell::Answer) => "logout".to_owned(),
        Action::LogOut(why) => format!("logout {why:?}"),
        Action::Close => "close".to_owned(),
    }
}

#[test]
fn case_1s_a_valid_logon_is_accepted() {
    let mut test = Test::connected();
    assert_eq!(test.logon(1, 1, ""), ["logon 1"]);
    assert_eq!((test.session.phase(), test.session.next_in()), (Phase::Active, 2));
}

#[test]
fn case_1s_a_logon_with_a_number_too_high_is_accepted_and_the_rest_asked_for() {
    let mut test = Test::connected();
    assert_eq!(test.logon(7, 3, ""), ["logon 7", "request from 3"]);
    assert_eq!(test.session.next_in(), 3);
}

#[test]
fn case_1s_a_logon_with_a_number_too_low_is_ended() {
    let mut test = Test::connected();
    let said = test.logon(2, 3, "");
    assert_eq!(said, ["logon 2", "logout TooLow { expected: 3, got: 2 }", "close"]);
}

#[test]
fn case_1s_an_invalid_logon_is_ended() {
    for (body, says) in [
        ("98=1|108=30|", "98"),
        ("98=0|108=7200|", "108"),
        ("98=0|", "reject 108 1"),
        ("98=0|108=x|", "reject 108 6"),
    ] {
        let said = Test::connected().get("A", 1, body);
        assert!(said.iter().any(|said| said.contains(says)), "{body}: {said:?}");
        assert_eq!(said.last().unwrap(), "close");
    }
    let said = Test::connected().get("A", 2, "98=0|108=30|141=Y|");
    assert!(said[0].contains("141"), "{said:?}");
}

#[test]
fn case_1s_the_first_message_has_to_be_a_logon() {
    for kind in ["0", "5", "D", "2"] {
        assert_eq!(Test::connected().get(kind, 1, "112=x|"), ["close"], "{kind}");
    }
}

#[test]
fn case_2a_the_expected_number_is_accepted() {
    let mut test = Test::active();
    assert_eq!(test.get("D", 2, ORDER), ["application"]);
    assert_eq!(test.get("0", 3, ""), [""; 0]);
    assert_eq!(test.session.next_in(), 4);
}

#[test]
fn case_2b_a_number_too_high_is_answered_with_a_resend_request_once() {
    let mut test = Test::active();
    assert_eq!(test.get("D", 5, ORDER), ["request from 2"]);
    assert_eq!(test.get("D", 6, ORDER), [""; 0], "it was asked for");
    for number in 2..5 {
        let more = format!("43=Y|122={}|{ORDER}", time(NOW_NS));
        assert_eq!(test.get("D", number, &more), ["application"]);
    }
    assert_eq!(test.session.next_in(), 5);
}

#[test]
fn case_2c_a_number_too_low_ends_the_session() {
    let mut test = Test::active();
    test.get("0", 2, "");
    let said = test.get("0", 2, "");
    assert_eq!(said, ["logout TooLow { expected: 3, got: 2 }", "close"]);
    assert_eq!(test.get("0", 3, ""), [""; 0], "nothing is listened to any more");
}

#[test]
fn case_2d_garbled_messages_are_the_scanners() {
    let mut bytes = frame("FIX.4.4", "35=0|34=2|");
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    assert!(matches!(Scanner::new().scan(&bytes), Scan::Garbled(..)));
}

#[test]
fn case_2e_a_possible_duplicate_that_was_seen_is_ignored() {
    let mut test = Test::active();
    test.get("D", 2, ORDER);
    let more = format!("43=Y|122={}|{ORDER}", time(NOW_NS));
    assert_eq!(test.get("D", 2, &more), [""; 0]);
    assert_eq!(test.session.next_in(), 3);
}

#[test]
fn case_2f_2g_a_duplicate_has_to_say_when_it_was_sent_first() {
    let mut test = Test::active();
    test.get("D", 2, ORDER);
    assert_eq!(test.get("D", 2, &format!("43=Y|{ORDER}")), ["reject 122 1"]);
    let later = time(NOW_NS + SECOND);
    let said = test.get("D", 2, &format!("43=Y|122={later}|{ORDER}"));
    assert_eq!(said, ["reject 52 10", "logout SendingTime", "close"]);
    // The same in its place: its number is used.
    let mut test = Test::active();
    let said = test.get("D", 2, &format!("43=Y|122={later}|{ORDER}"));
    assert_eq!(said, ["reject 52 10", "logout SendingTime", "close"]);
    assert_eq!(test.session.next_in(), 3);
}

#[test]
fn case_2i_another_begin_string_ends_the_session() {
    let mut test = Test::active();
    let sent = time(NOW_NS);
    let body = format!("35=0|49=CLIENT1|56=MILLRACE|34=2|52={sent}|");
    assert_eq!(test.raw(&frame("FIX.4.2", &body)), ["logout BeginString", "close"]);
}

#[test]
fn case_2k_another_comp_id_is_rejected_and_ends_the_session() {
    let sent = time(NOW_NS);
    for (ids, tag) in [("49=OTHER|56=MILLRACE|", 49), ("49=CLIENT1|56=OTHER|", 56)] {
        let mut test = Test::active();
        let said = test.raw(&frame("FIX.4.4", &format!("35=0|{ids}34=2|52={sent}|")));
        assert_eq!(said, [&format!("reject {tag} 9"), "logout CompId", "close"]);
    }
}

#[test]
fn case_2m_a_wrong_body_length_is_the_scanners() {
    let bytes = b"8=FIX.4.4\x019=9\x0135=0\x0134=2\x0110=000\x01";
    assert!(matches!(Scanner::new().scan(bytes), Scan::Garbled(..)));
}

#[test]
fn case_2o_a_sending_time_far_off_is_rejected_and_ends_the_session() {
    for off in [NOW_NS - 121 * SECOND, NOW_NS + 121 * SECOND] {
        let mut test = Test::active();
        let body = format!("35=0|49=CLIENT1|56=MILLRACE|34=2|52={}|", time(off));
        let said = test.raw(&frame("FIX.4.4", &body));
        assert_eq!(said, ["reject 52 10", "logout SendingTime", "close"]);
    }
    let mut test = Test::active();
    let near = time(NOW_NS + 119 * SECOND);
    let body = format!("35=0|49=CLIENT1|56=MILLRACE|34=2|52={near}|");
    assert_eq!(test.raw(&frame("FIX.4.4", &body)), [""; 0]);
}

#[test]
fn case_2q_an_invalid_type_is_rejected() {
    let mut test = Test::active();
    assert_eq!(test.get("ZZ", 2, ""), ["reject 35 11"]);
    assert_eq!(test.get("", 3, "58=x|"), ["reject 35 4"]);
    assert_eq!(test.session.next_in(), 4);
}

#[test]
fn case_2r_a_type_that_is_not_supported_gets_a_business_reject() {
    let mut test = Test::active();
    assert_eq!(test.get("R", 2, "131=q|"), ["unsupported"]);
    assert_eq!(test.get("AE", 3, ""), ["unsupported"]);
    assert_eq!(test.session.next_in(), 4);
}

#[test]
fn case_2t_the_first_three_fields_come_first() {
    let sent = time(NOW_NS);
    for body in ["49=CLIENT1|35=0|56=MILLRACE|34=2|", "34=2|35=0|49=CLIENT1|56=MILLRACE|"] {
        let bytes = frame("FIX.4.4", &format!("{body}52={sent}|"));
        let garbled = Scan::Garbled(Garbled::MsgType, bytes.len());
        assert_eq!(Scanner::new().scan(&bytes), garbled, "{body}: no number is used");
    }
}

#[test]
fn case_14b_14d_a_field_of_the_header_that_is_missing_or_empty_is_told() {
    let sent = time(NOW_NS);
    let whole = format!("35=0|49=CLIENT1|56=MILLRACE|34=2|52={sent}|");
    for (field, tag) in [("49=CLIENT1|", 49), ("56=MILLRACE|", 56), (&*format!("52={sent}|"), 52)] {
        let mut test = Test::active();
        let without = frame("FIX.4.4", &whole.replace(field, ""));
        assert_eq!(test.raw(&without), [format!("reject {tag} 1")]);
        let empty = whole.replace(field, &format!("{tag}=|")).replace("34=2", "34=3");
        assert_eq!(test.raw(&frame("FIX.4.4", &empty)), [format!("reject {tag} 4")]);
        assert_eq!(test.session.next_in(), 4, "the session goes on");
    }
}

#[test]
fn case_14a_a_tag_of_no_version_is_no_tag() {
    let mut test = Test::active();
    assert_eq!(test.get("D", 2, &format!("{ORDER}999=x|")), ["reject 999 0"]);
    assert_eq!(test.get("D", 3, &format!("{ORDER}109=x|")), ["reject 109 3"], "it is 4.2's");
}

/// "Using the ResetSeqNumFlag to maintain 24-hour connectivity".
#[test]
fn a_logon_with_reset_on_a_session_that_is_up_begins_the_numbers_again() {
    let mut test = Test::active();
    test.get("0", 2, "");
    assert_eq!(test.get("0", 9, ""), ["request from 3"]);
    assert_eq!(test.get("A", 1, "98=0|108=20|141=Y|"), ["begin again 20"]);
    assert_eq!((test.session.phase(), test.session.next_in()), (Phase::Active, 2));
    assert_eq!(test.get("0", 4, ""), ["request from 2"], "what was asked for before is forgotten");
    assert_eq!(test.pass(24), Some("test request".to_owned()), "with the interval it names");
    // Not by chance: neither a duplicate nor another number.
    let mut test = Test::active();
    let said = test.get("A", 2, "98=0|108=30|141=Y|");
    assert!(said[0].contains("MsgSeqNum (34) has to be 1"), "{said:?}");
    let mut test = Test::active();
    let said = test.get("A", 1, &format!("43=Y|122={}|98=0|108=30|141=Y|", time(NOW_NS)));
    assert_eq!(said, [""; 0]);
    let mut test = Test::active();
    let said = test.get("A", 1, "98=0|108=30|");
    assert_eq!(said, ["logout TooLow { expected: 2, got: 1 }", "close"]);
}

#[test]
fn case_4_heartbeats_come_when_nothing_else_was_sent() {
    let mut test = Test::active();
    assert_eq!(test.pass(29), None);
    assert_eq!(test.pass(1), Some("heartbeat".to_owned()));
    test.session.sent(test.now_ns);
    assert_eq!(test.pass(5), None);
}

#[test]
fn case_4b_a_test_request_is_answered_with_its_id() {
    let mut test = Test::active();
    assert_eq!(test.get("1", 2, "112=are you there|"), ["heartbeat are you there"]);
}

#[test]
fn case_5_6_a_silent_peer_is_tested_then_dropped() {
    let mut test = Test::active();
    test.session.sent(test.now_ns + 36 * SECOND);
    assert_eq!(test.pass(35), None);
    assert_eq!(test.pass(1), Some("test request".to_owned()));
    test.session.sent(test.now_ns + 36 * SECOND);
    assert_eq!(test.pass(1), None, "once");
    let mut quiet = Test { session: test.session.clone(), now_ns: test.now_ns };
    assert_eq!(test.get("0", 2, "112=x|"), ["answered x"]);
    assert_eq!(test.pass(20), None, "it answered");
    assert_eq!(quiet.pass(35), Some("close".to_owned()));
}

#[test]
fn case_5_without_an_interval_there_are_no_heartbeats() {
    let mut test = Test::connected();
    let logon = Logon {
        sender: b"CLIENT1",
        target: b"MILLRACE",
        username: b"",
        password: b"",
        number: 1,
        reset: false,
        heartbeat_s: 0,
    };
    test.session.accept(&logon, 1, NOW_NS);
    assert_eq!(test.pass(100_000), None);
}

#[test]
fn case_7_a_reject_is_taken_and_counted() {
    let mut test = Test::active();
    assert_eq!(test.get("3", 2, "45=1|58=no|"), ["rejected"]);
    assert_eq!(test.session.next_in(), 3);
}

#[test]
fn case_8_what_is_asked_for_again_is_sent_again() {
    let mut test = Test::active();
    assert_eq!(test.get("2", 2, "7=3|16=9|"), ["resend 3 to Some(9)"]);
    assert_eq!(test.get("2", 3, "7=3|16=0|"), ["resend 3 to None"]);
    assert_eq!(test.get("2", 4, "7=3|16=999999|"), ["resend 3 to None"]);
    assert_eq!(test.get("2", 5, "7=9|16=3|"), ["reject 7 5"]);
    assert_eq!(test.get("2", 6, "7=0|16=0|"), ["reject 7 5"]);
}

#[test]
fn case_9_10_a_gap_is_filled() {
    let mut test = Test::active();
    assert_eq!(test.get("4", 2, "123=Y|36=20|"), [""; 0]);
    assert_eq!(test.session.next_in(), 20);
    // Too high: what is before it is asked for.
    assert_eq!(test.get("4", 30, "123=Y|36=40|"), ["request from 20"]);
    assert_eq!(test.session.next_in(), 20);
    // Backwards.
    assert_eq!(test.get("4", 20, "123=Y|36=5|"), ["reject 36 5"]);
    assert_eq!(test.session.next_in(), 21);
    // Too low, as a duplicate and not as one.
    assert_eq!(test.get("4", 3, "43=Y|123=Y|36=9|"), [""; 0]);
    assert_eq!(test.get("4", 3, "123=Y|36=9|").last().unwrap(), "close");
}

#[test]
fn case_11_a_reset_counts_whatever_its_number() {
    let mut test = Test::active();
    assert_eq!(test.get("4", 99, "36=50|"), [""; 0]);
    assert_eq!(test.session.next_in(), 50);
    assert_eq!(test.get("4", 1, "123=N|36=50|"), [""; 0], "the same is fine");
    assert_eq!(test.get("4", 1, "36=10|"), ["reject 36 5"]);
    assert_eq!(test.session.next_in(), 50);
}

#[test]
fn case_12_this_side_logs_out_and_waits() {
    let mut test = Test::active();
    test.session.log_out(test.now_ns);
    assert_eq!(test.get("D", 2, ORDER), [""; 0], "no more business");
    assert_eq!(test.get("5", 3, ""), ["close"]);
    let mut test = Test::active();
    test.session.log_out(test.now_ns);
    assert_eq!(test.pass(4), None);
    assert_eq!(test.pass(1), Some("close".to_owned()));
}

#[test]
fn case_13_a_logout_is_answered() {
    let mut test = Test::active();
    assert_eq!(test.get("5", 2, "58=bye|"), ["logout", "close"]);
    assert_eq!(test.session.next_in(), 3);
    assert_eq!(Test::active().get("5", 9, ""), ["logout", "close"], "with a gap too");
}

#[test]
fn case_14_what_is_wrong_with_a_message_is_told() {
    for (from, to, says) in [
        ("11=A1|", "11=A1|999=1|", "reject 999 0"),
        ("11=A1|", "", "reject 11 1"),
        ("11=A1|", "11=A1|112=x|", "reject 112 2"),
        ("11=A1|", "11=|", "reject 11 4"),
        ("54=1|", "54=X|", "reject 54 5"),
        ("38=100|", "38=x|", "reject 38 6"),
        ("11=A1|", "11=A1|97=Y|", "reject 97 14"),
        ("11=A1|", "11=A1|11=A1|", "reject 11 13"),
        ("11=A1|", "11=A1|453=2|448=A|", "reject 453 16"),
        ("11=A1|", "11=A1|453=1|447=D|448=A|", "reject 447 15"),
    ] {
        let mut test = Test::active();
        assert_eq!(test.get("D", 2, &ORDER.replace(from, to)), [says], "{to}");
        assert_eq!(test.session.next_in(), 3, "a rejected message has had its number");
    }
}

#[test]
fn case_15_the_order_of_fields_does_not_matter_behind_the_first_three() {
    let mut test = Test::active();
    let sent = time(NOW_NS);
    let body = format!(
        "35=D|52={sent}|34=2|56=MILLRACE|49=CLIENT1|44=190.25|40=2|38=100|60=20260701-12:04:05|\
         54=1|55=AAPL|11=A1|"
    );
    assert_eq!(test.raw(&frame("FIX.4.4", &body)), ["application"]);
}

#[test]
fn case_17_encryption_is_refused() {
    let said = Test::connected().get("A", 1, "98=2|108=30|");
    assert!(said[0].contains("EncryptMethod"), "{said:?}");
}

#[test]
fn case_19_a_possible_resend_is_the_applications_to_judge() {
    let mut test = Test::active();
    assert_eq!(test.get("D", 2, &format!("97=Y|{ORDER}")), ["application"]);
}

#[test]
fn case_20_both_sides_may_ask_for_the_past_at_once() {
    let mut test = Test::active();
    assert_eq!(test.get("D", 5, ORDER), ["request from 2"]);
    // Its request comes with a number too high as well, and is answered all the same.
    assert_eq!(test.get("2", 6, "7=1|16=0|"), ["resend 1 to None"]);
}

#[test]
fn a_logon_that_resets_begins_at_1() {
    let mut test = Test::connected();
    assert_eq!(test.logon(1, 77, "141=Y|"), ["logon 1"]);
    assert_eq!(test.session.next_in(), 2);
}

#[test]
fn a_second_logon_is_rejected() {
    let mut test = Test::active();
    assert_eq!(test.get("A", 2, "98=0|108=30|"), ["reject 35 11"]);
}

#[test]
fn nothing_comes_while_a_logon_is_checked() {
    let mut test = Test::connected();
    assert_eq!(test.get("A", 1, "98=0|108=30|"), ["logon 1"]);
    assert_eq!(test.get("D", 2, ORDER), ["close"]);
}

#[test]
fn who_never_logs_on_is_dropped() {
    let mut test = Test::connected();
    assert_eq!(test.pass(9), None);
    assert_eq!(test.pass(1), Some("close".to_owned()));
}

#[test]
fn the_highest_number_there_is_breaks_nothing() {
    let mut test = Test::active();
    for (number, beyond) in [(2, NUMBER_MAX + 1), (3, u64::MAX)] {
        assert_eq!(test.get("4", 1, &format!("36={beyond}|")), ["reject 36 5"]);
        assert_eq!(test.get("4", number, &format!("123=Y|36={beyond}|")), ["reject 36 5"]);
    }
    assert_eq!(test.get("4", 1, &format!("36={NUMBER_MAX}|")), [""; 0]);
    assert_eq!(test.get("0", NUMBER_MAX, ""), [""; 0]);
    assert_eq!(test.session.next_in(), NUMBER_MAX + 1);
    test.get("0", u64::MAX, "");
    assert_eq!(test.session.next_in(), NUMBER_MAX + 1);
}

#[test]
fn a_message_that_ends_the_session_hides_no_gap() {
    let mut test = Test::active();
    let sent = time(NOW_NS);
    for number in [9, u64::MAX] {
        let mut test = Test { session: test.session.clone(), now_ns: test.now_ns };
        let body = format!("35=0|49=OTHER|56=MILLRACE|34={number}|52={sent}|");
        assert_eq!(test.raw(&frame("FIX.4.4", &body)).last().unwrap(), "close");
        assert_eq!(test.session.next_in(), 2);
    }
    test.raw(&frame("FIX.4.4", &format!("35=0|49=OTHER|56=MILLRACE|34=2|52={sent}|")));
    assert_eq!(test.session.next_in(), 3);
}

const TERMS: &str = "98=0|108=30|";

#[test]
fn a_call_is_answered_by_a_logon_in_its_place() {
    let mut test = Test::calling(false, 7);
    assert_eq!(test.get("A", 7, TERMS), ["logged on"]);
    assert_eq!((test.session.phase(), test.session.next_in()), (Phase::Active, 8));
    // From there on both sides are the same.
    assert_eq!(test.get("1", 8, "112=you|"), ["heartbeat you"]);
    assert_eq!(test.get("2", 9, "7=3|16=0|"), ["resend 3 to None"]);
    assert_eq!(test.get("0", 10, "112=me|"), ["answered me"]);
    assert_eq!(test.get("3", 11, "45=2|58=no|"), ["rejected"]);
    assert_eq!(test.get("5", 12, ""), ["logout", "close"]);
}

#[test]
fn what_was_missed_before_a_call_is_asked_for() {
    let mut test = Test::calling(false, 7);
    assert_eq!(test.get("A", 12, TERMS), ["logged on", "request from 7"]);
    assert_eq!(test.session.next_in(), 7);
    let mut test = Test::calling(false, 7);
    let said = test.get("A", 3, TERMS);
    assert_eq!(said, ["logged on", "logout TooLow { expected: 7, got: 3 }", "close"]);
}

#[test]
fn a_call_begins_anew_only_if_it_said_so() {
    let mut test = Test::calling(true, 7);
    assert_eq!(test.get("A", 1, &format!("{TERMS}141=Y|")), ["logged on"]);
    assert_eq!(test.session.next_in(), 2);
    // Some begin anew and do not say it back.
    assert_eq!(Test::calling(true, 7).get("A", 1, TERMS), ["logged on"]);
    let said = Test::calling(false, 1).get("A", 1, &format!("{TERMS}141=Y|"));
    assert!(said[0].contains("141") && said[1] == "close", "{said:?}");
}

#[test]
fn whoever_is_called_may_turn_away_and_nothing_else_comes_first() {
    let mut test = Test::calling(false, 1);
    assert_eq!(test.get("5", 1, "58=not today|"), ["turned not today", "close"]);
    for (kind, body) in [("0", ""), ("8", "37=1|"), ("2", "7=1|16=0|")] {
        assert_eq!(Test::calling(false, 1).get(kind, 1, body), ["close"], "{kind}");
    }
    let sent = time(NOW_NS);
    for (comp_ids, tag) in
        [("49=OTHER|56=MILLRACE", 49), ("49=CLIENT1|56=OTHER", 56), ("56=MILLRACE", 49)]
    {
        let body = format!("35=A|{comp_ids}|34=1|52={sent}|{TERMS}");
        let said = Test::calling(false, 1).raw(&frame("FIX.4.4", &body));
        assert_eq!(said, [format!("reject {tag} 9").as_str(), "logout CompId", "close"]);
    }
    let body = format!("35=A|49=CLIENT1|56=MILLRACE|34=1|52={sent}|{TERMS}");
    let said = Test::calling(false, 1).raw(&frame("FIX.4.2", &body));
    assert_eq!(said, ["logout BeginString", "close"]);
    assert_eq!(Test::calling(false, 1).get("A", 1, "98=0|108=x|")[0], "reject 108 6");
    let mut late = Test::calling(false, 1);
    late.now_ns -= 121 * SECOND;
    let bytes = frame("FIX.4.4", &body);
    assert_eq!(late.raw(&bytes)[0], "reject 52 10");
}

#[test]
fn an_answer_that_does_not_come_ends_a_call() {
    let mut test = Test::calling(false, 1);
    assert_eq!(test.pass(19), None);
    assert_eq!(test.pass(1).as_deref(), Some("close"));
}
