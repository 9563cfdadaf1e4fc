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
