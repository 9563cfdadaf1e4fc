//! What was lost is asked for and sent again.

use super::Floor;
use super::peer::time;

#[test]
fn application_messages_come_again_and_the_rest_is_filled() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    let first = peer.enter("A1", '1', 10, "99");
    peer.sync();
    peer.sync();
    let second = peer.enter("A2", '1', 10, "99");
    peer.send("0", "");
    peer.send("2", "7=1|16=0|");
    peer.any().expect("35=4|34=000000001|43=Y|123=Y|36=2");
    let again = peer.any();
    again.expect(&format!(
        "35=8|34=000000002|43=Y|11=A1|122={}|17={}",
        first.get(52),
        first.get(17)
    ));
    peer.any().expect("35=4|34=000000003|43=Y|123=Y|36=5");
    peer.any().expect(&format!("35=8|34=000000005|43=Y|11=A2|17={}", second.get(17)));
    // The same fields in the same order, but for the header.
    let body = |fields: &super::peer::Fields| {
        let skip = [9, 10, 34, 43, 52, 122];
        fields.0.iter().filter(|(tag, _)| !skip.contains(tag)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(body(&again), body(&first));
    peer.sync();
    // A part, and what is not there.
    peer.send("2", "7=2|16=2|");
    peer.any().expect("35=8|34=000000002|43=Y|11=A1");
    peer.send("2", "7=100|16=0|");
    peer.send("2", "7=3|16=2|");
    peer.expect("35=3|373=5");
    peer.sync();
    // Numbers beyond all numbers, also where some came before a reset.
    drop(peer);
    floor.venue.wait_for("gateway.connections_closed", 1);
    let mut peer = floor.peer("CLIENT1");
    peer.log_on("141=Y|");
    peer.send("2", &format!("7={}|16=0|", u64::MAX));
    peer.sync();
    peer.send("2", &format!("7=1|16={}|", u64::MAX));
    peer.any().expect("35=4|34=000000001|43=Y|123=Y|36=3");
    peer.sync();
}

#[test]
fn what_happened_while_it_was_away_is_asked_for() {
    use super::common::*;
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut peer = floor.fix("CLIENT1");
    peer.enter("A1", '1', 100, "100");
    let away = peer.again(floor.address(1));
    drop(peer);
    drop(away);
    floor.venue.wait_for("gateway.connections_closed", 2);
    for n in 1..=3 {
        enter(&mut alice, &sell(n, 10, "100.00"));
        filled(&mut alice, n, 10, "100.00", 'R');
    }
    let mut peer = floor.peer("CLIENT1");
    (peer.next_out, peer.next_in) = (3, 3);
    peer.send_logon("");
    // The Logon's number tells that three are missing.
    peer.any().expect("35=A|34=000000006");
    peer.send("2", "7=3|16=0|");
    for (at, cum) in [(3, 10), (4, 20), (5, 30)] {
        peer.any().expect(&format!("35=8|34={at:09}|43=Y|11=A1|150=F|14={cum}|151={}", 100 - cum));
    }
    peer.any().expect("35=4|34=000000006|43=Y|123=Y|36=7");
    peer.next_in = 7;
    peer.sync();
}

#[test]
fn the_gateway_asks_for_what_it_missed() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    let now = time(0);
    let order = |id: &str| format!("11={id}|55=AAPL|54=1|60={now}|38=10|40=2|44=99|");
    // Number 2 is lost; 3 and 4 have to wait for it.
    peer.send_as(3, "D", "", &order("A3"));
    peer.expect("35=2|7=2|16=0");
    peer.send_as(4, "D", "", &order("A4"));
    peer.expect_silence();
    let dup = format!("43=Y|122={now}|");
    peer.send_as(2, "D", &dup, &order("A2"));
    peer.expect("35=8|11=A2|39=0");
    peer.send_as(3, "D", &dup, &order("A3"));
    peer.expect("35=8|11=A3|39=0");
    peer.send_as(4, "D", &dup, &order("A4"));
    peer.expect("35=8|11=A4|39=0");
    // Sent once more, it is no second order.
    peer.send_as(4, "D", &dup, &order("A4"));
    peer.next_out = 5;
    peer.sync();
    // A gap fill goes over what is not worth sending.
    peer.send_as(9, "0", "", "");
    peer.expect("35=2|7=6|16=0");
    peer.send_as(6, "4", &dup, "123=Y|36=10|");
    peer.next_out = 10;
    peer.sync();
}

#[test]
fn both_sides_ask_at_once() {
    let floor = Floor::open();
    let mut peer = floor.fix("CLIENT1");
    peer.enter("A1", '1', 10, "99");
    drop(peer);
    floor.venue.wait_for("gateway.connections_closed", 1);
    // The client lost message 2 of the gateway's, the gateway its 3 to 5.
    let mut peer = floor.peer("CLIENT1");
    (peer.next_out, peer.next_in) = (6, 2);
    peer.send_logon("");
    peer.any().expect("35=A|34=000000003");
    peer.any().expect("35=2|34=000000004|7=3|16=0");
    peer.send("2", "7=2|16=0|");
    peer.any().expect("35=8|34=000000002|43=Y|11=A1");
    peer.any().expect("35=4|34=000000003|43=Y|36=5");
    let dup = format!("43=Y|122={}|", time(0));
    peer.send_as(3, "4", &dup, "123=Y|36=8|");
    (peer.next_out, peer.next_in) = (8, 5);
    peer.sync();
}

#[test]
fn what_left_the_window_comes_from_the_journal() {
    let floor = Floor::with_window(65_536);
    let mut peer = floor.fix("CLIENT1");
    let count = 600;
    for n in 0..count {
        peer.enter(&format!("ORDER-{n}"), '1', 10, "99");
        peer.cancel(&format!("CANCEL-{n}"), &format!("ORDER-{n}"), '1');
        peer.expect(&format!("11=CANCEL-{n}|39=4"));
    }
    peer.send("2", "7=1|16=0|");
    peer.any().expect("35=4|34=000000001|36=2");
    for n in 0..count {
        let number = 2 + 2 * n;
        peer.any().expect(&format!("35=8|34={number:09}|43=Y|11=ORDER-{n}|39=0"));
        peer.any().expect(&format!("35=8|34={:09}|43=Y|11=CANCEL-{n}|39=4", number + 1));
    }
    assert!(floor.venue.counter("gateway.replays") >= 1);
    peer.sync();
    // Asked for twice, and goodbye in the middle of it: all of it comes, and the Logout last.
    peer.send("2", "7=1|16=0|");
    peer.send("2", "7=1|16=0|");
    peer.send("5", "");
    let mut news = 0;
    let logout = loop {
        let message = peer.any();
        match message.get(35) {
            "8" => news += usize::from(message.get(39) == "0"),
            "5" => break message,
            _ => {}
        }
    };
    assert!(news >= count, "{news} of {count} orders");
    logout.expect(&format!("34={:09}", peer.next_in));
    peer.expect_end();
}
