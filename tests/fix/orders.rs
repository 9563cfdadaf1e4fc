//! Orders as FIX tells of them.

use super::Floor;
use super::common::*;
use super::peer::{Peer, time};

#[test]
fn a_fix_user_and_an_ouch_user_trade_with_each_other() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut fix = floor.fix("CLIENT1");
    enter(&mut alice, &sell(1, 100, "100.00"));
    fix.enter("A1", '1', 60, "101");
    let fill = fix.expect("35=8|11=A1|150=F|39=2|32=60|31=100|151=0|14=60|6=100|851=2");
    assert!(!fill.get(527).is_empty());
    filled(&mut alice, 1, 60, "100.00", 'A');
    fix.enter("A2", '1', 100, "100.5");
    fix.expect("35=8|11=A2|150=F|39=1|32=40|31=100|151=60|14=40|6=100");
    filled(&mut alice, 1, 40, "100.00", 'A');
    enter(&mut alice, &sell(2, 60, "100.00"));
    filled(&mut alice, 2, 60, "100.50", 'R');
    fix.expect("35=8|11=A2|150=F|39=2|32=60|31=100.5|151=0|14=100|6=100.3|851=1");
}

#[test]
fn fix_42_tells_the_same_in_its_own_words() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut old = floor.fix("OLDCLIENT");
    enter(&mut alice, &sell(1, 100, "100.00"));
    old.enter("A1", '1', 150, "101").expect("20=0");
    old.expect("35=8|11=A1|20=0|150=1|39=1|32=100|31=100|151=50|14=100|6=100");
    old.replace("A2", "A1", '1', 200, "100.5");
    old.expect("35=8|11=A2|41=A1|20=0|150=5|39=1|38=200|151=100|14=100");
    old.cancel("A3", "A2", '1');
    old.expect("35=8|11=A3|41=A2|150=4|39=4|151=0|14=100");
    old.enter("B1", '1', 10, "99");
    old.replace("B2", "B1", '1', 20, "99");
    old.expect("35=8|11=B2|41=B1|150=5|39=5|38=20|151=20|14=0");
    old.send("H", "11=B2|55=AAPL|54=1|");
    old.expect("35=8|11=B2|20=3|150=5|39=5|151=20");
    old.send("H", "11=NONE|55=AAPL|54=1|");
    old.expect("35=8|11=NONE|37=NONE|20=3|150=8|39=8");
}

#[test]
fn a_cancel_is_confirmed_under_its_own_name() {
    let floor = Floor::open();
    let mut fix = floor.fix("CLIENT1");
    let new = fix.enter("A1", '1', 100, "99.5");
    fix.cancel("A2", "A1", '1');
    let gone = fix.expect("35=8|11=A2|41=A1|150=4|39=4|151=0|14=0|38=100");
    assert_eq!(gone.get(37), new.get(37), "OrderID stays");
    assert_ne!(gone.get(17), new.get(17), "ExecID does not");
}

#[test]
fn a_cancel_of_nothing_says_why() {
    let floor = Floor::open();
    let mut fix = floor.fix("CLIENT1");
    fix.cancel("C1", "NOBODY", '1');
    fix.expect("35=9|11=C1|41=NOBODY|37=NONE|39=8|434=1|102=1");
    fix.enter("A1", '1', 100, "99.5");
    fix.cancel("C2", "A1", '2');
    fix.expect("35=9|11=C2|41=A1|434=1|102=99");
    fix.cancel("C3", "A1", '1');
    fix.expect("35=8|11=C3|41=A1|39=4");
    fix.cancel("C4", "A1", '1');
    fix.expect("35=9|11=C4|41=A1|39=4|434=1|102=0");
    fix.enter("A2", '1', 1, "99.5");
    fix.cancel("C4", "A2", '1');
    fix.expect("35=9|11=C4|41=A2|434=1|102=6");
}

#[test]
fn a_replacement_keeps_what_was_traded() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut fix = floor.fix("CLIENT1");
    let new = fix.enter("A1", '1', 100, "100");
    enter(&mut alice, &sell(1, 30, "100.00"));
    fix.expect("11=A1|150=F|39=1|14=30|151=70");
    fix.replace("A2", "A1", '1', 150, "100.1");
    let replaced = fix.expect("35=8|11=A2|41=A1|150=5|39=1|38=150|14=30|151=120|6=100|44=100.1");
    assert_eq!(replaced.get(37), new.get(37));
    filled(&mut alice, 1, 30, "100.00", 'R');
    enter(&mut alice, &sell(2, 120, "100.00"));
    fix.expect("11=A2|150=F|39=2|14=150|151=0|32=120|31=100.1|6=100.08");
    // Too late, and of what never was.
    fix.replace("A3", "A2", '1', 200, "100");
    fix.expect("35=9|11=A3|41=A2|39=2|434=2|102=0");
    fix.replace("A4", "NOBODY", '1', 200, "100");
    fix.expect("35=9|11=A4|41=NOBODY|39=8|434=2|102=1");
}

#[test]
fn a_replacement_below_what_was_traded_fills_the_order() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut fix = floor.fix("CLIENT1");
    fix.enter("A1", '1', 100, "100");
    enter(&mut alice, &sell(1, 30, "100.00"));
    fix.expect("11=A1|150=F|14=30");
    fix.replace("A2", "A1", '1', 20, "100");
    fix.expect("35=8|11=A2|41=A1|150=5|39=2|38=30|14=30|151=0");
}

#[test]
fn a_chain_of_replacements_under_way_is_followed() {
    let floor = Floor::open();
    let mut fix = floor.fix("CLIENT1");
    fix.enter("A1", '1', 100, "99");
    fix.replace("A2", "A1", '1', 110, "99.01");
    fix.replace("A3", "A2", '1', 120, "99.02");
    fix.cancel("A4", "A3", '1');
    fix.expect("11=A2|41=A1|150=5|38=110");
    fix.expect("11=A3|41=A2|150=5|38=120");
    fix.expect("11=A4|41=A3|150=4|39=4");
}

#[test]
fn terms_that_are_not_to_be_had_are_refused_with_a_text() {
    let floor = Floor::open();
    let mut fix = floor.fix("CLIENT1");
    let order = |id: &str, more: &str| {
        let now = time(0);
        format!("11={id}|21=1|55=AAPL|54=1|60={now}|38=10|{more}")
    };
    for (at, (more, fields)) in [
        ("40=3|44=100|99=99|", "103=11|58=OrdType (40) has to be 1 (market) or 2 (limit)"),
        ("40=2|44=100|59=2|", "103=11|58=TimeInForce (59) has to be 0, 1, 3, 4 or 6"),
        (
            "40=2|44=100|18=G|",
            "103=11|58=ExecInst (18) may be 6 (participate, do not initiate) only",
        ),
        ("40=2|", "103=99|58=Price (44) has to be a multiple of the tick, above 0"),
        ("40=2|44=100.001|", "103=99|58=Price (44) has to be a multiple of the tick, above 0"),
        ("40=2|44=-1|", "103=99"),
        (
            "40=2|44=100|110=5|",
            "103=13|58=MinQty (110) is for immediate-or-cancel orders, up to OrderQty (38)",
        ),
        ("40=2|44=100|59=6|", "103=99"),
        ("40=2|44=100|59=6|126=20200101-00:00:00|", "103=99"),
        ("40=2|44=100|78=1|79=ACC|80=10|", "103=11"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("A{at}");
        fix.send("D", &order(&id, more));
        fix.expect(&format!(
            "35=8|11={id}|150=8|39=8|37=NONE|151=0|14=0|6=0|55=AAPL|54=1|{fields}"
        ));
    }
    let now = time(0);
    fix.send("D", &format!("11=B1|55=NOSUCH|54=1|60={now}|38=10|40=2|44=1|"));
    fix.expect("11=B1|39=8|55=NOSUCH|54=1|103=1|58=Symbol (55) is not traded here");
    fix.send("D", &format!("11=B2|55=MUCHTOOLONGASYMBOL|54=1|60={now}|38=10|40=2|44=1|"));
    fix.expect("11=B2|39=8|55=MUCHTOOLONGASYMBOL|103=1");
    fix.send("D", &format!("11=B3|55=AAPL|54=8|60={now}|38=10|40=2|44=1|"));
    fix.expect("11=B3|39=8|54=8|58=Side (54) has to be 1, 2, 5 or 6");
    fix.send("D", &format!("11=B4|55=AAPL|54=1|60={now}|38=1.5|40=2|44=1|"));
    fix.expect("11=B4|39=8|103=13|58=OrderQty (38) has to be a whole number from 1 to 999999");
}

#[test]
fn a_clordid_is_used_once() {
    let floor = Floor::open();
    let mut fix = floor.fix("CLIENT1");
    fix.enter("A1", '1', 10, "99");
    fix.order("A1", '1', 20, "99", "");
    fix.expect("35=8|11=A1|150=8|39=8|103=6|38=20");
    // One that may have been sent before is not a second order.
    let now = time(0);
    let number = fix.next_out;
    fix.next_out += 1;
    let body = format!("11=A1|55=AAPL|54=1|60={now}|38=10|40=2|44=99|");
    fix.send_as(number, "D", "97=Y|", &body);
    fix.sync();
    // The name still stands for the first order.
    fix.cancel("A2", "A1", '1');
    fix.expect("35=8|11=A2|41=A1|39=4|38=10");
    // Another session may use it.
    floor.fix("CLIENT2").enter("A1", '1', 10, "99");
}

#[test]
fn times_in_force_are_told_as_they_were_asked_for() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut fix = floor.fix("CLIENT1");
    enter(&mut alice, &sell(1, 30, "100.00"));
    fix.order("A1", '1', 40, "100", "59=4|");
    fix.expect("11=A1|39=0|59=4");
    fix.expect("11=A1|150=4|39=4|151=0|14=0");
    fix.order("A2", '1', 40, "100", "59=3|");
    fix.expect("11=A2|39=0|59=3");
    fix.expect("11=A2|150=F|39=1|14=30|151=10");
    fix.expect("11=A2|150=4|39=4|14=30|151=0");
    fix.order("A3", '1', 10, "99", "59=1|");
    fix.expect("11=A3|39=0|59=1");
    fix.order("A4", '1', 10, "99", &format!("59=6|126={}|", time(1)));
    fix.expect("11=A4|39=0|59=6");
    fix.expect("11=A4|150=C|39=C|151=0|58=expired");
    fix.order("A5", '1', 10, "99", "59=6|432=20991231|");
    fix.expect("11=A5|39=8|58=good till date needs ExpireTime (126) or ExpireDate (432) to come");
}

#[test]
fn market_orders_icebergs_and_post_only_orders_are_what_they_say() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut fix = floor.fix("CLIENT1");
    enter(&mut alice, &sell(1, 30, "100.00"));
    fix.order("A1", '1', 10, "100", "18=6|1=ACCOUNT 7|");
    fix.expect("11=A1|39=0|18=6|1=ACCOUNT 7");
    fix.expect("11=A1|150=4|39=4|58=would have traded on entry");
    let now = time(0);
    fix.send("D", &format!("11=A2|55=AAPL|54=1|60={now}|38=10|40=1|"));
    fix.expect("11=A2|39=0|40=1");
    fix.expect("11=A2|150=F|39=2|31=100|32=10");
    fix.order("A3", '1', 100, "99", "111=10|");
    fix.expect("11=A3|39=0|111=10|151=100");
    filled(&mut alice, 1, 10, "100.00", 'A');
    enter(&mut alice, &sell(2, 25, "99.00"));
    for (qty, cum) in [(10, 10), (10, 20), (5, 25)] {
        fix.expect(&format!("11=A3|150=F|32={qty}|14={cum}|151={}", 100 - cum));
    }
}

#[test]
fn a_status_is_told_of_any_order() {
    let floor = Floor::open();
    let mut fix = floor.fix("CLIENT1");
    fix.send("H", "11=A1|55=AAPL|54=1|790=Q1|");
    fix.expect("35=8|11=A1|37=NONE|150=I|39=8|790=Q1|55=AAPL|54=1");
    fix.enter("A1", '1', 10, "99");
    fix.send("H", "11=A1|55=AAPL|54=1|790=Q2|");
    fix.expect("35=8|11=A1|150=I|39=0|790=Q2|151=10|14=0");
    fix.cancel("A2", "A1", '1');
    fix.expect("11=A2|39=4");
    fix.send("H", "11=A1|55=AAPL|54=1|");
    fix.expect("35=8|11=A1|150=I|39=4|151=0");
}

#[test]
fn a_mass_cancel_counts_and_cancels() {
    let floor = Floor::open();
    let mut fix = floor.fix("CLIENT1");
    for n in 0..5 {
        fix.enter(
            &format!("A{n}"),
            if n < 3 { '1' } else { '2' },
            10,
            if n < 3 { "99" } else { "101" },
        );
    }
    let now = time(0);
    fix.send("q", &format!("11=M1|530=5|60={now}|"));
    fix.expect("35=r|11=M1|530=5|531=0|532=0");
    fix.send("q", &format!("11=M2|530=1|55=NOSUCH|60={now}|"));
    fix.expect("35=r|11=M2|531=0|532=1");
    fix.send("q", &format!("11=M3|530=1|55=AAPL|54=1|60={now}|"));
    fix.expect("35=r|11=M3|530=1|531=1|533=3|55=AAPL|54=1");
    let mut names: Vec<String> =
        (0..3).map(|_| fix.expect("35=8|150=4|39=4").get(11).to_owned()).collect();
    names.sort();
    assert_eq!(names, ["A0", "A1", "A2"]);
    fix.send("q", &format!("11=M4|530=7|60={now}|"));
    fix.expect("35=r|11=M4|531=7|533=2");
    fix.expect("35=8|150=4");
    fix.expect("35=8|150=4");
    // FIX 4.2 has no such message.
    let mut old = floor.fix("OLDCLIENT");
    old.send("q", &format!("11=M1|530=7|60={now}|"));
    old.expect("35=j|372=q|380=3|45=2");
}

#[test]
fn orders_of_one_firm_do_not_meet() {
    let floor = Floor::open();
    // BOB is of CLIENT1's firm.
    let mut bob = floor.venue.client("BOB");
    let mut fix = floor.fix("CLIENT1");
    enter(&mut bob, &sell(1, 30, "100.00"));
    fix.enter("A1", '1', 10, "100");
    fix.expect("11=A1|150=4|39=4|151=0|14=0|58=would have traded with its own firm");
}

#[test]
fn long_names_travel_whole() {
    let floor = Floor::open();
    let mut fix = floor.fix("CLIENT1");
    let name = "5a2c1f1e-2f1b-4d6c-9d6e-0d6a5d1f7c11";
    fix.order(name, '1', 10, "99", "1=ABCDEFGHIJKLMNOPQRSTUVWX|");
    fix.expect(&format!("11={name}|39=0|1=ABCDEFGHIJKLMNOPQRSTUVWX"));
    let long = format!("{name}!");
    fix.order(&long, '1', 10, "99", "");
    fix.expect("35=3|371=11|373=5|372=D");
    fix.cancel("C2", name, '1');
    fix.expect(&format!("35=8|11=C2|41={name}|39=4"));
}

/// FIX 4.4 volume 1, "Third party message routing": hubs and brokers go by what comes back.
#[test]
fn whom_a_message_came_on_behalf_of_and_goes_to_comes_back_turned_round() {
    let floor = Floor::open();
    let mut hub = floor.fix("CLIENT1");
    let mut other = floor.fix("CLIENT2");
    let now = time(0);
    let send = |hub: &mut Peer, kind: &str, header: &str, body: &str| {
        hub.next_out += 1;
        hub.send_as(hub.next_out - 1, kind, header, body);
    };
    let order =
        |id: &str, qty: u32| format!("11={id}|21=1|55=AAPL|54=1|60={now}|38={qty}|40=2|44=99|");
    let broker = "115=BROKER|116=DESK|144=NY|128=VENUE|129=FLOOR|145=LD|";
    let back = "128=BROKER|129=DESK|145=NY|115=VENUE|116=FLOOR|144=LD";
    send(&mut hub, "D", broker, &order("A1", 30));
    hub.expect(&format!("35=8|11=A1|39=0|{back}"));
    send(&mut hub, "D", "115=ANOTHER|", &order("B1", 5));
    hub.expect("35=8|11=B1|39=0|128=ANOTHER|129=|115=");
    hub.order("C1", '1', 5, "98", "");
    hub.expect("35=8|11=C1|39=0|128=|115=");

    // What becomes of an order later goes the way the order came.
    other.order("S1", '2', 10, "99", "");
    other.expect("35=8|11=S1|39=0|128=");
    other.expect("35=8|11=S1|39=2|128=");
    hub.expect(&format!("35=8|11=A1|39=1|14=10|{back}"));

    // Each answer goes the way of its own request.
    let cancel = format!("55=AAPL|54=1|60={now}|38=1|");
    send(&mut hub, "F", "115=OPS|", &format!("11=F1|41=NONE|{cancel}"));
    hub.expect("35=9|11=F1|128=OPS|129=");
    send(&mut hub, "H", "115=OPS|", "11=A1|55=AAPL|54=1|");
    hub.expect("35=8|11=A1|150=I|128=OPS|129=");
    send(&mut hub, "D", "115=OPS|", &order("A1", 1));
    hub.expect("35=8|11=A1|39=8|128=OPS");
    send(&mut hub, "D", "115=OPS|", "11=X|");
    hub.expect("35=3|373=1|128=OPS");
    send(&mut hub, "AE", "115=OPS|", "");
    hub.expect("35=j|128=OPS");
    send(&mut hub, "1", "115=OPS|", "112=there|");
    hub.expect("35=0|112=there|128=OPS");
    send(&mut hub, "D", "115=|", &order("X", 1));
    hub.expect("35=3|371=115|373=4");
    send(&mut hub, "D", &format!("115={}|", "x".repeat(200)), &order("X", 1));
    hub.expect("35=3|371=115|373=5");

    // A resend and a restart say the same.
    send(&mut hub, "2", "", "7=2|16=2|");
    hub.any().expect(&format!("35=8|34=000000002|43=Y|11=A1|{back}"));
    drop((hub, other));
    let floor = floor.restart();
    let mut hub = floor.peer("CLIENT1");
    hub.log_on("141=Y|");
    let mut other = floor.peer("CLIENT2");
    other.log_on("141=Y|");
    other.order("S2", '2', 25, "99", "");
    other.expect("35=8|11=S2|39=0|128=");
    other.expect("35=8|11=S2|39=1|128=");
    other.expect("35=8|11=S2|39=2|128=");
    hub.expect(&format!("35=8|11=A1|39=2|14=30|{back}"));
    hub.expect("35=8|11=B1|39=2|128=ANOTHER|129=");
    send(&mut hub, "F", "128=VENUE|", &format!("11=F2|41=C1|{cancel}"));
    hub.expect("35=8|11=F2|41=C1|39=4|115=VENUE|128=");
}
