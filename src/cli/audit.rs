//! `millrace audit`

use std::io::Write;
use std::path::PathBuf;

use super::Outcome;
use crate::audit::{Entry, files, read};
use crate::config::Config;
use crate::wire::fix::{SOH, msg_type, tag};
use crate::wire::{ouch, ouch42};

/// Look into the audit files, which hold every message in and out as it stood on the wire.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Print the messages that fit all that is asked for, oldest first, fields with their names.
    Grep(Grep),
}

#[derive(clap::Args)]
struct Grep {
    /// The directory with the audit files, compressed or not, or one such file.
    #[arg(value_name = "DIR", default_value = "millrace-data/audit")]
    from: PathBuf,
    /// The configuration of the gateway, instead of DIR.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    config: Option<PathBuf>,
    /// Of this session only: a FIX CompID, or an OUCH user. With a CompID, Logons that claim it too.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// With this ClOrdID or OrigClOrdID only; in OUCH, with this token or ClOrdID.
    #[arg(long, value_name = "ID")]
    clordid: Option<String>,
    /// Of this direction only.
    #[arg(long, value_parser = ["in", "out"])]
    direction: Option<String>,
    /// From this time on, in UTC, as far as it is given: 2026-07-01, or 2026-07-01T12:04.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time, written likewise.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The messages as they are, and nothing else.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// A JSON object for each message.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Grep(grep) => grep.run(),
    }
}

impl Grep {
    fn run(&self) -> Outcome {
        let folders = match &self.config {
            Some(path) => Config::load(path)?.segments().iter().map(Config::audit_dir).collect(),
            None => vec![self.from.clone()],
        };
        let mut all = vec![];
        for from in folders {
            let found = if from.is_file() { vec![from.clone()] } else { files(&from)? };
            if found.is_empty() {
                return Err(format!("{} holds no audit files", from.display()).into());
            }
            all.extend(found);
        }
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let mut printed = Ok(());
        for file in all {
            read(&file, |entry| {
                if self.wants(entry) && printed.is_ok() {
                    printed = self.print(&mut out, entry);
                }
            })?;
        }
        printed?;
        out.flush()?;
        Ok(())
    }

    fn wants(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, got: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(got))
        };
        self.session.as_ref().is_none_or(|name| is_of(entry, name))
            && is(&self.direction, &entry.direction)
            && self.since.as_ref().is_none_or(|since| entry.time.as_str() >= since.as_str())
            && self.until.as_ref().is_none_or(|until| entry.time.as_str() < until.as_str())
            && self.clordid.as_ref().is_none_or(|id| holds(entry, id.as_bytes()))
    }

    fn print(&self, out: &mut impl Write, entry: &Entry) -> std::io::Result<()> {
        if self.raw {
            out.write_all(&entry.message)?;
            return if entry.protocol.starts_with("ouch") { Ok(()) } else { out.write_all(b"\n") };
        }
        if self.json {
            return writeln!(out, "{}", as_json(entry));
        }
        let arrow = if entry.direction == "in" { "->" } else { "<-" };
        write!(out, "{} {} {arrow}", entry.time, entry.session)?;
        if is_fix(entry) {
            for (name, value) in named(&entry.message) {
                write!(out, " {name}={value}")?;
            }
        } else if let Some((name, told)) = described(entry) {
            write!(out, " {} {name}", entry.protocol)?;
            for (name, value) in told {
                write!(out, " {name}={value}")?;
            }
        } else {
            write!(out, " {} {}", entry.protocol, entry.message.escape_ascii())?;
        }
        writeln!(out)
    }
}

/// An OUCH message's name and fields.
fn described(entry: &Entry) -> Option<(&'static str, Vec<(String, String)>)> {
    let to_gateway = entry.direction == "in";
    match entry.protocol.as_str() {
        "ouch5" => ouch::describe::describe(to_gateway, &entry.message),
        "ouch42" => ouch42::describe::describe(to_gateway, &entry.message),
        _ => None,
    }
}

/// One message as an object: what the file says of it, its type, and its fields in order. What is no
/// message of its protocol has its bytes instead.
fn as_json(entry: &Entry) -> serde_json::Value {
    let mut object = serde_json::json!({
        "time": entry.time,
        "session": entry.session,
        "direction": entry.direction,
        "protocol": entry.protocol,
    });
    let pair = |(name, value): (String, String)| serde_json::json!([name, value]);
    if is_fix(entry) {
        let kind = fields(&entry.message).find(|(tag, _)| *tag == b"35").map_or(&b""[..], |f| f.1);
        object["type"] = msg_type::name(kind).map_or_else(|| text_of(kind), str::to_owned).into();
        let all = fields(&entry.message);
        object["fields"] = all.map(|(tag, value)| pair((text_of(tag), text_of(value)))).collect();
    } else if let Some((name, told)) = described(entry) {
        object["type"] = name.into();
        object["fields"] = told.into_iter().map(pair).collect();
    } else {
        object["bytes"] = entry.message.escape_ascii().to_string().into();
    }
    object
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A message of a FIX session, or before a Logon.
fn is_fix(entry: &Entry) -> bool {
    entry.protocol.starts_with("fix") || entry.message.starts_with(b"8=FIX")
}

/// Whether a message is a session's: also its Logon, which came before anybody was logged on.
fn is_of(entry: &Entry, session: &str) -> bool {
    let claims = |name: &[u8]| fields(&entry.message).any(|(tag, id)| tag == b"49" && id == name);
    entry.session.eq_ignore_ascii_case(session)
        || entry.session == "-" && is_fix(entry) && claims(session.as_bytes())
}

/// Whether a message names an order so.
fn holds(entry: &Entry, id: &[u8]) -> bool {
    if !is_fix(entry) {
        let padded = |rest: &[u8]| rest.first().is_none_or(|next| *next == b' ' || *next == 0);
        let found = |at: usize| {
            entry.message[at..].starts_with(id) && padded(&entry.message[at + id.len()..])
        };
        return (0..entry.message.len()).any(found);
    }
    fields(&entry.message).any(|(tag, value)| matches!(tag, b"11" | b"41") && value == id)
}

fn fields(message: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    message.split(|byte| *byte == SOH).filter(|field| !field.is_empty()).map(|field| {
        let at = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        (&field[..at], field.get(at + 1..).unwrap_or(b""))
    })
}

/// Tags with their names, values as text.
fn named(message: &[u8]) -> impl Iterator<Item = (String, String)> {
    fields(message).map(|(number, value)| {
        let digits = String::from_utf8_lossy(number).into_owned();
        let name = digits.parse().ok().and_then(tag::name);
        let text = value.escape_ascii().to_string();
        let means = match number {
            b"35" => msg_type::name(value),
            b"39" | b"150" => state(value),
            b"54" => side(value),
            _ => None,
        };
        let text = means.map_or(text.clone(), |means| format!("{text}({means})"));
        (name.map_or(digits.clone(), |name| format!("{name}({digits})")), text)
    })
}

/// OrdStatus and ExecType.
fn state(value: &[u8]) -> Option<&'static str> {
    Some(match value {
        b"0" => "New",
        b"1" => "PartiallyFilled",
        b"2" => "Filled",
        b"4" => "Canceled",
        b"5" => "Replaced",
        b"8" => "Rejected",
        b"C" => "Expired",
        b"D" => "Restated",
        b"F" => "Trade",
        b"I" => "OrderStatus",
        _ => return None,
    })
}

fn side(value: &[u8]) -> Option<&'static str> {
    Some(match value {
        b"1" => "Buy",
        b"2" => "Sell",
        b"5" => "SellShort",
        b"6" => "SellShortExempt",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(protocol: &str, message: &[u8]) -> Entry {
        Entry {
            time: "2026-07-01T12:04:05.000000001Z".into(),
            session: "CLIENT1".into(),
            direction: "in".into(),
            protocol: protocol.into(),
            message: message.to_vec(),
        }
    }

    #[test]
    fn names_are_found_whole() {
        let fix = entry("fix44", b"8=FIX.4.4\x0135=D\x0111=A1\x0141=B2\x01");
        assert!(holds(&fix, b"A1") && holds(&fix, b"B2"));
        assert!(!holds(&fix, b"A") && !holds(&fix, b"D"));
        let ouch = entry("ouch42", b"OA1            B");
        assert!(holds(&ouch, b"A1") && !holds(&ouch, b"A"));
    }

    #[test]
    fn messages_of_both_protocols_are_objects() {
        let fix = as_json(&entry("fix44", b"8=FIX.4.4\x0135=D\x0111=A1\x01"));
        assert_eq!(fix["type"], "NewOrderSingle");
        assert_eq!(fix["fields"][2], serde_json::json!(["11", "A1"]));
        let cancel = as_json(&entry("ouch42", b"XA1            \0\0\0\0"));
        assert_eq!(cancel["type"], "CancelOrder");
        assert_eq!(cancel["fields"][1], serde_json::json!(["Token", "A1"]));
        let junk = as_json(&entry("ouch5", b"?\x01"));
        assert_eq!(junk["bytes"], "?\\x01");
    }

    #[test]
    fn tags_have_the_specifications_names() {
        let names: Vec<_> = named(b"8=FIX.4.4\x0135=8\x0111=A\x0139=1\x0154=2\x019999=x\x01")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            names,
            [
                "BeginString(8)=FIX.4.4",
                "MsgType(35)=8(ExecutionReport)",
                "ClOrdID(11)=A",
                "OrdStatus(39)=1(PartiallyFilled)",
                "Side(54)=2(Sell)",
                "9999=x",
            ]
        );
        assert_eq!(tag::name(6).as_deref(), Some("AvgPx"));
        assert_eq!(tag::name(453).as_deref(), Some("NoPartyIDs"));
    }
}
