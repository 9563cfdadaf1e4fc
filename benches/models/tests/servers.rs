//! Each server answers as the comparison expects: both sides of a trade are told, whoever serves them, cancels are
//! carried out, and what must be on the disk is in the log when it is answered.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use millrace::client::{Answer, Client, NewOrder, cancel};
use millrace::order::Price;

const MODELS: [&str; 7] =
    ["process", "prefork", "thread-lock", "thread-symbols", "event-loop", "amped", "actors"];
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Server {
    fn start(model: &str, more: &[&str]) -> Server {
        let name = format!("millrace-model-{model}{}-{}", more.concat(), std::process::id());
        let log = std::env::temp_dir().join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_server-models"))
            .arg(model)
            .arg("--log")
            .arg(&log)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready ").unwrap().parse().unwrap();
        Server { child, address, log }
    }

    /// Bytes that were written to the log: it has room beforehand.
    fn logged(&self) -> usize {
        let bytes = std::fs::read(&self.log).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = std::fs::remove_file(&self.log);
    }
}

fn next(client: &mut Client) -> Answer {
    Answer::parse(&client.message(PATIENCE).unwrap())
}

fn order(user_ref: u32, side: u8, symbol: &str, price: u32) -> Vec<u8> {
    NewOrder::new(user_ref, side, 100, symbol, Price(price)).encode()
}

fn trade(server: &Server) {
    let login = |user: &str| Client::login(server.address, user, "secret", 0).unwrap();
    let (mut seller, mut buyer) = (login("U00000"), login("U00001"));
    for (n, symbol) in (0u32..).zip(["S00", "S07", "S63"]) {
        let first = 4 * n + 1;
        seller.send(&order(first, b'S', symbol, 1_000_000)).unwrap();
        let answer = next(&mut seller);
        assert!(
            matches!(answer, Answer::Accepted { user_ref, live: true, .. } if user_ref == first)
        );
        // Too low to trade, then high enough: at the price of who was there first.
        buyer.send(&order(first, b'B', symbol, 999_900)).unwrap();
        buyer.send(&order(first + 1, b'B', symbol, 1_000_100)).unwrap();
        assert!(matches!(next(&mut buyer), Answer::Accepted { user_ref, .. } if user_ref == first));
        assert!(
            matches!(next(&mut buyer), Answer::Accepted { user_ref, .. } if user_ref == first + 1)
        );
        for (who, own) in [(&mut buyer, first + 1), (&mut seller, first)] {
            let answer = next(who);
            let Answer::Executed { user_ref, quantity, price, .. } = answer else {
                panic!("{answer:?}");
            };
            assert_eq!((user_ref, quantity, price), (own, 100, 1_000_000));
        }
        buyer.send(&cancel(first, 0)).unwrap();
        let answer = next(&mut buyer);
        assert!(
            matches!(answer, Answer::Canceled { user_ref, quantity: 100, .. } if user_ref == first)
        );
    }
}

#[test]
fn every_model_trades_and_tells_both() {
    for model in MODELS {
        for more in [&[][..], &["--lean"]] {
            trade(&Server::start(model, more));
        }
    }
}

#[test]
fn what_is_answered_durably_is_in_the_log() {
    for model in MODELS {
        let server = Server::start(model, &["--durable"]);
        trade(&server);
        // Four requests in each of three symbols, of 45 or 9 bytes behind a head of 12; the last ends in a size of 0.
        assert_eq!(server.logged(), 3 * (3 * (12 + 45) + 12 + 9) - 4, "{model}");
    }
}
