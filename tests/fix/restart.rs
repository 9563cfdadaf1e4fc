//! Nothing is forgotten over a restart.

use millrace::segment::{journal_dir, recover};

use super::common::*;
use super::{Floor, text};

#[test]
fn numbers_orders_and_names_survive_a_restart() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut peer = floor.fix("CLIENT1");
    let new = peer.enter("A1", '1', 100, "100");
    enter(&mut alice, &sell(1, 30, "100.00"));
    let fill = peer.expect("11=A1|150=F|14=30|151=70");
    peer.sync();
    let floor = floor.restart();
    peer.expect("35=5|58=the gateway stops");
    peer.expect_end();
    let mut peer = peer.again(floor.address(1));
    peer.log_on("");
    peer.order("A1", '1', 10, "99", "");
    peer.expect("11=A1|39=8|103=6");
    peer.replace("A2", "A1", '1', 200, "100");
    peer.expect(&format!("11=A2|41=A1|37={}|150=5|39=1|14=30|151=170|6=100", new.get(37)));
    peer.send("2", "7=3|16=3|");
    peer.any().expect(&format!("35=8|34=000000003|43=Y|17={}|122={}", fill.get(17), fill.get(52)));
    peer.sync();
}

#[test]
fn a_replay_makes_the_same_streams() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut peer = floor.fix("CLIENT1");
    let mut old = floor.fix("OLDCLIENT");
    for n in 0..50 {
        peer.enter(&format!("A{n}"), '1', 100, "100");
        old.enter(&format!("O{n}"), '1', 100, "100");
        enter(&mut alice, &sell(n + 1, 150, "100.00"));
        peer.expect("150=F|39=2");
        old.expect("150=1|39=1|14=50");
        old.cancel(&format!("C{n}"), &format!("O{n}"), '1');
        old.expect("150=4|14=50");
        peer.send("D", "11=bad|");
        peer.expect("35=3");
        peer.cancel("too long a name for an order, much too long", "A1", '1');
        peer.expect("35=3");
        peer.sync();
        for _ in 0..2 {
            answer(&mut alice);
        }
    }
    let (config, (stopped, _scratch)) = {
        let config = floor.venue.config.clone();
        (config, floor.venue.stop())
    };
    let again = recover(&journal_dir(&config), &config).unwrap();
    assert_eq!(again.state_hash(), stopped.state_hash);
}

#[test]
fn a_user_cannot_come_back_speaking_something_else() {
    let scratch = Scratch::new();
    let floor = Floor::open_in(scratch, "");
    let (_, scratch) = floor.venue.stop();
    let other = text("", "").replace("fix_comp_id = \"CLIENT1\"", "fix_comp_id = \"CLIENT9\"");
    let config = config(&scratch.0, &other);
    let why = match start(&config) {
        Ok(_) => panic!("it started"),
        Err(why) => why.to_string(),
    };
    assert!(why.contains("user FIX1 speaks fix44 as CLIENT1 to MILLRACE in the journal"), "{why}");
}
