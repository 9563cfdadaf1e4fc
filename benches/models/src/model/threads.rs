//! A thread for each connection.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;

use crate::decode::Decoder;
use crate::matcher::Orders;
use crate::venue::{Setup, Venue, prepare};

/// Threads that read, decode, match under the lock or locks, and send: to their own client, and to those
/// whom their client traded with.
pub fn run(setup: &Setup, listener: &TcpListener, locks: u16) -> std::io::Result<()> {
    let venue = Venue::new(setup, locks)?;
    let streams: Vec<OnceLock<TcpStream>> = (0..setup.sessions).map(|_| OnceLock::new()).collect();
    std::thread::scope(|scope| {
        if !venue.log.is_durable() {
            scope.spawn(|| venue.log.keep_writing());
        }
        for (session, stream) in (0..setup.sessions).zip(listener.incoming()) {
            let stream = stream?;
            prepare(&stream)?;
            let _ = streams[usize::from(session)].set(stream);
            let (venue, streams) = (&venue, &streams[..]);
            std::thread::Builder::new()
                .stack_size(256 << 10)
                .spawn_scoped(scope, move || serve(session, venue, streams))?;
        }
        Ok(())
    })
}

fn serve(session: u16, venue: &Venue, streams: &[OnceLock<TcpStream>]) {
    let Some(mut stream) = streams[usize::from(session)].get() else { return };
    let (mut decoder, mut orders, mut touched) = (Decoder::new(), Orders::new(), vec![]);
    loop {
        match stream.read(decoder.room()) {
            Ok(0) | Err(_) => break,
            Ok(count) => decoder.came(count),
        }
        let served = venue.serve(session, &mut decoder, &mut orders, &mut touched);
        for session in touched.drain(..) {
            // Who does not take what is sent ends by its own thread.
            if let Some(stream) = streams[usize::from(session)].get() {
                let _ = venue.flush(session, stream);
            }
        }
        if served.is_err() {
            break;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
}
