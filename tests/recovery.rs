//! Restarts, clean and not: what was acknowledged is there again.

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::*;
use millrace::client::playground::Carrier;
use millrace::client::{Answer, Client, NewOrder, cancel};
use millrace::segment::{journal_dir, recover};

/// The real program, on a data directory.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(dir: &Path, text: &str) -> Process {
        let file = dir.join("millrace.toml");
        std::fs::write(&file, transport::adapt(text)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["run", "--config"]).arg(&file).arg("--data").arg(dir);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = transport::on_server(|| command.spawn()).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("millrace ready ouch5=").unwrap().parse().unwrap();
        Process { child, address }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_clean_stop_leaves_0_and_recovers_to_the_same_hash() {
    let venue = Venue::start();
    let (mut alice, mut carol) = (venue.client("ALICE"), venue.client("CAROL"));
    for n in 1..=50 {
        enter(&mut alice, &sell(n, 10 + n, "100.00"));
        enter(&mut carol, &sell(n, 5, "101.00"));
    }
    let config = venue.config.clone();
    let (stopped, scratch) = venue.stop();
    let recovered = recover(&journal_dir(&config), &config).unwrap();
    assert_eq!(recovered.state_hash(), stopped.state_hash);
    assert_eq!(recovered.risk.last_seq().0, stopped.commands);
    // ALICE's session was ended, and with it her orders; CAROL keeps hers.
    assert_eq!(recovered.book.open_orders(), 50);

    let mut process = Process::start(&scratch.0, &config_text("", ""));
    process.signal("TERM");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn orders_positions_and_numbers_survive_a_restart() {
    let venue = Venue::with("", "max_position = 100");
    let (mut alice, mut carol) = (venue.client("ALICE"), venue.client("CAROL"));
    let mut bob = venue.client("BOB");
    enter(&mut carol, &sell(1, 60, "100.00"));
    enter(&mut bob, &buy(1, 40, "100.00"));
    filled(&mut bob, 1, 40, "100.00", 'R');
    drop((alice.logout(), bob.logout()));
    let (_, scratch) = venue.stop();

    let venue = Venue::start_in(scratch, &config_text("", "max_position = 100"));
    let (mut carol, mut bob) = (venue.client("CAROL"), venue.client("BOB"));
    // BOB holds 40: 60 more is the most.
    assert_eq!(refused(&mut bob, &buy(2, 61, "90.00")), 32);
    enter(&mut bob, &buy(3, 20, "100.00"));
    filled(&mut bob, 3, 20, "100.00", 'R');
    filled(&mut carol, 1, 20, "100.00", 'A');
    // Her order has its number and her own count goes on.
    carol.send(&sell(1, 5, "100.00").encode()).unwrap();
    silence(&mut carol);
    // All 60 of it traded: there is nothing left to cancel.
    carol.send(&cancel(1, 0)).unwrap();
    silence(&mut carol);
}

#[test]
fn a_configuration_may_grow_between_two_starts() {
    let venue = Venue::start();
    let mut carol = venue.client("CAROL");
    enter(&mut carol, &sell(1, 10, "100.00"));
    drop(carol);
    let (_, scratch) = venue.stop();
    let more = config_text("", "").replace(
        "[[symbol]]\nname = \"AAPL\"",
        "[[user]]\nname = \"DAVE\"\npassword = \"secret\"\nfirm = \"DDD\"\n\
         [[symbol]]\nname = \"NEWCO\"\nreference_price = \"5.00\"\n[[symbol]]\nname = \"AAPL\"",
    );
    let venue = Venue::start_in(scratch, &more);
    let mut dave = venue.client("DAVE");
    enter(&mut dave, &buy(1, 10, "100.00"));
    filled(&mut dave, 1, 10, "100.00", 'R');
    let mut order = buy(2, 10, "5.00");
    order.symbol = "NEWCO".to_owned();
    enter(&mut dave, &order);
}

#[test]
fn a_change_to_what_is_in_use_is_refused() {
    let venue = Venue::start();
    let mut carol = venue.client("CAROL");
    enter(&mut carol, &sell(1, 10, "100.00"));
    drop(carol);
    let (_, scratch) = venue.stop();
    let refused = |text: &str| start(&config(&scratch.0, text)).err().unwrap().to_string();
    let tick = config_text("", "").replace("name = \"AAPL\"", "name = \"AAPL\"\ntick = \"0.05\"");
    assert!(refused(&tick).contains("AAPL has another tick in the journal and open orders"));
    let firm = config_text("", "").replace(
        "name = \"CAROL\"\npassword = \"secret\"\nfirm = \"AAA\"",
        "name = \"CAROL\"\npassword = \"secret\"\nfirm = \"BBB\"",
    );
    assert!(refused(&firm).contains("CAROL has another firm in the journal and open orders"));
    let small = config_text("", "").replace("max_orders = 4096", "max_orders = 16");
    start(&config(&scratch.0, &small)).unwrap().stop();
}

#[test]
fn one_data_directory_has_one_gateway() {
    let venue = Venue::start();
    let error = start(&venue.config).err().unwrap().to_string();
    // Two gateways cannot have one interface either, which is found first.
    let taken = match transport::carrier() {
        Carrier::Kernel | Carrier::Dpdk(_) => "is in use by",
        Carrier::AfXdp(_) => "vsrv has an XDP program",
    };
    assert!(error.contains(taken), "{error}");
}

/// What one client knows of its session: every message it was sent, by number.
#[derive(Default)]
struct Known {
    messages: HashMap<u64, Vec<u8>>,
    next_ref: u32,
}

/// Trades until the connection breaks: where no kernel says that the gateway is gone, until it is.
fn trade_until_broken(client: &mut Client, known: &mut Known, killed: &AtomicBool) {
    let mut round = 0u32;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && !killed.load(Ordering::Relaxed) {
        round += 1;
        for _ in 0..8 {
            known.next_ref += 1;
            let n = known.next_ref;
            let at = ["99.98", "99.99", "100.00", "100.01", "100.02"][(n * 7 % 5) as usize];
            let order =
                if n.is_multiple_of(2) { buy(n, 1 + n % 9, at) } else { sell(n, 1 + n % 9, at) };
            if client.send(&order.encode()).is_err() {
                return;
            }
        }
        if client.send(&cancel(known.next_ref.saturating_sub(5).max(1), 0)).is_err() {
            return;
        }
        let wait = if round.is_multiple_of(4) { Duration::from_millis(2) } else { Duration::ZERO };
        loop {
            match client.receive(wait) {
                Ok(Some(millrace::client::Received::Message(number, message))) => {
                    known.messages.insert(number, message);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

#[test]
fn kill_9_under_load_loses_no_acknowledgement() {
    kill_under_load("");
}

/// What was not on disk is in memory that outlives the process.
#[test]
fn kill_9_loses_none_that_waited_for_no_disk_either() {
    kill_under_load("ack = \"sequenced\"\nflush_ms = 20\ncrash_dir = \"DIR/crash\"\n");
}

/// Kill -9 in the middle of the flow, restart, log in again, replay from 1: every message that a
/// client ever received must be there again, byte for byte, and the streams must go on.
fn kill_under_load(gateway: &str) {
    let rounds: u32 =
        std::env::var("MILLRACE_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let scratch = Scratch::new();
    let gateway = gateway.replace("DIR", &scratch.0.display().to_string());
    let text = config_text("", "max_messages_per_second = 1000000\nself_trade = \"allow\"")
        .replace("[gateway]\n", &format!("[gateway]\n{gateway}"))
        .replace("max_orders = 4096", "max_orders = 65536")
        .replace("262144", "4194304");
    let users = ["ALICE", "BOB", "CAROL"];
    let mut known: Vec<Known> = users.iter().map(|_| Known::default()).collect();
    let mut total = 0;
    for round in 0..rounds {
        let mut process = Process::start(&scratch.0, &text);
        let address = process.address;
        let life = Duration::from_millis(60 + u64::from(round) * 37 % 150);
        // The kill comes while all of them trade.
        let (trading, killed) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for (user, known) in users.iter().zip(&mut known) {
                let (trading, killed) = (&trading, &killed);
                scope.spawn(move || {
                    let mut client = Client::login(address, user, "secret", 1).unwrap();
                    let mut missing = known.messages.len();
                    // The replay: everything known comes again, unchanged.
                    while missing > 0 {
                        let number = client.next_number;
                        let message = client.message(PATIENCE).unwrap();
                        match known.messages.get(&number) {
                            Some(old) => {
                                assert!(*old == message, "{user}: message {number} changed");
                                missing -= 1;
                            }
                            None => drop(known.messages.insert(number, message)),
                        }
                    }
                    client.send(b"Q").unwrap();
                    loop {
                        let number = client.next_number;
                        let message = client.message(PATIENCE).unwrap();
                        let next = Answer::parse(&message);
                        known.messages.insert(number, message);
                        if let Answer::AccountQueryResponse { next_user_ref } = next {
                            known.next_ref = next_user_ref - 1;
                            break;
                        }
                    }
                    trading.fetch_add(1, Ordering::Relaxed);
                    trade_until_broken(&mut client, known, killed);
                });
            }
            let deadline = Instant::now() + 3 * PATIENCE;
            while trading.load(Ordering::Relaxed) < users.len() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(life);
            process.signal("KILL");
            process.child.wait().unwrap();
            killed.store(true, Ordering::Relaxed);
        });
        total = known.iter().map(|k| k.messages.len()).sum();
    }
    assert!(total as u32 > rounds * 100, "{total} messages are no load");
    println!("{rounds} kills, {total} messages, none lost or changed");
    // And the journal tells one story, and once it is closed all of it.
    let mut process = Process::start(&scratch.0, &text);
    process.signal("TERM");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
    let left = std::fs::read_dir(scratch.0.join("crash")).into_iter().flatten().flatten();
    assert!(left.map(|entry| entry.metadata().unwrap().len()).all(|len| len == 0));
    let config = config(&scratch.0, &text);
    let recovered = recover(&journal_dir(&config), &config).unwrap();
    assert!(recovered.risk.last_seq().0 > 0);
}

#[test]
fn a_damaged_journal_is_refused_with_its_place() {
    use std::os::unix::fs::FileExt;
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    for n in 1..=20 {
        enter(&mut alice, &sell(n, 10, "100.00"));
    }
    drop(alice);
    let (_, scratch) = venue.stop();
    let file = scratch.0.join("journal/000001.journal");
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(b"damage", 4096 + 10 * 128 + 8).unwrap();
    let text = config_text("", "");
    let error = start(&config(&scratch.0, &text)).err().unwrap().to_string();
    assert!(error.contains("000001.journal: hole at byte 5376: record 11 is missing"), "{error}");
}

#[test]
fn twelve_thousand_symbols_from_a_file_trade_and_are_there_again() {
    let scratch = Scratch::new();
    let lines: String = (0..12_000).map(|n| format!("S{n},100.00\n")).collect();
    let file = scratch.0.join("symbols.csv");
    std::fs::write(&file, format!("name,reference_price\n{lines}")).unwrap();
    let text = config_text("", "").replace(
        "[risk.default]",
        &format!("[symbols]\nfile = \"{}\"\n[risk.default]", file.display()),
    );
    let venue = Venue::start_in(scratch, &text);
    let mut alice = venue.client("ALICE");
    let mut carol = venue.client("CAROL");
    for (user_ref, symbol) in [(1, "S0"), (2, "S11999"), (3, "AAPL")] {
        let order = |side, at| NewOrder::new(user_ref, side, 5, symbol, price(at));
        enter(&mut carol, &order(b'B', "90.00"));
        enter(&mut alice, &order(b'S', "95.00"));
    }
    let config = venue.config.clone();
    let (stopped, _scratch) = venue.stop();
    let recovered = recover(&journal_dir(&config), &config).unwrap();
    assert_eq!(recovered.state_hash(), stopped.state_hash);
    assert_eq!(recovered.dictionary.symbols.len(), 12_002);
    // CAROL's orders outlive her session.
    assert_eq!(recovered.book.open_orders(), 3);
}
