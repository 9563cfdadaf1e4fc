//! Two hosts on one machine: the network namespaces of `scripts/netns`, for as long as a value
//! lives.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::runtime::namespace::Namespace;

/// The script that makes and removes them.
const SCRIPT: &str = include_str!("../../scripts/netns");

/// The interface on the gateway's side, and its address.
pub const INTERFACE: &str = "vsrv";
/// Its address.
pub const ADDRESS: &str = "10.9.0.1";

/// An address on the same wire that no kernel has, for a gateway that takes all of the interface.
pub const OWN_ADDRESS: &str = "10.9.0.3";

/// What carries the bytes between the two hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// The kernel's sockets.
    Kernel,
    /// AF_XDP on these queues.
    AfXdp(Vec<u32>),
    /// DPDK, with this driver for virtual devices: `net_af_packet` or `net_af_xdp`.
    Dpdk(&'static str),
}

/// Makes a configuration for loopback one for the gateway's host: an address on the wire, the
/// transport there, and instead of the plain password the hash of it, since plain ones are for
/// loopback.
pub fn adapt(text: &str, carrier: &Carrier, password_hash: &str) -> String {
    static NEXT_DEVICE: AtomicU32 = AtomicU32::new(0);
    let line = text.lines().find(|line| line.starts_with("transport = "));
    let text = line.map_or(text.to_owned(), |line| text.replace(&format!("{line}\n"), ""));
    let (name, address, table) = match carrier {
        Carrier::Kernel => ("kernel", ADDRESS, String::new()),
        Carrier::AfXdp(queues) => (
            "af_xdp",
            ADDRESS,
            format!("[af_xdp]\ninterface = \"{INTERFACE}\"\nqueues = {queues:?}\n"),
        ),
        Carrier::Dpdk(driver) => {
            let number = NEXT_DEVICE.fetch_add(1, Ordering::Relaxed);
            let table = format!(
                "[dpdk]\ndevice = \"{driver}{number},iface={INTERFACE}\"\nmbufs = 4095\n\
                 eal = [\"--no-huge\", \"-m\", \"512\"]\n"
            );
            ("dpdk", OWN_ADDRESS, table)
        }
    };
    let text = text
        .replace("[gateway]\n", &format!("[gateway]\ntransport = \"{name}\"\n"))
        .replace("127.0.0.1:", &format!("{address}:"))
        .replace("password = \"secret\"", &format!("password_hash = \"{password_hash}\""));
    format!("{text}\n{table}")
}

/// A gateway's host and a client's, joined by a wire.
pub struct Playground {
    name: String,
    /// The gateway's host.
    pub server: Namespace,
    /// The client's.
    pub client: Namespace,
}

impl Playground {
    /// Makes both; needs root, `ip` and `ethtool`.
    pub fn new(queues: u32) -> io::Result<Playground> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mr{}-{number}", std::process::id());
        script(&["up", &name, "--queues", &queues.to_string()])?;
        let end = |end: &str| Namespace::named(&format!("{name}-{end}"));
        match (end("srv"), end("cli")) {
            (Ok(server), Ok(client)) => Ok(Playground { name, server, client }),
            (Err(error), _) | (_, Err(error)) => {
                let _ = script(&["down", &name]);
                Err(error)
            }
        }
    }

    /// Has the kernel's TCP of both hosts wait no longer than it must for what was lost: its own
    /// least time-out of 200 ms is made for the Internet.
    pub fn hasten(&self) -> io::Result<()> {
        for (end, device, address) in [("srv", "vsrv", "10.9.0.1"), ("cli", "vcli", "10.9.0.2")] {
            let ns = format!("{}-{end}", self.name);
            let route = format!("10.9.0.0/24 dev {device} proto kernel scope link src {address}");
            let arguments = format!("-n {ns} route change {route} rto_min 1ms");
            run(Command::new("ip").args(arguments.split(' ')), "")?;
        }
        Ok(())
    }

    /// Takes the wire down or up on the client's side.
    pub fn set_link(&self, up: bool) -> io::Result<()> {
        let state = if up { "up" } else { "down" };
        let ns = format!("{}-cli", self.name);
        run(Command::new("ip").args(["-n", &ns, "link", "set", "vcli", state]), "")
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = script(&["down", &self.name]);
    }
}

fn script(arguments: &[&str]) -> io::Result<()> {
    run(Command::new("bash").args(["-s", "--"]).args(arguments), SCRIPT)
}

/// Runs a command with an input; what it says when it fails becomes the error.
fn run(command: &mut Command, input: &str) -> io::Result<()> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().expect("piped").write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(if said.is_empty() { "scripts/netns failed".into() } else { said }))
}
