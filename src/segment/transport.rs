//! The transport that the configuration names.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::memory::{frame_memory, ring};
use super::{SegmentError, system};
#[cfg(feature = "dpdk")]
use crate::config;
use crate::config::{AfXdpMode, Config, TransportKind};
use crate::gateway::{Back, Front, PARCELS, Parcel, RelayEnds};
use crate::net::af_xdp::{self, AfXdp, AfXdpSetup, Mode, ModeWanted};
#[cfg(feature = "dpdk")]
use crate::net::dpdk::{self, Dpdk};
use crate::net::frames::FrameDriver as _;
use crate::net::frames::faults::{Faults, FaultyDriver};
use crate::net::kernel::KernelTransport;
use crate::net::tcp::{TcpSetup, TcpTransport};
use crate::net::{Close, ConnId, Counts, Handler, Look, PIECES, Transport};
use crate::ring::Bell;
use crate::runtime::{Capability, Counter, need_capabilities};

/// What a gateway has for a transport. What it does costs one predicted branch more.
#[allow(
    clippy::large_enum_variant,
    reason = "one for each gateway, and no look further on the way"
)]
pub(super) enum AnyTransport {
    /// A device's or the kernel's own.
    Plain(Wire),
    /// The same with the connections of the FIX ports handed on to parsers.
    Front(Box<Front<Wire>>),
    /// A parser's end of that.
    Back(Back),
}

/// Every transport with a wire.
pub(super) enum Wire {
    Kernel(KernelTransport),
    AfXdp(TcpTransport<AfXdp>),
    /// AF_XDP with `[faults]`.
    FaultyAfXdp(TcpTransport<FaultyDriver<AfXdp>>),
    #[cfg(feature = "dpdk")]
    Dpdk(TcpTransport<Dpdk>),
    /// DPDK with `[faults]`.
    #[cfg(feature = "dpdk")]
    FaultyDpdk(TcpTransport<FaultyDriver<Dpdk>>),
}

/// What is behind an interface whose frames are sent by a transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct Device {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Bytes of the longest IP packet.
    pub mtu: usize,
}

/// Transports that listen.
pub(super) struct Opened {
    /// One for each gateway.
    pub transports: Vec<AnyTransport>,
    /// With the ports that were chosen where 0 was asked for.
    pub addresses: Vec<SocketAddr>,
    /// What it is, in the words of the configuration, and how it came out.
    pub name: String,
    /// What the device counts itself.
    pub statistics: DeviceStatistics,
    /// Where frames go, if that is what is sent.
    pub device: Option<Device>,
}

/// Statistics of a device's own: their names, and how to have counters follow them.
#[derive(Default)]
pub(super) struct DeviceStatistics {
    pub names: Vec<String>,
    pub follow: Option<Box<dyn FnOnce(Vec<Counter>)>>,
}

/// Opens what the configuration asks for.
pub(super) fn open(config: &Config) -> Result<Opened, SegmentError> {
    let mut opened = open_wires(config)?;
    let parsers = usize::from(*config.gateway.fix_parsers.get_ref());
    if parsers > 0 {
        opened.transports = with_parsers(config, opened.transports, parsers);
    }
    Ok(opened)
}

/// Has `parsers` agents parse for each wire. The wires come first.
fn with_parsers(
    config: &Config,
    transports: Vec<AnyTransport>,
    parsers: usize,
) -> Vec<AnyTransport> {
    let ports: Vec<bool> = config.ports.iter().map(|p| p.protocol.get_ref().is_fix()).collect();
    let (mut fronts, mut backs) = (vec![], vec![]);
    for transport in transports {
        let AnyTransport::Plain(wire) = transport else { continue };
        let mut ends = vec![];
        for _ in 0..parsers {
            let (to_back, from_front, _) = ring(PARCELS, Parcel::EMPTY);
            let (to_front, from_back, _) = ring(PARCELS, Parcel::EMPTY);
            ends.push(RelayEnds { out: to_back, inlet: from_back });
            let own = RelayEnds { out: to_front, inlet: from_front };
            backs.push(AnyTransport::Back(Back::new(own, wire.connections_max())));
        }
        fronts.push(AnyTransport::Front(Box::new(Front::new(wire, ports.clone(), ends))));
    }
    fronts.into_iter().chain(backs).collect()
}

/// Has the rings between fronts and parsers wake whoever reads them; `bells` are the gateways' own.
pub(super) fn ring_bells(transports: &mut [AnyTransport], bells: &[Arc<Bell>]) {
    let is_front = |transport: &AnyTransport| matches!(transport, AnyTransport::Front(_));
    let fronts = transports.iter().filter(|transport| is_front(transport)).count();
    let parsers = (transports.len() - fronts).checked_div(fronts).unwrap_or(0);
    for (at, transport) in transports.iter_mut().enumerate() {
        match transport {
            AnyTransport::Plain(_) => {}
            AnyTransport::Front(front) => {
                let own = &bells[fronts + at * parsers..];
                front.rings().zip(own).for_each(|(ring, bell)| ring.set_bell(bell));
            }
            AnyTransport::Back(back) => back.ring().set_bell(&bells[(at - fronts) / parsers]),
        }
    }
}

fn open_wires(config: &Config) -> Result<Opened, SegmentError> {
    match config.gateway.transport.get_ref() {
        TransportKind::Kernel => open_kernel(config),
        TransportKind::AfXdp => open_af_xdp(config),
        #[cfg(feature = "dpdk")]
        TransportKind::Dpdk => open_dpdk(config),
        #[cfg(not(feature = "dpdk"))]
        TransportKind::Dpdk => unreachable!("refused when the configuration is checked"),
    }
}

fn listen(config: &Config) -> impl Iterator<Item = SocketAddr> {
    config.ports.iter().map(|port| *port.listen.get_ref())
}

fn tcp_setup(config: &Config, listen: &[SocketAddr]) -> TcpSetup {
    TcpSetup {
        listen: listen.to_vec(),
        connections_max: connections_max(config),
        receive_bytes: *config.tcp.receive_bytes.get_ref(),
        transmit_bytes: *config.tcp.transmit_bytes.get_ref(),
        rto_min_us: *config.tcp.rto_min_us.get_ref(),
    }
}

fn faults(config: &Config) -> Option<Faults> {
    config.faults.as_ref().map(|faults| Faults {
        seed: faults.seed,
        loss_ppm: faults.loss_ppm,
        reorder_ppm: faults.reorder_ppm,
        duplicate_ppm: faults.duplicate_ppm,
        corrupt_ppm: faults.corrupt_ppm,
        delay_ns: u64::from(faults.delay_us) * 1000,
        jitter_ns: u64::from(faults.jitter_us) * 1000,
    })
}

fn connections_max(config: &Config) -> usize {
    *config.gateway.max_connections.get_ref() as usize
}

fn open_kernel(config: &Config) -> Result<Opened, SegmentError> {
    let addresses: Vec<_> = config.ports.iter().map(|port| *port.listen.get_ref()).collect();
    let transport = KernelTransport::listen(&addresses, connections_max(config))
        .map_err(system("open the ports".to_owned()))?;
    let addresses = transport.addresses().map_err(system("read the ports".to_owned()))?;
    let transports = vec![AnyTransport::Plain(Wire::Kernel(transport))];
    let (name, statistics) = ("kernel".to_owned(), DeviceStatistics::default());
    Ok(Opened { transports, addresses, name, statistics, device: None })
}

fn open_af_xdp(config: &Config) -> Result<Opened, SegmentError> {
    let af_xdp = config.af_xdp.as_ref().expect("checked with the configuration");
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
        listen: listen(config).collect(),
    };
    let needed = [Capability::NET_RAW, Capability::NET_ADMIN, Capability::BPF];
    need_capabilities("AF_XDP", &needed)?;
    let opened = af_xdp::open(&setup, frame_memory)?;
    let tcp = tcp_setup(config, &opened.listen);
    let transport = |driver| match faults(config) {
        None => Wire::AfXdp(TcpTransport::new(driver, &tcp)),
        Some(faults) => {
            let driver = FaultyDriver::new(driver, faults);
            Wire::FaultyAfXdp(TcpTransport::new(driver, &tcp))
        }
    };
    let mtu = opened.drivers.first().map_or(0, |driver| driver.capabilities().mtu);
    let device = Device { mac: opened.mac, mtu };
    let name = format!("af_xdp {} {}", setup.interface, opened.mode);
    let addresses = opened.listen;
    let transports = opened.drivers.into_iter().map(transport).map(AnyTransport::Plain).collect();
    let statistics = DeviceStatistics::default();
    Ok(Opened { transports, addresses, name, statistics, device: Some(device) })
}

/// Ports from here on are taken where 0 is asked for: nobody else listens on this device.
#[cfg(feature = "dpdk")]
const FIRST_FREE_PORT: u16 = 40_001;

#[cfg(feature = "dpdk")]
fn open_dpdk(config: &Config) -> Result<Opened, SegmentError> {
    use crate::net::dpdk::{Checksums, DpdkSetup};
    let dpdk = config.dpdk.as_ref().expect("checked with the configuration");
    let namespace = crate::runtime::namespace::Namespace::current()
        .map_err(system("look at the network namespace".to_owned()))?;
    let setup = DpdkSetup {
        eal: dpdk.eal.clone(),
        device: dpdk.device.get_ref().clone(),
        queues: *dpdk.queues.get_ref(),
        descriptors: *dpdk.descriptors.get_ref(),
        mbufs: *dpdk.mbufs.get_ref(),
        frame_bytes: *dpdk.frame_bytes.get_ref(),
        mtu: *dpdk.mtu.get_ref(),
        checksums: match dpdk.checksums {
            config::Checksums::Auto => Checksums::Auto,
            config::Checksums::Device => Checksums::Device,
            config::Checksums::Software => Checksums::Software,
        },
        at_home: std::sync::Arc::new(move || namespace.enter()),
    };
    let opened = dpdk::open(&setup)?;
    let chosen = listen(config).zip(FIRST_FREE_PORT..).map(|(at, free)| match at.port() {
        0 => SocketAddr::new(at.ip(), free),
        _ => at,
    });
    let listen: Vec<SocketAddr> = chosen.collect();
    let tcp = tcp_setup(config, &listen);
    let transport = |driver| match faults(config) {
        None => Wire::Dpdk(TcpTransport::new(driver, &tcp)),
        Some(faults) => {
            let driver = FaultyDriver::new(driver, faults);
            Wire::FaultyDpdk(TcpTransport::new(driver, &tcp))
        }
    };
    let watch = opened.watch;
    let names = watch.statistics().into_iter().map(|(name, _)| format!("device.{name}"));
    let statistics = DeviceStatistics {
        names: names.collect(),
        follow: Some(Box::new(move |counters: Vec<Counter>| {
            watch.each_second(move |statistics| {
                for (counter, (_, value)) in counters.iter().zip(statistics) {
                    counter.set(*value);
                }
            });
        })),
    };
    let device = opened.drivers.first().map(|driver| driver.capabilities());
    let device = device.and_then(|has| Some(Device { mac: has.answers_as?, mtu: has.mtu }));
    let name = format!("dpdk {} {}", setup.device, opened.name);
    let addresses = listen;
    let transports = opened.drivers.into_iter().map(transport).map(AnyTransport::Plain).collect();
    Ok(Opened { transports, addresses, name, statistics, device })
}

macro_rules! each_wire {
    ($transport:expr, $inner:ident => $call:expr) => {
        match $transport {
            Wire::Kernel($inner) => $call,
            Wire::AfXdp($inner) => $call,
            Wire::FaultyAfXdp($inner) => $call,
            #[cfg(feature = "dpdk")]
            Wire::Dpdk($inner) => $call,
            #[cfg(feature = "dpdk")]
            Wire::FaultyDpdk($inner) => $call,
        }
    };
}

macro_rules! each {
    ($transport:expr, $inner:ident => $call:expr) => {
        match $transport {
            AnyTransport::Plain($inner) => $call,
            AnyTransport::Front($inner) => $call,
            AnyTransport::Back($inner) => $call,
        }
    };
}

macro_rules! forward {
    ($each:ident) => {
    #[inline]
        fn poll(&mut self, handler: &mut impl Handler, budget: usize, now_ns: u64) -> usize {
            $each!(self, inner => inner.poll(handler, budget, now_ns))
        }

        #[inline]
        fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close> {
            $each!(self, inner => inner.send(conn, bytes))
        }

        #[inline]
        fn send_pieces(
            &mut self,
            conn: ConnId,
            pieces: &[&[u8]; PIECES],
        ) -> Result<usize, Close> {
            $each!(self, inner => inner.send_pieces(conn, pieces))
        }

        #[inline]
        fn flush(&mut self, now_ns: u64) {
            $each!(self, inner => inner.flush(now_ns));
        }

        fn frame(&mut self, frame: &[u8]) -> bool {
            $each!(self, inner => inner.frame(frame))
        }

        fn close(&mut self, conn: ConnId) {
            $each!(self, inner => inner.close(conn));
        }

        fn connect(&mut self, to: SocketAddr) -> Option<ConnId> {
            $each!(self, inner => inner.connect(to))
        }

        fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
            $each!(self, inner => inner.wakes_by())
        }

        fn idle_us(&mut self) -> u32 {
            $each!(self, inner => inner.idle_us())
        }

        fn connections_max(&self) -> usize {
            $each!(self, inner => inner.connections_max())
        }

        fn closing(&mut self) -> usize {
            $each!(self, inner => inner.closing())
        }

        fn look(&mut self, conn: ConnId) -> Option<Look> {
            $each!(self, inner => inner.look(conn))
        }

        fn counts(&mut self) -> Counts {
            $each!(self, inner => inner.counts())
        }
    };
}

impl Transport for Wire {
    forward!(each_wire);
}

impl Transport for AnyTransport {
    forward!(each);
}
