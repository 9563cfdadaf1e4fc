//! A peer that sends exactly the segments it is told to.
#![allow(dead_code, reason = "the tests and the bench use some of it each")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use millrace::net::frames::FrameDriver;
use millrace::net::frames::pipe::Pipe;
use millrace::net::packet::write::Head;
use millrace::net::packet::{
    Blocks, End, Link, OPTIONS_BYTES_MAX, Options, Segment, Stamps, Tuple, carried_sum, end_of,
    flags, parse, sum,
};

/// Where the server listens.
pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)), 7001);
pub const SERVER_6: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1)), 7001);
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// What the server sent.
#[derive(Debug)]
pub struct Got {
    pub segment: Segment,
    pub frame: Vec<u8>,
}

impl Got {
    pub fn payload(&self) -> &[u8] {
        &self.frame[self.segment.payload..self.segment.end]
    }

    pub fn options(&self) -> Options {
        self.segment.options(&self.frame)
    }
}

pub struct Peer {
    pub port: u16,
    pub ip: IpAddr,
    pub server: SocketAddr,
    pub mac: [u8; 6],
    /// The next sequence number of this side.
    pub seq: u32,
    /// The next expected of the server.
    pub ack: u32,
    pub window: u16,
    /// Segment size announced.
    pub mss: u16,
    /// Offers SACK.
    pub selective: bool,
    /// Offers a window scale, and shifts what it says by it.
    pub scale: Option<u8>,
    /// Offers timestamps: its clock.
    pub clock: Option<u32>,
    /// The server's clock, as it was heard last.
    pub echo: u32,
    /// What it says it has, beyond what it acknowledges.
    pub blocks: Blocks,
}

impl Peer {
    pub fn new(port: u16) -> Peer {
        let mac = [2, 0, 0, 0, 1, port as u8];
        Peer {
            port,
            ip: Ipv4Addr::new(10, 9, 0, 2).into(),
            server: SERVER,
            mac,
            seq: 0x1000_0000 ^ u32::from(port) << 8,
            ack: 0,
            window: 60_000,
            mss: 1460,
            selective: false,
            scale: None,
            clock: None,
            echo: 0,
            blocks: Blocks::default(),
        }
    }

    /// One that offers everything, as Linux does.
    pub fn modern(port: u16) -> Peer {
        Peer { selective: true, scale: Some(7), clock: Some(1_000), window: 500, ..Peer::new(port) }
    }

    /// The same over IPv6.
    pub fn over_ipv6(self) -> Peer {
        let ip = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2).into();
        Peer { ip, server: SERVER_6, mss: self.mss - 20, ..self }
    }

    /// Its end of a connection.
    pub fn end(&self) -> End {
        end_of(SocketAddr::new(self.ip, self.port))
    }

    fn options(&self, flags: u8) -> Options {
        let stamps = self.clock.map(|value| Stamps { value, echo: self.echo });
        if flags & flags::SYN != 0 {
            let (mss, scale) = (Some(self.mss), self.scale);
            Options { mss, scale, sack_permitted: self.selective, stamps, ..Options::NONE }
        } else {
            Options { stamps, blocks: self.blocks, ..Options::NONE }
        }
    }

    fn link(&self) -> Link {
        let mut header = [0; 14];
        header[..6].copy_from_slice(&self.mac);
        header[6..12].copy_from_slice(&SERVER_MAC);
        header[12..].copy_from_slice(if self.ip.is_ipv4() { &[8, 0] } else { &[0x86, 0xdd] });
        Link::answering(&header)
    }

    /// A frame with a segment at any place of the sequence.
    pub fn frame_at(&self, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        // Written by this side, so the server is the peer.
        let tuple = &Tuple { remote: end_of(self.server), local: self.end() };
        let mut options = [0; OPTIONS_BYTES_MAX];
        let count = self.options(flags).write(&mut options);
        let (link, options) = (&self.link(), &options[..count]);
        let head = Head { link, tuple, seq, ack, flags, window: self.window, options };
        let mut frame = vec![0; head.frame_bytes(payload.len())];
        head.write(&mut frame, true, |place| place.copy_from_slice(payload));
        frame
    }

    /// The next segment of this side's stream.
    pub fn frame(&mut self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let frame = self.frame_at(self.seq, self.ack, flags, payload);
        let controls = (flags & (flags::SYN | flags::FIN)).count_ones();
        self.seq = self.seq.wrapping_add(payload.len() as u32 + controls);
        frame
    }

    /// What a router says of a frame of the server's that it could not pass on.
    pub fn router(&self, frame: &[u8], mtu: u16) -> Vec<u8> {
        let link = self.link();
        let (start, about) = (link.bytes().len(), &frame[link.bytes().len()..]);
        let about = &about[..about.len().min(128)];
        let mut told = link.bytes().to_vec();
        if self.ip.is_ipv4() {
            let total = (28 + about.len()) as u16;
            told.extend([0x45, 0xc0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 9, 0, 254]);
            told.extend(&about[12..16]);
            told[start + 2..start + 4].copy_from_slice(&total.to_be_bytes());
            let right = !sum(&told[start..]);
            told[start + 10..start + 12].copy_from_slice(&right.to_be_bytes());
            told.extend([3, 4, 0, 0, 0, 0]);
            told.extend(mtu.to_be_bytes());
            told.extend(about);
            let right = !sum(&told[start + 20..]);
            told[start + 22..start + 24].copy_from_slice(&right.to_be_bytes());
        } else {
            let length = (8 + about.len()) as u16;
            told.extend([0x60, 0, 0, 0, 0, 0, 58, 64, 0xfe, 0x80]);
            told.extend([0; 13]);
            told.push(0xfe);
            told.extend(&about[8..24]);
            told[start + 4..start + 6].copy_from_slice(&length.to_be_bytes());
            told.extend([2, 0, 0, 0, 0, 0]);
            told.extend(mtu.to_be_bytes());
            told.extend(about);
            let right = !carried_sum(&told[start + 8..start + 40], 58, &told[start + 40..]);
            told[start + 42..start + 44].copy_from_slice(&right.to_be_bytes());
        }
        told
    }

    /// Takes in what the server sent, and moves on as far as it follows.
    pub fn take(&mut self, frame: Vec<u8>) -> Got {
        let segment = parse(&frame).expect("the server sends whole segments");
        assert!(segment.checksums_are_right(&frame), "with right checksums");
        assert_eq!(frame[..6], self.mac, "to the address they came from");
        assert_eq!(segment.tuple.local, self.end());
        if let Some(stamps) = segment.options(&frame).stamps {
            assert!(self.clock.is_some(), "timestamps only to who offered them");
            self.echo = stamps.value;
        }
        if segment.has(flags::SYN) {
            self.ack = segment.seq.wrapping_add(1);
        } else if segment.seq == self.ack {
            self.ack = self.ack.wrapping_add(segment.len());
        }
        Got { segment, frame }
    }
}

pub fn send(pipe: &mut Pipe, frame: &[u8]) {
    pipe.transmit(frame.len(), |place| place.copy_from_slice(frame));
}
