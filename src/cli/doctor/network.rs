//! What the configured transport stands on.

use std::net::TcpListener;

use super::Report;
use super::system::System;
use crate::config::{Config, TransportKind};
use crate::runtime::Capability;

/// Bytes that Ethernet puts around a packet, with two VLAN tags.
const LINK_BYTES: u64 = 22;
/// Bytes in front of a frame in AF_XDP's memory (XDP_PACKET_HEADROOM).
const HEADROOM: u64 = 256;
/// PCI vendor of ENA.
const AMAZON: &str = "0x1d0f";

pub(super) fn examine(system: &System, config: &Config, report: &mut Report) {
    match config.gateway.transport.get_ref() {
        TransportKind::Kernel => examine_kernel(system, config, report),
        TransportKind::AfXdp => examine_af_xdp(system, config, report),
        TransportKind::Dpdk => examine_dpdk(system, config, report),
    }
}

fn examine_kernel(system: &System, config: &Config, report: &mut Report) {
    if system.is_here() {
        for port in &config.ports {
            let address = port.listen.get_ref();
            let free = TcpListener::bind(address);
            let found = match &free {
                Ok(_) => format!("{address} is free"),
                Err(error) => format!("{address}: {error}"),
            };
            report.fail_unless(
                free.is_ok(),
                "port",
                found,
                "listen on an address of this machine, and a port that nobody has",
            );
        }
    }
    let backlog = system.number("proc/sys/net/core/somaxconn").unwrap_or(0);
    let wanted = u64::from(*config.gateway.max_connections.get_ref());
    report.warn_unless(
        backlog >= wanted,
        "listen queue",
        format!("somaxconn is {backlog}, max_connections {wanted}"),
        "those who all connect at once wait one to seven seconds for their next try",
        format!("sysctl net.core.somaxconn={}", wanted.next_power_of_two()),
    );
    for (key, name, least) in [("busy_read", "busy read", 50), ("busy_poll", "busy poll", 50)] {
        let found = system.number(&format!("proc/sys/net/core/{key}"));
        report.warn_unless(
            found.is_some_and(|found| found >= least),
            name,
            found.map_or("this kernel has none".to_owned(), |found| format!("{found} us")),
            "a receive waits for an interrupt, 5 to 20 us",
            "scripts/tune-kernel-path set INTERFACE",
        );
    }
    let interface = interface_of(system, config);
    let Some(interface) = interface else { return };
    examine_offloads(system, &interface, report);
}

/// The interface that the first port's address is on, unless that is loopback.
fn interface_of(system: &System, config: &Config) -> Option<String> {
    let address = config.ports.first()?.listen.get_ref().ip();
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let shown = system.ask(&["ip", "-o", "addr", "show"])?;
    let wanted = format!(" {address}/");
    let line = shown.lines().find(|line| line.contains(&wanted))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

fn examine_offloads(system: &System, interface: &str, report: &mut Report) {
    let tune = format!("scripts/tune-kernel-path set {interface}");
    if let Some(features) = system.ask(&["ethtool", "-k", interface]) {
        let names = [
            "generic-receive-offload",
            "large-receive-offload",
            "tcp-segmentation-offload",
            "generic-segmentation-offload",
        ];
        let on: Vec<&str> =
            names.into_iter().filter(|name| features.contains(&format!("{name}: on\n"))).collect();
        report.warn_unless(
            on.is_empty(),
            "segment merging",
            if on.is_empty() { "off".to_owned() } else { on.join(", ") },
            "orders wait to be merged with what comes behind them",
            tune.clone(),
        );
    }
    if let Some(settings) = system.ask(&["ethtool", "-c", interface]) {
        let adaptive = settings.contains("Adaptive RX: on");
        report.warn_unless(
            !adaptive,
            "interrupt moderation",
            if adaptive { "adaptive" } else { "fixed" },
            "an interrupt comes up to 64 us after its frame",
            tune,
        );
    }
    let spread = system.names(&format!("sys/class/net/{interface}/queues"));
    let steered = spread.iter().filter(|queue| queue.starts_with("rx-")).any(|queue| {
        let file = format!("sys/class/net/{interface}/queues/{queue}/rps_cpus");
        system.read(&file).is_some_and(|mask| mask.bytes().any(|digit| !b"0,".contains(&digit)))
    });
    report.warn_unless(
        !steered,
        "receive packet steering",
        if steered { "on" } else { "off" },
        "every frame crosses to another core in software",
        format!("echo 0 into /sys/class/net/{interface}/queues/rx-*/rps_cpus"),
    );
}

fn examine_interface(system: &System, interface: &str, report: &mut Report) -> bool {
    let there = system.exists(&format!("sys/class/net/{interface}"));
    let known = system.names("sys/class/net").join(", ");
    let found =
        if there { interface.to_owned() } else { format!("no {interface}; there are {known}") };
    report.fail_unless(there, "interface", found, "name one that is there");
    if there {
        let flags = system.read(&format!("sys/class/net/{interface}/flags")).unwrap_or_default();
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        let up = flags & 1 == 1;
        let remedy = format!("ip link set {interface} up");
        report.fail_unless(up, "link", if up { "up" } else { "down" }, remedy);
    }
    there
}

fn examine_af_xdp(system: &System, config: &Config, report: &mut Report) {
    let Some(af_xdp) = &config.af_xdp else { return };
    let interface = af_xdp.interface.get_ref();
    if !examine_interface(system, interface, report) {
        return;
    }
    let mtu = system.number(&format!("sys/class/net/{interface}/mtu")).unwrap_or(0);
    let most = u64::from(*af_xdp.frame_bytes.get_ref()) - HEADROOM - LINK_BYTES;
    report.fail_unless(
        mtu <= most,
        "MTU",
        format!("{mtu}, and frames hold packets of {most}"),
        format!("ip link set {interface} mtu {}, or frame_bytes = 4096", most.min(1500)),
    );
    let queues = system.names(&format!("sys/class/net/{interface}/queues"));
    let queues = queues.iter().filter(|name| name.starts_with("rx-")).count();
    let highest = af_xdp.queues.get_ref().iter().max().copied().unwrap_or(0) as usize;
    if system.is_here() {
        report.fail_unless(
            highest < queues,
            "queues",
            format!("{queues} receive queues, the highest asked for is {highest}"),
            format!("ethtool -L {interface} combined {}", highest + 1),
        );
        let needed = [Capability::NET_RAW, Capability::NET_ADMIN, Capability::BPF];
        let missing: Vec<&str> =
            needed.into_iter().filter(|capability| !capability.is_held()).map(|c| c.0).collect();
        report.fail_unless(
            missing.is_empty(),
            "capabilities",
            if missing.is_empty() {
                "all there".to_owned()
            } else {
                format!("no {}", missing.join(", "))
            },
            "run this as the gateway runs: as root, or with AmbientCapabilities= of its unit",
        );
    }
    let driver = system.link(&format!("sys/class/net/{interface}/device/driver"));
    if driver.as_deref() == Some("ena") {
        let version = system.read("sys/module/ena/version").unwrap_or_default();
        report.warn_unless(
            newer(&version, [2, 13]),
            "ENA driver",
            version,
            "no zero copy: each frame is copied once",
            "the ENA driver 2.13.0 or later, from github.com/amzn/amzn-drivers",
        );
        if let Some(shown) = system.ask(&["ethtool", "-l", interface]) {
            let mut combined = shown.lines().filter_map(|line| line.strip_prefix("Combined:"));
            let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u32>().ok());
            let (most, now) = (number(combined.next()), number(combined.next()));
            report.warn_unless(
                most.zip(now).is_none_or(|(most, now)| now * 2 <= most),
                "channels",
                format!("{} of {}", now.unwrap_or(0), most.unwrap_or(0)),
                "no native XDP: it needs half of the channels for itself",
                format!("ethtool -L {interface} combined {}", most.unwrap_or(2) / 2),
            );
        }
    }
}

/// Whether a version is at least that one.
fn newer(version: &str, least: [u32; 2]) -> bool {
    let mut parts = version.split('.').map(|part| {
        part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
    });
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0)] >= least
}

fn examine_dpdk(system: &System, config: &Config, report: &mut Report) {
    let Some(dpdk) = &config.dpdk else { return };
    let device = dpdk.device.get_ref().split(',').next().unwrap_or_default();
    if let Some((_, interface)) = dpdk.device.get_ref().split_once("iface=") {
        let interface = interface.split(',').next().unwrap_or_default();
        examine_interface(system, interface, report);
        return;
    }
    let dir = format!("sys/bus/pci/devices/{device}");
    let there = system.exists(&dir);
    let found = if there { device.to_owned() } else { format!("no {device}") };
    report.fail_unless(there, "PCI device", found, "scripts/vfio status lists network cards");
    if !there {
        return;
    }
    let driver = system.link(&format!("{dir}/driver")).unwrap_or_else(|| "none".to_owned());
    let bound = ["vfio-pci", "igb_uio", "uio_pci_generic", "mlx5_core", "mlx4_core"];
    report.fail_unless(
        bound.contains(&driver.as_str()),
        "driver",
        driver.clone(),
        format!("scripts/vfio bind {device}"),
    );
    let iommu = system.exists(&format!("{dir}/iommu_group"));
    if driver == "vfio-pci" {
        let mode = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
        let unsafe_mode = system.read(mode).as_deref() == Some("Y");
        report.fail_unless(
            iommu || unsafe_mode,
            "IOMMU",
            match (iommu, unsafe_mode) {
                (true, _) => "the device has one",
                (_, true) => "none; vfio runs without",
                _ => "none, and vfio is not told to do without",
            },
            format!("scripts/vfio bind {device} again, or --driver igb_uio"),
        );
    } else {
        report.warn_unless(
            iommu || driver != "uio_pci_generic",
            "IOMMU",
            if iommu { "the device has one" } else { "none" },
            "no MSI-X: ENA's admin queue times out",
            format!("scripts/vfio bind {device} --driver igb_uio"),
        );
    }
    if system.read(&format!("{dir}/vendor")).as_deref() == Some(AMAZON) {
        let combined = match driver.as_str() {
            // The module does not show its parameter.
            "igb_uio" => system
                .read("etc/modprobe.d/millrace-igb_uio.conf")
                .is_some_and(|options| options.contains("wc_activate=1")),
            _ => write_combined(system),
        };
        report.warn_unless(
            combined,
            "write combining",
            if combined { "on" } else { "off, or not to be seen" },
            "no low latency queues (LLQ): slow sends, and on sixth generation instances very slow",
            "scripts/write-combining build igb_uio, and bind again",
        );
    }
}

/// Whether the kernel maps anything write-combined, as it says in debugfs.
fn write_combined(system: &System) -> bool {
    let list = system.read("sys/kernel/debug/x86/pat_memtype_list").unwrap_or_default();
    list.lines().any(|line| line.contains("write-combining"))
}
