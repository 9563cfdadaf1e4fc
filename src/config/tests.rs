//! A wrong file gets its line and what would be right.

use super::{Ack, Config};

const GOOD: &str = r#"[gateway]
ack = "sequenced"

[[port]]
protocol = "ouch5"
listen = "127.0.0.1:7001"

[[user]]
name = "TRADE1"
password = "secret"
firm = "FRM1"

[[symbol]]
name = "AAPL"
tick = "0.01"
reference_price = "190.00"

[risk.default]
max_order_notional = "20000000.00"

[risk.firm.FRM1]
restricted = ["AAPL"]
"#;

fn error(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    Config::parse(&GOOD.replace(from, to), "x.toml").unwrap_err().to_string()
}

#[test]
fn a_good_file_is_read_with_defaults() {
    let config = Config::parse(GOOD, "x.toml").unwrap();
    assert_eq!(config.gateway.ack, Ack::Sequenced);
    assert!(config.users[0].cancel_on_disconnect);
    assert_eq!(*config.gateway.ring_capacity.get_ref(), 8192);
}

#[test]
fn the_built_in_configuration_is_valid() {
    assert_eq!(Config::built_in().symbols.len(), 9);
    assert_eq!(Config::built_in().users.len(), 5);
}

#[test]
fn errors_name_the_line_and_the_remedy() {
    for (from, to, line, says) in [
        ("ack = \"sequenced\"", "akc = \"sequenced\"", 2, "unknown field `akc`, expected one of"),
        ("\"sequenced\"", "\"later\"", 2, "expected `sequenced` or `journaled`"),
        ("127.0.0.1:7001", "127.0.0.1", 6, "socket address"),
        ("\"127.0.0.1:7001\"", "\"0.0.0.0:7001\"", 10, "millrace hash-password"),
        ("\"TRADE1\"", "\"TRADER1\"", 9, "must be 1 to 6 ASCII letters"),
        ("\"FRM1\"", "\"FRM 1\"", 11, "must be 1 to 4"),
        ("password = \"secret\"\n", "", 9, "needs a password or a password_hash"),
        ("password = ", "password_hash = ", 10, "not an argon2id PHC string"),
        ("tick = \"0.01\"", "tick = 0.01", 15, "expected a string"),
        ("tick = \"0.01\"", "tick = \"0\"", 15, "a price is above 0"),
        ("\"190.00\"", "\"190.001\"", 14, "not a multiple of its tick"),
        ("\"20000000.00\"", "\"much\"", 19, "an amount is digits"),
        ("[\"AAPL\"]", "[\"APPL\"]", 22, "is not a [[symbol]]"),
        ("firm.FRM1", "firm.FRM9", 21, "no user belongs to firm"),
        ("ack = \"sequenced\"", "ring_capacity = 5000", 2, "such as 8192"),
        ("ack = \"sequenced\"", "max_orders = 1", 2, "must be 16 to 16777216"),
        ("ack = \"sequenced\"", "cores = [4096]", 2, "core 4096 is not one this process may use"),
        ("ack = \"sequenced\"", "transport = \"dpdk\"", 2, "no transport = \"dpdk\""),
    ] {
        let error = error(from, to);
        assert!(error.starts_with(&format!("x.toml, line {line}: ")), "{error}");
        assert!(error.contains(says), "{error}");
    }
}

/// The configuration with more at its end, whose first line has the number that is returned.
fn with_more(more: &str) -> (Result<Config, String>, usize) {
    let text = format!("{GOOD}\n{more}");
    let first = text.lines().count() + 1 - more.lines().count();
    (Config::parse(&text, "x.toml").map_err(|error| error.to_string()), first)
}

#[test]
fn a_feed_and_those_who_listen_are_checked_line_by_line() {
    let watcher = "[[user]]\nname = \"W\"\npassword = \"secret\"\nfirm = \"CMP\"\n";
    let port = "[[port]]\nprotocol = \"dropcopy\"\nlisten = \"127.0.0.1:0\"\n";
    let good = format!("{port}{watcher}drop_copy_of = [\"FRM1\"]\n[feed]\n");
    let (config, _) = with_more(&good);
    assert_eq!(config.unwrap().feed.unwrap().mtu.get_ref(), &1_500);
    let mixed = "[feed]\nlines = [\"239.1.1.1:1\", \"[ff02::1]:1\"]";
    for (more, line, says) in [
        ("[feed]\nmtu = 113".to_owned(), 1, "mtu = 113 must be 114 to 9216"),
        (mixed.to_owned(), 1, "of one family"),
        ("[feed]\nlines = [\"239.1.1.1:0\"]".to_owned(), 1, "an address and a port"),
        ("[feed]\nlines = [\"239.1.1.1:1\"]\ninterface = \"::1\"".to_owned(), 2, "same family"),
        ("[feed]\nkeep = 1000".to_owned(), 1, "keep is a power of two"),
        ("[feed]\nhops = 0".to_owned(), 1, "hops is 1 to 255"),
        ("[feed]\nring = \"a/b\"".to_owned(), 1, "a ring's name is"),
        ("[feed]\nsession = \"a b\"".to_owned(), 1, "letters and digits"),
        (port.replace("dropcopy", "glimpse"), 1, "a glimpse port needs a [feed]"),
        (format!("{port}drop_copy = true\n"), 1, "drop_copy = true is for fix44"),
        (format!("{watcher}protocol = \"glimpse\""), 4, "nobody speaks glimpse for good"),
        (format!("{port}{watcher}protocol = \"dropcopy\""), 7, "watches nobody"),
        (format!("{watcher}drop_copy_of = [\"FRM1\"]"), 1, "no [[port]] has protocol"),
        (format!("{port}{watcher}drop_copy_of = [\"FRM9\"]"), 7, "nobody trades for firm"),
        (
            format!("{port}{watcher}protocol = \"ouch5\"\ndrop_copy_of = [\"FRM1\"]"),
            8,
            "speaks dropcopy or fix44",
        ),
    ] {
        let (config, first) = with_more(&more);
        let error = config.err().unwrap_or_else(|| panic!("{more} is taken"));
        assert!(error.starts_with(&format!("x.toml, line {}: ", first + line)), "{more}: {error}");
        assert!(error.contains(says), "{more}: {error}");
    }
}

/// What is said of a configuration whose symbols are in a file with this text.
fn with_symbols(text: &str) -> Result<Config, String> {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let dir =
        std::env::temp_dir().join(format!("millrace-symbols-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("symbols.csv"), text).unwrap();
    let gateway = "[symbols]\nfile = \"symbols.csv\"\n\n[[port]]";
    std::fs::write(dir.join("x.toml"), GOOD.replacen("[[port]]", gateway, 1)).unwrap();
    let config = Config::load(&dir.join("x.toml"));
    std::fs::remove_dir_all(&dir).unwrap();
    let at = format!("{}/", dir.display());
    config.map_err(|error| error.to_string().replace(&at, ""))
}

#[test]
fn symbols_come_from_a_file_beside_the_configuration() {
    let text = "name, reference_price, tick\nMSFT,420.00,0.05\nBRK.A,600000.00,\n";
    let Err(error) = with_symbols(text) else { panic!("600000.00 is above the highest price") };
    assert!(error.starts_with("symbols.csv, line 3: "), "{error}");
    let config = with_symbols(&text.replace("600000", "60000")).unwrap();
    let symbols: Vec<_> = config.symbols.iter().map(|s| s.name.get_ref().as_str()).collect();
    assert_eq!(symbols, ["AAPL", "MSFT", "BRK.A"]);
    assert_eq!(config.symbols.iter().map(|s| s.tick.0).collect::<Vec<_>>(), [100, 500, 100]);
}

#[test]
fn a_wrong_line_of_a_symbols_file_is_named() {
    let many = |count: usize| {
        let lines = (0..count).map(|n| format!("S{n},1.00\n")).collect::<String>();
        format!("name,reference_price\n{lines}")
    };
    for (text, line, says) in [
        ("name,reference_price\nMSFT,420.00\nMSFT,421.00\n".to_owned(), 3, "is there twice"),
        ("name,reference_price\naapl,420.00\n".to_owned(), 2, "\"aapl\" is there twice"),
        (
            "name,reference_price,tick\nMSFT,420.00,0\n".to_owned(),
            2,
            "tick \"0\": a price is above 0",
        ),
        (
            "name,reference_price,tick\nMSFT,420.01,0.05\n".to_owned(),
            2,
            "not a multiple of its tick",
        ),
        ("name,reference_price,tick\nMSFT,420.00,x\n".to_owned(), 2, "tick \"x\": "),
        ("name,tick\nMSFT,0.01\n".to_owned(), 1, "the column \"reference_price\" is missing"),
        ("name,reference_price,lot\n".to_owned(), 1, "\"lot\" is none"),
        ("name,reference_price\nMSFT\n".to_owned(), 2, "1 values for 2 columns"),
        ("name,reference_price\nTOOLONGNAME,1.00\n".to_owned(), 2, "1 to 8 ASCII letters"),
        (many(60_001), 60_001, "more than 60000 symbols"),
    ] {
        let error = with_symbols(&text).unwrap_err();
        assert!(error.starts_with(&format!("symbols.csv, line {line}: ")), "{error}");
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(with_symbols(&many(59_999)).unwrap().symbols.len(), 60_000);
}

#[test]
fn without_any_symbol_nothing_can_be_traded() {
    let at = GOOD.find("[[symbol]]").unwrap();
    let error = Config::parse(&GOOD[..at], "x.toml").unwrap_err().to_string();
    assert!(error.contains("at least one [[symbol]] is needed"), "{error}");
}

#[test]
fn no_error_or_debug_output_shows_a_password() {
    let config = Config::parse(GOOD, "x.toml").unwrap();
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn the_examples_are_valid() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    let files: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1);
    for file in files {
        // They name cores that this machine need not have.
        let text = std::fs::read_to_string(&file).unwrap();
        let cores = text.lines().find(|line| line.starts_with("cores = ")).unwrap_or("no cores");
        match Config::parse(&text.replace(cores, ""), &file.to_string_lossy()) {
            Ok(_) => {}
            Err(error) => {
                let lacks =
                    !cfg!(feature = "dpdk") && error.to_string().contains("--features dpdk");
                assert!(lacks, "{error}");
            }
        }
    }
}

/// A good configuration with a venue and routing behind it.
fn with_venue(venue: &str, routing: &str) -> Result<Config, String> {
    let text = format!("{GOOD}\n[[venue]]\n{venue}\n{routing}\n");
    Config::parse(&text, "x.toml").map_err(|error| error.to_string())
}

const VENUE: &str = "name = \"XOUT\"\nprotocol = \"fix44\"\nconnect = \"127.0.0.1:9001\"\n\
                     sender_comp_id = \"MILLRACE\"\ntarget_comp_id = \"XOUT\"\n";
const ROUTED: &str = "[routing.default]\npolicy = \"route-only\"\nvenues = [\"XOUT\"]\n";

const TOLD: &str = "[venue.feed]\nlines = [\"239.192.7.1:26400\"]\nrequest = \"10.0.0.7:26401\"\n";

#[test]
fn venues_and_policies_are_what_they_say() {
    use crate::order::Policy;
    let config = with_venue(VENUE, ROUTED).unwrap();
    let firm = config.users[0].firm.get_ref().clone();
    let ways = config.routing_of(&firm);
    assert_eq!((ways.policy, ways.venues), (Policy::RouteOnly, vec![(0, 0)]));
    let own = format!("{ROUTED}weights = [3]\n[routing.firm.{firm}]\npolicy = \"post-out\"\n");
    let config = with_venue(VENUE, &own).unwrap();
    let ways = config.routing_of(&firm);
    assert_eq!((ways.policy, ways.venues), (Policy::PostOut, vec![(0, 3)]));
    assert_eq!(config.venues[0].open_s(), None);
    let config = with_venue(&format!("{VENUE}hours = \"22:00-06:30\"\n"), ROUTED).unwrap();
    assert_eq!(config.venues[0].open_s(), Some((79_200, 23_400)));
    let symbol = config.symbols[0].name.get_ref();
    let named = format!("{VENUE}symbols = [\"{symbol}\"]\nnames = {{ {symbol} = \"X.Y\" }}\n");
    assert_eq!(with_venue(&named, ROUTED).unwrap().venues[0].names.len(), 1);
    let config = with_venue(&format!("{VENUE}{TOLD}"), &format!("{ROUTED}prefer = \"price\""));
    assert!(config.unwrap().routing_of(&firm).by_price);
}

#[test]
fn a_wrong_venue_is_refused_with_what_would_be_right() {
    let more = |text: &str| format!("{VENUE}{text}\n");
    let second = |text: &str| format!("{VENUE}[[venue]]\n{text}\n");
    for (venue, routing, says) in [
        (VENUE.replace("XOUT\"\nprotocol", "TOOLONG\"\nprotocol"), ROUTED, "1 to 4 ASCII letters"),
        (VENUE.replace("sender_comp_id", "# "), ROUTED, "needs a sender_comp_id"),
        (VENUE.replace("fix44", "ouch5"), ROUTED, "CompIDs are FIX's"),
        (
            more("symbols = [\"NOBODY\"]"),
            ROUTED,
            "\"NOBODY\" is not a [[symbol]]: nobody trades it",
        ),
        (more("names = { NOBODY = \"N\" }"), ROUTED, "nobody trades it"),
        (
            second(&VENUE.replace("name = \"XOUT", "name = \"YOUT")),
            ROUTED,
            "is another venue's session too",
        ),
        (second(VENUE), ROUTED, "venue \"XOUT\" is there twice"),
        (more("hours = \"8-17\""), ROUTED, "such as \"08:00-16:30\""),
        (more("reconnect_ms = [500, 100]"), ROUTED, "the first wait and the longest"),
        (more("max_messages_per_second = 0"), ROUTED, "1 to 10000000"),
        (
            VENUE.replace("fix44", "fix42") + "mass_status = true\n",
            ROUTED,
            "mass_status is FIX 4.4's",
        ),
        (VENUE.into(), "[routing.default]\nvenues = [\"ZOUT\"]", "\"ZOUT\" is not a [[venue]]"),
        (VENUE.into(), "[routing.default]\npolicy = \"route-only\"", "needs venues = "),
        (VENUE.into(), "[routing.firm.NONE]\npolicy = \"route-only\"", "no user belongs to firm"),
        (
            VENUE.into(),
            "[routing.default]\nvenues = [\"XOUT\"]\nweights = [1, 2]",
            "one for each of the 1 venues",
        ),
        (VENUE.into(), "[routing.default]\npolicy = \"outside\"", "unknown variant"),
        (
            VENUE.into(),
            "[routing.default]\nvenues = [\"XOUT\"]\nprefer = \"price\"",
            "none of its venues has a [venue.feed]",
        ),
        (more(&TOLD.replace("239.192.7.1:26400", "")), ROUTED, "invalid socket address"),
        (
            more(&TOLD.replace("\"239.192.7.1:26400\"", "")),
            ROUTED,
            "where the venue's packets come",
        ),
        (more(&TOLD.replace("request", "# ")), ROUTED, "missing field `request`"),
    ] {
        let error = with_venue(&venue, routing).unwrap_err();
        assert!(error.contains(says), "{error}");
        assert!(error.starts_with("x.toml, line "), "{error}");
    }
}
