//! Drop copies: who watches a firm hears of its orders in FIX 4.4, whatever those speak who entered them.

use millrace::segment::{journal_dir, recover};

use super::common::transport::is_kernel;
use super::common::*;
use super::peer::Peer;
use super::text;

const WATCHER: &str = r#"
[[port]]
protocol = "fix44"
listen = "127.0.0.1:0"
drop_copy = true
[[user]]
name = "WATCH"
protocol = "fix44"
password = "secret"
firm = "CMP"
fix_comp_id = "WATCHER"
drop_copy_of = ["AAA", "BBB"]
[[symbol]]
"#;

fn open(scratch: Scratch) -> Venue {
    Venue::start_in(scratch, &text("", "").replacen("[[symbol]]\n", WATCHER, 1))
}

#[test]
fn a_watcher_hears_of_orders_in_every_protocol_and_enters_none() {
    if !is_kernel() {
        return eprintln!(
            "skipped: drop copies are on kernel sockets, whatever carries the orders"
        );
    }
    let venue = open(Scratch::new());
    let (fix44, copies) = (venue.addresses()[1], *venue.addresses().last().unwrap());
    let mut watcher = Peer::connect(copies, "FIX.4.4", "WATCHER");
    watcher.log_on("");
    let mut trader = Peer::connect(fix44, "FIX.4.4", "CLIENT1");
    trader.log_on("");
    let mut alice = venue.client("ALICE");
    let long = "a-name-of-36-characters-for-an-order";
    assert_eq!(long.len(), 36);
    trader.order(long, '1', 100, "100", "1=ACCOUNT-7|");
    trader.expect("35=8|150=0|39=0");
    let of_trader = "797=Y|453=2|448=FIX1|447=D|452=11";
    let copied = watcher.expect(&format!("35=8|150=0|39=0|11={long}|1=ACCOUNT-7|151=100|55=AAPL"));
    copied.expect(of_trader);
    assert!(copied.line().contains("448=BBB|447=D|452=1|"), "{}", copied.line());
    // An order in OUCH, with a name that FIX could not carry.
    let mut order = sell(7, 30, "100.00");
    order.cl_ord_id = "A\x01B=C".to_owned();
    enter(&mut alice, &order);
    watcher.expect("35=8|150=0|39=0|11=A?B=C|54=2|38=30|797=Y|448=ALICE");
    let fill = trader.expect("150=F|14=30|151=70");
    let both = [watcher.next(), watcher.next()];
    both[0].expect("150=F|39=1|14=30|151=70|31=100|32=30|851=1").expect(of_trader);
    both[1].expect("150=F|39=2|14=30|151=0|851=2|448=ALICE|11=A?B=C");
    assert_eq!(both[0].get(37), fill.get(37), "the same order by the same number");
    trader.replace("R1", long, '1', 250, "99");
    trader.expect("150=5");
    watcher.expect(&format!("150=5|11=R1|41={long}|38=250|14=30|151=220|39=1"));
    trader.cancel("C1", "R1", '1');
    trader.expect("150=4");
    watcher.expect("150=4|39=4|11=R1|14=30|151=0");
    // CAROL's firm is watched, nobody else's; refusals are not copied.
    let mut old = Peer::connect(venue.addresses()[2], "FIX.4.2", "OLDCLIENT");
    old.log_on("");
    old.enter("O1", '1', 5, "98");
    watcher.send("D", "11=X|21=1|55=AAPL|54=1|38=1|40=1|60=20260101-00:00:00|");
    watcher.expect("35=j|372=D|380=6");
    watcher.sync();
    // Numbers go on over a restart, and what was said can be had again.
    let (stopped, scratch) = venue.stop();
    watcher.expect("35=5|58=the gateway stops");
    watcher.expect_end();
    let venue = open(scratch);
    let again = recover(&journal_dir(&venue.config), &venue.config).unwrap();
    assert_eq!(again.state_hash(), stopped.state_hash);
    let mut watcher = watcher.again(*venue.addresses().last().unwrap());
    watcher.log_on("");
    watcher.send("2", "7=2|16=2|");
    watcher.any().expect(&format!("34=000000002|43=Y|17={}", copied.get(17)));
    watcher.sync();
    let mut alice = venue.client("ALICE");
    enter(&mut alice, &buy(8, 10, "97.00"));
    watcher.expect("35=8|150=0|448=ALICE|11=8");
}

#[test]
fn a_watcher_has_no_other_port_and_nobody_else_has_its_own() {
    if !is_kernel() {
        return eprintln!(
            "skipped: drop copies are on kernel sockets, whatever carries the orders"
        );
    }
    let venue = open(Scratch::new());
    let (fix44, copies) = (venue.addresses()[1], *venue.addresses().last().unwrap());
    for (at, comp_id) in [(fix44, "WATCHER"), (copies, "CLIENT1")] {
        let mut peer = Peer::connect(at, "FIX.4.4", comp_id);
        peer.send_logon("");
        peer.expect_end();
    }
}
