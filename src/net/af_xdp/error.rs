//! Why AF_XDP cannot be set up, each with what would help.

use std::io;
use std::net::IpAddr;

use super::open::ModeWanted;

/// Why a queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AfXdpError {
    /// No such interface.
    #[error("[af_xdp] interface = \"{name}\": there is none of that name; there are {}", .known.join(", "))]
    NoInterface {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The interface has no such queue.
    #[error(
        "[af_xdp] queues: {interface} has {queues} receive queues, numbered from 0, and no {queue}"
    )]
    NoQueue {
        /// The interface.
        interface: String,
        /// What was asked for.
        queue: u32,
        /// How many there are.
        queues: u32,
    },
    /// A port listens on an address that is not the interface's.
    #[error("a port listens on {address}, which is not an address of {interface}; {}", listed(.has))]
    Address {
        /// The port's.
        address: IpAddr,
        /// The interface.
        interface: String,
        /// The interface's.
        has: Vec<IpAddr>,
    },
    /// Packets do not fit frames.
    #[error(
        "[af_xdp] frame_bytes = {frame_bytes}: the MTU of {interface} is {mtu}, and frames hold {most}; {remedy}"
    )]
    Mtu {
        /// The interface.
        interface: String,
        /// Its longest packet.
        mtu: usize,
        /// Bytes of a frame.
        frame_bytes: u32,
        /// What of it is for a packet.
        most: usize,
        /// What to do.
        remedy: &'static str,
    },
    /// A privilege is missing.
    #[error(
        "AF_XDP needs {capability} to {what}: run as root with [gateway] user = \"...\", or give the process that capability (AmbientCapabilities= in its systemd unit)"
    )]
    Privilege {
        /// Its name.
        capability: &'static str,
        /// What it is for.
        what: &'static str,
    },
    /// Memory may not be locked.
    #[error(
        "AF_XDP locks {bytes} bytes for frames, and the process may lock {limit}: raise LimitMEMLOCK= (ulimit -l), or give it CAP_IPC_LOCK"
    )]
    Memlock {
        /// What is needed.
        bytes: usize,
        /// What is allowed.
        limit: u64,
    },
    /// Somebody else has the queue.
    #[error("queue {queue} of {interface} is in use: another AF_XDP program holds it")]
    QueueBusy {
        /// The interface.
        interface: String,
        /// The queue.
        queue: u32,
    },
    /// Somebody else has the interface.
    #[error(
        "{interface} has an XDP program of somebody else's attached: `ip link show {interface}` names it, `ip link set {interface} xdp off` takes it off"
    )]
    InterfaceBusy {
        /// The interface.
        interface: String,
    },
    /// The mode that was asked for is not to be had.
    #[error(
        "[af_xdp] mode = \"{mode}\": {interface} cannot do it ({source}); mode = \"auto\" takes the best there is"
    )]
    Mode {
        /// The interface.
        interface: String,
        /// The mode.
        mode: ModeWanted,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused something else.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
}

fn listed(addresses: &[IpAddr]) -> String {
    match addresses {
        [] => "it has none".to_owned(),
        some => {
            let some: Vec<String> = some.iter().map(IpAddr::to_string).collect();
            format!("it has {}", some.join(", "))
        }
    }
}
