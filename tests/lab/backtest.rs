//! Back-tests: queue position by construction, the same fills for the same seed, and live and back-test in agreement.

use std::path::Path;
use std::process::Command;

use millrace::lab::backtest::{OwnOrders, Venue};
use millrace::lab::{Kind, Row};
use millrace::order::Price;
use millrace::strategy::{Manner, Report, Request};

use super::common::Scratch;

const MILLRACE: &str = env!("CARGO_BIN_EXE_millrace");

fn row(kind: Kind, order: u64, buys: bool, price: u32, shares: u32) -> Row {
    Row {
        number: 1,
        time_ns: 1_000_000_000,
        received_ns: 0,
        local_ns: 0,
        offset_ns: 0,
        order,
        replaces: 0,
        match_number: 0,
        price: Price(price),
        shares,
        locate: 0,
        kind,
        buys: Some(buys),
    }
}

struct Market {
    venue: Venue,
    reports: Vec<Report>,
}

impl Market {
    fn new() -> Market {
        let mut venue = Venue::new(OwnOrders::default());
        venue.define(*b"AAPL    ", 0, &mut |_| ());
        Market { venue, reports: vec![] }
    }

    fn happen(&mut self, row: &Row) {
        self.venue.happen(row, &mut self.reports, &mut |_| ());
        self.venue.forget_done();
    }

    fn enter(&mut self, id: u32, buys: bool, price: u32, shares: u32, manner: Manner) {
        let price = Price(price);
        let request = Request::Enter { id, symbol: 0, buys, shares, price, manner };
        self.venue.request(&request, 1_000_000_000, &mut self.reports, &mut |_| ());
    }

    /// Shares that orders traded since the last call.
    fn fills(&mut self) -> Vec<(u32, u32)> {
        let fill = |report| match report {
            Report::Executed { id, shares, .. } => Some((id, shares)),
            _ => None,
        };
        self.reports.drain(..).filter_map(fill).collect()
    }
}

#[test]
fn an_order_trades_by_its_place_in_the_queue() {
    let mut market = Market::new();
    market.happen(&row(Kind::Add, 1, true, 1_000_000, 100));
    market.enter(1, true, 1_000_000, 60, Manner::PostOnly);
    market.happen(&row(Kind::Add, 2, true, 1_000_000, 80));
    // The order ahead trades; the strategy's does not.
    market.happen(&row(Kind::Execute, 1, true, 1_000_000, 70));
    assert_eq!(market.fills(), []);
    market.happen(&row(Kind::Cancel, 1, true, 1_000_000, 10));
    market.happen(&row(Kind::Delete, 1, true, 1_000_000, 20));
    // Who hit the order behind it met the strategy's first, which has less than he wanted.
    market.happen(&row(Kind::Execute, 2, true, 1_000_000, 50));
    assert_eq!(market.fills(), [(1, 50)]);
    market.happen(&row(Kind::Execute, 2, true, 1_000_000, 30));
    assert_eq!(market.fills(), [(1, 10)]);
    assert_eq!(market.venue.own_orders(), 0);
    assert_eq!((market.venue.differences.strayed, market.venue.differences.unknown), (0, 0));
    // A better price trades first, whoever came first.
    market.happen(&row(Kind::Add, 3, false, 1_001_000, 100));
    market.enter(2, false, 1_000_900, 40, Manner::Day);
    market.happen(&row(Kind::Execute, 3, false, 1_001_000, 100));
    assert_eq!(market.fills(), [(2, 40)]);
    // Against an order that nobody saw, the displayed one at that price comes first.
    market.enter(3, true, 999_000, 30, Manner::Day);
    market.happen(&Row { order: 0, buys: None, ..row(Kind::Trade, 0, true, 999_000, 100) });
    assert_eq!(market.fills(), [(3, 30)]);
}

#[test]
fn what_the_strategy_takes_from_others_stays_taken() {
    let mut market = Market::new();
    market.happen(&row(Kind::Add, 1, false, 1_001_000, 100));
    market.enter(1, true, 1_001_000, 70, Manner::Ioc);
    assert_eq!(market.fills(), [(1, 70)]);
    // He who took all of it in the recording finds what is left, and nobody else's.
    market.happen(&row(Kind::Add, 2, false, 1_001_000, 50));
    market.happen(&row(Kind::Execute, 1, false, 1_001_000, 100));
    market.enter(2, true, 1_001_000, 200, Manner::Ioc);
    assert_eq!(market.fills(), [(2, 50)], "the order behind it is whole");
    // A post-only order that would trade does not.
    market.happen(&row(Kind::Add, 3, false, 1_001_000, 10));
    market.enter(3, true, 1_001_000, 10, Manner::PostOnly);
    let reports: Vec<_> = market.reports.drain(..).collect();
    assert!(matches!(
        reports[..],
        [Report::Accepted { .. }, Report::Canceled { id: 3, shares: 10 }]
    ));
}

fn millrace(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(MILLRACE);
    command.env("TMPDIR", dir).current_dir(dir);
    let done = command.args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments:?}: {said}{wrong}");
    said
}

/// The whole of it in ten seconds: and on what it recorded, two back-tests with one seed are the same to the byte.
#[test]
fn the_pipeline_trades_records_and_agrees_with_itself() {
    let scratch = Scratch::new();
    let said = millrace(&scratch.0, &["demo", "--pipeline"]);
    assert!(said.contains("agrees: the same orders at the same places get the same"), "{said}");
    let report = said.lines().find_map(|line| line.strip_prefix("report")).unwrap().trim();
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.contains("<svg") && page.contains("Adverse selection"));
    let dir = Path::new(report).parent().unwrap().parent().unwrap();
    let data = dir.join("data").display().to_string();
    let log = dir.join("maker.jsonl").display().to_string();
    let times = scratch.0.join("times.csv");
    std::fs::write(&times, "ns,count\n20000,50\n45000,30\n400000,2\n").unwrap();
    let run = |out: &str, seed: &str| {
        let times = times.display().to_string();
        let arguments = [
            "backtest",
            "--strategy",
            "maker",
            "--symbol",
            "AAPL",
            "--data",
            &data,
            "--without",
            &log,
            "--order-latency-from",
            &times,
            "--seed",
            seed,
            "--out",
            out,
        ];
        let said = millrace(&scratch.0, &arguments);
        assert!(said.contains("agrees"), "{said}");
        ["fills.parquet", "curve.parquet", "report.html"]
            .map(|name| std::fs::read(scratch.0.join(out).join(name)).unwrap())
    };
    let (one, two, other) = (run("one", "7"), run("two", "7"), run("other", "8"));
    assert!(one == two, "two runs with one seed differ");
    assert!(one[0] != other[0], "the seed makes no difference");
    // What is wrong is said.
    for (arguments, why) in [
        (
            &["backtest", "--strategy", "maker", "--symbol", "NONE", "--data", &data][..],
            "nothing of NONE",
        ),
        (
            &["backtest", "--strategy", "maker", "--symbol", "AAPL", "--data", "."],
            "no file of events",
        ),
        (
            &[
                "backtest",
                "--strategy",
                "maker",
                "--symbol",
                "AAPL",
                "--data",
                &data,
                "--order-latency",
                "5",
            ],
            "ns, us, ms or s",
        ),
    ] {
        let done = Command::new(MILLRACE).args(arguments).current_dir(&scratch.0).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains(why), "{said}");
    }
}
