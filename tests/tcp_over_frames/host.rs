//! A client host: smoltcp with many sockets behind one end of a wire.

use millrace::net::frames::FrameDriver;
use millrace::net::frames::pipe::Pipe;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::peer::{SERVER, SERVER_6};

const LINK: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];

struct Wire {
    pipe: Pipe,
    mtu: usize,
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0[LINK.len()..])
    }
}

struct Sending<'a>(&'a mut Pipe);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.transmit(LINK.len() + len, |frame| {
            frame[..LINK.len()].copy_from_slice(&LINK);
            let result = f(&mut frame[LINK.len()..]);
            if frame[LINK.len()] >> 4 == 6 {
                frame[12..14].copy_from_slice(&[0x86, 0xdd]);
            }
            result
        })
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.pipe.take()?;
        Some((Received(frame), Sending(&mut self.pipe)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.pipe))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

pub struct Host {
    wire: Wire,
    interface: Interface,
    pub sockets: SocketSet<'static>,
    next_port: u16,
}

fn instant(now_ns: u64) -> Instant {
    Instant::from_micros((now_ns / 1000) as i64)
}

impl Host {
    pub fn new(pipe: Pipe, mtu: usize, seed: u64) -> Host {
        let mut wire = Wire { pipe, mtu };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(10, 9, 0, 2), 24)).unwrap();
            let address = IpAddress::v6(0xfd09, 0, 0, 0, 0, 0, 0, 2);
            addresses.push(IpCidr::new(address, 64)).unwrap();
        });
        Host { wire, interface, sockets: SocketSet::new(vec![]), next_port: 10_000 }
    }

    /// Connects by IPv4, every second time by IPv6.
    pub fn connect(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 8192]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        self.next_port = if self.next_port == 60_000 { 10_000 } else { self.next_port + 1 };
        let to = if self.next_port.is_multiple_of(2) { SERVER } else { SERVER_6 };
        socket.connect(self.interface.context(), to, self.next_port).unwrap();
        self.sockets.add(socket)
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub fn turn(&mut self, now_ns: u64) {
        self.interface.poll(instant(now_ns), &mut self.wire, &mut self.sockets);
    }

    pub fn next_due_ns(&mut self, now_ns: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now_ns), &self.sockets)?;
        Some(at.total_micros().max(0) as u64 * 1000)
    }
}
