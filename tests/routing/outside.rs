//! Venues that are lost, that lie, or do not let anybody in.

use std::net::TcpListener;

use crate::common::{PATIENCE, Scratch, Venue, answer, buy, enter, filled, silence};
use crate::peer::{Fields, Peer, time};
use crate::{client, gateway, gateway_text, is_open, wait_up};
use millrace::client::{Answer, cancel};

/// A gateway, and this test for a venue.
struct Stage {
    listener: TcpListener,
    venue: Peer,
    gateway: Venue,
}

fn stage(policy: &str, more: &str) -> Stage {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let gateway = gateway(Scratch::new(), at, "fix44", policy, more);
    let mut venue = Peer::accept(&listener, "FIX.4.4", "XOUT");
    let logon = venue.expect("35=A|98=0|108=30|553=GATE|554=secret");
    assert_eq!(logon.get(141), "");
    venue.send("A", "98=0|108=30|");
    wait_up(&gateway);
    Stage { listener, venue, gateway }
}

impl Stage {
    /// The venue lost the connection, and has it again; its numbers go on.
    fn reconnect(&mut self) {
        let (next_out, next_in) = (self.venue.next_out, self.venue.next_in);
        self.venue = Peer::accept(&self.listener, "FIX.4.4", "XOUT");
        (self.venue.next_out, self.venue.next_in) = (next_out, next_in);
    }

    /// A report of an order as it was sent.
    fn report(&mut self, order: &Fields, exec: &str, more: &str) {
        let (id, side, qty) = (order.get(11), order.get(54), order.get(38));
        let body = format!(
            "37=V{id}|11={id}|17={exec}|55=AAPL|54={side}|38={qty}|6=100|60={}|{more}",
            time(0)
        );
        self.venue.send("8", &body);
    }

    fn alarms(&self, name: &str, count: u64) {
        self.gateway.wait_for(&format!("venue.XOUT.alarm_{name}"), count);
    }
}

#[test]
fn what_cannot_be_is_alarmed_and_changes_nothing() {
    let mut stage = stage("route-only", "");
    let mut trader = client(&stage.gateway);
    trader.enter("C1", '1', 100, "100.00");
    let order = stage.venue.expect("35=D|55=AAPL|54=1|38=100|40=2|44=100|59=0|21=1");
    // Of an order that was never sent there.
    let body = "37=1|11=0-999-7|17=X1|150=F|39=1|55=AAPL|54=1|38=9|32=9|31=100|151=0|14=9|6=100|";
    stage.venue.send("8", body);
    stage.alarms("unknown_order", 1);
    stage.venue.send("8", &body.replace("0-999-7", "nobody's"));
    stage.alarms("unreadable", 1);
    stage.report(&order, "E0", "150=0|39=0|151=100|14=0|");
    stage.report(&order, "E1", "150=F|39=1|32=40|31=100|151=60|14=40|");
    trader.expect("35=8|11=C1|150=F|39=1|32=40|31=100|151=60|14=40");
    // The same trade again, under another number.
    stage.report(&order, "E1", "150=F|39=1|32=40|31=100|151=60|14=40|");
    stage.alarms("told_twice", 1);
    // More than is open: no more than is open is believed.
    stage.report(&order, "E2", "150=F|39=2|32=500|31=100.0050|151=0|14=540|");
    trader.expect("35=8|11=C1|150=F|39=2|32=60|31=100.005|151=0|14=100");
    stage.alarms("overfilled", 1);
    // Late, of an order that has ended.
    stage.report(&order, "E3", "150=F|39=2|32=10|31=100|151=0|14=550|");
    stage.alarms("overfilled", 2);
    trader.expect_silence();
    is_open(&stage.gateway, 0);
}

#[test]
fn a_trade_is_undone_and_a_late_one_is_told() {
    let mut stage = stage("route-only", "");
    let mut trader = client(&stage.gateway);
    trader.enter("C1", '1', 100, "100.00");
    let order = stage.venue.expect("35=D");
    stage.report(&order, "E1", "150=F|39=1|32=40|31=100|151=60|14=40|");
    let fill = trader.expect("35=8|150=F|14=40");
    stage.report(&order, "E2", "150=H|39=0|19=E1|32=40|31=100|151=60|14=0|");
    let bust = trader.expect("35=8|11=C1|150=H|39=0|14=0|151=60|32=40");
    assert_eq!(bust.get(19), fill.get(17));
    stage.report(&order, "E2", "150=H|39=0|19=E1|32=40|31=100|151=60|14=0|");
    stage.alarms("unknown_trade", 1);
    // Cancelled by the venue itself; what traded before that is told behind it.
    stage.report(&order, "E3", "150=4|39=4|151=0|14=0|");
    trader.expect("35=8|11=C1|150=4|39=4|151=0");
    stage.report(&order, "E4", "150=F|39=4|32=25|31=99.5|151=0|14=25|");
    trader.expect("35=8|11=C1|150=F|39=4|32=25|31=99.5|14=25|151=0|30=XOUT");
    stage.alarms("late", 1);
}

#[test]
fn races_between_a_cancel_and_a_fill_end_with_the_truth() {
    let mut stage = stage("route-only", "");
    let mut alice = stage.gateway.client("ALICE");
    enter(&mut alice, &buy(1, 100, "100.00"));
    let order = stage.venue.expect("35=D");
    alice.send(&cancel(1, 0)).unwrap();
    let request = stage.venue.expect("35=F|55=AAPL|54=1");
    assert_eq!(request.get(41), order.get(11));
    assert_eq!(answer(&mut alice), Answer::CancelPending { user_ref: 1 });
    stage.report(&order, "E1", "150=F|39=2|32=100|31=100|151=0|14=100|");
    filled(&mut alice, 1, 100, "100.00", 'X');
    // That it comes too late was clear when all of it had traded.
    assert_eq!(alice.message(PATIENCE).unwrap()[0], b'I');
    let (own, id) = (request.get(11), order.get(11));
    let body = format!("37=1|11={own}|41={id}|39=2|434=1|102=0|");
    stage.venue.send("9", &body);
    silence(&mut alice);
    // A replace that the venue refuses leaves the order as it was, and its old name good.
    enter(&mut alice, &buy(2, 100, "100.00"));
    let order = stage.venue.expect("35=D");
    stage.report(&order, "E2", "150=0|39=0|151=100|14=0|");
    let replace = millrace::client::replace(2, 3, 150, crate::common::price("101.00"));
    alice.send(&replace).unwrap();
    let request = stage.venue.expect("35=G|38=150|44=101");
    let (own, id) = (request.get(11), order.get(11));
    stage.venue.send("9", &format!("37=1|11={own}|41={id}|39=0|434=2|102=0|"));
    assert_eq!(answer(&mut alice), Answer::Rejected { user_ref: 3, reason: 21 });
    alice.send(&cancel(2, 0)).unwrap();
    let request = stage.venue.expect("35=F");
    assert_eq!(request.get(41), order.get(11));
    assert_eq!(answer(&mut alice), Answer::CancelPending { user_ref: 2 });
    let body = format!(
        "37=1|11={}|41={id}|17=E9|150=4|39=4|55=AAPL|54=1|151=0|14=0|6=0|",
        request.get(11)
    );
    stage.venue.send("8", &body);
    assert_eq!(answer(&mut alice), Answer::Canceled { user_ref: 2, quantity: 100, reason: 'U' });
}

#[test]
fn what_became_of_orders_is_found_out_when_a_lost_venue_is_there_again() {
    let mut stage = stage("route-only", "");
    let mut trader = client(&stage.gateway);
    trader.enter("C1", '1', 100, "100.00");
    let first = stage.venue.expect("35=D");
    stage.report(&first, "E1", "150=0|39=0|151=100|14=0|");
    trader.enter("C2", '1', 50, "100.00");
    let second = stage.venue.expect("35=D");
    // The connection is lost before the venue said anything of the second; and the first trades meanwhile.
    stage.venue.hang_up();
    for id in ["C1", "C2"] {
        let told = trader.any();
        trader.next_in += 1;
        told.expect("35=8|150=9|39=9");
        assert!(["C1", "C2"].contains(&told.get(11)), "{id}");
    }
    // Nobody can be routed to a venue that is lost.
    trader.order("C3", '1', 10, "100.00", "");
    trader.expect("35=8|11=C3|150=8|103=2");
    stage.reconnect();
    let logon = stage.venue.any();
    logon.expect("35=A");
    stage.venue.next_in = logon.number(34) + 1;
    let missed = stage.venue.next_out;
    stage.venue.next_out += 1;
    stage.venue.send("A", "98=0|108=30|");
    // What was said in between is asked for again.
    stage.venue.expect(&format!("35=2|7={missed}|16=0"));
    let body = format!(
        "37=V|11={}|17=E2|150=F|39=1|55=AAPL|54=1|38=100|32=30|31=100|151=70|14=30|6=100|",
        first.get(11)
    );
    stage.venue.send_as(missed, "8", &format!("43=Y|122={}|", time(0)), &body);
    let next = stage.venue.next_out;
    stage.venue.send_as(
        missed + 1,
        "4",
        &format!("43=Y|122={}|", time(0)),
        &format!("123=Y|36={next}|"),
    );
    trader.expect("35=8|11=C1|150=F|32=30|14=30|151=70");
    trader.expect("35=8|150=D");
    trader.expect("35=8|150=D");
    let status = stage.venue.expect("35=H");
    assert_eq!(status.get(11), second.get(11));
    // The venue never heard of it.
    let body = format!(
        "37=NONE|11={}|17=E3|150=I|39=8|103=5|55=AAPL|54=1|151=0|14=0|6=0|",
        second.get(11)
    );
    stage.venue.send("8", &body);
    trader.expect("35=8|11=C2|150=4|39=4|14=0|151=0");
    is_open(&stage.gateway, 1);
}

#[test]
fn a_venue_that_lets_nobody_in_is_called_more_and_more_slowly() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let gateway = gateway(Scratch::new(), at, "fix44", "route-only", "");
    for round in 0..4 {
        let mut venue = Peer::accept(&listener, "FIX.4.4", "XOUT");
        venue.next_in = venue.any().number(34) + 1;
        if round % 2 == 0 {
            venue.send("5", "58=go away|");
        } else {
            venue.comp_id = "OTHER".into();
            venue.send("A", "98=0|108=30|");
            venue.comp_id = "XOUT".into();
            // Who that is, is not who was called.
            venue.any().expect("35=3|371=49");
            venue.any().expect("35=5");
        }
    }
    gateway.wait_for("venue.XOUT.turned_away", 2);
    assert!(gateway.counter("venue.XOUT.connections") < 20);
    let mut trader = client(&gateway);
    trader.order("C1", '1', 10, "100.00", "");
    trader.expect("35=8|11=C1|150=8|103=2");
}

#[test]
fn no_second_has_more_messages_than_the_venue_takes_and_they_leave_together() {
    let mut stage = stage("route-only", "");
    drop(stage.venue);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let slow = "max_messages_per_second = 50\nbatch_us = 200000";
    let text = gateway_text(at, "fix44", "route-only", slow) + "max_unanswered = 200\n";
    stage.gateway = Venue::start_in(Scratch::new(), &text);
    let mut venue = Peer::accept(&listener, "FIX.4.4", "XOUT");
    venue.expect("35=A");
    venue.send("A", "98=0|108=30|");
    wait_up(&stage.gateway);
    let mut trader = client(&stage.gateway);
    for n in 1..=120 {
        trader.order(&format!("C{n}"), '1', 1, "100.00", "");
    }
    let started = std::time::Instant::now();
    for _ in 1..=120 {
        venue.expect("35=D");
    }
    // Two more seconds' worth behind the first one's, wherever a second begins.
    assert!(started.elapsed() >= std::time::Duration::from_millis(1_300));
    assert!(stage.gateway.counter("venue.XOUT.turns_held_back") > 0);
}

#[test]
fn garbage_costs_a_venue_its_line_at_most() {
    let mut stage = stage("route-only", "");
    let mut trader = client(&stage.gateway);
    trader.enter("C1", '1', 100, "100.00");
    let order = stage.venue.expect("35=D");
    stage.report(&order, "E1", "150=0|39=0|151=100|14=0|");
    // Not FIX at all, and FIX with a wrong sum: passed over.
    stage.venue.send_raw(b"GET / HTTP/1.1\r\n\r\n");
    let mut wrong =
        crate::peer::frame("FIX.4.4", "35=0|49=XOUT|56=MILLRACE|34=99|52=20261123-00:00:00|");
    let sum = wrong.len() - 2;
    wrong[sum] ^= 1;
    stage.venue.send_raw(&wrong);
    stage.gateway.wait_for("lines.messages_garbled", 1);
    stage.report(&order, "E2", "150=F|39=1|32=10|31=100|151=90|14=10|");
    trader.expect("35=8|150=F|14=10|151=90");
    // A number that is too low ends the session, with the reason; the order is where it was.
    stage.venue.send_as(2, "0", "", "");
    stage.venue.expect("35=5|58=MsgSeqNum too low, expecting 4 but received 2");
    trader.expect("35=8|11=C1|150=9|39=9");
    is_open(&stage.gateway, 1);
    stage.reconnect();
    let logon = stage.venue.any();
    stage.venue.next_in = logon.number(34) + 1;
    stage.venue.next_out = 4;
    stage.venue.send("A", "98=0|108=30|");
    trader.expect("35=8|11=C1|150=D|39=1|151=90|14=10");
}
