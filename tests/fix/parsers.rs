//! Sessions spread over parser agents.

use millrace::config::Config;
use millrace::segment::{journal_dir, recover};

use super::common::*;
use super::peer::Peer;
use super::text;

const PARSERS: &str = "topology = \"pipeline\"\nfix_parsers = 2";

fn venue(scratch: Scratch) -> Venue {
    // Not twice where the whole suite has parsers.
    let own = if std::env::var("MILLRACE_FIX_PARSERS").is_ok() { "" } else { PARSERS };
    Venue::start_in(scratch, &text(own, ""))
}

#[test]
fn sessions_of_two_parsers_trade_and_move_and_come_back() {
    let running = venue(Scratch::new());
    let address = running.addresses()[1];
    let mut alice = running.client("ALICE");
    let mut one = Peer::connect(address, "FIX.4.4", "CLIENT1");
    let mut two = Peer::connect(address, "FIX.4.4", "CLIENT2");
    one.log_on("");
    two.log_on("");
    for n in 0..300 {
        one.order(&format!("A{n}"), '1', 10, "100", "");
        two.order(&format!("B{n}"), '2', 10, "100", "");
    }
    let (mut bought, mut sold) = (0, 0);
    while bought < 3_000 || sold < 3_000 {
        for (peer, done) in [(&mut one, &mut bought), (&mut two, &mut sold)] {
            while *done < 3_000 {
                let report = peer.next();
                report.expect("35=8");
                if report.get(150) == "F" {
                    *done += report.number(32);
                    break;
                }
            }
        }
    }
    // Another connection is another parser's: the stream goes there, and nothing is lost.
    for round in 0..5 {
        let away = one.again(address);
        drop(one);
        drop(away);
        running.wait_for("gateway.connections_closed", 2 * (round + 1));
        one = Peer::connect(address, "FIX.4.4", "CLIENT1");
        one.log_on("141=Y|");
        let id = format!("C{round}");
        one.enter(&id, '1', 10, "99");
        enter(&mut alice, &sell(round as u32 + 1, 10, "99.00"));
        one.expect(&format!("35=8|11={id}|39=2|14=10"));
        filled(&mut alice, round as u32 + 1, 10, "99.00", 'R');
        one.send("2", "7=2|16=2|");
        one.any().expect(&format!("43=Y|11={id}|39=0"));
    }
    assert_eq!(running.own_counter("gateway.messages_in"), 5, "OUCH only");
    let config: Config = running.config.clone();
    let (stopped, _scratch) = running.stop();
    let again = recover(&journal_dir(&config), &config).unwrap();
    assert_eq!(again.state_hash(), stopped.state_hash);
}

#[test]
fn parsers_need_threads() {
    let text = text("", "").replace("[gateway]\n", "[gateway]\nfix_parsers = 2\n");
    if std::env::var("MILLRACE_FIX_PARSERS").is_ok() {
        return;
    }
    let why = Config::parse(&text, "test").unwrap_err().to_string();
    assert!(why.contains("topology = \"pipeline\""), "{why}");
}
