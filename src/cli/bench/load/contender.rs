//! Servers that are compared: each a process of its own, on the cores that it is given.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::super::place::Place;
use super::client::Found;
use super::flow;
use crate::client::playground::{Carrier, adapt};
use crate::gateway::hash_password;
use crate::runtime::keep_to;

/// A way of building a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// millrace: topology, and whether it is on AF_XDP.
    Millrace(&'static str, bool),
    /// One of `benches/models`, by its name there.
    Model(&'static str),
}

/// Who takes part.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    pub name: &'static str,
    pub kind: Kind,
}

/// All that work on any wire.
pub const ALL: [Contender; 9] = [
    Contender { name: "process per connection", kind: Kind::Model("process") },
    Contender { name: "prefork", kind: Kind::Model("prefork") },
    Contender { name: "thread per connection, one lock", kind: Kind::Model("thread-lock") },
    Contender {
        name: "thread per connection, lock per symbol",
        kind: Kind::Model("thread-symbols"),
    },
    Contender { name: "event loop", kind: Kind::Model("event-loop") },
    Contender { name: "event loop, disk helper (AMPED)", kind: Kind::Model("amped") },
    Contender { name: "actors", kind: Kind::Model("actors") },
    Contender { name: "millrace inline", kind: Kind::Millrace("inline", false) },
    Contender { name: "millrace pipeline", kind: Kind::Millrace("pipeline", false) },
];

/// millrace where its frames are its own.
pub const AF_XDP: Contender =
    Contender { name: "millrace inline, AF_XDP", kind: Kind::Millrace("inline", true) };

impl Contender {
    pub fn is_millrace(&self) -> bool {
        matches!(self.kind, Kind::Millrace(..))
    }
}

/// What they are compared in.
pub struct Setting<'a> {
    pub sessions: u32,
    /// Cores of the server.
    pub cores: &'a [usize],
    /// Core of the load.
    pub load_core: usize,
    pub durable: bool,
    /// The models do less than the gateway does.
    pub lean: bool,
    pub place: &'a Place<'a>,
    /// The program of the models.
    pub models: &'a Path,
}

/// What the load does.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    pub ms: u64,
    pub warm_up_ms: u64,
    pub shares: &'a [f64],
    /// Sessions that trade, if not all.
    pub active: Option<u32>,
}

type Failed = Box<dyn std::error::Error>;

/// A server that runs, and what it wrote. Ends with this.
struct Running {
    child: Child,
    address: SocketAddr,
    dir: Scratch,
    /// What a kill leaves in memory.
    _crash: Scratch,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that is gone when this is.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(path: PathBuf) -> std::io::Result<Scratch> {
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Orders that a session has unanswered while the highest rate is looked for: many by themselves where there is one
/// session, one each where there are many, as they come open loop at such a rate.
fn window(sessions: u32) -> u32 {
    (128 / sessions.max(1)).max(1)
}

/// Has a load against a server. The highest rate first, then a phase for each share of it.
pub fn measure(
    contender: Contender,
    setting: &Setting<'_>,
    work: &Work<'_>,
) -> Result<Vec<Found>, Failed> {
    kept(contender, setting, work).map(|(found, _)| found)
}

/// The same, with what the server wrote, as it was when it was killed.
pub fn kept(
    contender: Contender,
    setting: &Setting<'_>,
    work: &Work<'_>,
) -> Result<(Vec<Found>, Scratch), Failed> {
    let mut server = start(contender, setting)?;
    let own_core = !setting.cores.contains(&setting.load_core);
    let shares: Vec<String> = work.shares.iter().map(f64::to_string).collect();
    let mut load = Command::new(std::env::current_exe()?);
    load.args(["bench", "client", "--to", &server.address.to_string()])
        .args(["--server", &server.child.id().to_string()])
        .args(["--sessions", &setting.sessions.to_string()])
        .args(["--window", &window(work.active.unwrap_or(setting.sessions)).to_string()])
        .args(["--ms", &work.ms.to_string(), "--warm-up-ms", &work.warm_up_ms.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    if !shares.is_empty() {
        load.args(["--shares", &shares.join(",")]);
    }
    if let Some(active) = work.active {
        load.args(["--active", &active.to_string()]);
    }
    if own_core {
        load.arg("--spin");
    }
    let output = setting.place.on_client(|| on_cores(&[setting.load_core], || load.output()))??;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: the load failed: {}", contender.name, said.trim()).into());
    }
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let found: Vec<Found> = lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
    let refused: u64 = found.iter().map(|phase| phase.rejected).sum();
    if refused > 0 || found.len() != 1 + work.shares.len() {
        return Err(format!("{}: {refused} orders refused", contender.name).into());
    }
    let dir = std::mem::replace(&mut server.dir, Scratch(PathBuf::new()));
    drop(server);
    Ok((found, dir))
}

/// Starts a process, or waits for one, on some cores: a thread's children are where it is.
fn on_cores<R: Send>(cores: &[usize], what: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            keep_to(cores);
            what()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn start(contender: Contender, setting: &Setting<'_>) -> Result<Running, Failed> {
    static STARTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = STARTED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("millrace-load-{}-{number}", std::process::id()));
    let scratch = Scratch::new(dir.clone())?;
    let crash = Scratch(Path::new("/dev/shm").join(dir.file_name().unwrap_or_default()));
    let mut command = match contender.kind {
        Kind::Millrace(topology, af_xdp) => {
            let config = dir.join("millrace.toml");
            std::fs::write(&config, configuration(topology, af_xdp, setting, &crash.0)?)?;
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("run").arg("--config").arg(config).arg("--data").arg(dir.join("data"));
            command
        }
        Kind::Model(model) => {
            let mut command = Command::new(setting.models);
            let ip = if matches!(setting.place, Place::Loopback) { "127.0.0.1" } else { ADDRESS };
            command.args([model, "--listen", &format!("{ip}:0")]).arg("--log").arg(dir.join("log"));
            command.args(["--symbols", &flow::SYMBOLS.to_string()]);
            command.args(["--sessions", &setting.sessions.to_string()]);
            command.args(["--workers", &setting.cores.len().to_string()]);
            if setting.durable {
                command.arg("--durable");
            }
            if setting.lean {
                command.arg("--lean");
            }
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = setting.place.on_server(|| on_cores(setting.cores, || command.spawn()))??;
    let mut line = String::new();
    let stdout = child.stdout.take().ok_or("no output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    // "millrace ready ouch5=127.0.0.1:7001", or "ready 127.0.0.1:7001".
    let address = line.trim().rsplit([' ', '=']).next().and_then(|text| text.parse().ok());
    let Some(address) = address else {
        let _ = child.kill();
        let mut said = String::new();
        let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
        return Err(format!("{} did not start: {}", contender.name, said.trim()).into());
    };
    // What a server says meanwhile must not stop it.
    let mut stderr = child.stderr.take().ok_or("no output")?;
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    std::thread::sleep(Duration::from_millis(20));
    Ok(Running { child, address, dir: scratch, _crash: crash })
}

/// Firms, unless there are fewer users: a configuration may have 1,024.
const FIRMS: u32 = 1_000;

/// The gateway's end of a playground's wire.
const ADDRESS: &str = "10.9.0.1";

fn configuration(
    topology: &str,
    af_xdp: bool,
    setting: &Setting<'_>,
    crash_dir: &Path,
) -> Result<String, Failed> {
    let ack = if setting.durable { "journaled" } else { "sequenced" };
    let crash_dir = crash_dir.display();
    let mut text = format!(
        "[gateway]\ncrash_dir = \"{crash_dir}\"\ntransport = \"kernel\"\ntopology = \"{topology}\"\nack = \"{ack}\"\naudit = \"off\"\n\
         max_orders = 262144\nmax_connections = {}\n\n[[port]]\nprotocol = \"ouch5\"\nlisten = \"127.0.0.1:0\"\n\n\
         [risk.default]\nprice_collar_bps = 0\nmax_messages_per_second = 1000000000\n\
         max_position = 1000000000\nmax_open_notional = \"1000000000000.00\"\n",
        setting.sessions + 100
    );
    for user in 0..setting.sessions {
        text += &format!(
            "\n[[user]]\nname = \"U{user:05}\"\npassword = \"secret\"\nfirm = \"F{}\"\n",
            user % FIRMS
        );
    }
    for symbol in 0..flow::SYMBOLS {
        text += &format!("\n[[symbol]]\nname = \"S{symbol:02}\"\nreference_price = \"100.00\"\n");
    }
    if matches!(setting.place, Place::Veth(_)) {
        let carrier = if af_xdp { Carrier::AfXdp(vec![0]) } else { Carrier::Kernel };
        text = adapt(&text, &carrier, &hash_password("secret", false)?);
    }
    Ok(text)
}

/// Where the models' program is: beside this one, built if it has to be and the sources are here.
pub fn models() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = own.with_file_name("server-models");
    let manifest = Path::new("benches/models/Cargo.toml");
    if manifest.is_file() {
        // In the same target directory as this program, so that what both have is built once.
        let target = own.parent().and_then(Path::parent).ok_or("no target directory")?;
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--release", "--quiet", "-p", "server-models", "--target-dir"])
            .arg(target);
        let built = cargo.status().map_err(|error| format!("cargo: {error}"))?;
        if !built.success() {
            return Err("benches/models does not build".to_owned());
        }
        return Ok(target.join("release/server-models"));
    }
    if beside.is_file() {
        return Ok(beside);
    }
    Err("the reference servers are not here: run it in millrace's source tree".to_owned())
}
