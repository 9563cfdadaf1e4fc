//! The transport that the configuration names.

use std::net::{SocketAddr, SocketAddrV4};

use super::memory::frame_memory;
use super::{SegmentError, system};
use crate::config::{AfXdpMode, Config, TransportKind};
use crate::net::af_xdp::{self, AfXdp, AfXdpSetup, Mode, ModeWanted};
use crate::net::frames::faults::{Faults, FaultyDriver};
use crate::net::kernel::KernelTransport;
use crate::net::tcp::{TcpSetup, TcpTransport};
use crate::net::{Close, ConnId, Counts, Handler, Transport};
use crate::runtime::{Capability, need_capabilities};

/// Every transport there is. What a gateway does costs one predicted branch more.
pub(super) enum AnyTransport {
    Kernel(KernelTransport),
    AfXdp(TcpTransport<AfXdp>),
    /// AF_XDP with `[faults]`.
    FaultyAfXdp(TcpTransport<FaultyDriver<AfXdp>>),
}

/// Transports that listen.
pub(super) struct Opened {
    /// One for each gateway.
    pub transports: Vec<AnyTransport>,
    /// With the ports that were chosen where 0 was asked for.
    pub addresses: Vec<SocketAddr>,
    /// What it is, in the words of the configuration, and how it came out.
    pub name: String,
}

/// Opens what the configuration asks for.
pub(super) fn open(config: &Config) -> Result<Opened, SegmentError> {
    match config.gateway.transport.get_ref() {
        TransportKind::Kernel => open_kernel(config),
        TransportKind::AfXdp => open_af_xdp(config),
        TransportKind::Dpdk => unreachable!("refused when the configuration is checked"),
    }
}

fn connections_max(config: &Config) -> usize {
    *config.gateway.max_connections.get_ref() as usize
}

fn open_kernel(config: &Config) -> Result<Opened, SegmentError> {
    let addresses: Vec<_> = config.ports.iter().map(|port| *port.listen.get_ref()).collect();
    let transport = KernelTransport::listen(&addresses, connections_max(config))
        .map_err(system("open the ports".to_owned()))?;
    let addresses = transport.addresses().map_err(system("read the ports".to_owned()))?;
    let transports = vec![AnyTransport::Kernel(transport)];
    Ok(Opened { transports, addresses, name: "kernel".to_owned() })
}

fn open_af_xdp(config: &Config) -> Result<Opened, SegmentError> {
    let af_xdp = config.af_xdp.as_ref().expect("checked with the configuration");
    let listen = config.ports.iter().map(|port| match port.listen.get_ref() {
        SocketAddr::V4(address) => *address,
        SocketAddr::V6(_) => unreachable!("refused when the configuration is checked"),
    });
    let setup = AfXdpSetup {
        interface: af_xdp.interface.get_ref().clone(),
        queues: af_xdp.queues.get_ref().clone(),
        mode: match af_xdp.mode {
            AfXdpMode::Auto => ModeWanted::Auto,
            AfXdpMode::ZeroCopy => ModeWanted::Only(Mode::ZeroCopy),
            AfXdpMode::Copy => ModeWanted::Only(Mode::Copy),
            AfXdpMode::Generic => ModeWanted::Only(Mode::Generic),
        },
        busy_poll: af_xdp.busy_poll,
        frame_bytes: *af_xdp.frame_bytes.get_ref(),
        ring_frames: *af_xdp.ring_frames.get_ref(),
        protocol: 6,
        listen: listen.collect(),
    };
    let needed = [Capability::NET_RAW, Capability::NET_ADMIN, Capability::BPF];
    need_capabilities("AF_XDP", &needed)?;
    let opened = af_xdp::open(&setup, frame_memory)?;
    let tcp = TcpSetup {
        listen: opened.listen.clone(),
        connections_max: connections_max(config),
        receive_bytes: *config.tcp.receive_bytes.get_ref(),
        transmit_bytes: *config.tcp.transmit_bytes.get_ref(),
    };
    let faults = config.faults.as_ref().map(|faults| Faults {
        seed: faults.seed,
        loss_ppm: faults.loss_ppm,
        reorder_ppm: faults.reorder_ppm,
        duplicate_ppm: faults.duplicate_ppm,
        corrupt_ppm: faults.corrupt_ppm,
        delay_ns: u64::from(faults.delay_us) * 1000,
        jitter_ns: u64::from(faults.jitter_us) * 1000,
    });
    let transport = |driver| match faults {
        None => AnyTransport::AfXdp(TcpTransport::new(driver, &tcp)),
        Some(faults) => {
            let driver = FaultyDriver::new(driver, faults);
            AnyTransport::FaultyAfXdp(TcpTransport::new(driver, &tcp))
        }
    };
    let name = format!("af_xdp {} {}", setup.interface, opened.mode);
    let addresses = opened.listen.into_iter().map(|at: SocketAddrV4| at.into()).collect();
    Ok(Opened { transports: opened.drivers.into_iter().map(transport).collect(), addresses, name })
}

macro_rules! each {
    ($transport:expr, $inner:ident => $call:expr) => {
        match $transport {
            AnyTransport::Kernel($inner) => $call,
            AnyTransport::AfXdp($inner) => $call,
            AnyTransport::FaultyAfXdp($inner) => $call,
        }
    };
}

impl Transport for AnyTransport {
    #[inline]
    fn poll(&mut self, handler: &mut impl Handler, budget: usize, now_ns: u64) -> usize {
        each!(self, inner => inner.poll(handler, budget, now_ns))
    }

    #[inline]
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        each!(self, inner => inner.send(conn, bytes))
    }

    #[inline]
    fn flush(&mut self, now_ns: u64) {
        each!(self, inner => inner.flush(now_ns));
    }

    fn close(&mut self, conn: ConnId) {
        each!(self, inner => inner.close(conn));
    }

    fn wait(&mut self, timeout_us: u32) {
        each!(self, inner => inner.wait(timeout_us));
    }

    fn connections_max(&self) -> usize {
        each!(self, inner => inner.connections_max())
    }

    fn closing(&mut self) -> usize {
        each!(self, inner => inner.closing())
    }

    fn counts(&mut self) -> Counts {
        each!(self, inner => inner.counts())
    }
}
