//! What venues take, and which of two an order goes to.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Scratch, Venue, answer, buy, enter, filled, refused, sell, silence};
use crate::peer::{Fields, Peer, time};
use crate::{
    client, exchange, exchange_text, free_port, gateway, gateway_text, is_open, wait_for_venue,
    wait_up,
};
use millrace::client::{Answer, NewOrder, cancel};

/// A second venue behind the first.
fn second(at: SocketAddr, more: &str) -> String {
    format!(
        r#"
[[venue]]
name = "YOUT"
protocol = "fix44"
connect = "{at}"
sender_comp_id = "MILLRACE"
target_comp_id = "YOUT"
username = "GATE"
password = "secret"
reconnect_ms = [20, 200]
{more}"#
    )
}

/// A gateway between two venues, both this test.
fn two_venues(first: &str, other: &str, routing: &str) -> (Venue, Peer, Peer) {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [x, y] = [0, 1].map(|at: usize| listeners[at].local_addr().unwrap());
    let text = gateway_text(x, "fix44", "route-only", &format!("{first}{}", second(y, other)))
        .replace("venues = [\"XOUT\"]", &format!("venues = [\"XOUT\", \"YOUT\"]\n{routing}"));
    let gateway = Venue::start_in(Scratch::new(), &text);
    let [x, y] = [("XOUT", &listeners[0]), ("YOUT", &listeners[1])].map(|(name, listener)| {
        let mut venue = Peer::accept(listener, "FIX.4.4", name);
        venue.expect("35=A");
        venue.send("A", "98=0|108=30|");
        wait_for_venue(&gateway, name);
        venue
    });
    (gateway, x, y)
}

#[test]
fn an_order_goes_to_who_trades_its_symbol_by_the_name_that_it_has_there() {
    let first = "symbols = [\"AAPL\"]\nnames = { AAPL = \"AAPL.OQ\" }\n";
    let (gateway, mut x, mut y) = two_venues(first, "symbols = [\"MSFT\"]\n", "");
    let mut alice = gateway.client("ALICE");
    enter(&mut alice, &buy(1, 10, "100.00"));
    let order = x.expect("35=D|55=AAPL.OQ|38=10");
    let id = order.get(11);
    let body = format!("37=V1|11={id}|17=E1|150=F|39=2|55=AAPL.OQ|54=1|38=10|32=10|31=100|");
    x.send("8", &format!("{body}151=0|14=10|6=100|"));
    filled(&mut alice, 1, 10, "100.00", 'X');
    enter(&mut alice, &NewOrder::new(2, b'B', 10, "MSFT", crate::common::price("100.00")));
    y.expect("35=D|55=MSFT|38=10");
    // A venue that is named has to trade it.
    let order = NewOrder::new(3, b'B', 10, "MSFT", crate::common::price("100.00"));
    assert_eq!(refused(&mut alice, &order.with(14, b"XOUT")), 2);
    // Its own is gone: nobody else takes it.
    y.hang_up();
    gateway.wait_for("venue.YOUT.connections", 1);
    let order = |number| NewOrder::new(number, b'B', 10, "MSFT", crate::common::price("100.00"));
    let deadline = Instant::now() + PATIENCE;
    let mut number = 4;
    loop {
        alice.send(&order(number).encode()).unwrap();
        match answer(&mut alice) {
            Answer::Rejected { reason, .. } => break assert_eq!(reason, 2),
            Answer::Accepted { .. } | Answer::Canceled { .. } => number += 1,
            other => panic!("{other}"),
        }
        assert!(Instant::now() < deadline);
    }
    x.expect_silence();
}

#[test]
fn weights_are_the_parts_of_the_orders_that_each_venue_has() {
    let (gateway, _x, _y) = two_venues("", "", "weights = [3, 1]");
    let sent = || ["XOUT", "YOUT"].map(|v| gateway.counter(&format!("venue.{v}.messages_out")));
    let before = sent();
    let mut alice = gateway.client("ALICE");
    (1..=200).for_each(|number| enter(&mut alice, &buy(number, 1, "100.00")));
    let deadline = Instant::now() + PATIENCE;
    let of = loop {
        let now = sent();
        let of = [0, 1].map(|at| now[at] - before[at]);
        if of[0] + of[1] == 200 {
            break of;
        }
        assert!(Instant::now() < deadline, "{of:?}");
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!((120..=180).contains(&of[0]), "{of:?}");
}

/// What an exchange is told to tell of its market, and what the gateway is told of that.
fn feed() -> (String, String) {
    // An address of this process's own, so that nobody has its ports.
    let [a, b] = (std::process::id() as u16).to_be_bytes();
    let line = SocketAddr::from(([127, 96 | a & 31, b, 1], free_port().port()));
    let request = free_port();
    let feed = format!("[feed]\nlines = [\"{line}\"]\nrequest = \"{request}\"\n");
    let of_venue = format!("[venue.feed]\nlines = [\"{line}\"]\nrequest = \"{request}\"\n");
    (feed, of_venue)
}

/// Waits until the gateway knows everything that an exchange told.
fn wait_heard(gateway: &Venue, exchange: &Venue, name: &str) {
    exchange.wait_for("feed.followed", exchange.counter("risk.sequenced"));
    let told = exchange.counter("feed.messages");
    gateway.wait_for(&format!("venue.{name}.feed_messages"), told);
    gateway.wait_for(&format!("venue.{name}.feed_known"), 1);
}

#[test]
fn the_best_displayed_price_is_first_where_prices_are_preferred() {
    let (x_at, y_at) = (free_port(), free_port());
    let ((x_feed, of_x), (y_feed, of_y)) = (feed(), feed());
    let x = Venue::start_in(Scratch::new(), &(exchange_text(x_at, "fix44") + &x_feed));
    let y = exchange_text(y_at, "fix44").replace("XOUT", "YOUT") + &y_feed;
    let y = Venue::start_in(Scratch::new(), &y);
    // What stands there before the gateway comes is asked for.
    let (mut x_maker, mut y_maker) = (x.client("MAKER"), y.client("MAKER"));
    enter(&mut x_maker, &sell(1, 100, "100.10"));
    enter(&mut y_maker, &sell(1, 100, "100.00"));
    let text = gateway_text(x_at, "fix44", "route-only", &format!("{of_x}{}", second(y_at, &of_y)))
        .replace("venues = [\"XOUT\"]", "venues = [\"XOUT\", \"YOUT\"]\nprefer = \"price\"");
    let gateway = Venue::start_in(Scratch::new(), &text);
    wait_for_venue(&gateway, "XOUT");
    wait_for_venue(&gateway, "YOUT");
    let known = || {
        wait_heard(&gateway, &x, "XOUT");
        wait_heard(&gateway, &y, "YOUT");
    };
    let mut trader = client(&gateway);
    known();
    trader.enter("C1", '1', 60, "100.10");
    trader.expect("35=8|11=C1|150=F|39=2|32=60|31=100|30=YOUT");
    filled(&mut y_maker, 1, 60, "100.00", 'A');
    // Another is better now.
    enter(&mut x_maker, &sell(2, 100, "99.90"));
    known();
    trader.enter("C2", '1', 60, "100.10");
    trader.expect("35=8|11=C2|150=F|39=2|32=60|31=99.9|30=XOUT");
    filled(&mut x_maker, 2, 60, "99.90", 'A');
    // Both the same: the list says who is first. It rests there, and is who sellers meet.
    trader.enter("C3", '1', 10, "99.00");
    x.wait_for("risk.open_orders", 3);
    enter(&mut y_maker, &buy(2, 100, "99.10"));
    known();
    trader.enter("C4", '2', 10, "98.50");
    trader.expect("35=8|11=C4|150=F|39=2|32=10|31=99.1|30=YOUT");
    // One is not heard of any more: nothing is known of it.
    drop(y_maker);
    drop(y.stop());
    let deadline = Instant::now() + PATIENCE;
    while gateway.counter("venue.YOUT.feed_known") > 0 {
        assert!(Instant::now() < deadline, "it is silent for longer than two heartbeats");
        std::thread::sleep(Duration::from_millis(20));
    }
    trader.enter("C5", '1', 10, "100.00");
    trader.expect("35=8|11=C5|150=F|31=99.9|30=XOUT");
}

#[test]
fn a_venue_that_is_closed_is_not_called() {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let hour = seconds.as_secs() / 3_600 % 24;
    let hours = format!("hours = \"{:02}:00-{:02}:00\"", (hour + 2) % 24, (hour + 4) % 24);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let gateway = gateway(Scratch::new(), at, "fix44", "route-only", &hours);
    let mut trader = client(&gateway);
    trader.order("C1", '1', 10, "100.00", "");
    trader.expect("35=8|11=C1|150=8|39=8|103=2");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(gateway.counter("venue.XOUT.state"), 0);
    assert_eq!(gateway.counter("venue.XOUT.connections"), 0);
}

#[test]
fn numbers_begin_again_with_each_connection_where_the_venue_wants_that() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let gateway = gateway(Scratch::new(), at, "fix44", "route-only", "reset_on_logon = true");
    let accept = || {
        let mut venue = Peer::accept(&listener, "FIX.4.4", "XOUT");
        venue.expect("35=A|141=Y");
        venue.send("A", "98=0|108=30|141=Y|");
        wait_up(&gateway);
        venue
    };
    let mut venue = accept();
    let mut trader = client(&gateway);
    trader.enter("C1", '1', 100, "100.00");
    let order = venue.expect("35=D");
    let report = |venue: &mut Peer, order: &Fields, exec: &str, more: &str| {
        let id = order.get(11);
        let body = format!("37=V1|11={id}|17={exec}|55=AAPL|54=1|38=100|6=100|60={}|", time(0));
        venue.send("8", &(body + more));
    };
    report(&mut venue, &order, "E1", "150=0|39=0|151=100|14=0|");
    venue.hang_up();
    trader.expect("35=8|11=C1|150=9");
    let mut venue = accept();
    trader.expect("35=8|11=C1|150=D");
    // What was said in between is in no numbers any more: it is asked.
    let asked = venue.expect("35=H");
    assert_eq!(asked.get(11), order.get(11));
    report(&mut venue, &order, "S1", "150=I|39=1|151=60|14=40|");
    trader.expect("35=8|11=C1|150=F|39=1|32=40|31=100|14=40|151=60");
    report(&mut venue, &order, "E2", "150=F|39=2|32=60|31=100|151=0|14=100|");
    trader.expect("35=8|11=C1|150=F|39=2|32=60|14=100|151=0");
    // Whether a cancel was done that nobody answered, and what traded before, is asked before it is sent again.
    let orders = ["D1", "D2"].map(|id| {
        trader.enter(id, '1', 100, "100.00");
        let order = venue.expect("35=D");
        report(&mut venue, &order, &format!("A{id}"), "150=0|39=0|151=100|14=0|");
        trader.cancel(&format!("X{id}"), id, '1');
        trader.expect(&format!("35=8|11=X{id}|41={id}|150=6"));
        venue.expect("35=F");
        order
    });
    venue.hang_up();
    (0..2).for_each(|_| drop(trader.expect("35=8|150=9")));
    let mut venue = accept();
    (0..2).for_each(|_| drop(trader.expect("35=8|150=D")));
    for order in &orders {
        assert_eq!(venue.expect("35=H").get(11), order.get(11));
    }
    report(&mut venue, &orders[0], "S2", "150=I|39=4|151=0|14=30|");
    trader.expect("35=8|150=F|32=30|14=30|151=70");
    trader.expect("35=8|11=XD1|41=D1|150=4|39=4|14=30|151=0");
    report(&mut venue, &orders[1], "S3", "150=I|39=0|151=100|14=0|");
    assert_eq!(venue.expect("35=F").get(41), orders[1].get(11));
    is_open(&gateway, 1);
}

/// Three orders at a venue that cancels what is open when the line is lost, which it is: of the last one nothing was
/// heard. Returns what was sent, with the line there again and the question how all stand.
fn lost_with_three() -> (Venue, Peer, Peer, [Fields; 3], Fields) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let terms = "cancel_on_disconnect = true\nmass_status = true";
    let gateway = gateway(Scratch::new(), at, "fix44", "route-only", terms);
    let mut trader = client(&gateway);
    let mut venue = Peer::accept(&listener, "FIX.4.4", "XOUT");
    venue.expect("35=A");
    venue.send("A", "98=0|108=30|");
    let first = venue.expect("35=AF|585=7");
    assert_eq!(first.number(584), first.number(34));
    let none = format!("37=0|11=NONE|17=0|150=I|39=8|584={}|911=0|", first.get(584));
    venue.send("8", &format!("{none}55=X|54=1|151=0|14=0|6=0|"));
    wait_up(&gateway);
    let orders = ["C1", "C2", "C3"].map(|id| {
        trader.enter(id, '1', 100, "100.00");
        venue.expect("35=D")
    });
    for order in &orders[..2] {
        stands(&mut venue, order, "150=0|39=0|151=100|14=0|");
    }
    gateway.wait_for("venue.XOUT.messages_in", 3);
    venue.hang_up();
    (1..=3).for_each(|_| drop(trader.expect("35=8|150=9")));
    let (next_out, next_in) = (venue.next_out, venue.next_in);
    let mut venue = Peer::accept(&listener, "FIX.4.4", "XOUT");
    (venue.next_out, venue.next_in) = (next_out, next_in);
    venue.expect("35=A");
    venue.send("A", "98=0|108=30|");
    let asked = venue.expect("35=AF|585=7");
    (gateway, trader, venue, orders, asked)
}

fn stands(venue: &mut Peer, order: &Fields, more: &str) {
    let (id, time) = (order.get(11), time(0));
    let body = format!("37=V{id}|11={id}|17=0|55=AAPL|54=1|38=100|6=100|60={time}|{more}");
    venue.send("8", &body);
}

#[test]
fn a_venue_that_tells_how_all_orders_stand_is_asked_once_and_for_the_rest_of_them() {
    let (gateway, mut trader, mut venue, orders, asked) = lost_with_three();
    // One was not cancelled, and traded meanwhile; of another it says nothing, as of the one it never had.
    let id = asked.get(584);
    stands(&mut venue, &orders[0], &format!("150=I|39=1|151=60|14=40|584={id}|911=1|912=Y|"));
    trader.expect("35=8|11=C1|150=F|32=40|14=40|151=60");
    for _ in 0..3 {
        trader.expect("35=8|150=D");
    }
    for (order, told) in [(&orders[1], "39=4|151=0|14=0|"), (&orders[2], "39=8|151=0|14=0|")] {
        let asked = venue.expect("35=H");
        assert_eq!(asked.get(11), order.get(11));
        stands(&mut venue, order, &format!("150=I|{told}"));
        trader.expect("35=8|150=4|14=0|151=0");
    }
    is_open(&gateway, 1);
    trader.enter("C4", '1', 100, "100.00");
    venue.expect("35=D");
}

#[test]
fn a_venue_that_cannot_tell_how_all_orders_stand_is_asked_for_each() {
    let (gateway, _trader, mut venue, orders, asked) = lost_with_three();
    venue.send("j", &format!("45={}|372=AF|380=3|", asked.get(34)));
    let all: Vec<_> = (1..=3).map(|_| venue.expect("35=H").get(11).to_owned()).collect();
    assert_eq!(all, orders.each_ref().map(|order| order.get(11)));
    assert_eq!(gateway.counter("venue.XOUT.state"), 3);
}

#[test]
fn a_venue_that_does_not_tell_how_orders_stand_says_at_their_end_what_traded() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let gateway = gateway(Scratch::new(), at, "fix44", "route-only", "reset_on_logon = true");
    let mut trader = client(&gateway);
    let accept = || {
        let mut venue = Peer::accept(&listener, "FIX.4.4", "XOUT");
        venue.expect("35=A|141=Y");
        venue.send("A", "98=0|108=30|141=Y|");
        wait_up(&gateway);
        venue
    };
    let mut venue = accept();
    trader.enter("C1", '1', 100, "100.00");
    let order = venue.expect("35=D");
    stands(&mut venue, &order, "150=0|39=0|151=100|14=0|");
    gateway.wait_for("venue.XOUT.messages_in", 1);
    venue.hang_up();
    trader.expect("35=8|11=C1|150=9");
    let mut venue = accept();
    trader.expect("35=8|11=C1|150=D");
    let asked = venue.expect("35=H");
    venue.send("j", &format!("45={}|372=H|380=3|", asked.get(34)));
    // It stands, as far as anybody knows; and what was told before numbers began again is told as a sum.
    is_open(&gateway, 1);
    trader.cancel("X1", "C1", '1');
    trader.expect("35=8|11=X1|150=6");
    let asked = venue.expect("35=F");
    let (own, id) = (asked.get(11), order.get(11));
    let end = format!("37=V1|11={own}|41={id}|17=E9|150=4|39=4|55=AAPL|54=1|151=0|14=30|6=99.5|");
    venue.send("8", &end);
    trader.expect("35=8|150=F|32=30|31=99.5|14=30");
    trader.expect("35=8|11=X1|41=C1|150=4|39=4|14=30|151=0");
    is_open(&gateway, 0);
}

#[test]
fn an_ouch_venue_that_begins_another_session_has_none_of_the_orders_of_before() {
    let at = free_port();
    let outside = exchange(Scratch::new(), at, "ouch5");
    let inside = gateway(Scratch::new(), at, "ouch5", "route-only", "");
    wait_up(&inside);
    let mut alice = inside.client("ALICE");
    enter(&mut alice, &buy(1, 100, "99.00"));
    enter(&mut alice, &buy(2, 50, "99.50"));
    outside.wait_for("risk.open_orders", 2);
    let mut maker = outside.client("MAKER");
    enter(&mut maker, &sell(1, 20, "99.50"));
    filled(&mut alice, 2, 20, "99.50", 'X');
    // Its journal is lost, and everything with it.
    drop(maker);
    drop(outside.stop());
    let outside = exchange(Scratch::new(), at, "ouch5");
    let mut told = [answer(&mut alice), answer(&mut alice)];
    told.sort_by_key(Answer::user_ref);
    let gone = |user_ref, quantity| Answer::Canceled { user_ref, quantity, reason: 'S' };
    assert_eq!(told, [gone(1, 100), gone(2, 30)]);
    is_open(&inside, 0);
    wait_up(&inside);
    // And trading goes on.
    let mut maker = outside.client("MAKER");
    enter(&mut maker, &sell(1, 20, "99.50"));
    enter(&mut alice, &buy(3, 20, "99.50"));
    filled(&mut alice, 3, 20, "99.50", 'X');
}

#[test]
fn who_floods_a_slow_venue_is_refused_and_nobody_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let text = gateway_text(at, "fix44", "route-only", "") + "max_unanswered = 50\n";
    let gateway = Venue::start_in(Scratch::new(), &text);
    let mut venue = Peer::accept(&listener, "FIX.4.4", "XOUT");
    venue.expect("35=A");
    venue.send("A", "98=0|108=30|");
    wait_up(&gateway);
    let mut alice = gateway.client("ALICE");
    (1..=50).for_each(|number| enter(&mut alice, &buy(number, 1, "100.00")));
    (51..=200).for_each(|number| assert_eq!(refused(&mut alice, &buy(number, 1, "100.00")), 41));
    let orders: Vec<_> = (1..=50).map(|_| venue.expect("35=D")).collect();
    // Others have room of their own; and who may send no more may take back.
    let mut bob = gateway.client("BOB");
    enter(&mut bob, &buy(1, 7, "100.00"));
    venue.expect("35=D|38=7");
    alice.send(&cancel(1, 0)).unwrap();
    assert_eq!(answer(&mut alice), Answer::CancelPending { user_ref: 1 });
    venue.expect("35=F");
    // Each answer makes room for one.
    let id = orders[5].get(11);
    let body = format!("37=V6|11={id}|17=E6|150=0|39=0|55=AAPL|54=1|38=1|151=1|14=0|6=0|");
    venue.send("8", &body);
    gateway.wait_for("venue.XOUT.messages_in", 1);
    let deadline = Instant::now() + PATIENCE;
    let mut number = 201;
    loop {
        alice.send(&buy(number, 1, "100.00").encode()).unwrap();
        match answer(&mut alice) {
            Answer::Accepted { .. } => break,
            Answer::Rejected { reason: 41, .. } => number += 1,
            other => panic!("{other}"),
        }
        assert!(Instant::now() < deadline);
    }
    assert_eq!(refused(&mut alice, &buy(number + 1, 1, "100.00")), 41);
    silence(&mut bob);
}
