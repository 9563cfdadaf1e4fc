//! `millrace run`

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::Outcome;
use crate::config::Config;
use crate::runtime::{Backing, signals};
use crate::segment::Segment;

/// Run the gateway until SIGTERM or SIGINT.
///
/// Prints one line, `millrace ready` and the ports, on standard output once they accept.
/// Everything else goes to standard error. Leaves with 0 after a clean close of the journal.
#[derive(clap::Args)]
pub struct Arguments {
    /// Configuration file; without it the built-in one: loopback, port 7001, users TRADE1 to
    /// TRADE5 with password `secret`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, instead of the configuration's `data_dir`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// How often the running gateway is looked at.
const LOOK: Duration = Duration::from_millis(100);

pub fn run(arguments: &Arguments) -> Outcome {
    super::start_log();
    signals::hold_back();
    let mut config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None => Config::built_in(),
    };
    if let Some(dir) = &arguments.data {
        config.gateway.data_dir = dir.clone();
    }
    let configs = config.segments();
    let segments = Segment::start_alone(&configs)?;
    if segments.iter().any(|segment| segment.backing() == Backing::Pages) {
        tracing::info!("rings are on plain pages: no free hugepages");
    }
    tracing::info!(transport = segments[0].transport(), "listening");
    let commands: u64 = segments.iter().map(Segment::recovered_commands).sum();
    if commands > 0 {
        tracing::info!(commands, "recovered the journal");
    }
    let mut out = std::io::stdout();
    writeln!(out, "millrace ready {}", ports(&config, &configs, &segments).join(" "))?;
    out.flush()?;
    tell_systemd("READY=1");
    while !signals::wait(LOOK) {
        if let Some(why) = segments.iter().find_map(Segment::failure) {
            // What is acknowledged is on disk; what is not, was not. There is nothing to save.
            return Err(format!("stopped: {why}").into());
        }
    }
    tell_systemd("STOPPING=1");
    let mut failure = None;
    for segment in segments {
        let stopped = segment.stop();
        if stopped.failure.is_none() {
            tracing::info!(commands = stopped.commands, state = %stopped.state_hash, "stopped cleanly");
        }
        failure = failure.or(stopped.failure);
    }
    failure.map_or(Ok(()), |why| Err(format!("stopped: {why}").into()))
}

/// Who listens where; with the segment's name in front if the configuration names any.
fn ports(config: &Config, configs: &[Config], segments: &[Segment]) -> Vec<String> {
    let mut ports = vec![];
    for (at, (own, segment)) in configs.iter().zip(segments).enumerate() {
        let named = config.segments.get(at).map(|table| format!("{}:", table.name.get_ref()));
        let named = named.unwrap_or_default();
        let protocols = own.ports.iter().map(|port| port.protocol.get_ref().name());
        ports.extend(
            protocols.zip(segment.addresses()).map(|(name, at)| format!("{named}{name}={at}")),
        );
    }
    ports
}

/// Tells a service manager that waits for it how far this is (sd_notify(3)).
fn tell_systemd(state: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Ok(name) = std::env::var("NOTIFY_SOCKET") else { return };
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let told = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &to));
    if let Err(error) = told {
        tracing::warn!(%error, "NOTIFY_SOCKET does not listen");
    }
}
