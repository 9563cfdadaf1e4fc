//! What is next is handed over where the driver put it, not from a copy.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use millrace::net::frames::pipe::{Pipe, pair};
use millrace::net::frames::{Capabilities, FrameDriver, STATISTICS};
use millrace::net::packet::flags::{ACK, SYN};
use millrace::net::tcp::{TcpSetup, TcpTransport};
use millrace::net::{Close, ConnId, Handler, Transport};

use super::peer::{Peer, SERVER, send};

/// Where the frame lies that is handed over now.
type Place = Rc<RefCell<Range<usize>>>;

fn place_of(bytes: &[u8]) -> Range<usize> {
    let at = bytes.as_ptr().addr();
    at..at + bytes.len()
}

/// Tells where its frames lie.
struct Telling {
    inner: Pipe,
    place: Place,
}

impl FrameDriver for Telling {
    fn receive(&mut self, now_ns: u64, mut each: impl FnMut(&mut [u8])) -> usize {
        let place = self.place.clone();
        self.inner.receive(now_ns, |frame| {
            *place.borrow_mut() = place_of(frame);
            each(frame);
            *place.borrow_mut() = 0..0;
        })
    }

    fn room(&mut self) -> usize {
        self.inner.room()
    }

    fn transmit<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        self.inner.transmit(length, fill)
    }

    fn flush(&mut self, now_ns: u64) {
        self.inner.flush(now_ns);
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        self.inner.wakes_by()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn statistics(&mut self) -> [u64; STATISTICS.len()] {
        self.inner.statistics()
    }
}

/// Takes messages of 20 bytes, and notes which of them lay in the frame.
struct Reader {
    place: Place,
    in_frame: Vec<bool>,
}

impl Handler for Reader {
    fn opened(&mut self, _: ConnId, _: usize, _: IpAddr) {}

    fn received(&mut self, _: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        let (frame, bytes_at) = (self.place.borrow(), place_of(bytes));
        let whole = bytes.len() / 20;
        let inside = frame.start <= bytes_at.start && bytes_at.end <= frame.end;
        self.in_frame.extend(std::iter::repeat_n(inside, whole));
        Ok(whole * 20)
    }

    fn writable(&mut self, _: ConnId) {}

    fn closed(&mut self, _: ConnId) {}
}

#[test]
fn a_payload_in_its_turn_is_read_where_the_driver_put_it() {
    let (near, mut pipe) = pair(64, 1500);
    let place = Place::default();
    let setup = TcpSetup {
        listen: vec![SERVER],
        connections_max: 1,
        receive_bytes: 4096,
        transmit_bytes: 4096,
        rto_min_us: 1000,
    };
    let driver = Telling { inner: near, place: place.clone() };
    let mut transport = TcpTransport::new(driver, &setup);
    let mut reader = Reader { place, in_frame: vec![] };
    let mut peer = Peer::modern(1000);
    let mut give = |peer: &mut Peer, flags, payload: &[u8]| {
        let frame = peer.frame(flags, payload);
        send(&mut pipe, &frame);
        transport.poll(&mut reader, 1 << 16, 1_000_000_000);
        transport.flush(1_000_000_000);
        if let Some(frame) = pipe.take() {
            peer.take(frame);
        }
        std::mem::take(&mut reader.in_frame)
    };
    give(&mut peer, SYN, b"");
    give(&mut peer, ACK, b"");
    assert_eq!(give(&mut peer, ACK, &[1; 60]), [true; 3]);
    assert_eq!(give(&mut peer, ACK, &[2; 50]), [true; 2], "and half of one is kept");
    assert_eq!(give(&mut peer, ACK, &[3; 30]), [false; 2], "which is gone on with from there");
    assert_eq!(give(&mut peer, ACK, &[4; 40]), [true; 2], "once, and no longer");
}
