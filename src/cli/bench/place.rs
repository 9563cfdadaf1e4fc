//! Where measurements run: the two ends, their cores, and a gateway there.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};

use super::plan::Measured;
use crate::client::playground::{Carrier, Playground, adapt};
use crate::config::Config;
use crate::segment::Segment;

/// Where the two ends are.
pub(super) enum Place<'a> {
    Loopback,
    Veth(&'a Playground),
}

impl Place<'_> {
    pub fn on_server<R>(&self, what: impl FnOnce() -> R) -> std::io::Result<R> {
        match self {
            Place::Loopback => Ok(what()),
            Place::Veth(playground) => playground.server.run(what),
        }
    }

    pub fn on_client<R>(&self, what: impl FnOnce() -> R) -> std::io::Result<R> {
        match self {
            Place::Loopback => Ok(what()),
            Place::Veth(playground) => playground.client.run(what),
        }
    }
}

/// Pins this thread.
pub(super) fn pin(core: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}

/// Does something on a thread pinned to a core.
pub(super) fn on_core<R: Send>(core: usize, what: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(core);
            what()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A spinning socket.
pub(super) fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Reads exactly `bytes`, spinning.
pub(super) fn read(mut stream: &TcpStream, bytes: &mut [u8]) -> std::io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match stream.read(&mut bytes[done..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Starts a gateway where it belongs, and has a client of it measured.
pub(super) fn run_segment(
    text: &str,
    place: &Place<'_>,
    carrier: &Carrier,
    measure: impl FnOnce(&Segment) -> Measured,
) -> Measured {
    let text = match place {
        Place::Loopback => text.to_owned(),
        Place::Veth(_) => {
            let hash = crate::gateway::hash_password("secret", false)?;
            adapt(text, carrier, &hash)
        }
    };
    let dir = std::env::temp_dir().join(format!("millrace-bench-{}", std::process::id()));
    let mut config = Config::parse(&text, "bench")?;
    config.gateway.data_dir = dir.clone();
    let segment = place.on_server(|| Segment::start(&config))??;
    let figures = place.on_client(|| measure(&segment));
    segment.stop();
    let _ = std::fs::remove_dir_all(&dir);
    figures?
}
