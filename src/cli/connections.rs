//! `millrace connections`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Outcome;
use crate::gateway::Sighting;
use crate::net::STATES;
use crate::runtime::Watch;

/// How long the gateway is waited for: an idle one looks around once a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Print the connections of a running gateway, from outside it: who is there since when, and what
/// TCP says of it, as `ss -ti` does of the kernel's. Nothing is written down by the gateway unless
/// somebody asks.
#[derive(clap::Args)]
pub struct Arguments {
    /// The gateway's data directory.
    #[arg(value_name = "DIR", default_value = "millrace-data")]
    dir: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut sightings = look(&arguments.dir.join("connections"))?;
    sightings.sort_by(|a, b| (&a.user, a.opened_ns).cmp(&(&b.user, b.opened_ns)));
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        let heads = ["user", "protocol", "peer", "state", "for s", "rtt us", "rto us", "again"];
        writeln!(out, "{}", line(&heads.map(String::from), &SIZES, "in", "out"))?;
    }
    for sighting in &sightings {
        if arguments.json { json(&mut out, sighting)? } else { text(&mut out, sighting)? }
    }
    Ok(())
}

/// Widths of the columns.
const WIDTHS: [usize; 8] = [12, 9, 22, 12, 8, 9, 9, 7];
const SIZES: [&str; 5] = ["peer takes", "congestion", "we take", "in flight", "unsent"];

fn line(
    columns: &[String; 8],
    sizes: &[impl AsRef<str>; 5],
    bytes_in: &str,
    bytes_out: &str,
) -> String {
    let mut line = String::new();
    for (column, (text, width)) in columns.iter().zip(WIDTHS).enumerate() {
        let text = if column < 4 { format!("{text:<width$}") } else { format!("{text:>width$}") };
        line += &text;
        line += if column < 4 { " " } else { "" };
    }
    for size in sizes {
        line += &format!("{:>11}", size.as_ref());
    }
    line + &format!("{bytes_in:>12}{bytes_out:>12}")
}

/// What the board says of connections that are there now.
fn look(path: &Path) -> Result<Vec<Sighting<String>>, Box<dyn std::error::Error>> {
    let watch =
        Watch::open(path).map_err(|e| format!("cannot look into {}: {e}", path.display()))?;
    let asked_ns = now_ns();
    let begun = Instant::now();
    while !watch.is_answered(asked_ns) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("no gateway answers in {}: is it running?", path.display()).into());
        }
        watch.ask(now_ns());
        std::thread::sleep(Duration::from_millis(20));
    }
    let all = (0..watch.places()).filter_map(|place| watch.read(place));
    Ok(all.map(|words| Sighting::read(&words)).filter(|s| s.written_ns >= asked_ns).collect())
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

fn text(out: &mut impl Write, sighting: &Sighting<String>) -> std::io::Result<()> {
    let seconds = sighting.written_ns.saturating_sub(sighting.opened_ns) / 1_000_000_000;
    let user = if sighting.user.is_empty() { "-" } else { &sighting.user };
    let unknown = || "-".to_owned();
    let tcp = sighting.tcp.as_ref();
    let number = |value: Option<u64>| value.map_or_else(unknown, |value| value.to_string());
    let of = |value: fn(&crate::net::Look) -> u64| number(tcp.map(value));
    let columns = [
        user.to_owned(),
        sighting.protocol.clone(),
        tcp.map_or_else(|| sighting.peer.to_string(), |tcp| tcp.peer.to_string()),
        tcp.map_or_else(unknown, |tcp| state(tcp.state).to_owned()),
        seconds.to_string(),
        of(|tcp| tcp.rtt_us.into()),
        of(|tcp| tcp.rto_us.into()),
        of(|tcp| tcp.again.into()),
    ];
    let sizes = [
        of(|tcp| tcp.window_out.into()),
        of(|tcp| tcp.congestion.into()),
        of(|tcp| tcp.window_in.into()),
        of(|tcp| tcp.in_flight.into()),
        of(|tcp| tcp.unsent.into()),
    ];
    writeln!(out, "{}", line(&columns, &sizes, &of(|tcp| tcp.bytes_in), &of(|tcp| tcp.bytes_out)))
}

fn state(place: u8) -> &'static str {
    STATES.get(usize::from(place)).unwrap_or(&STATES[0])
}

fn json(out: &mut impl Write, sighting: &Sighting<String>) -> std::io::Result<()> {
    let mut object = serde_json::json!({
        "user": sighting.user,
        "protocol": sighting.protocol,
        "peer": sighting.peer,
        "opened_ns": sighting.opened_ns,
        "seen_ns": sighting.written_ns,
    });
    if let Some(tcp) = &sighting.tcp {
        object["tcp"] = serde_json::json!({
            "port": tcp.peer.port(),
            "state": state(tcp.state),
            "rtt_us": tcp.rtt_us,
            "rto_us": tcp.rto_us,
            "window_out": tcp.window_out,
            "congestion": tcp.congestion,
            "window_in": tcp.window_in,
            "in_flight": tcp.in_flight,
            "unsent": tcp.unsent,
            "bytes_in": tcp.bytes_in,
            "bytes_out": tcp.bytes_out,
            "segments_again": tcp.again,
            "timeouts": tcp.timeouts,
        });
    }
    writeln!(out, "{object}")
}
