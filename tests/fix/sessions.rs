//! Who gets in, and how sessions go on and end.

use super::Floor;
use super::peer::{frame, time};

#[test]
fn nobody_gets_in_without_the_right_names_and_password() {
    let floor = Floor::open();
    for (comp_id, target, more) in [
        ("CLIENT1", "MILLRACE", "554=wrong|"),
        ("CLIENT1", "MILLRACE", "554=|"),
        ("CLIENT1", "MILLRACE", ""),
        ("NOBODY", "MILLRACE", "554=secret|"),
        ("client1", "MILLRACE", "554=secret|"),
        ("CLIENT1", "SOMEBODY", "554=secret|"),
        ("CLIENT1", "MILLRACE", "554=secret|553=FIX2|"),
        // Of FIX 4.2, and of OUCH.
        ("OLDCLIENT", "MILLRACE", "554=secret|"),
        ("ALICE", "MILLRACE", "554=secret|"),
    ] {
        let mut peer = floor.peer("CLIENT1");
        (peer.comp_id, peer.target) = (comp_id.to_owned(), target.to_owned());
        peer.send("A", &format!("98=0|108=30|{more}"));
        peer.expect_end();
    }
    // Nothing of this took a number.
    let mut peer = floor.fix("CLIENT1");
    peer.sync();
    let mut named = floor.peer("CLIENT2");
    named.log_on("553=fix2|");
}

#[test]
fn one_session_for_each_user() {
    let floor = Floor::open();
    let mut first = floor.fix("CLIENT1");
    let mut second = first.again(floor.address(1));
    second.send_logon("");
    second.expect_end();
    first.sync();
}

#[test]
fn another_protocol_s_users_are_not_let_in() {
    let floor = Floor::open();
    let address = floor.address(0);
    assert!(millrace::client::Client::login(address, "FIX1", "secret", 0).is_err());
    assert!(millrace::client::Client::login(address, "TOKEN1", "secret", 0).is_err());
    assert!(millrace::client::Client::login(floor.address(3), "ALICE", "secret", 0).is_err());
}

#[test]
fn a_logout_is_answered_and_the_numbers_go_on() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    peer.enter("A1", '1', 10, "99");
    peer.send("5", "58=until tomorrow|");
    peer.expect("35=5");
    peer.expect_end();
    let mut peer = peer.again(floor.address(1));
    peer.log_on("");
    peer.cancel("A2", "A1", '1');
    peer.expect("11=A2|39=4");
}

#[test]
fn a_logon_below_the_expected_number_is_told_so() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    peer.sync();
    let (mut late, next_in) = (floor.peer("CLIENT1"), peer.next_in);
    drop(peer);
    floor.venue.wait_for("gateway.connections_closed", 1);
    late.next_in = next_in;
    late.send_logon("");
    late.expect("35=5|58=MsgSeqNum too low, expecting 3 but received 1");
    late.expect_end();
}

#[test]
fn numbers_begin_again_where_both_sides_want_it() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    peer.enter("A1", '1', 10, "99");
    drop(peer);
    floor.venue.wait_for("gateway.connections_closed", 1);
    let mut peer = floor.peer("CLIENT1");
    peer.log_on("141=Y|");
    peer.enter("A2", '1', 10, "99");
    // What was told before is out of reach; what was told since is not.
    peer.send("2", "7=1|16=0|");
    peer.any().expect("35=4|34=000000001|123=Y|36=2|43=Y");
    peer.any().expect("35=8|34=000000002|43=Y|11=A2");
    // The order of before is still there.
    peer.cancel("A3", "A1", '1');
    peer.expect("35=8|11=A3|41=A1|39=4");
}

/// FIX 4.4 volume 2, "Using the ResetSeqNumFlag to maintain 24-hour connectivity".
#[test]
fn numbers_begin_again_on_a_session_that_is_up() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    peer.enter("A1", '1', 10, "99");
    // In the middle of a resend, of which nothing may come under the new numbers.
    peer.send("2", "7=1|16=0|");
    (peer.next_out, peer.next_in) = (1, 1);
    peer.send("A", "98=0|108=30|141=Y|");
    let mut answer = peer.any();
    while answer.get(35) != "A" {
        answer.expect("43=Y");
        answer = peer.any();
    }
    answer.expect("34=000000001|141=Y|108=30");
    peer.next_in = 2;
    peer.enter("A2", '1', 10, "99");
    peer.send("2", "7=1|16=0|");
    peer.any().expect("35=4|34=000000001|123=Y|36=2|43=Y");
    peer.any().expect("35=8|34=000000002|43=Y|11=A2");
    // The order of before is still there, and the numbers hold over a restart.
    peer.cancel("A3", "A1", '1');
    peer.expect("35=8|11=A3|41=A1|39=4");
    let (next_out, next_in) = (peer.next_out, peer.next_in);
    drop(peer);
    let floor = floor.restart();
    let mut peer = floor.peer("CLIENT1");
    (peer.next_out, peer.next_in) = (next_out, next_in);
    peer.send_logon("");
    // A Logout was said when the gateway stopped, if the connection was still there then.
    let answer = peer.any();
    answer.expect("35=A");
    assert!(answer.number(34) - next_in <= 1, "{}", answer.line());
}

#[test]
fn a_duplicate_sent_before_it_was_first_sent_ends_the_session() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    peer.sync();
    let later = time(60);
    peer.send_as(2, "1", &format!("43=Y|122={later}|"), "112=x|");
    peer.expect("35=3|371=52|373=10");
    peer.expect("35=5");
    peer.expect_end();
}

#[test]
fn a_message_whose_third_field_is_not_its_type_is_passed_over() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    let now = time(0);
    let body = format!("34=2|35=0|49=CLIENT1|56=MILLRACE|52={now}|");
    peer.send_raw(&frame("FIX.4.4", &body));
    peer.sync();
    floor.venue.wait_for("gateway.messages_garbled", 1);
    // One without TargetCompID is told, and uses its number.
    let body = format!("35=0|34=3|49=CLIENT1|52={now}|");
    peer.send_raw(&frame("FIX.4.4", &body));
    peer.expect("35=3|45=3|371=56|372=0|373=1");
    peer.next_out = 4;
    peer.sync();
}

#[test]
fn what_is_wrong_with_a_message_is_told_with_its_place() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    let now = time(0);
    for (body, expected) in [
        (format!("55=AAPL|54=1|60={now}|38=1|40=2|44=1|"), "371=11|373=1"),
        (format!("11=A|55=AAPL|54=1|60={now}|38=x|40=2|44=1|"), "371=38|373=6"),
        (format!("11=A|55=AAPL|54=Z|60={now}|38=1|40=2|44=1|"), "371=54|373=5"),
        (format!("11=A|55=|54=1|60={now}|38=1|40=2|44=1|"), "371=55|373=4"),
        (format!("11=A|11=B|55=AAPL|54=1|60={now}|38=1|40=2|44=1|"), "371=11|373=13"),
        (format!("11=A|55=AAPL|54=1|60={now}|38=1|40=2|44=1|112=x|"), "371=112|373=2"),
        (format!("11=A|55=AAPL|54=1|60={now}|38=1|40=2|44=1|4999=x|"), "371=4999|373=0"),
        (format!("11=A|55=AAPL|54=1|60={now}|38=1|40=2|44=1|78=2|79=X|80=1|"), "371=78|373=16"),
    ] {
        let number = peer.next_out;
        peer.send("D", &body);
        peer.expect(&format!("35=3|45={number}|372=D|{expected}"));
    }
    peer.send("ZZ", "58=x|");
    peer.expect("35=3|372=ZZ|373=11");
    peer.send("AE", "58=x|");
    peer.expect("35=j|372=AE|380=3");
    peer.sync();
}

#[test]
fn garbled_messages_are_passed_over() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    let now = time(0);
    let head = format!("35=1|34=2|49=CLIENT1|56=MILLRACE|52={now}|");
    let good = frame("FIX.4.4", &format!("{head}112=x|"));
    let mut bad_sum = good.clone();
    let at = bad_sum.len() - 2;
    bad_sum[at] = b'0' + (bad_sum[at] - b'0' + 1) % 10;
    peer.send_raw(&bad_sum);
    let text = String::from_utf8(good.clone()).unwrap();
    let at = text.find("\x019=").unwrap() + 3;
    let mut bad_length = good.clone();
    bad_length[at] = b'0' + (bad_length[at] - b'0' + 1) % 10;
    peer.send_raw(&bad_length);
    peer.send_raw(b"what is this? 8=FIX");
    peer.expect_silence();
    peer.sync();
    assert!(floor.venue.counter("gateway.messages_garbled") >= 2);
    // From a stranger, they are the end.
    let mut stranger = floor.peer("CLIENT2");
    stranger.send_raw(b"GET / HTTP/1.1\r\n\r\n");
    stranger.expect_end();
}

#[test]
fn a_comp_id_of_another_ends_the_session() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    peer.comp_id = "CLIENT2".into();
    peer.send("0", "");
    peer.comp_id = "CLIENT1".into();
    peer.expect("35=3|373=9|371=49");
    peer.expect("35=5");
    peer.expect_end();
}

#[test]
fn a_sending_time_that_is_far_off_ends_the_session() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    let body = format!("35=0|34=2|49=CLIENT1|56=MILLRACE|52={}|", time(-600));
    peer.send_raw(&frame("FIX.4.4", &body));
    peer.expect("35=3|373=10|371=52");
    peer.expect("35=5");
    peer.expect_end();
}

#[test]
fn a_quiet_session_hears_heartbeats_and_is_tested() {
    let floor = Floor::open();
    let mut peer = floor.peer("CLIENT1");
    let secret = super::peer::password();
    peer.send("A", &format!("98=0|108=1|554={secret}|"));
    peer.expect("35=A|108=1");
    let test = loop {
        let message = peer.next();
        match message.get(35) {
            "0" => continue,
            _ => break message,
        }
    };
    test.expect("35=1");
    let id = test.get(112).to_owned();
    peer.send("0", &format!("112={id}|"));
    // Silent once more, and for good.
    loop {
        match peer.next().get(35) {
            "0" => {}
            "1" => break,
            other => panic!("{other}"),
        }
    }
    floor.venue.wait_for("gateway.dropped_silent", 1);
}
