//! `millrace bench storm`

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::super::Outcome;
use super::place::Place;
use super::witness;
use crate::client::NewOrder;
use crate::client::playground::{Carrier, Playground, adapt};
use crate::config::{BUILT_IN, Config};
use crate::gateway::hash_password;
use crate::order::Price;
use crate::runtime::promptness::take_what_is_left;
use crate::runtime::{allowed_cores, keep_to, signals};
use crate::segment::Segment;
use crate::wire::soupbin::{self, Packet, kind};

/// Users who all connect, log in and trade at once: after a restart and after a blip, with plain and
/// with hashed passwords; and what one who was there before notices of it.
///
/// After a restart nobody's password is known, so each takes a hash. After a blip, when all
/// connections are lost and come back, none does.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many come at once.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=4_000))]
    users: u32,
    /// What carries the bytes: `af_xdp` needs root, and has no plain passwords.
    #[arg(long, value_enum, default_value = "kernel")]
    transport: Which,
    /// Blips in a run; medians are printed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    blips: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Which {
    /// Kernel sockets on loopback.
    Kernel,
    /// AF_XDP on veth.
    AfXdp,
}

/// How often answers are looked for.
const LOOK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(300);

/// What became of a storm.
struct Storm {
    took: Duration,
    refused: u32,
}

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let cores = allowed_cores();
    let hash_took = hash_cost();
    let helpers = cores.len().saturating_sub(1).max(1);
    println!(
        "{} users at once; one password hash takes {:.1} ms, {} of them a second on {helpers} \
         helper thread{}",
        arguments.users,
        hash_took.as_secs_f64() * 1e3,
        (helpers as f64 / hash_took.as_secs_f64()) as u64,
        if helpers == 1 { "" } else { "s" },
    );
    match arguments.transport {
        Which::Kernel => {
            measure(arguments, &Place::Loopback, false, hash_took, helpers)?;
            measure(arguments, &Place::Loopback, true, hash_took, helpers)
        }
        Which::AfXdp => {
            let playground = Playground::new(1)?;
            measure(arguments, &Place::Veth(&playground), true, hash_took, helpers)
        }
    }
}

/// What one hash takes while nothing else runs.
fn hash_cost() -> Duration {
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let started = Instant::now();
            let _ = hash_password("secret", false);
            started.elapsed()
        })
        .collect();
    times.sort();
    times[7]
}

fn name_of(user: u32) -> String {
    format!("U{user}")
}

fn text(arguments: &Arguments, hashed: bool) -> Result<String, String> {
    let mut text = BUILT_IN.replace("127.0.0.1:7001", "127.0.0.1:0").replace(
        "ack = \"journaled\"",
        &format!(
            "ack = \"sequenced\"\nmax_connections = {}\n{}",
            arguments.users + 200,
            // The agent has a core of its own, as it is run; everybody else shares the others.
            match allowed_cores()[..] {
                [first, _, ..] => format!("cores = [{first}]\nidle = \"spin\""),
                _ => String::new(),
            }
        ),
    );
    if hashed {
        let hash = hash_password("secret", false)?;
        text = text.replace("password = \"secret\"", &format!("password_hash = \"{hash}\""));
    }
    let password = text.lines().find(|line| line.starts_with("password")).unwrap_or("").to_owned();
    for user in 0..arguments.users {
        let (name, firm) = (name_of(user), user % 100);
        text += &format!("\n[[user]]\nname = \"{name}\"\n{password}\nfirm = \"S{firm}\"\n");
    }
    Ok(text)
}

fn measure(
    arguments: &Arguments,
    place: &Place<'_>,
    hashed: bool,
    hash_took: Duration,
    helpers: usize,
) -> Outcome {
    let mut text = text(arguments, hashed)?;
    if matches!(place, Place::Veth(_)) {
        // The hashes that stand there are as slow as any.
        text = adapt(&text, &Carrier::AfXdp(vec![0]), "");
    }
    let dir = std::env::temp_dir().join(format!("millrace-storm-{}", std::process::id()));
    let mut config = Config::parse(&text, "bench")?;
    config.gateway.data_dir = dir.clone();
    println!("\n{} passwords", if hashed { "hashed" } else { "plain" });
    let share = hash_took.as_secs_f64() * f64::from(arguments.users) / helpers as f64;
    let share = hashed.then_some(share);
    let cores = allowed_cores();
    if cores.len() > 1 {
        keep_to(&cores[1..]);
    }
    // Twice: who looks on from the same cores takes from what the storm has.
    let done = with_segment(&config, place, |segment| times(arguments, share, segment))
        .and_then(|()| with_segment(&config, place, |segment| beside(arguments, segment)));
    keep_to(&cores);
    let _ = std::fs::remove_dir_all(&dir);
    done
}

fn with_segment(
    config: &Config,
    place: &Place<'_>,
    what: impl FnOnce(&Segment) -> Outcome,
) -> Outcome {
    let segment = place.on_server(|| Segment::start(config))??;
    let done = place.on_client(|| what(&segment));
    segment.stop();
    done?
}

/// How long storms take: the first, and those in which nobody is new.
fn times(arguments: &Arguments, hashes_s: Option<f64>, segment: &Segment) -> Outcome {
    let to = segment.addresses()[0];
    let (restart, mut there) = storm(arguments.users, to, 1)?;
    let mut blips = vec![];
    for round in 2..arguments.blips + 2 {
        there.clear();
        let (blip, back) = storm(arguments.users, to, round)?;
        blips.push(blip);
        there = back;
    }
    print!("  after a restart   {:>7.3} s", restart.took.as_secs_f64());
    if let Some(hashes_s) = hashes_s {
        let ratio = restart.took.as_secs_f64() / hashes_s;
        print!(", {ratio:.2} of its hashes alone (mark 1.1)");
    }
    println!(", {} refused", restart.refused);
    blips.sort_by_key(|blip| blip.took);
    let refused: u32 = blips.iter().map(|blip| blip.refused).sum();
    println!(
        "  after a blip      {:>7.3} s, slowest {:.3} s of {} (mark 1, goal 0.2), {refused} refused",
        blips[blips.len() / 2].took.as_secs_f64(),
        blips[blips.len() - 1].took.as_secs_f64(),
        blips.len()
    );
    Ok(())
}

/// What one who was there before notices.
fn beside(arguments: &Arguments, segment: &Segment) -> Outcome {
    let to = segment.addresses()[0];
    let seen = witness::beside(to, || {
        for round in 100..101 + arguments.blips {
            let (storm, _) = storm(arguments.users, to, round)?;
            if storm.refused > 0 {
                return Err("some were refused".into());
            }
        }
        Ok(())
    })?;
    println!("  who was there     {seen} (mark 1.5)");
    Ok(())
}

/// One of many.
struct Comer {
    stream: TcpStream,
    buffer: Vec<u8>,
    traded: bool,
}

/// Everybody connects, logs in and enters an order, as fast as it goes: on a thread of its own, which
/// leaves the core it shares to the gateway and to the one who was there before when they want it.
fn storm(users: u32, to: SocketAddr, user_ref: u32) -> Result<(Storm, Vec<TcpStream>), String> {
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| {
            take_what_is_left();
            come(users, to, user_ref).map_err(|error| error.to_string())
        });
        storm.join().unwrap_or_else(|p| std::panic::resume_unwind(p))
    })
}

fn come(
    users: u32,
    to: SocketAddr,
    user_ref: u32,
) -> Result<(Storm, Vec<TcpStream>), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut comers = Vec::with_capacity(users as usize);
    for user in 0..users {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        (&stream).write_all(&soupbin::login_packet(&name_of(user), "secret", "", 0))?;
        stream.set_nonblocking(true)?;
        comers.push(Comer { stream, buffer: vec![], traded: false });
    }
    let (mut left, mut refused, mut idle) = (users, 0, LOOK);
    while left > 0 {
        if started.elapsed() > PATIENCE {
            return Err(format!("{left} of {users} have not traded").into());
        }
        let before = left;
        for comer in comers.iter_mut().filter(|comer| !comer.traded) {
            match comer.advance(user_ref)? {
                Step::Waits => continue,
                Step::Traded => {}
                Step::Refused => refused += 1,
            }
            comer.traded = true;
            left -= 1;
        }
        // The longer nothing came, the longer it looks away: it shares the cores with the others.
        idle = if left < before { LOOK } else { (2 * idle).min(8 * LOOK) };
        std::thread::sleep(idle);
    }
    let storm = Storm { took: started.elapsed(), refused };
    Ok((storm, comers.into_iter().map(|comer| comer.stream).collect()))
}

enum Step {
    Waits,
    Traded,
    Refused,
}

impl Comer {
    /// Takes what came, and answers it.
    fn advance(&mut self, user_ref: u32) -> std::io::Result<Step> {
        let mut chunk = [0; 4096];
        match (&self.stream).read(&mut chunk) {
            Ok(0) => return Ok(Step::Refused),
            Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Step::Waits),
            Err(e) => return Err(e),
        }
        while let Ok(Some((Packet { kind, payload }, used))) = Packet::parse(&self.buffer, u16::MAX)
        {
            let accepted = payload.first() == Some(&b'A');
            let user_refs = payload.get(9..13) == Some(&user_ref.to_be_bytes());
            self.buffer.drain(..used);
            match kind {
                kind::LOGIN_ACCEPTED => {
                    let order = NewOrder::new(user_ref, b'B', 1, "MSFT", Price(1_000_000));
                    let packet = soupbin::packet(kind::UNSEQUENCED, &order.encode());
                    (&self.stream).write_all(&packet)?;
                }
                kind::LOGIN_REJECTED => return Ok(Step::Refused),
                kind::SEQUENCED if accepted && user_refs => return Ok(Step::Traded),
                _ => {}
            }
        }
        Ok(Step::Waits)
    }
}
