//! Several segments in one process, and several books in a segment, as the program that users run.

mod common;

use std::net::SocketAddr;
use std::process::Command;

use common::process::Process;
use common::*;
use millrace::client::{Answer, Client};
use millrace::config::Config;

const EAST_AND_WEST: &str = r#"
[gateway]
idle = "park"
max_orders = 4096
[[segment]]
name = "east"
symbols = ["AAPL"]
[[segment.port]]
protocol = "ouch5"
listen = "127.0.0.1:0"
[[segment]]
name = "west"
symbols = ["*"]
[[segment.port]]
protocol = "ouch5"
listen = "127.0.0.1:0"
[[segment.port]]
protocol = "glimpse"
listen = "127.0.0.1:0"
[segment.feed]
lines = ["127.0.0.1:45991"]
[[user]]
name = "ALICE"
password = "secret"
firm = "AAA"
cancel_on_disconnect = false
[[user]]
name = "BOB"
password = "secret"
firm = "BBB"
[[symbol]]
name = "AAPL"
reference_price = "100.00"
[[symbol]]
name = "MSFT"
reference_price = "100.00"
[[symbol]]
name = "TSLA"
reference_price = "100.00"
[risk.default]
max_position = 100
restricted = ["TSLA"]
"#;

fn login(ports: &[(String, SocketAddr)], port: &str, user: &str) -> Client {
    let (_, address) = ports.iter().find(|(name, _)| name == port).unwrap();
    Client::login(*address, user, "secret", 0).unwrap()
}

fn of(symbol: &str, order: millrace::client::NewOrder) -> Vec<u8> {
    millrace::client::NewOrder { symbol: symbol.to_owned(), ..order }.encode()
}

#[test]
fn segments_share_users_and_limits_and_nothing_else() {
    let scratch = Scratch::new();
    let (process, ports) = Process::start_with(&scratch.0, EAST_AND_WEST);
    let names: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["east:ouch5", "west:ouch5", "west:glimpse"]);
    let mut east = login(&ports, "east:ouch5", "ALICE");
    let mut west = login(&ports, "west:ouch5", "ALICE");
    let mut bob = login(&ports, "west:ouch5", "BOB");
    // Each has its own count of numbers, positions and symbols.
    for (client, symbol) in [(&mut east, "AAPL"), (&mut west, "MSFT")] {
        client.send(&of(symbol, sell(1, 100, "100.00"))).unwrap();
        assert!(matches!(answer(client), Answer::Accepted { user_ref: 1, live: true, .. }));
    }
    east.send(&of("MSFT", sell(2, 1, "100.00"))).unwrap();
    assert!(matches!(answer(&mut east), Answer::Rejected { user_ref: 2, .. }), "it is west's");
    west.send(&of("TSLA", sell(2, 1, "100.00"))).unwrap();
    assert!(matches!(answer(&mut west), Answer::Rejected { user_ref: 2, .. }), "restricted");
    bob.send(&of("MSFT", buy(1, 40, "100.00"))).unwrap();
    assert!(matches!(answer(&mut bob), Answer::Accepted { user_ref: 1, .. }));
    assert!(matches!(answer(&mut bob), Answer::Executed { user_ref: 1, quantity: 40, .. }));
    assert!(matches!(answer(&mut west), Answer::Executed { user_ref: 1, quantity: 40, .. }));
    process.kill();

    // Nothing that was acknowledged is lost, in either.
    let (process, ports) = Process::start_with(&scratch.0, EAST_AND_WEST);
    let mut bob = login(&ports, "east:ouch5", "BOB");
    bob.send(&of("AAPL", buy(1, 100, "100.00"))).unwrap();
    assert!(matches!(answer(&mut bob), Answer::Accepted { .. }));
    assert!(matches!(answer(&mut bob), Answer::Executed { quantity: 100, .. }));
    let mut bob = login(&ports, "west:ouch5", "BOB");
    bob.send(&of("MSFT", buy(2, 60, "100.00"))).unwrap();
    assert!(matches!(answer(&mut bob), Answer::Accepted { .. }));
    assert!(matches!(answer(&mut bob), Answer::Executed { user_ref: 2, quantity: 60, .. }));
    let said = process.stop();
    assert_eq!(said.matches("stopped cleanly").count(), 2, "{said}");
    assert!(!said.contains("are not filtered"), "{said}");

    // Its files, by name.
    let audit = |more: &[&str]| {
        let file = scratch.0.join("millrace.toml");
        let text = EAST_AND_WEST.replace(
            "[gateway]\n",
            &format!("[gateway]\ndata_dir = {:?}\n", scratch.0.join("data").display().to_string()),
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        let output = command.args(["audit", "grep", "--config"]).arg(&file).args(more).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let all = audit(&["--direction", "in"]);
    assert!(all.contains("AAPL") && all.contains("MSFT"), "{all}");
}

#[test]
fn what_two_segments_cannot_both_have_is_refused_with_its_line() {
    let error = |from: &str, to: &str| {
        assert!(EAST_AND_WEST.contains(from), "{from}");
        Config::parse(&EAST_AND_WEST.replacen(from, to, 1), "x.toml").unwrap_err().to_string()
    };
    for (from, to, line, says) in [
        ("\"*\"", "\"MSFT\"", 38, "TSLA is in no segment"),
        ("\"*\"", "\"AAPL\", \"*\"", 13, "\"AAPL\" is in two segments"),
        ("\"*\"", "\"IBM\"", 13, "\"IBM\" is not a [[symbol]]"),
        ("name = \"west\"", "name = \"east\"", 12, "segment \"east\" is there twice"),
        (
            "name = \"west\"",
            "name = \"west\"\ndata_dir = \"millrace-data/east\"",
            12,
            "data_dir too",
        ),
        ("idle = \"park\"", "transport = \"dpdk\"", 3, "DPDK is one segment's"),
        ("idle = \"park\"", "cores = [0]", 3, "each has cores of its own"),
        (
            "[[user]]",
            "[[port]]\nprotocol = \"ouch5\"\nlisten = \"127.0.0.1:0\"\n[[user]]",
            24,
            "[[segment.port]]",
        ),
        (
            "protocol = \"glimpse\"\n",
            "protocol = \"glimpse\"\ndrop_copy = true\n",
            18,
            "drop_copy = true is for",
        ),
    ] {
        let error = error(from, to);
        assert!(error.contains(says), "{to}: {error}");
        assert!(error.contains(&format!("line {line}:")), "{to}: {error}");
    }
    let both = EAST_AND_WEST.replace("symbols = [", "cores = [0]\nsymbols = [");
    let error = Config::parse(&both, "x.toml").unwrap_err().to_string();
    assert!(error.contains("line 14: core 0 is another segment's too"), "{error}");
    let config = Config::parse(EAST_AND_WEST, "x.toml").unwrap();
    assert_eq!(config.segment(None).unwrap_err(), "say which segment: east, west");
    assert!(config.segment(Some("north")).unwrap_err().contains("no segment \"north\", but east"));
    let west = config.segment(Some("west")).unwrap();
    assert!(west.feed.is_some() && west.symbols.len() == 2);
}
