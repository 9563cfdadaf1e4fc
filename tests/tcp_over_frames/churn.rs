//! Connections come and go, and leave nothing behind.

use millrace::net::frames::pipe;

use super::host::Host;
use super::server::{RECORD_BYTES, Server};

#[test]
fn ten_thousand_connections_one_after_the_other_leak_nothing() {
    let (near, far) = pipe::pair(4096, 1500);
    let mut server = Server::new(near, 16);
    let mut host = Host::new(far, 1500, 1);
    let mut now_ns = 1_000_000_000;
    for n in 0..10_000u32 {
        let handle = host.connect();
        let record = [n as u8; RECORD_BYTES];
        let mut back = 0;
        let mut sent = false;
        // Half of them are closed by the server: those rest in TIME-WAIT there.
        server.echo.poison = (n % 2 == 0).then_some(n as u8);
        for _ in 0..50 {
            host.turn(now_ns);
            server.turn(now_ns);
            now_ns += 20_000;
            let socket = host.socket(handle);
            if socket.may_send() && !sent {
                socket.send_slice(&record).unwrap();
                sent = true;
            }
            if socket.can_recv() {
                let mut bytes = [0; RECORD_BYTES];
                back += socket.recv_slice(&mut bytes).unwrap();
                assert_eq!(bytes, record);
                socket.close();
            }
            if sent && !socket.may_recv() {
                socket.close();
            }
            if !socket.is_active() {
                break;
            }
        }
        assert_eq!(back, if n % 2 == 0 { 0 } else { RECORD_BYTES }, "connection {n}");
        host.sockets.remove(handle);
    }
    assert_eq!((server.echo.opened, server.echo.closed), (10_000, 10_000));
    assert!(server.echo.open.is_empty());
    for _ in 0..12_000 {
        now_ns += 1_000_000;
        server.turn(now_ns);
    }
    assert_eq!(server.transport.connections(), 0);
}
