//! Streams stay byte-exact both ways, whatever happens to their frames.

use millrace::net::frames::faults::{Faults, FaultyDriver};
use millrace::net::frames::pipe;

use super::host::Host;
use super::server::{RECORD_BYTES, Server};

/// What a client sends at a place of its stream.
fn byte(client: usize, at: usize) -> u8 {
    (at as u32).wrapping_mul(0x9e37_79b9).rotate_left(7) as u8 ^ client as u8
}

struct Progress {
    sent: usize,
    received: usize,
}

/// Runs `clients` that send `records` each and want all of it back. Returns the virtual time it
/// took.
fn run(faults: Faults, clients: usize, records: usize, mtu: usize) -> u64 {
    let (near, far) = pipe::pair(4096, mtu);
    let mut server = Server::new(FaultyDriver::new(near, faults), clients);
    let mut host = Host::new(far, mtu, faults.seed);
    let handles: Vec<_> = (0..clients).map(|_| host.connect()).collect();
    let mut progress: Vec<Progress> =
        (0..clients).map(|_| Progress { sent: 0, received: 0 }).collect();
    let total = records * RECORD_BYTES;
    let mut now_ns = 1_000_000_000;
    let begun_ns = now_ns;
    let mut done = 0;
    while done < clients {
        host.turn(now_ns);
        for (client, handle) in handles.iter().enumerate() {
            let (socket, progress) = (host.socket(*handle), &mut progress[client]);
            if progress.sent < total && socket.can_send() {
                let end = total.min(progress.sent + 700);
                let bytes: Vec<u8> = (progress.sent..end).map(|at| byte(client, at)).collect();
                progress.sent += socket.send_slice(&bytes).unwrap();
            }
            while socket.can_recv() {
                let mut bytes = [0; 4096];
                let count = socket.recv_slice(&mut bytes).unwrap();
                for (n, got) in bytes[..count].iter().enumerate() {
                    let at = progress.received + n;
                    assert!(*got == byte(client, at), "seed {}: byte {at}", faults.seed);
                }
                progress.received += count;
                if progress.received == total {
                    socket.close();
                    done += 1;
                }
            }
            assert!(
                progress.received == total || socket.is_open(),
                "seed {}: client {client} lost its connection after {} of {total}",
                faults.seed,
                progress.received
            );
        }
        host.turn(now_ns);
        server.turn(now_ns);
        let next = [
            server.transport.next_due_ns(),
            server.transport.driver().next_due_ns(),
            host.next_due_ns(now_ns),
        ];
        let next = next.into_iter().flatten().min().unwrap_or(now_ns);
        now_ns = next.max(now_ns + 5_000);
        assert!(now_ns - begun_ns < 3_600_000_000_000, "seed {}: an hour", faults.seed);
    }
    now_ns - begun_ns
}

/// The faults that the issue of a bad network is made of.
fn bad(seed: u64) -> Faults {
    Faults {
        seed,
        loss_ppm: 50_000,
        reorder_ppm: 250_000,
        duplicate_ppm: 50_000,
        corrupt_ppm: 1_000,
        delay_ns: 1_000_000,
        jitter_ns: 500_000,
    }
}

#[test]
fn without_faults_streams_come_back_whole() {
    run(Faults::default(), 50, 400, 1500);
}

/// `MILLRACE_TCP_SEEDS` makes it longer.
#[test]
fn under_faults_streams_come_back_whole_for_every_seed() {
    let seeds = std::env::var("MILLRACE_TCP_SEEDS").ok().and_then(|n| n.parse().ok());
    for seed in 0..seeds.unwrap_or(1_000) {
        let clients = 1 + seed as usize % 4;
        run(bad(seed), clients, 40, 1500);
    }
}

#[test]
fn small_packets_under_heavy_loss_come_back_whole() {
    for seed in 0..50 {
        run(Faults { loss_ppm: 200_000, ..bad(seed) }, 3, 60, 600);
    }
}

#[test]
fn fifty_connections_and_a_hundred_thousand_records_under_faults() {
    run(bad(1), 50, 2_000, 1500);
}
