//! Several segments in one process, and several books in a segment, as the program that users run.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

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

struct Process {
    child: Child,
    ports: Vec<(String, SocketAddr)>,
}

impl Process {
    fn start(dir: &Path, text: &str) -> Process {
        let file = dir.join("millrace.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["run", "--config"]).arg(&file).arg("--data").arg(dir.join("data"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(ports) = line.trim().strip_prefix("millrace ready ") else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("{said}");
        };
        let port = |port: &str| {
            let (name, address) = port.split_once('=').unwrap();
            (name.to_owned(), address.parse().unwrap())
        };
        Process { ports: ports.split(' ').map(port).collect(), child }
    }

    fn login(&self, port: &str, user: &str) -> Client {
        let (_, address) = self.ports.iter().find(|(name, _)| name == port).unwrap();
        Client::login(*address, user, "secret", 0).unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn said(&mut self) -> String {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn of(symbol: &str, order: millrace::client::NewOrder) -> Vec<u8> {
    millrace::client::NewOrder { symbol: symbol.to_owned(), ..order }.encode()
}

#[test]
fn segments_share_users_and_limits_and_nothing_else() {
    let scratch = Scratch::new();
    let mut process = Process::start(&scratch.0, EAST_AND_WEST);
    let names: Vec<&str> = process.ports.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["east:ouch5", "west:ouch5", "west:glimpse"]);
    let mut east = process.login("east:ouch5", "ALICE");
    let mut west = process.login("west:ouch5", "ALICE");
    let mut bob = process.login("west:ouch5", "BOB");
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
    process.signal("KILL");
    process.child.wait().unwrap();

    // Nothing that was acknowledged is lost, in either.
    let mut process = Process::start(&scratch.0, EAST_AND_WEST);
    let mut bob = process.login("east:ouch5", "BOB");
    bob.send(&of("AAPL", buy(1, 100, "100.00"))).unwrap();
    assert!(matches!(answer(&mut bob), Answer::Accepted { .. }));
    assert!(matches!(answer(&mut bob), Answer::Executed { quantity: 100, .. }));
    let mut bob = process.login("west:ouch5", "BOB");
    bob.send(&of("MSFT", buy(2, 60, "100.00"))).unwrap();
    assert!(matches!(answer(&mut bob), Answer::Accepted { .. }));
    assert!(matches!(answer(&mut bob), Answer::Executed { user_ref: 2, quantity: 60, .. }));
    process.signal("TERM");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
    let said = process.said();
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
    let config = Config::parse(EAST_AND_WEST, "x.toml").unwrap();
    assert_eq!(config.segment(None).unwrap_err(), "say which segment: east, west");
    assert!(config.segment(Some("north")).unwrap_err().contains("no segment \"north\", but east"));
    let west = config.segment(Some("west")).unwrap();
    assert!(west.feed.is_some() && west.symbols.len() == 2);
}
