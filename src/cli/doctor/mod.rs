//! `millrace doctor`: reads what of the machine matters, and changes nothing.

mod machine;
mod network;
mod system;

use std::path::PathBuf;

use super::Outcome;
use crate::config::Config;
use system::System;

/// Say what of this machine is set for the configured transport, what is not, what that costs, and
/// the command that mends it.
///
/// Nothing is changed. The exit status is 0 if the transport can run here, also where warnings
/// are left.
#[derive(clap::Args)]
pub struct Arguments {
    /// Configuration file; without it, the built-in configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As JSON: a list of objects with name, verdict, found, cost and remedy.
    #[arg(long)]
    json: bool,
}

/// What a check came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Pass,
    /// It runs, slower or less evenly.
    Warn,
    /// The transport does not run.
    Fail,
}

/// One line.
#[derive(Debug, serde::Serialize)]
pub(super) struct Line {
    name: &'static str,
    verdict: Verdict,
    /// What is.
    found: String,
    /// What it costs as it is.
    #[serde(skip_serializing_if = "str::is_empty")]
    cost: &'static str,
    /// A command, or what to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
}

/// Everything that was looked at.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Adds a line; cost and remedy are told only if it is not as it should be.
    fn add(
        &mut self,
        name: &'static str,
        good: bool,
        otherwise: Verdict,
        found: impl Into<String>,
        cost: &'static str,
        remedy: impl Into<String>,
    ) {
        let (verdict, cost, remedy) = if good {
            (Verdict::Pass, "", String::new())
        } else {
            (otherwise, cost, remedy.into())
        };
        self.lines.push(Line { name, verdict, found: found.into(), cost, remedy });
    }

    fn warn_unless(
        &mut self,
        good: bool,
        name: &'static str,
        found: impl Into<String>,
        cost: &'static str,
        remedy: impl Into<String>,
    ) {
        self.add(name, good, Verdict::Warn, found, cost, remedy);
    }

    fn fail_unless(
        &mut self,
        good: bool,
        name: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(name, good, Verdict::Fail, found, "the transport does not run", remedy);
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.verdict == verdict).count()
    }

    fn print(&self) {
        for line in &self.lines {
            let verdict = match line.verdict {
                Verdict::Pass => "pass",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            println!("{verdict}  {:<28}{}", line.name, line.found);
            if !line.cost.is_empty() {
                println!("      {:<28}costs: {}", "", line.cost);
            }
            if !line.remedy.is_empty() {
                println!("      {:<28}mend:  {}", "", line.remedy);
            }
        }
        println!(
            "\n{} as they should be, {} to look at, {} in the way",
            self.count(Verdict::Pass),
            self.count(Verdict::Warn),
            self.count(Verdict::Fail)
        );
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    let config = match &arguments.config {
        Some(file) => Config::load(file)?,
        None => Config::built_in(),
    };
    let report = examine(&System::here(), &config.together());
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report.lines)?);
    } else {
        report.print();
    }
    match report.count(Verdict::Fail) {
        0 => Ok(()),
        _ => Err("the configured transport cannot run here".into()),
    }
}

fn examine(system: &System, config: &Config) -> Report {
    let mut report = Report::default();
    network::examine(system, config, &mut report);
    machine::examine(system, config, &mut report);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine made of files.
    struct Made(PathBuf);

    impl Made {
        fn new(name: &str) -> Made {
            let dir =
                std::env::temp_dir().join(format!("millrace-doctor-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&dir);
            Made(dir)
        }

        fn file(self, path: &str, text: &str) -> Made {
            let path = self.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            self
        }

        fn verdict(&self, config: &str, name: &str) -> (Verdict, String) {
            let config = Config::parse(config, "test").unwrap();
            let report = examine(&System::at(&self.0), &config);
            let line = report.lines.iter().find(|line| line.name == name);
            let line = line.unwrap_or_else(|| panic!("no line {name}"));
            (line.verdict, format!("{} {}", line.found, line.remedy))
        }
    }

    impl Drop for Made {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn kernel() -> String {
        crate::config::BUILT_IN.to_owned()
    }

    #[test]
    fn what_is_set_passes_and_what_is_not_has_its_remedy() {
        let made = Made::new("cores")
            .file("proc/cmdline", "quiet isolcpus=1 nohz_full=1 rcu_nocbs=1 skew_tick=1\n")
            .file("sys/devices/system/cpu/isolated", "0\n")
            .file("sys/devices/system/cpu/smt/active", "1\n")
            .file("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
            .file("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
        let pinned =
            kernel().replace("topology = \"inline\"", "topology = \"inline\"\ncores = [0]");
        assert_eq!(made.verdict(&pinned, "isolated cores").0, Verdict::Pass);
        assert_eq!(made.verdict(&pinned, "transparent hugepages").0, Verdict::Pass);
        let (verdict, told) = made.verdict(&pinned, "frequency governor");
        assert_eq!(verdict, Verdict::Warn);
        assert!(told.contains("powersave") && told.contains("scripts/isolate-cores now"), "{told}");
        let (verdict, told) = made.verdict(&pinned, "hyperthreads");
        assert!(verdict == Verdict::Warn && told.contains("smt/control"), "{told}");
        let made = made.file("sys/devices/system/cpu/isolated", "\n");
        let (verdict, told) = made.verdict(&pinned, "isolated cores");
        assert!(verdict == Verdict::Warn && told.contains("scripts/isolate-cores set"), "{told}");
    }

    #[test]
    fn a_short_listen_queue_and_a_limit_on_locked_memory_are_told() {
        let made = Made::new("limits").file("proc/sys/net/core/somaxconn", "128\n").file(
            "proc/self/limits",
            "Max locked memory         8388608              8388608  bytes\n",
        );
        let (verdict, told) = made.verdict(&kernel(), "listen queue");
        assert!(verdict == Verdict::Warn && told.contains("somaxconn=2048"), "{told}");
        assert_eq!(made.verdict(&kernel(), "locked memory").0, Verdict::Warn);
        let made = made
            .file("proc/sys/net/core/somaxconn", "4096\n")
            .file("proc/self/limits", "Max locked memory    unlimited   unlimited    bytes\n");
        assert_eq!(made.verdict(&kernel(), "listen queue").0, Verdict::Pass);
        assert_eq!(made.verdict(&kernel(), "locked memory").0, Verdict::Pass);
    }

    #[test]
    fn an_interface_that_is_not_there_is_in_the_way_of_af_xdp() {
        let text = kernel().replace("transport = \"kernel\"", "transport = \"af_xdp\"")
            + "\n[af_xdp]\ninterface = \"vsrv\"\n";
        let made = Made::new("af_xdp").file("sys/class/net/lo/mtu", "65536\n");
        let (verdict, told) = made.verdict(&text, "interface");
        assert!(verdict == Verdict::Fail && told.contains("lo"), "{told}");
        let made = made
            .file("sys/class/net/vsrv/mtu", "9001\n")
            .file("sys/class/net/vsrv/flags", "0x1003\n");
        assert_eq!(made.verdict(&text, "interface").0, Verdict::Pass);
        let (verdict, told) = made.verdict(&text, "MTU");
        assert!(verdict == Verdict::Fail && told.contains("9001"), "{told}");
    }
}
