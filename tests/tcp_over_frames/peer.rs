//! A peer that sends exactly the segments it is told to.
#![allow(dead_code, reason = "the tests and the bench use some of it each")]

use std::net::Ipv4Addr;

use millrace::net::frames::FrameDriver;
use millrace::net::frames::pipe::Pipe;
use millrace::net::packet::write::{Bare, bare};
use millrace::net::packet::{
    Blocks, IPV4_BYTES, Link, Options, Segment, Stamps, Tuple, complete_tcp, flags, parse,
};

pub const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 9, 0, 1), 7001);
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
    pub ip: Ipv4Addr,
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
        let ip = Ipv4Addr::new(10, 9, 0, 2);
        Peer {
            port,
            ip,
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
        header[12..].copy_from_slice(&[8, 0]);
        Link::answering(&header)
    }

    /// A frame with a segment at any place of the sequence.
    pub fn frame_at(&self, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        // Written by this side, so the server is the peer.
        let tuple = Tuple { remote: SERVER, local: (self.ip, self.port) };
        let options = self.options(flags);
        let segment = Bare { tuple, seq, ack, flags, window: self.window, options };
        let mut frame = vec![0; 128];
        let length = bare(&self.link(), &segment, &mut frame);
        frame.truncate(length);
        frame.extend_from_slice(payload);
        let total = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
        complete_tcp(&mut frame[14..]);
        frame
    }

    /// The next segment of this side's stream.
    pub fn frame(&mut self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let frame = self.frame_at(self.seq, self.ack, flags, payload);
        let controls = (flags & (flags::SYN | flags::FIN)).count_ones();
        self.seq = self.seq.wrapping_add(payload.len() as u32 + controls);
        frame
    }

    /// Takes in what the server sent, and moves on as far as it follows.
    pub fn take(&mut self, frame: Vec<u8>) -> Got {
        let segment = parse(&frame).expect("the server sends whole segments");
        assert!(segment.checksums_are_right(&frame), "with right checksums");
        assert_eq!(frame[..6], self.mac, "to the address they came from");
        assert_eq!(segment.tuple.local, (self.ip, self.port));
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

const _: () = assert!(IPV4_BYTES == 20);
