//! The gateway as its users run it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::config_text;

/// The real program on kernel sockets, until dropped.
pub struct Process(Child);

impl Process {
    /// Starts it with more lines for `[gateway]`; where it listens.
    pub fn start(dir: &Path, gateway: &str) -> (Process, SocketAddr) {
        let (process, ports) = Process::start_with(dir, &config_text(gateway, ""));
        (process, ports[0].1)
    }

    /// Starts it with a configuration; where it listens, by what each port is called.
    pub fn start_with(dir: &Path, text: &str) -> (Process, Vec<(String, SocketAddr)>) {
        let file = dir.join("millrace.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["run", "--config"]).arg(&file).arg("--data").arg(dir.join("data"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(ports) = line.trim().strip_prefix("millrace ready ") else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("{said}");
        };
        let port = |port: &str| {
            let (name, address) = port.split_once('=').unwrap();
            (name.to_owned(), address.parse().unwrap())
        };
        (Process(child), ports.split(' ').map(port).collect())
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Ends it cleanly; what it said.
    pub fn stop(mut self) -> String {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(self.0.wait().unwrap().code(), Some(0), "{said}");
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
