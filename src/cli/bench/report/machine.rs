//! Which machine it was.

use serde_json::{Value, json};

use crate::runtime::allowed_cores;

/// What a reader has to know of the machine to make something of a figure.
pub struct Machine {
    lines: Vec<(String, Value)>,
}

impl Machine {
    pub fn look() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let cpu = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = cpu.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, value)| value)
        };
        let memory = read("/proc/meminfo");
        let kib = |name: &str| -> u64 {
            let line = memory.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
        };
        let or =
            |value: String, other: &str| if value.is_empty() { other.to_owned() } else { value };
        let under =
            if field("flags").contains(" hypervisor") { ", under a hypervisor" } else { "" };
        let lines = [
            ("millrace", json!(format!("{} ({})", env!("CARGO_PKG_VERSION"), commit()))),
            ("processor", json!(format!("{}{under}", field("model name")))),
            ("cores allowed", json!(format!("{:?}", allowed_cores()))),
            ("cores isolated", json!(or(read("/sys/devices/system/cpu/isolated"), "none"))),
            (
                "governor",
                json!(or(
                    read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
                    "not this machine's to say"
                )),
            ),
            ("memory", json!(format!("{:.1} GiB", kib("MemTotal") as f64 / 1048576.0))),
            (
                "hugepages",
                json!(format!("{} of {} KiB", kib("HugePages_Total"), kib("Hugepagesize"))),
            ),
            ("kernel", json!(read("/proc/sys/kernel/osrelease"))),
        ];
        Machine { lines: lines.map(|(key, value)| (key.to_owned(), value)).to_vec() }
    }

    pub fn lines(&self) -> &[(String, Value)] {
        &self.lines
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (key, value) in &self.lines {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            writeln!(f, "  {key:<16}{value}")?;
        }
        Ok(())
    }
}

/// What this program was built from.
fn commit() -> &'static str {
    option_env!("MILLRACE_COMMIT").unwrap_or("built outside a repository")
}
