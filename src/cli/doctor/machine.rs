//! Cores, memory, clocks and the disk.

use super::Report;
use super::system::{System, cores};
use crate::config::{Config, TransportKind};

pub(super) fn examine(system: &System, config: &Config, report: &mut Report) {
    examine_cores(system, config, report);
    examine_power(system, config, report);
    examine_memory(system, config, report);
    examine_time(system, report);
    examine_disk(system, config, report);
}

fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn examine_cores(system: &System, config: &Config, report: &mut Report) {
    let own = config.gateway.cores.get_ref();
    report.warn_unless(
        !own.is_empty(),
        "cores",
        if own.is_empty() { "agents are not pinned".to_owned() } else { list(own) },
        "agents wander between cores, microseconds at a time",
        "[gateway] cores = [...] in the configuration",
    );
    if own.is_empty() {
        return;
    }
    let set = format!("scripts/isolate-cores set {}, and a reboot", list(own));
    let within = |file: &str| {
        let found = system.read(file).unwrap_or_default();
        let has = cores(&found);
        (own.iter().all(|core| has.contains(core)), found)
    };
    let told = |found: String| if found.is_empty() { "none".to_owned() } else { found };
    let (good, found) = within("sys/devices/system/cpu/isolated");
    report.warn_unless(
        good,
        "isolated cores",
        told(found),
        "the scheduler puts other work on the agents' cores: pauses of milliseconds",
        set.clone(),
    );
    let (good, found) = within("sys/devices/system/cpu/nohz_full");
    report.warn_unless(
        good,
        "cores without a tick",
        told(found),
        "the timer interrupts each core 100 to 1000 times a second, 2 us each",
        set.clone(),
    );
    let callbacks = system.boot_word("rcu_nocbs").unwrap_or_default();
    let has = cores(&callbacks);
    report.warn_unless(
        own.iter().all(|core| has.contains(core)) || callbacks == "all",
        "cores without RCU callbacks",
        told(callbacks),
        "the kernel frees its memory on the agents' cores",
        set.clone(),
    );
    let mut disturbed = 0;
    for irq in system.names("proc/irq") {
        let file = format!("proc/irq/{irq}/effective_affinity_list");
        let at = cores(&system.read(&file).unwrap_or_default());
        disturbed += usize::from(at.iter().any(|core| own.contains(core)));
    }
    report.warn_unless(
        disturbed == 0,
        "interrupts elsewhere",
        format!("{disturbed} interrupts on the agents' cores"),
        "each takes 1 to 10 us from the agent that it hits",
        format!("scripts/isolate-cores now {}", list(own)),
    );
    report.warn_unless(
        !system.runs("irqbalance"),
        "irqbalance",
        if system.runs("irqbalance") { "runs" } else { "does not run" },
        "it moves interrupts back to the agents' cores unless they are banned",
        format!("scripts/isolate-cores now {}", list(own)),
    );
    let siblings = system.read("sys/devices/system/cpu/smt/active");
    report.warn_unless(
        siblings.as_deref() != Some("1"),
        "hyperthreads",
        if siblings.as_deref() == Some("1") { "on" } else { "off" },
        "a sibling takes half of the core's units and caches",
        "echo off > /sys/devices/system/cpu/smt/control, or CpuOptions with one thread a core",
    );
}

fn examine_power(system: &System, config: &Config, report: &mut Report) {
    let own = config.gateway.cores.get_ref();
    let deepest = system.number("sys/module/intel_idle/parameters/max_cstate");
    report.warn_unless(
        deepest.is_none_or(|deepest| deepest <= 1),
        "C-states",
        deepest.map_or("the machine's".to_owned(), |deepest| format!("up to C{deepest}")),
        "waking a core takes up to 100 us, and its siblings' turbo goes",
        "intel_idle.max_cstate=1 on the kernel's command line: scripts/isolate-cores set",
    );
    let governor = |core: &usize| {
        system.read(&format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"))
    };
    let first = system.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    let mut found: Vec<String> = own.iter().filter_map(governor).chain(first).collect();
    found.sort();
    found.dedup();
    report.warn_unless(
        found.iter().all(|governor| governor == "performance"),
        "frequency governor",
        if found.is_empty() { "the machine's".to_owned() } else { found.join(", ") },
        "cores that were idle begin at a low frequency",
        format!(
            "scripts/isolate-cores now {}",
            if own.is_empty() { "CORES".to_owned() } else { list(own) }
        ),
    );
    let skewed = system.boot_word("skew_tick").as_deref() == Some("1");
    report.warn_unless(
        skewed,
        "timer ticks apart",
        if skewed { "skew_tick=1" } else { "all cores tick at once" },
        "cores wait for each other's locks at every tick",
        "skew_tick=1 on the kernel's command line: scripts/isolate-cores set",
    );
}

fn examine_memory(system: &System, config: &Config, report: &mut Report) {
    let mut free_mib = 0;
    for size in system.names("sys/kernel/mm/hugepages") {
        let kib = size.strip_prefix("hugepages-").and_then(|size| size.strip_suffix("kB"));
        let kib: u64 = kib.and_then(|kib| kib.parse().ok()).unwrap_or(0);
        let dir = format!("sys/kernel/mm/hugepages/{size}");
        free_mib += system.number(&format!("{dir}/free_hugepages")).unwrap_or(0) * kib / 1024;
    }
    let found = format!("{free_mib} MiB free");
    let dpdk = *config.gateway.transport.get_ref() == TransportKind::Dpdk;
    let no_huge =
        config.dpdk.as_ref().is_some_and(|dpdk| dpdk.eal.iter().any(|w| w == "--no-huge"));
    if dpdk && !no_huge {
        let mib = config.dpdk.as_ref().map_or(0, |dpdk| {
            let frame = u64::from(*dpdk.frame_bytes.get_ref()) + 384;
            (u64::from(*dpdk.mbufs.get_ref()) * frame * u64::from(*dpdk.queues.get_ref())) >> 20
        });
        report.fail_unless(
            free_mib > mib,
            "hugepages",
            format!("{found}, {mib} MiB of frames"),
            format!("scripts/hugepages set {}", (mib + 512).next_power_of_two() / 2),
        );
    } else {
        report.warn_unless(
            free_mib >= 128,
            "hugepages",
            found,
            "rings and frames miss the address cache more often",
            "scripts/hugepages set 256",
        );
    }
    let limits = system.read("proc/self/limits").unwrap_or_default();
    let locked = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    let locked = locked.and_then(|line| line.split_whitespace().next()).unwrap_or("unknown");
    report.warn_unless(
        locked == "unlimited",
        "locked memory",
        format!("RLIMIT_MEMLOCK is {locked}"),
        "without CAP_IPC_LOCK the kernel may put memory out: milliseconds to bring it back",
        "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited",
    );
    let huge = system.read("sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let never = huge.is_empty() || huge.contains("[never]");
    report.warn_unless(
        never,
        "transparent hugepages",
        if never { "never".to_owned() } else { huge },
        "the kernel stops threads to merge their pages",
        "echo never > /sys/kernel/mm/transparent_hugepage/enabled",
    );
    let balancing = system.number("proc/sys/kernel/numa_balancing").unwrap_or(0);
    report.warn_unless(
        balancing == 0,
        "NUMA balancing",
        if balancing == 0 { "off" } else { "on" },
        "the kernel unmaps pages to see who uses them: a fault each",
        "sysctl -w kernel.numa_balancing=0",
    );
    let swaps = system.read("proc/swaps").unwrap_or_default().lines().count().saturating_sub(1);
    let swappiness = system.number("proc/sys/vm/swappiness").unwrap_or(0);
    report.warn_unless(
        swaps == 0 || swappiness == 0,
        "swap",
        if swaps == 0 { "none".to_owned() } else { format!("on, swappiness {swappiness}") },
        "a page that comes from disk takes milliseconds",
        "swapoff -a, or sysctl -w vm.swappiness=0",
    );
}

fn examine_time(system: &System, report: &mut Report) {
    let source = system
        .read("sys/devices/system/clocksource/clocksource0/current_clocksource")
        .unwrap_or_else(|| "unknown".to_owned());
    report.warn_unless(
        source == "tsc" || source == "kvm-clock" || source == "arch_sys_counter",
        "clock source",
        source,
        "reading the time is a system call, 1 us instead of 20 ns",
        "clocksource=tsc on the kernel's command line",
    );
    let keeper = ["chronyd", "ptp4l", "phc2sys", "ntpd", "systemd-timesyn"];
    let keeper = keeper.into_iter().find(|program| system.runs(program));
    let ptp = system.names("dev").iter().any(|name| name.starts_with("ptp"));
    report.warn_unless(
        keeper.is_some(),
        "time of day",
        match (keeper, ptp) {
            (Some(keeper), true) => format!("{keeper} runs, and there is a PTP clock"),
            (Some(keeper), false) => format!("{keeper} runs"),
            (None, _) => "nothing keeps it".to_owned(),
        },
        "timestamps drift from everybody else's",
        "install chrony; on EC2 with server 169.254.169.123 prefer iburst, or the ENA PTP clock",
    );
}

fn examine_disk(system: &System, config: &Config, report: &mut Report) {
    let mut found: Vec<String> = Vec::new();
    for disk in system.names("sys/block") {
        if !disk.starts_with("nvme") {
            continue;
        }
        let queue = system.read(&format!("sys/block/{disk}/queue/scheduler")).unwrap_or_default();
        if !queue.is_empty() && !queue.contains("[none]") {
            found.push(format!("{disk}: {queue}"));
        }
    }
    report.warn_unless(
        found.is_empty(),
        "disk scheduler",
        if found.is_empty() { "none".to_owned() } else { found.join("; ") },
        "each write of the journal is held back to be merged",
        "echo none > /sys/block/DISK/queue/scheduler",
    );
    if system.is_here() {
        let dir = &config.gateway.data_dir;
        let parent = dir.ancestors().find(|dir| dir.exists() && !dir.as_os_str().is_empty());
        let parent = parent.unwrap_or(std::path::Path::new("."));
        let kind = system.ask(&["stat", "-f", "-c", "%T", &parent.to_string_lossy()]);
        let kind = kind.map_or("unknown".to_owned(), |kind| kind.trim().to_owned());
        report.warn_unless(
            kind != "tmpfs" && kind != "nfs",
            "journal's file system",
            kind,
            "what is acknowledged as durable is gone with the machine",
            "[gateway] data_dir on a disk of this machine",
        );
    }
}
