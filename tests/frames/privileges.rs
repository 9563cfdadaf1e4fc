//! What the gateway may do, and what it says when it may not.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use millrace::client::playground::{Carrier, Playground};

use super::common::transport::over;
use super::common::{Scratch, config_text, enter, sell};
use super::venue::hosts;

const USER: &str = "nobody";

fn write_config(dir: &Path, user_line: &str, more: &str) {
    let text = over(&config_text(user_line, ""), &Carrier::AfXdp(vec![0]), more);
    std::fs::write(dir.join("millrace.toml"), text).unwrap();
}

/// The program, by way of `wrapper`, on the gateway's host.
fn run(hosts: &Playground, dir: &Path, wrapper: &[&str]) -> Child {
    let mut words: Vec<String> = wrapper.iter().map(|word| (*word).to_owned()).collect();
    words.push(env!("CARGO_BIN_EXE_millrace").to_owned());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["run", "--config"]).arg(dir.join("millrace.toml"));
    command.arg("--data").arg(dir.join("data"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    hosts.server.run(|| command.spawn().unwrap()).unwrap()
}

/// A place that the unprivileged user may write in, and run the program from.
fn open_place() -> Scratch {
    let scratch = Scratch::new();
    let status = Command::new("chown").arg(USER).arg(&scratch.0).status().unwrap();
    assert!(status.success());
    scratch
}

fn said(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether the unprivileged user can reach the program at all: a build below /root it cannot.
fn reachable() -> bool {
    let mut test = Command::new("setpriv");
    test.args(["--reuid", USER, "--clear-groups", "test", "-x", env!("CARGO_BIN_EXE_millrace")]);
    let reached = test.status().is_ok_and(|status| status.success());
    if !reached {
        println!("skip: {USER} cannot run the program from where it was built");
    }
    reached
}

#[test]
fn it_becomes_the_configured_user_and_keeps_nothing() {
    let Some(hosts) = hosts(1) else { return };
    let scratch = open_place();
    write_config(&scratch.0, &format!("user = \"{USER}\""), "");
    let mut child = run(&hosts, &scratch.0, &[]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut text = String::new();
    if line.is_empty() {
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    }
    let address = line.trim().strip_prefix("millrace ready ouch5=").expect(&text).parse().unwrap();
    for task in std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let value = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(value("Uid:").iter().all(|uid| uid == "65534"), "{status}");
        for set in ["CapEff:", "CapPrm:", "CapAmb:"] {
            assert_eq!(value(set), ["0000000000000000"]);
        }
        assert!(value("Groups:").is_empty());
        assert_eq!(value("NoNewPrivs:"), ["1"]);
    }
    hosts.client.enter().unwrap();
    let login = || millrace::client::Client::login(address, "ALICE", "secret", 0);
    enter(&mut login().unwrap(), &sell(1, 10, "100.00"));
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    hosts.server.enter().unwrap();
}

#[test]
fn without_privileges_it_says_which_one_is_missing() {
    let Some(hosts) = hosts(1) else { return };
    if !reachable() {
        return;
    }
    let scratch = open_place();
    write_config(&scratch.0, "", "");
    let capabilities = |set: &'static str| {
        ["setpriv", "--reuid", USER, "--clear-groups", "--inh-caps", set, "--ambient-caps", set]
    };
    for (set, missing) in [
        ("-all", "CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF"),
        ("-all,+net_raw", "CAP_NET_ADMIN, CAP_BPF"),
        ("-all,+bpf,+net_admin", "CAP_NET_RAW"),
        ("-all,+bpf,+net_raw", "CAP_NET_ADMIN"),
    ] {
        let (code, said) = said(run(&hosts, &scratch.0, &capabilities(set)));
        assert_eq!(code, Some(1), "{set}: {said}");
        assert!(said.contains(missing) && said.lines().count() == 1, "{set}: {said}");
    }
    // With all of them, as a unit's AmbientCapabilities= gives them, it runs and keeps none.
    let set = "-all,+bpf,+net_raw,+net_admin,+ipc_lock";
    let mut child = run(&hosts, &scratch.0, &capabilities(set));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("millrace ready"), "{line}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_wrong_set_up_is_refused_in_one_line_with_the_remedy() {
    let Some(hosts) = hosts(1) else { return };
    let cases: &[(&str, &str, &str, &str)] = &[
        ("interface = \"vsrv\"", "interface = \"eth7\"", "", "there are lo, vsrv"),
        ("queues = [0]", "queues = [3]", "", "1 receive queues, numbered from 0, and no 3"),
        ("10.9.0.1:", "10.9.0.9:", "", "it has 10.9.0.1, fd09::1"),
        ("10.9.0.1:", "[fd09::9]:", "", "it has 10.9.0.1, fd09::1"),
        ("", "", "mode = \"zero_copy\"", "mode = \"auto\" takes the best there is"),
        ("[gateway]", "[gateway]\nuser = \"no-such\"", "", "useradd --system no-such"),
        ("[gateway]", "[gateway]\nuser = \"root\"", "", "name one that has none"),
        ("queues = [0]", "queues = []", "", "such as [0]"),
        ("10.9.0.1:", "[::]:", "", "name it, such as 10.9.0.1:7001 or [fd09::1]:7001"),
        ("10.9.0.1:", "[fe80::1]:", "", "name it, such as 10.9.0.1:7001 or [fd09::1]:7001"),
    ];
    for (from, to, more, says) in cases {
        let scratch = open_place();
        write_config(&scratch.0, "", more);
        let file = scratch.0.join("millrace.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let (code, said) = said(run(&hosts, &scratch.0, &[]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{to} {more}: {said}");
    }
}
