//! A gateway in front of another millrace.

use crate::common::{Scratch, Venue, answer, buy, enter, filled, sell, silence};
use crate::{client, exchange, free_port, gateway, is_open, wait_up};
use millrace::client::Answer;

fn pair(protocol: &str, policy: &str) -> (Venue, Venue) {
    let at = free_port();
    let outside = exchange(Scratch::new(), at, protocol);
    let inside = gateway(Scratch::new(), at, protocol, policy, "");
    wait_up(&inside);
    (outside, inside)
}

fn an_order_goes_straight_out_and_its_fill_comes_back(protocol: &str) {
    let (outside, inside) = pair(protocol, "route-only");
    let mut maker = outside.client("MAKER");
    enter(&mut maker, &sell(1, 100, "100.00"));
    let mut trader = client(&inside);
    trader.enter("C1", '1', 60, "100.00");
    trader.expect("35=8|11=C1|150=F|39=2|32=60|31=100|30=XOUT|851=3|14=60|151=0");
    filled(&mut maker, 1, 60, "100.00", 'A');
    // What does not trade rests there, and is replaced and cancelled there.
    trader.enter("C2", '1', 60, "99.00");
    trader.replace("C3", "C2", '1', 80, "99.50");
    trader.expect("35=8|11=C3|41=C2|150=E|39=E");
    trader.expect("35=8|11=C3|41=C2|150=5|39=0|38=80|44=99.5|151=80");
    trader.cancel("C4", "C3", '1');
    trader.expect("35=8|11=C4|41=C3|150=6|39=6");
    trader.expect("35=8|11=C4|41=C3|150=4|39=4|151=0|14=0");
    is_open(&outside, 1);
    is_open(&inside, 0);
    silence(&mut maker);
}

fn what_crosses_here_stays_and_the_rest_goes_on(protocol: &str) {
    let (outside, inside) = pair(protocol, "cross-then-route");
    let mut maker = outside.client("MAKER");
    enter(&mut maker, &sell(1, 100, "100.00"));
    let mut other = inside.client("BOB");
    enter(&mut other, &sell(1, 30, "100.00"));
    let mut trader = client(&inside);
    trader.enter("C1", '1', 100, "100.00");
    let here = trader.expect("35=8|11=C1|150=F|39=1|32=30|14=30|151=70|851=2");
    assert_eq!(here.get(30), "");
    trader.expect("35=8|11=C1|150=F|39=2|32=70|14=100|151=0|30=XOUT");
    filled(&mut other, 1, 30, "100.00", 'A');
    filled(&mut maker, 1, 70, "100.00", 'A');
    // What would trade nowhere here rests here.
    trader.enter("C2", '1', 10, "98.00");
    is_open(&outside, 1);
    // An IOC finds what there is, and the rest is over.
    trader.order("C3", '1', 50, "100.00", "59=3|");
    trader.expect("35=8|11=C3|150=0|39=0");
    trader.expect("35=8|11=C3|150=F|39=1|32=30|30=XOUT|151=20");
    trader.expect("35=8|11=C3|150=4|39=4|14=30|151=0");
}

fn a_client_that_speaks_ouch_is_told_in_ouch(protocol: &str) {
    let (outside, inside) = pair(protocol, "post-out");
    let mut maker = outside.client("MAKER");
    let mut alice = inside.client("ALICE");
    enter(&mut alice, &buy(1, 100, "99.00"));
    outside.wait_for("risk.open_orders", 1);
    enter(&mut maker, &sell(1, 40, "99.00"));
    filled(&mut maker, 1, 40, "99.00", 'R');
    filled(&mut alice, 1, 40, "99.00", 'X');
    alice.send(&millrace::client::cancel(1, 0)).unwrap();
    let pending = alice.message(crate::common::PATIENCE).unwrap();
    assert_eq!(pending[0], b'P');
    assert_eq!(answer(&mut alice), Answer::Canceled { user_ref: 1, quantity: 60, reason: 'U' });
}

/// Each of these, whatever the venue speaks.
macro_rules! in_each {
    ($($test:ident),* $(,)?) => {
        mod by_fix44 {
            $(#[test] fn $test() { super::$test("fix44"); })*
        }
        mod by_fix42 {
            $(#[test] fn $test() { super::$test("fix42"); })*
        }
        mod by_ouch {
            $(#[test] fn $test() { super::$test("ouch5"); })*
        }
    };
}

in_each! {
    an_order_goes_straight_out_and_its_fill_comes_back,
    what_crosses_here_stays_and_the_rest_goes_on,
    a_client_that_speaks_ouch_is_told_in_ouch,
}
